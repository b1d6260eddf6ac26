#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "io.h"
#include "monotonic.h"
#include "number.h"
#include "repeat.h"
#include "service.h"
#include "timetable.h"

__attribute__((format(printf, 1, 2))) static void
say(const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	/* one write, so that COMMAND's own lines cannot come between */
	(void)dprintf(STDERR_FILENO, "repeatd[%ld]: %s\n", (long)getpid(), text);
}

/* The log becomes our standard output and error, and so COMMAND's. */
int
repeat_prepare(void *context, char *why, size_t size)
{
	struct repeat *repeat = context;
	bool made;

	if (strcmp(repeat->log, "-") == 0) {
		if (dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
			return 0;
		(void)snprintf(why, size, "dup2: %s", strerror(errno));
		return -1;
	}

	int fd = io_open_append(repeat->log, 0640, &made);

	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) {
		(void)snprintf(why, size, "open %s: %s", repeat->log, strerror(errno));
		return -1;
	}
	return close(fd);
}

_Noreturn static void
become_command(const struct repeat *repeat)
{
	char why[PATH_MAX];
	int null = open("/dev/null", O_RDONLY);
	int status;

	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		_exit(COMMAND_CANNOT_EXECUTE);
	if (null != STDIN_FILENO)
		(void)close(null);
	command_default_signals();
	execvp(repeat->path, repeat->argv);
	status = command_failure(repeat->argv[0], repeat->path, errno, why, sizeof why);
	say("%s", why);
	_exit(status);
}

static void
say_how_it_ended(const char *command, int status)
{
	if (WIFSIGNALED(status))
		say("%s was killed by signal %d", command, WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		say("%s exited with status %d", command, WEXITSTATUS(status));
}

static void
run_command(const struct repeat *repeat)
{
	pid_t pid = fork();
	int status = 0;

	if (pid < 0) {
		say("fork: %s", strerror(errno));
		return;
	}
	if (pid == 0)
		become_command(repeat);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	say_how_it_ended(repeat->argv[0], status);
}

static void
sleep_until(int64_t due)
{
	struct timespec when = {
		.tv_sec = (time_t)(due / NUMBER_SECOND),
		.tv_nsec = (long)(due % NUMBER_SECOND),
	};

	/* an absolute time: a signal that ends the sleep early cannot make it longer either */
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
		;
}

int
repeat_work(void *context, const struct pidfile *pidfile)
{
	const struct repeat *repeat = context;
	struct timetable timetable;

	/* Who inherits an ignored SIGCHLD has its children reaped by the kernel, unseen: wait(2) */
	(void)sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	say("started");
	timetable_begin(&timetable, monotonic_now(), repeat->interval);
	for (int64_t run = 0; repeat->times < 0 || run < repeat->times; run++) {
		sleep_until(timetable_due(&timetable));
		if (!pidfile_still_ours(pidfile)) {
			say("%s is not our file any more: stopping", repeat->pidfile);
			return SERVICE_FAILED;
		}
		run_command(repeat);
		timetable_advance(&timetable, monotonic_now());
	}
	return SERVICE_DONE;
}

void
repeat_finish(void *context, int status)
{
	(void)context;
	say("ended with status %d", status);
}
