/* The COMMAND that is launched. Its first effect: the time, written to the FIFO it is given. */
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	struct timespec now;
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (argc != 2 || (fd = open(argv[1], O_WRONLY | O_NONBLOCK)) < 0)
		return 1;
	return write(fd, &now, sizeof now) == sizeof now ? 0 : 1;
}
