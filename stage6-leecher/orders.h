/*
 * What can be asked of a running leecher.
 */
#ifndef ORDERS_H
#define ORDERS_H

#include <stdbool.h>
#include <stdio.h>

struct leech;

/* What fifo.h asks for; the context is a struct leech. */
bool orders_obey(void *context, char *words[], int count, FILE *body);

/* One line of status, to the log. */
void orders_log_status(struct leech *leech);

#endif
