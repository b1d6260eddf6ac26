#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016 # exits sets out, err and code; words with a dollar are meant literally
#
# make new: a stage as a project of its own. What takes long, each stage with three compilers and all of its tests,
# is tests/new-prove's.

load lib/common

setup_file() { time_limit 300; } # a machine may be slow, and compiles a project several times
setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	# The make that runs the tests is no concern of the makes that are run here.
	unset MAKEFLAGS MFLAGS MAKELEVEL CC CFLAGS CPPFLAGS LDFLAGS LDLIBS PREFIX DESTDIR PROGRAMS
}
teardown() { clean_up; }

# new NAME FROM DIR: by make, as a person does it.
new() { make -s -C "$ROOT" new NAME="$1" FROM="$2" DIR="$3" 3>&- 4>&-; }

# project NAME FROM: makes ./NAME and goes there.
project() {
	exits 0 new "$1" "$2" "$PWD/$1"
	cd "$1" || return 1
}

# apart CODE COMMAND...: as exits, but without anything of the bats that runs us.
apart() {
	exits "$1" env -i HOME="$HOME" NO_COLOR=1 SLOWER="$SLOWER" PATH="$(tr : '\n' <<<"$PATH" | grep -v bats-core | paste -sd :)" "${@:2}"
}

# refused WHY NAME FROM [DIR]: says why, and makes nothing.
refused() {
	local why=$1
	shift
	exits 2 sh "$ROOT/tests/new" "$@"
	expect_like "why" "^tests/new: .*$why" "$err"
	expect "what was made" "" "$(ls)"
}

# old_words WORDS: where one of them is left, in a name or in a file.
old_words() { { find . && grep -r . ./*; } | grep -iE "$1" || true; }

@test "make new makes a project out of every stage in which no word of the old name is left" {
	local n
	for n in 1 2 3 4 5 6; do
		exits 0 new my-daemon2 "stage$n" "$PWD/$n"
		expect_like "what is said" "README.md says what to change first" "$out"
	done
	# --no-detach is an option of rsync, which the tests of stage 6 run
	sed -i 's/rsync --daemon --no-detach/rsync --daemon/' 6/tests/lib/*.bash
	expect "old words" "" "$(old_words 'forkoff|detach|repeat|leech')"
	expect "names of this repository" "" "$(grep -rF "$ROOT" . || true)"
	expect "what is unfinished" "" "$(grep -rE 'NAME[.]|NAMEctl|STAGE of|MODULES' ./*/README.md || true)"
}

@test "the project of stage 1 builds without a warning and keeps its promises" {
	project my-daemon2 1
	make CFLAGS='-O2 -Wall -Wextra -Werror' >output 2>&1 || fail "make failed" "$(<output)"
	apart 0 make test
	(($(grep -c '^ok ' .out) > 20)) || fail "tests that were run" "$out"
}

@test "the project of stage 5 can be changed as its README.md says, and its tests go on" {
	project heartbeat stage5-fifo
	# code N: the Nth piece of code in README.md.
	code() { awk -v n="$1" '/^ *```[a-z]+$/ { i++; on = i == n; next } /^ *```$/ { on = 0 } on { sub(/^   /, ""); print }' README.md; }
	code 1 >one && code 2 >two && code 3 >three && code 4 | sed 's/ echo hello  .*//' >tests/stage5-own.bats
	make >output 2>&1 || fail "make failed" "$(<output)"
	apart 1 bats tests/stage5-own.bats
	expect_like "what is missing yet" 'COMMAND is missing' "$out"
	awk 'FNR == 1 { file++ } file == 1 { one = one $0 "\n" } file == 2 { two = two $0 "\n" } file == 3 { three = three $0 "\n" }
		file < 4 { next }
		{ line[++n] = $0 }
		/^work_do\(/ { line[n - 1] = one "\n" line[n - 1] }
		/[.]argv = work->argv,/ { line[n] = line[n] "\n" two }
		/^work_command_name\(/ { in_name = 1 }
		in_name && /^{/ { line[n] = line[n] "\n" three; in_name = 0 }
		END { for (i = 1; i <= n; i++) print line[i] }' one two three work.c >work.new && mv work.new work.c
	sed -i '/} else if (strcmp(verb, "start")/,/return bad_usage/d' heartbeat.c
	make CFLAGS='-O2 -Wall -Wextra -Werror' >output 2>&1 || fail "make failed" "$(<output)"
	apart 0 bats tests/stage5-own.bats
	expect_like "the test" '^1\.\.1.ok 1 it says hello' "$out"
	apart 0 bats -f 'prints help|of 100 parallel starts|is no drift' tests/stage5-pidfile.bats
	(($(grep -c '^ok ' .out) >= 3)) || fail "tests that were run" "$out"
}

@test "make new takes no name that would not do, and says why" {
	local name
	for name in 2fast -d my_daemon my.daemon 'my daemon' ../up 'a/b' daemon- 'x;touch y' "$(printf 'a\nb')"; do
		refused 'not a name' "$name" 4 "$PWD/new"
	done
	refused 'too long' "$(printf '%033d' 0 | tr 0 a)" 4 "$PWD/new"
	refused "the word 'repeat'" RepeatIt 4 "$PWD/new"
	for name in loop while test notify bats; do
		refused 'use this word already: ' $name 4 "$PWD/new"
	done
	refused 'usage: ' "" 4 "$PWD/new"
}

@test "make new takes the stage as 4, stage4 or stage4-signals, and no other" {
	local from
	for from in 4 stage4 stage4-signals; do
		exits 0 new mydaemon $from "$PWD/$from"
		[[ -e $from/signals.c ]] || fail "FROM=$from is not stage 4"
	done
	rm -rf ./*
	for from in 0 7 44 stage stage4-fifo tests ../stage4-signals ''; do
		refused '(FROM=|usage)' mydaemon "$from" "$PWD/new"
	done
}

@test "make new leaves alone what is there already, and makes nothing inside of the repository" {
	mkdir there
	ln -s nowhere link
	for place in there link; do
		exits 2 new mydaemon 1 "$PWD/$place"
		expect_like "why" "$place: is there already" "$err"
	done
	expect "what is there" "link there" "$(echo *)"
	exits 2 new mydaemon 1 "$ROOT/tests/mydaemon"
	expect_like "why" "inside of this repository" "$err"
	exits 2 new mydaemon 1 "$PWD/no/such/place"
	expect_like "why" "no directory to make it in" "$err"
}

@test "a usage that goes on in a second line stands below the first word of the first" {
	project abc 5
	make >output 2>&1 || fail "make failed" "$(<output)"
	./abc -h >help
	expect "columns of the options" "12 12 12" "$(sed -n '1,3s/[[V].*//p' help | awk '{ print length($0) + 1 }' | xargs)"
}

@test "a failing test of a project refers to a section that its README.md has" {
	local section
	project mydaemon 1
	ln -s /bin/true mydaemon
	apart 1 sh tests/check -d . 1:1
	section=$(sed -n 's/.*read: README.md, "\(.*\)"$/\1/p' .out)
	grep -qxF "### ${section:-no section}" README.md || fail "no such section in README.md" "$out"
	grep -qF 'tests/check -d . 1:' .out || fail "no word of how to run it again" "$out"
}
