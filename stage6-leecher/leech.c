#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "leech.h"
#include "monotonic.h"
#include "notify.h"
#include "number.h"
#include "orders.h"
#include "service.h"
#include "signals.h"
#include "staging.h"

#define GRACE (5 * NUMBER_SECOND) /* of children, between TERM and KILL */

void
leech_path(const struct config *config, const char *name, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/%s", config->state, name);
}

/* --- passes --- */

static void
begin_pass(struct leech *leech)
{
	leech->again = false;
	loop_clear_timer(&leech->loop, &leech->settled);
	log_say(LEVEL_DEBUG, "looking at %s", leech->config.from);
	notify_say("STATUS=looking at %.200s", leech->config.from);
	pass_begin(&leech->pass);
}

static void
set_beat(struct leech *leech)
{
	loop_set_timer(&leech->loop, &leech->beat, timetable_due(&leech->timetable));
}

static void
take_fresh_config(struct leech *leech)
{
	if (!leech->has_fresh || leech->stopping || leech->pass.phase != PASS_IDLE)
		return;
	if (!reports_idle(&leech->reports))
		return; /* they have our mail address and hooks in hand */
	config_free(&leech->config);
	leech->config = leech->fresh;
	leech->has_fresh = false;
	timetable_begin(&leech->timetable, monotonic_now() + leech->config.interval,
	    leech->config.interval);
	set_beat(leech);
	log_say(LEVEL_INFO, "the new configuration is in use");
}

void
leech_pass_now(struct leech *leech)
{
	if (leech->pass.phase == PASS_IDLE) {
		take_fresh_config(leech);
		begin_pass(leech);
	} else {
		leech->again = true;
	}
}

static void
settled(void *context)
{
	struct leech *leech = context;

	if (!leech->paused && !leech->stopping)
		leech_pass_now(leech);
}

static void
beat(void *context)
{
	struct leech *leech = context;

	if (!pidfile_still_ours(leech->lock)) {
		log_say(LEVEL_ERROR, "%s is not our file any more", leech->lock->path);
		leech->status = SERVICE_FAILED;
		leech_stop(leech, "another may be running");
		return;
	}
	fifo_check(&leech->fifo);
	timetable_advance(&leech->timetable, monotonic_now());
	set_beat(leech);
	if (!leech->paused && leech->pass.phase == PASS_IDLE)
		leech_pass_now(leech); /* last: a new configuration begins a new timetable */
}

static void
finish_if_idle(struct leech *leech)
{
	if (leech->stopping && leech->pass.phase == PASS_IDLE && leech->reports.running == 0)
		leech->finished = true;
}

static void
pass_ended(void *context)
{
	struct leech *leech = context;
	struct pass *pass = &leech->pass;

	if (pass->pulled + pass->failed > 0)
		log_say(LEVEL_INFO, "pass over: %d pulled, %d failed, %d waiting", pass->pulled,
		    pass->failed, pass->waiting);
	notify_say("STATUS=idle; last pass: %d pulled, %d failed, %d waiting", pass->pulled,
	    pass->failed, pass->waiting);
	if (leech->once || leech->stopping)
		return;
	if (pass->settled_at > 0 && !leech->paused)
		loop_set_timer(&leech->loop, &leech->settled, pass->settled_at);
	if (leech->again && !leech->paused) /* from the loop: not from within the pass that ended */
		loop_set_timer(&leech->loop, &leech->settled, monotonic_now());
}

/* --- what is asked of it --- */

void
leech_pause(struct leech *leech)
{
	leech->paused = true;
	loop_clear_timer(&leech->loop, &leech->settled);
	if (leech->pass.phase != PASS_IDLE)
		pass_stop(&leech->pass);
	notify_say("STATUS=paused");
}

void
leech_resume(struct leech *leech)
{
	leech->paused = false;
	leech_pass_now(leech);
}

void
leech_stop(struct leech *leech, const char *because)
{
	log_say(LEVEL_INFO, "stopping: %s", because);
	notify_say("STOPPING=1\nSTATUS=stopping: %s", because);
	leech->stopping = true;
	loop_clear_timer(&leech->loop, &leech->beat);
	loop_clear_timer(&leech->loop, &leech->settled);
	if (leech->pass.phase != PASS_IDLE)
		pass_stop(&leech->pass); /* the second time this ends the grace */
	reports_stop(&leech->reports);
}

int
leech_reload(struct leech *leech, char *why, size_t size)
{
	struct config fresh;

	if (config_load(&fresh, leech->config.file, why, size) < 0) {
		config_free(&fresh);
		return -1;
	}
	if (strcmp(fresh.to, leech->config.to) != 0 ||
	    strcmp(fresh.state, leech->config.state) != 0) {
		(void)snprintf(why, size,
		    "[destination] to or [daemon] state has changed: put it back, and stop "
		    "before you change it");
		config_free(&fresh);
		return -1;
	}
	if (leech->has_fresh)
		config_free(&leech->fresh);
	leech->fresh = fresh;
	leech->has_fresh = true;
	return 0;
}

/* --- signals --- */

static void
end_by(struct leech *leech, int number, const char *name)
{
	leech->signal = number;
	leech_stop(leech, name);
}

