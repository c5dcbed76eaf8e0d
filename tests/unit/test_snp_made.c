/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "tests/support/alone_try.h"
#include "tests/support/snp_fixture.h"

/*
 * What no genuine evidence at hand shows: reports of every product that are good but for one
 * thing, and signed as they are, by an AMD of our own.
 */

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct policy *, policy_free)

#define AMD "1.3.6.1.4.1.3704.1."

struct making {
	struct snp_fixture f;
	struct snp_fixture_key *key; /* that signs */
	X509_CRL *crl;
	bool no_intermediate;
};

static void by_vlek(struct making *m)
{
	m->key = &m->f.vlek;
	m->f.report[0x048] = 1 << 2;
	memset(m->f.report + 0x1a0, 0, 64);
}

static void by_vlek_with_chip_id(struct making *m)
{
	by_vlek(m);
	memset(m->f.report + 0x1a0, 0x77, 64);
}

static void masked_chip_id(struct making *m)
{
	memset(m->f.report + 0x1a0, 0, 64);
}

static void other_chip_id(struct making *m)
{
	m->f.report[0x1a0 + 7] ^= 1;
}

static void longer_chip_id(struct making *m)
{
	m->f.report[0x1a0 + 8] = 1;
}

static void wrapped_hwid(struct making *m)
{
	struct snp_fixture_extension *e = snp_fixture_extension(&m->f.vcek, AMD "4");

	memmove(e->value + 2, e->value, e->len);
	e->value[0] = 4;
	e->value[1] = (uint8_t)e->len;
	e->len += 2;
}

static void no_hwid(struct making *m)
{
	snp_fixture_extension(&m->f.vcek, AMD "4")->len = 0;
}

static void hwid_of_another_size(struct making *m)
{
	snp_fixture_extension(&m->f.vcek, AMD "4")->len = 9;
}

static void vlek_of_a_chip(struct making *m)
{
	struct snp_fixture_extension *e;

	by_vlek(m);
	e = snp_fixture_extension(&m->f.vlek, AMD "4");
	memset(e->value, 0x5a, 64);
	e->len = 64;
}

static void vlek_of_nobody(struct making *m)
{
	by_vlek(m);
	snp_fixture_extension(&m->f.vlek, AMD "5")->len = 0;
}

static void no_microcode_spl(struct making *m)
{
	snp_fixture_extension(&m->f.vcek, AMD "3.8")->len = 0;
}

static void spl_of_three_bytes(struct making *m)
{
	struct snp_fixture_extension *e = snp_fixture_extension(&m->f.vcek, AMD "3.8");

	memcpy(e->value, "\x02\x02\x01\x00", 4);
	e->len = 4;
}

static void spl_with_a_zero_to_spare(struct making *m)
{
	struct snp_fixture_extension *e = snp_fixture_extension(&m->f.vcek, AMD "3.1");

	memcpy(e->value, "\x02\x02\x00\x04", 4);
	e->len = 4;
}

static void spl_below_zero(struct making *m)
{
	memcpy(snp_fixture_extension(&m->f.vcek, AMD "3.1")->value, "\x02\x01\x84", 3);
}

static void spl_with_a_tail(struct making *m)
{
	snp_fixture_extension(&m->f.vcek, AMD "3.1")->len++;
}

static void spl_twice(struct making *m)
{
	struct snp_fixture_extension *e = &m->f.vcek.extensions[m->f.vcek.n++];

	*e = *snp_fixture_extension(&m->f.vcek, AMD "3.1");
}

static void unknown_critical_extension(struct making *m)
{
	struct snp_fixture_extension *e = snp_fixture_extension(&m->f.vcek, "1.2.3.4.5");

	memcpy(e->value, "\x05\x00", 2);
	e->len = 2;
	e->critical = true;
}

static void name_of_another_product(struct making *m)
{
	memcpy(snp_fixture_extension(&m->f.vcek, AMD "2")->value + 2, "Turin", 5);
}

static void name_with_a_stepping(struct making *m)
{
	struct snp_fixture_extension *e = snp_fixture_extension(&m->f.vcek, AMD "2");

	memcpy(e->value, "\x16\x08Milan-B0", 10);
	e->len = 10;
}

