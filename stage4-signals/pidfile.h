/*
 * Who is running? Who holds the lock on the pid file, and nobody else.
 *
 * The kernel keeps the lock, gives it up when its holder dies in whatever way, and tells
 * anybody who holds it (fcntl(2), F_GETLK). The text in the file is for people.
 */
#ifndef PIDFILE_H
#define PIDFILE_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

/*
 * The daemon's hold on its file. An fcntl lock belongs to one process and goes when that
 * process closes any descriptor of the file: so it is taken after the last fork, and the
 * holder never opens the file a second time.
 */
struct pidfile {
	const char *path; /* absolute, the caller's */
	int fd;
	bool made; /* by us just now, or found */
	dev_t device;
	ino_t inode;
};

enum pidfile_state { PIDFILE_RUNNING, PIDFILE_STALE, PIDFILE_ABSENT, PIDFILE_UNKNOWN };

/*
 * Opens or makes path (mode 0644 less the umask) and locks it. The file must be regular, the
 * caller's own and without other names; a symbolic link is never followed. Returns 0; or -1
 * with *why, a text that lives on; *holder is the pid of the daemon that runs, if that is why.
 */
int pidfile_take(struct pidfile *p, const char *path, pid_t *holder, const char **why);

/* Writes our pid and a newline. Returns 0, or -1 with errno. */
int pidfile_write(struct pidfile *p);

/* Is the file under its path still the one that we have locked? */
bool pidfile_still_ours(const struct pidfile *p);

/* Removes the file, if it is still ours, and then lets go of the lock. */
void pidfile_remove(struct pidfile *p);

/* Lets go, after a failed start. A file that was there before stays, with our pid in it by now. */
void pidfile_release(struct pidfile *p);

/*
 * Asks who runs: *holder is set for PIDFILE_RUNNING (0: a process that cannot be seen from
 * this PID namespace), *why for PIDFILE_UNKNOWN. Never for the daemon itself (see above).
 */
enum pidfile_state pidfile_look(const char *path, pid_t *holder, const char **why);

/*
 * Sleeps until nobody holds the lock, in one call of the kernel; the daemon may be a zombie by
 * then. Returns 0, or -1 with errno, ETIMEDOUT at the deadline (as monotonic_now).
 */
int pidfile_wait(const char *path, int64_t deadline);

#endif
