#!/usr/bin/env bats
# Stage 6: leecher pulls what is finished on another machine, once, whole, and tells.
# What bad input gets stands in stage6-hostile.bats.
#
# $out, $err and $code come from `exits`; words with a dollar are meant literally; a test is a subshell.
# shellcheck disable=SC2154,SC2016,SC2030,SC2031,SC2317

load lib/common
load lib/leecher
setup_file() { start_rsyncd && start_sshd; }
teardown_file() { stop_servers; }
setup() { leecher_stage; }
teardown() { clean_up; }

# --- the verbs, and what is carried over from stages 2 to 5 ------------------------------------

@test "-h is help on stdout and -V the version, for both programs" {
	local program
	for program in leecher leecherctl; do
		exits 0 "$program" -h
		expect_like "$program -h" '[Uu]sage' "$out"
		expect "stderr of $program -h" '' "$err"
		exits 0 "$program" -V
		expect_like "$program -V" '[0-9]' "$out"
	done
	exits 0 leecher -h
	for verb in start stop restart status run once list check; do
		expect_like "help names the verb" "$verb" "$out"
	done
}

@test "bad usage exits 2 and says why on stderr" {
	exits 2 leecher -c leecher.conf
	exits 2 leecher -c leecher.conf frobnicate
	expect_like "the words" '^leecher: ' "$err"
	exits 2 leecher -c leecher.conf -Z once
	exits 2 leecher -c leecher.conf -l loud once
	exits 2 leecher -c leecher.conf -t soon stop
	exits 2 leecherctl -c leecher.conf
	exits 2 leecherctl -c leecher.conf -t -1 status
}

@test "a three-line configuration under XDG_CONFIG_HOME is enough" {
	mkdir -p cfg/leecher
	printf '[source]\nfrom = %s\n[destination]\nto = %s\n' "$PWD/from" "$PWD/to" >cfg/leecher/leecher.conf
	XDG_CONFIG_HOME=$PWD/cfg exits 0 leecher once
	[[ -d to/.leecher ]]
	mkdir .config
	mv cfg/leecher .config/
	exits 0 leecher once
}

@test "start makes pid file, FIFO, log and ledger under TO/.leecher, and only there" {
	leech 0 start
	expect_like "start" "^started, pid [0-9]+$" "$out"
	expect "pid file" "started, pid $(cat to/.leecher/leecher.pid)" "$out"
	[[ -p to/.leecher/leecher.ctl ]]
	expect "mode of the FIFO" 600 "$(stat -c %a to/.leecher/leecher.ctl)"
	for file in leecher.log ledger.db incoming logs; do
		wait_until 5 exists "to/.leecher/$file"
	done
	expect "TO" '' "$(published)"
	leech 0 stop
	gone to/.leecher/leecher.pid
	gone to/.leecher/leecher.ctl
}

@test "the key state moves the folder of pid file, FIFO, log and ledger" {
	mkdir elsewhere
	echo hello >from/x
	config daemon.state="$PWD/elsewhere/deep"
	once 0
	same from/x to/x
	[[ -e elsewhere/deep/ledger.db ]]
	gone to/.leecher
}

