# Makes TAP of what tests/lib/batch says, for tests/run and tests/bugs-prove. Exit status 0: there were tests, and none failed.
#
# Example: sh tests/lib/batch work/x | awk -v folder=work/x -f tests/lib/tap.awk work/x/table -

BEGIN { FS = "\t" }
FNR == NR { name[NR] = $8; number[NR] = $3; stage[NR] = $2; total = NR; next }
!planned { print "1.." total + 0; planned = 1 }
{ split($0, word, " ") }
word[1] == "ok" { print "ok " ++count " " name[word[2]]; words(word[2]) }
word[1] == "skip" {
	reason = $0
	sub(/^skip [0-9]* ?/, "", reason)
	print "ok " ++count " " name[word[2]] " # skip " reason
	words(word[2])
}
word[1] == "not" {
	reason = $0
	sub(/^not ok [0-9]* ?/, "", reason)
	print "not ok " ++count " " name[word[3]] (reason == "" ? "" : " # " reason)
	words(word[3])
	failed++
}
END {
	if (!planned) print "1.." total + 0
	exit failed > 0 || count < total || !total
}

function words(id,    line) {
	while ((getline line <(folder "/" id)) > 0) print line
	close(folder "/" id)
}
