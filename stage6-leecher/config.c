#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "io.h"
#include "number.h"

/* Lines of more than 200 bytes, where inih was built so that it can be told (as Debian's is). */
/* NOLINTNEXTLINE(readability-redundant-declaration): it adds "weak": NULL where it is not there */
extern int ini_max_line __attribute__((weak));

/* What one value may be; each returns NULL, or what is wrong with it. */
typedef const char *set_value(void *field, const char *value);

static const char *
set_seconds(void *field, const char *value)
{
	return number_seconds(value, field) < 0 ? "not a number of seconds" : NULL;
}

static const char *
set_some_seconds(void *field, const char *value)
{
	const char *why = set_seconds(field, value);

	return why == NULL && *(int64_t *)field == 0 ? "must be more than 0" : why;
}

static const char *
set_words(void *field, const char *value)
{
	return words_split(field, value) < 0 ? "a quote is not closed" : NULL;
}

/*
 * More arguments for rsync: limits, compression, passwords. Not those that would change what a call
 * does, or what it says: the leecher gives them itself, or must not have them given.
 */
static const char *
refuse_option(const char *word)
{
	static const char *const refused[] = {
		"remove-",
		"del",
		"dry-run",
		"list-only",
		"files-from",
		"from0",
		"relative",
		"recursive",
		"dirs",
		"existing",
		"ignore-",
		"size-only",
		"update",
		"backup",
		"partial",
		"temp-dir",
		"inplace",
		"append",
		"delay-updates",
		"max-delete",
		"verbose",
		"progress",
		"stats",
		"info",
		"debug",
		"out-format",
		"itemize",
		"human",
		"quiet",
		"rsh",
		"daemon",
		"server",
		"sender",
		"copy-dest",
		"compare-dest",
		"link-dest",
		"chmod",
		"atimes",
		"crtimes",
		"write-",
		"read-batch",
		"only-write",
	};

	if (word[0] != '-')
		return "its options are single words: --name=value";
	if (word[1] != '-')
		return strpbrk(word + 1, "nRrdvPihbeqTuUN") != NULL
			   ? "has an option that is not for you to give"
			   : NULL;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		if (strncmp(word + 2, refused[i], strlen(refused[i])) == 0)
			return "has an option that is not for you to give";
	return NULL;
}

static const char *
set_rsync(void *field, const char *value)
{
	const struct words *words = field;
	const char *why = set_words(field, value);

	for (size_t i = 0; why == NULL && i < words->count; i++)
		why = refuse_option(words->word[i]);
	return why;
}

static const char *
set_program(void *field, const char *value)
{
	struct words *words = field;
	const char *why;

	words_free(words); /* the default */
	why = set_words(field, value);
	if (why == NULL && (words->count == 0 || words->word[0][0] == '\0'))
		return "names no program";
	return why;
}

static const char *
set_patterns(void *field, const char *value)
{
	words_free(field); /* the defaults */
	return set_words(field, value);
}

static const char *
copy(char *field, const char *value, size_t size)
{
	if (strlen(value) >= size)
		return "too long";
	memcpy(field, value, strlen(value) + 1);
	return NULL;
}

static const char *
set_path(void *field, const char *value)
{
	if (value[0] != '/')
		return "must be an absolute path";
	return copy(field, value, PATH_MAX - 32);
}

static const char *
set_from(void *field, const char *value)
{
	if (value[0] == '\0')
		return "is empty";
	if (value[0] == '-')
		return "must not begin with a dash";
	return copy(field, value, PATH_MAX - 2); /* a slash may be added */
}

static const char *
set_mode(void *field, const char *value)
{
	int64_t mode;

	if (number_whole(value, 8, 0400, 0777, &mode) < 0 || (mode & 0400) == 0)
		return "not an octal mode that lets its owner read";
	*(int *)field = (int)mode;
	return NULL;
}

static const char *
set_yes_or_no(void *field, const char *value)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return "must be yes or no";
	*(bool *)field = value[0] == 'y';
	return NULL;
}

