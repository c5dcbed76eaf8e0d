/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cleanup.h"
#include "collectors/cgroup.h"
#include "tests/bpf/nodes.h"

CLEANUP_FUNCTION(struct mi *, mi_free)

static void before_it_runs_nothing_is_claimed(void **state)
{
	const Assay__Mi *m = node();

	assert_state(m, "start_time", FAILED);
	assert_null(m->start_time);
	assert_int_equal(m->n_processes, 0);
	assert_int_equal(m->code->n_processes, 0);
}

static void the_root_process_is_the_one_that_was_started(void **state)
{
	pid_t pid = running_start(&app, stay, NULL);
	const Assay__Mi *m;
	struct stat st;

	running_hear(&app);
	m = node();
	assert_state(m, "start_time", COMPLETE);
	assert_int_equal(m->start_time->root_pid, pid);
	assert_true(m->start_time->root_alive);
	assert_true(m->start_time->root_start_boottime_ns <= app.target->started_boottime_ns);
	assert_true(m->start_time->root_start_boottime_ns + 1000000000ULL >
		    app.target->started_boottime_ns);
	assert_int_equal(m->n_processes, 1);
	assert_int_equal(m->processes[0]->pid, pid);
	assert_int_equal(m->processes[0]->parent, getpid());
	assert_int_equal(stat("/proc/self/exe", &st), 0);
	assert_int_equal(m->files[m->processes[0]->executable - 1]->inode, st.st_ino);
	/* Another start time is another process with the same pid. */
	app.target->root_start_boottime_ns = m->start_time->root_start_boottime_ns + 10000000;
	assert_false(node()->start_time->root_alive);
	end(pid);
	assert_false(node()->start_time->root_alive);
}

#define GROWTH (32 * 1024 * 1024)

