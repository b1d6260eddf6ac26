#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

int
io_write_all(int fd, const void *data, size_t len)
{
	const char *rest = data;

	while (len > 0) {
		ssize_t n = write(fd, rest, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		rest += n;
		len -= (size_t)n;
	}
	return 0;
}

int
io_reserve_stdio(void)
{
	int fd;

	/* open gives the lowest free number, so each round fills the next hole below 3 */
	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -1;
	} while (fd <= STDERR_FILENO);
	return close(fd);
}

int
io_absolute(const char *path, char *absolute, size_t size)
{
	size_t used = 0;

	if (path[0] != '/') {
		if (getcwd(absolute, size) == NULL)
			return -1;
		used = strlen(absolute);
		if (used + 1 < size)
			absolute[used++] = '/';
	}
	if (used + strlen(path) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(absolute + used, path, strlen(path) + 1);
	return 0;
}

int
io_pipe(int fd[2])
{
	if (pipe(fd) < 0)
		return -1;
	(void)fcntl(fd[0], F_SETFD, FD_CLOEXEC); /* cannot fail for an open descriptor */
	(void)fcntl(fd[1], F_SETFD, FD_CLOEXEC);
	return 0;
}

int
io_set_flags(int fd, int set, int clear)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -1;
	return fcntl(fd, F_SETFL, (flags | set) & ~clear);
}

int
io_open_append(const char *path, mode_t mode, bool *made)
{
	const int flags = O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC | O_NONBLOCK;
	mode_t mask = umask(0);

	/* O_EXCL tells us whether it was we who made it; the second try takes what is there. It makes
	 * nothing: what O_EXCL calls "there" may be a link to nowhere, put in our way. */
	int fd = open(path, flags | O_CREAT | O_EXCL, mode);

	*made = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(path, flags);

	int why = errno;

	(void)umask(mask);
	if (fd >= 0 && io_set_flags(fd, 0, O_NONBLOCK) < 0) {
		why = errno;
		(void)close(fd);
		fd = -1;
	}
	errno = why;
	return fd;
}
