#if defined __linux__ && !defined PORTABLE
#define _GNU_SOURCE /* ppoll, which POSIX has since 2024 */
#endif
#include <sys/select.h>

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <time.h>

#include "loop.h"
#include "monotonic.h"
#include "number.h"

#if defined __linux__ && !defined PORTABLE
enum { DESCRIPTORS = INT_MAX };
#else
enum { DESCRIPTORS = FD_SETSIZE }; /* pselect has no room for this one and higher ones */
#endif
enum { BUSY_ROUNDS = 16 }; /* so many in a row may pass before signals are asked for */

int
loop_watch(struct loop *loop, struct loop_watch *watch)
{
	if (loop->count == LOOP_WATCHES || watch->fd >= DESCRIPTORS) {
		errno = EMFILE;
		return -1;
	}
	loop->watches[loop->count++] = watch;
	return 0;
}

void
loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
	/* Only emptied: loop_wait may be walking over it. It closes the gaps. */
	for (int i = 0; i < loop->count; i++)
		if (loop->watches[i] == watch)
			loop->watches[i] = NULL;
}

void
loop_clear_timer(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **link = &loop->timers;

	if (!timer->set)
		return;
	while (*link != timer)
		link = &(*link)->next;
	*link = timer->next;
	timer->set = false;
}

void
loop_set_timer(struct loop *loop, struct loop_timer *timer, int64_t due)
{
	struct loop_timer **link = &loop->timers;

	loop_clear_timer(loop, timer);
	timer->due = due;
	timer->set = true;
	while (*link != NULL && (*link)->due <= due) /* the earliest stands first */
		link = &(*link)->next;
	timer->next = *link;
	*link = timer;
}

static void
fire_timers(struct loop *loop)
{
	int64_t now =
	    monotonic_now(); /* read once: a timer that sets itself to "now" waits a round */

	while (loop->timers != NULL && loop->timers->due <= now) {
		struct loop_timer *timer = loop->timers;

		loop_clear_timer(loop, timer);
		timer->fire(timer->context);
	}
}

/* Waits under the mask open; a timeout of NULL is for ever. As ppoll(2). */
static int
wait_open(struct pollfd *polled, int count, const struct timespec *timeout, const sigset_t *open)
{
#if defined __linux__ && !defined PORTABLE
	return ppoll(polled, (nfds_t)count, timeout, open);
#else
	/* POSIX.1-2008 has pselect; loop_watch has seen to it that it has room for each of them */
	fd_set in, out;
	int highest = -1, ready;

	FD_ZERO(&in);
	FD_ZERO(&out);
	for (int i = 0; i < count; i++) {
		if (polled[i].events & POLLIN)
			FD_SET(polled[i].fd, &in);
		if (polled[i].events & POLLOUT)
			FD_SET(polled[i].fd, &out);
		highest = polled[i].fd > highest ? polled[i].fd : highest;
	}
	ready = pselect(highest + 1, &in, &out, NULL, timeout, open);
	for (int i = 0; i < count && ready >= 0; i++)
		polled[i].revents = (short)((FD_ISSET(polled[i].fd, &in) ? POLLIN : 0) |
					    (FD_ISSET(polled[i].fd, &out) ? POLLOUT : 0));
	return ready;
#endif
}

static int
list_watches(struct loop *loop, struct pollfd *polled)
{
	int kept = 0;

	for (int i = 0; i < loop->count; i++)
		if (loop->watches[i] != NULL)
			loop->watches[kept++] = loop->watches[i];
	loop->count = kept;
	for (int i = 0; i < kept; i++)
		polled[i] = (struct pollfd){
			.fd = loop->watches[i]->fd,
			.events = loop->watches[i]->events,
		};
	return kept;
}

void
loop_wait(struct loop *loop)
{
	struct pollfd polled[LOOP_WATCHES];
	struct timespec timeout, *limit = NULL;
	int count = list_watches(loop, polled);

	if (loop->timers != NULL) {
		int64_t left = loop->timers->due - monotonic_now();

		left = left > 0 ? left : 0;
		timeout.tv_sec = (time_t)(left / NUMBER_SECOND);
		timeout.tv_nsec = (long)(left % NUMBER_SECOND);
		limit = &timeout;
	}

	int ready = wait_open(polled, count, limit, &loop->open);

	/* With a descriptor ready at once, Linux does not deliver signals at all: a child that never
	 * stops writing would keep TERM waiting. So now and then the mask is opened once more. */
	if (ready > 0 && ++loop->busy % BUSY_ROUNDS == 0)
		(void)wait_open(NULL, 0, &(struct timespec){ 0 }, &loop->open);

	for (int i = 0; i < count && ready > 0; i++) {
		struct loop_watch *watch = loop->watches[i];

		/* NULL by now, if an earlier callback has taken it out */
		if (watch != NULL && polled[i].revents != 0)
			watch->ready(watch->context, polled[i].revents);
	}
	fire_timers(loop);
}
