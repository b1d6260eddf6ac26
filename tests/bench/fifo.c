/*
 * The same lines of many writers through a bare pipe and through a daemon's FIFO.
 *
 *   fifo RUNS WRITERS LINES FIFO COMMAND
 *
 * WRITERS processes write LINES lines each, one write a line. Through the pipe they are over when
 * a reader has counted them all, through the FIFO when the daemon answers a command that was sent
 * after the last of them. Prints "pipe" and "fifo", each with a tab and the median of RUNS
 * interleaved runs, in lines a second.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

enum { WRITERS_MOST = 100, PATIENCE_MS = 60000 };

static int writers, lines;
static char line[PIPE_BUF];
static const char *fifo;

/* The writers, waiting until the write end of go is closed. path NULL: they write to fd. */
static void
start_writers(const char *path, int fd, int go[2])
{
	for (int i = 0; i < writers; i++) {
		pid_t pid = fork();
		char nothing;

		if (pid < 0)
			err(1, "fork");
		if (pid > 0)
			continue;
		close(go[1]);
		if (path != NULL && (fd = open(path, O_WRONLY)) < 0)
			err(1, "open %s", path);
		(void)!read(go[0], &nothing, 1);
		for (int n = 0; n < lines; n++)
			if (write(fd, line, strlen(line)) < 0)
				err(1, "write");
		_exit(0);
	}
	close(go[0]);
}

static void
await_writers(void)
{
	for (int i = 0; i < writers; i++) {
		int status;

		if (wait(&status) < 0 || status != 0)
			errx(1, "a writer failed");
	}
}

static void
count_lines(int fd)
{
	char data[4 * PIPE_BUF];
	int seen = 0;
	ssize_t n;

	while (seen < writers * lines && (n = read(fd, data, sizeof data)) > 0)
		for (ssize_t i = 0; i < n; i++)
			seen += data[i] == '\n';
	if (seen != writers * lines)
		errx(1, "%d lines came through the pipe", seen);
}

static double
through_pipe(void)
{
	struct timespec begin;
	int go[2], between[2];

	if (pipe(go) < 0 || pipe(between) < 0)
		err(1, "pipe");
	start_writers(NULL, between[1], go);
	close(between[1]);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	close(go[1]);
	count_lines(between[0]);

	double us = us_since(&begin);

	await_writers();
	close(between[0]);
	return us;
}

/* Asks the daemon for anything, and waits for the end of its answer. */
static void
ask(void)
{
	char path[PATH_MAX], data[PIPE_BUF];
	struct pollfd p = { .events = POLLIN };
	int out = open(fifo, O_WRONLY);
	ssize_t n;

	snprintf(path, sizeof path, "%s.bench", fifo);
	if (mkfifo(path, 0600) < 0 || (p.fd = open(path, O_RDONLY | O_NONBLOCK)) < 0)
		err(1, "%s", path);
	if (out < 0 || write(out, "@bench help\n", 12) != 12)
		err(1, "write %s", fifo);
	if (poll(&p, 1, PATIENCE_MS) != 1 || (n = read(p.fd, data, sizeof data)) < 3)
		errx(1, "no answer");
	close(out);
	close(p.fd);
	unlink(path);
}

static double
through_fifo(void)
{
	struct timespec begin;
	int go[2];

	if (pipe(go) < 0)
		err(1, "pipe");
	start_writers(fifo, -1, go);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	close(go[1]);
	await_writers();
	ask();
	return us_since(&begin);
}

int
main(int argc, char *argv[])
{
	if (argc != 6)
		errx(2, "usage: fifo RUNS WRITERS LINES FIFO COMMAND");

	int runs = atoi(argv[1]);
	double *pipes = calloc((size_t)runs, sizeof *pipes),
	       *fifos = calloc((size_t)runs, sizeof *fifos);

	writers = atoi(argv[2]);
	lines = atoi(argv[3]);
	fifo = argv[4];
	snprintf(line, sizeof line, "%s\n", argv[5]);
	for (int r = 0; r < runs; r++) {
		pipes[r] = through_pipe();
		fifos[r] = through_fifo();
	}
	printf("pipe\t%.0f\n", writers * lines / median(pipes, runs) * 1e6);
	printf("fifo\t%.0f\n", writers * lines / median(fifos, runs) * 1e6);
	return 0;
}
