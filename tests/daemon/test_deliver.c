/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/deliver.h"

#define NOBODY		   65534
#define SECRET		   "-----BEGIN PRIVATE KEY-----"
#define SKIPPED		   77
#define RAMFS_MAGIC_NUMBER 0x858458f6
#define TMPFS_MAGIC_NUMBER 0x01021994

struct fixture {
	struct event_base *base;
	char directory[64], path[96];
	struct secret secret;
	struct deliver_socket *socket;
	int error; /* what get answers; 0: the secret */
	int asked, delivered, foreign;
	char application[256], name[256];
	pid_t pid;
};

static int get(void *arg, const char *application, const char *name, pid_t pid,
	       struct deliver_secret *ret)
{
	struct fixture *f = arg;

	f->asked++;
	snprintf(f->application, sizeof(f->application), "%s", application);
	snprintf(f->name, sizeof(f->name), "%s", name);
	if (f->error < 0)
		return f->error;
	*ret = (struct deliver_secret){ "tls-key", 1, &f->secret };
	return 0;
}

static void delivered(void *arg, const char *application, uint32_t stage, const char *name,
		      pid_t pid)
{
	struct fixture *f = arg;

	f->delivered++;
	f->pid = pid;
	assert_int_equal(stage, 1);
}

static void foreign(void *arg, pid_t pid, uid_t uid)
{
	struct fixture *f = arg;

	f->foreign++;
}

static const struct deliver_socket_ops ops = { get, delivered, foreign };

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	snprintf(f->directory, sizeof(f->directory), "/tmp/assay-test-XXXXXX");
	if (!mkdtemp(f->directory) || chmod(f->directory, 0755) < 0)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/credential.sock", f->directory);
	f->base = event_base_new();
	if (secret_heap_open() < 0 || secret_copy(view_text(SECRET), &f->secret) < 0)
		return -1;
	return deliver_socket_open(f->base, f->path, -1, &ops, f, &f->socket);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	deliver_socket_close(f->socket);
	event_base_free(f->base);
	secret_done(&f->secret);
	secret_heap_close();
	snprintf(command, sizeof(command), "rm -rf %s", f->directory);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void pump(struct fixture *f)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

/* As systemd does it: from an abstract address that says for what, and nothing to send. */
static int dial(const struct fixture *f, const char *from, size_t len)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX }, own = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(to.sun_path, f->path, strlen(f->path));
	if (from) {
		memcpy(own.sun_path, from, len);
		assert_int_equal(bind(fd, (struct sockaddr *)&own,
				      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
				 0);
	}
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	return fd;
}

#define ADDRESS(text) text, sizeof(text) - 1

/* What came until the end; -1: it has not ended. */
static ssize_t hear(int fd, char *content, size_t size)
{
	ssize_t n = 0, part;

	while ((part = recv(fd, content + n, size - (size_t)n, 0)) > 0)
		n += part;
	return part == 0 ? n : -1;
}

static void systemd_gets_its_credential(void **state)
{
	struct fixture *f = *state;
	char content[256] = "";
	int fd = dial(f, ADDRESS("\0"
				 "f4c9a1d0e8b37265/unit/payroll.service/tls-key"));

	pump(f);
	assert_int_equal(hear(fd, content, sizeof(content)), strlen(SECRET));
	assert_string_equal(content, SECRET);
	assert_string_equal(f->application, "payroll");
	assert_string_equal(f->name, "tls-key");
	assert_int_equal(f->delivered, 1);
	assert_int_equal(f->pid, getpid());
	close(fd);
}

