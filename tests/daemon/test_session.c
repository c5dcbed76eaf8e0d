/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/err.h>

#include "tests/support/verifier_lab.h"

/* After everything an attester must not do, no SealedSecret has left and the verifier lives on. */

/* What is no session: one row a way. Each is closed, and recorded. */

static void evidence_first(struct client *c)
{
	struct scripted_measurement m;

	scripted_measure(c->attester, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	scripted_sign(c->attester, &m);
	client_send_evidence(c, &m, false);
	scripted_measurement_done(&m);
}

static void garbage(struct client *c)
{
	static const uint8_t bytes[] = { 0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	client_send_bytes(c, bytes, sizeof(bytes));
}

static void empty_frame(struct client *c)
{
	static const uint8_t bytes[] = { 0, 0, 0, 0 };

	client_send_bytes(c, bytes, sizeof(bytes));
}

static void oversized(struct client *c)
{
	static const uint8_t bytes[] = { 0x7f, 0xff, 0xff, 0xff, 1, 2, 3 };

	client_send_bytes(c, bytes, sizeof(bytes));
}

static void hello_twice(struct client *c)
{
	client_say_hello(c);
	client_ask_enrolment(c, &c->attester->spki);
	client_expect(c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	client_take_challenge(c);
	client_take_challenge(c);
	client_say_hello(c);
}

static void large_after_hello(struct client *c)
{
	static const uint8_t bytes[] = { 0x01, 0x00, 0x00, 0x01 };

	client_say_hello(c);
	client_ask_enrolment(c, &c->attester->spki);
	client_expect(c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	client_take_challenge(c);
	client_take_challenge(c);
	client_send_bytes(c, bytes, sizeof(bytes));
}

static void evidence_before_enrolment(struct client *c)
{
	client_say_hello(c);
	client_expect(c, ASSAY__TO_ATTESTER__BODY_ENROL_CHALLENGE);
	evidence_first(c);
}

static void hello_of_another_version(struct client *c)
{
	Assay__Hello h = ASSAY__HELLO__INIT;

	h.version = 2;
	h.platform = (char *)"soft";
	client_send(c, ASSAY__TO_VERIFIER__BODY_HELLO, &h);
}

static void enrol_another_key(struct client *c)
{
	struct bytes key = BYTES_INIT(1024);

	assert_int_equal(bytes_append_view(&key, bytes_view(&c->attester->spki)), 0);
	key.data[key.len - 1] ^= 1;
	client_say_hello(c);
	client_ask_enrolment(c, &key);
	bytes_done(&key);
	client_expect(c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	assert_false(c->message->enrolled->accepted);
}

static void proof_without_a_challenge(struct client *c)
{
	Assay__EnrolProof p = ASSAY__ENROL_PROOF__INIT;

	client_say_hello(c);
	client_expect(c, ASSAY__TO_ATTESTER__BODY_ENROL_CHALLENGE);
	client_send(c, ASSAY__TO_VERIFIER__BODY_ENROL_PROOF, &p);
}

static void receipt_for_nothing(struct client *c)
{
	Assay__Receipt receipt = ASSAY__RECEIPT__INIT;
	uint8_t hash[64] = { 1 };

	client_say_hello(c);
	client_ask_enrolment(c, &c->attester->spki);
	client_expect(c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	client_take_challenge(c);
	client_take_challenge(c);
	receipt.application = (char *)SCRIPTED_APPLICATION;
	receipt.claims_hash = (ProtobufCBinaryData){ sizeof(hash), hash };
	receipt.stage = 1;
	receipt.secret = (char *)"one";
	receipt.how = (char *)"socket";
	client_send(c, ASSAY__TO_VERIFIER__BODY_RECEIPT, &receipt);
}

static void evidence_with_broken_claims(struct client *c)
{
	struct scripted_measurement m;

	client_say_hello(c);
	client_ask_enrolment(c, &c->attester->spki);
	client_expect(c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	client_take_challenge(c);
	client_take_challenge(c);
	scripted_measure(c->attester, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	m.claims.version = 9;
	scripted_sign(c->attester, &m);
	client_send_evidence(c, &m, false);
	scripted_measurement_done(&m);
}

static const struct {
	const char *what;
	void (*act)(struct client *c);
} broken[] = {
	{ "Evidence before Hello", evidence_first },
	{ "Evidence before enrolment", evidence_before_enrolment },
	{ "bytes that are no message", garbage },
	{ "an empty message", empty_frame },
	{ "a frame that is too large", oversized },
	{ "a frame that is too large after Hello", large_after_hello },
	{ "a second Hello", hello_twice },
	{ "Hello of another version", hello_of_another_version },
	{ "enrolment of another key than Hello's", enrol_another_key },
	{ "a proof that nothing asked for", proof_without_a_challenge },
	{ "a receipt for what was not released", receipt_for_nothing },
	{ "Evidence whose Claims do not parse", evidence_with_broken_claims },
};

static void a_broken_session_is_closed_and_recorded(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		size_t before = sealed_seen;
		struct scripted a;
		struct client c;

		print_message("%s\n", broken[i].what);
		scripted_open(&a);
		client_open(&c, lab, &a);
		broken[i].act(&c);
		client_expect_closed(&c);
		client_close(&c);
		scripted_done(&a);
		assert_int_equal(sealed_seen, before);
		assert_int_equal(lab_refusals(lab, (int64_t)i + 1), (int64_t)i + 1);
	}
	assert_int_equal(lab_count(lab, "SELECT count(*) FROM releases"), 0);
	assert_int_equal(lab_count(lab, "SELECT count(*) FROM evidence"), 0);
	lab_lives_on(lab);
}

static void nothing_older_than_tls_1_3(void **state)
{
	struct lab *lab = *state;
	struct client c = { 0 };

	assert_false(client_handshake(&c, lab, TLS1_2_VERSION));
	SSL_free(c.ssl);
	SSL_CTX_free(c.ctx);
	close(c.fd);
	ERR_clear_error();
	lab_lives_on(lab);
	assert_int_equal(lab_refusals(lab, 1), 1);
}

static void bytes_without_tls(void **state)
{
	struct lab *lab = *state;
	int fd = lab_connect(lab);
	char answer[64];

	assert_int_equal(write(fd, "GET / HTTP/1.0\r\n\r\n", 18), 18);
	while (read(fd, answer, sizeof(answer)) > 0)
		;
	close(fd);
	lab_lives_on(lab);
}

/* kill -9: the nonces of before are good for nothing, and what was latched still is. */
static void a_killed_verifier_forgets_nothing(void **state)
{
	struct scripted_measurement m;
	struct lab *lab = *state;
	size_t before = sealed_seen;
	struct scripted a;
	struct client c;

	scripted_open(&a);
	client_begin(&c, lab, &a, false);
	client_ask_nonce(&c, SCRIPTED_APPLICATION, 1);
	lab_kill(lab);
	client_close(&c);
	lab_start(lab);

	client_begin(&c, lab, &a, true);
	client_ask_nonce(&c, SCRIPTED_APPLICATION, 1);
	scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	m.mi.data[30] ^= 1;
	scripted_sign(&a, &m);
	client_send_evidence(&c, &m, false);
	client_expect_verdict(&c, false, 0, "evidence.m");
	scripted_measurement_done(&m);
	lab_kill(lab);
	client_close(&c);
	lab_start(lab);

	client_begin(&c, lab, &a, true);
	client_ask_nonce(&c, SCRIPTED_APPLICATION, 1);
	scripted_new_run(&a);
	scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	scripted_sign(&a, &m);
	client_send_evidence(&c, &m, false);
	client_expect_verdict(&c, false, 0, "release.latched");
	scripted_measurement_done(&m);
	client_close(&c);
	scripted_done(&a);
	assert_int_equal(sealed_seen, before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_set_up, lab_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_broken_session_is_closed_and_recorded),
		TEST(nothing_older_than_tls_1_3),
		TEST(bytes_without_tls),
		TEST(a_killed_verifier_forgets_nothing),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
