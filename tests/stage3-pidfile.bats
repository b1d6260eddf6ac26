#!/usr/bin/env bats
# Stage 3: one instance. The promises that later stages keep, and at the end what this
# stage leaves wrong.
# shellcheck disable=SC2016 # $HERE and the like are for COMMAND, not for this shell
# shellcheck disable=SC2030,SC2031,SC2154 # out, err, daemon, job, ms are set by the helpers, anew in each test

load lib/common
load lib/service

setup() { own_stage; }
teardown() { clean_up; }

# Where the chapter explains it.
verbs="stage3-pidfile/README.md: the verbs"
lock="stage3-pidfile/README.md: who is running?"
file="stage3-pidfile/README.md: the file"
stopping="stage3-pidfile/README.md: stop"
timetable="stage3-pidfile/README.md: the timetable"
wrong="stage3-pidfile/README.md: what is still wrong"

# ran COUNT SECONDS [SEE]: a COMMAND that adds a line to the file 'beats' has run at least so many times by then.
ran() {
	wait_until "$2" has_lines "$1" beats ||
		fail "runs of COMMAND" "  expected: $1, at least" "  came:     $(lines beats)" ${3:+"  see:      $3"}
}

# == The verbs ==
# Options come first, then the verb, then COMMAND with its arguments, which are none of your business: getopt(3).
# Every wrong word or number is exit 2, before anything is made or started.

# Hint: Help that was asked for is no complaint: it goes to standard output, and the exit code is 0.
@test "-h prints help on standard output and leaves with 0" {
	exits 0 repeatd -h
	expect_like "help" 'repeatd .*VERB' "$out" "$verbs"
}

# Hint: A line with the number of the version in it, on standard output.
@test "-V prints the version and leaves with 0" {
	exits 0 repeatd -V
	expect_like "version" '[0-9]' "$out" "$verbs"
}

# misused ARGUMENT...: exit 2, the program's name and words, and nothing is made or started.
misused() {
	exits 2 repeatd "$@" || fail "  words:    repeatd ${*@Q}"
	expect_like "message for: repeatd ${*@Q}" '^[^ ]*repeatd[^ ]*: .|^usage: repeatd' "$err" "$verbs"
	expect "stdout of: repeatd ${*@Q}" "" "$out" "$verbs"
	expect "files left by: repeatd ${*@Q}" "" "$(ls)" "$verbs"
}

@test "a wrong verb or option leaves with 2, says why, and does nothing" {
	misused
	misused begin true
	misused begin
	[[ $err == *begin* && $err != *missing* ]] ||
		fail "message for: repeatd begin" "  expected: 'begin' is named, and nothing is said to be missing" \
			"  came:     $err" "  see:      $verbs"
	misused -Z start true
	misused start
	misused run
	misused restart
	misused -p
	misused -i 1
}

# Hint: getopt(3) with '+' stops at the verb. What stands behind it is left over: look whether anything is.
@test "stop and status take nothing behind them, so that 'stop -p FILE' does not stop another daemon" {
	misused stop -p other.pid
	misused status -p other.pid
	misused stop true
}

# Hint: By fcntl(2) a lock goes when its process closes *any* descriptor of the file. Compare the names once both are
# absolute.
@test "one file for both -p and -o leaves with 2, says why, and does nothing" {
	misused -p same -o same start true
	misused -p "$PWD/same" -o same start true
	misused -p repeatd.log run true
	misused -o repeatd.pid restart true
}

# Hint: strtod(3), strtoul(3) and what languages make of them take blanks, signs, 0x, nan and inf, and stop at the first
# character that does not fit. Look at every character, and at the size; and do so for stop, too.
@test "a wrong number leaves with 2, says why, and does nothing" {
	local bad
	for bad in '' x -1 +1 ' 1' '1 ' 1e3 0x10 1.2.3 . nan inf 1s 99999999999999999999999; do
		misused "-i$bad" start true
		misused -n "$bad" start true
		misused -t "$bad" stop
	done
	misused -n 1.5 start true
	for bad in '' 8 9 0x1f -22 rwx 10000 77777777777777777777777; do
		misused -m "$bad" start true
	done
}

# Hint: Stop reading options at the verb: getopt(3) of GNU, and others, take them from behind it, too. And no shell:
# execvp(3) takes a list of words.
@test "what follows the verb is COMMAND and its arguments, untouched by options or a shell" {
	exits 0 repeatd -n 1 run printf '<%s>\n' -n -i 'a  b' '$HOME *' ''
	expect "the arguments in the log" '<-n> <-i> <a  b> <$HOME *> <> ' \
		"$(grep -o '<.*>$' repeatd.log | tr '\n' ' ')" "$verbs"
}

# == The verbs ==
# start may say 'started' only when the daemon has told it so: lock held, pid file written. Who writes the pid
# must be the process that stays: a pid taken before fork(2) is another's.

@test "start says 'started, pid N', and N and a newline is what the pid file holds" {
	exits 0 repeatd -i 3600 start true
	expect "words of start, with the pid that the file holds" "started, pid $(<repeatd.pid)" "$out" "$file"
	expect "newlines in the pid file" 1 "$(wc -l <repeatd.pid)" "$file"
}

@test "once start returns, the daemon holds the lock" {
	for _ in 1 2 3 4 5 6 7 8; do
		launched -i 3600 start true
		exits 0 repeatd status
		exits 0 repeatd stop
		rm -f repeatd.pid
	done
}

# == The file ==
# open(2) takes a mode, and the umask takes bits from it: the umask of that moment, not the one of later.

# Hint: 0644 is what open(2) asks for, and here -m 022 takes nothing from it. With the default of -m, 027, it is 0640.
@test "the pid file has mode 0644" {
	launched -m 022 -i 3600 start true
	expect "mode with -m 022" 644 "$(stat -c %a repeatd.pid)" "$file"
}

@test "the umask takes its bits from the pid file's mode" {
	umask 077
	launched -m 077 -i 3600 start true
	expect "mode with -m 077" 600 "$(stat -c %a repeatd.pid)" "$file"
}

# Hint: The mode in open(2) is what you want at most; the umask only takes away from it.
@test "the pid file is writable for its owner alone, even with -m 0" {
	launched -m 0 -i 3600 start true
	expect "mode with -m 0" 644 "$(stat -c %a repeatd.pid)" "$file"
}

# == The verbs ==
# A daemon begins clean, and so does each COMMAND that it runs: session, descriptors, signals, directory, umask.
# Relative names must be made absolute before chdir(2): realpath(3), getcwd(3).

# Hint: Who has called setsid(2) leads the session and gets a terminal by opening one; its child does not. Fields 6
# (session) and 7 (terminal) of /proc/PID/stat: proc(5).
@test "the daemon has a session of its own, which it does not lead, and no terminal" {
	launched -i 3600 start true
	[[ $(stat_field "$daemon" 6) != "$(stat_field $$ 6)" ]] || fail "the daemon is in our session"
	[[ $(stat_field "$daemon" 6) != "$daemon" ]] || fail "the daemon leads its session"
	expect "terminal" 0 "$(stat_field "$daemon" 7)"
}

