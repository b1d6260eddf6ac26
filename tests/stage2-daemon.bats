# Stage 2: detach [-C DIR] [-m UMASK] [-o FILE] [-e FILE] [-t SECONDS] COMMAND [ARG...]
#
# shellcheck disable=SC2154 # code, out, err and pid come from lib/common
# shellcheck disable=SC2016 # what stands in single quotes is for another shell
# shellcheck disable=SC2030,SC2031 # every test is a process of its own

load lib/common
setup() {
	stage 2
	# A PATH without folders that we may not search: those make 'not found' a 'permission denied'.
	PLAIN=${PATH%%:*}:/usr/bin:/bin
}
teardown() { clean_up; }
setup_file() {
	# A launcher that does not return must not hold up the others.
	time_limit 15
}

TRUTH="stage2-daemon/README.md, The truth about the launch"
STATE="stage2-daemon/README.md, What COMMAND gets"
FILES="stage2-daemon/README.md, Where the output goes"
OPTIONS="stage2-daemon/README.md, The options"

# All the ways in which a launcher can have lost its standard descriptors.
CLOSED=('closed=none' 'exec 0<&-' 'exec 1>&-' 'exec 2>&-' 'exec 0<&- 1>&-' 'exec 0<&- 2>&-' 'exec 1>&- 2>&-'
	'exec 0<&- 1>&- 2>&-')

# What strace is to wait for: see broken_by.
SLEEP=$(command -v sleep)

# For python3: runs a program as the nearest subreaper of its orphans, one that reaps none of them,
# so that whatever has died can be seen; leaves the exit code in ./launched.
LAZY='
import ctypes, os, signal, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
with open("new", "w") as code: code.write(str(subprocess.call(sys.argv[1:])))
os.rename("new", "launched")
signal.pause()'

# refused CODE WHY DETACH...: exits CODE; nothing on stdout, "detach: WHY" on stderr; no process lives on.
refused() {
	local want=$1 why=$2
	shift 2
	exits "$want" "$@" || fail "  see:      $TRUTH"
	expect "stdout of: $*" "" "$out" "$TRUTH"
	expect_like "stderr of: $*" "^detach: $why" "$err" "$TRUTH"
	nobody_lives_on "$@"
}

# nobody_lives_on DETACH...: after that command, no process is left.
nobody_lives_on() {
	wait_until 5 nobody_left || fail "processes that live on after: $*" "  expected: none" \
		"  came:     $(ps -o pid=,stat=,args= -p "$(marked_pids | paste -sd ,)")" "  see:      $TRUTH"
}

# nothing_launched CODE DETACH...: exits CODE, says why, no process lives on, and no file but 'old' is there, as it was.
nothing_launched() {
	echo "old text" >old
	refused "$1" '.*' "${@:2}"
	expect "files after: ${*:2}" "old" "$(ls)" "$TRUTH"
	expect "text of 'old' after: ${*:2}" "old text" "$(<old)" "$TRUTH"
}

# not_under_valgrind WHY: skips where the test could see nothing but valgrind.
not_under_valgrind() { [[ -z ${MEMCHECK:-} ]] || skip "not under valgrind, $1"; }

# a_terminal: makes a terminal that no session has yet; leaves its name in $terminal.
a_terminal() {
	"$PYTHON" -c 'import os, signal; _, tty = os.openpty(); print(os.ttyname(tty), flush=True); signal.pause()' \
		>.tty 3>&- 4>&- &
	wait_until 10 test -s .tty
	terminal=$(<.tty)
}

# == The truth about the launch ==
# The launcher must hear from the daemon what came of it, by a pipe(2) or socketpair(2) that the exec itself
# closes: FD_CLOEXEC in fcntl(2). What means success there, what failure, and what a death without a word?

# Hint: What fork(2) gave the launcher is the pid of its own child. COMMAND is the child of that one: who knows its pid,
# and by which way does it come to the launcher?
@test "detach prints the pid of COMMAND and a newline on stdout, nothing else" {
	launch detach
	expect "stdout, with a dot behind its end" "$pid"$'\n.' "$(cat .out && echo .)" "$TRUTH"
}

@test "detach leaves with 0 while COMMAND runs" {
	launch detach
	alive "$pid" || fail "COMMAND (pid $pid) has ended with detach" "  see:      $TRUTH"
}

@test "detach has nothing to say on stderr when all goes well" {
	launch detach
	expect "stderr" "" "$(<.err)" "$TRUTH"
}

@test "exit 0 comes only after the exec of COMMAND succeeded, however long that takes" {
	needs_strace
	broken_by execve:delay_enter=200000 -P "$SLEEP" detach sleep 60 >.out 2>.err 3>&- 4>&- &
	wait_until 10 test -s .out ||
		fail "detach sleep 60 has printed nothing" "  stderr:   $(<.err)" "  see:      $TRUTH"
	expect "what the process is when its pid is printed" "sleep 60 " "$(tr '\0' ' ' <"/proc/$(<.out)/cmdline")" "$TRUTH"
}

# == The truth about the launch ==
# errno of the exec that failed decides: ENOENT is 127, anything else 126, as env(1) has it. It must get from the
# daemon to the launcher. A script whose interpreter is missing is ENOENT too, though the file is there.

