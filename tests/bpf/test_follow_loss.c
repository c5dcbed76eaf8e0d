/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "cleanup.h"
#include "tests/bpf/running.h"

/* The account of loss: every number that was given out is delivered or dropped. */

static struct running app;

static int setup(void **state)
{
	memset(&app, 0, sizeof(app));
	running_prepare(&app, 0);
	return 0;
}

static int setup_small(void **state)
{
	memset(&app, 0, sizeof(app));
	running_prepare_with(&app, &(struct follow_options){ .ring_bytes = 4096,
							     .perf_ring_bytes = 4096 });
	return 0;
}

static int teardown(void **state)
{
	running_stop(&app);
	return 0;
}

static uint64_t counted(uint32_t kind)
{
	struct follow_counts c;

	assert_int_equal(follow_counts(app.follow, app.target->slot, &c), 0);
	return c.kinds[kind];
}

static int run_true(struct running *x, void *arg)
{
	execl("/bin/true", "true", NULL);
	return 1;
}

#define FLOOD 5000

static int flood(struct running *x, void *arg)
{
	for (int i = 0; i < FLOOD; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			return 1;
	}
	return 0;
}

static void nothing_is_lost_uncounted_in_a_flood(void **state)
{
	struct follow_loss_account a;
	uint64_t at = 0;
	int status, accounts = 0;
	pid_t pid = running_start(&app, flood, NULL);

	/* While it goes on, each account must hold too, not only the last. */
	while (waitpid(pid, &status, WNOHANG) == 0) {
		usleep(1000);
		if (counted(FOLLOW_FORK) < at + FLOOD / 20)
			continue; /* long enough for the ring to run over */
		at = counted(FOLLOW_FORK);
		assert_int_equal(follow_account(app.follow, &a), 0);
		if (!a.settled)
			continue;
		assert_int_equal(a.assigned, a.delivered + a.dropped_total);
		accounts++;
	}
	assert_int_equal(status, 0);
	assert_true(accounts > 0);
	assert_int_equal(follow_account(app.follow, &a), 0);
	assert_true(a.settled);
	assert_int_equal(a.assigned, a.delivered + a.dropped_total);
	assert_true(a.dropped[FOLLOW_LOST_RING] > 0);
	assert_true(a.delivered > 0);
	assert_int_equal(a.recursion_misses, 0);
	/* The counters lose nothing. */
	assert_int_equal(counted(FOLLOW_FORK), FLOOD);
	assert_int_equal(counted(FOLLOW_EXIT), FLOOD + 1);
}

/* Events go on, and every account that is taken meanwhile comes out even. */
static void an_account_comes_out_even_while_events_go_on(void **state)
{
	struct follow_loss_account a;
	int status, accounts = 0, uneven = 0;
	pid_t pid = running_start(&app, flood, NULL), other = fork();

	if (other == 0)
		_exit(flood(NULL, NULL));
	while (waitpid(pid, &status, WNOHANG) == 0) {
		assert_int_equal(follow_account(app.follow, &a), 0);
		accounts++;
		uneven += !a.settled;
	}
	assert_int_equal(waitpid(other, NULL, 0), other);
	assert_true(accounts > 0);
	assert_int_equal(uneven, 0);
}

#define EXECS	600
#define RENAMES 3000

static int exec_storm(struct running *x, void *arg)
{
	for (int i = 0; i < EXECS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			return 1;
	}
	return 0;
}

/* The watched file goes from one name to another and back. */
static int rename_storm(struct running *x, void *arg)
{
	char away[96];

	snprintf(away, sizeof(away), "%s.away", (const char *)arg);
	for (int i = 0; i < RENAMES; i++) {
		if (rename(arg, away) < 0 || rename(away, arg) < 0)
			return 1;
	}
	return 0;
}

