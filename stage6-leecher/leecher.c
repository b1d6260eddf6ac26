/*
 * leecher VERB: pulls what is finished on another machine, whole, once, and tells.
 */
#include <sys/stat.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "leech.h"
#include "look.h"
#include "number.h"
#include "service.h"

#define VERSION "1.0"

enum { ONCE_RUNNING = 3 }; /* exit status of once: another leecher runs */

static const char usage[] = "usage: leecher [-c CONFIG] [-l LEVEL] [-q] [-t SECONDS] VERB\n"
			    "       leecher -h | -V\n";
static const char help[] =
    "  VERB is start, stop, restart, status, run (in the foreground),\n"
    "       once (one pass in the foreground, for cron), list (what the source reports),\n"
    "       check (configuration, programs, login to the source; changes nothing)\n"
    "  -c CONFIG   (default $XDG_CONFIG_HOME/leecher/leecher.conf)\n"
    "  -l LEVEL    log error, warning, info (default) or debug, and what is graver\n"
    "  -q          once says nothing\n"
    "  -t SECONDS  how long stop waits after TERM before it sends KILL (default 10)\n";

/* Text on standard output, and the exit status that says whether it got there. */
static int
print(const char *text, const char *more)
{
	if (printf("%s%s", text, more) >= 0 && fflush(stdout) == 0)
		return SERVICE_DONE;
	fprintf(stderr, "leecher: write stdout: %s\n", strerror(errno));
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
	fprintf(stderr, "leecher: %s %s: %s\n", what, value, strerror(errno));
	return SERVICE_USAGE;
}

/* Returns -1 to go on, or the exit status. */
static int
read_options(int argc, char *argv[], struct service *service, struct leech *leech, char *file,
    size_t size)
{
	int option;

	if (config_default_path(file, size) < 0)
		file[0] = '\0';
	while ((option = getopt(argc, argv, "+:c:l:qt:hV")) != -1) {
		switch (option) {
		case 'c':
			(void)snprintf(file, size, "%s", optarg);
			break;
		case 'l':
			errno = EINVAL;
			if (log_level_named(optarg, &leech->level) < 0)
				return bad_value("-l", optarg);
			break;
		case 'q':
			leech->quiet = true;
			break;
		case 't':
			if (number_seconds(optarg, &service->patience) < 0)
				return bad_value("-t", optarg);
			break;
		case 'h':
			return print(usage, help);
		case 'V':
			return print("leecher " VERSION, "\n");
		default: /* getopt's own words would begin with our path */
			fprintf(stderr, "leecher: -%c: %s\n", optopt,
			    option == ':' ? "needs a value" : "unknown option");
			return bad_usage();
		}
	}
	return optind == argc - 1 ? -1 : bad_usage();
}

/* What service.c does for the other verbs: lock, work, unlock. */
static int
once(const struct service *service, struct leech *leech)
{
	struct pidfile pidfile;
	char why[LONG_PATH];
	const char *reason;
	pid_t holder;
	int status;

	(void)umask(service->settings.umask);
	leech->once = true;
	leech_begin(leech);
	if (pidfile_take(&pidfile, service->pidfile, &holder, &reason) < 0) {
		if (holder < 0)
			fprintf(stderr, "leecher: open %s: %s\n", service->pidfile, reason);
		else
			fprintf(stderr, "leecher: %s, pid %ld\n", reason, (long)holder);
		return holder < 0 ? SERVICE_FAILED : ONCE_RUNNING;
	}
	if (pidfile_write(&pidfile) < 0) {
		fprintf(stderr, "leecher: write %s: %s\n", service->pidfile, strerror(errno));
		pidfile_remove(&pidfile);
		return SERVICE_FAILED;
	}
	if (leech_prepare(leech, why, sizeof why) < 0) {
		fprintf(stderr, "leecher: %s\n", why);
		pidfile_release(&pidfile);
		return SERVICE_FAILED;
	}
	status = leech_once(leech);
	pidfile_remove(&pidfile);
	log_close();
	if (leech->signal != 0) { /* now die of it, so that whoever started us sees what happened */
		(void)sigaction(leech->signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
		(void)sigprocmask(SIG_SETMASK, &leech->loop.open, NULL);
		(void)raise(leech->signal);
	}
	return status;
}

static bool
needs_destination(const char *verb)
{
	static const char *const verbs[] = { "start", "restart", "run", "once" };

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verb, verbs[i]) == 0)
			return true;
	return false;
}

int
main(int argc, char *argv[])
{
	static struct leech leech = { .level = LEVEL_INFO };
	static char file[PATH_MAX], pidfile[LONG_PATH], why[LONG_PATH];
	struct service service = {
		.name = "leecher",
		.pidfile = pidfile,
		.settings = { .dir = "/", .umask = 022, .timeout = 60 * NUMBER_SECOND },
		.patience = 10 * NUMBER_SECOND,
		.context = &leech,
		.begin = leech_begin,
		.prepare = leech_prepare,
		.work = leech_work,
		.finish = leech_finish,
	};
	int status = read_options(argc, argv, &service, &leech, file, sizeof file);
	const char *verb = argv[optind];

	if (status >= 0)
		return status;
	if (io_reserve_stdio() < 0)
		return SERVICE_FAILED;
	status = SERVICE_DONE;
	if (config_load(&leech.config, file, why, sizeof why) < 0)
		status = SERVICE_USAGE;
	else if (needs_destination(verb) && config_prepare(&leech.config, why, sizeof why) < 0)
		status = SERVICE_FAILED; /* may mend itself: a disk that is not mounted yet */
	if (status != SERVICE_DONE) {
		fprintf(stderr, "leecher: %s\n", why);
		config_free(&leech.config);
		return status;
	}
	leech_path(&leech.config, "leecher.pid", pidfile, sizeof pidfile);
	if (strcmp(verb, "once") == 0)
		return once(&service, &leech);
	if (strcmp(verb, "list") == 0)
		status = look_list(&leech.config);
	else if (strcmp(verb, "check") == 0)
		status = look_check(&leech.config);
	else
		return service_do(&service, verb);
	config_free(&leech.config);
	return status;
}
