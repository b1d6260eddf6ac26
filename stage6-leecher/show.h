/*
 * What somebody at a terminal, or a cron mail, gets to see of a pass in the foreground.
 */
#ifndef SHOW_H
#define SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct show {
	bool on;       /* false in a daemon, and with -q */
	bool terminal; /* a bar that moves; else only lines */
	bool drawn;    /* a bar stands in the last line */
	int64_t drawn_at;
};

void show_begin(struct show *show, bool on);

/* "3.2 MB", as people read it. */
void show_bytes(double bytes, char *text, size_t size);

/* How far an item is; total is -1 if that is not known, rate 0. At most a few times a second. */
void show_progress(struct show *show, const char *name, int64_t bytes, int64_t total, double rate);

/* A line of its own; the bar gives way. */
void show_line(struct show *show, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same on standard error, with "leecher: " in front; in a daemon nothing, for it has a log. */
void show_trouble(struct show *show, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
