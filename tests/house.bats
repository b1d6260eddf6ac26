#!/usr/bin/env bats
# shellcheck disable=SC2154 # exits sets out, err and code
#
# The rules of the house: what CONTRIBUTING.md promises of the folders, the Makefile and tests/deps.

load lib/common

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	# The make that runs the tests is no concern of the makes that are run here.
	unset MAKEFLAGS MFLAGS MAKELEVEL CC CFLAGS CPPFLAGS LDFLAGS LDLIBS PREFIX DESTDIR
}

# The work that the service is there for is each stage's own: its difference is the lesson.
is_own() { [[ $1 == repeatd.c || $1 == repeat.[ch] ]]; }

@test "a module that several stages carry is the same file to the byte in all of them" {
	local name differ=
	for name in $(cd "$ROOT" && printf '%s\n' stage[2-6]-*/*.[ch] | sed 's|.*/||' | sort | uniq -d); do
		is_own "$name" && continue
		[[ $(cd "$ROOT" && cksum stage*/"$name" | cut -d ' ' -f 1,2 | sort -u | wc -l) -eq 1 ]] ||
			differ+=" $name"
	done
	expect "carried modules that differ between stages" "" "$differ" "CONTRIBUTING.md"
}

@test "no stage includes or builds with anything outside of its folder" {
	expect "lines that lead outside" "" "$(cd "$ROOT" &&
		grep -nE '^[[:space:]]*#[[:space:]]*include.*\.\./' stage*/*.[ch] || true
		grep -n '\.\./' "$ROOT"/stage*/Makefile || true)" "CONTRIBUTING.md"
}

@test "every stage folder holds its chapter and its Makefile" {
	local folder
	for folder in "$ROOT"/stage[1-6]-*/; do
		[[ -s ${folder}README.md ]] || fail "missing: ${folder}README.md"
		[[ -s ${folder}Makefile ]] || fail "missing: ${folder}Makefile"
	done
}

# alone N: the sources of stage N, copied to an empty place, can be built, installed and removed there.
alone() {
	local folder before
	[[ -n ${CI-} ]] || skip "it takes long; .ci/run does it"
	folder=$(echo "$ROOT/stage$1"-*)
	mkdir alone
	cp "$folder"/*.[ch15] "$folder"/Makefile alone
	before=$(ls alone)
	make -C alone CFLAGS='-O0 -Wall -Wextra' >output 2>&1 || fail "make failed" "$(<output)"
	expect "warnings" "" "$(grep -i warning output || true)"
	make -C alone install DESTDIR="$PWD/place" PREFIX=/usr >output 2>&1 || fail "make install failed" "$(<output)"
	[[ -n $(find place/usr/bin -type f -perm -u+x) ]] || fail "make install installed no program"
	expect "installed manuals" "$(cd alone && echo *.[15])" "$(cd place/usr/share/man && find . -type f | sed 's|.*/||' | sort | paste -sd ' ')"
	make -C alone uninstall DESTDIR="$PWD/place" PREFIX=/usr >output 2>&1 || fail "make uninstall failed" "$(<output)"
	expect "what make uninstall leaves" "" "$(find place ! -type d)"
	make -C alone clean >output 2>&1 || fail "make clean failed" "$(<output)"
	expect "files after make clean" "$before" "$(ls alone)"
}

@test "stage 1 builds, installs, uninstalls and cleans alone, anywhere" { alone 1; }
@test "stage 2 builds, installs, uninstalls and cleans alone, anywhere" { alone 2; }
@test "stage 3 builds, installs, uninstalls and cleans alone, anywhere" { alone 3; }
@test "stage 4 builds, installs, uninstalls and cleans alone, anywhere" { alone 4; }
@test "stage 5 builds, installs, uninstalls and cleans alone, anywhere" { alone 5; }
@test "stage 6 builds, installs, uninstalls and cleans alone, anywhere" { alone 6; }

@test "make diff N= shows what stage N adds, and nothing that was built" {
	local n
	for n in 2 3 4 5 6; do
		exits 0 make -s -C "$ROOT" diff N="$n"
		[[ $out == *"+++ stage$n-"* ]] || fail "make diff N=$n shows no new file"
		[[ $out != *"Binary files"* && $out != *"/README.md"* ]] || fail "make diff N=$n shows too much"
	done
	exits 2 make -s -C "$ROOT" diff N=1
}

