# Gives the processes of a run names in place of numbers, by what they did: shell, the programs that it ran, middle, daemon,
# child, grandchild, COMMANDs. A part of trace-order.awk, which reads the events into: root, parent, program and words (what
# it executed first), other, fork_at, children, seer, events, kind, text, is_pid.
#
# Example: (cd tests/lib && awk -f trace-names.awk -f trace-needs.awk -f trace-order.awk) <events
#
# What the shell does by small helpers (cat, mv, ...) it does itself.
BEGIN {
	helpers = " cat cp cut dirname expr grep head kill ls mkdir mkfifo mktemp mv od ps readlink rm sed seq stat tail touch tr wc "
	verbs = " start stop restart status run once list check now pause resume interval level reopen help items cancel retry " \
		"forget reload "
}

# Who is it? Asked when everything has been read.
function named(p,    name, i, list) {
	if (p in part || p == root)
		return p == root ? "shell" : part[p]
	name = named(parent[p])
	if (name == "shell" && (!(p in program) || index(helpers, " " program[p] " ")))
		return part[p] = name
	if (!(p in program) && other[parent[p], fork_at[p]])
		return part[p] = name # a program of somebody else's that forks for itself
	if (name == "shell") {
		name = program[p]
		for (i = split(words[p], list, " "); i > 1; i--)
			if (index(verbs, " " list[i] " ") && name !~ /^(detach|forkoff)$/)
				name = program[p] " " list[i]
	} else if (leads(p))
		name = children[p] ? "middle" : "daemon"
	else if (name ~ /^middle/)
		name = "daemon"
	else if (p in program && (name ~ /^daemon/ || p in seer && seer[p] == parent[p] || other[parent[p], fork_at[p]]))
		name = program[p]
	else
		name = name ~ /^child/ ? "grandchild" : "child"
	if (p in program && name ~ /^(daemon|child|grandchild)$/)
		name = name ", then " program[p]
	return part[p] = unique(p, name)
}
function leads(p,    n) {
	for (n = 1; n <= events[p]; n++)
		if (kind[p, n] == "did" && text[p, n] ~ /^setsid: a/)
			return 1
	return 0
}
# One parent's children of one name follow one another in one place; others have a number.
function unique(p, name,    key) {
	key = (named(parent[p]) == "shell" ? p : parent[p]) SUBSEP name
	if (!(key in taken))
		taken[key] = name (++like[name] > 1 ? " " like[name] : "")
	return taken[key]
}

# Pids in a text become names, or at least no numbers.
function nameless(text,    out, n) {
	while (match(text, /<?[0-9]+>?/)) {
		n = substr(text, RSTART, RLENGTH)
		out = out substr(text, 1, RSTART - 1)
		text = substr(text, RSTART + RLENGTH)
		if (n ~ /^<.*>$/)
			n = substr(n, 2, length(n) - 2) in is_pid ? named(substr(n, 2, length(n) - 2)) : "somebody"
		out = out (n in is_pid ? "PID" : n)
	}
	return out text
}
