#!/usr/bin/env bats
# Stage 4: one event loop; signals, log, children looked after.
# shellcheck disable=SC2016 # $HERE and the like are for COMMAND, not for this shell
# shellcheck disable=SC2030,SC2031,SC2154 # out, err, daemon, job, ms are set by the helpers, anew in each test

load lib/common
load lib/service

setup() { own_stage; }
teardown() { clean_up; }

# Where the chapter explains it.
verbs="stage4-signals/README.md: the verbs"
loop="stage4-signals/README.md: the loop"
stopping="stage4-signals/README.md: stopping"
log="stage4-signals/README.md: the log"
children="stage4-signals/README.md: the children"
notify="stage4-signals/README.md: systemd and containers"

# idle: a daemon in the foreground whose first run is over.
idle() {
	foreground -i 3600 "$@" run sh -c ': >"$HERE/ran"'
	wait_until 10 test -e ran
	wait_until 10 childless "$daemon"
}
childless() {
	local pids=
	{ read -r pids <"/proc/$1/task/$1/children"; } 2>/dev/null || : # it ends without a newline, or the daemon is gone
	[[ -z $pids ]]
}

# how_it_is: the daemon, for the 'came' of a test.
how_it_is() { if alive "$daemon"; then echo "the daemon lives"; else echo "the daemon has ended"; fi; }

# no_children [SEE]: the daemon has none, or soon, zombies included.
no_children() {
	wait_until 10 childless "$daemon" 2>/dev/null ||
		fail "children of the daemon after 10 s, zombies included" "  expected: none" \
			"  came:     $(ps -o pid= --ppid "$daemon" | wc -l), as these:" \
			"$(ps -o pid=,stat=,args= --ppid "$daemon" | head -n 3)" ${1:+"  see:      $1"}
}

# none_left WHEN [SECONDS]: no process of this test lives then.
none_left() {
	wait_until "${2:-0}" nobody_left 2>/dev/null ||
		fail "processes that live $1" "  expected: none" \
			"  came:     $(ps -o pid=,stat=,args= -p "$(marked_pids | paste -sd, -)")" "  see:      $stopping"
}

# no_pid_file WHEN: nor anything else of that name.
no_pid_file() {
	[[ ! -e repeatd.pid && ! -L repeatd.pid ]] ||
		fail "repeatd.pid $1" "  expected: no such file" "  came:     $(ls -l repeatd.pid)" "  see:      $stopping"
}

# new_log FILE: comes after HUP.
new_log() {
	wait_until 10 test -e "$1" 2>/dev/null ||
		fail "the log, after mv and HUP" "  expected: a new $1" "  came:     none, and $(how_it_is)" "  see:      $log"
}

# answered COUNT FILE WHAT [SEE]: FILE, the log, gets so many lines; USR1 was sent for the last one.
answered() {
	wait_until 10 has_lines "$1" "$2" 2>/dev/null || fail "$3" "  expected: $1 lines or more in $2" \
		"  came:     $(lines "$2"), and $(how_it_is)" "  log:      $(tail -n 5 "$2")" ${4:+"  see:      $4"}
}

# sleeps PID: it waits for something, and not only for an instant.
sleeps() { in_state S "$1" && nap 0.1 && in_state S "$1"; }

# calls_of_the_start: the file all gets the system calls of a daemon from its start to its first long wait, one "CALL N" a
# line, in their order: it is the Nth CALL of this name. Those that every program makes before its own code are left out.
calls_of_the_start() {
	needs_own_calls
	beside strace -f -o calls repeatd -i 3600 run sleep 60
	wait_until 10 test -e calls
	wait_until 10 grep -q 'exec.*\["sleep", "60"\]' calls 2>/dev/null ||
		fail "repeatd run sleep 60, under strace -f" "  expected: an exec of sleep 60" \
			"  came:     $(tail -n 3 calls)" "  stderr:   $(<job.err)"
	daemon=$(sed -n '1s/ .*//p' calls)
	wait_until 10 sleeps "$daemon"
	kill -TERM "$daemon"
	ended 0
	sed -nE "/--- SIGTERM/q; s/^$daemon +([a-z0-9_]+)\(.*/\1/p" calls | awk '{ print $1, ++n[$1] }' |
		grep -vE '^(execve|m(un)?map|mprotect|brk|arch_.*|set_.*|rseq|prlimit.*|access|p?read.*|exit.*) ' >all
}

# term_at_each FILE: a daemon that gets TERM at one of these calls, lines as of calls_of_the_start, ends and leaves nothing.
term_at_each() {
	local call n
	while read -r call n; do
		code=0
		{
			timeout -s KILL 5 strace -o trace -e trace="$call" -e inject="$call:signal=TERM:when=$n" \
				repeatd -i 3600 run sleep 60 >.out 2>.err 3>&- </dev/null
		} 2>/dev/null || code=$? # without the shell's own words on how it ended
		if ! grep -q -e '--- SIGTERM' trace; then
			clean_up # it had fewer calls this time
			rm -f repeatd.pid
			continue
		fi
		[[ $code == 0 || $code == 143 ]] || fail "TERM at system call $call, number $n of these" \
			"  expected: exit code 0, or 143 (it died of TERM)" \
			"  came:     $code$([[ $code != 137 ]] || echo ' (it did not end, and was killed after 5 s)')" \
			"  stderr:   $(<.err)"
		no_pid_file "after TERM at system call $call, number $n of these"
		none_left "after TERM at system call $call, number $n of these" 2
	done <"$1"
}

# == The verbs ==
# Wrong words and numbers are exit 2, before anything is made or started.

@test "a wrong -l or -g leaves with 2 and says why" {
	exits 2 repeatd -l loud start true
	expect_like "message of: repeatd -l loud start true" '^repeatd: .*loud' "$err" "$verbs"
	exits 2 repeatd -l '' start true || fail "(the LEVEL of it is an empty word)"
	exits 2 repeatd -g -1 start true
	exits 2 repeatd -g soon start true
	expect_like "message of: repeatd -g soon start true" '^repeatd: .*soon' "$err" "$verbs"
}

# == Stopping ==
# A handler may do next to nothing: signal-safety(7). Let it set a flag, and act in the loop, which ends, removes
# the pid file, logs a last line and leaves with 0.

@test "TERM ends run with 0" {
	idle
	kill -TERM "$daemon"
	ended 0 "$stopping"
}

