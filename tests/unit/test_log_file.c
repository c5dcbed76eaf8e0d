/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "collectors/log_file.h"

/* What the lines were, each ended by '|'. */
struct heard {
	char text[64 * 1024];
	size_t len, lines;
};

static int on_line(void *arg, char *line, size_t len)
{
	struct heard *h = arg;

	assert_int_equal(line[len], '\0');
	assert_true(h->len + len + 2 < sizeof(h->text));
	memcpy(h->text + h->len, line, len);
	h->len += len;
	h->text[h->len++] = '|';
	h->text[h->len] = '\0';
	h->lines++;
	return 0;
}

static const struct {
	const char *what, *text, *lines;
} cases[] = {
	{ "two lines", "one\ntwo\n", "one|two|" },
	{ "the last is not ended", "one\ntw", "one|" },
	{ "empty lines are lines", "\n\na\n", "||a|" },
	{ "nothing", "", "" },
	{ "no line end at all", "abc", "" },
};

/* However the bytes come in pieces, the lines are the same. */
static void lines_do_not_depend_on_the_pieces(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = strlen(cases[i].text);

		for (size_t piece = 1; piece <= len + 1; piece++) {
			struct heard h = { .len = 0 };
			struct log_reading reading = { .on_line = on_line, .arg = &h };
			struct log_file f = { .fd = -1, .line = BYTES_INIT(LOG_LINE_MAX + 1) };

			for (size_t at = 0; at < len; at += piece) {
				size_t n = len - at < piece ? len - at : piece;
				int r = log_file_lines(&f, &reading,
						       view_of(cases[i].text + at, n));

				assert_int_equal(r, 0);
			}
			if (strcmp(h.text, cases[i].lines) != 0)
				fail_msg("%s, in pieces of %zu: %s", cases[i].what, piece, h.text);
			log_file_close(&f);
		}
	}
}

static void a_long_line_is_cut_and_the_next_is_whole(void **state)
{
	static char text[3 * LOG_LINE_MAX];
	struct log_file f = { .fd = -1, .line = BYTES_INIT(LOG_LINE_MAX + 1) };
	static struct heard h;
	struct log_reading reading = { .on_line = on_line, .arg = &h };

	memset(text, 'a', sizeof(text));
	assert_int_equal(log_file_lines(&f, &reading, view_of(text, sizeof(text))), 0);
	assert_int_equal(log_file_lines(&f, &reading, view_text("a\nshort\n")), 0);
	assert_int_equal(h.lines, 2);
	assert_int_equal(h.len, LOG_LINE_MAX + 1 + strlen("short|"));
	assert_string_equal(h.text + LOG_LINE_MAX, "|short|");
	log_file_close(&f);
}

static int refuse(void *arg, char *line, size_t len)
{
	return -ENOMEM;
}

static void the_callbacks_error_comes_back(void **state)
{
	struct log_file f = { .fd = -1, .line = BYTES_INIT(LOG_LINE_MAX + 1) };
	struct log_reading reading = { .on_line = refuse };

	assert_int_equal(log_file_lines(&f, &reading, view_text("a\nb\n")), -ENOMEM);
	log_file_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_do_not_depend_on_the_pieces),
		cmocka_unit_test(a_long_line_is_cut_and_the_next_is_whole),
		cmocka_unit_test(the_callbacks_error_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
