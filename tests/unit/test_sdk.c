/* SPDX-License-Identifier: Apache-2.0 */
/* libassay against a server of ours that speaks app.proto. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "assay/assay.h"
#include "block.h"
#include "cleanup.h"
#include "errors.h"
#include "tests/support/app_server.h"

/* AddressSanitizer takes mlock(2) away from the program: then that part cannot be seen. */
#if defined(__SANITIZE_ADDRESS__)
#define MLOCK_WORKS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MLOCK_WORKS false
#endif
#endif
#ifndef MLOCK_WORKS
#define MLOCK_WORKS true
#endif

/* What a good assayd does for an application that passed stage 2 of 4. */
static void behave_well(struct server *s, int peer, const Assay__Request *q)
{
	Assay__ApplicationStatus status = ASSAY__APPLICATION_STATUS__INIT;
	Assay__ApplicationStatus *all[] = { &status };
	char *reasons[] = { (char *)"dynamic.code: modified\033[31m text" };
	Assay__Answer a = answer_to(q);

	(void)s;
	if (q->body_case == ASSAY__REQUEST__BODY_GET_SECRET) {
		const Assay__GetSecret *g = q->get_secret;

		if (g->stage == 2 || strcmp(g->name, "block-2-key") == 0) {
			a = secret_answer(q);
			send_answer(peer, &a, memfd_of(SECRET, 32, SEALS), 1);
			return;
		}
		a.error = g->stage == 3 ? -EACCES : g->stage == 4 ? -EAGAIN : -ENOENT;
		a.message = (char *)"dynamic.code";
	} else if (q->body_case == ASSAY__REQUEST__BODY_GET_STATUS) {
		status.application = (char *)"worker";
		status.verdict = (char *)"refused";
		status.state = (char *)"running";
		status.stage = 2;
		status.stages = 4;
		status.node = UINT64_MAX;
		status.reasons = reasons;
		status.n_reasons = 1;
		a.status = all;
		a.n_status = 1;
	} else if (q->body_case == ASSAY__REQUEST__BODY_BEGIN_STAGE && q->begin_stage->stage > 3) {
		a.error = -ERANGE;
	}
	send_answer(peer, &a, -1, 0);
}

static void secrets_come(void **state)
{
	struct server server;
	struct assay_secret *s;
	struct assay *a;

	(void)state;
	server_start(&server, behave_well);
	assert_int_equal(assay_connect(server.path, LONG_MS, &a), 0);
	assert_int_equal(assay_get_stage_secret(a, 2, true, LONG_MS, &s), 0);
	assert_int_equal(assay_secret_size(s), 32);
	assert_memory_equal(assay_secret_data(s), SECRET, 32);
	assert_string_equal(assay_secret_name(s), "block-2-key");
	assert_int_equal(assay_secret_stage(s), 2);
	assay_secret_free(s);
	assert_int_equal(assay_get_secret(a, "block-2-key", false, LONG_MS, &s), 0);
	assay_close(a);
	assert_memory_equal(assay_secret_data(s), SECRET, 32); /* outlives the connection */
	assay_secret_free(s);
	server_stop(&server);
}