# Hint: INT is what ^C sends: signal(7). It means the same as TERM here. What your language does with it unasked, an
# exception or exit code 130, must go.
@test "INT ends run with 0" {
	idle
	kill -INT "$daemon"
	ended 0 "$stopping"
}

@test "after TERM the pid file is gone and status says 'not running'" {
	launched -i 3600 start true
	kill -TERM "$daemon"
	gone "$daemon" "the daemon"
	absent repeatd.pid "$stopping"
	exits 3 repeatd status
}

@test "after stop the pid file is gone" {
	launched -i 3600 start true
	exits 0 repeatd stop
	absent repeatd.pid "$stopping"
}

# Hint: COMMAND may speak until it is dead. Go on reading its pipe while you stop, and write your last line when the
# pipe is empty.
@test "the last line of the log is the daemon's, written after TERM" {
	foreground -i 3600 run sh -c 'trap "echo goodbye; exit" TERM; echo ready; sleep 60 & wait'
	logged 1 'ready$'
	kill -TERM "$daemon"
	ended 0
	expect_like "the last line" " repeatd\\[$daemon\\]: ." "$(tail -n 1 repeatd.log)" "$stopping"
	expect "lines 'goodbye', which COMMAND writes at TERM" 1 "$(lines repeatd.log ': goodbye$')" "$stopping"
}

# == Stopping ==
# COMMAND is seldom one process: setpgid(2) gives it a group, and kill(2) with a negative number means all of it.
# TERM, the grace of -g, KILL; it is over when the group is empty (ESRCH), not when its leader has ended.

@test "TERM reaches COMMAND and its children: its whole process group" {
	foreground -i 3600 run sh -c '
		(trap "echo child; exit" TERM; : >"$HERE/a"; while :; do sleep 1; done) &
		trap "echo leader; wait; exit" TERM; : >"$HERE/b"; while :; do sleep 1; done'
	wait_until 10 test -e a -a -e b
	kill -TERM "$daemon"
	ended 0
	expect "who heard TERM" "child leader " \
		"$(sed -nE 's/.*: (child|leader)$/\1/p' repeatd.log | sort | tr '\n' ' ')" "$stopping"
}

# What does not listen to TERM; it counts the TERMs that its shell hears in the log.
deaf='trap "echo heard" TERM; (trap "" TERM; echo ready; while :; do sleep 1; done) & while :; do sleep 1; done'

@test "a COMMAND that ignores TERM is killed after the grace of -g, with its children" {
	foreground -g 0.4 -i 3600 run sh -c "$deaf"
	logged 1 'ready$'
	timed eval 'kill -TERM "$daemon"; ended 0'
	took "from TERM to the end" 400 3000 "$stopping"
	none_left "after the daemon"
}

@test "a child that outlives its leader is killed after the grace, before the daemon ends" {
	foreground -g 0.4 -i 3600 run sh -c '(trap "" TERM; : >"$HERE/up"; while :; do sleep 1; done) & exec sleep 60'
	wait_until 10 test -e up
	kill -TERM "$daemon"
	ended 0
	none_left "after the daemon"
}

# Hint: Look at the group whenever a child has ended: kill(2), ESRCH. CHLD tells you of COMMAND's orphans only if they
# become yours: PR_SET_CHILD_SUBREAPER in prctl(2). Else look again, every few milliseconds.
@test "the grace ends with the last of the group, not with its time" {
	foreground -g 60 -i 3600 run sh -c '
		(trap "sleep 0.3; echo last words; exit" TERM; : >"$HERE/up"; while :; do sleep 1; done) & exec sleep 60'
	wait_until 10 test -e up
	timed eval 'kill -TERM "$daemon"; ended 0'
	took "from TERM to the end" 250 5000 "$stopping"
	expect "lines 'last words', which a child of COMMAND writes 0.3 s after TERM" 1 \
		"$(lines repeatd.log 'last words$')" "$stopping"
}

# Hint: The second TERM comes while you wait for the first one's effect: you must still hear it.
@test "a second TERM ends the grace at once" {
	foreground -g 60 -i 3600 run sh -c "$deaf"
	logged 1 'ready$'
	kill -TERM "$daemon"
	logged 1 'heard$'
	timed eval 'kill -TERM "$daemon"; ended 0'
	took "from the second TERM to the end" 0 3000 "$stopping"
	none_left "after the daemon"
}

# Hint: A stopped process takes TERM only when it goes on: SIGCONT in signal(7). KILL it takes at once. And to be
# stopped, WUNTRACED in waitpid(2), is no end.
@test "a COMMAND that is stopped does not outlive the daemon" {
	foreground -g 0.3 -i 3600 run sh -c 'echo $$ >"$HERE/new"; mv "$HERE/new" "$HERE/pid"; while :; do sleep 1; done'
	wait_until 10 test -s pid
	freeze "$(<pid)"
	kill -TERM "$daemon"
	ended 0
	none_left "after the daemon"
}

# Hint: kill(2) with a negative number reaches those who are in the group now. COMMAND, your child, has its pid for as long
# as you have not waited for it: tell it by that, too.
@test "a COMMAND that moves to another process group is ended all the same" {
	foreground -g 0.4 -i 3600 run "$PYTHON" -c '
import os, signal
os.setpgid(0, os.getpgid(os.getppid()))
open(os.environ["HERE"] + "/up", "w").close()
signal.pause()'
	wait_until 10 test -e up
	kill -TERM "$daemon"
	ended 0 "$stopping"
	none_left "after the daemon"
}

# Hint: To kill(2), a zombie is one of the group, and its parent may never wait for it. Look into /proc/PID/stat for who is
# alive, proc(5); or remember when you sent KILL, and wait no longer for what is there long after it.
@test "a zombie in the group whose parent has left it does not keep the daemon from ending" {
	foreground -g 0.3 -i 3600 run "$PYTHON" -c '
import os, signal
if os.fork(): os._exit(0)
dead = os.fork()
if dead == 0: os._exit(0)
os.setsid()
os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)
open(os.environ["HERE"] + "/up", "w").close()
signal.pause()'
	wait_until 10 test -e up
	kill -TERM "$daemon"
	ended 0 "$stopping"
}

@test "stop leaves no COMMAND behind, though it ignores TERM" {
	launched -g 0.2 -i 3600 start sh -c "$deaf"
	logged 1 'ready$'
	exits 0 repeatd stop
	gone "$daemon" "the daemon"
	none_left "after the daemon"
}

# == The loop ==
# One loop, one call that waits: ppoll(2). What is always ready (a COMMAND that floods its pipe) must not keep
# signals and timers from their turn.

