# Lays a manual in mdoc(7) out as plain lines of four fields, parted by tabs, for tests/lib/told.sh:
# section, subsection, kind, text. Kind is "item" (the head of an entry of a list), "list" (one begins), or "text".
#
#   awk -f tests/lib/mdoc.awk PAGE
#
# Example: awk -f tests/lib/mdoc.awk stage2-daemon/detach.1
#
# It knows the macros that our manuals use. Arguments are in capitals, as -h shows them. In SYNOPSIS each line of the
# source is one line here.

# Words of a macro's line into word[1..n]; a quoted one is one word.
function cut(line,    n) {
	n = 0
	while (match(line, /^ *("[^"]*"|[^ ]+)/)) {
		word[++n] = substr(line, 1, RLENGTH)
		gsub(/^ *"?|"$/, "", word[n])
		line = substr(line, RLENGTH + 1)
	}
	return n
}

# The plain text of a macro's line; "before" is the text that it carries on.
function plain(line, before,    n, i, text, close_them, dash, join, up) {
	n = cut(line)
	text = before
	join = text == ""
	for (i = 1; i <= n; i++) {
		if (word[i] == "Fl") { dash = "-"; up = 0; continue }
		if (word[i] == "Ns") { join = 1; continue }
		if (word[i] == "Nm" && i == n) word[i] = name
		else if (word[i] ~ /^(Ar|Cm|Pa|Li|Ev|Dv|Ic|Em|No|Nm|Xr|Ql)$/) {
			dash = ""
			up = word[i] == "Ar"
			continue
		}
		if (word[i] ~ /^(Op|Pq)$/) {
			text = text (join ? "" : " ") (word[i] == "Op" ? "[" : "(")
			close_them = (word[i] == "Op" ? "]" : ")") close_them
			join = 1
			continue
		}
		if (word[i] ~ /^[.,;:)|]+$/) {
			text = text (word[i] == "|" ? " |" : word[i])
			continue
		}
		text = text (join || word[i] == "..." ? "" : " ") dash (up ? toupper(word[i]) : word[i])
		join = 0
	}
	return text close_them
}

function say(kind, text) {
	gsub(/\\&/, "", text)
	gsub(/\\e/, "\\", text)
	print section "\t" subsection "\t" kind "\t" text
}

function flush() {
	if (paragraph != "")
		say("text", paragraph)
	paragraph = ""
}

/^\.\\"/ { next }
/^\.Sh / { flush(); section = substr($0, 5); subsection = ""; next }
/^\.Ss / { flush(); subsection = substr($0, 5); next }
/^\.Nm / && name == "" { name = $2 }
/^\.Bl/ { flush(); say("list", ""); next }
/^\.It / { flush(); say("item", plain(substr($0, 5), "")); next }
/^\.(Pp|El|Bd|Ed|D1|Dl|Dd|Dt|Os)/ { flush(); next }
/^\.Nd/ { next }
section == "SYNOPSIS" { say("text", plain(substr($0, 2), "")); next }
/^\./ { paragraph = plain(substr($0, 2), paragraph); next }
{ paragraph = paragraph (paragraph == "" ? "" : " ") $0 }
END { flush() }