@test "COMMAND that is not found: exit 127, and why" {
	PATH=$PLAIN refused 127 '.*no-such-command' detach no-such-command
}

@test "COMMAND with a slash that is not found: exit 127, and why" {
	refused 127 '.*/no/such/command' detach /no/such/command
}

# Hint: execvp(3) says ENOENT for an empty name. Who puts it behind a folder of PATH gets that folder, and EACCES.
@test "an empty COMMAND is not found: exit 127" {
	refused 127 '.*' detach ''
}

@test "COMMAND without the right to execute it: exit 126, and why" {
	echo 'echo hello' >script
	refused 126 '.*\./script' detach ./script
}

# Hint: execvp(3) goes on in PATH after EACCES, and says EACCES in the end if nothing better comes. Who searches PATH
# without it has to remember that, too.
@test "COMMAND found in PATH without the right to execute it: exit 126, and why" {
	mkdir bin
	echo 'echo hello' >bin/a-command-of-ours
	PATH=$PLAIN:$PWD/bin refused 126 '.*a-command-of-ours' detach a-command-of-ours
}

@test "COMMAND that is a directory: exit 126, and why" {
	refused 126 '.*/usr' detach /usr
}

@test "COMMAND whose interpreter is missing: exit 126, and the message says so" {
	not_under_valgrind "which dies when an exec fails as late as that"
	printf '#!/no/such/interpreter\n' >script
	chmod +x script
	refused 126 '.*' detach ./script
	expect_like "stderr" 'interpreter' "$err" "$TRUTH"
}

@test "COMMAND found in PATH whose interpreter is missing: exit 126 as well" {
	not_under_valgrind "which dies when an exec fails as late as that"
	mkdir bin
	printf '#!/no/such/interpreter\n' >bin/a-command-of-ours
	chmod +x bin/a-command-of-ours
	PATH=$PLAIN:$PWD/bin refused 126 '.*a-command-of-ours.*' detach a-command-of-ours
	cd bin # an empty element of PATH is the current directory
	PATH=$PLAIN: refused 126 '.*a-command-of-ours.*' detach -C . a-command-of-ours
}

# == The truth about the launch ==
# Launchers begin in bad states. With descriptor 0, 1 or 2 closed the next open(2) gets that number; an ignored
# SIGCHLD makes wait(2) lie; blocked signals stay blocked in a child: sigprocmask(2). 137: it hung, and was killed.

# Hint: When the exec fails, descriptor 2 of the daemon is the file already: dup2(2). Who still has the stderr of the
# caller, and how does the reason come there?
@test "the reason of a failure goes to the launcher's stderr, not to the file for COMMAND's" {
	touch old
	exits 127 detach -e "$PWD/old" /no/such/command
	expect "text in the file of -e" "" "$(<old)" "$FILES"
}

@test "with any of 0, 1 and 2 closed, a COMMAND that is not found is still exit 127" {
	local closed
	for closed in "${CLOSED[@]}"; do
		echo "from: $closed" # if it hangs, the last one is it
		exits 127 from "$closed" detach /no/such/command
	done
}

@test "with any of 0, 1 and 2 closed, no message and no pid gets into the files of -o and -e" {
	local closed
	for closed in "${CLOSED[@]}"; do
		echo "from: $closed" # if it hangs, the last one is it
		touch o e
		exits 127 from "$closed" detach -o o -e e /no/such/command
		launch from "$closed" detach -o o -e e
		expect "text in the files, from: $closed" "" "$(cat o e)" "$FILES"
	done
}

@test "with SIGCHLD ignored, the exit code is still the truth" {
	exits 127 from 'trap "" CHLD' detach /no/such/command
	launch from 'trap "" CHLD' detach
}

@test "with all signals ignored and blocked, the exit code is still the truth" {
	exits 127 from : env --ignore-signal --block-signal detach /no/such/command
	launch from : env --ignore-signal --block-signal detach
}

# Hint: At the limit pipe(2), socketpair(2) and open(2) fail with EMFILE, and dup2(2) to a number beyond it with EBADF:
# RLIMIT_NOFILE in getrlimit(2). Each of them counts, in the daemon as well. 50 are enough for all that you need.
@test "with few descriptors to be had, the exit code is still the truth" {
	local limit
	# with the last of these there are enough
	for limit in 3 4 5 6 7 8 9 10 50; do
		echo "with ulimit -n $limit" # if it hangs, the last one is it
		code=0
		from "ulimit -n $limit" detach -o o mkdir "$PWD/ran" </dev/null >.out 2>.err 3>&- 4>&- || code=$?
		if [[ $code == 0 ]]; then
			wait_until 5 test -d ran || fail "exit 0, but COMMAND did not run, with ulimit -n $limit" "  see:      $TRUTH"
			rmdir ran
		else
			nobody_lives_on detach, exit "$code" with ulimit -n "$limit"
			expect "COMMAND did run after exit $code with ulimit -n $limit" "" "$(ls -d ran 2>/dev/null)" "$TRUTH"
			expect "stdout with exit $code and ulimit -n $limit" "" "$(<.out)" "$TRUTH"
		fi
	done
	expect "exit code with ulimit -n 50" 0 "$code" "$TRUTH"
}