# Hint: Two things can begin a run: the timer, and the end of the last one. When you stop, neither may do so any more.
@test "no beat comes while it stops" {
	launched -g 0.4 -i 0.05 start sh -c 'echo x >>"$HERE/beats"; trap "" TERM; while :; do sleep 1; done'
	wait_until 10 test -s beats
	exits 0 repeatd stop
	expect "runs of COMMAND" 1 "$(lines beats)" "$stopping"
}

# Hint: A signal may come after the look at its flag and before the wait. Which call opens the signal mask and begins to
# wait in one step: select(2), on pselect? And in which state do the signals have to be at the look?
@test "TERM right before the wait is not lost" {
	calls_of_the_start
	tail -n 8 all >points
	has_lines 8 points || fail "system calls before the wait" "  expected: 8 or more" "  came:     $(<points)"
	term_at_each points
}

# Hint: Who reads until nothing is left reads for ever here. And while a descriptor is ready, ppoll(2) and pselect(2)
# return on Linux without having let a signal in.
@test "a COMMAND that floods the log does not keep TERM waiting" {
	# twelve writers of short lines: the pipe is never empty when the daemon looks
	local y=y
	((SLOWER == 1)) || y=$(printf '%0200d' 0)
	foreground -g 60 -i 3600 -o /dev/null run sh -c 'for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do yes "$0" & done; : >"$HERE/up"; wait' "$y"
	wait_until 10 test -e up
	timed eval 'kill -TERM "$daemon"; ended 0'
	took "from TERM to the end" 0 3000 "$loop"
}

# == Stopping ==
# From which moment on is TERM caught, and what does it do before that? Block signals first, sigprocmask(2), and
# let them in only where you wait: ppoll(2). Then no moment is left in which one could get lost.

@test "TERM at any system call of the start-up is neither lost nor leaves a pid file or a process" {
	calls_of_the_start
	# An interpreter makes hundreds: then 60 of them, from begin to end.
	awk '$2 <= 20' all >some
	awk 'FNR == NR { n++; next } n <= 60 || FNR * 60 % n < 60' some some >points
	has_lines 10 points ||
		fail "system calls of the start-up" "  expected: 10 or more" "  came:     $(lines points): $(<points)"
	term_at_each points
}

@test "TERM at any moment of the start-up is neither lost nor leaves a pid file or a process" {
	local pause after
	for pause in 1 2 3 4 5 6 7 8 9 10 12 14 17 20; do
		beside repeatd -i 3600 run sleep 60
		pause=0.0$((pause * 5 + 100)) after="after TERM, $pause s after its start"
		sleep "$pause"
		kill -TERM "$job"
		gone "$job" "repeatd run $after"
		no_pid_file "$after"
		none_left "$after" 2
	done
}

# Hint: Catch TERM before you make the file. And start waits for word from the daemon: if that ends without any, end of
# file must come, so nobody else may hold the writing end.
@test "TERM as soon as the pid file is there ends the daemon and removes the file, and start does not hang" {
	for _ in 1 2 3 4 5 6; do
		beside timeout $((10 * SLOWER)) repeatd -i 3600 start sleep 60
		until { read -r daemon <repeatd.pid; } 2>/dev/null; do
			alive "$job" || [[ -s repeatd.pid ]] || fail "start made no pid file" "  stderr:   $(<job.err)"
		done
		kill -TERM "$daemon"
		gone "$daemon" "the daemon, after TERM"
		gone "$job" "start, after the daemon"
		no_pid_file "after TERM to the daemon"
		none_left "after TERM to the daemon" 2
	done
}

# == The log ==
# Open the new log first, then put it in the place of the old one: dup2(2), or swap the descriptors. Relative names
# mean another directory by now. If the open fails (O_NONBLOCK for a FIFO), the old log goes on.

# Hint: COMMAND writes to a pipe of yours, never to the file. Take the new log between two lines, with nothing held back
# in a stdio buffer: closing loses it, and a fork doubles it. EINTR is no end of file.
@test "HUP after mv, 20 times under load: not one line is lost or doubled" {
	local k
	launched -n 1 start sh -c '
		i=0; while [ ! -e "$HERE/enough" ]; do echo "line $i"; i=$((i+1)); done; echo "line $i"; : >"$HERE/over"'
	for ((k = 1; k <= 20; k++)); do
		wait_until 10 test -s repeatd.log 2>/dev/null ||
			fail "log number $k" "  expected: lines" "  came:     none, and $(how_it_is)"
		mv repeatd.log "log.$k"
		kill -HUP "$daemon"
		new_log repeatd.log
	done
	: >enough
	gone "$daemon" "the daemon, whose one run is over"
	[[ -e over ]] ||
		fail "the one run of COMMAND" "  expected: it comes to its end" "  came:     it was ended, or the daemon was"
	for ((k = 1; k <= 20; k++)); do cat "log.$k"; done >all
	cat repeatd.log >>all
	sed -n 's/.*\]: line //p' all | awk '$1 != n { print "after line " n - 1 " comes line " $1; exit 1 } { n++ } END { if (n < 100) exit 1 }' ||
		fail "the numbered lines of COMMAND over 21 logs" "  expected: each once, in order, and 100 at least" \
			"  came:     as said above, or too few: $(sed -n 's/.*\]: line //p' all | wc -l)" "  see:      $log"
}

# Hint: Who does not catch HUP dies of it: signal(7). Who has caught it opens the log by its name in the loop; dup2(2)
# puts the new one in the place of the old.
@test "HUP opens the log again" {
	idle
	mv repeatd.log moved.log
	kill -HUP "$daemon"
	new_log repeatd.log
	kill -USR1 "$daemon"
	logged 1 "repeatd\\[$daemon\\]: " "$log"
}

@test "HUP makes the new log although the daemon's directory is another, and with mode 0640" {
	mkdir elsewhere
	idle -C elsewhere -o ./here.log
	mv here.log moved.log
	kill -HUP "$daemon"
	new_log here.log
	expect "mode of the new log, which is that of the old one" "$(stat -c %a moved.log)" "$(stat -c %a here.log)" "$log"
}

@test "when HUP cannot open the log, the old one goes on with a line that says so" {
	idle
	mv repeatd.log moved.log
	mkdir repeatd.log
	kill -HUP "$daemon"
	wait_until 10 has_lines 1 moved.log '(error|warning) repeatd\[[0-9]+\]: .*repeatd\.log.*: Is a directory' \
		2>/dev/null ||
		fail "the old log after HUP, with a directory in place of repeatd.log" \
			"  expected: a warning or an error that names repeatd.log and says 'Is a directory'" \
			"  came:     $(cat moved.log)" "  see:      $log"
	before=$(lines moved.log)
	kill -USR1 "$daemon"
	answered $((before + 1)) moved.log "the old log, after USR1" "$log"
}

