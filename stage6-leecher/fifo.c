#include <sys/stat.h>
#if defined __linux__ && !defined PORTABLE
#include <sys/inotify.h>
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fifo.h"
#include "io.h"
#include "log.h"
#include "monotonic.h"
#include "number.h"
#include "text.h"

#define STALE (1 * NUMBER_SECOND)   /* how long a line may wait for its newline */
#define SILENCE (5 * NUMBER_SECOND) /* how long a client may not read, with an answer waiting */
#define AGAIN (2 * NUMBER_SECOND)   /* between tries to make a lost FIFO again */

enum { ENDING = 1000 /* ms that another daemon may take to let go of the FIFO */ };
enum { ID_LONGEST = 32, FIFO_KEPT = 65536, PIPE_FULL = 64 /* times 16 KiB: pipe(7)'s 1 MiB */ };

/* An answer that did not fit into the client's FIFO at once. Freed when it is through. */
struct client {
	struct fifo *fifo;
	struct loop_watch watch;
	struct loop_timer silence;
	char *data;
	size_t len, sent;
};

/* --- the FIFO itself --- */

static void
close_ends(struct fifo *fifo)
{
	loop_unwatch(fifo->loop, &fifo->watch);
	if (fifo->watch.fd >= 0)
		(void)close(fifo->watch.fd);
	if (fifo->write_end >= 0)
		(void)close(fifo->write_end);
	fifo->watch.fd = fifo->write_end = -1;
}

static bool
still_ours(const struct fifo *fifo)
{
	struct stat st;

	return lstat(fifo->path, &st) == 0 && st.st_dev == fifo->device && st.st_ino == fifo->inode;
}

/* Where the system tells, a change of the name wakes us; else fifo_check looks at each beat. */
static void
watch_name(struct fifo *fifo)
{
#if defined __linux__ && !defined PORTABLE
	if (fifo->changes.fd < 0)
		return;
	if (fifo->name >= 0) /* a FIFO that was only moved away keeps its watch */
		(void)inotify_rm_watch(fifo->changes.fd, fifo->name);
	fifo->name = inotify_add_watch(fifo->changes.fd, fifo->path, IN_ATTRIB | IN_MOVE_SELF);
#else
	(void)fifo;
#endif
}

