# shellcheck shell=sh disable=SC2154
# A command and its answer. Sourced by tests/bench/run.

measure() {
	runs=${RUNS:-21}
	printf '\ncontrol: a command and its answer, beside a byte there and back over two pipes\n'
	if ! start_repeatd warning || ! "$work/roundtrip" "$runs" 1000 repeatd.ctl 'level warning' >"$work/out"; then
		cannot control
		return
	fi
	echo "medians of $runs interleaved runs of 1000       us   to the pipes"
	printf '%-38s %10.1f   %12s\n' 'two bare pipes' "$(median_of pipes)" 1.00
	trip=$(ratio "$(median_of control)" "$(median_of pipes)")
	printf '%-38s %10.1f   %12s\n' 'command and answer' "$(median_of control)" "$trip"
	goal 'control round trip, to two bare pipes' "$trip" most 3
}
