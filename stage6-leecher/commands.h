/*
 * What can be asked of a running leecher.
 */
#ifndef COMMANDS_H
#define COMMANDS_H

#include <stdbool.h>
#include <stdio.h>

struct leech;

/* What fifo.h asks for; the context is a struct leech. */
bool commands_obey(void *context, char *words[], int count, FILE *body);

/* One line of status, to the log. */
void commands_log_status(struct leech *leech);

#endif
