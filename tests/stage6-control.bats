#!/usr/bin/env bats
# Stage 6: leecherctl, and `leecher check`.
#
# $out, $err and $code come from `exits`; words with a dollar are meant literally; a test is a subshell.
# shellcheck disable=SC2154,SC2016,SC2030,SC2031,SC2317

load lib/common
load lib/leecher
setup_file() { start_sshd; }
teardown_file() { stop_servers; }
setup() { leecher_stage; }
teardown() { clean_up; }

# pulling_slowly [CONFIG...]: the daemon is in the middle of pulling from/big; from/small waits behind it.
pulling_slowly() {
	sample from/big 6000000
	sample from/small 100
	local how=config
	[[ $# -eq 0 ]] || how=$1
	"$how" source.rsync=--bwlimit=$((1000 / SLOWER)) "${@:2}"
	leech 0 start
	pid=${out##* }
	wait_until 20 holding 500000
}

# first_pass_over: starts the daemon, and its first pass is over; that one has brought from/first. State 'idle' alone
# would not say it: between the end of start and its first pass the daemon is idle, too, and answers already.
first_pass_over() {
	echo first >from/first
	leech 0 start
	wait_until 10 exists to/first
	wait_until 10 field_like state idle
}

# == Leecherctl ==
# The daemon answers between all else, also while rsync runs: one loop. Percent and rate come from what
# rsync tells while it works: rsync(1), --info=progress2.

@test "leecherctl status tells state, item in hand, percent, rate, time left and the counts" {
	pulling_slowly
	expect "state" pulling "$(field state)"
	expect "item" big "$(field item)"
	wait_until 5 field_like percent '^[1-9][0-9]?(\.[0-9]+)? ?%?$'
	wait_until 5 field_like rate '[0-9]'
	wait_until 5 field_like left '[0-9]'
	for key in 'done' failed parked; do expect "$key" 0 "$(field "$key")"; done
}

# Hint: The counts are those of the whole ledger, not of this pass. Idle means that no pass runs.
@test "leecherctl status is idle between the passes, and counts what is done" {
	echo hello >from/x
	leech 0 start
	wait_until 10 exists to/x
	wait_until 10 field_like state idle
	expect "done" 1 "$(field 'done')"
}

# Hint: One item, one line: state, size, two blanks, name. So a newline in a name must come out as \x0a.
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

# Hint: list asks the source as a pass does, looks up each name in the ledger, and writes nothing.
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

# Hint: list only reads, so it needs no lock; if the ledger is being written just now, it waits:
# sqlite3_busy_timeout. rsync writes sizes for people, unless it is told otherwise: rsync(1), --human-readable.
@test "leecher list shows sizes rightly, also while the daemon pulls" {
	pulling_slowly
	leech 0 list
	expect_like "big" $'(^|\n)pulling +6.0 MB  big($|\n)' "$out"
	expect_like "small" $'(^|\n)new +100 B  small($|\n)' "$out"
}

# Hint: The next pass by the clock is minutes away. A now that comes while a pass runs must not be lost: it asks for
# one more.
@test "leecherctl now makes a pass at once" {
	first_pass_over
	echo hello >from/x
	ctl 0 now
	wait_until 10 exists to/x
}

# == Leecherctl ==
# Pause and cancel end rsync's whole group, TERM first. Pause keeps what is here, so that it goes on from there; cancel
# removes it.

@test "pause lets go of the running transfer, keeps what is here, and resume goes on from there" {
	pulling_slowly
	ctl 0 pause
	wait_until 10 no_rsync
	wait_until 5 field_like state paused
	had=$(staged)
	((had >= 500000))
	config source.rsync="--log-file=$PWD/rsync.log"
	ctl 0 reload
	expect "it stays paused" paused "$(field state)"
	ctl 0 resume
	wait_until 20 exists to/big
	wait_until 20 exists to/small
	same from/big to/big
	went=$(bytes_on_the_wire)
	((went < 6000000 - had / 2)) || fail "begun again: $had bytes were here, $went were sent"
	expect "failed" 0 "$(field failed)"
}

# Hint: While it is paused the interval may end and a reload may come: neither begins a pass. resume makes one at
# once.
@test "while it is paused nothing is pulled, and resume makes up for it" {
	first_pass_over
	ctl 0 pause
	echo hello >from/x
	config daemon.interval=0.05
	ctl 0 reload
	for n in 1 2 3 4 5 6; do
		ctl 0 status
		expect_like "status after the reload, look $n of 6" 'state: *paused' "$out"
	done
	gone to/x
	ctl 0 resume
	wait_until 10 exists to/x
}

# Hint: Only this item is let go of, and the pass goes on to the next. It is parked, which the ledger must know
# before somebody asks for another pass.
@test "cancel stops the transfer of an item, and the next one is served" {
	pulling_slowly
	ctl 0 cancel big
	wait_until 10 exists to/small
	wait_until 10 no_rsync
	ctl 0 now
	wait_until 10 field_like state idle
	gone to/big
	expect "state of big" parked "$(item_state big)"
	config
	ctl 0 reload
	ctl 0 retry big
	ctl 0 now
	wait_until 20 exists to/big
	same from/big to/big
}

# == Leecherctl ==
# They act on the ledger, by the exact name; a name that it does not have is an error. How often an item failed goes
# back to nothing with retry.

@test "cancel, retry and forget refuse a name that is not known" {
	leech 0 start
	for command in cancel retry forget; do
		ctl 1 "$command" nothing
		expect_like "the words of $command" '^leecherctl: .*nothing' "$err"
	done
}

@test "retry tries a failed item again before its time, retry all all of them" {
	choosy_rsync
	for name in bad1 bad2 bad3; do echo "$name" >"from/$name"; done
	leech 0 start
	wait_until 10 item_is bad3 failed
	wait_until 10 field_like state idle
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

# Hint: A name goes to the daemon byte for byte, though a command is one line and its words are parted by blanks:
# how does yours write a blank, a newline, a byte that is not UTF-8?
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

# == Leecherctl ==
# Read the new configuration whole before anything of the old one is changed: if it is bad, the old one goes on.

@test "reload takes up the new configuration" {
	echo hello >from/x.part
	first_pass_over
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

# Hint: The lock lies in the state. Whoever starts with another one does not see that this one runs.
@test "reload refuses another to or state, says to stop first, and the old one goes on" {
	mkdir elsewhere
	cp leecher.conf good.conf
	leech 0 start
	for changed in destination.to daemon.state; do
		config "$changed=$PWD/elsewhere"
		exits 1 leecherctl -c good.conf reload
		expect_like "the words for $changed" 'stop before' "$err"
	done
	echo hello >from/x
	exits 0 leecherctl -c good.conf now
	wait_until 10 exists to/x
	exits 0 leecher -c good.conf stop
}

# held_by_a_hook INTERVAL: the first pass is over, but its hook runs until there is a file ./go.
held_by_a_hook() {
	program hook <<-END
		touch $PWD/hooked
		until [ -e $PWD/go ]; do sleep 0.05; done
	END
	config daemon.interval="$1" report.on_done="$PWD/hook" report.timeout=600
	first_pass_over
	wait_until 10 exists hooked
}
# next_pass_within FROM TO: so many seconds away.
next_pass_within() {
	local left
	left=$(field 'next pass in')
	left=${left% s}
	[[ -n $left ]] && ((left >= $1 && left <= $2))
}

# Hint: The new one cannot be used while a hook of the old one runs; and when that ends, who remembers?
@test "reload while a hook runs is in use when the hook has ended, not a pass later" {
	held_by_a_hook 9000
	config daemon.interval=1000
	ctl 0 reload
	touch go
	wait_until 10 next_pass_within 500 1000
}

# Hint: Two clocks that are set one after the other: first go on by a beat, then begin anew, and not the other way round.
@test "after a reload the next pass is one new interval away, not two" {
	held_by_a_hook 2
	config daemon.interval=1000
	ctl 0 reload
	wait_until 10 field_like state idle
	touch go
	wait_until 10 next_pass_within 500 1000
}

# == Leecherctl ==
# A command is one line in the FIFO leecher.ctl, and its answer comes in a FIFO that the asker has made: fifo(7). To
# open a FIFO may mean to wait for the other side: open(2), O_NONBLOCK.

# Hint: A file that is renamed stays open, and gets what is written. To open the log again by its name, the name
# must be absolute: the directory is / by now.
@test "reopen opens the log again after mv" {
	leech 0 start
	mv to/.leecher/leecher.log old.log
	ctl 0 reopen
	wait_until 5 exists to/.leecher/leecher.log
}

# Hint: The level holds from the command on, for every line that is less grave than it. A word that is no level is
# refused, and changes nothing.
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

# Hint: One table from which commands are looked up and help is printed cannot forget one.
@test "help names every command" {
	leech 0 start
	ctl 0 help
	for command in status items now pause resume cancel retry forget reload reopen level stop help; do
		expect_like "help names $command" "$command" "$out"
	done
}

# Hint: Whoever refuses it, leecherctl or the daemon, says which word it was, on stderr, behind the name of
# leecherctl.
@test "an unknown command is refused" {
	leech 0 start
	exits 1 leecherctl -c leecher.conf frobnicate 2>/dev/null || expect "exit code" 2 "$code"
	expect_like "the words" '^leecherctl: .*frobnicate' "$err"
}

# Hint: To open a FIFO for writing waits for a reader; with O_NONBLOCK it fails instead, with ENXIO: open(2). For
# the answer poll(2) has a time limit. Then remove your own FIFO.
@test "leecherctl without a daemon is 3 at once, and without an answer 4 at -t" {
	ctl 3 status
	expect_like "the words" '^leecherctl: ' "$err"
	leech 0 start
	pid=${out##* }
	wait_until 10 field_like state idle
	freeze "$pid"
	ctl 4 -t 0.3 status
	kill -CONT "$pid"
	expect "FIFOs left" leecher.ctl "$(cd to/.leecher && find . -type p -printf '%P\n')"
}

# Hint: Who was stopped or had to wait may find that the time has come already: what is left is then 0.
@test "a pass that is due already is 0 s away, and never less" {
	config daemon.interval=1
	leech 0 start
	pid=${out##* }
	wait_until 10 field_like state idle
	freeze "$pid"
	leecherctl -c leecher.conf -t 10 status >late 3>&- 4>&- &
	asking=$!
	sleep 1.7 # longer than the interval
	kill -CONT "$pid"
	wait "$asking"
	expect_like "what status says after a second and more without the daemon" 'next pass in: [01] s' "$(<late)"
}

# Hint: A line may name no FIFO for an answer, as from echo. It is obeyed all the same.
@test "a plain line to the FIFO works too" {
	leech 0 start
	wait_until 10 field_like state idle
	echo pause >to/.leecher/leecher.ctl
	wait_until 5 field_like state paused
}

# == Rsync is a process group ==
# stop is over when every process of the transfer is: TERM, a grace, KILL for the group, and a second TERM ends the
# grace at once. What is here is kept.

# Hint: What comes after the answer is what TERM does: the same function, and at its end the pid file goes.
@test "leecherctl stop ends the daemon" {
	leech 0 start
	pid=${out##* }
	ctl 0 stop
	wait_until 10 dead "$pid"
	gone to/.leecher/leecher.pid
}

@test "stop in the middle of a pull leaves no rsync and no ssh, and keeps what is here" {
	pulling_slowly config_ssh
	rm from/small
	leech 0 stop
	nobody_left || fail "these live: $(marked_pids | xargs ps -fp)"
	had=$(staged)
	((had >= 500000)) || fail "only $had bytes were kept"
	expect "what is there" '' "$(published)"
	config_shared
	once 0
	same from/big to/big
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
	has_logged_or_ended() { (($(wc -l <to/.leecher/leecher.log) > before)) || dead "$pid"; }
	wait_until 10 has_logged_or_ended
	kill -TERM "$pid" 2>/dev/null
	wait_until 3 dead "$pid"
	wait_until 3 nobody_left
}

# == Running it for good ==
# check tries all that a pass would need and changes nothing: configuration, programs, a login that never asks
# (ssh(1), BatchMode).

# Hint: Who opens ledger or log in order to write makes them, or touches them: sqlite3_open_v2, SQLITE_OPEN_CREATE.
# And check needs no lock.
@test "check says that all is well and changes nothing, daemon or not" {
	config_shared
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

# Hint: check and start must ask the same questions: is TO there, a directory, outside of from? Is the state beside
# it and a directory, or can it be made?
@test "check reports a destination that start would refuse, and changes nothing" {
	local before
	mkdir from/inside
	for bad in "destination.to=$PWD/from/inside" "destination.to=$PWD/nowhere" "daemon.state=$PWD/to" \
		"daemon.state=$PWD/leecher.conf/state"; do
		config "$bad"
		before=$(find . ! -name .out ! -name .err | sort)
		leech 1 check || fail "  with:     $bad"
		expect_like "the words for $bad" $'(^|\n)FAILED +destination [^\n]*: .' "$out"
		expect "files after check with $bad" "$before" "$(find . ! -name .out ! -name .err | sort)"
		exits 1 leecher -c leecher.conf start || fail "  with:     $bad"
	done
}

# Hint: What execvp(3) would do, without doing it: a slash in the name, or a walk along PATH; then access(2), X_OK.
@test "check reports a program that is missing or cannot be executed" {
	touch plain
	for key in source.list report.on_done report.on_failed; do
		config "$key=$PWD/nothing"
		leech 1 check || fail "  with:     $key, which is missing"
		said 'nothing.*No such file' || fail "  with:     $key"
		config "$key=$PWD/plain"
		leech 1 check || fail "  with:     $key, which is not executable"
		said 'plain.*(Permission denied|not executable|cannot be executed)' || fail "  with:     $key"
	done
	config report.mail=me@example.org report.sendmail="$PWD/nothing"
	leech 1 check
	said 'nothing.*No such file'
}
