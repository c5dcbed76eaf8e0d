/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/runtime_log.h"

#define PCR 15

struct place {
	char dir[64];
	char path[80];
};

static int make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/assay-test-XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->path, sizeof(p->path), "%s/log", p->dir);
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;

	unlink(p->path);
	rmdir(p->dir);
	free(p);
	return 0;
}

static struct digest entry(uint8_t n)
{
	struct digest d = digest_zero(HASH_SHA256);

	d.bytes[0] = n;
	return d;
}

/* The log and a register that follows it, as the chip would. */
static void extend(struct runtime_log *l, struct digest *reg, uint8_t n)
{
	struct digest e = entry(n);
	uint64_t end;

	assert_int_equal(runtime_log_prepare(l, &e), 0);
	assert_int_equal(digest_extend(reg, digest_view(&e)), 0);
	assert_int_equal(runtime_log_commit(l, &end), 0);
}

static Assay__RuntimeLog *message(struct runtime_log *l, struct arena *arena)
{
	Assay__RuntimeLog *m;

	arena_reset(arena);
	assert_int_equal(runtime_log_message(l, UINT64_MAX, arena, &m), 0);
	return m;
}

static struct runtime_log *open_log(const struct place *p, const struct digest *reg, int expected)
{
	struct runtime_log *l = NULL;

	assert_int_equal(runtime_log_open(p->path, PCR, reg, &l), expected);
	assert_non_null(l);
	return l;
}

static void entries_come_in_order_and_only_once_acknowledged(void **state)
{
	struct digest reg = digest_zero(HASH_SHA256);
	struct runtime_log *l = open_log(*state, &reg, 0);
	Assay__RuntimeLog *m;
	struct arena *arena;

	assert_int_equal(arena_new(1 << 20, &arena), 0);
	for (uint8_t i = 1; i <= 3; i++)
		extend(l, &reg, i);
	m = message(l, arena);
	assert_int_equal(m->first, 0);
	assert_int_equal(m->n_entries, 3);
	assert_int_equal(m->entries[2].data[0], 3);
	runtime_log_known(l, 2);
	m = message(l, arena);
	assert_int_equal(m->first, 2);
	assert_int_equal(m->n_entries, 1);
	/* A verifier that claims more than there is changes nothing. */
	runtime_log_known(l, 9);
	m = message(l, arena);
	assert_int_equal(m->first, 2);
	arena_free(arena);
	runtime_log_free(l);
}

static void a_restart_finds_what_the_register_holds(void **state)
{
	struct digest reg = digest_zero(HASH_SHA256);
	struct runtime_log *l = open_log(*state, &reg, 0);
	struct arena *arena;

	assert_int_equal(arena_new(1 << 20, &arena), 0);
	extend(l, &reg, 1);
	extend(l, &reg, 2);
	runtime_log_free(l);
	l = open_log(*state, &reg, 0);
	assert_int_equal(message(l, arena)->n_entries, 2);
	extend(l, &reg, 3);
	assert_int_equal(message(l, arena)->n_entries, 3);
	runtime_log_free(l);
	arena_free(arena);
}

static void an_entry_written_and_not_extended_is_dropped(void **state)
{
	struct digest reg = digest_zero(HASH_SHA256), e = entry(2);
	struct runtime_log *l = open_log(*state, &reg, 0);
	struct arena *arena;

	assert_int_equal(arena_new(1 << 20, &arena), 0);
	extend(l, &reg, 1);
	assert_int_equal(runtime_log_prepare(l, &e), 0); /* killed before the chip extended */
	runtime_log_free(l);
	l = open_log(*state, &reg, 0);
	assert_int_equal(message(l, arena)->n_entries, 1);
	runtime_log_free(l);
	arena_free(arena);
}

static void an_aborted_entry_leaves_no_trace(void **state)
{
	struct digest reg = digest_zero(HASH_SHA256), e = entry(9);
	struct runtime_log *l = open_log(*state, &reg, 0);
	uint64_t end;

	extend(l, &reg, 1);
	assert_int_equal(runtime_log_prepare(l, &e), 0);
	runtime_log_abort(l);
	assert_int_equal(runtime_log_commit(l, &end), -EINVAL);
	extend(l, &reg, 2);
	runtime_log_free(l);
	runtime_log_free(open_log(*state, &reg, 0));
}

static void a_register_that_others_extended_is_noticed(void **state)
{
	struct digest reg = digest_zero(HASH_SHA256), other = entry(7);
	struct runtime_log *l = open_log(*state, &reg, 0);

	extend(l, &reg, 1);
	runtime_log_free(l);
	assert_int_equal(digest_extend(&reg, digest_view(&other)), 0);
	runtime_log_free(open_log(*state, &reg, -EBADE));
}

static void a_reboot_begins_anew(void **state)
{
	struct digest reg = digest_zero(HASH_SHA256), zero = reg;
	struct runtime_log *l = open_log(*state, &reg, 0);
	struct arena *arena;

	assert_int_equal(arena_new(1 << 20, &arena), 0);
	extend(l, &reg, 1);
	runtime_log_free(l);
	l = open_log(*state, &zero, 0);
	assert_int_equal(message(l, arena)->n_entries, 0);
	runtime_log_free(l);
	arena_free(arena);
}

static void a_damaged_file_is_not_believed(void **state)
{
	struct digest reg = digest_zero(HASH_SHA256);
	struct place *p = *state;
	struct runtime_log *l = open_log(p, &reg, 0);
	FILE *f;

	extend(l, &reg, 1);
	runtime_log_free(l);
	f = fopen(p->path, "r+");
	assert_non_null(f);
	assert_int_equal(fseek(f, -1, SEEK_END), 0);
	fputc(0x55, f);
	fclose(f);
	runtime_log_free(open_log(p, &reg, -EBADE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(entries_come_in_order_and_only_once_acknowledged,
						make_place, remove_place),
		cmocka_unit_test_setup_teardown(a_restart_finds_what_the_register_holds, make_place,
						remove_place),
		cmocka_unit_test_setup_teardown(an_entry_written_and_not_extended_is_dropped,
						make_place, remove_place),
		cmocka_unit_test_setup_teardown(an_aborted_entry_leaves_no_trace, make_place,
						remove_place),
		cmocka_unit_test_setup_teardown(a_register_that_others_extended_is_noticed,
						make_place, remove_place),
		cmocka_unit_test_setup_teardown(a_reboot_begins_anew, make_place, remove_place),
		cmocka_unit_test_setup_teardown(a_damaged_file_is_not_believed, make_place,
						remove_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
