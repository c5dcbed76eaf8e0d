/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "endorsement_store.h"
#include "enrolment.h"
#include "tests/support/snp_fixture.h"
#include "tests/support/verifier_lab.h"

/*
 * Sessions of a chip that is no TPM with the real verifier: SEV-SNP reports of an AMD of our own,
 * whose ARK is the verifier's test root. A case makes the reports bad in one way.
 */

#define POLICY 0x008
#define DATA   0x050
#define CHIP   0x1a0

static struct snp_fixture_keys keys;

struct chip {
	struct snp_fixture amd;
	struct scripted_chip chip;
	struct view der[3]; /* of VCEK, ASK, CRL */
	ProtobufCBinaryData endorsements[3];
	size_t n;
	bool debug, other_key, other_data, stripped;
};

static struct view der_of(X509 *x)
{
	unsigned char *der = NULL;
	int len = i2d_X509(x, &der);

	assert_true(len > 0);
	return view_of(der, (size_t)len);
}

static struct view der_of_crl(X509_CRL *crl)
{
	unsigned char *der = NULL;
	int len = i2d_X509_CRL(crl, &der);

	assert_true(len > 0);
	X509_CRL_free(crl);
	return view_of(der, (size_t)len);
}

static void report(void *arg, struct view claims, Assay__ChipReport *ret)
{
	struct chip *c = arg;
	struct digest data;

	assert_int_equal(claims_hash(claims, &data), 0);
	memcpy(c->amd.report + DATA, data.bytes, data.size);
	if (c->other_data)
		c->amd.report[DATA] ^= 1;
	c->amd.report[POLICY + 2] = (uint8_t)(c->debug ? 0x0b : 0x03);
	snp_fixture_sign(&c->amd, c->other_key ? c->amd.vlek.key : c->amd.vcek.key);
	ret->report = (ProtobufCBinaryData){ sizeof(c->amd.report), c->amd.report };
	ret->endorsements = c->endorsements;
	ret->n_endorsements = c->stripped ? 0 : c->n;
}

/* revoked: its ASK, by a list that goes with every report. */
static void chip_make(struct chip *c, bool revoked)
{
	*c = (struct chip){ 0 };
	snp_fixture_init(&c->amd, &keys, "Genoa");
	snp_fixture_certify(&c->amd, &c->amd.vcek);
	c->der[c->n++] = der_of(c->amd.vcek.x);
	c->der[c->n++] = der_of(c->amd.ask);
	if (revoked)
		c->der[c->n++] = der_of_crl(snp_fixture_crl(&c->amd, c->amd.ask));
	for (size_t i = 0; i < c->n; i++)
		c->endorsements[i] =
			(ProtobufCBinaryData){ c->der[i].len, (uint8_t *)c->der[i].data };
	c->chip = (struct scripted_chip){ "sev-snp", report, c };
}

static void chip_done(struct chip *c)
{
	for (size_t i = 0; i < c->n; i++)
		OPENSSL_free((void *)c->der[i].data);
	snp_fixture_done(&c->amd);
}

/* A verifier with that root among its files, and more of its configuration. */
static struct lab *lab_of(const struct chip *c, const char *config, const char *rules)
{
	struct view root = der_of(c->amd.ark);
	struct lab_file file = { "ark.der", root };
	char platforms[256];
	struct lab *lab;

	snprintf(platforms, sizeof(platforms), "  sev-snp: {%s}\n", rules);
	lab = lab_make(config, platforms, &file, 1);
	OPENSSL_free((void *)root.data);
	return lab;
}

#define WITH_ROOT "test_roots: [ark.der]\nallow_test_roots: true\n"

static void a_machine_is_enrolled_and_its_stages_pass(void **state)
{
	struct scripted_measurement m;
	struct scripted a;
	struct client c;
	struct chip chip;
	struct lab *lab;
	void *fixture;

	(void)state;
	chip_make(&chip, false);
	lab = lab_of(&chip, WITH_ROOT, "");
	lab_start(lab);
	scripted_open(&a);
	scripted_set_chip(&a, &chip.chip);
	client_begin(&c, lab, &a, false);
	client_ask_nonce(&c, SCRIPTED_APPLICATION, 1);
	scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
	scripted_sign(&a, &m);
	client_send_evidence(&c, &m, false);
	client_expect_verdict(&c, true, 1, NULL);
	client_open_secret(&c, &m, "the first secret");
	scripted_measurement_done(&m);
	client_pass_stage(&c, 2);
	client_close(&c);
	/* Known by its name: no enrolment, and the run goes on. */
	client_begin(&c, lab, &a, true);
	client_close(&c);
	/* With roots of one's own it proves nothing, and the record says so. */
	assert_int_equal(lab_count(lab, "SELECT count(*) FROM attesters WHERE insecure = 1"), 1);
	assert_int_equal(lab_count(lab, "SELECT count(*) FROM releases"), 2);
	scripted_done(&a);
	fixture = lab;
	lab_tear_down(&fixture);
	chip_done(&chip);
}

