/* SPDX-License-Identifier: Apache-2.0 */
/* libassay against servers that lie in app.proto: nothing is believed, nothing is leaked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <time.h>

#include "assay/assay.h"
#include "errors.h"
#include "tests/support/app_server.h"

/* Lies, each told in answer to a request for the secret of stage 2. */
static void lie_unsealed(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	send_answer(peer, &a, memfd_of(SECRET, 32, 0), 1);
}

static void lie_half_sealed(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	send_answer(peer, &a, memfd_of(SECRET, 32, SEALS & ~F_SEAL_WRITE), 1);
}

static void lie_not_sealed_shut(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	send_answer(peer, &a, memfd_of(SECRET, 32, SEALS & ~F_SEAL_SEAL), 1);
}

static void lie_huge(int peer, const Assay__Request *q)
{
	static const uint8_t huge[ASSAY_SECRET_MAX + 1];
	Assay__Answer a = secret_answer(q);

	send_answer(peer, &a, memfd_of(huge, sizeof(huge), SEALS), 1);
}

static void lie_empty(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	send_answer(peer, &a, memfd_of("", 0, SEALS), 1);
}

static void lie_a_file(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	send_answer(peer, &a, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 1);
}

static void lie_a_socket(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	send_answer(peer, &a, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), 1);
}

static void lie_two(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	send_answer(peer, &a, memfd_of(SECRET, 32, SEALS), 2);
}

static void lie_sixteen(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	send_answer(peer, &a, memfd_of(SECRET, 32, SEALS), 16);
}

static void lie_none(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	send_answer(peer, &a, -1, 0);
}

static void lie_unannounced(int peer, const Assay__Request *q)
{
	Assay__Answer a = answer_to(q);

	send_answer(peer, &a, memfd_of(SECRET, 32, SEALS), 1);
}

static void lie_success_without(int peer, const Assay__Request *q)
{
	Assay__Answer a = answer_to(q);

	send_answer(peer, &a, -1, 0);
}

static void lie_secret_and_error(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	a.error = -EACCES;
	send_answer(peer, &a, memfd_of(SECRET, 32, SEALS), 1);
}

static void lie_other_stage(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	a.stage = 1;
	send_answer(peer, &a, memfd_of(SECRET, 32, SEALS), 1);
}

static void lie_long_name(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);
	char name[300];

	memset(name, 'n', sizeof(name));
	name[299] = '\0';
	a.name = name;
	send_answer(peer, &a, memfd_of(SECRET, 32, SEALS), 1);
}

static void lie_later_id(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	a.id = q->id + 1;
	send_answer(peer, &a, memfd_of(SECRET, 32, SEALS), 1);
}

static void lie_event(int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	a.id = 0;
	send_answer(peer, &a, memfd_of(SECRET, 32, SEALS), 1);
}

static void lie_positive_error(int peer, const Assay__Request *q)
{
	Assay__Answer a = answer_to(q);

	a.error = EACCES;
	send_answer(peer, &a, -1, 0);
}

static void lie_lowest_error(int peer, const Assay__Request *q)
{
	Assay__Answer a = answer_to(q);

	a.error = INT32_MIN;
	send_answer(peer, &a, -1, 0);
}

static void lie_garbage(int peer, const Assay__Request *q)
{
	(void)q;
	send_raw(peer, "\xff\xff\xff\xff\xff\xff", 6, -1, 0);
}

static void lie_garbage_with_secret(int peer, const Assay__Request *q)
{
	(void)q;
	send_raw(peer, "\xff\xff\xff\xff", 4, memfd_of(SECRET, 32, SEALS), 1);
}

static void lie_long_packet(int peer, const Assay__Request *q)
{
	static uint8_t packet[65536 + 1];
	Assay__Answer a = answer_to(q);

	/* A good answer, and then fields that are not known, which protobuf would skip. */
	memset(packet, 0, sizeof(packet));
	assay__answer__pack(&a, packet);
	send_raw(peer, packet, sizeof(packet), -1, 0);
}

/* Two bytes each for an empty status: a structure each if nobody minds. */
static void lie_amplified(int peer, const Assay__Request *q)
{
	static uint8_t packet[60000];

	(void)q;
	for (size_t i = 0; i < sizeof(packet); i += 2) {
		packet[i] = 7 << 3 | 2;
		packet[i + 1] = 0;
	}
	send_raw(peer, packet, sizeof(packet), -1, 0);
}

static void lie_hang_up(int peer, const Assay__Request *q)
{
	(void)q;
	shutdown(peer, SHUT_RDWR);
}

static void lie_silence(int peer, const Assay__Request *q)
{
	(void)peer;
	(void)q;
}

static void truth_foreign(int peer, const Assay__Request *q)
{
	Assay__Answer a = answer_to(q);

	a.id = 0; /* it may not even have read the request */
	a.error = -EPERM;
	send_answer(peer, &a, -1, 0);
	shutdown(peer, SHUT_RDWR);
}