static void name_that_begins_alike(struct making *m)
{
	struct snp_fixture_extension *e = snp_fixture_extension(&m->f.vcek, AMD "2");

	memcpy(e->value, "\x16\x06Milano", 8);
	e->len = 8;
}

static void vcek_called_vlek(struct making *m)
{
	m->f.vcek.subject = "SEV-VLEK";
}

static void key_called_otherwise(struct making *m)
{
	m->f.vcek.subject = "SEV-VCEK2";
}

static void key_of_another_curve(struct making *m)
{
	EVP_PKEY_free(m->f.vcek.key);
	m->f.vcek.key = EVP_EC_gen("P-256");
	assert_non_null(m->f.vcek.key);
}

static void ask_revoked(struct making *m)
{
	m->crl = snp_fixture_crl(&m->f, m->f.ask);
}

static void asvk_revoked(struct making *m)
{
	m->crl = snp_fixture_crl(&m->f, m->f.asvk);
}

static void nothing_revoked(struct making *m)
{
	m->crl = snp_fixture_crl(&m->f, NULL);
}

static void without_the_ask(struct making *m)
{
	m->no_intermediate = true;
}

static void next_generation(struct making *m)
{
	m->f.report[0x189] = 0x50;
}

static void version_2(struct making *m)
{
	m->f.report[0] = 2;
	memset(m->f.report + 0x188, 0, 3);
}

static void newer_current_tcb(struct making *m)
{
	m->f.report[0x038 + 7]++;
}

static void migratable(struct making *m)
{
	m->f.report[0x00a] |= 1 << 2;
}

static void debuggable(struct making *m)
{
	m->f.report[0x00a] |= 1 << 3;
}

static void old_committed_tcb(struct making *m)
{
	m->f.report[0x1e0 + 7] = 1;
}

static void keep(struct making *m)
{
}

