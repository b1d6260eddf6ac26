/*
 * From incoming/ID, where an item grows, to its final name, where it appears whole.
 */
#ifndef STAGING_H
#define STAGING_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "ledger.h"

/* Writes the path of the directory that the entry is pulled into. */
void staging_path(const struct config *config, const struct entry *entry, char *path, size_t size);

/* Makes that directory, unless it is there. Returns 0, or -1 with errno. */
int staging_make(const struct config *config, const struct entry *entry);

/*
 * Locks it, for this process and those that inherit the descriptor: a leecher that is killed
 * leaves an rsync behind for a while, which writes on. This is flock(2) and not fcntl(2) because
 * such a lock lives until the last of them has gone. Returns a descriptor, or -1 with errno,
 * EWOULDBLOCK: an earlier rsync still has it.
 */
int staging_lock(const struct config *config, const struct entry *entry);

/* Is there anything of the item in it? */
bool staging_has(const struct config *config, const struct entry *entry);

/* Removes it with all that is in it. Returns 0, or -1 with errno. */
int staging_remove(const struct config *config, const struct entry *entry);

/* Removes what stands in incoming/ and logs/ and belongs to no entry. */
void staging_sweep(const struct config *config, struct ledger *ledger);

/*
 * Makes a staged item fit to be published: refuses links that lead outside of it, sets the mode
 * of [destination] mode, and waits until all of it is on disk. That may take minutes: it runs in
 * a child process of its own (job.instead). Prints the item's bytes on standard output, the
 * reason of a failure on standard error; returns the exit status.
 */
int staging_finish(const struct config *config, const struct entry *entry);

/*
 * Is there room for what is missing of an item of entry->bytes? If not, what is here of it is
 * removed, so that others find room. Returns 0, or -1 with the reason in why.
 */
int staging_room(const struct config *config, const struct entry *entry, char *why, size_t size);

/*
 * Renames the item to its final name under TO: NAME, or the first of NAME.1, NAME.2, ... that is
 * free. Nothing is ever overwritten. The ledger says PUBLISHING before and DONE after it, so that
 * staging_recover finds its way after a crash. On failure why says why, and the entry's state
 * whether the name was changed: PUBLISHING if perhaps, else as it was.
 */
enum staging_result { STAGING_DONE, STAGING_FAILED, STAGING_OPEN };
enum staging_result staging_publish(const struct config *config, struct ledger *ledger,
    struct entry *entry, char *why, size_t size);

/* For an entry that is PUBLISHING, after a crash or STAGING_OPEN: publishes it, or sees that it was. */
enum staging_result staging_recover(const struct config *config, struct ledger *ledger,
    struct entry *entry, char *why, size_t size);

#endif
