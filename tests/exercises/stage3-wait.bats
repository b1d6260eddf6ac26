#!/usr/bin/env bats
# Exercise of stage 3: repeatd wait sleeps until the daemon has ended.
# shellcheck disable=SC2154 # out, err, daemon, job are set by the helpers

load ../lib/common
load ../lib/service
setup() { stage 3; }
teardown() { clean_up; }

exercise="stage3-pidfile/README.md: exercises"

# sleeping PID: it does nothing but wait.
sleeping() { [[ $(stat_field "$1" 3) == S ]]; }

@test "wait returns with 0 at once when nothing runs" {
	exits 0 repeatd wait
}

@test "wait returns with 0 once the daemon has ended, however it ended" {
	for signal in TERM KILL; do
		launched -i 3600 start true
		beside repeatd wait
		wait_until 10 sleeping "$job"
		lives "$job" "wait, while the daemon runs" "$exercise"
		kill -s "$signal" "$daemon"
		ended 0 "$exercise"
	done
}

@test "wait polls nothing while the daemon runs" {
	launched -i 3600 start true
	beside repeatd wait
	wait_until 10 sleeping "$job"
	sleep 0.2
	lives "$job" "wait, while the daemon runs" "$exercise"
	before=$(proc_status "$job" voluntary_ctxt_switches)
	sleep 1
	expect "times it woke up in a second" "$before" "$(proc_status "$job" voluntary_ctxt_switches)" "$exercise"
}

@test "wait does not end the daemon, nor touch its files" {
	launched -i 3600 start true
	beside repeatd wait
	wait_until 10 sleeping "$job"
	kill -TERM "$job"
	wait_until 10 dead "$job"
	exits 0 repeatd status
	expect "the pid file" "$daemon" "$(<repeatd.pid)" "$exercise"
	exits 0 repeatd stop
	exits 0 repeatd wait
}
