#!/usr/bin/env bats
# Stage 6: reports: markers, log links, mail and hooks, none of which can fail or delay a download.
#
# $out, $err and $code come from `exits`; words with a dollar are meant literally; a test is a subshell.
# shellcheck disable=SC2154,SC2016,SC2030,SC2031,SC2317

load lib/common
load lib/leecher
setup() { leecher_stage; }
teardown() { clean_up; }

# == Telling people ==
# A marker or a link is a file under TO with a name made from the item's: it must never take the place of another.

# Hint: yes is the default of the key markers. The marker comes after the item: who sees it may take the item.
@test "the marker 'NAME is done' holds Done and a newline, and is the default" {
	echo hello >from/x
	config report.markers
	once 0
	expect "what is there" 'x x\ is\ done' "$(published)"
	printf 'Done\n' | cmp - 'to/x is done'
}

# Hint: The key is for both, the file NAME is done and the link NAME.log, and for nothing else: hooks and mail do
# not ask it.
@test "markers = no leaves TO to the items alone" {
	echo hello >from/x
	config report.markers=no
	once 0
	expect "what is there" x "$(published)"
}

# Hint: The link is relative, so that it leads to the log when TO is moved with all that is in it: symlink(2). In
# the log stand the words of rsync.
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

# == Telling people ==
# sendmail -t -oi reads headers and body from its standard input. A name is bytes: a newline in it must not become a
# header, and what is not ASCII is encoded as RFC 2047 says. One mail for an item's failure, not for each try.

# Hint: The names of these headers are not your own to choose: RFC 5322 has Date and Message-ID, RFC 2045 MIME-Version,
# RFC 3834 Auto-Submitted, so that no absence notice answers.
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

# Hint: The item fails again while the first mail is still on its way. So it counts as told from the moment when the
# mail begins, not from when it is sent.
@test "a failure is mailed once although the mailer is slower than the retries" {
	choosy_rsync
	fake_sendmail
	mv sendmail quick
	program sendmail <<<"until [ -e '$PWD/go' ]; do sleep 0.02; done; exec '$PWD/quick' \"\$@\""
	sample from/bad 100
	config report.mail=me@example.org report.sendmail="$PWD/sendmail" daemon.interval=0.05
	leech 0 start
	tried() { (($(tries) >= 3)); }
	wait_until 10 tried
	touch go
	mailed() { (($(mails) >= 1)); }
	wait_until 10 mailed
	leech 0 stop
	expect "mails" 1 "$(mails)"
}

# Hint: sendmail has a default, mail has none: without an address nobody is told.
@test "without the key mail nothing is mailed" {
	fake_sendmail
	echo hello >from/x
	config report.sendmail="$PWD/sendmail"
	once 0
	same from/x to/x
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
	command -v "$PYTHON" >/dev/null || skip "needs python3"
	fake_sendmail
	long=$(printf 'ü%.0s' {1..120})
	echo hello >from/"Grüße [2024] ☃"
	echo hello >from/"$long"
	config report.mail=me@example.org report.sendmail="$PWD/sendmail"
	once 0
	decoded=$("$PYTHON" -c '
import email, email.header, sys
def subject(raw):
    head = raw.split(b"\n\n")[0]
    if not head.isascii():
        return "a header that is not ASCII: %r" % head
    if max(map(len, head.split(b"\n"))) > 998:
        return "a header line of more than 998 bytes"
    text = email.message_from_bytes(raw)["Subject"]
    if text is None:
        return "a mail without a subject"
    if any(len(w) > 75 for w in text.split() if w.startswith("=?")):
        return "an encoded word of more than 75 characters: " + text
    try:
        return str(email.header.make_header(email.header.decode_header(text)))
    except Exception:
        return "a subject that cannot be decoded: " + text
for path in sys.argv[1:]:
    try:
        raw = open(path, "rb").read()
    except OSError as why:
        print("no mail: %s" % why.strerror)
    else:
        print(subject(raw.replace(b"\r\n", b"\n")))
' mails/1/text mails/2/text | sort)
	expect "Subjects" "$(printf '%s\n' "Leecher: done -- Grüße [2024] ☃" "Leecher: done -- $long" | sort)" "$decoded"
}

# == Telling people ==
# A hook is a program, not a shell's line. It gets the facts in its environment, execve(2), and begins as clean
# as any child of a daemon should: signals, descriptors 0, 1 and 2.

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
	exists facts || fail "the hook" "  expected: it runs, and can read \$LEECHER_PATH" \
		"  came:     it did not come to its end" "  log:      $(tail -n 5 to/.leecher/leecher.log 2>&1)"
	expect "what the hook read at LEECHER_PATH" hello "$(cat content)"
	mapfile -d '' facts <facts
	expect "LEECHER_NAME" NAME=$'new\nl\xffne' "${facts[0]}"
	expect "LEECHER_PATH" "PATH=$PWD/to/"$'new\nl\xffne' "${facts[1]}"
	expect "LEECHER_BYTES" BYTES=5 "${facts[2]}"
	expect_like "LEECHER_SECONDS" '^SECONDS=[0-9]+(\.[0-9]+)?$' "${facts[3]}"
	expect "LEECHER_ERROR" ERROR= "${facts[4]}"
}

