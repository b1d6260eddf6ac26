/*
 * The work of repeatd: COMMAND, again and again.
 */
#ifndef REPEAT_H
#define REPEAT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fifo.h"
#include "job.h"
#include "lines.h"
#include "log.h"
#include "loop.h"
#include "pidfile.h"
#include "timetable.h"

struct repeat {
	/* From the options: */
	char pidfile[PATH_MAX], log[PATH_MAX]; /* absolute */
	char control[PATH_MAX];                /* the FIFO; absolute */
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
	struct fifo fifo;
	struct jobs jobs;
	struct job job;
	struct lines lines;
	struct timetable timetable;
	struct loop_timer beat;
	int64_t runs, failed; /* that have ended */
	bool paused, stopping, finished;
	int status;
};

/* Starts COMMAND now; one at a time. Returns 0, or -1 with errno, EBUSY: it is running. */
int repeat_now(struct repeat *repeat);

/* From now on a beat every interval nanoseconds, the first one when that has passed. */
void repeat_set_interval(struct repeat *repeat, int64_t interval);

/* Lets the running COMMAND end, and the daemon with it; the second time without grace. */
void repeat_stop(struct repeat *repeat, const char *because);

/* COMMAND's name, without its directory. */
const char *repeat_command_name(const struct repeat *repeat);

/* What service.h asks for; the context is a struct repeat. */
void repeat_begin(void *context);
int repeat_prepare(void *context, char *why, size_t size);
int repeat_work(void *context, const struct pidfile *pidfile);
void repeat_finish(void *context, int status);

#endif
