/*
 * When to do it again: beat k comes at t0 + k x interval on the monotonic clock.
 *
 * Sleeping for an interval after each run would add the run's length to it, and drift.
 */
#ifndef TIMETABLE_H
#define TIMETABLE_H

#include <stdint.h>

struct timetable {
	int64_t start;    /* t0, as monotonic_now */
	int64_t interval; /* nanoseconds; 0: back to back */
	int64_t beat;     /* number of the next one */
};

/* Beat 0 is due at start. */
void timetable_begin(struct timetable *t, int64_t start, int64_t interval);

/* When the next beat is due. */
int64_t timetable_due(const struct timetable *t);

/* The next beat has been served and it is now: those that were missed meanwhile are skipped. */
void timetable_advance(struct timetable *t, int64_t now);

#endif
