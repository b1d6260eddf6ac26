# shellcheck shell=bash
# The far sides that leecher pulls from, for tests/lib/leecher.bash: a real rsync daemon and a real sshd, each on a free
# loopback port; and ports at which nobody answers.
#
# shellcheck disable=SC2034,SC2154 # each file uses what the others set
#
# Example, in a .bats file: setup_file() { start_rsyncd; start_sshd; } and teardown_file() { stop_servers; }

# listens PID PORT: that very process listens on that loopback port.
listens() {
	local inode
	inode=$(awk -v at="$(printf '0100007F:%04X' "$2")" '$2 == at && $4 == "0A" { print $10 }' /proc/net/tcp)
	[[ -n $inode ]] && quietly find "/proc/$1/fd" -lname "socket:\\[$inode\\]" -print -quit &&
		[[ -n $(find "/proc/$1/fd" -lname "socket:\\[$inode\\]" 2>/dev/null) ]]
}

# serve NAME PROGRAM...: starts a server, with the word PORT in its arguments replaced by a free port.
# Leaves the pid in $server and the port in $port; stop_servers ends it.
serve() {
	local name=$1
	shift
	for _ in {1..20}; do
		port=$((20000 + RANDOM % 30000))
		"${@//PORT/$port}" >"$SERVERS/$name.out" 2>&1 3>&- 4>&- </dev/null &
		server=$!
		until listens "$server" "$port"; do
			alive "$server" || continue 2
			sleep 0.01
		done
		echo "$server" >>"$SERVERS/pids"
		return 0
	done
	fail "cannot start $name" "$(cat "$SERVERS/$name.out")"
}

# stop_servers: ends what `serve` started here. For teardown_file.
stop_servers() {
	local pid
	[[ -e ${SERVERS:-}/pids ]] || return 0
	while read -r pid; do kill -KILL "$pid" 2>/dev/null; done <"$SERVERS/pids"
	rm "$SERVERS/pids"
}

# start_rsyncd [FOLDER]: module `all` is everything of this run of bats, so that a test's own from/ is
# below it: see rsyncd_from. For setup_file; in a test with a FOLDER of its own, and stop_servers after.
start_rsyncd() {
	export SERVERS=${1:-$BATS_FILE_TMPDIR} RSYNCD_PORT
	cat >"$SERVERS/rsyncd.conf" <<-END
		use chroot = no
		log file = $SERVERS/rsyncd.log
		reverse lookup = no
		read only = yes
		munge symlinks = no
		$([[ $EUID -ne 0 ]] || printf 'uid = 0\ngid = 0')
		[all]
		path = $BATS_RUN_TMPDIR
	END
	serve rsyncd rsync --daemon --no-detach --config="$SERVERS/rsyncd.conf" --address=127.0.0.1 --port=PORT || return 1
	RSYNCD_PORT=$port
}
# rsyncd_module FOLDER: makes a module of that folder alone; prints its address.
rsyncd_module() {
	printf '[test%s]\npath = %s\n' "$BATS_TEST_NUMBER" "$1" >>"$SERVERS/rsyncd.conf"
	echo "rsync://127.0.0.1:$RSYNCD_PORT/test$BATS_TEST_NUMBER"
}
rsyncd_from() { echo "rsync://127.0.0.1:$RSYNCD_PORT/all${PWD#"$BATS_RUN_TMPDIR"}/from"; }

