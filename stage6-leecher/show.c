#include <sys/ioctl.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "monotonic.h"
#include "number.h"
#include "show.h"
#include "text.h"

#define BETWEEN (NUMBER_SECOND / 5) /* two drawings of the bar */

void
show_begin(struct show *show, bool on)
{
	*show = (struct show){ .on = on, .terminal = on && isatty(STDOUT_FILENO) != 0 };
}

void
show_bytes(double bytes, char *text, size_t size)
{
	static const char *const unit[] = { "B", "kB", "MB", "GB", "TB" };
	int i = 0;

	while (bytes >= 999.5 && i < 4) {
		bytes /= 1000;
		i++;
	}
	(void)snprintf(text, size, i == 0 || bytes >= 99.5 ? "%.0f %s" : "%.1f %s", bytes, unit[i]);
}

static int
terminal_width(void)
{
	struct winsize window;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col >= 40)
		return window.ws_col;
	return 80;
}

/* Cuts the text so that it has at most so many characters: UTF-8's later bytes do not count. */
static void
cut(char *text, int characters)
{
	for (; *text != '\0'; text++) {
		if (((unsigned char)*text & 0xc0) == 0x80)
			continue;
		if (characters-- == 0) {
			*text = '\0';
			return;
		}
	}
}

static void
draw_bar(int width, double part)
{
	for (int i = 0; i < width; i++)
		(void)putchar(i < part * width ? '#' : '.');
}

static void
say_time(double seconds, char *text, size_t size)
{
	int whole = seconds < 360000 ? (int)seconds : 360000; /* 100 hours: who would believe it */

	if (whole >= 3600)
		(void)snprintf(text, size, "%d:%02d:%02d", whole / 3600, whole / 60 % 60,
		    whole % 60);
	else
		(void)snprintf(text, size, "%d:%02d", whole / 60, whole % 60);
}

/* NAME [####....]  45%  3.2 MB of 7.1 MB  1.1 MB/s  0:03 */
static void
draw(const char *name, int64_t bytes, int64_t total, double rate)
{
	enum { BAR = 20, FIGURES = 45 }; /* columns */
	char shown[1024], here[32], all[32] = "?", speed[32] = "-", left[48] = "-";
	double part = total > 0 ? (double)bytes / (double)total : 0;
	int room = terminal_width() - BAR - FIGURES - 4;

	part = part > 1 ? 1 : part;
	(void)text_escape(name, strlen(name), shown, sizeof shown);
	cut(shown, room > 8 ? room : 8);
	show_bytes((double)bytes, here, sizeof here);
	if (total >= 0)
		show_bytes((double)total, all, sizeof all);
	if (rate > 0) {
		show_bytes(rate, speed, sizeof speed);
		if (total >= bytes)
			say_time((double)(total - bytes) / rate, left, sizeof left);
	}
	printf("\r%s [", shown);
	draw_bar(BAR, part);
	printf("] %3.0f%% %s of %s %s/s %s\033[K", part * 100, here, all, speed, left);
	(void)fflush(stdout);
}

void
show_progress(struct show *show, const char *name, int64_t bytes, int64_t total, double rate)
{
	int64_t now = monotonic_now();

	if (!show->terminal || now - show->drawn_at < BETWEEN)
		return;
	draw(name, bytes, total, rate);
	show->drawn = true;
	show->drawn_at = now;
}

static void
clear_bar(struct show *show)
{
	if (show->drawn)
		fputs("\r\033[K", stdout);
	show->drawn = false;
}

void
show_line(struct show *show, const char *format, ...)
{
	va_list arguments;

	if (!show->on)
		return;
	clear_bar(show);
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)putchar('\n');
	(void)fflush(stdout); /* a pipe's reader wants each line when it is true */
}

void
show_trouble(struct show *show, const char *format, ...)
{
	va_list arguments;

	if (!show->on)
		return;
	clear_bar(show);
	(void)fflush(stdout);
	fputs("leecher: ", stderr);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
}