# Hint: open(2) of a FIFO for writing waits for a reader, but not with O_NONBLOCK: then it fails with ENXIO, fifo(7).
# With O_RDWR it succeeds on Linux, and your lines go where nobody reads them.
@test "when HUP finds a FIFO that nobody reads, the daemon does not hang" {
	idle
	mv repeatd.log moved.log
	mkfifo repeatd.log
	kill -HUP "$daemon"
	wait_until 10 has_lines 1 moved.log '(error|warning) repeatd\[[0-9]+\]: .*repeatd\.log' 2>/dev/null ||
		fail "the old log after HUP, with a FIFO in place of repeatd.log" \
			"  expected: a warning or an error that names repeatd.log" "  came:     $(cat moved.log)" "  see:      $log"
	kill -TERM "$daemon"
	ended 0 "$loop"
}

# Hint: Standard error has no name by which it could be opened again. HUP is still caught, and nothing is closed.
@test "HUP ends nothing where the log is standard error" {
	idle -o -
	before=$(lines job.err)
	kill -HUP "$daemon"
	kill -USR1 "$daemon"
	answered $((before + 1)) job.err "standard error as the log, after HUP and USR1" "$log"
	lives "$daemon" "the daemon" "$log"
}

# == The loop ==
# Every signal that you do not catch or ignore ends you: signal(7). What each one means is decided in one place,
# in the loop. A broken pipe is an error of write(2) once PIPE is ignored.

@test "USR1 writes one status line to the log" {
	idle
	before=$(lines repeatd.log)
	kill -USR1 "$daemon"
	answered $((before + 1)) repeatd.log "the log, after USR1" "$log"
	kill -TERM "$daemon"
	ended 0
	tail -n +$((before + 1)) repeatd.log >since
	expect_like "the first line after USR1" "info repeatd\\[$daemon\\]: ." "$(head -n 1 since)" "$log"
	expect "lines since USR1 that begin with the same word" 1 \
		"$(sed 's/^[^]]*\]: *//' since | awk 'NR == 1 { word = $1 } $1 == word { n++ } END { print n }')" "$log"
}

@test "PIPE is ignored" {
	idle
	before=$(lines repeatd.log)
	kill -PIPE "$daemon"
	kill -USR1 "$daemon"
	answered $((before + 1)) repeatd.log "the log, after PIPE and USR1" "$loop"
	lives "$daemon" "the daemon" "$loop"
}

# Hint: Once PIPE is ignored, write(2) says EPIPE, and your language may make an exception of it. That line is lost; the
# work goes on.
@test "a reader of the log that goes away does not end the daemon" {
	code=0
	repeatd -o - -i 0.02 -n 5 run sh -c 'echo x; echo x >>"$HERE/beats"' 2> >(:) 3>&- </dev/null || code=$?
	expect "exit code of: repeatd -o - -n 5 run, its standard error a pipe that nobody reads" 0 "$code" "$loop"
	expect "runs of COMMAND" 5 "$(lines beats)" "$loop"
}

# == The children ==
# Signals merge: one CHLD may stand for many deaths. waitpid(2) with WNOHANG until there are none left; and orphans
# of COMMAND come to you only if you are PID 1 or a subreaper.

@test "500 short children and as many orphans are all reaped" {
	launched -i 3600 start sh -c '
		i=0; while [ $i -lt 500 ]; do : & i=$((i+1)); done
		i=0; while [ $i -lt 50 ]; do (: & : & : & : & : & : & : & : & : & :) & i=$((i+1)); done
		echo all begun'
	wait_until 60 has_lines 1 repeatd.log 'all begun$' 2>/dev/null || : # a thousand forks take their time
	logged 1 'all begun$'
	no_children "$children"
}

@test "children whose deaths merge into one signal are all reaped" {
	launched -i 3600 start sh -c '
		i=0; while [ $i -lt 50 ]; do (sleep 0.1; echo x >>"$HERE/ended") & i=$((i+1)); done; : >"$HERE/begun"; exec sleep 0.1'
	wait_until 10 test -e begun
	freeze "$daemon"
	wait_until 10 has_lines 50 ended
	kill -CONT "$daemon"
	no_children "$children"
}

# Hint: SIGCHLD may come before you know the pid of the child. Note it, and reap in the loop: signal-safety(7).
@test "a COMMAND that is done before the daemon's fork returns is reaped, and the next beat comes" {
	needs_own_calls
	beside strace -o /dev/null -e trace=fork,vfork,clone,clone3 -e inject=fork,vfork,clone,clone3:delay_exit=1000000:when=1 \
		repeatd -i 0.05 run echo beat
	logged 3 'beat$' "$children"
}

# == The children ==
# A run is over when its leader has ended and kill(-group, 0) finds nobody who lives: kill(2), ESRCH. Zombies are in
# the group until somebody waits for them, and that may be never.

@test "a run is over when its leader has ended and its group is empty, not before" {
	launched -i 0.05 -n 2 start sh -c 'mkdir "$HERE/busy" || echo two >"$HERE/overlap"; (sleep 0.3; rmdir "$HERE/busy") &'
	gone "$daemon" "the daemon"
	[[ ! -e overlap ]] || fail "the second run" "  expected: it begins when the first one's last child has ended" \
		"  came:     it began before" "  see:      $children"
}

# Hint: What has left the group still holds the pipe, so end of file does not come. When the group is empty read what is
# there, do not wait for more, and close your end.
@test "a process that left the group delays neither the next beat nor the end" {
	foreground -i 0.05 run sh -c 'setsid sleep 60 & echo beat'
	logged 3 'beat$' "$children"
	kill -TERM "$daemon"
	ended 0 "$children"
}

# Hint: To kill(2), a zombie in the group is one of the group. As a subreaper you get COMMAND's orphans yourself, and
# can wait for them: PR_SET_CHILD_SUBREAPER in prctl(2).
@test "where PID 1 never reaps, zombies in the group do not keep a run from being over" {
	[[ -z ${PORTABLE:-} ]] || skip "needs a subreaper, which only some systems have"
	needs_namespace -pf --mount-proc
	beside "${apart[@]}" sh -c 'repeatd -i 0.05 run sh -c "sleep 0.01 & echo beat" & exec sleep 60'
	logged 3 'beat$' "$children"
}

