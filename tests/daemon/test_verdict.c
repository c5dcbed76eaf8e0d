/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/verifier_lab.h"

/*
 * Verdicts of the real verifier. After everything an attester must not do, no SealedSecret has
 * left and the verifier lives on.
 */

static void secrets_of_two_stages_open(void **state)
{
	Assay__Receipt receipt = ASSAY__RECEIPT__INIT;
	struct scripted_measurement m;
	struct lab *lab = *state;
	struct scripted a;
	struct client c;

	scripted_open(&a);
	client_begin(&c, lab, &a, false);
	client_ask_nonce(&c, SCRIPTED_APPLICATION, 1);
	scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	scripted_sign(&a, &m);
	client_send_evidence(&c, &m, false);
	client_expect_verdict(&c, true, 1, NULL);
	client_open_secret(&c, &m, "the first secret");
	receipt.application = (char *)SCRIPTED_APPLICATION;
	receipt.claims_hash = (ProtobufCBinaryData){ m.hash.size, m.hash.bytes };
	receipt.stage = 1;
	receipt.secret = (char *)"one";
	receipt.pid = 7;
	receipt.how = (char *)"socket";
	client_send(&c, ASSAY__TO_VERIFIER__BODY_RECEIPT, &receipt);
	scripted_measurement_done(&m);
	client_pass_stage(&c, 2);
	client_close(&c);
	/* Known by now: no enrolment, and the run goes on. */
	client_begin(&c, lab, &a, true);
	client_close(&c);
	scripted_done(&a);
	assert_int_equal(lab_count(lab, "SELECT count(*) FROM receipts"), 1);
	assert_int_equal(lab_count(lab, "SELECT count(*) FROM releases"), 2);
}

/*
 * Measured while there was no session, some of it dropped for want of room, and sent in the
 * next one, after a stage has asked for its nonce: the stage passes.
 */
static void a_queue_with_a_gap_goes_before_a_stage(void **state)
{
	struct scripted_measurement m;
	struct lab *lab = *state;
	struct scripted a;
	struct client c;

	scripted_open(&a);
	client_begin(&c, lab, &a, false);
	client_pass_stage(&c, 1);
	client_close(&c);
	client_begin(&c, lab, &a, true);
	client_ask_nonce(&c, SCRIPTED_APPLICATION, 2);
	for (int i = 0; i < 2; i++) {
		scripted_measure(&a, ASSAY__CLAIMS__KIND__DYNAMIC, 0, &m);
		m.claims.sequence += i == 0 ? 3 : 0;
		scripted_unbind(&m);
		scripted_sign(&a, &m);
		client_send_evidence(&c, &m, false);
		client_expect_verdict(&c, true, 0, i == 0 ? "evidence.sequence" : NULL);
		scripted_measurement_done(&m);
	}
	scripted_measure(&a, ASSAY__CLAIMS__KIND__DYNAMIC, 2, &m);
	m.claims.dropped = 3;
	scripted_sign(&a, &m);
	client_send_evidence(&c, &m, false);
	client_expect_verdict(&c, true, 1, NULL);
	client_open_secret(&c, &m, "the second secret");
	scripted_measurement_done(&m);
	client_close(&c);
	scripted_done(&a);
}

/* Evidence that is refused for its channel: one row a way. */

struct bad_evidence {
	const struct lab *lab;
	struct client *c;
	struct scripted_measurement *m;
};

static void other_session(struct bad_evidence *b)
{
	/* Measured honestly in a session of its own; somebody passes it on through another. */
	static uint8_t exporter[EXPORTER_SIZE] = { 3 };

	b->m->claims.exporter = (ProtobufCBinaryData){ EXPORTER_SIZE, exporter };
}

static void other_application(struct bad_evidence *b)
{
	static uint8_t nonce[NONCE_SIZE];

	client_ask_nonce(b->c, "othr", 1);
	memcpy(nonce, b->c->attester->nonce, NONCE_SIZE);
	b->m->claims.nonce = (ProtobufCBinaryData){ NONCE_SIZE, nonce };
}

static void made_up_nonce(struct bad_evidence *b)
{
	static uint8_t nonce[NONCE_SIZE] = { 5 };

	b->m->claims.nonce = (ProtobufCBinaryData){ NONCE_SIZE, nonce };
}

static void wrong_stage_nonce(struct bad_evidence *b)
{
	client_ask_nonce(b->c, SCRIPTED_APPLICATION, 2);
}

static void no_nonce(struct bad_evidence *b)
{
	scripted_unbind(b->m);
}

static void stage_two_first(struct bad_evidence *b)
{
	client_ask_nonce(b->c, SCRIPTED_APPLICATION, 2);
	b->m->claims.stage = 2;
}

static void no_channel_key(struct bad_evidence *b)
{
	b->m->claims.channel_key = (ProtobufCBinaryData){ 0, NULL };
}

static void bad_channel_key(struct bad_evidence *b)
{
	static uint8_t zero[CHANNEL_KEY_SIZE];

	b->m->claims.channel_key = (ProtobufCBinaryData){ sizeof(zero), zero };
}

