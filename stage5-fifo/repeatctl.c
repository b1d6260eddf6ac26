/*
 * repeatctl COMMAND [ARG...]: tells repeatd what to do, and prints its answer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "number.h"

#define VERSION "1.0"

static const char usage[] = "usage: repeatctl [-c FIFO] [-t SECONDS] COMMAND [ARG...]\n"
			    "       repeatctl -h | -V\n";
static const char help[] = "  -c FIFO     where repeatd listens (default ./repeatd.ctl)\n"
			   "  -t SECONDS  give up when the whole answer has not come after so long "
			   "(default 5)\n"
			   "  COMMAND is status, now, pause, resume, interval SECONDS, level "
			   "LEVEL, reopen, stop or help\n";

/* Text on standard output, and the exit status that says whether it got there. */
static int
print(const char *text, const char *more)
{
	if (printf("%s%s", text, more) >= 0 && fflush(stdout) == 0)
		return CONTROL_DONE;
	fprintf(stderr, "repeatctl: write stdout: %s\n", strerror(errno));
	return CONTROL_REFUSED;
}

int
main(int argc, char *argv[])
{
	const char *fifo = "repeatd.ctl";
	int64_t patience = 5 * NUMBER_SECOND;
	int option;

	while ((option = getopt(argc, argv, "+:c:t:hV")) != -1) {
		switch (option) {
		case 'c':
			fifo = optarg;
			break;
		case 't':
			if (number_seconds(optarg, &patience) == 0)
				break;
			fprintf(stderr, "repeatctl: -t %s: %s\n", optarg, strerror(errno));
			return CONTROL_USAGE;
		case 'h':
			return print(usage, help);
		case 'V':
			return print("repeatctl " VERSION, "\n");
		default: /* getopt's own words would begin with our path */
			fprintf(stderr, "repeatctl: -%c: %s\n", optopt,
			    option == ':' ? "needs a value" : "unknown option");
			fputs(usage, stderr);
			return CONTROL_USAGE;
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return CONTROL_USAGE;
	}
	return control_ask("repeatctl", fifo, patience, &argv[optind]);
}
