/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cleanup.h"
#include "tests/bpf/running.h"

/* Executable memory as it comes to be, and programs executed from memory. */

static struct running app;
static struct follow_record last[FOLLOW_KINDS];

static void on_record(void *arg, const struct follow_record *record)
{
	last[record->kind] = *record;
}

static int setup(void **state)
{
	memset(&app, 0, sizeof(app));
	memset(last, 0, sizeof(last));
	running_prepare(&app, 0);
	follow_listen(app.follow, on_record, NULL);
	return 0;
}

static int teardown(void **state)
{
	running_stop(&app);
	return 0;
}

static struct follow_counts counts(void)
{
	struct follow_counts c;

	assert_int_equal(follow_drain(app.follow), 0);
	assert_int_equal(follow_counts(app.follow, app.target->slot, &c), 0);
	return c;
}

static void *anonymous(int protection)
{
	return mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int map_data(struct running *x, void *arg)
{
	return anonymous(PROT_READ | PROT_WRITE) == MAP_FAILED;
}

static int map_writable_code(struct running *x, void *arg)
{
	return anonymous(PROT_READ | PROT_WRITE | PROT_EXEC) == MAP_FAILED;
}

static int make_code(struct running *x, void *arg)
{
	void *at = anonymous(PROT_READ | PROT_WRITE);

	return at == MAP_FAILED || mprotect(at, 4096, PROT_READ | PROT_EXEC) < 0;
}

static int make_code_writable(struct running *x, void *arg)
{
	void *at = anonymous(PROT_READ | PROT_EXEC);

	return at == MAP_FAILED || mprotect(at, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) < 0;
}

static int map_memfd(struct running *x, void *arg)
{
	int fd = memfd_create("assay-test-code", MFD_CLOEXEC);

	return fd < 0 || ftruncate(fd, 4096) < 0 ||
	       mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) == MAP_FAILED;
}

/* Everything in one process that is gone before anybody reads of it. */
static int in_a_child(struct running *x, void *arg)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(map_writable_code(x, NULL));
	return pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
}

static const struct {
	const char *what;
	int (*body)(struct running *x, void *arg);
	uint64_t wx, anonymous, mapped;
} cases[] = {
	{ "data", map_data, 0, 0, 0 },
	{ "memory writable and executable", map_writable_code, 1, 0, 0 },
	{ "written, then made code", make_code, 0, 1, 0 },
	{ "code, then made writable", make_code_writable, 1, 1, 0 },
	{ "a memory file mapped as code", map_memfd, 0, 0, 1 },
	{ "by a child that is gone", in_a_child, 1, 0, 0 },
};

static bool perf_there(void)
{
	const struct follow_hook *h = follow_hook_named(app.follow, "perf_mmap2");

	if (!h->attached)
		printf("skipped: %s\n", h->why_not);
	return h->attached;
}

static void new_code_is_seen_as_what_it_is(void **state)
{
	struct follow_counts before, after;

	if (!perf_there())
		skip();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		before = counts();
		running_end(running_start(&app, cases[i].body, NULL));
		after = counts();
		if (after.kinds[FOLLOW_WX_MEMORY] - before.kinds[FOLLOW_WX_MEMORY] != cases[i].wx ||
		    after.kinds[FOLLOW_CODE_ANONYMOUS] - before.kinds[FOLLOW_CODE_ANONYMOUS] !=
			    cases[i].anonymous ||
		    after.kinds[FOLLOW_CODE_MAPPED] - before.kinds[FOLLOW_CODE_MAPPED] !=
			    cases[i].mapped)
			fail_msg("%s: %llu writable, %llu anonymous, %llu mapped", cases[i].what,
				 after.kinds[FOLLOW_WX_MEMORY] - before.kinds[FOLLOW_WX_MEMORY],
				 after.kinds[FOLLOW_CODE_ANONYMOUS] -
					 before.kinds[FOLLOW_CODE_ANONYMOUS],
				 after.kinds[FOLLOW_CODE_MAPPED] - before.kinds[FOLLOW_CODE_MAPPED]);
	}
	assert_int_equal(last[FOLLOW_WX_MEMORY].flags, PROT_READ | PROT_WRITE | PROT_EXEC);
	assert_int_equal(last[FOLLOW_WX_MEMORY].length, 4096);
	assert_non_null(strstr(last[FOLLOW_CODE_MAPPED].text, "assay-test-code"));
}

static void new_code_of_others_is_not_counted(void **state)
{
	struct follow_counts before = counts(), after;

	if (!perf_there())
		skip();
	running_end(running_outsider(&app, map_writable_code, NULL));
	after = counts();
	assert_int_equal(after.kinds[FOLLOW_WX_MEMORY], before.kinds[FOLLOW_WX_MEMORY]);
}

#define BURST 4000

static int map_often(struct running *x, void *arg)
{
	for (int i = 0; i < BURST; i++) {
		void *at = anonymous(PROT_READ | PROT_EXEC);

		if (at == MAP_FAILED || munmap(at, 4096) < 0)
			return 1;
	}
	return 0;
}

static bool readable(int wait_ms)
{
	struct pollfd p = { .fd = follow_events_fd(app.follow), .events = POLLIN };

	return poll(&p, 1, wait_ms) > 0;
}

