#if defined __linux__ && !defined PORTABLE
#define _GNU_SOURCE /* syscall, CLONE_FILES */
#endif
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined __linux__ && !defined PORTABLE
#include <sched.h>
#include <sys/syscall.h>
#endif

#include "command.h"
#include "daemon.h"
#include "io.h"
#include "monotonic.h"
#include "number.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#define LINK 3 /* where the daemon keeps its end of the link */

/* Where a launch keeps its own descriptors: 3, 4, 5 the streams, 6 and 7 the link. */
enum { LOWEST = 3, HIGHEST = 7 };

/* What the daemon tells its launcher, in this order; the last one counts. */
enum news { APART = 1, BORN, EXECUTES, READY, FAILED };

struct message {
	enum news news;
	pid_t pid;
	int status;
	char why[sizeof((struct daemon_answer *)0)->why];
};

/* What becomes of descriptors 0, 1, 2, and which file we made for it. */
struct streams {
	int fd[3];
	const char *made[3];
};

/* What the launcher holds while it waits. */
struct launch {
	const struct daemon_settings *settings;
	struct daemon_answer *answer;
	struct streams streams;
	bool told;   /* it has said why it failed, and ends by itself */
	int link[2]; /* the launcher's end, the daemon's end */
};

static void
tell(int link, struct message *message)
{
	message->pid = getpid();
	/* A launcher that was killed hears nothing, and the daemon must not die of that: no SIGPIPE */
	(void)send(link, message, sizeof *message, MSG_NOSIGNAL);
}

void
daemon_ready(struct daemon *d)
{
	if (d->link < 0)
		return;
	tell(d->link, &(struct message){ .news = READY });
	(void)close(d->link);
	d->link = -1;
}

void
daemon_executes(struct daemon *d)
{
	tell(d->link, &(struct message){ .news = EXECUTES });
}

_Noreturn void
daemon_failed(struct daemon *d, int status, const char *format, ...)
{
	struct message message = { .news = FAILED, .status = status };
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(message.why, sizeof message.why, format, arguments);
	va_end(arguments);
	if (d->link >= 0)
		tell(d->link, &message);
	else
		fprintf(stderr, "%s: %s\n", d->name, message.why);
	_exit(status); /* not exit: atexit handlers and stdio buffers are the launcher's */
}

/* Without close_range, walk the list that the kernel keeps: the limit may be a thousand million. */
static int
close_listed(int lowest, bool at_exec)
{
	DIR *list = opendir("/dev/fd"); /* on Linux a link to /proc/self/fd */
	struct dirent *entry;

	if (list == NULL)
		return -1;
	while ((entry = readdir(list)) != NULL) {
		int64_t fd;

		if (number_whole(entry->d_name, 10, lowest, INT32_MAX, &fd) == 0 &&
		    fd != dirfd(list))
			(void)(at_exec ? fcntl((int)fd, F_SETFD, FD_CLOEXEC) : close((int)fd));
	}
	return closedir(list);
}

static int
close_from(int lowest, bool at_exec)
{
#ifdef SYS_close_range /* Linux 5.9, at exec 5.11 */
	if (syscall(SYS_close_range, (unsigned)lowest, ~0U, at_exec ? CLOSE_RANGE_CLOEXEC : 0U) ==
	    0)
		return 0;
#endif
	return close_listed(lowest, at_exec);
}

int
daemon_close_at_exec(void)
{
	return close_from(STDERR_FILENO + 1, true);
}

/* One of the three streams: /dev/null, or a file to append to. */
static int
open_stream(const char *path, bool *made)
{
	*made = false;
	if (path == NULL)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	return io_open_append(path, 0640, made);
}

static void
remove_made(const struct streams *streams)
{
	for (int i = 0; i < 3; i++)
		if (streams->made[i] != NULL)
			(void)unlink(streams->made[i]);
}

static void
close_streams(const struct streams *streams)
{
	for (int i = 0; i < 3; i++)
		if (streams->fd[i] >= 0)
			(void)close(streams->fd[i]);
}

