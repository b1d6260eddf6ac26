#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "monotonic.h"
#include "number.h"
#include "rsync.h"
#include "transfer.h"

#define COMPARE_LONGEST (86400 * NUMBER_SECOND) /* a day */

static void
count(struct transfer *transfer, int64_t bytes)
{
	int64_t now = monotonic_now();
	double seconds = (double)(now - transfer->counted_at) / (double)NUMBER_SECOND;

	transfer->bytes = bytes;
	if (transfer->counted_at == 0) {
		transfer->counted_at = now;
		transfer->counted = bytes;
	} else if (seconds >= 0.5) {
		double rate = (double)(bytes - transfer->counted) / seconds;

		/* the older it is, the less it counts */
		transfer->rate = transfer->rate == 0 ? rate : transfer->rate * 0.7 + rate * 0.3;
		transfer->counted_at = now;
		transfer->counted = bytes;
	}
	transfer->progress(transfer->context);
}

/* "--info=progress2": the bytes so far come first, each report after a carriage return. */
static void
read_progress(struct transfer *transfer, const char *data, size_t len)
{
	for (; len > 0; data++, len--) {
		if (*data == '\r' || *data == '\n') {
			transfer->number[transfer->used] = '\0';
			if (transfer->used > 0)
				count(transfer, strtoll(transfer->number, NULL, 10));
			transfer->used = 0;
			transfer->line_begins = true;
		} else if (!isdigit((unsigned char)*data)) {
			transfer->line_begins =
			    transfer->line_begins && *data == ' ' && transfer->used == 0;
		} else if (transfer->line_begins && transfer->used < sizeof transfer->number - 1) {
			transfer->number[transfer->used++] = *data;
		}
	}
}

/* "--itemize-changes": a line for what would have to be copied or made, and no line if nothing. */
static void
read_changes(struct transfer *transfer, const char *data, size_t len)
{
	for (; len > 0; data++, len--) {
		if (transfer->line_begins && strchr(">c*h", *data) != NULL && *data != '\0')
			transfer->different = true;
		transfer->line_begins = *data == '\n';
	}
}

static void
output(struct job *job, int stream, const char *data, size_t len)
{
	struct transfer *transfer = job->context;

	if (stream == 2)
		complaint_feed(&transfer->complaint, data, len);
	else if (transfer->comparing)
		read_changes(transfer, data, len);
	else
		read_progress(transfer, data, len);
}

static void
ended(struct job *job)
{
	struct transfer *transfer = job->context;
	char why[400];
	bool failed;

	complaint_end(&transfer->complaint);
	(void)close(job->in);
	failed = rsync_failed(job, &transfer->complaint, why, sizeof why);
	transfer->ended(transfer->context, failed ? why : NULL);
}

/* Adds what both have in common, and begins. */
static int
begin(struct transfer *transfer, const char *name, const char *into, int log, int hold)
{
	int in;

	words_add(&transfer->argv, "--links");
	words_add(&transfer->argv, "--no-D"); /* no devices, no FIFOs: -a would bring them */
	in = rsync_items(&transfer->argv, transfer->config, &name, 1, into);
	if (in < 0)
		return -1;
	complaint_begin(&transfer->complaint, log);
	transfer->bytes = 0;
	transfer->rate = 0;
	transfer->counted_at = 0;
	transfer->used = 0;
	transfer->line_begins = true;
	transfer->different = false;
	transfer->job = (struct job){
		.path = transfer->path,
		.argv = transfer->argv.word,
		.in = in,
		.apart = true,
		.leader_first = true,
		.hold = hold,
		.grace = transfer->grace,
		.limit = transfer->comparing ? COMPARE_LONGEST : 0,
		.env = rsync_environment(),
		.output = output,
		.ended = ended,
		.context = transfer,
	};
	if (command_path(transfer->argv.word[0], transfer->path, sizeof transfer->path) == 0 &&
	    job_start(transfer->jobs, &transfer->job) == 0)
		return 0;

	int why = errno;

	(void)close(in);
	errno = why;
	return -1;
}

int
transfer_pull(struct transfer *transfer, const char *name, const char *into, int log, int hold)
{
	words_free(&transfer->argv);
	rsync_begin(&transfer->argv, transfer->config);
	words_add(&transfer->argv, "--times");
	words_add(&transfer->argv,
	    "--delete"); /* in incoming/: what has gone from the source since */
	words_add(&transfer->argv, "--perms");
	/* ours to resume and to rename; nobody else's to write, and no program of root's */
	words_add(&transfer->argv, "--chmod=u+rwX,go-w,ug-s,o-t");
	/* The staging place is ours alone, so half a file may stand there under its own name, and be
	 * continued there after any end, a power cut too. */
	words_add(&transfer->argv, "--inplace");
	words_add(&transfer->argv, "--no-whole-file"); /* else local sources would begin again */
	words_add(&transfer->argv, "--info=progress2");
	words_add(&transfer->argv, "--outbuf=None");
	transfer->comparing = false;
	return begin(transfer, name, into, log, hold);
}

int
transfer_compare(struct transfer *transfer, const char *name)
{
	words_free(&transfer->argv);
	rsync_begin(&transfer->argv, transfer->config);
	words_add(&transfer->argv, "--dry-run");
	words_add(&transfer->argv, "--checksum"); /* by content: a time can be touched */
	/* It reads whole files before it says a word, so silence is no sign; the job has a limit */
	words_add(&transfer->argv, "--timeout=0");
	words_add(&transfer->argv, "--itemize-changes");
	words_add(&transfer->argv, "--force"); /* a file for a directory: different, not an error */
	transfer->comparing = true;
	return begin(transfer, name, transfer->config->to, -1, 0);
}

void
transfer_stop(struct transfer *transfer)
{
	job_stop(&transfer->job);
}

void
transfer_free(struct transfer *transfer)
{
	words_free(&transfer->argv);
}