static void
act_on_signals(struct leech *leech)
{
	if (signals_take(SIGCHLD))
		jobs_reap(&leech->jobs);
	if (signals_take(SIGHUP)) {
		if (leech->once) /* the terminal has gone */
			end_by(leech, SIGHUP, "SIGHUP");
		else if (log_reopen() == 0)
			log_say(LEVEL_INFO, "the log was opened again");
	}
	if (signals_take(SIGUSR1))
		orders_log_status(leech);
	if (signals_take(SIGTERM))
		end_by(leech, SIGTERM, "SIGTERM");
	if (signals_take(SIGINT))
		end_by(leech, SIGINT, "SIGINT");
}

/* --- setting up --- */

void
leech_catch_signals(sigset_t *open)
{
	static const int numbers[] = { SIGHUP, SIGINT };
	struct sigaction before[2];

	for (int i = 0; i < 2; i++)
		(void)sigaction(numbers[i], NULL, &before[i]);
	signals_catch(open);
	for (int i = 0; i < 2; i++)
		if (before[i].sa_handler == SIG_IGN)
			(void)sigaction(numbers[i], &before[i], NULL);
}

void
leech_begin(void *context)
{
	struct leech *leech = context;

	/* A TERM that comes from here on waits until there is somebody to clean up after it */
	if (leech->once)
		leech_catch_signals(&leech->loop.open);
	else
		signals_catch(&leech->loop.open);
	notify_begin();
}

static void
set_up(struct leech *leech)
{
	jobs_begin(&leech->jobs, &leech->loop);
	leech->reports = (struct reports){
		.config = &leech->config,
		.jobs = &leech->jobs,
		.ledger = leech->ledger,
		.grace = GRACE,
	};
	leech->pass = (struct pass){
		.config = &leech->config,
		.jobs = &leech->jobs,
		.ledger = leech->ledger,
		.reports = &leech->reports,
		.show = &leech->show,
		.grace = GRACE,
		.ended = pass_ended,
		.context = leech,
	};
	pass_set_up(&leech->pass);
	leech->beat = (struct loop_timer){ .fire = beat, .context = leech };
	leech->settled = (struct loop_timer){ .fire = settled, .context = leech };
}

int
leech_prepare(void *context, char *why, size_t size)
{
	struct leech *leech = context;

	leech_path(&leech->config, "leecher.log", leech->log, sizeof leech->log);
	leech_path(&leech->config, "leecher.ctl", leech->control, sizeof leech->control);
	leech_path(&leech->config, "ledger.db", leech->ledger_path, sizeof leech->ledger_path);
	log_set_level(leech->level);
	if (log_open("leecher", leech->log) < 0) {
		(void)snprintf(why, size, "open %s: %s", leech->log, strerror(errno));
		return -1;
	}
	leech->ledger = ledger_open(leech->ledger_path, false, why, size);
	if (leech->ledger == NULL)
		goto fail;
	set_up(leech);
	if (pass_recover(&leech->pass, why, size) < 0)
		goto fail;
	if (leech->once)
		return 0;
	leech->fifo = (struct fifo){
		.loop = &leech->loop,
		.path = leech->control,
		.command = orders_obey,
		.context = leech,
	};
	if (fifo_open(&leech->fifo, why, size) == 0)
		return 0;
fail:
	log_close();
	return -1;
}

static void
tear_down(struct leech *leech)
{
	pass_free(&leech->pass);
	ledger_close(leech->ledger);
	config_free(&leech->config);
	if (leech->has_fresh)
		config_free(&leech->fresh);
}

int
leech_work(void *context, const struct pidfile *pidfile)
{
	struct leech *leech = context;

	leech->lock = pidfile;
	log_say(LEVEL_INFO, "started, from %s to %s", leech->config.from, leech->config.to);
	notify_say("READY=1\nSTATUS=started");
	timetable_begin(&leech->timetable, monotonic_now(), leech->config.interval);
	set_beat(leech); /* the first pass is now */
	while (!leech->finished) {
		loop_wait(&leech->loop);
		act_on_signals(leech);
		take_fresh_config(leech);
		finish_if_idle(leech);
	}
	fifo_close(&leech->fifo);
	tear_down(leech);
	return leech->status;
}

void
leech_finish(void *context, int status)
{
	(void)context;
	log_say(LEVEL_INFO, "stopped, status %d", status);
	notify_end();
	log_close();
}

int
leech_once(struct leech *leech)
{
	struct pass *pass = &leech->pass;
	int status;

	show_begin(&leech->show, !leech->quiet);
	begin_pass(leech);
	while (pass->phase != PASS_IDLE || !reports_idle(&leech->reports)) {
		loop_wait(&leech->loop);
		act_on_signals(leech);
	}
	status = pass->known && pass->failed == 0 ? SERVICE_DONE : SERVICE_FAILED;
	if (pass->known && pass->pulled + pass->failed + pass->waiting == 0)
		show_line(&leech->show, "nothing new");
	if (pass->waiting > 0)
		show_line(&leech->show, "%d not settled yet", pass->waiting);
	tear_down(leech);
	return status;
}