# Hint: The shell reads the pipe until nobody has it open any more: do daemon and COMMAND still have the standard
# output of start? 124 is the exit code of timeout(1): it hung.
@test "\$(repeatd start) returns at once" {
	exits 0 timeout $((10 * SLOWER)) bash -c 'echo "$(repeatd -i 3600 start sleep 60)"'
	expect_like "its words" '^started, pid [0-9]+$' "$out" "$verbs"
}

# Hint: cat ends when nobody has the pipe open any more, be it as 1, as 2 (here too) or under another number:
# ls -l /proc/PID/fd. 124 is the exit code of timeout(1): it hung.
@test "repeatd start | cat returns at once" {
	exits 0 timeout $((10 * SLOWER)) bash -c 'repeatd -i 3600 start sleep 60 2>&1 | cat'
	expect_like "its words" '^started, pid [0-9]+$' "$out" "$verbs"
}

# Hint: What the caller had open, here 8 and 50, comes through fork(2) and execve(2): close_range(2), or the list in
# /proc/self/fd. What you have opened yourself needs O_CLOEXEC.
@test "COMMAND finds descriptors 0, 1 and 2 and no other" {
	[[ -z ${MEMCHECK:-} ]] || skip "not under valgrind, whose own log stays open"
	exec 8>leaked 50<&8
	launched -n 1 start ls -l /proc/self/fd
	exec 8>&- 50<&-
	logged 1 ' 2 -> '
	expect "descriptors but the one that ls opens" "0 1 2 " "$(sed -n 's|.* \([0-9]*\) -> .*|\1 |p' repeatd.log | grep -v '^3' | tr -d '\n')"
}

# Hint: In the foreground nobody has tidied up for you: what run has inherited, here 8 and 50, goes on into COMMAND unless
# it is closed before the exec, or marked: FD_CLOEXEC in fcntl(2), CLOSE_RANGE_CLOEXEC in close_range(2).
@test "COMMAND of run finds descriptors 0, 1 and 2 and no other" {
	[[ -z ${MEMCHECK:-} ]] || skip "not under valgrind, whose own log stays open"
	exec 8>leaked 50<&8
	exits 0 repeatd -n 1 run ls -l /proc/self/fd
	exec 8>&- 50<&-
	expect "descriptors but the one that ls opens" "0 1 2 " "$(sed -n 's|.* \([0-9]*\) -> .*|\1 |p' repeatd.log | grep -v '^3' | tr -d '\n')"
}

# Hint: open(2) gives the lowest number that is free. If that is 1, the pid file is somebody's standard output: see that
# 0, 1 and 2 are taken, by /dev/null, before you open anything.
@test "start with descriptors 0, 1 and 2 closed keeps the pid file clean" {
	repeatd -i 0.05 start sh -c 'echo out; echo err >&2; cat; echo x >>"$HERE/beats"' <&- >&- 2>&- ||
		fail "exit code of start with 0, 1 and 2 closed" "  expected: 0" "  came:     $?"
	ran 3 10 "$verbs"
	exits 0 repeatd status
	expect "the pid file" "${out##* }" "$(<repeatd.pid)" "$file"
}

# Hint: COMMAND's standard input is /dev/null: neither closed nor the one that start had. dup2(2).
@test "COMMAND reads end of file at once from its standard input" {
	launched -n 1 start sh -c 'cat; : >"$HERE/over"'
	wait_until 10 test -e over ||
		fail "COMMAND: cat; : >over" "  expected: cat ends" "  came:     there is no file named over"
}

# Hint: Also in the foreground, /dev/null becomes COMMAND's standard input, in the child, before it executes: dup2(2).
@test "COMMAND of run does not read from our standard input" {
	repeatd -n 1 run sh -c 'cat; echo over' <<<"of the caller" 3>&-
	expect "lines 'over' in the log" 1 "$(lines repeatd.log '(^|: )over$')"
	expect "lines of our standard input in the log" 0 "$(lines repeatd.log 'of the caller')"
}

# masks: the blocked and the ignored signals of COMMAND, as it logged them, by their names.
masks() {
	local key mask number name names said=
	while read -r key mask; do
		names=
		for ((number = 1; number <= 64; number++)); do
			((0x$mask >> (number - 1) & 1)) || continue
			name=$(kill -l "$number")
			names+=" ${name:-$number}"
		done
		said+="$key:${names:- none} "
	done < <(sed -nE 's/.*(Sig(Blk|Ign)):.*([0-9a-f]{16})$/\1 \3/p' repeatd.log | sort)
	echo "$said"
}

# Hint: What is ignored or blocked stays so through fork(2) and execve(2): sigaction(2), sigprocmask(2) before the exec.
# An interpreter ignores some for itself: Python PIPE and XFSZ, say.
@test "COMMAND of start finds no signal ignored or blocked, whatever the caller ignores" {
	(trap '' HUP INT QUIT PIPE TERM CHLD USR1 && exits 0 repeatd -n 1 start grep -E 'SigBlk|SigIgn' /proc/self/status)
	logged 2 'Sig(Blk|Ign)'
	expect "signals in COMMAND's /proc/self/status" "SigBlk: none SigIgn: none " "$(masks)"
}

# Hint: What is ignored or blocked stays so through fork(2) and execve(2): sigaction(2), sigprocmask(2) before the exec.
# An interpreter ignores some for itself: Python PIPE and XFSZ, say.
@test "COMMAND of run finds no signal ignored or blocked, whatever the caller ignores" {
	(trap '' HUP INT QUIT PIPE TERM CHLD USR1 && exits 0 repeatd -n 1 run grep -E 'SigBlk|SigIgn' /proc/self/status)
	logged 2 'Sig(Blk|Ign)'
	expect "signals in COMMAND's /proc/self/status" "SigBlk: none SigIgn: none " "$(masks)"
}

# Hint: Clean is not empty: environ(7) stays as the caller had it.
@test "COMMAND gets the caller's environment" {
	colour=green launched -n 1 start sh -c 'echo "it is $colour"'
	logged 1 'it is green$'
}

@test "COMMAND runs in / unless -C says otherwise" {
	launched -n 1 start pwd
	logged 1 '(^|: )/$'
}

@test "COMMAND runs in the directory of -C" {
	mkdir elsewhere
	launched -C elsewhere -n 1 start pwd
	logged 1 "(^|: )$PWD/elsewhere\$"
}

