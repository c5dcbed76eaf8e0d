/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cleanup.h"
#include "tests/bpf/running.h"

/*
 * hooks: full. The application and who reaches into it are both root here, so no capability is asked
 * for, and the default hooks see nothing of most of it; that, too, is tested.
 */

static struct running app;

static int setup(void **state)
{
	memset(&app, 0, sizeof(app));
	running_prepare_with(&app, &(struct follow_options){ .full = true });
	return 0;
}

static int setup_default(void **state)
{
	memset(&app, 0, sizeof(app));
	running_prepare(&app, 0);
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

	assert_int_equal(follow_counts(app.follow, app.target->slot, &c), 0);
	return c;
}

static void every_hook_is_there_or_says_why(void **state)
{
	const struct follow_hook *h;

	for (size_t i = 0; (h = follow_hook(app.follow, i)); i++) {
		if (h->wanted && !h->attached && strcmp(h->name, "perf_mmap2") != 0 &&
		    strcmp(h->why_not, "attached when an application has its cgroup") != 0)
			printf("hook %s: %s\n", h->name, h->why_not);
		if (h->wanted && !h->attached)
			assert_string_equal(h->why_not, "this kernel has no such hook");
	}
	assert_null(follow_hook_named(app.follow, "no_such_hook"));
}

static bool is_attached(const char *name)
{
	const struct follow_hook *h = follow_hook_named(app.follow, name);

	return h && h->attached;
}

/*
 * Rare calls are watched at the kernel's functions or, where it lets nobody into those, by tracepoints,
 * of which a single one slows every call of the machine down: never by both.
 */
static void calls_are_watched_in_one_way(void **state)
{
	static const struct {
		const char *call, *function;
	} ways[] = {
		{ "sys_exit_openat", FOLLOW_ACCESS_CHECK },
		{ "sys_exit_ptrace", FOLLOW_ACCESS_CHECK },
		{ "sys_exit_pidfd_getfd", FOLLOW_ACCESS_CHECK },
		{ "sys_exit_setuid", FOLLOW_CREDENTIALS_COMMITTED },
		{ "sys_exit_perf_event_open", FOLLOW_CALL("perf_event_open") },
		{ "sys_exit_userfaultfd", FOLLOW_CALL("userfaultfd") },
		{ "sys_exit_bpf", FOLLOW_CALL("bpf") },
		{ "sys_exit_mremap", FOLLOW_CALL("mremap") },
	};
	bool functions = is_attached(FOLLOW_CREDENTIALS_COMMITTED);

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		if (is_attached(ways[i].function) != functions ||
		    is_attached(ways[i].call) == functions)
			fail_msg("%s, %s", ways[i].call, ways[i].function);
	}
}

static int stay(struct running *x, void *arg)
{
	static volatile int word = 1;

	running_say(x, (long)&word);
	running_wait(x);
	return 0;
}

struct reach {
	pid_t pid;
	long address;
};

static int open_of(pid_t pid, const char *name)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, O_RDONLY) < 0;
}

static int by_mem(struct running *x, void *arg)
{
	return open_of(((struct reach *)arg)->pid, "mem");
}

/* The thread's own directory leads to the same memory. */
static int by_task_mem(struct running *x, void *arg)
{
	char path[64];
	pid_t pid = ((struct reach *)arg)->pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/mem", pid, pid);
	return open(path, O_RDONLY) < 0;
}

/* No path of the target is in sight: the directory was opened before. */
static int by_relative_mem(struct running *x, void *arg)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", ((struct reach *)arg)->pid);
	return chdir(path) < 0 || open("mem", O_RDONLY) < 0;
}

static int by_environ(struct running *x, void *arg)
{
	return open_of(((struct reach *)arg)->pid, "environ");
}

static int by_maps(struct running *x, void *arg)
{
	return open_of(((struct reach *)arg)->pid, "maps");
}

static int by_status(struct running *x, void *arg)
{
	return open_of(((struct reach *)arg)->pid, "status");
}

