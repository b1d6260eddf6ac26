/*
 * The work of leecher: passes, by the timetable or when asked for; or one, in the foreground.
 */
#ifndef LEECH_H
#define LEECH_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "fifo.h"
#include "job.h"
#include "ledger.h"
#include "log.h"
#include "loop.h"
#include "pass.h"
#include "pidfile.h"
#include "report.h"
#include "show.h"
#include "timetable.h"

struct leech {
	/* From the options: */
	struct config config;
	enum level level;
	bool quiet;
	bool once; /* one pass in the foreground, no FIFO */

	/* While it works: */
	char log[LONG_PATH], control[LONG_PATH], ledger_path[LONG_PATH];
	const struct pidfile *lock;
	struct loop loop;
	struct jobs jobs;
	struct fifo fifo;
	struct ledger *ledger;
	struct reports reports;
	struct show show;
	struct pass pass;
	struct timetable timetable;
	struct loop_timer beat, settled;
	struct config fresh; /* from reload, taken over when no pass is under way */
	bool has_fresh;
	bool again; /* asked for another pass while one is under way */
	bool paused, stopping, finished;
	int signal; /* that ends us, for once */
	int status;
};

/*
 * As signals_catch, for what works in the foreground: HUP and INT stay ignored where whoever started
 * us ignores them, as nohup(1) and the & of a script do.
 */
void leech_catch_signals(sigset_t *open);

/* Paths of the pid file and the FIFO in the state directory. */
void leech_path(const struct config *config, const char *name, char *path, size_t size);

/* What service.h asks for; the context is a struct leech. */
void leech_begin(void *context);
int leech_prepare(void *context, char *why, size_t size);
int leech_work(void *context, const struct pidfile *pidfile);
void leech_finish(void *context, int status);

/* One pass, in the foreground, with the lock held. Returns the exit status; a signal ends us. */
int leech_once(struct leech *leech);

/* For commands: */
void leech_pass_now(struct leech *leech);
void leech_pause(struct leech *leech);
void leech_resume(struct leech *leech);
void leech_stop(struct leech *leech, const char *because);
/* Reads the configuration again. Returns 0, or -1 with the reason in why: the old one goes on. */
int leech_reload(struct leech *leech, char *why, size_t size);

#endif
