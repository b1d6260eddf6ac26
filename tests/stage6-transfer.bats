#!/usr/bin/env bats
# Stage 6: transfers: what survives a crash, the end of `once`, progress, and the retries of a bad item.
#
# $out, $err and $code come from `exits`; words with a dollar are meant literally; a test is a subshell.
# shellcheck disable=SC2154,SC2016,SC2030,SC2031,SC2317

load lib/common
load lib/leecher
setup_file() { start_rsyncd && start_sshd; }
teardown_file() { stop_servers; }
setup() { leecher_stage; }
teardown() { clean_up; }

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
	sent=$(bytes_on_the_wire)
	((sent > 0 && sent < 6000000 - had / 2)) || fail "begun again: $had of 6000000 bytes were here, and $sent were sent"
}

# == Onto the disk, and into place ==
# What has come stays in incoming/ and is gone on with: rsync(1), --inplace, --partial. Then it must be made equal to what the
# source has now: what has gone there goes here, modes included.

# Hint: Between two local directories rsync copies whole files, whatever is there: rsync(1), --whole-file.
@test "after a crash half way, a pull from a local path is resumed, not begun again" { crash_and_resume config; }
# Hint: What rsync fills under a temporary name it removes or forgets at its end: rsync(1), --inplace.
@test "after a crash half way, a pull over rsync:// is resumed, not begun again" { crash_and_resume config_rsyncd; }
# Hint: What rsync fills under a temporary name it removes or forgets at its end: rsync(1), --inplace.
@test "after a crash half way, a pull over ssh is resumed, not begun again" { crash_and_resume config_ssh; }

# cut_off: kills everything in the middle of the pull.
cut_off() {
	config source.rsync=--bwlimit=2000
	once_behind
	wait_until 20 holding 700000
	kill_all
	config
}

# Hint: A file that is there already keeps its mode, unless rsync is told to bring the modes along: rsync(1),
# --perms.
@test "an item that was pulled in two goes has the modes of one that was pulled in one" {
	sample from/dir/big 1500000
	sample from/dir/other 10
	chmod 755 from/dir/big from/dir/other
	cut_off
	once 0
	expect "modes" '755 755' "$(stat -c %a to/dir/big to/dir/other | paste -sd' ')"
}

@test "what has gone from the source since is not in the item when its pull is resumed" {
	sample from/dir/a 1000
	sample from/dir/big 1500000
	cut_off
	mv from/dir/a from/dir/renamed
	once 0
	same from/dir to/dir
}

# Hint: rsync puts a file in the place of a directory that is not empty only if it may: rsync(1), --force, --delete.
@test "a half pulled directory that is a file by now is replaced, and the other way round" {
	sample from/x/y 1500000
	cut_off
	rm -r from/x
	sample from/x 1000
	once 0
	same from/x to/x
	rm -r to from/x
	mkdir to
	sample from/x 1500000
	cut_off
	rm from/x
	sample from/x/y 1000
	once 0
	same from/x to/x
}

# == Onto the disk, and into place ==
# Fill it elsewhere on the same file system, sync it, fsync(2), then rename(2): a name appears whole or not at all.

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

# == Rsync is a process group ==
# rsync over ssh is several processes; one of them alone is not rsync. PR_SET_PDEATHSIG in prctl(2), and a lock that they
# inherit tells whether one still writes: flock(2).

@test "when leecher alone is killed, rsync and ssh do not live on" {
	sample from/big 5000000
	config_ssh source.rsync=--bwlimit=500
	leech 0 start
	pid=${out##* }
	wait_until 20 holding 1
	kill -KILL "$pid"
	wait_until 10 nobody_left
}

@test "when leecher alone is killed, a child that would not notice by itself does not live on" {
	program bin/rsync <<-END
		case " \$* " in *" --list-only "*) exec $(command -v rsync) "\$@" ;; esac
		touch $PWD/begun
		exec sleep 15
	END
	PATH=$PWD/bin:$PATH
	echo hello >from/x
	leech 0 start
	pid=${out##* }
	wait_until 10 exists begun
	kill -KILL "$pid"
	wait_until 5 nobody_left
}

# Hint: A child that was killed has no exit status, not even 0: WIFSIGNALED in wait(2).
@test "an rsync that is killed in the middle has failed, and nothing is published" {
	local code=0 rsync
	sample from/big 3000000
	config source.rsync=--bwlimit=1500
	once_behind
	wait_until 20 holding 300000
	rsync=$(pgrep -P "$pass" -x rsync) || fail "leecher's children" "  expected: one called rsync" "  came:     none"
	kill -KILL "$rsync"
	wait "$pass" || code=$?
	expect "exit code" 1 "$code"
	expect "what is there" '' "$(published)"
	config
	once 0
	same from/big to/big
}

# Hint: What rsync says by 23 and 24 is that something is missing: rsync(1), EXIT VALUES.
@test "an item of which rsync could not read a part is not published" {
	local rsync
	rsync=$(command -v rsync)
	sample from/dir/a 100
	sample from/dir/unreadable 100
	# as rsync does it: all the others come, and it ends with 23
	program bin/rsync <<-END
		case " \$* " in *" --list-only "*) exec $rsync "\$@" ;; esac
		$rsync --exclude=unreadable "\$@" || exit
		echo 'rsync: [sender] read errors mapping "unreadable": Input/output error (5)' >&2
		exit 23
	END
	PATH=$PWD/bin:$PATH
	once 1
	gone to/dir
	said 'dir.*(Input/output error|23)'
}

