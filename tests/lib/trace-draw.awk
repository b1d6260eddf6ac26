# For tests/trace: draws the items of trace-order.awk as a Mermaid sequence diagram.
#
#   awk [-v most=NUMBER] -f tests/lib/trace-draw.awk ITEMS
#
# Example: awk -f tests/lib/trace-draw.awk items
#
# What one participant does in a row, by itself or to one object, stands in one note or at one arrow. What comes again and
# again is drawn once, in a loop. After that many arrows (most, default 40) it is cut off. Exit status 1: nothing to draw.
BEGIN {
	FS = "\t"
	most = most ? most : 40
}

# What would mean something to Mermaid is written as an entity.
function safe(text,    out, c, i) {
	if (length(text) > 72)
		text = substr(text, 1, 66) " ..."
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		out = out (c == "#" ? "#35;" : c == ";" ? "#59;" : c == "<" ? "#lt;" : c == ">" ? "#gt;" : c == "%" ? "#37;" : c)
	}
	return out
}
function id(name) {
	gsub(/[^A-Za-z0-9]+/, "_", name)
	return name ~ /^(end|loop|note|link|links|box|over|opt|alt|par|rect)$/ ? name "_" : name
}
function first_words(text) { return substr(text, 1, match(text, / [^ ]+$/) ? RSTART : 0) }
# Joins "catches TERM" and "catches INT", and "open" and "lock".
function joined(old, new, mark,    last) {
	last = old
	if (mark == "<br/>")
		sub(/.*<br\/>/, "", last)
	if (last == new || index(last, new ", ") == 1)
		return old
	if (mark == "<br/>" && first_words(new) ~ /^(catches|ignores|.* becomes) $/ && index(last, first_words(new)) == 1)
		return last ~ / [.][.][.]$/ ? old : length(last) > 40 ? old " ..." : old ", " substr(new, length(first_words(new)) + 1)
	return old mark new
}
# Joins one message and the next.
function more(old, new) {
	sub(/^prints /, "", new)
	if (new == "\"\"" || old ~ / [.][.][.]$/)
		return old
	if (sub(/""$/, "", old))
		return old new
	return old " " (length(old new) > 60 ? "..." : new)
}

{
	new = safe($4)
	same_two = items && from[items] == $2 && to[items] == $3
	same = same_two && what[items] == $1
	if (same && $1 == "note")
		label[items] = joined(label[items], new, "<br/>")
	else if (same && $1 == "touch" && length(label[items] new) < 60)
		label[items] = joined(label[items], new, ", ")
	else if (same && $1 == "say" && new ~ /"$/)
		label[items] = more(label[items], new)
	else if (same_two && $1 == "exit" && what[items] == "say") { # its last words
		label[items] = label[items] ", " new
		what[items] = "exit"
	} else if (!same || label[items] != new) {
		what[++items] = $1
		from[items] = $2
		to[items] = $3
		label[items] = new
	}
}

function equal(i, j) { return what[i] == what[j] && from[i] == from[j] && to[i] == to[j] && label[i] == label[j] }
# How often does the block of this length at i come in a row?
function times(i, length_of,    n, k) {
	for (n = 1; i + (n + 1) * length_of - 1 <= items; n++)
		for (k = 0; k < length_of; k++)
			if (!equal(i + k, i + n * length_of + k))
				return n
	return n
}
function participant(name) {
	if (name != "" && !(name in known)) {
		known[name] = 1
		print "    participant " id(name) (id(name) == name ? "" : " as " safe(name))
	}
}
# Those lines of a note that were not said before in that place; the last one in any case.
function news(name, text,    list, n, j, out) {
	n = split(text, list, /<br\/>/)
	for (j = 1; j <= n; j++)
		if (j == n || !((name, list[j]) in said)) {
			out = out (out == "" ? "" : "<br/>") list[j]
			said[name, list[j]] = 1
		}
	return out
}
function line(i, indent) {
	if (what[i] == "note")
		body = body indent "Note over " id(from[i]) ": " news(from[i], label[i]) "\n"
	else if (++arrows <= most)
		body = body indent id(from[i]) (what[i] == "exit" ? "-->>" : "->>") id(to[i]) ": " label[i] "\n"
	participants = participants from[i] "\n" to[i] "\n"
}
END {
	for (i = 1; i <= items && arrows < most; i++) {
		for (block = 2; block <= 12 && (n = times(i, block)) < 2; block++)
			;
		if (block > 12) {
			line(i, "    ")
			continue
		}
		body = body "    loop " n " times\n"
		for (j = i; j < i + block; j++)
			line(j, "        ")
		body = body "    end\n"
		i += n * block - 1
	}
	if (!items)
		exit 1
	if (i <= items)
		body = body "    Note over " id(from[items]) ": and so on\n"
	print "sequenceDiagram"
	n = split(participants, list, "\n")
	participant("shell")
	for (j = 1; j <= n; j++)
		participant(list[j])
	printf "%s", body
}
