/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "quantity.h"

#define REFUSED UINT64_MAX /* in the table: -EINVAL, and *ret untouched */

struct number_case {
	const char *text;
	uint64_t value;
};

static void check(const char *what, int (*read)(const char *, uint64_t *),
		  const struct number_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t got = REFUSED;
		int r = read(cases[i].text, &got);

		if (got != cases[i].value || r != (got == REFUSED ? -EINVAL : 0))
			fail_msg("%s \"%s\": %d, %llu", what, cases[i].text, r,
				 (unsigned long long)got);
	}
}

static const struct number_case counts[] = {
	{ "0", 0 },
	{ "1", 1 },
	{ "4096", 4096 },
	{ "18446744073709551614", UINT64_MAX - 1 },
	{ "18446744073709551616", REFUSED },
	{ "010", REFUSED },
	{ "0x10", REFUSED },
	{ "+1", REFUSED },
	{ "-1", REFUSED },
	{ " 1", REFUSED },
	{ "1 ", REFUSED },
	{ "1.0", REFUSED },
	{ "", REFUSED },
};

static const struct number_case sizes[] = {
	{ "0", 0 },
	{ "1048576", 1048576 },
	{ "512KiB", 524288 },
	{ "10MiB", 10485760 },
	{ "2GiB", UINT64_C(2147483648) },
	{ "1TiB", UINT64_C(1) << 40 },
	{ "16777216TiB", REFUSED }, /* 2^64 */
	{ "10MB", REFUSED },
	{ "10M", REFUSED },
	{ "10mib", REFUSED },
	{ "1.5GiB", REFUSED },
	{ "10 MiB", REFUSED },
	{ "MiB", REFUSED },
	{ "-1KiB", REFUSED },
	{ "1e3", REFUSED },
};

static const struct number_case durations[] = {
	{ "100us", 100000 },
	{ "100ms", 100000000 },
	{ "10s", UINT64_C(10000000000) },
	{ "5m", UINT64_C(300000000000) },
	{ "2h", UINT64_C(7200000000000) },
	{ "1d", UINT64_C(86400000000000) },
	{ "0s", REFUSED },
	{ "10", REFUSED },
	{ "1.5s", REFUSED },
	{ "10S", REFUSED },
	{ "1m30s", REFUSED },
	{ "213504d", REFUSED }, /* past 64 bits of nanoseconds */
	{ "s", REFUSED },
};

static const struct number_case milli[] = {
	{ "2", 2000 },
	{ "0", 0 },
	{ "1.8", 1800 },
	{ "0.125", 125 },
	{ "0.001", 1 },
	{ "1.05", 1050 },
	{ "0.0001", REFUSED },
	{ ".5", REFUSED },
	{ "1.", REFUSED },
	{ "01.5", REFUSED },
	{ "1,8", REFUSED },
	{ "1.8.1", REFUSED },
	{ "18446744073709552", REFUSED },
};

static void numbers_are_read_strictly(void **state)
{
	(void)state;
	check("count", quantity_count, counts, ARRAY_LEN(counts));
	check("size", quantity_size, sizes, ARRAY_LEN(sizes));
	check("duration", quantity_duration, durations, ARRAY_LEN(durations));
	check("thousandths", quantity_milli, milli, ARRAY_LEN(milli));
}

static int time_of_day(const char *text, uint64_t *ret)
{
	uint32_t s;
	int r = quantity_time_of_day(text, &s);

	if (r == 0)
		*ret = s;
	return r;
}

static int every(const char *text, uint64_t *ret)
{
	uint32_t n;
	int r = quantity_every(text, &n);

	if (r == 0)
		*ret = n;
	return r;
}

static int instant(const char *text, uint64_t *ret)
{
	int64_t t;
	int r = quantity_instant(text, &t);

	if (r == 0)
		*ret = (uint64_t)t;
	return r;
}