# == The children ==
# KILL cannot be caught, so the kernel must do it: PR_SET_PDEATHSIG in prctl(2), set in the child before exec. Could
# the parent have died just before that?

@test "if the daemon is killed, COMMAND does not live on" {
	launched -i 3600 start sh -c 'echo $$ >"$HERE/new"; mv "$HERE/new" "$HERE/pid"; exec sleep 60'
	wait_until 10 test -s pid
	kill -KILL "$daemon"
	gone "$(<pid)" "COMMAND after the daemon's death by KILL" "$children"
}

# Hint: A parent that is dead already does not die again. After PR_SET_PDEATHSIG, compare getppid(2) with the pid of
# who forked.
@test "if the daemon is killed right after its fork, COMMAND is not even begun" {
	needs_own_calls
	# the child takes two seconds for its first steps: time to kill its parent
	beside strace -f -o /dev/null -e trace=dup2,dup3 -e inject=dup2,dup3:delay_enter=2000000:when=1 \
		repeatd -i 3600 run sh -c ': >"$HERE/begun"'
	wait_until 10 test -s repeatd.pid
	daemon=$(<repeatd.pid)
	has_a_child() { ! childless "$daemon"; }
	wait_until 10 has_a_child 2>/dev/null ||
		fail "children of the daemon" "  expected: one, for COMMAND" "  came:     none, and $(how_it_is)"
	kill -KILL "$daemon"
	gone "$job" "what came of the child"
	[[ ! -e begun ]] || fail "COMMAND, when the daemon was killed before the child's exec" \
		"  expected: it is not begun" "  came:     it ran" "  see:      $children"
}

# == The log ==
# Build the whole line, then one write(2): what is written in two pieces can be torn. Time is UTC with milliseconds:
# clock_gettime(2), gmtime_r(3).

line='^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{3}Z (error|warning|info|debug) [^ ]+\[[0-9]+\]: '

# all_lines FILE: each is a line as it should be.
all_lines() {
	[[ -s $1 ]] || fail "$1 is empty"
	! LC_ALL=C grep -aEv -- "$line" "$1" >odd ||
		fail "lines of $1" "  expected: YYYY-MM-DDTHH:MM:SS.mmmZ LEVEL NAME[PID]: TEXT" \
			"  came:     $(cat -v odd)" "  see:      $log"
}

# Hint: The time is UTC and ends with milliseconds and Z: clock_gettime(2), gmtime_r(3). An empty line of COMMAND is a
# line too: nothing comes behind its colon and blank.
@test "every line is 'TIME level NAME[PID]: text'" {
	foreground -l debug -i 0.05 run sh -c 'echo one; echo two >&2; echo; kill -USR1 $PPID; exit 3'
	logged 3 'two$'
	mv repeatd.log moved.log
	kill -HUP "$daemon"
	wait_until 10 test -s repeatd.log
	kill -TERM "$daemon"
	ended 0
	all_lines repeatd.log
	all_lines moved.log
}

# Hint: gmtime_r(3), not localtime(3): nobody wants an hour twice when summer ends.
@test "the time of a line is UTC, whatever the time zone" {
	TZ=Asia/Tokyo exits 0 repeatd -n 1 run echo now
	stamp=$(sed -n 's/ .*: now$//p' repeatd.log)
	expect_like "time of the line" '^[0-9T:.-]{23}Z$' "$stamp" "$log"
	age=$(($(date +%s) - $(date -d "$stamp" +%s)))
	((age >= 0 && age < 20 * SLOWER)) || fail "time of a line that was just written, with TZ=Asia/Tokyo" \
		"  expected: about $(date -u +%FT%TZ)" "  came:     $stamp" "  see:      $log"
}

# == The log ==
# COMMAND writes to a pipe, you read it, cut it into lines and log them under its name and pid: pipe(2), O_NONBLOCK.
# Its end is not the end of the pipe: read until there is nothing left before you call the run over.

# Hint: The name is COMMAND's, without its directory; the pid is what fork(2) returned. Is it another one? Then a
# process of yours stands between, a shell perhaps.
@test "COMMAND's lines carry COMMAND's own name and pid" {
	exits 0 repeatd -n 1 run /bin/sh -c 'echo "I am $$"; echo "still $$" >&2'
	pid=$(sed -n 's/.*I am //p' repeatd.log)
	expect "lines of level info, of COMMAND's two, that begin with sh[$pid]" 2 \
		"$(lines repeatd.log " info sh\\[$pid\\]: (I am|still) $pid\$")" "$log" || fail "  log:      $(<repeatd.log)"
}

# Hint: Between two pipes there is no order. One pipe can be both: dup2(2).
@test "COMMAND's output and errors are logged in the order in which they were written" {
	exits 0 repeatd -n 1 run sh -c 'echo 1; echo 2 >&2; echo 3; echo 4 >&2; echo 5'
	expect "what COMMAND wrote, 2 and 4 to standard error" 12345 \
		"$(sed -nE 's/.* sh\[[0-9]+\]: ([1-5])$/\1/p' repeatd.log | tr -d '\n')" "$log"
}

# Hint: A terminal obeys what it is shown. Everything below a blank, and DEL, is written as \xNN before it is logged.
@test "control characters are escaped" {
	exits 0 repeatd -n 1 run printf 'red \033[31m return \r bell \a tab \t nul \000 del \177 end\n'
	all_lines repeatd.log
	expect "control characters in the log" "" "$(LC_ALL=C grep -aP '[\x00-\x09\x0b-\x1f\x7f]' repeatd.log | cat -v)" "$log"
	expect_like "the line" 'red .+\[31m return .+ bell .+ tab .+ nul .+ del .+ end$' "$(grep -a red repeatd.log)" "$log"
}

# Hint: Bytes above 0x7f are no control characters of themselves: utf-8(7). Does your language know that it reads and
# writes UTF-8, whatever the locale?
@test "text in UTF-8 is kept" {
	exits 0 repeatd -n 1 run printf 'grüße aus ☃ und 𝄞\n'
	expect "lines that end with: grüße aus ☃ und 𝄞" 1 "$(lines repeatd.log ': grüße aus ☃ und 𝄞$')" "$log" ||
		fail "  log:      $(<repeatd.log)"
}

