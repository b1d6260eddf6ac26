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

# == The verbs ==
# Wrong words and numbers are exit 2, before anything is made or started.

@test "a wrong -l or -g leaves with 2 and says why" {
	exits 2 repeatd -l loud start true
	expect_like "message" '^repeatd: .*loud' "$err" "$verbs"
	exits 2 repeatd -l '' start true
	exits 2 repeatd -g -1 start true
	exits 2 repeatd -g soon start true
	expect_like "message" '^repeatd: .*soon' "$err" "$verbs"
}

# == Stopping ==
# A handler may do next to nothing: signal-safety(7). Let it set a flag, and act in the loop, which ends, removes
# the pid file, logs a last line and leaves with 0.

@test "TERM ends run with 0" {
	idle
	kill -TERM "$daemon"
	ended 0 "$stopping"
}

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

@test "the last line of the log is the daemon's, written after TERM" {
	foreground -i 3600 run sh -c 'trap "echo goodbye; exit" TERM; echo ready; sleep 60 & wait'
	logged 1 'ready$'
	kill -TERM "$daemon"
	ended 0
	expect_like "the last line" " repeatd\\[$daemon\\]: ." "$(tail -n 1 repeatd.log)" "$stopping"
	expect "lines of COMMAND after TERM" 1 "$(lines repeatd.log ': goodbye$')" "$stopping"
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
	expect "who heard it" "child leader " "$(sed -nE 's/.*: (child|leader)$/\1/p' repeatd.log | sort | tr '\n' ' ')" "$stopping"
}

# What does not listen to TERM; it counts the TERMs that its shell hears in the log.
deaf='trap "echo heard" TERM; (trap "" TERM; echo ready; while :; do sleep 1; done) & while :; do sleep 1; done'

@test "a COMMAND that ignores TERM is killed after the grace of -g, with its children" {
	foreground -g 0.4 -i 3600 run sh -c "$deaf"
	logged 1 'ready$'
	timed eval 'kill -TERM "$daemon"; ended 0'
	took "from TERM to the end" 400 3000 "$stopping"
	nobody_left || fail "left behind: $(marked_pids)" "  see:      $stopping"
}

@test "a child that outlives its leader is killed after the grace, before the daemon ends" {
	foreground -g 0.4 -i 3600 run sh -c '(trap "" TERM; : >"$HERE/up"; while :; do sleep 1; done) & exec sleep 60'
	wait_until 10 test -e up
	kill -TERM "$daemon"
	ended 0
	nobody_left || fail "left behind: $(marked_pids)" "  see:      $stopping"
}

@test "the grace ends with the last of the group, not with its time" {
	foreground -g 60 -i 3600 run sh -c '
		(trap "sleep 0.3; echo last words; exit" TERM; : >"$HERE/up"; while :; do sleep 1; done) & exec sleep 60'
	wait_until 10 test -e up
	timed eval 'kill -TERM "$daemon"; ended 0'
	took "from TERM to the end" 250 5000 "$stopping"
	expect "last words in the log" 1 "$(lines repeatd.log 'last words$')" "$stopping"
}

# Hint: The second TERM comes while you wait for the first one's effect: you must still hear it.
@test "a second TERM ends the grace at once" {
	foreground -g 60 -i 3600 run sh -c "$deaf"
	logged 1 'ready$'
	kill -TERM "$daemon"
	logged 1 'heard$'
	timed eval 'kill -TERM "$daemon"; ended 0'
	took "from the second TERM to the end" 0 3000 "$stopping"
	nobody_left || fail "left behind: $(marked_pids)" "  see:      $stopping"
}

# Hint: A stopped process takes TERM only when it goes on: SIGCONT in signal(7).
@test "a COMMAND that is stopped does not outlive the daemon" {
	foreground -g 0.3 -i 3600 run sh -c 'echo $$ >"$HERE/new"; mv "$HERE/new" "$HERE/pid"; while :; do sleep 1; done'
	wait_until 10 test -s pid
	kill -STOP "$(<pid)"
	kill -TERM "$daemon"
	ended 0
	nobody_left || fail "left behind: $(marked_pids)" "  see:      $stopping"
}

@test "stop leaves no COMMAND behind, though it ignores TERM" {
	launched -g 0.2 -i 3600 start sh -c "$deaf"
	logged 1 'ready$'
	exits 0 repeatd stop
	gone "$daemon" "the daemon"
	nobody_left || fail "left behind: $(marked_pids)" "  see:      $stopping"
}

