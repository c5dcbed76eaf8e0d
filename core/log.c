/* SPDX-License-Identifier: Apache-2.0 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static struct {
	const char *name;
	enum log_level level;
	bool journal;
	bool follow_journal;
	bool colour;
} out = { "assay", LOG_LEVEL_INFO, false, false, false };

/* systemd.exec(5): $JOURNAL_STREAM names device and inode of the stream to the journal. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_open(const char *name, enum log_level level)
{
	out.name = name;
	out.level = level;
	out.journal = stderr_is_journal();
	out.colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
}

void log_follow_journal(void)
{
	out.follow_journal = true;
}

static bool to_journal(void)
{
	return out.journal || (out.follow_journal && access(JOURNAL_SOCKET, W_OK) == 0);
}

static const char *colour_on(enum log_level level)
{
	if (!out.colour)
		return "";
	return level <= LOG_LEVEL_ERROR ? "\033[31m" : level == LOG_LEVEL_WARNING ? "\033[33m" : "";
}

/*
 * Texts quote what came from outside. A control character in them could rewrite
 * the terminal, a newline forge a message: lines go on after a tab.
 */
static const char *tame(const char *text, char *to, size_t size)
{
	size_t len = 0;

	for (const unsigned char *s = (const unsigned char *)text; *s && len + 5 < size; s++) {
		if (*s == '\n')
			len += (size_t)snprintf(to + len, size - len, "\n\t");
		else if ((*s < ' ' && *s != '\t') || *s == 0x7f)
			len += (size_t)snprintf(to + len, size - len, "\\x%02x", *s);
		else
			to[len++] = (char)*s;
	}
	to[len] = '\0';
	return to;
}

void log_at(enum log_level level, const char *format, ...)
{
	va_list args;
	char text[2048], shown[4096];

	if (level > out.level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (to_journal()) {
		sd_journal_send("MESSAGE=%s", text, "PRIORITY=%d", level,
				"SYSLOG_IDENTIFIER=%s", out.name, NULL);
		return;
	}
	fprintf(stderr, "%s%s: %s%s%s\n", colour_on(level), out.name,
		level <= LOG_LEVEL_ERROR     ? "error: "
		: level == LOG_LEVEL_WARNING ? "warning: "
					     : "",
		tame(text, shown, sizeof(shown)), out.colour && *colour_on(level) ? "\033[0m" : "");
}

void log_step(const char *step, const char *application, const char *format, ...)
{
	va_list args;
	char text[2048], shown[4096];

	if (LOG_LEVEL_INFO > out.level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (to_journal()) {
		sd_journal_send("MESSAGE=%s %s: %s", step, application, text, "PRIORITY=%d",
				LOG_LEVEL_INFO, "ASSAY_STEP=%s", step, "ASSAY_APPLICATION=%s",
				application, "SYSLOG_IDENTIFIER=%s", out.name, NULL);
		return;
	}
	fprintf(stderr, "%s: %s%-3s%s %s: %s\n", out.name, out.colour ? "\033[36m" : "", step,
		out.colour ? "\033[0m" : "", application, tame(text, shown, sizeof(shown)));
}
