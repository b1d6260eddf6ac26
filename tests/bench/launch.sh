# shellcheck shell=sh disable=SC2154
# From the exec of a launcher to the first effect of its COMMAND. Sourced by tests/bench/run.

launchers() {
	tab=$(printf '\t')
	effect="$work/mark$tab$work/effect"
	echo "detach$tab$detach$tab$effect"
	! have daemonize >&2 || echo "daemonize${tab}daemonize$tab$effect"
	! have daemon >&2 || echo "daemon${tab}daemon$tab-U$tab--$tab$effect"
	! have start-stop-daemon >&2 || printf '%s\t' "start-stop-daemon -b" start-stop-daemon -S -b \
		-p "$work/none.pid" -a "$work/mark" -- "$work/effect" | sed 's/\t$/\n/'
	! have setsid >&2 || echo "setsid -f${tab}setsid$tab-f$tab$effect"
	if /usr/bin/python3 -c 'import daemon' 2>/dev/null; then
		echo "python3-daemon$tab/usr/bin/python3$tab$root/tests/bench/launch.py$tab$effect"
	else
		echo '(without python3-daemon: not installed)' >&2
	fi
	echo "exec alone, no daemon$tab$effect"
}

launch_at() { # DESCRIPTORS
	runs=${RUNS:-100}
	rm -f "$work/effect"
	mkfifo "$work/effect"
	printf '\nlaunch to the first effect of COMMAND, %s descriptors inherited\n' "$1"
	launchers >"$work/list"
	"$work/launch" "$runs" "$1" "$work/effect" <"$work/list" >"$work/out" || {
		cannot "launch at $1 descriptors"
		return
	}
	ours=$(median_of detach)
	echo "medians of $runs interleaved runs      us   to detach"
	while IFS="$(printf '\t')" read -r name us; do
		printf '%-32s %7.0f   %6.2f\n' "$name" "$us" "$(ratio "$us" "$ours")"
	done <"$work/out"
	theirs=$(median_of daemonize)
	[ -z "$theirs" ] || goal "launch at $1 descriptors, to daemonize" "$(ratio "$ours" "$theirs")" most 1.0
	theirs=$(median_of python3-daemon)
	[ -z "$theirs" ] || goal "launch at $1 descriptors, faster than python3-daemon" "$(ratio "$theirs" "$ours")" least 15
}

measure() {
	launch_at 1024
	# shellcheck disable=SC3045 # every sh of today has it
	limit=$(ulimit -Hn)
	if [ "$limit" = unlimited ] || [ "$limit" -ge 20000 ]; then
		launch_at 20000
	else
		printf '\n(the limit on open files is %s here, not 20000)\n' "$limit"
		launch_at "$limit"
	fi
}