# == The loop ==
# One loop, one call that waits: ppoll(2). What is always ready (a COMMAND that floods its pipe) must not keep
# signals and timers from their turn.

@test "no beat comes while it stops" {
	launched -g 0.4 -i 0.05 start sh -c 'echo x >>"$HERE/beats"; trap "" TERM; while :; do sleep 1; done'
	wait_until 10 test -s beats
	exits 0 repeatd stop
	expect "runs" 1 "$(lines beats)" "$stopping"
}

@test "a COMMAND that floods the log does not keep TERM waiting" {
	# four writers of short lines: the pipe is never empty when the daemon looks
	local y=y
	((SLOWER == 1)) || y=$(printf '%0200d' 0)
	foreground -g 60 -i 3600 -o /dev/null run sh -c 'yes "$0" & yes "$0" & yes "$0" & : >"$HERE/up"; yes "$0"' "$y"
	wait_until 10 test -e up
	timed eval 'kill -TERM "$daemon"; ended 0'
	took "from TERM to the end" 0 3000 "$loop"
}

# == Stopping ==
# From which moment on is TERM caught, and what does it do before that? Block signals first, sigprocmask(2), and
# let them in only where you wait: ppoll(2). Then no moment is left in which one could get lost.

@test "TERM at any system call of the start-up is neither lost nor leaves a pid file or a process" {
	needs_own_calls
	local call count n
	beside strace -f -o calls repeatd -i 3600 run sleep 60
	wait_until 10 test -e calls
	wait_until 10 grep -q 'exec.*\["sleep", "60"\]' calls
	daemon=$(sed -n '1s/ .*//p' calls)
	kill -TERM "$daemon"
	ended 0
	# each call that the daemon makes once it runs itself, up to this TERM, and how often
	sed -nE "/--- SIGTERM/q; s/^$daemon +([a-z0-9_]+)\(.*/\1/p" calls | sort | uniq -c |
		while read -r count call; do
			[[ $call =~ ^(execve|m(un)?map|mprotect|brk|arch_.*|set_.*|rseq|prlimit.*|access|p?read.*|exit.*)$ ]] && continue
			for ((n = 1; n <= count && n <= 20; n++)); do echo "$call $n"; done
		done >points
	has_lines 10 points
	while read -r call n; do
		code=0
		timeout -s KILL 5 strace -o trace -e trace="$call" -e inject="$call:signal=TERM:when=$n" \
			repeatd -i 3600 run sleep 60 >.out 2>.err 3>&- </dev/null || code=$?
		if ! grep -q -e '--- SIGTERM' trace; then
			clean_up # it had fewer calls this time
			rm -f repeatd.pid
			continue
		fi
		[[ $code == 0 || $code == 143 ]] || fail "TERM at $call number $n" "  expected: exit code 0 or 143" "  came:     $code $(<.err)"
		absent repeatd.pid "TERM at $call number $n; $stopping"
		wait_until 2 nobody_left || fail "TERM at $call number $n left behind: $(marked_pids)"
	done <points
}

@test "TERM at any moment of the start-up is neither lost nor leaves a pid file or a process" {
	local pause
	for pause in 1 2 3 4 5 6 7 8 9 10 12 14 17 20; do
		beside repeatd -i 3600 run sleep 60
		sleep "0.0$((pause * 5 + 100))"
		kill -TERM "$job"
		wait_until 10 dead "$job"
		absent repeatd.pid "$stopping"
		wait_until 2 nobody_left || fail "left behind: $(marked_pids)"
	done
}

@test "TERM as soon as the pid file is there ends the daemon and removes the file, and start does not hang" {
	for _ in 1 2 3 4 5 6; do
		beside timeout $((10 * SLOWER)) repeatd -i 3600 start sleep 60
		until { read -r daemon <repeatd.pid; } 2>/dev/null; do :; done
		kill -TERM "$daemon"
		gone "$daemon" "the daemon"
		wait_until 10 dead "$job"
		absent repeatd.pid "$stopping"
		wait_until 2 nobody_left || fail "left behind: $(marked_pids)"
	done
}

# == The log ==
# Open the new log first, then put it in the place of the old one: dup2(2), or swap the descriptors. Relative names
# mean another directory by now. If the open fails (O_NONBLOCK for a FIFO), the old log goes on.

