/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "appraisal_cache.h"
#include "cleanup.h"

/* What is kept, for how long, and what makes room. What is found in it: test_tdx_made.c. */

#define NOW 1000

struct thing {
	struct cached base;
	int *freed;
};

static void free_thing(struct cached *c)
{
	struct thing *t = (struct thing *)c;

	(*t->freed)++;
	free(t);
}

static struct cache_key key(const char *text)
{
	struct cache_key k;

	assert_int_equal(cache_key_of(text, NULL, 0, &k), 0);
	return k;
}

static struct appraisal_cache *new_cache(size_t entries, size_t bytes)
{
	struct appraisal_cache *cache = NULL;

	assert_int_equal(appraisal_cache_new(entries, bytes, &cache), 0);
	return cache;
}

/* Puts a thing that the cache alone refers to. */
static void put(struct appraisal_cache *cache, const char *name, size_t size, int *freed)
{
	struct thing *t = calloc(1, sizeof(*t));
	struct cache_key k = key(name);

	assert_non_null(t);
	cached_init(&t->base, free_thing, size);
	t->freed = freed;
	appraisal_cache_put(cache, &k, &t->base);
	cached_unref(&t->base);
}

static bool has(struct appraisal_cache *cache, const char *name)
{
	struct cache_key k = key(name);
	struct cached *c = appraisal_cache_get(cache, &k, NOW);

	cached_unref(c);
	return c != NULL;
}

static void what_was_not_used_for_longest_makes_room(void **state)
{
	struct appraisal_cache *cache = new_cache(3, 1000);
	int freed = 0;

	put(cache, "a", 1, &freed);
	put(cache, "b", 1, &freed);
	put(cache, "c", 1, &freed);
	assert_true(has(cache, "a"));
	put(cache, "d", 1, &freed);
	assert_int_equal(freed, 1);
	assert_false(has(cache, "b"));
	assert_true(has(cache, "a") && has(cache, "c") && has(cache, "d"));
	assert_int_equal(appraisal_cache_counts(cache).entries, 3);
	assert_int_equal(appraisal_cache_counts(cache).evicted, 1);
	appraisal_cache_free(cache);
	assert_int_equal(freed, 4);
}

static void its_bytes_are_bounded(void **state)
{
	struct appraisal_cache *cache = new_cache(100, 100);
	int freed = 0;

	put(cache, "a", 60, &freed);
	put(cache, "b", 40, &freed);
	assert_int_equal(freed, 0);
	put(cache, "c", 41, &freed);
	assert_false(has(cache, "a"));
	assert_true(has(cache, "b") && has(cache, "c"));
	assert_int_equal(appraisal_cache_counts(cache).bytes, 81);
	/* One that alone is too large makes nobody go. */
	put(cache, "huge", 101, &freed);
	assert_false(has(cache, "huge"));
	assert_true(has(cache, "b") && has(cache, "c"));
	put(cache, "whole", 100, &freed);
	assert_true(has(cache, "whole"));
	assert_int_equal(appraisal_cache_counts(cache).entries, 1);
	appraisal_cache_free(cache);
	assert_int_equal(freed, 5);
}

static void a_second_one_takes_the_place_of_the_first(void **state)
{
	struct appraisal_cache *cache = new_cache(2, 100);
	int first = 0, second = 0;

	put(cache, "a", 10, &first);
	put(cache, "a", 20, &second);
	assert_int_equal(first, 1);
	assert_int_equal(second, 0);
	assert_int_equal(appraisal_cache_counts(cache).entries, 1);
	assert_int_equal(appraisal_cache_counts(cache).bytes, 20);
	appraisal_cache_free(cache);
}

/* What a verdict rests on must not go while it is used. */
static void what_is_in_use_outlives_its_place(void **state)
{
	struct appraisal_cache *cache = new_cache(1, 100);
	struct cache_key k = key("a");
	struct cached *held;
	int freed = 0;

	put(cache, "a", 10, &freed);
	held = appraisal_cache_get(cache, &k, NOW);
	assert_non_null(held);
	put(cache, "b", 10, &freed);
	appraisal_cache_free(cache);
	assert_int_equal(freed, 1);
	cached_unref(held);
	assert_int_equal(freed, 2);
}

