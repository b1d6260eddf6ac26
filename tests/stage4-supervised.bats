#!/usr/bin/env bats
# Stages 4 and 5: repeatd run under real service managers: runsv, s6-supervise, systemd, supervisord,
# and alone in a container. Where a manager is not installed, its tests are skipped;
# sh tests/deps --ci installs them all.
# shellcheck disable=SC2016 # $HERE and the like are for another shell
# shellcheck disable=SC2154 # out, err, job are set by the helpers, anew in each test

load lib/common
load lib/service

setup() { own_stage; }
teardown() {
	clean_up
	[[ -z ${cgroups[*]:-} ]] || find "${cgroups[@]}" -depth -type d -exec rmdir {} + 2>/dev/null || true
}

managers="stage4-signals/README.md: systemd and containers"

needs() { command -v "$1" >/dev/null || skip "$1 is missing: sh tests/deps --ci"; }

# service COMMAND...: the directory that runsv and s6-supervise take, with its ./run.
service() {
	mkdir service
	printf '#!/bin/sh\nexec 2>&1\nexec repeatd -p %s -o %s %s\n' "$PWD/repeatd.pid" "$PWD/repeatd.log" "$*" >service/run
	chmod +x service/run
}

# under_runsv COMMAND...: a service of that command, with runsv above it; leaves $daemon.
under_runsv() {
	needs runsv
	service "$@"
	beside runsv service
	up_with ''
}

under_s6() {
	needs s6-supervise
	service "$@"
	beside s6-supervise service
	up_with ''
}

# a_new_pid OLD: the pid file holds another pid than this.
a_new_pid() { [[ -s repeatd.pid && $(<repeatd.pid) != "$1" ]]; }

# up_with OLD: there is a daemon, and it is not this one; leaves $daemon.
up_with() {
	wait_until 10 a_new_pid "$1" 2>/dev/null ||
		fail "${1:+after the end of pid $1, }a daemon run by the manager" "  expected: it comes up" "  came:     none" \
			"  log:      $(cat repeatd.log job.out job.err 2>&1)" "  see:      $managers"
	daemon=$(<repeatd.pid)
}

# is_child_of MANAGER PID: nobody stands between the manager and the daemon.
is_child_of() { expect "parent of the daemon" "$1" "$(stat_field "$2" 4)" "$managers"; }

# nothing_left: the daemon and its COMMAND have gone, and so has the pid file.
nothing_left() {
	gone "$daemon" "the daemon" "$managers"
	absent repeatd.pid "$managers"
	expect "lines 'goodbye', which COMMAND writes at TERM" 1 "$(lines repeatd.log 'goodbye$')" "$managers"
}

# opened_again: after mv and HUP there is a new log, and the daemon is still the same.
opened_again() {
	wait_until 10 test -e repeatd.log 2>/dev/null ||
		fail "the log, after mv and HUP" "  expected: a new repeatd.log" "  came:     none" "  see:      $managers"
	expect "the daemon's pid, after HUP" "$daemon" "$(cat repeatd.pid 2>&1)" "$managers"
}

# What waits for TERM and says that it came. In a file, because ./run is a shell's text.
goodbye_sayer() {
	printf '%s\n' '#!/bin/sh' 'trap "echo goodbye; exit" TERM' 'echo ready' 'while :; do sleep 0.05; done' >goodbye-sayer
	chmod +x goodbye-sayer
	echo "$PWD/goodbye-sayer"
}

# == Systemd and containers ==
# A manager wants a child that stays its child: run, not start. It stops a service with TERM and
# starts again what has died. See runsv(8), systemd.service(5), pid_namespaces(7).

@test "under runsv it stays runsv's child" {
	under_runsv -i 3600 run true
	is_child_of "$job" "$daemon"
}

# Hint: sv down is TERM, then CONT, to the daemon alone: runsv(8). It is for you to end the group of COMMAND, and to
# leave only after it.
@test "sv down under runsv ends COMMAND, then repeatd, and leaves no pid file" {
	under_runsv -i 3600 run "$(goodbye_sayer)"
	logged 1 'ready$'
	exits 0 sv -w 10 down ./service
	nothing_left
}

