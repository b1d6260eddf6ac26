#if defined __linux__ && !defined PORTABLE
#define _GNU_SOURCE /* syscall */
#endif
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#if defined __linux__ && !defined PORTABLE
#include <sys/syscall.h>
#endif

#include "monotonic.h"
#include "number.h"
#include "pidfile.h"
#include "stop.h"

/*
 * A process that we hold by a handle, where the system has them: a pid may be given to a
 * stranger after the process died, a descriptor of pidfd_open(2) never is. fd is -1 elsewhere.
 */
struct process {
	pid_t pid;
	int fd;
};

static void
get_hold(struct process *process)
{
	process->fd = -1;
#ifdef SYS_pidfd_open /* Linux 5.3 */
	process->fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
#endif
}

static int
send_signal(const struct process *process, int number)
{
#ifdef SYS_pidfd_send_signal
	if (process->fd >= 0)
		return (int)syscall(SYS_pidfd_send_signal, process->fd, number, NULL, 0);
#endif
	return kill(process->pid, number);
}

/*
 * Without a handle, the lock tells of the end. Another daemon may take it in that very instant, so
 * once a second we look who has it. Returns as wait_for_end.
 */
static int
wait_for_lock(const char *pidfile, pid_t pid, int64_t deadline)
{
	const char *why;
	pid_t holder;

	for (;;) {
		int64_t look = monotonic_now() + NUMBER_SECOND;

		if (pidfile_wait(pidfile, look < deadline ? look : deadline) == 0)
			return 0;
		if (errno != ETIMEDOUT)
			return -1;
		if (pidfile_look(pidfile, &holder, &why) != PIDFILE_RUNNING || holder != pid)
			return 0;
		if (look >= deadline) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
}

/* Returns 0 when it has let go of the lock, or -1 with errno, ETIMEDOUT at the deadline. */
static int
wait_for_end(const char *pidfile, const struct process *process, int64_t deadline)
{
	struct pollfd p = { .fd = process->fd, .events = POLLIN };
	int ready;

	if (process->fd < 0)
		return wait_for_lock(pidfile, process->pid, deadline);
	/* Readable once it has ended, zombie or not; its locks are given up before that */
	while ((ready = poll(&p, 1, monotonic_poll_ms(deadline))) < 0 && errno == EINTR)
		;
	if (ready == 0)
		errno = ETIMEDOUT;
	return ready > 0 ? 0 : -1;
}

static int
end(const char *pidfile, const struct process *process, int64_t patience, const char **why)
{
	if (send_signal(process, SIGTERM) < 0 && errno != ESRCH)
		goto fail;
	if (wait_for_end(pidfile, process, monotonic_now() + patience) == 0)
		return 0;
	if (errno != ETIMEDOUT)
		goto fail;
	if (send_signal(process, SIGKILL) < 0 && errno != ESRCH)
		goto fail;
	if (wait_for_end(pidfile, process, monotonic_now() + 60 * NUMBER_SECOND) == 0)
		return 0;
	*why = errno == ETIMEDOUT ? "it does not die, even of KILL" : strerror(errno);
	return -1;
fail:
	*why = strerror(errno);
	return -1;
}

int
stop_holder(const char *pidfile, int64_t patience, pid_t *holder, const char **why)
{
	struct process process;
	pid_t still;

	*holder = 0;
	for (;;) {
		switch (pidfile_look(pidfile, &process.pid, why)) {
		case PIDFILE_UNKNOWN:
			return -1;
		case PIDFILE_ABSENT:
		case PIDFILE_STALE:
			return 0;
		case PIDFILE_RUNNING:
			break;
		}
		if (process.pid == 0) {
			*why = "it runs in another PID namespace";
			return -1;
		}
		get_hold(&process);
		/* Still the holder: then the handle is the holder's, and not that of a process
		 * which got its pid while we looked away */
		if (pidfile_look(pidfile, &still, why) == PIDFILE_RUNNING && still == process.pid)
			break;
		if (process.fd >= 0)
			(void)close(process.fd);
	}
	*holder = process.pid;

	int result = end(pidfile, &process, patience, why);

	if (process.fd >= 0)
		(void)close(process.fd);
	return result;
}