# Hint: U+0080 to U+009F are two bytes in UTF-8, and a terminal may obey them as ESC [ and the like. A byte that belongs
# to no character of UTF-8 is escaped, too.
@test "control characters beyond ASCII (U+0080 to U+009F, which terminals obey) are escaped" {
	exits 0 repeatd -n 1 run printf 'as UTF-8 \302\23331m, as a bare byte \23331m, end\n'
	expect "such characters in the log" "" "$(LC_ALL=C grep -aP '\xc2[\x80-\x9f]|[\x00-\x7f][\x80-\x9f]' repeatd.log | cat -v)" "$log"
	expect_like "the line" 'as UTF-8 .+31m, as a bare byte .+31m, end$' "$(grep -a UTF-8 repeatd.log)" "$log"
}

# Hint: What comes from outside is also in your own messages: COMMAND's name, a file's. Escape where the line is built,
# not only what came through the pipe.
@test "no newline in a name forges a line" {
	forged=$'no\n2026-01-01T00:00:00.000Z info repeatd[1]: forged'
	exits 0 repeatd -n 1 run "$forged"
	expect "lines that begin with what stands behind the newline in COMMAND's name" 0 \
		"$(lines repeatd.log '^2026-01-01T00:00:00.000Z')" "$log"
	has_lines 1 repeatd.log forged ||
		fail "the log, when COMMAND cannot be executed" "  expected: a line that names it" \
			"  came:     $(<repeatd.log)" "  see:      $log"
}

# Hint: At the end of the pipe, what you hold without its newline is a line as well.
@test "a last line without its newline is not lost" {
	exits 0 repeatd -n 1 run printf 'first\nlast'
	expect "lines of COMMAND, which prints: first, newline, last" 2 "$(lines repeatd.log ': (first|last)$')" "$log"
}

# Hint: KILL ends COMMAND, not what stands in its pipe. Read that, and log what has no newline, before your last line.
@test "what COMMAND wrote before it was killed is not lost" {
	foreground -g 0.1 -i 3600 run sh -c 'trap "" TERM; printf "half a line"; : >"$HERE/up"; while :; do sleep 1; done'
	wait_until 10 test -e up
	kill -TERM "$daemon"
	ended 0
	expect "lines that end with 'half a line', which COMMAND prints without a newline" 1 \
		"$(lines repeatd.log ': half a line$')" "$log"
}

# Hint: The news of COMMAND's death can overtake what it wrote: up to 64 KiB stand in a pipe, pipe(7). One read is not
# enough; read until there is nothing.
@test "what COMMAND wrote in its last moment is not lost, however much" {
	launched -n 1 start sh -c ': >"$HERE/up"; until [ -e "$HERE/go" ]; do sleep 0.02; done; head -c 60000 /dev/zero | tr "\\0" x; : >"$HERE/over"'
	wait_until 10 test -e up
	freeze "$daemon"
	: >go
	wait_until 10 test -e over
	kill -CONT "$daemon"
	gone "$daemon" "the daemon"
	expect "x in the log" 60000 "$(pieces | tr -dc x | wc -c)" "$log"
}

# Hint: Log a line when you have read it. Does it wait in a stdio buffer of yours, or does your read wait until a buffer
# is full?
@test "a line is in the log as soon as it is written, not at the end of COMMAND" {
	launched -i 3600 start sh -c 'echo early; exec sleep 60'
	logged 1 ': early$' "$log"
}

# Hint: A read ends where a write ended, or the buffer. Keep what has no newline yet.
@test "a line that COMMAND writes in several parts is one line" {
	launched -i 3600 start sh -c 'printf one; : >"$HERE/up"; until [ -e "$HERE/go" ]; do sleep 0.02; done; printf " and "; echo two'
	wait_until 10 test -e up
	kill -USR1 "$daemon" # its answer comes after it has read the first part
	logged 1 'repeatd\[[0-9]+\]: .*running' "$log"
	: >go
	logged 1 ': one and two$' "$log"
}

# == The log ==
# Lines have no length that you may rely on: what do you do when the buffer is full and no newline has come? A piece
# is marked, loses no byte, and ends where a character ends: utf-8(7).

# pieces: what the log has of a line of many x, one piece per line.
pieces() { LC_ALL=C sed -nE 's/^[^ ]+ info sh\[[0-9]+\]: (.*x.*)$/\1/p' repeatd.log; }

# Hint: 4096 bytes are the text alone. Newline, a terminating zero and what you put in front need room as well.
@test "a line of 4096 bytes is logged whole" {
	exits 0 repeatd -n 1 run sh -c 'head -c 4096 /dev/zero | tr "\\0" x; echo'
	expect "bytes in each piece of the line" 4096 "$(pieces | LC_ALL=C awk '{ print length }')" "$log"
	expect "bytes of it that are x" 4096 "$(pieces | tr -dc x | wc -c)" "$log"
}

@test "a line longer than 4 KiB is split, and not a byte is lost" {
	exits 0 repeatd -n 1 run sh -c 'head -c 10000 /dev/zero | tr "\\0" x; echo; echo after'
	expect "x in the log" 10000 "$(pieces | tr -dc x | wc -c)" "$log"
	(($(pieces | wc -l) >= 3)) ||
		fail "pieces of a line of 10000 bytes" "  expected: 3 or more" \
			"  came:     $(pieces | wc -l)" "  see:      $log"
	(($(wc -L <repeatd.log) < 4300)) || fail "longest line of the log" "  expected: less than 4300 bytes" \
		"  came:     $(wc -L <repeatd.log)" "  see:      $log"
	expect "lines 'after', which COMMAND writes next" 1 "$(lines repeatd.log ': after$')" "$log"
}

@test "the pieces of a line that was split are marked" {
	exits 0 repeatd -n 1 run sh -c 'head -c 10000 /dev/zero | tr "\\0" x; echo'
	(($(pieces | wc -l) > 1)) ||
		fail "pieces of a line of 10000 bytes" "  expected: 2 or more" \
			"  came:     $(pieces | wc -l)" "  see:      $log"
	expect "pieces without a mark, as [...]" "" "$(pieces | grep '^x*$' | cut -c1-20)" "$log"
}

@test "a split cuts no character of UTF-8 in two" {
	exits 0 repeatd -n 1 run sh -c 'printf x; yes ü | head -n 5000 | tr -d "\n"; echo'
	expect "whole characters in the log" 5000 "$(grep -aoF ü repeatd.log | wc -l)" "$log"
	(($(grep -acF ü repeatd.log) > 1)) || fail "pieces of a line of 10001 bytes" "  expected: 2 or more" \
		"  came:     $(grep -acF ü repeatd.log)" "  see:      $log"
}

