# shellcheck shell=sh disable=SC2154,SC2317 # root is of tests/options, which puts the names of functions together
# For sh, sourced by tests/options: what people are told of a program, and where. A function SUBJECT_PLACE STAGE PROGRAM
# prints a sorted list. Subject: synopsis, options (with their defaults), takes and letters (the same without), words
# (verbs, or commands with their argument), codes (of exit), keys and values (of the configuration). Place: source,
# help (-h), manual, chapter, promised. $root is the repository; $STAGES may hold other builds.
#
# Example: root=$PWD sh -c '. tests/lib/told.sh && options_manual 5 repeatd'

folder() { echo "$root/stage$1"-*; }
chapter() { echo "$(folder "$1")/README.md"; }
help() { "$(echo "${STAGES:-$root}/stage$1"-*)/$2" -h; }
manual() { awk -f "$root/tests/lib/mdoc.awk" "$(folder "$1")/$2"; }

# The stage on which this chapter builds for the program, or nothing.
before() { sed -n "s/^    $2 \[as in stage \([1-6]\)\].*/\1/p" "$(chapter "$1")"; }

# What the console blocks of a chapter show for a command line that begins with: PROGRAM -h
shown() {
	awk -v command="$2 -h" '/^```/ { on = 0 } /^[$] / { on = index($0, "$ " command) == 1; next } on' "$(chapter "$1")"
}

# --- synopsis: one line, without the form with -h and -V ---

one_line() { tr '\n' ' ' | sed 's/  */ /g; s/^ //; s/ $//; s/usage: //; s/ [a-z]* -h | -V$//' && echo; }
synopsis_help() { help "$1" "$2" | sed '/ -h | -V/q' | one_line; }
synopsis_manual() { manual "$1" "$2.1" | sed -n 's/^SYNOPSIS.*text	//p' | one_line; }
# An indented line in the beginning, or the lines behind "usage:" in a console block.
synopsis_chapter() {
	text=$(sed -n "s/^    \($2  *\[.*\)/\1/p" "$(chapter "$1")" | head -n 1 | one_line)
	[ -n "$text" ] || text=$(sed -n "/^usage: $2 /,/ -h | -V/p" "$(chapter "$1")" | sed '/ -h | -V/q' | one_line)
	while from=${text#*\[as in stage } && [ "$from" != "$text" ]; do
		earlier=$(synopsis_chapter "${from%%]*}" "$2" | grep -oE '\[-[^]]*\]' | one_line)
		text="${text%%\[as in*}$earlier${from#*]}"
	done
	echo "$text"
}

# --- options: "-X ARGUMENT", a tab, the default ---

# From lines "item TAB text" to "item TAB default", as -h and as a manual say it.
defaults() {
	awk -F '\t' '{
		value = $2
		if (match(value, /[^ ]+ [(]default[)]/))
			value = substr(value, RSTART, RLENGTH - 10)
		else if (sub(/.*[(]default:? /, "", value))
			sub(/[;)].*/, "", value)
		else if (sub(/.*The default is /, "", value))
			sub(/(;|[.]( |$)).*/, "", value)
		else
			value = ""
		print $1 "\t" value
	}' | sort
}
options_of_help() {
	awk '
	match($0, /^  -[A-Za-z]( [A-Z]+)?  /) {
		printf "%s%s\t", again, substr($0, 3, RLENGTH - 4)
		$0 = substr($0, RLENGTH)
		again = "\n"
	}
	again != "" { printf "%s ", $0 }
	END { printf "%s", again }' | defaults
}
options_help() { help "$1" "$2" | options_of_help; }
options_chapter() {
	from=$(before "$1" "$2")
	{
		[ -z "$from" ] || options_chapter "$from" "$2"
		shown "$1" "$2" | options_of_help
	} | sort
}
items() {
	awk -F '\t' '
	$1 != "DESCRIPTION" || $3 == "list" { next }
	$3 == "item" { printf "%s%s%s\t", again, $2 ~ /^Section / ? substr($2, 9) " " : "", $4; again = "\n" }
	$3 == "text" && again != "" { printf "%s ", $4 }
	END { print "" }' | defaults
}
options_manual() { manual "$1" "$2.1" | items | grep '^-[^hV]'; }
takes_synopsis() { synopsis_help "$1" "$2" | grep -oE '\[-[^]]*\]' | tr -d '[]' | sort; }
takes_help() { options_help "$1" "$2" | cut -f 1; }
letters_source() {
	sed -n 's/.*getopt(argc, argv, "+:\([^"]*\)hV").*/\1/p' "$(folder "$1")/$2.c" |
		sed 's/[A-Za-z]:\{0,1\}/-& /g' | tr ' ' '\n' | grep . | sort
}
letters_help() { takes_help "$1" "$2" | sed 's/ .*/:/' | sort; }

