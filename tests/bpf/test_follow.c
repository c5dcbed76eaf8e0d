/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cleanup.h"
#include "collectors/cgroup.h"
#include "tests/bpf/running.h"

#define RECORDS_MAX 512

/* What the listener saw. */
struct seen {
	struct follow_record records[RECORDS_MAX];
	size_t n;
};

CLEANUP_FUNCTION(struct mi *, mi_free)

static struct running app;
static struct seen seen;

static void on_record(void *arg, const struct follow_record *record)
{
	struct seen *s = arg;

	if (s->n < RECORDS_MAX)
		s->records[s->n++] = *record;
}

static int setup(void **state)
{
	seen.n = 0;
	memset(&app, 0, sizeof(app));
	running_prepare(&app, 0);
	follow_listen(app.follow, on_record, &seen);
	return 0;
}

static int teardown(void **state)
{
	running_stop(&app);
	return 0;
}

/* The record of that kind of the process (0: any); NULL: none was seen. */
static const struct follow_record *find(uint32_t kind, pid_t pid)
{
	assert_int_equal(follow_drain(app.follow), 0);
	for (size_t i = 0; i < seen.n; i++) {
		const struct follow_record *r = &seen.records[i];

		if (r->kind == kind && (pid == 0 || r->pid == (uint32_t)pid))
			return r;
	}
	return NULL;
}

static uint64_t counted(uint32_t kind)
{
	struct follow_counts c;

	assert_int_equal(follow_counts(app.follow, app.target->slot, &c), 0);
	return c.kinds[kind];
}

static void every_hook_is_there_or_says_why(void **state)
{
	const struct follow_hook *h;
	size_t n = 0;

	for (; (h = follow_hook(app.follow, n)); n++) {
		if (h->attached || !h->wanted)
			continue;
		printf("hook %s: %s\n", h->name, h->why_not);
		/* A kernel may not have it; one that has it and refuses our program is our mistake.
		 */
		assert_string_equal(h->why_not, "this kernel has no such hook");
	}
	assert_int_equal(n, follow_hook_count(app.follow));
	assert_true(n >= 10);
}

static int run_true(struct running *x, void *arg)
{
	execl("/bin/true", "true", NULL);
	return 1;
}

static void exec_has_the_file_and_exit_the_status(void **state)
{
	const struct follow_record *r;
	struct stat st;
	pid_t pid = running_start(&app, run_true, NULL);

	running_end(pid);
	r = find(FOLLOW_EXEC, pid);
	assert_non_null(r);
	assert_int_equal(stat("/bin/true", &st), 0);
	assert_int_equal(r->inode, st.st_ino);
	assert_int_equal(r->device >> 20, major(st.st_dev));
	assert_int_equal(r->device & 0xfffff, minor(st.st_dev));
	assert_string_equal(r->text, "/bin/true");
	r = find(FOLLOW_EXIT, pid);
	assert_non_null(r);
	assert_int_equal(r->value, 0);
	assert_false(follow_has(app.follow, app.target->slot, pid));
	assert_int_equal(counted(FOLLOW_EXEC), 1);
	assert_int_equal(counted(FOLLOW_EXIT), 1);
}

static void others_are_not_recorded(void **state)
{
	pid_t pid = running_outsider(&app, run_true, NULL);

	running_end(pid);
	assert_null(find(FOLLOW_EXEC, 0));
	assert_null(find(FOLLOW_EXIT, 0));
	assert_int_equal(counted(FOLLOW_EXEC), 0);
}

