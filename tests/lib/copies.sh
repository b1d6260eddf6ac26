# shellcheck shell=sh
# For sh, sourced by tests/memcheck, tests/sanitize, tests/lint, tests/new-prove and .ci/run from the repository's
# folder.
#
# Example: sh -c '. tests/lib/copies.sh && copies work/clang CC=clang'

# As many at a time as there are processors.
jobs=$(getconf _NPROCESSORS_ONLN)

# copies FOLDER [MAKE-ARGUMENT...]: copies of all stages under FOLDER, built there. Prints what went wrong.
copies() {
	copies_to=$1
	shift
	rm -rf "$copies_to"
	mkdir -p "$copies_to" && cp -R stage[1-6]-* "$copies_to" || return 1
	for copy in "$copies_to"/stage*; do
		(cd "$copy" && make clean && make -j "$jobs" "$@") >"$copy/make.out" 2>&1 && continue
		cat "$copy/make.out"
		echo "does not build: make $* in ${copy##*/}"
		return 1
	done
}

# programs FOLDER: the programs that were built in it.
programs() {
	for program in forkoff detach repeatd repeatctl leecher leecherctl; do
		[ -x "$1/$program" ] && echo "$program"
	done
}
