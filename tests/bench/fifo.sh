# shellcheck shell=sh disable=SC2154
# Many writers, many commands. Sourced by tests/bench/run.

measure() {
	runs=${RUNS:-21}
	printf '\nFIFO: 20 writers, 500 commands each, beside the same lines through a bare pipe\n'
	echo "medians of $runs interleaved runs         pipe, lines/s   FIFO, lines/s   ratio"
	for level in info warning; do
		what='results logged'
		[ "$level" = info ] || what='results not logged'
		if ! start_repeatd "$level" || ! "$work/fifo" "$runs" 20 500 repeatd.ctl "level $level" >"$work/out"; then
			cannot "FIFO at level $level"
			stop_all
			continue
		fi
		through=$(ratio "$(median_of fifo)" "$(median_of pipe)")
		printf '%-34s %16.0f %15.0f %7s\n' "$what" "$(median_of pipe)" "$(median_of fifo)" "$through"
		goal "FIFO, 10,000 commands, $what: rate to a bare pipe" "$through" least 0.33
		if [ "$level" = info ]; then
			lost=$((runs * 10000 - $(grep -c 'command level: ok$' repeatd.log)))
			echo "of $((runs * 10000)) commands, results missing in the log: $lost"
			goal 'FIFO: commands lost' "$lost" most 0
		fi
		stop_all
	done
}
