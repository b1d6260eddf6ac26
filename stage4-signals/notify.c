#include <sys/socket.h>
#include <sys/un.h>

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notify.h"

static int manager = -1; /* a connected socket */

void
notify_begin(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (path != NULL && strlen(path) < sizeof address.sun_path) {
		socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));

		memcpy(address.sun_path, path, strlen(path));
		if (path[0] == '@') /* the abstract namespace of Linux, unix(7) */
			address.sun_path[0] = '\0';
		else
			len++;
		manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (manager >= 0 && connect(manager, (struct sockaddr *)&address, len) < 0) {
			(void)close(manager);
			manager = -1;
		}
	}
	(void)unsetenv("NOTIFY_SOCKET");
}

void
notify_say(const char *format, ...)
{
	char state[512];
	va_list arguments;

	if (manager < 0)
		return;
	va_start(arguments, format);
	(void)vsnprintf(state, sizeof state, format, arguments);
	va_end(arguments);
	/* A manager that went away, or whose queue is full, is no reason for us to stop */
	(void)send(manager, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
notify_end(void)
{
	if (manager >= 0)
		(void)close(manager);
	manager = -1;
}
