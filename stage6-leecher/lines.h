/*
 * A stream of bytes, cut into lines of at most 4 KiB.
 */
#ifndef LINES_H
#define LINES_H

#include <stdbool.h>
#include <stddef.h>

enum { LINES_LONGEST = 4096 };

struct lines {
	char held[LINES_LONGEST]; /* the beginning of a line whose end has not come */
	size_t used;
	bool within; /* a line's first part was handed out already */
	/* Gets one line without its newline. A line that is longer comes in parts: more says that
	 * another part follows, rest that one came before. */
	void (*line)(void *context, const char *text, size_t len, bool rest, bool more);
	void *context;
};

/* Takes the next len bytes of the stream. */
void lines_feed(struct lines *lines, const char *data, size_t len);

/* The stream is over: a last line without a newline is a line, too. */
void lines_end(struct lines *lines);

#endif
