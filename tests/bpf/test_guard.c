/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "cleanup.h"
#include "collectors/guard.h"
#include "tests/bpf/running.h"

/*
 * What the guard refuses, each act done by another process that is root as well; and each act on
 * what is not guarded, which succeeds. Runs where the kernel asks BPF LSM: tests/lab/run.py
 * starts such a one.
 */

CLEANUP_FUNCTION(struct mi *, mi_free)

#define TWIN "--twin" /* argument: only stay */

static struct follow *follow;
static uint32_t slot;
static struct guard *guard;
static char directory[64];

/* One act, in a child of its own; 0 or a negative errno. */
struct act {
	const char *name;
	int (*run)(pid_t target, const void *arg);
	enum guard_denial counted;
};

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

/* Of what gives a descriptor: a link that stays open here stays attached. */
static int result_fd(long fd)
{
	return fd < 0 ? -errno : close((int)fd);
}

static int in_child(int (*run)(pid_t target, const void *arg), pid_t target, const void *arg)
{
	pid_t pid;
	int status, ends[2], r = 1;

	fflush(NULL);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		r = run(target, arg);
		_exit(write(ends[1], &r, sizeof(r)) != sizeof(r));
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &r, sizeof(r)), sizeof(r));
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return r;
}

/* A process that executed something, so that it is no copy of this one. */
static pid_t twin_start(void)
{
	int ends[2];
	char ready;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[1], STDOUT_FILENO);
		execl("/proc/self/exe", "bpf_guard", TWIN, NULL);
		_exit(99);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &ready, 1), 1);
	close(ends[0]);
	return pid;
}

static void twin_end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static uint64_t counted(enum guard_denial kind)
{
	struct guard_denied d[GUARD_DENIALS];

	assert_int_equal(guard_denials(guard, d), 0);
	return d[kind].count;
}

/* One eBPF side for all tests: to load it takes seconds on a machine that is emulated. */
static int setup_all(void **state)
{
	struct follow_options options = { .now_boottime_ns = running_now_ns() };
	char why[256];

	if (follow_open(&options, &follow, why, sizeof(why)) < 0)
		return -1;
	return follow_slot_new(follow, &slot);
}

static int teardown_all(void **state)
{
	follow_close(follow);
	return 0;
}

