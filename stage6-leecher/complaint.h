/*
 * What a program says on its standard error: the line that tells most, and all of it to a log.
 *
 * rsync begins with what is wrong and then says what follows from that; others end with what is
 * wrong. So it is the last line that is not rsync's, or else rsync's first.
 */
#ifndef COMPLAINT_H
#define COMPLAINT_H

#include <stddef.h>

#include "lines.h"

struct complaint {
	char text[256]; /* that line, escaped */
	size_t fed;     /* bytes so far: of a flood only the beginning is looked at */
	int log;        /* descriptor that gets every line, escaped; -1: none */
	struct lines lines;
};

void complaint_begin(struct complaint *complaint, int log);
void complaint_feed(struct complaint *complaint, const char *data, size_t len);
void complaint_end(struct complaint *complaint);

#endif