# Hint: The hook runs after the item has got its name, which may be NAME.1. The bytes are those of all files in it.
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

# Hint: LEECHER_PATH is set, and empty: what has failed is nowhere here. LEECHER_ERROR is what the log says of it.
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

# Hint: Every descriptor from the first is O_CLOEXEC: open(2), pipe2(2). What is ignored or blocked lives through an
# exec, be it by you or by your language: signal(7). In the hex numbers, bit N-1 is signal N.
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
	expect "descriptors of the hook" '0 1 2' "$(awk '/->/ && $9 < 10 { print $9 }' fds | paste -sd' ')"
	expect "SigBlk and SigIgn of the hook" '0000000000000000 0000000000000000' \
		"$(awk '{ print $2 }' signals | paste -sd' ')"
}

@test "the words of a hook's setting reach it as they are, and no shell sees them" {
	program hook <<-END
		printf '<%s>' "\$@" >$PWD/words.new
		mv $PWD/words.new $PWD/words
	END
	echo hello >from/x
	config report.on_done="$PWD/hook 'a  b' '\$(touch $PWD/shot)' ';x' '*' \$HOME"
	once 0
	expect "its words" "<a  b><\$(touch $PWD/shot)><;x><*><\$HOME>" "$(cat words)"
	gone shot
}

# Hint: Do not wait for a hook: start it and go on. Its end is told by SIGCHLD: waitpid(2), WNOHANG.
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
	[[ -e seen ]] || fail "item b" "  expected: it comes while the hook for a runs" "  came:     that hook has not seen it"
}

# == Telling people ==
# Hooks and mailers run beside the loop, in a group of their own, with a limit in time. Their failure is a line in the
# log: the download is done all the same.

@test "a hook that is missing or cannot be executed: said, the download is done" {
	echo hello >from/x
	echo hello >from/y
	touch plain
	config report.on_done="$PWD/nothing"
	program list <<<"printf 'x\\0'"
	config report.on_done="$PWD/nothing" source.list="$PWD/list"
	once 0
	said 'on_done.*nothing.*(No such file|not found)|nothing.*(No such file|not found)'
	config report.on_done="$PWD/plain"
	once 0
	said 'plain.*(Permission denied|executed)'
	same from/x to/x
	same from/y to/y
}

@test "a hook that fails: its status and words are logged, the download is done" {
	echo hello >from/x
	program hook <<<'echo no cake today >&2; exit 7'
	config report.on_done="$PWD/hook"
	once 0
	logged 'hook.*7|on_done.*7'
	logged 'no cake today'
	same from/x to/x
	expect "its state" 'done' "$(list_state x)"
}

@test "a hook that hangs is killed with all its children at the time limit, and said" {
	echo hello >from/x
	program hook <<-'END'
		sleep 15 &
		sleep 15
	END
	config report.on_done="$PWD/hook" report.timeout=0.3
	once 0
	logged '(hook|on_done).*(time|limit)'
	nobody_left
	same from/x to/x
}