/* What makes the platform's verdict bad, at enrolment already and afterwards. */
static void debuggable(struct chip *c)
{
	c->debug = true;
}

static void signed_by_another(struct chip *c)
{
	c->other_key = true;
}

static void over_other_data(struct chip *c)
{
	c->other_data = true;
}

static void without_certificates(struct chip *c)
{
	c->stripped = true;
}

static void nothing(struct chip *c)
{
}

static const struct {
	const char *what;
	void (*spoil)(struct chip *c);
	bool revoked;
	const char *config, *policy, *rule;
} bad[] = {
	{ "a guest under debug", debuggable, false, WITH_ROOT, "", "platforms.sev-snp.debug" },
	{ "signed by another key", signed_by_another, false, WITH_ROOT, "", "evidence.signature" },
	{ "over other Claims", over_other_data, false, WITH_ROOT, "", "evidence.claims" },
	{ "no certificate of its key", without_certificates, false, WITH_ROOT, "",
	  "evidence.certificate" },
	{ "its ASK is revoked", nothing, true, WITH_ROOT, "", "evidence.chain" },
	{ "a root that nobody pinned", nothing, false, "", "", "evidence.chain" },
	{ "firmware that is too old", nothing, false, WITH_ROOT, "minimum_tcb: {microcode: 200}",
	  "platforms.sev-snp.minimum_tcb" },
	{ "another chip than the policy's", nothing, false, WITH_ROOT,
	  "chip_id: "
	  "[000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	  "00000000000000000000000000000000000000000001]",
	  "platforms.sev-snp.chip_id" },
};

static void expect_not_enrolled(const struct lab *lab, struct scripted *a, const char *rule)
{
	struct client c;

	client_open(&c, lab, a);
	client_say_hello(&c);
	client_ask_enrolment(&c, &a->spki);
	client_expect(&c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	assert_false(c.message->enrolled->accepted);
	if (!strstr(c.message->enrolled->why, rule))
		fail_msg("refused for '%s', not %s", c.message->enrolled->why, rule);
	client_expect_closed(&c);
	client_close(&c);
}

static void a_bad_platform_is_not_enrolled(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct scripted a;
		struct chip chip;
		struct lab *lab;
		void *fixture;

		print_message("%s\n", bad[i].what);
		chip_make(&chip, bad[i].revoked);
		bad[i].spoil(&chip);
		lab = lab_of(&chip, bad[i].config, bad[i].policy);
		lab_start(lab);
		scripted_open(&a);
		scripted_set_chip(&a, &chip.chip);
		expect_not_enrolled(lab, &a, bad[i].rule);
		assert_int_equal(lab_refusals(lab, 1), 1);
		assert_int_equal(lab_count(lab, "SELECT count(*) FROM attesters"), 0);
		assert_int_equal(lab_count(lab, "SELECT count(*) FROM log"
						" WHERE kind = 'enrolment refused'"),
				 1);
		scripted_done(&a);
		fixture = lab;
		lab_tear_down(&fixture);
		chip_done(&chip);
	}
}

/* Enrolled while it was good; then the chip's word about it changes. */
static void what_turns_bad_gets_no_secret(void **state)
{
	static const struct {
		const char *what;
		void (*spoil)(struct chip *c);
		const char *rule;
	} cases[] = {
		{ "started again under debug", debuggable, "platforms.sev-snp.debug" },
		{ "signed by another key", signed_by_another, "evidence.signature" },
		{ "over other Claims", over_other_data, "evidence.claims" },
	};
	struct chip chip;
	struct lab *lab;
	void *fixture;

	(void)state;
	chip_make(&chip, false);
	lab = lab_of(&chip, WITH_ROOT, "");
	lab_start(lab);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scripted_measurement m;
		struct scripted a;
		struct client c;

		print_message("%s\n", cases[i].what);
		scripted_open(&a);
		scripted_set_chip(&a, &chip.chip);
		client_begin(&c, lab, &a, false);
		client_ask_nonce(&c, SCRIPTED_APPLICATION, 1);
		scripted_measure(&a, ASSAY__CLAIMS__KIND__STATIC, 1, &m);
		cases[i].spoil(&chip);
		scripted_sign(&a, &m);
		client_send_evidence(&c, &m, false);
		client_expect_verdict(&c, false, 0, cases[i].rule);
		scripted_measurement_done(&m);
		client_close(&c);
		scripted_done(&a);
		chip.debug = chip.other_key = chip.other_data = false;
	}
	assert_int_equal(lab_count(lab, "SELECT count(*) FROM releases"), 0);
	fixture = lab;
	lab_tear_down(&fixture);
	chip_done(&chip);
}

