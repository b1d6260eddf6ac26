#!/usr/bin/env bats
# shellcheck disable=SC2154 # exits sets out, err and code
# shellcheck disable=SC2030,SC2031 # every test is a process of its own
# shellcheck disable=SC2016 # what stands in single quotes is for the tests and programs that are made here
#
# tests/check: what it tells a person and a program, and that no program can hurt it.

load lib/common

setup() {
	stage 1
	unset NO_COLOR PROGRAMS FIRST_FAILURE VERBOSE FENCE_GROUP FENCE_LIMIT FENCE_IDLE
	export TERM=xterm JOBS=2 TESTS=$PWD/tests
	mkdir tests mine
	as=() # what check is run by
	program 'echo "forkoff: no" >&2; exit 3'
}
teardown() { clean_up; }

# program TEXT: mine/forkoff, for sh.
program() {
	printf '#!/bin/sh\n%s\n' "$1" >mine/forkoff
	chmod 755 mine mine/forkoff
}

# promise SECTION HINT NAME TEXT: one more test in tests/stage1-fork.bats.
promise() {
	[[ -e tests/stage1-fork.bats ]] || printf '%s\n' "load $ROOT/tests/lib/common" 'setup() { stage 1; }' \
		'teardown() { clean_up; }' >tests/stage1-fork.bats
	printf '\n# == %s ==\n# %s\n\n@test "%s" {\n%s\n}\n' "$@" >>tests/stage1-fork.bats
}

# some: three promises, of which a program may keep the first and, if it exits with 0, the last but one.
some() {
	promise "The code" "Think of fork(2)." "it is there" 'command -v forkoff >/dev/null'
	promise "The code" "Look at its exit status." "it exits with 0" 'exits 0 forkoff'
	promise "What you should see" "Never mind." "it can do what nobody can" 'skip "nobody can"'
}