static const char *
set_address(void *field, const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			return "has a control character";
	return copy(field, value, sizeof((struct config *)0)->mail);
}

#define FIELD(name) offsetof(struct config, name)

static const struct {
	const char *section, *key;
	size_t field;
	set_value *set;
} keys[] = {
	{ "source", "from", FIELD(from), set_from },
	{ "source", "list", FIELD(list), set_program },
	{ "source", "ignore", FIELD(ignore), set_patterns },
	{ "source", "settle", FIELD(settle), set_seconds },
	{ "source", "timeout", FIELD(timeout), set_some_seconds },
	{ "source", "ssh", FIELD(ssh), set_words },
	{ "source", "rsync", FIELD(rsync), set_rsync },
	{ "destination", "to", FIELD(to), set_path },
	{ "destination", "mode", FIELD(mode), set_mode },
	{ "daemon", "interval", FIELD(interval), set_some_seconds },
	{ "daemon", "state", FIELD(state), set_path },
	{ "report", "markers", FIELD(markers), set_yes_or_no },
	{ "report", "mail", FIELD(mail), set_address },
	{ "report", "sendmail", FIELD(sendmail), set_program },
	{ "report", "on_done", FIELD(on_done), set_program },
	{ "report", "on_failed", FIELD(on_failed), set_program },
	{ "report", "timeout", FIELD(report_timeout), set_some_seconds },
};

enum { KEYS = sizeof keys / sizeof keys[0] };

/*
 * What inih hands to its handler. It reports the line of the first error only at the end, of ours as
 * of its own: so we count lines, too.
 */
struct reading {
	struct config *config;
	FILE *file;
	int line;
	char why[512];
	int failed; /* the line that why is about; 0: none */
};

static char *
read_line(char *text, int size, void *context)
{
	struct reading *reading = context;

	reading->line++;
	return fgets(text, size, reading->file);
}

static int
refuse(struct reading *reading, const char *section, const char *key, const char *why)
{
	if (reading->failed == 0) {
		(void)snprintf(reading->why, sizeof reading->why, "[%s] %s: %s", section, key, why);
		reading->failed = reading->line;
	}
	return 0;
}

static int
take_value(void *context, const char *section, const char *key, const char *value)
{
	struct reading *reading = context;

	for (int i = 0; i < KEYS; i++) {
		const char *why;

		if (strcmp(section, keys[i].section) != 0 || strcmp(key, keys[i].key) != 0)
			continue;
		if (reading->config->given & (1ULL << i))
			return refuse(reading, section, key, "given twice");
		reading->config->given |= 1ULL << i;
		why = keys[i].set((char *)reading->config + keys[i].field, value);
		return why == NULL ? 1 : refuse(reading, section, key, why);
	}
	return refuse(reading, section, key, "unknown key");
}

static bool
given(const struct config *config, const char *key)
{
	for (int i = 0; i < KEYS; i++)
		if (strcmp(keys[i].key, key) == 0 && (config->given & (1ULL << i)))
			return true;
	return false;
}

static void
set_defaults(struct config *config)
{
	static const char *const ignored[] = { "*.part", "*.!qB", "*.crdownload", ".*" };

	*config = (struct config){
		.settle = 60 * NUMBER_SECOND,
		.timeout = 60 * NUMBER_SECOND,
		.mode = -1,
		.interval = 300 * NUMBER_SECOND,
		.markers = true,
		.report_timeout = 60 * NUMBER_SECOND,
	};
	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		words_add(&config->ignore, ignored[i]);
	words_add(&config->sendmail, "/usr/sbin/sendmail");
}

