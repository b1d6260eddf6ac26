#if defined __linux__ && !defined PORTABLE
#define _GNU_SOURCE /* ppoll, which POSIX has since 2024 */
#endif
#include <sys/select.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "io.h"
#include "monotonic.h"
#include "number.h"
#include "text.h"

#ifdef SIGRTMAX
#define SIGNALS SIGRTMAX
#else
#define SIGNALS SIGUSR2 /* macOS and OpenBSD: their last one */
#endif

static volatile sig_atomic_t killer; /* the signal that shall end us, once we have cleaned up */

struct asking {
	const char *program;
	const char *fifo;
	int64_t deadline;    /* as monotonic_now */
	sigset_t open;       /* mask inside the waiting call */
	char path[PATH_MAX]; /* of our own FIFO; empty when there is none */
	int answer;          /* its read end */
	char id[33];
};

static void
note(int number)
{
	killer = number;
}

/* Would that signal end us, and may we clean up before? Most would, the real-time ones too. */
static bool
deadly(int number)
{
	switch (number) {
	case SIGKILL: /* cannot be caught */
	case SIGSTOP:
	case SIGTSTP: /* ^Z stops us, and we go on later */
	case SIGTTIN:
	case SIGTTOU:
	case SIGCHLD: /* these end nobody */
	case SIGCONT:
	case SIGURG:
#ifdef SIGWINCH
	case SIGWINCH:
#endif
#ifdef SIGINFO
	case SIGINFO:
#endif
	case SIGSEGV: /* a mistake in the program itself: it cannot go on from there */
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
	case SIGSYS:
	case SIGABRT:
	case SIGPIPE: /* ignored: see catch_signals */
		return false;
	default:
		return true;
	}
}