# == The first fork ==
# Every call between here and the exec can fail, in any of the processes, and the launcher must hear of it.
# A limit of processes is an ordinary reason: fork(2), EAGAIN.

@test "a fork that fails is told: exit 125, and why" {
	needs_strace
	refused 125 '.*' broken_by fork,vfork,clone,clone3:error=EAGAIN detach sleep 60
}

@test "a fork that fails after the first one is told as well" {
	needs_root
	not_under_valgrind "which dies when it cannot clone"
	local somebody=$((1000000000 + BASHPID)) limit
	as_somebody() { ASAN_OPTIONS=detect_leaks=0 prlimit --nproc="$limit" setpriv --reuid="$somebody" --clear-groups "$@"; }
	limit=9
	as_somebody detach -V >/dev/null 2>&1 || skip "another user may not execute the program here"
	for limit in 1 2; do nothing_launched 125 as_somebody detach sleep 60; done
}

# Hint: A call that is newer than the kernel is ENOSYS; one that the seccomp(2) filter of a container does not know may be
# EPERM. Who uses clone3(2) needs fork(2) beside it, whatever errno says.
@test "where clone3 is refused, whatever the errno, COMMAND is launched all the same" {
	needs_strace
	local why
	for why in ENOSYS EPERM; do
		exits 0 broken_by "clone3:error=$why" detach mkdir "$PWD/ran"
		wait_until 5 test -d ran || fail "exit 0, but COMMAND did not run, with $why from clone3" "  see:      $TRUTH"
		rmdir ran
	done
}

# == The truth about the launch ==
# The end of the line without 'I am about to exec' is a failure: someone died. A limit in time holds for all of
# it: poll(2) with what is left of -t, and then whoever still lives is killed.

# Hint: A KILL closes the line just as an exec does, and there was an 'I am about to exec' before it. On Linux
# /proc/PID/stat tells one from the other: proc(5), flags.
@test "a process that dies without a word in the very exec is a failure: exit 125" {
	[[ -z ${PORTABLE:-} ]] || skip "only Linux can tell, from outside, whether an exec was done"
	needs_strace
	broken_by execve:signal=KILL -P "$SLEEP" "$PYTHON" -c "$LAZY" detach sleep 60 >.out 2>.err 3>&- 4>&- &
	wait_until 10 test -e launched || fail "detach does not return" "  stderr:   $(<.err)" "  see:      $TRUTH"
	expect "exit code of detach" 125 "$(<launched)" "$TRUTH"
}

@test "exit 0 does not come for a process that dies without a word in its new directory" {
	needs_strace
	broken_by chdir:signal=KILL -P /usr detach -C /usr sleep 60 >.out 2>.err 3>&- 4>&- || {
		expect_like "exit code (125: told; 137: the launcher itself went there and died)" '^(125|137)$' "$?" "$TRUTH"
		return 0
	}
	alive "$(<.out)" || fail "exit 0, but COMMAND does not run" "  see:      $TRUTH"
}

@test "a process that dies without a word while it detaches is a failure: exit 125" {
	needs_strace
	refused 125 '.*' broken_by setsid:signal=KILL detach sleep 60
}

# Hint: Do you look at what setsid(2) returns, in the process that calls it? Without a session of its own COMMAND may
# not run at all, and the launcher must hear why.
@test "a session that cannot be had is a failure: exit 125" {
	needs_strace
	refused 125 '.*' broken_by setsid:error=EPERM detach sleep 60
}

@test "a launch that is not through within -t is killed and reported: exit 125, nothing left" {
	needs_strace
	nothing_launched 125 broken_by execve:delay_enter=500000 -P "$SLEEP" detach -t 0.2 -o new -e old sleep 60
}

# Hint: A stopped process says nothing, and ends by no signal but KILL. For whom do you wait without a limit: for the
# middle process, by waitpid(2)? It may be the one that was stopped.
@test "a launch that hangs while it detaches is killed and reported: exit 125, nothing left" {
	needs_strace
	nothing_launched 125 broken_by setsid:signal=STOP detach -t 0.2 -o new -e old sleep 60
}

# Hint: An alarm(2) that is ignored or blocked never comes. poll(2) has a limit of its own and needs no signal.
@test "-t holds with all signals ignored and blocked" {
	needs_strace
	refused 125 '.*' broken_by setsid:signal=STOP env --ignore-signal --block-signal detach -t 0.2 sleep 60
}

