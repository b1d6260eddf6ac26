/*
 * What can be asked of a running repeatd.
 */
#ifndef COMMANDS_H
#define COMMANDS_H

#include <stdbool.h>
#include <stdio.h>

/* What fifo.h asks for; the context is a struct repeat. */
bool commands_obey(void *context, char *words[], int count, FILE *body);

#endif
