/*
 * The work of repeatd: COMMAND, again and again.
 */
#ifndef REPEAT_H
#define REPEAT_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "pidfile.h"

struct repeat {
	char pidfile[PATH_MAX], log[PATH_MAX]; /* absolute */
	char path[PATH_MAX];                   /* of COMMAND */
	char **argv;                           /* COMMAND and its arguments; argv[0] NULL: none */
	int64_t interval;                      /* nanoseconds */
	int64_t times;                         /* -1: for ever */
};

/* What service.h asks for; the context is a struct repeat. */
int repeat_prepare(void *context, char *why, size_t size);
int repeat_work(void *context, const struct pidfile *pidfile);
void repeat_finish(void *context, int status);

#endif
