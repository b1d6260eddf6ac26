#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2154 # backticks are those of Markdown; exits sets out
#
# What people are told: the sources, -h, the manuals and the chapters agree; and tests/options would say if they did not.

load lib/common

setup() { cd "$BATS_TEST_TMPDIR" || return 1; }

agrees() { sh "$ROOT/tests/options" "$1" || fail "  expected: sources, -h, manuals and chapter of stage $1 say the same"; }

@test "stage 1: what -h, the manual and the chapter say is the same" { agrees 1; }
@test "stage 2: what -h, the manual and the chapter say is the same" { agrees 2; }
@test "stage 3: what -h, the manual and the chapter say is the same" { agrees 3; }
@test "stage 4: what -h, the manual and the chapter say is the same" { agrees 4; }
@test "stage 5: what -h, the manual and the chapter say is the same" { agrees 5; }
@test "stage 6: what -h, the manual and the chapter say is the same" { agrees 6; }

# make_copy: what tests/options reads, to be changed.
make_copy() {
	mkdir -p copy/tests/lib
	cp "$ROOT/tests/options" copy/tests
	cp "$ROOT"/tests/lib/{mdoc.awk,told.sh} copy/tests/lib
	(cd "$ROOT" && tar cf - stage[1-6]-*/*.[ch15] stage[1-6]-*/README.md) | tar xf - -C copy
}

# notices STAGE SUBJECT PLACE FILE SED: with that change to a file of the stage, tests/options complains of SUBJECT in PLACE.
notices() {
	local stage=$1 subject=$2 place=$3 file original
	file=$(echo "$ROOT/stage$1"-*/"$4")
	[[ -d copy ]] || make_copy
	original=$file file=copy/${file#"$ROOT"/}
	sed "$5" "$original" >"$file"
	! cmp -s "$file" "$original" || fail "this changes nothing: $5"
	exits 1 env STAGES="${STAGES:-$ROOT}" sh copy/tests/options "$stage:$subject"
	expect_like "after: $5" "--- stage $stage, [a-z.]*: $subject in [a-z]*"$'\n'"\\+\\+\\+ $place" "$out"
	cp "$original" "$file"
}

@test "tests/options sees a changed synopsis" {
	notices 2 synopsis manual detach.1 's/^\.Op Fl t Ar seconds/.Op Fl t Ar minutes/'
	notices 2 synopsis chapter README.md 's/^usage: detach \[-C DIR\]/usage: detach/'
	notices 4 synopsis chapter README.md 's/^\(    repeatd .*\) \[-S\]/\1/'
}

@test "tests/options sees an option that the source takes and -h does not name, and the other way round" {
	notices 3 letters help repeatd.c 's/"+:p:o:/"+:p:o:z/'
	notices 3 letters help repeatd.c 's/"+:p:o:/"+:o:/'
}

@test "tests/options sees an option that is missing, or has another default" {
	notices 2 options manual detach.1 's/^\.It Fl e Ar file/.It Fl f Ar file/'
	notices 2 options manual detach.1 's/^The default is 027\./The default is 022./'
	notices 2 options chapter README.md '/^  -o FILE /d'
	notices 4 options chapter README.md 's/^\(  -g SECONDS .*\)(default 5)/\1(default 6)/'
	notices 6 options manual leecher.1 '/^\.It Fl q/d'
}

@test "tests/options sees a verb or a command that is missing" {
	notices 3 words manual repeatd.1 's/^\.It Cm restart/.It Cm again/'
	notices 3 words chapter README.md '/^| `run` /d'
	notices 5 words help commands.c 's/^	{ "reopen",/	{ "reload",/'
	notices 5 words manual repeatctl.1 's/^\.It Cm interval Ar seconds/.It Cm interval/'
	notices 5 words chapter README.md 's/^| `pause`, `resume` /| `pause` /'
	notices 6 words help leecher.c 's/strcmp(verb, "once")/strcmp(verb, "twice")/'
	notices 6 words chapter README.md 's/^| `retry NAME`, `retry all` /| `retry NAME` /'
}

@test "tests/options sees an exit code that is missing, or too many" {
	notices 1 codes chapter README.md 's/[*][*]125[*][*]/125/'
	notices 2 codes manual detach.1 's/^\.It 126/.It 124/'
	notices 3 codes chapter README.md 's/\(Exit codes of `repeatd status`.*\)[*][*]1[*][*]/\1**2**/'
	notices 6 codes manual leecher.1 's/^With$/Without/'
	notices 6 codes chapter README.md 's/[*][*]3[*][*] another leecher/**5** another leecher/'
}

@test "tests/options sees a key of the configuration that is missing, or has another default" {
	notices 6 keys manual config.c 's/{ "source", "settle"/{ "source", "settles"/'
	notices 6 keys manual leecher.conf.5 's/^\.It Cm markers/.It Cm marks/'
	notices 6 values manual leecher.conf.5 's/^The default is 300/The default is 200/'
	notices 6 values manual README.md 's/^| | `settle` | 60 /| | `settle` | 61 /'
	notices 6 values manual README.md '/^| | `mode` /d'
}

@test "tests/options refuses a stage or a subject that there is not" {
	local what
	for what in 0 7 5:nonsense 5: x; do exits 2 sh "$ROOT/tests/options" "$what"; done
}
