# shellcheck shell=sh
# For sh, sourced from the repository's folder by tests/run, check, exercise, bug, bugs-prove, oracles/run, and by chapters.bats: what
# promises there are, and the programs that shall keep them.
#
# Example: sh -c '. tests/lib/promises.sh && promises 1'

case $PWD in
*'
'*)
	echo 'the path of this folder has a newline in it, which bats cannot read' >&2
	exit 2
	;;
esac
doubles=$(for n in 1 2 3 4 5 6; do
	set -- stage"$n"-*
	[ $# -le 1 ] || echo "there are several for stage $n: $*; please put your own into work/"
done)
[ -z "$doubles" ] || {
	echo "$doubles" >&2
	exit 2
}

# chapter_of FILE: the README of the chapter to which the tests of FILE belong. Where FILE is a link, a later
# stage keeps what an earlier one promised: it is the chapter of the file that it leads to.
chapter_of() {
	chapter=$(readlink "$1") || chapter=$1
	chapter=${chapter##*stage}
	for chapter in stage"${chapter%%-*}"-*/README.md; do
		# a project that was made out of a stage (tests/new) has all of them in one
		[ -e "$chapter" ] || chapter=README.md
	done
	echo "$chapter"
}

# promises STAGE...: a line for each promise, see tests/lib/promises.awk. First what earlier stages promised
# already, then the file that has the name of the stage, then the others. TESTS: the folder of the .bats files.
promises() {
	for stage; do
		own=$(echo stage"$stage"-*)
		carried='' main='' others=''
		for file in "${TESTS:-tests}"/stage"$stage"-*.bats; do
			[ -e "$file" ] || continue
			if [ -L "$file" ]; then
				carried="$carried $file"
			elif [ "${file##*/}" = "$own.bats" ]; then
				main=$file
			else
				others="$others $file"
			fi
		done
		for file in $carried $main $others; do
			awk -f tests/lib/promises.awk "$file=$(chapter_of "$file")"
		done | awk 'BEGIN { FS = OFS = "\t" } { $3 = NR; print }'
	done
}

# programs_of STAGE: the names of its programs, as its Makefile builds them.
programs_of() {
	for makefile in stage"$1"-*/Makefile; do
		[ -e "$makefile" ] || makefile=Makefile # a project that was made out of a stage
		sed -n 's/^all: //p' "$makefile"
	done
}

# lacks STAGE FOLDER NAME: what keeps its programs in FOLDER, which its owner calls NAME, from being run; nothing, if
# all is well. Without FOLDER, ours.
lacks() {
	for program in $(programs_of "$1"); do
		place=${2:-$(echo "${STAGES:-$PWD}"/stage"$1"-*)}
		[ -d "$place" ] || place=$PWD # a project that was made out of a stage
		called=${3:-${place##*/}}
		case $place in *:*) echo "$called: a colon in its path would part it in two, in PATH" && continue ;; esac
		if [ ! -e "$place/$program" ]; then
			echo "$called has no program named $program${2:+ (stage $1 has: $(programs_of "$1"))}"
			[ -n "$2" ] || echo 'to build ours: make'
		elif [ -d "$place/$program" ]; then
			echo "$called/$program is a folder, not a program"
		elif [ ! -x "$place/$program" ]; then
			echo "$called/$program cannot be executed; to make it so: chmod +x $called/$program"
		fi
	done
}

# filter_of: the names of tests on standard input as a regular expression that fits no others, for bats --filter.
filter_of() {
	# shellcheck disable=SC2016 # the dollar is one of a regular expression
	sed 's/[][\\.*^$()+?{}|]/\\&/g' | paste -sd '|' - | sed 's/.*/^(&)$/'
}

# live_awk: an awk that reads a pipe line by line as they come. mawk must be told.
live_awk() {
	case $(awk -W version 2>/dev/null </dev/null) in
	mawk*) echo 'awk -W interactive' ;;
	*) echo awk ;;
	esac
}
