#if defined __linux__ && !defined PORTABLE
#define _GNU_SOURCE /* syscall */
#endif
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined __linux__ && !defined PORTABLE
#include <sys/syscall.h>
#endif

#include "log.h"
#include "number.h"
#include "show.h"
#include "staging.h"

enum { TREE_DEPTH = 32 }; /* descriptors that nftw(3) may hold open */

void
staging_path(const struct config *config, const struct entry *entry, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/incoming/%lld", config->state, (long long)entry->id);
}

static void
item_path(const struct config *config, const struct entry *entry, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/incoming/%lld/%s", config->state, (long long)entry->id,
	    entry->name);
}

int
staging_make(const struct config *config, const struct entry *entry)
{
	char path[LONG_PATH];

	(void)snprintf(path, sizeof path, "%s/incoming", config->state);
	(void)mkdir(path, 0700); /* somebody may have cleared it away */
	staging_path(config, entry, path, sizeof path);
	return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -1;
}

int
staging_lock(const struct config *config, const struct entry *entry)
{
	char path[LONG_PATH];
	int fd;

	staging_path(config, entry, path, sizeof path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;

	int why = errno;

	(void)close(fd);
	errno = why;
	return -1;
}

bool
staging_has(const struct config *config, const struct entry *entry)
{
	char path[LONG_PATH];
	struct stat st;

	item_path(config, entry, path, sizeof path);
	return lstat(path, &st) == 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

static int
remove_tree(const char *path)
{
	if (nftw(path, remove_one, TREE_DEPTH, FTW_PHYS | FTW_DEPTH) < 0 && errno != ENOENT)
		return -1;
	return 0;
}

int
staging_remove(const struct config *config, const struct entry *entry)
{
	char path[LONG_PATH];

	staging_path(config, entry, path, sizeof path);
	return remove_tree(path);
}

/* --- what is left over --- */

/* Removes what stands in state/part, is called a number with this suffix, and belongs to nobody. */
static void
sweep(const struct config *config, struct ledger *ledger, const char *part, const char *suffix)
{
	char path[LONG_PATH];
	struct dirent *entry;
	DIR *directory;

	(void)snprintf(path, sizeof path, "%s/%s", config->state, part);
	directory = opendir(path);
	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		size_t len = strlen(entry->d_name), end = strlen(suffix);
		char number[32] = "";
		int64_t id;

		if (len <= end || len - end >= sizeof number ||
		    strcmp(entry->d_name + len - end, suffix) != 0)
			continue;
		memcpy(number, entry->d_name, len - end);
		if (number_whole(number, 10, 1, INT64_MAX, &id) < 0 ||
		    ledger_expects(ledger, id) != 0)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s/%s", config->state, part, entry->d_name);
		log_say(LEVEL_INFO, "removing %s, which belongs to no item", path);
		(void)remove_tree(path);
	}
	if (directory != NULL)
		(void)closedir(directory);
}

void
staging_sweep(const struct config *config, struct ledger *ledger)
{
	sweep(config, ledger, "incoming", "");
	sweep(config, ledger, "logs", ".log");
}

/* --- staging_finish: a walk over the item, in a child; nftw has no context to hand around --- */

static struct {
	int mode;
	long long bytes;
	const char *root; /* of the item, for messages */
} walk;

static int
complain(const char *path, const char *why)
{
	size_t root = strlen(walk.root);

	if (strlen(path) > root)
		fprintf(stderr, "%s: %s\n", path + root + 1, why);
	else
		fprintf(stderr, "%s\n", why); /* the item itself, whose name everybody will add */
	return 1;
}

/*
 * A link may go up, as far as the item's top, and then down: level says how far below the top it
 * stands. ".." is taken only at the beginning, where it means real directories; after a name
 * that may be a link itself nobody can say where it leads.
 */
static bool
leads_outside(const char *target, int level)
{
	bool down = false;

	if (target[0] == '/' || level == 0)
		return true;
	level--; /* to the directory in which the link stands */
	while (*target != '\0') {
		size_t width = strcspn(target, "/");

		if (width == 2 && strncmp(target, "..", 2) == 0) {
			if (down || level == 0)
				return true;
			level--;
		} else if (width > 0 && !(width == 1 && target[0] == '.')) {
			down = true;
		}
		target += width + strspn(target + width, "/");
	}
	return false;
}

static int
check_link(const char *path, int level)
{
	char target[PATH_MAX];
	ssize_t len = readlink(path, target, sizeof target - 1);

	if (len < 0)
		return complain(path, strerror(errno));
	target[len] = '\0';
	return leads_outside(target, level) ? complain(path, "a link that leads outside, refused")
					    : 0;
}

/* Files get the mode, directories also x for whom it gives r. */
static mode_t
mode_of(int type)
{
	mode_t mode = (mode_t)walk.mode;

	return type == FTW_F ? mode : mode | ((mode & 0444) >> 2) | 0700;
}

static int
settle_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	int fd;

	if (type == FTW_SL || type == FTW_SLN)
		return check_link(path, where->level);
	if (type != FTW_F && type != FTW_DP)
		return complain(path, "cannot be read");
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		return complain(path, "neither a file nor a directory");
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return complain(path, strerror(errno));
	if ((walk.mode >= 0 && fchmod(fd, mode_of(type)) < 0) || fsync(fd) < 0) {
		int why = errno;

		(void)close(fd);
		return complain(path, strerror(why));
	}
	(void)close(fd);
	if (type == FTW_F)
		walk.bytes += st->st_size;
	return 0;
}

static int
sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		(void)close(fd);
	return result;
}

static int
sync_parent(char *path)
{
	*strrchr(path, '/') = '\0';
	return sync_directory(path);
}

