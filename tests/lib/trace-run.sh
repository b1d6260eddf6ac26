# shellcheck shell=sh
# Runs commands under strace until they have come to rest, and leaves nothing running. For sh, sourced by tests/trace.
#
# Example: work=$(mktemp -d); LIMIT=30; . tests/lib/trace-run.sh; traced "$PWD/stage2-daemon" 'detach sleep 60'; cat "$work/log"

: "${work:?}" "${LIMIT:?}"
# A name that this machine does not know (?) is passed over.
calls='?fork,?vfork,clone,?clone3,execve,?execveat,exit_group,wait4,waitid,setsid,setpgid,umask,chdir,?dup2,dup3'
calls=$calls',?close_range,prctl,rt_sigaction,kill,tkill,?pidfd_open,?pidfd_send_signal,fcntl,flock,?open,openat,?creat,?mknod'
calls=$calls',mknodat,?rename,renameat,renameat2,?unlink,unlinkat,ftruncate,read,readv,write,writev,pwrite64'
calls=$calls',sendto,sendmsg,recvfrom,recvmsg,?poll,ppoll'
tracer=
# Who is started in the background by sh ignores INT and QUIT, which would be no fair start.
fair=
env --default-signal=INT,QUIT true 2>/dev/null && fair='env --default-signal=INT,QUIT'

# The processes under our strace. Zombies are none.
living() {
	[ -z "$tracer" ] || for process in $(grep -lsxE "TracerPid:[[:blank:]]$tracer" /proc/[0-9]*/status | tr -dc '0-9\n'); do
		grep -qsE '^State:[[:blank:]][^ZX]' "/proc/$process/status" && echo "$process"
	done
}
end_all() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		left=$(living)
		[ -n "$left" ] || break
		# shellcheck disable=SC2086 # one pid, one word
		kill -KILL $left 2>/dev/null
		sleep 0.02
	done
	[ -z "$tracer" ] || kill -TERM "$tracer" 2>/dev/null
	[ -z "$tracer" ] || wait "$tracer" 2>/dev/null
	tracer=
}

# Returns when every process sleeps and nothing more is written, three times in a row; or after five seconds.
rest() {
	quiet=0 size=
	for _ in $(seq 100); do
		now=$(wc -c <"$work/log")
		awake=$(for process in $(living); do grep -sE '^State:[[:blank:]][^STZX]' "/proc/$process/status"; done)
		if [ -z "$awake" ] && [ "$now" = "$size" ]; then quiet=$((quiet + 1)); else quiet=0; fi
		[ $quiet -lt 3 ] || return 0
		size=$now
		sleep 0.05
	done
}

# Words for the commands. They ask by a file, and wait at a FIFO.
prelude() {
	cat <<-END
		sleep() { echo "rest \$1" >'$run/.ask'; read -r _ <'$run/.rest'; }
		look() { echo 'look 0' >'$run/.ask'; read -r _ <'$run/.look'; }
	END
}
answer() {
	read -r which seconds <"$run/.ask"
	rm "$run/.ask"
	sleep "$seconds"
	rest
	if [ "$which" = look ]; then echo >&9; else echo >&8; fi
}

# The first process of the log has left: that is the shell.
shell_left() { read -r first _ <"$work/log" && grep -qE "^$first +\+\+\+" "$work/log"; }

# traced PROGRAMS COMMANDS: the folder of the run is $work/run, the log $work/log. Fails if the time was up.
traced() {
	run=$work/run
	rm -rf "$run"
	mkdir "$run" && mkfifo "$run/.rest" "$run/.look" && exec 8<>"$run/.rest" 9<>"$run/.look" || return 1
	{ prelude && printf '%s\nexit\n' "$2"; } >"$run/.script"
	: >"$work/log"
	: >"$run/.terminal"
	# shellcheck disable=SC2086 # fair is words
	(
		exec 8>&- 9>&- </dev/null >>"$run/.terminal" 2>&1
		cd "$run" && umask 022 && unset NOTIFY_SOCKET && PATH=$1:$PATH && LC_ALL=C && export PATH LC_ALL &&
			exec $fair strace -f -yy -q -s 600 -e signal='!SIGCHLD' -o "$work/log" -e trace="$calls" sh .script
	) &
	tracer=$!
	ticks=$((LIMIT * 20))
	until shell_left; do
		kill -0 "$tracer" 2>/dev/null || break
		[ ! -s "$run/.ask" ] || answer
		ticks=$((ticks - 1))
		[ $ticks -gt 0 ] || break
		sleep 0.05
	done
	[ $ticks -le 0 ] || rest
	# whole lines only, and nothing of the KILL below
	head -n "$(wc -l <"$work/log")" "$work/log" >"$work/cut"
	end_all
	exec 8>&- 9>&-
	mv "$work/cut" "$work/log"
	[ $ticks -gt 0 ]
}
