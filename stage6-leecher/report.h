/*
 * Telling people: the marker, the link to the log, mail, hooks.
 *
 * All of it runs beside the work: nothing here can fail an item, or hold one up.
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "job.h"
#include "ledger.h"

struct report; /* one mail, or one hook */

struct reports {
	/* Set by the caller: */
	const struct config *config;
	struct jobs *jobs;
	struct ledger *ledger;
	int64_t grace;

	/* The module's own: */
	struct report *first, *last; /* in their order; the first few run */
	int running;
	bool stopping;

	/*
	 * That something was told could not be written down: no failure is told until the ledger can
	 * be written again, or there would be a mail in each pass. Who writes to it clears this.
	 */
	bool forgetful;
};

/* The item is here, pulled in so many seconds; or it has failed, for the reason in entry->error. */
void report_done(struct reports *reports, const struct entry *entry, double seconds);
void report_failed(struct reports *reports, const struct entry *entry, double seconds);

/* The item was here already, and is the source's: only its marker is made. */
void report_here(struct reports *reports, const struct entry *entry);

/* Takes back what was put beside the item: it is to be forgotten, or tried anew. */
void report_take_back(struct reports *reports, const struct entry *entry);

/* Path of the item's own log, and a descriptor to append to it, or -1 with errno. */
void report_log_path(const struct config *config, const struct entry *entry, char *path,
    size_t size);
int report_open_log(const struct config *config, const struct entry *entry);

bool reports_idle(const struct reports *reports);

/* Ends those that run; those that wait are left for the next start. */
void reports_stop(struct reports *reports);

#endif