# start_sshd: an sshd of our own, at which we log in as ourselves by a key of our own. For setup_file.
# $SERVERS/ssh_config knows it as `box`, and as `shared` the same over one connection that is open
# already, which saves time where the login is not the subject. Where this user has no login shell, the sshd sees
# an /etc/passwd that gives it one; $NO_SSHD says why there is none at all.
start_sshd() {
	local user shell command
	export SERVERS=$BATS_FILE_TMPDIR SSHD_PORT='' NO_SSHD=''
	command -v sshd >/dev/null || PATH=$PATH:/usr/sbin
	user=$(id -un)
	shell=$(getent passwd "$user" | cut -d: -f7)
	ssh-keygen -q -t ed25519 -N '' -f "$SERVERS/host_key" </dev/null
	ssh-keygen -q -t ed25519 -N '' -f "$SERVERS/login_key" </dev/null
	cp "$SERVERS/login_key.pub" "$SERVERS/authorized_keys"
	cat >"$SERVERS/sshd_config" <<-END
		ListenAddress 127.0.0.1
		HostKey $SERVERS/host_key
		AuthorizedKeysFile $SERVERS/authorized_keys
		PidFile none
		StrictModes no
		UsePAM no
		UseDNS no
		KexAlgorithms curve25519-sha256
		MaxSessions 100
		SetEnv HOME=$SERVERS
		PasswordAuthentication no
		KbdInteractiveAuthentication no
		PermitRootLogin prohibit-password
		MaxStartups 100
	END
	command=("$(command -v sshd)" -D -e -f "$SERVERS/sshd_config" -p PORT)
	[[ $EUID -ne 0 || -d /run/sshd ]] || mkdir -m 755 /run/sshd
	if [[ $EUID -ne 0 && $shell == */@(nologin|false) ]]; then
		if ! unshare --map-current-user --keep-caps -m true 2>/dev/null; then
			NO_SSHD="user $user has no login shell here"
			return 0
		fi
		sed "s#^\($user:.*\):[^:]*\$#\1:/bin/sh#" /etc/passwd >"$SERVERS/passwd"
		# and neither systemd's word that this account is locked
		printf '%s: files\n' passwd group shadow hosts >"$SERVERS/nsswitch.conf"
		command=(unshare --map-current-user --keep-caps -m sh -c "mount --bind '$SERVERS/passwd' /etc/passwd &&
			mount --bind '$SERVERS/nsswitch.conf' /etc/nsswitch.conf &&
			exec setpriv --ambient-caps=-all --inh-caps=-all \"\$@\"" sh "${command[@]}")
	fi
	serve sshd "${command[@]}" || return 1
	SSHD_PORT=$port
	echo "[127.0.0.1]:$SSHD_PORT $(cut -d' ' -f1,2 "$SERVERS/host_key.pub")" >"$SERVERS/known_hosts"
	cat >"$SERVERS/ssh_config" <<-END
		Host shared
		ControlPath $SERVERS/mux
		Host box shared
		HostName 127.0.0.1
		Port $SSHD_PORT
		User $user
		IdentityFile $SERVERS/login_key
		IdentitiesOnly yes
		IdentityAgent none
		GlobalKnownHostsFile /dev/null
		UserKnownHostsFile $SERVERS/known_hosts
	END
	ssh -F "$SERVERS/ssh_config" -o BatchMode=yes -M -N shared >"$SERVERS/mux.out" 2>&1 3>&- 4>&- </dev/null &
	echo $! >>"$SERVERS/pids"
	wait_until 10 test -S "$SERVERS/mux" || fail "cannot log in" "$(cat "$SERVERS/mux.out" "$SERVERS/sshd.out")"
}
needs_sshd() { [[ -z $NO_SSHD ]] || skip "$NO_SSHD"; }
# config_ssh [SECTION.KEY=VALUE]...: as config, with from/ on the far side of our sshd;
# config_shared: by the connection that is open already.
config_ssh() {
	needs_sshd
	config source.from="box:$PWD/from" source.ssh="-F $SERVERS/ssh_config" "$@"
}
config_shared() { config_ssh source.from="shared:$PWD/from" "$@"; }
config_rsyncd() { config source.from="$(rsyncd_from)" "$@"; }

# mute_port: a server that takes connections and never says a word; its port is in $port. Ended by clean_up.
mute_port() {
	perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 9) or die;
		open my $f, ">", "port.new"; print $f $s->sockport; close $f; rename "port.new", "port";
		my @kept; while (my $c = $s->accept) { push @kept, $c }
	' 3>&- 4>&- </dev/null >/dev/null 2>&1 &
	wait_until 5 exists port
	port=$(<port)
}

# closed_port: a port at which nobody listens.
closed_port() {
	perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1)->sockport'
}
