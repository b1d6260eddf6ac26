# Reads the .bats files that its arguments name and prints a line for each test, with tabs between:
#
#   FILE  STAGE  NUMBER  CHAPTER  SECTION  HINT  NAME-IN-FILE  NAME
#
# An argument is FILE, or FILE=README-OF-ITS-CHAPTER for the promises of a stage. In a .bats file
#
#   # == Who is running? ==                     begins a section, named as a heading of the chapter;
#   # What to think of. See flock(2).           the comment below it is the hint for all of its tests;
#   # Hint: for the next test alone.            directly above a @test: its own hint.
#   only_stage 3 "a later stage mends it"       in a test: with the file of another stage it is left out.
#
# Example: awk -f tests/lib/promises.awk tests/stage3-pidfile.bats=stage3-pidfile/README.md

BEGIN {
	OFS = "\t"
	for (i = 1; i < ARGC; i++) {
		file = chapter = ARGV[i]
		sub(/=.*/, "", file)
		if (!sub(/^[^=]*=/, "", chapter)) chapter = ""
		read_tests()
	}
	exit
}

function read_tests(    line, section, hint, own, in_hint, name) {
	stage = file
	if (!sub(/^.*stage/, "", stage)) stage = "-"
	sub(/[^0-9].*/, "", stage)
	while ((getline line < file) > 0) {
		if (line ~ /^# == .* ==$/) {
			section = substr(line, 6, length(line) - 8)
			hint = own = ""
			in_hint = 1
		} else if (in_hint && line ~ /^# /) {
			hint = hint (hint == "" ? "" : " ") substr(line, 3)
		} else if (line ~ /^# Hint: /) {
			own = substr(line, 9)
		} else if (own != "" && line ~ /^# /) {
			own = own " " substr(line, 3)
		} else if (line ~ /^@test /) {
			name = line
			sub(/^@test "/, "", name)
			sub(/" *\{[^{]*$/, "", name)
			print_held()
			held = chapter OFS section OFS (own != "" ? own : hint) OFS name OFS unquoted(name)
			own = ""
		} else if (line ~ /^\t(if )?only_stage [1-6]/ && line !~ "only_stage " stage) {
			held = ""
		} else {
			in_hint = 0
			own = ""
		}
	}
	print_held()
	close(file)
}

function print_held() {
	if (held != "") print file, stage, ++number[stage], held
	held = ""
}

# What the shell makes of a name in double quotes.
function unquoted(name,    text) {
	text = ""
	while (match(name, /\\[$"\\`]/)) {
		text = text substr(name, 1, RSTART - 1) substr(name, RSTART + 1, 1)
		name = substr(name, RSTART + 2)
	}
	return text name
}
