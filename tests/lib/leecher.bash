# Fixtures for stage 6: a configuration, something to pull, and, by servers.bash, the far sides it is pulled from.
#
#     load lib/common
#     load lib/leecher
#     setup_file() { start_rsyncd; start_sshd; }
#     teardown_file() { stop_servers; }
#     setup() { leecher_stage; }
#     teardown() { clean_up; }
#
# In a test's folder: from/ is the source, to/ the destination, leecher.conf what `config` wrote.

# shellcheck source=tests/lib/servers.bash
. "$ROOT/tests/lib/servers.bash"

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

# in_a_namespace SCRIPT: runs SCRIPT by sh where it may mount, seen by nobody else.
in_a_namespace() {
	local how=(unshare -m)
	[[ $EUID -eq 0 ]] || how=(unshare -r -m)
	"${how[@]}" true 2>/dev/null || skip "may not mount here"
	"${how[@]}" sh -c "$1" 3>&- 4>&- </dev/null
}

# terminal COMMAND: runs COMMAND by sh on a terminal of its own; prints what came to the screen.
terminal() { TERM=xterm script -qec "stty cols 100; $1" /dev/null 3>&- 4>&- </dev/null; }
