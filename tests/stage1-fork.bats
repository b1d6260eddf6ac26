# Stage 1: forkoff COMMAND [ARG...]
# The first half is what forkoff promises, the second what is still wrong with it: stage 2 turns each of those round.
#
# shellcheck disable=SC2154 # code, out, err and pid come from lib/common
# shellcheck disable=SC2016 # what stands in single quotes is for another shell
# shellcheck disable=SC2030,SC2031 # every test is a process of its own

load lib/common
setup() { stage 1; }
teardown() { clean_up; }
setup_file() {
	# A launcher that does not return must not hold up the others.
	time_limit 15
}

SEE="stage1-fork/README.md, What you should see"
WRONG="stage1-fork/README.md, What is still wrong"

# all_end: waits until no process of this test is left.
all_end() {
	wait_until 10 nobody_left || fail "processes that have not ended" "  expected: none" \
		"  came:     $(ps -o pid=,stat=,args= -p "$(marked_pids | paste -sd ,)")" "  see:      $SEE"
}

# == The code ==
# fork(2) returns twice: the parent gets the pid of the child, prints it and leaves; the child
# executes COMMAND with execvp(3), which takes COMMAND and its arguments just as they came.

@test "forkoff prints the pid of COMMAND and a newline on stdout, nothing else" {
	launch forkoff
	expect "stdout, with a dot behind its end" "$pid"$'\n.' "$(cat .out && echo .)" "$SEE"
}

@test "forkoff leaves with 0 while COMMAND still runs" {
	launch forkoff
	alive "$pid" || fail "COMMAND (pid $pid) has ended with forkoff" "  see:      $SEE"
}

@test "forkoff has nothing to say on stderr when all goes well" {
	launch forkoff
	expect "stderr" "" "$(<.err)" "$SEE"
}

@test "COMMAND gets its arguments unchanged, also empty ones and those that look like options" {
	exits 0 forkoff sh -c 'printf "<%s>" "$@" >said.new; mv said.new said' sh -h '' 'two  words' '*' -- $'new\nline'
	wait_until 10 test -e said
	expect "arguments" $'<-h><><two  words><*><--><new\nline>' "$(<said)" "$SEE"
}

# Hint: Who parses options with getopt(3) has this for nothing. COMMAND's own options are COMMAND's.
@test "-- ends the options of forkoff" {
	launch forkoff --
	expect "pid" "$pid" "$out" "$SEE"
}

# Hint: execve(2) knows no PATH; execvp(3) does.
@test "COMMAND is looked up in PATH" {
	mkdir bin
	printf '#!/bin/sh\n%s\n' "$STAY" >bin/a-command-of-ours
	chmod +x bin/a-command-of-ours
	PATH=$PWD/bin:$PATH exits 0 forkoff a-command-of-ours
	is_up
	expect "pid" "$pid" "$out" "$SEE"
}

@test "COMMAND with a slash is taken as a path" {
	printf '#!/bin/sh\n%s\n' "$STAY" >program
	chmod +x program
	exits 0 forkoff ./program
	is_up
	expect "pid" "$pid" "$out" "$SEE"
}

# == Zombie and orphan ==
# When the parent has left, the child belongs to init. A parent that waits for COMMAND keeps it: wait(2).

@test "the orphan gets a new parent: init or the nearest subreaper" {
	launch forkoff
	expect "parent of COMMAND" "$(orphans_parent)" "$(stat_field "$pid" 4)" "$SEE"
}

# == What you should see ==
# Bad usage and failures of forkoff itself are 125, with the reason on stderr. Look at the result of every
# call, also of those that print: a full disk shows when the buffer is written, fflush(3).

@test "forkoff without COMMAND is bad usage: exit 125" {
	exits 125 forkoff
	expect_like "stderr" 'forkoff' "$err" "$SEE"
	expect "stdout" "" "$out" "$SEE"
}

# Hint: What begins with - before COMMAND is an option of yours, and one that you do not know is a mistake:
# say so and leave, before the fork.
@test "an unknown option is bad usage: exit 125, and COMMAND does not run" {
	exits 125 forkoff -x touch ran
	expect "files made" "" "$(ls)" "$SEE"
}

# Hint: Help that was asked for is an answer, not an error: it goes to stdout, with 0. On stderr, with 125, only
# who made a mistake gets it. It begins as the usage in the chapter does.
@test "-h prints help on stdout and exits 0" {
	exits 0 forkoff -h
	expect_like "stdout" 'forkoff.*COMMAND' "$out" "$SEE"
	expect "stderr" "" "$err" "$SEE"
}

# Hint: The program's name and then a number, on stdout. A parser of options may use -V, or -v, otherwise by itself.
@test "-V prints the version on stdout and exits 0" {
	exits 0 forkoff -V
	expect_like "stdout" '^forkoff.*[0-9]' "$out" "$SEE"
	expect "stderr" "" "$err" "$SEE"
}

# Hint: A fork has three results, and -1 is one of them: fork(2), ERRORS.
@test "a fork that fails is told: exit 125, no pid, and the reason" {
	needs_strace
	exits 125 broken_by fork,vfork,clone,clone3:error=EAGAIN forkoff touch ran
	expect "stdout" "" "$out" "$SEE"
	expect_like "stderr" '^forkoff: .+: .+' "$err" "$SEE"
}

