# shellcheck shell=bash
# A mark that no process can lose, and the end of everything that carries it.
#
# The mark is a number, set as the limit on file locks (RLIMIT_LOCKS, setrlimit(2)). Linux has not used
# that limit since 2.4.25, but hands it down to every child, whatever the child does: a session of its
# own, another user, a wiped environment. /proc/PID/limits shows it to everybody.
#
# These functions start no process, so that they work where no process can be started any more.
#
# Example: bash -c '. tests/lib/mark.bash; mark_this_process 7 && echo $mark; sleep 9 & end_marked $mark $mark'

# mark_of_process PID: leaves its mark in $mark; fails where there is none.
mark_of_process() {
	local lines
	{ mapfile -t lines <"/proc/$1/limits"; } 2>/dev/null || return 1
	# "Max file locks", the soft limit, the hard limit, "locks": columns of 25, 20 and 20
	mark=${lines[11]:26:20}
	mark=${mark%% *}
	[[ ${lines[11]} == 'Max file locks '* && $mark != *[!0-9]* ]]
}

# mark_this_process NUMBER: this shell and all that it starts get a mark; it is left in $mark.
# Within a run that is marked itself (tests that run tests), it is one of the 1000 numbers below that
# run's mark, and so part of that run; else one of its own, for every NUMBER below 512.
mark_this_process() {
	if mark_of_process "$$"; then
		((mark -= 1 + $1 % 1000))
	else
		local from=${MARKS_FROM:-}
		[[ -n $from ]] || marks_from
		mark=$((from + ($1 + 1) * 1024))
	fi
	ulimit -x "$mark" 2>/dev/null
}

# marks_from: leaves in $from a number; the 64 million marks above it belong to whoever asked: tests/lib/batch
# has them for all of its tests.
marks_from() { from=$(((EPOCHSECONDS % 1048576 * 32768 + $$ % 32768) * 67108864)); }

# marked FROM TO: the living processes with a mark in that range, but for this shell, in ${found[@]}.
# A zombie is dead.
marked() {
	local process pid lines
	found=()
	for process in /proc/[0-9]*; do
		pid=${process#/proc/}
		mark_of_process "$pid" || continue
		((mark >= $1 && mark <= $2 && pid != $$ && pid != BASHPID)) || continue
		{ read -r lines <"/proc/$pid/stat"; } 2>/dev/null || continue
		lines=${lines##*) }
		[[ ${lines%% *} == [ZX] ]] || found+=("$pid")
	done
}

# end_marked FROM TO: ends them all. Whoever forks faster than it is killed is stopped first: stopped
# processes make no new ones, so that a round comes in which there is none that is not stopped yet.
# Leaves in $ended how many there were at most.
end_marked() {
	local round pid mark found stopped before
	ended=0
	for ((round = 0; round < 1000; round++)); do
		stopped=' '
		before=-1
		marked "$1" "$2"
		while ((${#found[@]} > before && before < 100000)); do
			before=${#found[@]}
			for pid in "${found[@]}"; do
				[[ $stopped == *" $pid "* ]] || kill -STOP "$pid"
				stopped+="$pid "
			done
			((before <= 1)) || marked "$1" "$2"
		done 2>/dev/null
		((${#found[@]})) || return 0
		((ended >= ${#found[@]})) || ended=${#found[@]}
		kill -KILL "${found[@]}"
	done 2>/dev/null
	return 1
}

# watch_marked FROM TO: looks twice a second, and ends them all when there are more than FENCE.
watch_marked() {
	local found
	while sleep 0.5; do
		marked "$1" "$2"
		((${#found[@]} <= FENCE)) || end_marked "$1" "$2"
	done
}