static void it_waits_until_the_secret_is_released(void **state)
{
	struct fixture *f = *state;
	char content[256] = "";
	int fd, gone;

	f->error = -EAGAIN;
	fd = dial(f, ADDRESS("\0"
			     "1/unit/payroll.service/tls-key"));
	gone = dial(f, ADDRESS("\0"
			       "2/unit/payroll.service/tls-key"));
	pump(f);
	assert_int_equal(hear(fd, content, sizeof(content)), -1);
	close(gone);
	deliver_socket_notify(f->socket, "another");
	pump(f);
	assert_int_equal(f->asked, 2);
	f->error = 0;
	deliver_socket_notify(f->socket, "payroll");
	pump(f);
	assert_int_equal(hear(fd, content, sizeof(content)), strlen(SECRET));
	/* One that has gone is not answered, and not counted. */
	assert_int_equal(f->delivered, 1);
	close(fd);
}

static void a_refusal_brings_nothing(void **state)
{
	struct fixture *f = *state;
	char content[256];
	int fd;

	f->error = -EACCES;
	fd = dial(f, ADDRESS("\0"
			     "1/unit/payroll.service/tls-key"));
	pump(f);
	assert_int_equal(hear(fd, content, sizeof(content)), 0);
	assert_int_equal(f->delivered, 0);
	close(fd);
}

static void the_largest_secret_comes_whole(void **state)
{
	struct fixture *f = *state;
	static char content[2 * SECRET_MAX];
	int fd;

	secret_done(&f->secret);
	assert_int_equal(secret_random(SECRET_MAX, &f->secret), 0);
	fd = dial(f, ADDRESS("\0"
			     "1/unit/payroll.service/tls-key"));
	pump(f);
	assert_int_equal(hear(fd, content, sizeof(content)), SECRET_MAX);
	assert_memory_equal(content, f->secret.data, SECRET_MAX);
	close(fd);
}

static const struct {
	const char *what;
	const char *address;
	size_t len;
} bad_addresses[] = {
	{ "no address of its own", ADDRESS("") },
	{ "a path, which anybody may bind", ADDRESS("/x/unit/payroll.service/tls-key") },
	{ "nothing behind the unit", ADDRESS("\0"
					     "1/unit/payroll.service/") },
	{ "no credential", ADDRESS("\0"
				   "1/unit/payroll.service") },
	{ "not a unit", ADDRESS("\0"
				"1/user/payroll.service/tls-key") },
	{ "not a service", ADDRESS("\0"
				   "1/unit/payroll.socket/tls-key") },
	{ "no unit", ADDRESS("\0"
			     "1/unit/.service/tls-key") },
	{ "no random part", ADDRESS("\0"
				    "/unit/payroll.service/tls-key") },
	{ "a further part", ADDRESS("\0"
				    "1/unit/payroll.service/tls-key/x") },
	{ "a credential that goes up", ADDRESS("\0"
					       "1/unit/payroll.service/..") },
	{ "a zero byte in the unit", ADDRESS("\0"
					     "1/unit/pay\0roll.service/tls-key") },
	{ "a template's instance", ADDRESS("\0"
					   "1/unit/payroll@1.service/tls-key") },
};

static void addresses_of_another_form_are_refused(void **state)
{
	char application[256] = "untouched", name[256] = "untouched";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_addresses); i++) {
		if (deliver_socket_parse(view_of(bad_addresses[i].address, bad_addresses[i].len),
					 application, name) != -EBADMSG)
			fail_msg("%s", bad_addresses[i].what);
		assert_string_equal(application, "untouched");
		assert_string_equal(name, "untouched");
	}
	assert_int_equal(deliver_socket_parse(view_of(ADDRESS("\0"
							      "1/unit/a.b-c.service/n")),
					      application, name),
			 0);
	assert_string_equal(application, "a.b-c");
}

