/* SPDX-License-Identifier: Apache-2.0 */
/* Client and socket in one process: what happens is what the loop is let do in between. */
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
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/app_socket.h"
#include "daemon/schedule.h"

#define SECRET "the key of block 2"

struct fixture {
	struct event_base *base;
	struct app_socket *socket;
	char directory[64], path[96];
	int mine; /* what which() says of this process */
	pid_t other;
	int others; /* and of that one */

	/* The monitor's side. */
	int secret_error; /* what get_secret answers; 0: the secret */
	struct secret secret;
	int delivered, foreign, begun, measured, asked;
	pid_t delivered_pid;
	char delivered_name[64], reason[256];
};

static int which(void *arg, pid_t pid)
{
	struct fixture *f = arg;

	return pid == getpid() ? f->mine : pid == f->other ? f->others : APP_NONE;
}

static int get_secret(void *arg, int application, const char *name, uint32_t stage,
		      struct app_secret *ret, const char **ret_why)
{
	struct fixture *f = arg;

	f->asked++;
	assert_int_equal(application, f->mine);
	if (f->secret_error < 0) {
		*ret_why = "as the test says";
		return f->secret_error;
	}
	*ret = (struct app_secret){ &f->secret, name ? name : "block-2-key", stage ? stage : 2 };
	return 0;
}

static int begin_stage(void *arg, int application, uint32_t stage, pid_t pid, const char **ret_why)
{
	struct fixture *f = arg;

	f->begun = (int)stage;
	assert_int_equal(pid, getpid());
	return 0;
}

static int measure(void *arg, int application, const char *reason, pid_t pid, const char **ret_why)
{
	struct fixture *f = arg;

	f->measured++;
	snprintf(f->reason, sizeof(f->reason), "%s", reason);
	return 0;
}

static int status(void *arg, int application, struct arena *arena, Assay__Answer *answer)
{
	size_t n = application == APP_NONE ? 2 : 1;

	answer->status = arena_alloc(arena, n * sizeof(*answer->status));
	answer->n_status = n;
	for (size_t i = 0; i < n; i++) {
		answer->status[i] = arena_alloc(arena, sizeof(**answer->status));
		assay__application_status__init(answer->status[i]);
		answer->status[i]->application = (char *)"payroll";
	}
	return 0;
}

static void delivered(void *arg, int application, uint32_t stage, const char *name, pid_t pid)
{
	struct fixture *f = arg;

	f->delivered++;
	f->delivered_pid = pid;
	snprintf(f->delivered_name, sizeof(f->delivered_name), "%s", name);
}

static void foreign(void *arg, pid_t pid, uid_t uid)
{
	struct fixture *f = arg;

	f->foreign++;
}

static const struct app_socket_ops ops = {
	which, get_secret, begin_stage, measure, status, delivered, foreign,
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->directory, sizeof(f->directory), "/tmp/assay-test-XXXXXX");
	if (!mkdtemp(f->directory) || chmod(f->directory, 0755) < 0)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/app.sock", f->directory);
	f->base = event_base_new();
	if (secret_heap_open() < 0 || secret_copy(view_text(SECRET), &f->secret) < 0)
		return -1;
	if (app_socket_new(f->base, f->path, &ops, f, &f->socket) < 0)
		return -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	app_socket_free(f->socket);
	event_base_free(f->base);
	secret_done(&f->secret);
	secret_heap_close();
	/* The socket went with its object. */
	assert_int_equal(rmdir(f->directory), 0);
	free(f);
	return 0;
}