/* /path, rsync://host/module/path, or [user@]host:path. Returns NULL, or what is wrong. */
static const char *
classify(struct config *config)
{
	char *from = config->from;
	const char *bracket = from + strcspn(from, "[:/"), *closed = strchr(bracket, ']');
	/* the colons within [::1] are of the host */
	const char *colon = strchr(bracket[0] == '[' && closed != NULL ? closed : from, ':');
	size_t len = strlen(from), root = len;

	if (from[0] == '/') {
		config->kind = CONFIG_LOCAL;
	} else if (strncmp(from, "rsync://", 8) == 0) {
		const char *slash = strchr(from + 8, '/');

		config->kind = CONFIG_RSYNCD;
		if (slash == NULL || slash == from + 8 || slash[1] == '\0' || slash[1] == '/')
			return "names no module: rsync://host/module/path";
		root = (size_t)(slash + 1 - from) + strcspn(slash + 1, "/") + 1;
	} else {
		config->kind = CONFIG_SSH;
		if (colon == NULL || colon == from || memchr(from, '/', (size_t)(colon - from)))
			return "must be host:path, rsync://host/module/path or /path";
		if (colon[1] == ':')
			return "host::module is written rsync://host/module here";
	}
	if (from[len - 1] != '/' && from[len - 1] != ':') {
		memcpy(from + len, "/", 2);
		len++;
	}
	root = root < len ? root : len;
	(void)snprintf(config->root, sizeof config->root, "%.*s", (int)root, from);
	(void)snprintf(config->below, sizeof config->below, "%s", from + root);
	return NULL;
}

static const char *
check_whole(struct config *config)
{
	const char *why;

	if (!given(config, "from"))
		return "[source] from: is missing";
	if (!given(config, "to"))
		return "[destination] to: is missing";
	why = classify(config);
	if (why != NULL)
		return why;
	while (strlen(config->to) > 1 && config->to[strlen(config->to) - 1] == '/')
		config->to[strlen(config->to) - 1] = '\0';
	if (!given(config, "state"))
		(void)snprintf(config->state, sizeof config->state, "%.*s/.leecher",
		    (int)(sizeof config->state - sizeof "/.leecher"), config->to);
	return NULL;
}

int
config_default_path(char *path, size_t size)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int len;

	if (xdg != NULL && xdg[0] == '/')
		len = snprintf(path, size, "%s/leecher/leecher.conf", xdg);
	else
		len = snprintf(path, size, "%s/.config/leecher/leecher.conf",
		    home != NULL ? home : "");
	return len < (int)size ? 0 : -1;
}

/* The line in which a key stands, for errors that show only when all of the file is known. */
static int
line_of(const char *path, const char *key)
{
	char line[4096];
	int number = 0, found = 0;
	FILE *file = fopen(path, "re");

	while (file != NULL && found == 0 && fgets(line, sizeof line, file) != NULL) {
		const char *start = line + strspn(line, " \t");

		number++;
		if (strncmp(start, key, strlen(key)) == 0 &&
		    strchr(" \t=:", start[strlen(key)]) != NULL)
			found = number;
	}
	if (file != NULL)
		(void)fclose(file);
	return found;
}

int
config_load(struct config *config, const char *path, char *why, size_t size)
{
	struct reading reading = { .config = config };
	const char *wrong;
	FILE *file;
	int line;

	set_defaults(config);
	if (io_absolute(path, config->file, sizeof config->file) < 0 ||
	    (file = fopen(config->file, "re")) == NULL) {
		(void)snprintf(why, size, "open %s: %s", path, strerror(errno));
		return -1;
	}
	if (&ini_max_line != NULL)
		ini_max_line = 8192;
	reading.file = file;
	line = ini_parse_stream(read_line, &reading, take_value, &reading);
	if (line == 0 && ferror(file)) {
		(void)snprintf(why, size, "read %s: %s", path, strerror(errno));
		(void)fclose(file);
		return -1;
	}
	(void)fclose(file);
	if (line != 0) {
		(void)snprintf(why, size, "%s:%d: %s", path, line,
		    reading.failed == line ? reading.why
					   : "not understood: neither [section] nor key = value");
		return -1;
	}
	wrong = check_whole(config);
	if (wrong != NULL && wrong[0] == '[') {
		(void)snprintf(why, size, "%s: %s", path, wrong);
		return -1;
	}
	if (wrong != NULL) {
		(void)snprintf(why, size, "%s:%d: [source] from: %s", path,
		    line_of(config->file, "from"), wrong);
		return -1;
	}
	config->line_of_to = line_of(config->file, "to");
	return 0;
}

