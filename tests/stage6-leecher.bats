#!/usr/bin/env bats
# Stage 6: leecher pulls what is finished on another machine, once and whole.
# How it survives crashes stands in stage6-transfer.bats, what it tells in stage6-report.bats, how it is
# steered in stage6-control.bats, and what bad input gets in stage6-hostile.bats.
#
# $out, $err and $code come from `exits`; words with a dollar are meant literally; a test is a subshell.
# shellcheck disable=SC2154,SC2016,SC2030,SC2031,SC2317

load lib/common
load lib/leecher
setup_file() { start_rsyncd && start_sshd; }
teardown_file() { stop_servers; }
setup() { leecher_stage; }
teardown() { clean_up; }

# == Exit codes ==
# Bad usage and a bad configuration are 2, with the reason on stderr; help and version are answers, and go to stdout.

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
		expect_like "help names the verb $verb" "$verb" "$out"
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

# == Configuration ==
# $XDG_CONFIG_HOME/leecher/leecher.conf, or ~/.config/... without it. State lives in TO/.leecher, on the same file
# system as TO, and nowhere else, unless the key state says so. Names are made absolute before chdir(2).

@test "a three-line configuration under XDG_CONFIG_HOME is enough" {
	mkdir -p cfg/leecher
	printf '[source]\nfrom = %s\n[destination]\nto = %s\n' "$PWD/from" "$PWD/to" >cfg/leecher/leecher.conf
	XDG_CONFIG_HOME=$PWD/cfg exits 0 leecher once
	[[ -d to/.leecher ]]
	mkdir .config
	mv cfg/leecher .config/
	exits 0 leecher once
}

# Hint: start may return only when all of them are there: who forks hears of it by a pipe. The mode in mkfifo(3) and
# open(2) is less the umask. At the end pid file and FIFO go.
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

# == Exit codes ==
# All that holds for any daemon holds here, too: a lock that is held says who runs, a handler only sets a flag, and
# what comes by signal or FIFO is done between two waits of one loop.

