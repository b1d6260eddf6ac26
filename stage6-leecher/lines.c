#include <string.h>

#include "lines.h"

static void
hand_out(struct lines *lines, bool more)
{
	lines->line(lines->context, lines->held, lines->used, lines->within, more);
	lines->within = more;
	lines->used = 0;
}

static void
hold(struct lines *lines, const char *data, size_t len)
{
	while (len > 0) {
		if (lines->used == LINES_LONGEST)
			hand_out(lines, true);

		size_t room = LINES_LONGEST - lines->used;
		size_t part = len < room ? len : room;

		memcpy(lines->held + lines->used, data, part);
		lines->used += part;
		data += part;
		len -= part;
	}
}

void
lines_feed(struct lines *lines, const char *data, size_t len)
{
	const char *newline;

	while ((newline = memchr(data, '\n', len)) != NULL) {
		hold(lines, data, (size_t)(newline - data));
		hand_out(lines, false);
		len -= (size_t)(newline + 1 - data);
		data = newline + 1;
	}
	hold(lines, data, len);
}

void
lines_end(struct lines *lines)
{
	if (lines->used > 0)
		hand_out(lines, false);
	lines->within = false;
}