@test "nothing is published while an rsync of an earlier life still writes to it" {
	local rsync
	rsync=$(command -v rsync)
	sample from/x 1000
	# the first one has the file open, and its child writes to it later, whatever becomes of the others
	program bin/rsync <<-END
		case " \$* " in *" --list-only "*) exec $rsync "\$@" ;; esac
		[ ! -e $PWD/second ] || exec $rsync "\$@"
		cd $PWD/to/.leecher/incoming/* && exec 8>>x
		sh -c 'touch $PWD/begun; sleep 1.5; echo late >&8; touch $PWD/late' &
		wait
	END
	PATH=$PWD/bin:$PATH
	leech 0 start
	wait_until 10 exists begun
	touch second
	kill -KILL "${out##* }"
	wait_until 10 dead "${out##* }"
	once 0
	wait_until 10 exists late
	same from/x to/x
}

# == Onto the disk, and into place ==
# After each step the power may fail. Which two things can be true then, and does the next pass know which? What is
# renamed but not in the ledger, and the other way round? fsync(2) also for the directory.

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

@test "killed just before or after each rename, nothing is lost and nothing doubled" {
	needs_strace
	[[ $SLOWER -eq 1 ]] || skip "too slow for this"
	local call n deaths=0
	config report.markers=yes
	for call in rename renameat renameat2 link linkat; do
		for n in {1..20}; do
			echo "$call $n" >from/x
			code=0
			ASAN_OPTIONS=detect_leaks=0 quietly strace -o /dev/null -e trace="$call" -e inject="$call:signal=KILL:when=$n" leecher -c leecher.conf once || code=$?
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

# traced_once: from/x is pulled under strace; the line of ./trace in which it gets its final name is $publish.
traced_once() {
	needs_strace
	sample from/x 10000
	ASAN_OPTIONS=detect_leaks=0 strace -f -y -o trace -e trace=fsync,fdatasync,syncfs,sync,rename,renameat,renameat2 leecher -c leecher.conf once 3>&- </dev/null
	publish=$(grep -nE 'rename.*/to(/|>, ")x"' trace | head -1 | cut -d: -f1)
	[[ -n $publish ]] || fail "no rename to to/x seen" "$(cat trace)"
}

# Hint: rename(2) orders nothing but names: fsync(2) each file under incoming/ before it. close(2) alone writes
# nothing to the disk.
@test "data is on disk before its item is published" {
	traced_once
	head -n "$publish" trace | grep -Eq 'syncfs\(|[^f]sync\(\)|(fsync|fdatasync)\([0-9]+<[^>]*incoming/[0-9]+/x>' ||
		fail "not synced before: $(sed -n "${publish}p" trace)" "$(cat trace)"
}

@test "the new name is on disk before the ledger says that the item is done" {
	traced_once
	next=$(tail -n +$((publish + 1)) trace | grep -m 1 -E 'sync(fs)?\(')
	expect_like "the first sync after the rename" 'syncfs\(|[^f]sync\(\)|fsync\([0-9]+<[^>]*/to>' "$next"
}

