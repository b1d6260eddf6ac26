#include <stddef.h>

#include "signals.h"

static const int caught[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD };

enum { CAUGHT = sizeof caught / sizeof caught[0] };

/* A kind of object that a handler may write to and its program read (C11 5.1.2.3). */
static volatile sig_atomic_t arrived[CAUGHT];

static void
note(int number)
{
	for (int i = 0; i < CAUGHT; i++)
		if (caught[i] == number)
			arrived[i] = 1;
}

void
signals_catch(sigset_t *open)
{
	struct sigaction noting = { .sa_handler = note };
	const struct sigaction ignoring = { .sa_handler = SIG_IGN };
	sigset_t blocked;

	(void)sigemptyset(&blocked);
	for (int i = 0; i < CAUGHT; i++)
		(void)sigaddset(&blocked, caught[i]);
	(void)sigprocmask(SIG_BLOCK, &blocked, open);
	/* what we wait for is opened even if whoever started us had blocked it */
	for (int i = 0; i < CAUGHT; i++)
		(void)sigdelset(open, caught[i]);
	noting.sa_mask = blocked;
	for (int i = 0; i < CAUGHT; i++)
		(void)sigaction(caught[i], &noting, NULL);
	(void)sigaction(SIGPIPE, &ignoring, NULL); /* write says EPIPE instead */
}

bool
signals_take(int number)
{
	for (int i = 0; i < CAUGHT; i++) {
		if (caught[i] != number || !arrived[i])
			continue;
		arrived[i] = 0; /* blocked here: it cannot arrive between the test and this */
		return true;
	}
	return false;
}
