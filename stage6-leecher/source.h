/*
 * What is there: the items of the source, and how big and how new they are.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "complaint.h"
#include "config.h"
#include "job.h"
#include "lines.h"
#include "words.h"

struct item {
	char *name;    /* bytes, no '/' and no NUL */
	bool wanted;   /* by the next source_measure */
	bool measured; /* bytes and newest are known */
	int64_t bytes;
	char newest[24]; /* as rsync_entry.time */
};

struct source {
	/* Set by the caller: */
	const struct config *config;
	struct jobs *jobs;
	int64_t grace; /* nanoseconds, when it is stopped */
	/* The list or the measures are there, or (why not NULL) nothing is known. */
	void (*ended)(void *context, const char *why);
	void *context;

	/* To be read: sorted by name, valid until the next source_list. */
	struct item *items;
	size_t count;

	/* The module's own: */
	size_t room;
	struct job job;
	struct words argv;
	struct lines lines;
	struct complaint complaint;
	char path[PATH_MAX]; /* of the program */
	char why[400];       /* first thing that was wrong with the list */
	char record[NAME_MAX + 1];
	size_t used; /* of record */
};

/*
 * Asks for the list: by [source] list if there is one, else by rsync. Returns 0 and calls ended
 * later, or -1 with errno.
 */
int source_list(struct source *source);

/* Asks for size and newest time of all items that are wanted. As source_list. */
int source_measure(struct source *source);

/* Makes the list one item, for source_measure. */
void source_set_one(struct source *source, const char *name);

struct item *source_find(const struct source *source, const char *name);

void source_stop(struct source *source);
void source_free(struct source *source);

#endif