@test "tests/README.md names every tool" {
	local file missing=
	for file in "$ROOT"/tests/* "$ROOT"/tests/exercises/prove; do
		file=${file#"$ROOT/tests/"}
		[[ $file == stage*.bats || $file == README.md ]] || grep -qF "\`$file\`" "$ROOT/tests/README.md" ||
			grep -qF "\`$file/\`" "$ROOT/tests/README.md" || missing+="$file "
	done
	expect "what tests/README.md does not name" "" "$missing" CONTRIBUTING.md
}

@test "a tool says in its head what it does, with an example, and has no more than 200 lines" {
	local file wrong=
	for file in "$ROOT"/tests/* "$ROOT"/tests/{lib,exercises,oracles,bench}/*; do
		[[ -f $file && $(head -c 2 "$file") == '#!' && $file != *.@(bats|py) ]] || continue
		[[ -x $file ]] && grep -q '^# Example: ' "$file" && (($(wc -l <"$file") <= 200)) || wrong+="${file#"$ROOT/"} "
	done
	expect "tools without an example, or too long" "" "$wrong" CONTRIBUTING.md
}

@test "make help names every target" {
	local target
	exits 0 make -s -C "$ROOT" help
	# shellcheck disable=SC2013 # words
	for target in $(awk '/^[.]PHONY:/, !/\\$/' "$ROOT/Makefile" | sed 's/^[.]PHONY://; s/.$/&/; s/[^a-z0-9 -]//g'); do
		[[ $target != all && $target != have-build && $target != own-build && $target != stage[1-6] && $target != test-stage[2-5] ]] || continue
		grep -qE "(make|[.]{3}) $target([ ;:]|\$)" <<<"$out" || fail "make help does not name $target"
	done
}

@test "make clean leaves what is somebody's own in work/" {
	(cd "$ROOT" && tar cf - Makefile stage[1-6]-*/Makefile) | tar xf - # without anything to be cleaned away
	mkdir -p work/my-stage2 work/bugs work/build-gcc
	exits 0 env -u MAKEFLAGS -u MFLAGS make -s clean
	expect "what is left in work/" my-stage2 "$(ls work)"
}

@test "make takes STAGE and the like from its command line only" {
	exits 0 env -u MAKEFLAGS -u MFLAGS STAGE="$PWD/stage1-fork" BUG=none make -s -C "$ROOT" bug
	expect_like "the list" 'stage 6' "$out"
}

@test "a run of tests that has run none has failed" {
	exits 2 sh "$ROOT/tests/run" 9
	expect "what is said" "tests/run: '9' is no stage; stages are 1 to 6" "$err"
	exits 1 env FILTER='there is no test of this name' sh "$ROOT/tests/run" 1
}

# tools_without NAME...: a folder of links to all programs but these, to be used as the whole PATH, and in it
# an apt-get that notes how it was called, and a sudo.
tools_without() {
	mkdir tools
	find /usr/bin/ /usr/sbin/ -mindepth 1 -maxdepth 1 ! -name apt-get ! -name sudo -exec ln -sft tools {} +
	(cd tools && rm -f "$@")
	printf '#!/bin/sh\necho "$*" >>"%s"\n' "$PWD/calls" >tools/apt-get
	printf '#!/bin/sh\nexec "$@"\n' >tools/sudo
	chmod +x tools/apt-get tools/sudo
}

@test "a target names what is missing and points to tests/deps" {
	tools_without bats patch
	exits 1 env PATH="$PWD/tools" sh "$ROOT/tests/deps" --check test
	expect "what is said" "missing: bats patch "$'\n'"to install it: sh tests/deps" "$err"
	[[ ! -e calls ]] || fail "a check has called apt-get: $(<calls)"
}

@test "tests/deps does nothing where nothing is missing" {
	tools_without
	exits 0 env PATH="$PWD/tools" sh "$ROOT/tests/deps"
	expect "what is said" "tests/deps: nothing is missing" "$out"
	[[ ! -e calls ]] || fail "apt-get was called: $(<calls)"
}

@test "tests/deps installs what is missing and nothing else, and fails if it is missing still" {
	tools_without bats
	exits 1 env PATH="$PWD/tools" sh "$ROOT/tests/deps"
	expect "calls of apt-get" "update"$'\n'"install -y --no-install-recommends bats" "$(<calls)"
	expect "what is said" "tests/deps: still missing: bats " "$err"
}

@test "tests/deps without apt-get prints the list and exits 1" {
	tools_without bats rsync
	rm tools/apt-get
	exits 1 env PATH="$PWD/tools" sh "$ROOT/tests/deps"
	expect "the list" "tests/deps: missing: bats rsync " "$out"
	expect_like "why nothing was done" "no apt-get here" "$err"
}
