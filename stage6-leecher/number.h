/*
 * Numbers from outside: digits and nothing else, checked against a range.
 *
 * strtol(3) would also take blanks, signs, "0x" and an empty string; atoi(3) takes all.
 */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdint.h>

#define NUMBER_SECOND INT64_C(1000000000) /* nanoseconds in a second */

/*
 * Seconds with up to nine decimals, "90" or "0.25", at most 1e9 (about 31 years).
 * Puts nanoseconds into *ns. Returns 0, or -1 with errno EINVAL or ERANGE.
 */
int number_seconds(const char *text, int64_t *ns);

/* A whole number from min to max, in base 8 or 10. Returns 0, or -1 with errno EINVAL or ERANGE. */
int number_whole(const char *text, int base, int64_t min, int64_t max, int64_t *value);

#endif