/* Opens both ends. The read end first: a write end alone would have to wait for it. */
static int
open_ends(struct fifo *fifo)
{
	struct stat st;

	fifo->watch.fd = open(fifo->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fifo->watch.fd < 0)
		return -1;
	fifo->write_end = open(fifo->path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fifo->write_end < 0 || fstat(fifo->watch.fd, &st) < 0)
		return -1;
	/* Nobody can have put another FIFO there since we made ours, or we do not use it */
	if (!S_ISFIFO(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
		errno = EPERM;
		return -1;
	}
	fifo->device = st.st_dev;
	fifo->inode = st.st_ino;
	watch_name(fifo);
	if (still_ours(fifo))
		return 0;
	errno = EPERM; /* replaced before there was a watch to tell us */
	return -1;
}

/*
 * A leftover of ours is removed: nobody reads it, so that it cannot be opened for writing (fifo(7)).
 * A reader may take so many milliseconds to end. Returns NULL, or what else stands there.
 */
static const char *
clear_place(const char *path, int patience)
{
	struct stat st;
	struct pollfd end = { .fd = -1 };

	if (lstat(path, &st) < 0)
		return NULL;
	if (!S_ISFIFO(st.st_mode) || st.st_uid != geteuid())
		return "there is something else of that name";
	end.fd = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (end.fd < 0 && (errno == EMFILE || errno == ENFILE))
		return strerror(errno); /* who knows whether it is read */
	if (end.fd >= 0) {
		bool ended = poll(&end, 1, patience) > 0; /* POLLERR: the last reader has gone */

		(void)close(end.fd);
		if (!ended)
			return "in use by another daemon";
	}
	(void)unlink(path);
	return NULL;
}

static int
make(struct fifo *fifo, int patience, char *why, size_t size)
{
	const char *other;
	mode_t mask;
	int made, error, tries = 0;

	/* Another daemon, whose FIFO was removed, may be at it, too */
	do {
		other = clear_place(fifo->path, patience);
		if (other != NULL) {
			(void)snprintf(why, size, "make %s: %s", fifo->path, other);
			return -1;
		}
		mask = umask(0);
		made = mkfifo(fifo->path, 0600);
		(void)umask(mask);
	} while (made < 0 && errno == EEXIST && ++tries < 10);
	if (made < 0 || open_ends(fifo) < 0 || loop_watch(fifo->loop, &fifo->watch) < 0) {
		error = errno;
		(void)snprintf(why, size, "make %s: %s", fifo->path, strerror(error));
		close_ends(fifo);
		if (made == 0 && error != EPERM) /* what stands there is the one that we made */
			(void)unlink(fifo->path);
		return -1;
	}
	return 0;
}

/* --- answers --- */

static void
drop(struct client *client)
{
	loop_unwatch(client->fifo->loop, &client->watch);
	loop_clear_timer(client->fifo->loop, &client->silence);
	(void)close(client->watch.fd); /* the client's end of file */
	client->fifo->clients--;
	free(client->data);
	free(client);
}

static void
client_is_silent(void *context)
{
	log_say(LEVEL_WARNING, "a client does not read its answer, dropped");
	drop(context);
}

/*
 * Writes what the FIFO takes, from *sent on. Returns true when nothing is left to do: all is
 * written, or the client has gone (EPIPE) and wants nothing any more.
 */
static bool
push(int fd, const char *data, size_t len, size_t *sent)
{
	while (*sent < len) {
		ssize_t n = write(fd, data + *sent, len - *sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno != EAGAIN;
		*sent += (size_t)n;
	}
	return true;
}

static void
client_ready(void *context, short events)
{
	struct client *client = context;

	(void)events;
	if (push(client->watch.fd, client->data, client->len, &client->sent))
		drop(client);
	else
		loop_set_timer(client->fifo->loop, &client->silence, monotonic_now() + SILENCE);
}

/* What did not fit waits until its client has read. Takes over fd. */
static void
wait_for_reader(struct fifo *fifo, int fd, const char *data, size_t len)
{
	struct client *client = malloc(sizeof *client);
	char *copy = malloc(len);

	if (client == NULL || copy == NULL || fifo->clients == FIFO_CLIENTS)
		goto fail;
	memcpy(copy, data, len);
	*client = (struct client){
		.fifo = fifo,
		.data = copy,
		.len = len,
		.watch = { .fd = fd, .events = POLLOUT, .ready = client_ready, .context = client },
		.silence = { .fire = client_is_silent, .context = client },
	};
	if (loop_watch(fifo->loop, &client->watch) < 0)
		goto fail;
	fifo->clients++;
	loop_set_timer(fifo->loop, &client->silence, monotonic_now() + SILENCE);
	return;
fail:
	log_say(LEVEL_WARNING, "too many clients do not read their answers, one dropped");
	free(client);
	free(copy);
	(void)close(fd);
}

/* Takes over fd. */
static void
answer(struct fifo *fifo, int fd, const char *data, size_t len)
{
	size_t sent = 0;

	if (push(fd, data, len, &sent))
		(void)close(fd); /* the client's end of file */
	else
		wait_for_reader(fifo, fd, data + sent, len - sent);
}

/*
 * Opens the FIFO that a client waits at. Never blocks: without a reader it fails with ENXIO.
 * A link, a file, somebody else's FIFO: not opened, whoever put it there.
 */
static int
open_answer(const struct fifo *fifo, const char *id)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (snprintf(path, sizeof path, "%s.%s", fifo->path, id) >= (int)sizeof path)
		return -1;
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENXIO || errno == ENOENT)) {
		log_say(LEVEL_INFO, "answer to %s: the client has gone", path);
		return -1;
	}
	if (fd < 0) {
		log_say(LEVEL_WARNING, "answer to %s: %s", path, strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) || st.st_uid != geteuid()) {
		log_say(LEVEL_WARNING, "%s is not a FIFO of ours: no answer", path);
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* --- commands --- */

/* Parts the line into words, in place. Returns their number, or -1 with *why. */
static int
split(char *line, char *words[], const char **why)
{
	int count = 0;

	for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
		*why = "too many words";
		if (count == FIFO_WORDS)
			return -1;
		*why = "bad \\x in a word";
		if (text_decode(word) < 0)
			return -1;
		words[count++] = word;
	}
	words[count] = NULL;
	return count;
}

/*
 * Carries it out. The answer is written to one stream, which is kept: *text is valid until the
 * next one. Returns NULL when there is no memory for it.
 */
