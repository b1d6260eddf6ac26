#include <string.h>

#include "lines.h"

static void
hand_out(struct lines *lines, size_t len, bool more)
{
	lines->line(lines->context, lines->held, len, lines->within, more);
	lines->within = more;
	lines->used -= len;
	memmove(lines->held, lines->held + len, lines->used);
}

/* How much of a full buffer can go without cutting a UTF-8 character in two. */
static size_t
whole_characters(const struct lines *lines)
{
	size_t end = lines->used;

	/* back over at most three later bytes (10xxxxxx) to a first one (11xxxxxx) */
	for (int back = 1; back <= 3; back++) {
		unsigned char byte = (unsigned char)lines->held[end - (size_t)back];

		if (byte >= 0xc0)
			return end - (size_t)back;
		if (byte < 0x80)
			break;
	}
	return end;
}

static void
hold(struct lines *lines, const char *data, size_t len)
{
	while (len > 0) {
		if (lines->used == LINES_LONGEST)
			hand_out(lines, whole_characters(lines), true);

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
		hand_out(lines, lines->used, false);
		len -= (size_t)(newline + 1 - data);
		data = newline + 1;
	}
	hold(lines, data, len);
}

void
lines_end(struct lines *lines)
{
	if (lines->used > 0)
		hand_out(lines, lines->used, false);
	lines->within = false;
}