@test "a megabyte without a newline is split, and not a byte is lost" {
	exits 0 repeatd -n 1 run sh -c 'head -c 1000000 /dev/zero | tr "\\0" x'
	expect "x in the log" 1000000 "$(pieces | tr -dc x | wc -c)" "$log"
	all_lines repeatd.log
}

# == The log ==
# One line, one write(2) with O_APPEND: then lines of two writers never mix. A stdio buffer decides for itself when
# it writes: setvbuf(3).

@test "each line is one write" {
	needs_own_calls
	exits 0 strace -f -qq -s 9000 -o calls -e trace=write,writev,pwrite64,sendto \
		repeatd -n 1 run sh -c 'echo one; echo two; head -c 9000 /dev/zero | tr "\\0" x; echo'
	sed -nE '/"[0-9]{4}-[0-9]{2}-[0-9]{2}T[^"]*Z (error|warning|info|debug) /p' calls >writes
	has_lines 5 repeatd.log || fail "lines of COMMAND in the log" "  expected: 5 or more" "  came:     $(lines repeatd.log)" "  see:      $log"
	expect "writes for the lines of the log" "$(lines repeatd.log)" "$(lines writes '[^n]\\n"[,}]')" "$log"
	expect "writes of several lines" 0 "$(lines writes '\\n.*\\n"')" "$log"
}

