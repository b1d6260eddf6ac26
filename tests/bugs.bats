#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # exits sets out, err and code; every test is a process of its own
# shellcheck disable=SC2016 # what stands in single quotes is for another shell
#
# The gallery of bugs: that tests/bugs-prove lets nothing pass that it should not, that tests/bug gives a learner
# what it promises, and that the headers of tests/bugs/*.patch are complete. make bugs proves the bugs themselves.

load lib/common

setup() { cd "$BATS_TEST_TMPDIR" || return 1; }

PASSES="-h prints help on stdout and exits 0"
BROKEN="forkoff leaves with 0 while COMMAND still runs"

# a_bug NAME SED-SCRIPT [TEST [MORE]]: a patch in $BUGS that makes that change to forkoff.c.
a_bug() {
	local source=$ROOT/stage1-fork/forkoff.c
	{
		printf '%s\n' "Bug: the cause of $1" "Stage: 1" "Symptom: It does not work. Not at" "  all." "Wrong: inside" \
			"Seen: here" "Test: ${3:-$BROKEN}" "Question: why?" ${4:+"$4"} ""
		sed "$2" "$source" | diff -u --label a/forkoff.c --label b/forkoff.c "$source" -
	} >"$BUGS/$1.patch" || true
}

# One run for all tests that only read what it says.
setup_file() {
	time_limit 300
	export BUGS=$BATS_FILE_TMPDIR/bugs PROOFS=$BATS_FILE_TMPDIR/proofs
	mkdir "$BUGS"
	a_bug caught 's/^\treturn print(text);/\treturn print(text) + 1;/'
	a_bug passes 's/fork off and die/fork off, and die/'
	a_bug elsewhere 's/^\treturn print(text);/\treturn print(text) + 1;/' "$PASSES"
	a_bug one-of-two 's/^\treturn print(text);/\treturn print(text) + 1;/' "$BROKEN"$'\nTest: '"$PASSES"
	a_bug renamed 's/^\treturn print(text);/\treturn print(text) + 1;/' "${BROKEN%s}"
	a_bug warns 's/^\treturn print(text);/\tint unused; return print(text) + 1;/'
	a_bug hangs 's/^\treturn print(text);/\tfor (;;) (void)pause();/'
	a_bug hangs-and-says-so 's/^\treturn print(text);/\tfor (;;) (void)pause();/' "$BROKEN" "Hangs: yes"
	a_bug kills-its-test 's/^\treturn print(text);/\texecl("\/bin\/sh", "sh", "-c", "kill -9 $PPID", (char *)0);/'
	a_bug no-question 's/^\treturn print(text);/\treturn print(text) + 1;/'
	sed -i '/^Question/d' "$BUGS/no-question.patch"
	a_bug stale 's/^\treturn print(text);/\treturn print(text) + 1;/'
	sed -i 's/^-\treturn print(text);/-\treturn print(words);/' "$BUGS/stale.patch"
	PATIENCE=3 sh "$ROOT/tests/bugs-prove" >"$BATS_FILE_TMPDIR/said" 2>&1 3>&- 4>&- </dev/null || true
}

# line NAME: what was said of it, the last time. (What is not as it should be is tried again.)
line() { grep -E "^[A-Za-z]+ +$1(:|\$)" "$BATS_FILE_TMPDIR/said" | tail -n 1; }
said() { expect_like "what is said of $1" "$2" "$(line "$1")"; }

@test "a bug that its test catches is caught" { said caught '^caught  caught$'; }
@test "a patch that does not apply is a failure" { said stale '^NOT     stale: does not apply'; }
@test "a bug that builds with a warning is a failure" { said warns '^NOT     warns: does not build without a warning: .*unused'; }
@test "a bug whose test passes is a failure" { said passes "^NOT     passes: its test passes: $BROKEN"; }
@test "a bug that another test than its own would catch is a failure" { said elsewhere '^NOT     elsewhere: its test passes'; }
@test "each test that a bug names has to fail" { said one-of-two "^NOT     one-of-two: its test passes: $PASSES"; }
@test "a test whose name has changed is a failure" { said renamed '^NOT     renamed: no test of its stage has that name: '; }
@test "a test that fails by its time limit counts only where the header says so" {
	said hangs '^NOT     hangs: its test ends by its time limit only'
	said hangs-and-says-so '^caught  hangs-and-says-so$'
}
@test "a bug that ends its test instead of failing it is a failure" { said kills-its-test '^NOT     kills-its-test: '; }
@test "a header without one of its parts is a failure" { said no-question '^NOT     no-question: its header says nothing of Question'; }
@test "the tests that are named pass without any bug, and the last line counts" {
	said 'stage 1, without any bug' '^passes  stage 1, without any bug: 2 tests$'
	expect "last line" "11 bugs: 2 caught, 9 not" "$(tail -n 1 "$BATS_FILE_TMPDIR/said")"
}
@test "the exit status tells whether all bugs are caught" {
	local PROOFS=$PWD/proofs
	PROOFS=$PROOFS exits 0 sh "$ROOT/tests/bugs-prove" caught
	PROOFS=$PROOFS exits 1 sh "$ROOT/tests/bugs-prove" caught passes
	PROOFS=$PROOFS exits 2 sh "$ROOT/tests/bugs-prove" no-such-bug
}
@test "with -e 1, the other tests of the stage are run to their end" {
	PROOFS=$PWD/proofs PATIENCE=3 exits 0 sh "$ROOT/tests/bugs-prove" -e 1 caught
	expect_like "what is said" '^to end  caught: the other tests of its stage' "$(grep '^to end' <<<"$out")"
	expect_like "last lines" 'with 1 of them all other tests of their stage were run.*1 bugs: 1 caught, 0 not$' "$out"
}