/* As in a daemon: blocked, but for the call that waits. So our FIFO is never left behind. */
static void
catch_signals(struct asking *asking)
{
	struct sigaction noting = { .sa_handler = note }, old;
	sigset_t blocked;

	(void)sigemptyset(&blocked);
	for (int number = 1; number <= SIGNALS; number++)
		if (deadly(number))
			(void)sigaddset(&blocked, number);
	(void)sigprocmask(SIG_BLOCK, &blocked, &asking->open);
	for (int number = 1; number <= SIGNALS; number++)
		/* nohup(1) means it; and the C library has some for itself, which it refuses */
		if (deadly(number) && sigaction(number, NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			(void)sigaction(number, &noting, NULL);
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
}

/* With our FIFO gone there is nothing to clean up any more: signals do again what they always do. */
static void
release_signals(const struct asking *asking)
{
	struct sigaction now;

	for (int number = 1; number <= SIGNALS; number++)
		if (deadly(number) && sigaction(number, NULL, &now) == 0 && now.sa_handler == note)
			(void)sigaction(number, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	if (killer != 0)
		(void)raise(killer); /* whoever started us sees what happened */
	(void)sigprocmask(SIG_SETMASK, &asking->open, NULL); /* what is pending comes here */
}

/* Removes our FIFO; a signal that came meanwhile ends us here. */
static void
remove_fifo(struct asking *asking)
{
	if (asking->path[0] == '\0')
		return;
	(void)unlink(asking->path);
	asking->path[0] = '\0';
	release_signals(asking);
}

static int
fail(const struct asking *asking, int status, const char *what, const char *why)
{
	fprintf(stderr, "%s: %s %s: %s\n", asking->program, what, asking->fifo, why);
	return status;
}

/* Waits for one descriptor. Returns 1, 0 at the deadline, -1 with errno (EINTR: killer). */
static int
wait_for(const struct asking *asking, int fd, short events)
{
	int64_t left = asking->deadline - monotonic_now();
	struct timespec timeout = {
		.tv_sec = (time_t)(left / NUMBER_SECOND),
		.tv_nsec = (long)(left % NUMBER_SECOND),
	};

	if (left < 0)
		return 0; /* whatever is there: who writes without end would keep us for ever */
#if defined __linux__ && !defined PORTABLE
	struct pollfd p = { .fd = fd, .events = events };

	return ppoll(&p, 1, &timeout, &asking->open);
#else
	fd_set set;

	if (fd >= FD_SETSIZE) {
		errno = EMFILE;
		return -1;
	}
	FD_ZERO(&set);
	FD_SET(fd, &set);
	return pselect(fd + 1, events & POLLIN ? &set : NULL, events & POLLOUT ? &set : NULL, NULL,
	    &timeout, &asking->open);
#endif
}

/* Our own FIFO, open for reading before anybody is asked to write to it. */
static int
make_fifo(struct asking *asking)
{
	mode_t mask = umask(0);
	int made = -1;

	for (int try = 0; made < 0 && try < 100; try++) {
		(void)snprintf(asking->id, sizeof asking->id, "%lxx%llx", (long)getpid(),
		    (unsigned long long)monotonic_now());
		if (snprintf(asking->path, sizeof asking->path, "%s.%s", asking->fifo,
			asking->id) >= (int)sizeof asking->path) {
			asking->path[0] = '\0';
			errno = ENAMETOOLONG;
			return -1;
		}
		made = mkfifo(asking->path, 0600);
		if (made < 0 && errno != EEXIST)
			break;
	}
	(void)umask(mask);
	if (made < 0) {
		asking->path[0] = '\0';
		return -1;
	}
	asking->answer = open(asking->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	return asking->answer < 0 ? -1 : 0;
}

/* Returns the length of the line, or -1: it does not fit into one atomic write. */
static int
compose(const struct asking *asking, char *const words[], char *line, size_t size)
{
	char word[PIPE_BUF + 1];
	/* The newline in front ends what a careless neighbour may have left without one */
	size_t used = (size_t)snprintf(line, size, "\n@%s", asking->id);

	for (; *words != NULL; words++) {
		if (strlen(*words) * 4 >= sizeof word)
			return -1;

		size_t len = text_encode(*words, word, sizeof word);

		if (used + 1 + len + 1 > size)
			return -1;
		line[used++] = ' ';
		memcpy(line + used, word, len);
		used += len;
	}
	line[used++] = '\n';
	return (int)used;
}

/* Puts the line into the daemon's FIFO in one write. Returns CONTROL_DONE or what to exit with. */
static int
send_line(struct asking *asking, int fd, const char *line, size_t len)
{
	for (;;) {
		if (write(fd, line, len) == (ssize_t)len)
			return CONTROL_DONE;
		if (errno == EPIPE)
			return fail(asking, CONTROL_NO_DAEMON, "no daemon listens on",
			    strerror(errno));
		if (errno != EAGAIN && errno != EINTR)
			return fail(asking, CONTROL_NO_DAEMON, "write", strerror(errno));

		int ready = wait_for(asking, fd, POLLOUT); /* it is full of others' commands */

		if (ready == 0)
			return fail(asking, CONTROL_NO_ANSWER, "no answer from",
			    "it is full, and nobody reads it");
		if (ready < 0 && killer != 0)
			return CONTROL_NO_ANSWER;
		if (ready < 0 && errno != EINTR)
			return fail(asking, CONTROL_NO_ANSWER, "wait for", strerror(errno));
	}
}

/* Sorts what comes: first the line with the result, then the body. */
struct answer {
	char first[PIPE_BUF];
	size_t used;
	bool known, refused;
	bool broken; /* our own standard output */
};

static void
show(struct answer *answer, const char *data, size_t len)
{
	if (len > 0 && io_write_all(answer->refused ? STDERR_FILENO : STDOUT_FILENO, data, len) < 0)
		answer->broken = true;
}

static void
take(struct asking *asking, struct answer *answer, const char *data, size_t len)
{
	while (!answer->known && len > 0) {
		char byte = *data++;

		len--;
		if (byte != '\n' && answer->used < sizeof answer->first - 1) {
			answer->first[answer->used++] = byte;
			continue;
		}
		answer->known = true;
		answer->first[answer->used] = '\0';
		answer->refused = strcmp(answer->first, "ok") != 0;
		if (answer->refused) {
			const char *why = answer->first;

			if (strncmp(why, "error: ", 7) == 0)
				why += 7;
			fprintf(stderr, "%s: %s\n", asking->program, why);
		}
	}
	show(answer, data, len);
}

static int
read_answer(struct asking *asking)
{
	struct answer answer = { .used = 0 };
	char data[16384];

	for (;;) {
		int ready = wait_for(asking, asking->answer, POLLIN);

		if (ready == 0)
			return fail(asking, CONTROL_NO_ANSWER, "no answer from", "time is up");
		if (ready < 0 && killer != 0)
			return CONTROL_NO_ANSWER;
		if (ready < 0 && errno != EINTR)
			return fail(asking, CONTROL_NO_ANSWER, "wait for", strerror(errno));
		if (ready < 0)
			continue;

		ssize_t n = read(asking->answer, data, sizeof data);

		if (n < 0)
			continue; /* EAGAIN, EINTR */
		if (n == 0)
			break;
		remove_fifo(asking); /* the daemon has opened it: its name has done its duty */
		take(asking, &answer, data, (size_t)n);
		if (answer.broken)
			return fail(asking, CONTROL_NO_ANSWER, "show the answer of",
			    strerror(errno));
	}
	if (!answer.known)
		return fail(asking, CONTROL_NO_ANSWER, "no answer from", "it was cut off");
	return answer.refused ? CONTROL_REFUSED : CONTROL_DONE;
}

static int
ask(struct asking *asking, char *const words[])
{
	char line[PIPE_BUF];
	struct stat st;
	/* Without a reader this fails with ENXIO at once, instead of waiting for one */
	int fd = open(asking->fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	int status, len;

	if (fd < 0)
		return fail(asking, CONTROL_NO_DAEMON, "no daemon listens on", strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode)) {
		(void)close(fd);
		return fail(asking, CONTROL_NO_DAEMON, "no daemon listens on", "not a FIFO");
	}
	if (make_fifo(asking) < 0) {
		(void)close(fd);
		return fail(asking, CONTROL_NO_ANSWER, "make a FIFO for the answer beside",
		    strerror(errno));
	}
	len = compose(asking, words, line, sizeof line);
	if (len < 0)
		status = fail(asking, CONTROL_USAGE, "ask", "the command is too long");
	else
		status = send_line(asking, fd, line, (size_t)len);
	(void)close(fd);
	return status == CONTROL_DONE ? read_answer(asking) : status;
}

int
control_ask(const char *program, const char *fifo, int64_t patience, char *const words[])
{
	struct asking asking = {
		.program = program,
		.fifo = fifo,
		.deadline = monotonic_now() + patience,
		.answer = -1,
	};
	int status;

	if (io_reserve_stdio() < 0)
		return CONTROL_NO_ANSWER;
	catch_signals(&asking);
	status = ask(&asking, words);
	remove_fifo(&asking);
	if (asking.answer >= 0)
		(void)close(asking.answer);
	release_signals(&asking);
	return status;
}