@test "HUP after mv, 20 times under load: not one line is lost or doubled" {
	local k
	launched -n 1 start sh -c '
		i=0; while [ ! -e "$HERE/enough" ]; do echo "line $i"; i=$((i+1)); done; echo "line $i"; : >"$HERE/over"'
	for ((k = 1; k <= 20; k++)); do
		wait_until 10 test -s repeatd.log
		mv repeatd.log "log.$k"
		kill -HUP "$daemon"
		wait_until 10 test -e repeatd.log
	done
	: >enough
	gone "$daemon" "the daemon"
	test -e over
	for ((k = 1; k <= 20; k++)); do cat "log.$k"; done >all
	cat repeatd.log >>all
	sed -n 's/.*\]: line //p' all | awk '$1 != n { print "after line " n - 1 " comes line " $1; exit 1 } { n++ } END { if (n < 100) exit 1 }' ||
		fail "lines over 21 logs" "  see:      $log"
}

@test "HUP opens the log again" {
	idle
	mv repeatd.log moved.log
	kill -HUP "$daemon"
	wait_until 10 test -e repeatd.log || fail "no new log" "  see:      $log"
	kill -USR1 "$daemon"
	logged 1 "repeatd\\[$daemon\\]: " "$log"
}

@test "HUP makes the new log although the daemon's directory is another, and with mode 0640" {
	mkdir elsewhere
	idle -C elsewhere -o ./here.log
	mv here.log moved.log
	kill -HUP "$daemon"
	wait_until 10 test -e here.log || fail "no new log" "  see:      $log"
	expect "its mode, as the old one's" "$(stat -c %a moved.log)" "$(stat -c %a here.log)" "$log"
}

@test "when HUP cannot open the log, the old one goes on with a line that says so" {
	idle
	mv repeatd.log moved.log
	mkdir repeatd.log
	kill -HUP "$daemon"
	wait_until 10 has_lines 1 moved.log '(error|warning) repeatd\[[0-9]+\]: .*repeatd\.log.*: Is a directory' ||
		fail "$(cat moved.log)" "  see:      $log"
	before=$(lines moved.log)
	kill -USR1 "$daemon"
	wait_until 10 has_lines $((before + 1)) moved.log
}

@test "when HUP finds a FIFO that nobody reads, the daemon does not hang" {
	idle
	mv repeatd.log moved.log
	mkfifo repeatd.log
	kill -HUP "$daemon"
	wait_until 10 has_lines 1 moved.log '(error|warning) repeatd\[[0-9]+\]: .*repeatd\.log' ||
		fail "$(cat moved.log)" "  see:      $log"
	kill -TERM "$daemon"
	ended 0 "$loop"
}

@test "HUP ends nothing where the log is standard error" {
	idle -o -
	kill -HUP "$daemon"
	kill -USR1 "$daemon"
	wait_until 10 has_lines 2 job.err "repeatd\\[$daemon\\]: "
	lives "$daemon" "the daemon" "$log"
}

# == The loop ==
# Every signal that you do not catch or ignore ends you: signal(7). What each one means is decided in one place,
# in the loop. A broken pipe is an error of write(2) once PIPE is ignored.

@test "USR1 writes one status line to the log" {
	idle
	before=$(lines repeatd.log)
	kill -USR1 "$daemon"
	wait_until 10 has_lines $((before + 1)) repeatd.log
	kill -TERM "$daemon"
	ended 0
	sed -n "$((before + 1))p" repeatd.log >status
	expect_like "the line" "info repeatd\\[$daemon\\]: ." "$(<status)" "$log"
	expect "lines like it" 1 "$(lines repeatd.log "$(sed -n 's/.*\]: \([a-z]*\).*/]: \1/p' status)")" "$log"
}

@test "PIPE is ignored" {
	idle
	before=$(lines repeatd.log)
	kill -PIPE "$daemon"
	kill -USR1 "$daemon"
	wait_until 10 has_lines $((before + 1)) repeatd.log
	lives "$daemon" "the daemon" "$loop"
}

@test "a reader of the log that goes away does not end the daemon" {
	repeatd -o - -i 0.02 -n 5 run sh -c 'echo x; echo x >>"$HERE/beats"' 2> >(:) 3>&- </dev/null
	expect "runs" 5 "$(lines beats)" "$loop"
}