# Hint: SQLite puts by removing its journal, and a removed name is a change of the directory: PRAGMA synchronous.
@test "what the ledger says is on disk before the next step: that its journal has gone, too" {
	needs_strace
	sample from/x 10000
	ASAN_OPTIONS=detect_leaks=0 strace -y -o trace -e signal=none -e trace=unlink,unlinkat,fsync,fdatasync,syncfs,sync leecher -c leecher.conf once 3>&- </dev/null
	grep -q 'unlink.*ledger\.db-journal' trace || skip "no journal is removed here"
	expect "next to the end of each journal" '' "$(awk '
		gone && !/ sync\(\)|syncfs\(|sync\([0-9]+<[^>]*\/\.leecher>/ { print "no sync of its directory, but " $0 }
		{ gone = /unlink.*ledger\.db-journal/ }' trace)"
}

# Hint: Nothing of it was written down: neither that it failed, nor that it came. Until you know better, the ledger says
# that it is about to be published: ask again in the next pass, not only after a start.
@test "an item whose rename fails while the ledger cannot be written comes in a later pass" {
	needs_strace
	[[ $SLOWER -eq 1 ]] || skip "too slow for this"
	local calls=rename,renameat,renameat2 see writes
	see=(-P "$PWD/to/.leecher/ledger.db" -P "$PWD/to/.leecher/ledger.db-journal" -P "$PWD/to/x" -e signal=none)
	see+=(-P "$PWD/to/.leecher/incoming/1/x") # of rename, strace looks only at the first name
	export ASAN_OPTIONS=detect_leaks=0
	echo hello >from/x
	quietly strace -o dry "${see[@]}" -e trace=pwrite64,$calls leecher -c leecher.conf once
	writes=$(awk '/^rename/ { print n + 1; exit } /^pwrite64/ { n++ }' dry)
	[[ -n $writes ]] || fail "no rename to to/x seen" "$(cat dry)"
	rm -rf to
	mkdir to
	config daemon.interval=0.1
	strace -o trace "${see[@]}" -e trace=pwrite64,$calls -e inject=$calls:error=EIO:when=1 \
		-e inject=pwrite64:error=EIO:when="$writes" leecher -c leecher.conf run >.out 2>.err 3>&- 4>&- </dev/null &
	wait_until 10 quietly grep -q 'pwrite64.*INJECTED' trace
	expect_like "what failed" 'rename.*EIO.*pwrite64.*EIO' "$(grep INJECTED trace | paste -sd' ')"
	wait_until 10 exists to/x
	same from/x to/x
	wait_until 10 item_is x 'done'
	leech 0 stop
}

# == Exit codes ==
# First rsync's group ends, then you die of that very signal, with its default action: then a shell knows. signal(7).

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
		expect "the signal that it died of after kill -$signal (0: it exited)" "$(kill -l "$signal")" "$(cat death)"
		rm pid death
	done
	holding 500000
	expect "what is there" '' "$(published)"
	config
	once 0
	same from/big to/big
}

# Hint: nohup(1) sets SIGHUP to be ignored and execs you. What does a handler of yours make of that? sigaction(2) tells what
# was there before.
@test "once and list that are started with HUP and INT ignored go on when they come" {
	sample from/big 1500000
	config source.rsync=--bwlimit=1000
	env --ignore-signal=HUP,INT leecher -c leecher.conf once >pass.out 2>&1 3>&- 4>&- </dev/null &
	pass=$!
	wait_until 20 holding 300000
	kill -HUP "$pass"
	kill -INT "$pass"
	code=0
	wait "$pass" || code=$?
	expect "exit code of once: $(<pass.out)" 0 "$code"
	same from/big to/big
	program names <<-END
		touch $PWD/asked
		until [ -e $PWD/go ]; do sleep 0.05; done
		printf 'big\\0'
	END
	config source.list="$PWD/names"
	env --ignore-signal=HUP,INT leecher -c leecher.conf list >list.out 2>&1 3>&- 4>&- </dev/null &
	pass=$!
	wait_until 10 exists asked
	kill -HUP "$pass"
	kill -INT "$pass"
	touch go
	code=0
	wait "$pass" || code=$?
	expect "exit code of list: $(<list.out)" 0 "$code"
}

# == What you should see ==
# isatty(3) decides: a bar for a terminal, plain lines for a file. A name may hold anything: show control characters
# escaped.

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
	grep -q evil screen || fail "the screen does not name it: $(cat -v screen)"
	[[ $(cat screen) != *$'evil\e'* && $(cat screen) != *$'\e[2J'* ]] || fail "$(cat -v screen)"
}

# Hint: -q is for what goes well or fails on its way, on a terminal, too. Only what cannot begin is said.
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

# == Failure ==
# An item that fails waits for its next try, passes 2, 4, 8, 16 after the first, and the others go on; after ten it is
# parked. The ledger knows how often, so that a new start forgets nothing.

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

# Hint: The exit status is that of this pass: it says what failed now, not what has failed before.
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

# Hint: Who writes down all that a child says lets it fill the disk. Keep a little and throw away the rest, but read
# it: in a full pipe the child stands still, pipe(7).
@test "of what rsync says over and over, no more than a few megabytes are kept" {
	local rsync kept
	rsync=$(command -v rsync)
	echo hello >from/x
	program bin/rsync <<-END
		case " \$* " in *" --list-only "*) exec $rsync "\$@" ;; esac
		yes 'rsync: [sender] the same thing over and over again' | head -c 15000000 >&2
		exit 23
	END
	PATH=$PWD/bin:$PATH
	once 1
	said 'over and over'
	kept=$(find to -type f -printf '%s\n' | sort -n | tail -n 1)
	((kept < 5000000)) || fail "the largest file under to/" "  expected: less than 5 MB" "  came:     $kept bytes"
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
