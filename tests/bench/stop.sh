# shellcheck shell=sh disable=SC2154
# How stop waits. Sourced by tests/bench/run.

waiting='poll,ppoll,select,pselect6,nanosleep,clock_nanosleep,epoll_wait,epoll_pwait,pause,wait4,waitid,rt_sigtimedwait,flock,fcntl'
measure() {
	printf '\nstop, of a daemon whose COMMAND ignores TERM for 0.5 s: calls that wait, by strace\n'
	mkfifo ready
	"$repeatd" -C . -g 0.5 -i 3600 start sh -c 'trap "" TERM; echo >ready; sleep 60' >/dev/null
	read -r _ <ready
	strace -f -T -e trace="$waiting" -o calls "$repeatd" stop >/dev/null || {
		cannot 'stop under strace'
		return
	}
	# fcntl waits for a lock only as F_SETLKW; the rest of it asks and sets.
	grep -vE 'fcntl\([^)]*(F_GET|F_SETFD|F_SETFL|F_DUPFD|F_OFD_GETLK|F_SETLK,)| \+\+\+ | --- ' calls >waits
	cut -c 1-110 waits
	goal 'stop: calls that wait' "$(wc -l <waits)" most 1
}
