/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "daemon/footprint.h"
#include "digest.h"

/* With it freed memory waits in a quarantine, and the heap is not glibc's. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#define PIECES 1024
#define PIECE  (16 * 1024)

/* Written after loading: neither the pointers' relocations nor the value are what the file says. */
static const char *const relocated[] = { "one", "two" };
static int written = 1;

static void skip_sanitized(void)
{
	print_message("skipped: the sanitizer keeps what is freed\n");
	skip();
}

/* Resident memory of this process in kB, of one kind. */
static long resident(const char *kind)
{
	CLEANUP(cleanup_file) FILE *f = fopen("/proc/self/smaps_rollup", "re");
	char line[256];
	size_t len = strlen(kind);

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, kind, len) == 0 && line[len] == ':')
			return strtol(line + len + 1, NULL, 10);
	}
	fail_msg("no %s in smaps_rollup", kind);
	return 0;
}

/* As the files thread does: pieces below the threshold, freed but for the last one made. */
static void *use_much(void *arg)
{
	void **pieces = arg;

	for (size_t i = 0; i < PIECES; i++) {
		pieces[i] = malloc(PIECE);
		memset(pieces[i], 7, PIECE);
	}
	for (size_t i = 0; i < PIECES - 1; i++)
		free(pieces[i]);
	return NULL;
}

static void freed_memory_of_another_thread_goes_back(void **state)
{
	void *pieces[PIECES];
	pthread_t thread;
	long before, after;

	if (SANITIZED)
		skip_sanitized();
	assert_int_equal(pthread_create(&thread, NULL, use_much, pieces), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	before = resident("Anonymous");
	footprint_trim();
	after = resident("Anonymous");
	if (before - after < PIECES * PIECE / 1024 * 3 / 4)
		fail_msg("anonymous memory was %ld kB, is %ld", before, after);
	assert_int_equal(((uint8_t *)pieces[PIECES - 1])[PIECE - 1], 7);
	free(pieces[PIECES - 1]);
}

/* The first one freed would move glibc's threshold up, and the second one would stay. */
static void a_large_buffer_goes_back_when_it_is_freed(void **state)
{
	static const size_t sizes[] = { 4 * 1024 * 1024, 2 * 1024 * 1024 };

	if (SANITIZED)
		skip_sanitized();
	footprint_limit();
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		long before = resident("Anonymous"), used;
		uint8_t *p = malloc(sizes[i]);

		assert_non_null(p);
		memset(p, 7, sizes[i]);
		used = resident("Anonymous") - before;
		assert_true(p[sizes[i] / 2] == 7 && used >= (long)(sizes[i] / 1024));
		free(p);
		if (resident("Anonymous") - before > used / 4)
			fail_msg("of %ld kB that were freed %ld are still resident", used,
				 resident("Anonymous") - before);
	}
}

static void what_was_written_stays_and_code_comes_back(void **state)
{
	static const char abc[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	char hex[DIGEST_HEX_MAX];
	struct digest d;
	long file;

	written = 42;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(digest_of(HASH_SHA256, view_text("abc"), &d), 0);
		assert_string_equal(digest_hex(&d, hex), abc);
		file = resident("Rss") - resident("Anonymous");
		footprint_trim();
		if (!SANITIZED && resident("Rss") - resident("Anonymous") >= file)
			fail_msg("%ld kB of files were mapped, and still are", file);
		assert_int_equal(written, 42);
		assert_string_equal(relocated[i % 2], i % 2 ? "two" : "one");
	}
	assert_int_equal(digest_of(HASH_SHA256, view_text("abc"), &d), 0);
	assert_string_equal(digest_hex(&d, hex), abc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(freed_memory_of_another_thread_goes_back),
		cmocka_unit_test(a_large_buffer_goes_back_when_it_is_freed),
		cmocka_unit_test(what_was_written_stays_and_code_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