static const struct {
	const char *what;
	int64_t now;
	bool good;
} times[] = {
	{ "its first second", 900, true },   { "its last second", 1100, true },
	{ "the second after", 1101, false }, { "the second before", 899, false },
	{ "long after", INT64_MAX, false },  { "long before", INT64_MIN, false },
};

static void it_is_good_in_its_span_alone(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		struct appraisal_cache *cache = new_cache(4, 100);
		struct thing *t = calloc(1, sizeof(*t));
		struct cache_key k = key("a");
		struct cached *c;
		int freed = 0;

		assert_non_null(t);
		cached_init(&t->base, free_thing, 1);
		t->freed = &freed;
		t->base.span = (struct cache_span){ 900, 1100 };
		appraisal_cache_put(cache, &k, &t->base);
		cached_unref(&t->base);
		c = appraisal_cache_get(cache, &k, times[i].now);
		if ((c != NULL) != times[i].good || freed != !times[i].good)
			fail_msg("%s", times[i].what);
		cached_unref(c);
		appraisal_cache_free(cache);
	}
}

static const struct {
	const char *what;
	int64_t from, until; /* of something in force */
	int64_t expected_from, expected_until;
} windows[] = {
	{ "in force: known until it ends", 500, 2000, 500, 1999 },
	{ "not yet in force: known until it begins", 1500, 2000, INT64_MIN, 1499 },
	{ "no longer in force: known since it ended", 100, 200, 201, INT64_MAX },
	{ "begins now", NOW, 2000, NOW, 1999 },
	{ "ends now: in force for some, for others not", 500, NOW, NOW, NOW },
	{ "ended a second ago", 500, NOW - 1, NOW, INT64_MAX },
	{ "begins in a second", NOW + 1, 2000, INT64_MIN, NOW },
	{ "for ever", INT64_MIN, INT64_MAX, INT64_MIN, INT64_MAX - 1 },
};

static void a_span_ends_where_something_begins_or_ends(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
		struct cache_span s = { INT64_MIN, INT64_MAX };

		cache_span_cut_window(&s, NOW, windows[i].from, windows[i].until);
		if (s.from != windows[i].expected_from || s.until != windows[i].expected_until)
			fail_msg("%s: %lld to %lld", windows[i].what, (long long)s.from,
				 (long long)s.until);
	}
}

static void no_cache_is_one_that_keeps_nothing(void **state)
{
	struct appraisal_cache *none = new_cache(0, 0);
	int freed = 0;

	put(NULL, "a", 1, &freed);
	assert_int_equal(freed, 1);
	assert_false(has(NULL, "a"));
	put(none, "a", 1, &freed);
	assert_int_equal(freed, 2);
	assert_false(has(none, "a"));
	appraisal_cache_free(none);
	appraisal_cache_free(NULL);
}

static void a_key_tells_its_parts_apart(void **state)
{
	const struct view ab_c[] = { view_text("ab"), view_text("c") };
	const struct view a_bc[] = { view_text("a"), view_text("bc") };
	const struct view abc[] = { view_text("abc") };
	struct cache_key keys[4];

	assert_int_equal(cache_key_of("k", ab_c, 2, &keys[0]), 0);
	assert_int_equal(cache_key_of("k", a_bc, 2, &keys[1]), 0);
	assert_int_equal(cache_key_of("k", abc, 1, &keys[2]), 0);
	assert_int_equal(cache_key_of("ka", ab_c, 2, &keys[3]), 0);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(&keys[i], &keys[j], sizeof(keys[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_not_used_for_longest_makes_room),
		cmocka_unit_test(its_bytes_are_bounded),
		cmocka_unit_test(a_second_one_takes_the_place_of_the_first),
		cmocka_unit_test(what_is_in_use_outlives_its_place),
		cmocka_unit_test(it_is_good_in_its_span_alone),
		cmocka_unit_test(a_span_ends_where_something_begins_or_ends),
		cmocka_unit_test(no_cache_is_one_that_keeps_nothing),
		cmocka_unit_test(a_key_tells_its_parts_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
