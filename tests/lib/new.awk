# Writes the README.md of a new project, for tests/new. Set with -v: n, the stage; name, of the program.
#
# It reads headers (MODULES becomes the first sentence of each), tests (PROMISES becomes their sections, with the
# hints), and at last the text itself, where a line that begins with {34} is for stages 3 and 4 alone.
#
# Example: awk -v n=4 -v name=mydaemon -f tests/lib/new.awk ../mydaemon/*.h ../mydaemon/tests/*.bats tests/lib/new.md

FNR == 1 { module = text = ""; in_hint = 0 }

FILENAME ~ /[.]h$/ {
	if (module != "" || FNR == 1) next
	if ($0 !~ /^ [*]([\/]|$)/) { text = text substr($0, 3); next }
	module = FILENAME
	gsub(/^.*\/|[.]h$/, "", module)
	sub(/[.] .*/, ".", text)
	modules = modules "- `" module "`:" text "\n"
}

# The heading by which a failing test refers to its section, and what stands below it.
function section(heading, more) {
	key = tolower(heading)
	if (!(key in words)) {
		order[++sections] = key
		title[key] = toupper(substr(heading, 1, 1)) substr(heading, 2)
		words[key] = ""
	}
	# a hint of its own is a paragraph of its own
	if (more == " ") words[key] = words[key] "\n"
	else if (more != "" && !index(words[key], more)) words[key] = words[key] more "\n"
}

FILENAME ~ /[.]bats$/ && /^# == .* ==$/ {
	in_hint = 1
	heading = substr($0, 6, length($0) - 8)
	if ((tolower(heading) in words) && words[tolower(heading)] != "") section(heading, " ")
	section(heading, "")
	next
}
FILENAME ~ /[.]bats$/ && in_hint && /^# / { section(heading, substr($0, 3)); next }
FILENAME ~ /[.]bats$/ { in_hint = 0 }
FILENAME ~ /[.]bats$/ && /^[A-Za-z_]+="(README[.]md|[$]chapter)[,:] / {
	heading = $0
	sub(/^[^ ]* /, "", heading)
	sub(/".*/, "", heading)
	section(heading, "")
}

FILENAME ~ /[.]md$/ {
	if (match($0, /^[{][1-6]+[}]/)) {
		if (!index(substr($0, 1, RLENGTH), n)) next
		$0 = substr($0, RLENGTH + 1)
	}
	if ($0 == "MODULES") printf "%s", modules
	else if ($0 == "PROMISES") for (i = 1; i <= sections; i++) {
		print "\n### " title[order[i]]
		if (words[order[i]] != "") printf "\n%s", words[order[i]]
	}
	else {
		gsub(/NAME/, name)
		gsub(/STAGE/, n)
		print
	}
}
