#include <sys/stat.h>
#include <sys/time.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "monotonic.h"
#include "number.h"
#include "pidfile.h"

/* fcntl over the whole file; *lock tells afterwards what the kernel said. */
static int
locking(int fd, int command, short type, struct flock *lock)
{
	*lock = (struct flock){ .l_type = type, .l_whence = SEEK_SET };
	return fcntl(fd, command, lock);
}

/* A file that somebody else could have put in our way is not used, for reading or writing. */
static const char *
refusal(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file, refused";
	if (st->st_uid != geteuid())
		return "belongs to another user, refused";
	if (st->st_nlink > 1)
		return "has another name (hard link), refused";
	return NULL;
}

/* Opens for reading or writing. Returns a descriptor, or -1 with *why. */
static int
open_ours(const char *path, int flags, struct stat *st, const char **why)
{
	/* O_NONBLOCK: if it is a FIFO, open does not wait for its other end */
	int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);

	if (fd < 0) {
		*why = errno == ELOOP ? "a symbolic link, refused" : strerror(errno);
		return -1;
	}
	*why = fstat(fd, st) < 0 ? strerror(errno) : refusal(st);
	if (*why != NULL) {
		(void)close(fd);
		errno = EPERM;
		return -1;
	}
	return fd;
}

static int
open_or_make(struct pidfile *p, struct stat *st, const char **why)
{
	p->fd = open_ours(p->path, O_RDWR | O_CREAT | O_EXCL, st, why);
	p->made = p->fd >= 0;
	if (p->fd < 0 && errno == EEXIST)
		p->fd = open_ours(p->path, O_RDWR | O_CREAT, st, why);
	return p->fd < 0 ? -1 : 0;
}

static void
tick(int number)
{
	(void)number; /* its arrival is all: the call that sleeps ends with EINTR */
}

/* F_SETLKW with a deadline. Returns 0, or -1 with errno, ETIMEDOUT at the deadline. */
static int
lock_until(int fd, short type, int64_t deadline)
{
	int64_t left = deadline - monotonic_now();
	struct sigaction old,
	    on_tick = { .sa_handler = tick }; /* no SA_RESTART: it shall interrupt */
	struct itimerval timer = { 0 };
	sigset_t alarm, mask;
	struct flock lock;
	int result, why;

	if (left < 1000)
		left = 1000;
	timer.it_value.tv_sec = (time_t)(left / NUMBER_SECOND);
	timer.it_value.tv_usec = (suseconds_t)(left % NUMBER_SECOND / 1000);
	/* A first alarm that comes before fcntl sleeps would be lost: more follow, 10 ms apart */
	timer.it_interval.tv_usec = 10000;
	(void)sigaction(SIGALRM, &on_tick, &old);
	(void)sigemptyset(&alarm);
	(void)sigaddset(&alarm, SIGALRM);
	(void)sigprocmask(SIG_UNBLOCK, &alarm, &mask); /* who started us may have blocked it */
	(void)setitimer(ITIMER_REAL, &timer, NULL);
	do
		result = locking(fd, F_SETLKW, type, &lock);
	while (result < 0 && errno == EINTR && monotonic_now() < deadline);
	why = errno == EINTR ? ETIMEDOUT : errno;
	(void)setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)sigaction(SIGALRM, &old, NULL);
	errno = why;
	return result;
}

/*
 * Takes the daemon's lock, which is a write lock. Who waits for a daemon's end holds a read lock
 * for an instant (pidfile_wait); that is not a daemon, and we wait for it to let go.
 */
static int
lock_as_daemon(int fd, pid_t *holder, const char **why)
{
	struct flock lock;

	for (;;) {
		if (locking(fd, F_SETLK, F_WRLCK, &lock) == 0)
			return 0;
		*why = strerror(errno);
		if (errno != EAGAIN && errno != EACCES)
			return -1;
		if (locking(fd, F_GETLK, F_WRLCK, &lock) < 0)
			return -1;
		if (lock.l_type == F_WRLCK) {
			*holder = lock.l_pid > 0 ? lock.l_pid : 0;
			*why = "already running";
			return -1;
		}
		if (lock.l_type == F_UNLCK)
			continue; /* it let go between the two calls */
		if (lock_until(fd, F_WRLCK, monotonic_now() + NUMBER_SECOND) == 0)
			return 0;
		if (errno != ETIMEDOUT)
			return -1;
		(void)locking(fd, F_GETLK, F_WRLCK, &lock);
		if (lock.l_type == F_RDLCK) {
			*why = "somebody keeps a read lock on it";
			return -1;
		}
	}
}

int
pidfile_take(struct pidfile *p, const char *path, pid_t *holder, const char **why)
{
	struct stat st;

	*holder = -1;
	*p = (struct pidfile){ .path = path, .fd = -1 };
	for (;;) {
		if (open_or_make(p, &st, why) < 0)
			return -1;
		if (lock_as_daemon(p->fd, holder, why) < 0) {
			(void)close(p->fd);
			return -1;
		}
		p->device = st.st_dev;
		p->inode = st.st_ino;
		/* Between open and lock its holder may have removed it, or somebody replaced it:
		 * then we have locked a file that nobody else will find (as FreeBSD's flopen) */
		if (pidfile_still_ours(p))
			return 0;
		(void)close(p->fd);
	}
}

int
pidfile_write(struct pidfile *p)
{
	char text[32];
	int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());

	if (ftruncate(p->fd, 0) < 0)
		return -1;
	return io_write_all(p->fd, text, (size_t)len);
}

bool
pidfile_still_ours(const struct pidfile *p)
{
	struct stat st;

	return lstat(p->path, &st) == 0 && st.st_dev == p->device && st.st_ino == p->inode;
}

void
pidfile_remove(struct pidfile *p)
{
	if (pidfile_still_ours(p))
		(void)unlink(p->path); /* while we hold the lock: nobody can have taken it yet */
	(void)close(p->fd);
	p->fd = -1;
}

void
pidfile_release(struct pidfile *p)
{
	if (p->made)
		pidfile_remove(p);
	else
		(void)close(p->fd);
	p->fd = -1;
}

enum pidfile_state
pidfile_look(const char *path, pid_t *holder, const char **why)
{
	struct stat st;
	struct flock lock;
	int fd = open_ours(path, O_RDONLY, &st, why);

	if (fd < 0)
		return errno == ENOENT ? PIDFILE_ABSENT : PIDFILE_UNKNOWN;
	/* Asking for a read lock: only a daemon's write lock is in its way */
	if (locking(fd, F_GETLK, F_RDLCK, &lock) < 0) {
		*why = strerror(errno);
		(void)close(fd);
		return PIDFILE_UNKNOWN;
	}
	(void)close(fd);
	if (lock.l_type == F_UNLCK)
		return PIDFILE_STALE;
	*holder = lock.l_pid > 0 ? lock.l_pid : 0;
	return PIDFILE_RUNNING;
}

int
pidfile_wait(const char *path, int64_t deadline)
{
	struct stat st;
	const char *why;
	int fd = open_ours(path, O_RDONLY, &st, &why);

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;

	int result = lock_until(fd, F_RDLCK, deadline);
	int error = errno;

	(void)close(fd);
	errno = error;
	return result;
}
