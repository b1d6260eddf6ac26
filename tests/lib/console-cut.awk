# Cuts a page up for tests/console: block N becomes WORK/N.line, where it begins, and WORK/N.expected; all commands
# together WORK/script; each "```LANGUAGE example FILE" a file in WORK/run/. Prints how many blocks there are.
# What would not be run although it looks like a terminal goes to WORK/wrong, a line for each.
#
#   awk -v work=WORK -f tests/lib/console-cut.awk PAGE
#
# Example: mkdir -p w/run && awk -v work=w -f tests/lib/console-cut.awk README.md && cat w/script
#
# In a chapter a block is a fence "```console", in a manual a .Bd -literal of EXAMPLES that begins with "$ ".

function quoted(text) {
	gsub(/\047/, "\047\\\047\047", text)
	return "\047" text "\047"
}

function wrong(text) { print page ":" NR ": " text >(work "/wrong") }

function flush_command() {
	if (command != "") # $? shall be that of the command before, not that of printf
		print "_rc=$?; printf \"%s\\n\" " quoted(shown) "; (exit $_rc)\n" command >script
	command = ""
}

function begin(line) {
	kind = "console"
	n++
	print line >(work "/" n ".line")
	printf "" >(work "/" n ".expected")
	print "exec >" quoted(work "/" n ".came") " 2>&1" >script
}

function end() {
	if (kind == "console") {
		flush_command()
		print ": >" quoted(work "/" n ".done") >script
	}
	kind = ""
}

function take(line) {
	print line >(work "/" n ".expected")
	if (line ~ /^> / && command != "") {
		shown = shown "\n" line
		command = command "\n" substr(line, 3)
		return
	}
	flush_command()
	if (line ~ /^[$] /) {
		shown = line
		command = substr(line, 3)
	}
}

BEGIN {
	page = ARGV[1]
	manual = page ~ /[.][1-9]$/
	script = work "/script"
	printf "" >script
}

manual && /^[.]Sh / { examples = /EXAMPLES/ }
manual && /^[.]Bd -literal/ { literal = 1; opened = NR; next }
manual && /^[.]Ed/ { end(); literal = 0; next }
manual && literal && NR == opened + 1 && examples && /^[$] / { begin(opened) }
manual && kind == "console" { gsub(/\\&/, ""); gsub(/\\e/, "\\"); take($0); next }
manual && literal && /^[$] / { wrong("a prompt, and this is never run: it is no EXAMPLE, or does not begin with one") }
manual { next }

!kind && /^```console$/ { begin(NR); next }
!kind && /^```[a-z]+ example [^ \/]+$/ { kind = "example"; file = work "/run/" $3; next }
!kind && /^[ \t>]*(```|~~~)/ {
	if (tolower($0) ~ /console|session|terminal/)
		wrong("this is never run: a terminal is a fence that says ```console, and nothing else: " $0)
	kind = "other"
	closing = /~~~/ ? "~~~" : "```"
	next
}
kind == "other" && $0 ~ "^[ \t>]*" closing "+$" { kind = ""; next }
kind != "other" && /^```$/ { end(); next }
kind == "console" { take($0); next }
kind == "example" { print >file; next }
/^[ \t]*[$] / && (kind == "other" || /^(    |\t)/) { wrong("a prompt, and this is never run: use ```console: " $0) }

END {
	if (kind)
		wrong("a fence does not end")
	print n + 0
}