void
config_free(struct config *config)
{
	words_free(&config->list);
	words_free(&config->ignore);
	words_free(&config->ssh);
	words_free(&config->rsync);
	words_free(&config->sendmail);
	words_free(&config->on_done);
	words_free(&config->on_failed);
}

static int
refuse_to(const struct config *config, const char *reason, char *why, size_t size)
{
	(void)snprintf(why, size, "%s:%d: [destination] to: %s: %s", config->file,
	    config->line_of_to, config->to, reason);
	return -1;
}

/* A destination inside a local source would be pulled into itself, again and again. */
static bool
inside_source(const struct config *config)
{
	char from[PATH_MAX], to[PATH_MAX];
	size_t len;

	if (config->kind != CONFIG_LOCAL || realpath(config->from, from) == NULL ||
	    realpath(config->to, to) == NULL)
		return false;
	len = strlen(from);
	return strncmp(from, to, len) == 0 && (to[len] == '/' || to[len] == '\0' || len == 1);
}

static int
make_directory(const char *path, char *why, size_t size)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	(void)snprintf(why, size, "make %s: %s", path, strerror(errno));
	return -1;
}

/*
 * One file system may be mounted twice (two volumes of a container), and no rename leads across. The
 * last part "." is never renamed, rename(3p), but Linux looks at the mounts before that.
 */
static bool
is_another_mount(const struct config *config)
{
	char state[LONG_PATH], to[LONG_PATH];

	(void)snprintf(state, sizeof state, "%s/.", config->state);
	(void)snprintf(to, sizeof to, "%s/.", config->to);
	return rename(state, to) < 0 && errno == EXDEV;
}

/* The state directory, if it is there already; config_prepare makes one that is not. */
static int
check_state(const struct config *config, const struct stat *to, char *why, size_t size)
{
	struct stat state;

	if (lstat(config->state, &state) < 0) {
		if (errno == ENOENT)
			return 0;
		(void)snprintf(why, size, "%s: %s", config->state, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(state.st_mode) || state.st_uid != geteuid()) {
		(void)snprintf(why, size, "%s: not a directory of ours", config->state);
		return -1;
	}
	if (state.st_dev == to->st_dev && state.st_ino == to->st_ino) {
		(void)snprintf(why, size, "[daemon] state: %s is [destination] to itself",
		    config->state);
		return -1;
	}
	if (state.st_dev != to->st_dev || is_another_mount(config)) {
		(void)snprintf(why, size,
		    "%s is on another file system or mount than %s: publishing by rename "
		    "needs the same",
		    config->state, config->to);
		return -1;
	}
	return 0;
}

int
config_look(const struct config *config, char *why, size_t size)
{
	struct stat to;

	if (stat(config->to, &to) < 0)
		return refuse_to(config, strerror(errno), why, size);
	if (!S_ISDIR(to.st_mode))
		return refuse_to(config, "not a directory", why, size);
	if (access(config->to, R_OK | W_OK | X_OK) < 0)
		return refuse_to(config, strerror(errno), why, size);
	if (inside_source(config))
		return refuse_to(config, "lies inside [source] from", why, size);
	return check_state(config, &to, why, size);
}

int
config_prepare(const struct config *config, char *why, size_t size)
{
	static const char *const parts[] = { "incoming", "logs" };
	char path[LONG_PATH];

	/* once more when it is made: now its file system can be seen */
	if (config_look(config, why, size) < 0 || make_directory(config->state, why, size) < 0 ||
	    config_look(config, why, size) < 0)
		return -1;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", config->state, parts[i]);
		if (make_directory(path, why, size) < 0)
			return -1;
	}
	return 0;
}
