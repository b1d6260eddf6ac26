#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # backticks and $ are those of pages; exits sets out; each test has its place
#
# Manuals and pages: their examples work, for everybody; what they name exists; and the tools that say so would say it
# if it were not so.

load lib/common
load lib/pages

setup_file() { time_limit 240; } # a machine may be slow, and compiles what README.md shows
setup() { cd "$ROOT" || return 1; }
teardown() { [[ -z ${place-} ]] || rm -rf "$place"; }

# here NAME: a page NAME of the test's own, whose text is standard input.
here() {
	cd "$BATS_TEST_TMPDIR" || return 1
	cat >"$1"
}

@test "what the manuals show as examples happens" {
	local page failed=
	for page in stage[1-6]-*/*.[1-8]; do console "$page" || failed+=" $page"; done
	expect "manuals with examples that do not work" "" "$failed"
}

@test "what pages show on a terminal happens for an unprivileged user, too" {
	needs_root
	local page all=()
	place=$(mktemp -d)
	# the checkout may be for root's eyes only
	find . -mindepth 1 -maxdepth 1 ! -name .git ! -name work ! -name 'stage*' -exec cp -R {} "$place" \;
	cp -R "$STAGES"/stage[1-6]-* "$place"
	chmod -R a+rX "$place" && chown -R 65534:65534 "$place"
	for page in $(terminals); do
		[[ $page != when-not-to-daemonize.md ]] ||
			{ command -v runsv && as_nobody unshare -Urpf --mount-proc true; } >/dev/null 2>&1 || continue
		all+=("$page")
	done
	# beside each other: they wait more than they work
	(cd "$place" && printf '%s\n' "${all[@]}" |
		as_nobody env -u STAGES HOME="$place" xargs -n 1 -P 4 sh tests/console) 3>&- 4>&- ||
		fail "  expected: what these pages show, as user 65534"
}

@test "no page shows a terminal that is never run" {
	# shellcheck disable=SC2046 # our own names
	sh tests/console --look $(pages) || fail "  expected: nothing that looks like a terminal and is none"
}

# looks WORDS: of what stands in the page x.md, tests/console says these.
looks() {
	here x.md
	exits 1 sh "$ROOT/tests/console" x.md
	expect_like "what is said of such a page" "$1" "$out"
}

@test "tests/console refuses a page without a block, and all that only looks like one" {
	looks 'no console block' <<<'text'
	looks 'x.md:4: this is never run' <<<$'```console\n$ true\n```\n  ```console\n  $ true\n  ```'
	looks 'x.md:4: this is never run' <<<$'```console\n$ true\n```\n```console of mine\n$ true\n```'
	looks 'x.md:4: this is never run' <<<$'```console\n$ true\n```\n~~~Console\n$ true\n~~~'
	looks 'x.md:4: this is never run' <<<$'```console\n$ true\n```\n> ```console\n> $ true\n> ```'
	looks 'x.md:5: a prompt' <<<$'```console\n$ true\n```\n```sh\n$ true\n```'
	looks 'x.md:5: a prompt' <<<$'```console\n$ true\n```\n```\n$ true\n```'
	looks 'x.md:5: a prompt' <<<$'```console\n$ true\n```\n\n    $ true'
	looks 'a fence does not end' <<<$'```console\n$ true\n```\n```text\nopen'
}

@test "tests/console refuses what differs, what hangs, and what ends its shell" {
	looks $'\n-two\n[+]one' <<<$'```console\n$ echo one\ntwo\n```'
	looks $'\n[+]two' <<<$'```console\n$ echo one; echo two\none\n```'
	looks $'\n-two' <<<$'```console\n$ echo one\none\ntwo\n```'
	looks 'ended its shell' <<<$'```console\n$ exit 0\n```'
	LIMIT=1 looks 'did not end within 1 s' <<<$'```console\n$ sleep 60\n```'
}

@test "docs-update shows the difference, keeps placeholders, and writes only when it may" {
	local page=$'```console\n$ echo pid $$ new\npid PID old\n$ echo "$$"; date\nPID\n...\n```\ntail'
	here x.md <<<"$page"
	exits 1 sh "$ROOT/tests/console" --update x.md
	expect_like "the difference" $'\n-pid PID old\n[+]pid [0-9]+ new' "$out"
	expect "the page, without leave" "$page" "$(<x.md)"
	exits 1 on_terminal "printf 'n\n' | sh '$ROOT/tests/console' --update x.md"
	expect "the page, after a no" "$page" "$(<x.md)"
	YES=1 exits 0 sh "$ROOT/tests/console" --update x.md
	expect_like "the page, with leave" $'^```console\n[$] echo pid [$][$] new\npid [0-9]+ new\n[$] echo "[$][$]"; date\nPID\n[.]{3}\n```\ntail$' "$(<x.md)"
}

@test "docs-update asks on a terminal" {
	here x.md <<<$'```console\n$ echo new\nold\n```'
	echo y | timeout 20 script -qec "sh '$ROOT/tests/console' --update x.md" /dev/null >.out 2>&1 3>&- 4>&-
	expect_like "what is asked" 'write this[?]' "$(<.out)"
	expect "the page, after a yes" $'```console\n$ echo new\nnew\n```' "$(<x.md)"
}

# source_to_quote: a file x.c to be quoted. lies TEXT COMPLAINT: of a page with that text tests/quotes complains so.
source_to_quote() {
	cd "$BATS_TEST_TMPDIR" || return 1
	printf '%s\n' '/* Adds one. */' int 'more(int n)' '{' '	n++;' '	return n;' '}' '' 'struct pair {' '	int a;' '};' >x.c
}
lies() {
	printf '%s\n' "$1" >x.md
	exits 1 sh "$ROOT/tests/quotes" x.md
	expect_like "what is said of: $1" "^x.md:[0-9]+: $2" "$out"
}