# == The children ==
# Signals merge: one CHLD may stand for many deaths. waitpid(2) with WNOHANG until there are none left; and orphans
# of COMMAND come to you only if you are PID 1 or a subreaper.

@test "500 short children and as many orphans are all reaped" {
	launched -i 3600 start sh -c '
		i=0; while [ $i -lt 500 ]; do : & i=$((i+1)); done
		i=0; while [ $i -lt 50 ]; do (: & : & : & : & : & : & : & : & : & :) & i=$((i+1)); done
		echo all begun'
	logged 1 'all begun$'
	wait_until 10 childless "$daemon" || fail "children: $(<"/proc/$daemon/task/$daemon/children")" "  see:      $children"
}

@test "children whose deaths merge into one signal are all reaped" {
	launched -i 3600 start sh -c '
		i=0; while [ $i -lt 50 ]; do (sleep 0.1; echo x >>"$HERE/ended") & i=$((i+1)); done; : >"$HERE/begun"; exec sleep 0.1'
	wait_until 10 test -e begun
	kill -STOP "$daemon"
	wait_until 10 has_lines 50 ended
	kill -CONT "$daemon"
	wait_until 10 childless "$daemon" || fail "children: $(<"/proc/$daemon/task/$daemon/children")" "  see:      $children"
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
	absent overlap "$children"
}

@test "a process that left the group delays neither the next beat nor the end" {
	foreground -i 0.05 run sh -c 'setsid sleep 60 & echo beat'
	logged 3 'beat$' "$children"
	kill -TERM "$daemon"
	ended 0 "$children"
}

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
	wait_until 10 has_a_child
	kill -KILL "$daemon"
	gone "$job" "what came of the child"
	absent begun "$children"
}

# == The log ==
# Build the whole line, then one write(2): what is written in two pieces can be torn. Time is UTC with milliseconds:
# clock_gettime(2), gmtime_r(3).

line='^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{3}Z (error|warning|info|debug) [^ ]+\[[0-9]+\]: '

# all_lines FILE: each is a line as it should be.
all_lines() {
	[[ -s $1 ]] || fail "$1 is empty"
	! LC_ALL=C grep -aEv -- "$line" "$1" >odd || fail "lines of another form: $(cat -v odd)" "  see:      $log"
}

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
	age=$(($(date +%s) - $(date -d "$stamp" +%s)))
	((age >= 0 && age < 20 * SLOWER)) || fail "a line of now: $stamp" "  see:      $log"
}

# == The log ==
# COMMAND writes to a pipe, you read it, cut it into lines and log them under its name and pid: pipe(2), O_NONBLOCK.
# Its end is not the end of the pipe: read until there is nothing left before you call the run over.

@test "COMMAND's lines carry COMMAND's own name and pid" {
	exits 0 repeatd -n 1 run /bin/sh -c 'echo "I am $$"; echo "still $$" >&2'
	pid=$(sed -n 's/.*I am //p' repeatd.log)
	expect "lines" 2 "$(lines repeatd.log " info sh\\[$pid\\]: (I am|still) $pid\$")" "$log"
}

@test "COMMAND's output and errors are logged in the order in which they were written" {
	exits 0 repeatd -n 1 run sh -c 'echo 1; echo 2 >&2; echo 3; echo 4 >&2; echo 5'
	expect "order" 12345 "$(sed -nE 's/.* sh\[[0-9]+\]: ([1-5])$/\1/p' repeatd.log | tr -d '\n')" "$log"
}

# Hint: A terminal obeys what it is shown. Everything below a blank, and DEL, is written as \xNN before it is logged.
@test "control characters are escaped" {
	exits 0 repeatd -n 1 run printf 'red \033[31m return \r bell \a tab \t nul \000 del \177 end\n'
	all_lines repeatd.log
	expect "control characters in the log" "" "$(LC_ALL=C grep -aP '[\x00-\x09\x0b-\x1f\x7f]' repeatd.log | cat -v)" "$log"
	expect_like "the line" 'red .+\[31m return .+ bell .+ tab .+ nul .+ del .+ end$' "$(grep -a red repeatd.log)" "$log"
}

@test "text in UTF-8 is kept" {
	exits 0 repeatd -n 1 run printf 'grüße aus ☃ und 𝄞\n'
	expect "lines with it" 1 "$(lines repeatd.log ': grüße aus ☃ und 𝄞$')" "$log"
}