/* assayd.socket: who came before assayd is answered, and the socket stays when it ends. */
static void a_socket_that_was_passed_is_served_and_kept(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char content[256] = "";
	int passed, fd;

	deliver_socket_close(f->socket);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
	passed = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(passed >= 0);
	assert_int_equal(bind(passed, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(passed, 4), 0);
	fd = dial(f, ADDRESS("\0"
			     "1/unit/payroll.service/tls-key"));
	assert_int_equal(deliver_socket_open(f->base, f->path, dup(passed), &ops, f, &f->socket),
			 0);
	pump(f);
	assert_int_equal(hear(fd, content, sizeof(content)), strlen(SECRET));
	close(fd);
	deliver_socket_close(f->socket);
	f->socket = NULL;
	assert_int_equal(access(f->path, F_OK), 0);
	fd = dial(f, ADDRESS("\0"
			     "2/unit/payroll.service/tls-key"));
	close(fd);
	close(passed);
	assert_int_equal(unlink(f->path), 0);
}

static void root_that_is_not_systemd_gets_nothing(void **state)
{
	struct fixture *f = *state;
	char content[64];
	int fd = dial(f, NULL, 0);

	pump(f);
	assert_int_equal(hear(fd, content, sizeof(content)), 0);
	assert_int_equal(f->foreign, 1);
	assert_int_equal(f->asked, 0);
	close(fd);
}

static void another_user_gets_nothing(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char content[64];
	int status, tell[2];
	pid_t pid;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Even if somebody opened the socket to all. */
	assert_int_equal(chmod(f->path, 0666), 0);
	assert_int_equal(pipe(tell), 0);
	pid = fork();
	if (pid == 0) {
		int fd;

		if (setuid(NOBODY) < 0)
			_exit(2);
		fd = dial(f, ADDRESS("\0"
				     "1/unit/payroll.service/tls-key"));
		if (fcntl(fd, F_SETFL, 0) < 0 || write(tell[1], "x", 1) != 1)
			_exit(3);
		_exit(hear(fd, content, sizeof(content)) == 0 ? 0 : 4);
	}
	assert_int_equal(read(tell[0], content, 1), 1);
	pump(f);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(f->foreign, 1);
	assert_int_equal(f->asked, 0);
	close(tell[0]);
	close(tell[1]);
}

/* As that user: 0, or a negative errno. */
static int open_as(uid_t uid, const char *path, int flags)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(uid) < 0 || setuid(uid) < 0)
			_exit(255);
		_exit(open(path, flags | O_CLOEXEC, 0600) < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return -WEXITSTATUS(status);
}

static void files_are_for_one_user_and_not_on_disk(void **state)
{
	struct fixture *f = *state;
	struct deliver_files *files = NULL;
	char path[256], content[64] = "";
	struct statfs fs;
	struct stat st;
	int fd;

	assert_int_equal(deliver_files_open(f->directory, "payroll", NOBODY, NOBODY, &files), 0);
	assert_int_equal(deliver_files_put(files, "tls-key", &f->secret), 0);
	assert_int_equal(stat(deliver_files_path(files), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0500);
	assert_int_equal(st.st_uid, NOBODY);
	snprintf(path, sizeof(path), "%s/tls-key", deliver_files_path(files));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
	assert_int_equal(st.st_uid, NOBODY);
	assert_int_equal(statfs(path, &fs), 0);
	assert_true(fs.f_type == TMPFS_MAGIC_NUMBER || fs.f_type == RAMFS_MAGIC_NUMBER);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, content, sizeof(content)), strlen(SECRET));
	assert_string_equal(content, SECRET);
	close(fd);
	assert_int_equal(open_as(NOBODY, path, O_RDONLY), 0);
	assert_int_equal(open_as(NOBODY, path, O_WRONLY), -EACCES);
	assert_int_equal(open_as(12345, path, O_RDONLY), -EACCES);

	/* Replaced in one step. */
	secret_done(&f->secret);
	assert_int_equal(secret_copy(view_text("two"), &f->secret), 0);
	assert_int_equal(deliver_files_put(files, "tls-key", &f->secret), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, content, sizeof(content)), 3);
	close(fd);

	snprintf(content, sizeof(content), "%s", deliver_files_path(files));
	deliver_files_close(files);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(content, F_OK), -1);
}

