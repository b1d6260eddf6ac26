/*
 * A command to a daemon and its answer, beside a byte there and back over two pipes.
 *
 *   roundtrip RUNS TRIPS FIFO COMMAND
 *
 * RUNS interleaved runs of TRIPS round trips each. The client keeps its FIFO open for reading and
 * writing, and takes "ok" and what comes with it for the answer of a COMMAND that has a short one.
 * Prints "pipes" and "control", each with a tab and the median of a run's time for one trip, in
 * microseconds.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

static int to_echo[2], from_echo[2];

/* A process that sends every byte back. */
static pid_t
start_echo(void)
{
	char byte;
	pid_t pid;

	if (pipe(to_echo) < 0 || pipe(from_echo) < 0 || (pid = fork()) < 0)
		err(1, "pipe");
	if (pid > 0)
		return pid;
	close(to_echo[1]);
	while (read(to_echo[0], &byte, 1) == 1)
		if (write(from_echo[1], &byte, 1) != 1)
			_exit(1);
	_exit(0);
}

static double
over_pipes(int trips)
{
	struct timespec begin;
	char byte = 'x';

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < trips; i++)
		if (write(to_echo[1], &byte, 1) != 1 || read(from_echo[0], &byte, 1) != 1)
			err(1, "ping-pong");
	return us_since(&begin) / trips;
}

static double
by_control(int trips, int out, int in, const char *line)
{
	struct timespec begin;
	char answer[PIPE_BUF];

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < trips; i++) {
		ssize_t n = write(out, line, strlen(line));

		if (n < 0 || (n = read(in, answer, sizeof answer)) < 3)
			err(1, "ask");
		if (memcmp(answer, "ok\n", 3) != 0)
			errx(1, "the answer is %.*s", (int)n, answer);
	}
	return us_since(&begin) / trips;
}

int
main(int argc, char *argv[])
{
	char mine[PATH_MAX], line[PIPE_BUF];

	if (argc != 5)
		errx(2, "usage: roundtrip RUNS TRIPS FIFO COMMAND");

	int runs = atoi(argv[1]), trips = atoi(argv[2]), out = open(argv[3], O_WRONLY), in;
	double *pipes = calloc((size_t)runs, sizeof *pipes),
	       *control = calloc((size_t)runs, sizeof *control);
	pid_t echo = start_echo();

	snprintf(mine, sizeof mine, "%s.bench", argv[3]);
	snprintf(line, sizeof line, "@bench %s\n", argv[4]);
	if (out < 0 || mkfifo(mine, 0600) < 0 || (in = open(mine, O_RDWR)) < 0)
		err(1, "%s", mine);
	for (int r = 0; r < runs; r++) {
		pipes[r] = over_pipes(trips);
		control[r] = by_control(trips, out, in, line);
	}
	unlink(mine);
	close(to_echo[1]);
	waitpid(echo, NULL, 0);
	printf("pipes\t%.2f\n", median(pipes, runs));
	printf("control\t%.2f\n", median(control, runs));
	return 0;
}
