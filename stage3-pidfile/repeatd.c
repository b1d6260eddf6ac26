/*
 * repeatd VERB [COMMAND [ARG...]]: runs COMMAND every few seconds, as a service of which one
 * instance runs.
 *
 * It still dies of the first signal without cleaning up: the next stage is about that.
 */
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "io.h"
#include "monotonic.h"
#include "number.h"
#include "service.h"
#include "timetable.h"

#define VERSION "1.0"

static const char usage[] =
    "usage: repeatd [-p PIDFILE] [-o LOG] [-C DIR] [-m UMASK] [-i SECONDS] [-n TIMES]\n"
    "               [-t SECONDS] VERB [COMMAND [ARG...]]\n"
    "       repeatd -h | -V\n";
static const char help[] =
    "  VERB is start, stop, restart, status, or run (in the foreground)\n"
    "  -p PIDFILE  (default ./repeatd.pid)\n"
    "  -o LOG      append messages and COMMAND's output to LOG (default ./repeatd.log);\n"
    "              - is standard error, for run\n"
    "  -C DIR      work in DIR (default /)\n"
    "  -m UMASK    octal (default 027)\n"
    "  -i SECONDS  from one start of COMMAND to the next (default 5; 0: back to back)\n"
    "  -n TIMES    run COMMAND so many times, then end (default: for ever)\n"
    "  -t SECONDS  how long stop waits after TERM before it sends KILL (default 10)\n";

struct repeat {
	char pidfile[PATH_MAX], log[PATH_MAX]; /* absolute */
	char path[PATH_MAX];                   /* of COMMAND */
	char **argv;                           /* COMMAND and its arguments; argv[0] NULL: none */
	int64_t interval;                      /* nanoseconds */
	int64_t times;                         /* -1: for ever */
};

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
static int
prepare(void *context, char *why, size_t size)
{
	struct repeat *repeat = context;
	bool made;

	if (strcmp(repeat->log, "-") == 0)
		return 0;

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
	status = command_failure(repeat->path, errno, why, sizeof why);
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

static int
work(void *context, const struct pidfile *pidfile)
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

static void
finish(void *context, int status)
{
	(void)context;
	say("ended with status %d", status);
}

static int
bad_usage(void)
{
	fputs(usage, stderr);
	return SERVICE_USAGE;
}

static int
bad_value(const char *what, const char *value)
{
	fprintf(stderr, "repeatd: %s %s: %s\n", what, value, strerror(errno));
	return SERVICE_USAGE;
}

/* Returns -1 to go on, or the exit status. */
static int
read_options(int argc, char *argv[], struct service *service, struct repeat *repeat)
{
	const char *pidfile = "repeatd.pid", *log = "repeatd.log";
	int64_t mask;
	int option;

	while ((option = getopt(argc, argv, "+p:o:C:m:i:n:t:hV")) != -1) {
		switch (option) {
		case 'p':
			pidfile = optarg;
			break;
		case 'o':
			log = optarg;
			break;
		case 'C':
			service->settings.dir = optarg;
			break;
		case 'm':
			if (number_whole(optarg, 8, 0, 0777, &mask) < 0)
				return bad_value("-m", optarg);
			service->settings.umask = (mode_t)mask;
			break;
		case 'i':
			if (number_seconds(optarg, &repeat->interval) < 0)
				return bad_value("-i", optarg);
			break;
		case 'n':
			if (number_whole(optarg, 10, 0, INT64_MAX, &repeat->times) < 0)
				return bad_value("-n", optarg);
			break;
		case 't':
			if (number_seconds(optarg, &service->patience) < 0)
				return bad_value("-t", optarg);
			break;
		case 'h':
			printf("%s%s", usage, help);
			return SERVICE_DONE;
		case 'V':
			puts("repeatd " VERSION);
			return SERVICE_DONE;
		default:
			return bad_usage();
		}
	}
	if (io_absolute(pidfile, repeat->pidfile, sizeof repeat->pidfile) < 0)
		return bad_value("-p", pidfile);
	if (strcmp(log, "-") == 0)
		(void)strncpy(repeat->log, log, sizeof repeat->log);
	else if (io_absolute(log, repeat->log, sizeof repeat->log) < 0)
		return bad_value("-o", log);
	return -1;
}

int
main(int argc, char *argv[])
{
	static struct repeat repeat = { .interval = 5 * NUMBER_SECOND, .times = -1 };
	struct service service = {
		.name = "repeatd",
		.pidfile = repeat.pidfile,
		.settings = { .dir = "/", .umask = 027, .timeout = 10 * NUMBER_SECOND },
		.patience = 10 * NUMBER_SECOND,
		.context = &repeat,
		.prepare = prepare,
		.work = work,
		.finish = finish,
	};
	int status = read_options(argc, argv, &service, &repeat);

	if (status >= 0)
		return status;
	if (optind == argc)
		return bad_usage();

	const char *verb = argv[optind];

	repeat.argv = &argv[optind + 1];
	if (repeat.argv[0] != NULL) {
		if (command_path(repeat.argv[0], repeat.path, sizeof repeat.path) < 0)
			return bad_value("COMMAND", repeat.argv[0]);
	} else if (strcmp(verb, "stop") != 0 && strcmp(verb, "status") != 0) {
		fprintf(stderr, "repeatd: %s: COMMAND is missing\n", verb);
		return bad_usage();
	}
	return service_do(&service, verb);
}
