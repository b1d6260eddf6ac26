/*
 * Commands through a named pipe, the client's side.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdint.h>

enum {
	CONTROL_DONE = 0,
	CONTROL_REFUSED = 1,
	CONTROL_USAGE = 2,
	CONTROL_NO_DAEMON = 3,
	CONTROL_NO_ANSWER = 4,
};

/*
 * Sends words (NULL after the last) to the daemon behind fifo, prints the body of the answer on
 * standard output or the daemon's error on standard error, and returns the exit status. Gives up
 * when the whole answer has not come after patience nanoseconds. The FIFO that it makes for the answer is
 * removed in every case; a signal that would end us ends us after that.
 */
int control_ask(const char *program, const char *fifo, int64_t patience, char *const words[]);

#endif
