# The only entry point. Plain POSIX make; nothing here installs packages: sh tests/deps does.
#
#: make                  build all stages
#: make demo             see the leecher work, in about ten seconds
#: make test             all tests; make test-stage1 ... test-stage6: the tests of one stage
#: make check            hold the programs to their promises, and say of each that is broken why, and where to read;
#:                       DIR=FOLDER: programs of your own, in any language; STAGE=3 or STAGE=3:18: only these;
#:                       ARGS=-f: stop at the first that is broken; ARGS=--list: name them
#: make exercise STAGE=3 DIR=my-stage3   the tests of that chapter's exercise, on your programs
#:                       (check and exercise first build a DIR that has a Makefile)
#: make exercises        prove that each exercise can fail and can be solved
#: make trace STAGE=2 [CMD='detach ls'] [DIR=my-stage2] [OUT=FILE.svg|FILE.html]
#:                       draws what really happens, from the system calls of a run
#: make diff N=4         what stage 4 adds to stage 3
#: make new NAME=mydaemon FROM=stage4 [DIR=...]
#:                       the stage as a project of your own, under a name of your own (DIR: ../NAME)
#: make new-prove        proves make new: each stage is made, built, and tested under other names
#: make memcheck         the tests with each program under valgrind
#: make sanitize         the tests with AddressSanitizer and UBSan
#: make lint             clang-format, clang-tidy, cppcheck, gcc -fanalyzer, shellcheck, mandoc
#: make bugs             prove that each of tests/bugs/ is caught; STAGE=N, BUG=NAME; ALL=1: with all other tests
#: make bug              bugs for you to find, or those of STAGE=N; make bug BUG=NAME puts one into work/NAME, then
#:                       make hint BUG=NAME, and with MORE=1 all of it; make answer BUG=NAME; FRESH=1 begins anew
#: make pages            hold the pages to the sources: options, exit codes, quoted code, links
#: make docs-update      show where the terminals of the pages differ from what happens, ask, and write; FILE=..., YES=1
#: make oracles          prove that the tests demand what the contract does, no less and no more; STAGE=N
#: make bench            measurements beside other tools; sh tests/deps --bench installs those
#: make install          PREFIX (default /usr/local), DESTDIR; make uninstall undoes it
#: make clean            remove what was built; your own folders in work/ stay
#: make help             this list
#:
#: STAGE=N also limits memcheck, sanitize and new-prove; JOBS and FILTER in the environment: see tests/run.
#: CC, CPPFLAGS, CFLAGS, LDFLAGS, LDLIBS reach every stage: make CC=clang CFLAGS='-O1 -g'

CC = cc
CPPFLAGS =

# From the command line only: a shell may have exported the same name. What may hold any sign, such as DIR and CMD, recipes
# take from the environment, where make puts what its command line says.
STAGE =
DIR =
ARGS =
CMD =
OUT =
N =
NAME =
FROM =
BUG =
ALL =
FRESH =
MORE =
FILE =
# With it, cd may go elsewhere.
CDPATH =

all: stage1 stage2 stage3 stage4 stage5 stage6

have-build:
	@CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' sh tests/deps --check build

stage1: have-build
	@cd stage1-fork && $(MAKE) all
stage2: have-build
	@cd stage2-daemon && $(MAKE) all
stage3: have-build
	@cd stage3-pidfile && $(MAKE) all
stage4: have-build
	@cd stage4-signals && $(MAKE) all
stage5: have-build
	@cd stage5-fifo && $(MAKE) all
stage6: have-build
	@cd stage6-leecher && $(MAKE) all

demo: all
	@sh tests/deps --check demo
	@sh tests/demo

test: all
	@sh tests/run
test-stage1: stage1
	@sh tests/run 1
test-stage2: stage2
	@sh tests/run 2
test-stage3: stage3
	@sh tests/run 3
test-stage4: stage4
	@sh tests/run 4
test-stage5: stage5
	@sh tests/run 5
test-stage6: stage6
	@sh tests/run 6

# A folder that has a Makefile is built first: what is looked at is what its owner has written last.
own-build:
	@if [ -z "$$DIR" ]; then $(MAKE) -s all; elif [ -f "$$DIR/Makefile" ]; then cd "$$DIR" && $(MAKE) -s; fi

