#!/usr/bin/env bats
# Stage 6: what bad input gets. Each time: one line that says what, which and why, the right
# exit code, nothing lost, and the other items served.
#
# $out, $err and $code come from `exits`; a test is a subshell.
# shellcheck disable=SC2154,SC2016,SC2030,SC2031,SC2317

load lib/common
load lib/leecher
setup_file() { start_rsyncd && start_sshd; }
teardown_file() { stop_servers; }
setup() { leecher_stage; }
teardown() { clean_up; }

# untouched: nothing was published and no transfer is left.
untouched() {
	expect "what is there" '' "$(published)"
	no_rsync
}

# == The configuration ==
# Name file, line and key, and what was wrong. Read strictly: an unknown key, a number with something behind it, a
# relative path are errors, and nothing is done.

@test "no configuration: exit 2 and the name of the file, for every verb and for leecherctl" {
	rm leecher.conf
	for verb in start stop restart status run once list check; do
		exits 2 leecher -c leecher.conf "$verb"
		expect_like "the words of $verb" '^leecher: .*leecher\.conf.*No such file' "$err"
	done
	exits 2 leecherctl -c leecher.conf status
	expect_like "the words" '^leecherctl: .*leecher\.conf.*No such file' "$err"
	exits 2 leecher once
	expect_like "the words" "$PWD/\.config/leecher/leecher\.conf.*No such file" "$err"
}

# Hint: That open(2) succeeds is not enough: a directory can be opened for reading, and only read(2) says EISDIR.
@test "an unreadable configuration: exit 2 and why" {
	if [[ $EUID -eq 0 ]]; then
		rm leecher.conf
		mkdir leecher.conf
		exits 2 leecher -c leecher.conf once
		expect_like "the words" '^leecher: .*leecher\.conf.*(Is a directory|not a regular file)' "$err"
	else
		chmod 0 leecher.conf
		exits 2 leecher -c leecher.conf once
		expect_like "the words" '^leecher: .*leecher\.conf.*Permission denied' "$err"
	fi
}

# refused LINE SECTION KEY [WHAT]: every verb that reads it refuses leecher.conf, naming file, line and key.
refused() {
	once 2 || fail "  with:     ${4:-[$2] $3}"
	expect_like "the words for ${4:-[$2] $3}" "^leecher: ([^ ]*/)?leecher\.conf:$1: \[$2\] $3: ." "$err"
	expect "lines of stderr for ${4:-[$2] $3}" 1 "$(wc -l <.err)"
	untouched
}

@test "an unknown key or section: exit 2, file, line and key" {
	printf '[source]\nfrom = %s\n# a comment\nform = x\n[destination]\nto = %s\n' "$PWD/from" "$PWD/to" >leecher.conf
	refused 4 source form
	leech 2 start
	leech 2 check
	printf '[source]\nfrom = %s\n\n[destination]\nto = %s\n[sauce]\nhot = yes\n' "$PWD/from" "$PWD/to" >leecher.conf
	refused 7 sauce hot
	printf '[source]\nfrom = %s\n[destination]\nto = %s\nfrom = x\n' "$PWD/from" "$PWD/to" >leecher.conf
	refused 5 destination from
}

@test "a line that is no setting: exit 2, file and line" {
	printf '[source]\nfrom = %s\nwhat is this\n[destination]\nto = %s\n' "$PWD/from" "$PWD/to" >leecher.conf
	once 2
	expect_like "the words" '^leecher: ([^ ]*/)?leecher\.conf:3: .' "$err"
	printf '[source]\nfrom = %s\nwhat is this\nsettle = soon\n' "$PWD/from" >leecher.conf
	once 2
	expect_like "the words, where a bad value follows" '^leecher: ([^ ]*/)?leecher\.conf:3: [^[]' "$err"
	printf '[source\nfrom = %s\n' "$PWD/from" >leecher.conf
	once 2
	expect_like "the words" '^leecher: ([^ ]*/)?leecher\.conf:1: .' "$err"
}