# Hint: One line, without a usage or a traceback behind it, and never 'at FILE line N'. Where no errno tells the reason,
# as with a death or the end of -t, say it in words of your own; WHAT stands before the second colon.
@test "every reason is one line on stderr, in the form detach: WHAT: WHY" {
	needs_strace
	local form='^detach: [^:]+: [^'$'\n'']+$'
	PATH=$PLAIN refused 127 "" detach no-such-command
	expect_like "stderr, when COMMAND is not found" "$form" "$err" "$TRUTH"
	refused 126 "" detach /
	expect_like "stderr, when COMMAND is a directory" "$form" "$err" "$TRUTH"
	refused 125 "" detach -C nowhere true
	expect_like "stderr, when there is no directory for -C" "$form" "$err" "$TRUTH"
	refused 125 "" detach -o nowhere/file true
	expect_like "stderr, when the file of -o cannot be opened" "$form" "$err" "$TRUTH"
	refused 125 "" broken_by setsid:signal=KILL detach true
	expect_like "stderr, when the daemon died without a word" "$form" "$err" "$TRUTH"
	refused 125 "" broken_by setsid:signal=STOP detach -t 0.1 true
	expect_like "stderr, when the launch took too long" "$form" "$err" "$TRUTH"
}

# Hint: errno(3) is that of the last call: save it before a close(2), an unlink(2) or a print comes in between. And
# EEXIST from O_EXCL says only that something is there: what it is, the next open(2) tells.
@test "the reason that is given is that of the call that failed" {
	mkdir dir
	export LC_ALL=C
	refused 125 '.*nowhere.*: No such file or directory' detach -C nowhere true
	refused 125 '.*nowhere/file: No such file or directory' detach -o nowhere/file true
	refused 125 '.*dir: Is a directory' detach -o dir true
	refused 125 '.*dir: Is a directory' detach -e dir true
	refused 126 '.*: Permission denied' detach ./dir
}

# Hint: The launch ends with the exec. An alarm(2) or setitimer(2) that still runs goes on through execve(2), and ends
# COMMAND; and whoever waits for COMMAND itself waits too long.
@test "-t is over with the launch: COMMAND itself may take longer" {
	exits 0 detach -t "$SLOWER" sh -c "sleep $SLOWER.3; touch '$PWD/through'"
	wait_until 10 test -e through ||
		fail "COMMAND, which takes longer than -t, has not come to its end" "  see:      $TRUTH"
}

# == The truth about the launch ==
# A pid that nobody can read is a COMMAND that nobody can end. Is what you wrote really written: fflush(3), and
# SIGPIPE or EPIPE in write(2)? With stdout closed, on the other hand, nobody asked.

@test "a pid that cannot be printed: exit 125, why, and COMMAND is ended again" {
	refused 125 '.+: .+' from 'exec >/dev/full' detach sleep 60
}

@test "a reader of the pid who has left: exit 125, why, and COMMAND is ended again" {
	mkfifo pipe
	exec 5<>pipe
	exec 6>pipe 5>&-
	refused 125 '.+: .+' from 'exec >&6 6>&-' env --default-signal=PIPE detach sleep 60
}

# Hint: A kill(2) of the process group does not reach who has left it by setsid(2). But you know more than the group.
@test "COMMAND is ended again also if it has left for a session of its own meanwhile" {
	needs_strace
	# The write of the pid is delayed, so that COMMAND is away when it fails. strace stays as long as COMMAND.
	broken_by write:delay_enter=200000 -P /dev/full detach setsid sleep 60 >/dev/full 2>.err 3>&- 4>&- &
	local launcher=$!
	wait_until 5 dead "$launcher" || fail "COMMAND lives on" "  see:      $TRUTH"
	code=0
	wait "$launcher" || code=$?
	expect "exit code of: detach setsid sleep 60 >/dev/full (stderr: $(<.err))" 125 "$code" "$TRUTH"
}

@test "with stdout closed no pid is wanted: exit 0, and COMMAND runs" {
	launch from 'exec >&-' detach
	alive "$pid" || fail "COMMAND (pid $pid) does not run" "  see:      $TRUTH"
}

# == Settling in ==
# The reader of a pipe waits until the last descriptor for its other end is closed, in every process: pipe(7).
# Which of yours still has one, and which process of yours has not ended?

@test "a command substitution with detach returns at once" {
	code=0
	timeout $((10 * SLOWER)) bash -c 'pid=$(detach sleep 60); kill -0 "$pid"' 3>&- 4>&- || code=$?
	expect 'exit code of: pid=$(detach sleep 60); kill -0 "$pid" (124: it did not return)' 0 "$code" "$TRUTH"
}

@test "detach sleep 60 2>&1 | cat returns at once" {
	code=0
	timeout $((10 * SLOWER)) bash -c 'detach sleep 60 2>&1 | cat >pid' 3>&- 4>&- || code=$?
	expect "exit code of: detach sleep 60 2>&1 | cat (124: it did not return)" 0 "$code" "$TRUTH"
	alive "$(<pid)" || fail "COMMAND does not run" "  its pid:  $(<pid)" "  see:      $TRUTH"
}

@test "a pipe on any other inherited descriptor is let go as well" {
	mkfifo pipe
	exits 0 detach sleep 60 9>pipe &
	local launcher=$!
	exec 5<pipe
	wait_until 10 dead "$launcher" || fail "detach does not return" "  see:      $TRUTH"
	wait "$launcher"
	code=0
	read -r -t 10 -u 5 || code=$?
	expect "read from the pipe (1: end of file; above 128: none for 10 s, somebody holds it)" 1 "$code" "$TRUTH"
	alive "$(<.out)" || fail "COMMAND does not run" "  its pid:  $(<.out)" "  see:      $TRUTH"
}