@test "tests/quotes refuses a quote that differs, is cut without a mark, or quotes what is gone" {
	source_to_quote
	lies $'```c x.c more\nint\nmore(int n)\n{\n\tn--;\n\treturn n;\n}\n```' 'not what x.c says'
	lies $'```c x.c more\nint\nmore(int n)\n{\n\treturn n;\n}\n```' 'not what x.c says'
	lies $'```c x.c more\nint\nmore(int n)\n{\n\tn++;\n```' 'the quote ends before more does'
	lies $'```c x.c less\nint\nless(int n)\n```' 'no such function in x.c: less'
	lies $'```c y.c more\nint\n```' 'no such file: y.c'
	lies $'```c x.c more\n```' 'an empty quote'
	lies $'  ```c x.c more\n  int less;\n  ```' 'looks like a quote, and is none'
	lies $'```c x.c more \nint less;\n```' 'looks like a quote, and is none'
	lies 'no quote at all' 'quotes nothing'
}

@test "tests/quotes takes a function with or without its comment, a piece of a file, and /* ... */ for lines left out" {
	source_to_quote
	printf '%s\n' '```c x.c more' '/* Adds one. */' int 'more(int n)' '{' '	n++;' '	return n;' '}' '```' \
		'```c x.c more' int 'more(int n)' '{' '	/* ... */' '}' '```' '```c x.c' 'struct pair {' '	int a;' '```' >x.md
	exits 0 sh "$ROOT/tests/quotes" x.md
}

@test "what README.md and other pages at the top name exists" {
	sh tests/links ./*.md || fail "  expected: links, files, targets and functions that exist"
}
@test "what the chapters name exists" {
	sh tests/links stage[1-6]-*/README.md || fail "  expected: links, files, targets and functions that exist"
}

# gone TEXT COMPLAINT: in a copy of stage 2's chapter with that text, tests/links complains so.
gone() {
	cd "$BATS_TEST_TMPDIR" || return 1
	[[ -e tests ]] || cp -R "$ROOT/tests" "$ROOT/Makefile" "$ROOT/README.md" "$ROOT/stage2-daemon" .
	printf '# One thing\n\n%s\n' "$1" >stage2-daemon/README.md
	exits 1 sh tests/links stage2-daemon/README.md
	expect_like "what is said of: $1" "README.md:[0-9]+: no such $2\$" "$out"
}

@test "tests/links sees what is gone" {
	gone 'see [there](../stage3-pidfile/README.md)' 'link: ../stage3-pidfile/README.md'
	gone 'see [there](gone.c)' 'link: gone.c'
	gone 'see [there](#another-thing)' 'link: #another-thing'
	gone 'see [there](../README.md#another-thing)' 'link: ../README.md#another-thing'
	gone 'it is in `gone.c`' 'file: gone.c'
	gone 'it is in `gone.[ch]`' 'file: gone.\[ch\]'
	gone 'it is in `tests/gone`' 'path: tests/gone'
	gone 'look into `stage7-more/`' 'path: stage7-more/'
	gone 'as in stage 2'"'"'s `gone.c`' 'path: stage2-[*]/gone.c'
	gone '    cp -r stage2-gone ~/my-daemon' 'path: stage2-gone'
	gone 'call `make gone`' 'target: gone'
	gone $'```sh\nmake && make gone X=1\n```' 'target: gone'
	gone 'by `gone()`' 'function: gone'
	gone 'by `settle_out`' 'word: settle_out'
	gone 'Then `make bug BUG=no-such-bug`' 'bug: no-such-bug'
}

@test "tests/links finds what is there" {
	cd "$BATS_TEST_TMPDIR" || return 1
	cp -R "$ROOT/tests" "$ROOT/Makefile" "$ROOT/README.md" "$ROOT/stage2-daemon" .
	printf '%s\n' '# One `thing`: it is here' '' 'see [a](#one-thing-it-is-here), [b](detach.c), [c](../README.md#the-map)' \
		'`daemon.[ch]` `tests/run` `tests/stage*-*.bats` `make test-stage2` `fork()` `settle_in` `pidfd_open`' \
		"git's \`run-command.c\`" '    make CC=clang && tests/run 2' >stage2-daemon/README.md
	exits 0 sh tests/links stage2-daemon/README.md
}
