# shellcheck shell=sh
# For sh, sourced by tests/bug and tests/bugs-prove from the repository's folder: where the bugs are, what
# their headers say, and a stage with one of them in it. A bug is a file NAME.patch:
#
#   Bug: its name in plain words
#   Stage: 1 to 6
#   Symptom: what a user sees, not why
#   Wrong: what goes wrong inside, and why
#   Seen: where in the wild
#   Test: the exact name of a test of that stage that catches it; there may be several such lines
#   Question: one question for who looks for it
#   Hangs: yes      (only if the test ends by its time limit)
#
# A line that begins with a blank carries the one before it on. Behind an empty line stands the patch, for
# patch -p1 in the stage's folder.
#
# Example: sh -c '. tests/lib/bugs.sh && bug_names 3'

BUGS=${BUGS:-tests/bugs}

# bug_fields FIELD [PATCH...]: "NAME VALUE", a line for each time that a header says FIELD; of all bugs, or of these files.
bug_fields() {
	field=$1
	shift
	[ $# -gt 0 ] || set -- "$BUGS"/*.patch
	[ -f "$1" ] || return 0
	awk -v field="$field:" '
		function out() { if (on) print name " " value; on = 0 }
		FNR == 1 { out(); in_header = 1; name = FILENAME; gsub(/^.*\/|[.]patch$/, "", name) }
		/^$/ { out(); in_header = 0 }
		!in_header { next }
		/^[ \t]/ { sub(/^[ \t]+/, " "); value = value $0; next }
		{ out() }
		index($0, field) == 1 { on = 1; value = substr($0, length(field) + 1); sub(/^[ \t]+/, "", value) }
		END { out() }
	' "$@"
}

# bug_names [STAGE]: the names of all bugs, or of those of a stage.
bug_names() {
	bug_fields Stage | awk -v stage="${1:-}" 'stage == "" || $2 == stage { print $1 }'
}

# bug_field NAME FIELD: what its header says there, a line for each time that it stands there.
bug_field() {
	bug_fields "$2" "$BUGS/$1.patch" | sed 's/^[^ ]* //'
}

# bug_stage STAGE FOLDER: the stage as it was built, times kept, so that make builds only what changes.
bug_stage() {
	mkdir -p "$2" && cp -Rp "stage$1-"*/. "$2"
}

# bug_put NAME FOLDER: puts the bug into a stage that lies there. Prints what patch said if it does not fit.
bug_put() {
	patch -d "$2" -p1 --fuzz=0 --no-backup-if-mismatch -s -f <"$BUGS/$1.patch" 2>&1
}