static int setup(void **state)
{
	snprintf(directory, sizeof(directory), "/tmp/assay-guard-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[96];

	guard_close(guard);
	guard = NULL;
	if (follow_watch(follow, slot, FOLLOW_WATCH_MEASURED, NULL, 0) < 0)
		return -1;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

/* From here on guarded; or the test is skipped, having looked that the reason is told. */
static void begin(uint32_t parts)
{
	assert_int_equal(guard_open(follow, parts, &guard), 0);
	assert_ptr_equal(guard_of(follow), guard);
	assert_int_equal(guard_wanted(guard), parts);
	if (guard_active(guard))
		return;
	printf("skipped: %s\n", guard_why_not(guard));
	assert_non_null(strstr(guard_why_not(guard), "bpf in lsm="));
	assert_int_equal(counted(GUARD_DENIED_FILE), 0);
	skip();
}

static int by_attach(pid_t target, const void *arg)
{
	return result(ptrace(PTRACE_ATTACH, target, NULL, NULL));
}

static int by_seize(pid_t target, const void *arg)
{
	return result(ptrace(PTRACE_SEIZE, target, NULL, NULL));
}

static int open_of(pid_t target, const char *name, int flags)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/%s", target, name);
	return result_fd(open(path, flags | O_CLOEXEC));
}

static int by_mem(pid_t target, const void *arg)
{
	return open_of(target, "mem", O_RDWR);
}

static int by_task_mem(pid_t target, const void *arg)
{
	char name[64];

	snprintf(name, sizeof(name), "task/%d/mem", target);
	return open_of(target, name, O_RDONLY);
}

static int by_process_vm(pid_t target, const void *arg)
{
	char byte;
	struct iovec local = { &byte, 1 }, remote = { (void *)arg, 1 };

	return result(process_vm_readv(target, &local, 1, &remote, 1, 0));
}

static int pidfd_of(pid_t target)
{
	return (int)syscall(SYS_pidfd_open, target, 0);
}

static int by_getfd(pid_t target, const void *arg)
{
	return result(syscall(SYS_pidfd_getfd, pidfd_of(target), 0, 0));
}

static int by_environ(pid_t target, const void *arg)
{
	return open_of(target, "environ", O_RDONLY);
}

static int by_maps(pid_t target, const void *arg)
{
	return open_of(target, "maps", O_RDONLY);
}

/* As a secret's memfd would be opened. */
static int by_descriptor(pid_t target, const void *arg)
{
	return open_of(target, "fd/2", O_RDONLY);
}

static int by_limit(pid_t target, const void *arg)
{
	struct rlimit none = { 0, 0 };

	return result(prlimit(target, RLIMIT_CORE, &none, NULL));
}

static int by_stop(pid_t target, const void *arg)
{
	return result(kill(target, SIGSTOP));
}

static int by_terminate(pid_t target, const void *arg)
{
	return result(kill(target, SIGTERM));
}

static int by_queue(pid_t target, const void *arg)
{
	return result(sigqueue(target, SIGUSR1, (union sigval){ 0 }));
}

static int by_thread_kill(pid_t target, const void *arg)
{
	return result(syscall(SYS_tgkill, target, target, SIGKILL));
}

static int by_pidfd_kill(pid_t target, const void *arg)
{
	return result(syscall(SYS_pidfd_send_signal, pidfd_of(target), SIGKILL, NULL, 0));
}

static int by_kill(pid_t target, const void *arg)
{
	return result(kill(target, SIGKILL));
}

static void what_is_not_guarded_is_said(void **state)
{
	struct guard_denied d[GUARD_DENIALS];
	CLEANUP(mi_freep) struct mi *mi = NULL;
	Assay__KernelEvents *out;
	uint64_t denied = 1;

	assert_int_equal(mi_new(&mi), 0);
	out = MI_MESSAGE(mi, Assay__KernelEvents, assay__kernel_events__init);
	assert_int_equal(guard_write(guard_of(follow), mi, out, &denied), 0);
	assert_null(out->guard);
	assert_int_equal(denied, 0);
	assert_int_equal(guard_open(follow, GUARD_SELF | GUARD_CHIP, &guard), 0);
	assert_int_equal(guard_write(guard, mi, out, &denied), 0);
	assert_int_equal(out->guard->n_wanted, 2);
	assert_string_equal(out->guard->wanted[1], "chip");
	assert_int_equal(out->guard->n_active, guard_active(guard) ? 2 : 0);
	assert_int_equal(strlen(out->guard->why_not) == 0, guard_active(guard) != 0);
	assert_int_equal(out->guard->n_denials, 0);
	assert_int_equal(guard_denials(guard, d), 0);
	assert_int_equal(guard_claim(guard), 0);
	if (!guard_active(guard))
		return;
	/* And what was refused, with who it was. */
	assert_int_equal(in_child(by_environ, getpid(), NULL), -EACCES);
	assert_int_equal(in_child(by_queue, getpid(), NULL), -EPERM);
	assert_int_equal(guard_write(guard, mi, out, &denied), 0);
	assert_int_equal(denied, 1);
	assert_int_equal(out->guard->n_denials, 2);
	assert_string_equal(out->guard->denials[1]->kind, "signal");
	assert_string_equal(out->guard->denials[1]->comm, "bpf_guard");
	assert_int_equal(out->guard->denials[1]->total, 1);
	assert_int_not_equal(out->guard->denials[1]->actor, getpid());
}

static const struct act process_acts[] = {
	{ "ptrace attach", by_attach, GUARD_DENIED_ACCESS },
	{ "ptrace seize", by_seize, GUARD_DENIED_ACCESS },
	{ "/proc/PID/mem", by_mem, GUARD_DENIED_ACCESS },
	{ "/proc/PID/task/TID/mem", by_task_mem, GUARD_DENIED_ACCESS },
	{ "process_vm_readv", by_process_vm, GUARD_DENIED_ACCESS },
	{ "pidfd_getfd", by_getfd, GUARD_DENIED_ACCESS },
	{ "/proc/PID/environ", by_environ, GUARD_DENIED_LOOK },
	{ "/proc/PID/maps", by_maps, GUARD_DENIED_LOOK },
	{ "/proc/PID/fd/N", by_descriptor, GUARD_DENIED_LOOK },
	{ "prlimit", by_limit, GUARD_DENIED_LIMIT },
	{ "SIGSTOP", by_stop, GUARD_DENIED_SIGNAL },
	{ "SIGTERM", by_terminate, GUARD_DENIED_SIGNAL },
	{ "sigqueue", by_queue, GUARD_DENIED_SIGNAL },
	{ "tgkill", by_thread_kill, GUARD_DENIED_SIGNAL },
	{ "pidfd_send_signal", by_pidfd_kill, GUARD_DENIED_SIGNAL },
	{ "SIGKILL", by_kill, GUARD_DENIED_SIGNAL },
};

/* An address that the twin, which is this program, has as well where it is not moved; the stack. */
static const void *address_in(pid_t pid)
{
	unsigned long from = 0;
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "[stack]"))
			from = strtoul(strchr(line, '-') + 1, NULL, 16) - 8;
	}
	fclose(f);
	return (const void *)from;
}

