# shellcheck shell=sh disable=SC2154
# What a daemon costs that has nothing to do. Sourced by tests/bench/run.

switches() { # PID...
	for pid; do cat "/proc/$pid/status"; done | awk '/ctxt_switches/ { sum += $2 } END { print sum }'
}

dirty() { # PID...
	for pid; do awk '/^Private_Dirty/ { print $2 }' "/proc/$pid/smaps_rollup"; done |
		sort -n | awk '{ kib[NR] = $1 } END { print kib[int((NR + 1) / 2)] }'
}

# supervisors NAME COMMAND: five in directories of their own, each with a program that sleeps.
supervisors() {
	pids=
	for n in 1 2 3 4 5; do
		mkdir -p "$place/$1.$n"
		printf '#!/bin/sh\nexec sleep 3600\n' >"$place/$1.$n/run"
		chmod +x "$place/$1.$n/run"
		"$1" "$place/$1.$n" >/dev/null 2>&1 &
		pids="$pids $!"
	done
	started="$started $pids"
}

# shellcheck disable=SC2086 # pids are words
measure() {
	printf '\nidle for 10 s: five of each at the same time\n'
	ours=
	# Pages of a program that is not on its disk yet would count as dirty.
	sync "$repeatd"
	for n in 1 2 3 4 5; do
		"$repeatd" -p "$n.pid" -o "$n.log" -c "$n.ctl" -i 3600 start true >/dev/null || {
			cannot "repeatd $n does not start"
			return
		}
		ours="$ours $(cat "$n.pid")"
	done
	peers=
	! have runsv || { supervisors runsv && runsv=$pids peers='runsv'; }
	! have s6-supervise || { supervisors s6-supervise && s6=$pids peers="$peers s6"; }
	sleep 2
	before="$(switches $ours) ${runsv:+$(switches $runsv)} ${s6:+$(switches $s6)}"
	sleep 10
	after="$(switches $ours) ${runsv:+$(switches $runsv)} ${s6:+$(switches $s6)}"
	echo 'median of five                wake-ups of all   private dirty KiB   to repeatd'
	set -- $before
	own=$(dirty $ours)
	for now in $after; do
		woken="${woken:-}$((now - $1)) "
		shift
	done
	set -- $woken
	printf '%-28s %16s %19s %12s\n' 'repeatd -i 3600' "$1" "$own" 1.00
	goal 'idle repeatd -i 3600: wake-ups in 10 s, of five' "$1" most 0
	for peer in $peers; do
		shift
		case $peer in
		runsv) kib=$(dirty $runsv) name=runsv ;;
		*) kib=$(dirty $s6) name=s6-supervise ;;
		esac
		printf '%-28s %16s %19s %12s\n' "$name" "$1" "$kib" "$(ratio "$kib" "$own")"
		[ $peer != runsv ] || goal 'idle repeatd -i 3600: private dirty memory, to runsv' "$(ratio "$own" "$kib")" most 1.3
	done
}
