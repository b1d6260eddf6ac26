#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "monotonic.h"
#include "number.h"
#include "pass.h"
#include "staging.h"
#include "text.h"

enum { NAME_SHOWN = 4 * NAME_MAX + 1 };

/* How often to try for a place that an earlier rsync still writes to, and the pause between. */
enum { LOCK_TRIES = 100, LOCK_PAUSE = 200000000 };

const char *const pass_phase_name[PASS_PHASES] = {
	[PASS_IDLE] = "idle",
	[PASS_LISTING] = "listing",
	[PASS_MEASURING] = "measuring",
	[PASS_BETWEEN] = "between items",
	[PASS_COMPARING] = "comparing",
	[PASS_PULLING] = "pulling",
	[PASS_CHECKING] = "checking",
	[PASS_FINISHING] = "finishing",
};

static void next_item(struct pass *pass);

static const char *
shown(const struct entry *entry, char *text)
{
	(void)text_escape(entry->name, strlen(entry->name), text, NAME_SHOWN);
	return text;
}

/* Unix time in milliseconds: 'once' from cron must know it from one run to the next. */
static int64_t
wall_clock(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
end_pass(struct pass *pass)
{
	pass->phase = PASS_IDLE;
	pass->stopping = false;
	pass->ended(pass->context);
}

/* The list cannot be believed: that is not the same as "nothing is finished". */
static void
unknown(struct pass *pass, const char *why)
{
	pass->known = false;
	(void)snprintf(pass->why, sizeof pass->why, "%s", why);
	if (!pass->stopping) {
		log_say(LEVEL_ERROR, "%s: what is finished is unknown: %s", pass->config->from,
		    why);
		show_trouble(pass->show, "%s: what is finished is unknown: %s", pass->config->from,
		    why);
	}
	end_pass(pass);
}

/* Without the ledger nothing can be remembered, so nothing is begun. */
static void
ledger_broke(struct pass *pass)
{
	char why[300];

	(void)snprintf(why, sizeof why, "ledger: %s", ledger_error(pass->ledger));
	ledger_roll_back(pass->ledger); /* or half of it would be written with the next entry */
	unknown(pass, why);
}

/* --- the end of an item --- */

/* The descriptors of the item in hand. */
static void
close_files(struct pass *pass)
{
	if (pass->lock >= 0)
		(void)close(pass->lock);
	pass->lock = -1;
	if (pass->log >= 0)
		(void)close(pass->log);
	pass->log = -1;
}

static double
seconds_since(int64_t began)
{
	return (double)(monotonic_now() - began) / (double)NUMBER_SECOND;
}

/* Returns 0, or -1 after it has said why. */
static int
put(struct pass *pass)
{
	struct entry *entry = &pass->entry, known;
	char text[NAME_SHOWN];

	/* a mail of its last failure may have ended while it was in hand */
	if (!entry->reported && ledger_find(pass->ledger, entry->name, &known) == 1)
		entry->reported = known.reported;
	if (ledger_put(pass->ledger, entry) == 0) {
		pass->reports->forgetful = false;
		return 0;
	}
	log_say(LEVEL_ERROR, "%s: ledger: %s", shown(entry, text), ledger_error(pass->ledger));
	return -1;
}

static void
fail(struct pass *pass, const char *why)
{
	struct entry *entry = &pass->entry;
	char text[NAME_SHOWN], again[64] = "parked until 'retry'";

	entry->tries++;
	entry->state = entry->tries >= PASS_TRIES ? LEDGER_PARKED : LEDGER_FAILED;
	entry->wait = entry->state == LEDGER_FAILED ? (1 << (entry->tries - 1)) - 1 : 0;
	(void)snprintf(entry->error, sizeof entry->error, "%s", why);
	if (put(pass) < 0)
		pass->open = true; /* the ledger may say PUBLISHING still */
	if (entry->state == LEDGER_FAILED)
		(void)snprintf(again, sizeof again, "try %d of %d, again in %d pass%s",
		    entry->tries, PASS_TRIES, entry->wait + 1, entry->wait > 0 ? "es" : "");
	log_say(LEVEL_ERROR, "%s: %s (%s)", shown(entry, text), why, again);
	show_trouble(pass->show, "%s: %s (%s)", text, why, again);
	if (pass->log >= 0)
		(void)dprintf(pass->log, "%s (%s)\n", why, again);
	close_files(pass);
	pass->failed++;
	report_failed(pass->reports, entry, seconds_since(pass->began_at));
	next_item(pass);
}

static void
succeed(struct pass *pass)
{
	struct entry *entry = &pass->entry;
	double seconds = seconds_since(pass->began_at);
	char text[NAME_SHOWN], name[NAME_SHOWN], size[16];

	show_bytes((double)entry->bytes, size, sizeof size);
	(void)text_escape(entry->published, strlen(entry->published), name, sizeof name);
	(void)shown(entry, text);
	if (strcmp(entry->name, entry->published) == 0) {
		log_say(LEVEL_INFO, "%s: pulled, %s in %.1f s", text, size, seconds);
		show_line(pass->show, "%s: pulled, %s in %.1f s", text, size, seconds);
	} else {
		log_say(LEVEL_INFO, "%s: pulled as %s, %s in %.1f s", text, name, size, seconds);
		show_line(pass->show, "%s: pulled as %s, %s in %.1f s", text, name, size, seconds);
	}
	if (pass->log >= 0)
		(void)dprintf(pass->log, "pulled, %lld bytes in %.1f s\n", (long long)entry->bytes,
		    seconds);
	close_files(pass);
	pass->pulled++;
	report_done(pass->reports, entry, seconds);
	next_item(pass);
}

/* It may be published already, so it must not be pulled again: the next pass will find out. */
static void
leave_open(struct pass *pass, const char *why)
{
	char text[NAME_SHOWN];

	log_say(LEVEL_ERROR, "%s: %s: looked at again in the next pass", shown(&pass->entry, text),
	    why);
	show_trouble(pass->show, "%s: %s: looked at again in the next pass", text, why);
	close_files(pass);
	pass->failed++;
	pass->open = true;
	next_item(pass);
}

static void
conclude(struct pass *pass, enum staging_result result, const char *why)
{
	if (result == STAGING_DONE)
		succeed(pass);
	else if (result == STAGING_FAILED)
		fail(pass, why);
	else
		leave_open(pass, why);
}

/* The item was let go of: by stop or pause it goes on later, by cancel it does not. */
static bool
let_go(struct pass *pass)
{
	char text[NAME_SHOWN];

	if (!pass->stopping && !pass->cancelled)
		return false;
	close_files(pass);
	if (pass->cancelled) {
		pass->cancelled = false;
		log_say(LEVEL_INFO, "%s: cancelled", shown(&pass->entry, text));
		pass->entry.state = LEDGER_PARKED;
		(void)snprintf(pass->entry.error, sizeof pass->entry.error, "cancelled");
		pass->entry.reported = true;
		(void)staging_remove(pass->config, &pass->entry);
		(void)put(pass);
	}
	next_item(pass);
	return true;
}

/* --- FINISHING --- */

static int
finish_in_child(void *context)
{
	const struct pass *pass = context;

	return staging_finish(pass->config, &pass->entry);
}

static void
finishing_wrote(struct job *job, int stream, const char *data, size_t len)
{
	struct pass *pass = job->context;

	if (stream == 2)
		complaint_feed(&pass->complaint, data, len);
	for (; stream == 1 && len > 0 && pass->bytes_used < sizeof pass->bytes - 1; len--)
		pass->bytes[pass->bytes_used++] = *data++;
}

static void
finishing_ended(struct job *job)
{
	struct pass *pass = job->context;
	char why[400];

	complaint_end(&pass->complaint);
	if (let_go(pass))
		return;
	if (!WIFEXITED(job->status) || WEXITSTATUS(job->status) != 0) {
		fail(pass, pass->complaint.text[0] != '\0' ? pass->complaint.text
							   : "could not be put on disk");
		return;
	}
	pass->bytes[pass->bytes_used] = '\0';
	pass->entry.bytes = strtoll(pass->bytes, NULL, 10);
	conclude(pass, staging_publish(pass->config, pass->ledger, &pass->entry, why, sizeof why),
	    why);
}

static void
finish(struct pass *pass)
{
	pass->phase = PASS_FINISHING;
	pass->bytes_used = 0;
	complaint_begin(&pass->complaint, pass->log);
	pass->finishing = (struct job){
		.path = "finish",
		.instead = finish_in_child,
		.in = -1,
		.apart = true,
		.grace = pass->grace,
		.output = finishing_wrote,
		.ended = finishing_ended,
		.context = pass,
	};
	if (job_start(pass->jobs, &pass->finishing) < 0)
		fail(pass, strerror(errno));
}

/* --- CHECKING --- */

static void
checked(void *context, const char *why)
{
	struct pass *pass = context;
	const struct item *item = source_find(&pass->one, pass->entry.name);
	char text[NAME_SHOWN];

	if (let_go(pass))
		return;
	if (why != NULL) {
		fail(pass, why);
		return;
	}
	if (item == NULL || !item->measured) {
		fail(pass, "it vanished during its transfer");
		return;
	}
	if (item->bytes == pass->entry.bytes && strcmp(item->newest, pass->entry.newest) == 0) {
		finish(pass);
		return;
	}
	pass->entry.bytes = item->bytes;
	(void)snprintf(pass->entry.newest, sizeof pass->entry.newest, "%s", item->newest);
	pass->entry.since = wall_clock();
	if (pass->config->list.count > 0) {
		fail(pass, "it changed during its transfer");
		return;
	}
	/* It was not finished after all, so this is no failure: it has to settle first. */
	log_say(LEVEL_WARNING,
	    "%s: it changed during its transfer, which goes on when it has settled",
	    shown(&pass->entry, text));
	show_line(pass->show, "%s: it changed during its transfer: later", text);
	(void)put(pass);
	close_files(pass);
	pass->waiting++;
	next_item(pass);
}

static void
check(struct pass *pass)
{
	pass->phase = PASS_CHECKING;
	source_set_one(&pass->one, pass->entry.name);
	if (source_measure(&pass->one) < 0)
		fail(pass, strerror(errno));
}

/* --- PULLING --- */

static void
pulled(struct pass *pass, const char *why)
{
	if (let_go(pass))
		return;
	if (why != NULL)
		fail(pass, why);
	else
		check(pass);
}

static void
pull(struct pass *pass)
{
	char path[LONG_PATH], text[NAME_SHOWN], why[300];

	pass->phase = PASS_PULLING;
	if (staging_room(pass->config, &pass->entry, why, sizeof why) < 0) {
		fail(pass, why);
		return;
	}
	pass->entry.state = LEDGER_PULLING;
	if (put(pass) < 0) { /* what is begun must be known */
		fail(pass, "the ledger cannot be written");
		return;
	}
	if (staging_make(pass->config, &pass->entry) < 0) {
		fail(pass, strerror(errno));
		return;
	}
	pass->lock = staging_lock(pass->config, &pass->entry);
	if (pass->lock < 0 && errno == EWOULDBLOCK && ++pass->locked < LOCK_TRIES) {
		loop_set_timer(pass->jobs->loop, &pass->lock_again, monotonic_now() + LOCK_PAUSE);
		return;
	}
	if (pass->lock < 0) {
		fail(pass,
		    errno == EWOULDBLOCK ? "an earlier rsync still writes to it" : strerror(errno));
		return;
	}
	log_say(LEVEL_INFO, "%s: pulling%s", shown(&pass->entry, text),
	    staging_has(pass->config, &pass->entry) ? ", where it was left" : "");
	staging_path(pass->config, &pass->entry, path, sizeof path);
	if (transfer_pull(&pass->transfer, pass->entry.name, path, pass->log, pass->lock) < 0)
		fail(pass, strerror(errno));
}

static void
lock_again(void *context)
{
	struct pass *pass = context;

	if (!let_go(pass))
		pull(pass);
}

static void
progress(void *context)
{
	struct pass *pass = context;

	show_progress(pass->show, pass->entry.name, pass->transfer.bytes, pass->entry.bytes,
	    pass->transfer.rate);
}

/* --- COMPARING --- */

static void
compared(struct pass *pass, const char *why)
{
	char text[NAME_SHOWN];

	if (let_go(pass))
		return;
	if (why != NULL) {
		fail(pass, why);
		return;
	}
	if (pass->transfer.different) {
		pull(pass);
		return;
	}
	log_say(LEVEL_INFO, "%s: is here already", shown(&pass->entry, text));
	show_line(pass->show, "%s: is here already", text);
	pass->entry.state = LEDGER_DONE;
	pass->entry.reported = true;
	(void)snprintf(pass->entry.published, sizeof pass->entry.published, "%s", pass->entry.name);
	(void)put(pass);
	close_files(pass);
	report_here(pass->reports, &pass->entry);
	next_item(pass);
}

static void
transfer_ended(void *context, const char *why)
{
	struct pass *pass = context;

	if (pass->phase == PASS_COMPARING)
		compared(pass, why);
	else
		pulled(pass, why);
}

/* --- one item after another --- */

static bool
is_here(const struct pass *pass)
{
	char path[LONG_PATH];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/%s", pass->config->to, pass->entry.name);
	return lstat(path, &st) == 0;
}

static void
begin_item(struct pass *pass)
{
	pass->began_at = monotonic_now();
	pass->locked = 0;
	pass->log = report_open_log(pass->config, &pass->entry);
	if (pass->log >= 0)
		(void)dprintf(pass->log, "try %d of %d\n", pass->entry.tries + 1, PASS_TRIES);
	if (!is_here(pass) || staging_has(pass->config, &pass->entry)) {
		pull(pass);
		return;
	}
	pass->phase = PASS_COMPARING;
	if (transfer_compare(&pass->transfer, pass->entry.name) < 0)
		fail(pass, strerror(errno));
}

/* A command may have changed its mind since the list was made. */
static bool
still_wanted(const struct entry *entry)
{
	return entry->state == LEDGER_SEEN || entry->state == LEDGER_PULLING ||
	       (entry->state == LEDGER_FAILED && entry->wait == 0);
}

static void
go_on(void *context)
{
	struct pass *pass = context;

	while (!pass->stopping && pass->next < pass->source.count) {
		struct item *item = &pass->source.items[pass->next++];
		int found;

		if (!item->wanted)
			continue;
		found = ledger_find(pass->ledger, item->name, &pass->entry);
		if (found < 0) {
			ledger_broke(pass);
			return;
		}
		if (found == 1 && still_wanted(&pass->entry)) {
			begin_item(pass);
			return;
		}
	}
	end_pass(pass);
}

static void
next_item(struct pass *pass)
{
	pass->phase = PASS_BETWEEN;
	pass->entry = (struct entry){ .id = 0 };
	loop_set_timer(pass->jobs->loop, &pass->go_on, monotonic_now());
}

/* --- MEASURING --- */

static bool
has_settled(struct pass *pass, const struct entry *entry)
{
	int64_t age = wall_clock() - entry->since;
	int64_t left = pass->config->settle - age * (NUMBER_SECOND / 1000);

	if (pass->config->list.count > 0 || left <= 0)
		return true;
	left += monotonic_now();
	if (pass->settled_at == 0 || left < pass->settled_at)
		pass->settled_at = left;
	return false;
}

/* Notes what the source says of an item; returns -1 if the ledger cannot be written. */
static int
observe(struct pass *pass, struct item *item)
{
	struct entry entry;
	int64_t now = wall_clock();
	char text[NAME_SHOWN];
	int found = ledger_find(pass->ledger, item->name, &entry);

	if (found < 0)
		return -1;
	if (!item->measured && pass->config->list.count == 0) {
		log_say(LEVEL_WARNING, "%s: it vanished after it was listed", shown(&entry, text));
		item->wanted = false;
		return 0;
	}
	/* What a list program calls finished and nobody can find is tried, and then says why */
	if (found == 0 || entry.bytes != item->bytes || strcmp(entry.newest, item->newest) != 0 ||
	    entry.since > now) { /* ... or the clock was set back */
		entry.bytes = item->bytes;
		memcpy(entry.newest, item->newest, sizeof entry.newest);
		entry.since = now;
		if (ledger_put(pass->ledger, &entry) < 0)
			return -1;
	}
	item->wanted = has_settled(pass, &entry);
	if (!item->wanted) {
		pass->waiting++;
		log_say(LEVEL_DEBUG, "%s: waits until it has settled", shown(&entry, text));
	}
	return 0;
}

static void
measured(void *context, const char *why)
{
	struct pass *pass = context;
	bool bad = false;

	if (why != NULL || pass->stopping) {
		unknown(pass, why != NULL ? why : "stopped");
		return;
	}
	bad = ledger_begin(pass->ledger) < 0;
	for (size_t i = 0; !bad && i < pass->source.count; i++)
		if (pass->source.items[i].wanted)
			bad = observe(pass, &pass->source.items[i]) < 0;
	if (bad || ledger_commit(pass->ledger) < 0) {
		ledger_broke(pass);
		return;
	}
	pass->known = true;
	pass->next = 0;
	next_item(pass);
}

/* --- LISTING --- */

/* Does this pass have to look at the item? Counts the passes that a failed one has to wait. */
static int
choose(struct pass *pass, struct item *item)
{
	struct entry entry;
	int found = ledger_find(pass->ledger, item->name, &entry);

	if (found < 0)
		return -1;
	if (entry.state == LEDGER_FAILED && entry.wait > 0) {
		entry.wait--;
		return ledger_put(pass->ledger, &entry);
	}
	item->wanted = entry.state != LEDGER_DONE && entry.state != LEDGER_PARKED;
	return 0;
}

static void
listed(void *context, const char *why)
{
	struct pass *pass = context;
	bool bad, any = false;

	if (why != NULL || pass->stopping) {
		unknown(pass, why != NULL ? why : "stopped");
		return;
	}
	bad = ledger_begin(pass->ledger) < 0;
	for (size_t i = 0; !bad && i < pass->source.count; i++) {
		bad = choose(pass, &pass->source.items[i]) < 0;
		any = any || pass->source.items[i].wanted;
	}
	if (bad || ledger_commit(pass->ledger) < 0) {
		ledger_broke(pass);
		return;
	}
	log_say(LEVEL_DEBUG, "%zu items at the source", pass->source.count);
	if (!any) {
		pass->known = true;
		end_pass(pass);
		return;
	}
	pass->phase = PASS_MEASURING;
	if (source_measure(&pass->source) < 0)
		unknown(pass, strerror(errno));
}

static void
list_or_measure_ended(void *context, const char *why)
{
	struct pass *pass = context;

	if (pass->phase == PASS_LISTING)
		listed(pass, why);
	else
		measured(pass, why);
}

void
pass_set_up(struct pass *pass)
{
	pass->source = pass->one = (struct source){
		.config = pass->config,
		.jobs = pass->jobs,
		.grace = pass->grace,
		.context = pass,
	};
	pass->source.ended = list_or_measure_ended;
	pass->one.ended = checked;
	pass->transfer = (struct transfer){
		.config = pass->config,
		.jobs = pass->jobs,
		.grace = pass->grace,
		.progress = progress,
		.ended = transfer_ended,
		.context = pass,
	};
	pass->go_on = (struct loop_timer){ .fire = go_on, .context = pass };
	pass->lock_again = (struct loop_timer){ .fire = lock_again, .context = pass };
	pass->log = pass->lock = -1;
}

static void
stop_job(struct pass *pass)
{
	switch (pass->phase) {
	case PASS_LISTING:
	case PASS_MEASURING:
		source_stop(&pass->source);
		break;
	case PASS_COMPARING:
	case PASS_PULLING:
		transfer_stop(&pass->transfer);
		break;
	case PASS_CHECKING:
		source_stop(&pass->one);
		break;
	case PASS_FINISHING:
		job_stop(&pass->finishing);
		break;
	case PASS_IDLE:
	case PASS_BETWEEN:
	case PASS_PHASES:
		break;
	}
}

void
pass_stop(struct pass *pass)
{
	pass->stopping = true;
	stop_job(pass);
}

void
pass_cancel(struct pass *pass, const char *name)
{
	if (pass->phase < PASS_COMPARING || strcmp(name, pass->entry.name) != 0)
		return;
	pass->cancelled = true;
	stop_job(pass);
}

/* A PUBLISHING entry: what has become of it? */
static void
find_out(struct pass *pass, struct entry *entry)
{
	char text[NAME_SHOWN], why[300];
	enum staging_result result =
	    staging_recover(pass->config, pass->ledger, entry, why, sizeof why);

	if (result == STAGING_DONE) {
		log_say(LEVEL_INFO, "%s: its publishing was interrupted, and is done now",
		    shown(entry, text));
		return;
	}
	log_say(LEVEL_ERROR, "%s: %s", shown(entry, text), why);
	if (result == STAGING_FAILED) {
		/* nothing was renamed: it is tried again like a new one */
		entry->state = LEDGER_SEEN;
		if (ledger_put(pass->ledger, entry) == 0)
			return;
	}
	pass->open = true;
	pass->failed++; /* this pass leaves it out */
}

static void
find_out_if_open(void *context, struct entry *entry)
{
	struct pass *pass = context;

	if (entry->state != LEDGER_PUBLISHING)
		return;
	find_out(pass, entry);
	if (entry->state == LEDGER_DONE && !entry->reported)
		report_done(pass->reports, entry, 0);
}

static void
recover_one(void *context, struct entry *entry)
{
	struct pass *pass = context;

	if (entry->state == LEDGER_PUBLISHING)
		find_out_if_open(pass, entry);
	else if (entry->reported)
		return;
	else if (entry->state == LEDGER_DONE)
		report_done(pass->reports, entry, 0);
	else if (entry->state == LEDGER_FAILED || entry->state == LEDGER_PARKED)
		report_failed(pass->reports, entry, 0);
}

int
pass_recover(struct pass *pass, char *why, size_t size)
{
	if (ledger_each(pass->ledger, recover_one, pass) < 0) {
		(void)snprintf(why, size, "ledger: %s", ledger_error(pass->ledger));
		return -1;
	}
	staging_sweep(pass->config, pass->ledger);
	return 0;
}

void
pass_begin(struct pass *pass)
{
	pass->phase = PASS_LISTING;
	pass->pulled = pass->failed = pass->waiting = 0;
	pass->settled_at = 0;
	pass->stopping = pass->cancelled = false;
	if (pass->open) {
		pass->open = false;
		if (ledger_each(pass->ledger, find_out_if_open, pass) < 0)
			pass->open = true;
	}
	if (source_list(&pass->source) < 0)
		unknown(pass, strerror(errno));
}

void
pass_free(struct pass *pass)
{
	source_free(&pass->source);
	source_free(&pass->one);
	transfer_free(&pass->transfer);
	close_files(pass);
}
