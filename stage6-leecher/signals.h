/*
 * Signals: a handler sets a flag, the loop acts on it.
 *
 * The signals are blocked all the time, and open only inside the one call that waits. So none
 * is lost between the look at a flag and the wait, and no handler meets half-done work.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/*
 * Blocks TERM, INT, HUP, USR1 and CHLD and sets their handlers; ignores PIPE. Writes to *open
 * the mask for ppoll or pselect, under which they are delivered.
 */
void signals_catch(sigset_t *open);

/* Has it come since we asked last? Several that came close together count as one (signal(7)). */
bool signals_take(int number);

#endif
