#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "monotonic.h"
#include "number.h"
#include "repeat.h"

static double
seconds(int64_t ns)
{
	return (double)ns / (double)NUMBER_SECOND;
}

static const char *
state(const struct repeat *repeat)
{
	if (repeat->stopping)
		return "stopping";
	if (repeat->job.pid != 0)
		return "running";
	return repeat->paused ? "paused" : "idle";
}

static bool
status(struct repeat *repeat, const char *argument, FILE *body)
{
	(void)argument;
	fprintf(body, "state: %s\n", state(repeat));
	fprintf(body, "pid: %ld\n", (long)getpid());
	fprintf(body, "command: %s\n", repeat_command_name(repeat));
	if (repeat->job.pid != 0)
		fprintf(body, "command pid: %ld\n", (long)repeat->job.pid);
	fprintf(body, "paused: %s\n", repeat->paused ? "yes" : "no");
	fprintf(body, "runs: %lld\n", (long long)repeat->runs);
	fprintf(body, "failed: %lld\n", (long long)repeat->failed);
	fprintf(body, "interval: %g\n", seconds(repeat->interval));
	if (repeat->beat.set)
		fprintf(body, "next beat in: %.3f\n",
		    seconds(timetable_due(&repeat->timetable) - monotonic_now()));
	fprintf(body, "level: %s\n", log_level_name());
	return true;
}

static bool
now(struct repeat *repeat, const char *argument, FILE *body)
{
	(void)argument;
	if (repeat->stopping) {
		fputs("stopping", body);
		return false;
	}
	if (repeat_now(repeat) == 0)
		return true;
	if (errno == EBUSY)
		fprintf(body, "already running, pid %ld", (long)repeat->job.pid);
	else
		fprintf(body, "start %s: %s", repeat_command_name(repeat), strerror(errno));
	return false;
}

static bool
pause_beats(struct repeat *repeat, const char *argument, FILE *body)
{
	(void)argument;
	(void)body;
	repeat->paused = true;
	return true;
}

static bool
resume_beats(struct repeat *repeat, const char *argument, FILE *body)
{
	(void)argument;
	(void)body;
	repeat->paused = false;
	if (repeat->interval == 0) /* no beat is waiting: begin again */
		repeat_set_interval(repeat, 0);
	return true;
}

static bool
interval(struct repeat *repeat, const char *argument, FILE *body)
{
	int64_t ns;

	if (number_seconds(argument, &ns) < 0) {
		fprintf(body, "interval %s: %s", argument, strerror(errno));
		return false;
	}
	repeat_set_interval(repeat, ns);
	return true;
}

static bool
level(struct repeat *repeat, const char *argument, FILE *body)
{
	enum level level;

	(void)repeat;
	if (log_level_named(argument, &level) < 0) {
		fprintf(body, "level %s: not one of error, warning, info, debug", argument);
		return false;
	}
	log_set_level(level);
	return true;
}

static bool
reopen(struct repeat *repeat, const char *argument, FILE *body)
{
	(void)argument;
	if (log_reopen() == 0)
		return true;
	fprintf(body, "open %s: %s", repeat->log, strerror(errno));
	return false;
}

static bool
stop(struct repeat *repeat, const char *argument, FILE *body)
{
	(void)argument;
	(void)body;
	repeat_stop(repeat, "asked to");
	return true;
}

static bool help(struct repeat *repeat, const char *argument, FILE *body);

static const struct {
	const char *name, *argument, *what;
	bool (*obey)(struct repeat *repeat, const char *argument, FILE *body);
} commands[] = {
	{ "status", NULL, "what is going on", status },
	{ "now", NULL, "run COMMAND at once", now },
	{ "pause", NULL, "no more beats", pause_beats },
	{ "resume", NULL, "beats again", resume_beats },
	{ "interval", "SECONDS", "from one beat to the next", interval },
	{ "level", "LEVEL", "log error, warning, info or debug, and what is graver", level },
	{ "reopen", NULL, "open the log again", reopen },
	{ "stop", NULL, "end COMMAND and the daemon", stop },
	{ "help", NULL, "this list", help },
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static bool
help(struct repeat *repeat, const char *argument, FILE *body)
{
	(void)repeat;
	(void)argument;
	for (int i = 0; i < COMMANDS; i++)
		fprintf(body, "%-8s %-8s %s\n", commands[i].name,
		    commands[i].argument != NULL ? commands[i].argument : "", commands[i].what);
	return true;
}

bool
commands_obey(void *context, char *words[], int count, FILE *body)
{
	for (int i = 0; i < COMMANDS; i++) {
		int wanted = commands[i].argument != NULL ? 2 : 1;

		if (strcmp(words[0], commands[i].name) != 0)
			continue;
		if (count == wanted)
			return commands[i].obey(context, words[1], body);
		fprintf(body, "usage: %s%s%s", commands[i].name, wanted == 2 ? " " : "",
		    wanted == 2 ? commands[i].argument : "");
		return false;
	}
	fprintf(body, "unknown command: %s (try help)", words[0]);
	return false;
}