# Hint: Each process that you fork must end, and be waited for by someone: wait(2). ps -ef --forest shows who is left.
@test "no zombie and no helper stays behind: of all detach started, only COMMAND is left" {
	"$PYTHON" -c "$LAZY" detach sh -c "$STAY" >.out 2>.err 3>&- 4>&- &
	local reaper=$!
	wait_until 10 test -e launched || fail "detach does not return" "  stderr:   $(<.err)" "  see:      $TRUTH"
	is_up
	only_command() { [[ $(ps -o pid= --ppid "$reaper" | tr -d ' ') == "$pid" ]]; }
	wait_until 2 only_command || fail "children of the subreaper" "  expected: $pid" \
		"  came:     $(ps -o pid=,stat=,args= --ppid "$reaper")" "  see:      $TRUTH"
}

# Hint: Who made a file knows that it did: O_EXCL in open(2). Only that one may be removed, and only on failure.
@test "a launch that fails leaves no file that it made, and leaves those that were there as they were" {
	nothing_launched 127 detach -o new -e "$PWD/old" /no/such/command
	nothing_launched 126 detach -o "$PWD/old" -e new /usr
	nothing_launched 127 detach -o new -e new /no/such/command
	nothing_launched 125 detach -C nowhere -o new -e old true
	nothing_launched 125 detach -o new -e nowhere/file true
	nothing_launched 125 detach -o nowhere/file -e new true
}

# Hint: All options, their values and COMMAND come first. Only when the whole command line is good may a file be made.
@test "bad usage makes no file" {
	exits 125 detach -o new -m 8 true
	exits 125 detach -o new -t x true
	exits 125 detach -o new
	expect "files after bad usage" "" "$(ls)" "$TRUTH"
}

# == The middle process ==
# setsid(2) makes a session, and its leader may get a terminal by opening one. Who must fork again so that
# COMMAND leads nothing? credentials(7), and ps -o pid,ppid,sid,tty,comm.

@test "COMMAND has a session of its own" {
	launch detach
	[[ $(stat_field "$pid" 6) != "$(stat_field "$BASHPID" 6)" ]] ||
		fail "COMMAND is in the launcher's session" "  see:      $STATE"
}

@test "COMMAND does not lead its session" {
	launch detach
	[[ $(stat_field "$pid" 6) != "$pid" ]] || fail "COMMAND leads its session" "  see:      $STATE"
}

# Hint: setsid(2) fails with EPERM for whoever leads a process group, and this launcher does, as one from a prompt.
# Who surely does not: fork(2)?
@test "COMMAND has a session of its own also if the launcher leads one" {
	# From a prompt, a launcher leads its process group; who leads one cannot make a session.
	launch setsid --wait sh -c 'echo $$ >leader; exec "$@"' sh detach
	[[ $(stat_field "$pid" 6) != "$(<leader)" ]] || fail "COMMAND is in the launcher's session" "  see:      $STATE"
}

@test "COMMAND has no terminal, although the launcher has one" {
	printf '#!/bin/sh\nps -o tty= -p $$ >new && mv new its\n' >tell
	chmod +x tell
	on_terminal 'ps -o tty= -p $$ >ours; detach -C . ./tell; until [ -e its ]; do sleep 0.02; done' ||
		fail "COMMAND, ./tell, was not seen to run; on the launcher's terminal stood:" "$(<.terminal)" "  see:      $STATE"
	expect_like "terminal of the launcher" pts "$(<ours)" "$STATE"
	expect "terminal of COMMAND" "?" "$(<its)" "$STATE"
}

@test "COMMAND gets no controlling terminal by opening one" {
	a_terminal
	exits 0 detach sh -c 'exec 5<>"$0"; '"$STAY" "$terminal"
	is_up
	expect "descriptor 5 of COMMAND" "$terminal" "$(readlink "/proc/$pid/fd/5")" "$STATE"
	expect "controlling terminal of COMMAND (tty_nr in /proc/PID/stat, 0 is none)" 0 "$(stat_field "$pid" 7)" "$STATE"
}

# Hint: Whoever opens the file may lead a session without a terminal, as here the launcher does: O_NOCTTY in open(2).
@test "a terminal as the file of -o does not become the controlling terminal" {
	a_terminal
	launch setsid --wait detach -o "$terminal"
	expect "descriptor 1 of COMMAND" "$terminal" "$(readlink "/proc/$pid/fd/1")" "$STATE"
	expect "controlling terminal of COMMAND (tty_nr in /proc/PID/stat, 0 is none)" 0 "$(stat_field "$pid" 7)" "$STATE"
}

# == The middle process ==
# COMMAND is adopted when its parent has ended, not before: who ends when, and who waits for that? wait(2).

@test "the parent of COMMAND is init or the nearest subreaper, at once" {
	launch detach
	expect "parent of COMMAND" "$(orphans_parent)" "$(stat_field "$pid" 4)" "$STATE"
}

# == Settling in ==
# chdir(2) and umask(2) belong into the daemon, and relative names are opened before them: later, each means
# another file. A umask is octal, and a wrong one is bad usage before anything is started.

