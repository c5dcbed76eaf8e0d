/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cleanup.h"
#include "tests/bpf/nodes.h"

/*
 * What processes may do, what is held open and the machine, of real processes. Each attack
 * comes with the same steps without the decisive one, which must show nothing.
 */

static const Assay__Credentials *credentials(const Assay__Mi *m, uint32_t index)
{
	assert_in_range(index, 1, m->n_credentials);
	return m->credentials[index - 1];
}

static const Assay__Namespaces *namespaces(const Assay__Mi *m, uint32_t index)
{
	assert_in_range(index, 1, m->n_namespaces);
	return m->namespaces[index - 1];
}

static uint32_t inode_of(const char *link)
{
	struct stat st;

	assert_int_equal(stat(link, &st), 0);
	return (uint32_t)st.st_ino;
}

static void credentials_are_those_of_the_process(void **state)
{
	pid_t pid = running_start(&app, stay, NULL);
	const Assay__Credentials *c;
	const Assay__Namespaces *n;
	const Assay__Process *p;
	const Assay__Mi *m;

	running_hear(&app);
	m = node();
	assert_state(m, "credentials", COMPLETE);
	assert_int_equal(m->n_processes, 1);
	p = m->processes[0];
	c = credentials(m, p->credentials);
	assert_int_equal(c->uid, getuid());
	assert_int_equal(c->effective_uid, geteuid());
	assert_int_equal(c->filesystem_gid, getegid());
	assert_int_equal(c->groups, getgroups(0, NULL));
	assert_true(c->effective & UINT64_C(1) << CAP_SYS_ADMIN);
	assert_int_equal(c->no_new_privs, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	n = namespaces(m, p->namespaces);
	assert_int_equal(n->cgroup, inode_of("/proc/self/ns/cgroup"));
	assert_int_equal(n->ipc, inode_of("/proc/self/ns/ipc"));
	assert_int_equal(n->mnt, inode_of("/proc/self/ns/mnt"));
	assert_int_equal(n->net, inode_of("/proc/self/ns/net"));
	assert_int_equal(n->pid, inode_of("/proc/self/ns/pid"));
	assert_int_equal(n->time, inode_of("/proc/self/ns/time"));
	assert_int_equal(n->user, inode_of("/proc/self/ns/user"));
	assert_int_equal(n->uts, inode_of("/proc/self/ns/uts"));
	assert_int_equal(p->tracer, 0);
	assert_int_equal(p->dumpable, 2);
	assert_int_equal(p->executed, 0);
	assert_int_equal(p->n_threads_apart, 0);
	end(pid);
}

/* Each step is asked for by the test, and seen at the node after it. */
static int change(struct running *x, void *arg)
{
	gid_t groups[] = { 7, 9 };

	running_say(x, 0);
	running_wait(x);
	if (setgroups(2, groups) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0) < 0)
		return 1;
	running_say(x, 0);
	running_wait(x);
	if (unshare(CLONE_NEWUTS) < 0)
		return 2;
	running_say(x, 0);
	running_wait(x);
	if (setresuid(4711, 4712, 4711) < 0)
		return 3;
	running_say(x, 0);
	running_wait(x);
	return 0;
}

static void X08_X10_X11_changes_of_credentials_are_seen(void **state)
{
	/* 7 and 9, 4 bytes each, little-endian: printf '\7\0\0\0\11\0\0\0' | sha256sum */
	static const uint8_t begins[] = { 0x07, 0, 0, 0, 0x09, 0, 0, 0 };
	pid_t pid = running_start(&app, change, NULL);
	const Assay__Credentials *c;
	const Assay__Mi *m;
	struct digest d;
	uint32_t uts;

	running_hear(&app);
	m = node();
	uts = namespaces(m, m->processes[0]->namespaces)->uts;
	running_go(&app);
	running_hear(&app);
	m = node();
	c = credentials(m, m->processes[0]->credentials);
	assert_int_equal(c->groups, 2);
	assert_int_equal(digest_of(HASH_SHA256, view_of(begins, sizeof(begins)), &d), 0);
	assert_int_equal(c->groups_sha256.len, 32);
	assert_memory_equal(c->groups_sha256.data, d.bytes, 32);
	assert_true(c->no_new_privs);
	assert_int_equal(m->processes[0]->dumpable, 1);
	assert_int_equal(namespaces(m, m->processes[0]->namespaces)->uts, uts);
	running_go(&app);
	running_hear(&app);
	m = node();
	assert_int_not_equal(namespaces(m, m->processes[0]->namespaces)->uts, uts);
	running_go(&app);
	running_hear(&app);
	m = node();
	c = credentials(m, m->processes[0]->credentials);
	assert_int_equal(c->uid, 4711);
	assert_int_equal(c->effective_uid, 4712);
	assert_int_equal(c->effective, 0);
	end(pid);
}

