#include <sys/wait.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "io.h"
#include "job.h"
#include "log.h"
#include "monotonic.h"
#include "number.h"

/* Nanoseconds until the second, and at most between two, looks at a group; see watch_group. */
enum { LOOK_SOON = 10000000, LOOK_LATE = 1000000000 };

/* Nanoseconds after KILL in which who can die has died. */
#define UNKILLABLE (2 * NUMBER_SECOND)

void
jobs_begin(struct jobs *jobs, struct loop *loop)
{
	*jobs = (struct jobs){ .loop = loop };
#if defined __linux__ && !defined PORTABLE
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* Linux 3.4; without it, watch_group looks again */
#endif
}

/* The child, until it is another program. */
_Noreturn static void
become(const struct job *job, int in, int out, int err, pid_t parent)
{
	char why[PATH_MAX + 100];
	int status = COMMAND_CANNOT_EXECUTE;

	(void)setpgid(0, 0); /* the parent does the same: whoever comes first */
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(status);
	if (job->hold > 0 && fcntl(job->hold, F_SETFD, 0) < 0)
		_exit(status);
#ifdef __linux__
	/* When the daemon is killed outright nobody is left to stop us, so the kernel does it. The
	 * daemon may have died before this call: then the parent is another one already. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
	if (getppid() != parent)
		_exit(status);
	command_default_signals();
	if (job->instead != NULL)
		_exit(job->instead(job->context));
	for (char *const *env = job->env; env != NULL && *env != NULL; env++)
		(void)putenv(*env);
	execvp(job->path, job->argv);
	status = command_failure(job->argv[0], job->path, errno, why, sizeof why);
	(void)dprintf(STDERR_FILENO, "%s\n", why);
	_exit(status);
}

static void
close_pipe(struct job_pipe *pipe)
{
	if (pipe->watch.fd < 0)
		return;
	loop_unwatch(pipe->job->jobs->loop, &pipe->watch);
	(void)close(pipe->watch.fd);
	pipe->watch.fd = -1;
}

/* Reads once. Returns false at the end of file, or when nothing is there. */
static bool
read_pipe(struct job_pipe *pipe)
{
	char data[16384];
	ssize_t n;

	if (pipe->watch.fd < 0)
		return false;
	while ((n = read(pipe->watch.fd, data, sizeof data)) < 0 && errno == EINTR)
		;
	if (n > 0) {
		pipe->job->output(pipe->job, pipe == &pipe->job->out ? 1 : 2, data, (size_t)n);
		return true;
	}
	if (n == 0)
		close_pipe(pipe);
	return false;
}

static void
pipe_ready(void *context, short events)
{
	(void)events; /* data or hang-up: read tells which */
	(void)read_pipe(context);
}

/* What was written before the end is in the pipe still. Who left the group may write for ever. */
static void
drain(struct job_pipe *pipe)
{
	enum { CAPACITY = 1 << 20, CHUNK = 16384 }; /* pipe-max-size, pipe(7) */

	for (int i = 0; i < CAPACITY / CHUNK && read_pipe(pipe); i++)
		;
	close_pipe(pipe);
}

static void
over(struct job *job)
{
	struct job **link = &job->jobs->first;

	while (*link != job)
		link = &(*link)->next;
	*link = job->next;
	loop_clear_timer(job->jobs->loop, &job->limit_over);
	loop_clear_timer(job->jobs->loop, &job->grace_over);
	loop_clear_timer(job->jobs->loop, &job->look_again);
	drain(&job->out);
	drain(&job->err);
	job->pid = 0;
	job->ended(job); /* last: it may start the job again, or free it */
}

static bool
group_is_empty(const struct job *job)
{
	return kill(-job->pid, 0) < 0 && errno == ESRCH;
}

static void
tell_group(const struct job *job, int number)
{
	(void)kill(-job->pid, number);
	(void)kill(-job->pid, SIGCONT); /* who is stopped does not hear TERM before it goes on */
	/* The leader may have gone to another group, setpgid(2). It is not reaped: the pid is its */
	if (!job->leader_ended && getpgid(job->pid) != job->pid) {
		(void)kill(job->pid, number);
		(void)kill(job->pid, SIGCONT);
	}
}

/*
 * The leader is gone, but not its group. Those who are our children announce their death by
 * SIGCHLD. Those who are not (another parent lives, or the system has no subreaper) do not: for
 * them we look again by the clock.
 */
static void
watch_group(struct job *job)
{
	if (group_is_empty(job)) {
		over(job);
		return;
	}
	/* Zombies whose parent has left the group and does not fetch them are in it for ever */
	if (job->killed > 0 && monotonic_now() >= job->killed + UNKILLABLE) {
		log_say(LEVEL_WARNING, "%s[%ld]: what is left of its group is not waited for",
		    job->path, (long)job->pid);
		over(job);
		return;
	}
	loop_set_timer(job->jobs->loop, &job->look_again, monotonic_now() + job->pause);
	job->pause = job->pause * 2 < LOOK_LATE ? job->pause * 2 : LOOK_LATE;
}

static void
look_again(void *context)
{
	watch_group(context);
}

static void
kill_group(struct job *job)
{
	tell_group(job, SIGKILL);
	job->killed = monotonic_now();
	job->pause = LOOK_SOON;
}

static void
grace_over(void *context)
{
	struct job *job = context;

	log_say(LEVEL_WARNING, "%s[%ld] did not end in time: KILL", job->path, (long)job->pid);
	kill_group(job);
}

void
job_stop(struct job *job)
{
	if (job->pid == 0)
		return;
	if (job->stopping) {
		kill_group(job);
		return;
	}
	job->stopping = true;
	if (job->leader_first && !job->leader_ended)
		(void)kill(job->pid, SIGTERM);
	else
		tell_group(job, SIGTERM);
	loop_set_timer(job->jobs->loop, &job->grace_over, monotonic_now() + job->grace);
}

static void
limit_over(void *context)
{
	struct job *job = context;

	if (job->stopping)
		return;
	job->timed_out = true;
	job_stop(job);
}

/* The leader, or an orphan that we inherited; each death may have been the last of some group. */
static void
bury(struct jobs *jobs, pid_t pid, int status)
{
	for (struct job *job = jobs->first; job != NULL; job = job->next) {
		if (job->pid != pid)
			continue;
		job->leader_ended = true;
		job->status = status;
		if (!group_is_empty(job))
			log_say(LEVEL_DEBUG, "%s[%ld] has ended, but not its whole group",
			    job->path, (long)pid);
	}
}

void
jobs_reap(struct jobs *jobs)
{
	struct job *job, *next;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		bury(jobs, pid, status);
	for (job = jobs->first; job != NULL; job = next) {
		next = job->next;
		if (job->leader_ended)
			watch_group(job);
	}
}

static void
watch_pipe(struct job *job, struct job_pipe *pipe, int fd)
{
	(void)io_set_flags(fd, O_NONBLOCK, 0);
	pipe->job = job;
	pipe->watch = (struct loop_watch){
		.fd = fd,
		.events = POLLIN,
		.ready = pipe_ready,
		.context = pipe,
	};
	/* A full loop is not fatal: what stands in the pipe is read when the job is over */
	if (loop_watch(job->jobs->loop, &pipe->watch) < 0)
		log_say(LEVEL_ERROR, "listen to %s: %s", job->path, strerror(errno));
}

static void
close_both(int pair[2])
{
	if (pair[0] >= 0)
		(void)close(pair[0]);
	if (pair[1] >= 0)
		(void)close(pair[1]);
}

int
job_start(struct jobs *jobs, struct job *job)
{
	int out[2] = { -1, -1 }, err[2] = { -1, -1 }, in = job->in;
	pid_t pid = -1, parent = getpid();
	int why;

	if (in < 0 && (in = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
		return -1;
	if (io_pipe(out) < 0 || (job->apart && io_pipe(err) < 0))
		goto fail;
	pid = fork();
	if (pid < 0)
		goto fail;
	if (pid == 0)
		become(job, in, out[1], job->apart ? err[1] : out[1], parent);
	(void)setpgid(pid, pid); /* the child does the same; EACCES: it has done its exec already */

	job->jobs = jobs;
	job->pid = job->leader = pid;
	job->status = 0;
	job->stopping = job->timed_out = job->leader_ended = false;
	job->pause = LOOK_SOON;
	job->killed = 0;
	job->limit_over = (struct loop_timer){ .fire = limit_over, .context = job };
	job->grace_over = (struct loop_timer){ .fire = grace_over, .context = job };
	job->look_again = (struct loop_timer){ .fire = look_again, .context = job };
	job->next = jobs->first;
	jobs->first = job;
	if (job->limit > 0)
		loop_set_timer(jobs->loop, &job->limit_over, monotonic_now() + job->limit);
	watch_pipe(job, &job->out, out[0]);
	out[0] = -1;
	job->err = (struct job_pipe){ .watch.fd = -1 };
	if (job->apart)
		watch_pipe(job, &job->err, err[0]);
	err[0] = -1;
fail:
	why = errno;
	close_both(out);
	close_both(err);
	if (in != job->in)
		(void)close(in);
	errno = why;
	return pid < 0 ? -1 : 0;
}
