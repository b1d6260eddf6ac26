#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "complaint.h"
#include "io.h"
#include "log.h"
#include "mail.h"
#include "number.h"
#include "report.h"
#include "text.h"

enum { AT_ONCE = 2, LOG_TAIL = 4096, NAME_SHOWN = 4 * NAME_MAX + 1 };

struct report {
	struct reports *reports;
	struct report *next;
	const char *what;   /* for the log: "mail", "on_done", "on_failed" */
	struct entry entry; /* a copy: the item goes its way meanwhile */
	double seconds;
	const struct words *program;
	struct running *running; /* NULL while it waits: thousands may, after a first pass */
};

struct running {
	struct words argv, env;
	struct job job;
	struct complaint complaint;
	char path[PATH_MAX];
	int in;
};

static void start_some(struct reports *reports);

static void
show_name(const struct entry *entry, char *shown)
{
	(void)text_escape(entry->name, strlen(entry->name), shown, NAME_SHOWN);
}

/* --- files beside the item --- */

/* TO/NAME followed by suffix. Returns false if that is too long for a name. */
static bool
beside(const struct config *config, const struct entry *entry, const char *suffix, char *path,
    size_t size)
{
	if (strlen(entry->name) + strlen(suffix) > NAME_MAX) {
		char shown[NAME_SHOWN];

		show_name(entry, shown);
		log_say(LEVEL_WARNING, "%s%s: no such file is made, the name is too long", shown,
		    suffix);
		return false;
	}
	(void)snprintf(path, size, "%s/%s%s", config->to, entry->name, suffix);
	return true;
}

void
report_log_path(const struct config *config, const struct entry *entry, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/logs/%lld.log", config->state, (long long)entry->id);
}

int
report_open_log(const struct config *config, const struct entry *entry)
{
	char path[LONG_PATH];
	bool made;

	report_log_path(config, entry, path, sizeof path);
	return io_open_append(path, 0640, &made);
}

/* What the link says: as short as it can be, so that TO can be moved with all that is in it. */
static void
link_target(const struct config *config, const struct entry *entry, char *target, size_t size)
{
	size_t len = strlen(config->to);
	char path[LONG_PATH];

	report_log_path(config, entry, path, sizeof path);
	if (strncmp(path, config->to, len) == 0 && path[len] == '/')
		(void)snprintf(target, size, "%s", path + len + 1);
	else
		(void)snprintf(target, size, "%s", path);
}

/* The link is ours if it leads to one of our logs. */
static bool
is_our_link(const struct config *config, const struct entry *entry, const char *path)
{
	char target[LONG_PATH], found[LONG_PATH];
	ssize_t len = readlink(path, found, sizeof found - 1);

	if (len < 0)
		return false;
	found[len] = '\0';
	link_target(config, entry, target, sizeof target);
	return strcmp(found, target) == 0;
}

static void
remove_link(const struct config *config, const struct entry *entry)
{
	char path[LONG_PATH];

	if (strlen(entry->name) + 4 <= NAME_MAX &&
	    beside(config, entry, ".log", path, sizeof path) && is_our_link(config, entry, path))
		(void)unlink(path);
}

static void
make_link(const struct config *config, const struct entry *entry)
{
	char path[LONG_PATH], target[LONG_PATH];

	if (!beside(config, entry, ".log", path, sizeof path) || is_our_link(config, entry, path))
		return;
	link_target(config, entry, target, sizeof target);
	if (symlink(target, path) < 0)
		log_say(LEVEL_WARNING, "link %s: %s", path, strerror(errno));
}

