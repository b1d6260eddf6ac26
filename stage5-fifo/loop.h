/*
 * One loop, one call that waits: for descriptors, for points in time, for signals.
 *
 * Watches and timers belong to the caller and must live until they are taken out again. A
 * callback may add or take out any of them, its own too.
 */
#ifndef LOOP_H
#define LOOP_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum { LOOP_WATCHES = 128 }; /* at most, at a time */

struct loop_watch {
	int fd;
	short events; /* POLLIN, POLLOUT, as poll(2) */
	void (*ready)(void *context, short events);
	void *context;
};

struct loop_timer {
	void (*fire)(void *context);
	void *context;
	int64_t due; /* as monotonic_now */
	bool set;
	struct loop_timer *next;
};

struct loop {
	struct loop_watch *watches[LOOP_WATCHES];
	int count;
	struct loop_timer *timers;
	unsigned busy; /* rounds in which a descriptor was ready; see loop_wait */
	sigset_t open; /* signal mask inside the waiting call, from signals_catch */
};

/* Returns 0, or -1 with errno EMFILE: too many watches, or a descriptor too high for pselect. */
int loop_watch(struct loop *loop, struct loop_watch *watch);
void loop_unwatch(struct loop *loop, struct loop_watch *watch); /* one that is not in is fine */

/* A timer fires once; setting it again moves it. */
void loop_set_timer(struct loop *loop, struct loop_timer *timer, int64_t due);
void loop_clear_timer(struct loop *loop, struct loop_timer *timer);

/*
 * Sleeps until something happens, and calls back what is ready or due. A signal makes it return
 * too: look at signals_take after each call.
 */
void loop_wait(struct loop *loop);

#endif
