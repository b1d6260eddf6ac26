#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "monotonic.h"
#include "notify.h"
#include "number.h"
#include "repeat.h"
#include "service.h"
#include "signals.h"

static void
finish_if_idle(struct repeat *repeat)
{
	if (repeat->job.pid == 0)
		repeat->finished = true;
}

static void
stop(struct repeat *repeat, const char *because)
{
	log_say(LEVEL_INFO, "stopping: %s", because);
	notify_say("STOPPING=1\nSTATUS=stopping: %s", because);
	repeat->stopping = true;
	loop_clear_timer(&repeat->loop, &repeat->beat);
	job_stop(&repeat->job); /* the second time this ends the grace */
	finish_if_idle(repeat);
}

static const char *
command_name(const struct repeat *repeat)
{
	const char *slash = strrchr(repeat->argv[0], '/');

	return slash != NULL ? slash + 1 : repeat->argv[0];
}

static void
describe(const struct repeat *repeat, char *text, size_t size)
{
	char now[64] = "idle";

	if (repeat->job.pid != 0)
		(void)snprintf(now, sizeof now, "running, pid %ld", (long)repeat->job.pid);
	(void)snprintf(text, size, "%s: %s, %lld runs ended, %lld of them failed",
	    command_name(repeat), now, (long long)repeat->runs, (long long)repeat->failed);
}

static void
log_command_line(void *context, const char *text, size_t len, bool rest, bool more)
{
	const struct repeat *repeat = context;
	char marked[LINES_LONGEST + 16];
	size_t used = 0;

	/* a line that is too long comes in parts, each marked where it was cut */
	if (rest) {
		memcpy(marked, "[...]", 5);
		used = 5;
	}
	memcpy(marked + used, text, len);
	used += len;
	if (more) {
		memcpy(marked + used, "[...]", 5);
		used += 5;
	}
	log_line(LEVEL_INFO, command_name(repeat), repeat->job.leader, marked, used);
}

static void
command_wrote(struct job *job, int stream, const char *data, size_t len)
{
	struct repeat *repeat = job->context;

	(void)stream; /* both come through one pipe, in the order in which they were written */
	lines_feed(&repeat->lines, data, len);
}

static void
log_how_it_ended(const struct repeat *repeat, pid_t pid, int status)
{
	const char *name = command_name(repeat);

	if (WIFSIGNALED(status))
		log_say(LEVEL_WARNING, "%s[%ld] was killed by signal %d", name, (long)pid,
		    WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		log_say(LEVEL_WARNING, "%s[%ld] exited with status %d", name, (long)pid,
		    WEXITSTATUS(status));
	else
		log_say(LEVEL_DEBUG, "%s[%ld] is done", name, (long)pid);
}

static void
set_beat(struct repeat *repeat)
{
	if (!repeat->stopping)
		loop_set_timer(&repeat->loop, &repeat->beat, timetable_due(&repeat->timetable));
}

static bool
all_done(const struct repeat *repeat)
{
	return repeat->times >= 0 && repeat->runs >= repeat->times;
}

static void
count_run(struct repeat *repeat, bool success)
{
	repeat->runs++;
	repeat->failed += !success;
	if (repeat->stopping || all_done(repeat))
		repeat->finished = true;
}

static void
command_ended(struct job *job)
{
	struct repeat *repeat = job->context;
	char text[256];

	lines_end(&repeat->lines);
	log_how_it_ended(repeat, job->leader, job->status);
	count_run(repeat, job->status == 0);
	describe(repeat, text, sizeof text);
	notify_say("STATUS=%s", text);
	if (repeat->interval == 0 && !repeat->finished)
		set_beat(repeat);
}

static void
run_command(struct repeat *repeat)
{
	if (job_start(&repeat->jobs, &repeat->job) == 0) {
		log_say(LEVEL_DEBUG, "%s[%ld] is started", command_name(repeat),
		    (long)repeat->job.pid);
		return;
	}
	log_say(LEVEL_ERROR, "start %s: %s", command_name(repeat), strerror(errno));
	count_run(repeat, false);
}

static void
beat(void *context)
{
	struct repeat *repeat = context;

	/* If we were held up, COMMAND has ended by now perhaps, and nobody has told us yet */
	jobs_reap(&repeat->jobs);
	if (repeat->finished)
		return;

	bool running = repeat->job.pid != 0;

	if (!pidfile_still_ours(repeat->lock)) {
		log_say(LEVEL_ERROR, "%s is not our file any more", repeat->pidfile);
		repeat->status = SERVICE_FAILED;
		stop(repeat, "another may be running");
		return;
	}
	if (running)
		log_say(LEVEL_DEBUG, "beat skipped, pid %ld is still running",
		    (long)repeat->job.pid);
	else
		run_command(repeat);
	timetable_advance(&repeat->timetable, monotonic_now());
	/* back to back, the end of one run is the next beat; a start that failed has no end */
	if (repeat->interval > 0)
		set_beat(repeat);
	else if (repeat->job.pid == 0)
		loop_set_timer(&repeat->loop, &repeat->beat, monotonic_now() + NUMBER_SECOND);
}

static void
act_on_signals(struct repeat *repeat)
{
	char text[256];

	if (signals_take(SIGCHLD))
		jobs_reap(&repeat->jobs);
	if (signals_take(SIGHUP) && log_reopen() == 0)
		log_say(LEVEL_INFO, "the log was opened again");
	if (signals_take(SIGUSR1)) {
		describe(repeat, text, sizeof text);
		log_say(LEVEL_INFO, "status: %s", text);
	}
	if (signals_take(SIGTERM))
		stop(repeat, "SIGTERM");
	if (signals_take(SIGINT))
		stop(repeat, "SIGINT");
}

void
repeat_begin(void *context)
{
	struct repeat *repeat = context;

	/* A TERM that comes from here on waits until there is somebody to clean up after it */
	signals_catch(&repeat->loop.open);
	notify_begin();
}

int
repeat_prepare(void *context, char *why, size_t size)
{
	struct repeat *repeat = context;

	log_set_level(repeat->level);
	if (repeat->syslog) {
		log_to_syslog("repeatd");
	} else if (log_open("repeatd", repeat->log) < 0) {
		(void)snprintf(why, size, "open %s: %s", repeat->log, strerror(errno));
		return -1;
	}
	return 0;
}

int
repeat_work(void *context, const struct pidfile *pidfile)
{
	struct repeat *repeat = context;

	repeat->lock = pidfile;
	jobs_begin(&repeat->jobs, &repeat->loop);
	repeat->lines = (struct lines){ .line = log_command_line, .context = repeat };
	repeat->beat = (struct loop_timer){ .fire = beat, .context = repeat };
	repeat->job = (struct job){
		.path = repeat->path,
		.argv = repeat->argv,
		.in = -1,
		.grace = repeat->grace,
		.output = command_wrote,
		.ended = command_ended,
		.context = repeat,
	};
	log_say(LEVEL_INFO, "started");
	notify_say("READY=1\nSTATUS=started");
	timetable_begin(&repeat->timetable, monotonic_now(), repeat->interval);
	if (all_done(repeat))
		repeat->finished = true;
	set_beat(repeat);
	while (!repeat->finished) {
		loop_wait(&repeat->loop);
		act_on_signals(repeat);
	}
	return repeat->status;
}

void
repeat_finish(void *context, int status)
{
	const struct repeat *repeat = context;

	log_say(LEVEL_INFO, "stopped after %lld runs, %lld of them failed, status %d",
	    (long long)repeat->runs, (long long)repeat->failed, status);
	notify_end();
	log_close();
}
