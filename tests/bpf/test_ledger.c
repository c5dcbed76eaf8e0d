/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "cleanup.h"
#include "tests/bpf/nodes.h"

/* What MI says of hooks, of what they cover, and of what was lost. */

static const Assay__NotCovered *not_covered(const Assay__Mi *m, const char *id)
{
	for (size_t i = 0; i < m->kernel->n_not_covered; i++) {
		if (strcmp(m->kernel->not_covered[i]->id, id) == 0)
			return m->kernel->not_covered[i];
	}
	return NULL;
}

static bool covered(const Assay__Mi *m, const char *id)
{
	for (size_t i = 0; i < m->kernel->n_covers; i++) {
		if (strcmp(m->kernel->covers[i], id) == 0)
			return true;
	}
	return false;
}

static uint64_t lost_by(const Assay__Mi *m, const char *cause)
{
	for (size_t i = 0; i < m->kernel->loss->n_causes; i++) {
		if (strcmp(m->kernel->loss->causes[i]->cause, cause) == 0)
			return m->kernel->loss->causes[i]->count;
	}
	fail_msg("no such cause: %s", cause);
	return 0;
}

static void the_matrix_and_the_ledger_say_what_is_so(void **state)
{
	pid_t pid = running_start(&app, stay, NULL);
	const Assay__KernelEvents *k;
	const Assay__Mi *m;

	running_hear(&app);
	m = node();
	k = m->kernel;
	assert_true(covered(m, "M01"));
	assert_null(not_covered(m, "M01"));
	/* The same user is watched with hooks: full, or where the kernel's own check can be. */
	if (follow_hook_named(app.follow, FOLLOW_ACCESS_CHECK)) {
		assert_true(covered(m, "T15"));
	} else {
		assert_false(covered(m, "T15"));
		assert_non_null(not_covered(m, "T15"));
		assert_non_null(strstr(not_covered(m, "T15")->why, "hooks: full"));
	}
	assert_false(covered(m, "T07"));
	assert_non_null(not_covered(m, "M24"));
	assert_false(k->full);
	assert_true(k->files_watched > 0); /* what it has mapped as code */
	assert_true(k->loss->counters_frozen);
	assert_true(k->loss->btf_id > 0);
	assert_int_equal(lost_by(m, "ring_full"), 0);
	assert_int_equal(lost_by(m, "hooks_late"), 0);
	assert_int_equal(lost_by(m, "hook_lost"), 0);
	assert_int_equal(k->loss->assigned, k->loss->delivered + k->loss->dropped);
	for (size_t i = 0; i < k->n_hooks; i++) {
		if (k->hooks[i]->attached && strcmp(k->hooks[i]->name, "perf_mmap2") != 0) {
			assert_true(k->hooks[i]->program_id > 0);
			assert_true(k->hooks[i]->loaded_boottime_ns > 0);
		}
	}
	end(pid);
}

/* Somebody takes our program off the application's cgroup. */
static void a_program_that_is_detached_is_a_loss(void **state)
{
	pid_t pid = running_start(&app, stay, NULL);
	const Assay__Mi *m;
	unsigned int n = 0;
	uint32_t id = 0;

	running_hear(&app);
	m = node();
	assert_int_equal(lost_by(m, "hook_lost"), 0);
	while (bpf_link_get_next_id(id, &id) == 0) {
		CLEANUP(cleanup_fd) int fd = bpf_link_get_fd_by_id(id);
		struct bpf_link_info info = { 0 };
		uint32_t size = sizeof(info);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
		    info.type == BPF_LINK_TYPE_CGROUP &&
		    info.cgroup.cgroup_id == app.target->cgroup_id && n++ == 0)
			assert_int_equal(bpf_link_detach(fd), 0);
	}
	assert_int_equal(n, 3);
	m = node();
	assert_int_equal(lost_by(m, "hook_lost"), 1);
	assert_false(m->kernel->loss->complete);
	assert_true(m->kernel->loss->window_lost > 0);
	/* And it stays one. */
	m = node();
	assert_false(m->kernel->loss->complete);
	end(pid);
}

static int make_wx(struct running *x, void *arg)
{
	running_say(x, 1);
	running_wait(x);
	if (mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0) == MAP_FAILED)
		return 1;
	running_say(x, 2);
	running_wait(x);
	return 0;
}

static uint64_t window_of(const Assay__Mi *m, const char *kind)
{
	for (size_t i = 0; i < m->kernel->n_counters; i++) {
		if (strcmp(m->kernel->counters[i]->kind, kind) == 0)
			return m->kernel->counters[i]->window;
	}
	fail_msg("not counted: %s", kind);
	return 0;
}

static void memory_writable_and_executable_is_in_mi(void **state)
{
	pid_t pid = running_start(&app, make_wx, NULL);
	const Assay__KernelEvent *e = NULL;
	const Assay__Mi *m;

	running_hear(&app);
	m = node();
	assert_int_equal(window_of(m, "wx_memory"), 0);
	running_go(&app);
	running_hear(&app);
	m = node();
	assert_int_equal(window_of(m, "wx_memory"), 1);
	for (size_t i = 0; i < m->kernel->n_events; i++) {
		if (strcmp(m->kernel->events[i]->kind, "wx_memory") == 0)
			e = m->kernel->events[i];
	}
	assert_non_null(e);
	assert_int_equal(e->pid, pid);
	assert_int_equal(e->length, PAGE);
	assert_int_equal(strncmp(e->detail, "rwx", 3), 0);
	m = node();
	assert_int_equal(window_of(m, "wx_memory"), 0);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_matrix_and_the_ledger_say_what_is_so),
		TEST(a_program_that_is_detached_is_a_loss),
		TEST(memory_writable_and_executable_is_in_mi),
	};

	if (!running_possible())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
