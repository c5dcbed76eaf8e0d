/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_EVERY_NS 200000000

static const char *const sequences[] = {
	[COLOUR_NONE] = "\033[0m",    [COLOUR_RED] = "\033[31m", [COLOUR_GREEN] = "\033[32m",
	[COLOUR_YELLOW] = "\033[33m", [COLOUR_BOLD] = "\033[1m",
};

const char *terminal_colour(FILE *on, enum colour c)
{
	const char *no = getenv("NO_COLOR");

	return (no && no[0]) || !isatty(fileno(on)) ? "" : sequences[c];
}

static void PRINTF_LIKE(3, 0) say(const char *what, enum colour c, const char *format, va_list args)
{
	fprintf(stderr, "%sassay: %s", terminal_colour(stderr, c), what);
	vfprintf(stderr, format, args);
	fprintf(stderr, "%s\n", terminal_colour(stderr, COLOUR_NONE));
}

void terminal_verror(const char *format, va_list args)
{
	say("", COLOUR_RED, format, args);
}

void terminal_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	terminal_verror(format, args);
	va_end(args);
}

void terminal_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("warning: ", COLOUR_YELLOW, format, args);
	va_end(args);
}

void terminal_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("", COLOUR_NONE, format, args);
	va_end(args);
}

void progress_add(struct progress *p, uint64_t bytes)
{
	struct timespec t;
	int64_t now;

	p->done += bytes;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
	if (now - p->shown_ns < PROGRESS_EVERY_NS || !isatty(STDERR_FILENO))
		return;
	p->shown_ns = now;
	p->shown = true;
	if (p->total > 0)
		fprintf(stderr, "\r%s: %3.0f %% of %.1f MiB\033[K", p->what,
			100.0 * (double)p->done / (double)p->total,
			(double)p->total / (1024 * 1024));
	else
		fprintf(stderr, "\r%s: %.1f MiB\033[K", p->what, (double)p->done / (1024 * 1024));
}

void progress_end(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}
