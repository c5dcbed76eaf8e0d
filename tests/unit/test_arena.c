/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arena.h"

static bool all_zero(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i])
			return false;
	}
	return true;
}

static void memory_is_zero_and_aligned(void **state)
{
	struct arena *a;

	assert_int_equal(arena_new(1024 * 1024, &a), 0);
	for (int round = 0; round < 2; round++) {
		for (size_t len = 0; len < 200; len++) {
			uint8_t *p = arena_alloc(a, len);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
			assert_true(all_zero(p, len));
			memset(p, 0xff, len);
		}
		/* What is handed out again is zero again. */
		arena_reset(a);
		assert_int_equal(arena_used(a), 0);
	}
	arena_free(a);
}

static const size_t sizes[] = { 0, 1, 16, 100, 4096, 16 * 1024, 16 * 1024 + 1, 100000 };
static const size_t maxima[] = { 0, 1, 100, 16 * 1024, 20000, 64 * 1024, 1000000 };

static void the_maximum_holds(void **state)
{
	for (size_t m = 0; m < ARRAY_LEN(maxima); m++) {
		for (size_t i = 1; i < ARRAY_LEN(sizes); i++) {
			struct arena *a;
			size_t n = 0;

			assert_int_equal(arena_new(maxima[m], &a), 0);
			while (arena_alloc(a, sizes[i]) && n < 1000000)
				n++;
			assert_true(n * sizes[i] <= maxima[m]);
			assert_true(arena_used(a) <= maxima[m]);
			assert_null(arena_alloc(a, SIZE_MAX));
			assert_null(arena_alloc(a, SIZE_MAX / 2));

			/* After a reset as much fits as before. */
			arena_reset(a);
			for (size_t k = 0; k < n; k++)
				assert_non_null(arena_alloc(a, sizes[i]));
			assert_null(arena_alloc(a, sizes[i]));
			arena_free(a);
		}
	}
}

static void most_of_the_maximum_is_for_use(void **state)
{
	struct arena *a;
	size_t got = 0;

	assert_int_equal(arena_new(1024 * 1024, &a), 0);
	/* Large and small ones in turn: the small ones go on filling the block they began. */
	while (arena_alloc(a, 20000) && arena_alloc(a, 16))
		got += 20016;
	assert_true(got > 1024 * 1024 * 9 / 10);
	arena_free(a);
}

static void copies_are_their_own(void **state)
{
	char text[] = "text";
	uint8_t bytes[] = { 1, 0, 2 };
	struct arena *a;
	uint8_t *copy;
	char *t, *p;

	assert_int_equal(arena_new(64 * 1024, &a), 0);
	t = arena_text(a, text);
	copy = arena_copy(a, bytes, sizeof(bytes));
	p = arena_printf(a, "%s-%d", text, 7);
	memset(text, 'x', 4);
	memset(bytes, 9, sizeof(bytes));
	assert_string_equal(t, "text");
	assert_string_equal(p, "text-7");
	assert_memory_equal(copy, "\x01\x00\x02", 3);
	assert_non_null(arena_copy(a, NULL, 0));
	assert_string_equal(arena_text(a, ""), "");
	arena_free(a);
}

static void a_full_arena_refuses_every_kind(void **state)
{
	struct arena *a;

	assert_int_equal(arena_new(128, &a), 0);
	assert_non_null(arena_alloc(a, 16));
	assert_null(arena_alloc(a, 1000));
	assert_null(arena_copy(a, sizes, 128));
	assert_null(arena_printf(a, "%200d", 1));
	/* And goes on with what still fits. */
	assert_non_null(arena_text(a, "x"));
	arena_free(a);
	arena_free(NULL);
}

static void it_serves_protobuf(void **state)
{
	struct arena *a;
	ProtobufCAllocator *allocator;
	uint8_t *p;

	assert_int_equal(arena_new(1000, &a), 0);
	allocator = arena_allocator(a);
	p = allocator->alloc(allocator->allocator_data, 10);
	assert_non_null(p);
	p[0] = 7;
	allocator->free(allocator->allocator_data, p);
	assert_int_equal(p[0], 7);
	assert_null(allocator->alloc(allocator->allocator_data, 1000));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zero_and_aligned),
		cmocka_unit_test(the_maximum_holds),
		cmocka_unit_test(most_of_the_maximum_is_for_use),
		cmocka_unit_test(copies_are_their_own),
		cmocka_unit_test(a_full_arena_refuses_every_kind),
		cmocka_unit_test(it_serves_protobuf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
