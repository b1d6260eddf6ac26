#!/usr/bin/env bats
# Exercise of stage 2: detach -w SECONDS COMMAND is a failure if COMMAND does not live so long.
# shellcheck disable=SC2154 # out and err come from exits

load ../lib/common
setup() { stage 2; }
teardown() { clean_up; }

exercise="stage2-daemon/README.md: exercises"

@test "-w: a COMMAND that ends too soon is 125, with its name and the time" {
	exits 125 detach -w 5 sleep 0.2
	expect "stdout" "" "$out" "$exercise"
	expect_like "the message" '^detach: sleep: .* 5' "$err" "$exercise"
}

@test "-w does not wait longer than it must for one that ends" {
	local begin
	exits 0 detach -w 0.1 sleep 60
	begin=$SECONDS
	exits 125 detach -w 60 true
	((SECONDS - begin < 30 * SLOWER)) || fail "it took $((SECONDS - begin)) s" "  see:      $exercise"
}

@test "-w: a COMMAND that lives long enough is launched, and its pid printed only then" {
	exits 0 detach -w 0.5 sh -c "sleep 0.3; : >'$PWD/half'; sleep 60"
	[[ -e half ]] || fail "it did not wait" "  see:      $exercise"
	alive "$out" || fail "COMMAND was ended" "  see:      $exercise"
}

@test "-w: COMMAND still has descriptors 0, 1, 2 and no other" {
	exits 0 detach -w 0.2 sleep 60
	expect "descriptors" "0 1 2" "$(descriptors "$out")" "$exercise"
}

@test "-w with anything but a number of seconds is 125" {
	exits 0 detach -w 0 true
	for bad in x '' -1 1s; do
		exits 125 detach -w "$bad" true
		expect_like "the message" '^detach: -w' "$err" "$exercise"
	done
}
