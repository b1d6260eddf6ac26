/*
 * Looking without touching: what the source reports, and whether all is set up to pull it.
 */
#ifndef LOOK_H
#define LOOK_H

#include "config.h"

/* Prints what the source reports, and how each item stands here. Returns the exit status. */
int look_list(const struct config *config);

/* Prints a line for each thing that has to be right. Returns the exit status. */
int look_check(const struct config *config);

#endif
