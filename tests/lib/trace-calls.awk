# For tests/trace: makes a table of the log that strace -f -o has written: one line a call, in the order in which the calls began.
#
#   awk -f tests/lib/trace-calls.awk STRACE-LOG
#
# Example: strace -f -yy -o log detach true; awk -f tests/lib/trace-calls.awk log
#
# Columns, with tabs between: where in the log the call began, where it ended, process, name, arguments, result (a number),
# what strace says of the result (an error's name, a path). Signals and deaths are calls of the name "---" and "+++".
# A call that others interrupted stands in two lines of the log; here it is one again. A thread counts as its process.
BEGIN { OFS = "\t" }

{
	match($0, /^[0-9]+ +/)
	pid = $0 + 0
	rest = substr($0, RLENGTH + 1)
	if (match(rest, /^<[.][.][.] [a-z0-9_]+ resumed>/)) {
		call[waits[pid]] = call[waits[pid]] substr(rest, RLENGTH + 1)
		ended[waits[pid]] = NR
		next
	}
	if (sub(/ *<unfinished [.][.][.]>$/, "", rest))
		waits[pid] = NR
	call[NR] = rest
	caller[NR] = pid
	ended[NR] = NR
}

END {
	for (i = 1; i <= NR; i++) {
		if (call[i] == "")
			continue
		result = note = ""
		if (call[i] ~ /^(---|[+][+][+]) /) {
			name = substr(call[i], 1, 3)
			args = substr(call[i], 5)
		} else {
			name = args = call[i]
			sub(/\(.*/, "", name)
			args = substr(args, length(name) + 2)
			if (match(args, /.*\) += /)) { # the last one: there may be others in the data
				result = substr(args, RSTART + RLENGTH)
				args = substr(args, 1, RLENGTH)
				sub(/\) += $/, "", args)
			}
			note = result
			sub(/^-?[0-9?]+ ?/, "", note)
			result = result + 0
			if (result < 0)
				sub(/ .*/, "", note)
			if (args ~ /CLONE_THREAD/ && result > 0)
				process[result] = caller[i] in process ? process[caller[i]] : caller[i]
		}
		print i, ended[i], caller[i] in process ? process[caller[i]] : caller[i], name, args, result, note
	}
}