# Hint: After KILL the file is still there, but nobody holds its lock: fcntl(2), flock(2). Ask for the lock, not for
# the file, nor for the pid in it.
@test "runsv starts it again after KILL, although the pid file is still there" {
	under_runsv -i 3600 run true
	kill -KILL "$daemon"
	up_with "$daemon"
	exits 0 repeatd status
}

# Hint: HUP comes to the daemon and must not end it: then the manager would start another one, which has a log, but
# another pid.
@test "sv hup under runsv opens the log again" {
	under_runsv -i 3600 run "$(goodbye_sayer)"
	logged 1 'ready$'
	mv repeatd.log old.log
	exits 0 sv hup ./service
	opened_again
}

@test "under s6-supervise it stays s6-supervise's child" {
	under_s6 -i 3600 run true
	is_child_of "$job" "$daemon"
}

# Hint: s6-svc -d is TERM, then CONT, to the daemon alone. It is for you to end the group of COMMAND, and to leave only
# after it.
@test "s6-svc -d ends COMMAND, then repeatd, and leaves no pid file" {
	under_s6 -i 3600 run "$(goodbye_sayer)"
	logged 1 'ready$'
	exits 0 s6-svc -wD -T 10000 -d service
	nothing_left
}

# Hint: After KILL the file is still there, but nobody holds its lock: fcntl(2), flock(2). Ask for the lock, not for
# the file, nor for the pid in it.
@test "s6-supervise starts it again after KILL, although the pid file is still there" {
	under_s6 -i 3600 run true
	kill -KILL "$daemon"
	up_with "$daemon"
	exits 0 repeatd status
}

# Hint: HUP comes to the daemon and must not end it: then the manager would start another one, which has a log, but
# another pid.
@test "s6-svc -h opens the log again" {
	under_s6 -i 3600 run "$(goodbye_sayer)"
	logged 1 'ready$'
	mv repeatd.log old.log
	exits 0 s6-svc -h service
	opened_again
}

# The mistake that the page on managers warns of.
# Hint: runsv takes the end of start for the end of the service, and starts it again. The lock refuses each further one.
@test "'start' under runsv is a daemon that runsv does not have, started again and again" {
	needs runsv
	service -i 3600 start true
	beside runsv service
	up_with ''
	wait_until 10 has_lines 2 job.out 'already running' 2>/dev/null ||
		fail "what the starts say that runsv makes" "  expected: 2 lines or more with: already running" \
			"  came:     $(<job.out)"
	exits 0 sv -w 10 down ./service
	lives "$daemon" "the daemon that runsv cannot stop" "$managers"
	exits 0 repeatd stop
}

# with_systemd SHELL-COMMAND...: runs them beside a systemd of our own, in namespaces of its own, where
# 'repeatd.service' is a unit with Type=notify for: repeatd OPTIONS run COMMAND, from $OPTIONS and $COMMAND.
with_systemd() {
	[[ -x /usr/lib/systemd/systemd ]] || skip "systemd is missing: sh tests/deps --ci"
	((EUID == 0)) || skip "needs root: a /run of its own"
	needs_namespace --mount --pid --fork --mount-proc
	# its control groups are made below one of our own, which the teardown removes
	cgroups=(/sys/fs/cgroup)
	[[ ! -d /sys/fs/cgroup/systemd ]] || cgroups=(/sys/fs/cgroup/systemd /sys/fs/cgroup/unified)
	cgroups=("${cgroups[@]/%//test.$$}")
	mkdir "${cgroups[@]}" 2>/dev/null || skip "may not make a control group here"
	printf '%s\n' '[Service]' Type=notify KillMode=mixed TimeoutStartSec=20 "Environment=PATH=$PATH HERE=$HERE" \
		"ExecStart=$(command -v repeatd) -p $PWD/repeatd.pid -o $PWD/repeatd.log $OPTIONS run $COMMAND" \
		>repeatd.service
	# shellcheck disable=SC2016
	printf '%s\n' "for file in ${cgroups[*]/%//cgroup.procs}; do echo 0 >\$file; done" \
		'mount --make-rprivate / && mount -t tmpfs tmpfs /run || exit 99' \
		'export XDG_RUNTIME_DIR=/run/user/0' \
		'mkdir -p /run/systemd/system /run/user/0/systemd/user && cp repeatd.service /run/user/0/systemd/user' \
		'echo "[Unit]" >/run/user/0/systemd/user/nothing.target' \
		'/usr/lib/systemd/systemd --user --unit=nothing.target >systemd.out 2>&1 &' \
		'n=0; until systemctl --user is-active nothing.target >/dev/null 2>&1; do' \
		'sleep 0.05; n=$((n + 1)); [ $n -lt 200 ] || { cat systemd.out; exit 99; }; done' \
		"$@" >script
	code=0
	timeout -s KILL $((60 * SLOWER)) "${apart[@]}" --kill-child sh -e script >.out 2>.err </dev/null 3>&- 4>&- || code=$?
	out=$(<.out) err=$(<.err)
	((code != 99)) || skip "no systemd of our own here: $out $err"
	expect "exit code of the commands to systemd: $out $err" 0 "$code" "$managers"
}