static void others_cannot_reach_a_process_of_assayd(void **state)
{
	pid_t ours = twin_start();
	const void *address = address_in(ours);

	assert_int_equal(follow_add_own(follow, ours), 0);
	begin(GUARD_SELF);
	for (size_t i = 0; i < ARRAY_LEN(process_acts); i++) {
		const struct act *a = &process_acts[i];
		pid_t other = twin_start();
		uint64_t before = counted(a->counted);
		int r = in_child(a->run, ours, address);

		if (r != -EPERM && r != -EACCES)
			fail_msg("%s at assayd: %s", a->name, strerror(-r));
		if (counted(a->counted) != before + 1)
			fail_msg("%s at assayd is counted %llu times", a->name,
				 (unsigned long long)(counted(a->counted) - before));
		r = in_child(a->run, other, address_in(other));
		if (r != 0)
			fail_msg("%s at another process: %s", a->name, strerror(-r));
		if (counted(a->counted) != before + 1)
			fail_msg("%s at another process is counted", a->name);
		/* It still lives, and what is assayd itself may do all of that. */
		assert_int_equal(kill(ours, 0), 0);
		assert_int_equal(by_environ(ours, NULL), 0);
		twin_end(other);
	}
	twin_end(ours);
}

static void this_process_and_its_copies_are_guarded_too(void **state)
{
	pid_t copy;
	int status;

	begin(GUARD_SELF);
	assert_int_equal(in_child(by_mem, getpid(), NULL), -EACCES);
	assert_int_equal(in_child(by_attach, getpid(), NULL), -EPERM);
	assert_int_equal(in_child(by_queue, getpid(), NULL), -EPERM);
	copy = fork();
	assert_true(copy >= 0);
	if (copy == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_int_equal(in_child(by_seize, copy, NULL), -EPERM);
	assert_int_equal(in_child(by_kill, copy, NULL), -EPERM);
	assert_int_equal(kill(copy, SIGKILL), 0);
	assert_int_equal(waitpid(copy, &status, 0), copy);
}

/* The eBPF objects that this process has open; from the kernel, as anybody would list them. */
static size_t objects_of_ours(struct guard_object *ret, size_t max)
{
	static const struct {
		const char *field;
		enum guard_object_type type;
	} kinds[] = { { "map_id:", GUARD_MAP },
		      { "prog_id:", GUARD_PROGRAM },
		      { "link_id:", GUARD_LINK } };
	DIR *dir = opendir("/proc/self/fdinfo");
	struct dirent *e;
	size_t n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		struct guard_object o = { 0 };
		char path[300], line[256];
		bool found = false;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%s", e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (!f)
			continue;
		/* A link tells of its program as well: the link is what it is. */
		while (fgets(line, sizeof(line), f)) {
			for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
				size_t len = strlen(kinds[i].field);

				if (strncmp(line, kinds[i].field, len) != 0 ||
				    (found && kinds[i].type != GUARD_LINK))
					continue;
				o.type = kinds[i].type;
				o.id = (uint32_t)strtoul(line + len, NULL, 10);
				found = true;
			}
		}
		fclose(f);
		if (found && n < max)
			ret[n++] = o;
	}
	closedir(dir);
	return n;
}

