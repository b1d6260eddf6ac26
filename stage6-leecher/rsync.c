#include <sys/wait.h>

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "number.h"
#include "rsync.h"

static long long
whole_seconds(int64_t ns)
{
	return (long long)((ns + NUMBER_SECOND - 1) / NUMBER_SECOND);
}

/* rsync parts -e into words itself; inside single quotes, two of them mean one (rsync(1)). */
static void
add_quoted(char *command, size_t size, const char *word)
{
	size_t used = strlen(command);

	if (used + 2 * strlen(word) + 4 > size)
		return;
	command[used++] = ' ';
	command[used++] = '\'';
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			command[used++] = '\'';
		command[used++] = *word;
	}
	command[used++] = '\'';
	command[used] = '\0';
}

/*
 * Our options come first, because ssh takes the first value that it is given: it never asks, never
 * trusts a host that nobody has trusted, and sees it when the other side is gone.
 */
static void
add_ssh(struct words *argv, const struct config *config)
{
	char command[16384];

	(void)snprintf(command, sizeof command,
	    "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=%lld"
	    " -o ServerAliveInterval=%lld -o ServerAliveCountMax=3",
	    whole_seconds(config->timeout), whole_seconds(config->timeout / 3));
	for (size_t i = 0; i < config->ssh.count; i++)
		add_quoted(command, sizeof command, config->ssh.word[i]);
	words_add(argv, "-e");
	words_add(argv, command);
}

void
rsync_begin(struct words *argv, const struct config *config)
{
	char option[64];

	words_add(argv, "rsync");
	words_add(argv, "-s"); /* the path reaches the other side as it is */
	words_add(argv, "--no-motd");
	words_add(argv, "--no-human-readable");
	(void)snprintf(option, sizeof option, "--timeout=%lld", whole_seconds(config->timeout));
	words_add(argv, option);
	if (config->kind == CONFIG_RSYNCD) {
		(void)snprintf(option, sizeof option, "--contimeout=%lld",
		    whole_seconds(config->timeout));
		words_add(argv, option);
	}
	if (config->kind == CONFIG_SSH)
		add_ssh(argv, config);
	words_add_all(argv, &config->rsync);
}

char *const *
rsync_environment(void)
{
	static char locale[] = "LC_ALL=C"; /* any byte beyond ASCII is written as \#ooo */
	static char password[] = "RSYNC_PASSWORD=";
	static char *environment[] = { locale, NULL, NULL };

	/* Without one, rsync would open the terminal and ask; there a background group is stopped */
	environment[1] = getenv("RSYNC_PASSWORD") == NULL ? password : NULL;
	return environment;
}

/*
 * The receiver checks the names that come against those that were asked for, and takes a name
 * with a backslash and a wildcard in it for a pattern, which it does not match (rsync 3.5.0).
 */
static bool
is_mistaken_for_a_pattern(const char *name)
{
	return strchr(name, '\\') != NULL && strpbrk(name, "*?[") != NULL;
}

static int
names_file(const struct config *config, const char *const *names, size_t count)
{
	FILE *file = tmpfile();
	int fd;

	if (file == NULL)
		return -1;
	/* What follows "/./" is what is made here. And a name that begins with '#' or ';' would be
	 * a comment without it. */
	for (size_t i = 0; i < count; i++)
		(void)fprintf(file, "%s./%s%c", config->below, names[i], '\0');
	if (fflush(file) != 0 || ferror(file)) {
		(void)fclose(file);
		return -1;
	}
	fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 3);
	(void)fclose(file);
	if (fd >= 0)
		(void)lseek(fd, 0, SEEK_SET);
	return fd;
}

int
rsync_items(struct words *argv, const struct config *config, const char *const *names, size_t count,
    const char *into)
{
	bool mistaken = false;

	for (size_t i = 0; i < count; i++)
		mistaken = mistaken || is_mistaken_for_a_pattern(names[i]);
	if (mistaken)
		words_add(argv, "--trust-sender"); /* for the names alone: ".." it never takes */
	words_add(argv, "--recursive");            /* --files-from switches it off otherwise */
	words_add(argv, "--files-from=-");
	words_add(argv, "--from0");
	words_add(argv, "--");
	words_add(argv, config->root);
	words_add(argv, into);
	return names_file(config, names, count);
}

/* Turns "\#ooo", rsync's way to write a byte that it would not print, back into the byte. */
static void
decode(char *name)
{
	char *out = name;

	while (*name != '\0') {
		if (name[0] == '\\' && name[1] == '#' && name[2] >= '0' && name[2] <= '3' &&
		    name[3] >= '0' && name[3] <= '7' && name[4] >= '0' && name[4] <= '7') {
			*out++ =
			    (char)((name[2] - '0') << 6 | (name[3] - '0') << 3 | (name[4] - '0'));
			name += 5;
		} else {
			*out++ = *name++;
		}
	}
	*out = '\0';
}

bool
rsync_parse(char *line, struct rsync_entry *entry)
{
	/* -rw-r--r--            485 2026/11/21 21:59:49 name */
	static const char shape[] = "/dd/dd dd:dd:dd";
	enum { ROOM = 19 };
	char *at = line + strcspn(line, " "), *end;
	size_t len;

	if (at - line < 10 || *at != ' ')
		return false;
	entry->type = line[0];
	entry->bytes = strtoll(at, &end, 10);
	if (end == at || *end != ' ' || entry->bytes < 0)
		return false;
	at = end + 1;
	/* rsync has room for 19 bytes: a year of five digits cuts the seconds, and so on */
	len = strspn(at, " 0123456789");
	if (len < 4)
		return false;
	for (const char *s = shape; *s != '\0' && !(len == ROOM && at[len] == ' '); s++, len++)
		if (*s == 'd' ? !isdigit((unsigned char)at[len]) : at[len] != *s)
			return false;
	if (at[len] != ' ')
		return false;
	(void)snprintf(entry->time, sizeof entry->time, "%.*s", ROOM, at);
	entry->name = at + len + 1;
	decode(entry->name);
	return entry->name[0] != '\0';
}

bool
rsync_failed(const struct job *job, const struct complaint *complaint, char *why, size_t size)
{
	int status = job->status;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return false;
	if (job->timed_out)
		(void)snprintf(why, size, "no end within its time limit");
	else if (job->stopping)
		(void)snprintf(why, size, "stopped");
	else if (WIFSIGNALED(status))
		(void)snprintf(why, size, "rsync was killed by signal %d", WTERMSIG(status));
	else if (complaint->text[0] != '\0')
		(void)snprintf(why, size, "%s (rsync exit %d)", complaint->text,
		    WEXITSTATUS(status));
	else
		(void)snprintf(why, size, "rsync exit %d", WEXITSTATUS(status));
	return true;
}
