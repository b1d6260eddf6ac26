#!/usr/bin/env bats
# The chapters: the code that they quote is the code that is there, what their terminals show is what happens,
# and where a test says "see:", there is something to see.

load lib/common
load lib/pages

setup_file() { time_limit 240; } # a machine may be slow, and compiles what README.md shows
setup() { cd "$ROOT" || return 1; }

quotes() { sh tests/quotes "$1" || fail "  expected: what $1 quotes is in the sources"; }

drawn() {
	[[ $SLOWER == 1 && -z ${PORTABLE:-} ]] || skip "the system calls would be others"
	needs_strace
	sh tests/trace --check "$1" 3>&- 4>&- || fail "  expected: what $1 draws"
}

# for awk: whether a page has that heading, whatever the case of its letters.
HAS='function has(page, heading,    line) {
	if (!(page in known)) {
		known[page]
		while ((getline line < page) > 0) if (sub(/^##* /, "", line)) is_heading[page, tolower(line)]
	}
	return (page, tolower(heading)) in is_heading
}'

# headings FILE...: the "see:" hints of test files, NAME/README.md and a heading, name headings that exist.
headings() {
	local missing
	missing=$(awk -F '"' "$HAS"'
		/^chapter="/ { chapter = $2 }
		/^[A-Za-z_]+="/ {
			hint = $2
			sub(/^[$]chapter/, chapter, hint)
			if (!match(hint, /README[.]md[:,] /)) next
			page = substr(hint, 1, RSTART + 8)
			heading = substr(hint, RSTART + RLENGTH)
			if (!has(page, heading)) print page ": " heading
		}' "$@")
	expect "headings that tests name and no chapter has" "" "$missing"
}

@test "chapter 1 quotes the sources" { quotes stage1-fork/README.md; }
@test "chapter 2 quotes the sources" { quotes stage2-daemon/README.md; }
@test "chapter 3 quotes the sources" { quotes stage3-pidfile/README.md; }
@test "chapter 4 quotes the sources" { quotes stage4-signals/README.md; }
@test "chapter 5 quotes the sources" { quotes stage5-fifo/README.md; }
@test "chapter 6 quotes the sources" { quotes stage6-leecher/README.md; }

@test "what README.md shows on a terminal happens" { console README.md; }
@test "what chapter 1 shows on a terminal happens" { console stage1-fork/README.md; }
@test "what chapter 2 shows on a terminal happens" { console stage2-daemon/README.md; }
@test "what chapter 3 shows on a terminal happens" { console stage3-pidfile/README.md; }
@test "what chapter 4 shows on a terminal happens" { console stage4-signals/README.md; }
@test "what chapter 5 shows on a terminal happens" { console stage5-fifo/README.md; }
@test "what chapter 6 shows on a terminal happens" { console stage6-leecher/README.md; }

@test "what when-not-to-daemonize.md shows on a terminal happens" {
	command -v runsv >/dev/null || skip "runsv is missing: sh tests/deps --ci"
	unshare -Urpf --mount-proc true 2>/dev/null || skip "unshare is not allowed here"
	console when-not-to-daemonize.md
}

@test "what other-languages.md shows on a terminal happens" { console other-languages.md; }

@test "a page that shows a terminal has a test here that runs it" {
	local page missing=
	for page in $(terminals); do
		[[ $page == stage*.[1-8] ]] || grep -qE "console $page( *;|\$)" "$BATS_TEST_FILENAME" || missing+=" $page"
	done
	expect "pages that no test here gives to console" "" "$missing"
}
@test "what chapter 1 draws is what happens" { drawn stage1-fork/README.md; }
@test "what chapter 2 draws is what happens" { drawn stage2-daemon/README.md; }
@test "what chapter 3 draws is what happens" { drawn stage3-pidfile/README.md; }
@test "what chapter 4 draws is what happens" { drawn stage4-signals/README.md; }
@test "what chapter 5 draws is what happens" { drawn stage5-fifo/README.md; }
@test "what chapter 6 draws is what happens" { drawn stage6-leecher/README.md; }

@test "every heading that a test of stage 1 names exists" { headings tests/stage1-*.bats; }
@test "every heading that a test of stage 2 names exists" { headings tests/stage2-*.bats; }
@test "every heading that a test of stage 3 names exists" { headings tests/stage3-*.bats; }
@test "every heading that a test of stage 4 names exists" { headings tests/stage4-*.bats; }
@test "every heading that a test of stage 5 names exists" { headings tests/stage5-*.bats; }
@test "every heading that a test of stage 6 names exists" { headings tests/stage6-*.bats; }

# sections STAGE: each of its tests lies in a section that has the name of a heading of its chapter, and has a hint.
sections() {
	local missing
	missing=$(. tests/lib/promises.sh && promises "$1" | awk -F '\t' "$HAS"'
		!has($4, $5) { print $4 ": a test in section \"" $5 "\"" }
		$6 == "" { print $4 ": no hint in section \"" $5 "\"" }
		END { if (NR == 0) print "no tests" }' | sort -u)
	expect "sections that are no headings, and sections without a hint" "" "$missing" "CONTRIBUTING.md"
}

@test "every test of stage 1 lies in a section of its chapter, with a hint" { sections 1; }
@test "every test of stage 2 lies in a section of its chapter, with a hint" { sections 2; }
@test "every test of stage 3 lies in a section of its chapter, with a hint" { sections 3; }
@test "every test of stage 4 lies in a section of its chapter, with a hint" { sections 4; }
@test "every test of stage 5 lies in a section of its chapter, with a hint" { sections 5; }
@test "every test of stage 6 lies in a section of its chapter, with a hint" { sections 6; }

@test "every test that a chapter names, as in bats -f 'NAME' FILE, exists" {
	local readme name file missing=
	for readme in README.md stage*/README.md; do
		while IFS='|' read -r name file; do
			# shellcheck disable=SC2086 # it may be a pattern
			cat $file | grep '^@test ' | grep -qE -- "$name" || missing+="$readme: $file: $name"$'\n'
		done < <(grep -oE "bats -f '[^']+' tests/[a-z0-9.*-]+" "$readme" | sed -E "s/bats -f '(.*)' /\1|/")
	done
	expect "tests that chapters name and no file has" "" "$missing"
}
