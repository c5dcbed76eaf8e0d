/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "digest.h"

#define ABC "abc"

/* FIPS 180-4 and GB/T 32905-2016, A.1: the digest of "abc". */
static const struct {
	enum hash_alg alg;
	const char *name;
	size_t size;
	const char *abc;
} cases[] = {
	{ HASH_SHA1, "sha1", 20, "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ HASH_SHA256, "sha256", 32,
	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ HASH_SHA384, "sha384", 48,
	  "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
	  "8086072ba1e7cc2358baeca134c825a7" },
	{ HASH_SHA512, "sha512", 64,
	  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	  "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
	{ HASH_SM3, "sm3", 32, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" },
};

static void the_published_digests_hold(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view parts[] = { view_text("a"), view_text(""), view_text("bc") };
		char hex[DIGEST_HEX_MAX];
		struct digest d, pieces;

		assert_int_equal(hash_size(cases[i].alg), cases[i].size);
		assert_string_equal(hash_name(cases[i].alg), cases[i].name);
		assert_int_equal(hash_by_name(cases[i].name), cases[i].alg);
		assert_int_equal(digest_of(cases[i].alg, view_text(ABC), &d), 0);
		assert_int_equal(d.alg, cases[i].alg);
		assert_int_equal(d.size, cases[i].size);
		assert_string_equal(digest_hex(&d, hex), cases[i].abc);
		assert_int_equal(digest_of_parts(cases[i].alg, parts, 3, &pieces), 0);
		assert_true(digest_equal(&d, &pieces));
	}
}

static void unknown_algorithms_are_refused(void **state)
{
	static const int unknown[] = { HASH_NONE, 1, 0x0B00, -1 };
	struct digest d = { .size = 77 };
	struct hasher *h = NULL;

	for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
		enum hash_alg alg = (enum hash_alg)unknown[i];

		assert_int_equal(hash_size(alg), 0);
		assert_null(hash_name(alg));
		assert_int_equal(digest_of(alg, view_text(ABC), &d), -EINVAL);
		assert_int_equal(digest_from(alg, view_of(NULL, 0), &d), -EINVAL);
		assert_int_equal(hasher_new(alg, &h), -EINVAL);
	}
	assert_int_equal(d.size, 77);
	assert_null(h);
	assert_int_equal(hash_by_name("SHA256"), HASH_NONE);
	assert_int_equal(hash_by_name(""), HASH_NONE);
	hasher_free(NULL);
}

static void one_hasher_serves_many_messages(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct digest first, empty, again, direct;
		struct hasher *h;

		assert_int_equal(hasher_new(cases[i].alg, &h), 0);
		assert_int_equal(hasher_begin(h), 0);
		assert_int_equal(hasher_add(h, "ab", 2), 0);
		assert_int_equal(hasher_add(h, NULL, 0), 0);
		assert_int_equal(hasher_add(h, "c", 1), 0);
		assert_int_equal(hasher_end(h, &first), 0);

		assert_int_equal(hasher_begin(h), 0);
		assert_int_equal(hasher_end(h, &empty), 0);

		/* A message that was begun and given up leaves nothing in the next. */
		assert_int_equal(hasher_begin(h), 0);
		assert_int_equal(hasher_add(h, "rubbish", 7), 0);
		assert_int_equal(hasher_begin(h), 0);
		assert_int_equal(hasher_add(h, ABC, 3), 0);
		assert_int_equal(hasher_end(h, &again), 0);

		assert_true(digest_equal(&first, &again));
		assert_int_equal(digest_of(cases[i].alg, view_of(NULL, 0), &direct), 0);
		assert_true(digest_equal(&empty, &direct));
		assert_false(digest_equal(&empty, &first));
		hasher_free(h);
	}
}

static void extending_is_hashing_register_and_data(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct digest reg = digest_zero(cases[i].alg), expected, other;
		struct view parts[2] = { digest_view(&reg), view_text(ABC) };

		assert_int_equal(digest_of_parts(cases[i].alg, parts, 2, &expected), 0);
		assert_int_equal(digest_extend(&reg, view_text(ABC)), 0);
		assert_true(digest_equal(&reg, &expected));

		/* Order matters: a history cannot be rearranged. */
		other = digest_zero(cases[i].alg);
		assert_int_equal(digest_extend(&reg, view_text("x")), 0);
		assert_int_equal(digest_extend(&other, view_text("x")), 0);
		assert_int_equal(digest_extend(&other, view_text(ABC)), 0);
		assert_false(digest_equal(&reg, &other));
	}
}

/* TCG PC Client: PCR 0 in the SHA-256 bank after an extend with 32 zero bytes. */
static void extending_is_a_tpms(void **state)
{
	struct digest reg = digest_zero(HASH_SHA256), zero = digest_zero(HASH_SHA256);
	char hex[DIGEST_HEX_MAX];

	assert_int_equal(digest_extend(&reg, digest_view(&zero)), 0);
	assert_string_equal(digest_hex(&reg, hex),
			    "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
	reg.alg = HASH_NONE;
	zero = reg;
	assert_int_equal(digest_extend(&reg, view_text(ABC)), -EINVAL);
	assert_memory_equal(reg.bytes, zero.bytes, sizeof(reg.bytes));
}

static void raw_bytes_must_have_the_size(void **state)
{
	static const uint8_t raw[65];
	struct digest d;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t len = 0; len <= sizeof(raw); len++)
			assert_int_equal(digest_from(cases[i].alg, view_of(raw, len), &d),
					 len == cases[i].size ? 0 : -EINVAL);
	}
}

static void equal_means_every_bit(void **state)
{
	struct digest a, b;

	assert_int_equal(digest_of(HASH_SHA256, view_text(ABC), &a), 0);
	for (size_t bit = 0; bit < 256; bit++) {
		b = a;
		b.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(digest_equal(&a, &b));
	}
	b = a;
	b.alg = HASH_SM3;
	assert_false(digest_equal(&a, &b));
	b = a;
	b.size = 31;
	assert_false(digest_equal(&a, &b));
	/* What stands past the size is not part of it. */
	b = a;
	b.bytes[40] = 1;
	assert_true(digest_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_digests_hold),
		cmocka_unit_test(unknown_algorithms_are_refused),
		cmocka_unit_test(one_hasher_serves_many_messages),
		cmocka_unit_test(extending_is_hashing_register_and_data),
		cmocka_unit_test(extending_is_a_tpms),
		cmocka_unit_test(raw_bytes_must_have_the_size),
		cmocka_unit_test(equal_means_every_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
