/*
 * forkoff COMMAND [ARG...]: fork off and die.
 *
 * The child becomes COMMAND; the parent prints the child's pid and leaves at once.
 * Nothing else is done, on purpose: README.md shows what is missing to be a daemon.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define VERSION "1.0"

/* As env(1) and nohup(1) answer for a command that they start. */
enum { LAUNCHED = 0, OWN_FAILURE = 125, CANNOT_EXECUTE = 126, NOT_FOUND = 127 };

static const char usage[] = "usage: forkoff COMMAND [ARG...]\n"
			    "       forkoff -h | -V\n";

static int
print(const char *text)
{
	if (fputs(text, stdout) != EOF && fflush(stdout) == 0)
		return LAUNCHED;
	fprintf(stderr, "forkoff: write stdout: %s\n", strerror(errno));
	return OWN_FAILURE;
}

static void
become(char *const argv[])
{
	execvp(argv[0], argv);

	/* Only a failed exec comes back. The parent has left already and cannot tell. */
	int why = errno;

	fprintf(stderr, "forkoff: execute %s: %s\n", argv[0], strerror(why));
	/* _exit, not exit: what stdio holds here is a copy of the parent's, who writes it himself */
	_exit(why == ENOENT ? NOT_FOUND : CANNOT_EXECUTE);
}

int
main(int argc, char *argv[])
{
	int option;

	while ((option = getopt(argc, argv, "+:hV")) != -1) {
		switch (option) {
		case 'h':
			return print(usage);
		case 'V':
			return print("forkoff " VERSION "\n");
		default: /* getopt's own words would begin with our path */
			fprintf(stderr, "forkoff: -%c: %s\n", optopt,
			    option == ':' ? "needs a value" : "unknown option");
			fputs(usage, stderr);
			return OWN_FAILURE;
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return OWN_FAILURE;
	}

	pid_t pid = fork();

	if (pid < 0) { /* there is no child */
		fprintf(stderr, "forkoff: fork: %s\n", strerror(errno));
		return OWN_FAILURE;
	}
	if (pid == 0) /* this is the child */
		become(&argv[optind]);

	/* this is the parent, and pid is the child's */
	char text[32];

	(void)snprintf(text, sizeof text, "%ld\n", (long)pid);
	return print(text);
}