static void pump(struct fixture *f)
{
	for (int i = 0; i < 8; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static int dial(const struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, f->path, strlen(f->path));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void ask(int fd, const Assay__Request *request)
{
	uint8_t packet[1024];
	size_t n = assay__request__pack(request, packet);

	assert_int_equal(send(fd, packet, n, MSG_NOSIGNAL | MSG_DONTWAIT), n);
}

static void ask_secret(int fd, uint64_t id, const char *name, uint32_t stage, bool wait)
{
	Assay__GetSecret get = ASSAY__GET_SECRET__INIT;
	Assay__Request request = ASSAY__REQUEST__INIT;

	get.name = (char *)name;
	get.stage = stage;
	get.wait = wait;
	request.id = id;
	request.body_case = ASSAY__REQUEST__BODY_GET_SECRET;
	request.get_secret = &get;
	ask(fd, &request);
}

static void ask_status(int fd, uint64_t id)
{
	Assay__GetStatus get = ASSAY__GET_STATUS__INIT;
	Assay__Request request = ASSAY__REQUEST__INIT;

	request.id = id;
	request.body_case = ASSAY__REQUEST__BODY_GET_STATUS;
	request.get_status = &get;
	ask(fd, &request);
}

/* The next answer, or NULL where there is none; *ret_fd: what came with it, or -1. */
static Assay__Answer *hear(int fd, int *ret_fd)
{
	static uint8_t packet[APP_PACKET_MAX];
	struct iovec part = { packet, sizeof(packet) };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

	/* Closing with requests unread shows as an error before the last answer. */
	if (n < 0 && errno == ECONNRESET)
		n = recvmsg(fd, &m, MSG_DONTWAIT);
	if (ret_fd)
		*ret_fd = -1;
	if (n <= 0)
		return NULL;
	if (CMSG_FIRSTHDR(&m)) {
		assert_non_null(ret_fd);
		memcpy(ret_fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	}
	return assay__answer__unpack(NULL, (size_t)n, packet);
}

static void expect_error(int fd, uint64_t id, int error)
{
	Assay__Answer *a = hear(fd, NULL);

	assert_non_null(a);
	assert_int_equal(a->id, id);
	assert_int_equal(a->error, error);
	assert_false(a->has_secret);
	assay__answer__free_unpacked(a, NULL);
}

static bool closed(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

static void a_secret_comes_as_a_sealed_memfd(void **state)
{
	struct fixture *f = *state;
	char content[64] = "";
	Assay__Answer *a;
	int fd = dial(f), got;

	ask_secret(fd, 7, "block-2-key", 0, false);
	pump(f);
	a = hear(fd, &got);
	assert_non_null(a);
	assert_int_equal(a->id, 7);
	assert_int_equal(a->error, 0);
	assert_true(a->has_secret);
	assert_string_equal(a->name, "block-2-key");
	assert_int_equal(a->stage, 2);
	assay__answer__free_unpacked(a, NULL);
	assert_true(got >= 0);
	assert_int_equal(read(got, content, sizeof(content)), strlen(SECRET));
	assert_string_equal(content, SECRET);
	assert_int_equal(pwrite(got, "x", 1, 0), -1);
	assert_int_equal(ftruncate(got, 0), -1);
	assert_int_equal(fcntl(got, F_GET_SEALS) &
				 (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL),
			 F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	assert_int_equal(f->delivered, 1);
	assert_int_equal(f->delivered_pid, getpid());
	assert_string_equal(f->delivered_name, "block-2-key");
	close(got);
	close(fd);
}

static void what_is_not_there_yet_can_be_waited_for(void **state)
{
	struct fixture *f = *state;
	Assay__Answer *a;
	int fd = dial(f), got;

	f->secret_error = -EAGAIN;
	ask_secret(fd, 1, "", 2, false);
	ask_secret(fd, 2, "", 2, true);
	pump(f);
	expect_error(fd, 1, -EAGAIN);
	assert_null(hear(fd, NULL));
	/* Another application's news are not ours. */
	f->secret_error = 0;
	app_socket_notify(f->socket, f->mine + 1);
	pump(f);
	assert_null(hear(fd, NULL));
	f->secret_error = -EAGAIN;
	app_socket_notify(f->socket, f->mine);
	pump(f);
	assert_null(hear(fd, NULL));
	f->secret_error = 0;
	app_socket_notify(f->socket, f->mine);
	/* From the loop, not from inside the call. */
	assert_null(hear(fd, NULL));
	pump(f);
	a = hear(fd, &got);
	assert_non_null(a);
	assert_int_equal(a->id, 2);
	assert_true(got >= 0);
	assay__answer__free_unpacked(a, NULL);
	/* Once. */
	app_socket_notify(f->socket, f->mine);
	pump(f);
	assert_null(hear(fd, NULL));
	assert_int_equal(f->delivered, 1);
	close(got);
	close(fd);
}

static void a_refusal_ends_the_wait(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	f->secret_error = -EAGAIN;
	ask_secret(fd, 2, "", 2, true);
	pump(f);
	f->secret_error = -EACCES;
	app_socket_notify(f->socket, f->mine);
	pump(f);
	expect_error(fd, 2, -EACCES);
	assert_int_equal(f->delivered, 0);
	close(fd);
}

static void only_so_many_wait(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	f->secret_error = -EAGAIN;
	for (uint64_t i = 1; i <= APP_WAITING_MAX + 1; i++)
		ask_secret(fd, i, "", 2, true);
	pump(f);
	expect_error(fd, APP_WAITING_MAX + 1, -EBUSY);
	f->secret_error = -ENOENT;
	app_socket_notify(f->socket, f->mine);
	pump(f);
	for (uint64_t i = 1; i <= APP_WAITING_MAX; i++)
		expect_error(fd, i, -ENOENT);
	close(fd);
}

static const struct {
	const char *what;
	const char *name;
	uint32_t stage;
} bad_secrets[] = {
	{ "neither name nor stage", "", 0 },   { "both", "a", 1 },
	{ "a name with a slash", "../x", 0 },  { "a hidden name", ".x", 0 },
	{ "a stage past the last", "", 5000 },
};

static void requests_that_cannot_be_meant_are_refused(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	for (size_t i = 0; i < ARRAY_LEN(bad_secrets); i++) {
		ask_secret(fd, i + 1, bad_secrets[i].name, bad_secrets[i].stage, true);
		pump(f);
		expect_error(fd, i + 1, -EINVAL);
	}
	ask_secret(fd, 0, "block-2-key", 0, true);
	pump(f);
	expect_error(fd, 0, -EINVAL);
	assert_int_equal(f->asked, 0);
	close(fd);
}

static void stages_and_measurements_reach_the_monitor(void **state)
{
	Assay__BeginStage begin = ASSAY__BEGIN_STAGE__INIT;
	Assay__Measure m = ASSAY__MEASURE__INIT;
	Assay__Request request = ASSAY__REQUEST__INIT;
	char long_reason[200];
	struct fixture *f = *state;
	int fd = dial(f);

	request.id = 1;
	request.body_case = ASSAY__REQUEST__BODY_BEGIN_STAGE;
	request.begin_stage = &begin;
	begin.stage = 3;
	ask(fd, &request);
	pump(f);
	expect_error(fd, 1, 0);
	assert_int_equal(f->begun, 3);
	begin.stage = 0;
	ask(fd, &request);
	pump(f);
	expect_error(fd, 1, -EINVAL);
	assert_int_equal(f->begun, 3);

	request.body_case = ASSAY__REQUEST__BODY_MEASURE;
	request.measure = &m;
	m.reason = (char *)"before the run";
	ask(fd, &request);
	pump(f);
	expect_error(fd, 1, 0);
	assert_string_equal(f->reason, "before the run");
	memset(long_reason, 'x', sizeof(long_reason) - 1);
	long_reason[sizeof(long_reason) - 1] = '\0';
	m.reason = long_reason;
	ask(fd, &request);
	pump(f);
	expect_error(fd, 1, -EINVAL);
	assert_int_equal(f->measured, 1);
	close(fd);
}

static void subscribers_hear_of_verdicts(void **state)
{
	Assay__Subscribe subscribe = ASSAY__SUBSCRIBE__INIT;
	Assay__Request request = ASSAY__REQUEST__INIT;
	struct fixture *f = *state;
	int fd = dial(f), silent = dial(f);

	request.id = 5;
	request.body_case = ASSAY__REQUEST__BODY_SUBSCRIBE;
	request.subscribe = &subscribe;
	ask(fd, &request);
	pump(f);
	expect_error(fd, 5, 0);
	app_socket_event(f->socket, f->mine + 1, 2, 0, "another's");
	app_socket_event(f->socket, f->mine, 2, -EACCES, "refused");
	app_socket_event(f->socket, f->mine, 0, 0, NULL);
	pump(f);
	expect_error(fd, 0, -EACCES);
	expect_error(fd, 0, 0);
	assert_null(hear(fd, NULL));
	assert_null(hear(silent, NULL));
	close(fd);
	close(silent);
}

static void one_who_does_not_read_is_closed(void **state)
{
	Assay__Subscribe subscribe = ASSAY__SUBSCRIBE__INIT;
	Assay__Request request = ASSAY__REQUEST__INIT;
	static char message[8 * 1024];
	struct fixture *f = *state;
	int fd = dial(f), other = dial(f);

	memset(message, 'm', sizeof(message) - 1);
	request.body_case = ASSAY__REQUEST__BODY_SUBSCRIBE;
	request.id = 5;
	request.subscribe = &subscribe;
	ask(fd, &request);
	pump(f);
	for (int i = 0; i < 10 * APP_ANSWERS_MAX; i++) {
		app_socket_event(f->socket, f->mine, 2, 0, message);
		pump(f);
	}
	for (Assay__Answer *a; (a = hear(fd, NULL));)
		assay__answer__free_unpacked(a, NULL);
	assert_true(closed(fd));
	assert_false(closed(other));
	close(fd);
	close(other);
}

static void foreign_callers_get_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[64];
	Assay__GetSecret get = ASSAY__GET_SECRET__INIT;
	Assay__Request request = ASSAY__REQUEST__INIT;
	Assay__Answer *a;
	ssize_t n;
	int ready[2], answer[2], wstatus;
	pid_t pid;

	get.name = (char *)"block-2-key";
	request.id = 9;
	request.body_case = ASSAY__REQUEST__BODY_GET_SECRET;
	request.get_secret = &get;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(answer), 0);
	pid = fork();
	if (pid == 0) {
		uint8_t got[256];
		int fd;

		/* Without privilege the caller is as foreign under its own user. */
		if (getuid() == 0 && setuid(65534) < 0)
			_exit(2);
		fd = dial(f);
		n = (ssize_t)assay__request__pack(&request, packet);
		if (send(fd, packet, (size_t)n, MSG_NOSIGNAL) != n || write(ready[1], "r", 1) != 1)
			_exit(3);
		n = recv(fd, got, sizeof(got), 0);
		if (n <= 0 || write(answer[1], got, (size_t)n) != n)
			_exit(4);
		_exit(recv(fd, got, sizeof(got), 0) <= 0 ? 0 : 5);
	}
	assert_int_equal(read(ready[0], packet, 1), 1);
	pump(f);
	n = read(answer[0], packet, sizeof(packet));
	assert_true(n > 0);
	a = assay__answer__unpack(NULL, (size_t)n, packet);
	assert_non_null(a);
	assert_int_equal(a->id, 9);
	assert_int_equal(a->error, -EPERM);
	assay__answer__free_unpacked(a, NULL);
	assert_int_equal(waitpid(pid, &wstatus, 0), pid);
	assert_int_equal(wstatus, 0);
	assert_int_equal(f->foreign, 1);
	assert_int_equal(app_socket_foreign(f->socket), 1);
	assert_int_equal(f->asked, 0);
	assert_int_equal(f->delivered, 0);
	close(ready[0]);
	close(ready[1]);
	close(answer[0]);
	close(answer[1]);
}

/* The connection is the application's; the process that uses it is not. */
static void a_connection_that_was_handed_on_is_closed(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f), wstatus;
	pid_t pid;

	pump(f);
	pid = fork();
	if (pid == 0) {
		ask_secret(fd, 4, "block-2-key", 0, false);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &wstatus, 0), pid);
	assert_int_equal(wstatus, 0);
	pump(f);
	expect_error(fd, 4, -EPERM);
	assert_true(closed(fd));
	assert_int_equal(f->foreign, 1);
	assert_int_equal(f->delivered, 0);
	close(fd);
}

static void a_child_of_the_application_may_use_it(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f), wstatus, got;
	Assay__Answer *a;
	pid_t pid;

	pump(f);
	pid = fork();
	if (pid == 0) {
		ask_secret(fd, 4, "block-2-key", 0, false);
		pause();
		_exit(0);
	}
	f->other = pid;
	f->others = f->mine;
	for (int i = 0; i < 100 && f->delivered == 0; i++) {
		usleep(10000);
		pump(f);
	}
	a = hear(fd, &got);
	assert_non_null(a);
	assert_true(a->has_secret);
	assert_int_equal(f->delivered_pid, pid);
	assay__answer__free_unpacked(a, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, &wstatus, 0);
	close(got);
	close(fd);
}