# Hint: Who holds the lock runs; a pid in a file proves nothing: fcntl(2), F_GETLK. Not running is 3, a pid file
# that was left behind is 1, and to stop what does not run is done already: 0.
@test "status, stop and restart tell what is, with the exit codes of the LSB" {
	leech 3 status
	expect "status before any start" 'not running' "$out"
	leech 0 stop
	expect "stop before any start" 'not running' "$out"
	leech 0 start
	pid=${out##* }
	leech 0 status
	expect "status of what runs" "running, pid $pid" "$out"
	leech 1 start
	expect "stderr of a second start" "leecher: already running, pid $pid" "$err"
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

# Hint: fork(2), setsid(2), once more fork(2), chdir(2) to /, and nothing kept of what was inherited: daemon(7),
# close_range(2).
@test "start is a true daemon: a session of its own, no terminal, directory /, only descriptors it opened" {
	exec 9</dev/null
	leecher -c leecher.conf start >.out 3>&- 4>&-
	exec 9<&-
	expect_like "start" '^started, pid [0-9]+$' "$(<.out)"
	pid=$(sed 's/.* //' .out)
	expect "terminal" 0 "$(stat_field "$pid" 7)"
	[[ $(stat_field "$pid" 6) != $(stat_field $$ 6) ]] || fail "session of the daemon" "  expected: one of its own" \
		"  came:     $(stat_field "$pid" 6), the test's"
	expect "directory" / "$(readlink "/proc/$pid/cwd")"
	expect "standard input" /dev/null "$(readlink "/proc/$pid/fd/0")"
	[[ ! -e /proc/$pid/fd/9 || $(readlink "/proc/$pid/fd/9") != /dev/null ]] ||
		fail "descriptor 9 of the daemon" "  expected: closed, or a file of its own" "  came:     the one that it inherited"
}

# Hint: Make the name behind -c absolute before chdir(2): the configuration is read again, later and from /.
# realpath(3), getcwd(3).
@test "relative paths on the command line survive the change of directory" {
	echo hello >from/x
	leech 0 start
	wait_until 10 exists to/x
	ctl 0 now
	ctl 0 reload
}

# Hint: No interval stands before the first pass; and an interval may be less than a second.
@test "the daemon pulls at once and then every interval" {
	echo one >from/one
	config daemon.interval=0.2
	leech 0 start
	wait_until 10 exists to/one
	echo two >from/two
	wait_until 10 exists to/two
	same from/two to/two
}

# Hint: $NOTIFY_SOCKET names a Unix datagram socket, to which you write yourself: sd_notify(3). READY=1 when lock,
# ledger and FIFO are there, STOPPING=1 when you are told to stop. TERM is caught, so the exit status is yours.
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

# Hint: One function writes all lines: strftime(3) of gmtime(3), the milliseconds of clock_gettime(2), a Z. What a
# child or a name says goes through it, too, with control characters as \x1b.
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

# Hint: A handler sets a flag, the loop does the rest. USR1 is one line, whatever goes on; HUP opens the log by its
# absolute name.
@test "HUP opens the log again, USR1 writes one status line" {
	leech 0 start
	pid=${out##* }
	mv to/.leecher/leecher.log old.log
	kill -HUP "$pid"
	wait_until 5 exists to/.leecher/leecher.log
	ctl 0 status # so that what it has to say about HUP is in the log by now
	had=$(wc -l <to/.leecher/leecher.log)
	kill -USR1 "$pid"
	wait_until 5 logged 'idle|status'
	expect "lines in the log after USR1" $((had + 1)) "$(wc -l <to/.leecher/leecher.log)"
}

# Hint: All three take the one lock before they do anything else, and only their exit codes differ: 1 for start and
# run, 3 for once.
@test "the first sign of two leechers: the second start and run exit 1, once exits 3" {
	leech 0 start
	leech 1 start
	leech 1 run
	expect_like "the words" 'already running, pid [0-9]+' "$err"
	once 3
	expect_like "the words" 'running' "$err"
	leech 0 status
}

# Hint: once holds the same lock as a daemon, from before its first look at the source until its end.
@test "start is refused while once is at work" {
	sample from/big 3000000
	config source.rsync=--bwlimit=$((1000 / SLOWER))
	once_behind
	wait_until 10 holding 1
	leech 1 start
	once 3
	alive "$pass"
}

# Hint: A stopped process takes TERM only when it goes on; KILL it takes at once: signal(7). And stop waits for the
# death after KILL, too.
@test "stop kills a daemon that does not answer, -t seconds later" {
	leech 0 start
	pid=${out##* }
	freeze "$pid"
	leech 0 -t 0.3 stop
	dead "$pid"
}

# Hint: Without the name, the next start would make a new file and lock that. Now and then, compare st_dev and
# st_ino of the name and of what you hold: stat(2), fstat(2).
@test "a daemon whose pid file is removed says so and stops" {
	config daemon.interval=0.1
	leech 0 start
	pid=${out##* }
	rm to/.leecher/leecher.pid
	wait_until 10 dead "$pid"
	logged 'leecher\.pid'
}

# Hint: Now and then, look whether the name is still your FIFO; if it is gone, make it anew. What is there and is no
# FIFO belongs to somebody else: lstat(2), S_ISFIFO.
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

# Hint: At level error nothing is written while all is well: started and stopped are no errors. debug has lines that
# info has not.
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
	expect "lines in the log after all has gone well at level error" "$had" "$(wc -l <to/.leecher/leecher.log)"
}

# == What is there: source.c ==
# rsync --list-only asks what is there, over ssh, rsync:// and locally alike: rsync(1). Each kind of source has its
# own way to write a path.

# Hint: What does rsync bring along without --archive? Depth, times and links are options of their own, and
# --files-from switches --recursive off: rsync(1).
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
	config_shared source.from="$(id -un)@shared:$PWD/from/"
	once 0
	same from/file to/file
}

# Hint: The colons of [::1] are not the one that ends the host.
@test "once pulls over ssh from [address]:path" {
	needs_sshd
	echo hello >from/x
	sed 's/^Host box shared/& ::1/' "$SERVERS/ssh_config" >ssh_config
	for place in "[::1]:$PWD/from" "$(id -un)@[::1]:$PWD/from/"; do
		config source.from="$place" source.ssh="-F $PWD/ssh_config"
		once 0
		same from/x to/x
		rm -r to/x to/.leecher
	done
	config source.from='[::1]::module'
	once 2
}

@test "once pulls from an rsync daemon, with or without a slash at the end of from" {
	sample from/file 100000
	sample from/dir/sub/f 10000
	config_rsyncd
	once 0
	same from/file to/file
	same from/dir to/dir
	rm -r to/* to/.leecher from/dir
	config source.from="$(rsyncd_from)/"
	once 0
	expect "what is there" file "$(published)"
}

# Hint: In the list that rsync reads by --files-from, a line that begins with # or ; is a comment. And a name with a
# backslash and an asterisk may be taken for a pattern.
@test "once pulls from the root of an rsync daemon's module" {
	for name in x '#hash' ';id' ' a\*b'; do printf '%s' "$name" >from/"$name"; done
	config source.from="$(rsyncd_module "$PWD/from")"
	once 0
	rm -r to/.leecher
	same from to
}

# Hint: For rsync DIR is the directory itself, and DIR/ is what is in it. Put the slash there yourself, once.
@test "a slash at the end of a local from changes nothing" {
	echo hello >from/x
	config source.from="$PWD/from/"
	once 0
	expect "what is there" 'x' "$(published)"
}

# == Names are bytes ==
# No shell, ever: execvp(3) with an argument vector. Names go to rsync by --files-from=- --from0, so that none is an
# option, a pattern or two names: rsync(1).

# Hint: What is parted twice is quoted once: rsync parts the string of its -e into words again, by rules of its own.
# rsync(1), --rsh.
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

# Hint: With --links, which --archive includes, rsync lists a link with what it leads to behind its name; and --archive
# goes down into directories.
@test "with --archive or --links in the key rsync the same is found, and links come along" {
	sample from/dir/sub/f 10
	ln -s sub/f from/dir/link
	ln -s /etc/passwd from/outside
	mkfifo from/dir/pipe
	for option in -az --archive -l --links; do
		config source.rsync="$option"
		once 1
		said 'outside.*link that leads outside'
		expect "what is there with $option" dir "$(published)"
		gone to/dir/pipe
		same from/dir/sub to/dir/sub
		expect "the link with $option" sub/f "$(readlink to/dir/link)"
		rm -r to
		mkdir to
	done
}

# Hint: What is listed must be turned back into bytes: rsync writes odd ones as \#ooo, and which ones depends on the
# locale. rsync(1), --8-bit-output. And in a --files-from list, # and ; begin a comment.
@test "an item with every odd name is pulled under that very name" {
	local name n255
	n255=$(printf 'n%.0s' {1..255})
	for name in $'new\nline\r' --delete '[ab]' a b "$n255" $'latin-\xe4\xff' '  two  spaces ' '*' ';id' '#hash' a:b ' ' '\#012' 'x\*y'; do
		printf '%s' "$name" >from/"$name"
	done
	mkdir from/$'dir\n[x]'
	for name in $'new\nline' -rf '[ab]' a b 'back\slash' '*' '?' "'quotes\"" '$(touch x)' $'tab\there' $'esc\e[31m' '~' $'cr\r' 'ünï' - \
		'drwxr-xr-x 4,096 2020-01-01 00:00:00 x' %s 'a,b' '+ x' '@' 'x.1' $'-f\n\xff*'; do
		printf '%s' "$name" >from/$'dir\n[x]'/"$name"
	done
	once 0
	rm -r to/.leecher
	same from to
}

# Hint: Two names are the same byte by byte, or they are two. How does your data base compare: by =, by LIKE, by a
# collation, as a BLOB?
@test "names that differ only in capitals, or by an underscore, are different items" {
	for name in Film film a_b axb 'a%' abc; do echo "$name" >from/"$name"; done
	once 0
	rm -r to/.leecher
	same from to
}

@test "odd names come over rsync:// byte for byte" {
	local name
	for name in $'new\nline' '[ab]' a $'latin-\xe4\xff' ' two  spaces ' '\#012'; do
		printf '%s' "$name" >from/"$name"
	done
	mkdir from/-dir
	for name in -rf 'back\slash' '*' '$(touch x)' $'n\n' '#hash'; do
		printf '%s' "$name" >from/-dir/"$name"
	done
	config_rsyncd
	once 0
	rm -r to/.leecher
	same from to
}

# Hint: ssh hands what it runs to a shell on the far side, as one string. Names that go through rsync itself never
# meet it: rsync(1), --files-from, --secluded-args.
@test "odd names come over ssh byte for byte" {
	local name
	config_shared
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

# == What is there: source.c ==
# Finished is what has not changed for settle seconds: size and newest time of all that is in it, remembered from
# pass to pass. fnmatch(3) for the patterns of ignore.

@test "by default *.part, *.!qB, *.crdownload and hidden names are ignored" {
	for name in x x.part 'x.!qB' x.crdownload .hidden; do echo "$name" >from/"$name"; done
	once 0
	expect "what is there" 'x' "$(published)"
}

# Hint: A key that is given takes the place of its default, and an empty value is a value: no patterns.
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

# said_by_rsync SCRIPT: an rsync whose lists go through that script of sed.
said_by_rsync() {
	local rsync
	rsync=$(command -v rsync)
	program bin/rsync <<-END
		case " \$* " in *" --list-only "*) ;; *) exec $rsync "\$@" ;; esac
		$rsync "\$@" >$PWD/listed || exit
		exec sed '$1' $PWD/listed
	END
	PATH=$PWD/bin:$PATH
}

# Hint: rsync has room for 19 bytes of time: a year of more than four digits cuts what is behind it.
@test "a time beyond the year 9999, or before 1000, hides nothing" {
	for name in future past x; do echo "$name" >from/"$name"; done
	said_by_rsync 's#[^ ]* [^ ]* future$#11476/08/15 05:20:0 future#; s#[^ ]* [^ ]* past$# 970/08/15 05:20:00 past#'
	once 0
	expect "what is there" 'future past x' "$(published)"
}

# Hint: A name may be longer over there than a file system here can take. Whose fault is that, and who else shall wait for it?
@test "a name that is too long for here is left out, which the log says, and the others are served" {
	local long
	long=$(printf 'n%.0s' {1..300})
	echo hello >from/x
	said_by_rsync "s#\\(.*\\) x\$#&\\n\\1 $long#"
	once 0
	expect "what is there" x "$(published)"
	logged 'too long.*nnn'
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
	config source.settle=0.3
	for _ in {1..8}; do
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
	local end n=0
	config source.settle=0.3
	end=$((${EPOCHREALTIME/[.,]/} + 1000000))
	while ((${EPOCHREALTIME/[.,]/} < end)); do
		touch -d "now + $((++n * 2)) seconds" from/x
		once 0
		expect "published while it changed" '' "$(published)"
	done
	expect "its state" waiting "$(list_state x)"
}

# == List programs ==
# Names end with a NUL byte, and are taken byte for byte. An empty list means that nothing is finished.

# Hint: What a list program names is finished: neither settle nor ignore holds for it. Its names need no decoding.
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
	program list <<<": >'$PWD/asked'"
	config source.list="$PWD/list"
	once 0
	exists asked || fail "the list program was not run"
	expect "what is there" '' "$(published)"
}

# == The idea ==
# The ledger, not the disk, says what has been pulled: a local copy may go without coming back.

@test "the ledger remembers for good: a local copy that was deleted is not pulled again" {
	echo hello >from/x
	once 0
	rm to/x
	once 0
	gone to/x
	expect "its state" 'done' "$(list_state x)"
}

# == Onto the disk, and into place ==
# Modes are set before an item gets its name, x only where r is: chmod(2), stat(2). A directory without w must be
# writable while it is filled.

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

# == Exit codes ==
# A progress bar that nobody sees is no reason to fail: SIGPIPE, EPIPE, ENOSPC on stdout harm no download.

@test "a reader that leaves or a full device on stdout harms no download" {
	echo a >from/a
	echo b >from/b
	leecher -c leecher.conf once 2>.err 3>&- | true
	expect "exit code of once, whose reader has left" 0 "${PIPESTATUS[0]}"
	echo c >from/c
	quietly sh -c 'leecher -c leecher.conf once >/dev/full'
	expect "what is there" 'a b c' "$(published)"
}

# == Onto the disk, and into place ==
# What is there already is compared byte by byte, never overwritten and never followed if it is a link: lstat(2). rename(2)
# replaces what is in its way; renameat2(2) with RENAME_NOREPLACE does not.

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

# Hint: To compare, rsync reads whole files before the first byte goes over the line. Which of the limits takes that for
# the silence of a far side that is gone? rsync(1), --timeout.
@test "an item under TO is compared, however much longer than timeout the far side reads" {
	local rsync
	rsync=$(command -v rsync)
	sample from/x 1000
	cp -a from/x to/
	program slow <<-END
		touch $PWD/asked
		sleep $((5 * SLOWER))
		exec $rsync "\$@"
	END
	program bin/rsync <<-END
		case " \$* " in *" --checksum "*) exec $rsync --rsync-path=$PWD/slow "\$@" ;; esac
		exec $rsync "\$@"
	END
	PATH=$PWD/bin:$PATH
	config_shared source.timeout=$((2 * SLOWER))
	once 0
	expect "what is there" x "$(published)"
	[[ -e asked ]] || fail "the far side" "  expected: it is asked for checksums" "  came:     it is not"
}

# Hint: By default rsync takes the same size and time for the same file: rsync(1), --checksum.
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
