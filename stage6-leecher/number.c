#include <errno.h>
#include <string.h>

#include "number.h"

static int
fail(int why)
{
	errno = why;
	return -1;
}

int
number_whole(const char *text, int base, int64_t min, int64_t max, int64_t *value)
{
	int64_t sum = 0;

	if (*text == '\0')
		return fail(EINVAL);
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text >= '0' + base)
			return fail(EINVAL);
		if (sum > (INT64_MAX - 9) / base)
			return fail(ERANGE);
		sum = sum * base + (*text - '0');
	}
	if (sum < min || sum > max)
		return fail(ERANGE);
	*value = sum;
	return 0;
}

int
number_seconds(const char *text, int64_t *ns)
{
	char digits[10 + 9 + 1] = ""; /* the point taken out, nine decimals written in full */
	const char *point = strchr(text, '.');
	size_t whole = point != NULL ? (size_t)(point - text) : strlen(text);
	size_t decimals = point != NULL ? strlen(point + 1) : 0;

	if (whole == 0 || (point != NULL && decimals == 0))
		return fail(EINVAL);
	if (whole > 10 || decimals > 9)
		return fail(ERANGE);
	memcpy(digits, text, whole);
	memset(digits + whole, '0', 9);
	if (point != NULL)
		memcpy(digits + whole, point + 1, decimals);
	return number_whole(digits, 10, 0, 1000000000 * NUMBER_SECOND, ns);
}