static int
open_streams(const struct daemon_settings *settings, struct streams *streams, const char **failed)
{
	const char *path[3] = { NULL, settings->out, settings->err };
	bool made = false;

	*streams = (struct streams){ .fd = { -1, -1, -1 } };
	for (int i = 0; i < 3; i++) {
		if (i == 2 && path[1] != NULL && path[2] != NULL && strcmp(path[1], path[2]) == 0)
			streams->fd[2] = dup(streams->fd[1]); /* one file: one offset, one order */
		else
			streams->fd[i] = open_stream(path[i], &made);
		if (streams->fd[i] < 0) {
			*failed = path[i] != NULL ? path[i] : "/dev/null";
			return -1;
		}
		if (made)
			streams->made[i] = path[i];
		made = false;
	}
	return 0;
}

/* The grandchild, before its launcher says go: everything that can be done without a witness. */
static void
settle_in(struct daemon *d, const struct daemon_settings *settings, const struct streams *streams)
{
	command_default_signals();
	(void)umask(settings->umask);
	if (chdir(settings->dir) < 0)
		daemon_failed(d, settings->failure, "change directory to %s: %s", settings->dir,
		    strerror(errno));
	/* The new files go over 0, 1 and 2 in one step each: at no moment is one of them closed,
	 * so no other open can land there. dup2 also drops close-on-exec. */
	for (int i = 0; i < 3; i++)
		if (dup2(streams->fd[i], i) < 0)
			daemon_failed(d, settings->failure, "dup2: %s", strerror(errno));
	if (d->link != LINK && dup2(d->link, LINK) < 0)
		daemon_failed(d, settings->failure, "dup2: %s", strerror(errno));
	d->link = LINK;
	if (fcntl(LINK, F_SETFD, FD_CLOEXEC) < 0 || close_from(LINK + 1, false) < 0)
		daemon_failed(d, settings->failure, "close inherited descriptors: %s",
		    strerror(errno));
}

/* Between the launcher and the daemon: leads the new session for a moment, then is gone. */
static void
middle(struct daemon *d, const struct daemon_settings *settings)
{
	if (setsid() < 0)
		daemon_failed(d, settings->failure, "setsid: %s", strerror(errno));

	pid_t pid = fork();

	if (pid < 0)
		daemon_failed(d, settings->failure, "fork: %s", strerror(errno));
	if (pid > 0)
		_exit(0);
}

static void
become_daemon(struct daemon *d, const struct launch *launch)
{
	ssize_t n;
	char go;

	d->link = launch->link[1];
	(void)close(launch->link[0]); /* else we would never see its end of file */
	tell(d->link, &(struct message){ .news = APART });
	middle(d, launch->settings); /* only the grandchild returns: no terminal for it now */
	tell(d->link, &(struct message){ .news = BORN });
	settle_in(d, launch->settings, &launch->streams);
	/* Go comes when the middle process is gone, so that our parent is init from here on.
	 * End of file instead: the launcher was killed, and nobody wants us. */
	while ((n = recv(d->link, &go, 1, 0)) < 0 && errno == EINTR)
		;
	if (n != 1)
		_exit(launch->settings->failure);
}

/* Returns 1 with a message, 0 at the end of file, -1 at the deadline (errno ETIMEDOUT) or an error. */
static int
hear(int link, struct message *message, int64_t deadline)
{
	size_t got = 0;

	while (got < sizeof *message) {
		struct pollfd p = { .fd = link, .events = POLLIN };
		int ready = poll(&p, 1, monotonic_poll_ms(deadline));

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready == 0)
			errno = ETIMEDOUT;
		if (ready <= 0)
			return -1;

		ssize_t n = recv(link, (char *)message + got, sizeof *message - got, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		got += (size_t)n;
	}
	return 1;
}

static pid_t
give_up(struct daemon_answer *answer, int status, const char *why)
{
	answer->status = status;
	(void)snprintf(answer->why, sizeof answer->why, "%s", why);
	return -1;
}

/* The child has descriptors of its own: what it has copies of, we need no more. */
static void
let_go_of_files(struct launch *launch)
{
	close_streams(&launch->streams);
	(void)close(launch->link[1]); /* else we would never see its end of file */
	launch->link[1] = -1;
}

