# shellcheck shell=bash
# What the tests of pages share: chapters, manuals, and whatever else is there to be read. After: load lib/common

export LIMIT=$((60 * SLOWER)) # for tests/console

# console PAGE: what it shows on a terminal happens.
console() { sh tests/console "$1" 3>&- 4>&- || fail "  expected: what $1 shows"; }

# pages [PATTERN]: every page and manual of the repository, or those that have such a line.
pages() { find . -path ./work -prune -o \( -name '*.md' -o -path './stage*.[1-8]' \) -exec grep -lE "${1-}" {} + | sed 's|^./||' | sort; }
# terminals: those that show a terminal.
terminals() { pages '^(```console|[.]Bd -literal)'; }
