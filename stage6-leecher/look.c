#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "job.h"
#include "ledger.h"
#include "leech.h"
#include "look.h"
#include "number.h"
#include "service.h"
#include "show.h"
#include "signals.h"
#include "source.h"
#include "text.h"

struct look {
	struct loop loop;
	struct jobs jobs;
	struct source source;
	bool over;
	char why[400];
};

static void
ended(void *context, const char *why)
{
	struct look *look = context;

	look->over = true;
	(void)snprintf(look->why, sizeof look->why, "%s", why != NULL ? why : "");
}

/* Runs the loop until the source has answered. Returns 0, or -1 with look->why; or we are killed. */
static int
wait_for_answer(struct look *look)
{
	static const int deadly[] = { SIGTERM, SIGINT, SIGHUP };
	int killer = 0;

	while (!look->over) {
		loop_wait(&look->loop);
		if (signals_take(SIGCHLD))
			jobs_reap(&look->jobs);
		for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
			if (!signals_take(deadly[i]))
				continue;
			killer = deadly[i];
			source_stop(&look->source);
		}
	}
	if (killer != 0) {
		(void)sigaction(killer, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
		(void)sigprocmask(SIG_SETMASK, &look->loop.open, NULL);
		(void)raise(killer);
	}
	return look->why[0] == '\0' ? 0 : -1;
}

static int
ask(struct look *look, const struct config *config, int (*question)(struct source *))
{
	if (look->source.config == NULL) {
		leech_catch_signals(&look->loop.open);
		jobs_begin(&look->jobs, &look->loop);
		look->source = (struct source){
			.config = config,
			.jobs = &look->jobs,
			.grace = NUMBER_SECOND,
			.ended = ended,
			.context = look,
		};
	}
	look->over = false;
	if (question(&look->source) == 0)
		return wait_for_answer(look);
	(void)snprintf(look->why, sizeof look->why, "%s", strerror(errno));
	return -1;
}

/* The ledger as it is, or NULL if there is none yet. Returns -1 with a message printed. */
static int
open_ledger(const struct config *config, struct ledger **ledger)
{
	char path[LONG_PATH], why[LONG_PATH];

	*ledger = NULL;
	leech_path(config, "ledger.db", path, sizeof path);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	*ledger = ledger_open(path, true, why, sizeof why);
	if (*ledger != NULL)
		return 0;
	fprintf(stderr, "leecher: %s\n", why);
	return -1;
}

static const char *
standing(struct ledger *ledger, const struct config *config, const char *name, struct entry *entry)
{
	if (ledger == NULL || ledger_find(ledger, name, entry) != 1)
		return "new";
	if (entry->state != LEDGER_SEEN)
		return ledger_state_name[entry->state];
	return config->list.count > 0 || config->settle == 0 ? "new" : "waiting";
}

static void
print_items(const struct look *look, struct ledger *ledger)
{
	for (size_t i = 0; i < look->source.count; i++) {
		const struct item *item = &look->source.items[i];
		char name[4 * NAME_MAX + 1], size[32] = "?";
		struct entry entry;

		(void)text_escape(item->name, strlen(item->name), name, sizeof name);
		if (item->measured)
			show_bytes((double)item->bytes, size, sizeof size);
		printf("%-10s %9s  %s\n", standing(ledger, look->source.config, item->name, &entry),
		    size, name);
	}
}

int
look_list(const struct config *config)
{
	static struct look look;
	struct ledger *ledger;
	int result = SERVICE_FAILED;

	if (open_ledger(config, &ledger) < 0)
		return SERVICE_FAILED;
	if (ask(&look, config, source_list) < 0)
		goto unknown;
	for (size_t i = 0; i < look.source.count; i++)
		look.source.items[i].wanted = true;
	if (look.source.count > 0 && ask(&look, config, source_measure) < 0)
		goto unknown;
	print_items(&look, ledger);
	result = SERVICE_DONE;
	goto out;
unknown:
	fprintf(stderr, "leecher: %s: what is finished is unknown: %s\n", config->from, look.why);
out:
	source_free(&look.source);
	ledger_close(ledger);
	return result;
}

/* --- check --- */

static bool
report(bool good, const char *what, const char *why)
{
	if (good)
		printf("ok      %s\n", what);
	else
		printf("FAILED  %s: %s\n", what, why);
	return good;
}

static bool
check_program(const char *program)
{
	const char *path = getenv("PATH");
	char what[PATH_MAX], file[PATH_MAX];
	bool good;

	(void)snprintf(what, sizeof what, "program %s", program);
	if (strchr(program, '/') != NULL) {
		good = access(program, X_OK) == 0;
		return report(good, what, strerror(errno));
	}
	while (path != NULL && *path != '\0') {
		size_t width = strcspn(path, ":");

		(void)snprintf(file, sizeof file, "%.*s/%s", (int)width, path, program);
		if (access(file, X_OK) == 0)
			return report(true, what, "");
		path += width + (path[width] == ':');
	}
	return report(false, what, "not found in PATH");
}

static bool
check_programs(const struct config *config)
{
	bool good = check_program("rsync");

	if (config->kind == CONFIG_SSH)
		good &= check_program("ssh");
	if (config->list.count > 0)
		good &= check_program(config->list.word[0]);
	if (config->mail[0] != '\0')
		good &= check_program(config->sendmail.word[0]);
	if (config->on_done.count > 0)
		good &= check_program(config->on_done.word[0]);
	if (config->on_failed.count > 0)
		good &= check_program(config->on_failed.word[0]);
	return good;
}

static bool
check_destination(const struct config *config)
{
	char what[PATH_MAX + 32], why[2 * PATH_MAX];

	(void)snprintf(what, sizeof what, "destination %s", config->to);
	return report(config_look(config, why, sizeof why) == 0, what, why);
}

int
look_check(const struct config *config)
{
	static struct look look;
	struct ledger *ledger;
	char what[PATH_MAX + 64];
	bool good;

	(void)snprintf(what, sizeof what, "configuration %s", config->file);
	good = report(true, what, "");
	good &= check_destination(config);
	good &= check_programs(config);
	good &= open_ledger(config, &ledger) == 0;
	ledger_close(ledger);
	(void)snprintf(what, sizeof what, "source %s", config->from);
	(void)fflush(stdout);
	bool answered = ask(&look, config, source_list) == 0;

	good &= report(answered, what, look.why);
	if (look.why[0] == '\0')
		printf("        %zu items there\n", look.source.count);
	source_free(&look.source);
	return good ? SERVICE_DONE : SERVICE_FAILED;
}
