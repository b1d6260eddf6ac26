/*
 * detach COMMAND [ARG...]: run any command as a true daemon, and tell the truth about it.
 *
 * Prints COMMAND's pid and leaves with 0 only after COMMAND was really executed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "daemon.h"
#include "number.h"

#define VERSION "1.0"

enum { LAUNCHED = 0, OWN_FAILURE = 125 };

static const char usage[] =
    "usage: detach [-C DIR] [-m UMASK] [-o FILE] [-e FILE] [-t SECONDS] COMMAND [ARG...]\n"
    "       detach -h | -V\n";
static const char help[] = "  -C DIR      run COMMAND in DIR (default /)\n"
			   "  -m UMASK    octal umask of COMMAND (default 027)\n"
			   "  -o FILE     append standard output to FILE (default /dev/null)\n"
			   "  -e FILE     append standard error to FILE (default /dev/null)\n"
			   "  -t SECONDS  give up a launch that takes longer (default 10)\n";

/* Text on standard output, and the exit status that says whether it got there. */
static int
print(const char *text, const char *more)
{
	if (printf("%s%s", text, more) >= 0 && fflush(stdout) == 0)
		return LAUNCHED;
	fprintf(stderr, "detach: write stdout: %s\n", strerror(errno));
	return OWN_FAILURE;
}

static int
bad_usage(void)
{
	fputs(usage, stderr);
	return OWN_FAILURE;
}

static int
bad_value(int option, const char *value)
{
	fprintf(stderr, "detach: -%c %s: %s\n", option, value, strerror(errno));
	return OWN_FAILURE;
}

/* Returns -1 to go on, or the exit status. */
static int
read_options(int argc, char *argv[], struct daemon_settings *settings)
{
	int64_t mask = settings->umask;
	int option;

	while ((option = getopt(argc, argv, "+:C:m:o:e:t:hV")) != -1) {
		switch (option) {
		case 'C':
			settings->dir = optarg;
			break;
		case 'm':
			if (number_whole(optarg, 8, 0, 0777, &mask) < 0)
				return bad_value(option, optarg);
			settings->umask = (mode_t)mask;
			break;
		case 'o':
			settings->out = optarg;
			break;
		case 'e':
			settings->err = optarg;
			break;
		case 't':
			if (number_seconds(optarg, &settings->timeout) < 0)
				return bad_value(option, optarg);
			break;
		case 'h':
			return print(usage, help);
		case 'V':
			return print("detach " VERSION, "\n");
		default: /* getopt's own words would begin with our path */
			fprintf(stderr, "detach: -%c: %s\n", optopt,
			    option == ':' ? "needs a value" : "unknown option");
			return bad_usage();
		}
	}
	return optind < argc ? -1 : bad_usage();
}

_Noreturn static void
execute(struct daemon *d, const char *path, char *argv[])
{
	char why[PATH_MAX];
	int status;

	daemon_executes(d);
	execvp(path, argv);
	status = command_failure(argv[0], path, errno, why, sizeof why);
	daemon_failed(d, status, "%s", why);
}

int
main(int argc, char *argv[])
{
	struct daemon_settings settings = {
		.dir = "/",
		.umask = 027,
		.timeout = 10 * NUMBER_SECOND,
		.failure = OWN_FAILURE,
	};
	struct daemon d = { .name = "detach", .link = -1 };
	struct daemon_answer answer;
	char path[PATH_MAX];
	/* Who closed our stdout does not want the pid */
	bool wanted = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
	int status = read_options(argc, argv, &settings);

	if (status >= 0)
		return status;
	argv += optind;
	if (command_path(argv[0], path, sizeof path) < 0) {
		fprintf(stderr, "detach: current directory: %s\n", strerror(errno));
		return OWN_FAILURE;
	}

	pid_t pid = daemon_launch(&d, &settings, &answer);

	if (pid == 0)
		execute(&d, path, argv);
	if (pid < 0) {
		fprintf(stderr, "detach: %s\n", answer.why);
		return answer.status;
	}
	/* A reader of the pid that has left is an error to report, not a signal to die of */
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	if (wanted && (printf("%ld\n", (long)pid) < 0 || fflush(stdout) != 0)) {
		/* A daemon that its caller cannot name is not what was asked for */
		fprintf(stderr, "detach: write stdout: %s\n", strerror(errno));
		daemon_abandon(&answer);
		return OWN_FAILURE;
	}
	return LAUNCHED;
}
