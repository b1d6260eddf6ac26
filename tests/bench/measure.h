/* What the drivers share: the clock, and the middle of many samples. */
#include <stdlib.h>
#include <time.h>

static inline double
us_between(const struct timespec *from, const struct timespec *to)
{
	return (double)(to->tv_sec - from->tv_sec) * 1e6 +
	       (double)(to->tv_nsec - from->tv_nsec) / 1e3;
}

static inline double
us_since(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return us_between(from, &now);
}

static inline int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double
median(double *samples, int count)
{
	qsort(samples, (size_t)count, sizeof *samples, by_value);
	return samples[count / 2];
}