static const char *
carry_out(struct fifo *fifo, char *words[], int count, size_t *len, bool *done)
{
	/* room in front for the word that says how it went, which is known only afterwards */
	static const char refused[] = "error: ", well[] = "ok\n";
	enum { FRONT = sizeof refused - 1, WELL = sizeof well - 1 };

	if (fifo->body == NULL)
		fifo->body = open_memstream(&fifo->text, &fifo->len);
	if (fifo->body == NULL)
		return NULL;
	rewind(fifo->body); /* clears an earlier error, too */
	(void)fputs(refused, fifo->body);
	*done = fifo->command(fifo->context, words, count, fifo->body);
	if (!*done)
		(void)putc('\n', fifo->body);
	if (fflush(fifo->body) != 0)
		return NULL;
	*len = fifo->len;
	if (!*done)
		return fifo->text;
	memcpy(fifo->text + FRONT - WELL, well, WELL);
	*len -= FRONT - WELL;
	return fifo->text + FRONT - WELL;
}

/* A long answer's memory is given back; for the usual ones it is kept. */
static void
tidy_up(struct fifo *fifo)
{
	if (fifo->body == NULL || fifo->len < FIFO_KEPT)
		return;
	(void)fclose(fifo->body);
	free(fifo->text);
	fifo->body = NULL;
	fifo->text = NULL;
	fifo->len = 0;
}

static void
log_answer(const char *command, bool done, const char *text, size_t len)
{
	const char *end = text + len, *newline;

	for (; text < end && (newline = memchr(text, '\n', (size_t)(end - text))) != NULL;
	     text = newline + 1)
		log_say(done ? LEVEL_INFO : LEVEL_WARNING, "command %s: %.*s", command,
		    (int)(newline - text), text);
}

static bool
good_id(const char *id)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t len = strlen(id);

	return len > 0 && len <= ID_LONGEST && strspn(id, letters) == len;
}

static void
ignore(const char *why, const char *line, size_t len)
{
	char shown[200];

	(void)text_escape(line, len, shown, sizeof shown);
	log_say(LEVEL_WARNING, "command ignored, %s: %s", why, shown);
}

/* A line that nobody waits for the answer of: the log gets it. */
static void
obey_silently(struct fifo *fifo, char *line)
{
	char *words[FIFO_WORDS + 1];
	const char *why, *text;
	size_t len;
	bool done;
	int count = split(line, words, &why);

	if (count < 0)
		ignore(why, line, strlen(line)); /* the first word is left of it */
	if (count <= 0)
		return;
	text = carry_out(fifo, words, count, &len, &done);
	if (text != NULL)
		log_answer(words[0], done, text, len);
	else
		log_say(LEVEL_ERROR, "command %s: no memory for the answer", words[0]);
	tidy_up(fifo);
}

static void
obey_and_answer(struct fifo *fifo, const char *id, char *line)
{
	char *words[FIFO_WORDS + 1], refused[64];
	const char *why = "no command", *text = refused;
	size_t len = 0;
	bool done;
	int count, fd = open_answer(fifo, id);

	if (fd < 0)
		return; /* the answer is part of what was asked for */
	count = split(line, words, &why);
	if (count > 0)
		text = carry_out(fifo, words, count, &len, &done);
	else
		len = (size_t)snprintf(refused, sizeof refused, "error: %s\n", why);
	answer(fifo, fd, text, text != NULL ? len : 0); /* without memory, an end of file */
	tidy_up(fifo);
}

/* One line of len bytes, with NUL in place of its newline. */
static void
obey(struct fifo *fifo, char *line, size_t len)
{
	char *rest = line + strcspn(line, " ");

	if (len == 0)
		return; /* a client's protection against a neighbour's missing newline */
	if (strlen(line) != len) {
		ignore("a NUL in it", line, len);
		return;
	}
	if (line[0] != '@') {
		obey_silently(fifo, line);
		return;
	}
	if (*rest != '\0')
		*rest++ = '\0';
	if (good_id(line + 1))
		obey_and_answer(fifo, line + 1, rest);
	else
		ignore("a bad ID", line, strlen(line));
}

/* --- from bytes to lines --- */

static void
too_old(void *context)
{
	struct fifo *fifo = context;
	char shown[200];

	(void)text_escape(fifo->line, fifo->used, shown, sizeof shown);
	if (!fifo->discarding)
		log_say(LEVEL_WARNING, "command without its newline thrown away: %s", shown);
	fifo->used = 0;
	fifo->discarding = false;
}