static void names_that_leave_the_directory_are_refused(void **state)
{
	static const char *const names[] = { "", ".", "..", "../x", "a/b", ".new", "a b", "a\nb" };
	struct fixture *f = *state;
	struct deliver_files *files = NULL;

	assert_int_equal(deliver_files_open(f->directory, "../x", NOBODY, NOBODY, &files), -EINVAL);
	assert_int_equal(deliver_files_open(f->directory, "payroll", NOBODY, NOBODY, &files), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(deliver_files_put(files, names[i], &f->secret), -EINVAL);
	deliver_files_close(files);
}

static void there_is_an_end_to_the_room(void **state)
{
	struct fixture *f = *state;
	struct deliver_files *files = NULL;
	char name[32];
	int r = 0;

	secret_done(&f->secret);
	assert_int_equal(secret_random(SECRET_MAX, &f->secret), 0);
	assert_int_equal(deliver_files_open(f->directory, "payroll", NOBODY, NOBODY, &files), 0);
	for (int i = 0; i < 2 * DELIVER_FILES_MAX / SECRET_MAX && r == 0; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		r = deliver_files_put(files, name, &f->secret);
	}
	assert_int_equal(r, -ENOSPC);
	deliver_files_close(files);
}

static void what_a_killed_assayd_left_is_removed(void **state)
{
	struct fixture *f = *state;
	struct deliver_files *before = NULL, *files = NULL;
	char path[256];

	assert_int_equal(deliver_files_open(f->directory, "payroll", NOBODY, NOBODY, &before), 0);
	assert_int_equal(deliver_files_put(before, "tls-key", &f->secret), 0);
	snprintf(path, sizeof(path), "%s/tls-key", deliver_files_path(before));
	assert_int_equal(deliver_files_open(f->directory, "payroll", NOBODY, NOBODY, &files), 0);
	assert_int_equal(access(path, F_OK), -1);
	deliver_files_close(files);
	/* Its own object has nothing to unmount any more. */
	deliver_files_close(before);
}

static void arguments_name_only_what_is_delivered_so(void **state)
{
	struct fixture *f = *state;
	char *exec[] = { (char *)"/bin/x", (char *)"{secret:tls-key}", NULL };
	struct config_application a = { .exec = exec };
	struct deliver_secret secret = { "tls-key", 1, &f->secret };
	struct deliver_strings s = { 0 };
	struct secret zero;

	/* It is delivered over the socket, so it is not for the command line. */
	assert_int_equal(deliver_arguments(&a, &secret, 1, &s), -ENOENT);
	assert_null(s.list);
	a.deliver_others = DELIVER_ARGUMENT;
	assert_int_equal(deliver_arguments(&a, &secret, 1, &s), 0);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.list[1], SECRET);
	assert_null(s.list[2]);
	deliver_strings_done(&s);
	assert_null(s.list);
	deliver_strings_done(&s);

	assert_int_equal(secret_copy(view_of("a\0b", 3), &zero), 0);
	secret.value = &zero;
	assert_int_equal(deliver_arguments(&a, &secret, 1, &s), -EINVAL);
	secret_done(&zero);
	assert_int_equal(secret_random(SECRET_MAX, &zero), 0);
	memset(zero.data, 'x', zero.len);
	secret.value = &zero;
	assert_int_equal(deliver_arguments(&a, &secret, 1, &s), -EMSGSIZE);
	secret_done(&zero);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(systemd_gets_its_credential),
		TEST(it_waits_until_the_secret_is_released),
		TEST(a_refusal_brings_nothing),
		TEST(the_largest_secret_comes_whole),
		TEST(addresses_of_another_form_are_refused),
		TEST(a_socket_that_was_passed_is_served_and_kept),
		TEST(root_that_is_not_systemd_gets_nothing),
		TEST(another_user_gets_nothing),
		TEST(files_are_for_one_user_and_not_on_disk),
		TEST(names_that_leave_the_directory_are_refused),
		TEST(there_is_an_end_to_the_room),
		TEST(what_a_killed_assayd_left_is_removed),
		TEST(arguments_name_only_what_is_delivered_so),
	};

	if (getuid() != 0) {
		printf("skipped: needs root\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