static void
make_marker(const struct config *config, const struct entry *entry)
{
	static const char text[] = "Done\n";
	char path[LONG_PATH];
	int fd;

	if (!beside(config, entry, " is done", path, sizeof path))
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return; /* from before; or somebody else's, which is left alone */
	if (fd < 0 || io_write_all(fd, text, sizeof text - 1) < 0)
		log_say(LEVEL_WARNING, "write %s: %s", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
}

static void
remove_log(const struct config *config, const struct entry *entry)
{
	char path[LONG_PATH];

	report_log_path(config, entry, path, sizeof path);
	(void)unlink(path);
}

/* --- programs --- */

/* Of the same item, and both that it is here, or both that it failed. */
static bool
tell_the_same(const struct entry *one, const struct entry *other)
{
	return (one->state == LEDGER_DONE) == (other->state == LEDGER_DONE) &&
	       strcmp(one->name, other->name) == 0;
}

/* No report of this end waits or runs any more: then the ledger says that people were told. */
static void
note_reported(struct reports *reports, const struct report *report)
{
	struct entry now;

	for (struct report *other = reports->first; other != NULL; other = other->next)
		if (tell_the_same(&other->entry, &report->entry))
			return;
	if (ledger_find(reports->ledger, report->entry.name, &now) != 1 ||
	    !tell_the_same(&now, &report->entry))
		return;
	now.reported = true;
	reports->forgetful = ledger_put(reports->ledger, &now) < 0;
	if (reports->forgetful) {
		log_say(LEVEL_ERROR, "ledger: %s", ledger_error(reports->ledger));
		return;
	}
	if (now.state == LEDGER_DONE)
		remove_log(reports->config, &now);
}

static void
drop(struct report *report)
{
	struct reports *reports = report->reports;
	struct report **link = &reports->first;

	while (*link != report)
		link = &(*link)->next;
	*link = report->next;
	if (reports->last == report) {
		reports->last = NULL;
		for (struct report *r = reports->first; r != NULL; r = r->next)
			reports->last = r;
	}
	if (!reports->stopping)
		note_reported(reports, report);
	if (report->running != NULL) {
		if (report->running->in >= 0)
			(void)close(report->running->in);
		words_free(&report->running->argv);
		words_free(&report->running->env);
		free(report->running);
	}
	free(report);
}

static void
output(struct job *job, int stream, const char *data, size_t len)
{
	struct report *report = job->context;

	(void)stream;
	complaint_feed(&report->running->complaint, data, len);
}

static void
log_result(const struct report *report)
{
	const struct job *job = &report->running->job;
	const char *said = report->running->complaint.text;
	char shown[NAME_SHOWN];

	show_name(&report->entry, shown);
	if (job->timed_out)
		log_say(LEVEL_WARNING, "%s for %s: no end within [report] timeout, ended",
		    report->what, shown);
	else if (WIFSIGNALED(job->status))
		log_say(LEVEL_WARNING, "%s for %s: killed by signal %d", report->what, shown,
		    WTERMSIG(job->status));
	else if (WEXITSTATUS(job->status) != 0)
		log_say(LEVEL_WARNING, "%s for %s: exit %d%s%s", report->what, shown,
		    WEXITSTATUS(job->status), said[0] != '\0' ? ": " : "", said);
	else
		log_say(LEVEL_INFO, "%s for %s: ok", report->what, shown);
}

static void
ended(struct job *job)
{
	struct report *report = job->context;
	struct reports *reports = report->reports;

	complaint_end(&report->running->complaint);
	log_result(report);
	reports->running--;
	drop(report);
	start_some(reports);
}

static void
add_fact(struct words *env, const char *name, const char *value)
{
	char fact[LONG_PATH];

	(void)snprintf(fact, sizeof fact, "%s=%s", name, value);
	words_add(env, fact);
}

static void
add_facts(const struct report *report)
{
	const struct entry *entry = &report->entry;
	struct words *env = &report->running->env;
	char text[LONG_PATH] = "";

	add_fact(env, "LEECHER_NAME", entry->name);
	if (entry->state == LEDGER_DONE)
		(void)snprintf(text, sizeof text, "%s/%s", report->reports->config->to,
		    entry->published);
	add_fact(env, "LEECHER_PATH", text);
	(void)snprintf(text, sizeof text, "%lld", (long long)(entry->bytes > 0 ? entry->bytes : 0));
	add_fact(env, "LEECHER_BYTES", text);
	(void)snprintf(text, sizeof text, "%.0f", report->seconds);
	add_fact(env, "LEECHER_SECONDS", text);
	add_fact(env, "LEECHER_ERROR", entry->error);
}

/* The end of the item's log, from the beginning of a line, in lines that mail can carry. */
static void
write_log_tail(FILE *out, const struct config *config, const struct entry *entry)
{
	char path[LONG_PATH];
	int column = 0, byte;
	FILE *log;

	report_log_path(config, entry, path, sizeof path);
	log = fopen(path, "re");
	if (log == NULL)
		return;
	fputs("\nThe end of its log:\n\n", out);
	if (fseek(log, -LOG_TAIL, SEEK_END) == 0)
		while ((byte = getc(log)) != EOF && byte != '\n')
			;
	else
		rewind(log);
	while ((byte = getc(log)) != EOF) {
		if (column == 900 && byte != '\n')
			(void)putc('\n', out);
		column = byte == '\n' || column == 900 ? 0 : column + 1;
		(void)putc(byte, out);
	}
	(void)fclose(log);
}

static void
write_mail(FILE *out, const struct report *report)
{
	const struct entry *entry = &report->entry;
	bool done = entry->state == LEDGER_DONE;
	char shown[NAME_SHOWN], subject[NAME_SHOWN + 32];

	show_name(entry, shown);
	(void)snprintf(subject, sizeof subject, "Leecher: %s -- %s", done ? "done" : "error",
	    shown);
	mail_header(out, report->reports->config->mail, subject);
	fprintf(out, "%s\n\n", shown);
	if (done) {
		(void)text_escape(entry->published, strlen(entry->published), shown, sizeof shown);
		fprintf(out, "is here: %s/%s\n%lld bytes in %.0f seconds\n",
		    report->reports->config->to, shown, (long long)entry->bytes, report->seconds);
	} else {
		fprintf(out, "could not be pulled: %s\n%s\n", entry->error,
		    entry->state == LEDGER_PARKED
			? "It is not tried again before 'leecherctl retry'."
			: "It will be tried again.");
	}
	write_log_tail(out, report->reports->config, entry);
}

static int
mail_file(const struct report *report)
{
	FILE *file = tmpfile();
	int fd;

	if (file == NULL)
		return -1;
	write_mail(file, report);
	if (fflush(file) != 0 || ferror(file)) {
		(void)fclose(file);
		return -1;
	}
	fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 3);
	(void)fclose(file);
	if (fd >= 0)
		(void)lseek(fd, 0, SEEK_SET);
	return fd;
}