# Hint: U+0080 to U+009F are two bytes in UTF-8, and a terminal may obey them as ESC [ and the like.
@test "control characters beyond ASCII (U+0080 to U+009F, which terminals obey) are escaped" {
	exits 0 repeatd -n 1 run printf 'as UTF-8 \302\23331m, as a bare byte \23331m, end\n'
	expect "such characters in the log" "" "$(LC_ALL=C grep -aP '\xc2[\x80-\x9f]|[\x00-\x7f][\x80-\x9f]' repeatd.log | cat -v)" "$log"
	expect_like "the line" 'as UTF-8 .+31m, as a bare byte .+31m, end$' "$(grep -a UTF-8 repeatd.log)" "$log"
}

@test "no newline in a name forges a line" {
	forged=$'no\n2026-01-01T00:00:00.000Z info repeatd[1]: forged'
	exits 0 repeatd -n 1 run "$forged"
	expect "forged lines" 0 "$(lines repeatd.log '^2026-01-01T00:00:00.000Z')" "$log"
	has_lines 1 repeatd.log forged || fail "no line names COMMAND" "  see:      $log"
}

@test "a last line without its newline is not lost" {
	exits 0 repeatd -n 1 run printf 'first\nlast'
	expect "lines" 2 "$(lines repeatd.log ': (first|last)$')" "$log"
}

@test "what COMMAND wrote before it was killed is not lost" {
	foreground -g 0.1 -i 3600 run sh -c 'trap "" TERM; printf "half a line"; : >"$HERE/up"; while :; do sleep 1; done'
	wait_until 10 test -e up
	kill -TERM "$daemon"
	ended 0
	expect "lines" 1 "$(lines repeatd.log ': half a line$')" "$log"
}

@test "what COMMAND wrote in its last moment is not lost, however much" {
	launched -n 1 start sh -c ': >"$HERE/up"; until [ -e "$HERE/go" ]; do sleep 0.02; done; head -c 60000 /dev/zero | tr "\\0" x; : >"$HERE/over"'
	wait_until 10 test -e up
	kill -STOP "$daemon"
	: >go
	wait_until 10 test -e over
	kill -CONT "$daemon"
	gone "$daemon" "the daemon"
	expect "x in the log" 60000 "$(pieces | tr -dc x | wc -c)" "$log"
}

@test "a line is in the log as soon as it is written, not at the end of COMMAND" {
	launched -i 3600 start sh -c 'echo early; exec sleep 60'
	logged 1 ': early$' "$log"
}

# Hint: A read ends where a write ended, or the buffer. Keep what has no newline yet.
@test "a line that COMMAND writes in several parts is one line" {
	launched -i 3600 start sh -c 'printf one; : >"$HERE/up"; until [ -e "$HERE/go" ]; do sleep 0.02; done; printf " and "; echo two'
	wait_until 10 test -e up
	kill -USR1 "$daemon" # its answer comes after it has read the first part
	logged 1 'repeatd\[[0-9]+\]: .*running'
	: >go
	logged 1 ': one and two$' "$log"
}

# == The log ==
# Lines have no length that you may rely on: what do you do when the buffer is full and no newline has come? A piece
# is marked, loses no byte, and ends where a character ends: utf-8(7).

# pieces: what the log has of a line of many x, one piece per line.
pieces() { LC_ALL=C sed -nE 's/^[^ ]+ info sh\[[0-9]+\]: (.*x.*)$/\1/p' repeatd.log; }

@test "a line of 4096 bytes is logged whole" {
	exits 0 repeatd -n 1 run sh -c 'head -c 4096 /dev/zero | tr "\\0" x; echo'
	expect "pieces of only x" "$(head -c 4096 /dev/zero | tr '\0' x)" "$(pieces)" "$log"
}

@test "a line longer than 4 KiB is split, and not a byte is lost" {
	exits 0 repeatd -n 1 run sh -c 'head -c 10000 /dev/zero | tr "\\0" x; echo; echo after'
	expect "x in the log" 10000 "$(pieces | tr -dc x | wc -c)" "$log"
	(($(pieces | wc -l) >= 3)) || fail "pieces: $(pieces | wc -l)" "  see:      $log"
	(($(wc -L <repeatd.log) < 4300)) || fail "longest line: $(wc -L <repeatd.log)" "  see:      $log"
	expect "lines after it" 1 "$(lines repeatd.log ': after$')" "$log"
}