static void other_manifest(struct bad_evidence *b)
{
	scripted_set_mi(b->m, view_text("#mtree\n./usr/bin/demo type=file mode=0755 uid=0 gid=0"
					" size=10 sha256digest=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
					"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"));
}

static void mi_not_of_m(struct bad_evidence *b)
{
	b->m->mi.data[30] ^= 1;
}

static const struct {
	const char *what;
	void (*spoil)(struct bad_evidence *b);
	const char *rule;
	bool latched;
} bad[] = {
	{ "relayed through another TLS session", other_session, "evidence.exporter", false },
	{ "the nonce of another application", other_application, "release.nonce", false },
	{ "a nonce that was made up", made_up_nonce, "release.nonce", false },
	{ "the nonce of another stage", wrong_stage_nonce, "release.nonce", false },
	{ "no nonce", no_nonce, "release.nonce", false },
	{ "no channel key", no_channel_key, "release.channel_key", false },
	{ "a channel key that is none", bad_channel_key, "release.channel_key", false },
	{ "stage 2 first", stage_two_first, "release.stage", true },
	{ "another manifest", other_manifest, "static.manifest", true },
	{ "MI that M is not the hash of", mi_not_of_m, "evidence.m", true },
};

static void bad_evidence_releases_nothing(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct scripted_measurement m;
		size_t before = sealed_seen;
		struct bad_evidence b;
		struct scripted a;
		struct client c;

		print_message("%s\n", bad[i].what);
		scripted_open(&a);
		client_begin(&c, lab, &a, false);
		client_ask_nonce(&c, SCRIPTED_APPLICATION, 1);
		scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
		b = (struct bad_evidence){ lab, &c, &m };
		bad[i].spoil(&b);
		scripted_sign(&a, &m);
		client_send_evidence(&c, &m, false);
		client_expect_verdict(&c, false, 0, bad[i].rule);
		assert_int_equal(c.message->verdict->latched, bad[i].latched);
		scripted_measurement_done(&m);
		client_close(&c);
		scripted_done(&a);
		assert_int_equal(sealed_seen, before);
	}
	assert_int_equal(lab_count(lab, "SELECT count(*) FROM releases"), 0);
	assert_int_equal(lab_count(lab, "SELECT count(*) FROM evidence WHERE accepted = 0"),
			 ARRAY_LEN(bad));
	lab_lives_on(lab);
}

/* What the log says from that place on, in a buffer of the caller. */
static void read_log(const struct lab *lab, long from, char *to, size_t size)
{
	char path[256];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", lab->directory);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fseek(f, from, SEEK_SET), 0);
	n = fread(to, 1, size - 1, f);
	to[n] = 0;
	fclose(f);
}

static void expect_lines(const char *text, const char *const *lines)
{
	const char *at = text;

	for (; *lines; lines++) {
		at = strstr(at, *lines);
		if (!at)
			fail_msg("'%s' is not in its place of:\n%s", *lines, text);
	}
}

/* The lines of a verdict, in the order of the steps; a refusal has none of what comes after. */
static void the_log_tells_a_verdict_in_order(void **state)
{
	static const char *const refused[] = {
		"A4",
		"A5",
		"sequence 1: refused",
		"static.manifest: expected",
		"demo: refused",
		"latched\n",
		"demo: latched; nothing further is released until assay fleet readmit demo",
		NULL,
	};
	static const char *const accepted[] = {
		"A4",	   "A5", "sequence 1: as expected", "A6", "bound to this session", "A7",
		"stage 1", NULL,
	};
	struct scripted_measurement m;
	struct lab *lab = *state;
	struct scripted a;
	struct client c;
	char text[16384];
	size_t before;

	scripted_open(&a);
	client_begin(&c, lab, &a, false);
	read_log(lab, 0, text, sizeof(text));
	before = strlen(text);
	client_pass_stage(&c, 1);
	read_log(lab, (long)before, text, sizeof(text));
	expect_lines(text, accepted);
	before += strlen(text);

	scripted_new_run(&a);
	client_ask_nonce(&c, SCRIPTED_APPLICATION, 1);
	scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	other_manifest(&(struct bad_evidence){ lab, &c, &m });
	scripted_sign(&a, &m);
	client_send_evidence(&c, &m, false);
	client_expect_verdict(&c, false, 0, "static.manifest");
	read_log(lab, (long)before, text, sizeof(text));
	expect_lines(text, refused);
	if (strstr(text, "A6") || strstr(text, "A7") || strstr(text, "bound to this session"))
		fail_msg("of what was refused:\n%s", text);
	scripted_measurement_done(&m);
	client_close(&c);
	scripted_done(&a);
}

/* What anybody can send who reaches the port, and what only the machine itself can say. */
static const struct {
	const char *what;
	bool nonce, signature, latched;
	const char *rule;
} tampered[] = {
	{ "a signature that does not verify", true, false, false, "evidence.signature" },
	{ "the same without a nonce", false, false, false, "evidence.signature" },
	{ "signed, and measured without a session", false, true, true, "static.manifest" },
};

