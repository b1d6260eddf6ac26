#include <limits.h>
#include <time.h>

#include "monotonic.h"

int64_t
monotonic_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int
monotonic_poll_ms(int64_t deadline)
{
	int64_t left = deadline - monotonic_now();

	if (left <= 0)
		return 0;
	if (left / 1000000 >= INT_MAX - 1)
		return INT_MAX;
	return (int)((left + 999999) / 1000000);
}