static int by_own_mem(struct running *x, void *arg)
{
	return open_of(getpid(), "mem");
}

static int by_ptrace(struct running *x, void *arg)
{
	pid_t pid = ((struct reach *)arg)->pid;

	return ptrace(PTRACE_ATTACH, pid, 0, 0) < 0 || waitpid(pid, NULL, 0) != pid ||
	       ptrace(PTRACE_DETACH, pid, 0, 0) < 0;
}

static int by_seize(struct running *x, void *arg)
{
	pid_t pid = ((struct reach *)arg)->pid;

	return ptrace(PTRACE_SEIZE, pid, 0, 0) < 0;
}

static int by_process_vm(struct running *x, void *arg)
{
	const struct reach *to = arg;
	int word;
	struct iovec local = { &word, sizeof(word) },
		     remote = { (void *)to->address, sizeof(word) };

	return process_vm_readv(to->pid, &local, 1, &remote, 1, 0) != sizeof(word);
}

static int by_process_vm_refused(struct running *x, void *arg)
{
	const struct reach *to = arg;
	int word;
	struct iovec local = { &word, sizeof(word) }, remote = { (void *)8, sizeof(word) };

	return process_vm_readv(to->pid, &local, 1, &remote, 1, 0) != -1;
}

static int by_pidfd_getfd(struct running *x, void *arg)
{
	int fd = (int)syscall(SYS_pidfd_open, ((struct reach *)arg)->pid, 0);

	return fd < 0 || syscall(SYS_pidfd_getfd, fd, 0, 0) < 0;
}

static int by_perf(struct running *x, void *arg)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
					.config = PERF_COUNT_SW_DUMMY };

	return syscall(SYS_perf_event_open, &attr, ((struct reach *)arg)->pid, -1, -1, 0) < 0;
}

#define NOTHING FOLLOW_ACCESSES

static const struct {
	const char *what;
	int (*body)(struct running *x, void *arg);
	uint32_t access;
	uint32_t by_default; /* what the default hooks see of it as the same user */
} reaches[] = {
	{ "/proc/PID/mem", by_mem, FOLLOW_ACCESS_MEM, NOTHING },
	{ "/proc/PID/task/TID/mem", by_task_mem, FOLLOW_ACCESS_MEM, NOTHING },
	{ "mem below a directory", by_relative_mem, FOLLOW_ACCESS_MEM, NOTHING },
	{ "/proc/PID/environ", by_environ, FOLLOW_ACCESS_ENVIRON, NOTHING },
	{ "/proc/PID/maps", by_maps, FOLLOW_ACCESS_MAPS, NOTHING },
	{ "/proc/PID/status", by_status, NOTHING, NOTHING },
	{ "its own memory", by_own_mem, NOTHING, NOTHING },
	{ "PTRACE_ATTACH", by_ptrace, FOLLOW_ACCESS_PTRACE, FOLLOW_ACCESS_PTRACE },
	{ "PTRACE_SEIZE", by_seize, FOLLOW_ACCESS_PTRACE, NOTHING },
	{ "process_vm_readv", by_process_vm, FOLLOW_ACCESS_PROCESS_VM, NOTHING },
	{ "process_vm_readv that fails", by_process_vm_refused, NOTHING, NOTHING },
	{ "pidfd_getfd", by_pidfd_getfd, FOLLOW_ACCESS_PIDFD_GETFD, NOTHING },
	{ "perf_event_open", by_perf, FOLLOW_ACCESS_PERF, NOTHING },
};

static void assert_seen(const char *what, uint32_t expected, const struct follow_counts *before,
			const struct follow_counts *after)
{
	for (uint32_t a = 0; a < FOLLOW_ACCESSES; a++) {
		if ((after->access[a] > before->access[a]) != (a == expected))
			fail_msg("%s: %s went from %llu to %llu", what, follow_access_name(a),
				 before->access[a], after->access[a]);
	}
}

/*
 * The hook of older kernels is at the check itself, whoever the user is: what fails after it
 * was granted counts, and hooks: full adds nothing.
 */