@test "the default names of pid file and log are relative to the caller, not to -C" {
	mkdir elsewhere
	launched -C elsewhere -i 3600 start echo beat
	logged 1 'beat$'
	expect "files in the caller's directory" "repeatd.log repeatd.pid" "$(echo repeatd.log repeatd.[p]id)" "$file"
	expect "files in the other" "" "$(ls elsewhere)" "$file"
}

@test "relative names for -p and -o are relative to the caller, not to -C" {
	mkdir elsewhere run log
	launched -C elsewhere -p run/x.pid -o log/x.log -i 3600 start echo beat
	wait_until 10 has_lines 1 log/x.log 'beat$'
	expect "the pid file" "$daemon" "$(<run/x.pid)" "$file"
}

@test "a relative COMMAND with a slash is looked up in the caller's directory, not in -C" {
	mkdir elsewhere
	printf '#!/bin/sh\necho found\n' >here
	chmod +x here
	launched -C elsewhere -n 1 start ./here
	logged 1 'found$'
}

@test "COMMAND has the umask of -m" {
	launched -m 0057 -n 1 start sh -c umask
	logged 1 '0057$'
}

@test "COMMAND's umask is 027 without -m" {
	launched -n 1 start sh -c umask
	logged 1 '0027$'
}

# Hint: O_APPEND and no O_TRUNC: open(2). Then the log becomes 1 and 2 of COMMAND: dup2(2).
@test "COMMAND's output and errors go to the log, and what was there stays" {
	echo "of yesterday" >repeatd.log
	launched -n 1 start sh -c 'echo words; echo complaints >&2'
	logged 1 'complaints$'
	expect "lines of yesterday, of stdout and of stderr in the log" 3 \
		"$(lines repeatd.log '(of yesterday|words|complaints)$')" ||
		fail "  log:      $(<repeatd.log)"
}

# == Who is running? ==
# Ask the kernel, not the file: a lock that ends with its holder, fcntl(2) F_SETLK or flock(2). When does your lock
# go: with the process, with any close of that file, or with the last copy in a child?

@test "a second start is refused with 'already running, pid N' and exit 1" {
	launched -i 3600 start true
	exits 1 repeatd -i 3600 start true
	expect "message" "repeatd: already running, pid $daemon" "$err" "$lock"
	expect "stdout" "" "$out" "$lock"
}

# Hint: First the lock, then all else. O_TRUNC empties the file before the lock can say no, and so does a log that is
# opened, or a COMMAND that runs, before the answer is known: open(2).
@test "a refused start touches nothing" {
	launched -i 3600 start echo beat
	logged 1 'beat$'
	faces repeatd.pid repeatd.log >before
	exits 1 repeatd -o other.log -i 3600 start touch "$PWD/effect"
	exits 1 repeatd -i 3600 start touch "$PWD/effect"
	expect "pid file and log: name, inode, names, mode, size, times of change; text" "$(<before)" \
		"$(faces repeatd.pid repeatd.log)" "$lock"
	absent other.log "$lock"
	absent effect "$lock"
}

# Hint: run takes the lock on the same file as the daemon of start, and as early. 124 is the exit code of timeout(1):
# it was not refused, and ran.
@test "start is refused while run holds the lock, and run while the daemon does" {
	foreground -i 3600 run true
	exits 1 repeatd -i 3600 start true
	expect "message of start" "repeatd: already running, pid $daemon" "$err" "$lock"
	exits 1 timeout $((10 * SLOWER)) repeatd -i 3600 run true
	expect "message of run" "repeatd: already running, pid $daemon" "$err" "$lock"
}

# Hint: A lock by F_SETLK is lost when the process closes any descriptor of that file, even one opened only to
# read the pid: fcntl(2).
@test "the lock outlives many beats, each of which looks after the pid file" {
	launched -i 0.02 start sh -c 'echo x >>"$HERE/beats"'
	ran 10 10 "$lock"
	exits 1 repeatd -i 3600 start true
	expect "message" "repeatd: already running, pid $daemon" "$err" "$lock"
}

# Hint: Who has not got the lock must not unlink, truncate or write: the end of a refused start is not the end of a
# daemon, which removes its file.
@test "the lock outlives status and a refused start" {
	launched -i 3600 start true
	repeatd status >/dev/null 3>&-
	repeatd start true 2>/dev/null 3>&- || true
	exits 0 repeatd status
	expect "status" "running, pid $daemon" "$out" "$lock"
}

# Hint: Nobody but a daemon has a write lock; who has a read lock is none. If you wait for it to go, then not for ever:
# alarm(2) and setitimer(2) are of no use while ALRM is blocked, as whoever started you may have left it.
@test "with ALRM blocked, run does not wait for ever for somebody who keeps a read lock" {
	local limit
	: >repeatd.pid
	"$PYTHON" -c '
import fcntl, signal
file = open("repeatd.pid")
fcntl.lockf(file, fcntl.LOCK_SH)
open("locked", "w").close()
signal.pause()' </dev/null >/dev/null 3>&- 4>&- &
	wait_until 10 test -e locked
	patient 10
	code=0
	timeout -s KILL "$limit" env --block-signal=ALRM repeatd -n 1 run true >.out 2>.err </dev/null 3>&- 4>&- || code=$?
	expect_like "exit code of repeatd -n 1 run true (137: it waited, and was killed)" '^[01]$' "$code" "$lock"
	# either it runs all the same, or it says what is in its way
	((code == 0)) && [[ -s repeatd.log ]] || expect_like "stderr" '^repeatd: .*repeatd\.pid' "$(<.err)" "$lock"
}

# == Of a hundred, one ==
# Between a look and a write there is time for another: take the lock in one step that only one can win, and
# look at the file only after it. The losers must not write, truncate or remove anything.

# one_daemon: all that is left of this test is the process that the pid file names.
one_daemon() { [[ $(marked_pids) == "$(<repeatd.pid)" ]]; }

# only_one_daemon SECONDS: so it is by then.
only_one_daemon() {
	wait_until "$1" one_daemon ||
		fail "the processes that are left" "  expected: the one that the pid file names, $(<repeatd.pid)" \
			"  came:     $(marked_pids | tr '\n' ' ')" "  see:      $lock"
}

# crowd COUNT ARGUMENT...: that many at once; the exit code, out and err of each in s.N.*
crowd() {
	local i count=$1 pids=()
	shift
	for ((i = 0; i < count; i++)); do
		(
			came=0
			repeatd "$@" >"s.$i.out" 2>"s.$i.err" </dev/null || came=$?
			echo "$came" >"s.$i.code"
		) 3>&- 4>&- &
		pids+=($!)
	done
	wait "${pids[@]}" # by name: bats has a child of its own here, for its time limit
}
# complaints: what the crowd said on standard error, each line once, with how many said it.
complaints() { sort s.*.err | uniq -c; }

@test "of 100 parallel starts one wins" {
	crowd $((100 / SLOWER)) -i 3600 start true
	expect "starts that left with 0" 1 "$(cat s.*.code | grep -cx 0)" "$lock" || fail "  stderr:   $(complaints)"
}

