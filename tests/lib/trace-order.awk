# Puts the events of trace-events.awk into an order that is the same in every run.
#
#   awk -f tests/lib/trace-names.awk -f tests/lib/trace-needs.awk -f tests/lib/trace-order.awk EVENTS
#
# Example: (cd tests/lib && awk -f trace-names.awk -f trace-needs.awk -f trace-order.awk) <events
#
# The order of lines in a log is luck: processes run beside each other. What is not luck is the order within each process,
# and what must come before what: a fork before the child's life, a message before it is read, a death before it is
# seen. So that is all that is kept, and each process is told as far as another one has to wait for it, and no farther.
# Columns of the result, with tabs between: note, arrow, say, exit or touch; who; to whom; text.
BEGIN {
	FS = OFS = "\t"
}

{
	p = $3
	if (!root)
		root = p
	is_pid[p] = 1
	n = ++events[p]
	began[p, n] = $1
	ended[p, n] = $2
	other[p, n] = $4 == "other"
	kind[p, n] = $5
	object[p, n] = $6
	text[p, n] = $8 == "" ? $7 : $8
	if ($5 == "fork") {
		parent[$6] = p
		fork_at[$6] = n
		child[p, ++children[p]] = $6
		is_pid[$6] = 1
	}
	if ($5 == "exec" && !(p in program)) {
		program[p] = $6
		first_exec[p] = n
		words[p] = $7
	}
	if ($5 == "exit")
		death[p] = n
	if ($5 == "ready")
		for (m = first_exec[p] + 1; m < n; m++)
			if (kind[p, m] != "fork")
				kind[p, m] = ""
	if ($5 == "dup")
		held[$6] = 1
	if ($5 == "kill" && $6 < 0 && $7 ~ /^kill 0/)
		kind[p, n] = "" # whether a group is empty yet is luck
	if ($5 == "saw")
		seer[$6] = p
	if ($5 == "recv" || $5 == "end")
		reader[$6] = p
	if ($5 == "recv") {
		got_from[p, n] = got[$6] + 0
		got_to[p, n] = got[$6] += $7
	}
	if ($5 == "send") { # in the order of the log: from which byte on
		sends[$6]++
		sender[$6, sends[$6]] = p
		send_at[$6, sends[$6]] = n
		offset[$6, sends[$6]] = sent[$6] + 0
		sent[$6] += $7
	}
	if ($5 == "kill" || $5 == "lock") {
		done = $5
		count[done]++
		by[done, count[done]] = p
		by_at[done, count[done]] = n
	}
}

# Events that are not drawn. In which order several of them come in a row is luck, too.
function silent(p, n) { return kind[p, n] ~ /^(saw|took)$/ || kind[p, n] == "" || kind[p, n] ~ /^(recv|end)$/ && object[p, n] !~ /^FIFO/ }

# Tells the life of p as far as event n, and before that what it needs of others, the elder first.
function tell(p, n,    m, i, r, other_one, wanted) {
	while (told[p] < n && !(p in telling)) {
		telling[p] = 1
		for (m = told[p] + 1; m < n && silent(p, m) && silent(p, m + 1); m++)
			;
		split("", wanted)
		for (r = told[p] + 1; r <= m; r++)
			for (i = 1; i <= needs[p, r]; i++) {
				split(need[p, r, i], other_one, SUBSEP)
				if (other_one[2] > wanted[other_one[1]] + 0)
					wanted[other_one[1]] = other_one[2]
			}
		for (r = 1; r <= ranks; r++)
			if (ranked[r] in wanted)
				tell(ranked[r], wanted[ranked[r]])
		for (r = told[p] + 1; r <= m; r++) {
			told[p] = r
			if (kind[p, r] != "")
				draw(p, r)
		}
		delete telling[p]
	}
}

function put(what, from, to, text) {
	if (from != to)
		item[++items] = what OFS from OFS to OFS text
}
# A umask that is set aside for a moment is no news.
function passing(p, m,    i) {
	for (i = m - 3; i <= m + 3; i++)
		if (text[p, i] ~ /^umask / && object[p, i] + 0 == substr(text[p, m], 7) + 0 &&
		    object[p, m] + 0 == substr(text[p, i], 7) + 0)
			return 1
	return 0
}
# Does it live on, or is it only a little later than another one whom the same signal kills?
function survives(p, now,    n) {
	if (death[p] && began[p, death[p]] < now)
		return 0
	for (n = events[p]; n > 0 && began[p, n] > now; n--)
		if (kind[p, n] != "took" && !(kind[p, n] == "exit" && object[p, n]))
			return 1
	return !death[p]
}

function draw(p, m,    me, k, it, what, c, to) {
	me = named(p)
	k = kind[p, m]
	it = object[p, m]
	what = nameless(text[p, m])
	if (k == "look")
		items = 0
	else if (k == "fork")
		put("arrow", me, named(it), me == "shell" && kind[it, 1] == "exec" ? "fork, exec " nameless(text[it, 1]) : "fork")
	else if (k == "send" || k == "recv" || k == "end") {
		to = it ~ /^FIFO / ? substr(it, 6) : it in reader ? named(reader[it]) : me
		if (k == "send")
			put(it ~ /^FIFO / ? "touch" : "say", me, to, (it ~ /^FIFO / ? "write " : "") what)
		else if (it ~ /^FIFO /)
			put("arrow", to, me, k == "end" ? "end of file" : "read")
	} else if (k == "kill") {
		to = it < 0 ? -it : it
		if (to in events)
			put("touch", me, named(to), what (it < 0 ? " to the group" : ""))
		else
			put("note", me, "", what)
	} else if (me == "shell") {
		if (k == "touch" && text[p, m] ~ /^(unlink|mkfifo)/)
			put("touch", me, it, what)
		if (k == "did" && what ~ /^renames/)
			put("note", me, "", what)
	} else if (k == "print")
		put("say", me, "shell", "prints " what)
	else if (k == "exec") {
		if (m > 1 || named(parent[p]) != "shell")
			put("note", me, "", "exec " what)
		if ((p, m) in closes)
			put("arrow", me, named(closes[p, m]), "end of file: the exec closes the line")
	} else if (k == "exit" && (!(p in part) || named(parent[p]) != me)) {
		if (p in seer)
			put("exit", me, named(seer[p]), what)
		else
			put("note", me, "", what)
		for (c = 1; c <= children[p]; c++) {
			to = child[p, c]
			if (named(to) != me && survives(to, began[p, m]))
				put("note", named(to), "", "an orphan: gets another parent")
		}
	} else if (k == "says")
		put("touch", me, it, what)
	else if (!other[p, m] || what ~ /^setsid/) {
		if (k ~ /^(touch|lock)$/)
			put("touch", me, it, what)
		else if (k == "dup" && it != ".terminal")
			put("note", me, "", (it == "null" ? "/dev/null" : it ~ /^pipe/ ? "a pipe" : it ~ /->/ ? "a socket" : \
				it ~ /^#/ ? "a file without a name" : it) \
				" becomes " what)
		else if (k == "did" && !(what ~ /^umask/ && passing(p, m)))
			put("note", me, "", what)
	}
}

# Parents before their children, and those in the order of their birth.
function rank(p,    c) {
	ranked[++ranks] = p
	for (c = 1; c <= children[p]; c++)
		rank(child[p, c])
}
END {
	for (p in events)
		for (n = 1; n <= events[p]; n++)
			relate(p, n)
	rank(root)
	for (i = 1; i <= ranks; i++)
		tell(ranked[i], events[ranked[i]])
	for (n = 1; n <= items; n++)
		print item[n]
}