/* Forks, and the child as a daemon does: setsid, forks again; the last one stays. */
static int daemonise(struct running *x, void *arg)
{
	pid_t pid;

	running_wait(x); /* until the test has moved us to another cgroup */
	pid = fork();
	if (pid == 0) {
		setsid();
		pid = fork();
		if (pid == 0) {
			running_say(x, getpid());
			alarm(30); /* where it is not followed, as it should be, nobody ends it */
			pause();
		}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return 0;
}

static void a_daemon_that_left_the_cgroup_is_followed(void **state)
{
	pid_t root = running_start(&app, daemonise, NULL), pid, members[8];
	CLEANUP(mi_freep) struct mi *mi = NULL;
	bool listed = false;
	ssize_t n;

	/* To the parent of the application's cgroup. */
	assert_int_equal(cgroup_add(app.base_fd, root), 0);
	running_go(&app);
	pid = (pid_t)running_hear(&app);
	running_end(root);
	assert_true(follow_has(app.follow, app.target->slot, pid));
	assert_true(target_has(app.target, pid));
	assert_false(target_has(app.target, getpid()));
	n = follow_members(app.follow, app.target->slot, members, 8);
	assert_int_equal(n, 1);
	assert_int_equal(members[0], pid);
	assert_int_equal(mi_new(&mi), 0);
	assert_int_equal(target_scan(app.target, running_now_ns(), mi), 0);
	for (size_t i = 0; i < app.target->n_processes; i++)
		listed |= app.target->processes[i].pid == pid;
	assert_true(listed);
	assert_true(app.target->scan_complete);
	assert_int_equal(counted(FOLLOW_FORK), 2);
}

static int stay(struct running *x, void *arg)
{
	pause();
	return 0;
}

static void who_is_moved_in_belongs_to_it(void **state)
{
	pid_t pid = running_outsider(&app, stay, NULL);
	const struct follow_record *r;

	assert_false(target_has(app.target, pid));
	assert_int_equal(cgroup_add(app.target->cgroup_fd, pid), 0);
	r = find(FOLLOW_ENTER, pid);
	assert_non_null(r);
	assert_int_equal(r->actor, getpid());
	assert_true(follow_has(app.follow, app.target->slot, pid));
}

static int listen_on(struct sockaddr_in *ret)
{
	socklen_t len = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (fd < 0 || bind(fd, (struct sockaddr *)ret, sizeof(*ret)) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)ret, &len) < 0)
		return -1;
	return fd;
}

static int connect_to(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		return -1;
	return fd;
}

static int listen_and_connect(struct running *x, void *arg)
{
	struct sockaddr_in own;

	if (listen_on(&own) < 0 || connect_to(arg) < 0)
		return 1;
	running_say(x, ntohs(own.sin_port));
	running_wait(x);
	return 0;
}

static void listening_and_connecting_are_seen(void **state)
{
	const struct follow_record *r;
	struct sockaddr_in server;
	int fd = listen_on(&server);
	long port;
	pid_t pid;

	assert_true(fd >= 0);
	assert_null(find(FOLLOW_LISTEN, 0)); /* the test itself is not of it */
	pid = running_start(&app, listen_and_connect, &server);
	port = running_hear(&app);
	r = find(FOLLOW_LISTEN, pid);
	assert_non_null(r);
	assert_int_equal(r->local_port, port);
	assert_int_equal(r->family, AF_INET);
	assert_int_equal(r->protocol, IPPROTO_TCP);
	r = find(FOLLOW_CONNECT, pid);
	assert_non_null(r);
	assert_int_equal(r->remote_port, ntohs(server.sin_port));
	assert_memory_equal(r->remote, &server.sin_addr, 4);
	running_go(&app);
	running_end(pid);
	close(fd);
}

#define SENT	 (1024 * 1024)
#define RECEIVED (300 * 1000)
/* IP and TCP headers of one packet without options, and with all that fit. */
#define HEADERS_MIN (20 + 20)
#define HEADERS_MAX (20 + 60)

static int transfer(int fd, size_t out, size_t in)
{
	static char data[65536];

	for (size_t n = 0; n < out;) {
		size_t want = out - n < sizeof(data) ? out - n : sizeof(data);
		ssize_t done = write(fd, data, want);

		if (done <= 0)
			return -1;
		n += (size_t)done;
	}
	for (size_t n = 0; n < in;) {
		size_t want = in - n < sizeof(data) ? in - n : sizeof(data);
		ssize_t done = read(fd, data, want);

		if (done <= 0)
			return -1;
		n += (size_t)done;
	}
	return 0;
}

static int send_and_receive(struct running *x, void *arg)
{
	int fd = connect_to(arg);

	return fd < 0 || transfer(fd, SENT, RECEIVED) < 0;
}

/* Serves one client from the test itself, outside the cgroup. */
static void serve(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(transfer(fd, 0, SENT), 0);
	assert_int_equal(transfer(fd, RECEIVED, 0), 0);
	close(fd);
}

