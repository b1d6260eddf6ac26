/*
 * One item on its way: rsync's transfer, and rsync's comparison with what is here already.
 */
#ifndef TRANSFER_H
#define TRANSFER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "complaint.h"
#include "config.h"
#include "job.h"
#include "words.h"

struct transfer {
	/* Set by the caller: */
	const struct config *config;
	struct jobs *jobs;
	int64_t grace;
	void (*progress)(void *context);               /* the figures below have changed */
	void (*ended)(void *context, const char *why); /* why is NULL when all is well */
	void *context;

	/* To be read: */
	int64_t bytes;  /* how far it is */
	double rate;    /* bytes a second, over the last seconds; 0: not known yet */
	bool different; /* after transfer_compare */

	/* The module's own: */
	bool comparing;
	struct job job;
	struct words argv;
	struct complaint complaint;
	char path[PATH_MAX];
	char number[64]; /* rsync's progress so far, between two carriage returns */
	size_t used;
	bool line_begins;
	int64_t counted, counted_at; /* for the rate */
};

/*
 * Pulls item name into the directory into; what is there of it is the beginning. Every line that
 * rsync complains with goes to the descriptor log; rsync inherits the descriptor hold. Returns 0
 * and calls ended later, or -1 with errno.
 */
int transfer_pull(struct transfer *transfer, const char *name, const char *into, int log, int hold);

/* Is TO/name the same as the source's, to the byte? ended is called, and different tells. */
int transfer_compare(struct transfer *transfer, const char *name);

void transfer_stop(struct transfer *transfer);
void transfer_free(struct transfer *transfer);

#endif
