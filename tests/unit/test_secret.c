/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "secret.h"

static void a_secret_is_in_the_secure_heap(void **state)
{
	struct secret s, copy;

	assert_int_equal(secret_new(32, &s), 0);
	assert_int_equal(s.len, 32);
	assert_true(CRYPTO_secure_allocated(s.data));
	for (size_t i = 0; i < s.len; i++)
		assert_int_equal(s.data[i], 0);
	memset(s.data, 7, s.len);
	assert_int_equal(secret_copy(secret_view(&s), &copy), 0);
	assert_true(CRYPTO_secure_allocated(copy.data));
	assert_ptr_not_equal(copy.data, s.data);
	assert_true(secret_equal(&s, &copy));
	copy.data[31] ^= 1;
	assert_false(secret_equal(&s, &copy));
	copy.data[31] ^= 1;
	copy.len = 31;
	assert_false(secret_equal(&s, &copy));
	copy.len = 32;
	secret_done(&s);
	secret_done(&copy);
}

static void an_ended_secret_is_empty_and_wiped(void **state)
{
	struct secret s, next;
	uint8_t *where;

	assert_int_equal(secret_new(64, &s), 0);
	memset(s.data, 0xa5, s.len);
	where = s.data;
	secret_done(&s);
	assert_null(s.data);
	assert_int_equal(s.len, 0);
	secret_done(&s);

	/* The same place is given out again; past the allocator's own first words it must be zero.
	 */
	assert_int_equal(secret_new(64, &next), 0);
	assert_ptr_equal(next.data, where);
	for (size_t i = 0; i < next.len; i++)
		assert_int_equal(next.data[i], 0);
	secret_done(&next);
}

static void an_empty_secret_is_one(void **state)
{
	struct secret a, b;

	assert_int_equal(secret_new(0, &a), 0);
	assert_int_equal(secret_copy(view_of(NULL, 0), &b), 0);
	assert_int_equal(a.len + b.len, 0);
	assert_true(secret_equal(&a, &b));
	secret_done(&a);
	secret_done(&b);
}

static void size_and_heap_have_limits(void **state)
{
	struct secret all[64], s = { NULL, 77 };
	size_t n = 0;

	assert_int_equal(secret_new(SECRET_MAX + 1, &s), -EMSGSIZE);
	assert_int_equal(secret_random(SIZE_MAX, &s), -EMSGSIZE);
	while (n < ARRAY_LEN(all) && secret_new(SECRET_MAX, &all[n]) == 0)
		n++;
	/* A full heap is an error, never ordinary memory. */
	assert_int_equal(n, 16);
	assert_int_equal(secret_new(SECRET_MAX, &s), -ENOMEM);
	assert_int_equal(secret_copy(secret_view(&all[0]), &s), -ENOMEM);
	assert_int_equal(secret_random(SECRET_MAX, &s), -ENOMEM);
	assert_int_equal(s.len, 77);
	for (size_t i = 0; i < n; i++)
		secret_done(&all[i]);
	assert_int_equal(secret_new(SECRET_MAX, &s), 0);
	secret_done(&s);
}

static void random_secrets_differ(void **state)
{
	struct secret a, b;

	assert_int_equal(secret_random(32, &a), 0);
	assert_int_equal(secret_random(32, &b), 0);
	assert_false(secret_equal(&a, &b));
	secret_done(&a);
	secret_done(&b);
}

static void without_the_heap_there_is_no_secret(void **state)
{
	struct secret s = { NULL, 77 };

	secret_heap_close();
	assert_int_equal(secret_new(32, &s), -ENOMEM);
	assert_int_equal(secret_random(32, &s), -ENOMEM);
	assert_int_equal(s.len, 77);
	assert_int_equal(secret_heap_open(), 0);
	assert_int_equal(secret_heap_open(), 0);
	assert_int_equal(secret_new(32, &s), 0);
	secret_done(&s);
}

static int open_heap(void **state)
{
	return secret_heap_open();
}

static int close_heap(void **state)
{
	secret_heap_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: OpenSSL's random generator, once used, keeps the heap open. */
		cmocka_unit_test(without_the_heap_there_is_no_secret),
		cmocka_unit_test(a_secret_is_in_the_secure_heap),
		cmocka_unit_test(an_ended_secret_is_empty_and_wiped),
		cmocka_unit_test(an_empty_secret_is_one),
		cmocka_unit_test(size_and_heap_have_limits),
		cmocka_unit_test(random_secrets_differ),
	};

	return cmocka_run_group_tests(tests, open_heap, close_heap);
}
