/* SPDX-License-Identifier: Apache-2.0 */
#include "appraisal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void appraisal_init(struct appraisal *a)
{
	*a = (struct appraisal){ 0 };
}

void appraisal_done(struct appraisal *a)
{
	free(a->reasons);
	appraisal_init(a);
}

void appraisal_pass(struct appraisal *a)
{
	a->checks++;
}

PRINTF_LIKE(5, 0)
static void fill(struct reason *r, bool warning, const char *rule, const char *expected,
		 const char *seen_format, va_list args)
{
	snprintf(r->rule, sizeof(r->rule), "%s", rule);
	snprintf(r->expected, sizeof(r->expected), "%s", expected);
	vsnprintf(r->seen, sizeof(r->seen), seen_format, args);
	r->warning = warning;
}

/* Gives up its place to the reason of a refusal: whoever asks why must find one. */
static struct reason *last_warning(struct appraisal *a)
{
	for (size_t i = a->n; i > 0; i--) {
		if (a->reasons[i - 1].warning)
			return &a->reasons[i - 1];
	}
	return NULL;
}

PRINTF_LIKE(5, 0)
static void add_reason(struct appraisal *a, bool warn_only, const char *rule, const char *expected,
		       const char *seen_format, va_list args)
{
	struct reason *r;

	a->checks++;
	/* Before anything that may fail: a reason that is lost must not lose the refusal. */
	if (!warn_only)
		a->refused = true;
	if (a->n == APPRAISAL_REASONS_MAX) {
		a->uncounted++;
		r = warn_only ? NULL : last_warning(a);
		if (r)
			fill(r, warn_only, rule, expected, seen_format, args);
		return;
	}
	if (!a->reasons) {
		a->reasons = calloc(APPRAISAL_REASONS_MAX, sizeof(*a->reasons));
		if (!a->reasons) {
			a->refused = true;
			a->uncounted++;
			return;
		}
	}
	fill(&a->reasons[a->n++], warn_only, rule, expected, seen_format, args);
}

void appraisal_refuse(struct appraisal *a, const char *rule, const char *expected,
		      const char *seen_format, ...)
{
	va_list args;

	va_start(args, seen_format);
	add_reason(a, false, rule, expected, seen_format, args);
	va_end(args);
}

void appraisal_fail(struct appraisal *a, bool warn_only, const char *rule, const char *expected,
		    const char *seen_format, ...)
{
	va_list args;

	va_start(args, seen_format);
	add_reason(a, warn_only, rule, expected, seen_format, args);
	va_end(args);
}

void appraisal_finish(struct appraisal *a)
{
	a->finished = true;
}

bool appraisal_accepted(const struct appraisal *a)
{
	return a->finished && a->checks > 0 && !a->refused;
}