/* As the daemon does while a process runs that is not the application's. */
static uint64_t wakes_during(int (*body)(struct running *x, void *arg))
{
	pid_t pid = running_outsider(&app, body, NULL);
	uint64_t wakes = 0;
	bool ended = false;
	int status = 0;

	while (!ended) {
		ended = waitpid(pid, &status, WNOHANG) == pid;
		while (readable(ended ? 0 : 10)) {
			wakes++;
			assert_int_equal(follow_drain(app.follow), 0);
		}
	}
	assert_int_equal(status, 0);
	return wakes;
}

/* The machine is full of them, and what they cost must not be what it does. */
static void new_code_of_others_wakes_rarely(void **state)
{
	struct follow_loss_account before, after;
	uint64_t wakes, records;

	if (!perf_there())
		skip();
	assert_int_equal(follow_account(app.follow, &before), 0);
	wakes = wakes_during(map_often);
	assert_int_equal(follow_account(app.follow, &after), 0);
	records = after.maps.records + after.maps.lost - before.maps.records - before.maps.lost;
	assert_true(records >= BURST);
	/* So that it is read before it is full. */
	assert_true(wakes > 0);
	if (wakes * 50 > records)
		fail_msg("%llu wakes for %llu records", (unsigned long long)wakes,
			 (unsigned long long)records);
}

/* Nothing but the mapping happens between the test's two words to it. */
static int map_when_told(struct running *x, void *arg)
{
	running_wait(x);
	if (map_writable_code(x, NULL) != 0)
		return 1;
	running_say(x, 1);
	running_wait(x);
	return 0;
}

static void new_code_wakes_at_once_where_that_is_asked_for(void **state)
{
	struct follow_counts before;
	pid_t pid;

	running_stop(&app);
	memset(&app, 0, sizeof(app));
	running_prepare_with(&app, &(struct follow_options){ .code_at_once = true });
	if (!perf_there())
		skip();
	pid = running_start(&app, map_when_told, NULL);
	/* Until all is read that its start left. */
	for (int i = 0; i < 100 && readable(20); i++)
		assert_int_equal(follow_drain(app.follow), 0);
	before = counts();
	running_go(&app);
	assert_int_equal(running_hear(&app), 1);
	assert_true(readable(20000));
	assert_int_equal(counts().kinds[FOLLOW_WX_MEMORY], before.kinds[FOLLOW_WX_MEMORY] + 1);
	running_go(&app);
	running_end(pid);
}

static int copy_true(int to)
{
	CLEANUP(cleanup_fd) int from = open("/bin/true", O_RDONLY | O_CLOEXEC);
	char data[65536];
	ssize_t n;

	while ((n = read(from, data, sizeof(data))) > 0) {
		if (write(to, data, (size_t)n) != n)
			return -1;
	}
	return (int)n;
}

static int exec_memfd(struct running *x, void *arg)
{
	char *const arguments[] = { (char *)"true", NULL }, *const none[] = { NULL };
	int fd = memfd_create("true", MFD_CLOEXEC);

	if (fd < 0 || copy_true(fd) < 0)
		return 1;
	fexecve(fd, arguments, none);
	return 2;
}

/* The copy at arg, which it removes before it executes it. */
static int exec_deleted(struct running *x, void *arg)
{
	char *const arguments[] = { (char *)"true", NULL }, *const none[] = { NULL };
	int fd = open(arg, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700), again;

	if (fd < 0 || copy_true(fd) < 0)
		return 1;
	again = open(arg, O_PATH | O_CLOEXEC);
	close(fd);
	unlink(arg);
	fexecve(again, arguments, none);
	return 2;
}

static int exec_file(struct running *x, void *arg)
{
	execl("/bin/true", "true", NULL);
	return 1;
}

static void programs_from_memory_are_told_apart(void **state)
{
	char path[64];
	struct follow_counts c;

	running_end(running_start(&app, exec_file, NULL));
	c = counts();
	for (uint32_t i = 0; i < FOLLOW_EXEC_FLAGS; i++)
		assert_int_equal(c.exec[i], 0);
	assert_int_equal(last[FOLLOW_EXEC].flags, 0);
	running_end(running_start(&app, exec_memfd, NULL));
	c = counts();
	assert_int_equal(c.exec[FOLLOW_EXEC_MEMFD], 1);
	assert_int_equal(c.exec[FOLLOW_EXEC_DELETED], 0);
	assert_true(last[FOLLOW_EXEC].flags & 1 << FOLLOW_EXEC_MEMFD);
	snprintf(path, sizeof(path), "/var/tmp/assay-true-%d", getpid());
	running_end(running_start(&app, exec_deleted, path));
	c = counts();
	assert_int_equal(c.exec[FOLLOW_EXEC_DELETED], 1);
	assert_int_equal(c.exec[FOLLOW_EXEC_MEMFD], 1);
}

static int exec_script(struct running *x, void *arg)
{
	int fd = open(arg, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);

	if (fd < 0 || write(fd, "#!/bin/true\n", 12) != 12 || close(fd) < 0)
		return 1;
	execl(arg, "script", NULL);
	return 2;
}

static void a_script_is_told_from_a_program(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "/var/tmp/assay-script-%d", getpid());
	running_end(running_start(&app, exec_script, path));
	unlink(path);
	assert_int_equal(counts().exec[FOLLOW_EXEC_SCRIPT], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_code_is_seen_as_what_it_is),
		TEST(new_code_of_others_is_not_counted),
		TEST(new_code_of_others_wakes_rarely),
		TEST(new_code_wakes_at_once_where_that_is_asked_for),
		TEST(programs_from_memory_are_told_apart),
		TEST(a_script_is_told_from_a_program),
	};

	if (!running_possible())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