/* The report alone, and the certificates in the verifier's store. */
static void the_store_has_what_the_report_lacks(void **state)
{
	char path[512];
	const char *why = "";
	struct endorsements *e;
	X509_CRL *crl;
	struct scripted a;
	struct client c;
	struct chip chip;
	struct lab *lab;
	void *fixture;

	(void)state;
	chip_make(&chip, false);
	lab = lab_of(&chip, WITH_ROOT "endorsements: {directory: store.d}\n", "crl: require");
	snprintf(path, sizeof(path), "%s/store.d", lab->directory);
	assert_int_equal(endorsements_new(&e), 0);
	for (size_t i = 0; i < chip.n; i++)
		assert_int_equal(endorsements_add(e, chip.der[i], &why), 0);
	crl = snp_fixture_crl(&chip.amd, NULL);
	snp_fixture_endorse_crl(e, crl);
	X509_CRL_free(crl);
	for (size_t i = 0; i < endorsements_count(e); i++)
		assert_int_equal(endorsement_store_write(path, endorsements_at(e, i)), 0);
	endorsements_free(e);
	chip.stripped = true;
	lab_start(lab);
	scripted_open(&a);
	scripted_set_chip(&a, &chip.chip);
	client_begin(&c, lab, &a, false);
	client_pass_stage(&c, 1);
	client_close(&c);
	scripted_done(&a);
	fixture = lab;
	lab_tear_down(&fixture);
	chip_done(&chip);
}

/* A name is proven in this session, and is none that anybody could think of. */
static void a_name_is_proven_and_not_guessed(void **state)
{
	struct scripted a, other;
	struct client c;
	struct chip chip;
	struct lab *lab;
	void *fixture;

	(void)state;
	chip_make(&chip, false);
	lab = lab_of(&chip, WITH_ROOT, "");
	lab_start(lab);
	scripted_open(&a);
	scripted_open(&other);
	scripted_set_chip(&a, &chip.chip);
	scripted_set_chip(&other, &chip.chip);
	/* The report says another name than Hello. */
	client_open(&c, lab, &a);
	client_say_hello(&c);
	memcpy(other.exporter, a.exporter, sizeof(a.exporter));
	c.attester = &other;
	client_ask_enrolment(&c, &a.spki);
	client_expect(&c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	assert_false(c.message->enrolled->accepted);
	client_close(&c);
	/* The report is of another session. */
	client_open(&c, lab, &a);
	client_say_hello(&c);
	a.exporter[0] ^= 1;
	client_ask_enrolment(&c, &a.spki);
	client_expect(&c, ASSAY__TO_ATTESTER__BODY_ENROLLED);
	assert_false(c.message->enrolled->accepted);
	client_close(&c);
	/* A short name. */
	client_open(&c, lab, &a);
	a.key_name.size = ENROLMENT_NAME_MIN - 1;
	client_say_hello(&c);
	client_ask_enrolment(&c, &a.spki);
	client_expect_closed(&c);
	client_close(&c);
	assert_int_equal(lab_count(lab, "SELECT count(*) FROM attesters"), 0);
	scripted_done(&a);
	scripted_done(&other);
	fixture = lab;
	lab_tear_down(&fixture);
	chip_done(&chip);
}

/* Test roots take saying so twice. */
static void test_roots_alone_are_refused(void **state)
{
	char command[512];
	struct chip chip;
	struct lab *lab;
	int status;

	(void)state;
	chip_make(&chip, false);
	lab = lab_of(&chip, "test_roots: [ark.der]\n", "");
	snprintf(command, sizeof(command),
		 "%s --config %s --check 2>&1 | grep -q 'test_roots: expected allow_test_roots'",
		 VERIFIER, lab->config);
	status = system(command);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	EVP_PKEY_free(lab->key);
	X509_free(lab->certificate);
	snprintf(command, sizeof(command), "rm -rf %s", lab->directory);
	assert_int_equal(system(command), 0);
	free(lab);
	chip_done(&chip);
}

static int make_keys(void **state)
{
	(void)state;
	snp_fixture_make_keys(&keys);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	snp_fixture_free_keys(&keys);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_is_enrolled_and_its_stages_pass),
		cmocka_unit_test(a_bad_platform_is_not_enrolled),
		cmocka_unit_test(what_turns_bad_gets_no_secret),
		cmocka_unit_test(the_store_has_what_the_report_lacks),
		cmocka_unit_test(a_name_is_proven_and_not_guessed),
		cmocka_unit_test(test_roots_alone_are_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
