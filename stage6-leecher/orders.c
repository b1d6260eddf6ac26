#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "leech.h"
#include "monotonic.h"
#include "number.h"
#include "orders.h"
#include "staging.h"
#include "text.h"

enum { NAME_SHOWN = 4 * NAME_MAX + 1 };

static double
seconds(int64_t ns)
{
	return (double)ns / (double)NUMBER_SECOND;
}

static const char *
state(const struct leech *leech)
{
	if (leech->stopping)
		return "stopping";
	if (leech->pass.phase != PASS_IDLE)
		return pass_phase_name[leech->pass.phase];
	return leech->paused ? "paused" : "idle";
}

static double
percent(const struct pass *pass)
{
	double part;

	if (pass->phase > PASS_PULLING)
		return 100;
	if (pass->entry.bytes <= 0)
		return 0;
	part = 100.0 * (double)pass->transfer.bytes / (double)pass->entry.bytes;
	return part < 100 ? part : 100;
}

static void
describe_item(const struct pass *pass, FILE *body)
{
	const struct transfer *transfer = &pass->transfer;
	char name[NAME_SHOWN], here[32], all[32], rate[32];

	(void)text_escape(pass->entry.name, strlen(pass->entry.name), name, sizeof name);
	fprintf(body, "item: %s\n", name);
	if (pass->phase < PASS_PULLING)
		return;
	fprintf(body, "percent: %.0f\n", percent(pass));
	if (pass->phase > PASS_PULLING)
		return;
	show_bytes((double)transfer->bytes, here, sizeof here);
	show_bytes((double)(pass->entry.bytes > 0 ? pass->entry.bytes : 0), all, sizeof all);
	fprintf(body, "bytes: %s of %s\n", here, all);
	if (transfer->rate <= 0)
		return;
	show_bytes(transfer->rate, rate, sizeof rate);
	fprintf(body, "rate: %s/s\n", rate);
	if (pass->entry.bytes >= transfer->bytes)
		fprintf(body, "left: %.0f s\n",
		    (double)(pass->entry.bytes - transfer->bytes) / transfer->rate);
}

static bool
status(struct leech *leech, const char *argument, FILE *body)
{
	const struct pass *pass = &leech->pass;
	int64_t count[LEDGER_STATES], left = leech->beat.due - monotonic_now();

	(void)argument;
	fprintf(body, "state: %s\n", state(leech));
	if (pass->phase >= PASS_COMPARING)
		describe_item(pass, body);
	if (ledger_count(leech->ledger, count) == 0)
		fprintf(body, "done: %lld\nfailed: %lld\nparked: %lld\nwaiting: %lld\n",
		    (long long)count[LEDGER_DONE], (long long)count[LEDGER_FAILED],
		    (long long)count[LEDGER_PARKED],
		    (long long)count[LEDGER_SEEN] + (long long)count[LEDGER_PULLING]);
	if (pass->why[0] != '\0' && !pass->known)
		fprintf(body, "last list: unknown: %s\n", pass->why);
	if (leech->beat.set)
		fprintf(body, "next pass in: %.0f s\n", seconds(left > 0 ? left : 0));
	fprintf(body, "paused: %s\nlevel: %s\npid: %ld\nfrom: %s\nto: %s\n",
	    leech->paused ? "yes" : "no", log_level_name(), (long)getpid(), leech->config.from,
	    leech->config.to);
	return true;
}

void
orders_log_status(struct leech *leech)
{
	const struct pass *pass = &leech->pass;
	char name[NAME_SHOWN] = "";

	if (pass->phase >= PASS_COMPARING)
		(void)text_escape(pass->entry.name, strlen(pass->entry.name), name, sizeof name);
	log_say(LEVEL_INFO, "status: %s%s%s; last pass: %d pulled, %d failed, %d waiting",
	    state(leech), name[0] != '\0' ? " " : "", name, pass->pulled, pass->failed,
	    pass->waiting);
}

