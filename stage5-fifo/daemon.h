/*
 * Becoming a daemon, and telling the launcher the truth about it.
 *
 * The launcher forks twice and waits until the daemon says "ready" or "failed, because".
 * Its exit status and message are that answer. A daemon that dies without a word has failed.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include <sys/types.h>

#include <stdint.h>

struct daemon {
	const char *name; /* of the program, for messages in the foreground */
	int link; /* to the waiting launcher, or -1: nobody waits, we are in the foreground */
};

struct daemon_settings {
	const char *dir; /* working directory */
	mode_t umask;    /* file mode creation mask */
	const char *out; /* files for descriptors 1 and 2, relative to the launcher's */
	const char *err; /*   directory, made with mode 0640, appended to; NULL: /dev/null */
	int64_t timeout; /* nanoseconds until a launch is given up */
	int failure;     /* exit status when it is our own steps that fail */
};

struct daemon_answer {
	pid_t pid;     /* the daemon's */
	pid_t group;   /* its process group, which is also the number of its session */
	int status;    /* exit status for the launcher: 0 is ready */
	char why[512]; /* if not 0: what failed and why */
};

/*
 * Forks a daemon off. Returns twice:
 * in the daemon 0, with a session it does not lead, no terminal, every signal default, and no
 * descriptor but 0 (/dev/null), 1, 2 and the link. It must call daemon_ready or daemon_failed;
 * in the launcher the daemon's pid once it is ready, or -1 with *answer when it is not; then no
 * process of it is left, nor a file that was made for out or err. What the daemon has made until
 * then it removes itself, before it fails. The launcher has a single thread.
 */
pid_t daemon_launch(struct daemon *d, const struct daemon_settings *settings,
    struct daemon_answer *answer);

/* The daemon works: the launcher leaves with 0. Does nothing in the foreground. */
void daemon_ready(struct daemon *d);

/*
 * The daemon is about to exec: if it does, the link closes and that means ready; if it does
 * not, daemon_failed follows.
 */
void daemon_executes(struct daemon *d);

/* Tells the launcher (or stderr, in the foreground) why, and ends this process with status. */
_Noreturn void daemon_failed(struct daemon *d, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * For the foreground: what we have inherited beside 0, 1 and 2 stays open here, but no program
 * that we execute gets it. Returns 0, or -1 with errno.
 */
int daemon_close_at_exec(void);

/* The launcher thinks better of it: kills what daemon_launch has started. */
void daemon_abandon(const struct daemon_answer *answer);

#endif
