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
# PATIENCE=SECONDS in the environment: no deadline is longer than that. For programs that are known to be wrong
# (cat in place of repeatd), which would make every test wait to its deadline. Nothing for a program that may be
# right: on a busy machine it would fail. A test takes part in it by wait_until, or with a deadline of its own as in:
#     patient 10 && exits 0 timeout "$limit" repeatd ...
PATIENCE=${PATIENCE:-}

# What the tests themselves do in Python. What stands before it in PATH may take ten times as long to begin, such as a shim.
PYTHON=/usr/bin/python3
[[ -x $PYTHON ]] || PYTHON=python3

# shellcheck source=tests/lib/mark.bash
. "$ROOT/tests/lib/mark.bash"

# stage N: the programs of stage N come first in PATH; go to this test's own empty folder.
stage() {
	local folder
	stop_at_first
	without_debug_trap
	enter_fence
	folder=("$STAGES"/stage"$1"-*)
	cd "${PROGRAMS:-${folder[0]}}" || return 1
	PATH=$PWD:$PATH
	# Every process of this test carries two marks: one that it may lose, in its environment, and a number
	# that it cannot lose. The test's own folder, too, is known by the first: see marked_pids, STAY.
	export TEST_MARK="$BATS_TEST_TMPDIR"
	own_mark=
	! mark_this_process || own_mark=$mark
	know_older
	cd "$BATS_TEST_TMPDIR" || return 1
	umask 022
}

# stop_at_first: for tests/check -f. If a test has failed, neither this one is run nor any that would follow.
stop_at_first() {
	[[ -n ${FIRST_FAILURE:-} && -e $FIRST_FAILURE ]] || return 0
	kill -INT "$PPID"
	skip "not run"
}

# enter_fence: from here on a program that forks without end comes to a limit. See tests/lib/fence.
enter_fence() {
	[[ -z ${FENCE_GROUP:-} ]] || echo "$$" >"$FENCE_GROUP/cgroup.procs" || return
	[[ -z ${FENCE_LIMIT:-} ]] || ulimit -S -u "$FENCE_LIMIT"
	[[ -z ${FENCE_IDLE:-} ]] || chrt --idle --pid 0 "$$" || :
}

# without_debug_trap: bats notes the place of every command that a test executes, in case that it fails, which
# takes more time than all else in a test. The place of the one that has failed, or hung, is enough.
without_debug_trap() {
	declare -F bats_capture_stack_trace bats_error_trap bats_timeout_trap >/dev/null || return 0
	trap - DEBUG
	trap 'note_the_place || bats_error_trap' ERR
	[[ -z ${BATS_TEST_TIMEOUT:-} ]] || trap 'note_the_place || :; bats_timeout_trap' ABRT
}
# shellcheck disable=SC2034 # what bats keeps, and looks at when a test has failed
note_the_place() {
	local status=$?
	BATS_DEBUG_LAST_STACK_TRACE_IS_VALID=
	bats_capture_stack_trace
	BATS_DEBUG_LASTLAST_STACK_TRACE=("${BATS_DEBUG_LAST_STACK_TRACE[@]}")
	return $status
}
# At the deadline bats sends TERM to the children of the test, by this function. A program that hangs may not
# listen to it, and may have children of its own. A test without a mark of its own has its parent's.
bats_kill_childprocesses_of() {
	local least theirs=
	! mark_of_process "$PPID" || theirs=$mark
	if mark_of_process "$1" && [[ $mark != "$theirs" ]]; then
		least_mark "$mark"
		end_marked "$least" "$mark" || :
	else
		pkill -P "$1" || :
	fi
	kill -CONT "$1" || : # whoever was stopped does not hear that its time is over
}

# how_busy: leaves in $busy how many times as long as on an idle machine things may take now: 1 to 8, by how many processes
# there are that want a processor, proc_loadavg(5). Without it a busy machine would break promises.
: "${PROCESSORS:=$(getconf _NPROCESSORS_ONLN)}"
how_busy() {
	local load
	busy=1
	{ read -r load _ </proc/loadavg; } 2>/dev/null || return 0
	busy=$((${load%%.*} / (2 * PROCESSORS)))
	((busy >= 1)) || busy=1
	((busy <= 8)) || busy=8
}

# patient SECONDS: leaves in $limit how long we wait for something that takes at most that: see SLOWER, PATIENCE.
patient() {
	local busy
	how_busy
	limit=$(($1 * SLOWER * busy))
	[[ -z $PATIENCE ]] || ((limit <= PATIENCE)) || limit=$PATIENCE
}

# nap SECONDS: sleeps without another process, by reading from a FIFO in which nothing will ever be.
nap() {
	local never=$BATS_RUN_TMPDIR/never
	[[ -p $never ]] || mkfifo "$never" 2>/dev/null || [[ -p $never ]] || return
	read -rt "$1" <>"$never" || :
}

# time_limit SECONDS: for setup_file: what each test of this file may take, whatever it waits for.
time_limit() {
	local PATIENCE=${PATIENCE:+$((3 * PATIENCE))} limit
	patient "$1"
	export BATS_TEST_TIMEOUT=$limit
}

