#include <sys/wait.h>

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "log.h"
#include "rsync.h"
#include "source.h"
#include "text.h"

static void
forget_items(struct source *source)
{
	for (size_t i = 0; i < source->count; i++)
		free(source->items[i].name);
	source->count = 0;
}

static int
compare(const void *a, const void *b)
{
	const struct item *one = a, *other = b;

	return strcmp(one->name, other->name);
}

struct item *
source_find(const struct source *source, const char *name)
{
	const struct item key = { .name = (char *)name };

	return source->count == 0
		   ? NULL
		   : bsearch(&key, source->items, source->count, sizeof key, compare);
}

/* The list is not to be believed; the first reason is kept. */
static void
doubt(struct source *source, const char *what, const char *text)
{
	char safe[300];

	if (source->why[0] != '\0')
		return;
	(void)text_escape(text, strlen(text), safe, sizeof safe);
	(void)snprintf(source->why, sizeof source->why, "%s: %s", what, safe);
}

static struct item *
add_item(struct source *source, const char *name)
{
	if (source->count == source->room) {
		size_t room = source->room > 0 ? source->room * 2 : 64;
		struct item *more = realloc(source->items, room * sizeof *more);

		if (more == NULL)
			goto no_memory;
		source->items = more;
		source->room = room;
	}
	source->items[source->count] = (struct item){ .name = strdup(name), .bytes = -1 };
	if (source->items[source->count].name != NULL)
		return &source->items[source->count++];
no_memory:
	doubt(source, "no memory for", name);
	return NULL;
}

/* A name that could lead anywhere but to one entry of the source itself. */
static bool
bad_name(const char *name)
{
	return name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	       strchr(name, '/') != NULL;
}

static bool
ignored(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->ignore.count; i++)
		if (fnmatch(config->ignore.word[i], name, 0) == 0)
			return true;
	return false;
}

/* --- a list program: NAME NUL NAME NUL ... --- */

static void
take_records(struct source *source, const char *data, size_t len)
{
	for (; len > 0; data++, len--) {
		if (*data != '\0' && source->used == sizeof source->record - 1) {
			source->record[source->used] = '\0';
			doubt(source, "a name is too long", source->record);
			return;
		}
		source->record[source->used++] = *data;
		if (*data != '\0')
			continue;
		source->used = 0;
		if (bad_name(source->record))
			doubt(source, "a bad name", source->record);
		else
			(void)add_item(source, source->record);
	}
}

/* --- rsync's lists --- */

static void
take_top(struct source *source, struct rsync_entry *entry)
{
	if (strcmp(entry->name, ".") == 0 || strchr("d-l", entry->type) == NULL)
		return; /* the source itself; a device, a FIFO, a socket */
	if (bad_name(entry->name))
		doubt(source, "a name cannot be one here", entry->name);
	else if (strlen(entry->name) > NAME_MAX)
		log_say(LEVEL_WARNING, "a name of %zu bytes is too long here, left out: %.40s...",
		    strlen(entry->name), entry->name);
	else if (!ignored(source->config, entry->name))
		(void)add_item(source, entry->name);
}

/* An entry at or below an item that is measured: its size counts, and the newest time of all. */
static void
take_measure(struct source *source, struct rsync_entry *entry)
{
	struct item *item;

	entry->name[strcspn(entry->name, "/")] = '\0';
	item = source_find(source, entry->name);
	if (item == NULL || !item->wanted)
		return;
	if (!item->measured) {
		item->measured = true;
		item->bytes = 0;
		item->newest[0] = '\0';
	}
	if (entry->type == '-')
		item->bytes += entry->bytes;
	if (strcmp(entry->time, item->newest) > 0)
		memcpy(item->newest, entry->time, sizeof item->newest);
}

static void
take_line(struct source *source, const char *text, size_t len, bool rest,
    void (*take)(struct source *, struct rsync_entry *))
{
	char line[LINES_LONGEST + 1];
	struct rsync_entry entry;

	if (rest)
		return; /* the end of a very long path: size, time and item stood in its beginning */
	memcpy(line, text, len);
	line[len] = '\0';
	if (rsync_parse(line, &entry))
		take(source, &entry);
	else
		doubt(source, "rsync's list is not understood", line);
}

static void
take_top_line(void *context, const char *text, size_t len, bool rest, bool more)
{
	(void)more;
	take_line(context, text, len, rest, take_top);
}

static void
take_measure_line(void *context, const char *text, size_t len, bool rest, bool more)
{
	(void)more;
	take_line(context, text, len, rest, take_measure);
}

/* --- the job --- */

static void
output(struct job *job, int stream, const char *data, size_t len)
{
	struct source *source = job->context;

	if (stream == 2)
		complaint_feed(&source->complaint, data, len);
	else if (source->lines.line != NULL)
		lines_feed(&source->lines, data, len);
	else
		take_records(source, data, len);
}