static bool
is_mail(const struct report *report)
{
	return report->program == &report->reports->config->sendmail;
}

static int
start(struct report *report)
{
	struct running *running = calloc(1, sizeof *running);

	if (running == NULL)
		return -1;
	report->running = running;
	running->in = -1;
	words_add_all(&running->argv, report->program);
	if (is_mail(report)) {
		words_add(&running->argv, "-t");  /* recipients from the header */
		words_add(&running->argv, "-oi"); /* a line with only a dot does not end it */
		running->in = mail_file(report);
		if (running->in < 0)
			return -1;
	} else {
		add_facts(report);
	}
	complaint_begin(&running->complaint, -1);
	running->job = (struct job){
		.path = running->path,
		.argv = running->argv.word,
		.env = running->env.word,
		.in = running->in,
		.grace = report->reports->grace,
		.limit = report->reports->config->report_timeout,
		.output = output,
		.ended = ended,
		.context = report,
	};
	if (command_path(running->argv.word[0], running->path, sizeof running->path) < 0)
		return -1;
	return job_start(report->reports->jobs, &running->job);
}

static void
start_some(struct reports *reports)
{
	struct report *report, *next;

	for (report = reports->first; report != NULL; report = next) {
		next = report->next;
		if (reports->stopping || reports->running == AT_ONCE)
			return;
		if (report->running != NULL)
			continue;
		if (start(report) == 0) {
			reports->running++;
			continue;
		}
		log_say(LEVEL_WARNING, "%s: %s", report->what, strerror(errno));
		drop(report);
	}
}

static void
queue(struct reports *reports, const char *what, const struct words *program,
    const struct entry *entry, double seconds)
{
	struct report *report = calloc(1, sizeof *report);

	if (report == NULL) {
		log_say(LEVEL_WARNING, "%s: no memory", what);
		return;
	}
	report->reports = reports;
	report->what = what;
	report->entry = *entry;
	report->seconds = seconds;
	report->program = program;
	if (reports->last != NULL)
		reports->last->next = report;
	else
		reports->first = report;
	reports->last = report;
}

static void
tell(struct reports *reports, const char *hook, const struct words *argv, const struct entry *entry,
    double seconds)
{
	const struct config *config = reports->config;
	bool nobody = config->mail[0] == '\0' && argv->count == 0;

	if (config->mail[0] != '\0')
		queue(reports, "mail", &config->sendmail, entry, seconds);
	if (argv->count > 0)
		queue(reports, hook, argv, entry, seconds);
	if (nobody) {
		struct report none = { .reports = reports, .entry = *entry };

		note_reported(reports, &none);
	}
	start_some(reports);
}

/* Does a report of this failure wait or run already? A mailer may take longer than a pass. */
static bool
is_being_told(const struct reports *reports, const struct entry *entry)
{
	for (const struct report *r = reports->first; r != NULL; r = r->next)
		if (tell_the_same(&r->entry, entry))
			return true;
	return false;
}

void
report_done(struct reports *reports, const struct entry *entry, double seconds)
{
	remove_link(reports->config, entry);
	if (reports->config->markers)
		make_marker(reports->config, entry);
	tell(reports, "on_done", &reports->config->on_done, entry, seconds);
}

void
report_here(struct reports *reports, const struct entry *entry)
{
	remove_link(reports->config, entry);
	if (reports->config->markers)
		make_marker(reports->config, entry);
	remove_log(reports->config, entry);
}

void
report_failed(struct reports *reports, const struct entry *entry, double seconds)
{
	if (reports->config->markers)
		make_link(reports->config, entry);
	if (!entry->reported && !reports->forgetful && !is_being_told(reports, entry))
		tell(reports, "on_failed", &reports->config->on_failed, entry, seconds);
}

void
report_take_back(struct reports *reports, const struct entry *entry)
{
	remove_link(reports->config, entry);
	remove_log(reports->config, entry);
}

bool
reports_idle(const struct reports *reports)
{
	return reports->first == NULL;
}

void
reports_stop(struct reports *reports)
{
	struct report *report, *next;

	reports->stopping = true;
	for (report = reports->first; report != NULL; report = next) {
		next = report->next;
		if (report->running != NULL)
			job_stop(&report->running->job);
		else
			drop(report);
	}
}
