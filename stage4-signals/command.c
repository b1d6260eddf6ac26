#if defined __linux__ && !defined PORTABLE
#define _GNU_SOURCE /* syscall */
#endif
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined __linux__ && !defined PORTABLE
#include <sys/syscall.h>
#endif

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

	for (int number = 1; number <= SIGRTMAX; number++)
		(void)sigaction(number, &by_default, NULL); /* KILL and STOP refuse, and need not */
#if defined __linux__ && !defined PORTABLE
	/* Two that glibc keeps for itself, three of musl: sigaction(3) refuses them, but posix_spawn
	 * may hand them on ignored: glibc's, under GNU make for one. All zero is SIG_DFL, whatever
	 * the layout (sigaction(2)). */
	for (int number = 32; number <= 34; number++)
		(void)syscall(SYS_rt_sigaction, number, (const char[64]){ 0 }, NULL, 8);
#endif
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Is there a file that exec has found, in PATH if path is a mere name? */
static bool
is_there(const char *path)
{
	const char *list = getenv("PATH");
	char file[PATH_MAX];

	if (strchr(path, '/') != NULL)
		return access(path, F_OK) == 0;
	while (list != NULL && *path != '\0') {
		size_t width = strcspn(list, ":"); /* 0: the current directory */

		if (snprintf(file, sizeof file, "%.*s%s%s", (int)width, list, width > 0 ? "/" : "",
			path) < (int)sizeof file &&
		    access(file, X_OK) == 0)
			return true;
		list = list[width] == ':' ? list + width + 1 : NULL;
	}
	return false;
}

int
command_failure(const char *name, const char *path, int err, char *text, size_t size)
{
	/* A script whose "#!" names nothing gives ENOENT too, but the script was found */
	if (err == ENOENT && is_there(path)) {
		(void)snprintf(text, size, "execute %s: its interpreter is missing: %s", name,
		    strerror(err));
		return COMMAND_CANNOT_EXECUTE;
	}
	(void)snprintf(text, size, "execute %s: %s", name, strerror(err));
	return err == ENOENT ? COMMAND_NOT_FOUND : COMMAND_CANNOT_EXECUTE;
}