/* The daemon is born, so the middle process is leaving: wait for that, then say go. */
static void
say_go(struct launch *launch)
{
	while (waitpid(launch->answer->group, NULL, 0) < 0 && errno == EINTR)
		;
	(void)send(launch->link[0], "g", 1, MSG_NOSIGNAL);
}

/*
 * The link closes early in a process's end, so that its entry in /proc is still there for us to
 * read; and an exec clears the flag before it closes the link. Where there is no such entry we
 * believe in the exec: only its parent could tell a death right before it from one right after.
 */
static bool
died_before_exec(pid_t pid)
{
	bool never = false;
#if defined __linux__ && !defined PORTABLE
	/* PF_FORKNOEXEC, in the ninth field of /proc/PID/stat; the second is "(NAME)", proc(5) */
	enum { FORKED_BUT_NO_EXEC = 0x40, FIELDS = 7 };
	char path[64], stat[512] = "", *field, *rest = NULL;
	int64_t flags;
	ssize_t len;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, stat, sizeof stat - 1);
	(void)close(fd);
	field = len > 0 ? strrchr(stat, ')') : NULL; /* the name itself may hold blanks and ')' */
	if (field != NULL)
		field = strtok_r(field, " ", &rest);
	for (int i = 0; field != NULL && i < FIELDS; i++)
		field = strtok_r(NULL, " ", &rest);
	if (field != NULL && number_whole(field, 10, 0, UINT32_MAX, &flags) == 0)
		never = (flags & FORKED_BUT_NO_EXEC) != 0;
#else
	(void)pid;
#endif
	return never;
}

/* Waits for the answer. */
static pid_t
await(struct launch *launch, int64_t deadline)
{
	struct daemon_answer *answer = launch->answer;
	int failure = launch->settings->failure;
	struct message message = { 0 };
	enum news last = FAILED;
	int got;

	while ((got = hear(launch->link[0], &message, deadline)) > 0) {
		last = message.news;
		answer->pid = message.pid;
		launch->told = last == FAILED;
		if (last == FAILED)
			return give_up(answer, message.status, message.why);
		if (last == READY)
			return message.pid;
		if (last == APART)
			let_go_of_files(launch);
		if (last == BORN)
			say_go(launch);
	}
	/* Exec closed the link, as close-on-exec says; or a KILL did, at the last moment */
	if (got == 0 && last == EXECUTES && !died_before_exec(answer->pid))
		return answer->pid;
	if (got == 0)
		return give_up(answer, failure, "launch: the daemon died without a word");
	if (errno == ETIMEDOUT)
		return give_up(answer, failure, "launch: it took too long, and was ended");
	return give_up(answer, failure, "launch: the link to the daemon broke");
}

void
daemon_abandon(const struct daemon_answer *answer)
{
	/* All of them share the group that setsid made; the number cannot belong to strangers
	 * while one of them lives. The middle process may not have come to setsid yet. */
	(void)kill(-answer->group, SIGKILL);
	if (answer->pid > 0)
		(void)kill(answer->pid, SIGKILL); /* it may have made a session of its own by now */
	if (waitpid(answer->group, NULL, WNOHANG) == 0) {
		(void)kill(answer->group, SIGKILL);
		(void)waitpid(answer->group, NULL, 0);
	}
}

/* Waits for the end of file, for a second: then all that had the link are gone. */
static bool
all_gone(const struct launch *launch)
{
	int64_t deadline = monotonic_now() + NUMBER_SECOND;
	struct message rest;
	int got;

	while ((got = hear(launch->link[0], &rest, deadline)) > 0)
		;
	return got == 0;
}

/* Nothing of a failed launch is left behind: no process, no file that was made for it. */
static void
clean_up(const struct launch *launch)
{
	if (launch->told && all_gone(launch)) {
		(void)waitpid(launch->answer->group, NULL, 0); /* unless say_go has done it */
	} else {
		daemon_abandon(launch->answer);
		(void)all_gone(launch);
	}
	remove_made(&launch->streams);
}

/* The launcher's side, after the fork. */
static pid_t
attend(struct launch *launch)
{
	pid_t pid = await(launch, monotonic_now() + launch->settings->timeout);

	if (launch->link[1] >= 0)
		let_go_of_files(launch);
	if (pid < 0)
		clean_up(launch);
	(void)close(launch->link[0]);
	return pid;
}

