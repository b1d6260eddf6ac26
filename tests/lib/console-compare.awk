# Compares what a block of a page shows with what came. Exit status 0: everything fits.
# Otherwise prints what came as the page would show it: a line that fits one of the page is printed as that one.
#
#   awk -f tests/lib/console-compare.awk EXPECTED CAME
#
# Example: echo 'pid PID' >e; echo 'pid 17' >c; awk -f tests/lib/console-compare.awk e c
#
# PID and NUMBER stand for a number, TIME for a log's time stamp, a line of only "..." for any lines.

function plain(line) {
	gsub(/[ \t]+/, " ", line)
	gsub(/^ | $/, "", line)
	return line
}

# Puts re in place of the word, where it is a word of its own.
function replace(text, word, re,    done, at) {
	while ((at = match(text, "(^|[^A-Za-z_])" word "([^A-Za-z_]|$)")) > 0) {
		if (substr(text, at, length(word)) != word)
			at++
		done = done substr(text, 1, at - 1) re
		text = substr(text, at + length(word))
	}
	return done text
}

function pattern(text,    line, i, c) {
	text = plain(text)
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		line = line (c ~ /[A-Za-z0-9_ ]/ ? c : c == "\\" || c == "^" ? "\\" c : "[" c "]")
	}
	line = replace(line, "PID", "[0-9]+")
	line = replace(line, "NUMBER", "[0-9]+")
	return "^" replace(line, "TIME", "[0-9-]+T[0-9:]+[.][0-9]+Z") "$"
}

function fits(i, j) {
	if (want[i] ~ /^[$>] /)
		return want[i] == came[j]
	return plain(came[j]) ~ want_re[i]
}

# Do the lines from i on fit what came from line j on?
function same(i, j) {
	for (; i <= wants; i++) {
		if (want[i] == "...") {
			for (; j <= lines + 1; j++)
				if (same(i + 1, j))
					return 1
			return 0
		}
		if (j > lines || !fits(i, j))
			return 0
		j++
	}
	return j > lines
}

NR == FNR { want[++wants] = $0; want_re[wants] = pattern($0); next }
{ came[++lines] = $0 }
END {
	if (same(1, 1))
		exit 0
	# "..." stays, and stands for what fits nothing behind it
	for (j = from = 1; j <= lines; j++) {
		for (i = from; i <= wants && (want[i] == "..." || !fits(i, j)); i++)
			;
		if (i <= wants) {
			for (; from < i; from++)
				if (want[from] == "...")
					print "..."
			print want[i]
			from = i + 1
		} else if (want[from] != "...")
			print came[j]
	}
	if (want[from] == "...")
		print "..."
	exit 1
}
