/*
 * Children: started in a group of their own, listened to, stopped with grace, reaped.
 *
 * A job is over when its leader has ended *and* no process of its group is left (or what is left
 * is not to be had out of it by KILL, such as zombies of a parent that does not care).
 */
#ifndef JOB_H
#define JOB_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

struct jobs {
	struct loop *loop;
	struct job *first;
};

struct job_pipe {
	struct loop_watch watch;
	struct job *job;
};

struct job {
	/* Set by the caller, who owns all of it until ended is called: */
	const char *path; /* the program, from command_path */
	char *const *argv;
	int (*instead)(void *context); /* if set: runs in the child, instead of a program; its
					* result is the exit status */
	char *const *env;  /* "NAME=VALUE" strings to add to its environment; NULL: none */
	int in;            /* its standard input; -1: /dev/null. Stays the caller's. */
	int hold;          /* a descriptor that it inherits besides 0, 1, 2; 0: none */
	bool apart;        /* its standard error comes by itself, not mixed with its output */
	bool leader_first; /* TERM goes to the leader alone, which ends the others itself (rsync) */
	int64_t grace;     /* nanoseconds between TERM and KILL */
	int64_t limit;     /* nanoseconds after which it is stopped; 0: none */
	void (*output)(struct job *job, int stream, const char *data, size_t len); /* 1 or 2 */
	void (*ended)(struct job *job); /* it is over, and may be started again from here */
	void *context;

	/* To be read by the caller: */
	pid_t pid;    /* of the leader, and of the group; 0 when the job is not running */
	pid_t leader; /* the same, and still known when the job is over */
	int status;   /* of the leader, as waitpid(2) gives it; valid in ended */
	bool stopping;
	bool timed_out; /* it is being stopped, or was, because of limit */

	/* The module's own: */
	struct jobs *jobs;
	struct job *next;
	struct job_pipe out, err;
	struct loop_timer limit_over, grace_over, look_again;
	int64_t pause;  /* until look_again */
	int64_t killed; /* when it was sent KILL, as monotonic_now; 0: not yet */
	bool leader_ended;
};

/*
 * Where the system can do it, orphans of our jobs become our own children, so that we see them
 * die (Linux: PR_SET_CHILD_SUBREAPER, prctl(2)).
 */
void jobs_begin(struct jobs *jobs, struct loop *loop);

/* After SIGCHLD: everything that died is reaped, however many signals merged into one. */
void jobs_reap(struct jobs *jobs);

/*
 * Starts it. Returns 0, or -1 with errno when there is no child. An exec that fails is not seen
 * here: the child says why on its standard error and exits with 126 or 127.
 */
int job_start(struct jobs *jobs, struct job *job);

/* TERM to the whole group, KILL after grace; a second call sends KILL at once. ended follows. */
void job_stop(struct job *job);

#endif
