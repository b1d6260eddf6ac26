/*
 * Becoming another program: which file, with which signals, and what a failed exec means.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stddef.h>

/* As env(1) and nohup(1) answer for a command that they start. */
enum { COMMAND_CANNOT_EXECUTE = 126, COMMAND_NOT_FOUND = 127 };

/*
 * A name such as "./job" or "bin/job" means the caller's directory, also after a chdir:
 * writes the absolute path of it into path. Any other name is copied as it is, and exec
 * looks for it in PATH. Returns 0, or -1 with errno.
 */
int command_path(const char *name, char *path, size_t size);

/*
 * Every disposition default and an empty mask. Exec resets handlers by itself, but what was
 * ignored stays ignored and what was blocked stays blocked (execve(2)): a program started from
 * nohup or from a daemon would never see the signal.
 */
void command_default_signals(void);

/*
 * What exec of path failed with, for people and for exit: writes "execute NAME: WHY" into text,
 * with the name that the caller had given, and returns 127 (not found) or 126 (found but cannot
 * be executed). err is exec's errno.
 */
int command_failure(const char *name, const char *path, int err, char *text, size_t size);

#endif
