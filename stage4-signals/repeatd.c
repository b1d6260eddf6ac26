/*
 * repeatd VERB [COMMAND [ARG...]]: runs COMMAND every few seconds, as a service of which one
 * instance runs, which listens to signals, keeps a log, and looks after its children.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "io.h"
#include "number.h"
#include "repeat.h"
#include "service.h"

#define VERSION "1.0"

static const char usage[] =
    "usage: repeatd [-p PIDFILE] [-o LOG] [-C DIR] [-m UMASK] [-i SECONDS] [-n TIMES]\n"
    "               [-t SECONDS] [-l LEVEL] [-g SECONDS] [-S] VERB [COMMAND [ARG...]]\n"
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
    "  -t SECONDS  how long stop waits after TERM before it sends KILL (default 10)\n"
    "  -l LEVEL    log error, warning, info (default) or debug, and what is graver\n"
    "  -g SECONDS  how long COMMAND may take to end after TERM before KILL (default 5)\n"
    "  -S          log to syslog\n";

/* Text on standard output, and the exit status that says whether it got there. */
static int
print(const char *text, const char *more)
{
	if (printf("%s%s", text, more) >= 0 && fflush(stdout) == 0)
		return SERVICE_DONE;
	fprintf(stderr, "repeatd: write stdout: %s\n", strerror(errno));
	return SERVICE_FAILED;
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

/* To close a file as the one is to lose the lock that it has as the other: fcntl(2). */
static int
bad_pair(const char *options, const char *path)
{
	fprintf(stderr, "repeatd: %s: the same file for both: %s\n", options, path);
	return SERVICE_USAGE;
}

/* Returns -1 to go on, or the exit status. */
static int
read_options(int argc, char *argv[], struct service *service, struct repeat *repeat)
{
	const char *pidfile = "repeatd.pid", *log = "repeatd.log";
	int64_t mask;
	int option;

	while ((option = getopt(argc, argv, "+:p:o:C:m:i:n:t:l:g:ShV")) != -1) {
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
		case 'l':
			errno = EINVAL;
			if (log_level_named(optarg, &repeat->level) < 0)
				return bad_value("-l", optarg);
			break;
		case 'g':
			if (number_seconds(optarg, &repeat->grace) < 0)
				return bad_value("-g", optarg);
			break;
		case 'S':
			repeat->syslog = true;
			break;
		case 'h':
			return print(usage, help);
		case 'V':
			return print("repeatd " VERSION, "\n");
		default: /* getopt's own words would begin with our path */
			fprintf(stderr, "repeatd: -%c: %s\n", optopt,
			    option == ':' ? "needs a value" : "unknown option");
			return bad_usage();
		}
	}
	if (io_absolute(pidfile, repeat->pidfile, sizeof repeat->pidfile) < 0)
		return bad_value("-p", pidfile);
	if (strcmp(log, "-") == 0)
		(void)strncpy(repeat->log, log, sizeof repeat->log);
	else if (io_absolute(log, repeat->log, sizeof repeat->log) < 0)
		return bad_value("-o", log);
	if (strcmp(repeat->pidfile, repeat->log) == 0)
		return bad_pair("-p and -o", log);
	return -1;
}

int
main(int argc, char *argv[])
{
	static struct repeat repeat = {
		.interval = 5 * NUMBER_SECOND,
		.times = -1,
		.grace = 5 * NUMBER_SECOND,
		.level = LEVEL_INFO,
	};
	struct service service = {
		.name = "repeatd",
		.pidfile = repeat.pidfile,
		.settings = { .dir = "/", .umask = 027, .timeout = 10 * NUMBER_SECOND },
		.patience = 10 * NUMBER_SECOND,
		.context = &repeat,
		.begin = repeat_begin,
		.prepare = repeat_prepare,
		.work = repeat_work,
		.finish = repeat_finish,
	};
	int status = read_options(argc, argv, &service, &repeat);

	if (status >= 0)
		return status;
	if (optind == argc)
		return bad_usage();

	const char *verb = argv[optind];
	const char *command = argv[optind + 1];

	repeat.argv = &argv[optind + 1];
	if (command != NULL && (strcmp(verb, "stop") == 0 || strcmp(verb, "status") == 0)) {
		fprintf(stderr, "repeatd: %s: nothing may follow, options go before it: %s\n", verb,
		    command);
		return bad_usage();
	}
	if (command != NULL) {
		if (command_path(command, repeat.path, sizeof repeat.path) < 0)
			return bad_value("COMMAND", command);
	} else if (strcmp(verb, "start") == 0 || strcmp(verb, "restart") == 0 ||
		   strcmp(verb, "run") == 0) {
		fprintf(stderr, "repeatd: %s: COMMAND is missing\n", verb);
		return bad_usage();
	}
	return service_do(&service, verb);
}
