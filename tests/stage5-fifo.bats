#!/usr/bin/env bats
# Stage 5: repeatd takes commands through a named pipe and answers them; repeatctl asks.
#
# shellcheck disable=SC2154 # out, err and code come from exits, in lib/common
# shellcheck disable=SC2016 # COMMANDs in single quotes are for the shell that repeatd starts

load lib/common

# Where the chapter explains it.
chapter="stage5-fifo/README.md"
the_fifo="$chapter: the FIFO"
commands="$chapter: the commands"
protocol="$chapter: the protocol"
rubbish="$chapter: rubbish on the line"
clients="$chapter: clients that do not read"
control="$chapter: repeatctl"
replaced="$chapter: the FIFO deleted or replaced"

# A program that hangs fails its test; it does not stop the others.
setup_file() { time_limit 40; }
setup() { stage 5; }
teardown() { clean_up; }

# --- helpers ---

# serve [OPTION...] start COMMAND...: starts a daemon that must come up; leaves $pid.
serve() {
	exits 0 repeatd "$@"
	pid=$(<repeatd.pid)
	local words=" $*"
	[[ ${words%% start *} == *' -c '* ]] || is_fifo repeatd.ctl || fail "no FIFO ./repeatd.ctl after: repeatd $*" "  see:      $the_fifo"
}

# idle_daemon: one that has run its COMMAND once and now only listens.
idle_daemon() { serve "$@" -i 3600 start true; }

fifo() { "$PYTHON" "$ROOT/tests/lib/fifo.py" "$@" 3>&- 4>&-; }

# background NAME COMMAND...: runs COMMAND beside the test, output to the file NAME; leaves $job.
# env: a shell that starts something with & lets it ignore INT, which no terminal does.
background() {
	local name=$1
	shift
	env --default-signal=HUP,INT,QUIT,PIPE,TERM,ALRM,USR1,USR2 "$@" >"$name" 2>"$name.err" </dev/null 3>&- 4>&- &
	job=$!
}

# limited COMMAND...: COMMAND must not hang; if it does, it is ended, and says so.
limited() {
	local limit status=0
	patient 15
	# what bash itself has to say of a death by KILL is for nobody
	{ timeout -s KILL "$limit" "$@" 2>&7 7>&- || status=$?; } 7>&2 2>/dev/null
	((status != 137)) || echo "(it hung, and was killed after $limit s)" >&2
	return "$status"
}