check: own-build
	@sh tests/check $${DIR:+-d "$$DIR"} $(ARGS) $(STAGE)
exercise: own-build
	@sh tests/exercise '$(STAGE)' "$${DIR-}"
exercises: all
	@sh tests/exercises/prove

# README.md, manuals and what was built are left out; diff's exit code 1 only says that there is a difference.
diff:
	@case '$(N)' in [2-6]) ;; *) echo 'usage: make diff N=2 (up to 6)' >&2; exit 2 ;; esac; \
	diff -ruN -x README.md -x '*.[15]' -x '*.o' -x forkoff -x detach -x repeatd -x repeatctl \
		-x leecher -x leecherctl stage$$(($(N) - 1))-* stage$(N)-* || test $$? -eq 1

new:
	@sh tests/new "$${NAME-}" "$${FROM-}" "$${DIR-}"
new-prove:
	@sh tests/deps --check ci
	@sh tests/new-prove $(STAGE)
.PHONY: new new-prove

trace: have-build
	@case '$(STAGE)' in [1-6]) ;; *) echo "usage: make trace STAGE=N [CMD='...'] [DIR=FOLDER] [OUT=FILE.svg]" >&2; exit 2 ;; esac
	@[ -n "$(DIR)" ] || $(MAKE) -s stage$(STAGE) >/dev/null
	@sh tests/trace $${DIR:+-d "$$DIR"} $${OUT:+-o "$$OUT"} '$(STAGE)' $${CMD:+"$$CMD"}
.PHONY: trace

memcheck:
	@sh tests/memcheck $(STAGE)
sanitize:
	@CC='$(CC)' sh tests/sanitize $(STAGE)
oracles: all
	@sh tests/oracles/run $(STAGE)
bugs: all
	@stage='$(STAGE)' all='$(ALL)'; \
	CC='$(CC)' sh tests/bugs-prove $${stage:+-s "$$stage"} $${all:+-e 1} $(BUG)
bug:
	@set -- list $(STAGE); [ -z "$${BUG-}" ] || set -- put "$$BUG"; FRESH='$(FRESH)' sh tests/bug "$$@"
hint:
	@MORE='$(MORE)' sh tests/bug hint "$${BUG-}"
answer:
	@sh tests/bug answer "$${BUG-}"
lint:
	@sh tests/lint
pages: all
	@sh tests/options && sh tests/quotes stage[1-6]-*/README.md && sh tests/links *.md stage[1-6]-*/README.md && \
	sh tests/console --look *.md stage[1-6]-*/README.md stage[1-6]-*/*.[15] && echo 'the pages agree with the sources'
# Without FILE, all pages that show a terminal.
docs-update: all
	@set -- $(FILE); [ $$# -gt 0 ] || \
	set -- $$(grep -lE '^(```console$$|[.]Bd -literal)' *.md stage[1-6]-*/README.md stage[1-6]-*/*.[15]); \
	sh tests/console --update "$$@"
bench: all
	@sh tests/bench/run

# Stages 3 and 4 are steps on the way to stage 5's repeatd.
install: all
	cd stage1-fork && $(MAKE) install
	cd stage2-daemon && $(MAKE) install
	cd stage5-fifo && $(MAKE) install
	cd stage6-leecher && $(MAKE) install
uninstall:
	cd stage1-fork && $(MAKE) uninstall
	cd stage2-daemon && $(MAKE) uninstall
	cd stage5-fifo && $(MAKE) uninstall
	cd stage6-leecher && $(MAKE) uninstall

clean:
	cd stage1-fork && $(MAKE) clean
	cd stage2-daemon && $(MAKE) clean
	cd stage3-pidfile && $(MAKE) clean
	cd stage4-signals && $(MAKE) clean
	cd stage5-fifo && $(MAKE) clean
	cd stage6-leecher && $(MAKE) clean
	[ ! -d work ] || (cd work && rm -rf memcheck sanitize bugs oracles exercises bench ci portable build-* installed)

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

.PHONY: all have-build own-build stage1 stage2 stage3 stage4 stage5 stage6 demo test test-stage1 \
	test-stage2 test-stage3 test-stage4 test-stage5 test-stage6 check exercise exercises diff \
	new new-prove trace memcheck sanitize oracles bugs bug hint answer lint pages docs-update bench \
	install uninstall clean help