# --- words: verbs, or commands with their argument ---

# "retry NAME|all" is two.
one_each() { sed 's/^\([a-z]*\) \([A-Z]*\) *| *\(.*\)/\1 \2,\1 \3/' | tr , '\n' | sort; }
words_help() {
	help "$1" "$2" | awk '/^  (VERB|COMMAND) is / { on = 1 } /^  -/ { on = 0 } on' | tr '\n' ' ' |
		sed 's/^ *[A-Z]* is //; s/([^)]*)//g; s/,\{0,1\} or /,/g' | tr , '\n' |
		sed 's/^ *//; s/ *$//' | grep . | one_each
}
words_manual() {
	manual "$1" "$2.1" | awk -F '\t' '
	$3 == "list" { lists[$1]++ }
	$3 == "item" && lists[$1] == 1 && $1 ~ /^(DESCRIPTION|COMMANDS)$/ && $4 ~ /^[a-z]/ { print $4 }' | one_each
}
words_chapter() {
	from=$(before "$1" "$2") heading=Verb
	case $2 in *ctl) heading=Command ;; esac
	grep -q "^| $heading |" "$(chapter "$1")" || { [ -n "$from" ] && words_chapter "$from" "$2" && return; }
	awk -F ' *[|] *' -v heading="$heading" '
	!/^[|]/ { on = 0 }
	on && !/^[|]-/ { gsub(/`/, "", $2); gsub(/, /, "\n", $2); print $2 }
	$2 == heading { on = 1 }' "$(chapter "$1")" | sort
}
words_source() {
	case $2 in
	*ctl) cat "$(folder "$1")"/commands.c "$(folder "$1")"/orders.c 2>/dev/null |
		sed -n 's/^	{ "\([a-z]*\)", NULL, .*/\1/p; s/^	{ "\([a-z]*\)", "\([^"]*\)", .*/\1 \2/p' | one_each ;;
	*) {
		sed -n 's/^		{ "\([a-z]*\)", \1 },/\1/p' "$(folder "$1")/service.c"
		grep -o 'strcmp(verb, "[a-z]*")' "$(folder "$1")/$2.c" | sed 's/.*"\(.*\)".*/\1/'
	} | sort -u ;;
	esac
}

# --- exit codes: PROGRAM [VERB] CODE ---

# What scripts rely on.
codes_promised() {
	while read -r program codes; do
		for code in $codes; do echo "$program" "$code"; done
	done <<-END | sed 's/=/ /' | grep "^$2 " | sort
		forkoff         0 125
		detach          0 125 126 127
		repeatd         0 1 2
		repeatd=status  0 1 3 4
		repeatctl       0 1 2 3 4
		leecher         0 1 2
		leecher=status  0 1 3 4
		leecher=once    0 1 2 3
		leecherctl      0 1 2 3 4
	END
}
codes_manual() {
	manual "$1" "$2.1" | awk -F '\t' -v program="$2" '
	$1 != "EXIT STATUS" { next }
	$4 ~ /^With [a-z]+/ { split($4, word, /[ :]/); verb = " " word[2] }
	$3 == "item" { print program verb " " $4 }' | sort
}
codes_chapter() {
	from=$(before "$1" "$2")
	grep -q "^Exit codes of .$2[ \`]" "$(chapter "$1")" || { [ -n "$from" ] && codes_chapter "$from" "$2" && return; }
	awk -v program="$2" '
	/^$/ { what = "" }
	/^Exit codes of `/ { split($0, part, "`"); what = part[2] }
	what ~ "^" program "( |$)" { while (match($0, /[*][*][0-9]+[*][*]/)) {
		print what " " substr($0, RSTART + 2, RLENGTH - 4)
		$0 = substr($0, RSTART + RLENGTH)
	} }' "$(chapter "$1")" | sort
}

# --- configuration keys: "SECTION KEY", a tab, the default ---

keys_source() { sed -n 's/^	{ "\([a-z]*\)", "\([a-z_]*\)", FIELD.*/\1 \2/p' "$(folder "$1")/config.c" | sort; }
values_manual() {
	manual "$1" leecher.conf.5 | items | sed 's/ = [^	]*//; s/	$/	(must be given)/' | sort
}
values_chapter() {
	awk -F ' *[|] *' '
	!/^[|]/ { on = 0 }
	on && !/^[|]-/ { gsub(/`/, ""); if ($2 != "") section = substr($2, 2, length($2) - 2); print section " " $3 "\t" $4 }
	$2 == "Section" { on = 1 }' "$(chapter "$1")" | sort
}
keys_manual() { values_manual "$1" | cut -f 1; }
