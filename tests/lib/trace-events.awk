# Turns the table of trace-calls.awk into events: what is worth to be drawn, and what must come before what.
#
#   awk -v run=DIR -v programs=DIR -v words='...' -f tests/lib/trace-text.awk -f tests/lib/trace-events.awk TABLE
#
# Example: awk -v run="$PWD" -v programs="$PWD" -f tests/lib/trace-text.awk -f tests/lib/trace-events.awk table
#
# run: the folder of the run, whose files are worth a word; "run/.terminal" is what the shell's terminal would show.
# programs: the folder of the programs that are looked at. Of others only births, deaths, signals and messages count.
# words: see trace-text.awk.
# An event is a line: where the call began and ended, process, ours or other, kind, object, text.
BEGIN { FS = OFS = "\t" }

function inside(path) { return index(path, run "/") == 1 && base(path) !~ /^[.]/ }
function refused() { return $6 < 0 ? ": " $7 : "" }
function event(kind, object, text) {
	if (failed[$3] != "") # of all the places where execvp has looked, the last
		print $1, $2, $3, other[$3] ? "other" : "ours", "did", "", "exec " failed[$3]
	failed[$3] = ""
	print $1, $2, $3, other[$3] ? "other" : "ours", kind, object, text
}
function did(text) { event("did", "", text) }
function touch(path, text, kind) {
	if (path !~ /[.]db(-[a-z]+)?$/ || text == "write")
		event(kind ? kind : "touch", base(path), text)
}