@test "COMMAND runs in /" {
	launch detach
	expect "directory" / "$(readlink "/proc/$pid/cwd")" "$STATE"
}

# Hint: getcwd(3) fails with ENOENT in such a place. Who needs its name, when no other name is relative? A library or
# an interpreter may ask for it by itself.
@test "a deleted current directory does not disturb detach" {
	launch from 'mkdir gone; cd gone; rmdir ../gone' detach
	expect "directory" / "$(readlink "/proc/$pid/cwd")" "$STATE"
}

@test "-C DIR: COMMAND runs in DIR, seen from the caller's directory" {
	mkdir -p "a dir/below"
	launch detach -C "a dir/below"
	expect "directory" "$PWD/a dir/below" "$(readlink "/proc/$pid/cwd")" "$OPTIONS"
}

# Hint: The chdir(2) is the daemon's, whose words reach nobody. Its failure must come to the launcher, with the reason,
# as that of an exec does.
@test "-C with a directory that is missing, or is none: exit 125, and why" {
	touch file
	refused 125 '.*nowhere' detach -C nowhere true
	refused 125 '.*file' detach -C file true
}

@test "umask 027, whatever the launcher's was" {
	local umask
	for umask in 0 022 077; do
		launch from "umask $umask" detach
		expect "umask of COMMAND, from umask $umask" 0027 "$(proc_status "$pid" Umask)" "$STATE"
	done
}

@test "-m UMASK: an octal number, with or without leading zeros" {
	local umask
	for umask in 0 22 077 0007 777; do
		rm -f mask
		exits 0 detach -m "$umask" -o mask sh -c umask
		wait_until 10 test -s mask || fail "COMMAND has not written its umask, with -m $umask" "  see:      $OPTIONS"
		expect "umask of COMMAND with -m $umask" "$(printf %04o $((8#$umask)))" "$(<mask)" "$OPTIONS"
	done
}

# Hint: Functions that read octal numbers are generous: strtol(3) takes blanks and a sign in front, and stops at rubbish
# without a word; others take 0x, 0o or _ as well. Only the digits 0 to 7 are good, and no number above 0777.
@test "-m with anything else is bad usage: exit 125, and COMMAND does not run" {
	local umask
	for umask in '' 8 029 -1 +22 0x1f ' 22' '22 ' 1000 u=rwx 0o22 99999999999999999999; do
		refused 125 '.*' detach -m "$umask" touch "$PWD/ran"
	done
	expect "files" "" "$(ls)" "$OPTIONS"
}

# == Settling in ==
# dup2(2) closes and replaces in one step. All others must go, whatever their number and the limit: ls -l
# /proc/self/fd, close_range(2).

@test "COMMAND gets descriptors 0, 1 and 2, each open on /dev/null" {
	launch from 'exec </dev/zero' detach
	expect "descriptors" "0 1 2" "$(descriptors "$pid")" "$STATE"
	expect "what they are" $'/dev/null\n/dev/null\n/dev/null' "$(readlink "/proc/$pid/fd/"[012])" "$STATE"
}

@test "with any of 0, 1 and 2 closed, COMMAND gets all three, the right way round" {
	local closed
	for closed in "${CLOSED[@]}"; do
		echo "from: $closed" # if it hangs, the last one is it
		launch from "$closed" detach -o o -e e
		expect "descriptors, from: $closed" "0 1 2" "$(descriptors "$pid")" "$STATE"
		expect "what they are, from: $closed" "/dev/null"$'\n'"$PWD/o"$'\n'"$PWD/e" \
			"$(readlink "/proc/$pid/fd/"[012])" "$STATE"
	done
}

@test "a hundred inherited descriptors are closed" {
	local fd
	for fd in {120..215}; do eval "exec $fd</dev/null"; done
	launch from 'exec 3</dev/null 5</dev/null 6</dev/null 7</dev/null' detach
	expect "descriptors" "0 1 2" "$(descriptors "$pid")" "$STATE"
}

@test "an inherited descriptor above the limit is closed" {
	not_under_valgrind "which has descriptors of its own there"
	exec 200</dev/null
	launch from 'ulimit -n 100' detach
	expect "descriptors" "0 1 2" "$(descriptors "$pid")" "$STATE"
}

# Hint: /dev/null can be opened for reading, for writing, or for both, as any file: O_RDWR in open(2).
@test "COMMAND reads end of file, and may write to stdout and stderr" {
	echo words >text
	exits 0 from 'exec <text' detach sh -c 'read -r x; said="read $?"; echo x; said="$said, stdout $?"; echo y >&2
		ln -s "$said, stderr $?" "$TEST_MARK/said"'
	wait_until 10 test -L said ||
		fail "COMMAND has not come to its end: it does not run, or waits in read" "  see:      $STATE"
	expect "exit codes in COMMAND (1 is the end of file)" "read 1, stdout 0, stderr 0" "$(readlink said)" "$STATE"
}

# Hint: Whoever opens a FIFO with O_NONBLOCK gives COMMAND a descriptor that has it. It is a flag of the open file, so
# dup2(2), fork(2) and execve(2) keep it: F_SETFL in fcntl(2).
@test "COMMAND can read and write in peace: its descriptors are not non-blocking" {
	mkfifo pipe
	exec 5<>pipe
	launch detach -o pipe
	expect "O_NONBLOCK among the flags of descriptor 1" 0 \
		"$(($(sed -n 's/^flags:[[:space:]]*//p' "/proc/$pid/fdinfo/1") & 04000))" "$STATE"
}