static void *act_alone(void *arg)
{
	struct running *x = arg;

	/* The system call itself: the C library would change all threads. */
	if (syscall(SYS_setresuid, -1, 4713, -1) < 0)
		_exit(9);
	running_say(x, syscall(SYS_gettid));
	running_wait(x);
	return NULL;
}

static void *act_alike(void *arg)
{
	running_say(arg, syscall(SYS_gettid));
	running_wait(arg);
	return NULL;
}

static int with_thread(struct running *x, void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, arg ? act_alone : act_alike, x) != 0)
		return 1;
	pthread_join(thread, NULL);
	return 0;
}

static void a_thread_that_stands_apart_is_named(void **state)
{
	static int alone;
	const Assay__Threads *t;
	const Assay__Mi *m;
	pid_t pid;
	long tid;

	pid = running_start(&app, with_thread, NULL);
	running_hear(&app);
	m = node();
	assert_int_equal(m->processes[0]->threads, 2);
	assert_int_equal(m->processes[0]->n_threads_apart, 0);
	end(pid);
	pid = running_start(&app, with_thread, &alone);
	tid = running_hear(&app);
	m = node();
	assert_int_equal(m->n_processes, 1);
	assert_int_equal(m->processes[0]->n_threads_apart, 1);
	t = m->processes[0]->threads_apart[0];
	assert_int_equal(t->first, tid);
	assert_int_equal(t->count, 1);
	assert_int_equal(credentials(m, t->credentials)->effective_uid, 4713);
	assert_int_equal(credentials(m, m->processes[0]->credentials)->effective_uid, geteuid());
	end(pid);
}

static void M03_a_tracer_is_named(void **state)
{
	pid_t pid = running_start(&app, stay, NULL);

	running_hear(&app);
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	assert_int_equal(node()->processes[0]->tracer, getpid());
	assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, NULL, __WALL), pid);
	assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
	assert_int_equal(node()->processes[0]->tracer, 0);
	end(pid);
}

/*
 * The kernel lets a process pass for another file once nothing of its own is mapped any more
 * (PR_SET_MM_MAP), so the last steps run from a copy, and from the C library's pages.
 */
#define RANGES_MAX 16

struct leaving {
	long (*call)(long number, ...);
	struct {
		unsigned long start, length;
	} ranges[RANGES_MAX];
	size_t n;
	int commands, answers;
	bool decisive;
	struct prctl_mm_map map; /* with the file to pass for */
	long answer;
	char go;
};

__attribute__((section("leaving_code"), noinline, used, no_stack_protector)) static void
leave(struct leaving *l)
{
	for (size_t i = 0; i < l->n; i++)
		l->call(SYS_munmap, l->ranges[i].start, l->ranges[i].length);
	if (l->decisive)
		l->answer = l->call(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, &l->map,
				    sizeof(l->map), 0L);
	l->call(SYS_write, l->answers, &l->answer, sizeof(l->answer));
	l->call(SYS_read, l->commands, &l->go, 1);
	l->call(SYS_exit_group, 0);
}