@test "of 100 parallel starts the losers leave with 1 and name the winner" {
	crowd $((100 / SLOWER)) -i 3600 start true
	expect "exit codes of the starts" "0 1 " "$(sort -u s.*.code | tr '\n' ' ')" "$lock" ||
		fail "  stderr:   $(complaints)"
	expect "messages of the losers" "repeatd: already running, pid $(cat s.*.out | grep -oE '[0-9]+$')" \
		"$(sort -u s.*.err)" "$lock"
}

@test "of 100 parallel starts, over a stale pid file, one daemon is left, and the file holds its pid" {
	echo 1 >repeatd.pid
	crowd $((100 / SLOWER)) -i 3600 start true
	only_one_daemon 5
}

# goes_on: what is stopped goes on, until the start beside the test has said something.
# shellcheck disable=SC2046 # pids
goes_on() { kill -CONT $(marked_pids) && grep -q . job.out job.err; }

# Hint: To look and to take must be one call: fcntl(2), F_SETLK, and its answer counts.
@test "of two starts, one of which pauses after its first look at the lock, one wins" {
	needs_own_calls
	: >repeatd.pid
	beside strace -f -o calls -P "$PWD/repeatd.pid" -e trace=fcntl,flock -e inject=fcntl,flock:signal=SIGSTOP:when=1 \
		repeatd -i 3600 start true
	wait_until 10 grep -qs 'stopped by SIGSTOP' calls || fail "calls of fcntl and flock on the pid file" \
		"  expected: at least one" "  came:     none" "  stderr:   $(<job.err)" "  see:      $lock"
	repeatd -i 3600 start true >words 2>&1 </dev/null 3>&- 4>&- || true
	wait_until 10 goes_on ||
		fail "the start that paused" "  expected: it says something" "  came:     it is silent" "  see:      $lock"
	expect "starts that said 'started'" 1 "$(cat words job.out | grep -c '^started')" "$lock"
}

# Hint: Between your open and your lock, another may have removed the file: you hold the lock of a file that has no
# name. Compare fstat(2) with stat(2) once you have it.
@test "a start whose file is replaced between its open and its lock takes the one that is there" {
	needs_own_calls
	local starter
	: >repeatd.pid
	beside strace -o /dev/null -P "$PWD/repeatd.pid" -e trace=fcntl,flock -e inject=fcntl,flock:delay_enter=1000000 \
		repeatd -i 3600 run true
	holds_file() {
		starter=$(tr -d ' ' <"/proc/$job/task/$job/children") && readlink "/proc/$starter/fd/"* | grep -qxF "$PWD/repeatd.pid"
	}
	wait_until 10 holds_file ||
		fail "repeatd run, held up at its lock" "  expected: it has repeatd.pid open" "  came:     it has not" \
			"  stderr:   $(<job.err)" "  see:      $lock"
	: >new
	mv new repeatd.pid
	wait_until 10 grep -qx "$starter" repeatd.pid || fail "the new file" "  expected: $starter" \
		"  came:     $(cat repeatd.pid)" "  stderr:   $(<job.err)" "  see:      $lock"
	exits 0 repeatd status
	expect "status" "running, pid $starter" "$out" "$lock"
}

# == Who is running? ==
# What stands in the file proves nothing: the pid may be gone, or somebody else's by now. Only who holds the lock
# runs, and only who holds it may write the file. A child that inherits the lock holds it too: FD_CLOEXEC.

