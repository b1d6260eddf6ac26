#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "log.h"
#include "text.h"

enum { TEXT = 4 * 4200 + 1, LINE = TEXT + 200 };

static const char *const names[] = { "error", "warning", "info", "debug" };

static struct {
	const char *program;
	const char *path; /* NULL: standard error */
	pid_t pid;
	int fd;
	bool syslog;
	enum level level;
	time_t second; /* of stamp: formatting it takes longer than all the rest of a line */
	char stamp[32];
	unsigned long lost; /* lines that could not be written, a full disk say */
	int why;            /* errno of the last that was lost */
	bool torn;          /* a part of that one stands in the file, without its end */
} log = { .program = "?", .fd = STDERR_FILENO, .level = LEVEL_INFO };

int
log_level_named(const char *name, enum level *level)
{
	for (int i = LEVEL_ERROR; i <= LEVEL_DEBUG; i++) {
		if (strcmp(name, names[i]) == 0) {
			*level = (enum level)i;
			return 0;
		}
	}
	return -1;
}

const char *
log_level_name(void)
{
	return names[log.level];
}

void
log_set_level(enum level level)
{
	log.level = level;
}

int
log_open(const char *program, const char *path)
{
	bool made;

	log.program = program;
	log.pid = getpid();
	if (strcmp(path, "-") == 0)
		return 0;

	int fd = io_open_append(path, 0640, &made);

	if (fd < 0)
		return -1;
	log.path = path;
	log.fd = fd;
	log.torn = log.torn && lseek(fd, 0, SEEK_END) > 0; /* a new file has no torn line */
	return 0;
}

void
log_to_syslog(const char *program)
{
	log.program = program;
	log.pid = getpid();
	log.syslog = true;
}

int
log_reopen(void)
{
	int old = log.fd;

	if (log.syslog || log.path == NULL)
		return 0;
	if (log_open(log.program, log.path) < 0) {
		int why = errno;

		log_say(LEVEL_ERROR, "open %s: %s: the old log goes on", log.path, strerror(why));
		errno = why;
		return -1;
	}
	(void)close(old); /* every line so far is in it: nothing is buffered here */
	return 0;
}

void
log_close(void)
{
	if (log.syslog || log.path == NULL)
		return;
	(void)close(log.fd);
	log.fd = STDERR_FILENO;
	log.path = NULL;
}

static size_t
start_of_line(char *line, size_t size, enum level level, const char *name, pid_t pid)
{
	struct timespec now;
	struct tm utc;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != log.second) {
		(void)gmtime_r(&now.tv_sec, &utc);
		(void)strftime(log.stamp, sizeof log.stamp, "%Y-%m-%dT%H:%M:%S", &utc);
		log.second = now.tv_sec;
	}
	return (size_t)snprintf(line, size, "%s.%03ldZ %s %.100s[%ld]: ", log.stamp,
	    now.tv_nsec / 1000000, names[level], name, (long)pid);
}

/* As io_write_all, but remembers whether it got stuck in the midst of a line. */
static int
write_line(const char *line, size_t len)
{
	size_t done = 0;
	ssize_t n = 0;

	while (done < len && ((n = write(log.fd, line + done, len - done)) >= 0 || errno == EINTR))
		done += n > 0 ? (size_t)n : 0;
	if (done > 0)
		log.torn = line[done - 1] != '\n';
	return done == len ? 0 : -1;
}

static void
to_file(enum level level, const char *name, pid_t pid, const char *text, size_t len)
{
	char line[LINE];
	size_t used = 0;

	if (log.torn)
		line[used++] = '\n';
	used += start_of_line(line + used, sizeof line - used, level, name, pid);
	used += text_escape(text, len, line + used, sizeof line - used - 1);
	line[used++] = '\n';
	if (write_line(line, used) == 0)
		return;
	log.lost++;
	log.why = errno;
}

static void
to_syslog(enum level level, const char *name, pid_t pid, const char *text, size_t len)
{
	static const int priority[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
	char ident[128], safe[TEXT];

	/* Without LOG_PID, which would always be our pid, never COMMAND's */
	(void)snprintf(ident, sizeof ident, "%.100s[%ld]", name, (long)pid);
	openlog(ident, 0, LOG_DAEMON);
	(void)text_escape(text, len, safe, sizeof safe);
	syslog(priority[level], "%s", safe);
	closelog(); /* ident is ours, and syslog keeps only a pointer to it */
}

/* If lines were lost, the log says how many as soon as it can be written again. */
static void
confess(void)
{
	unsigned long lost = log.lost;
	char text[128];

	int len = snprintf(text, sizeof text, "%lu lines could not be written here: %s", lost,
	    strerror(log.why));

	log.lost = 0;
	to_file(LEVEL_ERROR, log.program, log.pid, text, (size_t)len);
	if (log.lost > 0)
		log.lost = lost;
}

void
log_line(enum level level, const char *name, pid_t pid, const char *text, size_t len)
{
	char safe_name[101];

	if (level > log.level)
		return;
	(void)text_escape(name, strlen(name), safe_name, sizeof safe_name);
	if (log.syslog) {
		to_syslog(level, safe_name, pid, text, len);
		return;
	}
	if (log.lost > 0)
		confess();
	to_file(level, safe_name, pid, text, len);
}

void
log_say(enum level level, const char *format, ...)
{
	char text[4096];
	va_list arguments;

	if (level > log.level)
		return;
	va_start(arguments, format);
	int len = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (len >= (int)sizeof text)
		len = sizeof text - 1;
	log_line(level, log.program, log.pid != 0 ? log.pid : getpid(), text,
	    len > 0 ? (size_t)len : 0);
}
