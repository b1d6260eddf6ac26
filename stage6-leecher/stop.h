/*
 * Ending a daemon: TERM, wait, KILL, wait. Never a stranger, never too early.
 */
#ifndef STOP_H
#define STOP_H

#include <sys/types.h>

#include <stdint.h>

/*
 * Ends who holds the lock on the pid file: TERM, and KILL after patience (nanoseconds).
 * Returns 0 when it is gone, with its pid in *holder, or 0 there if nobody ran; or -1 with
 * *why, a text that lives on.
 */
int stop_holder(const char *pidfile, int64_t patience, pid_t *holder, const char **why);

#endif