static void root_outside_may_ask_for_the_status_only(void **state)
{
	struct fixture *f = *state;
	Assay__Answer *a;
	int fd;

	if (getuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
	f->mine = APP_NONE;
	fd = dial(f);
	ask_status(fd, 1);
	ask_secret(fd, 2, "block-2-key", 0, false);
	pump(f);
	a = hear(fd, NULL);
	assert_non_null(a);
	assert_int_equal(a->error, 0);
	assert_int_equal(a->n_status, 2);
	assay__answer__free_unpacked(a, NULL);
	expect_error(fd, 2, -EPERM);
	assert_int_equal(f->asked, 0);
	close(fd);
}

static void an_application_sees_its_own_status(void **state)
{
	struct fixture *f = *state;
	Assay__Answer *a;
	int fd = dial(f);

	ask_status(fd, 1);
	pump(f);
	a = hear(fd, NULL);
	assert_non_null(a);
	assert_int_equal(a->n_status, 1);
	assay__answer__free_unpacked(a, NULL);
	close(fd);
}

static void garbage_closes_the_connection(void **state)
{
	static uint8_t big[2 * APP_PACKET_MAX];
	struct fixture *f = *state;
	int fd = dial(f), descriptor, n = 4 * APP_PACKET_MAX;
	struct cmsghdr *c;
	char room[CMSG_SPACE(sizeof(int))] = "";
	struct iovec part = { big, 16 };
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = room,
			    .msg_controllen = sizeof(room) };

	memset(big, 0xff, sizeof(big));
	assert_int_equal(send(fd, big, 100, MSG_NOSIGNAL), 100);
	pump(f);
	expect_error(fd, 0, -EBADMSG);
	assert_true(closed(fd));
	close(fd);

	fd = dial(f);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n)), 0);
	assert_int_equal(send(fd, big, APP_PACKET_MAX + 1, MSG_NOSIGNAL), APP_PACKET_MAX + 1);
	pump(f);
	expect_error(fd, 0, -EMSGSIZE);
	assert_true(closed(fd));
	close(fd);

	/* A descriptor that is sent along does not stay open here. */
	fd = dial(f);
	descriptor = memfd_create("sent", MFD_CLOEXEC);
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &descriptor, sizeof(int));
	assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), 16);
	pump(f);
	assert_true(fcntl(descriptor, F_GETFD) >= 0);
	close(descriptor);
	n = memfd_create("next", MFD_CLOEXEC);
	assert_int_equal(n, descriptor);
	close(n);
	close(fd);
}

