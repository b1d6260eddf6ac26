# Fixtures for stage 6: a configuration, something to pull, and the far sides it is pulled from:
# a real sshd and a real rsync daemon, each on a free loopback port.
#
#     load lib/common
#     load lib/leecher
#     setup_file() { start_rsyncd; start_sshd; }
#     teardown_file() { stop_servers; }
#     setup() { leecher_stage; }
#     teardown() { clean_up; }
#
# In a test's folder: from/ is the source, to/ the destination, leecher.conf what `config` wrote.

# leecher_stage: stage 6, an empty from/ and to/, nobody's home.
leecher_stage() {
	stage 6
	mkdir from to
	export HOME=$PWD
	unset XDG_CONFIG_HOME NOTIFY_SOCKET SSH_AUTH_SOCK
	config
}

# config [SECTION.KEY=VALUE | SECTION.KEY]...: writes leecher.conf. A key without a value is left out.
# Given by default: from and to, settle = 0, markers = no.
config() {
	local -A value=([source.from]=$PWD/from [source.settle]=0 [destination.to]=$PWD/to [report.markers]=no)
	local pair section key
	for pair; do
		if [[ $pair == *=* ]]; then
			value[${pair%%=*}]=${pair#*=}
		else
			unset "value[$pair]"
		fi
	done
	for section in source destination daemon report; do
		echo "[$section]"
		for key in "${!value[@]}"; do
			[[ $key != "$section".* ]] || printf '%s = %s\n' "${key#*.}" "${value[$key]}"
		done
	done >leecher.conf
}

# --- asking the programs ---------------------------------------------------------------------

# leech CODE VERB..., ctl CODE COMMAND...: leecher or leecherctl with this test's configuration, which
# must end with CODE. A broken one that hangs is ended after a while.
leech() { exits "$1" timeout --foreground -k 1 $((60 * SLOWER)) leecher -c leecher.conf "${@:2}"; }
ctl() { exits "$1" timeout --foreground -k 1 $((60 * SLOWER)) leecherctl -c leecher.conf "${@:2}"; }

# once CODE [OPTION...]: one pass in the foreground, which must end with CODE.
once() { leech "$@" once; }

# quietly PROGRAM...: for conditions of wait_until.
quietly() { "$@" >/dev/null 2>&1 3>&- 4>&- </dev/null; }

# once_behind [OPTION...]: one pass in the background; its pid is in $pass, its words in pass.out and pass.err.
# bash starts such jobs with INT ignored; a person's shell does not.
# shellcheck disable=SC2034 # pass is for the test
once_behind() {
	env --default-signal=INT,QUIT leecher -c leecher.conf "$@" once >pass.out 2>pass.err 3>&- 4>&- </dev/null &
	pass=$!
}

# field KEY: the value of one line of `leecherctl status`.
field() { leecherctl -c leecher.conf status 2>/dev/null 3>&- 4>&- </dev/null | sed -n "s/^$1: *//p"; }
field_like() { [[ $(field "$1") =~ $2 ]]; }

# state_in_list NAME: from lines `STATE SIZE  NAME[: WHY]` on standard input, the state of NAME.
state_in_list() {
	name=$1 awk '{ state = $1 } sub(/^[a-z]+ +[0-9.]+ [kMGT]?B  /, "") {
		if ($0 == ENVIRON["name"] || state ~ /failed|parked/ && index($0, ENVIRON["name"] ": ") == 1) print state
	}'
}
# item_state NAME: how the ledger knows it, list_state NAME: how `leecher list` does.
item_state() { leecherctl -c leecher.conf items 2>/dev/null 3>&- 4>&- </dev/null | state_in_list "$1"; }
list_state() { leecher -c leecher.conf list 2>/dev/null 3>&- 4>&- </dev/null | state_in_list "$1"; }
item_is() { [[ $(item_state "$1") == "$2" ]]; }

# said REGEX: one line of what was printed or logged matches, whatever its letters' case.
said() {
	grep -Eiaqs -- "$1" .out .err to/.leecher/leecher.log && return 0
	fail "no line says it" "  expected: /$1/" "  stdout:   $(cat .out)" "  stderr:   $(cat .err)" \
		"  log:      $(cat to/.leecher/leecher.log 2>&1)"
}
# logged REGEX: the same for the log alone.
logged() { grep -Eiaqs -- "$1" to/.leecher/leecher.log; }

# --- looking at what is here -----------------------------------------------------------------

# published: the names under to/, escaped, on one line; what leecher keeps for itself is left out.
published() {
	find to -mindepth 1 -maxdepth 1 ! -name .leecher -printf '%P\0' | LC_ALL=C sort -z | sed -z 's/\\/\\\\/g; s/\n/\\n/g; s/ /\\ /g' |
		tr '\0' ' ' | sed 's/ $//'
}
exists() { [[ -e $1 ]]; }
gone() { [[ ! -e $1 && ! -L $1 ]]; }