static void
list_program_ended(struct source *source)
{
	const struct job *job = &source->job;
	const char *said = source->complaint.text;
	char how[300];

	if (job->timed_out)
		(void)snprintf(how, sizeof how, "no end within [source] timeout");
	else if (WIFSIGNALED(job->status))
		(void)snprintf(how, sizeof how, "killed by signal %d", WTERMSIG(job->status));
	else if (WEXITSTATUS(job->status) != 0)
		(void)snprintf(how, sizeof how, "exit %d%s%s", WEXITSTATUS(job->status),
		    said[0] != '\0' ? ": " : "", said);
	else if (source->used > 0)
		(void)snprintf(how, sizeof how, "its last name is cut off, no NUL");
	else
		return;
	doubt(source, source->argv.word[0], how);
}

/* 23, 24: some of it could not be read. What was listed is true; the transfer will say the rest. */
static bool
partial_measure(const struct source *source)
{
	int status = source->job.status;

	return source->lines.line == take_measure_line && WIFEXITED(status) &&
	       (WEXITSTATUS(status) == 23 || WEXITSTATUS(status) == 24);
}

/* By name, each name once: a list program may say one twice. */
static void
sort_items(struct source *source)
{
	size_t kept = 1;

	qsort(source->items, source->count, sizeof *source->items, compare);
	for (size_t i = 1; i < source->count; i++) {
		if (strcmp(source->items[i].name, source->items[kept - 1].name) == 0)
			free(source->items[i].name);
		else
			source->items[kept++] = source->items[i];
	}
	source->count = kept;
}

static void
ended(struct job *job)
{
	struct source *source = job->context;
	char why[300];

	complaint_end(&source->complaint);
	if (source->lines.line != NULL)
		lines_end(&source->lines);
	if (source->lines.line == NULL)
		list_program_ended(source);
	else if (!partial_measure(source) &&
		 rsync_failed(job, &source->complaint, why, sizeof why) && source->why[0] == '\0')
		(void)snprintf(source->why, sizeof source->why, "%s", why);
	if (job->in >= 0)
		(void)close(job->in);
	if (source->count > 0 && source->lines.line != take_measure_line)
		sort_items(source);
	source->ended(source->context, source->why[0] != '\0' ? source->why : NULL);
}

static int
begin(struct source *source, void (*line)(void *, const char *, size_t, bool, bool), int in)
{
	source->why[0] = '\0';
	source->used = 0;
	source->lines = (struct lines){ .line = line, .context = source };
	complaint_begin(&source->complaint, -1);
	source->job = (struct job){
		.path = source->path,
		.argv = source->argv.word,
		.in = in,
		.apart = true,
		.grace = source->grace,
		.output = output,
		.ended = ended,
		.context = source,
	};
	if (line != NULL) {
		source->job.env = rsync_environment();
		source->job.leader_first = true;
	} else {
		source->job.limit = source->config->timeout;
	}
	if (command_path(source->argv.word[0], source->path, sizeof source->path) == 0 &&
	    job_start(source->jobs, &source->job) == 0)
		return 0;

	int why = errno;

	if (in >= 0)
		(void)close(in);
	errno = why;
	return -1;
}

int
source_list(struct source *source)
{
	words_free(&source->argv);
	forget_items(source);
	if (source->config->list.count > 0) {
		words_add_all(&source->argv, &source->config->list);
		return begin(source, NULL, -1);
	}
	rsync_begin(&source->argv, source->config);
	words_add(&source->argv, "--list-only");
	words_add(&source->argv, "--no-links"); /* or names would have " -> " behind them: -a */
	words_add(&source->argv, "--no-recursive");
	words_add(&source->argv, "--");
	words_add(&source->argv, source->config->from);
	return begin(source, take_top_line, -1);
}

int
source_measure(struct source *source)
{
	const char **names = calloc(source->count + 1, sizeof *names);
	size_t count = 0;
	int in;

	if (names == NULL)
		return -1;
	for (size_t i = 0; i < source->count; i++)
		if (source->items[i].wanted)
			names[count++] = source->items[i].name;
	words_free(&source->argv);
	rsync_begin(&source->argv, source->config);
	words_add(&source->argv, "--list-only");
	words_add(&source->argv, "--no-links");
	/* a destination is asked for, but nothing is written to it */
	in = rsync_items(&source->argv, source->config, names, count, source->config->to);
	free(names);
	if (in < 0)
		return -1;
	return begin(source, take_measure_line, in);
}

void
source_set_one(struct source *source, const char *name)
{
	struct item *item;

	forget_items(source);
	item = add_item(source, name);
	if (item != NULL)
		item->wanted = true;
}

void
source_stop(struct source *source)
{
	job_stop(&source->job);
}

void
source_free(struct source *source)
{
	forget_items(source);
	free(source->items);
	source->items = NULL;
	source->room = 0;
	words_free(&source->argv);
}
