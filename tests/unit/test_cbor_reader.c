/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "verifier/cbor_reader.h"
#include "verifier/cbor_writer.h"

/* CBOR that can be read in one way is read; what is ambiguous, endless or cut short is not. */

#define HEX_BYTES_MAX 64

static struct view decoded(const char *hex, uint8_t to[HEX_BYTES_MAX])
{
	size_t len = strlen(hex) / 2;

	assert_int_equal(hex_decode_exact(hex, to, len), 0);
	return view_of(to, len);
}

static const struct {
	const char *what, *hex;
	bool good; /* as one item, and nothing behind it */
} items[] = {
	{ "zero", "00", true },
	{ "23", "17", true },
	{ "24", "1818", true },
	{ "23 in two bytes", "1817", false },
	{ "256", "190100", true },
	{ "255 in three bytes", "1900ff", false },
	{ "65535 in five bytes", "1a0000ffff", false },
	{ "65536", "1a00010000", true },
	{ "the largest of 32 bits in nine bytes", "1b00000000ffffffff", false },
	{ "the largest number", "1bffffffffffffffff", true },
	{ "-1", "20", true },
	{ "-24 in two bytes", "3817", false },
	{ "no bytes", "40", true },
	{ "two bytes", "420102", true },
	{ "two bytes, their length in two", "58020102", false },
	{ "bytes cut short", "4201", false },
	{ "bytes without an end", "5f4101ff", false },
	{ "text without an end", "7f6161ff", false },
	{ "an array without an end", "9f01ff", false },
	{ "a map without an end", "bf0102ff", false },
	{ "more bytes than there are in the world", "5bffffffffffffffff00", false },
	{ "more items than there are in the world", "9bffffffffffffffff00", false },
	{ "more entries than there are in the world", "bbffffffffffffffff00", false },
	{ "an array of one that has none", "81", false },
	{ "an array of two", "820102", true },
	{ "a map of one", "a10102", true },
	{ "half a map", "a101", false },
	{ "a tag of one byte", "d200", true },
	{ "a tag of two bytes", "d8184100", true },
	{ "tag 18 in two bytes", "d81200", false },
	{ "a tag of nothing", "d2", false },
	{ "true, false, null", "83f5f4f6", true },
	{ "undefined", "f7", false },
	{ "a simple value of no meaning", "f0", false },
	{ "a float", "f93c00", false },
	{ "a break", "ff", false },
	{ "what no byte means", "1c", false },
	{ "15 arrays in one another", "81818181818181818181818181818100", true },
	{ "16 arrays in one another", "8181818181818181818181818181818100", false },
	{ "16 tags", "c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c100", false },
	{ "nothing", "", false },
};

static void items_are_read_in_one_way(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		uint8_t bytes[HEX_BYTES_MAX];
		struct view all = decoded(items[i].hex, bytes), item;
		struct reader r = reader_of(all);
		bool good = cbor_reader_item(&r, &item) == 0 && r.left == 0;

		if (good != items[i].good || (good && !view_equal(item, all)))
			fail_msg("%s", items[i].what);
		/* What failed has not moved. */
		if (!good && cbor_reader_item(&(struct reader){ all.data, all.len }, &item) < 0)
			assert_int_equal(r.left, all.len);
	}
}

static const struct {
	const char *what, *hex;
	int n; /* entries; -1: refused */
} maps[] = {
	{ "none", "a0", 0 },
	{ "-1 and -1", "a220012002", -1 },
	{ "1 and -1", "a201012002", 2 },
	{ "-1 and 1: in any order", "a220010102", 2 },
	{ "by text", "a2616101616202", 2 },
	{ "one key twice", "a201010102", -1 },
	{ "one text twice", "a2616101616102", -1 },
	{ "a number and the text of it", "a20101613102", 2 },
	{ "by bytes", "a1410001", -1 },
	{ "by an array", "a18001", -1 },
	{ "a key past 63 bits", "a11bffffffffffffffff01", -1 },
	{ "no map", "80", -1 },
};

static void maps_have_each_key_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		uint8_t bytes[HEX_BYTES_MAX];
		struct reader r = reader_of(decoded(maps[i].hex, bytes));
		struct cbor_map m;
		int n = cbor_reader_map(&r, &m) == 0 ? (int)m.n : -1;

		if (n != maps[i].n)
			fail_msg("%s: %d", maps[i].what, n);
	}
}

static void a_map_has_room_for_so_many(void **state)
{
	(void)state;
	for (size_t n = CBOR_MAP_MAX; n <= CBOR_MAP_MAX + 1; n++) {
		CLEANUP(bytes_cleanup) struct bytes b = BYTES_INIT(4096);
		struct cbor_map m;
		struct reader r;

		assert_int_equal(cbor_writer_map(&b, n), 0);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(cbor_writer_int(&b, (int64_t)i), 0);
			assert_int_equal(cbor_writer_text(&b, "v"), 0);
		}
		r = reader_of(bytes_view(&b));
		assert_int_equal(cbor_reader_map(&r, &m), n == CBOR_MAP_MAX ? 0 : -EBADMSG);
	}
}

/* Flat, but more than is passed over. */
static void an_item_is_of_so_many(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes b = BYTES_INIT(2 * CBOR_ITEMS_MAX);
	struct view item;
	struct reader r;

	(void)state;
	assert_int_equal(cbor_writer_array(&b, CBOR_ITEMS_MAX), 0);
	for (size_t i = 0; i < CBOR_ITEMS_MAX; i++)
		assert_int_equal(cbor_writer_int(&b, 0), 0);
	r = reader_of(bytes_view(&b));
	assert_int_equal(cbor_reader_item(&r, &item), -EBADMSG);
}

static void what_is_written_is_read(void **state)
{
	static const int64_t numbers[] = { 0,	   23,	  24,	     255,	    256,
					   65535,  65536, 0xffffffff, 0x100000000, INT64_MAX,
					   -1,	   -24,	  -25,	     -256,	    -257,
					   -65537, INT64_MIN };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		CLEANUP(bytes_cleanup) struct bytes b = BYTES_INIT(16);
		struct reader r;
		int64_t n;

		assert_int_equal(cbor_writer_int(&b, numbers[i]), 0);
		r = reader_of(bytes_view(&b));
		assert_int_equal(cbor_reader_int(&r, &n), 0);
		assert_true(n == numbers[i]);
		assert_int_equal(r.left, 0);
	}
}

static void an_item_of_another_kind_is_not_taken(void **state)
{
	static const uint8_t text[] = { 0x61, 'a' };
	struct reader r = reader_of(view_of(text, sizeof(text)));
	struct view v;
	uint64_t n;
	int64_t i;
	size_t count;

	(void)state;
	assert_int_equal(cbor_reader_bytes(&r, &v), -EBADMSG);
	assert_int_equal(cbor_reader_uint(&r, &n), -EBADMSG);
	assert_int_equal(cbor_reader_int(&r, &i), -EBADMSG);
	assert_int_equal(cbor_reader_array(&r, &count), -EBADMSG);
	assert_int_equal(cbor_reader_tag(&r, &n), -EBADMSG);
	assert_int_equal(r.left, sizeof(text));
	assert_int_equal(cbor_reader_text(&r, &v), 0);
	assert_true(view_is(v, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_are_read_in_one_way),
		cmocka_unit_test(maps_have_each_key_once),
		cmocka_unit_test(a_map_has_room_for_so_many),
		cmocka_unit_test(an_item_is_of_so_many),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(an_item_of_another_kind_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