# repository: a copy of what make bug needs, with the bugs of this file, to have a work/ of its own.
repository() {
	mkdir tests
	cp -R "$ROOT/stage1-fork" "$ROOT/Makefile" .
	cp -R "$ROOT/tests/bug" "$ROOT/tests/lib" "$ROOT"/tests/stage1-fork.bats tests
	unset MAKEFLAGS MFLAGS MAKELEVEL
}

@test "make bug lists what users see, by stage, and no cause" {
	repository
	exits 0 make -s bug
	expect_like "list" 'stage 1.*  caught +It does not work'$'\n' "$out"
	[[ $out != *cause* ]] || fail "the list tells the cause: $out"
}

@test "make bug BUG= puts the broken stage into work/, built, and tells no cause" {
	repository
	exits 0 make -s bug BUG=caught
	expect "files" "Makefile forkoff forkoff.c" "$(cd work/caught && rm -f ./*.1 && echo *)"
	expect_like "what is said" 'It does not work. Not at all.*make check DIR=work/caught STAGE=1' "$out"
	[[ $out != *cause* && $out != *inside* ]] || fail "it tells the cause: $out"
	exits 1 work/caught/forkoff true
}

@test "make bug does not overwrite a learner's work, unless FRESH=1 says so" {
	repository
	exits 0 make -s bug BUG=caught
	echo mine >work/caught/forkoff.c
	exits 2 make -s bug BUG=caught
	expect_like "what is said" 'work/caught is there already' "$err"
	expect "a learner's file" mine "$(<work/caught/forkoff.c)"
	exits 0 make -s bug BUG=caught FRESH=1
	grep -q 'print(text) + 1' work/caught/forkoff.c
}

@test "make hint asks first and tells with MORE=1, make answer shows the patch" {
	repository
	exits 0 make -s hint BUG=caught
	expect_like "hint" "why\\?.*$BROKEN.*make check DIR=work/caught STAGE=1:[0-9]+"$'\n' "$out"
	[[ $out != *cause* && $out != *inside* ]] || fail "the first hint tells the cause: $out"
	exits 0 make -s hint BUG=caught MORE=1
	expect_like "hint" "the cause of caught.*inside.*here" "$out"
	exits 0 make -s answer BUG=caught
	[[ $out == *$'\n+\treturn print(text) + 1;'* ]] || fail "no patch: $out"
}

@test "a bug that is not there is said to be none, and nothing is made" {
	repository
	for name in none ../tests/bugs/caught 'x y'; do
		exits 2 sh tests/bug put "$name"
		expect_like "what is said" "no such bug: '$name'" "$err"
	done
	exits 2 sh tests/bug put ''
	expect_like "what is said" "no such bug: it has no name" "$err"
	[[ ! -e work ]] || fail "something was put into work/"
}

# The gallery itself. header FIELD: NAME|VALUE of each bug.
header() { (cd "$ROOT" && BUGS=tests/bugs && . tests/lib/bugs.sh && bug_fields "$1" | sed 's/ /|/'); }

@test "every bug has a header that is complete, and a name of its own" {
	local field bugs
	bugs=$(cd "$ROOT/tests/bugs" && printf '%s\n' *.patch | sed 's/[.]patch$//' | LC_ALL=C sort)
	expect "names of other letters than a-z, 0-9 and -" "" "$(grep -E '[^a-z0-9-]' <<<"$bugs")"
	for field in Bug Stage Symptom Wrong Seen Question; do
		expect "bugs with one '$field:' in their header" "$bugs" "$(header $field | grep '|.' | cut -d '|' -f 1 | LC_ALL=C sort)"
	done
	expect "bugs with a 'Test:' in their header" "$bugs" "$(header Test | grep '|.' | cut -d '|' -f 1 | LC_ALL=C sort -u)"
	expect "names in plain words that two bugs have" "" "$(header Bug | cut -d '|' -f 2 | sort | uniq -d)"
	expect "lines of headers that no tool reads" "" "$(cd "$ROOT/tests/bugs" && for bug in *.patch; do
		sed '/^$/,$d' "$bug" | grep -vE '^((Bug|Stage|Symptom|Wrong|Seen|Test|Question): |Hangs: yes$|[[:blank:]])'
	done)"
}

@test "each stage has its bugs, eight at least" {
	local n
	for n in 1 2 3 4 5 6; do
		[[ $(header Stage | grep -c "|$n\$") -ge 8 ]] || fail "bugs of stage $n" "  expected: at least 8"
	done
}

@test "there are sixty bugs at least" {
	local came
	came=$(header Bug | wc -l)
	[[ $came -ge 60 ]] || fail "bugs" "  expected: at least 60" "  came:     $came"
}