static void only_what_the_chip_signed_latches(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < ARRAY_LEN(tampered); i++) {
		struct scripted_measurement m;
		struct scripted a;
		struct client c;

		print_message("%s\n", tampered[i].what);
		scripted_open(&a);
		client_begin(&c, lab, &a, false);
		client_ask_nonce(&c, SCRIPTED_APPLICATION, 0);
		scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 0, &m);
		other_manifest(&(struct bad_evidence){ lab, &c, &m });
		if (!tampered[i].nonce)
			scripted_unbind(&m);
		scripted_sign(&a, &m);
		if (!tampered[i].signature)
			m.report.signature.data[3] ^= 1;
		client_send_evidence(&c, &m, false);
		client_expect_verdict(&c, false, 0, tampered[i].rule);
		assert_int_equal(c.message->verdict->latched, tampered[i].latched);
		/* What it is about: the honest machine still gets its secret, or does not. */
		scripted_measurement_done(&m);
		scripted_new_run(&a);
		client_ask_nonce(&c, SCRIPTED_APPLICATION, 1);
		scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
		scripted_sign(&a, &m);
		client_send_evidence(&c, &m, false);
		client_expect_verdict(&c, !tampered[i].latched, tampered[i].latched ? 0 : 1,
				      tampered[i].latched ? "release.latched" : NULL);
		scripted_measurement_done(&m);
		client_close(&c);
		scripted_done(&a);
	}
}

static void replayed_evidence_releases_nothing(void **state)
{
	struct scripted_measurement m;
	struct lab *lab = *state;
	struct scripted a;
	struct client c;
	size_t before;

	scripted_open(&a);
	client_begin(&c, lab, &a, false);
	client_ask_nonce(&c, SCRIPTED_APPLICATION, 1);
	scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	scripted_sign(&a, &m);
	client_send_evidence(&c, &m, false);
	client_expect_verdict(&c, true, 1, NULL);
	before = sealed_seen;
	client_send_evidence(&c, &m, false);
	client_expect_verdict(&c, false, 0, "evidence.replayed");
	assert_false(c.message->verdict->latched);
	client_close(&c);
	/* And in a session of its own. */
	client_begin(&c, lab, &a, true);
	client_send_evidence(&c, &m, false);
	client_expect_verdict(&c, false, 0, "evidence.replayed");
	client_close(&c);
	scripted_measurement_done(&m);
	scripted_done(&a);
	assert_int_equal(sealed_seen, before);
	assert_int_equal(lab_count(lab, "SELECT count(*) FROM releases"), 1);
}

static void upload(const struct lab *lab, struct scripted_measurement *m, bool spoil)
{
	Assay__MiUpload u = ASSAY__MI_UPLOAD__INIT;
	struct scripted nobody = { 0 };
	struct client c;

	client_open(&c, lab, &nobody);
	if (spoil)
		m->mi.data[30] ^= 1;
	u.claims_hash = (ProtobufCBinaryData){ m->hash.size, m->hash.bytes };
	u.mi = (ProtobufCBinaryData){ m->mi.len, m->mi.data };
	client_send(&c, ASSAY__TO_VERIFIER__BODY_MI_UPLOAD, &u);
	client_close(&c);
}

static const struct {
	const char *what;
	bool before, spoil;
	const char *rule;
} uploads[] = {
	{ "MI before its Evidence", true, false, NULL },
	{ "MI after its Evidence", false, false, NULL },
	{ "MI that M is not the hash of", false, true, "evidence.m" },
};

static void mi_comes_over_a_second_connection(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < ARRAY_LEN(uploads); i++) {
		struct scripted_measurement m;
		struct scripted a;
		struct client c;

		print_message("%s\n", uploads[i].what);
		scripted_open(&a);
		client_begin(&c, lab, &a, false);
		client_ask_nonce(&c, SCRIPTED_APPLICATION, 1);
		scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
		scripted_sign(&a, &m);
		if (uploads[i].before) {
			upload(lab, &m, uploads[i].spoil);
			usleep(200000);
		}
		client_send_evidence(&c, &m, true);
		if (!uploads[i].before) {
			usleep(200000);
			upload(lab, &m, uploads[i].spoil);
		}
		client_expect_verdict(&c, !uploads[i].rule, uploads[i].rule ? 0 : 1,
				      uploads[i].rule);
		client_close(&c);
		scripted_measurement_done(&m);
		scripted_done(&a);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_set_up, lab_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(secrets_of_two_stages_open),
		TEST(a_queue_with_a_gap_goes_before_a_stage),
		TEST(bad_evidence_releases_nothing),
		TEST(the_log_tells_a_verdict_in_order),
		TEST(only_what_the_chip_signed_latches),
		TEST(replayed_evidence_releases_nothing),
		TEST(mi_comes_over_a_second_connection),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