@test "status, stop and restart tell what is, with the exit codes of the LSB" {
	leech 3 status
	expect "status" 'not running' "$out"
	leech 0 stop
	expect "stop" 'not running' "$out"
	leech 0 start
	pid=${out##* }
	leech 0 status
	expect "status" "running, pid $pid" "$out"
	leech 1 start
	expect "second start" "leecher: already running, pid $pid" "$err"
	leech 0 restart
	dead "$pid"
	leech 0 status
	pid=${out##* }
	kill -KILL "$pid"
	wait_until 5 dead "$pid"
	leech 1 status
	leech 0 start
	leech 0 stop
	expect_like "stop" '^stopped, pid [0-9]+$' "$out"
	leech 3 status
}

@test "start is a true daemon: a session of its own, no terminal, directory /, only descriptors it opened" {
	exec 9</dev/null
	leecher -c leecher.conf start >.out 3>&- 4>&-
	exec 9<&-
	pid=$(sed 's/.* //' .out)
	expect "terminal" 0 "$(stat_field "$pid" 7)"
	[[ $(stat_field "$pid" 6) != $(stat_field $$ 6) ]]
	expect "directory" / "$(readlink "/proc/$pid/cwd")"
	expect "standard input" /dev/null "$(readlink "/proc/$pid/fd/0")"
	[[ ! -e /proc/$pid/fd/9 || $(readlink "/proc/$pid/fd/9") != /dev/null ]]
}

@test "relative paths on the command line survive the change of directory" {
	echo hello >from/x
	leech 0 start
	wait_until 10 exists to/x
	ctl 0 now
	ctl 0 reload
}

@test "the daemon pulls at once and then every interval" {
	echo one >from/one
	config daemon.interval=0.2
	leech 0 start
	wait_until 10 exists to/one
	echo two >from/two
	wait_until 10 exists to/two
	same from/two to/two
}

@test "run stays in the foreground, tells systemd when it is ready, and TERM ends it with 0" {
	perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "notify") or die; while (defined $s->recv($m, 999)) { open F, ">>", "notified"; print F "$m\n"; close F }' 3>&- 4>&- </dev/null &
	wait_until 5 exists notify
	NOTIFY_SOCKET=$PWD/notify leecher -c leecher.conf run >.out 2>.err 3>&- 4>&- </dev/null &
	pid=$!
	wait_until 10 quietly grep READY=1 notified
	expect "pid file" "$pid" "$(cat to/.leecher/leecher.pid)"
	kill -TERM "$pid"
	code=0
	wait "$pid" || code=$?
	expect "exit code" 0 "$code"
	wait_until 5 quietly grep STOPPING=1 notified
	gone to/.leecher/leecher.pid
}

@test "every line of the log has time, level, program and pid, and no control character" {
	printf 'x' >from/$'bell\a\e[31m\nline'
	leech 0 start
	pid=${out##* }
	wait_until 10 exists to/$'bell\a\e[31m\nline'
	leech 0 stop
	while IFS= read -r line; do
		expect_like "a line of the log" "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z (error|warning|info|debug) leecher\[$pid\]: ." "$line"
		[[ $line != *[$'\001'-$'\037']* ]] || fail "control character in: $line"
	done <to/.leecher/leecher.log
	logged 'bell\\x07\\x1b\[31m\\x0aline'
}

@test "HUP opens the log again, USR1 writes one status line" {
	leech 0 start
	pid=${out##* }
	mv to/.leecher/leecher.log old.log
	kill -HUP "$pid"
	wait_until 5 exists to/.leecher/leecher.log
	had=$(wc -l <to/.leecher/leecher.log)
	kill -USR1 "$pid"
	wait_until 5 logged 'idle|status'
	expect "new lines" $((had + 1)) "$(wc -l <to/.leecher/leecher.log)"
}

@test "the first sign of two leechers: the second start and run exit 1, once exits 3" {
	leech 0 start
	leech 1 start
	leech 1 run
	expect_like "the words" 'already running, pid [0-9]+' "$err"
	once 3
	expect_like "the words" 'running' "$err"
	leech 0 status
}

@test "start is refused while once is at work" {
	sample from/big 3000000
	config source.rsync=--bwlimit=1000
	once_behind
	wait_until 10 holding 1
	leech 1 start
	once 3
	alive "$pass"
}

@test "stop kills a daemon that does not answer, -t seconds later" {
	leech 0 start
	pid=${out##* }
	kill -STOP "$pid"
	leech 0 -t 0.3 stop
	dead "$pid"
}

@test "a daemon whose pid file is removed says so and stops" {
	config daemon.interval=0.1
	leech 0 start
	pid=${out##* }
	rm to/.leecher/leecher.pid
	wait_until 10 dead "$pid"
	logged 'leecher\.pid'
}

@test "a FIFO that is removed is made again; a file in its place is refused and left alone" {
	config daemon.interval=0.1
	leech 0 start
	rm to/.leecher/leecher.ctl
	wait_until 10 test -p to/.leecher/leecher.ctl
	leech 0 stop
	echo mine >to/.leecher/leecher.ctl
	leech 1 start
	expect_like "the words" '^leecher: .*leecher\.ctl' "$err"
	expect "my file" mine "$(cat to/.leecher/leecher.ctl)"
	leech 3 status
}

@test "-l sets what is logged" {
	echo hello >from/x
	leech 0 -l debug start
	wait_until 10 logged ' debug leecher'
	leech 0 stop
	had=$(wc -l <to/.leecher/leecher.log)
	echo hello >from/y
	leech 0 -l error start
	wait_until 10 exists to/y
	leech 0 stop
	expect "new lines at level error" "$had" "$(wc -l <to/.leecher/leecher.log)"
}

# --- what a pass does --------------------------------------------------------------------------

@test "once pulls files and whole directories from a local path" {
	sample from/file 100000
	sample 'from/Some Show [2024]/e1.mkv' 50000
	sample 'from/Some Show [2024]/sub/e1.srt' 10
	mkdir 'from/Some Show [2024]/empty'
	ln -s e1.mkv 'from/Some Show [2024]/link'
	touch -d '2020-02-02 02:02:02' from/file
	once 0
	same from/file to/file
	same 'from/Some Show [2024]' 'to/Some Show [2024]'
	expect "time of the file" "$(stat -c %Y from/file)" "$(stat -c %Y to/file)"
	expect "what is there" 'Some\ Show\ [2024] file' "$(published)"
	expect "what is left in incoming/" '' "$(find to/.leecher/incoming -type f)"
}

@test "once pulls over ssh from host:path, and by user@host:path" {
	sample from/file 100000
	sample from/dir/sub/f 10000
	config_ssh
	once 0
	same from/file to/file
	same from/dir to/dir
	rm -r to/* to/.leecher from/dir
	config_ssh source.from="$(id -un)@box:$PWD/from/"
	once 0
	same from/file to/file
}

@test "once pulls from an rsync daemon, with or without a slash at the end of from" {
	sample from/file 100000
	sample from/dir/sub/f 10000
	config_rsyncd
	once 0
	same from/file to/file
	same from/dir to/dir
	rm -r to/* to/.leecher
	config source.from="$(rsyncd_from)/"
	once 0
	expect "what is there" 'dir file' "$(published)"
}

@test "a slash at the end of a local from changes nothing" {
	echo hello >from/x
	config source.from="$PWD/from/"
	once 0
	expect "what is there" 'x' "$(published)"
}

@test "the keys ssh and rsync are split into words, quotes keep words together, and no shell sees them" {
	needs_sshd
	echo hello >from/x
	cp "$SERVERS/login_key" 'a key'
	chmod 600 'a key'
	config source.from="$(id -un)@127.0.0.1:$PWD/from" \
		source.ssh="-F none   -p $SSHD_PORT -i 'a key' -o UserKnownHostsFile=$SERVERS/known_hosts -o \"IdentityAgent none\"" \
		source.rsync='--exclude=$(touch$IFS./shot) --exclude=`touch>shot`'
	once 0
	same from/x to/x
	gone shot
}

@test "an item with every odd name is pulled under that very name" {
	local name n255
	n255=$(printf 'n%.0s' {1..255})
	for name in $'new\nline' -rf --delete '[ab]' a b "$n255" $'latin-\xe4\xff' '  two  spaces ' 'back\slash' '*' '?' \
		"'quotes\"" '$(touch x)' ';id' '#hash' $'tab\there' $'esc\e[31m' '~' a:b ' ' $'cr\r' 'ünï' - '\#012' \
		'drwxr-xr-x 4,096 2020-01-01 00:00:00 x' %s 'a,b' '+ x' '@' 'x.1'; do
		printf '%s' "$name" >from/"$name"
	done
	mkdir from/$'dir\n[x]'
	printf 'in it' >from/$'dir\n[x]'/$'-f\n\xff*'
	once 0
	rm -r to/.leecher
	same from to
}

@test "odd names come over rsync:// byte for byte" {
	local name
	for name in $'new\nline' -rf '[ab]' a b $'latin-\xe4\xff' ' two  spaces ' 'back\slash' '*' '$(touch x)' '\#012'; do
		printf '%s' "$name" >from/"$name"
	done
	config_rsyncd
	once 0
	rm -r to/.leecher
	same from to
}

@test "odd names come over ssh byte for byte" {
	local name
	config_ssh
	mkdir from/$'new\nline [ab] *'
	for name in -rf $'latin-\xe4\xff' ' two  spaces ' 'back\slash' '$(touch x)' $'n\n'; do
		printf '%s' "$name" >from/$'new\nline [ab] *'/"$name"
	done
	printf 'x' >from/'-e $(touch x) [ab] \*'
	once 0
	rm -r to/.leecher
	same from to
}

@test "an item [ab] that a list names does not bring a and b along" {
	for name in '[ab]' a b; do printf '%s' "$name" >from/"$name"; done
	program list <<<"printf '[ab]\\0'"
	config source.list="$PWD/list"
	once 0
	expect "what is there" '[ab]' "$(published)"
	same from/'[ab]' to/'[ab]'
}

@test "by default *.part, *.!qB, *.crdownload and hidden names are ignored" {
	for name in x x.part 'x.!qB' x.crdownload .hidden; do echo "$name" >from/"$name"; done
	once 0
	expect "what is there" 'x' "$(published)"
}

@test "the key ignore replaces the default patterns, and empty ignores nothing" {
	for name in x.part y.tmp .z part1 part9; do echo "$name" >from/"$name"; done
	config source.ignore='*.tmp part[0-5]'
	once 0
	expect "what is there" '.z part9 x.part' "$(published)"
	config source.ignore=
	once 0
	expect "what is there" '.z part1 part9 x.part y.tmp' "$(published)"
}

@test "with settle = 0 an item is pulled at once, with a long settle it waits" {
	echo hello >from/x
	config source.settle=3600
	once 0
	expect "what is there" '' "$(published)"
	expect "its state" waiting "$(list_state x)"
	config
	once 0
	expect "what is there" x "$(published)"
}

@test "settle is 60 seconds by default" {
	echo hello >from/x
	config source.settle
	once 0
	expect "its state" waiting "$(list_state x)"
	expect "what is there" '' "$(published)"
}

@test "an item that still grows, deep inside, is not finished; settle seconds after its last change it is" {
	sample from/dir/sub/f 1000
	config source.settle=0.5
	end=$((SECONDS + 2))
	until ((SECONDS >= end)); do
		echo more >>from/dir/sub/f
		once 0
		expect "published while it grew" '' "$(published)"
	done
	pulled() { once 0 && [[ -e to/dir ]]; }
	wait_until 10 pulled
	same from/dir to/dir
}

@test "an item whose time changes while its size does not is not finished either" {
	echo hello >from/x
	config source.settle=0.5
	n=0
	end=$((SECONDS + 2))
	until ((SECONDS >= end)); do
		touch -d "now + $((n += 2)) seconds" from/x
		once 0
		expect "published while it changed" '' "$(published)"
	done
}

@test "a list program names what is finished, byte for byte, and nothing else is pulled" {
	for name in a b $'new\nline'; do echo "$name" >from/"$name"; done
	program list <<<"printf 'a\\0new\\nline\\0'"
	config source.list="$PWD/list" source.settle=3600
	once 0
	expect "what is there" 'a new\nline' "$(published)"
	same from/$'new\nline' to/$'new\nline'
}

@test "a list program that names nothing means that nothing is finished" {
	echo hello >from/x
	program list <<<'exit 0'
	config source.list="$PWD/list"
	once 0
	expect "what is there" '' "$(published)"
}

@test "the ledger remembers for good: a local copy that was deleted is not pulled again" {
	echo hello >from/x
	once 0
	rm to/x
	once 0
	gone to/x
	expect "its state" 'done' "$(list_state x)"
}

@test "mode gives files its bits, and directories x where r is set" {
	sample from/dir/sub/f 10
	sample from/x 10
	chmod 777 from/x from/dir
	chmod 600 from/dir/sub/f
	config destination.mode=0640
	once 0
	expect "modes" '640 640 750 750' "$(stat -c %a to/x to/dir/sub/f to/dir to/dir/sub | paste -sd' ')"
}

@test "a directory without write permission is pulled all the same" {
	sample from/dir/sub/f 10
	chmod 555 from/dir/sub from/dir
	once 0
	same from/dir to/dir
	chmod -R u+w from to
}

# --- what is there already ---------------------------------------------------------------------

@test "an identical item under TO is taken as done without a copy" {
	sample from/x 100000
	sample from/dir/f 1000
	cp -a from/x from/dir to/
	before=$(stat -c '%i %Y %Z' to/x to/dir to/dir/f)
	once 0
	expect "inodes and times" "$before" "$(stat -c '%i %Y %Z' to/x to/dir to/dir/f)"
	expect "what is there" 'dir x' "$(published)"
	expect "its state" 'done' "$(list_state x)"
}

@test "a different item under TO is never overwritten: the new one is published as NAME.1" {
	echo mine >to/x
	mkdir to/dir
	echo mine >to/dir/f
	echo theirs >from/x
	sample from/dir/f 5000
	once 0
	expect "mine" 'mine mine' "$(cat to/x to/dir/f | paste -sd' ')"
	same from/x to/x.1
	same from/dir to/dir.1
	once 0
	expect "what is there" 'dir dir.1 x x.1' "$(published)"
}

@test "the same size and time with other bytes is different" {
	echo mine1 >to/x
	echo yours >from/x
	touch -r to/x from/x
	once 0
	expect "mine" mine1 "$(cat to/x)"
	same from/x to/x.1
}

@test "when NAME.1 is taken too, the next free number is used" {
	echo mine >to/x
	echo mine too >to/x.1
	echo theirs >from/x
	once 0
	expect "mine" 'mine mine too' "$(cat to/x to/x.1 | paste -sd' ')"
	same from/x to/x.2
}

@test "a link under TO with the name of an item is not written through" {
	echo precious >precious
	ln -s ../precious to/x
	ln -s ../nowhere to/y
	echo theirs >from/x
	echo theirs >from/y
	once 0
	expect "what the link leads to" precious "$(cat precious)"
	gone nowhere
	[[ -L to/x && -L to/y ]]
	same from/x to/x.1
	same from/y to/y.1
}

# --- crashes -----------------------------------------------------------------------------------

# crash_and_resume CONFIG...: kills everything in the middle of a transfer; the next pass must go on from there.
crash_and_resume() {
	local had sent
	sample from/dir/big 6000000
	sample from/dir/another 1000
	"$@" source.rsync=--bwlimit=3000
	once_behind
	wait_until 20 holding 2000000
	expect "published half way" '' "$(published)"
	kill_all
	had=$(staged)
	((had >= 2000000)) || fail "only $had bytes were kept"
	"$@" source.rsync="--log-file=$PWD/rsync.log"
	once 0
	same from/dir to/dir
	expect "what is there" dir "$(published)"
	expect "left in incoming/" 0 "$(staged)"
	sent=$(sed -n 's/.*sent \([0-9,]*\) bytes  received \([0-9,]*\) bytes.*/\1 \2/p' rsync.log | tr -d , | awk '{ n += $1 + $2 } END { print n + 0 }')
	((sent > 0 && sent < 6000000 - had / 2)) || fail "begun again: $had of 6000000 bytes were here, and $sent were sent"
}

@test "after a crash half way, a pull from a local path is resumed, not begun again" { crash_and_resume config; }
@test "after a crash half way, a pull over rsync:// is resumed, not begun again" { crash_and_resume config_rsyncd; }
@test "after a crash half way, a pull over ssh is resumed, not begun again" { crash_and_resume config_ssh; }

@test "nobody ever sees half of an item under its final name" {
	sample from/big 2500000
	sample from/dir/f 500000
	sample from/dir/g 500000
	config source.rsync=--bwlimit=2500
	once_behind
	while alive "$pass"; do
		[[ ! -e to/big ]] || cmp from/big to/big
		[[ ! -e to/dir ]] || same from/dir to/dir
	done
	wait "$pass"
	expect "what is there" 'big dir' "$(published)"
}

@test "when leecher alone is killed, rsync and ssh do not live on" {
	sample from/big 5000000
	config_ssh source.rsync=--bwlimit=500
	leech 0 start
	pid=${out##* }
	wait_until 20 holding 1
	kill -KILL "$pid"
	wait_until 10 nobody_left
}

@test "killed at any moment of a pass, the next pass brings everything here once" {
	for name in a b c d; do sample "from/$name" 50000; done
	mkdir from/dir
	cp from/a from/b from/dir
	for n in 1 2 3 4 5 6 7 8; do
		once_behind
		sleep "0.0$((n * 2 + RANDOM % 3))"
		kill_all
	done
	once 0
	expect "what is there" 'a b c d dir' "$(published)"
	rm -r to/.leecher
	same from to
}

@test "killed just before or after each rename and removal, nothing is lost and nothing doubled" {
	command -v strace >/dev/null || skip "needs strace"
	strace -o /dev/null true 2>/dev/null || skip "may not trace here"
	[[ $SLOWER -eq 1 ]] || skip "too slow for this"
	local call n deaths=0
	config report.markers=yes
	for call in rename renameat renameat2 link linkat unlink unlinkat rmdir; do
		for n in {1..20}; do
			echo "$call $n" >from/x
			code=0
			quietly strace -o /dev/null -e trace="$call" -e inject="$call:signal=KILL:when=$n" leecher -c leecher.conf once || code=$?
			[[ $code -ne 0 ]] || break
			((deaths += 1))
			wait_until 5 nobody_left
			once 0
			expect "what is there after a kill at $call $n" 'x x\ is\ done' "$(published)"
			same from/x to/x
			rm -rf to
			mkdir to
		done
		rm -rf to
		mkdir to
	done
	((deaths > 0)) || fail "it was never killed"
}

@test "data is on disk before its item is published" {
	command -v strace >/dev/null || skip "needs strace"
	strace -o /dev/null true 2>/dev/null || skip "may not trace here"
	sample from/x 10000
	strace -f -y -o trace -e trace=fsync,fdatasync,syncfs,sync,rename,renameat,renameat2 leecher -c leecher.conf once 3>&- </dev/null
	publish=$(grep -nE 'rename.*/to(/|>, ")x"' trace | head -1 | cut -d: -f1)
	[[ -n $publish ]] || fail "no rename to to/x seen" "$(cat trace)"
	head -n "$publish" trace | grep -Eq 'syncfs\(|[^f]sync\(\)|(fsync|fdatasync)\([0-9]+<[^>]*incoming/' ||
		fail "not synced before: $(sed -n "${publish}p" trace)" "$(cat trace)"
}

# --- the end of `once` -------------------------------------------------------------------------

@test "once that is ended by a signal dies of that signal after rsync is stopped, and keeps what it has" {
	sample from/big 5000000
	config source.rsync=--bwlimit=1000
	for signal in TERM INT; do
		rm -rf death
		perl -e '$SIG{INT} = "DEFAULT"; my $p = fork; exec @ARGV or exit 9 unless $p;
			open F, ">", "pid.new"; print F $p; close F; rename "pid.new", "pid";
			waitpid $p, 0; open F, ">", "death.new"; print F $? & 127; close F; rename "death.new", "death"' \
			leecher -c leecher.conf once >pass.out 2>pass.err 3>&- 4>&- </dev/null &
		wait_until 10 exists pid
		wait_until 10 holding 500000
		kill -"$signal" "$(cat pid)"
		wait_until 10 exists death
		no_rsync
		expect "it died of" "$(kill -l "$signal")" "$(cat death)"
		rm pid death
	done
	holding 500000
	expect "what is there" '' "$(published)"
	config
	once 0
	same from/big to/big
}

@test "without a terminal, once prints plain lines that name what was pulled" {
	echo hello >from/$'esc\e[31mape'
	once 0
	expect_like "stdout" 'esc\\x1b\[31mape' "$out"
	[[ $out != *[$'\r\e\b']* ]] || fail "not plain: $(cat -v .out)"
}

@test "on a terminal, once shows a bar with bytes, percent, rate and time left" {
	sample from/big 3000000
	config source.rsync=--bwlimit=1700
	terminal 'leecher -c leecher.conf once' >screen
	same from/big to/big
	expect_like "the screen" $'\r' "$(cat screen)"
	tr '\r' '\n' <screen | grep big | grep -E '[0-9]+ ?%' | grep -E '[0-9.]+ ?[kKMG]?i?B/s' | grep -qE '[0-9]+:[0-9]{2}|[0-9]+ ?s( |$)' ||
		fail "no bar with all of it" "$(cat -v screen)"
}

@test "the screen gets no control character out of a name" {
	sample from/$'evil\e]0;x\a\e[2J' 600000
	config source.rsync=--bwlimit=1000
	terminal 'leecher -c leecher.conf once' >screen
	[[ $(cat screen) != *$'evil\e'* && $(cat screen) != *$'\e[2J'* ]] || fail "$(cat -v screen)"
}

@test "-q is silence" {
	sample from/x 100
	once 0 -q
	expect "stdout and stderr" '' "$out$err"
	same from/x to/x
	sample from/y 600000
	config source.rsync=--bwlimit=2000
	terminal 'leecher -c leecher.conf -q once' >screen
	expect "the screen" '' "$(cat screen)"
}

# --- a bad item and its retries ----------------------------------------------------------------

@test "one bad item does not block the others, and once says 1" {
	choosy_rsync
	for name in a bad z; do sample "from/$name" 100; done
	once 1
	expect "what is there" 'a z' "$(published | sed 's/bad.log//; s/  */ /g')"
	said 'bad.*(Input/output error|23)|(Input/output error|23).*bad'
	expect "its state" failed "$(list_state bad)"
}

@test "a bad item is tried again at passes 2, 4, 8, 16" {
	choosy_rsync
	sample from/bad 100
	seen=
	for pass in {1..16}; do
		before=$(tries)
		leecher -c leecher.conf once >.out 2>.err 3>&- </dev/null || true
		(($(tries) == before)) || seen+="$pass "
	done
	expect "passes with a try" '1 2 4 8 16 ' "$seen" 'distances 1, 2, 4, ...'
}

@test "once says 0 again when the bad item came through" {
	choosy_rsync
	sample from/bad 100
	once 1
	rm broken
	once 0
	same from/bad to/bad
}

@test "after ten failed tries an item is parked until retry" {
	# an rsync that lists by rote, so that 500 passes take no time, and pulls nothing
	echo hello >from/x
	program bin/rsync <<-END
		case " \$* " in
		*" --list-only "*)
			answer="$PWD/answer.\$#"
			[ -e "\$answer" ] || $(command -v rsync) "\$@" >"\$answer"
			exec cat "\$answer"
			;;
		esac
		echo try >>$PWD/tries
		echo 'rsync: [sender] read errors mapping "x": Input/output error (5)' >&2
		exit 23
	END
	PATH=$PWD/bin:$PATH
	config daemon.interval=0.005
	leech 0 start
	wait_until 40 item_is x parked
	expect "tries" 10 "$(tries)"
	ctl 0 retry x
	more() { (($(tries) > 10)); }
	wait_until 10 more
}

@test "an item that waits for its next try is not lost when leecher starts anew" {
	choosy_rsync
	sample from/bad 100
	config daemon.interval=0.1
	once 1
	expect "its state" failed "$(list_state bad)"
	rm broken
	leech 0 start
	wait_until 10 exists to/bad
}

# --- reports -----------------------------------------------------------------------------------

@test "the marker 'NAME is done' holds Done and a newline, and is the default" {
	echo hello >from/x
	config report.markers
	once 0
	expect "what is there" 'x x\ is\ done' "$(published)"
	printf 'Done\n' | cmp - 'to/x is done'
}

@test "markers = no leaves TO to the items alone" {
	echo hello >from/x
	config report.markers=no
	once 0
	expect "what is there" x "$(published)"
}

@test "a failure leaves the link NAME.log to the item's log, which a success removes" {
	choosy_rsync
	sample from/bad 100
	config report.markers=yes
	once 1
	[[ -L to/bad.log ]]
	expect_like "where it leads" '^\.leecher/logs/' "$(readlink to/bad.log)"
	expect_like "the item's log" 'Input/output error' "$(cat to/bad.log)"
	gone 'to/bad is done'
	rm broken
	once 0
	expect "what is there" 'bad bad\ is\ done' "$(published)"
}

@test "mail goes through sendmail -t -oi, with subject Leecher: done -- NAME" {
	fake_sendmail
	echo hello >from/'Some Show [2024]'
	config report.mail=me@example.org report.sendmail="$PWD/sendmail"
	once 0
	expect "mails" 1 "$(mails)"
	expect "arguments" '-t -oi' "$(paste -sd' ' mails/1/argv)"
	expect "Subject" 'Leecher: done -- Some Show [2024]' "$(header Subject 1)"
	expect_like "To" 'me@example\.org' "$(header To 1)"
	expect "Auto-Submitted" auto-generated "$(header Auto-Submitted 1)"
	expect_like "Date" '^[A-Z][a-z]{2}, [ 0-9]?[0-9] [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [+-][0-9]{4}' "$(header Date 1)"
	expect_like "Message-ID" '^<.+@.+>$' "$(header Message-ID 1)"
	expect_like "MIME-Version" '^1\.0' "$(header MIME-Version 1)"
}

@test "an item's failure is mailed once, not for each retry, with the end of its log in the body" {
	choosy_rsync
	fake_sendmail
	sample from/bad 100
	config report.mail=me@example.org report.sendmail="$PWD/sendmail"
	for _ in 1 2 3 4; do quietly leecher -c leecher.conf once || true; done
	expect "tries" 3 "$(tries)"
	expect "mails" 1 "$(mails)"
	expect "Subject" 'Leecher: error -- bad' "$(header Subject 1)"
	expect_like "the body" 'Input/output error' "$(body 1)"
	rm broken
	for _ in 5 6 7 8; do quietly leecher -c leecher.conf once || true; done
	expect "mails after it came through" 2 "$(mails)"
	expect "Subject" 'Leecher: done -- bad' "$(header Subject 2)"
}

@test "without the key mail nothing is mailed" {
	fake_sendmail
	echo hello >from/x
	config report.sendmail="$PWD/sendmail"
	once 0
	expect "mails" 0 "$(mails)"
}

@test "a name cannot add a header to a mail" {
	fake_sendmail
	echo hello >from/$'x\r\nBcc: evil@example.org\n\nbody'
	echo hello >from/$'y\nBcc: evil@example.org'
	config report.mail=me@example.org report.sendmail="$PWD/sendmail"
	once 0
	expect "mails" 2 "$(mails)"
	for n in 1 2; do
		expect "Bcc" '' "$(header Bcc "$n")"
		expect "Subjects" 1 "$(sed '/^\r*$/q' "mails/$n/text" | grep -ci '^subject:')"
	done
}

@test "a subject that is not ASCII is encoded as RFC 2047 says, and long ones too" {
	command -v python3 >/dev/null || skip "needs python3"
	fake_sendmail
	long=$(printf 'ü%.0s' {1..120})
	echo hello >from/"Grüße [2024] ☃"
	echo hello >from/"$long"
	config report.mail=me@example.org report.sendmail="$PWD/sendmail"
	once 0
	decoded=$(python3 -c '
import email, email.header, sys
for path in sys.argv[1:]:
    raw = open(path, "rb").read().replace(b"\r\n", b"\n")
    head = raw.split(b"\n\n")[0]
    head.decode("ascii")
    assert max(map(len, head.split(b"\n"))) <= 998, "line too long"
    subject = email.message_from_bytes(raw)["Subject"]
    assert all(len(w) <= 75 for w in subject.split() if w.startswith("=?")), "encoded word longer than 75"
    print(str(email.header.make_header(email.header.decode_header(subject))))
' mails/1/text mails/2/text | sort)
	expect "Subjects" "$(printf '%s\n' "Leecher: done -- Grüße [2024] ☃" "Leecher: done -- $long" | sort)" "$decoded"
}

@test "on_done gets the facts in its environment, and the item is in place by then" {
	printf 'hello' >from/$'new\nl\xffne'
	program hook <<-'END'
		for v in NAME PATH BYTES SECONDS ERROR; do eval "printf '%s=%s\\0' $v \"\$LEECHER_$v\""; done >facts.new
		cat "$LEECHER_PATH" >content
		mv facts.new facts
	END
	sed -i "2i cd '$PWD'" hook
	config report.on_done="$PWD/hook"
	once 0
	expect "content" hello "$(cat content)"
	mapfile -d '' facts <facts
	expect "LEECHER_NAME" NAME=$'new\nl\xffne' "${facts[0]}"
	expect "LEECHER_PATH" "PATH=$PWD/to/"$'new\nl\xffne' "${facts[1]}"
	expect "LEECHER_BYTES" BYTES=5 "${facts[2]}"
	expect_like "LEECHER_SECONDS" '^SECONDS=[0-9]+(\.[0-9]+)?$' "${facts[3]}"
	expect "LEECHER_ERROR" ERROR= "${facts[4]}"
}

@test "LEECHER_PATH is where it was really published, LEECHER_BYTES the whole of a directory" {
	mkdir from/dir to/dir
	printf 12345 >from/dir/f
	printf 678 >from/dir/g
	echo mine >to/dir/h
	program hook <<<"printf '%s %s' \"\$LEECHER_PATH\" \"\$LEECHER_BYTES\" >$PWD/facts"
	config report.on_done="$PWD/hook"
	once 0
	expect "path and bytes" "$PWD/to/dir.1 8" "$(cat facts)"
}

@test "on_failed gets the error, no path, and on_done is not called" {
	choosy_rsync
	sample from/bad 100
	program failed <<<"printf '%s|%s|%s' \"\$LEECHER_NAME\" \"\$LEECHER_PATH\" \"\$LEECHER_ERROR\" >$PWD/facts"
	program 'done' <<<"touch $PWD/wrong"
	config report.on_failed="$PWD/failed" report.on_done="$PWD/done"
	once 1
	expect_like "facts" '^bad\|\|.*(Input/output error|23)' "$(cat facts)"
	gone wrong
}

@test "a hook begins with clean signals and descriptors 0, 1, 2 alone" {
	echo hello >from/x
	program hook <<-END
		cd '$PWD'
		ls -l /proc/\$\$/fd >fds
		grep -E '^Sig(Blk|Ign)' /proc/self/status >signals
	END
	config report.on_done="$PWD/hook"
	leech 0 start
	wait_until 10 exists signals
	wait_until 10 test -s signals
	# from 10 on they are the shell's own
	expect "descriptors" '0 1 2' "$(awk '/->/ && $9 < 10 { print $9 }' fds | paste -sd' ')"
	expect "signals" '0000000000000000 0000000000000000' "$(awk '{ print $2 }' signals | paste -sd' ')"
}

@test "downloads go on while a hook runs" {
	echo a >from/a
	echo b >from/b
	program hook <<-END
		[ "\$LEECHER_NAME" = a ] || exit 0
		until [ -e '$PWD/to/b' ]; do sleep 0.02; done
		touch '$PWD/seen'
	END
	config report.on_done="$PWD/hook" report.timeout=20
	once 0
	[[ -e seen ]]
}

# --- leecherctl --------------------------------------------------------------------------------

# pulling_slowly [CONFIG...]: the daemon is in the middle of pulling from/big; from/small waits behind it.
pulling_slowly() {
	sample from/big 6000000
	sample from/small 100
	local how=config
	[[ $# -eq 0 ]] || how=$1
	"$how" source.rsync=--bwlimit=1000 "${@:2}"
	leech 0 start
	pid=${out##* }
	wait_until 20 holding 500000
}

@test "leecherctl status tells state, item in hand, percent, rate, time left and the counts" {
	pulling_slowly
	expect "state" pulling "$(field state)"
	expect "item" big "$(field item)"
	wait_until 5 field_like percent '^[1-9][0-9]?(\.[0-9]+)? ?%?$'
	wait_until 5 field_like rate '[0-9]'
	wait_until 5 field_like left '[0-9]'
	for key in 'done' failed parked; do expect "$key" 0 "$(field "$key")"; done
}

@test "leecherctl status is idle between the passes, and counts what is done" {
	echo hello >from/x
	leech 0 start
	wait_until 10 exists to/x
	wait_until 10 field_like state idle
	expect "done" 1 "$(field 'done')"
}

@test "leecherctl items prints the ledger: state, size and name, a line each" {
	choosy_rsync
	printf 123456 >from/x
	echo bad >from/bad
	echo hello >from/$'new\nline'
	leech 0 start
	wait_until 10 item_is bad failed
	wait_until 10 item_is x 'done'
	ctl 0 items
	expect "lines" 3 "$(wc -l <.out)"
	expect_like "x" $'(^|\n)done +6 B  x($|\n)' "$out"
	expect_like "the odd one" 'new\\x0aline' "$out"
}

@test "leecher list shows how each item stands here, and pulls nothing" {
	choosy_rsync
	printf 123456 >from/old
	echo bad >from/bad
	once 1
	printf 1234567 >from/$'new\none'
	leech 0 list
	expect_like "old" $'(^|\n)done +6 B  old($|\n)' "$out"
	expect_like "new" $'(^|\n)new +7 B  new\\\\x0aone($|\n)' "$out"
	expect_like "bad" $'(^|\n)failed +4 B  bad($|\n)' "$out"
	expect "lines" 3 "$(wc -l <.out)"
	expect "what is there" 'old' "$(published | sed 's/bad.log//; s/^ *//')"
}

@test "leecher list works while the daemon pulls" {
	pulling_slowly
	leech 0 list
	expect_like "big" $'(^|\n)pulling +6.0 MB  big($|\n)' "$out"
	expect_like "small" $'(^|\n)new +100 B  small($|\n)' "$out"
}

@test "leecherctl now makes a pass at once" {
	leech 0 start
	wait_until 10 field_like state idle
	echo hello >from/x
	ctl 0 now
	wait_until 10 exists to/x
}

@test "pause lets go of the running transfer, keeps what is here, and resume goes on from there" {
	pulling_slowly config_rsyncd
	ctl 0 pause
	wait_until 10 no_rsync
	wait_until 5 field_like state paused
	had=$(staged)
	((had >= 500000))
	config_rsyncd source.rsync="--log-file=$PWD/rsync.log"
	ctl 0 reload
	expect "it stays paused" paused "$(field state)"
	ctl 0 resume
	wait_until 20 exists to/big
	wait_until 20 exists to/small
	same from/big to/big
	got=$(sed -n 's/.*received \([0-9,]*\) bytes.*/\1/p' rsync.log | tr -d , | awk '{ n += $1 } END { print n + 0 }')
	((got < 6000000 - had / 2)) || fail "begun again: $had bytes were here, $got came"
	expect "failed" 0 "$(field failed)"
}

@test "while it is paused nothing is pulled, and resume makes up for it" {
	leech 0 start
	wait_until 10 field_like state idle
	ctl 0 pause
	echo hello >from/x
	config daemon.interval=0.05
	ctl 0 reload
	for _ in 1 2 3 4 5 6; do
		ctl 0 status
		expect_like "state" 'state: *paused' "$out"
	done
	gone to/x
	ctl 0 resume
	wait_until 10 exists to/x
}

@test "cancel stops the transfer of an item, and the next one is served" {
	pulling_slowly
	ctl 0 cancel big
	wait_until 10 exists to/small
	wait_until 10 no_rsync
	ctl 0 now
	wait_until 10 field_like state idle
	gone to/big
	[[ $(item_state big) != @(done|pulling|new) ]]
	config
	ctl 0 reload
	ctl 0 retry big
	ctl 0 now
	wait_until 20 exists to/big
	same from/big to/big
}

@test "cancel, retry and forget refuse a name that is not known" {
	leech 0 start
	for command in cancel retry forget; do
		ctl 1 "$command" nothing
		expect_like "the words" '^leecherctl: .*nothing' "$err"
	done
}

@test "retry tries a failed item again before its time, retry all all of them" {
	choosy_rsync
	for name in bad1 bad2 bad3; do echo "$name" >"from/$name"; done
	leech 0 start
	wait_until 10 item_is bad3 failed
	for _ in 1 2 3 4; do
		ctl 0 now
		wait_until 10 field_like state idle
	done
	rm broken
	ctl 0 retry bad1
	ctl 0 now
	wait_until 10 exists to/bad1
	ctl 0 retry all
	ctl 0 now
	wait_until 10 exists to/bad2
	wait_until 10 exists to/bad3
}

@test "forget lets an item be pulled again" {
	for name in 'a b' $'new\nline' $'\xff[x]\\'; do
		echo "$name" >from/"$name"
	done
	leech 0 start
	wait_until 10 exists to/$'\xff[x]\\'
	wait_until 10 field_like state idle
	rm to/*
	for name in 'a b' $'new\nline' $'\xff[x]\\'; do
		ctl 0 forget "$name"
	done
	ctl 0 now
	for name in 'a b' $'new\nline' $'\xff[x]\\'; do
		wait_until 10 exists to/"$name"
	done
}

@test "reload takes up the new configuration" {
	echo hello >from/x.part
	leech 0 start
	wait_until 10 field_like state idle
	config source.ignore='*.tmp'
	ctl 0 reload
	ctl 0 now
	wait_until 10 exists to/x.part
}

@test "reload refuses a bad configuration with its reason, and the old one goes on" {
	leech 0 start
	pid=${out##* }
	cp leecher.conf good.conf
	sed -i 's/^settle.*/settle = soon/' leecher.conf
	exits 1 leecherctl -c good.conf reload
	expect_like "the words" 'leecher.conf:[0-9]+: \[source\] settle' "$err"
	echo hello >from/x
	cp good.conf leecher.conf
	ctl 0 now
	wait_until 10 exists to/x
	alive "$pid"
}

@test "reopen opens the log again after mv" {
	leech 0 start
	mv to/.leecher/leecher.log old.log
	ctl 0 reopen
	wait_until 5 exists to/.leecher/leecher.log
}

@test "level changes what is logged" {
	leech 0 start
	ctl 0 level error
	had=$(wc -l <to/.leecher/leecher.log)
	echo hello >from/x
	ctl 0 now
	wait_until 10 exists to/x
	wait_until 10 field_like state idle
	expect "new lines at level error" 0 "$(tail -n +$((had + 1)) to/.leecher/leecher.log | grep -cE ' (info|debug|warning) .* x( |$)')"
	ctl 1 level loud
	ctl 0 level debug
	ctl 0 now
	wait_until 10 logged ' debug leecher'
}

@test "help names every command" {
	leech 0 start
	ctl 0 help
	for command in status items now pause resume cancel retry forget reload reopen level stop help; do
		expect_like "help" "$command" "$out"
	done
}

@test "an unknown command is refused" {
	leech 0 start
	exits 1 leecherctl -c leecher.conf frobnicate 2>/dev/null || expect "exit code" 2 "$code"
	expect_like "the words" '^leecherctl: .*frobnicate' "$err"
}

@test "leecherctl without a daemon is 3 at once, and without an answer 4 at -t" {
	ctl 3 status
	expect_like "the words" '^leecherctl: ' "$err"
	leech 0 start
	pid=${out##* }
	wait_until 10 field_like state idle
	kill -STOP "$pid"
	ctl 4 -t 0.3 status
	kill -CONT "$pid"
	expect "FIFOs left" leecher.ctl "$(cd to/.leecher && find . -type p -printf '%P\n')"
}

@test "a plain line to the FIFO works too" {
	leech 0 start
	wait_until 10 field_like state idle
	echo pause >to/.leecher/leecher.ctl
	wait_until 5 field_like state paused
}

@test "leecherctl stop ends the daemon" {
	leech 0 start
	pid=${out##* }
	ctl 0 stop
	wait_until 10 dead "$pid"
	gone to/.leecher/leecher.pid
}

@test "stop in the middle of a pull leaves no rsync and no ssh, and keeps what is here" {
	pulling_slowly config_ssh
	leech 0 stop
	nobody_left || fail "these live: $(marked_pids | xargs ps -fp)"
	had=$(staged)
	((had >= 500000)) || fail "only $had bytes were kept"
	expect "what is there" '' "$(published)"
	config_ssh
	once 0
	same from/big to/big
	same from/small to/small
}

@test "stop ends an rsync that will not hear TERM, by a second TERM at once" {
	program bin/rsync <<-END
		case " \$* " in *" --list-only "*) exec $(command -v rsync) "\$@" ;; esac
		trap '' TERM INT HUP
		touch $PWD/deaf
		while :; do sleep 1; done
	END
	PATH=$PWD/bin:$PATH
	echo hello >from/x
	leech 0 start
	pid=${out##* }
	wait_until 10 exists deaf
	before=$(wc -l <to/.leecher/leecher.log)
	kill -TERM "$pid"
	more() { (($(wc -l <to/.leecher/leecher.log) > before)) || dead "$pid"; }
	wait_until 10 more
	kill -TERM "$pid" 2>/dev/null
	wait_until 3 dead "$pid"
	wait_until 3 nobody_left
}

# --- check -------------------------------------------------------------------------------------

@test "check says that all is well and changes nothing, daemon or not" {
	config_ssh
	echo hello >from/x
	before=$(find . ! -name '.out' ! -name '.err' ! -path . -printf '%p %s %T@ %C@\n' | sort)
	leech 0 check
	expect "everything as it was" "$before" "$(find . ! -name '.out' ! -name '.err' ! -path . -printf '%p %s %T@ %C@\n' | sort)"
	leech 0 start
	wait_until 10 exists to/x
	leech 0 check
}

@test "check reports a login that fails, and changes nothing" {
	needs_sshd
	config_ssh source.ssh="-F $SERVERS/ssh_config -o UserKnownHostsFile=/dev/null"
	leech 1 check
	said 'host key'
	expect "TO" '' "$(ls -A to)"
}

@test "check reports a program that is missing or cannot be executed" {
	touch plain
	for key in source.list report.on_done report.on_failed; do
		config "$key=$PWD/nothing"
		leech 1 check
		said 'nothing.*No such file'
		config "$key=$PWD/plain"
		leech 1 check
		said 'plain.*(Permission denied|not executable|cannot be executed)'
	done
	config report.mail=me@example.org report.sendmail="$PWD/nothing"
	leech 1 check
	said 'nothing.*No such file'
}
