/*
 * Time that only goes forward: deadlines do not care when somebody sets the clock.
 * All times are nanoseconds since some fixed point in the past.
 */
#ifndef MONOTONIC_H
#define MONOTONIC_H

#include <stdint.h>

int64_t monotonic_now(void);

/*
 * How long poll(2) may wait for this deadline: milliseconds, rounded up so that nobody wakes
 * too early and spins, at least 0.
 */
int monotonic_poll_ms(int64_t deadline);

#endif
