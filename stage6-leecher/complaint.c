#include <stdio.h>
#include <string.h>

#include "complaint.h"
#include "io.h"
#include "text.h"

enum { FLOOD = 1 << 20 }; /* bytes */

static void
consider(struct complaint *complaint, const char *line)
{
	if (strncmp(line, "rsync", 5) == 0 && complaint->text[0] != '\0')
		return;
	(void)snprintf(complaint->text, sizeof complaint->text, "%.200s", line);
}

static void
take_line(void *context, const char *text, size_t len, bool rest, bool more)
{
	struct complaint *complaint = context;
	char safe[4 * LINES_LONGEST + 2];
	size_t safe_len;

	(void)more;
	while (len > 0 && text[len - 1] == '\r') /* ssh ends its lines as terminals do */
		len--;
	safe_len = text_escape(text, len, safe, sizeof safe - 1);
	if (!rest && len > 0)
		consider(complaint, safe);
	safe[safe_len++] = '\n';
	if (complaint->log >= 0)
		(void)io_write_all(complaint->log, safe,
		    safe_len); /* a full disk is told elsewhere */
}

void
complaint_begin(struct complaint *complaint, int log)
{
	complaint->text[0] = '\0';
	complaint->log = log;
	complaint->fed = 0;
	complaint->lines = (struct lines){ .line = take_line, .context = complaint };
}

void
complaint_feed(struct complaint *complaint, const char *data, size_t len)
{
	if (complaint->fed > FLOOD)
		return;
	complaint->fed += len;
	lines_feed(&complaint->lines, data, len);
}

void
complaint_end(struct complaint *complaint)
{
	lines_end(&complaint->lines);
}
