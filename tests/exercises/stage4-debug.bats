#!/usr/bin/env bats
# Exercise of stage 4: USR2 makes the log talk more, and the next USR2 as before.
# shellcheck disable=SC2154 # out, err, daemon, job are set by the helpers

load ../lib/common
load ../lib/service
setup() { stage 4; }
teardown() { clean_up; }

exercise="stage4-signals/README.md: exercises"

@test "USR2 turns debug on: from then on a line tells of each start of COMMAND" {
	launched -i 0.1 start true
	logged 1 ' info repeatd.*started'
	expect "debug lines before" 0 "$(lines repeatd.log '^[^ ]* debug ')" "$exercise"
	kill -USR2 "$daemon"
	logged 2 '^[^ ]* debug .*start' "$exercise"
	logged 1 '^[^ ]* info .*level: debug' "$exercise"
}

@test "a second USR2 goes back to the level of -l" {
	launched -l warning -i 0.1 start true
	kill -USR2 "$daemon"
	logged 2 '^[^ ]* debug ' "$exercise"
	kill -USR2 "$daemon"
	# the next run that fails is still told, and what comes before it is not
	wait_until 10 quiet
}

# quiet: half a second without a new line, which is five beats.
quiet() {
	local before
	before=$(lines repeatd.log)
	sleep 0.5
	[[ $(lines repeatd.log) == "$before" ]]
}

@test "USR2 is not lost during COMMAND's run, and does not reach COMMAND" {
	launched -i 3600 start sh -c 'trap "echo COMMAND got it" USR2; echo ready; while :; do sleep 0.05; done'
	logged 1 'ready$'
	kill -USR2 "$daemon"
	logged 1 'level: debug' "$exercise"
	expect "lines of COMMAND about it" 0 "$(lines repeatd.log 'got it')" "$exercise"
}