static void traffic_is_counted_to_the_byte(void **state)
{
	struct follow_traffic t;
	struct sockaddr_in server;
	int fd = listen_on(&server);
	pid_t pid;

	pid = running_outsider(&app, send_and_receive, &server);
	serve(fd);
	running_end(pid);
	assert_int_equal(follow_traffic(app.follow, app.target->slot, &t), 0);
	assert_int_equal(t.sent_bytes, 0); /* nothing of what others do */
	assert_int_equal(t.received_bytes, 0);

	pid = running_start(&app, send_and_receive, &server);
	serve(fd);
	running_end(pid);
	assert_int_equal(follow_traffic(app.follow, app.target->slot, &t), 0);
	assert_in_range(t.sent_bytes, SENT + HEADERS_MIN * t.sent_packets,
			SENT + HEADERS_MAX * t.sent_packets);
	assert_in_range(t.received_bytes, RECEIVED + HEADERS_MIN * t.received_packets,
			RECEIVED + HEADERS_MAX * t.received_packets);
	close(fd);
}

static int signal_child(struct running *x, void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	signal(SIGUSR1, SIG_IGN);
	running_say(x, getpid());
	running_wait(x);
	return 0;
}

static int signal_target(struct running *x, void *arg)
{
	return kill(*(pid_t *)arg, SIGUSR1) < 0;
}

static void signals_from_outside_are_seen(void **state)
{
	pid_t pid = running_start(&app, signal_child, NULL), by;
	const struct follow_record *r;

	running_hear(&app);
	assert_int_equal(counted(FOLLOW_SIGNAL), 0); /* among its own processes */
	by = running_outsider(&app, signal_target, &pid);
	running_end(by);
	r = find(FOLLOW_SIGNAL, pid);
	assert_non_null(r);
	assert_int_equal(r->actor, by);
	assert_int_equal(r->value, SIGUSR1);
	running_go(&app);
	running_end(pid);
}

static int be_nobody(struct running *x, void *arg)
{
	static volatile int word = 1;

	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 1;
	running_say(x, (long)&word);
	running_wait(x);
	return 0;
}

struct reach {
	pid_t pid;
	long address;
};

static int by_ptrace(struct running *x, void *arg)
{
	pid_t pid = ((struct reach *)arg)->pid;

	return ptrace(PTRACE_ATTACH, pid, 0, 0) < 0 || waitpid(pid, NULL, 0) != pid ||
	       ptrace(PTRACE_DETACH, pid, 0, 0) < 0;
}

static int by_process_vm(struct running *x, void *arg)
{
	const struct reach *to = arg;
	int word;
	struct iovec local = { &word, sizeof(word) },
		     remote = { (void *)to->address, sizeof(word) };

	return process_vm_readv(to->pid, &local, 1, &remote, 1, 0) != sizeof(word);
}

static int by_mem(struct running *x, void *arg)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", ((struct reach *)arg)->pid);
	return open(path, O_RDONLY) < 0;
}

static int by_environ(struct running *x, void *arg)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/environ", ((struct reach *)arg)->pid);
	return open(path, O_RDONLY) < 0;
}

static const struct {
	const char *what;
	int (*body)(struct running *x, void *arg);
	uint32_t access;
} reaches[] = {
	{ "ptrace", by_ptrace, FOLLOW_ACCESS_PTRACE },
	{ "process_vm_readv", by_process_vm, FOLLOW_ACCESS_PROCESS_VM },
	{ "/proc/PID/mem", by_mem, FOLLOW_ACCESS_MEM },
	{ "looking at /proc/PID/environ", by_environ, FOLLOW_ACCESS_ENVIRON },
};

static bool has_hook(const char *name)
{
	const struct follow_hook *h;

	for (size_t i = 0; (h = follow_hook(app.follow, i)); i++) {
		if (strcmp(h->name, name) == 0)
			return h->attached;
	}
	return false;
}

