/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_TERMINAL_H
#define ASSAY_CLI_TERMINAL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "errors.h"

/* What people read. Colours only on a terminal, and not where $NO_COLOR is set (no-color.org). */

enum colour { COLOUR_NONE, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_BOLD };

/* Escape sequence that begins the colour on that stream, or ends it (COLOUR_NONE); or "". */
const char *terminal_colour(FILE *on, enum colour c);

/* A line on standard error: "assay: ...". */
void terminal_error(const char *format, ...) PRINTF_LIKE(1, 2);
void terminal_verror(const char *format, va_list args) PRINTF_LIKE(1, 0);
void terminal_warning(const char *format, ...) PRINTF_LIKE(1, 2);
void terminal_note(const char *format, ...) PRINTF_LIKE(1, 2);

/* Bytes done so far, of total (0: not known), on standard error where that is a terminal. */
struct progress {
	const char *what;
	uint64_t total, done;
	int64_t shown_ns;
	bool shown;
};
void progress_add(struct progress *p, uint64_t bytes);

/* Clears the line. */
void progress_end(struct progress *p);

#endif
