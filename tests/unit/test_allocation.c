/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation of core fails in turn: the error comes back, what was there
 * stays as it was, and nothing leaks. The linker sends core's calls here (--wrap).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "manifest_entries.h"
#include "mi.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *p);

static struct {
	size_t until; /* allocations that still succeed; SIZE_MAX: all */
	bool failed;
	void *live[4096];
	size_t n;
} heap = { .until = SIZE_MAX };

static bool fails(void)
{
	if (heap.until == SIZE_MAX || heap.until-- > 0)
		return false;
	heap.until = SIZE_MAX; /* one failure a run: the next may find memory again */
	heap.failed = true;
	errno = ENOMEM;
	return true;
}

static void forget(void *p)
{
	for (size_t i = 0; p && i < heap.n; i++) {
		if (heap.live[i] == p) {
			heap.live[i] = heap.live[--heap.n];
			return;
		}
	}
}

static void *remember(void *p)
{
	if (p && heap.n < ARRAY_LEN(heap.live))
		heap.live[heap.n++] = p;
	return p;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : remember(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : remember(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t size)
{
	if (fails())
		return NULL;
	forget(p);
	return remember(__real_realloc(p, size));
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	if (fails())
		return NULL;
	forget(p);
	return remember(__real_reallocarray(p, n, size));
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : remember(__real_strdup(text));
}

void __wrap_free(void *p)
{
	forget(p);
	__real_free(p);
}

static int arena_work(void)
{
	struct arena *a;
	int r;

	r = arena_new(1024 * 1024, &a);
	if (r < 0)
		return r;
	if (!arena_text(a, "text") || !arena_alloc(a, 100000) || !arena_printf(a, "%20000d", 7))
		r = -ENOMEM;
	arena_reset(a);
	/* After the one failure: as good as new. */
	if (r < 0)
		assert_non_null(arena_alloc(a, 200000));
	arena_free(a);
	return r;
}

static int bytes_work(void)
{
	struct bytes b = BYTES_INIT(4096);
	size_t before = 0;
	int r = 0;

	for (int i = 0; r == 0 && i < 100; i++) {
		before = b.len;
		r = bytes_append(&b, "0123456789", 10);
	}
	if (r < 0)
		assert_int_equal(b.len, before);
	if (r == 0)
		r = bytes_printf(&b, "%1000d", 7);
	if (r == 0)
		r = hex_decode("0011", 4, &b);
	for (size_t i = 0; i + 10 <= before; i += 10)
		assert_memory_equal(b.data + i, "0123456789", 10);
	bytes_done(&b);
	return r;
}

static int manifest_write_work(void)
{
	CLEANUP(manifest_done) struct manifest m = { 0 };
	struct bytes text = BYTES_INIT(MANIFEST_MAX);
	int r = 0;

	for (size_t i = 0; r == 0 && i < 70; i++) {
		char path[] = { '/', (char)('0' + i % 64), 'x', '\0' };
		struct manifest_entry e = link_to(path, "target");
		size_t before = m.n;

		r = manifest_add(&m, &e);
		assert_int_equal(m.n, before + (r == 0));
	}
	if (r == 0)
		r = manifest_sort(&m);
	if (r == 0)
		r = manifest_write(&m, &text);
	/* All of the text or none. */
	assert_true(r == 0 || text.len == 0);
	bytes_done(&text);
	return r;
}

static int manifest_read_work(void)
{
	static const char text[] =
		"#mtree\n"
		"./f type=file mode=0644 uid=0 gid=0 size=3 sha256digest=" SHA_A "\n"
		"./l type=link mode=0777 uid=0 gid=0 link=x\n";
	struct manifest m = { .n = 77 };
	int r;

	r = manifest_read(view_text(text), &m);
	if (r < 0)
		assert_int_equal(m.n, 77);
	else
		manifest_done(&m);
	return r;
}

static int mi_work(void)
{
	struct mi *mi = NULL, *back = NULL;
	struct bytes packed = BYTES_INIT(MI_MAX);
	Assay__File *f;
	uint32_t index;
	int r;

	r = mi_new(&mi);
	if (r == 0)
		r = mi_file(mi, 1, 2, "/\xff", &index, &f);
	if (r == 0)
		r = mi_printf(mi, &mi->msg->application, "%20000d", 7);
	if (r == 0)
		r = mi_pack(mi, &packed);
	if (r == 0)
		r = mi_unpack(bytes_view(&packed), &back);
	mi_free(mi);
	mi_free(back);
	bytes_done(&packed);
	/* What cannot be unpacked for want of memory is refused as what is no MI. */
	return r == -EBADMSG ? -ENOMEM : r;
}

static const struct {
	const char *what;
	int (*work)(void);
	size_t at_least; /* allocations it must have made, or it tests nothing */
} cases[] = {
	{ "arena", arena_work, 4 },
	{ "bytes", bytes_work, 5 },
	{ "writing a manifest", manifest_write_work, 143 },
	{ "reading a manifest", manifest_read_work, 6 },
	{ "MI", mi_work, 7 },
};

static void each_allocation_may_fail(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = 0;

		for (;; n++) {
			int r;

			heap.until = n;
			heap.failed = false;
			heap.n = 0;
			r = cases[i].work();
			heap.until = SIZE_MAX;
			if (heap.n > 0)
				fail_msg("%s, allocation %zu: %zu leaked", cases[i].what, n,
					 heap.n);
			if (!heap.failed) {
				assert_int_equal(r, 0);
				break;
			}
			if (r != -ENOMEM)
				fail_msg("%s, allocation %zu: %d", cases[i].what, n, r);
		}
		if (n < cases[i].at_least)
			fail_msg("%s: only %zu allocations", cases[i].what, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
