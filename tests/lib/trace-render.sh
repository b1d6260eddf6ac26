#!/bin/sh
# Makes a picture (.svg) or a page (.html) of a Mermaid diagram, by mermaid-cli. For tests/trace.
#
#   tests/lib/trace-render.sh DIAGRAM FILE.svg|FILE.html TITLE
#
# Example: sh tests/lib/trace-render.sh diagram.mmd run.svg 'detach sleep 60'
#
# mermaid-cli (its program is mmdc) is wanted in PATH. Without it a page holds the diagram as text, and a picture cannot be
# made: exit status 1.
set -eu

escaped() { sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'; }
page() { # TITLE; the body is standard input
	printf '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>%s</title>\n<h1>%s</h1>\n' \
		"$(printf %s "$1" | escaped)" "$(printf %s "$1" | escaped)"
	cat
	echo '</html>'
}
# mermaid-cli wants a browser: that of the system, if there is one. To a browser, root is nobody whom it would lock up.
svg() { # DIAGRAM FILE
	for browser in chromium chromium-browser google-chrome; do
		[ -n "${PUPPETEER_EXECUTABLE_PATH:-}" ] || PUPPETEER_EXECUTABLE_PATH=$(command -v "$browser") || :
	done
	export PUPPETEER_EXECUTABLE_PATH
	[ -n "$PUPPETEER_EXECUTABLE_PATH" ] || unset PUPPETEER_EXECUTABLE_PATH
	if [ "$(id -u)" -eq 0 ]; then echo '{ "args": ["--no-sandbox"] }'; else echo '{}'; fi >"$1.browser"
	mmdc --quiet --puppeteerConfigFile "$1.browser" --input "$1" --output "$2"
}

cp "$1" "$1.mmd" # mmdc looks at names
case $2 in
*.svg)
	command -v mmdc >/dev/null || {
		echo 'tests/trace: for a picture mermaid-cli is wanted (mmdc): npm install --global @mermaid-js/mermaid-cli' >&2
		exit 1
	}
	svg "$1.mmd" "$2"
	;;
*.html)
	if command -v mmdc >/dev/null; then
		svg "$1.mmd" "$1.svg"
		page "$3" <"$1.svg" >"$2"
	else
		{
			echo '<p>A Mermaid diagram: where mermaid-cli (mmdc) is installed, there would be a picture here.'
			echo '<pre class="mermaid">'
			escaped <"$1"
			echo '</pre>'
		} | page "$3" >"$2"
	fi
	;;
*)
	echo "tests/trace: $2: neither .svg nor .html" >&2
	exit 2
	;;
esac
