#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mail.h"
#include "monotonic.h"

enum {
	PLAIN =
	    900, /* longest subject that goes as it is: a header line has 998 bytes (RFC 5322) */
	PAYLOAD = 60, /* of one encoded word, which has at most 75 (RFC 2047) */
};

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* One byte in the "Q" encoding; returns how many characters it takes, 1 or 3. */
static int
encode(unsigned char byte, char *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "!*+-/";

	if (byte == ' ')
		return snprintf(out, 4, "_");
	if (strchr(plain, byte) != NULL)
		return snprintf(out, 4, "%c", byte);
	return snprintf(out, 4, "=%02X", byte);
}

/* Bytes of the UTF-8 character that begins with this one: it may not be cut in two. */
static int
width(unsigned char first)
{
	return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static void
write_encoded(FILE *out, const char *text)
{
	int used = 0;

	fputs("=?utf-8?Q?", out);
	while (*text != '\0') {
		char character[4 * 3 + 1] = "";
		int len = 0;

		for (int left = width((unsigned char)*text); left > 0 && *text != '\0'; left--)
			len += encode((unsigned char)*text++, character + len);
		if (used + len > PAYLOAD) { /* blanks between two encoded words are not shown */
			fputs("?=\n =?utf-8?Q?", out);
			used = 0;
		}
		fputs(character, out);
		used += len;
	}
	fputs("?=\n", out);
}

void
mail_header(FILE *out, const char *to, const char *subject)
{
	char date[64], host[256] = "localhost";
	time_t now = time(NULL);
	struct tm utc;

	/* In the C locale, which is ours, the names of days and months are those of RFC 5322 */
	(void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&now, &utc));
	(void)gethostname(host, sizeof host - 1);
	fprintf(out, "To: %s\nSubject: ", to);
	if (is_ascii(subject) && strlen(subject) <= PLAIN)
		fprintf(out, "%s\n", subject);
	else
		write_encoded(out, subject);
	fprintf(out, "Date: %s\nMessage-ID: <%lld.%lld.%ld@%s>\n", date, (long long)now,
	    (long long)monotonic_now(), (long)getpid(), host);
	fputs("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
	      "Content-Transfer-Encoding: 8bit\nAuto-Submitted: auto-generated\n\n",
	    out);
}