static const struct {
	const char *what, *product;
	void (*change)(struct making *m);
	const char *policy;
	enum evidence_verdict verdict;
	const char *rule, *text;
} cases[] = {
	{ "Milan", "Milan", keep, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "Genoa", "Genoa", keep, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "Turin", "Turin", keep, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "a VLEK of Milan", "Milan", by_vlek, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "a VLEK of Turin", "Turin", by_vlek, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "a VLEK on a chip that is named", "Genoa", by_vlek_with_chip_id, NULL, EVIDENCE_VALID,
	  NULL, NULL },
	{ "version 2, whose product is that of its key", "Milan", version_2, NULL, EVIDENCE_VALID,
	  NULL, NULL },
	{ "firmware that is newer than what it reports as", "Milan", newer_current_tcb, NULL,
	  EVIDENCE_VALID, NULL, NULL },

	{ "a masked chip id", "Milan", masked_chip_id, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "a masked chip id, and the chip listed", "Turin", masked_chip_id,
	  "sev-snp: {chip_id: "
	  "[5a5a5a5a5a5a5a5a0000000000000000000000000000000000000000000000000000000000000000"
	  "000000000000000000000000000000000000000000000000]}",
	  EVIDENCE_VALID, NULL, NULL },
	{ "another chip's id", "Milan", other_chip_id, NULL, EVIDENCE_INVALID, "evidence.chip_id",
	  "5a5a" },
	{ "another chip's id of Turin", "Turin", other_chip_id, NULL, EVIDENCE_INVALID,
	  "evidence.chip_id", "5a5a" },
	{ "a chip id of Turin with more than 8 bytes", "Turin", longer_chip_id, NULL,
	  EVIDENCE_INVALID, "evidence.chip_id", "5a5a" },
	{ "a hardware id in an OCTET STRING", "Milan", wrapped_hwid, NULL, EVIDENCE_VALID, NULL,
	  NULL },
	{ "the same of Turin", "Turin", wrapped_hwid, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "a VCEK without a hardware id", "Milan", no_hwid, NULL, EVIDENCE_INVALID,
	  "evidence.certificate", "hardware id" },
	{ "a hardware id of 9 bytes", "Milan", hwid_of_another_size, NULL, EVIDENCE_INVALID,
	  "evidence.certificate", "hardware id" },
	{ "a VLEK of a chip", "Milan", vlek_of_a_chip, NULL, EVIDENCE_INVALID,
	  "evidence.certificate", "names a chip" },
	{ "a VLEK of nobody", "Milan", vlek_of_nobody, NULL, EVIDENCE_INVALID,
	  "evidence.certificate", "whose key" },

	{ "a component left out", "Milan", no_microcode_spl, NULL, EVIDENCE_INVALID,
	  "evidence.certificate", "every component" },
	{ "a component above 255", "Milan", spl_of_three_bytes, NULL, EVIDENCE_INVALID,
	  "evidence.certificate", "microcode SPL" },
	{ "a component with a zero to spare", "Milan", spl_with_a_zero_to_spare, NULL,
	  EVIDENCE_INVALID, "evidence.certificate", "boot loader SPL" },
	{ "a component below zero", "Milan", spl_below_zero, NULL, EVIDENCE_INVALID,
	  "evidence.certificate", "boot loader SPL" },
	{ "a component with bytes behind it", "Milan", spl_with_a_tail, NULL, EVIDENCE_INVALID,
	  "evidence.certificate", "boot loader SPL" },
	{ "a component twice", "Milan", spl_twice, NULL, EVIDENCE_INVALID, "evidence.certificate",
	  "twice" },
	{ "a critical extension that nobody knows", "Milan", unknown_critical_extension, NULL,
	  EVIDENCE_INVALID, "evidence.chain", "critical" },
	{ "the name of another product", "Milan", name_of_another_product, NULL, EVIDENCE_INVALID,
	  "evidence.certificate", "product name" },
	{ "a product name with a stepping", "Milan", name_with_a_stepping, NULL, EVIDENCE_VALID,
	  NULL, NULL },
	{ "a product name that begins alike", "Milan", name_that_begins_alike, NULL,
	  EVIDENCE_INVALID, "evidence.certificate", "product name" },
	{ "a chip's key called a provider's", "Milan", vcek_called_vlek, NULL, EVIDENCE_INVALID,
	  "evidence.certificate", "name" },
	{ "a key called otherwise", "Milan", key_called_otherwise, NULL, EVIDENCE_INVALID,
	  "evidence.certificate", "none" },
	{ "a key of P-256", "Milan", key_of_another_curve, NULL, EVIDENCE_INVALID,
	  "evidence.certificate", "P-384" },
	{ "a chain without the ASK", "Milan", without_the_ask, NULL, EVIDENCE_INVALID,
	  "evidence.chain", "issuer" },

	{ "a revoked ASK", "Genoa", ask_revoked, NULL, EVIDENCE_INVALID, "evidence.chain",
	  "revoked by its issuer: SEV-Genoa" },
	{ "an ASK on the list that the policy requires", "Genoa", ask_revoked,
	  "sev-snp: {crl: require}", EVIDENCE_INVALID, "evidence.chain", "revoked" },
	{ "a revoked ASVK, where a VCEK signed", "Genoa", asvk_revoked, NULL, EVIDENCE_VALID, NULL,
	  NULL },
	{ "an empty list, required", "Turin", nothing_revoked, "sev-snp: {crl: require}",
	  EVIDENCE_VALID, NULL, NULL },

	{ "a CPU of the next generation", "Turin", next_generation, NULL, EVIDENCE_INVALID,
	  "evidence.product", "model 0x50" },
	{ "a guest that may migrate", "Milan", migratable, NULL, EVIDENCE_POLICY,
	  "platforms.sev-snp.migration", "MIGRATE_MA" },
	{ "the same, accepted", "Milan", migratable, "sev-snp: {migration: allow}", EVIDENCE_VALID,
	  NULL, NULL },
	{ "a guest that may be debugged", "Turin", debuggable, "sev-snp: {}", EVIDENCE_POLICY,
	  "platforms.sev-snp.debug", "DEBUG" },
	{ "the FMC of Turin is a component of its own", "Turin", keep,
	  "sev-snp: {minimum_tcb: {fmc: 8}}", EVIDENCE_POLICY, "platforms.sev-snp.minimum_tcb",
	  "7 in the reported TCB" },
	{ "Turin's other components are where they are", "Turin", keep,
	  "sev-snp: {minimum_tcb: {fmc: 7, bootloader: 1, tee: 2, snp: 3, microcode: 71}}",
	  EVIDENCE_VALID, NULL, NULL },
	{ "firmware that could be taken back", "Milan", old_committed_tcb,
	  "sev-snp: {minimum_tcb: {microcode: 200}}", EVIDENCE_POLICY,
	  "platforms.sev-snp.minimum_tcb", "1 in the committed TCB" },
};

