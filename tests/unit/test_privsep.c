/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/privsep.h"

static void texts_always_end(void **state)
{
	struct privsep_challenge c;

	(void)state;
	memset(&c, 'a', sizeof(c));
	c.stage = 1;
	/* 64 letters and no end: cut to a name that is one, not read past its field. */
	assert_int_equal(privsep_challenge_read(view_of(&c, sizeof(c)), &c), 0);
	assert_int_equal(strlen(c.application), APPLICATION_NAME_MAX);
	assert_int_equal(strlen(c.reason), PRIVSEP_TEXT_MAX - 1);
}

static void wrong_sizes_and_values_are_refused(void **state)
{
	struct privsep_challenge c = { .application = "a" }, out;
	struct privsep_enrol *e = calloc(1, sizeof(*e));
	struct privsep_enrol *into = calloc(1, sizeof(*into));

	(void)state;
	assert_int_equal(privsep_challenge_read(view_of(&c, sizeof(c) - 1), &out), -EBADMSG);
	assert_int_equal(privsep_challenge_read(view_of(&c, sizeof(c)), &out), 0);
	c.stage = STAGE_MAX + 1;
	assert_int_equal(privsep_challenge_read(view_of(&c, sizeof(c)), &out), -EBADMSG);
	c.stage = 1;
	strcpy(c.application, "../x");
	assert_int_equal(privsep_challenge_read(view_of(&c, sizeof(c)), &out), -EBADMSG);
	e->blob_len = PRIVSEP_BLOB_MAX + 1;
	assert_int_equal(privsep_enrol_read(view_of(e, sizeof(*e)), into), -EBADMSG);
	free(e);
	free(into);
}

static void a_verdict_cut_short_anywhere_is_refused(void **state)
{
	struct privsep_verdict head = { .application = "a", .n_reasons = 1, .n_secrets = 1 }, v;
	struct privsep_reason reason = { .rule = "r" }, reason_out;
	struct privsep_sealed sealed = { .name = "s", .sealed_len = 5 }, sealed_out;
	struct bytes b = BYTES_INIT(1 << 20);
	struct view content;

	(void)state;
	assert_int_equal(bytes_append(&b, &head, sizeof(head)), 0);
	assert_int_equal(bytes_append(&b, &reason, sizeof(reason)), 0);
	assert_int_equal(bytes_append(&b, &sealed, sizeof(sealed)), 0);
	assert_int_equal(bytes_append(&b, "12345", 5), 0);
	for (size_t len = 0; len <= b.len; len++) {
		struct reader in = reader_of(view_of(b.data, len));
		int r;

		r = privsep_verdict_read(&in, &v);
		if (r == 0)
			r = privsep_reason_read(&in, &reason_out);
		if (r == 0)
			r = privsep_sealed_read(&in, &sealed_out, &content);
		assert_int_equal(r, len == b.len ? 0 : -EBADMSG);
	}
	assert_int_equal(content.len, 5);
	sealed.sealed_len = PRIVSEP_SEALED_MAX + 1;
	bytes_reset(&b);
	assert_int_equal(bytes_append(&b, &sealed, sizeof(sealed)), 0);
	struct reader in = reader_of(bytes_view(&b));
	assert_int_equal(privsep_sealed_read(&in, &sealed_out, &content), -EBADMSG);
	bytes_done(&b);
}

struct seen {
	struct event_base *base;
	size_t messages, bytes;
	uint32_t type;
	bool ended;
	int answer;
};

static int on_message(void *arg, uint32_t type, struct view message)
{
	struct seen *s = arg;

	s->messages++;
	s->type = type;
	s->bytes += message.len;
	return s->answer;
}

static void on_ended(void *arg, const char *why)
{
	struct seen *s = arg;

	s->ended = true;
	event_base_loopbreak(s->base);
}

static void an_over_long_message_ends_the_pair(void **state)
{
	struct seen here = { 0 }, there = { 0 };
	struct privsep *a, *b;
	uint8_t data[2048] = { 0 };
	int ends[2];

	(void)state;
	here.base = there.base = event_base_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(privsep_new(here.base, ends[0], 1024, on_message, on_ended, &here, &a), 0);
	assert_int_equal(privsep_new(here.base, ends[1], 1024, on_message, on_ended, &there, &b),
			 0);
	assert_int_equal(privsep_send(b, PRIVSEP_SEND, view_of(data, 1000)), 0);
	assert_int_equal(privsep_send(b, PRIVSEP_SEND, view_of(data, 1021)), 0);
	event_base_dispatch(here.base);
	assert_true(here.ended);
	assert_int_equal(here.messages, 1);
	assert_int_equal(here.bytes, 1000);
	assert_int_equal(here.type, PRIVSEP_SEND);
	privsep_free(a);
	privsep_free(b);
	event_base_free(here.base);
}

static void a_message_that_is_refused_ends_the_pair(void **state)
{
	struct seen here = { .answer = -EBADMSG }, there = { 0 };
	struct privsep *a, *b;
	int ends[2];

	(void)state;
	here.base = there.base = event_base_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(privsep_new(here.base, ends[0], 1024, on_message, on_ended, &here, &a), 0);
	assert_int_equal(privsep_new(here.base, ends[1], 1024, on_message, on_ended, &there, &b),
			 0);
	assert_int_equal(privsep_send(b, 99, view_of("x", 1)), 0);
	assert_int_equal(privsep_send(b, 99, view_of("x", 1)), 0);
	event_base_dispatch(here.base);
	assert_true(here.ended);
	assert_int_equal(here.messages, 1);
	privsep_free(a);
	privsep_free(b);
	event_base_free(here.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_always_end),
		cmocka_unit_test(wrong_sizes_and_values_are_refused),
		cmocka_unit_test(a_verdict_cut_short_anywhere_is_refused),
		cmocka_unit_test(an_over_long_message_ends_the_pair),
		cmocka_unit_test(a_message_that_is_refused_ends_the_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
