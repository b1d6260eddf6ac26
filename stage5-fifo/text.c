#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

/*
 * Length of the printable UTF-8 character at text, or 0 if there is none: a control character,
 * C1 (U+0080 to U+009F, which terminals obey) too, a stray byte, an overlong form, a surrogate.
 */
static size_t
printable(const unsigned char *text, size_t len)
{
	unsigned char first = text[0];
	size_t need;
	unsigned long point;

	if (first < 0x80)
		return first >= 0x20 && first != 0x7f;
	if (first >= 0xc2 && first <= 0xdf)
		need = 2;
	else if (first >= 0xe0 && first <= 0xef)
		need = 3;
	else if (first >= 0xf0 && first <= 0xf4)
		need = 4;
	else
		return 0;
	if (len < need)
		return 0;
	point = first & (0xffU >> (need + 1));
	for (size_t i = 1; i < need; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (text[i] & 0x3f);
	}
	if (point < 0xa0 || (point >= 0xd800 && point <= 0xdfff) || point > 0x10ffff)
		return 0;
	if ((need == 3 && point < 0x800) || (need == 4 && point < 0x10000))
		return 0;
	return need;
}

/* How many bytes from here on are plain ASCII and can be copied as they are. */
static size_t
plain(const char *text, size_t len, const char *also)
{
	size_t n = 0;

	while (n < len && text[n] >= 0x20 && text[n] < 0x7f && strchr(also, text[n]) == NULL)
		n++;
	return n;
}

/* Copies text, and writes as \xNN what must not be shown and what stands in also. */
static size_t
escape(const char *text, size_t len, const char *also, char *out, size_t size)
{
	size_t used = 0;

	while (len > 0) {
		char escaped[5];
		const char *piece = text;
		size_t step = plain(text, len, also), width;

		if (step > size - 1 - used)
			step = size - 1 - used; /* what fits of it, and then the end */
		else if (step == 0 && strchr(also, *text) == NULL)
			step = printable((const unsigned char *)text, len);
		width = step;
		if (step == 0) {
			(void)snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned char)*text);
			piece = escaped;
			width = 4;
			step = 1;
		}
		if (used + width >= size)
			break;
		memcpy(out + used, piece, width);
		used += width;
		text += step;
		len -= step;
	}
	out[used] = '\0';
	return used;
}

size_t
text_escape(const char *text, size_t len, char *out, size_t size)
{
	return escape(text, len, "", out, size);
}

size_t
text_encode(const char *word, char *out, size_t size)
{
	return escape(word, strlen(word), " \\", out, size);
}

static int
hex(char digit)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = digit != '\0' ? strchr(digits, digit) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

int
text_decode(char *word)
{
	char *out = word;

	while (*word != '\0') {
		int high, low;

		if (*word != '\\') {
			*out++ = *word++;
			continue;
		}
		if (word[1] != 'x' || (high = hex(word[2])) < 0 || (low = hex(word[3])) < 0 ||
		    high + low == 0) {
			errno = EINVAL;
			return -1;
		}
		*out++ = (char)(high << 4 | low);
		word += 4;
	}
	*out = '\0';
	return 0;
}