static void reaching_into_it_is_seen_and_told_apart(void **state)
{
	struct reach to;
	struct follow_counts before, after;
	pid_t by;

	if (!has_hook("cap_capable") && !has_hook("security_ptrace_access_check")) {
		printf("skipped: no hook on access checks on this kernel\n");
		skip();
	}
	to.pid = running_start(&app, be_nobody, NULL);
	to.address = running_hear(&app);
	for (size_t i = 0; i < ARRAY_LEN(reaches); i++) {
		assert_int_equal(follow_counts(app.follow, app.target->slot, &before), 0);
		by = running_outsider(&app, reaches[i].body, &to);
		running_end(by);
		assert_int_equal(follow_counts(app.follow, app.target->slot, &after), 0);
		for (uint32_t a = 0; a < FOLLOW_ACCESSES; a++) {
			if ((after.access[a] > before.access[a]) != (a == reaches[i].access))
				fail_msg("%s: %s went from %llu to %llu", reaches[i].what,
					 follow_access_name(a), before.access[a], after.access[a]);
		}
	}
	assert_non_null(find(FOLLOW_FOREIGN, to.pid));
	running_go(&app);
	running_end(to.pid);
}

static int make_tpm(struct running *x, void *arg)
{
	/* Fixed number of the first TPM (admin-guide/devices.txt). */
	int r = mknod(arg, S_IFCHR | 0600, makedev(10, 224)) < 0 ? errno : 0;

	unlink(arg);
	return r;
}

static int open_null(struct running *x, void *arg)
{
	return open("/dev/null", O_RDWR) < 0;
}

static void the_chip_is_out_of_reach(void **state)
{
	char path[] = "/tmp/assay-test-XXXXXX", node[64];
	struct follow_traffic t;
	int status;
	pid_t pid;

	assert_non_null(mkdtemp(path));
	snprintf(node, sizeof(node), "%s/tpm0", path);
	pid = running_outsider(&app, make_tpm, node);
	running_end(pid); /* outside nothing is denied */
	pid = running_start(&app, make_tpm, node);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), EPERM);
	assert_int_equal(follow_traffic(app.follow, app.target->slot, &t), 0);
	assert_int_equal(t.devices_denied, 1);
	rmdir(path);
}

static void other_devices_are_not_denied(void **state)
{
	running_end(running_start(&app, open_null, NULL));
}

static void frozen_it_stands_still(void **state)
{
	pid_t pid = running_start(&app, be_nobody, NULL);
	int status;

	running_hear(&app);
	assert_int_equal(target_freeze(app.target, true), 0);
	usleep(50000);
	running_go(&app); /* to end, which it cannot now */
	usleep(100000);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_int_equal(target_freeze(app.target, false), 0);
	running_end(pid);
}

static int open_unprivileged(struct running *x, void *arg)
{
	struct follow_options options = { 0 };
	struct follow *f = NULL;
	char why[256] = "";

	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 1;
	if (follow_open(&options, &f, why, sizeof(why)) == 0)
		return 2;
	return why[0] == '\0' || f ? 3 : 0;
}

static void without_privilege_it_says_why(void **state)
{
	running_end(running_outsider(&app, open_unprivileged, NULL));
}

static void slots_run_out_and_come_back(void **state)
{
	uint32_t slots[FOLLOW_SLOTS], one;

	for (size_t i = 0; i + 1 < FOLLOW_SLOTS; i++) /* the target has one */
		assert_int_equal(follow_slot_new(app.follow, &slots[i]), 0);
	assert_int_equal(follow_slot_new(app.follow, &one), -ENOSPC);
	follow_slot_free(app.follow, slots[3]);
	assert_int_equal(follow_slot_new(app.follow, &one), 0);
	assert_int_equal(one, slots[3]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_hook_is_there_or_says_why),
		TEST(exec_has_the_file_and_exit_the_status),
		TEST(others_are_not_recorded),
		TEST(a_daemon_that_left_the_cgroup_is_followed),
		TEST(who_is_moved_in_belongs_to_it),
		TEST(listening_and_connecting_are_seen),
		TEST(traffic_is_counted_to_the_byte),
		TEST(signals_from_outside_are_seen),
		TEST(reaching_into_it_is_seen_and_told_apart),
		TEST(the_chip_is_out_of_reach),
		TEST(other_devices_are_not_denied),
		TEST(frozen_it_stands_still),
		TEST(without_privilege_it_says_why),
		TEST(slots_run_out_and_come_back),
	};

	if (!running_possible())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
