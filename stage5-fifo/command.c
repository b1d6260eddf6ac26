#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "io.h"

#ifndef SIGRTMAX
#define SIGRTMAX 31
#endif

int
command_path(const char *name, char *path, size_t size)
{
	if (strchr(name, '/') != NULL)
		return io_absolute(name, path, size);
	if (strlen(name) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(path, name, strlen(name) + 1);
	return 0;
}

void
command_default_signals(void)
{
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t none;

	/* KILL, STOP and the two that glibc keeps for itself refuse, which is as good */
	for (int number = 1; number <= SIGRTMAX; number++)
		(void)sigaction(number, &by_default, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int
command_failure(const char *path, int err, char *text, size_t size)
{
	/* A script whose "#!" names nothing gives ENOENT too, but the script was found */
	if (err == ENOENT && strchr(path, '/') != NULL && access(path, F_OK) == 0) {
		(void)snprintf(text, size, "execute %s: its interpreter is missing: %s", path,
		    strerror(err));
		return COMMAND_CANNOT_EXECUTE;
	}
	(void)snprintf(text, size, "execute %s: %s", path, strerror(err));
	return err == ENOENT ? COMMAND_NOT_FOUND : COMMAND_CANNOT_EXECUTE;
}
