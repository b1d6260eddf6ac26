/*
 * The log: one line for each thing that happened, one write for each line.
 *
 *     2026-11-21T18:02:49.033Z info repeatd[123]: text
 *
 * A process has one log, so this module keeps it to itself instead of handing it around.
 */
#ifndef LOG_H
#define LOG_H

#include <sys/types.h>

#include <stddef.h>

enum level { LEVEL_ERROR, LEVEL_WARNING, LEVEL_INFO, LEVEL_DEBUG };

/* Finds a level by its name: error, warning, info, debug. Returns 0, or -1. */
int log_level_named(const char *name, enum level *level);
const char *log_level_name(void);

/* Lines of a lower importance than level are left out. At first: info. */
void log_set_level(enum level level);

/*
 * Lines go to the file path, an absolute name that lives on ("-": to standard error), under this
 * program's name. Before that they go to standard error. Returns 0, or -1 with errno.
 */
int log_open(const char *program, const char *path);

/* Lines go to syslog(3) instead. */
void log_to_syslog(const char *program);

/*
 * Opens the file under its path again, after somebody has renamed it. If that fails, the old one
 * goes on, and says so. Returns 0, or -1 with errno.
 */
int log_reopen(void);

/* After the last words. */
void log_close(void);

/* A line of our own. */
void log_say(enum level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line of somebody else's, under their name and pid: len bytes, escaped by text_escape. */
void log_line(enum level level, const char *name, pid_t pid, const char *text, size_t len);

#endif
