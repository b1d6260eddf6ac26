#!/usr/bin/env bats
# Exercise of stage 6: leecherctl show NAME tells what is known of one item.
# shellcheck disable=SC2154 # out, err are set by the helpers

load ../lib/common
load ../lib/leecher
setup() { leecher_stage; }
teardown() { clean_up; }

exercise="stage6-leecher/README.md: exercises"

# is_done NAME: the ledger says so.
is_done() { leecherctl -c leecher.conf items 2>/dev/null | grep -qE "^done .* $1\$"; }

@test "show tells state, size, and the name here" {
	printf 123456 >from/x
	leech 0 start
	wait_until 15 is_done x
	ctl 0 show x
	expect "what is shown" $'state: done\nsize: 6 B\ntries: 0\npublished as: x' "$out" "$exercise"
}

@test "show of an item that nobody knows is refused with 1" {
	leech 0 start
	ctl 1 show nothing
	expect_like "the message" 'nothing: no such item' "$err" "$exercise"
}

@test "show of a name with a newline in it has no line of its own" {
	echo evil >from/$'x\nstate: failed'
	leech 0 start
	wait_until 15 is_done '.*'
	ctl 0 show $'x\nstate: failed'
	expect "lines that begin with state:" 1 "$(grep -c ^state: .out)" "$exercise"
	expect_like "the name here" 'published as: x\\x0astate' "$out" "$exercise"
}
