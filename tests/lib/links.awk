# Lists what a page of Markdown names and what can be looked up, for tests/links, a line for each: LINE KIND NAME.
#
#   awk -f tests/lib/links.awk PAGE
#
# Example: awk -f tests/lib/links.awk stage2-daemon/README.md
#
# KIND is link (what stands in the brackets of a link), anchor (of a heading of this page), file (a name in backticks that
# looks like a source of ours; not after "git's " and the like, which is somebody else's), path (a word of code that
# begins with tests/, .ci/ or stageN-), target (of make), function (in backticks, with its brackets), word (an identifier
# in backticks with an underscore in it), bug (BUG=NAME), or example (a file that the page itself makes).

function say(kind, name) { print NR " " kind " " name }

function anchor(text) {
	gsub(/`/, "", text)
	text = tolower(text)
	gsub(/[^a-z0-9 _-]/, "", text)
	gsub(/ /, "-", text)
	say("anchor", text (text in seen ? "-" seen[text] : ""))
	seen[text]++
}

# Names in a piece of shell code.
function code(text,    rest, n, i, word) {
	rest = " " text
	while (match(rest, /([ "=:(]|[$]PWD\/)(tests\/|[.]ci\/|stage[0-9]-)[A-Za-z0-9_.*\/-]*(\[ch\])?/)) {
		word = substr(rest, RSTART, RLENGTH)
		sub(/^([$]PWD\/|.)/, "", word)
		say("path", word)
		rest = substr(rest, RSTART + RLENGTH)
	}
	rest = text
	while (match(rest, /BUG=[a-z0-9-]+/)) {
		say("bug", substr(rest, RSTART + 4, RLENGTH - 4))
		rest = substr(rest, RSTART + RLENGTH)
	}
	rest = " " text
	gsub(/='[^']*'/, "=", rest) # what a variable of make holds is no target
	while (match(rest, /[ ;&(]make( +[^ ;&|#)]+)+/)) {
		n = split(substr(rest, RSTART + 1, RLENGTH - 1), part, " ")
		for (i = 2; i <= n; i++)
			if (part[i] ~ /^[a-z][a-z0-9-]*$/)
				say("target", part[i])
		rest = substr(rest, RSTART + RLENGTH)
	}
}

function span(text, before) {
	if (text ~ /^[a-z]+[.](c|h|\[ch\])$/ && match(before, /stage [1-6]\047s $/))
		say("path", "stage" substr(before, RSTART + 6, 1) "-*/" text)
	else if (text ~ /^[a-zA-Z0-9_-]+[.](c|h|\[ch\]|bats|awk|md|[15])$/ && text !~ /^[A-Z]+[.][15]$/ && before !~ /[a-z]\047s $/)
		say("file", text)
	else if (text ~ /^[a-zA-Z_][a-zA-Z0-9_]*\(\)$/)
		say("function", substr(text, 1, length(text) - 2))
	else if (text ~ /^[a-z]+(_[a-z]+)+$/)
		say("word", text)
	else
		code(text)
}

# A span may begin in one line and end in the next: "open" holds what it has so far.
function prose(line,    at, before) {
	while ((at = index(line, "`")) > 0) {
		if (inside)
			span(open substr(line, 1, at - 1), before)
		else
			before = before substr(line, 1, at - 1)
		open = ""
		inside = !inside
		line = substr(line, at + 1)
	}
	if (inside)
		open = open line " "
}

/^```/ {
	fence = !fence
	language = $1
	if (fence && $2 == "example")
		say("example", $3)
	inside = 0
	next
}
fence { if (language ~ /^```(sh|console)?$/) code($0); next }
/^(    |\t)/ { code($0); next }
/^#+ / { text = $0; sub(/^#+ +/, "", text); anchor(text) }
/^$/ { inside = 0; open = "" }
{
	rest = $0
	while (match(rest, /\]\([^)]*\)/)) {
		say("link", substr(rest, RSTART + 2, RLENGTH - 3))
		rest = substr(rest, RSTART + RLENGTH)
	}
	prose($0)
}
