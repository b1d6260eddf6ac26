/*
 * A pass: ask what is there, pull what is new, publish it, tell people. One item after another.
 */
#ifndef PASS_H
#define PASS_H

#include <stdbool.h>
#include <stdint.h>

#include "complaint.h"
#include "config.h"
#include "job.h"
#include "ledger.h"
#include "report.h"
#include "show.h"
#include "source.h"
#include "transfer.h"

enum { PASS_TRIES = 10 }; /* then an item is parked */

enum pass_phase {
	PASS_IDLE,
	PASS_LISTING,
	PASS_MEASURING,
	PASS_BETWEEN,   /* two items */
	PASS_COMPARING, /* with what stands under TO already */
	PASS_PULLING,
	PASS_CHECKING,  /* that it has not changed meanwhile */
	PASS_FINISHING, /* onto the disk */
	PASS_PHASES
};

extern const char *const pass_phase_name[PASS_PHASES];

struct pass {
	/* Set by the caller: */
	const struct config *config;
	struct jobs *jobs;
	struct ledger *ledger;
	struct reports *reports;
	struct show *show;
	int64_t grace;
	void (*ended)(void *context);
	void *context;

	/* To be read: */
	enum pass_phase phase;
	struct entry entry;          /* the item in hand, from PASS_COMPARING on */
	struct transfer transfer;    /* how far it is, in PASS_PULLING */
	bool known;                  /* the last list could be believed */
	char why[400];               /* if not, why */
	int pulled, failed, waiting; /* in this pass */
	int64_t settled_at;          /* when the first of those that wait may be settled; 0: none */

	/* The module's own: */
	struct source source, one;
	size_t next;             /* item of source to look at */
	struct loop_timer go_on; /* to the next item, from the loop: not from within the last one */
	int64_t began_at;        /* the item in hand */
	int log, lock;           /* its log; its staging place, locked */
	struct loop_timer lock_again;
	int locked; /* times that the lock was somebody else's */
	bool stopping, cancelled;
	bool open; /* an item is left PUBLISHING, and it must be found out what became of it */
	struct job finishing;
	struct complaint complaint;
	char bytes[32];
	size_t bytes_used;
};

void pass_set_up(struct pass *pass);

/* Begins one; ended is called when it is over, perhaps before this returns. Only when idle. */
void pass_begin(struct pass *pass);

/* Lets go of the item in hand so that it can go on later, and ends the pass. */
void pass_stop(struct pass *pass);

/* If this is the item in hand: lets go of it and goes on with the next one. */
void pass_cancel(struct pass *pass, const char *name);

/*
 * After a start: brings ledger, incoming/ and TO into agreement, whatever had interrupted us,
 * and tells people what they were not told. Returns 0, or -1 with the reason in why.
 */
int pass_recover(struct pass *pass, char *why, size_t size);

void pass_free(struct pass *pass);

#endif
