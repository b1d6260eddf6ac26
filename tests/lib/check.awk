# Tells a person, or as TAP a program, how a program keeps its promises. For tests/check.
#
# Reads a table of promises (see tests/lib/promises.awk), then what tests/lib/batch says. Set with -v:
# folder (where the words of the tests are), form (people, tap or list), terminal, color, verbose,
# first (stop at the first broken promise), dir and self (how its owner calls it, and us), columns (of the terminal).
#
# Example: awk -v form=list -f tests/lib/check.awk work/x/table /dev/null

BEGIN {
	FS = "\t"
	width = 79
	if (color) { red = "\033[1;31m"; green = "\033[32m"; yellow = "\033[33m"; bold = "\033[1m"; plain = "\033[0m" }
	if (terminal) erase = "\r\033[K"
}

FILENAME ~ /table$/ {
	total = NR
	stage[NR] = $2; number[NR] = $3; chapter[NR] = $4; section[NR] = $5; hint[NR] = $6; name[NR] = $8
	if (!($2 in promises)) order[++stages] = $2
	promises[$2]++
	next
}
form == "list" { next }

{ split($0, word, " ") }
word[1] == "begin" { running = word[2] }
word[1] == "ok" { settle(word[2], "kept", "") }
word[1] == "skip" { settle(word[2], "skipped", rest(2)) }
word[1] == "not" { settle(word[3], "BROKEN", rest(3)) }
word[1] == "fence" { fence = rest(1) }
{ bar() }

END {
	if (form == "list") {
		for (i = 1; i <= total; i++) {
			headings(i)
			entry(sprintf("  %-6s ", stage[i] ":" number[i]), name[i])
		}
		exit
	}
	# Nobody waits for the others any more.
	for (i = shown + 1; i <= total; i++) if (i in verdict) show(i)
	printf "%s", erase
	if (form != "tap") summary()
	else for (i = 1; i <= total; i++) if (!(i in verdict)) failed++
	exit failed > 0
}

function rest(n,    text) {
	text = $0
	while (n--) sub(/^[^ ]* ?/, "", text)
	return text
}

# settle: promises are shown in their order, each as soon as those before it are settled.
function settle(id, how, why) {
	verdict[id] = how
	reason[id] = why
	count[stage[id], how]++
	settled++
	if (how == "BROKEN") failed++
	if (form == "tap" && !tapped++) print "1.." total
	while ((shown + 1) in verdict) show(++shown)
	if (first && failed) exit
}

function show(i) {
	if (form == "tap") return tap(i)
	printf "%s", erase
	headings(i)
	if (verdict[i] == "kept") entry("  " green "kept" plain "     ", name[i])
	if (verdict[i] == "skipped") entry("  " yellow "skipped" plain "  ", name[i] (reason[i] == "" ? "" : " (" reason[i] ")"))
	if (verdict[i] == "BROKEN") {
		entry("  " red "BROKEN" plain "   ", name[i])
		words(i)
		if (hint[i] != "") entry("           " bold "hint:" plain " ", hint[i])
		entry("           " bold "read:" plain " ", chapter[i] ", \"" section[i] "\"")
		print "           " bold "again:" plain " " again(i) # whole, to be copied
	} else if (verbose) words(i)
}

function again(i) { return quoted(self) (dir == "" ? "" : " -d " quoted(dir)) " " stage[i] ":" number[i] }

# quoted: a name as a shell takes it back.
function quoted(text) {
	if (text !~ /[^A-Za-z0-9_.\/+,:@%-]/) return text
	gsub(/\047/, "\047\\\047\047", text)
	return "\047" text "\047"
}

function headings(i,    title) {
	if (stage[i] != current_stage) {
		printf "%s%s%s\n", current_stage == "" ? "" : "\n", bold "Stage " stage[i] plain, dir == "" ? "" : ", with the programs in " dir
		current_stage = stage[i]
		current_section = ""
	}
	title = section[i]
	if (match(chapter[i], /stage ?[1-9]/) && substr(chapter[i], RSTART + RLENGTH - 1, 1) != stage[i])
		title = title "  (kept from stage " substr(chapter[i], RSTART + RLENGTH - 1, 1) ")"
	if (title != current_section) printf "\n%s\n", bold title plain
	current_section = title
}

