#include "timetable.h"

void
timetable_begin(struct timetable *t, int64_t start, int64_t interval)
{
	*t = (struct timetable){ .start = start, .interval = interval };
}

int64_t
timetable_due(const struct timetable *t)
{
	return t->start + t->beat * t->interval;
}

void
timetable_advance(struct timetable *t, int64_t now)
{
	int64_t missed = 0;

	t->beat++;
	if (t->interval > 0 && now > timetable_due(t))
		missed = (now - timetable_due(t) + t->interval - 1) / t->interval;
	t->beat += missed;
}
