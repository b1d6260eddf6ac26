/*
 * From the exec of a launcher to the first effect of the COMMAND that it launches.
 *
 *   launch RUNS DESCRIPTORS FIFO <LIST
 *
 * LIST: one launcher a line, NAME TAB WORD TAB WORD...; its COMMAND ends with the FIFO's name
 * and writes a struct timespec there (mark.c). Each round runs every launcher once, in another
 * order. DESCRIPTORS is the limit on open files, and all but 16 of them are open and inherited.
 * Prints one line a launcher: NAME TAB the median in microseconds.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

enum { LAUNCHERS = 32, WORDS = 16, SPARE = 16, PATIENCE_MS = 10000 };

struct launcher {
	char *name;
	char *argv[WORDS + 1];
	double *us;
};

static int
read_list(struct launcher *list)
{
	char *line = NULL;
	size_t size = 0;
	int count = 0;

	while (count < LAUNCHERS && getline(&line, &size, stdin) > 0) {
		struct launcher *one = &list[count++];
		char *rest = strdup(strtok(line, "\n"));
		int words = 0;

		one->name = strtok(rest, "\t");
		while (words < WORDS && (one->argv[words] = strtok(NULL, "\t")) != NULL)
			words++;
	}
	free(line);
	return count;
}

static void
fill_descriptors(rlim_t wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		err(1, "getrlimit");
	if (wanted > limit.rlim_max)
		errx(1, "the limit on open files is %llu here", (unsigned long long)limit.rlim_max);
	limit.rlim_cur = wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		err(1, "setrlimit");
	for (;;) {
		int fd = open("/dev/null", O_RDWR);

		if (fd < 0)
			err(1, "open /dev/null");
		if ((rlim_t)fd >= wanted - SPARE)
			return;
	}
}

/* One run. The clock starts in the child, right before it becomes the launcher. */
static double
run(const struct launcher *one, int fifo, struct timespec *begin)
{
	struct pollfd p = { .fd = fifo, .events = POLLIN };
	struct timespec effect;
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		close(null);
		clock_gettime(CLOCK_MONOTONIC, begin);
		execvp(one->argv[0], one->argv);
		err(127, "%s", one->argv[0]);
	}
	if (poll(&p, 1, PATIENCE_MS) != 1 || read(fifo, &effect, sizeof effect) != sizeof effect)
		errx(1, "%s: no effect", one->name);
	if (waitpid(pid, NULL, 0) < 0)
		err(1, "waitpid");
	return us_between(begin, &effect);
}

int
main(int argc, char *argv[])
{
	static struct launcher list[LAUNCHERS];
	struct timespec *begin =
	    mmap(NULL, sizeof *begin, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (argc != 4)
		errx(2, "usage: launch RUNS DESCRIPTORS FIFO <LIST");

	int runs = atoi(argv[1]), count = read_list(list);
	int fifo = open(argv[3], O_RDWR | O_CLOEXEC);

	if (fifo < 0 || begin == MAP_FAILED)
		err(1, "%s", argv[3]);
	fill_descriptors((rlim_t)atol(argv[2]));
	for (int i = 0; i < count; i++) {
		list[i].us = calloc((size_t)runs, sizeof(double));
		run(&list[i], fifo, begin); /* warms the caches */
	}
	for (int r = 0; r < runs; r++)
		for (int i = 0; i < count; i++) {
			struct launcher *one = &list[((r % 2 ? count - 1 - i : i) + r) % count];

			one->us[r] = run(one, fifo, begin);
		}
	for (int i = 0; i < count; i++)
		printf("%s\t%.1f\n", list[i].name, median(list[i].us, runs));
	return 0;
}
