/*
 * Speaking with rsync: its arguments, its lists, its exit codes.
 */
#ifndef RSYNC_H
#define RSYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "complaint.h"
#include "config.h"
#include "job.h"
#include "words.h"

/* Adds "rsync" and what every call of it has; the caller adds what this one is to do. */
void rsync_begin(struct words *argv, const struct config *config);

/* What to add to its environment, for job.env: so that it speaks as we expect, and never asks. */
char *const *rsync_environment(void);

/*
 * Adds the arguments for a recursive call on some items of the source, and what is to be done
 * with them into the directory into. The names go through --files-from=- --from0, which is the
 * only way by which any name means itself: not a pattern, not an option, not a comment.
 * Returns a descriptor for rsync's standard input, or -1 with errno.
 */
int rsync_items(struct words *argv, const struct config *config, const char *const *names,
    size_t count, const char *into);

/* One line of --list-only. */
struct rsync_entry {
	char type; /* 'd', '-', 'l' or another, as ls(1) has it */
	int64_t bytes;
	char time[24]; /* "2026/11/21 18:02:49": later times compare greater, to 9999 */
	char *name;    /* in the line itself, its bytes as they are at the source */
};

/* Takes the line apart, in place. Returns false if it is none. */
bool rsync_parse(char *line, struct rsync_entry *entry);

/*
 * Why a job of rsync failed, for people: its first words, and the exit status. Returns false
 * if it did not fail.
 */
bool rsync_failed(const struct job *job, const struct complaint *complaint, char *why, size_t size);

#endif