# Hint: systemctl start waits for READY=1, and hears it from the process alone that it has started: sd_notify(3), and
# NotifyAccess= in systemd.service(5).
@test "under systemd, Type=notify: systemctl start returns when it is ready, stop when all is gone" {
	OPTIONS='-i 3600' COMMAND=$(goodbye_sayer)
	with_systemd 'systemctl --user start repeatd' \
		'cp repeatd.pid at.start' \
		'systemctl --user show -p MainPID -p StatusText -p ActiveState repeatd' \
		'until grep -q ready repeatd.log; do sleep 0.05; done' \
		'systemctl --user stop repeatd' \
		'systemctl --user show -p Result repeatd'
	expect "main pid" "$(<at.start)" "$(sed -n 's/^MainPID=//p' .out)" "$managers"
	expect_like "state" 'ActiveState=active' "$out" "$managers"
	expect_like "status" 'StatusText=[^ ]' "$out" "$managers"
	expect_like "how it ended" 'Result=success' "$out" "$managers"
	absent repeatd.pid "$managers"
	expect "lines 'goodbye', which COMMAND writes at TERM" 1 "$(lines repeatd.log 'goodbye$')" "$managers"
}

# Hint: TERM is for you alone, KillMode=mixed in systemd.kill(5). Do not wait for what has left the group: systemd kills
# what is left in the control group once you have ended.
@test "under systemd, what has left the process group too is gone after stop" {
	OPTIONS='-i 3600' COMMAND="$PWD/leaver"
	printf '%s\n' '#!/bin/sh' 'setsid sleep 1000 &' 'echo $! >"$HERE/left"' 'echo ready' 'exec sleep 1000' >leaver
	chmod +x leaver
	with_systemd 'systemctl --user start repeatd' \
		'until grep -q ready repeatd.log; do sleep 0.05; done' \
		'kill -0 "$(cat left)"' \
		'systemctl --user stop repeatd' \
		'! kill -0 "$(cat left)" 2>/dev/null'
}

@test "under supervisord it runs, and supervisorctl stop ends COMMAND, then repeatd" {
	needs supervisord
	cat >supervisord.conf <<-END
	[supervisord]
	nodaemon = true
	logfile = /dev/null
	logfile_maxbytes = 0
	pidfile = $PWD/supervisord.pid
	childlogdir = $PWD
	[unix_http_server]
	file = $PWD/s
	[rpcinterface:supervisor]
	supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
	[supervisorctl]
	serverurl = unix://$PWD/s
	[program:job]
	command = $(command -v repeatd) -p $PWD/repeatd.pid -o $PWD/repeatd.log -i 3600 run $(goodbye_sayer)
	startsecs = 0
	END
	# a socket's path has room for 108 bytes
	((${#PWD} < 90)) || skip "the path of this test's folder is too long for a socket"
	beside supervisord -c supervisord.conf
	up_with ''
	is_child_of "$job" "$daemon"
	logged 1 'ready$'
	exits 0 supervisorctl -c supervisord.conf stop job
	nothing_left
}
