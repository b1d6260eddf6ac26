/*
 * The configuration: an INI file, every key of it checked.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "words.h"

/* Room for a path of the configuration with names from the source behind it. */
enum { LONG_PATH = PATH_MAX + 3 * NAME_MAX };

enum config_kind { CONFIG_LOCAL, CONFIG_SSH, CONFIG_RSYNCD };

struct config {
	char file[PATH_MAX]; /* where it was read, absolute */

	/* [source] */
	char from[PATH_MAX];   /* ends with a slash: what is in it, not itself */
	enum config_kind kind; /* of from */
	/* The same, parted: for rsync:// at the module's end, else below is empty. A daemon that
	 * does not chroot takes --files-from only at its module's root (rsync 3.5.0). */
	char root[PATH_MAX], below[PATH_MAX];
	struct words list;       /* program and arguments; none: look at from */
	struct words ignore;     /* patterns of fnmatch(3) */
	int64_t settle;          /* nanoseconds */
	int64_t timeout;         /* nanoseconds of silence, for list, ssh and rsync */
	struct words ssh, rsync; /* more arguments for them */

	/* [destination] */
	char to[PATH_MAX]; /* absolute, as it was written */
	int mode;          /* permissions of files; -1: as at the source */

	/* [daemon] */
	int64_t interval;     /* nanoseconds */
	char state[PATH_MAX]; /* absolute */

	/* [report] */
	bool markers;
	char mail[256];        /* empty: no mail */
	struct words sendmail; /* program and arguments */
	struct words on_done, on_failed;
	int64_t report_timeout; /* nanoseconds, for hooks and mail */

	unsigned long long given; /* keys that the file has, one bit each */
	int line_of_to;           /* for messages about what it leads to */
};

/* Where the file is if nobody says: $XDG_CONFIG_HOME or ~/.config. Returns 0, or -1 (too long). */
int config_default_path(char *path, size_t size);

/*
 * Reads the file. Returns 0, or -1 with "FILE:LINE: [section] key: WHY" in why. config_free it
 * in either case.
 */
int config_load(struct config *config, const char *path, char *why, size_t size);
void config_free(struct config *config);

/*
 * Is the destination there, a directory, ours to write, outside of the source, and on one file
 * system with the state? Returns 0, or -1 with the reason in why.
 */
int config_look(const struct config *config, char *why, size_t size);

/* The same, and makes the state's directories. */
int config_prepare(const struct config *config, char *why, size_t size);

#endif