# afresh: a run of bats within another must not take over what that one has exported.
afresh() {
	PATH=${PATH//"$BATS_LIBEXEC:"/}
	unset "${!BATS_@}"
}

check() {
	(
		afresh
		exec env BATS_TEST_TIMEOUT=20 "${as[@]}" sh "$ROOT/tests/check" -d mine "$@" 3>&- 4>&-
	)
}

# on_screen [NAME=VALUE]: what a terminal gets; in $out.
on_screen() {
	out=$(
		afresh
		timeout $((30 * SLOWER)) script -qec "env $1 sh $ROOT/tests/check -d mine 1" /dev/null </dev/null 3>&- 4>&-
	) || true
}

@test "it tells each promise in words, grouped as the chapter is, and why one is broken" {
	some
	exits 1 check 1
	expect "what is said" "Stage 1, with the programs in mine

The code
  kept     it is there
  BROKEN   it exits with 0
           exit code of: forkoff
             expected: 0
             came:     3
             stdout:
             stderr:   forkoff: no
           hint: Look at its exit status.
           read: stage1-fork/README.md, \"The code\"
           again: $ROOT/tests/check -d mine 1:2

What you should see
  skipped  it can do what nobody can (nobody can)

stage 1: 1 of 2 promises kept, 1 skipped, next: it exits with 0
         $ROOT/tests/check -d mine 1:2" "$out"
}

@test "with all promises kept it leaves with 0 and says how many" {
	some
	program 'exit 0'
	exits 0 check 1
	expect "last line" "stage 1: 2 of 2 promises kept, 1 skipped" "${out##*$'\n'}"
}

@test "what a later stage mends is not among the promises of that stage" {
	listed() { env -u TESTS sh "$ROOT/tests/check" --list "$1" | grep -c 'wrong in stage 3:' || :; }
	expect "of the faults of stage 3, in stage 3" 5 "$(listed 3)"
	expect "of the faults of stage 3, in stage 4" 0 "$(listed 4)"
}

@test "a promise of its own is named by number, by its words or by a part of them" {
	local which
	some
	for which in 1:1 '1:it is there' '1:is th'; do
		exits 0 check "$which"
		expect "last line for $which" "stage 1: 1 of 1 promises kept" "${out##*$'\n'}"
	done
}

@test "a promise that is not there, or not meant clearly, is bad usage, and nothing is run" {
	some
	exits 2 check 1:4
	expect_like "what is said" '^tests/check: stage 1 has no promise "4"' "$err"
	exits 2 check 1:it
	expect_like "what is said" 'which one[?].*1:1 .*1:2 .*1:3 ' "$err"
	exits 2 check 7
	exits 2 check three
	exits 2 check --loud
	expect "stdout" "" "$out"
}

@test "a folder without the program, or with something else under its name, is bad usage, and is named" {
	some
	rm mine/forkoff
	exits 2 check 1
	expect "what is said" "tests/check: mine has no program named forkoff (stage 1 has: forkoff)" "$err"
	mkdir mine/forkoff
	exits 2 check 1
	expect "what is said" "tests/check: mine/forkoff is a folder, not a program" "$err"
	rmdir mine/forkoff
	: >mine/forkoff
	exits 2 check 1
	expect "what is said" "tests/check: mine/forkoff cannot be executed; to make it so: chmod +x mine/forkoff" "$err"
	exits 2 sh "$ROOT/tests/check" -d nowhere 1
	expect "what is said" "tests/check: nowhere: there is no such folder" "$err"
}

@test "a repository whose path has a newline in it is refused in words, for bats cannot read that" {
	mkdir -p $'two\nlines/tests'
	cp -R "$ROOT"/tests/{check,run,deps,lib} $'two\nlines/tests'
	for tool in check run; do
		exits 2 sh $'two\nlines/tests/'$tool 1
		expect "what is said" 'the path of this folder has a newline in it, which bats cannot read' "$err"
	done
}

@test "--list names all promises by stage, number and section, and runs none" {
	some
	exits 0 check --list 1
	expect "the list" "Stage 1, with the programs in mine

The code
  1:1    it is there
  1:2    it exits with 0

What you should see
  1:3    it can do what nobody can" "$out"
}

@test "-f stops at the first broken promise: what comes after it is not run" {
	promise "The code" "Hint." "it exits with 0" 'exits 0 forkoff'
	promise "The code" "Hint." "nothing comes after it" "touch $PWD/came"
	promise "The code" "Hint." "nothing at all" "touch $PWD/came"
	exits 1 check -f 1
	expect_like "the end" $'\nstage 1: 0 of 3 promises kept, 2 not run, next: it exits with 0\n' "$out"
	[[ ! -e came ]] || fail "a later test was run"
}

@test "-v shows all that a test printed, without it no line of bats is shown" {
	promise "The code" "Hint." "it exits with 0" 'echo "to be seen"; exits 0 forkoff'
	promise "The code" "Hint." "it is there" 'echo "also this"'
	exits 1 check -v 1
	expect_like "with -v" 'in test file .*stage1-fork.bats, line [0-9]+.*to be seen.*also this' "$out"
	exits 1 check 1
	[[ $out != *"in test file"* && $out != *"also this"* ]] || fail "without -v" "$out"
}

@test "what a program says each time is shown of two promises, and then counted" {
	local n
	for n in 1 2 3 4; do promise "The code" "Hint." "promise $n" "exits 0 forkoff"; done
	program 'printf "%s\n" "some warning" "a long warning that comes again with each promise" "another of that length, with other words" >&2; exit 3'
	exits 1 check 1
	expect "long lines that are shown" "2 2" "$(grep -c 'comes again' <<<"$out") $(grep -c 'other words' <<<"$out")"
	expect "lines that count the others" 2 "$(grep -c '(and 2 more as above)' <<<"$out")"
}

@test "a test that fails without a word is told by what did not hold" {
	promise "The code" "Hint." "one is two" '[[ one == two ]]'
	exits 1 check 1
	expect_like "what is said" 'This did not hold: \[\[ one == two \]\]' "$out"
}

@test "with -f, too, it is a failure if the tests could not be run" {
	some
	printf '%s\n' '#!/bin/sh' 'exit 1' >mine/xargs
	chmod +x mine/xargs
	as=(PATH="$PWD/mine:$PATH")
	code=0
	check -f 1 >out 2>&1 || code=$?
	expect "exit code" 1 "$code"
	expect_like "what is said" "0 of 2 promises kept|not run" "$(<out)"
}

# make_in_root TARGET...: with this test's folder mine; the make that runs us is no concern of it.
make_in_root() { (afresh && unset MAKEFLAGS MFLAGS MAKELEVEL && exec make -s -C "$ROOT" "$@" DIR="$PWD/mine" STAGE=1 3>&- 4>&-); }

@test "make check and make exercise build a folder that has a Makefile first" {
	some
	printf 'forkoff: forkoff.sh\n\tcp forkoff.sh forkoff && chmod +x forkoff\n' >mine/Makefile
	printf '#!/bin/sh\n' >mine/forkoff.sh
	touch -d tomorrow mine/forkoff.sh
	exits 0 make_in_root check
	printf '#!/bin/sh\nexit 3\n' >mine/forkoff.sh
	touch -d 'next week' mine/forkoff.sh
	exits 2 make_in_root exercise
	expect "what make exercise has built" "exit 3" "$(tail -n 1 mine/forkoff)"
}

@test "make exercise takes no program but those in DIR" {
	rm mine/forkoff
	exits 2 sh "$ROOT/tests/exercise" 1 mine
	expect "what is said" "tests/exercise: mine has no program named forkoff (stage 1 has: forkoff)" "$err"
	exits 2 sh "$ROOT/tests/exercise" 1 nowhere
	expect "what is said" "tests/exercise: nowhere: there is no such folder" "$err"
	exits 2 sh "$ROOT/tests/exercise" 7
}

@test "--tap is TAP, in the order of the list" {
	some
	exits 1 check --tap 1
	expect "results" "1..3
ok 1 - 1:1 it is there
not ok 2 - 1:2 it exits with 0
ok 3 - 1:3 it can do what nobody can # SKIP nobody can" "$(grep -v '^#' .out)"
	expect_like "the reason" '#   expected: 0' "$out"
}

@test "no line is longer than 80 columns, whatever a test says" {
	promise "The code" "$(printf 'many words %.0s' {1..40})" "$(printf 'a long promise %.0s' {1..12})" \
		'fail "$(printf "%0500d" 1)" "  came:     $(printf "word %.0s" {1..200})"; exit 1'
	exits 1 check 1
	expect "lines that are longer" "" "$(grep -v 'tests/check -d' .out | awk 'length > 80')"
}

@test "into a pipe or a file there are no colours and no bar; on a terminal there are; NO_COLOR is respected" {
	some
	exits 1 check 1
	[[ $out != *$'\e'* && $out != *$'\r'* ]] || fail "escape codes in a file"
	on_screen A=1
	expect_like "a bar" '\[[#]+[.]+\] 1 of 3' "$out"
	expect_like "colours" $'\e\\[1;31mBROKEN' "$out"
	on_screen NO_COLOR=1
	[[ $out != *$'\e[1;31m'* ]] || fail "colours in spite of NO_COLOR"
}

@test "an interrupt ends the tests, and what was found until then is told" {
	some
	promise "The code" "Hint." "it takes long" 'touch "$FOLDER/begun"; sleep 60'
	export FOLDER=$PWD JOBS=1
	# as on a terminal: a process group of its own, which gets the interrupt, and nobody who ignores it
	as=(env --default-signal=INT setsid sh -c 'echo $$ >leader; exec "$@"' sh)
	check 1 >told 2>&1 </dev/null &
	wait_until 20 test -e begun
	kill -INT -- "-$(<leader)"
	wait_until 20 dead "$(<leader)"
	expect_like "what is told" 'BROKEN   it exits with 0' "$(<told)"
	expect_like "the end" 'stage 1: 1 of 3 promises kept' "$(<told)"
}

# hurt TEXT: a program of that text, held against a test of the stage, must be found broken, and leave nothing.
hurt() {
	program "$1"
	promise "The code" "Hint." "it starts COMMAND" 'launch forkoff'
	export PATIENCE=1
	as+=(env BATS_TEST_TIMEOUT=3)
	exits 1 check 1
	expect_like "the verdict" 'BROKEN   it starts COMMAND' "$out"
	expect "processes that are left" "" "$(pgrep -f "$PWD/mine/forkoff" || true)"
}

@test "within the fence there are no more processes than it allows" {
	needs_root # a user's limit counts all of the user's processes, those of other tests too
	export FENCE=40 FOLDER=$PWD
	program 'echo $$; for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5 6 7 8 9 10; do
		sleep 9 & echo "$!" >>"$FOLDER/started"; done; done >/dev/null 2>&1'
	promise "The code" "Hint." "it may start a hundred" 'forkoff >/dev/null 2>&1 3>&- 4>&- </dev/null || :'
	check 1 >.out 2>.err || :
	[[ $(<.err) != *"looking twenty times a second"* ]] || skip "no control group can be made here"
	(($(wc -l <started) < 50)) || fail "processes started: $(wc -l <started)"
}

@test "a program that forks without end comes to a limit and to its end" {
	FENCE=150 hurt '"$0" "$@" & "$0" "$@" & wait'
}

@test "a program that forks without end comes to a limit and to its end for an ordinary user too" {
	needs_root
	as_nobody test -r "$ROOT/tests/check" || skip "that user may not read this repository"
	open=$(mktemp -d) # the folder of a test is closed to others
	chmod 755 "$open"
	cp -R tests mine "$open" && cd "$open" && mkdir tmp && chmod 777 . tmp
	export TESTS=$open/tests TMPDIR=$open/tmp
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	FENCE=150 hurt '"$0" "$@" & "$0" "$@" & wait'
	rm -rf "$open"
}

@test "where root can make no control group, somebody looks, and ends what forks without end" {
	needs_root
	program '"$0" "$@" & "$0" "$@" & wait'
	promise "The code" "Hint." "it starts COMMAND" 'launch forkoff'
	# a fence of the old kind around it, for who looks may be too slow to keep it small
	as=(env FENCE=500 sh "$ROOT/tests/lib/fence" bash -c 'echo $$ >"$FENCE_GROUP/cgroup.procs" && exec "$@"' bash
		unshare -m sh -c 'umount -a -l -t cgroup,cgroup2 && exec "$@"' sh)
	"${as[@]}" true 2>/dev/null || skip "no control group or no mount namespace can be made here"
	as+=(env FENCE=150 BATS_TEST_TIMEOUT=20)
	exits 1 check 1
	expect_like "what is said" 'looking twenty times a second' "$err"
	expect_like "the end" 'A program made 150 processes and more' "$out"
	expect "processes that are left" "" "$(pgrep -f "$PWD/mine/forkoff" || true)"
}

@test "a program that kills or stops its whole process group, or the test's shell, is broken, and ends nobody else" {
	local what
	for what in 'kill -KILL 0' 'kill -TERM 0' 'kill -STOP "$PPID"'; do
		rm -f tests/stage1-fork.bats
		hurt "$what"
	done
}

@test "a program that hangs and ignores TERM is ended at the deadline, and that is said" {
	hurt 'trap "" TERM INT HUP; while :; do sleep 1; done'
	expect_like "what is said" 'It hung, and after [0-9]+s it was ended' "$out"
}

@test "a daemon that was left behind is ended, though it has a session and an environment of its own" {
	hurt 'env -i setsid sleep 61.234 >/dev/null 2>&1 </dev/null & echo $!; echo litter >litter'
	expect "daemons" "" "$(pgrep -f 'sleep 61.234' || true)"
	expect "files" "mine tests" "$(echo *)"
}