static const struct number_case times[] = {
	{ "00:00", 0 },	      { "02:00", 7200 },     { "02:00:30", 7230 },  { "23:59:59", 86399 },
	{ "24:00", REFUSED }, { "2:00", REFUSED },   { "02:60", REFUSED },  { "02:00:60", REFUSED },
	{ "02", REFUSED },    { "02:00:", REFUSED }, { "02:00 ", REFUSED }, { "", REFUSED },
};

static const struct number_case reports[] = {
	{ "each", 1 },		{ "every 1", 1 },	   { "every 6", 6 },
	{ "every 1000", 1000 }, { "every 1001", REFUSED }, { "every 0", REFUSED },
	{ "every", REFUSED },	{ "every  6", REFUSED },   { "6", REFUSED },
	{ "Each", REFUSED },
};

/* Values from date -d ... +%s. */
static const struct number_case instants[] = {
	{ "1970-01-01T00:00:00Z", 0 },
	{ "2026-11-21T20:43:22Z", 1795293802 },
	{ "2026-11-21T21:43:22+01:00", 1795293802 },
	{ "2026-11-21T15:13:22-05:30", 1795293802 },
	{ "2000-02-29T12:00:00Z", 951825600 },
	{ "2024-12-31t23:59:59z", 1735689599 },
	{ "1900-02-29T00:00:00Z", REFUSED },
	{ "2026-02-29T00:00:00Z", REFUSED },
	{ "2026-13-01T00:00:00Z", REFUSED },
	{ "2026-00-01T00:00:00Z", REFUSED },
	{ "2026-04-31T00:00:00Z", REFUSED },
	{ "2026-11-21 20:43:22Z", REFUSED },
	{ "2026-11-21T20:43:22", REFUSED },
	{ "2026-11-21T20:43Z", REFUSED },
	{ "2026-11-21T20:43:22.5Z", REFUSED },
	{ "2026-11-21T23:59:60Z", REFUSED },
	{ "2026-11-21T20:43:22+24:00", REFUSED },
	{ "2026-11-21T20:43:22Zx", REFUSED },
};

static void times_are_read_strictly(void **state)
{
	int64_t before = 0;

	(void)state;
	check("time of day", time_of_day, times, ARRAY_LEN(times));
	check("report", every, reports, ARRAY_LEN(reports));
	check("instant", instant, instants, ARRAY_LEN(instants));
	/* The second before 1970 is -1, which the table cannot tell from a refusal. */
	assert_int_equal(quantity_instant("1969-12-31T23:59:59Z", &before), 0);
	assert_int_equal(before, -1);
}

static void digests_have_their_length(void **state)
{
	static const char hex[] =
		"E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	struct digest d = { 0 }, empty;

	(void)state;
	assert_int_equal(digest_of(HASH_SHA256, view_text(""), &empty), 0);
	assert_int_equal(quantity_digest(hex, HASH_SHA256, &d), 0);
	assert_true(digest_equal(&d, &empty));
	assert_int_equal(quantity_digest(hex, HASH_SHA384, &d), -EINVAL);
	assert_int_equal(quantity_digest(hex + 2, HASH_SHA256, &d), -EINVAL);
	assert_int_equal(quantity_digest("", HASH_SHA256, &d), -EINVAL);
	assert_int_equal(quantity_digest(hex, HASH_NONE, &d), -EINVAL);
	assert_true(digest_equal(&d, &empty));
}

static void sizes_are_shown_in_whole_units(void **state)
{
	char text[QUANTITY_TEXT_MAX];

	(void)state;
	assert_string_equal(quantity_size_text(0, text), "0");
	assert_string_equal(quantity_size_text(1023, text), "1023");
	assert_string_equal(quantity_size_text(10485760, text), "10MiB");
	assert_string_equal(quantity_size_text(UINT64_C(3) << 39, text), "1536GiB");
	assert_string_equal(quantity_milli_text(1800, text), "1.800");
	assert_string_equal(quantity_milli_text(7, text), "0.007");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_read_strictly),
		cmocka_unit_test(times_are_read_strictly),
		cmocka_unit_test(digests_have_their_length),
		cmocka_unit_test(sizes_are_shown_in_whole_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