# wait_until SECONDS COMMAND...: runs COMMAND until it succeeds; fails at the deadline.
wait_until() {
	local limit end naps=0
	patient "$1"
	shift
	end=$((${EPOCHREALTIME/[.,]/} + limit * 1000000))
	until "$@"; do
		if ((${EPOCHREALTIME/[.,]/} > end)); then
			echo "waited $limit s in vain for: $*" >&2
			return 1
		fi
		# at first more often: most of what a test waits for comes at once, and to look costs more than to wait
		case $((naps++)) in
		[0-4]) nap 0.005 ;;
		[5-9] | [12]?) nap 0.02 ;; # for half a second
		*) nap 0.06 ;;
		esac
	done
}

# alive PID: true while the process runs. A zombie is dead: PID 1 may reap late or never.
alive() {
	local line
	[[ $1 == [1-9]* ]] || return 1 # /proc//stat is there, too
	{ read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
	line=${line##*) }
	[[ ${line%% *} != [ZX] ]]
}
dead() { [[ $1 == [1-9]* ]] && ! alive "$1"; }

# stat_field PID N: field N of /proc/PID/stat, counted as proc(5) does, N >= 3.
# 3 state, 4 parent, 5 process group, 6 session, 7 terminal.
stat_field() {
	local line fields
	{ read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -ra fields <<<"${line##*) }"
	echo "${fields[$2 - 3]}"
}

# in_state LETTER PID: as ps shows it.
in_state() {
	local line
	{ read -r line <"/proc/$2/stat"; } 2>/dev/null && [[ ${line##*) } == "$1 "* ]]
}

# freeze PID: stops it, and returns when it has stopped. A signal that comes before that is still taken, for a process
# takes STOP only when it runs, and of two signals the one with the lower number.
freeze() {
	kill -STOP "$1"
	wait_until 10 in_state T "$1"
}

# marked_pids: every living process that carries this test's mark (the test's shell itself does not).
marked_pids() {
	local found
	marked "${own_mark:-0}" "${own_mark:-0}"
	# The number is also in shells that the test itself has forked; those show the environment of bats.
	((${#found[@]} == 0)) || (
		cd /proc && grep -lzsxF "TEST_MARK=$TEST_MARK" "${found[@]/%//environ}" | tr -dc '0-9\n'
	)
}

# nobody_left: no process of this test lives any more.
nobody_left() { [[ -z $(marked_pids) ]]; }

# clean_up: ends whatever the test has left running. For teardown.
clean_up() {
	[[ -z ${FIRST_FAILURE:-} || ${BATS_TEST_COMPLETED:-} == 1 ]] || : >"$FIRST_FAILURE"
	local least
	[[ -n ${own_mark:-} ]] || return 0
	disown -a # or bash would report the death of each of its jobs
	least_mark "$own_mark"
	end_marked "$least" "$own_mark" || echo "some processes cannot be ended"
	((ended < 200)) || echo "$ended processes were left running; they have been ended"
}

# fail WHAT: ends the test with words for a person.
fail() {
	local words
	for words; do # of a program that does not stop to talk, the beginning will do
		((${#words} <= 20000)) || words="${words:0:20000} ..."
		printf '%s\n' "$words"
	done >&2
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
	local came=$code
	if ((code == 137)); then # see from, broken_by; our bash has said so in its own way
		came="none: it, or what it has started, ran on and was killed"
		err=$(grep -v '^[^ ]*: line [0-9]*: *[0-9]* Killed  ' .err || :)
	fi
	fail "exit code of: $*" "  expected: $want" "  came:     $came" "  stdout:   $out" "  stderr:   $err"
}

# needs_root: skips, with the reason, where the test means nothing without it.
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
	local limit state=$1
	shift
	patient 12
	timeout -s KILL "$limit" sh -c "$state"'; exec "$@"' sh "$@"
}

# descriptors PID: the open descriptors of a process, in one line.
descriptors() { (cd "/proc/$1/fd" && echo *); }

# proc_status PID KEY: the value behind KEY in /proc/PID/status.
proc_status() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }

# orphans_parent: whom an orphan gets as its parent here: init or the nearest subreaper.
orphans_parent() { stat_field "$(sh -c 'sleep 60 >/dev/null 2>&1 3>&- 4>&- & echo "$!"')" 4; }

# on_terminal SHELL-COMMAND: runs it in a session with a terminal of its own.
on_terminal() {
	local limit
	patient 10
	timeout "$limit" script -qec "$1" /dev/null </dev/null >.terminal 2>&1 3>&- 4>&-
}

# broken_by INJECT [-P PATH] COMMAND...: runs COMMAND, and lets strace spoil its system calls (strace(1), -e inject=),
# or only those that name PATH. Words of strace itself go to ./.strace, and the leak checker cannot work under it.
broken_by() {
	local limit spoil=(-e trace="${1%%:*}" -e inject="$1")
	patient 12
	shift
	if [[ $1 == -P ]]; then
		spoil+=(-P "$2")
		shift 2
	fi
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 \
		timeout -s KILL "$limit" strace -f -qq -o /dev/null "${spoil[@]}" \
		sh -c 'exec 2>&9 9>&-; exec "$@"' sh "$@" 9>&2 2>.strace
}
needs_strace() {
	[[ -z ${MEMCHECK:-} ]] || skip "not under valgrind, whose own system calls strace would spoil"
	strace -o /dev/null true 2>/dev/null || skip "strace is missing, or may not trace here"
}
