/* SPDX-License-Identifier: Apache-2.0 */
#include "quantity.h"

#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "TiB", UINT64_C(1) << 40 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "", 1 },
};

#define SECOND UINT64_C(1000000000)

static const struct unit duration_units[] = {
	{ "us", 1000 },	      { "ms", 1000000 },      { "s", SECOND },
	{ "m", 60 * SECOND }, { "h", 3600 * SECOND }, { "d", 86400 * SECOND },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits at *at without a leading zero; moves *at past them. */
static int read_number(const char **at, uint64_t *ret)
{
	const char *s = *at;
	uint64_t n = 0;

	if (!is_digit(*s) || (*s == '0' && is_digit(s[1])))
		return -EINVAL;
	for (; is_digit(*s); s++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return -EINVAL;
	}
	*at = s;
	*ret = n;
	return 0;
}

static int read_with_unit(const char *text, const struct unit *units, size_t n_units, uint64_t *ret)
{
	uint64_t n, product;
	int r;

	r = read_number(&text, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_units; i++) {
		if (strcmp(text, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(n, units[i].factor, &product))
			return -EINVAL;
		*ret = product;
		return 0;
	}
	return -EINVAL;
}

int quantity_count(const char *text, uint64_t *ret)
{
	uint64_t n;
	int r;

	r = read_number(&text, &n);
	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	*ret = n;
	return 0;
}

int quantity_size(const char *text, uint64_t *ret)
{
	return read_with_unit(text, size_units, ARRAY_LEN(size_units), ret);
}

int quantity_duration(const char *text, uint64_t *ret)
{
	uint64_t ns;
	int r;

	r = read_with_unit(text, duration_units, ARRAY_LEN(duration_units), &ns);
	if (r < 0)
		return r;
	if (ns == 0)
		return -EINVAL;
	*ret = ns;
	return 0;
}

int quantity_milli(const char *text, uint64_t *ret)
{
	uint64_t whole, milli;
	int r;

	r = read_number(&text, &whole);
	if (r < 0)
		return r;
	if (__builtin_mul_overflow(whole, 1000, &milli))
		return -EINVAL;
	if (*text == '.') {
		uint64_t worth = 100, part = 0;

		text++;
		if (!is_digit(*text))
			return -EINVAL;
		for (; is_digit(*text); text++, worth /= 10) {
			if (worth == 0)
				return -EINVAL;
			part += (uint64_t)(*text - '0') * worth;
		}
		if (__builtin_add_overflow(milli, part, &milli))
			return -EINVAL;
	}
	if (*text)
		return -EINVAL;
	*ret = milli;
	return 0;
}

/* Exactly n digits with a value of at most max; moves *at past them. */
static int read_digits(const char **at, int n, uint32_t max, uint32_t *ret)
{
	uint32_t value = 0;

	for (int i = 0; i < n; i++) {
		if (!is_digit((*at)[i]))
			return -EINVAL;
		value = value * 10 + (uint32_t)((*at)[i] - '0');
	}
	if (value > max)
		return -EINVAL;
	*at += n;
	*ret = value;
	return 0;
}

static int read_char(const char **at, const char *one_of)
{
	if (**at == '\0' || !strchr(one_of, **at))
		return -EINVAL;
	(*at)++;
	return 0;
}

/* "02:00" with seconds that may or must be there. */
static int read_clock(const char **at, bool need_seconds, uint32_t *ret)
{
	uint32_t h, m, s = 0;

	if (read_digits(at, 2, 23, &h) < 0 || read_char(at, ":") < 0 ||
	    read_digits(at, 2, 59, &m) < 0)
		return -EINVAL;
	if (need_seconds || **at == ':') {
		if (read_char(at, ":") < 0 || read_digits(at, 2, 59, &s) < 0)
			return -EINVAL;
	}
	*ret = (h * 60 + m) * 60 + s;
	return 0;
}

int quantity_time_of_day(const char *text, uint32_t *ret)
{
	uint32_t seconds;
	int r;

	r = read_clock(&text, false, &seconds);
	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	*ret = seconds;
	return 0;
}

static bool is_leap(uint32_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Days from 1970-01-01; month and day from 1. -EINVAL: no such day. */
static int day_number(uint32_t y, uint32_t m, uint32_t d, int64_t *ret)
{
	static const uint16_t before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	static const uint8_t lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t past, days;

	if (y < 1 || m < 1 || d < 1 || d > lengths[m - 1] + (uint32_t)(m == 2 && is_leap(y)))
		return -EINVAL;
	past = (int64_t)y - 1;
	days = past * 365 + past / 4 - past / 100 + past / 400;
	days += before[m - 1] + (m > 2 && is_leap(y)) + d - 1;
	*ret = days - 719162; /* of 1970-01-01, counted so */
	return 0;
}

/* RFC 3339, 5.6; leap seconds and fractions are refused: nothing here is that fine. */
int quantity_instant(const char *text, int64_t *ret)
{
	uint32_t y, m, d, clock, offset = 0;
	int64_t days, sign = 0;

	if (read_digits(&text, 4, 9999, &y) < 0 || read_char(&text, "-") < 0 ||
	    read_digits(&text, 2, 12, &m) < 0 || read_char(&text, "-") < 0 ||
	    read_digits(&text, 2, 31, &d) < 0 || read_char(&text, "Tt") < 0 ||
	    read_clock(&text, true, &clock) < 0 || day_number(y, m, d, &days) < 0)
		return -EINVAL;
	if (*text == '+' || *text == '-') {
		uint32_t h, min;

		sign = *text++ == '+' ? 1 : -1;
		if (read_digits(&text, 2, 23, &h) < 0 || read_char(&text, ":") < 0 ||
		    read_digits(&text, 2, 59, &min) < 0)
			return -EINVAL;
		offset = (h * 60 + min) * 60;
	} else if (read_char(&text, "Zz") < 0) {
		return -EINVAL;
	}
	if (*text)
		return -EINVAL;
	*ret = days * 86400 + clock - sign * (int64_t)offset;
	return 0;
}

int quantity_every(const char *text, uint32_t *ret)
{
	static const char every[] = "every ";
	uint64_t n;
	int r;

	if (strcmp(text, "each") == 0) {
		*ret = 1;
		return 0;
	}
	if (strncmp(text, every, strlen(every)) != 0)
		return -EINVAL;
	r = quantity_count(text + strlen(every), &n);
	if (r < 0)
		return r;
	if (n < 1 || n > QUANTITY_EVERY_MAX)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

int quantity_digest(const char *text, enum hash_alg alg, struct digest *ret)
{
	uint8_t raw[DIGEST_MAX];
	size_t size = hash_size(alg);
	int r;

	if (size == 0)
		return -EINVAL;
	r = hex_decode_exact(text, raw, size);
	if (r < 0)
		return r;
	return digest_from(alg, view_of(raw, size), ret);
}

const char *quantity_size_text(uint64_t bytes, char to[QUANTITY_TEXT_MAX])
{
	size_t i = 0;

	while (size_units[i].factor > 1 && (bytes == 0 || bytes % size_units[i].factor != 0))
		i++;
	snprintf(to, QUANTITY_TEXT_MAX, "%llu%s",
		 (unsigned long long)(bytes / size_units[i].factor), size_units[i].name);
	return to;
}

const char *quantity_milli_text(uint64_t milli, char to[QUANTITY_TEXT_MAX])
{
	snprintf(to, QUANTITY_TEXT_MAX, "%llu.%03llu", (unsigned long long)(milli / 1000),
		 (unsigned long long)(milli % 1000));
	return to;
}
