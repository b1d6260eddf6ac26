# Reads what strace prints of strings and descriptors, and says it so that it is the same in every run. A part of
# trace-events.awk.
#
# Example: awk -v run="$PWD" -v programs="$PWD" -f tests/lib/trace-text.awk -f tests/lib/trace-events.awk table
#
# run, programs: folders whose names are left out. words: names of the first bytes 1, 2, ... of a binary message.
# with_id, ids: names of FIFOs that hold an ID, and those IDs.
BEGIN { names = split(words, word, /[ ,=0-9]+/) }

function quoted(text) { return match(text, /"([^"\\]|\\.)*"/) ? substr(text, RSTART + 1, RLENGTH - 2) : "" }

# The name by which a file is shown. An ID in the name of a FIFO differs from run to run; a number needs its folder.
function base(path,    name) {
	name = path
	sub(/.*\//, "", name)
	sub(/-(journal|wal|shm)$/, "", name) # of a data base
	if (name ~ /^[0-9]+([.]|$)/ && match(path, /[^\/]+\/[^\/]+$/))
		name = substr(path, RSTART)
	return name in with_id ? with_id[name] : name
}
# What strace says of the descriptor at the beginning of the text.
function behind(text) {
	if (!match(text, /^[0-9]*<(UNIX-[A-Z]+:\[[^]]*\]|[^>]*)>/))
		return ""
	text = substr(text, index(text, "<") + 1, RLENGTH - 1 - index(text, "<"))
	sub(/<.*/, "", text) # /dev/null<char 1:3>
	return text
}
function absolute(text,    path) {
	path = quoted(text)
	if (index(path, "/") == 1)
		return path
	sub(/^AT_FDCWD/, "", text)
	return (index(behind(text), "/") == 1 ? behind(text) : run) "/" path
}

function swap(text, old, new,    out) {
	while (old != "" && index(text, old)) {
		out = out substr(text, 1, index(text, old) - 1) new
		text = substr(text, index(text, old) + length(old))
	}
	return out text
}
# What differs from run to run is replaced.
function plain(text,    id) {
	gsub(/[0-9-]+T[0-9:.]+Z /, "", text)
	gsub(/[0-9\/]+ [0-9]+:[0-9:]+/, "TIME", text)
	for (id in ids)
		text = swap(text, id, "ID")
	return swap(swap(swap(text, run "/", ""), run, "."), programs "/", "")
}
# What is written, in one piece or, by writev and sendmsg, in several.
function written(text,    all) {
	if (text !~ /iov_base=/)
		return quoted(text)
	while (match(text, /iov_base="([^"\\]|\\.)*"/)) {
		all = all substr(text, RSTART + 10, RLENGTH - 11)
		text = substr(text, RSTART + RLENGTH)
	}
	return all
}
# The bytes of a message, as strace shows them, for a person. What numbers others tell is not our business.
function said(text,    at) {
	if (match(text, /^\\[1-9][^0-9]/) && substr(text, 2, 1) + 0 <= names)
		return word[substr(text, 2, 1) + 0]
	if (text ~ /\\[0-9x]/)
		return "bytes"
	while (sub(/^(\\[nr]| )/, "", text) || sub(/(\\[nr]| )$/, "", text))
		;
	gsub(/  +/, " ", text)
	at = index(text, "\\n")
	text = plain(at ? substr(text, 1, at - 1) " ..." : text)
	gsub(other[$3] ? "[0-9]+([.:][0-9]+)*" : "[0-9]+[.][0-9]+", "N", text)
	return "\"" text "\""
}
