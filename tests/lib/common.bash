# What every test needs: a folder of its own, waiting without fixed sleeps, and a
# clean house afterwards. A .bats file begins with:
#
#     load lib/common
#     setup() { stage 3; }
#     teardown() { clean_up; }
#
# The programs under test come from $PROGRAMS when it is set (any folder with programs
# of the same names, in any language), else from the stage folders under $STAGES.

ROOT=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
STAGES=${STAGES:-$ROOT}
# Everything takes longer under valgrind or a sanitizer: deadlines are stretched, promises are not.
SLOWER=${SLOWER:-1}

# stage N: the programs of stage N come first in PATH; go to this test's own empty folder.
stage() {
	local folder
	folder=${PROGRAMS:-$(echo "$STAGES"/stage"$1"-*)}
	PATH=$(cd "$folder" && pwd):$PATH
	# Every process of this test carries this mark in its environment: see marked_pids.
	export TEST_MARK="$BATS_TEST_TMPDIR"
	cd "$BATS_TEST_TMPDIR" || return 1
	umask 022
}

# patience SECONDS: as many, or $PATIENCE where that is fewer: who knows that most of it will fail need not wait.
patience() { echo "$((${PATIENCE:-$1} < $1 ? PATIENCE : $1))"; }

# wait_until SECONDS COMMAND...: runs COMMAND until it succeeds; fails at the deadline.
wait_until() {
	local deadline=$((SECONDS + $(patience "$1") * SLOWER + 1))
	shift
	until "$@"; do
		if ((SECONDS > deadline)); then
			echo "waited in vain for: $*" >&2
			return 1
		fi
		sleep 0.02
	done
}

# alive PID: true while the process runs. A zombie is dead: PID 1 may reap late or never.
alive() {
	local line
	{ read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
	line=${line##*) }
	[[ ${line%% *} != [ZX] ]]
}
dead() { ! alive "$1"; }

# stat_field PID N: field N of /proc/PID/stat, counted as proc(5) does, N >= 3.
# 3 state, 4 parent, 5 process group, 6 session, 7 terminal.
stat_field() {
	local line fields
	{ read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -ra fields <<<"${line##*) }"
	echo "${fields[$2 - 3]}"
}

# marked_pids: every living process that carries this test's mark (the test's shell itself does not).
marked_pids() {
	local pid
	for pid in $(grep -lzsxF "TEST_MARK=$TEST_MARK" /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\n'); do
		[[ $pid == "$$" || $pid == "$BASHPID" ]] && continue
		alive "$pid" && echo "$pid"
	done
	return 0
}

# nobody_left: no process of this test lives any more.
nobody_left() { [[ -z $(marked_pids) ]]; }

# clean_up: ends whatever the test left running, by pid. For teardown.
clean_up() {
	local pids
	for _ in 1 2 3 4 5; do
		mapfile -t pids < <(marked_pids)
		[[ ${#pids[@]} -eq 0 ]] && return 0
		kill -KILL "${pids[@]}" 2>/dev/null
		sleep 0.02
	done
	return 0
}

# fail WHAT: ends the test with words for a person.
fail() {
	printf '%s\n' "$@" >&2
	return 1
}

# expect WHAT EXPECTED CAME [CHAPTER-SECTION]: both strings equal, or the test ends with all three.
expect() {
	[[ $2 == "$3" ]] && return 0
	fail "$1" "  expected: $2" "  came:     $3" ${4:+"  see:      $4"}
}

# expect_like WHAT REGEX CAME [CHAPTER-SECTION]: CAME matches the extended regular expression.
expect_like() {
	[[ $3 =~ $2 ]] && return 0
	fail "$1" "  expected: /$2/" "  came:     $3" ${4:+"  see:      $4"}
}

# exits CODE COMMAND...: runs COMMAND and expects that exit code; leaves $out, $err and $code.
# Standard streams are files, so that a descriptor that is kept open by a daemon cannot block us.
exits() {
	local want=$1
	shift
	code=0
	"$@" >.out 2>.err 3>&- 4>&- </dev/null || code=$?
	out=$(<.out) err=$(<.err)
	[[ $code == "$want" ]] && return 0
	fail "exit code of: $*" "  expected: $want" "  came:     $code" "  stdout:   $out" "  stderr:   $err"
}

# needs_root / needs_user: skip, with the reason, where the test cannot mean anything.
needs_root() { [[ $EUID -eq 0 ]] || skip "needs root"; }

# as_nobody COMMAND...: runs COMMAND without root's rights (as we are, when we are not root).
as_nobody() {
	if [[ $EUID -eq 0 ]]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	else
		"$@"
	fi
}

# STAY: what sh runs as a COMMAND that stays. Once it is up, the link 'up' in the test's folder names its pid.
# shellcheck disable=SC2016 # for that sh to expand
STAY='ln -s "$$" "$TEST_MARK/up"; sleep 60; :'

# is_up: waits until STAY is up; leaves its pid in $pid.
is_up() {
	wait_until 10 test -L "$TEST_MARK/up" || fail "COMMAND does not run" "  stderr: $(cat .err)"
	pid=$(readlink "$TEST_MARK/up")
}

# launch LAUNCHER...: LAUNCHER, with STAY as its COMMAND, must exit 0; leaves the pid of COMMAND in $pid.
launch() {
	rm -f "$TEST_MARK/up"
	exits 0 "$@" sh -c "$STAY"
	is_up
}

# from STATE COMMAND...: runs COMMAND after sh has brought itself into that state, as in: from 'umask 0' ls
# Exit code 137: it did not return, and was killed.
from() {
	local state=$1
	shift
	timeout -s KILL $((12 * SLOWER)) sh -c "$state"'; exec "$@"' sh "$@"
}

# descriptors PID: the open descriptors of a process, in one line.
descriptors() { (cd "/proc/$1/fd" && echo *); }

# proc_status PID KEY: the value behind KEY in /proc/PID/status.
proc_status() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }

# orphans_parent: whom an orphan gets as its parent here: init or the nearest subreaper.
orphans_parent() { stat_field "$(sh -c 'sleep 60 >/dev/null 2>&1 3>&- 4>&- & echo "$!"')" 4; }

# on_terminal SHELL-COMMAND: runs it in a session with a terminal of its own.
on_terminal() { timeout $((10 * SLOWER)) script -qec "$1" /dev/null </dev/null >.terminal 2>&1 3>&- 4>&-; }

# broken_by INJECT [-P PATH] COMMAND...: runs COMMAND, and lets strace spoil its system calls (strace(1), -e inject=),
# or only those that name PATH. Words of strace itself go to ./.strace, and the leak checker cannot work under it.
broken_by() {
	local spoil=(-e trace="${1%%:*}" -e inject="$1")
	shift
	if [[ $1 == -P ]]; then
		spoil+=(-P "$2")
		shift 2
	fi
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 \
		timeout -s KILL $((12 * SLOWER)) strace -f -qq -o /dev/null "${spoil[@]}" \
		sh -c 'exec 2>&9 9>&-; exec "$@"' sh "$@" 9>&2 2>.strace
}
needs_strace() {
	[[ -z ${MEMCHECK:-} ]] || skip "not under valgrind, whose own system calls strace would spoil"
	strace -o /dev/null true 2>/dev/null || skip "strace is missing, or may not trace here"
}
