# What must come before what. A part of trace-order.awk, which reads the events into: events, began, ended, kind, object, text,
# parent, fork_at, death; sends, sender, send_at, offset, got_from, got_to (of messages); count, by, by_at (of signals and
# locks); held (pipes). relate(p, n) leaves in need[p, n, 1 ... needs[p, n]] the events that come before event n of process p.
#
# Example: (cd tests/lib && awk -f trace-names.awk -f trace-needs.awk -f trace-order.awk) <events

# before(p, n, q, m): event m of process q comes before event n of process p.
function before(p, n, q, m) {
	if (m && q in events && q != p && (began[q, m] < ended[p, n] || kind[p, n] == "saw"))
		need[p, n, ++needs[p, n]] = q SUBSEP m
}
function last_done(what, signal, from, to, now,    i) {
	for (i = count[what]; i > 0; i--)
		if (began[by[what, i], by_at[what, i]] < now && text[by[what, i], by_at[what, i]] == signal &&
		    (from == "" || by[what, i] == from) && (to == "" || object[by[what, i], by_at[what, i]] ~ ("^" to "$|^-")))
			return i
	return 0
}
# The first event of that kind after event n.
function first(p, kinds, n) {
	while (++n <= events[p])
		if (kind[p, n] ~ kinds)
			return n
	return 0
}
# Is that pipe one of its descriptors 0, 1, 2, which stay open when it executes something?
function holds(p, pipe,    n) {
	for (n = 1; n <= events[p]; n++)
		if (kind[p, n] == "dup" && object[p, n] == pipe)
			return 1
	return p in parent && holds(parent[p], pipe)
}
function descends(p, from) {
	while (p in parent)
		if ((p = parent[p]) == from)
			return 1
	return 0
}
function relate(p, n,    k, i, q, m, key) {
	k = kind[p, n]
	key = object[p, n]
	if (n == 1 && p != root)
		before(p, n, parent[p], fork_at[p])
	if (k == "saw")
		before(p, n, key, death[key])
	if (k == "recv") {
		for (i = sends[key]; i > 0 && (i == sends[key] || offset[key, i + 1] > got_from[p, n]); i--)
			if (offset[key, i] < got_to[p, n])
				before(p, n, sender[key, i], send_at[key, i])
	}
	if (k == "end") # whoever may have had the other end has closed it by then: by an exec, or by its end
		for (q in events) {
			m = first(q, key in held ? "^exit$" : "^(exec|exit)$", sends[key] && sender[key, sends[key]] == q ? send_at[key, sends[key]] : 0)
			if (sends[key] ? sender[key, sends[key]] != q : key in held ? !holds(q, key) : !descends(q, p))
				continue
			if (sends[key])
				before(p, n, q, send_at[key, sends[key]])
			if (m && began[q, m] < ended[p, n]) {
				before(p, n, q, m)
				if (kind[q, m] == "exec")
					closes[q, m] = p
			}
		}
	if (k == "took" && (i = last_done("kill", text[p, n], key, "", began[p, n])))
		before(p, n, by["kill", i], by_at["kill", i])
	if (k == "exit" && key != "") {
		if ((i = last_done("kill", key, "", p, began[p, n])))
			before(p, n, by["kill", i], by_at["kill", i])
		else if (death[parent[p]] && began[parent[p], death[parent[p]]] < began[p, n])
			before(p, n, parent[p], death[parent[p]])
	}
	for (i = 1; k == "lock" && i <= count["lock"]; i++) {
		q = by["lock", i]
		m = by_at["lock", i]
		if (object[q, m] == key && began[q, m] < began[p, n] && text[q, m] == "lock") {
			before(p, n, q, m)
			if (death[q] && began[q, death[q]] < ended[p, n])
				before(p, n, q, death[q])
		}
	}
	if (k ~ /^(rest|look)$/)
		for (q in events) {
			for (m = events[q]; m > 0 && ended[q, m] > ended[p, n]; m--)
				;
			before(p, n, q, m)
		}
}
