#!/usr/bin/env bats
# Exercise of stage 1: forkoff -n COUNT COMMAND starts COUNT of them and prints a pid for each.
# shellcheck disable=SC2154 # out and err come from exits

load ../lib/common
setup() { stage 1; }
teardown() { clean_up; }

exercise="stage1-fork/README.md: exercises"

# are NAME COUNT: so many processes of this test run that program.
are() { (($(marked_pids | while read -r pid; do cat "/proc/$pid/comm" 2>/dev/null; done | grep -cx "$1") == $2)); }

@test "-n 3 prints three pids, a line each, all different" {
	exits 0 forkoff -n 3 sleep 60
	expect_like "the pids" $'^[0-9]+\n[0-9]+\n[0-9]+$' "$out" "$exercise"
	expect "different ones" 3 "$(sort -u .out | wc -l)" "$exercise"
}

@test "-n 3 starts three, not seven: a child never goes round the loop" {
	exits 0 forkoff -n 3 sleep 60
	wait_until 10 are sleep 3
	for pid in $out; do expect "COMMAND of $pid" sleep "$(cat "/proc/$pid/comm")" "$exercise"; done
}

@test "-n 2 with a pipe on standard output prints each pid once" {
	exits 0 sh -c 'forkoff -n 2 true | cat'
	expect "lines" 2 "$(wc -l <.out)" "$exercise"
}

@test "-n with anything but a number from 1 up is 125, says so, and starts nothing" {
	exits 0 forkoff -n 1 true
	for bad in 0 -1 '' x 1x ' 1' 99999999999999999999; do
		exits 125 forkoff -n "$bad" sh -c ': >made'
		expect_like "the message" '^forkoff: -n .*: ' "$err" "$exercise"
	done
	[[ ! -e made ]] || fail "COMMAND was run" "  see:      $exercise"
}