# holding BYTES: so much lies under incoming/ by now.
staged() { find to/.leecher/incoming -type f -printf '%s\n' 2>/dev/null | awk '{ n += $1 } END { print n + 0 }'; }
holding() { (($(staged) >= $1)); }

# rsync_lives / no_rsync: whether an rsync or ssh of this test runs.
rsync_lives() {
	local pid
	for pid in $(marked_pids); do
		[[ $(cat "/proc/$pid/comm" 2>/dev/null) == @(rsync|ssh) ]] && return 0
	done
	return 1
}
no_rsync() { ! rsync_lives; }

# same A B: the same names and bytes below both; links are compared as links.
same() {
	local difference
	difference=$(diff -r --no-dereference "$1" "$2" 2>&1) && return 0
	fail "not the same: $1 and $2" "$difference"
}

# bytes_on_the_wire: what all transfers took together that logged to rsync.log (rsync = --log-file=$PWD/rsync.log).
bytes_on_the_wire() {
	sed -n 's/.*sent \([0-9,]*\) bytes  received \([0-9,]*\) bytes.*/\1 \2/p' rsync.log |
		tr -d , | awk '{ n += $1 + $2 } END { print n + 0 }'
}

# kill_all: as a power cut does: the whole process tree at once.
kill_all() {
	local pids
	for _ in 1 2 3 4 5; do
		mapfile -t pids < <(marked_pids)
		[[ ${#pids[@]} -gt 0 ]] || return 0
		kill -KILL "${pids[@]}" 2>/dev/null
	done
	wait_until 5 nobody_left
}

# --- things to pull and programs to call -----------------------------------------------------

# sample PATH BYTES: a file of random bytes.
sample() {
	mkdir -p "$(dirname -- "$1")"
	head -c "$2" /dev/urandom >"$1"
}

# program PATH: an executable script from standard input.
program() {
	mkdir -p "$(dirname -- "$1")"
	{
		echo '#!/bin/sh'
		cat
	} >"$1"
	chmod +x "$1"
}

# fake_sendmail: the program ./sendmail, which saves each mail as mails/N/argv and mails/N/text.
fake_sendmail() {
	mkdir -p mails
	program sendmail <<-END
		n=1
		until mkdir "$PWD/mails/\$n" 2>/dev/null; do n=\$((n + 1)); done
		cat >"$PWD/mails/\$n/text"
		printf '%s\n' "\$@" >"$PWD/mails/\$n/argv"
	END
}
mails() { find mails -name argv | wc -l; }
# header NAME N: a header of mail N, unfolded.
header() { sed '/^\r*$/q' "mails/$2/text" | tr -d '\r' | awk '/^[ \t]/ { printf "%s", $0; next } { printf "%s%s", s, $0; s = "\n" } END { print "" }' | sed -n "s/^$1: *//ip"; }
body() { tr -d '\r' <"mails/$1/text" | sed '1,/^$/d'; }

# choosy_rsync: an rsync in front of the real one that cannot read items whose names begin with `bad`
# as long as ./broken exists, and notes in ./tries each transfer that it is asked for.
choosy_rsync() {
	program bin/rsync <<-END
		here="$PWD" real="$(command -v rsync)"
		case " \$* " in
		*" --list-only "* | *" --server "* | *" --version "*) exec "\$real" "\$@" ;;
		esac
		names="\$here/names.\$\$"
		case " \$* " in
		*" --files-from=- "* | *" --files-from - "*) cat >"\$names" ;;
		*) { printf '%s\n' "\$@"; for a; do [ ! -f "\${a#--files-from=}" ] || cat "\${a#--files-from=}"; done; } >"\$names" ;;
		esac
		echo try >>"\$here/tries"
		if [ -e "\$here/broken" ] && tr '\0' '\n' <"\$names" | grep -Eq '(^|/)bad'; then
			echo 'rsync: [sender] read errors mapping "bad": Input/output error (5)' >&2
			rm -f "\$names"
			exit 23
		fi
		exec "\$real" "\$@" <"\$names"
	END
	PATH=$PWD/bin:$PATH
	touch broken
}
tries() { if [[ -e tries ]]; then wc -l <tries; else echo 0; fi; }

# --- the far sides ---------------------------------------------------------------------------

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

# in_a_namespace SCRIPT: runs SCRIPT by sh where it may mount, seen by nobody else.
in_a_namespace() {
	local how=(unshare -m)
	[[ $EUID -eq 0 ]] || how=(unshare -r -m)
	"${how[@]}" true 2>/dev/null || skip "may not mount here"
	"${how[@]}" sh -c "$1" 3>&- 4>&- </dev/null
}

# terminal COMMAND: runs COMMAND by sh on a terminal of its own; prints what came to the screen.
terminal() { TERM=xterm script -qec "stty cols 100; $1" /dev/null 3>&- 4>&- </dev/null; }
