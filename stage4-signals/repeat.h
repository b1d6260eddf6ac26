/*
 * The work of repeatd: COMMAND, again and again.
 */
#ifndef REPEAT_H
#define REPEAT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "job.h"
#include "lines.h"
#include "log.h"
#include "loop.h"
#include "pidfile.h"
#include "timetable.h"

struct repeat {
	/* From the options: */
	char pidfile[PATH_MAX], log[PATH_MAX]; /* absolute */
	char path[PATH_MAX];                   /* of COMMAND */
	char **argv;                           /* COMMAND and its arguments; argv[0] NULL: none */
	int64_t interval;                      /* nanoseconds */
	int64_t times;                         /* -1: for ever */
	int64_t grace;                         /* nanoseconds between TERM and KILL for COMMAND */
	enum level level;
	bool syslog;

	/* While it works: */
	const struct pidfile *lock;
	struct loop loop;
	struct jobs jobs;
	struct job job;
	struct lines lines;
	struct timetable timetable;
	struct loop_timer beat;
	int64_t runs, failed; /* that have ended */
	bool stopping, finished;
	int status;
};

/* What service.h asks for; the context is a struct repeat. */
void repeat_begin(void *context);
int repeat_prepare(void *context, char *why, size_t size);
int repeat_work(void *context, const struct pidfile *pidfile);
void repeat_finish(void *context, int status);

#endif