# Hint: A write(2) to a disk that is nearly full writes a part and returns how much; the next one says ENOSPC. Remember that
# a line stands there without its end, and begin the next one that can be written with a newline.
@test "after a full disk has cut a line short, the next line begins on a line of its own" {
	needs_namespace -m
	mkdir full
	# the first run fills the disk with long lines, the second one makes room before it speaks
	code=0
	"${apart[@]}" sh -c '
		mount -t tmpfs -o size=64k none full && head -c 40000 /dev/zero >full/fill || exit 99
		repeatd -o full/x.log -i 0 -n 2 run sh -c "
			if rm \"$HERE/again\"; then rm \"$HERE/full/fill\"; echo after; exit; fi
			: >\"$HERE/again\"
			i=0; while [ \$i -lt 40 ]; do head -c 1500 /dev/zero | tr \"\\0\" x; echo; i=\$((i+1)); done" 2>/dev/null
		came=$?; cp full/x.log .; exit $came' >.out 2>.err </dev/null 3>&- || code=$?
	((code != 99)) || skip "no small disk can be had here"
	expect "exit code of: repeatd -n 2 run, its log on a disk that is full for a while: $(<.err)" 0 "$code" "$log"
	expect "lines 'after', which COMMAND writes when there is room again" 1 "$(lines x.log "${line#^}after\$")" "$log"
	expect "lines with a second beginning of a line in their midst" "" \
		"$(LC_ALL=C grep -aE ".${line#^}" x.log | cut -c1-60)" "$log"
}

# == The log ==
# error, warning, info, debug: what is less urgent than -l is not logged. -S gives lines to syslog(3) instead.

# levels_of LEVEL: which levels the log has when -l is LEVEL, with a COMMAND that talks and fails.
levels_of() {
	rm -f repeatd.log
	exits 0 repeatd -l "$1" -i 0 -n 2 run sh -c 'echo talk; exit 3' >&2
	cut -d' ' -f2 repeatd.log | sort -u | tr '\n' ' '
}

@test "-l keeps out what is less urgent" {
	expect_like "levels in the log with -l error" '^(error )?$' "$(levels_of error)" "$log"
	expect_like "levels in the log with -l warning" '^(error )?(warning )?$' "$(levels_of warning)" "$log"
	expect_like "levels in the log with -l info" '^(error )?info (warning )?$' "$(levels_of info)" "$log"
	expect_like "levels in the log with -l debug" '^(debug )?(error )?info (warning )?$' "$(levels_of debug)" "$log"
}

@test "COMMAND's lines are of level info" {
	exits 0 repeatd -l warning -n 1 run echo talk
	expect "lines of COMMAND with -l warning" 0 "$(lines repeatd.log talk)" "$log"
	exits 0 repeatd -l info -n 1 run echo talk
	expect "lines of COMMAND with -l info" 1 "$(lines repeatd.log talk)" "$log"
}

# Hint: waitpid(2) gives a status that must be taken apart: WIFEXITED, WEXITSTATUS, WIFSIGNALED, WTERMSIG. Exit code 7
# comes as 1792.
@test "a COMMAND that fails is a warning or an error" {
	exits 0 repeatd -l warning -n 1 run sh -c 'exit 7'
	expect "warnings or errors of repeatd that name the exit code of COMMAND, 7" 1 \
		"$(lines repeatd.log '(warning|error) repeatd\[[0-9]+\]: .*7')" "$log" || fail "  log:      $(<repeatd.log)"
}

# Hint: openlog(3): a line begins with NAME[PID] as in the file, and with -S no file is opened. Who speaks to /dev/log
# himself sends one datagram a line: <PRIORITY> first, 8 times the facility plus the severity.
@test "-S logs to syslog, and makes no file" {
	needs_namespace -m
	# a /dev of our own, with a log that we read
	mkdir dev
	datagrams "$PWD/socket" heard
	code=0
	"${apart[@]}" sh -c '
		mount -t tmpfs none dev && ln -s /proc/self/fd dev && : >dev/null && : >dev/log &&
		mount --bind /dev/null dev/null && mount --bind socket dev/log && mount --rbind dev /dev || exit 99
		repeatd -S -n 1 run sh -c "echo from COMMAND; exit 7"' >.out 2>.err 3>&- </dev/null || code=$?
	expect "exit code of repeatd -S -n 1 run, where the test reads /dev/log (99: it cannot)" 0 "$code" "$log" ||
		fail "  stderr:   $(<.err)"
	wait_until 10 has_lines 1 heard 'from COMMAND$' 2>/dev/null ||
		fail "what came to /dev/log" "  expected: a line that ends with: from COMMAND" \
			"  came:     $(cat heard)" "  see:      $log"
	wait_until 10 has_lines 1 heard 'repeatd\[[0-9]+\]: .*7' 2>/dev/null ||
		fail "what came to /dev/log" "  expected: a line of repeatd[PID]: that names COMMAND's exit code, 7" \
			"  came:     $(cat heard)" "  see:      $log"
	expect "severity of COMMAND's line (6 is info)" 6 "$(($(sed -n 's/^<\([0-9]*\)>.*from COMMAND$/\1/p' heard) % 8))" "$log"
	absent repeatd.log "$log"
}

# Hint: syslog(3) takes a lock. A handler that waits for it waits for whom it has interrupted: signal-safety(7).
@test "a hundred USR1 while COMMAND talks to syslog do not stop the daemon" {
	needs_namespace -m
	# a /dev of our own, without a log: nobody is bothered
	mkdir dev
	beside "${apart[@]}" sh -c '
		mount -t tmpfs none dev && ln -s /proc/self/fd dev && : >dev/null && mount --bind /dev/null dev/null &&
		mount --rbind dev /dev || exit 99
		exec repeatd -S -i 3600 run sh -c ": >\"$HERE/up\"; while :; do echo talk; done"'
	wait_until 10 test -e up
	for _ in {1..100}; do
		kill -USR1 "$job"
		nap 0.002
	done
	kill -TERM "$job"
	ended 0 "$loop"
}

# == Systemd and containers ==
# One datagram each, to the socket that NOTIFY_SOCKET names: sd_notify(3), unix(7). READY=1 only when all that start
# would wait for is done; then the variable goes from the environment of COMMAND.

# told WORD: it comes to the socket, as a line of a datagram.
told() {
	wait_until 10 has_lines 1 heard "(^|\\|)$1(\\||\$)" 2>/dev/null ||
		fail "datagrams to NOTIFY_SOCKET, | for a newline" "  expected: a line $1 in one of them" \
			"  came:     $([[ -s heard ]] && cat heard || echo none)" "  see:      $notify"
}

@test "run tells NOTIFY_SOCKET that it is ready, how it stands, and that it stops" {
	datagrams "$PWD/socket" heard
	NOTIFY_SOCKET=$PWD/socket foreground -i 3600 run true
	told READY=1
	absent_yet=$(lines heard STOPPING=1)
	kill -TERM "$daemon"
	ended 0
	told STOPPING=1
	expect "datagrams with STOPPING=1 before TERM" 0 "$absent_yet" "$notify"
	expect_like "datagrams, | for a newline" 'STATUS=[^|]' "$(cat heard)" "$notify"
}

# Hint: The @ stands for a zero byte, and there is none at the end: the length of the address is all that says where the
# name ends, unix(7).
@test "NOTIFY_SOCKET may be an abstract address" {
	datagrams "@$HERE" heard
	NOTIFY_SOCKET=@$HERE foreground -i 3600 run true
	told READY=1
}

@test "READY=1 is said once the pid file holds our pid" {
	datagrams "$PWD/socket" heard
	NOTIFY_SOCKET=$PWD/socket beside repeatd -i 3600 run true
	told READY=1
	expect "what the pid file holds after READY=1" "$job" "$(cat repeatd.pid 2>&1)" "$notify"
}

@test "NOTIFY_SOCKET is not handed on to COMMAND" {
	datagrams "$PWD/socket" heard
	NOTIFY_SOCKET=$PWD/socket exits 0 repeatd -n 1 run env
	expect "lines 'NOTIFY_SOCKET...' of: repeatd -n 1 run env" 0 "$(lines repeatd.log ': NOTIFY_SOCKET')" "$notify"
	expect "lines 'HERE=...', which COMMAND keeps" 1 "$(lines repeatd.log ": HERE=$HERE\$")" "$notify"
}

# Hint: connect(2) may fail, the variable may be empty, and a path may be longer than the 108 bytes of sun_path,
# unix(7). Then nobody hears you, and the work goes on.
@test "a NOTIFY_SOCKET at which nobody listens does no harm" {
	for socket in "$PWD/none" @nobody-there relative "/$(head -c 300 /dev/zero | tr '\0' x)" '' @; do
		NOTIFY_SOCKET=$socket exits 0 repeatd -n 1 run sh -c 'echo x >>"$HERE/beats"' ||
			fail "with NOTIFY_SOCKET: '${socket:0:60}' (${#socket} bytes)"
	done
	expect "runs of COMMAND, one with each NOTIFY_SOCKET" 6 "$(lines beats)" "$notify"
}

# == Systemd and containers ==
# PID 1 gets all orphans, must wait for each, and has no default action for signals: pid_namespaces(7). The status of
# an orphan is not that of COMMAND: look at the pid that waitpid(2) returned.

# contained COMMAND...: repeatd is PID 1 of a PID namespace; $daemon is its pid outside.
contained() {
	needs_namespace -pf --mount-proc
	beside "${apart[@]}" repeatd "$@"
	wait_until 10 test -s repeatd.pid 2>/dev/null || fail "repeatd as PID 1 makes no pid file" "  stderr:   $(<job.err)"
	expect "what the pid file holds: its pid inside the container" 1 "$(<repeatd.pid)"
	daemon=$(tr -d ' ' <"/proc/$job/task/$job/children")
}

@test "as PID 1 of a container it reaps orphans" {
	contained -i 3600 run sh -c 'setsid sh -c "(sleep 0.05; : >\"$HERE/ended\") & (sleep 0.01 &) & :" & echo begun'
	logged 1 'begun$'
	wait_until 10 test -e ended
	no_children "$notify"
	logged 1 'begun$'
}

@test "as PID 1 of a container it ends with 0 at TERM, and COMMAND before it" {
	contained -i 3600 run sh -c 'trap "echo goodbye; exit" TERM; echo ready; while :; do sleep 0.1; done'
	logged 1 'ready$'
	kill -TERM "$daemon"
	ended 0 "$notify"
	expect "lines 'goodbye', which COMMAND writes at TERM" 1 "$(lines repeatd.log 'goodbye$')" "$notify"
}

@test "an orphan's exit status is not taken for COMMAND's" {
	launched -i 3600 start sh -c '(setsid sh -c "sleep 0.05; exit 9" &); sleep 0.2; echo end; exit 0'
	logged 1 'end$'
	exits 0 repeatd stop
	expect "warnings and errors, when an orphan has exited with 9 and COMMAND with 0" "" \
		"$(grep -aE 'warning|error' repeatd.log)" "$children"
}

# == The loop ==
# Sleep until something happens: no time limit but the next beat. Every tick, 'just to be sure', wakes a laptop.

@test "idle with -i 3600, it does not wake up" {
	idle
	wait_until 10 in_state S "$daemon"
	before=$(grep ctxt_switches "/proc/$daemon/status")
	sleep 2 # the one measured wait
	expect "the daemon's context switches in /proc/PID/status, and those two seconds later" "$before" \
		"$(grep ctxt_switches "/proc/$daemon/status")" "$loop"
}