static void
take_byte(struct fifo *fifo, char byte)
{
	if (byte == '\n') {
		fifo->line[fifo->used] = '\0'; /* there is room: see below */
		if (!fifo->discarding)
			obey(fifo, fifo->line, fifo->used);
		fifo->used = 0;
		fifo->discarding = false;
		return;
	}
	if (fifo->discarding)
		return;
	if (fifo->used == sizeof fifo->line - 1) { /* it leaves no room for the newline */
		log_say(LEVEL_WARNING, "command of more than %zu bytes thrown away",
		    sizeof fifo->line);
		fifo->used = 0;
		fifo->discarding = true;
		return;
	}
	fifo->line[fifo->used++] = byte;
}

/* Takes what is there, up to four longest commands at a time. Returns false when that was nothing. */
static bool
read_some(struct fifo *fifo)
{
	char data[4 * PIPE_BUF];
	ssize_t n;

	while ((n = read(fifo->watch.fd, data, sizeof data)) < 0 && errno == EINTR)
		;
	for (ssize_t i = 0; i < n; i++)
		take_byte(fifo, data[i]);
	return n > 0;
}

static void
read_commands(void *context, short events)
{
	struct fifo *fifo = context;

	(void)events;
	(void)read_some(fifo);
	if (fifo->used > 0 || fifo->discarding)
		loop_set_timer(fifo->loop, &fifo->stale, monotonic_now() + STALE);
	else
		loop_clear_timer(fifo->loop, &fifo->stale);
}

/* --- the FIFO deleted or replaced --- */

static void
make_again(void *context)
{
	struct fifo *fifo = context;
	char why[PATH_MAX + 100];

	if (make(fifo, 0, why, sizeof why) == 0) {
		log_say(LEVEL_WARNING, "%s was made again", fifo->path);
		return;
	}
	if (!fifo->complained)
		log_say(LEVEL_ERROR, "%s", why);
	fifo->complained = true;
	loop_set_timer(fifo->loop, &fifo->again, monotonic_now() + AGAIN);
}

void
fifo_check(struct fifo *fifo)
{
	if (fifo->watch.fd < 0 || still_ours(fifo))
		return;
	log_say(LEVEL_WARNING, "%s was removed or replaced", fifo->path);
	/* what was written before still waits in it; bounded, for a writer that never stops */
	for (int i = 0; i < PIPE_FULL && read_some(fifo); i++)
		;
	close_ends(fifo);
	fifo->used = 0;
	fifo->discarding = false;
	loop_clear_timer(fifo->loop, &fifo->stale);
	fifo->complained = false;
	make_again(fifo);
}

static void
name_changed(void *context, short events)
{
	struct fifo *fifo = context;
	char ignored[4096];

	(void)events;
	/* what exactly happened does not matter: the look at the name tells */
	(void)!read(fifo->changes.fd, ignored, sizeof ignored);
	fifo_check(fifo);
}

int
fifo_open(struct fifo *fifo, char *why, size_t size)
{
	fifo->watch = (struct loop_watch){
		.fd = -1,
		.events = POLLIN,
		.ready = read_commands,
		.context = fifo,
	};
	fifo->changes = (struct loop_watch){
		.fd = -1,
		.events = POLLIN,
		.ready = name_changed,
		.context = fifo,
	};
	fifo->write_end = fifo->name = -1;
	fifo->stale = (struct loop_timer){ .fire = too_old, .context = fifo };
	fifo->again = (struct loop_timer){ .fire = make_again, .context = fifo };
#if defined __linux__ && !defined PORTABLE
	fifo->changes.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fifo->changes.fd >= 0)
		(void)loop_watch(fifo->loop, &fifo->changes);
#endif
	return make(fifo, ENDING, why, size);
}

void
fifo_close(struct fifo *fifo)
{
	if (fifo->watch.fd >= 0 && still_ours(fifo))
		(void)unlink(fifo->path);
	close_ends(fifo);
	loop_clear_timer(fifo->loop, &fifo->stale);
	loop_clear_timer(fifo->loop, &fifo->again);
	if (fifo->body != NULL)
		(void)fclose(fifo->body);
	free(fifo->text);
	fifo->body = NULL;
	fifo->text = NULL;
	if (fifo->changes.fd >= 0) {
		loop_unwatch(fifo->loop, &fifo->changes);
		(void)close(fifo->changes.fd);
		fifo->changes.fd = -1;
	}
}