@test "a hook that hangs does not hold up the daemon or its stop" {
	echo hello >from/x
	program hook <<-'END'
		sleep 15
	END
	config report.on_done="$PWD/hook" daemon.interval=0.1
	leech 0 start
	wait_until 10 exists to/x
	echo hello >from/y
	wait_until 10 exists to/y
	leech 0 stop
	nobody_left
}

@test "a mailer that is missing: said, the download is done" {
	echo hello >from/x
	config report.mail=me@example.org report.sendmail="$PWD/nothing"
	once 0
	said 'nothing.*(No such file|not found)'
	same from/x to/x
}

# Hint: To write into a pipe that nobody reads any more is SIGPIPE, or EPIPE: pipe(7). Who is given a file to read may
# leave when it likes.
@test "a mailer that fails, or leaves before it has read all: said, the download is done" {
	echo hello >from/x
	program sendmail <<<'echo queue is full >&2; exit 75'
	config report.mail=me@example.org report.sendmail="$PWD/sendmail"
	once 0
	logged 'sendmail.*75|mail.*75'
	same from/x to/x
}

@test "a mailer that hangs is killed at the time limit: said, the download is done" {
	echo hello >from/x
	program sendmail <<<'sleep 15'
	config report.mail=me@example.org report.sendmail="$PWD/sendmail" report.timeout=0.3
	once 0
	logged 'mail.*(time|limit)'
	nobody_left
	same from/x to/x
}

@test "a hook that fails for a failed item changes nothing for the others" {
	choosy_rsync
	echo bad >from/bad
	echo hello >from/z
	program hook <<<'exit 1'
	config report.on_failed="$PWD/hook" report.mail=me@example.org report.sendmail="$PWD/nothing"
	once 1
	same from/z to/z
}

# == Telling people ==
# A ledger knows of each end of an item whether people were told. It failed, and that was told; it came, and that was
# not: these are two ends. And what cannot be written down must not be said in every pass.

# Hint: The mark "told" belongs to the failure. Take it back in the same write that says done: a kill may come between
# any two writes.
@test "an item that has failed before is told as done, though leecher is killed at its rename" {
	needs_strace
	[[ $SLOWER -eq 1 ]] || skip "too slow for this"
	local call deaths=0
	choosy_rsync
	program hook <<<"printf '%s\\n' \"\$LEECHER_NAME\" >>'$PWD/told'"
	config report.markers=yes report.on_done="$PWD/hook"
	for call in rename renameat renameat2 link linkat; do
		rm -rf to told
		mkdir to
		touch broken
		sample from/bad 100
		once 1
		rm broken
		code=0
		ASAN_OPTIONS=detect_leaks=0 quietly strace -o /dev/null -e trace="$call" -e inject="$call:signal=KILL:when=1" leecher -c leecher.conf once || code=$?
		[[ $code -ne 0 ]] || continue
		((deaths += 1))
		wait_until 5 nobody_left
		once 0
		expect "what is there after a kill at $call" 'bad bad\ is\ done' "$(published)"
		expect "what on_done was told" bad "$(cat told 2>/dev/null)"
	done
	((deaths > 0)) || fail "it was never killed"
}

# Hint: What was not told to its end is told again at the next start.
@test "an item that has failed before is told as done, though leecher is killed while on_done runs" {
	choosy_rsync
	program hook <<-END
		echo told >>'$PWD/told'
		until [ -e '$PWD/go' ]; do sleep 0.02; done
	END
	config report.on_done="$PWD/hook" report.timeout=20
	sample from/bad 100
	once 1
	rm broken
	once_behind
	wait_until 10 exists told
	kill_all
	touch go
	once 0
	expect "calls of on_done" 2 "$(wc -l <told)"
	once 0
	expect "calls of on_done after it came to its end" 2 "$(wc -l <told)"
}