/* The layout as it is (proc(5), stat: fields 26 to 28 and 45 to 51). */
static bool read_layout(struct prctl_mm_map *m)
{
	unsigned long long f[52] = { 0 };
	char text[2048] = "", *at;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return false;
	close(fd);
	at = strrchr(text, ')') + 4;
	for (int i = 4; i < 52; i++)
		f[i] = strtoull(at, &at, 10);
	*m = (struct prctl_mm_map){
		.start_code = f[26], .end_code = f[27], .start_stack = f[28], .start_data = f[45],
		.end_data = f[46], .start_brk = f[47], .brk = (uintptr_t)sbrk(0),
		.arg_start = f[48], .arg_end = f[49], .env_start = f[50], .env_end = f[51],
		.exe_fd = (uint32_t)open("/bin/sh", O_RDONLY | O_CLOEXEC),
	};
	return true;
}

extern const char __start_leaving_code[], __stop_leaving_code[];

static int masquerade(struct running *x, void *arg)
{
	struct leaving *l = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t size = (size_t)(__stop_leaving_code - __start_leaving_code);
	void (*copy)(struct leaving *l) = (void (*)(struct leaving *))((char *)l + 4096);
	char exe[256] = "", line[512], path[256];
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, stop;

	if (l == MAP_FAILED || !maps || readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0)
		return 1;
	l->call = (long (*)(long, ...))syscall;
	if (!read_layout(&l->map))
		return 2;
	l->commands = x->commands;
	l->answers = x->answers;
	l->decisive = arg != NULL;
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %255s", &start, &stop, path) == 3 &&
		    strcmp(path, exe) == 0 && l->n < RANGES_MAX) {
			l->ranges[l->n].start = start;
			l->ranges[l->n++].length = stop - start;
		}
	}
	memcpy((char *)l + 4096, __start_leaving_code, size);
	running_say(x, 0);
	running_wait(x);
	copy(l);
	return 1;
}

static void M28_an_executable_that_passes_for_another_is_named(void **state)
{
	static int decisive;
	const Assay__Process *p;
	const Assay__Mi *m;
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		pid = running_start(&app, masquerade, i ? &decisive : NULL);
		running_hear(&app);
		assert_int_equal(node()->processes[0]->executed, 0);
		running_go(&app);
		assert_int_equal(running_hear(&app), 0);
		m = node();
		p = m->processes[0];
		assert_int_equal(p->executed != 0, i);
		if (i) {
			assert_non_null(strstr(m->files[p->executed - 1]->path, "bpf_state"));
			assert_null(strstr(m->files[p->executable - 1]->path, "bpf_state"));
		}
		end(pid);
	}
}

static int execute(struct running *x, void *arg)
{
	char *const argv[] = { (char *)"sleep", (char *)"600", NULL };

	running_say(x, 0);
	running_wait(x);
	execv("/bin/sleep", argv);
	return 1;
}