static const struct {
	const char *what;
	void (*tell)(int peer, const Assay__Request *q);
	int expected, next;
} lies[] = {
	{ "a memfd that is not sealed", lie_unsealed, -EBADMSG, -ECONNRESET },
	{ "a memfd that can still be written", lie_half_sealed, -EBADMSG, -ECONNRESET },
	{ "a memfd whose seals are not final", lie_not_sealed_shut, -EBADMSG, -ECONNRESET },
	{ "a memfd larger than a secret", lie_huge, -EBADMSG, -ECONNRESET },
	{ "a memfd with nothing in it", lie_empty, -EBADMSG, -ECONNRESET },
	{ "a file", lie_a_file, -EBADMSG, -ECONNRESET },
	{ "a socket", lie_a_socket, -EBADMSG, -ECONNRESET },
	{ "two descriptors", lie_two, -EBADMSG, -ECONNRESET },
	{ "more descriptors than are looked at", lie_sixteen, -EBADMSG, -ECONNRESET },
	{ "a secret without a descriptor", lie_none, -EBADMSG, -ECONNRESET },
	{ "a descriptor that is no secret", lie_unannounced, -EBADMSG, -ECONNRESET },
	{ "a success without a secret", lie_success_without, -EBADMSG, -ECONNRESET },
	{ "a secret with an error", lie_secret_and_error, -EBADMSG, -ECONNRESET },
	{ "the secret of another stage", lie_other_stage, -EBADMSG, -ECONNRESET },
	{ "a name longer than names are", lie_long_name, -EBADMSG, -ECONNRESET },
	{ "an answer to a request not made yet", lie_later_id, -EBADMSG, -ECONNRESET },
	{ "an event, without a subscription", lie_event, -EBADMSG, -ECONNRESET },
	{ "an error above zero", lie_positive_error, -EBADMSG, -ECONNRESET },
	{ "an error that cannot be negated", lie_lowest_error, -EBADMSG, -ECONNRESET },
	{ "garbage", lie_garbage, -EBADMSG, -ECONNRESET },
	{ "garbage with a descriptor", lie_garbage_with_secret, -EBADMSG, -ECONNRESET },
	{ "a packet longer than packets are", lie_long_packet, -EBADMSG, -ECONNRESET },
	{ "a packet that unpacks to megabytes", lie_amplified, -EBADMSG, -ECONNRESET },
	{ "the end of the connection", lie_hang_up, -ECONNRESET, -ECONNRESET },
	{ "nothing at all", lie_silence, -ETIMEDOUT, -ETIMEDOUT },
	{ "that the caller is none of its applications", truth_foreign, -EPERM, -ECONNRESET },
};

static size_t lie;

static void behave_badly(struct server *s, int peer, const Assay__Request *q)
{
	(void)s;
	lies[lie].tell(peer, q);
}

static void lies_are_refused(void **state)
{
	(void)state;
	for (lie = 0; lie < ARRAY_LEN(lies); lie++) {
		size_t before = open_descriptors();
		struct assay_secret *s = NULL;
		struct server server;
		struct assay *a;
		int r, next;

		server_start(&server, behave_badly);
		assert_int_equal(assay_connect(server.path, LONG_MS, &a), 0);
		r = assay_get_stage_secret(
			a, 2, true, lies[lie].expected == -ETIMEDOUT ? SHORT_MS : LONG_MS, &s);
		next = assay_get_stage_secret(a, 2, true, SHORT_MS, &s);
		assay_close(a);
		server_stop(&server);
		if (r != lies[lie].expected || next != lies[lie].next || s)
			fail_msg("%s: %d and then %d", lies[lie].what, r, next);
		if (open_descriptors() != before)
			fail_msg("%s: a descriptor stays open", lies[lie].what);
	}
}

static void pause_ms(long ms)
{
	struct timespec t = { 0, ms * 1000000 };

	nanosleep(&t, NULL);
}

/* The first answer comes after its call gave up. */
static void behave_late(struct server *s, int peer, const Assay__Request *q)
{
	Assay__Answer a = secret_answer(q);

	if (s->seen == 1)
		pause_ms(2 * SHORT_MS);
	send_answer(peer, &a, memfd_of(SECRET, 32, SEALS), 1);
}

static void a_late_answer_is_not_taken_for_the_next(void **state)
{
	size_t before = open_descriptors();
	struct server server;
	struct assay_secret *s;
	struct assay *a;

	(void)state;
	server_start(&server, behave_late);
	assert_int_equal(assay_connect(server.path, LONG_MS, &a), 0);
	assert_int_equal(assay_get_secret(a, "first", true, SHORT_MS, &s), -ETIMEDOUT);
	assert_int_equal(assay_get_secret(a, "second", true, LONG_MS, &s), 0);
	assert_string_equal(assay_secret_name(s), "second");
	assay_secret_free(s);
	assay_close(a);
	server_stop(&server);
	assert_int_equal(open_descriptors(), before);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lies_are_refused),
		cmocka_unit_test(a_late_answer_is_not_taken_for_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
