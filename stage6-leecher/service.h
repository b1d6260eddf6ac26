/*
 * The verbs of a service: start, stop, restart, status, run.
 *
 * The program brings its functions; who runs, who waits and what the exit status says is
 * the same for every service, and is here.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include <stddef.h>
#include <stdint.h>

#include "daemon.h"
#include "pidfile.h"

enum { SERVICE_DONE = 0, SERVICE_FAILED = 1, SERVICE_USAGE = 2 };

struct service {
	const char *name;                /* of the program, for messages */
	const char *pidfile;             /* absolute path */
	struct daemon_settings settings; /* of the daemon; failure is set by service_do */
	int64_t patience;                /* of stop, between TERM and KILL; nanoseconds */

	/* All of them run in the daemon and get this context. */
	void *context;
	/* First of all, before the lock is taken: the place to block signals. May be NULL. */
	void (*begin)(void *context);
	/* Opens what is needed. A failure goes to the launcher: 0, or -1 with its reason in why. */
	int (*prepare)(void *context, char *why, size_t size);
	/* The work itself. Returns the exit status. */
	int (*work)(void *context, const struct pidfile *pidfile);
	/* After the pid file has gone: the last words. May be NULL. */
	void (*finish)(void *context, int status);
};

/* Does what verb says and returns the exit status; SERVICE_USAGE for an unknown verb. */
int service_do(struct service *service, const char *verb);

#endif
