/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"

/* What a message looks like on standard error. */
static const char *shown(enum log_level level, const char *text)
{
	static char seen[8192];
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(file);
	assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
	log_at(level, "%s", text);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	rewind(file);
	n = fread(seen, 1, sizeof(seen) - 1, file);
	seen[n] = '\0';
	close(saved);
	fclose(file);
	return seen;
}

static const struct {
	const char *what;
	enum log_level level;
	const char *text, *shown;
} cases[] = {
	{ "a notice", LOG_LEVEL_NOTICE, "hello", "test: hello\n" },
	{ "a warning says so", LOG_LEVEL_WARNING, "hello", "test: warning: hello\n" },
	{ "an error says so", LOG_LEVEL_ERROR, "hello", "test: error: hello\n" },
	{ "what is above the level is left out", LOG_LEVEL_INFO, "hello", "" },
	{ "a forged message", LOG_LEVEL_NOTICE, "x\ntest: error: y",
	  "test: x\n\ttest: error: y\n" },
	{ "an escape sequence", LOG_LEVEL_NOTICE, "\033[2J\r\x7f", "test: \\x1b[2J\\x0d\\x7f\n" },
	{ "UTF-8 and tabs", LOG_LEVEL_NOTICE, "gr\xc3\xbc\xc3\x9f\t!",
	  "test: gr\xc3\xbc\xc3\x9f\t!\n" },
};

static void texts_from_outside_stay_texts(void **state)
{
	unsetenv("JOURNAL_STREAM");
	log_open("test", LOG_LEVEL_NOTICE);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *seen = shown(cases[i].level, cases[i].text);

		if (strcmp(seen, cases[i].shown) != 0)
			fail_msg("%s: %s", cases[i].what, seen);
	}
}

static void a_long_text_is_cut(void **state)
{
	static char text[10000];
	const char *seen;

	memset(text, '\001', sizeof(text) - 1);
	seen = shown(LOG_LEVEL_NOTICE, text);
	assert_in_range(strlen(seen), 1000, 8000);
	assert_int_equal(seen[strlen(seen) - 1], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_from_outside_stay_texts),
		cmocka_unit_test(a_long_text_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