# Hint: The item is in your hand, with what you knew of it when you took it up. Meanwhile the mail's end was written
# to the ledger: do not write over it.
@test "a failure is mailed once although the mailer ends in the middle of the next try" {
	fake_sendmail
	mv sendmail quick
	program sendmail <<<"until [ -e '$PWD/go' ]; do sleep 0.02; done; exec '$PWD/quick' \"\$@\""
	program bin/rsync <<-END
		case " \$* " in *" --list-only "* | *" --version "*) exec $(command -v rsync) "\$@" ;; esac
		echo try >>'$PWD/tries'
		[ \$(wc -l <'$PWD/tries') -ne 2 ] || until [ -e '$PWD/fail' ]; do sleep 0.02; done
		echo 'rsync: [sender] read errors mapping "x": Input/output error (5)' >&2
		exit 23
	END
	PATH=$PWD/bin:$PATH
	sample from/x 100
	config report.mail=me@example.org report.sendmail="$PWD/sendmail" report.timeout=20 daemon.interval=0.05
	leech 0 start
	tried() { (($(tries) >= $1)); }
	wait_until 10 tried 2
	touch go
	wait_until 10 logged 'mail for x: ok'
	touch fail
	wait_until 10 tried 4 # by then a second mail would have been sent
	leech 0 stop
	expect "mails" 1 "$(mails)"
}

# Hint: Two mails of one item may be under way, of two ends: when all of one end have gone, that end was told.
@test "an item is told as done once, although the mail of its failure takes longer" {
	choosy_rsync
	fake_sendmail
	mv sendmail quick
	program sendmail <<-END
		cat >'$PWD/mail.'\$\$
		! grep -q 'Leecher: error' '$PWD/mail.'\$\$ || until [ -e '$PWD/go' ]; do sleep 0.02; done
		exec '$PWD/quick' "\$@" <'$PWD/mail.'\$\$
	END
	sample from/bad 100
	config report.mail=me@example.org report.sendmail="$PWD/sendmail" report.timeout=20 daemon.interval=0.05
	leech 0 start
	tried() { (($(tries) >= 1)); }
	wait_until 10 tried
	rm broken
	sent() { (($(grep -c 'mail for bad: ok' to/.leecher/leecher.log) >= $1)); }
	wait_until 10 sent 1
	expect "Subject of the first mail" 'Leecher: done -- bad' "$(header Subject 1)"
	touch go
	wait_until 10 sent 2
	leech 0 stop
	once 0
	expect "mails" 2 "$(mails)"
}

# Hint: Neither the number of its tries nor that it was told can be written down, so each pass takes it for the first
# failure. Remember in memory that you could not write.
@test "while a full disk keeps the ledger from being written, a failure is mailed once, not in each pass" {
	fake_sendmail
	program bin/rsync <<-END
		case " \$* " in
		*" --list-only "*) echo pass >>'$PWD/passes' ;;
		*" --version "*) ;;
		*)
			touch '$PWD/begun'
			until [ -e '$PWD/full' ]; do sleep 0.02; done
			;;
		esac
		exec $(command -v rsync) "\$@"
	END
	PATH=$PWD/bin:$PATH
	sample from/x 100
	config report.mail=me@example.org report.sendmail="$PWD/sendmail" daemon.interval=0.05
	# shellcheck disable=SC2016
	in_a_namespace '
		patience=$((600 * '"$SLOWER"'))
		until_true() { n=0; until eval "$1"; do n=$((n + 1)); [ $n -lt $patience ] || exit 1; sleep 0.05; done; }
		mount -t tmpfs -o size=10m none to || exit
		leecher -c leecher.conf start >.out 2>.err || exit
		until_true "[ -e begun ]"
		head -c 20000000 /dev/zero >to/.ballast 2>/dev/null
		touch full
		until_true "[ \$(find mails -name argv | wc -l) -ge 1 ]"
		wc -l <passes >before
		until_true "[ \$(wc -l <passes) -ge $(($(cat before) + 20)) ]"
		find mails -name argv | wc -l >mails.full
		rm to/.ballast
		until_true "cmp -s from/x to/x"
		leecher -c leecher.conf stop >>.out
		touch good'
	expect "mails in twenty passes" 1 "$(cat mails.full)"
	exists good || fail "x with room again" "  expected: it comes" "  came:     $(ls to 2>&1)"
}