# == Settling in ==
# exec resets handlers, but what is ignored stays ignored and what is blocked stays blocked: signal(7), execve(2).
# Some languages ignore SIGPIPE for you, and COMMAND inherits that.

# Not from a shell, which may change them for itself.
signals() {
	exits 0 from : "$@" detach -o signals cat /proc/self/status
	wait_until 10 grep -qs ^nonvoluntary_ctxt_switches signals ||
		fail "COMMAND has not written its /proc/self/status to the file of -o" "  see:      $STATE"
}

# named KEY: the signals of that line in ./signals, the mask and their names.
named() {
	local mask number name names=
	mask=$(sed -n "s/^$1:[[:space:]]*//p" signals)
	for number in {1..64}; do
		((0x$mask >> (number - 1) & 1)) || continue
		name=$(kill -l "$number" 2>/dev/null) || :
		names+=" ${name:-$number}"
	done
	echo "$mask${names:-, none}"
}

@test "COMMAND begins with no signal blocked" {
	signals env --block-signal
	expect "blocked signals: SigBlk in /proc/PID/status" "0000000000000000, none" "$(named SigBlk)" "$STATE"
}

# Hint: What is ignored stays ignored through execve(2): set each signal to SIG_DFL, sigaction(2). Some languages ignore
# signals themselves, as Python PIPE and Perl FPE, and may put back at the exec what they found at their start. Then only a
# call of the kernel by yourself helps, syscall(2).
@test "COMMAND begins with no signal ignored" {
	signals env --ignore-signal
	expect "ignored signals: SigIgn in /proc/PID/status" "0000000000000000, none" "$(named SigIgn)" "$STATE"
}

# == What COMMAND gets ==
# execvp(3) hands on environment and arguments as they are. A name with a slash means a file in the caller's
# directory, and by the time of the exec the directory is another one.

@test "COMMAND gets the environment as it was" {
	not_under_valgrind "which adds to it"
	exits 0 env -i "TEST_MARK=$TEST_MARK" "PATH=$PATH" 'EMPTY=' $'ODD=two  words\nand = a line' \
		"$(command -v detach)" sh -c "$STAY"
	is_up
	# A program that is started through a shell has these as well.
	expect "environment" "EMPTY=;ODD=two  words"$'\n'"and = a line;PATH=$PATH;TEST_MARK=$TEST_MARK;" \
		"$(grep -zvE '^(PWD|OLDPWD|SHLVL|_)=' "/proc/$pid/environ" | sort -z | tr '\0' ';')" "$STATE"
}

@test "COMMAND gets its arguments unchanged, also empty ones and those that look like options" {
	exits 0 detach -o said sh -c 'printf "<%s>" "$@"; ln -s "$$" "$TEST_MARK/up"' sh -h '' 'two  words' '*' -- $'new\nline'
	is_up
	expect "arguments" $'<-h><><two  words><*><--><new\nline>' "$(<said)" "$STATE"
}

@test "COMMAND with a slash is meant from the caller's directory, also with -C" {
	mkdir bin dir
	printf '#!/bin/sh\n%s\n' "$STAY" >bin/program
	chmod +x bin/program
	exits 0 detach -C dir bin/program
	is_up
	expect "pid" "$pid" "$out" "$STATE"
}

# == Where the output goes ==
# The launcher opens the files, before it forks: open(2) with O_APPEND, and 0640 although the umask may say
# otherwise (fchmod(2)). The same name twice is one open file: dup2(2).

@test "-o FILE gets what COMMAND writes to stdout, -e FILE what it writes to stderr" {
	exits 0 detach -o o -e e sh -c 'echo out; echo err >&2; ln -s "$$" "$TEST_MARK/up"'
	is_up
	expect "text in both files" "o:out e:err" "o:$(<o) e:$(<e)" "$FILES"
}

@test "with -o alone, stderr goes to /dev/null" {
	launch detach -o o
	expect "what 1 and 2 are" "$PWD/o"$'\n/dev/null' "$(readlink "/proc/$pid/fd/"[12])" "$FILES"
}

@test "the files are opened from the caller's directory, also with -C" {
	mkdir dir
	launch detach -C dir -o o -e e
	expect "what 1 and 2 are" "$PWD/o"$'\n'"$PWD/e" "$(readlink "/proc/$pid/fd/"[12])" "$FILES"
}

@test "the files are made with mode 0640, whatever the launcher's umask" {
	local umask
	for umask in 0 022 077; do
		rm -f o e
		launch from "umask $umask" detach -o o -e e
		expect "modes, from umask $umask" $'640\n640' "$(stat -c %a o e)" "$FILES"
	done
}

@test "a file that is there keeps its mode and its text: it is appended to" {
	echo first >o
	chmod 600 o
	exits 0 detach -o o sh -c 'echo second; ln -s "$$" "$TEST_MARK/up"'
	is_up
	expect "mode and text" $'600 first\nsecond' "$(stat -c %a o) $(<o)" "$FILES"
}