static uint32_t expected_of(size_t i, bool full)
{
	const struct follow_hook *check =
		follow_hook_named(app.follow, "security_ptrace_access_check");

	/* Root needs no access check for perf: its own capability is enough. */
	if (check && check->attached && (full || reaches[i].body != by_perf))
		return reaches[i].body == by_process_vm_refused ? FOLLOW_ACCESS_PROCESS_VM :
								  reaches[i].access;
	return full ? reaches[i].access : reaches[i].by_default;
}

static void reach_all(bool full)
{
	struct follow_counts before, after;
	struct reach to;

	to.pid = running_start(&app, stay, NULL);
	to.address = running_hear(&app);
	for (size_t i = 0; i < ARRAY_LEN(reaches); i++) {
		before = counts();
		running_end(running_outsider(&app, reaches[i].body, &to));
		after = counts();
		assert_seen(reaches[i].what, expected_of(i, full), &before, &after);
	}
	running_go(&app);
	running_end(to.pid);
}

static void the_same_user_is_seen(void **state)
{
	reach_all(true);
}

static void the_default_hooks_say_what_they_miss(void **state)
{
	reach_all(false);
}

static int move_data(struct running *x, void *arg)
{
	char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED || mremap(at, 4096, 1024 * 4096, MREMAP_MAYMOVE) == MAP_FAILED;
}

static int move_code(struct running *x, void *arg)
{
	char *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *to = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED || to == MAP_FAILED ||
	       mremap(at, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to;
}

static void moving_code_is_seen_and_moving_data_is_not(void **state)
{
	running_end(running_start(&app, move_data, NULL));
	assert_int_equal(counts().kinds[FOLLOW_CODE_MOVED], 0);
	running_end(running_start(&app, move_code, NULL));
	assert_int_equal(counts().kinds[FOLLOW_CODE_MOVED], 1);
}

static int change_user(struct running *x, void *arg)
{
	return setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0;
}

static int userfault(struct running *x, void *arg)
{
	return syscall(SYS_userfaultfd, O_CLOEXEC) < 0 ? errno : 0;
}

static void credentials_and_userfaultfd_are_seen(void **state)
{
	int status;
	pid_t pid;

	running_end(running_start(&app, change_user, NULL));
	assert_true(counts().kinds[FOLLOW_CREDENTIALS] >= 2);
	pid = running_start(&app, userfault, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == ENOSYS)
		return; /* not in this kernel */
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(counts().kinds[FOLLOW_USERFAULT], 1);
}

static int load_program(struct running *x, void *arg)
{
	/* r0 = 0; exit */
	const struct bpf_insn code[] = { { .code = 0xb7 }, { .code = 0x95 } };
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
				.insn_cnt = 2,
				.insns = (uintptr_t)code,
				.license = (uintptr_t) "GPL" };

	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)) < 0;
}

static int list_programs(struct running *x, void *arg)
{
	union bpf_attr attr = { .start_id = 0 };

	return syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attr, sizeof(attr)) < 0;
}

static void programs_of_others_are_counted(void **state)
{
	struct follow_loss_account a, b;

	assert_int_equal(follow_account(app.follow, &a), 0);
	running_end(running_outsider(&app, list_programs, NULL));
	assert_int_equal(follow_account(app.follow, &b), 0);
	assert_int_equal(b.bpf, a.bpf);
	running_end(running_outsider(&app, load_program, NULL));
	assert_int_equal(follow_account(app.follow, &b), 0);
	assert_true(b.bpf > a.bpf); /* other programs on the machine may load some, too */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_hook_is_there_or_says_why),
		TEST(calls_are_watched_in_one_way),
		TEST(the_same_user_is_seen),
		cmocka_unit_test_setup_teardown(the_default_hooks_say_what_they_miss, setup_default,
						teardown),
		TEST(moving_code_is_seen_and_moving_data_is_not),
		TEST(credentials_and_userfaultfd_are_seen),
		TEST(programs_of_others_are_counted),
	};

	if (!running_possible())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