# entry: text behind a label, broken between words into lines that fit; the label's colours take no room.
function entry(label, text,    bare, indent, n, i, part, line) {
	bare = label
	gsub(/\033\[[0-9;]*m/, "", bare)
	indent = sprintf("%" length(bare) "s", "")
	n = split(text, part, " ")
	line = part[1]
	for (i = 2; i <= n; i++) {
		if (length(bare) + length(line) + 1 + length(part[i]) > width) {
			print label line
			label = indent
			line = part[i]
		} else line = line " " part[i]
	}
	print label line
}

# words: what the test said. Without -v only what is for people, and not more than a screen of it.
function words(i,    line, kept, more, before, command, value) {
	while ((getline line <(folder "/" i)) > 0) {
		sub(/^# ?/, "", line)
		if (verbose) {
			if (line ~ /^  (expected|came|stdout|stderr|log):/) value = "            "
			print "           " (value != "" && line !~ /^  [a-z]+:/ ? value : "") line
			kept++
			continue
		}
		if (line ~ /^ *`.*' failed( |$)/) { command = line; continue }
		if (line ~ /^\(?( ?from function | ?in (test )?file ).*, line [0-9]+[,)]+$/) continue
		# what bash says of a job that was killed, and lines of bats itself
		if (line ~ /^\/[^ ]*: line [0-9]+: +[0-9]+ (Killed|Terminated|Hangup|Aborted|Segmentation fault|User defined signal [12]) / || line ~ /^\/[^ ]*bats-core\// || line ~ /^ *bats warning: / || line ~ /: warning: command substitution: ignored null byte/ || line ~ /^ *see: /) continue
		gsub(/\/[^ ]*bats-run-[A-Za-z0-9]*\/test\/[0-9]*/, ".", line)
		if (line ~ /^ *$/ || ++seen[i, line] > 3 || kept == 24) { more++; continue }
		# what a program says in every test, such as the warnings of its language, is shown of two
		if (value != "" && length(line) > 30 && line !~ /^  [a-z]+:/ && told[line]++ > 1) { before++; continue }
		kept++
		# a value of many lines stands below its first one
		if (line ~ /^  (expected|came|stdout|stderr|log):/) value = "            "
		wrapped((value != "" && line !~ /^  [a-z]+:/ ? value : "") line)
	}
	close(folder "/" i)
	if (verbose) return
	if (before) print "           (and " before " more as above)"
	if (more > 1) print "           (and " more " more lines like these; tests/check -v shows all)"
	sub(/^ *`/, "", command)
	sub(/' failed.*/, "", command)
	if (reason[i] ~ /^timeout/) {
		sub(/^timeout after /, "", reason[i])
		entry("           ", "It hung, and after " reason[i] " it was ended. It was at: " command)
	} else if (!kept) entry("           ", "This did not hold: " command)
}

# wrapped: a line of a test. What is too long goes on below, under its own text.
function wrapped(line,    indent, rows, cut) {
	gsub(/[\001-\010\013-\037\177]/, "?", line)
	gsub(/\t/, "    ", line)
	match(line, /^ *([a-z]+: +)?/)
	indent = sprintf("%" 11 + RLENGTH "s", "")
	line = "           " line
	for (rows = 0; length(line) > width && rows < 5; rows++) {
		for (cut = width; cut > width - 20 && substr(line, cut + 1, 1) != " "; cut--) ;
		if (cut == width - 20) cut = width
		print substr(line, 1, cut)
		line = substr(line, cut + 1)
		sub(/^ /, "", line)
		line = indent line
	}
	if (length(line) > width) line = substr(line, 1, width - 3) "..."
	print line
}

function tap(i,    line) {
	print (verdict[i] == "BROKEN" ? "not ok " : "ok ") i " - " stage[i] ":" number[i] " " name[i] \
		(verdict[i] == "skipped" ? " # SKIP " reason[i] : "")
	if (verdict[i] == "BROKEN" || verbose) {
		if (reason[i] != "" && verdict[i] == "BROKEN") print "# " reason[i]
		while ((getline line <(folder "/" i)) > 0) print line
		close(folder "/" i)
		if (verdict[i] == "BROKEN" && hint[i] != "") print "# hint: " hint[i]
	}
}

function bar(    done, text) {
	if (!terminal || form == "tap" || !total) return
	done = int(20 * settled / total)
	text = sprintf("%.*s%.*s", done, "####################", 20 - done, "....................")
	text = "[" text "] " settled + 0 " of " total (failed ? ", " failed " broken" : "") "  " name[running]
	printf "%s%s", erase, substr(text, 1, columns && columns <= width ? columns - 1 : width)
}

function summary(    i, s, kept, left, next_one, line, stopped) {
	stopped = first && failed # then it is no wonder that some were not run
	for (s = 1; s <= stages; s++) {
		kept = count[order[s], "kept"] + 0
		left = promises[order[s]] - kept - count[order[s], "BROKEN"] - count[order[s], "skipped"]
		next_one = 0
		for (i = 1; i <= total && !next_one; i++)
			if (stage[i] == order[s] && verdict[i] == "BROKEN") next_one = i
		line = kept " of " promises[order[s]] - count[order[s], "skipped"] " promises kept"
		if (count[order[s], "skipped"]) line = line ", " count[order[s], "skipped"] " skipped"
		if (left) line = line ", " left " not run"
		if (left && !stopped) failed++
		if (next_one) line = line ", next: " name[next_one]
		if (s == 1) print ""
		entry((next_one ? red : green) "stage " order[s] plain ": ", line)
		if (next_one) print "         " again(next_one)
	}
	if (fence != "") entry("", "A program made " fence " processes and more, and was held there. What was tested beside it may be broken by that alone.")
}