static int grow(struct running *x, void *arg)
{
	volatile uint64_t sum = 0;
	char *memory;

	running_say(x, 0);
	running_wait(x);
	memory = mmap(NULL, GROWTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(memory, 1, GROWTH);
	for (unsigned long long until = running_now_ns() + 300000000; running_now_ns() < until;)
		sum++;
	running_say(x, 0);
	running_wait(x);
	return 0;
}

static void memory_and_cpu_time_grow_with_use(void **state)
{
	pid_t pid = running_start(&app, grow, NULL);
	uint64_t resident, cpu_ns;
	const Assay__Mi *m;

	running_hear(&app);
	m = node();
	assert_state(m, "resources", COMPLETE);
	resident = m->resources->resident_bytes;
	cpu_ns = m->resources->cpu_ns;
	assert_true(resident > 0);
	assert_true(m->resources->virtual_bytes > resident);
	running_go(&app);
	running_hear(&app);
	m = node();
	/* Older kernels keep this by CPU and let go of the last few pages of each. */
	assert_true(m->resources->resident_bytes >= resident + GROWTH - GROWTH / 32);
	assert_true(m->resources->cpu_ns >= cpu_ns + 50000000);
	assert_int_equal(m->resources->window_cpu_ns, m->resources->cpu_ns - cpu_ns);
	assert_in_range(m->resources->cpu_share_milli, 50, 1100);
	m = node(); /* and an idle window after it is idle */
	assert_true(m->resources->window_cpu_ns < 20000000);
	end(pid);
}

struct places {
	struct sockaddr_in server;
	char path[96];
	int inherited; /* the test's own listener */
};

static int use_network(struct running *x, void *arg)
{
	struct places *to = arg;
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	struct sockaddr_in udp = { .sin_family = AF_INET };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(any);
	char data[1000] = "";
	int fds[4];

	close(to->inherited);
	fds[0] = socket(AF_INET6, SOCK_STREAM, 0);
	fds[1] = socket(AF_INET, SOCK_DGRAM, 0);
	fds[2] = socket(AF_UNIX, SOCK_STREAM, 0);
	fds[3] = socket(AF_INET, SOCK_STREAM, 0);
	snprintf(local.sun_path, sizeof(local.sun_path), "%s", to->path);
	if (bind(fds[0], (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fds[0], 4) < 0 ||
	    getsockname(fds[0], (struct sockaddr *)&any, &len) < 0 ||
	    bind(fds[1], (struct sockaddr *)&udp, sizeof(udp)) < 0 ||
	    bind(fds[2], (struct sockaddr *)&local, sizeof(local)) < 0 || listen(fds[2], 4) < 0 ||
	    connect(fds[3], (struct sockaddr *)&to->server, sizeof(to->server)) < 0 ||
	    write(fds[3], data, sizeof(data)) != sizeof(data))
		return 1;
	running_say(x, ntohs(any.sin6_port));
	running_wait(x);
	return 0;
}

static const Assay__Listener *listener(const Assay__Mi *m, const char *protocol,
				       const char *address)
{
	for (size_t i = 0; i < m->network->n_listeners; i++) {
		const Assay__Listener *l = m->network->listeners[i];

		if (strcmp(l->protocol, protocol) == 0 &&
		    (!address || strcmp(l->address, address) == 0))
			return l;
	}
	return NULL;
}

static void listeners_and_connections_are_listed(void **state)
{
	struct places to = { .server = { .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
	CLEANUP(cleanup_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(to.server);
	const Assay__Connection *c;
	char text[64];
	const Assay__Mi *m;
	pid_t pid;

	/* The test's own listener: it is not the application's, and must not show. */
	assert_int_equal(bind(fd, (struct sockaddr *)&to.server, len), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to.server, &len), 0);
	to.inherited = fd;
	snprintf(to.path, sizeof(to.path), "%s/socket", directory);
	pid = running_start(&app, use_network, &to);
	snprintf(text, sizeof(text), "[::1]:%ld", running_hear(&app));
	m = node();
	assert_state(m, "network", COMPLETE);
	assert_int_equal(m->network->n_listeners, 3);
	assert_non_null(listener(m, "tcp", text));
	assert_int_equal(listener(m, "tcp", text)->pid, pid);
	assert_non_null(listener(m, "udp", NULL));
	assert_non_null(listener(m, "unix", to.path));
	assert_int_equal(m->network->n_connections, 1);
	c = m->network->connections[0];
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(to.server.sin_port));
	assert_string_equal(c->remote, text);
	assert_string_equal(c->state, "established");
	assert_true(c->outgoing);
	assert_in_range(c->sent_bytes, 1000, 1001);
	assert_in_range(m->network->sent_bytes, 1000, 2000);
	assert_int_equal(m->network->sent_total_bytes, m->network->sent_bytes);
	m = node();
	assert_int_equal(m->network->sent_bytes, 0); /* of this window */
	assert_true(m->network->sent_total_bytes >= 1000);
	end(pid);
}

static int write_files(struct running *x, void *arg)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/data", directory);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || open("/etc/passwd", O_RDONLY) < 0)
		return 1;
	for (int i = 0; i < 100; i++) {
		char block[1000] = "";

		if (write(fd, block, sizeof(block)) != sizeof(block))
			return 1;
	}
	running_say(x, 0);
	running_wait(x);
	return 0;
}

static void files_and_space_used_are_seen(void **state)
{
	pid_t pid = running_start(&app, write_files, NULL);
	const Assay__Filesystem *f;
	bool data = false;
	const Assay__Mi *m;

	running_hear(&app);
	m = node();
	assert_state(m, "storage", COMPLETE);
	assert_int_equal(m->storage->n_filesystems, 1);
	f = m->storage->filesystems[0];
	assert_string_equal(f->path, directory);
	assert_int_equal(f->tree_files, 1);
	assert_in_range(f->tree_bytes, 98304, 131072);
	assert_true(f->tree_complete);
	assert_true(f->used_bytes > 0 && f->available_bytes > 0);
	assert_true(f->type[0] != '\0');
	for (size_t i = 0; i < m->storage->n_writes; i++) {
		const char *path = m->storage->writes[i]->path;

		data |= strstr(path, "/data") != NULL;
		assert_string_not_equal(path, "/etc/passwd"); /* open for reading only */
	}
	assert_true(data);
	end(pid);
}

static int exec_sleep(struct running *x, void *arg)
{
	char name[] = "sleep", time[] = "60", *const argv[] = { name, time, NULL };

	return execve("/bin/sleep", argv, arg);
}

/* Waits until the child has executed another program. */
static void wait_for_exec(pid_t pid)
{
	struct stat own, its;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	assert_int_equal(stat("/proc/self/exe", &own), 0);
	for (int i = 0; i < 1000; i++) {
		if (stat(path, &its) == 0 && its.st_ino != own.st_ino) {
			usleep(50000); /* for the loader to map its libraries */
			return;
		}
		usleep(1000);
	}
	fail_msg("no exec");
}

static const Assay__Variable *variable(const Assay__Mi *m, const char *name)
{
	const Assay__EnvironmentOf *e = m->environment->processes[0];

	for (size_t i = 0; i < e->n_variables; i++) {
		if (strcmp(e->variables[i]->name, name) == 0)
			return e->variables[i];
	}
	return NULL;
}

/* Some library of the system that sleep would not load by itself. */
static const char *some_library(void)
{
	static const char *const candidates[] = {
		"/lib/x86_64-linux-gnu/libz.so.1",
		"/lib/aarch64-linux-gnu/libz.so.1",
		"/usr/lib/libz.so.1",
	};

	for (size_t i = 0; i < ARRAY_LEN(candidates); i++) {
		if (access(candidates[i], R_OK) == 0)
			return candidates[i];
	}
	return NULL;
}

static void a_preloaded_library_shows_twice(void **state)
{
	char preload[128], colour[] = "COLOUR=blue", secret[] = "SECRET=hidden";
	char *environment[] = { preload, colour, secret, NULL };
	const char *library = some_library();
	const Assay__Mi *m;
	pid_t pid;

	if (!library) {
		printf("skipped: no libz.so.1 here\n");
		skip();
	}
	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", library);
	pid = running_start(&app, exec_sleep, environment);
	wait_for_exec(pid);
	m = node();
	assert_state(m, "environment", COMPLETE);
	assert_state(m, "code", COMPLETE);
	assert_non_null(variable(m, "LD_PRELOAD"));
	assert_string_equal(variable(m, "LD_PRELOAD")->value, library);
	assert_string_equal(variable(m, "COLOUR")->value, "blue");
	assert_null(variable(m, "SECRET")); /* not one to record; its name is */
	assert_int_equal(m->environment->processes[0]->n_names, 3);
	assert_string_equal(m->environment->processes[0]->names[2], "SECRET");
	assert_int_equal(m->environment->processes[0]->sha256.len, 32);
	assert_non_null(mapped(m, "libz.so"));
	assert_non_null(mapped(m, "/sleep"));
	assert_int_equal(mapped(m, "libz.so")->sha256.len, 32);
}

static void without_preload_neither_shows(void **state)
{
	char colour[] = "COLOUR=red", *environment[] = { colour, NULL };
	pid_t pid = running_start(&app, exec_sleep, environment);
	const Assay__Mi *m;

	wait_for_exec(pid);
	m = node();
	assert_null(variable(m, "LD_PRELOAD"));
	assert_null(mapped(m, "libz.so"));
	assert_int_equal(m->code->processes[0]->n_modified, 0);
	for (size_t i = 0; i < m->code->processes[0]->n_anonymous; i++)
		assert_string_equal(m->code->processes[0]->anonymous[i]->name, "[vdso]");
}

/* What this test does when it is executed again as the application: hides how it was started. */
static int overwrite_environment(void)
{
	extern char **environ;
	char *start = environ[0];
	size_t len = 0;

	for (size_t i = 0; environ[i]; i++)
		len = (size_t)(environ[i] - start) + strlen(environ[i]);
	environ = NULL;
	memset(start, 'x', len); /* one piece without an equals sign, as a server's name */
	pause();
	return 0;
}

static int exec_overwriting(struct running *x, void *arg)
{
	char name[] = "overwrite", *const argv[] = { name, NULL };

	return execve("/proc/self/exe", argv, arg);
}

static void an_environment_that_was_written_over_is_known(void **state)
{
	char preload[] = "LD_PRELOAD=/nonexistent.so", colour[] = "COLOUR=green";
	char *environment[] = { preload, colour, NULL }, block[64] = "", path[32];
	pid_t pid = running_start(&app, exec_overwriting, environment);
	const Assay__Mi *m;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	for (int i = 0; i < 1000 && block[0] != 'x'; i++) {
		CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

		(void)!read(fd, block, sizeof(block) - 1);
		usleep(1000);
	}
	assert_int_equal(block[0], 'x'); /* it is gone from where everybody looks */
	m = node();
	assert_state(m, "environment", COMPLETE);
	assert_non_null(variable(m, "LD_PRELOAD"));
	assert_string_equal(variable(m, "COLOUR")->value, "green");
	assert_int_equal(m->environment->processes[0]->n_names, 2);
}

static const char log_start[] = "start of all\nnothing\nERROR one\n";

static void add_to_log(const char *text, int flags)
{
	CLEANUP(cleanup_fd) int fd = open(log_path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void log_lines_are_counted_once(void **state)
{
	const Assay__LogFile *f;
	const Assay__Mi *m;
	char other[128];

	m = node();
	assert_state(m, "logs", PARTIAL); /* configured, and not there */
	assert_true(m->logs->files[0]->error[0] != '\0');
	add_to_log(log_start, O_APPEND);
	m = node();
	assert_state(m, "logs", COMPLETE);
	assert_int_equal(m->logs->n_files, 1); /* two patterns, one file */
	f = m->logs->files[0];
	assert_int_equal(f->lines, 3);
	assert_int_equal(f->bytes, strlen(log_start));
	assert_int_equal(f->n_matches, 2);
	assert_int_equal(f->matches[0]->count, 1);
	assert_string_equal(f->matches[0]->lines[0], "ERROR one");
	assert_int_equal(f->matches[1]->count, 1);
	f = node()->logs->files[0];
	assert_int_equal(f->lines, 0);
	assert_int_equal(f->matches[0]->count, 0);
	assert_int_equal(f->matches[0]->total, 1);
	/* A line in two halves is one line. */
	add_to_log("ERR", O_APPEND);
	assert_int_equal(node()->logs->files[0]->lines, 0);
	add_to_log("OR two\n", O_APPEND);
	f = node()->logs->files[0];
	assert_int_equal(f->lines, 1);
	assert_int_equal(f->matches[0]->count, 1);
	/* Rotated: the rest of the old file, then all of the new. */
	add_to_log("ERROR three\n", O_APPEND);
	snprintf(other, sizeof(other), "%s.1", log_path);
	assert_int_equal(rename(log_path, other), 0);
	add_to_log("panic four\nquiet\n", O_APPEND);
	f = node()->logs->files[0];
	assert_true(f->rotated);
	assert_int_equal(f->lines, 3);
	assert_int_equal(f->matches[0]->count, 2);
	assert_int_equal(f->matches[0]->total, 4);
	/* Cut, and grown past the old place again before the next node. */
	add_to_log("panic five\nquiet and longer than before, much longer\n", O_TRUNC);
	f = node()->logs->files[0];
	assert_true(f->rotated);
	assert_int_equal(f->matches[0]->count, 1);
	f = node()->logs->files[0];
	assert_false(f->rotated);
}

static const Assay__EventCounter *counter(const Assay__Mi *m, const char *kind)
{
	for (size_t i = 0; i < m->kernel->n_counters; i++) {
		if (strcmp(m->kernel->counters[i]->kind, kind) == 0)
			return m->kernel->counters[i];
	}
	fail_msg("no counter %s", kind);
	return NULL;
}

static int fork_twice(struct running *x, void *arg)
{
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(3);
		waitpid(pid, NULL, 0);
	}
	return stay(x, arg);
}

static void kernel_events_of_the_window_are_listed(void **state)
{
	pid_t pid = running_start(&app, fork_twice, NULL);
	const Assay__Mi *m;
	bool status = false;

	running_hear(&app);
	m = node();
	assert_true(m->kernel->loss->complete);
	assert_int_equal(m->kernel->loss->assigned,
			 m->kernel->loss->delivered + m->kernel->loss->dropped);
	assert_int_equal(counter(m, "fork")->window, 2);
	assert_int_equal(counter(m, "exit")->window, 2);
	assert_int_equal(counter(m, "exec")->window, 0);
	for (size_t i = 0; i < m->kernel->n_events; i++)
		status |= strcmp(m->kernel->events[i]->detail, "status 3") == 0;
	assert_true(status);
	assert_true(m->kernel->n_hooks > 0);
	assert_true(m->kernel->n_covers > 0);
	m = node();
	assert_int_equal(counter(m, "fork")->window, 0);
	assert_int_equal(counter(m, "fork")->total, 2);
	assert_int_equal(m->kernel->n_events, 0);
	end(pid);
}

static void without_ebpf_it_is_said_and_the_rest_works(void **state)
{
	struct target_config config = app.config;
	struct target *bare = NULL;
	CLEANUP(mi_freep) struct mi *made = NULL;
	struct collector_time time = { .boottime_ns = 2, .previous_boottime_ns = 1 };
	char name[96];
	pid_t pid;

	snprintf(name, sizeof(name), "%s-bare", app.name);
	config.name = name;
	assert_int_equal(target_new(&config, app.base_fd, app.base_path, NULL, &bare), 0);
	bare->follow_why = "tried without";
	pid = running_start(&app, stay, NULL);
	running_hear(&app);
	assert_int_equal(cgroup_add(bare->cgroup_fd, pid), 0);
	assert_int_equal(mi_new(&made), 0);
	assert_int_equal(target_scan(bare, 2, made), 0);
	assert_int_equal(made->msg->n_processes, 1);
	for (size_t i = 0; collector_table[i]; i++) {
		struct collector *c = NULL;

		if (collector_table[i]->item == 7)
			continue;
		assert_int_equal(collector_table[i]->open(bare, &c), 0);
		assert_int_equal(collector_table[i]->collect(c, &time, made), 0);
		collector_table[i]->close(c);
	}
	assert_state(made->msg, "kernel", FAILED);
	assert_state(made->msg, "network", PARTIAL);
	assert_state(made->msg, "code", COMPLETE);
	end(pid);
	target_free(bare);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(before_it_runs_nothing_is_claimed),
		TEST(the_root_process_is_the_one_that_was_started),
		TEST(memory_and_cpu_time_grow_with_use),
		TEST(listeners_and_connections_are_listed),
		TEST(files_and_space_used_are_seen),
		TEST(a_preloaded_library_shows_twice),
		TEST(without_preload_neither_shows),
		TEST(an_environment_that_was_written_over_is_known),
		TEST(log_lines_are_counted_once),
		TEST(kernel_events_of_the_window_are_listed),
		TEST(without_ebpf_it_is_said_and_the_rest_works),
	};

	if (strcmp(argv[0], "overwrite") == 0)
		return overwrite_environment();
	if (!running_possible())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