@test "two writers of one file do not overwrite each other" {
	launch detach -o o -e e
	expect "O_APPEND among the flags of 1 and 2" "1 1" \
		"$(for fd in 1 2; do echo $((($(sed -n 's/^flags:[[:space:]]*//p' "/proc/$pid/fdinfo/$fd") & 02000) != 0)); done | xargs)" "$FILES"
}

@test "the same name for -o and -e is one open file" {
	exits 0 detach -o both -e both sh -c "echo out; $STAY"
	is_up
	# One open file has one position, which both descriptors see.
	expect "position of descriptor 2 after 4 bytes went to 1" 4 \
		"$(sed -n 's/^pos:[[:space:]]*//p' "/proc/$pid/fdinfo/2")" "$FILES"
}

# == Where the output goes ==
# A failure to open is a failure of the launch: 125 and why. A FIFO without a reader blocks open(2) unless
# O_NONBLOCK is given: fifo(7).

@test "a file that cannot be opened: exit 125, and why" {
	mkdir dir
	refused 125 '.*dir' detach -o dir true
	refused 125 '.*nowhere/file' detach -o nowhere/file true
	refused 125 '.*dir' detach -e dir true
	refused 125 '.*' detach -o '' true
}

@test "a file that may not be written: exit 125, and why" {
	touch file
	chmod 444 file
	# Root may write everywhere by a right that can be given away.
	if [[ $EUID -eq 0 ]]; then
		refused 125 '.*file' setpriv --bounding-set=-dac_override detach -o file true
	else
		refused 125 '.*file' detach -o file true
	fi
}

@test "a FIFO that nobody reads does not hang the launch: exit 125, and why" {
	mkfifo pipe
	refused 125 '.*pipe' timeout $((10 * SLOWER)) detach -o pipe true
}

@test "a FIFO that somebody reads gets the output" {
	mkfifo pipe
	exec 5<>pipe
	exits 0 detach -o pipe echo hello
	read -r -t 10 -u 5 line || fail "no line has come through the FIFO within 10 s" "  see:      $FILES"
	expect "line in the FIFO" hello "$line" "$FILES"
}

# == The options ==
# getopt(3) stops at the first word that is no option; in glibc only with POSIXLY_CORRECT, or '+' in front.
# A number is good when all of it was read and it lies in its range: strtod(3).

# Hint: 125 is each failure of detach's own, bad usage included, and it is told on stderr. A parser of options that
# leaves by itself may have another number.
@test "detach without COMMAND is bad usage: exit 125" {
	exits 125 detach
	expect_like "stderr" 'detach' "$err" "$OPTIONS"
	expect "stdout" "" "$out" "$OPTIONS"
}

# Hint: What begins with - before COMMAND is an option of yours. One that you do not know is told on stderr, with 125,
# before anything is started. A parser of options that leaves by itself may have another number.
@test "an unknown option is bad usage: exit 125, and COMMAND does not run" {
	exits 125 detach -x touch "$PWD/ran"
	expect_like "stderr" 'detach' "$err" "$OPTIONS"
	expect "files" "" "$(ls)" "$OPTIONS"
}

# Hint: Where the command line ends, there is no value: not an empty one, and not the default. How does your parser of
# options tell it: ':' or '?' in getopt(3)?
@test "an option without its argument is bad usage: exit 125" {
	local option
	for option in -C -m -o -e -t; do exits 125 detach "$option"; done
}

@test "-t takes seconds with decimals" {
	launch detach -t 10
	launch detach -t 9.75
}

# Hint: Digits, and perhaps a point with digits behind it, no more: strtod(3) takes 1e3, 0x10, inf, nan and a blank in
# front as well, and stops at rubbish without a word. What is too large for your clock is refused, too.
@test "-t with anything else is bad usage: exit 125, and COMMAND does not run" {
	local seconds limit
	patient 10
	for seconds in '' x -1 +1 1e3 0x10 ' 1' '1 ' 1s 1.2.3 1,5 . inf nan 99999999999999999999; do
		# 124: with that value it does not return
		refused 125 '.*' timeout "$limit" detach -t "$seconds" touch "$PWD/ran"
	done
	expect "files" "" "$(ls)" "$OPTIONS"
}

@test "-- ends the options of detach" {
	launch detach --
	expect "pid" "$pid" "$out" "$OPTIONS"
}

# Hint: Help that was asked for is an answer, not an error: it goes to stdout, with 0. On stderr, with 125, only who
# made a mistake gets it.
@test "-h prints help on stdout and exits 0" {
	exits 0 detach -h
	expect_like "stdout" 'detach.*COMMAND' "$out" "$OPTIONS"
	expect "stderr" "" "$err" "$OPTIONS"
}

# Hint: The program's name and then a number, on stdout. A parser of options may use -V, or -v, otherwise by itself.
@test "-V prints the version on stdout and exits 0" {
	exits 0 detach -V
	expect_like "stdout" '^detach.*[0-9]' "$out" "$OPTIONS"
	expect "stderr" "" "$err" "$OPTIONS"
}
