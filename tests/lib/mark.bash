# shellcheck shell=bash
# A mark that no process can lose, and the end of everything that carries it.
#
# The mark is a number, set as the limit on file locks (RLIMIT_LOCKS, setrlimit(2)). Linux has not used
# that limit since 2.4.25, but hands it down to every child, whatever the child does: a session of its
# own, another user, a wiped environment. /proc/PID/limits shows it to everybody.
#
# These functions start no process, so that they work where no process can be started any more.
#
# Example: bash -c '. tests/lib/mark.bash; mark_this_process && echo $mark; sleep 9 & end_marked $mark $mark'

# mark_of_process PID: leaves its mark in $mark; fails where there is none.
mark_of_process() {
	local lines
	{ mapfile -t lines <"/proc/$1/limits"; } 2>/dev/null || return 1
	# "Max file locks", the soft limit, the hard limit, "locks": columns of 25, 20 and 20
	mark=${lines[11]:26:20}
	mark=${mark%% *}
	[[ ${lines[11]} == 'Max file locks '* && $mark != *[!0-9]* ]]
}

# Marks within marks: a run of tests has a mark, each of its tests has one of the run's, and if the test runs
# tests, so do these, four deep. The outermost mark is a multiple of 2^45, the ones in it of 2^30, then of 2^15,
# then of 1; to each belong all from it down to the next lower one of its kind. Pids make them different. No
# ordinary process can go back to a higher one.

# size_of MARK: leaves in $size how many marks belong to it.
size_of() {
	size=$((1 << 45))
	while (($1 % size)); do ((size >>= 15)); done
}

# least_mark MARK: leaves in $least the first of those that belong to it.
# shellcheck disable=SC2034 # for whoever asks
least_mark() {
	local size
	size_of "$1"
	least=$(($1 - size + 1))
}

# next_mark PID: leaves in $mark a mark for PID, within that of this process; fails where it is too deep.
next_mark() {
	local size=$((1 << 60))
	! mark_of_process "$$" || size_of "$mark" || :
	((size > 1)) || return 1
	((size < 1 << 60)) || mark=$((1 << 60))
	((mark -= ($1 % 32767 + 1) * (size >> 15)))
}

# mark_this_process: this shell, and all that it will start, get a mark of their own, which is left in $mark.
mark_this_process() { next_mark "$$" && ulimit -x "$mark" 2>/dev/null; }

# know_older: the processes that are there now cannot be descendants of this shell that come later, and are
# not looked at again. Of a pid that comes again meanwhile, tests/lib/fence takes care at the end.
declare -gA older=()
know_older() {
	local process
	for process in /proc/[0-9]*; do older[$process]=1; done
}

# marked FROM TO: the living processes with a mark in that range, but for this shell, in ${found[@]}.
# A zombie is dead.
marked() {
	local process pid lines
	found=()
	for process in /proc/[0-9]*; do
		[[ -z ${older[$process]-} ]] || continue
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
				[[ $stopped == *" $pid "* ]] || kill -STOP "$pid" || : # gone meanwhile
				stopped+="$pid "
			done
			((before <= 1)) || marked "$1" "$2"
		done 2>/dev/null
		((${#found[@]})) || return 0
		((ended >= ${#found[@]})) || ended=${#found[@]}
		kill -KILL "${found[@]}" || :
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