@test "the pieces of a line that was split are marked" {
	exits 0 repeatd -n 1 run sh -c 'head -c 10000 /dev/zero | tr "\\0" x; echo'
	(($(pieces | wc -l) > 1)) || fail "nothing was split" "  see:      $log"
	expect "pieces without a mark" "" "$(pieces | grep '^x*$' | cut -c1-20)" "$log"
}

@test "a split cuts no character of UTF-8 in two" {
	exits 0 repeatd -n 1 run sh -c 'printf x; yes ü | head -n 5000 | tr -d "\n"; echo'
	expect "whole characters in the log" 5000 "$(grep -aoF ü repeatd.log | wc -l)" "$log"
	(($(grep -acF ü repeatd.log) > 1)) || fail "nothing was split" "  see:      $log"
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

# == The log ==
# error, warning, info, debug: what is less urgent than -l is not logged. -S gives lines to syslog(3) instead.

# levels_of LEVEL: which levels the log has when -l is LEVEL, with a COMMAND that talks and fails.
levels_of() {
	rm -f repeatd.log
	exits 0 repeatd -l "$1" -i 0 -n 2 run sh -c 'echo talk; exit 3' >&2
	cut -d' ' -f2 repeatd.log | sort -u | tr '\n' ' '
}

@test "-l keeps out what is less urgent" {
	expect_like "with -l error" '^(error )?$' "$(levels_of error)" "$log"
	expect_like "with -l warning" '^(error )?(warning )?$' "$(levels_of warning)" "$log"
	expect_like "with -l info" '^(error )?info (warning )?$' "$(levels_of info)" "$log"
	expect_like "with -l debug" '^(debug )?(error )?info (warning )?$' "$(levels_of debug)" "$log"
}

@test "COMMAND's lines are of level info" {
	exits 0 repeatd -l warning -n 1 run echo talk
	expect "lines of COMMAND with -l warning" 0 "$(lines repeatd.log talk)" "$log"
	exits 0 repeatd -l info -n 1 run echo talk
	expect "lines of COMMAND with -l info" 1 "$(lines repeatd.log talk)" "$log"
}

@test "a COMMAND that fails is a warning or an error" {
	exits 0 repeatd -l warning -n 1 run sh -c 'exit 7'
	expect "lines that say so" 1 "$(lines repeatd.log '(warning|error) repeatd\[[0-9]+\]: .*7')" "$log"
}

@test "-S logs to syslog, and makes no file" {
	needs_namespace -m
	# a /dev of our own, with a log that we read
	mkdir dev
	datagrams "$PWD/socket" heard
	exits 0 "${apart[@]}" sh -c '
		mount -t tmpfs none dev && : >dev/null && mount --bind /dev/null dev/null && : >dev/log &&
		mount --bind socket dev/log && mount --rbind dev /dev || exit 99
		repeatd -S -n 1 run sh -c "echo from COMMAND; exit 7"'
	wait_until 10 has_lines 1 heard 'from COMMAND$'
	wait_until 10 has_lines 1 heard 'repeatd\[[0-9]+\]: .*7'
	expect "severity of COMMAND's line (6 is info)" 6 "$(($(sed -n 's/^<\([0-9]*\)>.*from COMMAND$/\1/p' heard) % 8))" "$log"
	absent repeatd.log "$log"
}

# Hint: syslog(3) takes a lock. A handler that waits for it waits for whom it has interrupted: signal-safety(7).
@test "a hundred USR1 while COMMAND talks to syslog do not stop the daemon" {
	needs_namespace -m
	# a /dev of our own, without a log: nobody is bothered
	mkdir dev
	beside "${apart[@]}" sh -c '
		mount -t tmpfs none dev && : >dev/null && mount --bind /dev/null dev/null && mount --rbind dev /dev || exit 99
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

@test "run tells NOTIFY_SOCKET that it is ready, how it stands, and that it stops" {
	datagrams "$PWD/socket" heard
	NOTIFY_SOCKET=$PWD/socket foreground -i 3600 run true
	wait_until 10 has_lines 1 heard '(^|\|)READY=1(\||$)' || fail "heard: $(cat heard)" "  see:      $notify"
	absent_yet=$(lines heard STOPPING=1)
	kill -TERM "$daemon"
	ended 0
	wait_until 10 has_lines 1 heard '(^|\|)STOPPING=1(\||$)' || fail "heard: $(cat heard)" "  see:      $notify"
	expect "STOPPING before TERM" 0 "$absent_yet" "$notify"
	expect_like "STATUS" 'STATUS=[^|]' "$(cat heard)" "$notify"
}

@test "NOTIFY_SOCKET may be an abstract address" {
	datagrams "@$HERE" heard
	NOTIFY_SOCKET=@$HERE foreground -i 3600 run true
	wait_until 10 has_lines 1 heard '(^|\|)READY=1(\||$)' || fail "heard: $(cat heard)" "  see:      $notify"
}

@test "READY=1 is said once the pid file holds our pid" {
	datagrams "$PWD/socket" heard
	NOTIFY_SOCKET=$PWD/socket beside repeatd -i 3600 run true
	wait_until 10 has_lines 1 heard 'READY=1'
	expect "the pid file" "$job" "$(cat repeatd.pid)" "$notify"
}

@test "NOTIFY_SOCKET is not handed on to COMMAND" {
	datagrams "$PWD/socket" heard
	NOTIFY_SOCKET=$PWD/socket exits 0 repeatd -n 1 run env
	expect "in COMMAND's environment" 0 "$(lines repeatd.log ': NOTIFY_SOCKET')" "$notify"
	expect "the rest of it" 1 "$(lines repeatd.log ": HERE=$HERE\$")" "$notify"
}

@test "a NOTIFY_SOCKET at which nobody listens does no harm" {
	for socket in "$PWD/none" @nobody-there relative "/$(head -c 300 /dev/zero | tr '\0' x)" '' @; do
		NOTIFY_SOCKET=$socket exits 0 repeatd -n 1 run sh -c 'echo x >>"$HERE/beats"'
	done
	expect "runs" 6 "$(lines beats)" "$notify"
}

# == Systemd and containers ==
# PID 1 gets all orphans, must wait for each, and has no default action for signals: pid_namespaces(7). The status of
# an orphan is not that of COMMAND: look at the pid that waitpid(2) returned.

# contained COMMAND...: repeatd is PID 1 of a PID namespace; $daemon is its pid outside.
contained() {
	needs_namespace -pf --mount-proc
	beside "${apart[@]}" repeatd "$@"
	wait_until 10 test -s repeatd.pid
	expect "its own pid, inside" 1 "$(<repeatd.pid)"
	daemon=$(tr -d ' ' <"/proc/$job/task/$job/children")
}

@test "as PID 1 of a container it reaps orphans" {
	contained -i 3600 run sh -c 'setsid sh -c "(sleep 0.05; : >\"$HERE/ended\") & (sleep 0.01 &) & :" & echo begun'
	logged 1 'begun$'
	wait_until 10 test -e ended
	wait_until 10 childless "$daemon" || fail "children: $(<"/proc/$daemon/task/$daemon/children")" "  see:      $notify"
	logged 1 'begun$'
}

@test "as PID 1 of a container it ends with 0 at TERM, and COMMAND before it" {
	contained -i 3600 run sh -c 'trap "echo goodbye; exit" TERM; echo ready; while :; do sleep 0.1; done'
	logged 1 'ready$'
	kill -TERM "$daemon"
	ended 0 "$notify"
	expect "lines of COMMAND after TERM" 1 "$(lines repeatd.log 'goodbye$')" "$notify"
}

@test "an orphan's exit status is not taken for COMMAND's" {
	launched -i 3600 start sh -c '(setsid sh -c "sleep 0.05; exit 9" &); sleep 0.2; echo end; exit 0'
	logged 1 'end$'
	exits 0 repeatd stop
	expect "failures in the log" 0 "$(lines repeatd.log '(warning|error)')" "$children"
}

# == The loop ==
# Sleep until something happens: no time limit but the next beat. Every tick, 'just to be sure', wakes a laptop.

@test "idle with -i 3600, it does not wake up" {
	idle
	wait_until 10 in_state S "$daemon"
	before=$(grep ctxt_switches "/proc/$daemon/status")
	sleep 2 # the one measured wait
	expect "switches in two seconds" "$before" "$(grep ctxt_switches "/proc/$daemon/status")" "$loop"
}