now_ms() {
	local micros=${EPOCHREALTIME//[!0-9]/}
	echo $((micros / 1000))
}

# within MILLISECONDS COMMAND...: COMMAND does what it must, and in that time.
within() {
	local busy limit status=0 begin took
	how_busy
	limit=$(($1 * SLOWER * busy))
	shift
	begin=$(now_ms)
	"$@" || status=$?
	took=$(($(now_ms) - begin))
	((took > limit)) || return "$status"
	# after a failure of its own this is one more line of that
	((status == 0)) || fail "  time:     $took ms instead of at most $limit ms" || return 1
	fail "time of: $*" "  expected: at most $limit ms" "  came:     $took ms"
}

# deaf_clients COUNT: so many clients that ask and never read their answer; leaves $job.
deaf_clients() {
	background deaf.out "$PYTHON" "$ROOT/tests/lib/fifo.py" deaf repeatd.ctl deaf "$1"
	wait_until 10 says ready deaf.out 2>/dev/null || fail "clients that do not read their answer" \
		"  expected: $1 of them ask" "  came:     they have not done so after 10 s" "  stderr:   $(<deaf.out.err)"
}

# lines FILE: how many lines FILE has; none when it does not exist.
lines() { if [[ -e $1 ]]; then wc -l <"$1"; else echo 0; fi; }
more_lines_than() { (($(lines "$2") > $1)); }
says() { grep -qiE -e "$1" "$2"; }
same() { [[ $(eval "$1") == "$2" ]]; }
# becomes WHAT EXPECTED EXPRESSION: in time, EXPECTED is what EXPRESSION prints.
becomes() { wait_until 5 same "$3" "$2" 2>/dev/null || expect "$1" "$2" "$(eval "$3")" "$commands"; }
gone() { [[ ! -e $1 && ! -L $1 ]]; }
is_fifo() { [[ -p $1 && ! -L $1 ]]; }
warnings() { grep -c '^[^ ]* warning ' repeatd.log || true; }
inode() { stat -c %i "$1"; }
mode() { stat -c %a "$1"; }
replies() { find . -name 'repeatd.ctl.*'; }
# daemon_holds NAME: the daemon has a descriptor of a file of whose name this is a part.
daemon_holds() { [[ -n $(find "/proc/$pid/fd" -lname "*$1*" 2>/dev/null) ]]; }
daemon_lets_go_of() { ! daemon_holds "$1"; }
state() { repeatctl status 3>&- 4>&- | grep '^state: '; }
# paused: what status says; while COMMAND runs it may say that instead.
paused() {
	local now
	until now=$(state) && [[ $now != *running* ]]; do sleep 0.02; done
	[[ $now == *paused* ]]
}
a_warning_is_logged() { (($(warnings) > 0)); }
a_reply_fifo_is_there() { [[ -n $(replies) ]]; }
no_reply_fifo_is_left() { [[ -z $(replies) ]]; }
# said_in LOG: how many lines 'said' COMMAND has in it.
said_in() { if [[ -f $1 ]]; then grep -cE '\]: said$' "$1" || true; else echo 0; fi; }

# unread FIFO: opens it for writing as fd 6, although nobody reads it.
unread() {
	exec 5<>"$1"
	exec 6>"$1"
	exec 5>&-
}

# for_a_while MILLISECONDS COMMAND...: COMMAND stays true for that long.
for_a_while() {
	local end=$(($(now_ms) + $1))
	shift
	while (($(now_ms) < end)); do
		"$@" || fail "did not stay so: $*" || return 1
		sleep 0.02
	done
}

# == The FIFO ==
# mkfifo(3) takes a mode, and the umask takes bits from it: fchmod(2), or a umask of 077 around it. Make it only
# once you hold the lock, and before start says 'started'. Names are relative to the caller.

@test "the FIFO is made as ./repeatd.ctl with mode 0600" {
	idle_daemon
	expect "what repeatd.ctl is" "fifo 600" "$(stat -c '%F %a' repeatd.ctl)" "$the_fifo"
}

@test "the FIFO has mode 0600 whatever the umask of the caller and of -m" {
	local mask
	for mask in 000 022 077 0177; do
		umask "$mask"
		idle_daemon -m "$mask"
		expect "mode of the FIFO with umask $mask" 600 "$(mode repeatd.ctl)" "$the_fifo"
		exits 0 repeatd stop
	done
}

# Hint: Put the caller's directory in front of the name, getcwd(3), before you chdir(2) to that of -C.
@test "-c names the FIFO, relative to the caller's directory, for repeatd and repeatctl" {
	mkdir run
	idle_daemon -C / -c run/my.fifo
	exits 0 repeatctl -c run/my.fifo status
	expect "files in run" my.fifo "$(ls run)" "$the_fifo"
	expect_like "the status" '^state: ' "$(grep '^state: ' .out)" "$the_fifo"
}

# Hint: The default is a relative name, too: put the caller's directory in front of it, getcwd(3), before you chdir(2).
# Hint: Compare the names once they are absolute, before anything is opened or made.
@test "one file for -c and for -p or -o leaves with 2, says why, and makes nothing" {
	local other
	for other in -p -o; do
		exits 2 repeatd -c same "$other" "$PWD/same" -i 3600 start true
		expect_like "message" '^repeatd: .*same' "$err" "$the_fifo"
	done
	expect "files" "" "$(ls)" "$the_fifo"
}

@test "the default FIFO lies in the caller's directory, whatever -C says" {
	idle_daemon -C /
	is_fifo repeatd.ctl || fail "no FIFO ./repeatd.ctl" "  see:      $the_fifo"
}

# Hint: A FIFO that is there, but that nobody has open for reading yet, helps nobody: who opens it for writing gets
# ENXIO, fifo(7). Open it first, then let start know.
@test "start returns only when the daemon can be asked" {
	for _ in 1 2 3 4 5; do
		idle_daemon
		exits 0 repeatctl status
		exits 0 repeatd stop
	done
}

# Hint: run is start without the forks: make the FIFO in what both share.
@test "run makes the FIFO too, and serves it" {
	background run.out repeatd -i 3600 run true
	wait_until 5 is_fifo repeatd.ctl
	wait_until 5 exits 0 repeatctl status
	expect_like "the status" '^state: ' "$(grep '^state: ' .out)" "$the_fifo"
}

# == The FIFO ==
# Who may replace what stands under the name? Only who holds the lock, and only a FIFO that is ours: lstat(2),
# S_ISFIFO, st_uid. Everything else is refused and left alone, and a failed start takes back what it made.

@test "a second start leaves the FIFO of the first one alone" {
	local before
	idle_daemon
	before=$(inode repeatd.ctl)
	exec 6>repeatd.ctl # keeps the inode from being used again
	exits 1 repeatd -i 3600 start true 6>&-
	exec 6>&-
	expect "inode of the FIFO" "$before" "$(inode repeatd.ctl)" "$the_fifo"
	exits 0 repeatctl status
}

# Hint: Take the lock before you make what others can see. Here the second start is given another name for its FIFO.
@test "a second start makes no FIFO" {
	idle_daemon
	exits 1 repeatd -c other.ctl -i 3600 start true
	expect "message" "repeatd: already running, pid $(<repeatd.pid)" "$err" "$the_fifo"
	[[ ! -e other.ctl ]] || fail "other.ctl" "  expected: no such file" "  came:     $(ls -l other.ctl)" "  see:      $the_fifo"
}

# Hint: Nobody knows who has the old one open, and with which mode it was made: unlink(2) it, then make another.
@test "a leftover FIFO of ours is replaced by a new one" {
	mkfifo -m 644 repeatd.ctl
	unread repeatd.ctl # fd 6 keeps the inode from being used again
	exits 0 repeatd -i 3600 start true 6>&-
	expect "mode of the FIFO" 600 "$(mode repeatd.ctl)" "$the_fifo"
	[[ $(inode repeatd.ctl) != "$(stat -Lc %i "/proc/$BASHPID/fd/6")" ]] ||
		fail "the leftover FIFO itself is still in use" "  see:      $the_fifo"
	exec 6>&-
	exits 0 repeatctl status
}

# Hint: mkfifo(3) fails with EEXIST, for nobody has removed the old one. If that is a FIFO of ours, unlink(2) it first.
@test "after a daemon was killed with KILL, the next start replaces its FIFO" {
	idle_daemon
	kill -KILL "$pid"
	wait_until 5 dead "$pid"
	idle_daemon
	exits 0 repeatctl status
}

# Hint: A FIFO that somebody reads is no leftover. open(2) for writing with O_NONBLOCK tells: ENXIO means that nobody does.
@test "a FIFO that another daemon reads is not taken from it: start is refused, whatever the pid file" {
	local before
	idle_daemon
	before=$(inode repeatd.ctl)
	exits 1 repeatd -p other.pid -o other.log -i 3600 start true
	expect_like "the message" '^repeatd: .*repeatd\.ctl: .+' "$err" "$the_fifo"
	gone other.pid || fail "a pid file was left behind" "  see:      $the_fifo"
	expect "inode of the FIFO" "$before" "$(inode repeatd.ctl)" "$the_fifo"
	exits 0 repeatctl status
}

# refuses WHAT: start refuses what is under the FIFO's name, says why, and leaves all as it was.
refuses() {
	local before
	before=$(stat -c '%F %i %a %s %U' repeatd.ctl)
	exits 1 repeatd -i 3600 start sh -c ": >>'$PWD/ran'"
	expect_like "the message" '^repeatd: .*repeatd\.ctl: .+' "$err" "$the_fifo"
	expect "$1 under the FIFO's name" "$before" "$(stat -c '%F %i %a %s %U' repeatd.ctl)" "$the_fifo"
	gone repeatd.pid || fail "a pid file was left behind" "  see:      $the_fifo"
	gone ran || fail "COMMAND was run" "  see:      $the_fifo"
	nobody_left || fail "a process was left behind" "  see:      $the_fifo"
}

@test "a regular file under the FIFO's name is refused and left alone" {
	echo precious >repeatd.ctl
	refuses "the file"
	expect "the file's text" precious "$(<repeatd.ctl)" "$the_fifo"
}

@test "an empty file under the FIFO's name is refused and left alone" {
	: >repeatd.ctl
	refuses "the file"
}

@test "a symbolic link to a FIFO of ours under the FIFO's name is refused and left alone" {
	mkfifo -m 644 elsewhere
	ln -s elsewhere repeatd.ctl
	refuses "the link"
	expect "what the link points to" "fifo 644" "$(stat -c '%F %a' elsewhere)" "$the_fifo"
}

# Hint: stat(2) follows the link, and so do -e of the shell and of Perl: they say that nothing is there. lstat(2) sees
# the link itself.
@test "a symbolic link to nothing under the FIFO's name is refused, and nothing is made at its end" {
	ln -s nowhere repeatd.ctl
	refuses "the link"
	gone nowhere || fail "something was made at the link's end" "  see:      $the_fifo"
}

@test "a directory under the FIFO's name is refused and left alone" {
	mkdir repeatd.ctl
	refuses "the directory"
}

@test "a socket under the FIFO's name is refused and left alone" {
	fifo socket repeatd.ctl
	refuses "the socket"
}

@test "a FIFO of somebody else under the FIFO's name is refused and left alone" {
	needs_root
	mkfifo -m 666 repeatd.ctl
	chown 65534 repeatd.ctl
	refuses "the FIFO"
}

@test "a FIFO that cannot be made is a failed start with its reason, and leaves no pid file" {
	exits 1 repeatd -c no-such-directory/ctl -i 3600 start true
	expect_like "the message" '^repeatd: .*no-such-directory/ctl: .+' "$err" "$the_fifo"
	gone repeatd.pid || fail "a pid file was left behind" "  see:      $the_fifo"
	nobody_left || fail "a process was left behind" "  see:      $the_fifo"
}

# Hint: EMFILE may come from each open(2), pipe(2) or socket(2), also after the FIFO was made. One way out for every
# failure: take back what is there by then, tell start why, end.
@test "a start that runs out of descriptors leaves no FIFO, no pid file and no process" {
	((SLOWER == 1)) || skip "valgrind and the sanitizers need descriptors of their own"
	local limit failed=0
	# with the last of these there are enough
	for limit in 4 5 6 7 8 9 10 11 12 13 50; do
		if (exec >out 2>err 3>&- 4>&- && ulimit -n "$limit" && exec repeatd -i 3600 start true); then
			is_fifo repeatd.ctl || fail "no FIFO with $limit descriptors" "  see:      $the_fifo"
			exits 0 repeatctl status || fail "(the daemon was started with $limit descriptors)"
			exits 0 repeatd stop || fail "(the daemon was started with $limit descriptors)"
			continue
		fi
		failed=$((failed + 1))
		((limit != 50)) || fail "start with 50 descriptors" "$(<err)" "  see:      $the_fifo"
		gone repeatd.ctl || fail "a FIFO was left behind with $limit descriptors" "$(<err)" "  see:      $the_fifo"
		gone repeatd.pid || fail "a pid file was left behind with $limit descriptors" "$(<err)" "  see:      $the_fifo"
		nobody_left || fail "a process was left behind with $limit descriptors" "$(<err)" "  see:      $the_fifo"
	done
	((failed > 0)) || fail "starts that fail with few descriptors" "  expected: at least one" "  came:     none"
}

# == The FIFO ==
# The owner removes it at its end, before the lock goes: after that, the name may be another's already. unlink(2).

@test "the FIFO is gone when the verb stop returns" {
	idle_daemon
	is_fifo repeatd.ctl
	exits 0 repeatd stop
	gone repeatd.ctl || fail "the FIFO is still there" "  see:      $the_fifo"
}

@test "the FIFO is gone after TERM" {
	idle_daemon
	is_fifo repeatd.ctl
	kill -TERM "$pid"
	wait_until 5 dead "$pid"
	gone repeatd.ctl || fail "the FIFO is still there" "  see:      $the_fifo"
}

# Hint: After the last run the daemon ends as it does at TERM: one way out for both.
@test "the FIFO is gone when the last of -n runs is over" {
	serve -i 0 -n 1 start sh -c "while [ ! -e '$PWD/go' ]; do sleep 0.02; done"
	is_fifo repeatd.ctl
	: >go
	wait_until 5 dead "$pid"
	gone repeatd.ctl || fail "the FIFO is still there" "  see:      $the_fifo"
}

@test "restart takes the old FIFO away before it makes the new one, never after" {
	idle_daemon
	for _ in 1 2 3 4 5 6; do
		exits 0 repeatd -i 3600 restart true
		exits 0 repeatctl status
		is_fifo repeatd.ctl || fail "no FIFO after restart" "  see:      $the_fifo"
	done
}

# == The FIFO ==
# O_CLOEXEC at open(2): a COMMAND that holds the FIFO open holds up whoever waits for its end.

@test "COMMAND does not inherit the FIFO, nor the reply FIFO of a client that is being answered" {
	idle_daemon
	exits 0 repeatd stop
	serve -i 3600 start sh -c "echo \$\$ >>'$PWD/pids'; exec sleep 60"
	wait_until 5 more_lines_than 0 pids
	kill -KILL "$(tail -n 1 pids)"
	deaf_clients 1
	wait_until 5 repeatctl now 3>&- 4>&-
	wait_until 5 more_lines_than 1 pids
	ls -l "/proc/$(tail -n 1 pids)/fd" >descriptors
	expect "descriptors of COMMAND that are FIFOs with a name" "" "$(grep ctl descriptors || true)" "$the_fifo"
}

# == The commands ==
# Each command is one line in, one answer out; status is 'key: value' lines. What a command changes must show in
# the next status, and holds from the moment of the answer on.

@test "repeatctl status prints running facts, one 'key: value' a line" {
	idle_daemon
	exits 0 repeatctl status
	expect_like "the facts" '(^|.)state: .' "$out" "$commands"
	expect "lines that are not 'key: value'" "" "$(grep -vE '^[a-z][a-z0-9 _-]*: .+$' .out || true)" "$commands"
	expect "stderr of: repeatctl status" "" "$err" "$commands"
}

# == The commands ==
# A beat on demand: it does not move the timetable, and never runs a second COMMAND beside the first.

@test "now runs COMMAND at once" {
	serve -i 3600 start sh -c "echo ran >>'$PWD/beats'"
	wait_until 5 more_lines_than 0 beats
	wait_until 5 repeatctl now 3>&- 4>&-
	wait_until 5 more_lines_than 1 beats
}

# Hint: pause stops the timetable, not COMMAND.
@test "now runs COMMAND even while the beats are paused" {
	serve -i 3600 start sh -c "echo ran >>'$PWD/beats'"
	wait_until 5 more_lines_than 0 beats
	exits 0 repeatctl pause
	wait_until 5 repeatctl now 3>&- 4>&-
	wait_until 5 more_lines_than 1 beats
}

# Hint: Exit code 4 means no answer: do not wait in waitpid(2) until COMMAND ends, but let SIGCHLD tell you, and go on
# listening. What cannot be done now is refused: exit code 1.
@test "now is answered while COMMAND runs, and never runs a second one beside it" {
	mkdir turns
	serve -i 3600 start sh -c "cd '$PWD' && { mkdir turns/busy || echo two >>overlap; }
		while [ ! -e go ]; do sleep 0.02; done; rmdir turns/busy; echo over >>runs"
	wait_until 5 test -e turns/busy
	for _ in 1 2 3; do
		repeatctl now >answer 2>&1 3>&- 4>&- || expect "exit code of now" 1 $? "$commands"
	done
	exits 0 repeatctl status
	: >go
	wait_until 5 more_lines_than 0 runs
	gone overlap || fail "two COMMANDs at once" "  see:      $commands"
}

# == The commands ==
# While it is paused, no timer is set; resume sets it for the next beat of the timetable. What was missed is missed.

@test "pause stops the beats" {
	local count
	serve -i 0.05 start sh -c "echo ran >>'$PWD/beats'"
	wait_until 5 more_lines_than 1 beats
	exits 0 repeatctl pause
	# a run that had begun before the pause may still end
	becomes "the processes after pause, when none is left but the daemon" "$pid" marked_pids
	count=$(lines beats)
	for_a_while 400 same 'lines beats' "$count" ||
		fail "runs of COMMAND, 0.4 s after pause" "  expected: $count" "  came:     $(lines beats)" "  see:      $commands"
}

@test "resume lets the beats come again" {
	local count
	serve -i 0.05 start sh -c "echo ran >>'$PWD/beats'"
	exits 0 repeatctl pause
	count=$(lines beats)
	exits 0 repeatctl resume
	wait_until 5 more_lines_than $((count + 2)) beats
}

@test "beats missed during a pause are not made up for after it" {
	local first
	serve -i 0.1 start sh -c "date +%s%3N >>'$PWD/beats'"
	wait_until 5 more_lines_than 0 beats
	exits 0 repeatctl pause
	for_a_while 600 true
	first=$(lines beats)
	exits 0 repeatctl resume
	wait_until 5 more_lines_than $((first + 4)) beats
	mapfile -t after < <(tail -n +$((first + 1)) beats)
	((after[4] - after[0] > 200)) ||
		fail "five beats, one every 0.1 s, after resume" "  expected: more than 200 ms" \
			"  came:     $((after[4] - after[0])) ms" "  see:      $commands"
}

# Hint: repeatctl(1) has the words for the line 'state: '. stop is answered at once, though COMMAND may take its time to
# end: so there is somebody to be asked meanwhile.
@test "status says whether it is idle, running or stopping; while it stops, now is refused" {
	: >go
	serve -g 60 -i 3600 start sh -c "trap '' TERM; until [ -e '$PWD/go' ]; do sleep 0.05; done"
	is_idle() { [[ $(state) == 'state: '*idle ]]; }
	wait_until 10 is_idle 2>/dev/null || fail "status when COMMAND has ended" "  expected: state: idle" \
		"  came:     $(state)" "  see:      $commands"
	rm go
	exits 0 repeatctl now
	expect_like "status while COMMAND runs" '^state: +running' "$(state)" "$commands"
	exits 0 repeatctl stop
	expect_like "status after stop, while COMMAND takes its time" '^state: +stopping' "$(state)" "$commands"
	exits 1 repeatctl now
	: >go
	wait_until 10 dead "$pid"
}

# Hint: repeatctl(1) has the words for the line 'state: '. It says 'paused' after pause, and no longer after resume.
@test "status tells a paused daemon from one that beats" {
	idle_daemon
	exits 0 repeatctl pause
	paused || fail "it is not paused after pause: $(state)" "  see:      $commands"
	exits 0 repeatctl resume
	! paused || fail "it is still paused after resume" "  see:      $commands"
}

# == The commands ==
# A new interval means a new timetable, from now on, and the timer that runs is the old one's. What is refused must
# leave everything as it was: check first, change then.

@test "interval makes the beats faster" {
	serve -i 3600 start sh -c "echo ran >>'$PWD/beats'"
	wait_until 5 more_lines_than 0 beats
	exits 0 repeatctl interval 0.05
	wait_until 5 more_lines_than 3 beats
}

@test "interval makes the beats slower" {
	local count
	serve -i 0.05 start sh -c "echo ran >>'$PWD/beats'"
	wait_until 5 more_lines_than 1 beats
	exits 0 repeatctl interval 3600
	count=$(($(lines beats) + 2)) # one that runs already, and one on the spot
	for_a_while 500 true
	(($(lines beats) <= count)) ||
		fail "beats after interval 3600" "  expected: at most $count" "  came:     $(lines beats)" "  see:      $commands"
}

# Hint: The line 'interval: ' tells what is in use, with its decimals: not what -i said at the start.
@test "status names the interval that was set" {
	idle_daemon
	exits 0 repeatctl interval 1234.5
	exits 0 repeatctl status
	expect_like "the status" '1234\.5' "$out" "$commands"
}

@test "a refused interval leaves the old one" {
	idle_daemon
	exits 0 repeatctl status
	grep interval .out >before
	exits 1 repeatctl interval soon
	exits 0 repeatctl status
	expect "the interval" "$(<before)" "$(grep interval .out)" "$commands"
}

# == The commands ==
# The same function that -l and HUP use, and its failure is the answer. Opening a log may fail: the old one goes on.

@test "level error keeps COMMAND's lines out of the log, level info lets them in again" {
	serve -i 3600 start sh -c "echo said; echo ran >>'$PWD/beats'"
	becomes "lines of COMMAND ('said') in repeatd.log" 1 'said_in repeatd.log'
	exits 0 repeatctl level error
	wait_until 5 repeatctl now 3>&- 4>&-
	wait_until 5 more_lines_than 1 beats
	# the next run cannot begin before the lines of this one are done with
	wait_until 5 repeatctl now 3>&- 4>&-
	wait_until 5 more_lines_than 2 beats
	expect "lines of COMMAND under level error" 1 "$(said_in repeatd.log)" "$commands"
	exits 0 repeatctl level info
	wait_until 5 repeatctl now 3>&- 4>&-
	becomes "lines of COMMAND ('said') in repeatd.log" 2 'said_in repeatd.log'
}

@test "level takes error, warning, info and debug" {
	local level
	idle_daemon
	for level in error warning debug info; do
		exits 0 repeatctl level "$level"
	done
}

@test "reopen makes a new log after the old one was moved away" {
	serve -i 3600 start echo said
	becomes "lines of COMMAND ('said') in repeatd.log" 1 'said_in repeatd.log'
	mv repeatd.log old.log
	exits 0 repeatctl reopen
	wait_until 5 repeatctl now 3>&- 4>&-
	becomes "lines of COMMAND ('said') in repeatd.log" 1 'said_in repeatd.log'
	expect "lines of COMMAND in the old log" 1 "$(said_in old.log)" "$commands"
}

@test "reopen that fails is answered with an error, and the old log goes on" {
	serve -i 3600 start echo said
	becomes "lines of COMMAND ('said') in repeatd.log" 1 'said_in repeatd.log'
	mv repeatd.log old.log
	mkdir repeatd.log
	exits 1 repeatctl reopen
	wait_until 5 repeatctl now 3>&- 4>&-
	becomes "lines of COMMAND ('said') in old.log" 2 'said_in old.log'
}

# == The commands ==
# Answer first, then end as TERM does. The answer must be with the client before the daemon goes.

@test "stop ends the daemon, its pid file and its FIFO" {
	idle_daemon
	exits 0 repeatctl stop
	wait_until 5 dead "$pid"
	gone repeatd.pid || fail "the pid file is still there" "  see:      $commands"
	gone repeatd.ctl || fail "the FIFO is still there" "  see:      $commands"
	expect "files left of the answer" "" "$(replies)" "$commands"
}

@test "stop is answered before the daemon goes, whatever grace COMMAND needs" {
	serve -g 60 -i 3600 start sh -c "trap '' TERM; : >'$PWD/up'; while :; do sleep 0.1; done"
	wait_until 5 test -e up
	within 3000 exits 0 limited repeatctl -t 60 stop
	alive "$pid" || fail "the daemon did not wait for COMMAND" "  see:      $commands"
}

@test "stop ends the running COMMAND as TERM does" {
	serve -i 3600 start sh -c "echo \$\$ >>'$PWD/pids'; exec sleep 60"
	wait_until 5 more_lines_than 0 pids
	exits 0 repeatctl stop
	wait_until 5 dead "$pid"
	wait_until 5 dead "$(<pids)"
}

# == The commands ==
# Commands are obeyed in the loop, between all else: a COMMAND that runs, or floods its pipe, delays no answer. What
# is wrong is refused with its reason and changes nothing: too few words, too many, not a number.

# Hint: One table of the commands and their arguments (interval SECONDS), from which help is printed and in which
# commands are looked up: then none is forgotten.
@test "help names every command" {
	local word
	idle_daemon
	exits 0 repeatctl help
	for word in status now pause resume 'interval +SECONDS' 'level +LEVEL' reopen stop help; do
		expect_like "the help" "$word" "$out" "$commands"
	done
}

@test "commands are answered while COMMAND floods its output" {
	serve -l error -i 3600 start sh -c ": >'$PWD/up'; exec yes"
	wait_until 5 test -e up
	within 3000 exits 0 limited repeatctl -t 60 status
	within 3000 exits 0 limited repeatctl -t 60 stop
	wait_until 5 dead "$pid"
}

@test "every command is answered while COMMAND runs" {
	serve -i 3600 start sh -c ": >'$PWD/up'; exec sleep 60"
	wait_until 5 test -e up
	exits 0 repeatctl -t 20 pause
	exits 0 repeatctl -t 20 resume
	exits 0 repeatctl -t 20 interval 1800
	exits 0 repeatctl -t 20 level info
	exits 0 repeatctl -t 20 reopen
	exits 0 repeatctl -t 20 help
	within 5000 exits 0 limited repeatctl -t 20 status
}

# refused COMMAND...: the daemon refuses, and repeatctl hands its words on.
refused() {
	exits 1 repeatctl "$@"
	expect_like "stderr of: repeatctl $*" '^repeatctl: .+' "$err" "$commands"
	expect "stdout of: repeatctl $*" "" "$out" "$commands"
}

# Hint: Compare whole words, with strcmp(3) rather than strncmp(3), and do not fold their case. It is the daemon that
# refuses, so the exit code is 1.
@test "an unknown command is refused" {
	idle_daemon
	refused frobnicate
	refused statusx
	refused stat
	refused STATUS
}

@test "a missing argument is refused" {
	idle_daemon
	refused interval
	refused level
}

@test "superfluous arguments are refused, and the command is not obeyed" {
	local word
	idle_daemon
	for word in status now pause resume reopen stop help; do
		refused "$word" superfluous
	done
	refused interval 3 4
	refused level info debug
	alive "$pid" || fail "it stopped" "  see:      $commands"
	! paused || fail "it paused" "  see:      $commands"
}

# Hint: strtod(3), and what other languages make of it, takes signs, exponents, hex, nan and inf, and stops at the first
# byte that it does not know. Digits, and decimals behind one point, to the end of the word; and not too many.
@test "an interval that is no number of seconds is refused" {
	local bad
	idle_daemon
	for bad in x -1 +1 1e3 0x10 nan inf 1.2.3 1,5 5s . 99999999999999999999999999; do
		refused interval "$bad"
	done
}

# Hint: Compare whole words with the four names. A number is no level.
@test "a level that is none is refused" {
	idle_daemon
	refused level loud
	refused level information
	refused level 3
}

# == The protocol ==
# [@ID] COMMAND [ARG...] and a newline. With an ID the answer goes to FIFO.ID: 'ok' or 'error: WHY', the body, end of
# file. Without one, the result is logged. Try it: echo '@a status' >repeatd.ctl, with cat repeatd.ctl.a beside it.

@test "by hand: with an ID the answer is 'ok', the body, and end of file" {
	idle_daemon
	fifo ask repeatd.ctl a1 status >answer
	expect "first line of the answer" ok "$(head -n 1 answer)" "$protocol"
	expect_like "the second line" '^[a-z][a-z0-9 _-]*: .' "$(sed -n 2p answer)" "$protocol"
}

@test "by hand: a refusal is 'error: WHY'" {
	idle_daemon
	fifo ask repeatd.ctl a1 frobnicate >answer
	expect_like "first line of the answer to: frobnicate" '^error: .+' "$(head -n 1 answer)" "$protocol"
	fifo ask repeatd.ctl a1 'interval x' >answer
	expect_like "first line of the answer to: interval x" '^error: .+' "$(head -n 1 answer)" "$protocol"
}

@test "by hand: without an ID a command is obeyed, and the result is in the log" {
	local before
	idle_daemon
	exits 0 repeatctl status
	before=$(lines repeatd.log)
	echo pause >repeatd.ctl
	wait_until 5 paused
	expect_like "lines that came to the log" '[Pp]ause' "$(tail -n +$((before + 1)) repeatd.log)" "$protocol"
}

@test "by hand: without an ID the words of a refusal are in the log" {
	local before
	idle_daemon
	exits 0 repeatctl status
	before=$(lines repeatd.log)
	echo 'interval soon' >repeatd.ctl
	exits 0 repeatctl status
	expect_like "lines that came to the log" 'interval' "$(tail -n +$((before + 1)) repeatd.log)" "$protocol"
}

@test "by hand: without an ID the body of status is in the log" {
	idle_daemon
	echo status >repeatd.ctl
	wait_until 5 says 'state: ' repeatd.log
}

# == The protocol ==
# The ID becomes part of a path: letters and digits only, 1 to 32, before it is used. What is opened there must be a
# FIFO of ours: O_NOFOLLOW, O_NONBLOCK, fstat(2). Nothing is ever made.

@test "an ID of 32 letters and digits is good" {
	idle_daemon
	fifo ask repeatd.ctl abcdefghijklmnopqrstuvwxyzABC789 status >answer
	expect "first line of the answer" ok "$(head -n 1 answer)" "$protocol"
}

@test "an ID that is not 1 to 32 letters and digits makes no file and opens none" {
	local before ids fifos
	idle_daemon
	mkdir repeatd.ctl... repeatd.ctl.a # what ../x and a/b would lead to
	ids=('' ../x a/b a.b a-b a_b $'\303\244' "$(printf 'a%.0s' {1..33})" "$(printf 'a%.0s' {1..200})")
	printf '@%s status\n' "${ids[@]}" >lines
	fifos=("${ids[@]/#/repeatd.ctl.}")
	fifo unopened "${fifos[@]}" -- sh -c 'cat lines >repeatd.ctl; repeatctl status' >verdict
	expect "the FIFOs FIFO.ID" untouched "$(<verdict)" "$protocol"
	rm "${fifos[@]}"
	before=$(find . | sort)
	cat lines >repeatd.ctl
	exits 0 repeatctl status
	expect "all files after commands with bad IDs" "$before" "$(find . | sort)" "$protocol"
}

# Hint: What is counted are the lines of level warning in the log: one for each bad line, neither none nor two.
@test "a command with a bad ID costs one warning line" {
	idle_daemon
	printf '@../x status\n' >repeatd.ctl
	exits 0 repeatctl status
	expect "warning lines in the log" 1 "$(warnings)" "$protocol"
}

# Hint: Most languages make a file when they open it for writing: '>' in shell and Perl, 'w' in Python. That is O_CREAT
# in open(2): do without it, and look for ENOENT.
@test "an ID for which there is no reply FIFO makes no file" {
	idle_daemon
	echo '@nobody status' >repeatd.ctl
	exits 0 repeatctl status
	expect "files under the reply's name" "" "$(replies)" "$protocol"
}

@test "a regular file where the reply FIFO should be is never written to" {
	idle_daemon
	echo precious >repeatd.ctl.trap
	echo '@trap status' >repeatd.ctl
	exits 0 repeatctl status
	expect "the file's text" precious "$(<repeatd.ctl.trap)" "$protocol"
}

@test "a symbolic link where the reply FIFO should be is not followed to a FIFO" {
	idle_daemon
	mkfifo -m 600 victim
	ln -s victim repeatd.ctl.trap
	fifo unopened victim -- sh -c 'echo "@trap status" >repeatd.ctl; repeatctl status' >verdict
	expect "the FIFO at the link's end" untouched "$(<verdict)" "$protocol"
}

@test "a symbolic link where the reply FIFO should be is not followed to a file" {
	idle_daemon
	echo precious >victim
	ln -s victim repeatd.ctl.trap
	echo '@trap status' >repeatd.ctl
	exits 0 repeatctl status
	expect "the file's text" precious "$(<victim)" "$protocol"
}

@test "a reply FIFO of somebody else is not written to" {
	needs_root
	idle_daemon
	mkfifo -m 666 repeatd.ctl.trap
	chown 65534 repeatd.ctl.trap
	fifo unopened repeatd.ctl.trap -- sh -c 'echo "@trap status" >repeatd.ctl; repeatctl status' >verdict
	# it may be opened to be looked at, but nothing may come through it
	[[ $(<verdict) != *state* && $(<verdict) != *ok* ]] ||
		fail "the stranger's FIFO" "  expected: nothing comes" "  came:     $(<verdict)" "  see:      $protocol"
}

# == From bytes to lines ==
# A read(2) returns any piece of the stream: half a line, or three and a half. Keep what has no newline yet. Writes of
# up to PIPE_BUF bytes are never mixed with others: pipe(7).

@test "several commands in one write are taken one by one" {
	idle_daemon
	printf 'pause\ninterval 1234.5\nresume\ninterval 4321.5\npause\n' >commands
	cat commands >repeatd.ctl # one write; the shell's own printf would make one of each line
	exits 0 repeatctl status
	expect_like "the status" '4321\.5' "$out" "$protocol"
	paused || fail "the last pause is missing: $(state)" "  see:      $protocol"
	expect "warning lines in the log" 0 "$(warnings)" "$protocol"
}

@test "one command in several writes is put together" {
	idle_daemon
	fifo pieces repeatd.ctl inter 'val 4321' $'.5\n'
	exits 0 repeatctl status
	expect_like "the status" '4321\.5' "$out" "$protocol"
	expect "warning lines in the log" 0 "$(warnings)" "$protocol"
}

# Hint: PIPE_BUF bytes with the newline are allowed, and your buffer must hold them. No command has such a name: so the
# answer is an error, but it is an answer.
@test "a line of exactly PIPE_BUF bytes is taken" {
	idle_daemon
	fifo ask repeatd.ctl edge "$(printf '%*s' "$(($(getconf PIPE_BUF /) - 7))" '' | tr ' ' x)" >answer
	expect_like "first line of the answer" '^error: .+' "$(head -c 200 answer)" "$protocol"
}

# Hint: Between two newlines is a line without words: go on to the next one, and say nothing.
@test "empty lines are ignored" {
	idle_daemon
	printf '\n\n\n\n' >repeatd.ctl
	exits 0 repeatctl status
	expect "warning lines in the log" 0 "$(warnings)" "$protocol"
}

# Hint: ulimit -n, PIPE_BUF, one write(2) a line: count what is lost, and where: writer, FIFO, reader, answer.
@test "20 writers x 500 commands: each is answered, none is lost, glued or cut" {
	idle_daemon
	fifo crowd repeatd.ctl 20 500 >summary
	expect "the summary" "20 writers, 20 without a fault" "$(<summary)" "$protocol"
}

# Hint: Keep the FIFO open between reads: once all have closed it, what was still in it is lost (POSIX, close). And log
# every result, also the same one again.
@test "20 writers x 500 commands without an ID: each one's result is in the log" {
	idle_daemon
	fifo mute repeatd.ctl 20 500 'level info' >summary
	exits 0 repeatctl status
	expect "results in the log" 10000 \
		"$(cut -d ' ' -f 3- repeatd.log | sort | uniq -c | sort -rn | awk '{ print $1; exit }')" "$protocol"
	expect "warning lines in the log" 0 "$(warnings)" "$protocol"
}

# == Rubbish on the line ==
# Keep a partial line, but not for ever: who may finish it, and what if nobody does? One warning for each bad line.

# costs_one_warning WHAT: the line just sent costs one warning line, and the next command is served.
costs_one_warning() {
	exits 0 repeatctl status
	wait_until 5 a_warning_is_logged
	expect "warning lines in the log for $1" 1 "$(warnings)" "$rubbish"
	expect "control characters in the log" 0 "$(LC_ALL=C tr -dc '\000-\011\013-\037\177' <repeatd.log | wc -c)" "$rubbish"
	exits 0 repeatctl status
}

@test "a writer that sends byte by byte is answered" {
	idle_daemon
	fifo piecewise repeatd.ctl slow status 0.01 >answer
	expect "first line of the answer" ok "$(head -n 1 answer)" "$rubbish"
	expect "warning lines in the log" 0 "$(warnings)" "$rubbish"
}

# Hint: A timer of a second for what has no newline: then it is thrown away, with one warning.
@test "a line whose newline never comes is thrown away after a second with one warning, and the next one is whole" {
	idle_daemon
	printf pause >repeatd.ctl
	wait_until 4 a_warning_is_logged
	echo 'interval 4321.5' >repeatd.ctl
	exits 0 repeatctl status
	expect_like "the status" '4321\.5' "$out" "$rubbish"
	! paused || fail "half a line was obeyed" "  see:      $rubbish"
	expect "warning lines in the log" 1 "$(warnings)" "$rubbish"
}

# Hint: repeatctl may send a newline first: an empty line harms nobody.
@test "repeatctl is answered at once although another writer left out the newline" {
	idle_daemon
	printf pause >repeatd.ctl
	exits 0 repeatctl status
	expect_like "the status" '(^|.)state: ' "$out" "$rubbish"
}

# == Rubbish on the line ==
# When a line is too long, all of it must go, up to its newline: or its end becomes a command. One warning, made when
# it becomes too long; NULs and noise are bytes like others until you print them.

@test "a line longer than PIPE_BUF costs one warning line" {
	idle_daemon
	{ head -c 5000 /dev/zero | tr '\0' x; echo; } >line
	cat line >repeatd.ctl
	costs_one_warning "a line of 5000 bytes"
}

# Hint: The newline counts, and so do the blanks at the end: measure the line before you cut anything off.
@test "a line of PIPE_BUF bytes and one costs one warning line and is not obeyed" {
	idle_daemon
	printf '%-4096s\n' 'pause' >line
	cat line >repeatd.ctl
	costs_one_warning "a line of 4097 bytes"
	! paused || fail "it was obeyed" "  see:      $rubbish"
}

@test "a line of a megabyte costs one warning line" {
	idle_daemon
	{ head -c 1000000 /dev/zero | tr '\0' x; echo; } >line
	cat line >repeatd.ctl
	costs_one_warning "a line of a megabyte"
}

@test "the end of an overlong line is not taken for a command" {
	idle_daemon
	{ head -c 4096 /dev/zero | tr '\0' x; echo 'pause'; } >line
	cat line >repeatd.ctl
	costs_one_warning "the line"
	! paused || fail "its end was obeyed" "  see:      $rubbish"
}

# Hint: You have warned when it became too long: the timer for a missing newline has nothing to add.
@test "an overlong line without its newline costs one warning line" {
	idle_daemon
	head -c 50000 /dev/zero | tr '\0' x >line
	cat line >repeatd.ctl
	wait_until 3 a_warning_is_logged
	for_a_while 1200 same warnings 1 ||
		fail "warning lines in the log, after 1.2 s" "  expected: 1" "  came:     $(warnings)" "  see:      $rubbish"
	costs_one_warning "the line"
}

# Hint: To C the line ends at the NUL, and many a shell's read drops it: 'pause' is left. Look for it before all else:
# memchr(3), with the length that read(2) gave you.
@test "a line with a NUL costs one warning line and is not obeyed" {
	idle_daemon
	printf 'pause\0\n' >repeatd.ctl
	costs_one_warning "a NUL"
	! paused || fail "it was obeyed up to the NUL" "  see:      $rubbish"
}

# Hint: strlen(3) says 0, as of an empty line. How long it is you know from read(2).
@test "a line of NULs costs one warning line" {
	idle_daemon
	printf '\0\0\0\0\0\n' >repeatd.ctl
	costs_one_warning "NULs"
}

# Hint: In the log, control characters of strangers come out as \x1b and the like, tab and DEL, too. And there is a %s
# in it: never give it to printf(3) as the format.
@test "a line of binary noise costs one warning line and cannot spoil the log" {
	idle_daemon
	printf '\001\033[2J\377\376\200@\t\r\007 %%s%%n\b\n' >repeatd.ctl
	costs_one_warning "noise"
}

@test "noise of many lines costs at most one warning line each" {
	local sent
	idle_daemon
	"$PYTHON" -c 'import random, sys; random.seed(5); sys.stdout.buffer.write(random.randbytes(60000) + b"\n")' >noise
	sent=$(wc -l <noise)
	cat noise >repeatd.ctl
	exits 0 repeatctl status
	(($(warnings) > 0 && $(warnings) <= sent)) ||
		fail "warning lines" "  expected: 1 to $sent" "  came:     $(warnings)" "  see:      $rubbish"
}

# == From bytes to lines ==
# After one read, let the others have their turn: poll(2) tells at once that there is more.

@test "a writer that never stops delays neither the beats, nor another writer, nor TERM" {
	local count
	serve -i 0.1 start sh -c "echo ran >>'$PWD/beats'"
	background flood.out sh -c 'exec yes "" >repeatd.ctl'
	wait_until 5 more_lines_than 0 beats
	count=$(lines beats)
	wait_until 5 more_lines_than $((count + 3)) beats
	within 4000 exits 0 limited repeatctl -t 60 status
	kill -TERM "$pid"
	wait_until 5 dead "$pid"
}

# == The FIFO ==
# When the last writer leaves, a FIFO is at its end for good, and poll(2) says POLLHUP again and again. Who else could
# hold the write end open? fifo(7). top shows whether you spin.

# Hint: Many ticks: the last writer has left, and poll(2) says POLLHUP without end. Who else could hold the write end
# open? fifo(7). Few ticks, many wake-ups: a loop that looks every so often, where it could sleep until something comes.
@test "no CPU is used once a writer has left" {
	local ticks switches
	idle_daemon
	exits 0 repeatctl status
	echo status >repeatd.ctl
	exits 0 repeatctl status
	for_a_while 300 true # replies are let go of
	ticks=$(($(stat_field "$pid" 14) + $(stat_field "$pid" 15)))
	switches=$(awk '/^(non)?voluntary_ctxt/ { n += $2 } END { print n }' "/proc/$pid/status")
	for_a_while 1000 true
	ticks=$(($(stat_field "$pid" 14) + $(stat_field "$pid" 15) - ticks))
	switches=$(($(awk '/^(non)?voluntary_ctxt/ { n += $2 } END { print n }' "/proc/$pid/status") - switches))
	((ticks <= 5 && switches <= 10)) ||
		fail "an idle second" "  expected: at most 5 ticks of CPU and 10 wake-ups" \
			"  came:     $ticks ticks, $switches wake-ups" "  see:      $rubbish"
}

# Hint: After EAGAIN do not try again at once: poll(2) says POLLOUT when there is room. For half a line there is a
# timer, and until then nothing to do.
@test "no CPU is used while a partial line waits, nor while a client does not read" {
	local ticks
	idle_daemon
	deaf_clients 3
	printf 'pau' >repeatd.ctl
	ticks=$(($(stat_field "$pid" 14) + $(stat_field "$pid" 15)))
	for_a_while 800 true
	ticks=$(($(stat_field "$pid" 14) + $(stat_field "$pid" 15) - ticks))
	((ticks <= 8)) || fail "0.8 s with clients that hang" "  expected: at most 8 ticks of CPU" \
		"  came:     $ticks ticks" "  see:      $clients"
}

# == Clients that do not read ==
# Opening a FIFO to write blocks until there is a reader, and writing blocks when 64 KiB are full: O_NONBLOCK in both,
# fifo(7), ENXIO, EAGAIN. What does not fit now waits in memory, until poll(2) says so or patience ends.

@test "a client that never reads delays nobody" {
	idle_daemon
	deaf_clients 1
	within 2000 exits 0 limited repeatctl -t 60 status
}

@test "a hundred clients that never read delay nobody" {
	idle_daemon
	deaf_clients 100
	within 2000 exits 0 limited repeatctl -t 60 status
}

@test "clients that never read do not delay the beats" {
	local count
	serve -i 0.1 start sh -c "echo ran >>'$PWD/beats'"
	deaf_clients 10
	count=$(lines beats)
	within 2500 wait_until 5 more_lines_than $((count + 5)) beats
}

# Hint: Without -t repeatctl waits for 5 seconds. The daemon gives a client that takes nothing of its answer as long,
# then closes its FIFO: a timer for each of them.
@test "both sides lose patience with the other: repeatctl after 5 seconds, the daemon after a while" {
	local begin took busy
	mkdir other
	idle_daemon
	exits 0 repeatd -p other/pid -o other/log -c other/ctl -i 3600 start true
	deaf_clients 1
	wait_until 5 daemon_holds repeatd.ctl.deaf
	freeze "$(<other/pid)"
	begin=$(now_ms)
	exits 4 limited repeatctl -c other/ctl status
	took=$(($(now_ms) - begin))
	how_busy
	((took >= 4900 && took <= 7000 * SLOWER * busy)) ||
		fail "time of repeatctl without -t" "  expected: 5000 ms and little more" "  came:     $took ms" "  see:      $control"
	wait_until 15 daemon_lets_go_of repeatd.ctl.deaf
}

# Hint: EPIPE in write(2), and SIGPIPE if you do not ignore it; POLLERR in poll(2) tells before you write.
@test "a client that dies is dropped at once" {
	idle_daemon
	deaf_clients 1
	wait_until 5 daemon_holds repeatd.ctl.deaf
	kill -KILL "$job"
	wait_until 2 daemon_lets_go_of repeatd.ctl.deaf
	exits 0 repeatctl status
}

@test "a client that reads late still gets its answer whole" {
	idle_daemon
	fifo ask repeatd.ctl prompt help >expected
	fifo patient repeatd.ctl late help >answer
	expect "the late answer" "$(<expected)" "$(<answer)" "$clients"
}

# Hint: Who writes where nobody reads any more dies of SIGPIPE, unless it is ignored: then write(2) says EPIPE. If the
# client was gone before you opened its FIFO, open(2) says ENXIO or ENOENT.
@test "clients that go away before their answer do no harm" {
	idle_daemon
	fifo hasty repeatd.ctl 200
	exits 0 repeatctl status
	expect "pid in repeatd.pid" "$pid" "$(<repeatd.pid)" "$clients"
	wait_until 3 daemon_lets_go_of repeatd.ctl.gone
}

@test "a client that died and left its FIFO behind does not hang the daemon" {
	idle_daemon
	mkfifo -m 600 repeatd.ctl.dead # nobody reads it
	echo '@dead status' >repeatd.ctl
	within 2500 exits 0 limited repeatctl -t 2 status
}

# Hint: At its end the daemon closes what is still unanswered, and waits for no reader.
@test "stop does not wait for a client that never reads" {
	idle_daemon
	deaf_clients 1
	within 2500 exits 0 repeatd -t 60 stop
}

# == Repeatctl ==
# Open the FIFO to write with O_NONBLOCK: ENXIO means that nobody reads, fifo(7). A file that is no FIFO is never
# written to. No daemon is exit 3, and at once.

@test "without a daemon repeatctl is through at once with exit code 3" {
	within 1500 exits 3 limited repeatctl -t 60 status
	expect_like "the message" '^repeatctl: .*repeatd\.ctl.*: .+' "$err" "$control"
	expect "files left behind" "" "$(replies)" "$control"
}

@test "a leftover FIFO that nobody reads is exit code 3 at once" {
	mkfifo -m 600 repeatd.ctl
	within 1500 exits 3 limited repeatctl -t 60 status
	expect_like "the message" '^repeatctl: .*repeatd\.ctl.*: .+' "$err" "$control"
	expect "files left behind" "" "$(replies)" "$control"
}

@test "the FIFO of a daemon that was killed is exit code 3 at once" {
	idle_daemon
	kill -KILL "$pid"
	wait_until 5 dead "$pid"
	is_fifo repeatd.ctl
	within 1500 exits 3 limited repeatctl -t 60 status
	expect "files left behind" "" "$(replies)" "$control"
}

@test "repeatctl does not write to a regular file under the FIFO's name" {
	echo precious >repeatd.ctl
	within 1500 exits 3 limited repeatctl -t 60 status
	expect_like "the message" '^repeatctl: .*repeatd\.ctl.*: .+' "$err" "$control"
	expect "the file's text" precious "$(<repeatd.ctl)" "$control"
	expect "files left behind" "" "$(replies)" "$control"
}

@test "a directory that does not exist is exit code 3" {
	exits 3 repeatctl -c no/such/place status
}

# == Repeatctl ==
# One deadline for everything: open, write, read. poll(2) with what is left of it. Once the answer has come to its end
# it is whole; before that it is not, whatever has come.

@test "silence is exit code 4 at -t" {
	local begin took busy
	idle_daemon
	freeze "$pid"
	begin=$(now_ms)
	exits 4 limited repeatctl -t 0.4 status
	took=$(($(now_ms) - begin))
	expect_like "the message" '^repeatctl: .+' "$err" "$control"
	how_busy
	((took >= 390 && took <= 2500 * SLOWER * busy)) ||
		fail "time of repeatctl -t 0.4" "  expected: 400 ms and little more" "  came:     $took ms" "  see:      $control"
	expect "files left behind" "" "$(replies)" "$control"
}

# Hint: When the daemon goes on, it finds two commands whose askers have gone, and their FIFOs with them. ENOENT or
# ENXIO from open(2) is nothing to end, or to wait, for.
@test "a daemon that was asked in vain still serves the next one" {
	idle_daemon
	freeze "$pid"
	exits 4 repeatctl -t 0.1 status
	exits 4 repeatctl -t 0.1 help
	kill -CONT "$pid"
	exits 0 repeatctl status
	expect_like "the answer" '(^|.)state: ' "$out" "$control"
}

@test "repeatctl does not hang when the daemon dies while it waits" {
	idle_daemon
	freeze "$pid"
	background ctl.out repeatctl -t 0.5 status
	wait_until 5 a_reply_fifo_is_there
	kill -KILL "$pid"
	code=0
	within 3500 wait "$job" || code=$?
	expect_like "exit code of: repeatctl -t 0.5 status" '^[34]$' "$code" "$control"
	expect "files left behind" "" "$(replies)" "$control"
}

@test "repeatctl does not hang when the FIFO is full" {
	idle_daemon
	freeze "$pid"
	fifo fill repeatd.ctl
	within 2500 exits 4 limited repeatctl -t 0.3 status
	expect "files left behind" "" "$(replies)" "$control"
	kill -CONT "$pid"
	exits 0 repeatctl status
}

# Hint: EAGAIN means full, not gone: poll(2) for POLLOUT with what is left of -t, then write the whole line again.
@test "repeatctl waits, up to -t, for room in a full FIFO" {
	idle_daemon
	freeze "$pid"
	fifo fill repeatd.ctl
	background ctl.out repeatctl -t 20 status
	for_a_while 200 alive "$job" || fail "repeatctl -t 20 status, with the FIFO full" "  expected: waits" \
		"  came:     has ended" "  stderr:   $(<ctl.out.err)" "  see:      $control"
	kill -CONT "$pid"
	code=0
	wait "$job" || code=$?
	expect "exit code of: repeatctl -t 20 status" 0 "$code" "$control"
	expect_like "the answer" '(^|.)state: ' "$(<ctl.out)" "$control"
}

@test "an answer that ends before its first line did is no success" {
	background daemon.out "$PYTHON" "$ROOT/tests/lib/fifo.py" break_off repeatd.ctl
	wait_until 5 says ready daemon.out
	exits 4 repeatctl -t 20 status
	expect_like "the message" '^repeatctl: .+' "$err" "$control"
	expect "files left behind" "" "$(replies)" "$control"
}

@test "an answer that stops half way is exit code 4 at -t" {
	background daemon.out "$PYTHON" "$ROOT/tests/lib/fifo.py" mumble repeatd.ctl
	wait_until 5 says ready daemon.out
	within 2500 exits 4 limited repeatctl -t 0.3 status
	expect "files left behind" "" "$(replies)" "$control"
}

# Hint: A wait of -t for each piece has no end when the pieces have none. Note when it must be over, before the first wait.
@test "an answer that dribbles in is exit code 4 at -t" {
	background daemon.out "$PYTHON" "$ROOT/tests/lib/fifo.py" dribble repeatd.ctl 0.1
	wait_until 5 says ready daemon.out
	within 2500 exits 4 limited repeatctl -t 0.5 status
	expect "files left behind" "" "$(replies)" "$control"
}

# Hint: Read until read(2) returns 0: one read gives what is in the pipe just now. And write all of each piece: write(2)
# may take only a part of it.
@test "repeatctl prints an answer of megabytes whole" {
	background daemon.out "$PYTHON" "$ROOT/tests/lib/fifo.py" daemon repeatd.ctl 4000000
	wait_until 5 says ready daemon.out
	exits 0 repeatctl -t 20 status
	expect "bytes of the body" 4000000 "$(wc -c <.out)" "$control"
}

# == Repeatctl ==
# Make it 0600 and open it before you ask, or the daemon finds no reader. It goes whatever happens: also at INT, TERM,
# HUP and PIPE, whose handler may only set a flag, and then you die of that very signal: signal(7).

@test "the reply FIFO is named FIFO.ID and has mode 0600" {
	umask 000
	idle_daemon
	freeze "$pid"
	background ctl.out repeatctl -t 60 status
	wait_until 5 a_reply_fifo_is_there
	expect_like "its name" '^\./repeatd\.ctl\.[A-Za-z0-9]{1,32}$' "$(replies)" "$control"
	expect "what it is" "fifo 600" "$(stat -c '%F %a' repeatd.ctl.*)" "$control"
}

@test "the reply FIFO is gone after success" {
	idle_daemon
	exits 0 repeatctl status
	expect "files left behind" "" "$(replies)" "$control"
}

@test "the reply FIFO is gone after a refusal" {
	idle_daemon
	exits 1 repeatctl frobnicate
	expect "files left behind" "" "$(replies)" "$control"
}

@test "the reply FIFO is gone after every signal that ends repeatctl" {
	local signal
	idle_daemon
	freeze "$pid"
	for signal in TERM INT HUP QUIT ALRM USR1 USR2 VTALRM PROF XCPU XFSZ IO PWR RTMIN RTMIN+6; do
		background ctl.out repeatctl -t 60 status
		wait_until 5 a_reply_fifo_is_there
		kill -"$signal" "$job"
		wait_until 3 dead "$job" || fail "repeatctl" "  expected: ends by $signal" "  came:     it lives" "  see:      $control"
		expect "files left behind after $signal" "" "$(replies)" "$control"
		code=0
		wait "$job" || code=$?
		[[ $code != 0 ]] || fail "exit code after $signal" "  expected: not 0" "  came:     0" "  see:      $control"
	done
}

@test "the reply FIFO is gone in the end when PIPE comes" {
	idle_daemon
	freeze "$pid"
	background ctl.out repeatctl -t 60 status
	wait_until 5 a_reply_fifo_is_there
	kill -PIPE "$job" # it may die of it or wait on
	kill -CONT "$pid"
	wait_until 5 dead "$job"
	expect "files left behind" "" "$(replies)" "$control"
}

# Hint: A signal may come right after mkfifo(3): be ready for it before. Blocked until you wait, in ppoll(2) or
# pselect(2), it cannot come in between.
@test "the reply FIFO is gone whenever the signal comes" {
	local moment
	idle_daemon
	for moment in 001 001 002 002 003 003 004 005 006 008 010 015; do
		timeout -s TERM "0.$moment" repeatctl help >answer 2>&1 3>&- 4>&- || true
	done
	wait_until 3 no_reply_fifo_is_left
	exits 0 repeatctl status
}

@test "the reply FIFO is gone when nobody reads repeatctl's answer" {
	idle_daemon
	mkfifo broken
	unread broken
	repeatctl help >&6 2>err 3>&- 4>&- || true
	exec 6>&-
	expect "files left behind" "" "$(replies)" "$control"
	exits 0 repeatctl status
}

# == Repeatctl ==
# Look at the result of every write to stdout, also of the last one: fflush(3), fclose(3). Descriptors 0 to 2 may be
# closed when you begin: what would open(2) return?

@test "repeatctl says so when its answer cannot be written" {
	idle_daemon
	code=0
	repeatctl help >/dev/full 2>err 3>&- 4>&- || code=$?
	[[ $code != 0 ]] || fail "exit code with a full disk" "  expected: not 0" "  came:     0" "  see:      $control"
	expect_like "the message" '^repeatctl: .+' "$(<err)" "$control"
	expect "files left behind" "" "$(replies)" "$control"
}

@test "repeatctl works with its standard streams closed" {
	idle_daemon
	within 3000 eval 'repeatctl -t 20 pause <&- >&- 2>&- 3>&- 4>&- || true'
	wait_until 5 paused
	expect "files left behind" "" "$(replies)" "$control"
}

# Hint: Do all of them have an ID of their own? The time in seconds, or rand(3) that was seeded with it, is the same for
# many. The process ID is not, and mkfifo(3) says EEXIST.
@test "twenty repeatctl at the same time are all answered" {
	local jobs=() each end
	idle_daemon
	for each in {1..20}; do
		background "answer$each" repeatctl -t 30 status
		jobs+=("$job")
	done
	for each in {1..20}; do
		end=0
		wait "${jobs[each - 1]}" || end=$?
		((end == 0)) || fail "exit code of repeatctl, number $each of 20" "  expected: 0" "  came:     $end" \
			"  stderr:   $(<"answer$each.err")" "  see:      $control"
	done
	expect "answers" 20 "$(cat answer* | grep -c '^state: ')" "$control"
	expect "files left behind" "" "$(replies)" "$control"
}

# == Repeatctl ==
# One command is one line of at most PIPE_BUF bytes, written at once. What would make it two lines, or longer, is
# escaped or refused by repeatctl itself.

@test "a newline in an argument is not a second command" {
	idle_daemon
	repeatctl status $'x\nstop' >answer 2>&1 3>&- 4>&- &&
		fail "exit code of: repeatctl status \$'x\\nstop'" "  expected: not 0" "  came:     0" "  see:      $control"
	repeatctl $'status\nstop' >answer 2>&1 3>&- 4>&- &&
		fail "exit code of: repeatctl \$'status\\nstop'" "  expected: not 0" "  came:     0" "  see:      $control"
	exits 0 repeatctl status
	alive "$pid" || fail "the second line was obeyed" "  see:      $control"
}

# calls_of_repeatctl CALLS: what repeatctl does with the FIFOs, one call a line, in order. Its own is shown as ./repeatd.ctl.ID.
calls_of_repeatctl() {
	needs_strace
	ASAN_OPTIONS=detect_leaks=0 strace -s 9999 -y -e trace="$1" -o calls repeatctl status >answer 2>&1 3>&- 4>&- ||
		fail "repeatctl status under strace" "  expected: exit code 0" "  came:     $(<answer)"
	grep -E '^(open|openat|write|writev|pwrite64)\(.*repeatd\.ctl' calls ||
		fail "calls of repeatctl itself that have to do with ./repeatd.ctl" "  expected: some of: $1" "  came:     none"
}

# Hint: Put the line together first, then one write(2), or give its pieces to one writev(2). Buffered output may cut it
# in two: strace -e trace=write,writev shows it.
@test "repeatctl gives its command in a single write" {
	idle_daemon
	calls_of_repeatctl write,writev,pwrite64 >seen
	local whole='write\([^@]*@[^ ]* status\\n", [0-9]+\)'
	local of_pieces='writev\([^@]*@.*status.*\\n", iov_len=[0-9]+\}\], [0-9]+\)'
	expect_like "writes to the FIFO" "^($whole|$of_pieces) = [0-9]+\$" "$(<seen)" "$protocol"
	expect "how many" 1 "$(wc -l <seen)" "$protocol"
}

# Hint: The daemon opens your FIFO with O_NONBLOCK: if you have not opened it for reading by then, it gets ENXIO, and
# you no answer.
@test "repeatctl listens to its own FIFO before it asks" {
	local asked heard
	idle_daemon
	calls_of_repeatctl open,openat,write,writev >seen
	heard=$(grep -nE '^open.*repeatd\.ctl\.[A-Za-z0-9]+"?.*O_RD' seen | head -n 1 | cut -d: -f1)
	asked=$(grep -nE '^write.*@' seen | head -n 1 | cut -d: -f1)
	[[ -n $heard && -n $asked ]] || fail "calls of repeatctl" \
		"  expected: opens ./repeatd.ctl.ID for reading, writes @ID" "  came:     $(<seen)"
	((heard < asked)) || fail "calls of repeatctl" "  expected: opens ./repeatd.ctl.ID for reading before it writes" \
		"  came:     $(<seen)" "  see:      $control"
}

@test "a command too long for one line is refused by repeatctl itself" {
	idle_daemon
	within 2500 exits 2 limited repeatctl -t 60 "$(head -c 5000 /dev/zero | tr '\0' x)"
	expect "warning lines in the daemon's log" 0 "$(warnings)" "$control"
}

# Hint: Look at all options before you look for a daemon. In -t, take digits and decimals to the end of the word:
# strtod(3) takes more.
@test "bad usage of repeatctl is exit code 2, with or without a daemon" {
	exits 2 repeatctl
	exits 2 repeatctl -Z status
	exits 2 repeatctl -c
	exits 2 repeatctl -t
	exits 2 repeatctl -t soon status
	exits 2 repeatctl -t -1 status
	exits 2 repeatctl -t 1e3 status
	expect_like "stderr of: repeatctl -t 1e3 status" '^repeatctl: .+' "$err" "$control"
	idle_daemon
	exits 2 repeatctl
	exits 2 repeatctl -Z status
}

# Hint: To ask for help is no mistake: stdout, exit code 0, and no daemon is needed.
@test "repeatctl -h prints help on stdout" {
	exits 0 repeatctl -h
	expect_like "the help" 'repeatctl.*-c.*-t' "${out//$'\n'/ }" "$control"
	expect "stderr of: repeatctl -h" "" "$err" "$control"
}

# Hint: Stdout, exit code 0, and no daemon is needed.
@test "repeatctl -V prints a version on stdout" {
	exits 0 repeatctl -V
	expect_like "the version" '[0-9]' "$out" "$control"
	expect "stderr of: repeatctl -V" "" "$err" "$control"
}

# Hint: An option that -h does not tell of is there for nobody but you.
@test "repeatd -h tells of -c" {
	exits 0 repeatd -h
	expect_like "the help" '-c' "$out" "$control"
}

# stuck PID: it sleeps, and its standard output is the FIFO full. (A shell that opens it is not there yet.)
stuck() { [[ $(readlink "/proc/$1/fd/1") == */full && $(stat_field "$1" 3) == S && -z $(replies) ]]; }

# Hint: Remove the FIFO's name with the first byte of the answer. Then there is nothing left to clean up: let signals do
# again what they always do, for write(2) to stdout may wait for ever.
@test "a signal ends repeatctl although nobody takes its output" {
	idle_daemon
	mkfifo full
	exec 5<>full
	fifo fill full
	background ctl.out sh -c 'exec repeatctl -t 60 help >full'
	wait_until 5 stuck "$job"
	kill -TERM "$job"
	wait_until 3 dead "$job"
	exec 5>&-
	expect "files left behind" "" "$(replies)" "$control"
}

# == The FIFO deleted or replaced ==
# You hold a FIFO that has no name any more, and nobody can reach you. Compare stat(2) of the name with fstat(2) of
# yours at each beat, or be told: inotify(7). What is in its place decides what to do: ours, a FIFO, anything else.

# new_fifo [INODE]: a FIFO with mode 0600 is there, and it is not the one with that inode.
new_fifo() { [[ -p repeatd.ctl && $(stat -c '%a %i' repeatd.ctl) == 600\ * && $(inode repeatd.ctl) != "${1-}" ]]; }

# usurp: a regular file takes the FIFO's place, in one step: the daemon may be quick.
usurp() {
	echo precious >stranger
	mv stranger repeatd.ctl
}

# comes_back [INODE]: within two seconds or a beat there is a new FIFO that is served; the log tells.
comes_back() {
	wait_until 3 new_fifo "$@" 2>/dev/null || fail "./repeatd.ctl after 3 s" "  expected: a new FIFO with mode 0600" \
		"  came:     $(stat -c '%F %a' repeatd.ctl 2>&1)" "  see:      $replaced"
	exits 0 repeatctl status
	expect "pid in repeatd.pid" "$pid" "$(<repeatd.pid)" "$replaced"
	expect_like "the log" 'repeatd\.ctl' "$(grep -E '^[^ ]* (warning|error|info) ' repeatd.log)" "$replaced"
}

@test "a deleted FIFO is noticed, logged and made again" {
	serve -i 1 start true
	rm repeatd.ctl
	comes_back
}

# Hint: What is in the old FIFO has been accepted: read it empty before you let go of it.
@test "a command that waits in the FIFO when the FIFO is deleted is obeyed" {
	serve -i 1 start true
	freeze "$pid"
	wait_until 5 same 'stat_field "$pid" 3' T
	echo pause >repeatd.ctl
	rm repeatd.ctl
	kill -CONT "$pid"
	comes_back
	expect_like "status" 'state: +paused' "$(repeatctl status)" "$replaced"
}

# Hint: A file that was moved has the same inode, and as many names as before: only a look at its old name tells.
@test "a FIFO that was moved away is made again" {
	serve -i 1 start true
	mv repeatd.ctl elsewhere
	comes_back "$(inode elsewhere)"
	is_fifo elsewhere || fail "the moved one was removed" "  see:      $replaced"
}

# Hint: Whatever you keep for a FIFO, descriptors and an inotify(7) watch, is given back when you let go of it.
@test "a FIFO that is moved away again and again leaves nothing behind in the daemon" {
	local turn watches
	serve -i 1 start true
	for turn in 1 2 3; do
		mv repeatd.ctl "away$turn"
		comes_back "$(inode "away$turn")"
	done
	expect "descriptors of FIFOs that were moved away" "" "$(find "/proc/$pid/fd" -lname '*away*')" "$replaced"
	watches=$(cat "/proc/$pid/fdinfo/"* 2>/dev/null | grep -c '^inotify ' || true)
	((watches <= 1)) || fail "inotify watches of the daemon, for one FIFO" "  expected: 1 at most" "  came:     $watches" "  see:      $replaced"
}

@test "a FIFO that was replaced by another FIFO of ours is made again" {
	serve -i 1 start true
	mkfifo -m 644 elsewhere
	mv elsewhere repeatd.ctl
	comes_back # its mode tells it from this one
}

# Hint: Two daemons that each remove the other's FIFO never end. Not yours, and somebody reads it: leave it alone, and try
# again every so often, as with any other thing in your place.
@test "another daemon's FIFO in the FIFO's place is left alone, and made again when that daemon has ended" {
	local theirs
	serve -i 0.2 start true
	freeze "$pid"
	rm repeatd.ctl
	exits 0 repeatd -p other.pid -o other.log -i 0.2 start true
	theirs=$(inode repeatd.ctl)
	kill -CONT "$pid"
	wait_until 3 says '^[^ ]* (warning|error) .*repeatd\.ctl' repeatd.log
	for_a_while 500 same 'inode repeatd.ctl' "$theirs"
	expect "what the other daemon logs of its FIFO" "" "$(grep 'repeatd\.ctl' other.log || true)" "$replaced"
	exits 0 repeatd -p other.pid stop
	comes_back
}

@test "a regular file in the FIFO's place is left alone and logged, and the beats go on" {
	local count
	serve -i 0.2 start sh -c "echo ran >>'$PWD/beats'"
	usurp
	wait_until 3 says '^[^ ]* (warning|error) .*repeatd\.ctl' repeatd.log
	count=$(lines beats)
	wait_until 5 more_lines_than $((count + 2)) beats
	expect "the file's text" precious "$(<repeatd.ctl)" "$replaced"
}

# Hint: Remember that you have said it, until the FIFO is there again.
@test "a regular file that stays in the FIFO's place is complained of once, not at each try" {
	local count
	serve -i 0.2 start true
	usurp
	wait_until 3 says '^[^ ]* (warning|error) .*repeatd\.ctl' repeatd.log
	sleep 1
	count=$(lines repeatd.log 'repeatd\.ctl')
	sleep 4.5 # two tries more
	expect "lines in the log that name repeatd.ctl, 4.5 s later" "$count" "$(lines repeatd.log 'repeatd\.ctl')" "$replaced"
}

# Hint: Nothing of yours is left there to be told of: try to make the FIFO again every so often, by a timer.
@test "when the regular file in the FIFO's place is gone again, the FIFO is made again" {
	serve -i 0.2 start true
	usurp
	wait_until 3 says '^[^ ]* (warning|error) .*repeatd\.ctl' repeatd.log
	rm repeatd.ctl
	comes_back
}

# Hint: Before unlink(2), look whether that name still leads to the FIFO that you hold: lstat(2), fstat(2), st_dev and
# st_ino.
@test "at its end the daemon leaves a regular file in the FIFO's place alone" {
	serve -i 0.2 start true
	usurp
	wait_until 3 says '^[^ ]* (warning|error) .*repeatd\.ctl' repeatd.log
	exits 0 repeatd stop
	expect "the file's text" precious "$(<repeatd.ctl)" "$replaced"
}

# Hint: Before unlink(2), look whether that name still leads to the FIFO that you hold: lstat(2), fstat(2), st_dev and
# st_ino.
@test "at its end the daemon leaves a FIFO alone that is not the one it made" {
	idle_daemon
	freeze "$pid"
	mv repeatd.ctl elsewhere
	mkfifo -m 644 repeatd.ctl
	kill -TERM "$pid"
	kill -CONT "$pid"
	wait_until 5 dead "$pid"
	# Unless it noticed in time, and said so: then it made a new one, and that one was its own.
	says '^[^ ]* (warning|error) .*repeatd\.ctl' repeatd.log ||
		expect "mode of the FIFO" 644 "$(mode repeatd.ctl)" "$replaced"
}