static void judge(struct making *m, const struct policy *policy, struct alone_try *ret)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	const struct evidence_file file = { "report", view_of(m->f.report, sizeof(m->f.report)) };

	assert_int_equal(endorsements_new(&e), 0);
	snp_fixture_endorse(e, m->key->x);
	snp_fixture_endorse(e, m->f.ark);
	snp_fixture_endorse(e, m->no_intermediate ? NULL : m->f.ask);
	snp_fixture_endorse(e, m->f.asvk);
	if (m->crl)
		snp_fixture_endorse_crl(e, m->crl);
	alone_try(&(struct alone_try_in){ .files = &file,
					  .n = 1,
					  .endorsements = e,
					  .at = SNP_FIXTURE_NOW,
					  .policy = policy,
					  .roots = &m->f.root,
					  .n_roots = 1 },
		  ret);
}

static void make(struct making *m, void **state, const char *product)
{
	*m = (struct making){ 0 };
	snp_fixture_init(&m->f, *state, product);
	m->key = &m->f.vcek;
}

static void making_done(struct making *m)
{
	X509_CRL_free(m->crl);
	snp_fixture_done(&m->f);
}

static void one_wrong_thing_is_found(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(policy_freep) struct policy *policy = alone_try_policy(cases[i].policy);
		struct alone_try t;
		struct making m;

		make(&m, state, cases[i].product);
		cases[i].change(&m);
		snp_fixture_certify(&m.f, m.key);
		snp_fixture_sign(&m.f, m.key->key);
		judge(&m, policy, &t);
		alone_try_expect(cases[i].what, &t, cases[i].verdict, cases[i].rule, cases[i].text);
		appraisal_done(&t.a);
		making_done(&m);
	}
}

/* Above, below, and with two swapped: a TCB is no single number, and every byte of it counts. */
static void every_component_of_the_tcb_counts(void **state)
{
	static const char *const products[] = { "Milan", "Genoa", "Turin" };

	for (size_t p = 0; p < ARRAY_LEN(products); p++) {
		struct making m;

		make(&m, state, products[p]);
		snp_fixture_certify(&m.f, m.key);
		for (size_t i = 0; i < 8; i++) {
			for (int by = -1; by <= 1; by += 2) {
				uint8_t was = m.f.report[0x180 + i];
				struct alone_try t;

				m.f.report[0x180 + i] = (uint8_t)(was + by);
				snp_fixture_sign(&m.f, m.key->key);
				judge(&m, NULL, &t);
				alone_try_expect(products[p], &t, EVIDENCE_INVALID, "evidence.tcb",
						 "reported");
				assert_int_equal(t.a.n, 1);
				appraisal_done(&t.a);
				m.f.report[0x180 + i] = was;
			}
		}
		making_done(&m);
	}
}

/* A whole chain of ours is nothing to a verifier that trusts AMD. */
static void only_pinned_roots_count(void **state)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	struct evidence_file file;
	struct alone_try t;
	struct making m;

	make(&m, state, "Milan");
	snp_fixture_certify(&m.f, m.key);
	snp_fixture_sign(&m.f, m.key->key);
	assert_int_equal(endorsements_new(&e), 0);
	snp_fixture_endorse(e, m.f.vcek.x);
	snp_fixture_endorse(e, m.f.ask);
	snp_fixture_endorse(e, m.f.ark);
	file = (struct evidence_file){ "report", view_of(m.f.report, sizeof(m.f.report)) };
	alone_try(
		&(struct alone_try_in){
			.files = &file, .n = 1, .endorsements = e, .at = SNP_FIXTURE_NOW },
		&t);
	alone_try_expect("our own ARK", &t, EVIDENCE_INVALID, "evidence.chain", "ARK-Milan");
	appraisal_done(&t.a);
	making_done(&m);
}

static int set_up(void **state)
{
	static struct snp_fixture_keys keys;

	snp_fixture_make_keys(&keys);
	*state = &keys;
	return 0;
}

static int tear_down(void **state)
{
	snp_fixture_free_keys(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_wrong_thing_is_found),
		cmocka_unit_test(every_component_of_the_tcb_counts),
		cmocka_unit_test(only_pinned_roots_count),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
