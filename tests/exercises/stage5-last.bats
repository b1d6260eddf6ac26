#!/usr/bin/env bats
# Exercise of stage 5: the command 'last' tells how the last run ended, and how long it took.
# shellcheck disable=SC2154 # out, err, daemon, job are set by the helpers

load ../lib/common
load ../lib/service
setup() { stage 5; }
teardown() { clean_up; }

exercise="stage5-fifo/README.md: exercises"

# last_says REGEX: for wait_until.
last_says() { [[ $(repeatctl last 2>/dev/null) =~ $1 ]]; }

@test "last tells the exit status of the last run" {
	launched -i 3600 start sh -c 'exit 7'
	wait_until 10 last_says $'(^|\n)exit status: 7($|\n)'
}

@test "last tells the signal that ended the last run" {
	launched -i 3600 start sh -c 'kill -KILL $$'
	wait_until 10 last_says $'(^|\n)signal: 9($|\n)'
}

@test "last tells how long it took, in seconds" {
	launched -i 3600 start sleep 0.3
	wait_until 10 last_says $'(^|\n)took: (0\\.[3-9]|[1-9])'
}

@test "last before the first end of a run is refused with 1, and says why" {
	launched -i 3600 start sleep 60
	exits 1 repeatctl last
	expect_like "the message" '^repeatctl: no run' "$err" "$exercise"
}

@test "help lists last" {
	launched -i 3600 start true
	exits 0 repeatctl help
	expect_like "the list" $'(^|\n)last ' "$out" "$exercise"
}
