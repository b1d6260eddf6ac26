# shellcheck shell=bash
# What the tests of repeatd share. After: load lib/common
#
# A later stage keeps what an earlier one promised, so its tests are the same file under
# another name: stage4-pidfile.bats is a link to stage3-pidfile.bats. The digit in the
# name says which stage's program is meant.

# own_stage: the stage in the name of this test file.
own_stage() {
	STAGE=${BATS_TEST_FILENAME##*/stage}
	STAGE=${STAGE%%-*}
	stage "$STAGE"
	# COMMANDs run in another directory, and find the test's folder by this.
	export HERE=$PWD
}

# only_stage N WHY: for what a later stage mends.
only_stage() { [[ $STAGE == "$1" ]] || skip "$2"; }

# launched [OPTION...] start COMMAND...: must succeed; the daemon's pid is in $daemon.
launched() {
	exits 0 repeatd "$@"
	# shellcheck disable=SC2154 # exits sets it
	daemon=${out##* }
	expect_like "the pid in the words of: repeatd $*" '^[1-9][0-9]*$' "$daemon"
}

# beside COMMAND...: runs it beside the test; its pid is in $job, its words in job.out and job.err.
beside() {
	"$@" >job.out 2>job.err </dev/null 3>&- 4>&- &
	job=$!
}

# foreground [OPTION...] run COMMAND...: beside the test; returns when its pid file is there.
# SIGINT gets its default back, which the shell takes from what runs in the background.
foreground() {
	beside env --default-signal=INT repeatd "$@"
	# shellcheck disable=SC2034 # for the test
	daemon=$job
	wait_until 10 test -s repeatd.pid 2>/dev/null ||
		fail "repeatd $*" "  expected: it makes its pid file" "  came:     none" "  stderr:   $(<job.err)"
}

# ended CODE [SEE]: $job ends, with that exit code.
ended() {
	local came=0
	wait_until 15 dead "$job" 2>/dev/null ||
		fail "what ran beside the test" "  expected: it ends" "  came:     it lives" "  stderr:   $(<job.err)" \
			${2:+"  see:      $2"} || return 1
	wait "$job" || came=$?
	expect "exit code of what ran beside the test: $(<job.err)" "$1" "$came" "${2:-}"
}

# gone PID WHAT [SEE]: that process ends.
gone() { wait_until 10 dead "$1" 2>/dev/null || fail "$2" "  expected: process $1 ends" "  came:     it lives" ${3:+"  see:      $3"}; }

# lives PID WHAT [SEE]: that process is alive.
lives() { alive "$1" || fail "$2" "  expected: process $1 lives" "  came:     it is dead" ${3:+"  see:      $3"}; }

# absent FILE [SEE]: there is no such file.
absent() { [[ ! -e $1 && ! -L $1 ]] || fail "$1" "  expected: no such file" "  came:     $(ls -ld "$1")" ${2:+"  see:      $2"}; }

# lines FILE [REGEX]: how many lines of FILE match. No file has no lines.
lines() {
	local count
	count=$(LC_ALL=C grep -aEc -- "${2:-}" "$1" 2>/dev/null) || true
	echo "${count:-0}"
}

# has_lines COUNT FILE [REGEX]: at least so many; for wait_until.
has_lines() { (($(lines "$2" "${3:-}") >= $1)); }

# logged COUNT REGEX [SEE]: the log gets at least so many such lines.
logged() {
	wait_until 10 has_lines "$1" repeatd.log "$2" 2>/dev/null ||
		fail "the log" "  expected: $1 of /$2/" "  came:     $(tail -n 20 repeatd.log)" ${3:+"  see:      $3"}
}

# timed COMMAND...: as COMMAND; $ms says how long it took, in milliseconds.
timed() {
	local before=${EPOCHREALTIME/[.,]/} came=0
	"$@" || came=$?
	ms=$(((${EPOCHREALTIME/[.,]/} - before) / 1000))
	return "$came"
}

# took WHAT LEAST MOST [SEE]: $ms lies between; only the upper end is stretched for slow programs and busy machines.
took() {
	local busy
	how_busy
	((ms >= $2 && ms <= $3 * SLOWER * busy)) ||
		fail "$1" "  expected: $2 to $(($3 * SLOWER * busy)) ms" "  came:     $ms ms" ${4:+"  see:      $4"}
}

# faces FILE...: all that a program that touches nothing leaves as it was.
faces() { stat -c '%n %i %h %a %s %y %z' "$@" && cat "$@"; }

# pending PID SIGNAL-NUMBER: the signal was sent and has not been taken yet.
pending() {
	local key mask
	while read -r key mask; do
		[[ $key == SigPnd: || $key == ShdPnd: ]] && ((0x$mask >> ($2 - 1) & 1)) && return 0
	done 2>/dev/null <"/proc/$1/status"
	return 1
}

# zombies_of PID: the dead children that PID has not fetched.
zombies_of() {
	local file line
	for file in /proc/[0-9]*/stat; do
		{ read -r line <"$file"; } 2>/dev/null || continue
		line=${line##*) }
		[[ $line == "Z $1 "* ]] && echo "$file"
	done
	return 0
}
no_zombies_of() { [[ -z $(zombies_of "$1") ]]; }

# needs_own_calls: skips where the system calls are not those of the program alone.
needs_own_calls() {
	((SLOWER == 1)) || skip "the system calls would be those of valgrind or of the sanitizer"
	needs_strace
}

# needs_namespace FLAGS: skips where unshare may not make these; as a user we are root in a namespace of our own.
needs_namespace() {
	apart=(unshare)
	((EUID == 0)) || apart+=(-Ur)
	apart+=("$@")
	"${apart[@]}" true 2>/dev/null || skip "${apart[*]} is not allowed here"
}

# datagrams ADDRESS FILE: beside the test, appends each datagram that comes to FILE, newlines
# shown as |, one datagram on a line. An address that begins with @ is an abstract one.
datagrams() {
	command -v "$PYTHON" >/dev/null || skip "needs python3"
	"$PYTHON" -c '
import socket, sys
address, file = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0" + address[1:] if address[0] == "@" else address)
with open(file, "wb", 0) as out:
    while True:
        out.write(s.recv(65536).strip(b"\n\0").replace(b"\n", b"|") + b"\n")
' "$1" "$2" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	wait_until 10 test -e "$2"
}