# Hint: strtod(3) also takes nan, 0x10, 1e3, a sign and blanks; here a number is digits, with a point among them if
# need be. A mode is octal, and no more than 0777. Nothing at all is no number, and no yes.
@test "a bad number, mode or yes: exit 2, file, line and key" {
	local bad pair key
	for pair in settle=soon settle=-1 settle=1e3 settle=0x10 settle=nan settle= settle=99999999999999999999 timeout=1s timeout=-0; do
		printf '[source]\nfrom = %s\n%s\n[destination]\nto = %s\n' "$PWD/from" "$pair" "$PWD/to" >leecher.conf
		refused 3 source "${pair%%=*}" "$pair"
	done
	for bad in 9 rw-r--r-- 01777777 -1 0888; do
		printf '[source]\nfrom = %s\n[destination]\nmode = %s\nto = %s\n' "$PWD/from" "$bad" "$PWD/to" >leecher.conf
		refused 4 destination mode "mode = $bad"
	done
	for pair in daemon.interval=often report.markers=perhaps report.markers=es report.markers= report.timeout=x; do
		config "$pair"
		key=${pair#*.}
		refused '[0-9]+' "${pair%%.*}" "${key%%=*}" "$pair"
	done
}

# Hint: What -U and -N list moves the columns in which you look for a name.
@test "options of rsync that change what its calls do or say: exit 2, file, line and key" {
	for option in --delete -n -az-r -azU -N --atimes --crtimes; do
		config source.rsync="$option"
		refused '[0-9]+' source rsync "rsync = $option"
	done
}

@test "from or to missing: exit 2, and which" {
	config source.from
	once 2
	expect_like "the words" '^leecher: .*leecher\.conf.*\[source\] from' "$err"
	config destination.to
	once 2
	expect_like "the words" '^leecher: .*leecher\.conf.*\[destination\] to' "$err"
}

@test "a relative to: exit 2, file, line and key" {
	printf '[source]\nfrom = %s\n[destination]\nto = to\n' "$PWD/from" >leecher.conf
	refused 4 destination to
}

# Hint: Which buffer does a line meet on its way to you? inih cuts at INI_MAX_LINE bytes, unless it is told
# otherwise. What is too long is an error, never the beginning of itself.
@test "long values are taken whole" {
	local long
	long=$(printf '*.none%s ' {1..200})
	echo hello >from/x.last
	echo hello >from/y
	config source.ignore="$long*.last"
	once 0
	expect "what is there" y "$(published)"
}

# == Failure ==
# Every call can fail for a reason that has a name: say which file, and strerror(3). Nothing is made where the
# configuration may be wrong.

# Hint: A disk that is not mounted yet may be there in ten seconds, a word in the configuration will not. A service manager
# tries again after 1, and not after 2.
@test "to missing: said, with 1, and not made" {
	echo hello >from/x
	rmdir to
	for verb in once start run; do
		leech 1 "$verb"
		expect_like "the words of $verb" "^leecher: .*$PWD/to.*No such file" "$err"
	done
	gone to
	mkdir to
}

@test "to not writable: said, with 1, by once and by start" {
	echo hello >from/x
	in_a_namespace '
		mount -t tmpfs -o ro,size=1m none to || exit
		for verb in once start; do
			leecher -c leecher.conf $verb >$verb.out 2>$verb.err; echo $? >$verb.code
		done'
	for verb in once start; do
		[[ $(cat $verb.code) == 1 ]] || fail "exit code of $verb" "  expected: 1" "  came:     $(cat $verb.code)" \
			"  stderr:   $(cat $verb.err)"
		expect_like "the words of $verb" "^leecher: .*$PWD/to.*Read-only file system" "$(cat $verb.err)"
	done
}

@test "to without permission: said" {
	[[ $EUID -ne 0 ]] || skip "root may write everywhere"
	echo hello >from/x
	chmod 555 to
	once 1
	chmod 755 to
	expect_like "the words" "^leecher: .*$PWD/to.*Permission denied" "$(cat .err)"
}

# Hint: Look before the transfer whether it has room: statvfs(3), f_bavail. An item that has none fails with its
# name, and what had come of it goes, so that the next one has room.
@test "a full disk: said, with the item; what fits is served; with room again the rest is resumed" {
	sample from/a-small 1000
	sample from/b-big 6000000
	sample from/c-small 1000
	in_a_namespace '
		mount -t tmpfs -o size=10m none to || exit
		head -c 7000000 /dev/zero >to/.ballast
		leecher -c leecher.conf once >.out 2>.err; echo $? >code
		find to -mindepth 1 -maxdepth 1 ! -name ".*" -printf "%f\n" >there
		cat to/.leecher/leecher.log >>.err
		rm to/.ballast
		for n in 1 2 3; do leecher -c leecher.conf once >again.out 2>again.err; done
		echo $? >again.code
		ls to >there.again
		cmp from/a-small to/a-small && cmp from/b-big to/b-big && ! [ -e to/b-big.1 ] && ! [ -e to/a-small.1 ] && touch good
		exit 0'
	expect "exit code" 1 "$(cat code)"
	said 'b-big.*No space left'
	expect "what was there while it was full" 'a-small c-small' "$(grep -v 'b-big.log' there | sort | paste -sd' ')"
	expect "exit code with room" 0 "$(cat again.code)"
	[[ -e good ]] || fail "what is there with room again" \
		"  expected: a-small, b-big and c-small, whole and once" "  came:     $(cat there.again)"
}

# Hint: stat(2) looks at what a link leads to, lstat(2) at the link. Whose decision is it where your state lies?
@test "a link in the place of the state directory is refused" {
	mkdir elsewhere
	ln -s ../elsewhere to/.leecher
	echo hello >from/x
	for verb in once start run; do
		exits 1 timeout 20 leecher -c leecher.conf "$verb"
		expect_like "the words of $verb" "^leecher: .*\.leecher: ." "$err"
	done
	expect "files where it leads" '' "$(find elsewhere -type f)"
	gone to/x
}

# Hint: One file system may be mounted twice, as volumes of a container are: st_dev is the same, and no rename leads across.
# rename(2), EXDEV.
@test "a state on another mount of the same file system is refused before anything is pulled" {
	echo hello >from/x
	mkdir -p disk/to disk/state one two
	config destination.to="$PWD/one/to" daemon.state="$PWD/two/state"
	in_a_namespace '
		mount --bind disk one && mount --bind disk two || exit
		for verb in once check; do
			leecher -c leecher.conf $verb >$verb.out 2>&1; echo $? >$verb.code
		done'
	for verb in once check; do
		expect "exit code of $verb: $(<$verb.out)" 1 "$(<$verb.code)"
		expect_like "the words of $verb" "two/state.*mount" "$(<$verb.out)"
	done
	expect "what is there" '' "$(ls -A disk/to)"
}

# == Failure ==
# Whatever keeps the source from being asked: then what is finished is unknown, which is not 'nothing'. Say why, in the
# words of the program that failed, and try again at the next pass.

# unknown REGEX: the pass says why, exits 1 and does nothing; so do list and check.
unknown() {
	once 1
	said "$1"
	untouched
	leech 1 list
	expect_like "the words of list" '^leecher: .' "$err"
	leech 1 check
}

@test "no rsync in PATH: said" {
	echo hello >from/x
	local ours
	ours=$(command -v leecher)
	PATH=$PWD/nowhere exits 1 "$ours" -c leecher.conf once
	said 'rsync.*(not found|No such file)'
	untouched
}

@test "no ssh in PATH: said" {
	needs_sshd
	config_ssh
	mkdir bin
	ln -s "$(command -v rsync)" bin/rsync
	local ours
	ours=$(command -v leecher)
	PATH=$PWD/bin exits 1 "$ours" -c leecher.conf once
	said 'ssh.*(not found|No such file)'
}

@test "no such host: said" {
	config source.from=nosuchhost.invalid:x/
	RES_OPTIONS='timeout:1 attempts:1' unknown 'nosuchhost\.invalid'
}

@test "a connection that is refused: said, for ssh and rsync://" {
	port=$(closed_port)
	config source.from=127.0.0.1:x/ source.ssh="-F none -p $port"
	unknown 'Connection refused'
	config source.from="rsync://127.0.0.1:$port/all/"
	unknown 'Connection refused'
}

# Hint: ssh_config(5), StrictHostKeyChecking: only with yes is a new key neither asked about nor written down.
@test "a host key that is not known: said, and not accepted" {
	needs_sshd
	echo hello >from/x
	touch known
	config_ssh source.ssh="-F $SERVERS/ssh_config -o UserKnownHostsFile=$PWD/known"
	unknown 'host key'
	expect "known hosts" '' "$(cat known)"
}

@test "a host key that changed: said" {
	needs_sshd
	echo hello >from/x
	ssh-keygen -q -t ed25519 -N '' -f other </dev/null
	echo "[127.0.0.1]:$SSHD_PORT $(cut -d' ' -f1,2 other.pub)" >known
	config_ssh source.ssh="-F $SERVERS/ssh_config -o UserKnownHostsFile=$PWD/known"
	once 1
	said 'host key'
	untouched
}

# Hint: ssh_config(5), BatchMode: without it ssh asks for a password, on the terminal if there is one.
@test "a login that is refused: said, and nobody is asked for a password" {
	needs_sshd
	echo hello >from/x
	ssh-keygen -q -t ed25519 -N '' -f other </dev/null
	config_ssh source.ssh="-F none -p $SSHD_PORT -i $PWD/other -o IdentitiesOnly=yes -o UserKnownHostsFile=$SERVERS/known_hosts" \
		source.from="$(id -un)@127.0.0.1:$PWD/from"
	unknown 'Permission denied'
}

# Hint: Whom does rsync ask for a password, and what becomes of a background process that opens the terminal? rsync(1),
# RSYNC_PASSWORD.
@test "a password that an rsync daemon wants: nobody is asked, on a terminal, too; --password-file gives it" {
	echo hello >from/x
	echo me:secret >secrets
	echo secret >password
	chmod 600 secrets password
	printf '[secret]\npath = %s\nauth users = me\nsecrets file = %s\n' "$PWD/from" "$PWD/secrets" >>"$SERVERS/rsyncd.conf"
	config source.from="rsync://me@127.0.0.1:$RSYNCD_PORT/secret"
	terminal "timeout --foreground -k 1 $((20 * SLOWER)) leecher -c leecher.conf once; echo \$? >code" >screen
	expect "exit code of once: $(<screen)" 1 "$(<code)"
	expect_like "the screen" 'auth failed' "$(<screen)"
	untouched
	config source.from="rsync://me@127.0.0.1:$RSYNCD_PORT/secret" source.rsync="--password-file=$PWD/password"
	once 0
	same from/x to/x
}

@test "no rsync on the far side: said" {
	echo hello >from/x
	config_shared source.rsync=--rsync-path=/nowhere/rsync
	once 1
	said '/nowhere/rsync|no rsync|127'
	untouched
}

# == What is there: source.c ==
# Tell 'there is nothing' from 'I could not look': rsync's exit code does, rsync(1).

@test "no such path, on all three kinds of source: said" {
	config source.from="$PWD/nothing"
	unknown 'nothing.*No such file'
	config source.from="$(rsyncd_from)/nothing"
	once 1
	said 'nothing.*No such file'
	config_shared source.from="shared:$PWD/nothing/"
	once 1
	said 'nothing.*No such file'
}

@test "an unknown module: said" {
	config source.from="rsync://127.0.0.1:$RSYNCD_PORT/nomodule/x"
	unknown 'nomodule'
}

@test "an empty source: nothing is finished, exit 0" {
	once 0
	untouched
	[[ -e to/.leecher/ledger.db ]] || fail "there is no ledger"
	config_rsyncd
	once 0
	leech 0 list
	expect "list" '' "$out"
}

# == Failure ==
# Every wait has a limit: no byte for timeout seconds ends the transfer, its whole group, and it is resumed later.

# Hint: The connection stands, and nothing comes: which of the limits counts that? rsync(1), --timeout and
# --contimeout; ssh_config(5), ConnectTimeout and ServerAliveInterval.
@test "a far side that takes the connection and says nothing is given up after timeout" {
	echo hello >from/x
	mute_port
	config source.from="rsync://127.0.0.1:$port/all" source.timeout=1
	before=$SECONDS
	once 1
	said 'time|silen|said nothing'
	no_rsync
	config source.from=127.0.0.1:x source.ssh="-F none -p $port" source.timeout=1
	once 1
	no_rsync
	((SECONDS - before < 15 * SLOWER)) ||
		fail "two sources with timeout = 1" "  expected: less than $((15 * SLOWER)) s" "  came:     $((SECONDS - before)) s"
}

@test "a transfer that falls silent is given up after timeout, and resumed later" {
	sample from/big 3000000
	echo hello >from/x
	start_rsyncd "$PWD"
	config_rsyncd source.rsync=--bwlimit=1000 source.timeout=1
	once_behind
	wait_until 10 holding 300000
	# the rsync daemon's process for this connection stops talking
	for pid in $(pgrep -P "$(cat pids)"); do kill -STOP "$pid"; done
	code=0
	wait "$pass" || code=$?
	for pid in $(pgrep -P "$(cat pids)"); do kill -KILL "$pid"; done
	expect "exit code" 1 "$code"
	cat pass.out pass.err >.err
	touch .out
	said 'big.*(time|silen)'
	same from/x to/x
	config_rsyncd
	once 0
	same from/big to/big
	stop_servers
}

# == Running it for good ==
# Your options stand before those of ssh_config(5): BatchMode=yes and StrictHostKeyChecking=yes on the command line.

@test "an ssh source never asks: BatchMode and strict host keys hold whatever ssh's own configuration says" {
	needs_sshd
	echo hello >from/x
	touch known
	{
		cat "$SERVERS/ssh_config"
		printf 'BatchMode no\nStrictHostKeyChecking no\n'
	} >loose
	config_ssh source.ssh="-F $PWD/loose -o UserKnownHostsFile=$PWD/known"
	once 1
	said 'host key'
	expect "known hosts" '' "$(cat known)"
}

# == List programs ==
# Believe a list only when all is well: exit status 0, the last name ended by its NUL, no slash, no '..', not empty. Else
# what is finished is unknown. A program that hangs is ended as a group.

# list_fails REGEX: a list from standard input that cannot be trusted: nothing is done, and why is said.
list_fails() {
	echo hello >from/a
	program list
	config source.list="$PWD/list" source.timeout=0.5
	once 1 || fail "  list:     $(sed 1d list)"
	said "$1" || fail "  list:     $(sed 1d list)"
	untouched
	expect "states" '' "$(leecher -c leecher.conf list 2>/dev/null </dev/null)"
}

@test "a list program that exits 1: unknown, nothing is done" {
	list_fails 'list.*(exit|status).*3|list.* 3' <<<"printf 'a\\0'; exit 3"
}
@test "a list program that is killed by a signal: unknown, nothing is done" {
	list_fails 'list.*(signal|kill)' <<<"printf 'a\\0'; kill -KILL \$\$"
}
@test "a list program that prints half a record: unknown, nothing is done" {
	list_fails 'list.*(cut|half|incomplete|NUL|record)' <<<"printf 'a\\0b'"
}
@test "a list program that prints lines instead of NUL records: unknown, nothing is done" {
	list_fails 'list.*(cut|half|incomplete|NUL|record)' <<<"echo a"
}
@test "a list program that prints ../x: unknown, nothing is done" {
	list_fails '\.\./x' <<<"printf 'a\\0../x\\0'"
}
@test "a list program that prints an absolute name: unknown, nothing is done" {
	list_fails '/etc/passwd' <<<"printf 'a\\0/etc/passwd\\0'"
}
@test "a list program that prints a/b, an empty name, . or ..: unknown, nothing is done" {
	mkdir from/d
	echo b >from/d/b
	for name in d/b '' . .. a/; do
		list_fails 'name' <<<"printf 'a\\0$name\\0'"
	done
}
@test "a list program that hangs is killed with all its children after timeout: nothing is done" {
	list_fails 'list.*(time|silen)' <<<"printf 'a\\0'; sleep 15 & sleep 987"
	nobody_left
}
# Hint: The exec fails in the child, with ENOENT or EACCES, and the parent must hear which: execve(2).
@test "a list program that is missing or cannot be executed: said, nothing is done" {
	echo hello >from/a
	touch plain
	for name in nothing plain; do
		config source.list="$PWD/$name"
		code=0
		leecher -c leecher.conf once >.out 2>.err 3>&- </dev/null || code=$?
		[[ $code == [12] ]] || fail "exit code with list = $name" "  expected: 1 or 2" "  came:     $code" \
			"  stderr:   $(cat .err)"
		said "$name.*(No such file|not found|Permission denied|executed)"
		untouched
	done
}
# Hint: One name that nobody can find is one item that fails. The list itself was told whole, and is believed.
@test "a list program that names what is not there: that item fails, the others are served" {
	echo hello >from/a
	program list <<<"printf 'nothing\\0a\\0'"
	config source.list="$PWD/list"
	once 1
	said 'nothing.*(No such file|vanished|not there|gone)'
	same from/a to/a
}
# Hint: The list is a set: the same name twice is one item.
@test "a list program that names an item again and again: it is pulled once" {
	echo hello >from/a
	program list <<<"printf 'a\\0a\\0a\\0'"
	config source.list="$PWD/list"
	once 0
	expect "what is there" a "$(published)"
}
# Hint: What it says on stderr is the reason. Read both of its pipes as they fill: who reads one to its end first
# may wait for ever, pipe(7).
@test "a list program's own words end up in the log" {
	list_fails 'the seedbox is asleep' <<<"echo the seedbox is asleep >&2; exit 1"
}
@test "a list that fails is unknown: what is done stays done, and the daemon goes on" {
	echo hello >from/a
	echo hello >from/b
	program list <<<"[ ! -e '$PWD/broken' ] || exit 1; printf 'a\\0b\\0'"
	touch broken
	config source.list="$PWD/list" daemon.interval=0.1
	leech 0 start
	wait_until 10 logged 'list'
	untouched
	rm broken
	wait_until 10 exists to/b
}

# == Names are bytes ==
# Names come from strangers. Which of them would meet your own files, a marker, a log link, or be longer than NAME_MAX
# with your ending behind them?

@test "an item named .leecher cannot touch leecher's own state" {
	mkdir from/.leecher
	sample from/.leecher/ledger.db 1000
	echo evil >from/.leecher/leecher.pid
	echo hello >from/x
	config source.ignore='*.part'
	leecher -c leecher.conf once >.out 2>.err 3>&- </dev/null || true
	same from/x to/x
	expect "its state" 'done' "$(list_state x)"
	if cmp -s from/.leecher/ledger.db to/.leecher/ledger.db; then fail "the ledger was replaced"; fi
	[[ ! -d to/.leecher/.leecher ]]
}

@test "a marker never takes the place of an item or of a file of mine" {
	echo item >from/'x is done'
	echo hello >from/x
	echo mine >to/'y is done'
	echo hello >from/y
	config report.markers=yes
	once 0
	grep -qx item to/'x is done' || grep -qx item to/'x is done.1' || fail "the item 'x is done' was lost: $(ls to)"
	expect "my own file" mine "$(cat to/'y is done')"
	same from/y to/y
}

# Hint: Before you unlink(2) or replace NAME.log: is it a link at all, and does it lead to your log? readlink(2).
@test "a log link never takes the place of a file of mine, and a success does not remove it" {
	choosy_rsync
	echo mine >to/bad.log
	echo bad >from/bad
	once 1
	expect "my own file" mine "$(cat to/bad.log)"
	rm broken
	once 0
	expect "my own file" mine "$(cat to/bad.log)"
	same from/bad to/bad
}

@test "a name of 255 bytes is served though its marker, log link and NAME.1 have no room" {
	choosy_rsync
	fake_sendmail
	local n255 bad255
	n255=$(printf 'n%.0s' {1..255})
	bad255=bad$(printf 'n%.0s' {4..255})
	echo hello >"from/$n255"
	echo hello >"from/$bad255"
	echo z >from/z
	config report.markers=yes report.mail=a@example.org report.sendmail="$PWD/sendmail"
	once 1
	same "from/$n255" "to/$n255"
	same from/z to/z
	gone "to/$bad255"
	rm broken
	once 0
	same "from/$bad255" "to/$bad255"
}

@test "a different file of the same 255 bytes of name is not overwritten" {
	local n255
	n255=$(printf 'n%.0s' {1..255})
	echo theirs >"from/$n255"
	echo mine >"to/$n255"
	echo z >from/z
	leecher -c leecher.conf once >.out 2>.err 3>&- </dev/null || true
	expect "mine" mine "$(cat "to/$n255")"
	same from/z to/z
}

# == Failure ==
# Between the list and the end of the transfer everything may change. Ask again afterwards: what is different now was
# not finished.

@test "an item that vanishes during its transfer: said, not published, the others served" {
	sample from/dir/a 2000000
	sample from/dir/b 2000000
	sample from/z 100
	config source.rsync=--bwlimit=2000
	once_behind
	wait_until 10 holding 300000
	mv from/dir gone
	code=0
	wait "$pass" || code=$?
	expect "exit code" 1 "$code"
	cat pass.out pass.err >.err
	touch .out
	said 'dir.*(vanished|No such file|23|24|gone)'
	expect "what is there" z "$(published | sed 's/dir.log//; s/^ *//')"
}

@test "an item that changes during its transfer is published only as it is in the end" {
	sample from/x 2000000
	config source.rsync=--bwlimit=2000
	once_behind
	wait_until 10 holding 300000
	echo more >>from/x
	wait "$pass" || true
	[[ ! -e to/x ]] || same from/x to/x
	config
	pulled() { quietly leecher -c leecher.conf once; [[ -e to/x ]]; }
	wait_until 10 pulled
	same from/x to/x
	expect "what is there" x "$(published)"
}

@test "a directory that gains a file during its transfer is published only as it is in the end" {
	sample from/dir/a 2000000
	config source.rsync=--bwlimit=2000
	once_behind
	wait_until 10 holding 300000
	sample from/dir/b 1000
	wait "$pass" || true
	[[ ! -e to/dir ]] || same from/dir to/dir
	config
	pulled() { quietly leecher -c leecher.conf once; [[ -e to/dir ]]; }
	wait_until 10 pulled
	same from/dir to/dir
}

# == Onto the disk, and into place ==
# A link in an item may lead anywhere, step by step: look at each before it gets its name. Only files, directories and links
# inside come along; no set-user-id bits, no devices.

# no_link_outside: nothing below to/ leads out of it.
no_link_outside() {
	local link target
	find to -path to/.leecher -prune -o -type l -print0 >links
	while IFS= read -r -d '' link; do
		target=$(readlink -m "$link")
		[[ $target == "$PWD/to/"* ]] || fail "$link leads to $target"
	done <links
}

@test "links that lead outside are refused and said, links inside are kept, the others served" {
	mkdir -p from/dir/sub from/good/sub
	echo hello >from/good/f
	ln -s ../f from/good/sub/inside
	ln -s /etc/passwd from/dir/absolute
	echo hello >from/z
	ln -s ../../../x from/climb
	mkdir from/up
	ln -s ../../up from/up/out
	leecher -c leecher.conf once >.out 2>.err 3>&- </dev/null || true
	no_link_outside
	said 'dir.*link|link.*dir'
	said 'climb'
	same from/z to/z
	same from/good to/good
}

@test "links that lead outside are refused over rsync:// too" {
	mkdir from/dir
	ln -s ../../secret from/dir/out
	echo hello >from/z
	config_rsyncd
	leecher -c leecher.conf once >.out 2>.err 3>&- </dev/null || true
	no_link_outside
	said 'dir'
	same from/z to/z
}

# Hint: To open a FIFO waits for somebody at its other end: ask lstat(2) what a thing is before you open it.
@test "a FIFO in an item neither hangs the pass nor harms the others" {
	mkdir from/dir
	mkfifo from/dir/pipe from/pipe
	echo hello >from/z
	leecher -c leecher.conf once >.out 2>.err 3>&- </dev/null || true
	same from/z to/z
}

@test "set-user-id bits are not brought along" {
	sample from/x 10
	chmod 6755 from/x
	once 0
	expect_like "mode" '^7?[0-7]{3}$' "$(stat -c %a to/x)"
}

# == Failure ==
# A ledger that cannot be read is never replaced by a new one, which would pull everything again: sqlite3's
# integrity_check and user_version. Say what to do.

# ledger_refused WHY WHAT_TO_DO: nothing is done and the ledger is left as it is, whatever is tried.
ledger_refused() {
	local sum
	echo new >from/new
	sum=$(sha256sum to/.leecher/ledger.db)
	for verb in once start run; do
		exits 1 timeout 20 leecher -c leecher.conf "$verb"
		expect_like "the words of $verb" "^leecher: .*ledger\.db.*($1).*($2)" "$err"
	done
	leech 3 status || leech 1 status
	expect "the ledger" "$sum" "$(sha256sum to/.leecher/ledger.db)"
	gone to/new
}

@test "a damaged ledger is refused with what to do, never overwritten" {
	echo hello >from/x
	once 0
	head -c 20000 /dev/urandom >to/.leecher/ledger.db
	ledger_refused 'damaged|not a database|malformed' 'move|remove|restore|delete|rename'
}

@test "a ledger that was cut off is refused, never overwritten" {
	for n in {1..200}; do echo "$n" >"from/some item with a name that is somewhat longer than others $n"; done
	config source.settle=3600
	once 0
	config
	size=$(stat -c %s to/.leecher/ledger.db)
	truncate -s $((size / 2 + 100)) to/.leecher/ledger.db
	ledger_refused 'damaged|malformed' 'move|remove|restore|delete|rename'
}

@test "a ledger from a newer version is refused with what to do, never overwritten" {
	echo hello >from/x
	once 0
	# user_version, see the database header in SQLite's file format
	printf '\0\0\003\347' | dd of=to/.leecher/ledger.db bs=1 seek=60 conv=notrunc status=none
	ledger_refused 'newer|version' 'upgrade|update|install|newer|move'
}

# Hint: sqlite3_errmsg tells of the last call alone. After BEGIN has failed, do not call COMMIT or ROLLBACK before you
# have its words.
@test "a ledger that another program has locked: said in SQLite's words, and nothing is done" {
	"$PYTHON" -c 'import sqlite3' 2>/dev/null || skip "needs python3 with sqlite3"
	echo hello >from/x
	once 0
	echo hello >from/y
	"$PYTHON" -c '
import sqlite3, time
db = sqlite3.connect("to/.leecher/ledger.db", isolation_level=None)
db.execute("BEGIN IMMEDIATE")
open("locked", "w").close()
time.sleep(600)' 3>&- 4>&- </dev/null &
	locker=$!
	wait_until 10 exists locked
	once 1
	said 'ledger.*database is locked'
	gone to/y
	kill -KILL "$locker"
	once 0
	same from/y to/y
}

# Hint: 'I could not look it up' is not 'it is not wanted'.
@test "whichever read of the ledger fails, once says 0 only if the item is here" {
	needs_strace
	[[ $SLOWER -eq 1 ]] || skip "too slow for this"
	local n
	export ASAN_OPTIONS=detect_leaks=0
	echo hello >from/x
	for n in {1..60}; do
		code=0
		quietly strace -o trace -P "$PWD/to/.leecher/ledger.db" -e trace=read,pread64 -e inject=read,pread64:error=EIO:when="$n" leecher -c leecher.conf once || code=$?
		grep -q INJECTED trace || break
		[[ $code -ne 0 || -e to/x ]] || fail "exit code when read $n of the ledger fails" "  expected: 1, as x is not here" \
			"  came:     0" "  log:      $(cat to/.leecher/leecher.log)"
		rm -rf to
		mkdir to
	done
	((n > 1)) || fail "no read of the ledger was seen"
}

@test "a ledger that is empty is named by list, and filled by once" {
	echo hello >from/x
	mkdir -m 700 to/.leecher
	: >to/.leecher/ledger.db
	leech 1 list
	expect_like "the words" "^leecher: .*/\.leecher/ledger\.db is empty" "$err"
	once 0
	same from/x to/x
	expect "its state" 'done' "$(list_state x)"
}