/* Nobody reads until all is over: a daemon that is stopped. */
static void a_reader_that_is_stopped_knows_what_it_missed(void **state)
{
	struct follow_loss_account a;

	running_end(running_start(&app, exec_storm, NULL));
	assert_int_equal(follow_account(app.follow, &a), 0);
	assert_true(a.settled);
	assert_int_equal(a.assigned, a.delivered + a.dropped_total);
	assert_true(a.dropped[FOLLOW_LOST_RING] > 0);
	assert_int_equal(counted(FOLLOW_EXEC), EXECS);
	assert_int_equal(counted(FOLLOW_FORK), EXECS);
	/* A program's start maps more than one file as code: more than such a ring holds. */
	if (follow_hook_named(app.follow, "perf_mmap2")->attached) {
		assert_true(a.maps.lost > 0);
		assert_true(a.maps.records + a.maps.lost >= 2 * EXECS);
	}
}

static void a_storm_of_renames_is_counted(void **state)
{
	char path[] = "/var/tmp/assay-rename-XXXXXX";
	struct follow_loss_account a;
	struct follow_file file;
	struct stat st;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	file = follow_file_of(st.st_dev, st.st_ino);
	assert_int_equal(follow_watch(app.follow, app.target->slot, FOLLOW_WATCH_MEASURED, &file, 1),
			 0);
	running_end(running_start(&app, rename_storm, path));
	unlink(path);
	assert_int_equal(follow_account(app.follow, &a), 0);
	assert_true(a.settled);
	assert_int_equal(a.assigned, a.delivered + a.dropped_total);
	/* Told of once, so the ring has room; counted each time. */
	assert_int_equal(a.dropped_total, 0);
	assert_true(counted(FOLLOW_FILE_CHANGED) >= 2 * RENAMES);
}

static int ignore(void *arg, void *data, size_t len)
{
	(*(int *)arg)++;
	return -ECANCELED; /* one is enough; it counts as read */
}

/* The ring that was made last: of this test. */
static int newest_ring(void)
{
	struct bpf_map_info info;
	uint32_t id = 0, size, found = 0;

	while (bpf_map_get_next_id(id, &id) == 0) {
		CLEANUP(cleanup_fd) int fd = bpf_map_get_fd_by_id(id);

		size = sizeof(info);
		memset(&info, 0, sizeof(info));
		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
		    info.type == BPF_MAP_TYPE_RINGBUF && strcmp(info.name, "records") == 0)
			found = id;
	}
	return found ? bpf_map_get_fd_by_id(found) : -1;
}

static void a_record_that_vanishes_breaks_the_account(void **state)
{
	CLEANUP(cleanup_fd) int ring_fd = -1;
	struct follow_loss_account a;
	struct ring_buffer *thief;
	int stolen = 0;

	running_end(running_start(&app, run_true, NULL));
	ring_fd = newest_ring();
	assert_true(ring_fd >= 0);
	thief = ring_buffer__new(ring_fd, ignore, &stolen, NULL);
	assert_non_null(thief);
	ring_buffer__consume(thief);
	ring_buffer__free(thief);
	assert_int_equal(stolen, 1);
	assert_int_equal(follow_account(app.follow, &a), 0);
	assert_false(a.settled);
	assert_int_equal(a.assigned, a.delivered + a.dropped_total + 1);
}

static void counters_cannot_be_set_back(void **state)
{
	struct follow_counts zero = { 0 };
	struct bpf_map_info info;
	uint32_t id = 0, size, slot = app.target->slot;
	bool tried = false;

	running_end(running_start(&app, run_true, NULL));
	while (bpf_map_get_next_id(id, &id) == 0) {
		CLEANUP(cleanup_fd) int fd = bpf_map_get_fd_by_id(id);

		size = sizeof(info);
		memset(&info, 0, sizeof(info));
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ||
		    strcmp(info.name, "counts") != 0 || info.value_size != sizeof(zero))
			continue;
		tried = true;
		assert_int_equal(bpf_map_update_elem(fd, &slot, &zero, BPF_ANY), -EPERM);
	}
	assert_true(tried);
	assert_int_equal(counted(FOLLOW_EXEC), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_lost_uncounted_in_a_flood, setup_small,
						teardown),
		cmocka_unit_test_setup_teardown(a_reader_that_is_stopped_knows_what_it_missed,
						setup_small, teardown),
		TEST(an_account_comes_out_even_while_events_go_on),
		TEST(a_storm_of_renames_is_counted),
		TEST(a_record_that_vanishes_breaks_the_account),
		TEST(counters_cannot_be_set_back),
	};

	if (!running_possible())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