static void an_exec_is_no_masquerade(void **state)
{
	pid_t pid = running_start(&app, execute, NULL);
	uint64_t executions;
	const Assay__Mi *m;

	running_hear(&app);
	executions = node()->processes[0]->executions;
	running_go(&app);
	do {
		usleep(1000);
		m = node();
	} while (m->processes[0]->executions == executions);
	m = node();
	assert_int_equal(m->processes[0]->executed, 0);
	assert_null(strstr(m->files[m->processes[0]->executable - 1]->path, "bpf_state"));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static size_t own(const Assay__Mi *m, const char *kind, const char *detail)
{
	size_t n = 0;

	for (size_t i = 0; i < m->descriptors->n_own; i++) {
		const Assay__Descriptor *d = m->descriptors->own[i];

		n += strcmp(d->kind, kind) == 0 && strstr(d->detail, detail) != NULL;
	}
	return n;
}

static const Assay__Holder *foreign(const Assay__Mi *m, const char *kind, pid_t pid)
{
	for (size_t i = 0; i < m->descriptors->n_foreign; i++) {
		const Assay__Holder *h = m->descriptors->foreign[i];

		if (strcmp(h->kind, kind) == 0 && h->pid == (uint32_t)pid)
			return h;
	}
	return NULL;
}

static int open_all(struct running *x, void *arg)
{
	struct bpf_insn none[] = { { .code = 0xb7 }, { .code = 0x95 } }; /* r0 = 0; exit */
	char path[96];
	int fd;

	for (fd = STDERR_FILENO + 1; fd < 1024; fd++) { /* what the test has open */
		if (fd != x->commands && fd != x->answers)
			close(fd);
	}
	/* Harmless ones first: none of them may be listed. */
	snprintf(path, sizeof(path), "%s/plain", directory);
	if (open("/dev/null", O_RDWR) < 0 || open("/dev/zero", O_RDONLY) < 0 ||
	    open(path, O_RDWR | O_CREAT, 0600) < 0 || unlink(path) < 0 ||
	    socket(AF_UNIX, SOCK_STREAM, 0) < 0 || epoll_create1(0) < 0)
		return 1;
	running_say(x, 0);
	running_wait(x);
	snprintf(path, sizeof(path), "%s/tool", directory);
	fd = open(path, O_RDWR | O_CREAT, 0700);
	if (fd < 0 || unlink(path) < 0)
		return 2;
	if (memfd_create("stage2", 0) < 0)
		return 3;
	snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
	if (open(path, O_RDONLY) < 0)
		return 4;
	if (bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "x", "GPL", none, 2, NULL) < 0)
		return 5;
	if (socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)) < 0)
		return 6;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || listen(fd, 1) < 0 || dup2(fd, STDIN_FILENO) < 0)
		return 7;
	running_say(x, 0);
	running_wait(x);
	return 0;
}

static void what_the_application_holds_open_is_named(void **state)
{
	pid_t pid = running_start(&app, open_all, NULL);
	const Assay__Mi *m;
	char expected[64];

	running_hear(&app);
	m = node();
	assert_state(m, "descriptors", COMPLETE);
	assert_int_equal(m->descriptors->n_own, 0);
	running_go(&app);
	running_hear(&app);
	m = node();
	assert_int_equal(own(m, "deleted_program", "tool"), 1);
	assert_int_equal(own(m, "memory_file", "memfd:stage2"), 1);
	snprintf(expected, sizeof(expected), "of process %d", getpid());
	assert_int_equal(own(m, "process_memory", expected), 1);
	assert_int_equal(own(m, "kernel_object", "bpf-prog"), 1);
	assert_int_equal(own(m, "raw_socket", "packet"), 1);
	assert_int_equal(own(m, "standard_socket", "tcp/0.0.0.0:"), 1);
	assert_int_equal(m->descriptors->n_own, 6);
	end(pid);
}

static pid_t target_pid;

static int hold_memory(struct running *x, void *arg)
{
	const char *what = arg;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", target_pid, what);
	fd = open(path, strcmp(what, "mem") == 0 ? O_RDWR : O_RDONLY);
	running_say(x, fd);
	running_wait(x);
	return 0;
}

/* A process that is not of the application; its pipes are its own. */
static struct running outsider;

static pid_t start_outsider(int (*body)(struct running *x, void *arg), void *arg)
{
	int commands[2], answers[2];
	pid_t pid;

	assert_int_equal(pipe2(commands, O_CLOEXEC), 0);
	assert_int_equal(pipe2(answers, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct running x = { .commands = commands[0], .answers = answers[1] };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(commands[1]);
		close(answers[0]);
		_exit(body(&x, arg));
	}
	close(commands[0]);
	close(answers[1]);
	outsider = (struct running){ .commands = commands[1], .answers = answers[0] };
	return pid;
}

static void end_outsider(pid_t pid)
{
	running_go(&outsider);
	running_end(pid);
	close(outsider.commands);
	close(outsider.answers);
}

static void T01_who_has_its_memory_open_is_named(void **state)
{
	pid_t pid = running_start(&app, stay, NULL), other;
	const Assay__Holder *h;

	running_hear(&app);
	target_pid = pid;
	other = start_outsider(hold_memory, (void *)"status");
	assert_true(running_hear(&outsider) >= 0);
	assert_null(foreign(node(), "memory", other));
	end_outsider(other);
	other = start_outsider(hold_memory, (void *)"mem");
	assert_true(running_hear(&outsider) >= 0);
	h = foreign(node(), "memory", other);
	assert_non_null(h);
	assert_int_equal(h->target, pid);
	assert_true(h->writable);
	end_outsider(other);
	/* That of another process is nobody's business here. */
	target_pid = getpid();
	other = start_outsider(hold_memory, (void *)"mem");
	assert_true(running_hear(&outsider) >= 0);
	assert_null(foreign(node(), "memory", other));
	end_outsider(other);
	end(pid);
}

static int hold_port(struct running *x, void *arg)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const uint16_t *port = arg;
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	at.sin_port = port ? htons(*port) : 0;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 4) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return 1;
	running_say(x, ntohs(at.sin_port));
	running_wait(x);
	return 0;
}