static void a_secret_is_locked_and_stays_with_its_process(void **state)
{
	char line[512], flags[512] = "";
	bool here = false, locked = false;
	struct server server;
	struct assay_secret *s;
	struct assay *a;
	int status;
	pid_t child;
	FILE *f;

	(void)state;
	server_start(&server, behave_well);
	assert_int_equal(assay_connect(server.path, LONG_MS, &a), 0);
	assert_int_equal(assay_get_stage_secret(a, 2, true, LONG_MS, &s), 0);
	f = fopen("/proc/self/smaps", "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end, at = (unsigned long)assay_secret_data(s);

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = at >= start && at < end;
		if (here && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(flags, sizeof(flags), "%s", line);
	}
	fclose(f);
	if (!MLOCK_WORKS)
		print_message("built with AddressSanitizer: locking is not checked\n");
	locked = (!MLOCK_WORKS || strstr(flags, " lo")) && strstr(flags, " dd") &&
		 strstr(flags, " dc");
	if (!locked)
		fail_msg("not locked, dumped or forked: %s", flags);
	child = fork();
	if (child == 0) {
		int pipes[2];

		/* EFAULT: the memory is not there. */
		_exit(pipe(pipes) == 0 && write(pipes[1], assay_secret_data(s), 32) < 0 &&
				      errno == EFAULT
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assay_secret_free(s);
	assay_close(a);
	server_stop(&server);
}

static void answers_become_errors(void **state)
{
	static const struct {
		const char *what;
		uint32_t stage;
		int expected;
	} cases[] = {
		{ "stages count from 1", 0, -EINVAL },
		{ "a refused stage", 3, -EACCES },
		{ "one that is not released yet", 4, -EAGAIN },
		{ "one that does not exist", 9, -ENOENT },
	};
	struct server server;
	char longest[258];
	struct assay_secret *s = NULL;
	struct assay *a;

	(void)state;
	server_start(&server, behave_well);
	assert_int_equal(assay_connect(server.path, LONG_MS, &a), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (assay_get_stage_secret(a, cases[i].stage, false, LONG_MS, &s) !=
		    cases[i].expected)
			fail_msg("%s", cases[i].what);
	assert_null(s);
	assert_int_equal(assay_get_stage_secret(a, 3, false, LONG_MS, &s), -EACCES);
	assert_string_equal(assay_message(a), "dynamic.code");
	assert_int_equal(assay_begin_stage(a, 3, LONG_MS), 0);
	assert_string_equal(assay_message(a), "");
	assert_int_equal(assay_begin_stage(a, 4, LONG_MS), -ERANGE);
	assert_int_equal(assay_measure(a, "because", LONG_MS), 0);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[257] = '\0';
	assert_int_equal(assay_measure(a, longest, LONG_MS), -EINVAL);
	assert_int_equal(assay_get_secret(a, longest, false, LONG_MS, &s), -EINVAL);
	assert_int_equal(assay_get_secret(a, "", false, LONG_MS, &s), -EINVAL);
	assay_close(a);
	server_stop(&server);
}

static void status_is_given(void **state)
{
	const struct assay_status *status;
	struct assay_status_list *l;
	enum assay_verdict v;
	struct server server;
	struct assay *a;

	(void)state;
	server_start(&server, behave_well);
	assert_int_equal(assay_connect(server.path, LONG_MS, &a), 0);
	assert_int_equal(assay_get_status(a, LONG_MS, &l), 0);
	assert_int_equal(assay_status_count(l), 1);
	status = assay_status_at(l, 0);
	assert_null(assay_status_at(l, 1));
	assert_string_equal(status->application, "worker");
	assert_int_equal(status->verdict, ASSAY_REFUSED);
	assert_true(status->node == UINT64_MAX);
	assert_int_equal(status->reason_count, 1);
	assert_null(status->reasons[1]);
	/* What could command a terminal does not get there. */
	assert_string_equal(status->reasons[0], "dynamic.code: modified?[31m text");
	assay_status_free(l);

	assert_int_equal(assay_wait_stage(a, 2, LONG_MS, &v), 0);
	assert_int_equal(v, ASSAY_ACCEPTED);
	assert_int_equal(assay_wait_stage(a, 3, LONG_MS, &v), 0);
	assert_int_equal(v, ASSAY_REFUSED);
	assert_string_equal(assay_message(a), "dynamic.code: modified?[31m text");
	assay_close(a);
	server_stop(&server);
}

/* Judges stage 1 between the first and the second GetStatus of a subscriber. */
static void behave_slowly(struct server *s, int peer, const Assay__Request *q)
{
	Assay__ApplicationStatus status = ASSAY__APPLICATION_STATUS__INIT;
	Assay__ApplicationStatus *all[] = { &status };
	Assay__Answer a = answer_to(q), event = ASSAY__ANSWER__INIT;

	if (q->body_case == ASSAY__REQUEST__BODY_GET_STATUS) {
		bool judged = s->seen > 2;

		status.verdict = (char *)(judged ? "accepted" : "pending");
		status.stage = judged ? 1 : 0;
		a.status = all;
		a.n_status = 1;
	}
	send_answer(peer, &a, -1, 0);
	if (q->body_case == ASSAY__REQUEST__BODY_GET_STATUS && s->seen == 2) {
		event.stage = 1;
		send_answer(peer, &event, -1, 0);
	}
}

static void a_stage_is_waited_for(void **state)
{
	enum assay_verdict v;
	struct server server;
	struct assay *a;

	(void)state;
	server_start(&server, behave_slowly);
	assert_int_equal(assay_connect(server.path, LONG_MS, &a), 0);
	assert_int_equal(assay_wait_stage(a, 1, LONG_MS, &v), 0);
	assert_int_equal(v, ASSAY_ACCEPTED);
	assert_int_equal(server.seen, 3);
	/* Stage 2 is not judged: no event comes. */
	assert_int_equal(assay_wait_stage(a, 2, SHORT_MS, &v), -ETIMEDOUT);
	assay_close(a);
	server_stop(&server);
}

/* Two events after the Subscribe: accepted, and then refused. */
static void behave_as_publisher(struct server *s, int peer, const Assay__Request *q)
{
	Assay__Answer a = answer_to(q), event = ASSAY__ANSWER__INIT;

	(void)s;
	send_answer(peer, &a, -1, 0);
	event.stage = 1;
	send_answer(peer, &event, -1, 0);
	event.stage = 2;
	event.error = -EACCES;
	event.message = (char *)"dynamic.listen";
	send_answer(peer, &event, -1, 0);
}

static void verdicts_come_to_subscribers(void **state)
{
	struct assay_subscription *sub;
	struct assay_event *e;
	struct server server;
	struct pollfd p;
	struct assay *a;

	(void)state;
	server_start(&server, behave_as_publisher);
	assert_int_equal(assay_connect(server.path, LONG_MS, &a), 0);
	assert_int_equal(assay_subscribe(a, LONG_MS, &sub), 0);
	assay_close(a); /* it is not needed any more */
	p = (struct pollfd){ .fd = assay_subscription_fd(sub), .events = POLLIN };
	assert_int_equal(poll(&p, 1, LONG_MS), 1);
	assert_int_equal(assay_subscription_next(sub, LONG_MS, &e), 0);
	assert_int_equal(e->verdict, ASSAY_ACCEPTED);
	assert_int_equal(e->stage, 1);
	assert_null(e->status);
	assay_event_free(e);
	assert_int_equal(assay_subscription_next(sub, LONG_MS, &e), 0);
	assert_int_equal(e->verdict, ASSAY_REFUSED);
	assert_string_equal(e->message, "dynamic.listen");
	assay_event_free(e);
	assert_int_equal(assay_subscription_next(sub, 0, &e), -ETIMEDOUT);
	assay_subscription_free(sub);
	server_stop(&server);
}

static void nobody_listens(void **state)
{
	char path[200];
	struct assay *a;

	(void)state;
	assert_int_equal(assay_connect("@assay-test-nobody", LONG_MS, &a), -ECONNREFUSED);
	assert_int_equal(assay_connect("/proc/nothing/app.sock", LONG_MS, &a), -ENOENT);
	memset(path, 'p', sizeof(path));
	path[199] = '\0';
	assert_int_equal(assay_connect(path, LONG_MS, &a), -ENAMETOOLONG);
	setenv(ASSAY_SOCKET_VARIABLE, "@assay-test-nobody", 1);
	assert_int_equal(assay_connect(NULL, LONG_MS, &a), -ECONNREFUSED);
	unsetenv(ASSAY_SOCKET_VARIABLE);
}

static int to_fd(void *arg, const void *data, size_t len)
{
	return write(*(int *)arg, data, len) == (ssize_t)len ? 0 : -EIO;
}

static void make_block(const char *path, uint32_t index, size_t size)
{
	struct block_header h = { .chunk_size = 1000, .index = index, .count = 4 };
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct block_writer *w;

	assert_true(fd >= 0);
	assert_int_equal(block_writer_new(&h, (struct view){ (const uint8_t *)SECRET, 32 },
					  (struct block_sink){ to_fd, &fd }, &w),
			 0);
	for (size_t i = 0; i < size; i++) {
		uint8_t b = (uint8_t)(i % 251);

		assert_int_equal(block_writer_add(w, &b, 1), 0);
	}
	assert_int_equal(block_writer_finish(w), 0);
	block_writer_free(w);
	close(fd);
}

static void blocks_open_with_their_stage(void **state)
{
	char path[] = P_tmpdir "/assay-test-block-XXXXXX";
	struct assay_block *b = NULL;
	struct server server;
	struct assay *a;
	uint8_t buffer[7];
	size_t at = 0;
	ssize_t n;

	(void)state;
	close(mkstemp(path));
	server_start(&server, behave_well);
	assert_int_equal(assay_connect(server.path, LONG_MS, &a), 0);
	make_block(path, 2, 2500);
	assert_int_equal(assay_open_stage_block(a, path, 2, LONG_MS, &b), 0);
	while ((n = assay_block_read(b, buffer, sizeof(buffer))) > 0)
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buffer[i], at++ % 251);
	assert_int_equal(n, 0);
	assert_int_equal(at, 2500);
	assert_int_equal(assay_block_index(b), 2);
	assert_int_equal(assay_block_count(b), 4);
	assay_close_block(b);

	/* Cut: all but the last chunk can be read, and then an error, not an end. */
	assert_int_equal(truncate(path, BLOCK_HEADER_SIZE + 2 * (1000 + BLOCK_TAG_SIZE)), 0);
	assert_int_equal(assay_open_stage_block(a, path, 2, LONG_MS, &b), 0);
	for (at = 0; (n = assay_block_read(b, buffer, sizeof(buffer))) > 0;)
		at += (size_t)n;
	assert_int_equal(n, -EBADMSG);
	assert_int_equal(at, 1000);
	assert_int_equal(assay_block_read(b, buffer, sizeof(buffer)), -EBADMSG);
	assay_close_block(b);

	b = NULL;
	make_block(path, 1, 10);
	assert_int_equal(assay_open_stage_block(a, path, 2, LONG_MS, &b), -ESTALE);
	assert_int_equal(assay_open_stage_block(a, path, 3, LONG_MS, &b), -EACCES);
	unlink(path);
	assert_int_equal(assay_open_stage_block(a, path, 2, LONG_MS, &b), -ENOENT);
	assert_null(b);
	assay_close(a);
	server_stop(&server);
}

static void secrets_come_from_files(void **state)
{
	static const struct {
		const char *what;
		size_t len;
		int expected;
	} cases[] = {
		{ "one byte", 1, 0 },
		{ "as many as a secret has", ASSAY_SECRET_MAX, 0 },
		{ "nothing", 0, -ENODATA },
		{ "one too many", ASSAY_SECRET_MAX + 1, -EMSGSIZE },
	};
	static uint8_t data[ASSAY_SECRET_MAX + 1];
	struct assay_secret *s;

	(void)state;
	memset(data, 's', sizeof(data));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int fd = memfd_of(data, cases[i].len, 0), r;

		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		r = assay_secret_read(fd, &s);
		if (r != cases[i].expected)
			fail_msg("%s: %d", cases[i].what, r);
		if (r == 0) {
			assert_int_equal(assay_secret_size(s), cases[i].len);
			assert_memory_equal(assay_secret_data(s), data, cases[i].len);
			assay_secret_free(s);
		}
		close(fd);
	}
	assert_int_equal(assay_secret_read(-1, &s), -EBADF);
}

static void errors_have_words(void **state)
{
	(void)state;
	assert_string_equal(assay_error_text(0), "success");
	assert_string_equal(assay_error_text(-EACCES), "refused");
	assert_string_equal(assay_error_text(-EPIPE), "Broken pipe");
	assert_string_equal(assay_error_text(-100000), "an error without a name");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_come),
		cmocka_unit_test(a_secret_is_locked_and_stays_with_its_process),
		cmocka_unit_test(answers_become_errors),
		cmocka_unit_test(status_is_given),
		cmocka_unit_test(a_stage_is_waited_for),
		cmocka_unit_test(verdicts_come_to_subscribers),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(blocks_open_with_their_stage),
		cmocka_unit_test(secrets_come_from_files),
		cmocka_unit_test(errors_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
