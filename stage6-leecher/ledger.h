/*
 * The ledger: what we know of each item, for good. An SQLite file.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ledger_state {
	LEDGER_SEEN,       /* at the source; not pulled yet */
	LEDGER_PULLING,    /* begun; incoming/ID holds what is here so far */
	LEDGER_PUBLISHING, /* whole and on disk; about to be renamed to its final name */
	LEDGER_DONE,
	LEDGER_FAILED, /* tried again later */
	LEDGER_PARKED, /* given up, until somebody says retry */
	LEDGER_STATES
};

extern const char *const ledger_state_name[LEDGER_STATES];

struct entry {
	int64_t id;              /* 0: not in the ledger */
	char name[NAME_MAX + 1]; /* at the source; any byte but '/' and NUL */
	enum ledger_state state;
	int64_t bytes;   /* -1: not known */
	char newest[24]; /* newest time in it, as the source writes it */
	int64_t since;   /* Unix time in ms since when size and newest time are the same */
	int tries, wait; /* failures so far; passes to leave out now */
	bool reported;   /* this end, good or bad, was told to people */
	char published[NAME_MAX + 1]; /* its name under TO */
	char error[256];
};

struct ledger;

/*
 * Opens the file, made if it is not there, or with readonly only if it is. Returns NULL with the
 * reason in why, and what to do, when it is damaged or of a newer version; it is then as it was.
 */
struct ledger *ledger_open(const char *path, bool readonly, char *why, size_t size);
void ledger_close(struct ledger *ledger);

/* Finds an item by its name: 1 found, 0 not there (*entry is then a new one), -1 error. */
int ledger_find(struct ledger *ledger, const char *name, struct entry *entry);

/* Writes an entry, and waits until it is on disk; a new one gets its id. Returns 0, or -1. */
int ledger_put(struct ledger *ledger, struct entry *entry);

/* Between these two, ledger_put does not wait for the disk each time; ledger_commit does. */
int ledger_begin(struct ledger *ledger);
int ledger_commit(struct ledger *ledger);

/* In place of ledger_commit: all that was put since ledger_begin is taken back. */
void ledger_roll_back(struct ledger *ledger);

int ledger_remove(struct ledger *ledger, const char *name);

/* Calls back for each entry, by id. The callback may put or remove the entry it has got. */
int ledger_each(struct ledger *ledger, void (*each)(void *context, struct entry *entry),
    void *context);

/* Is there an entry of this id whose item is still on its way? 1, 0, or -1 on error. */
int ledger_expects(struct ledger *ledger, int64_t id);

/* How many are in each state. */
int ledger_count(struct ledger *ledger, int64_t count[LEDGER_STATES]);

/* The words for the last failure. */
const char *ledger_error(struct ledger *ledger);

#endif
