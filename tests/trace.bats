#!/usr/bin/env bats
# tests/trace: what it draws is what happened, and the same each time; a chapter that draws something else is refused.

# shellcheck disable=SC2154,SC2016 # out and err: exits sets them; programs that are written here
load lib/common

setup() {
	stage 1
	((SLOWER == 1)) || skip "the system calls would be others"
	needs_strace
	mkdir programs
}
teardown() { clean_up; }

trace() { sh "$ROOT/tests/trace" "$@"; }

# program NAME LINE...: a program of that name in ./programs.
program() {
	printf '%s\n' "${@:2}" >"programs/$1"
	chmod +x "programs/$1"
}

# known: programs/forkoff, in C, whose system calls are known.
known() {
	cat >forkoff.c <<-'END'
		#define _GNU_SOURCE
		#include <fcntl.h>
		#include <sys/stat.h>
		#include <sys/wait.h>
		#include <unistd.h>
		int main(int argc, char *argv[])
		{
			int line[2], lock = open("x.pid", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
			struct flock whole = { .l_type = F_WRLCK };
			char word[3];
			(void)argc;
			if (pipe2(line, O_CLOEXEC) < 0 || fcntl(lock, F_SETLK, &whole) < 0)
				return 1;
			if (fork() == 0) {
				setsid();
				umask(027);
				chdir("/");
				write(line[1], "hi\n", 3);
				execvp(argv[1], &argv[1]);
				_exit(127);
			}
			read(line[0], word, 3);
			unlink("x.pid");
			wait(NULL);
			return 7;
		}
	END
	cc -w -o programs/forkoff forkoff.c
}
KNOWN='sequenceDiagram
    participant shell
    participant forkoff
    participant x_pid as x.pid
    participant daemon_then_true as daemon, then true
    shell->>forkoff: fork, exec forkoff true
    forkoff->>x_pid: open, lock
    forkoff->>daemon_then_true: fork
    Note over daemon_then_true: setsid: a session of its own<br/>umask 027<br/>chdir /
    daemon_then_true->>forkoff: "hi"
    forkoff->>x_pid: unlink
    Note over daemon_then_true: exec true
    daemon_then_true-->>forkoff: exits with 0
    forkoff-->>shell: exits with 7'

@test "a program whose system calls are known is drawn as known" {
	known
	exits 0 trace -d programs 1 'forkoff true'
	expect "the diagram" "$KNOWN" "$out"
}

@test "twelve runs at once are drawn alike" {
	local run pids=()
	known
	for run in {1..12}; do
		trace -d programs 1 'forkoff true' >"drawn.$run" 2>&1 3>&- 4>&- &
		pids+=($!)
	done
	wait "${pids[@]}" # a bare one would wait for bats itself
	for run in {1..12}; do
		expect "diagram $run" "$KNOWN" "$(<"drawn.$run")"
	done
}

@test "a script is drawn without the start-up of its interpreter" {
	local daemon='os.setsid()
os.fork() and os._exit(0)
os.umask(0o77)
os.execvp("sleep", ["sleep", "60"])'
	[[ -x /usr/bin/python3 ]] || skip "needs /usr/bin/python3"
	program forkoff '#!/usr/bin/python3' 'import os' 'if os.fork():' '    os.wait()' '    os._exit(3)' "$daemon"
	exits 0 trace -d programs 1 'forkoff'
	expect "the diagram" 'sequenceDiagram
    participant shell
    participant forkoff
    participant middle
    participant daemon_then_sleep as daemon, then sleep
    shell->>forkoff: fork, exec forkoff
    forkoff->>middle: fork
    Note over middle: setsid: a session of its own
    middle->>daemon_then_sleep: fork
    middle-->>forkoff: exits with 0
    Note over daemon_then_sleep: an orphan: gets another parent
    forkoff-->>shell: exits with 3
    Note over daemon_then_sleep: umask 077<br/>exec sleep 60' "$out"
	program forkoff '#!/bin/sh' 'cd / || exit' 'sleep 60 &'
	exits 0 trace -d programs 1 'forkoff'
	expect_like "the diagram of a shell script" 'Note over forkoff: (catches INT<br/>)?chdir /' "$out"
	expect_like "the diagram of a shell script" 'exec sleep 60' "$out"
}

@test "what is repeated is drawn once, and what is left out by look is not drawn" {
	program beat '#!/bin/sh' 'for i in 1 2 3 4; do echo a >one; echo b >two; done'
	exits 0 trace -d programs 1 'beat'
	expect_like "the diagram" 'loop 4 times' "$out"
	program forkoff '#!/bin/sh' 'exit 4'
	exits 0 trace -d programs 1 'beat; look; forkoff'
	expect_like "the diagram" 'forkoff-->>shell: exits with 4' "$out"
	[[ $out != *loop* ]] || fail "what was before look is drawn" "$out"
}

@test "what would mean something to Mermaid is written as an entity" {
	known
	exits 0 trace -d programs 1 'forkoff sh -c ": <a; exit #50%"'
	expect_like "the diagram" 'exec sh -c : #lt;a#59; exit #35;50#37;' "$out"
}

@test "commands that hang are ended at the deadline, and drawn as far as they came" {
	SECONDS=0
	LIMIT=1 exits 1 trace 1 'forkoff sleep 60; while :; do :; done'
	expect_like "what is said" 'no end after 1 s' "$err"
	expect_like "what is drawn" 'forkoff->>child_then_sleep: fork' "$out"
	((SECONDS < 20)) || fail "it took $SECONDS s"
	expect "processes left" "" "$(marked_pids)"
}

@test "nothing is left running, whatever it did to get away" {
	program forkoff '#!/bin/sh' 'trap "" TERM HUP' 'env -i setsid sh -c "sleep 61 & sleep 62" &'
	exits 0 trace -d programs 1 'forkoff; forkoff'
	expect "processes left" "" "$(marked_pids; pgrep -fx 'sleep 6[12]')"
}

@test "a chapter whose diagram lies is refused, and can be drawn anew" {
	printf '%s\n' 'Text.' "<!-- make trace STAGE=1 CMD='forkoff sleep 60' -->" '```mermaid' '```' 'More text.' >README.md
	exits 0 trace --update README.md
	exits 0 trace --check README.md
	cp README.md good
	sed -i 's/exits with 0/exits with 1/' README.md
	exits 1 trace --check README.md
	expect_like "what is said" "README.md:2: .*-    forkoff-->>shell: .*exits with 1" "$out"
	exits 0 trace --update README.md
	expect "the chapter" "$(<good)" "$(<README.md)"
	sed -i '/Note over/d' README.md
	exits 1 trace --check README.md
}

@test "a chapter without a traced diagram, or with one drawn by hand, is refused" {
	printf '%s\n' 'Text.' >README.md
	exits 1 trace --check README.md
	expect "what is said" "README.md: no traced diagram" "$out"
	printf '%s\n' "<!-- make trace STAGE=1 CMD='forkoff sleep 60' -->" '```mermaid' '```' >README.md
	exits 0 trace --update README.md
	printf '%s\n' '```mermaid' 'sequenceDiagram' '    a->>b: c' '```' >>README.md
	exits 1 trace --check README.md
	expect_like "what is said" "a sequence diagram without a mark" "$out"
	printf '%s\n' "<!-- make trace STAGE=1 CMD='forkoff sleep 60' -->" 'no fence' >README.md
	exits 1 trace --check README.md
	expect_like "what is said" "README.md:1: no mermaid fence below" "$out"
	printf '%s\n' '```mermaid' 'sequenceDiagram' '```' >lie
	printf '%s\n' "<!-- make trace STAGE=1 CMD='forkoff sleep 60' -->" '```mermaid' '```' >README.md
	exits 0 trace --update README.md
	{ echo '<!-- make trace STAGE=1 CMD="forkoff sleep 60" -->' && cat lie; } >>README.md
	exits 1 trace --check README.md
	expect_like "what is said" "README.md:[0-9]+: a mark of another form" "$out"
}

@test "a picture needs mermaid-cli and says so; a page does without" {
	mkdir tools
	PATH=$PWD/tools:$PATH
	if ! command -v mmdc; then
		exits 1 trace -o x.svg 1 'forkoff sleep 60'
		expect_like "what is said" "npm install --global @mermaid-js/mermaid-cli" "$err"
		exits 0 trace -o x.html 1 'forkoff sleep 60'
		grep -q 'forkoff-&gt;&gt;child_then_sleep: fork' x.html || fail "the page has no diagram" "$(<x.html)"
	fi
	printf '%s\n' '#!/bin/sh' 'while [ $# -gt 0 ]; do case $1 in --output) echo "<svg/>" >"$2" ;; esac; shift; done' >tools/mmdc
	chmod +x tools/mmdc
	exits 0 trace -o x.svg 1 'forkoff sleep 60'
	expect "the picture" "<svg/>" "$(<x.svg)"
	exits 0 trace -o x.html 1 'forkoff sleep 60'
	grep -q '^<svg/>$' x.html || fail "the page has no picture" "$(<x.html)"
	exits 2 trace -o x.png 1 'forkoff sleep 60'
}

@test "make trace draws a chapter's first diagram, or CMD with the programs in DIR" {
	# the programs are those of this repository, whatever is tested
	[[ -z ${PROGRAMS:-} && $STAGES == "$ROOT" ]] || skip "only for the repository's own programs"
	exits 0 make -s -C "$ROOT" trace STAGE=1
	awk '/^```mermaid/ { on = 1; next } /^```/ { if (on) exit } on' "$ROOT/stage1-fork/README.md" >chapter
	expect "the diagram" "$(<chapter)" "$out"
	known
	exits 0 make -s -C "$ROOT" trace STAGE=1 DIR="$PWD/programs" CMD='forkoff true'
	expect "the diagram" "$KNOWN" "$out"
	exits 2 make -s -C "$ROOT" trace STAGE=7 DIR="$PWD/programs"
	exits 1 trace 1 :
	expect_like "what is said" "nothing to draw" "$err"
}
