#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "service.h"
#include "stop.h"

/* As the Linux Standard Base says for 'status' of an init script. */
enum { STATUS_RUNNING = 0, STATUS_DEAD = 1, STATUS_NOT_RUNNING = 3, STATUS_UNKNOWN = 4 };

static void
take_pidfile(const struct service *service, struct daemon *d, struct pidfile *pidfile)
{
	const char *why;
	pid_t holder;

	if (pidfile_take(pidfile, service->pidfile, &holder, &why) == 0)
		return;
	if (holder >= 0)
		daemon_failed(d, SERVICE_FAILED, "%s, pid %ld", why, (long)holder);
	daemon_failed(d, SERVICE_FAILED, "open %s: %s", service->pidfile, why);
}

/* The life of the daemon, from the lock to the last words. */
static int
serve(struct service *service, struct daemon *d)
{
	struct pidfile pidfile;
	char why[400];

	if (service->begin != NULL)
		service->begin(service->context);
	take_pidfile(service, d, &pidfile);
	if (pidfile_write(&pidfile) < 0) {
		int error = errno;

		pidfile_remove(&pidfile); /* an empty file would tell people nothing */
		daemon_failed(d, SERVICE_FAILED, "write %s: %s", service->pidfile, strerror(error));
	}
	if (service->prepare(service->context, why, sizeof why) < 0) {
		pidfile_release(&pidfile);
		daemon_failed(d, SERVICE_FAILED, "%s", why);
	}
	daemon_ready(d);

	int status = service->work(service->context, &pidfile);

	pidfile_remove(&pidfile);
	if (service->finish != NULL)
		service->finish(service->context, status);
	return status;
}

static int
start(struct service *service)
{
	struct daemon d = { .name = service->name, .link = -1 };
	struct daemon_answer answer;
	pid_t pid = daemon_launch(&d, &service->settings, &answer);

	if (pid == 0)
		_exit(serve(service,
		    &d)); /* the launcher's atexit handlers and buffers are not ours */
	if (pid < 0) {
		fprintf(stderr, "%s: %s\n", service->name, answer.why);
		return answer.status;
	}
	printf("started, pid %ld\n", (long)pid);
	return SERVICE_DONE;
}

/* The same in the foreground, for whoever looks after us: systemd, runit, s6, a container. */
static int
run(struct service *service)
{
	struct daemon foreground = { .name = service->name, .link = -1 };

	if (io_reserve_stdio() < 0 || chdir(service->settings.dir) < 0) {
		fprintf(stderr, "%s: change directory to %s: %s\n", service->name,
		    service->settings.dir, strerror(errno));
		return SERVICE_FAILED;
	}
	if (daemon_close_at_exec() < 0) {
		fprintf(stderr, "%s: close inherited descriptors: %s\n", service->name,
		    strerror(errno));
		return SERVICE_FAILED;
	}
	(void)umask(service->settings.umask);
	return serve(service, &foreground);
}

static int
stop(struct service *service)
{
	const char *why;
	pid_t holder;

	if (stop_holder(service->pidfile, service->patience, &holder, &why) < 0) {
		if (holder > 0)
			fprintf(stderr, "%s: stop pid %ld: %s\n", service->name, (long)holder, why);
		else
			fprintf(stderr, "%s: stop by %s: %s\n", service->name, service->pidfile,
			    why);
		return SERVICE_FAILED;
	}
	if (holder > 0)
		printf("stopped, pid %ld\n", (long)holder);
	else
		puts("not running");
	return SERVICE_DONE;
}

static int
restart(struct service *service)
{
	int status = stop(service);

	/* What stands in a buffer now would be printed by the daemon's copy of it, too */
	(void)fflush(stdout);
	return status == SERVICE_DONE ? start(service) : status;
}

static int
status(struct service *service)
{
	const char *why;
	pid_t holder;

	switch (pidfile_look(service->pidfile, &holder, &why)) {
	case PIDFILE_RUNNING:
		if (holder > 0)
			printf("running, pid %ld\n", (long)holder);
		else
			puts("running, in another PID namespace");
		return STATUS_RUNNING;
	case PIDFILE_STALE:
		puts("dead, but the pid file remains");
		return STATUS_DEAD;
	case PIDFILE_ABSENT:
		puts("not running");
		return STATUS_NOT_RUNNING;
	case PIDFILE_UNKNOWN:
		break;
	}
	fprintf(stderr, "%s: cannot tell by %s: %s\n", service->name, service->pidfile, why);
	return STATUS_UNKNOWN;
}

int
service_do(struct service *service, const char *verb)
{
	static const struct {
		const char *verb;
		int (*act)(struct service *);
	} verbs[] = {
		{ "start", start },
		{ "stop", stop },
		{ "restart", restart },
		{ "status", status },
		{ "run", run },
	};

	service->settings.failure = SERVICE_FAILED;
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verb, verbs[i].verb) == 0)
			return verbs[i].act(service);
	fprintf(stderr, "%s: unknown verb: %s\n", service->name, verb);
	return SERVICE_USAGE;
}