static void a_flood_waits_and_the_others_are_served(void **state)
{
	struct fixture *f = *state;
	int flood = dial(f), other = dial(f), answers = 0;
	uint64_t start = schedule_boottime_ns(), seconds;
	uint8_t packet[64];
	Assay__GetStatus get = ASSAY__GET_STATUS__INIT;
	Assay__Request request = ASSAY__REQUEST__INIT;
	Assay__Answer *a;
	size_t n;

	request.id = 1;
	request.body_case = ASSAY__REQUEST__BODY_GET_STATUS;
	request.get_status = &get;
	n = assay__request__pack(&request, packet);
	for (int i = 0; i < 20 * APP_PACKETS_PER_SECOND_MAX; i++) {
		if (send(flood, packet, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			event_base_loop(f->base, EVLOOP_NONBLOCK);
		while ((a = hear(flood, NULL))) {
			assay__answer__free_unpacked(a, NULL);
			answers++;
		}
	}
	/* However fast it asks: so many for each second that this took, and the one begun. */
	seconds = (schedule_boottime_ns() - start) / 1000000000 + 1;
	assert_true(seconds < 10);
	assert_true((uint64_t)answers <= (seconds + 1) * APP_PACKETS_PER_SECOND_MAX);
	assert_true(answers >= APP_PACKETS_PER_SECOND_MAX);
	ask_status(other, 2);
	pump(f);
	expect_error(other, 2, 0);
	close(flood);
	close(other);
}

static void one_application_has_so_many_connections(void **state)
{
	struct fixture *f = *state;
	int fds[APP_CONNECTIONS_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial(f);
		pump(f);
	}
	assert_true(closed(fds[APP_CONNECTIONS_MAX]));
	assert_false(closed(fds[APP_CONNECTIONS_MAX - 1]));
	/* One that leaves makes room. */
	close(fds[0]);
	pump(f);
	fds[0] = dial(f);
	pump(f);
	assert_false(closed(fds[0]));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static void what_stands_in_the_way_is_replaced_only_if_a_socket(void **state)
{
	struct fixture *f = *state;
	struct app_socket *s = NULL;
	struct stat st;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/file", f->directory);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(app_socket_new(f->base, path, &ops, f, &s), -EEXIST);
	assert_null(s);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	app_socket_free(f->socket);
	assert_int_equal(app_socket_new(f->base, f->path, &ops, f, &f->socket), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_secret_comes_as_a_sealed_memfd),
		TEST(what_is_not_there_yet_can_be_waited_for),
		TEST(a_refusal_ends_the_wait),
		TEST(only_so_many_wait),
		TEST(requests_that_cannot_be_meant_are_refused),
		TEST(stages_and_measurements_reach_the_monitor),
		TEST(subscribers_hear_of_verdicts),
		TEST(one_who_does_not_read_is_closed),
		TEST(foreign_callers_get_nothing),
		TEST(a_connection_that_was_handed_on_is_closed),
		TEST(a_child_of_the_application_may_use_it),
		TEST(root_outside_may_ask_for_the_status_only),
		TEST(an_application_sees_its_own_status),
		TEST(garbage_closes_the_connection),
		TEST(a_flood_waits_and_the_others_are_served),
		TEST(one_application_has_so_many_connections),
		TEST(what_stands_in_the_way_is_replaced_only_if_a_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