static int by_id(pid_t target, const void *arg)
{
	const struct guard_object *o = arg;

	switch (o->type) {
	case GUARD_MAP:
		return result_fd(bpf_map_get_fd_by_id(o->id));
	case GUARD_PROGRAM:
		return result_fd(bpf_prog_get_fd_by_id(o->id));
	default:
		return result_fd(bpf_link_get_fd_by_id(o->id));
	}
}

static void others_cannot_open_what_assayd_gave_the_kernel(void **state)
{
	static struct guard_object objects[256];
	size_t n = objects_of_ours(objects, ARRAY_LEN(objects)), kinds[3] = { 0 };
	struct guard_object theirs = { GUARD_MAP, 0 };
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	int map;

	/* Before: anybody may. */
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(in_child(by_id, 0, &objects[i]), 0);
		kinds[objects[i].type]++;
	}
	assert_true(kinds[GUARD_MAP] > 5 && kinds[GUARD_PROGRAM] > 5 && kinds[GUARD_LINK] > 5);
	begin(GUARD_SELF);
	n = objects_of_ours(objects, ARRAY_LEN(objects));
	for (size_t i = 0; i < n; i++) {
		uint64_t before = counted(GUARD_DENIED_OBJECT);

		if (in_child(by_id, 0, &objects[i]) != -EPERM)
			fail_msg("object %u of type %u can be opened", objects[i].id,
				 objects[i].type);
		assert_int_equal(counted(GUARD_DENIED_OBJECT), before + 1);
		assert_int_equal(by_id(0, &objects[i]), 0);
	}
	/* One that came later is anybody's until it is claimed. */
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "later", 4, 4, 1, NULL);
	assert_true(map >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(map, &info, &size), 0);
	theirs.id = info.id;
	assert_int_equal(in_child(by_id, 0, &theirs), 0);
	assert_int_equal(guard_claim(guard), 0);
	assert_int_equal(in_child(by_id, 0, &theirs), -EPERM);
	close(map);
	guard_close(guard);
	guard = NULL;
	n = objects_of_ours(objects, ARRAY_LEN(objects));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(in_child(by_id, 0, &objects[i]), 0);
}