static void
print_entry(void *context, struct entry *entry)
{
	char name[NAME_SHOWN], size[32] = "?";

	(void)text_escape(entry->name, strlen(entry->name), name, sizeof name);
	if (entry->bytes >= 0)
		show_bytes((double)entry->bytes, size, sizeof size);
	fprintf(context, "%-10s %9s  %s%s%s\n", ledger_state_name[entry->state], size, name,
	    entry->error[0] != '\0' ? ": " : "", entry->error);
}

static bool
items(struct leech *leech, const char *argument, FILE *body)
{
	(void)argument;
	if (ledger_each(leech->ledger, print_entry, body) == 0)
		return true;
	fprintf(body, "ledger: %s", ledger_error(leech->ledger));
	return false;
}

static bool
now(struct leech *leech, const char *argument, FILE *body)
{
	(void)argument;
	if (leech->stopping || leech->paused) {
		fputs(leech->stopping ? "stopping" : "paused: resume first", body);
		return false;
	}
	leech_pass_now(leech);
	return true;
}

static bool
pause_passes(struct leech *leech, const char *argument, FILE *body)
{
	(void)argument;
	(void)body;
	leech_pause(leech);
	return true;
}

static bool
resume_passes(struct leech *leech, const char *argument, FILE *body)
{
	(void)argument;
	(void)body;
	if (leech->paused && !leech->stopping)
		leech_resume(leech);
	return true;
}

/* Finds the entry that a command names. */
static bool
find(struct leech *leech, const char *name, struct entry *entry, FILE *body)
{
	char shown[NAME_SHOWN];

	if (strlen(name) <= NAME_MAX && ledger_find(leech->ledger, name, entry) == 1)
		return true;
	(void)text_escape(name, strlen(name) <= NAME_MAX ? strlen(name) : NAME_MAX, shown,
	    sizeof shown);
	fprintf(body, "%s: no such item", shown);
	return false;
}

static bool
is_in_hand(const struct leech *leech, const struct entry *entry)
{
	return leech->pass.phase >= PASS_COMPARING && leech->pass.entry.id == entry->id;
}

static bool
write_down(struct leech *leech, struct entry *entry, FILE *body)
{
	if (ledger_put(leech->ledger, entry) == 0)
		return true;
	fprintf(body, "ledger: %s", ledger_error(leech->ledger));
	return false;
}

static bool
cancel(struct leech *leech, const char *name, FILE *body)
{
	struct entry entry;

	if (!find(leech, name, &entry, body))
		return false;
	if (is_in_hand(leech, &entry)) {
		pass_cancel(&leech->pass, name);
		return true;
	}
	if (entry.state == LEDGER_DONE) {
		fputs("it is done already", body);
		return false;
	}
	entry.state = LEDGER_PARKED;
	(void)snprintf(entry.error, sizeof entry.error, "cancelled");
	entry.reported = true;
	(void)staging_remove(&leech->config, &entry);
	return write_down(leech, &entry, body);
}

static bool
can_retry(const struct entry *entry)
{
	return entry->state == LEDGER_FAILED || entry->state == LEDGER_PARKED;
}

static void
make_new(struct entry *entry)
{
	entry->state = LEDGER_SEEN;
	entry->tries = entry->wait = 0;
	entry->reported = false;
	entry->error[0] = '\0';
}

static void
retry_one(void *context, struct entry *entry)
{
	struct leech *leech = context;

	if (!can_retry(entry) || is_in_hand(leech, entry))
		return;
	make_new(entry);
	(void)ledger_put(leech->ledger, entry); /* one that cannot be written stays as it is */
}

static bool
retry(struct leech *leech, const char *name, FILE *body)
{
	struct entry entry;

	if (strcmp(name, "all") == 0) {
		if (ledger_each(leech->ledger, retry_one, leech) < 0) {
			fprintf(body, "ledger: %s", ledger_error(leech->ledger));
			return false;
		}
	} else {
		if (!find(leech, name, &entry, body))
			return false;
		if (!can_retry(&entry)) {
			fprintf(body, "it is %s", ledger_state_name[entry.state]);
			return false;
		}
		make_new(&entry);
		if (!write_down(leech, &entry, body))
			return false;
	}
	if (!leech->paused && !leech->stopping)
		leech_pass_now(leech);
	return true;
}

