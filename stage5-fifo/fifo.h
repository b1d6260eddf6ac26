/*
 * Commands through a named pipe, the daemon's side.
 *
 * A line is "[@ID] COMMAND [ARG...]\n", at most PIPE_BUF bytes, so that what one write put in
 * comes out in one piece (pipe(7)). With @ID the answer goes to the FIFO PATH.ID, which the
 * client has made and opened; without it, to the log. In an ARG, \xNN stands for a byte.
 */
#ifndef FIFO_H
#define FIFO_H

#include <sys/types.h>

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "loop.h"

enum { FIFO_WORDS = 8, FIFO_CLIENTS = 32 };

struct fifo {
	/* Set by the caller: */
	struct loop *loop;
	const char *path; /* absolute */
	/* Does what words (count of them, at least 1, NULL after the last) say, and writes the body
	 * of the answer. False: it is refused, and what was written is the reason, in one line. */
	bool (*command)(void *context, char *words[], int count, FILE *body);
	void *context;

	/* The module's own: */
	struct loop_watch watch, changes; /* the read end; what happens to the name (inotify) */
	int write_end;                    /* ours, so that the read end never sees an end of file */
	int name;                         /* inotify's number for the watch on it */
	dev_t device;
	ino_t inode;
	struct loop_timer stale, again;
	bool complained; /* that it cannot be made again: said once, not at each try */
	char line[PIPE_BUF];
	size_t used;
	bool discarding; /* the rest of a line that is too long */
	int clients;     /* whose answers are not yet through */
	FILE *body;      /* the answer in hand, in memory */
	char *text;
	size_t len;
};

/*
 * Makes the FIFO (mode 0600) and listens. A leftover FIFO of ours is replaced; anything else
 * under that name is left alone, also a FIFO that somebody reads, unless he ends within a second.
 * Returns 0, or -1 with the reason in why.
 */
int fifo_open(struct fifo *fifo, char *why, size_t size);

/* Looks whether the name still leads to our FIFO, and makes it again if not. */
void fifo_check(struct fifo *fifo);

/* Removes the FIFO, if it is still ours. Answers that are not through are dropped. */
void fifo_close(struct fifo *fifo);

#endif
