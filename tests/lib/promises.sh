# shellcheck shell=sh
# For sh, sourced from the repository's folder by tests/run and tests/check: what promises there are.

# chapter_of FILE: the README of the chapter to which the tests of FILE belong. Where FILE is a link, a later
# stage keeps what an earlier one promised: it is the chapter of the file that it leads to.
chapter_of() {
	chapter=$(readlink "$1") || chapter=$1
	chapter=${chapter##*stage}
	echo stage"${chapter%%-*}"-*/README.md
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
				carried="$carried $file=$(chapter_of "$file")"
			elif [ "${file##*/}" = "$own.bats" ]; then
				main=" $file=$(chapter_of "$file")"
			else
				others="$others $file=$(chapter_of "$file")"
			fi
		done
		# shellcheck disable=SC2086 # our own names
		awk -f tests/lib/promises.awk $carried $main $others
	done
}

# programs_of STAGE: the names of its programs.
programs_of() {
	case $1 in
	1) echo forkoff ;;
	2) echo detach ;;
	3 | 4) echo repeatd ;;
	5) echo repeatd repeatctl ;;
	6) echo leecher leecherctl ;;
	esac
}

# live_awk: an awk that reads a pipe line by line as they come. mawk must be told.
live_awk() {
	case $(awk -W version 2>/dev/null </dev/null) in
	mawk*) echo 'awk -W interactive' ;;
	*) echo awk ;;
	esac
}