$4 == "+++" && /killed by/ {
	split($5, part, " ")
	event("exit", part[3], "killed by " part[3])
}
$4 == "exit_group" { event("exit", "", "exits with " ($5 + 0)) }
$4 == "---" && !/^[^{]*SIGCHLD/ {
	match($5, /si_pid=[0-9]+/)
	event("took", RSTART ? substr($5, RSTART + 7, RLENGTH - 7) : 0, substr($5, 1, index($5, " ") - 1))
}
$4 ~ /^(v?fork|clone3?)$/ && $6 > 0 && !/CLONE_THREAD/ {
	other[$6] = other[$3]
	event("fork", $6)
}
$4 ~ /^wait/ && $6 > 0 { event("saw", $6) }
$4 ~ /poll$/ && $6 > 0 {
	while (match($5, /[0-9]+<pid:[0-9]+/)) {
		fd = substr($5, RSTART, RLENGTH)
		$5 = substr($5, RSTART + RLENGTH)
		if ($7 ~ ("fd=" (fd + 0) ","))
			event("saw", substr(fd, index(fd, ":") + 1))
	}
}

$4 ~ /^execve/ {
	path = quoted($5)
	argv = substr($5, index($5, "[\"") + 2)
	sub(/"][^]]*$/, "", argv)
	argv = plain(swap(argv, "\", \"", " "))
	if (length(argv) > 60) # then its options matter less than what is behind them
		gsub(/ -[^ ]+/, "", argv)
	failed[$3] = $6 < 0 ? argv ": " $7 : ""
	if ($6 < 0)
		next
	ours = substr(path, 1, length(path) - length(base(path)) - 1) == programs
	other[$3] = !ours
	event("exec", base(path), argv)
	if (ours)
		script[$3] = path
}
# An interpreter opens its script: until now it was only starting up.
$4 ~ /^open/ && $6 >= 0 && script[$3] != "" && quoted($5) == script[$3] {
	script[$3] = ""
	other[$3] = 0
	event("ready")
}

$4 == "setsid" { did("setsid" ($6 < 0 ? refused() : ": a session of its own")) }
$4 == "setpgid" && ($5 ~ /^0, 0/ || $5 + 0 == $3) { did("setpgid: a group of its own") }
$4 == "umask" { event("did", $6, "umask " $5) }
$4 == "chdir" { did("chdir " plain(quoted($5)) refused()) }
$4 ~ /^dup[23]$/ && $6 >= 0 && $6 <= 2 { event("dup", base(behind($5)), $6) }
$4 == "close_range" && $6 == 0 && !/UNSHARE|CLOEXEC/ { did("closes all descriptors from " ($5 + 0)) }
$4 == "prctl" && /PDEATHSIG, SIG/ { did("asks for SIGKILL when its parent dies") }
$4 == "prctl" && /SUBREAPER, 1/ { did("adopts the orphans below it") }
$4 ~ /^rename/ && $6 == 0 {
	old = plain(absolute($5))
	sub(/^[^"]*"([^"\\]|\\.)*", /, "", $5)
	did("renames " old " to " plain(absolute($5)))
}
$4 == "rt_sigaction" {
	signal = substr($5, 4, index($5, ",") - 4)
	if ($5 ~ /^[^,]*, [{]sa_handler=SIG_DFL/ && ++defaults[$3] == 28)
		did("all signals to their default")
	else if ($5 ~ /^[^,]*, [{]sa_handler=SIG_IGN/)
		did("ignores " signal)
	else if ($5 ~ /^[^,]*, [{]sa_handler=0x/)
		did("catches " signal)
}
$4 == "pidfd_open" && $6 >= 0 { event("kill", $5 + 0, "pidfd_open: a handle on it") }
$4 ~ /^(kill|tkill|pidfd_send_signal)$/ {
	signal = match($5, /SIG[A-Z0-9]+/) ? substr($5, RSTART, RLENGTH) refused() : \
		"kill 0: is it there? " ($6 < 0 ? "no" : "yes")
	event("kill", match($5, /<pid:[0-9]+/) ? substr($5, RSTART + 5, RLENGTH - 5) : $5 + 0, signal)
}

# Locks of a part of a file are the business of a data base.
$4 ~ /^(fcntl|flock)$/ && /F_(OFD_)?(SETLKW?|GETLK)|LOCK_/ && !/l_len=[1-9]/ {
	if (/GETLK/)
		touch(behind($5), "who holds the lock? " (match($5, /l_pid=[1-9][0-9]*/) ? \
			"<" substr($5, RSTART + 6, RLENGTH - 6) ">" : "nobody"))
	else
		touch(behind($5), (/F_UNLCK|LOCK_UN/ ? "unlock" : /F_RDLCK|LOCK_SH/ ? "read lock" : "lock") \
			($6 < 0 ? ": refused" : ""), "lock")
}
$4 ~ /^(open|openat|creat)$/ && $7 != "ENOENT" {
	path = absolute($5)
	how = path in fifo ? "open for " (/O_WRONLY/ ? "writing" : "reading") (/O_NONBLOCK/ ? " (O_NONBLOCK)" : "") : \
		 /O_WRONLY|O_RDWR|O_CREAT/ ? "open" : ""
	if (inside(path) && how != "")
		touch(path, how refused())
}
$4 ~ /^mknod/ && /S_IFIFO/ {
	path = absolute($5)
	for (known in fifo)
		if (index(path, known ".") == 1) {
			ids[substr(path, length(known) + 2)] = 1
			with_id[base(path)] = base(known) ".ID"
		}
	fifo[path] = 1
	touch(path, "mkfifo " substr($5, index($5, "|") + 1) refused())
}
$4 ~ /^unlink/ && $6 == 0 && inside(absolute($5)) { touch(quoted($5), "unlink") }
$4 == "ftruncate" && inside(behind($5)) { touch(behind($5), "truncate") }

$4 ~ /^(read|recv|p?write|send)/ && $6 >= 0 {
	path = behind($5)
	sub(/[(]deleted[)]$/, "", path)
	key = path in fifo ? "FIFO " base(path) : path
	if (match(path, /[0-9]+->[0-9]+/)) { # a socket: as seen from the one who writes
		split(substr(path, RSTART, RLENGTH), part, /->/)
		key = $4 ~ /^r/ ? part[2] "->" part[1] : part[1] "->" part[2]
	}
	pipe = key ~ /^FIFO |^pipe:|^[0-9]+->/
	if ((path == run "/.rest" || path == run "/.look") && $6 > 0)
		event(substr(path, length(run) + 3))
	else if (pipe && $4 ~ /^r/)
		event($6 > 0 ? "recv" : "end", key, $6)
	else if (pipe && $6 > 0)
		event("send", key, $6 OFS said(written($5)))
	else if (path == run "/.terminal")
		event("print", "", said(written($5)))
	else if (inside(path) && $4 !~ /^r/)
		touch(path, "write" (path ~ /[.]db/ ? "" : " " said(written($5))), $5 ~ /^[12]</ ? "says" : "touch")
}