/* Names of the two files; the second is not watched. */
static const char *name_of(const char *name)
{
	static char paths[4][128];
	static unsigned int next;
	char *path = paths[next++ % ARRAY_LEN(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static void make(const char *name)
{
	int fd = open(name_of(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "code", 4), 4);
	close(fd);
}

static int by_write(pid_t target, const void *arg)
{
	return result_fd(open(arg, O_WRONLY));
}

static int by_read(pid_t target, const void *arg)
{
	return result_fd(open(arg, O_RDONLY));
}

static int by_append(pid_t target, const void *arg)
{
	return result_fd(open(arg, O_RDWR | O_APPEND));
}

static int by_truncating_open(pid_t target, const void *arg)
{
	return result_fd(open(arg, O_RDONLY | O_TRUNC));
}

static int by_truncate(pid_t target, const void *arg)
{
	return result(truncate(arg, 0));
}

static int by_chmod(pid_t target, const void *arg)
{
	return result(chmod(arg, 0777));
}

static int by_chown(pid_t target, const void *arg)
{
	return result(chown(arg, 1, 1));
}

static int by_xattr(pid_t target, const void *arg)
{
	return result(setxattr(arg, "trusted.guard", "x", 1, 0));
}

static int by_moving_away(pid_t target, const void *arg)
{
	return result(rename(arg, name_of("moved")));
}

static int by_moving_over(pid_t target, const void *arg)
{
	make("new");
	return result(rename(name_of("new"), arg));
}

static int by_exchange(pid_t target, const void *arg)
{
	make("new");
	return result(renameat2(AT_FDCWD, name_of("new"), AT_FDCWD, arg, RENAME_EXCHANGE));
}

static int by_unlink(pid_t target, const void *arg)
{
	return result(unlink(arg));
}

static int by_other_name(pid_t target, const void *arg)
{
	unlink(name_of("link"));
	return link(arg, name_of("link")) < 0 ? -errno : result_fd(open(name_of("link"), O_WRONLY));
}

static const struct act file_acts[] = {
	{ "open for writing", by_write, GUARD_DENIED_FILE },
	{ "open for appending", by_append, GUARD_DENIED_FILE },
	{ "open with truncation", by_truncating_open, GUARD_DENIED_FILE },
	{ "truncate", by_truncate, GUARD_DENIED_FILE },
	{ "chmod", by_chmod, GUARD_DENIED_FILE },
	{ "chown", by_chown, GUARD_DENIED_FILE },
	{ "setxattr", by_xattr, GUARD_DENIED_FILE },
	{ "rename", by_moving_away, GUARD_DENIED_FILE },
	{ "rename over it", by_moving_over, GUARD_DENIED_FILE },
	{ "exchange", by_exchange, GUARD_DENIED_FILE },
	{ "open another link", by_other_name, GUARD_DENIED_FILE },
	{ "unlink", by_unlink, GUARD_DENIED_FILE },
};

static void watch(const char *path)
{
	struct follow_file file;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	file = follow_file_of(st.st_dev, st.st_ino);
	assert_int_equal(follow_watch(follow, slot, FOLLOW_WATCH_MEASURED, &file, 1), 0);
}

static void others_cannot_change_a_measured_file(void **state)
{
	begin(GUARD_FILES);
	for (size_t i = 0; i < ARRAY_LEN(file_acts); i++) {
		const struct act *a = &file_acts[i];
		uint64_t before = counted(a->counted);
		int r;

		make("measured");
		make("other");
		watch(name_of("measured"));
		r = in_child(a->run, 0, name_of("measured"));
		if (r != -EPERM)
			fail_msg("%s of a measured file: %s", a->name, strerror(-r));
		assert_int_equal(counted(a->counted), before + 1);
		unlink(name_of("link"));
		r = in_child(a->run, 0, name_of("other"));
		if (r != 0 && !(r == -EOPNOTSUPP && a->run == by_xattr))
			fail_msg("%s of another file: %s", a->name, strerror(-r));
		assert_int_equal(counted(a->counted), before + 1);
		/* Reading is everybody's, writing assayd's. */
		assert_int_equal(in_child(by_read, 0, name_of("measured")), 0);
		assert_int_equal(by_write(0, name_of("measured")), 0);
		unlink(name_of("link"));
		assert_int_equal(unlink(name_of("measured")), 0);
	}
	/* What is no longer watched is no longer guarded. */
	make("measured");
	watch(name_of("measured"));
	assert_int_equal(in_child(by_write, 0, name_of("measured")), -EPERM);
	assert_int_equal(follow_watch(follow, slot, FOLLOW_WATCH_MEASURED, NULL, 0), 0);
	assert_int_equal(in_child(by_write, 0, name_of("measured")), 0);
}

static int by_open(pid_t target, const void *arg)
{
	return result_fd(open(arg, O_RDWR | O_NONBLOCK));
}

static void others_cannot_open_the_chip(void **state)
{
	const struct follow_device *devices;
	size_t n = follow_denied_devices(follow, &devices);
	uint64_t before;
	int r;

	/* The TPM's, whose number is fixed: whether there is one or not, who may not is told first.
	 */
	assert_true(n > 0);
	assert_int_equal(
		mknod(name_of("chip"), S_IFCHR | 0600, makedev(devices[0].major, devices[0].minor)),
		0);
	assert_int_equal(mknod(name_of("null"), S_IFCHR | 0600, makedev(1, 3)), 0);
	assert_int_not_equal(in_child(by_open, 0, name_of("chip")), -EPERM);
	begin(GUARD_CHIP);
	before = counted(GUARD_DENIED_CHIP);
	assert_int_equal(in_child(by_open, 0, name_of("chip")), -EPERM);
	assert_int_equal(counted(GUARD_DENIED_CHIP), before + 1);
	assert_int_not_equal(by_open(0, name_of("chip")), -EPERM);
	r = in_child(by_open, 0, name_of("null"));
	assert_int_equal(r, 0);
	assert_int_equal(counted(GUARD_DENIED_CHIP), before + 1);
}

static int make_directory(pid_t target, const void *arg)
{
	return result(mkdir(arg, 0755));
}

/* Kernels without configfs-tsm have it under another subsystem, which lets anybody make
 * directories. */
static void others_cannot_ask_configfs_for_a_report(void **state)
{
	static const char top[] = "/sys/kernel/config/netconsole";
	char tsm[64], file[96];

	if (access(top, F_OK) < 0) {
		printf("skipped: no %s\n", top);
		skip();
	}
	snprintf(tsm, sizeof(tsm), "%s/tsm", top);
	snprintf(file, sizeof(file), "%s/enabled", tsm);
	assert_int_equal(in_child(make_directory, 0, tsm), 0);
	assert_int_equal(in_child(by_open, 0, file), 0);
	begin(GUARD_CHIP);
	assert_int_equal(in_child(by_open, 0, file), -EPERM);
	assert_int_equal(counted(GUARD_DENIED_CHIP), 1);
	snprintf(file, sizeof(file), "%s/report", tsm);
	assert_int_equal(in_child(make_directory, 0, file), -EPERM);
	assert_int_equal(counted(GUARD_DENIED_CHIP), 2);
	snprintf(file, sizeof(file), "%s/enabled", tsm);
	assert_int_equal(by_open(0, file), 0);
	guard_close(guard);
	guard = NULL;
	assert_int_equal(in_child(by_open, 0, file), 0);
	assert_int_equal(rmdir(tsm), 0);
}

static void only_what_is_asked_for_is_guarded(void **state)
{
	pid_t ours = twin_start();

	make("measured");
	watch(name_of("measured"));
	begin(GUARD_CHIP);
	assert_int_equal(follow_add_own(follow, ours), 0);
	assert_int_equal(in_child(by_mem, ours, NULL), 0);
	assert_int_equal(in_child(by_write, 0, name_of("measured")), 0);
	assert_int_equal(in_child(by_kill, ours, NULL), 0);
	twin_end(ours);
}

/* Root cannot set back what was counted, nor does a tool that lists everything stop us. */
static void counts_are_the_kernels(void **state)
{
	struct guard_denied zero = { 0 };
	static struct guard_object objects[256];
	size_t n, tried = 0;

	begin(GUARD_SELF);
	n = objects_of_ours(objects, ARRAY_LEN(objects));
	for (size_t i = 0; i < n; i++) {
		struct bpf_map_info info = { 0 };
		uint32_t size = sizeof(info), key = 0;
		int fd;

		if (objects[i].type != GUARD_MAP)
			continue;
		fd = bpf_map_get_fd_by_id(objects[i].id);
		assert_true(fd >= 0);
		assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
		if (strcmp(info.name, "denials") == 0) {
			tried++;
			assert_int_equal(bpf_map_update_elem(fd, &key, &zero, BPF_ANY), -EPERM);
		}
		close(fd);
	}
	assert_int_equal(tried, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_not_guarded_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(others_cannot_reach_a_process_of_assayd, setup,
						teardown),
		cmocka_unit_test_setup_teardown(this_process_and_its_copies_are_guarded_too, setup,
						teardown),
		cmocka_unit_test_setup_teardown(others_cannot_open_what_assayd_gave_the_kernel,
						setup, teardown),
		cmocka_unit_test_setup_teardown(others_cannot_change_a_measured_file, setup,
						teardown),
		cmocka_unit_test_setup_teardown(others_cannot_open_the_chip, setup, teardown),
		cmocka_unit_test_setup_teardown(others_cannot_ask_configfs_for_a_report, setup,
						teardown),
		cmocka_unit_test_setup_teardown(only_what_is_asked_for_is_guarded, setup, teardown),
		cmocka_unit_test_setup_teardown(counts_are_the_kernels, setup, teardown),
	};

	if (argc > 1 && strcmp(argv[1], TWIN) == 0) {
		if (write(STDOUT_FILENO, "r", 1) != 1)
			return 1;
		for (;;)
			pause();
	}
	if (!running_possible())
		return 77;
	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
