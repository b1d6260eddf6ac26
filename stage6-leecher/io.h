/*
 * Descriptors: what read(2), write(2) and open(2) leave to their callers.
 */
#ifndef IO_H
#define IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Writes all len bytes, however many calls that takes. Returns 0, or -1 with errno. */
int io_write_all(int fd, const void *data, size_t len);

/*
 * Opens /dev/null on each of the descriptors 0, 1, 2 that is closed, so that no file opened
 * later becomes somebody's standard output. Returns 0, or -1 with errno.
 */
int io_reserve_stdio(void);

/*
 * Opens path for appending, made with this mode (whatever the umask is) if it is not there;
 * *made says whether it was made. Close-on-exec. A FIFO without a reader gives ENXIO instead
 * of blocking for ever, a terminal does not become ours, and nothing is made through a link that
 * leads nowhere. Returns a descriptor, or -1 with errno.
 */
int io_open_append(const char *path, mode_t mode, bool *made);

/*
 * Makes path absolute, by the current directory, so that it still means the same file after
 * chdir. Writes at most size bytes to absolute. Returns 0, or -1 with errno.
 */
int io_absolute(const char *path, char *absolute, size_t size);

/*
 * A pipe whose ends are close-on-exec: fd[0] is read, fd[1] is written. (pipe2(2) does it in one
 * call, which matters only where another thread may fork between.) Returns 0, or -1 with errno.
 */
int io_pipe(int fd[2]);

/* Sets or clears flags of fcntl(F_SETFL), O_NONBLOCK for one. Returns 0, or -1 with errno. */
int io_set_flags(int fd, int set, int clear);

#endif
