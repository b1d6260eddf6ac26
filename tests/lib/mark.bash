# shellcheck shell=bash
# A mark that no process can lose, and the end of everything that carries it. For common.bash, and for fence.
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

# stop_marked FROM TO: stops them all, each at first sight, until a look finds nobody new: who is stopped makes no
# more processes. Whom one look has seen, the next one leaves alone, and so becomes quicker. The living are in ${found[@]}.
stop_marked() {
	local process pid mark new=1
	local -A seen=()
	while ((new)); do
		new=0
		for process in /proc/[0-9]*; do
			[[ -z ${seen[$process]-} && -z ${older[$process]-} ]] || continue
			seen[$process]=1
			pid=${process#/proc/}
			mark_of_process "$pid" || continue
			((mark >= $1 && mark <= $2 && pid != $$ && pid != BASHPID)) || continue
			! kill -STOP "$pid" || ((++new))
		done
	done 2>/dev/null
	marked "$1" "$2"
}

# end_marked FROM TO: ends them all; if they are more than one they may fork faster than they are killed, and are
# stopped first. Leaves in $ended how many there were at most.
end_marked() {
	local round found
	ended=0
	for ((round = 0; round < 1000; round++)); do
		marked "$1" "$2"
		((${#found[@]})) || return 0
		((${#found[@]} == 1)) || stop_marked "$1" "$2"
		((ended >= ${#found[@]})) || ended=${#found[@]}
		kill -KILL "${found[@]}" || :
	done 2>/dev/null
	return 1
}

# watch_marked FROM TO PID: as long as PID lives, looks twenty times a second, and ends them all when there are more
# than FENCE. How many threads the whole machine has is quickly read, proc_loadavg(5): only when these have become
# more by FENCE are the marked ones counted. On two processors a program that does nothing but fork may be quicker than
# this, until the machine has no place for more; then this, which needs no process, ends it all the same. It waits for a pipe on which nothing comes: sleep would be a process.
watch_marked() {
	local found nothing threads first=''
	exec {nothing}<> <(:)
	while kill -0 "$3" 2>/dev/null; do
		read -rt 0.05 -u "$nothing" || :
		read -r _ _ _ threads _ </proc/loadavg
		threads=${threads#*/}
		((threads > ${first:=$threads} + FENCE)) || continue
		stop_marked "$1" "$2"
		if ((${#found[@]} > FENCE)); then
			kill -KILL "${found[@]}" 2>/dev/null
			echo "fence $FENCE"
			end_marked "$1" "$2"
		elif ((${#found[@]})); then
			kill -CONT "${found[@]}" 2>/dev/null
		fi
	done
}