static void who_shares_its_port_is_named(void **state)
{
	pid_t pid = running_start(&app, hold_port, NULL), other;
	uint16_t port = (uint16_t)running_hear(&app);
	const Assay__Holder *h;
	char expected[64];

	other = start_outsider(hold_port, NULL);
	running_hear(&outsider);
	assert_null(foreign(node(), "port", other));
	end_outsider(other);
	other = start_outsider(hold_port, &port);
	running_hear(&outsider);
	h = foreign(node(), "port", other);
	assert_non_null(h);
	snprintf(expected, sizeof(expected), "tcp/127.0.0.1:%u", port);
	assert_string_equal(h->detail, expected);
	end_outsider(other);
	end(pid);
}

static int hold_packets(struct running *x, void *arg)
{
	bool hidden = arg && unshare(CLONE_NEWNET) == 0;

	running_say(x, arg && !hidden ? -1 : socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
	running_wait(x);
	return 0;
}

static void T12_who_listens_to_packets_is_named(void **state)
{
	pid_t pid = running_start(&app, stay, NULL), other;
	static int elsewhere;

	running_hear(&app);
	other = start_outsider(hold_packets, &elsewhere);
	assert_true(running_hear(&outsider) >= 0);
	assert_null(foreign(node(), "packets", other));
	end_outsider(other);
	other = start_outsider(hold_packets, NULL);
	assert_true(running_hear(&outsider) >= 0);
	assert_non_null(foreign(node(), "packets", other));
	end_outsider(other);
	end(pid);
}

static int listen_otherwise(struct running *x, void *arg)
{
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK,
				  .svm_cid = VMADDR_CID_ANY,
				  .svm_port = VMADDR_PORT_ANY };
	struct sockaddr_un abstract = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(vm);
	int fds[3] = { socket(AF_VSOCK, SOCK_STREAM, 0), socket(AF_UNIX, SOCK_SEQPACKET, 0),
		       socket(AF_UNIX, SOCK_DGRAM, 0) };

	snprintf(abstract.sun_path + 1, sizeof(abstract.sun_path) - 1, "%s",
		 strrchr(directory, '/') + 1);
	if (bind(fds[1], (struct sockaddr *)&abstract,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			     strlen(abstract.sun_path + 1))) < 0 ||
	    listen(fds[1], 1) < 0)
		return 1;
	snprintf(abstract.sun_path, sizeof(abstract.sun_path), "%s/datagrams", directory);
	if (bind(fds[2], (struct sockaddr *)&abstract, sizeof(abstract)) < 0)
		return 2;
	if (fds[0] < 0) {
		running_say(x, 0);
	} else {
		if (bind(fds[0], (struct sockaddr *)&vm, sizeof(vm)) < 0 || listen(fds[0], 1) < 0 ||
		    getsockname(fds[0], (struct sockaddr *)&vm, &len) < 0)
			return 3;
		running_say(x, vm.svm_port);
	}
	running_wait(x);
	return 0;
}

static bool listens(const Assay__Mi *m, const char *protocol, const char *address)
{
	for (size_t i = 0; i < m->network->n_listeners; i++) {
		const Assay__Listener *l = m->network->listeners[i];

		if (strcmp(l->protocol, protocol) == 0 && strcmp(l->address, address) == 0)
			return true;
	}
	return false;
}

