/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bytes.h"

static const uint8_t input[] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static void a_maximum_holds(void **state)
{
	struct bytes b = BYTES_INIT(10);

	(void)state;
	assert_int_equal(bytes_append(&b, input, 8), 0);
	assert_int_equal(bytes_append(&b, input, 3), -EMSGSIZE);
	assert_int_equal(b.len, 8);
	assert_int_equal(bytes_append(&b, input, 2), 0);
	assert_int_equal(bytes_append(&b, input, SIZE_MAX), -EMSGSIZE);
	assert_int_equal(b.len, 10);
	bytes_done(&b);
}

static void numbers_read_in_both_orders(void **state)
{
	struct reader r = reader_of(view_of(input, sizeof(input)));
	uint16_t n16;
	uint32_t n32;
	uint64_t n64;
	uint8_t n8;

	(void)state;
	assert_int_equal(read_be16(&r, &n16), 0);
	assert_int_equal(n16, 0x0102);
	assert_int_equal(read_le32(&r, &n32), 0);
	assert_int_equal(n32, 0x06050403);
	assert_int_equal(read_be32(&r, &n32), -EBADMSG);
	assert_int_equal(r.left, 2);
	assert_int_equal(read_u8(&r, &n8), 0);
	assert_int_equal(n8, 7);
	assert_int_equal(read_be64(&r, &n64), -EBADMSG);
	assert_int_equal(read_u8(&r, &n8), 0);
	assert_int_equal(read_u8(&r, &n8), -EBADMSG);
}

static void each_read_cut_short_is_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < 8; len++) {
		struct reader r = reader_of(view_of(input, len));
		uint64_t n;
		struct view v;

		assert_int_equal(read_le64(&r, &n), -EBADMSG);
		assert_int_equal(read_view(&r, len + 1, &v), -EBADMSG);
		assert_int_equal(r.left, len);
	}
}

static const struct {
	const char *what, *text;
	int r;
} hex_cases[] = {
	{ "lower case", "00ff10ab", 0 },	  { "upper case", "00FF10AB", 0 },
	{ "an odd number of digits", "00ff10a", -EINVAL }, { "not a digit", "00ff10ag", -EINVAL },
	{ "too long", "00ff10ab00", -EINVAL },	  { "empty", "", -EINVAL },
};

static void hex_is_read_strictly(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hex_cases); i++) {
		uint8_t out[4] = { 0 };
		int r = hex_decode_exact(hex_cases[i].text, out, sizeof(out));

		if (r != hex_cases[i].r)
			fail_msg("%s: %d", hex_cases[i].what, r);
		if (r == 0)
			assert_memory_equal(out, "\x00\xff\x10\xab", 4);
	}
}

static void a_text_may_fill_all_the_room(void **state)
{
	struct bytes b = BYTES_INIT(10);

	(void)state;
	assert_int_equal(bytes_printf(&b, "%s", "0123456789a"), -EMSGSIZE);
	assert_int_equal(b.len, 0);
	assert_int_equal(bytes_printf(&b, "%s-%d", "01234567", 9), 0);
	assert_memory_equal(b.data, "01234567-9", 10);
	assert_int_equal(bytes_printf(&b, "x"), -EMSGSIZE);
	bytes_done(&b);
}

static const struct {
	const char *what, *text, *pieces[4];
} lines[] = {
	{ "nothing at all", "", { NULL } },
	{ "no stop: all that is left", "abc", { "abc", NULL } },
	{ "between stops", "a,bc,d", { "a", "bc", "d", NULL } },
	{ "empty pieces", ",a,,", { "", "a", "", NULL } },
	{ "only a stop", ",", { "", NULL } },
};

static void pieces_end_at_the_stop(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct reader r = reader_of(view_text(lines[i].text));
		struct view v = view_text("untouched");
		size_t n = 0;

		for (; lines[i].pieces[n]; n++) {
			if (read_until(&r, ',', &v) != 0 || !view_is(v, lines[i].pieces[n]))
				fail_msg("%s: piece %zu", lines[i].what, n);
		}
		v = view_text("untouched");
		if (read_until(&r, ',', &v) != -EBADMSG || !view_is(v, "untouched"))
			fail_msg("%s: goes on", lines[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_maximum_holds),
		cmocka_unit_test(numbers_read_in_both_orders),
		cmocka_unit_test(each_read_cut_short_is_refused),
		cmocka_unit_test(hex_is_read_strictly),
		cmocka_unit_test(a_text_may_fill_all_the_room),
		cmocka_unit_test(pieces_end_at_the_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