/* Puts what a launch needs at the lowest numbers, over whatever we inherited there. */
static int
move_down(struct launch *launch)
{
	int *all[] = {
		&launch->streams.fd[0],
		&launch->streams.fd[1],
		&launch->streams.fd[2],
		&launch->link[0],
		&launch->link[1],
	};

	bool low = true;

	for (int i = 0; i < 5; i++)
		low = low && *all[i] <= HIGHEST;
	if (low)
		return 0;
	for (int i = 0; i < 5; i++) { /* first out of each other's way */
		int high = fcntl(*all[i], F_DUPFD, HIGHEST + 1);

		if (high < 0)
			return -1;
		if (*all[i] > HIGHEST)
			(void)close(*all[i]);
		*all[i] = high;
	}
	for (int i = 0; i < 5; i++) {
		if (dup2(*all[i], LOWEST + i) < 0)
			return -1;
		(void)close(*all[i]);
		*all[i] = LOWEST + i;
	}
	return 0;
}

/*
 * The first fork. Linux copies the whole table of descriptors for it, which takes longer than all
 * the rest if we have inherited thousands. So where it can be had the table is shared, and the
 * child at once takes a table of its own with nothing in it but what a launch needs (close_range(2),
 * CLOSE_RANGE_UNSHARE, Linux 5.9). Nothing may be closed here before the child has done so, which
 * is when it has said its first word, APART. The child must not return to code that expects fork's
 * locks and handlers: it forks again, by fork, and that one may. A kernel or a seccomp filter may
 * refuse either call, with whatever errno: then it is fork, which says itself what is amiss.
 */
static pid_t
fork_light(void)
{
#if defined SYS_clone3 && defined SYS_close_range
	/* struct clone_args, which not every libc has: flags first, exit_signal fifth */
	uint64_t arguments[8] = { [0] = CLONE_FILES, [4] = SIGCHLD };
	pid_t pid = -1;

	if (syscall(SYS_close_range, ~0U, ~0U, CLOSE_RANGE_UNSHARE) == 0) /* closes nothing yet */
		pid = (pid_t)syscall(SYS_clone3, arguments, sizeof arguments);
	if (pid == 0 && syscall(SYS_close_range, HIGHEST + 1U, ~0U, CLOSE_RANGE_UNSHARE) < 0)
		_exit(EXIT_FAILURE);
	if (pid >= 0)
		return pid;
#endif
	return fork();
}

pid_t
daemon_launch(struct daemon *d, const struct daemon_settings *settings,
    struct daemon_answer *answer)
{
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	struct launch launch = {
		.settings = settings,
		.answer = answer,
		.streams.fd = { -1, -1, -1 },
		.link = { -1, -1 },
	};
	const char *what = "open /dev/null";
	const char *path;
	char why[sizeof answer->why];

	*answer = (struct daemon_answer){ .status = 0 };
	if (io_reserve_stdio() < 0)
		goto fail;
	if (open_streams(settings, &launch.streams, &path) < 0) {
		(void)snprintf(why, sizeof why, "open %s: %s", path, strerror(errno));
		goto fail_because;
	}
	/* A socket pair rather than a pipe: it carries "go" back, and send can do without SIGPIPE */
	what = "socketpair";
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, launch.link) < 0)
		goto fail;
	what = "descriptors";
	if (move_down(&launch) < 0)
		goto fail;
	/* Who inherits an ignored SIGCHLD has its children reaped by the kernel, unseen: wait(2) */
	(void)sigaction(SIGCHLD, &by_default, NULL);

	what = "fork";
	answer->group = fork_light();
	if (answer->group < 0)
		goto fail;
	if (answer->group > 0)
		return attend(&launch);
	become_daemon(d, &launch);
	return 0;

fail:
	(void)snprintf(why, sizeof why, "%s: %s", what, strerror(errno));
fail_because:
	close_streams(&launch.streams);
	remove_made(&launch.streams);
	if (launch.link[0] >= 0) {
		(void)close(launch.link[0]);
		(void)close(launch.link[1]);
	}
	return give_up(answer, settings->failure, why);
}
