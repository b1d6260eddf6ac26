/*
 * leecherctl COMMAND [ARG]: tells leecher what to do, and prints its answer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "control.h"
#include "number.h"

#define VERSION "1.0"

static const char usage[] = "usage: leecherctl [-c CONFIG] [-t SECONDS] COMMAND [ARG]\n"
			    "       leecherctl -h | -V\n";
static const char help[] =
    "  -c CONFIG   the leecher's (default $XDG_CONFIG_HOME/leecher/leecher.conf)\n"
    "  -t SECONDS  give up when the whole answer has not come after so long (default 5)\n"
    "  COMMAND is status, items, now, pause, resume, cancel NAME, retry NAME|all, forget NAME,\n"
    "          reload, reopen, level LEVEL, stop or help\n";

/* Text on standard output, and the exit status that says whether it got there. */
static int
print(const char *text, const char *more)
{
	if (printf("%s%s", text, more) >= 0 && fflush(stdout) == 0)
		return CONTROL_DONE;
	fprintf(stderr, "leecherctl: write stdout: %s\n", strerror(errno));
	return CONTROL_REFUSED;
}

int
main(int argc, char *argv[])
{
	static struct config config;
	static char file[PATH_MAX], fifo[LONG_PATH], why[LONG_PATH];
	int64_t patience = 5 * NUMBER_SECOND;
	int option, status;

	if (config_default_path(file, sizeof file) < 0)
		file[0] = '\0';
	while ((option = getopt(argc, argv, "+:c:t:hV")) != -1) {
		switch (option) {
		case 'c':
			(void)snprintf(file, sizeof file, "%s", optarg);
			break;
		case 't':
			if (number_seconds(optarg, &patience) == 0)
				break;
			fprintf(stderr, "leecherctl: -t %s: %s\n", optarg, strerror(errno));
			return CONTROL_USAGE;
		case 'h':
			return print(usage, help);
		case 'V':
			return print("leecherctl " VERSION, "\n");
		default: /* getopt's own words would begin with our path */
			fprintf(stderr, "leecherctl: -%c: %s\n", optopt,
			    option == ':' ? "needs a value" : "unknown option");
			fputs(usage, stderr);
			return CONTROL_USAGE;
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return CONTROL_USAGE;
	}
	if (config_load(&config, file, why, sizeof why) < 0) {
		fprintf(stderr, "leecherctl: %s\n", why);
		config_free(&config);
		return CONTROL_USAGE;
	}
	(void)snprintf(fifo, sizeof fifo, "%s/leecher.ctl", config.state);
	status = control_ask("leecherctl", fifo, patience, &argv[optind]);
	config_free(&config);
	return status;
}