@test "what a leftover pid file says changes nothing: start works and writes its own pid" {
	local text
	beside sleep 60
	for text in '' garbage '\n' 0 -1 1 "$job" "$job\n" "$$\n" 99999999999999999999 '123 456\n' '\0\0\0\0'; do
		# shellcheck disable=SC2059 # the texts are formats
		printf -- "$text" >repeatd.pid
		exits 0 repeatd -i 3600 start true || fail "  when the pid file held: '$text'"
		daemon=${out##* }
		expect "after '$text' the pid file" "$daemon" "$(<repeatd.pid)" "$lock"
		exits 0 repeatd stop
	done
	head -c 1000000 /dev/urandom >repeatd.pid
	launched -i 3600 start true
	expect "after much noise the pid file's size" "$((${#daemon} + 1))" "$(stat -c %s repeatd.pid)" "$lock"
}

@test "after KILL, the next start works at once" {
	launched -i 3600 start true
	kill -KILL "$daemon"
	gone "$daemon" "the killed daemon"
	old=$daemon
	launched -i 3600 start true
	expect "the pid file" "$daemon" "$(<repeatd.pid)" "$lock"
	[[ $daemon != "$old" ]] || fail "no new daemon"
}

# Hint: A lock by flock(2) belongs to the open file, and a child that inherits it keeps it: O_CLOEXEC in open(2).
@test "a COMMAND that outlives the daemon does not hold its lock" {
	launched -i 3600 start setsid sh -c 'echo $$ >"$HERE/pid"; exec sleep 60'
	wait_until 10 test -s pid
	kill -KILL "$daemon"
	gone "$daemon" "the killed daemon"
	launched -i 3600 start true
	exits 0 repeatd status
	expect "status" "running, pid $daemon" "$out" "$lock"
}

@test "garbage written into the file under a running daemon changes nothing for status, start and stop" {
	launched -i 3600 start true
	beside sleep 60
	echo "$job" >repeatd.pid
	exits 0 repeatd status
	expect "status" "running, pid $daemon" "$out" "$lock"
	exits 1 repeatd -i 3600 start true
	expect "start" "repeatd: already running, pid $daemon" "$err" "$lock"
	exits 0 repeatd stop
	expect "stop" "stopped, pid $daemon" "$out" "$lock"
	lives "$job" "the process that the file names" "$lock"
}

# == The file ==
# A name can lead anywhere. open(2) with O_NOFOLLOW and O_NONBLOCK, then fstat(2) on what was opened: a regular
# file, ours, with one name? Refuse it before the first write.

# refused PIDFILE: start, run and stop refuse it, status cannot tell; no one hangs, no one lives.
refused() {
	exits 1 timeout $((5 * SLOWER)) repeatd -p "$1" -i 3600 start true
	expect_like "message" "^repeatd: .*$1" "$err" "$file"
	exits 1 timeout $((5 * SLOWER)) repeatd -p "$1" -n 1 run true
	exits 1 timeout $((5 * SLOWER)) repeatd -p "$1" stop
	exits 4 timeout $((5 * SLOWER)) repeatd -p "$1" status
	expect_like "message of status" "^repeatd: .*$1" "$err" "$file"
	nobody_left || fail "left behind: $(marked_pids)"
}

@test "a pid file that is a symbolic link is refused, and its target left alone" {
	echo precious >target
	ln -s target x.pid
	refused x.pid
	expect "the target" precious "$(<target)" "$file"
	[[ -L x.pid ]] || fail "the link is gone"
}

@test "a pid file that is a dangling link is refused, and its target not made" {
	ln -s target x.pid
	refused x.pid
	absent target "$file"
}

@test "a pid file that is a FIFO is refused, and nobody hangs" {
	mkfifo x.pid
	refused x.pid
	[[ -p x.pid ]] || fail "the FIFO is gone"
}

@test "a pid file that is a directory is refused" {
	mkdir x.pid
	refused x.pid
	[[ -d x.pid ]] || fail "the directory is gone"
}

@test "a pid file with a second name is refused, and its text left alone" {
	echo precious >target
	ln target x.pid
	refused x.pid
	expect "the other name" precious "$(<target)" "$file"
}

@test "a pid file of another user is refused, and its text left alone" {
	needs_root
	echo precious >x.pid
	chown 65534 x.pid
	refused x.pid
	expect "the file" precious "$(<x.pid)" "$file"
}

@test "a pid file that is a device is refused, and stays" {
	needs_root
	mknod x.pid c 1 3 || skip "no device nodes here"
	refused x.pid
	[[ -c x.pid ]] || fail "the device is gone"
}

# == The file ==
# Say what failed and why, as in 'repeatd: open x.pid: No such file or directory' (strerror(3)), leave with 1, and
# undo what was made on the way: no file and no process of a failed start may stay.

@test "a pid file in a directory that is not there: start says so and leaves with 1" {
	exits 1 repeatd -p none/x.pid -i 3600 start true
	expect_like "message" '^repeatd: .*none/x\.pid.*: No such file' "$err" "$file"
}

@test "a pid file in a directory that we may not write to: start says so and leaves with 1" {
	((EUID != 0)) || skip "root may write everywhere"
	mkdir -m 555 closed
	exits 1 repeatd -p closed/x.pid -i 3600 start true
	expect_like "message" '^repeatd: .*closed/x\.pid.*: Permission denied' "$err" "$file"
}

@test "a pid file on a full disk: start says so, leaves with 1, and no daemon and no empty file stay" {
	needs_namespace -m
	mkdir full
	exits 1 "${apart[@]}" sh -c '
		mount -t tmpfs -o size=4k none full && echo filled >full/fill || exit 99
		repeatd -p full/x.pid -i 3600 start true; came=$?; ls full >&2; exit $came'
	expect_like "message and the names left" '^repeatd: .*x\.pid.*: No space left on device'$'\n''fill$' "$err" "$file"
	nobody_left || fail "left behind: $(marked_pids)"
}

@test "a log that cannot be opened: start says so, leaves with 1, and no pid file stays" {
	exits 1 repeatd -o none/x.log -i 3600 start true
	expect_like "message" '^repeatd: .*none/x\.log.*: No such file' "$err" "$file"
	absent repeatd.pid "$file"
}

@test "a directory for -C that is not there: start says so, leaves with 1, and no pid file stays" {
	exits 1 repeatd -C none -i 3600 start true
	expect_like "message" '^repeatd: .*none.*: No such file' "$err" "$file"
	absent repeatd.pid "$file"
}

@test "a fork that fails: start says so, leaves with 1, and no pid file stays" {
	needs_own_calls
	exits 1 strace -f -o /dev/null -e inject=fork,vfork,clone,clone3:error=EAGAIN repeatd -i 3600 start true
	expect_like "message" '^repeatd: .*: Resource temporarily unavailable' "$err" "$verbs"
	absent repeatd.pid "$file"
}

# == The file ==
# The owner removes its file while it still holds the lock, and only if the name still means that file: compare
# st_dev and st_ino of stat(2) and fstat(2). The same look at each beat tells that the file is gone.

@test "the pid file is removed at a normal end" {
	exits 0 repeatd -n 1 run sh -c 'cp "$HERE/repeatd.pid" "$HERE/was"'
	absent repeatd.pid "$file"
	test -s was || fail "there was no pid file while it ran" "  see:      $file"
}

@test "a daemon whose pid file is deleted notices at its next beat, says so and stops" {
	launched -i 0.2 start true
	rm repeatd.pid
	gone "$daemon" "the daemon without its file" "$file"
	logged 1 'repeatd\[[0-9]+\]: .*(pid file|repeatd\.pid)' "$file"
}

# Hint: To look is stat(2) by the name, not open(2) with O_CREAT.
@test "a daemon whose pid file is deleted does not make it again" {
	launched -i 0.1 start true
	rm repeatd.pid
	gone "$daemon" "the daemon without its file" "$file"
	absent repeatd.pid "$file"
}

@test "a daemon whose pid file is replaced stops and leaves the other file alone" {
	launched -i 0.2 start true
	echo 12345 >other
	mv other repeatd.pid
	gone "$daemon" "the daemon with another's file" "$file"
	expect "the other file" 12345 "$(cat repeatd.pid)" "$file"
}

# Hint: Unlink only what is yours: the name may mean the other's file by now. A look, then an unlink, both under the
# lock.
@test "of two daemons, one with a deleted file, the new one stays and keeps its file" {
	launched -i 0.2 start true
	old=$daemon
	freeze "$old" # it shall not notice before the new one is there
	rm -f repeatd.pid repeatd.ctl # from stage 5 on it has a FIFO, which is not taken from it while it has its name
	launched -i 3600 start true
	kill -CONT "$old"
	gone "$old" "the old daemon" "$file"
	exits 0 repeatd status
	expect "status" "running, pid $daemon" "$out" "$file"
	expect "the pid file" "$daemon" "$(<repeatd.pid)" "$file"
}

# Hint: Whoever removes the name must hold the lock: unlink first, then close. And whoever starts looks again, once it
# has the lock: is the file that it has locked still the one of that name?
@test "a start in the moment in which another ends keeps its file" {
	needs_own_calls
	# the one that ends is held up where it removes its file: a start is refused there, or it works
	beside strace -o /dev/null -e trace=unlink,unlinkat -e inject=unlink,unlinkat:delay_enter=400000 repeatd -n 1 run true
	wait_until 10 test -s repeatd.pid
	starts() { repeatd -i 3600 start true >.out 2>.err </dev/null 3>&- 4>&-; }
	wait_until 10 starts ||
		fail "a start after that one has ended" "  expected: it gets the lock" "  came:     $(<.err)" "  see:      $file"
	ended 0
	daemon=$(sed 's/.* //' .out)
	expect "the pid file" "$daemon" "$(cat repeatd.pid 2>&1)" "$file"
	exits 0 repeatd status
	expect "status" "running, pid $daemon" "$out" "$file"
}

# == Stop ==
# Send TERM to who holds the lock, not to whom the file names, and wait for the lock, not for the pid:
# F_SETLKW and F_OFD_SETLKW in fcntl(2) sleep until it is free, pidfd_open(2) and poll(2) until a process has ended.

@test "stop ends the daemon, says 'stopped, pid N', and leaves with 0" {
	launched -i 3600 start true
	exits 0 repeatd stop
	expect "words" "stopped, pid $daemon" "$out" "$stopping"
	gone "$daemon" "the daemon" "$stopping"
}

# Hint: What is asked for holds already: 0. And who only asks opens without O_CREAT; ENOENT is an answer, too: open(2).
@test "stop where nothing runs says 'not running', leaves with 0 and makes no file" {
	exits 0 repeatd stop
	expect "words" "not running" "$out" "$stopping"
	expect "files" "" "$(ls)" "$stopping"
}

@test "stop does not believe a stale pid file: the process that it names lives on" {
	beside sleep 60
	echo "$job" >repeatd.pid
	exits 0 repeatd stop
	expect "words" "not running" "$out" "$stopping"
	lives "$job" "the process that the file names" "$stopping"
}

# Hint: Who only asks opens with O_RDONLY, writes nothing, removes nothing: the next start may have the file already.
@test "stop and status leave a stale pid file alone" {
	echo 12345 >repeatd.pid
	faces repeatd.pid >before
	exits 0 repeatd stop
	exits 1 repeatd status
	expect "the stale file: name, inode, names, mode, size, times of change; text" "$(<before)" \
		"$(faces repeatd.pid)" "$file"
}

# got_term: stop, beside the test, has sent TERM to the daemon, which cannot take it yet.
got_term() {
	wait_until 10 pending "$daemon" 15 ||
		fail "signals that stop sends" "  expected: TERM to process $daemon, the daemon" "  came:     none" \
			"  stderr:   $(<job.err)" "  see:      $stopping"
}

# held: a daemon that takes no signal until it is continued, and a stop that waits for it, $job.
held() {
	launched -i 3600 start true
	wait_until 5 in_state S "$daemon"
	freeze "$daemon"
	beside repeatd "$@" stop
	got_term
}

@test "stop returns only after the daemon is gone" {
	held
	exits 0 repeatd status # time for a stop that does not wait
	lives "$job" "stop, while the daemon lives" "$stopping"
	kill -CONT "$daemon"
	ended 0 "$stopping"
	gone "$daemon" "the daemon"
}

@test "stop returns within milliseconds of the death" {
	held
	wait_until 5 in_state S "$job"
	kill -CONT "$daemon"
	timed wait "$job"
	took "from the death to the return" 0 400 "$stopping"
}

# Hint: After -t seconds comes KILL, and then the wait for the death goes on. alarm(2), poll(2) have time limits.
@test "a daemon that does not take TERM is killed after -t seconds, and stop leaves with 0" {
	launched -i 3600 start true
	freeze "$daemon"
	timed exits 0 repeatd -t 0.4 stop
	took "stop -t 0.4" 400 3000 "$stopping"
	gone "$daemon" "the daemon" "$stopping"
}

# Hint: A loop of kill(pid, 0) and sleep is polling. Which call sleeps until somebody else has ended?
@test "stop waits in one blocking call and polls nothing" {
	needs_own_calls
	launched -i 3600 start true
	freeze "$daemon"
	exits 0 strace -f -o calls repeatd -t 1 stop
	sed -n '/kill.*SIGTERM\|send_signal.*SIGTERM/,/kill.*SIGKILL\|send_signal.*SIGKILL/p' calls >waiting
	has_lines 2 waiting ||
		fail "signals that stop -t 1 sends" "  expected: SIGTERM, then SIGKILL, by kill(2) or pidfd_send_signal(2)" \
			"  came:     $(grep -E 'kill|send_signal' calls)" "  see:      $stopping"
	(($(lines waiting) < 24)) ||
		fail "system calls from TERM to KILL" "  expected: fewer than 24" "  came:     $(lines waiting):" \
			"$(<waiting)" "  see:      $stopping"
}

# Hint: TERM must reach the daemon while it waits for COMMAND, too: a handler that only sets a flag, before a wait that
# begins again, is deaf until COMMAND ends. And stop waits for the daemon, not for what COMMAND holds open.
@test "stop returns at once although COMMAND runs long" {
	launched -i 3600 start sh -c ': >"$HERE/up"; exec sleep 60'
	wait_until 10 test -e up || fail "COMMAND does not run" "  log:      $(<repeatd.log)"
	timed exits 0 repeatd stop
	took "stop" 0 2000 "$stopping"
}

# == A zombie fools nobody ==
# kill(pid, 0) succeeds for a zombie: it is dead, but nobody has waited for it. It holds no lock any more.

@test "a zombie does not fool stop, status or start, where the parent never waits" {
	beside sh -c 'repeatd -i 3600 run true & exec sleep 60'
	wait_until 10 test -s repeatd.pid
	exits 0 repeatd status
	daemon=${out##* }
	timed exits 0 timeout $((4 * SLOWER)) repeatd stop
	took "stop" 0 2000 "$stopping"
	wait_until 5 in_state Z "$daemon"
	code=0
	repeatd status 3>&- >/dev/null || code=$?
	expect_like "code of status" '^[13]$' "$code" "$lock"
	launched -i 3600 start true
}

# == Stop ==
# Who waits for a lock must never be taken for who holds it: what does F_GETLK in fcntl(2) say while stop waits?
# And stop, when it gets the lock, must not keep it.

# Hint: A start does not queue up behind the stop: F_SETLK answers at once, F_SETLKW waits. And N is whom F_GETLK names:
# fcntl(2).
@test "a start while a stop waits is told who holds the lock" {
	held -t 60
	exits 1 repeatd -i 3600 start true
	expect "message" "repeatd: already running, pid $daemon" "$err" "$lock"
	lives "$job" "the stop that waits"
}

@test "a start in the instant of the death is never told the pid of stop" {
	for _ in 1 2 3 4 5 6; do
		launched -i 3600 start true
		old=$daemon
		beside repeatd stop
		: >words
		until repeatd -i 3600 start true >new 2>>words </dev/null 3>&-; do :; done
		ended 0
		[[ -z $(<words) ]] || expect "messages" "repeatd: already running, pid $old" "$(sort -u words)" "$lock"
		exits 0 repeatd stop
	done
}

# Hint: Here the lock alone misleads, for it is never seen free. Remember whom you sent TERM: has that process ended
# (pidfd_open(2)), or is it another pid that holds the lock now?
@test "stop is done when its daemon has gone, though another took the lock in the same instant" {
	launched -i 3600 start true
	freeze "$daemon"
	beside repeatd -t 20 stop
	got_term
	freeze "$job"
	kill -KILL "$daemon"
	gone "$daemon" "the daemon after KILL" "$stopping"
	launched -i 3600 start true
	kill -CONT "$job"
	ended 0 "$stopping"
	lives "$daemon" "the new daemon" "$stopping"
}

# Hint: That another was faster is no failure: ESRCH of kill(2), ENOENT of open(2) and a lock that is free all mean that
# nothing is left to stop.
@test "of ten parallel stops each leaves with 0" {
	launched -i 3600 start true
	crowd 10 stop
	expect "exit codes of the stops" 0 "$(sort -u s.*.code)" "$stopping" || fail "  stderr:   $(complaints)"
}

# == The verbs ==
# restart is stop, then start, and bad usage must show before the stop. Two at once: only one may win.

@test "restart from running: the old daemon is gone, a new one runs" {
	launched -i 3600 start true
	old=$daemon
	launched -i 3600 restart true
	gone "$old" "the old daemon" "$verbs"
	exits 0 repeatd status
	expect "status" "running, pid $daemon" "$out" "$verbs"
	[[ $daemon != "$old" ]] || fail "no new daemon"
}

# Hint: That nothing runs is no failure of the stop: go on to the start.
@test "restart from stopped starts" {
	launched -i 3600 restart true
	exits 0 repeatd status
	expect "status" "running, pid $daemon" "$out" "$verbs"
}

# Hint: Restart is stop, with all its waiting, and then start.
@test "restart waits for the old daemon's end, and KILL comes after -t" {
	launched -i 3600 start true
	old=$daemon
	freeze "$old"
	timed launched -t 0.4 -i 3600 restart true
	took "restart -t 0.4" 400 3000 "$stopping"
	gone "$old" "the old daemon" "$verbs"
	[[ $daemon != "$old" ]] || fail "no new daemon"
}

# Hint: The stop in it asks the lock, as stop does: the pid in the file may be a stranger's by now.
@test "restart over a stale pid file starts" {
	beside sleep 60
	echo "$job" >repeatd.pid
	launched -i 3600 restart true
	lives "$job" "the process that the file names" "$lock"
}

@test "restart without COMMAND leaves with 2 and the running daemon alone" {
	launched -i 3600 start true
	exits 2 repeatd restart
	exits 0 repeatd status
	expect "status" "running, pid $daemon" "$out" "$verbs"
}

@test "of ten parallel restarts one daemon is left" {
	launched -i 3600 start true
	crowd 10 -i 3600 restart true
	only_one_daemon 10
}

# == The verbs ==
# The lock tells running from dead, and the file tells dead (1) from not running (3); what cannot be asked is 4.
# status only looks: it makes no file and takes no lock that a start could trip over.

@test "status of a running daemon is 0 and 'running, pid N'" {
	launched -i 3600 start true
	exits 0 repeatd status
	expect "words" "running, pid $daemon" "$out" "$verbs"
}

@test "status after KILL is 1 and 'dead, but the pid file remains'" {
	launched -i 3600 start true
	kill -KILL "$daemon"
	gone "$daemon" "the killed daemon"
	exits 1 repeatd status
	expect "words" "dead, but the pid file remains" "$out" "$verbs"
}

@test "status where nothing runs is 3 and 'not running', and makes no file" {
	exits 3 repeatd status
	expect "words" "not running" "$out" "$verbs"
	expect "files" "" "$(ls)" "$verbs"
}

@test "status that cannot tell is 4, with the reason on standard error" {
	mkdir x.pid
	exits 4 repeatd -p x.pid status
	expect_like "message" '^repeatd: .*x\.pid.*: .' "$err" "$verbs"
	expect "stdout" "" "$out" "$verbs"
}

# == The verbs ==
# run is the same program in the foreground: the same lock, file and log, but no fork, and no session of its own.

@test "run stays in the foreground: it is our child, and its pid is in the file" {
	foreground -i 3600 run true
	expect "the pid file" "$job" "$(<repeatd.pid)" "$verbs"
	expect "session" "$(stat_field $$ 6)" "$(stat_field "$job" 6)" "$verbs"
}

@test "run logs to repeatd.log" {
	exits 0 repeatd -n 1 run echo beat
	expect "beats in the log" 1 "$(lines repeatd.log 'beat$')" "$verbs"
}

# Hint: - is no file name here: open nothing, and COMMAND's 1 and 2 are your 2.
@test "-o - logs to standard error" {
	exits 0 repeatd -o - -n 1 run sh -c 'echo beat >&2'
	expect_like "stderr" 'beat' "$err" "$verbs"
	expect "files left" "" "$(ls)" "$verbs"
}

@test "stop and status know what run runs" {
	foreground -i 3600 run true
	exits 0 repeatd status
	expect "status" "running, pid $job" "$out" "$verbs"
	exits 0 repeatd stop
	gone "$job" "the process in the foreground" "$verbs"
}

# == The timetable ==
# Sleep until a point in time, not for a length: clock_nanosleep(2) with TIMER_ABSTIME and CLOCK_MONOTONIC. What
# is the next k x interval that is not over yet, when COMMAND took longer than one?

# paced: how long $every is, how far off a beat may be ($slack: generous, but a drift shows),
# and how $long two and a half of them are.
paced() { if ((SLOWER == 1)); then every=1 slack=0.6 long=2.5; else every=2 slack=1.2 long=5; fi; }

# beats_at K1 K2 ...: run number n was at t0 + Kn x $every, give or take $slack.
beats_at() {
	awk -v every="$every" -v slack="$slack" -v want="$*" '
		BEGIN { split(want, k, " ") }
		NR == 1 { t0 = $1 }
		{ off = $1 - t0 - k[NR] * every }
		off > slack || off < -slack {
			if (!bad++) print "when COMMAND was run"
			printf "  expected: run %d at t0 + %g s, give or take %g s\n", NR, k[NR] * every, slack
			printf "  came:     t0 + %.3f s\n", $1 - t0
		}
		END { if (NR == 0) print "COMMAND never ran"; exit bad || NR == 0 }' starts || fail "  see:      $timetable"
}

@test "beat k is at t0 + k x interval: the time that COMMAND takes is no drift" {
	paced
	exits 0 repeatd -i "$every" -n 4 run sh -c 'date +%s.%N >>"$HERE/starts"; sleep 0.45'
	beats_at 0 1 2 3
}

@test "a beat that is missed is skipped, not made up for" {
	paced
	exits 0 repeatd -i "$every" -n 3 run sh -c '
		date +%s.%N >>"$HERE/starts"
		[ "$(wc -l <"$HERE/starts")" -gt 1 ] || sleep "$0"' "$long"
	beats_at 0 3 4
}

# Hint: Wait for its end, waitpid(2), before you think of the next beat.
@test "a slow COMMAND never runs twice at once" {
	exits 0 repeatd -i 0.02 -n 6 run sh -c 'mkdir "$HERE/busy" || echo two >"$HERE/overlap"; sleep 0.07; echo x >>"$HERE/beats"; rmdir "$HERE/busy"'
	expect "runs" 6 "$(lines beats)" "$timetable"
	absent overlap "$timetable"
}

# Hint: Count the starts of COMMAND, and look at the count before each of them, the first one too.
@test "-n is exact" {
	exits 0 repeatd -i 0.01 -n 7 run sh -c 'echo x >>"$HERE/beats"'
	expect "runs" 7 "$(lines beats)" "$timetable"
}

# Hint: Count the runs that were made, not the beats that went by.
@test "-n is exact although a COMMAND is slow and beats are missed" {
	exits 0 repeatd -i 0.02 -n 4 run sh -c 'echo x >>"$HERE/beats"; sleep 0.05'
	expect "runs" 4 "$(lines beats)" "$timetable"
}

# Hint: No -n is no count at all. What is your default for it, and does it come to an end?
@test "without -n it goes on" {
	launched -i 0.01 start sh -c 'echo x >>"$HERE/beats"'
	ran 20 10 "$timetable"
	lives "$daemon" "the daemon" "$timetable"
}

# Hint: With an interval of 0 no beat is ever missed, and nothing may be divided by it. No sleep, but still one COMMAND
# after the other.
@test "-i 0 runs back to back, one at a time" {
	local beat='mkdir "$HERE/busy" || echo two >"$HERE/overlap"; echo x >>"$HERE/beats"; rmdir "$HERE/busy"' came alone
	timed exits 0 repeatd -i 0 -n 50 run sh -c "$beat"
	expect "runs" 50 "$(lines beats)" "$timetable"
	absent overlap "$timetable"
	came=$ms
	# what the same takes without a daemon, here and now
	timed eval 'for _ in {1..50}; do sh -c "$beat"; done'
	alone=$ms ms=$came
	took "50 runs" 0 $((3 * alone + 2000)) "$timetable"
}

# Hint: The first beat is number 0, at t0 itself: first run, then sleep.
@test "the first beat is at once" {
	launched -i 3600 start echo beat
	logged 1 'beat$' "$timetable"
}

# Hint: The default of -i, as repeatd.1 and -h say it, counted from start to start.
@test "the second beat is 5 seconds after the first without -i" {
	only_stage 3 "it takes five seconds, and the timetable is stage 3's"
	launched -n 2 start sh -c 'date +%s.%N >>"$HERE/starts"'
	wait_until 10 has_lines 2 starts
	every=5 slack=1
	beats_at 0 1
}

# == The timetable ==
# A COMMAND that fails is news for the log and no reason to stop: WIFEXITED, WIFSIGNALED in wait(2). What exec could
# not do is said by the child. Every child must be waited for.

@test "a COMMAND that fails is noted in the log, and the next beat comes" {
	launched -i 0.05 start sh -c 'exit 7'
	logged 2 'repeatd\[[0-9]+\]: .*7' "$timetable"
}

@test "a COMMAND that a signal kills is noted in the log, and the next beat comes" {
	launched -i 0.05 start sh -c 'kill -KILL $$'
	logged 2 'repeatd\[[0-9]+\]: .*(9|[Kk]ill|KILL)' "$timetable"
}

@test "a COMMAND that is not there is noted in the log, and the next beat comes" {
	launched -i 0.05 start ./no-such-command
	logged 2 'no-such-command.*No such file' "$timetable"
}

@test "a COMMAND that cannot be executed is noted in the log, and the next beat comes" {
	echo data >data
	launched -i 0.05 start ./data
	logged 2 'data.*Permission denied' "$timetable"
}

# Hint: Look for COMMAND anew at each beat; the execve(2) of the child does so by itself. What start found, or did not
# find, says nothing about later.
@test "a COMMAND that appears later is found at the next beat" {
	launched -i 0.05 start ./late
	logged 1 'late'
	printf '#!/bin/sh\necho here at last\n' >new
	chmod +x new
	mv new late
	logged 1 'here at last$' "$timetable"
}

# Hint: The exit code of repeatd says how repeatd fared, not how COMMAND did.
@test "run leaves with 0 after its last beat, whatever COMMAND's exit code" {
	exits 0 repeatd -i 0 -n 2 run sh -c 'echo x >>"$HERE/beats"; exit 1'
	expect "runs" 2 "$(lines beats)" "$timetable"
}

@test "many runs leave no descriptor open and no zombie behind" {
	launched -i 0 start sh -c 'echo x >>"$HERE/beats"; [ "$(wc -l <"$HERE/beats")" -lt 40 ] || exec sleep 60'
	ran 2 10 "$timetable"
	ran 40 20 "$timetable"
	(($(find "/proc/$daemon/fd" -type l | wc -l) < 20)) ||
		fail "descriptors of the daemon after 40 runs" "  expected: fewer than 20" "  came:     $(ls -l "/proc/$daemon/fd")"
	no_zombies_of "$daemon" ||
		fail "zombies of the daemon" "  expected: none" "  came:     $(zombies_of "$daemon")"
}

# == What is still wrong ==
# Stage 3 catches no signal, and so these faults are its promise; stage 4 mends them. A program that catches TERM or
# HUP, or opens its log anew, is further than this already.

mended="stage 4 mends it"

@test "wrong in stage 3: TERM kills without cleaning up, the file stays, status says 1" {
	only_stage 3 "$mended"
	launched -i 3600 start true
	kill -TERM "$daemon"
	gone "$daemon" "the daemon"
	exits 1 repeatd status
	expect "the file" "$daemon" "$(<repeatd.pid)" "$wrong"
}

@test "wrong in stage 3: run dies of TERM" {
	only_stage 3 "$mended"
	foreground -i 3600 run true
	kill -TERM "$daemon"
	ended 143 "$wrong"
}

# Hint: Stage 3 does not look after COMMAND at its own end. To end it too, by its process group or by PR_SET_PDEATHSIG
# of prctl(2), is further than this already.
@test "wrong in stage 3: the COMMAND that ran lives on after stop" {
	only_stage 3 "$mended"
	launched -i 3600 start sh -c 'echo $$ >"$HERE/new"; mv "$HERE/new" "$HERE/pid"; exec sleep 60'
	wait_until 10 test -s pid
	exits 0 repeatd stop
	gone "$daemon" "the daemon"
	lives "$(<pid)" "the lost COMMAND" "$wrong"
}

@test "wrong in stage 3: after mv the daemon goes on writing to the moved log" {
	only_stage 3 "$mended"
	launched -i 0.05 start echo beat
	logged 1 'beat$'
	mv repeatd.log moved.log
	before=$(lines moved.log)
	wait_until 10 has_lines $((before + 2)) moved.log
	absent repeatd.log "$wrong"
}

@test "wrong in stage 3: HUP, with which one would ask for a new log, kills it" {
	only_stage 3 "$mended"
	launched -i 3600 start true
	kill -HUP "$daemon"
	gone "$daemon" "the daemon" "$wrong"
}
