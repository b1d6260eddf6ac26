# What is different in a project of its own, for tests/new. The names have been changed before.
#
# Example: sed -f tests/lib/new.sed tests/lib/common.bash

# One README.md has all that a failing test refers to.
s|stage[1-6]-[A-Za-z0-9-]*/README[.]md|README.md|g

# The programs lie where the sources lie, and there is one stage.
s|^STAGES=.*|PROGRAMS=${PROGRAMS:-$ROOT}|
s/ (without its control program, [^)]*)//
s/# a [^ ]* is that of one stage only/# a program is that of one stage only/

# tests/deps installs nothing.
s|: sh tests/deps --ci||
s/its tests are skipped;$/its tests are skipped./
/^# sh tests.deps --ci installs/d

# Manuals of other stages' programs.
/^[.]Xr [a-z]* 1 ,$/ {
	/ forkoff /d
	/ detach /d
	/ repeatd /d
}
s/^[.]Xr detach 1$/another program/