int
staging_finish(const struct config *config, const struct entry *entry)
{
	static char path[LONG_PATH]; /* walk leads to it, and this process does nothing else */
	int result;

	item_path(config, entry, path, sizeof path);
	walk.mode = config->mode;
	walk.bytes = 0;
	walk.root = path;
	result = nftw(path, settle_one, TREE_DEPTH, FTW_PHYS | FTW_DEPTH);
	if (result < 0)
		return complain(path, strerror(errno));
	if (result > 0)
		return 1;
	/* the item's own name, and that of the directory that holds it */
	staging_path(config, entry, path, sizeof path);
	if (sync_directory(path) < 0 || sync_parent(path) < 0)
		return complain(path, strerror(errno));
	printf("%lld\n", walk.bytes);
	return fflush(stdout) == 0 ? 0 : 1;
}

/* --- publishing --- */

/* rename(2) would put it over what is there. Returns 0, or -1 with errno, EEXIST for that. */
static int
rename_to_free_name(const char *from, const char *to)
{
	struct stat st;

#if defined SYS_renameat2 && defined __linux__ && !defined PORTABLE
	enum { NO_REPLACE = 1 }; /* RENAME_NOREPLACE, Linux 3.15 */

	if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, NO_REPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
#endif
	/* A file system that cannot do it: a look before. Only somebody who makes this very name
	 * between the two calls would lose it. */
	if (lstat(to, &st) == 0) {
		errno = EEXIST;
		return -1;
	}
	return rename(from, to);
}

/* NAME for 0, else NAME.number, cut so that it is not too long for a name. */
static void
candidate(const struct entry *entry, int number, char *name, size_t size)
{
	char suffix[16] = "";

	if (number > 0)
		(void)snprintf(suffix, sizeof suffix, ".%d", number);
	(void)snprintf(name, size, "%.*s%s", (int)(NAME_MAX - strlen(suffix)), entry->name, suffix);
}

static void
explain(const char *what, const char *reason, char *why, size_t size)
{
	(void)snprintf(why, size, "%s: %s", what, reason);
}

/* After the rename: until the ledger says DONE on disk, all is open. */
static enum staging_result
conclude(const struct config *config, struct ledger *ledger, struct entry *entry, char *why,
    size_t size)
{
	if (sync_directory(config->to) < 0) {
		explain(config->to, strerror(errno), why, size);
		return STAGING_OPEN;
	}
	entry->state = LEDGER_DONE;
	entry->reported = false; /* that it failed once may have been told, this was not */
	entry->error[0] = '\0';
	if (ledger_put(ledger, entry) < 0) {
		entry->state = LEDGER_PUBLISHING;
		explain("ledger", ledger_error(ledger), why, size);
		return STAGING_OPEN;
	}
	(void)staging_remove(config, entry);
	return STAGING_DONE;
}

enum staging_result
staging_publish(const struct config *config, struct ledger *ledger, struct entry *entry, char *why,
    size_t size)
{
	char from[LONG_PATH], to[LONG_PATH];

	item_path(config, entry, from, sizeof from);
	for (int number = 0;; number++) {
		candidate(entry, number, entry->published, sizeof entry->published);
		(void)snprintf(to, sizeof to, "%s/%s", config->to, entry->published);
		if (access(to, F_OK) == 0)
			continue;
		entry->state = LEDGER_PUBLISHING;
		if (ledger_put(ledger, entry) < 0) {
			explain("ledger", ledger_error(ledger), why, size);
			return STAGING_FAILED;
		}
		if (rename_to_free_name(from, to) == 0)
			return conclude(config, ledger, entry, why, size);
		if (errno != EEXIST) {
			explain("publish", strerror(errno), why, size);
			return STAGING_FAILED;
		}
	}
}

enum staging_result
staging_recover(const struct config *config, struct ledger *ledger, struct entry *entry, char *why,
    size_t size)
{
	char to[LONG_PATH];
	struct stat st;

	if (staging_has(config, entry))
		return staging_publish(config, ledger, entry, why, size);
	(void)snprintf(to, sizeof to, "%s/%s", config->to, entry->published);
	if (lstat(to, &st) == 0)
		return conclude(config, ledger, entry, why, size);
	/* neither here nor there: whoever took it away, it has to come again */
	explain("publish", "it has gone from incoming/", why, size);
	return STAGING_FAILED;
}

/* --- room --- */

static int64_t staged;

static int
add_size(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)path;
	(void)where;
	if (type == FTW_F)
		staged += (int64_t)st->st_blocks * 512;
	return 0;
}

int
staging_room(const struct config *config, const struct entry *entry, char *why, size_t size)
{
	enum { RESERVE = 16000000 }; /* bytes at most, for the ledger, the log and others */
	char path[LONG_PATH], need[32], room[32];
	struct statvfs fs;
	int64_t missing, available, reserve;

	if (statvfs(config->to, &fs) < 0) {
		explain(config->to, strerror(errno), why, size);
		return -1;
	}
	staging_path(config, entry, path, sizeof path);
	staged = 0;
	(void)nftw(path, add_size, TREE_DEPTH, FTW_PHYS);
	missing = entry->bytes > staged ? entry->bytes - staged : 0;
	available = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
	reserve = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize / 100;
	reserve = reserve < RESERVE ? reserve : RESERVE;
	if (missing == 0 || missing + reserve <= available)
		return 0;
	show_bytes((double)missing, need, sizeof need);
	show_bytes((double)available, room, sizeof room);
	(void)snprintf(why, size, "No space left on device: it needs %s, and %s are free", need,
	    room);
	(void)staging_remove(config, entry);
	return -1;
}