static bool
forget(struct leech *leech, const char *name, FILE *body)
{
	struct entry entry;

	if (!find(leech, name, &entry, body))
		return false;
	if (is_in_hand(leech, &entry)) {
		fputs("it is in hand: cancel it first", body);
		return false;
	}
	(void)staging_remove(&leech->config, &entry);
	report_take_back(&leech->reports, &entry);
	if (ledger_remove(leech->ledger, name) == 0)
		return true;
	fprintf(body, "ledger: %s", ledger_error(leech->ledger));
	return false;
}

static bool
reload(struct leech *leech, const char *argument, FILE *body)
{
	char why[1024];

	(void)argument;
	if (leech_reload(leech, why, sizeof why) == 0)
		return true;
	fputs(why, body);
	return false;
}

static bool
reopen(struct leech *leech, const char *argument, FILE *body)
{
	(void)argument;
	if (log_reopen() == 0)
		return true;
	fprintf(body, "open %s: %s", leech->log, strerror(errno));
	return false;
}

static bool
level(struct leech *leech, const char *argument, FILE *body)
{
	enum level level;

	(void)leech;
	if (log_level_named(argument, &level) < 0) {
		fprintf(body, "level %s: not one of error, warning, info, debug", argument);
		return false;
	}
	log_set_level(level);
	return true;
}

static bool
stop(struct leech *leech, const char *argument, FILE *body)
{
	(void)argument;
	(void)body;
	leech_stop(leech, "asked to");
	return true;
}

static bool help(struct leech *leech, const char *argument, FILE *body);

static const struct {
	const char *name, *argument, *what;
	bool (*obey)(struct leech *leech, const char *argument, FILE *body);
} orders[] = {
	{ "status", NULL, "what is going on", status },
	{ "items", NULL, "every item that is known, and how it stands", items },
	{ "now", NULL, "a pass at once", now },
	{ "pause", NULL, "let go of the transfer in hand, and begin no other", pause_passes },
	{ "resume", NULL, "go on where it was", resume_passes },
	{ "cancel", "NAME", "let go of an item, until retry", cancel },
	{ "retry", "NAME|all", "try a failed or parked item again", retry },
	{ "forget", "NAME", "as if it had never been seen", forget },
	{ "reload", NULL, "read the configuration again", reload },
	{ "reopen", NULL, "open the log again", reopen },
	{ "level", "LEVEL", "log error, warning, info or debug, and what is graver", level },
	{ "stop", NULL, "end the daemon; what is half pulled goes on at the next start", stop },
	{ "help", NULL, "this list", help },
};

enum { ORDERS = sizeof orders / sizeof orders[0] };

static bool
help(struct leech *leech, const char *argument, FILE *body)
{
	(void)leech;
	(void)argument;
	for (int i = 0; i < ORDERS; i++)
		fprintf(body, "%-7s %-9s %s\n", orders[i].name,
		    orders[i].argument != NULL ? orders[i].argument : "", orders[i].what);
	return true;
}

bool
orders_obey(void *context, char *words[], int count, FILE *body)
{
	for (int i = 0; i < ORDERS; i++) {
		int wanted = orders[i].argument != NULL ? 2 : 1;

		if (strcmp(words[0], orders[i].name) != 0)
			continue;
		if (count == wanted)
			return orders[i].obey(context, words[1], body);
		fprintf(body, "usage: %s%s%s", orders[i].name, wanted == 2 ? " " : "",
		    wanted == 2 ? orders[i].argument : "");
		return false;
	}
	fprintf(body, "unknown command: %s (try help)", words[0]);
	return false;
}