@test "a pid that cannot be printed is a failure of forkoff: exit 125" {
	exits 125 from 'exec >/dev/full' forkoff true
	expect_like "stderr" '^forkoff: .+: .+' "$err" "$SEE"
}

# Hint: Which settings of signals survive an exec: execve(2), signal(7)? wait(2), NOTES, says when the kernel reaps
# children unseen. It may be you who set it, or your language for you: SigIgn in /proc/PID/status.
@test "COMMAND learns how its own children end" {
	# Who inherits an ignored SIGCHLD has its children reaped unseen: wait(2). Not from a shell, which may change that.
	exits 0 forkoff "$PYTHON" -c 'import os
pid = os.fork() or os._exit(7)
try: code = os.waitpid(pid, 0)[1] >> 8
except OSError as error: code = "wait says: " + error.strerror
os.symlink(str(code), "code")'
	all_end
	expect "exit code of a child of COMMAND, as COMMAND gets it by wait(2)" 7 "$(readlink code || cat .err)" "$SEE"
}

# == `_exit` against `exit` ==
# When exec fails there are still two processes, and both have what stdio had not written yet. What does
# exit(3) do with it, and what does _exit(2) not do?

# Hint: A failed exec returns, in the child. What it says begins with forkoff: and ends with the reason: errno,
# strerror(3). Nothing of yours may run in the child after that.
@test "the child says why it cannot execute COMMAND, and ends" {
	exits 0 forkoff /no/such/command
	all_end
	expect_like "stderr" '^forkoff: .*/no/such/command: .+' "$(<.err)" "$SEE"
}

@test "the pid is printed once, not a second time by a child that cannot execute COMMAND" {
	exits 0 forkoff /no/such/command
	all_end
	expect_like "stdout" '^[0-9]+$' "$(<.out)" "$SEE"
}

# == What is still wrong ==
# This stage does nothing but fork and exec, and its faults are promised too: stage 2 mends them. A library or a
# language that closes, resets or waits for something behind your back does more than that.

@test "still wrong: COMMAND stays in the launcher's session" {
	launch forkoff
	expect "session" "$(stat_field "$BASHPID" 6)" "$(stat_field "$pid" 6)" "$WRONG"
}

@test "still wrong: COMMAND keeps the launcher's terminal" {
	printf '#!/bin/sh\nps -o tty= -p $$ >new && mv new its\n' >tell
	chmod +x tell
	on_terminal 'ps -o tty= -p $$ >ours; forkoff ./tell; until [ -e its ]; do sleep 0.02; done' ||
		fail "COMMAND, ./tell, was not seen to run on a terminal; there stood:" "$(<.terminal)" "  see:      $WRONG"
	expect_like "terminal of the launcher" pts "$(<ours)" "$WRONG"
	expect "terminal of COMMAND" "$(<ours)" "$(<its)" "$WRONG"
}

@test "still wrong: COMMAND keeps stdin, stdout and stderr" {
	# not /dev/null, which a launcher may open by itself
	launch from 'exec </dev/zero' forkoff
	expect "descriptors 0, 1 and 2" "/dev/zero"$'\n'"$PWD/.out"$'\n'"$PWD/.err" \
		"$(readlink "/proc/$pid/fd/"[012])" "$WRONG"
}

@test "still wrong: COMMAND keeps every other descriptor" {
	exec 120</dev/zero
	launch forkoff
	expect "descriptor 120 of COMMAND" /dev/zero "$(readlink "/proc/$pid/fd/120")" "$WRONG"
}

@test "still wrong: a command substitution with forkoff hangs until COMMAND ends" {
	mkfifo pipe
	forkoff sleep 60 >pipe 3>&- &
	local launcher=$!
	exec 5<pipe
	wait_until 10 dead "$launcher" || fail "forkoff does not return before COMMAND has ended" "  see:      $WRONG"
	wait "$launcher" || fail "exit code of: forkoff sleep 60 >pipe" "  expected: 0" "  came:     $?"
	read -r -t 10 -u 5 pid || fail "no line with a pid came through the pipe within 10 s"
	# read -t 0 is true when there is something to read; the end of the file would count.
	if read -r -t 0 -u 5; then fail "the pipe has an end, although COMMAND runs" "  see:      $WRONG"; fi
	kill "$pid"
	code=0
	read -r -t 10 -u 5 || code=$?
	expect "read from the pipe after the end of COMMAND (1: end of file; above 128: none for 10 s)" 1 "$code" "$WRONG"
}

@test "still wrong: COMMAND keeps the launcher's directory, so that it stays in use" {
	launch forkoff
	expect "directory" "$PWD" "$(readlink "/proc/$pid/cwd")" "$WRONG"
}

@test "still wrong: exit 0 although COMMAND does not exist" {
	exits 0 forkoff no-such-command
	expect_like "stdout is a pid all the same" '^[0-9]+$' "$out" "$WRONG"
}

@test "still wrong: exit 0 although COMMAND cannot be executed" {
	exits 0 forkoff /
	expect_like "stdout is a pid all the same" '^[0-9]+$' "$out" "$WRONG"
}