static void listeners_of_other_families_are_listed(void **state)
{
	pid_t pid = running_start(&app, listen_otherwise, NULL);
	long port = running_hear(&app);
	const Assay__Mi *m = node();
	char address[128];

	assert_state(m, "network", COMPLETE);
	snprintf(address, sizeof(address), "@%s", strrchr(directory, '/') + 1);
	assert_true(listens(m, "unix", address));
	snprintf(address, sizeof(address), "%s/datagrams", directory);
	assert_true(listens(m, "unix", address));
	assert_false(listens(m, "unix", "/nowhere"));
	if (port == 0) {
		print_message("without vsock: this kernel has none\n");
	} else {
		snprintf(address, sizeof(address), "%u:%ld", VMADDR_CID_ANY, port);
		assert_true(listens(m, "vsock", address));
	}
	end(pid);
}

static const Assay__Setting *setting(const Assay__Mi *m, const char *name)
{
	for (size_t i = 0; i < m->machine->n_settings; i++) {
		if (strcmp(m->machine->settings[i]->name, name) == 0)
			return m->machine->settings[i];
	}
	fail_msg("%s is not measured", name);
	return NULL;
}

static const Assay__BpfProgram *program(const Assay__Mi *m, uint32_t id)
{
	for (size_t i = 0; i < m->machine->n_programs; i++) {
		if (m->machine->programs[i]->id == id)
			return m->machine->programs[i];
	}
	return NULL;
}

static int load_program(struct running *x, void *arg)
{
	struct bpf_insn none[] = { { .code = 0xb7 }, { .code = 0x95 } };
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);
	int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "foreign", "GPL", none, 2, NULL);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return 1;
	running_say(x, info.id);
	running_wait(x);
	return 0;
}

/* Their number. */
static size_t none_of_ours_is_listed(const Assay__Mi *m)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;
	size_t n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);
		char target[32] = "";

		if (readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1) <= 0 ||
		    strcmp(target, "anon_inode:bpf-prog") != 0)
			continue;
		assert_int_equal(bpf_obj_get_info_by_fd(atoi(e->d_name), &info, &size), 0);
		assert_null(program(m, info.id));
		n++;
	}
	closedir(dir);
	return n;
}

static void the_machine_is_described(void **state)
{
	const Assay__BpfProgram *p;
	char value[64] = "";
	const Assay__Mi *m;
	uint32_t id;
	pid_t other;
	int fd;

	m = node();
	assert_state(m, "machine", COMPLETE);
	fd = open("/proc/sys/kernel/randomize_va_space", O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, value, sizeof(value) - 1) > 0);
	close(fd);
	value[strcspn(value, "\n")] = '\0';
	assert_string_equal(setting(m, "kernel.randomize_va_space")->value, value);
	assert_int_equal(setting(m, "kernel.yama.ptrace_scope")->absent,
			 access("/proc/sys/kernel/yama/ptrace_scope", F_OK) < 0);
	/* K03: another's program is listed, and gone when it is. */
	other = start_outsider(load_program, NULL);
	id = (uint32_t)running_hear(&outsider);
	m = node();
	p = program(m, id);
	assert_non_null(p);
	assert_string_equal(p->name, "foreign");
	assert_int_equal(p->tag.len, 8);
	end_outsider(other);
	/* Of ours none is listed, and they are there: the programs that follow and scan. */
	m = node();
	assert_true(none_of_ours_is_listed(m) > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(credentials_are_those_of_the_process),
		TEST(X08_X10_X11_changes_of_credentials_are_seen),
		TEST(a_thread_that_stands_apart_is_named),
		TEST(M03_a_tracer_is_named),
		TEST(M28_an_executable_that_passes_for_another_is_named),
		TEST(an_exec_is_no_masquerade),
		TEST(what_the_application_holds_open_is_named),
		TEST(T01_who_has_its_memory_open_is_named),
		TEST(who_shares_its_port_is_named),
		TEST(T12_who_listens_to_packets_is_named),
		TEST(listeners_of_other_families_are_listed),
		TEST(the_machine_is_described),
	};

	if (!running_possible())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
