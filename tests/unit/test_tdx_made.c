/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "quantity.h"
#include "tests/support/alone_try.h"
#include "tests/support/tdx_fixture.h"

/*
 * What no genuine quote at hand shows: every status, every form, and quotes that are good but
 * for one thing and signed as they are, by an Intel of our own.
 */

CLEANUP_FUNCTION(struct policy *, policy_free)

#define YESTERDAY "2026-12-31T00:00:00Z"
#define TOMORROW  "2027-01-02T00:00:00Z"

/* What is handed in, and what a case may change of it. */
struct making {
	struct tdx_fixture f;
	unsigned int without; /* bit p: enum tdx_fixture_part p is not handed in */
	const char *at;
	bool other_roots; /* the verifier trusts another root */
};

static void keep(struct making *m)
{
}

static void judge(struct making *m, const struct policy *policy, struct alone_try *ret)
{
	const struct x509_pin another = { .name = "another root" };
	struct endorsements *e = NULL;
	struct evidence_file file;
	struct bytes quote, part;
	const char *why = "";

	assert_int_equal(endorsements_new(&e), 0);
	for (unsigned int i = 0; i < TDX_FIXTURE_PARTS; i++) {
		if (m->without >> i & 1)
			continue;
		tdx_fixture_part(&m->f, (enum tdx_fixture_part)i, &part);
		if (endorsements_add(e, bytes_view(&part), &why) != 0)
			fail_msg("%s", why);
		bytes_done(&part);
	}
	tdx_fixture_quote(&m->f, &quote);
	file = (struct evidence_file){ "quote", bytes_view(&quote) };
	alone_try(&(struct alone_try_in){ .files = &file,
					  .n = 1,
					  .endorsements = e,
					  .at = m->at,
					  .policy = policy,
					  .roots = m->other_roots ? &another : &m->f.pin,
					  .n_roots = 1 },
		  ret);
	bytes_done(&quote);
	endorsements_free(e);
}

/* Of every name that Intel has for a status: what it is worth by default, and where accepted. */
static const struct {
	const char *status;
	enum evidence_verdict by_default, accepted;
} statuses[] = {
	{ "UpToDate", EVIDENCE_VALID, EVIDENCE_VALID },
	{ "SWHardeningNeeded", EVIDENCE_POLICY, EVIDENCE_VALID },
	{ "ConfigurationNeeded", EVIDENCE_POLICY, EVIDENCE_VALID },
	{ "ConfigurationAndSWHardeningNeeded", EVIDENCE_POLICY, EVIDENCE_VALID },
	{ "OutOfDate", EVIDENCE_POLICY, EVIDENCE_VALID },
	{ "OutOfDateConfigurationNeeded", EVIDENCE_POLICY, EVIDENCE_VALID },
	{ "TDRelaunchAdvised", EVIDENCE_POLICY, EVIDENCE_VALID },
	{ "TDRelaunchAdvisedConfigurationNeeded", EVIDENCE_POLICY, EVIDENCE_VALID },
	{ "Revoked", EVIDENCE_INVALID, EVIDENCE_INVALID },
	{ "TCB not supported", EVIDENCE_INVALID, EVIDENCE_INVALID },
};

static void try_status(size_t i, bool accept)
{
	CLEANUP(policy_freep) struct policy *policy = NULL;
	enum evidence_verdict wanted = accept ? statuses[i].accepted : statuses[i].by_default;
	struct making m = { .at = TDX_FIXTURE_NOW };
	struct alone_try t;
	char text[128];

	/* A policy cannot name what may never be accepted. */
	snprintf(text, sizeof(text), "tdx: {tcb_status: [%s]}",
		 statuses[i].accepted == EVIDENCE_VALID ? statuses[i].status : "OutOfDate");
	policy = alone_try_policy(accept ? text : NULL);
	tdx_fixture_init(&m.f);
	tdx_fixture_status(&m.f, statuses[i].status);
	judge(&m, policy, &t);
	alone_try_expect(statuses[i].status, &t, wanted,
			 wanted == EVIDENCE_VALID    ? NULL
			 : wanted == EVIDENCE_POLICY ? "platforms.tdx.tcb_status"
						     : "evidence.tcb",
			 statuses[i].status);
	assert_string_equal(t.result.status, statuses[i].status);
	appraisal_done(&t.a);
	tdx_fixture_done(&m.f);
}

static void every_status_is_found_and_accepted_only_by_name(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		try_status(i, false);
		try_status(i, true);
	}
}

static void version_5_td_10(struct making *m)
{
	tdx_fixture_form(&m->f, 5, 2);
}

static void td_15(struct making *m)
{
	tdx_fixture_form(&m->f, 5, 3);
}

static void td_15_extended(struct making *m)
{
	tdx_fixture_form(&m->f, 5, 4);
}

static void td_15_behind(struct making *m)
{
	td_15(m);
	m->f.body[TDX_FIXTURE_TEE_TCB_SVN_2 + 2]--;
}

static void td_15_extended_behind(struct making *m)
{
	td_15_extended(m);
	m->f.body[TDX_FIXTURE_TEE_TCB_SVN_2 + 2]--;
}

static void body_type_5(struct making *m)
{
	tdx_fixture_form(&m->f, 5, 5);
}

static void revoked_pck(struct making *m)
{
	m->f.ca_revokes = m->f.pck;
}

static void revoked_ca(struct making *m)
{
	m->f.root_revokes = m->f.ca;
}

static void revoked_signer(struct making *m)
{
	m->f.root_revokes = m->f.signer;
}

static void no_tcb_info(struct making *m)
{
	m->without = 1 << TDX_FIXTURE_TCB_INFO;
}

static void no_qe_identity(struct making *m)
{
	m->without = 1 << TDX_FIXTURE_QE_IDENTITY;
}

static void no_pck_crl(struct making *m)
{
	m->without = 1 << TDX_FIXTURE_PCK_CRL;
}

static void no_root_crl(struct making *m)
{
	m->without = 1 << TDX_FIXTURE_ROOT_CRL;
}

static void no_signer(struct making *m)
{
	m->without = 1 << TDX_FIXTURE_SIGNERS;
}

static void old_crls(struct making *m)
{
	strcpy(m->f.crl_until, YESTERDAY);
}

static void old_pck(struct making *m)
{
	strcpy(m->f.pck_until, YESTERDAY);
	tdx_fixture_certify(&m->f);
}

static void expire(json_t *document)
{
	assert_int_equal(json_object_set_new(document, "nextUpdate", json_string(YESTERDAY)), 0);
}

static void old_tcb_info(struct making *m)
{
	expire(m->f.tcb_info);
}

static void old_qe_identity(struct making *m)
{
	expire(m->f.qe_identity);
}

static void tcb_info_of_another_platform(struct making *m)
{
	m->f.fmspc[3] ^= 1;
	tdx_fixture_certify(&m->f);
}

static void lower_pcesvn(struct making *m)
{
	m->f.pcesvn--;
	tdx_fixture_certify(&m->f);
}

static void another_signer(struct making *m)
{
	EVP_PKEY_free(m->f.signer_key);
	m->f.signer_key = EVP_EC_gen("P-256");
	assert_non_null(m->f.signer_key);
}

static void another_pck_key(struct making *m)
{
	EVP_PKEY_free(m->f.pck_key);
	m->f.pck_key = EVP_EC_gen("P-256");
	assert_non_null(m->f.pck_key);
}

static void another_enclave(struct making *m)
{
	m->f.qe_report[128] ^= 1;
}

static void an_old_enclave(struct making *m)
{
	m->f.qe_report[258] = 3;
}

static void another_module(struct making *m)
{
	m->f.body[64] = 1;
}

static void an_unknown_module(struct making *m)
{
	m->f.body[TDX_FIXTURE_TEE_TCB_SVN + 1] = 9;
}

static void under_debug(struct making *m)
{
	m->f.body[TDX_FIXTURE_ATTRIBUTES] = 1;
}

static void other_root(struct making *m)
{
	m->other_roots = true;
}

static const struct {
	const char *what;
	void (*change)(struct making *m);
	enum evidence_verdict verdict;
	const char *rule, *text;
} cases[] = {
	{ "version 4", keep, EVIDENCE_VALID, NULL, NULL },
	{ "version 5 of a TD 1.0", version_5_td_10, EVIDENCE_VALID, NULL, NULL },
	{ "version 5 of a TD 1.5", td_15, EVIDENCE_VALID, NULL, NULL },
	{ "version 5 of an extended TD 1.5", td_15_extended, EVIDENCE_VALID, NULL, NULL },
	{ "a TD 1.5 whose second SVN has no level", td_15_behind, EVIDENCE_INVALID, "evidence.tcb",
	  "TCB not supported" },
	{ "an extended one whose second SVN has no level", td_15_extended_behind, EVIDENCE_INVALID,
	  "evidence.tcb", "TCB not supported" },
	{ "a body of a type that nobody knows", body_type_5, EVIDENCE_INVALID, "evidence.format",
	  "type" },
	{ "a PCK certificate that is revoked", revoked_pck, EVIDENCE_INVALID, "evidence.pck_chain",
	  "revoked" },
	{ "a CA that is revoked", revoked_ca, EVIDENCE_INVALID, "evidence.pck_chain", "revoked" },
	{ "a signer that is revoked", revoked_signer, EVIDENCE_INVALID, "evidence.tcb_info",
	  "revoked" },
	{ "no TCB info", no_tcb_info, EVIDENCE_INVALID, "evidence.tcb_info", "none" },
	{ "no QE identity", no_qe_identity, EVIDENCE_INVALID, "evidence.qe_identity", "none" },
	{ "no list of the PCK CA", no_pck_crl, EVIDENCE_INVALID, "evidence.pck_chain",
	  "Intel SGX PCK Platform CA" },
	{ "no list of the root", no_root_crl, EVIDENCE_INVALID, "evidence.pck_chain",
	  "Intel SGX Root CA" },
	{ "no certificate of the signer", no_signer, EVIDENCE_INVALID, "evidence.tcb_info",
	  "Intel SGX TCB Signing" },
	{ "lists of yesterday", old_crls, EVIDENCE_INVALID, "evidence.pck_chain", "2026-12-31" },
	{ "a PCK certificate of yesterday", old_pck, EVIDENCE_INVALID, "evidence.pck_chain",
	  "2026-12-31" },
	{ "a TCB info of yesterday", old_tcb_info, EVIDENCE_INVALID, "evidence.tcb_info",
	  "2026-12-31" },
	{ "a QE identity of yesterday", old_qe_identity, EVIDENCE_INVALID, "evidence.qe_identity",
	  "2026-12-31" },
	{ "a TCB info of another platform", tcb_info_of_another_platform, EVIDENCE_INVALID,
	  "evidence.tcb_info", "another platform" },
	{ "a PCESVN below every level", lower_pcesvn, EVIDENCE_INVALID, "evidence.tcb",
	  "TCB not supported" },
	{ "collateral that another key signed", another_signer, EVIDENCE_INVALID,
	  "evidence.tcb_info", "signature" },
	{ "a QE report that another key signed", another_pck_key, EVIDENCE_INVALID,
	  "evidence.qe_report", "does not verify" },
	{ "another's quoting enclave", another_enclave, EVIDENCE_INVALID, "evidence.qe_identity",
	  "MRSIGNER" },
	{ "a quoting enclave below every level", an_old_enclave, EVIDENCE_INVALID, "evidence.tcb",
	  "quoting enclave" },
	{ "another's TDX module", another_module, EVIDENCE_INVALID, "evidence.tdx_module",
	  "MRSIGNERSEAM" },
	{ "a TDX module of another major version", an_unknown_module, EVIDENCE_INVALID,
	  "evidence.tdx_module", "version 9" },
	{ "a TD under debug", under_debug, EVIDENCE_POLICY, "platforms.tdx.debug", "debug" },
	{ "a root that the verifier does not have", other_root, EVIDENCE_INVALID,
	  "evidence.pck_chain", "another root" },
};

/* Rules without which nobody knows who made the quote. */
static bool of_the_signature(const char *rule)
{
	return rule && (strcmp(rule, "evidence.pck_chain") == 0 ||
			strcmp(rule, "evidence.qe_report") == 0 ||
			strcmp(rule, "evidence.format") == 0);
}

static void what_is_signed_is_still_judged(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct making m = { .at = TDX_FIXTURE_NOW };
		struct alone_try t;

		tdx_fixture_init(&m.f);
		cases[i].change(&m);
		judge(&m, NULL, &t);
		alone_try_expect(cases[i].what, &t, cases[i].verdict, cases[i].rule, cases[i].text);
		if (t.result.signature_good && of_the_signature(cases[i].rule))
			fail_msg("%s: the signature is said to be good", cases[i].what);
		appraisal_done(&t.a);
		tdx_fixture_done(&m.f);
	}
}

/* One quote with its endorsements, judged with a cache of its own at times of one's choice. */
struct warm {
	struct tdx_fixture f;
	struct appraisal_cache *cache;
	struct bytes quote, parts[TDX_FIXTURE_PARTS];
	struct bytes more; /* handed in as well */
	int64_t now;
};

static void warm_make(struct warm *w)
{
	bytes_done(&w->quote);
	tdx_fixture_quote(&w->f, &w->quote);
	for (unsigned int i = 0; i < TDX_FIXTURE_PARTS; i++) {
		bytes_done(&w->parts[i]);
		tdx_fixture_part(&w->f, (enum tdx_fixture_part)i, &w->parts[i]);
	}
}

/* With an empty cache. */
static void warm_anew(struct warm *w)
{
	appraisal_cache_free(w->cache);
	assert_int_equal(appraisal_cache_new(64, 1024 * 1024, &w->cache), 0);
}

static void warm_init(struct warm *w)
{
	*w = (struct warm){ 0 };
	tdx_fixture_init(&w->f);
	warm_anew(w);
	assert_int_equal(quantity_instant(TDX_FIXTURE_NOW, &w->now), 0);
	warm_make(w);
}

static void warm_done(struct warm *w)
{
	appraisal_cache_free(w->cache);
	bytes_done(&w->quote);
	bytes_done(&w->more);
	for (unsigned int i = 0; i < TDX_FIXTURE_PARTS; i++)
		bytes_done(&w->parts[i]);
	tdx_fixture_done(&w->f);
}

/* Endorsements that cannot be recognised are not there. */
static enum evidence_verdict warm_judge(struct warm *w)
{
	struct evidence_file file = { "quote", bytes_view(&w->quote) };
	struct evidence_alone in = { .files = &file,
				     .n_files = 1,
				     .now = w->now,
				     .roots = &w->f.pin,
				     .n_roots = 1,
				     .cache = w->cache };
	struct evidence_result result;
	struct evidence_found found;
	struct endorsements *e = NULL;
	enum evidence_verdict verdict;
	struct arena *arena = NULL;
	struct appraisal a;
	const char *why;

	assert_int_equal(endorsements_new(&e), 0);
	for (unsigned int i = 0; i < TDX_FIXTURE_PARTS; i++)
		assert_int_not_equal(endorsements_add(e, bytes_view(&w->parts[i]), &why), -ENOMEM);
	if (w->more.len > 0)
		assert_int_equal(endorsements_add(e, bytes_view(&w->more), &why), 0);
	in.endorsements = e;
	appraisal_init(&a);
	assert_int_equal(arena_new(1024 * 1024, &arena), 0);
	assert_int_equal(evidence_appraise(&in, arena, &a, &found, &result), 0);
	verdict = evidence_verdict(&a);
	appraisal_done(&a);
	arena_free(arena);
	endorsements_free(e);
	return verdict;
}

/* So many entries were found since the count was last taken. */
static void expect_hits(struct warm *w, uint64_t *hits, uint64_t expected)
{
	uint64_t now = appraisal_cache_counts(w->cache).hits;

	assert_int_equal(now - *hits, expected);
	*hits = now;
}

#define KINDS 3 /* PCK, collateral, attestation key */

static void what_was_found_out_is_not_found_out_again(void **state)
{
	uint64_t hits = 0;
	struct warm w;

	warm_init(&w);
	assert_int_equal(warm_judge(&w), EVIDENCE_VALID);
	expect_hits(&w, &hits, 0);
	assert_int_equal(appraisal_cache_counts(w.cache).entries, KINDS);
	assert_int_equal(warm_judge(&w), EVIDENCE_VALID);
	expect_hits(&w, &hits, KINDS);
	/* The TD makes another quote. */
	tdx_fixture_report_data(&w.f, view_text("other data"));
	bytes_done(&w.quote);
	tdx_fixture_quote(&w.f, &w.quote);
	assert_int_equal(warm_judge(&w), EVIDENCE_VALID);
	/* ECDSA signs with a random number: the QE's report has another signature. */
	expect_hits(&w, &hits, KINDS - 1);
	warm_done(&w);
}

static void a_refusal_leaves_nothing_behind(void **state)
{
	struct warm w;

	warm_init(&w);
	w.quote.data[100] ^= 1;
	assert_int_equal(warm_judge(&w), EVIDENCE_INVALID);
	assert_int_equal(appraisal_cache_counts(w.cache).entries, 0);
	warm_done(&w);
}

static void a_revocation_counts_at_once(void **state)
{
	X509 *revoked;

	for (int which = 0; which < 3; which++) {
		struct warm w;

		warm_init(&w);
		assert_int_equal(warm_judge(&w), EVIDENCE_VALID);
		revoked = which == 0 ? w.f.pck : which == 1 ? w.f.ca : w.f.signer;
		*(which == 0 ? &w.f.ca_revokes : &w.f.root_revokes) = revoked;
		warm_make(&w);
		assert_int_equal(warm_judge(&w), EVIDENCE_INVALID);
		warm_done(&w);
	}
}

static const char *const parts_named[] = { "TCB info", "QE identity", "signers", "PCK CRL",
					   "root CRL" };

/* What has a bit changed is not what is known, and is not believed. */
static void a_flipped_bit_in_what_is_cached_is_another_thing(void **state)
{
	struct warm w;

	warm_init(&w);
	for (unsigned int p = 0; p < TDX_FIXTURE_PARTS; p++) {
		struct bytes *b = &w.parts[p];

		for (size_t bit = 0; bit < 8 * b->len; bit += 509) {
			uint64_t hits = 0;

			/* The hex digits of a signature are the same in either case. */
			if (bit % 8 == 5 && isalpha(b->data[bit / 8]) && b->data[0] == '{')
				continue;
			warm_anew(&w);
			assert_int_equal(warm_judge(&w), EVIDENCE_VALID);
			b->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			/* The second root in the signers' file is not needed: the quote has it. */
			if (warm_judge(&w) == EVIDENCE_VALID && p != TDX_FIXTURE_SIGNERS)
				fail_msg("%s, bit %zu", parts_named[p], bit);
			b->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			expect_hits(&w, &hits, 0);
		}
	}
	warm_done(&w);
}

static void a_flipped_bit_in_a_quote_is_refused_by_a_warm_cache(void **state)
{
	size_t sampled = getenv("ASSAY_EXHAUSTIVE") ? 1 : 97;
	struct warm w;

	warm_init(&w);
	assert_int_equal(warm_judge(&w), EVIDENCE_VALID);
	/* Bytes 8 to 11 of the header are signed too: all of it is. */
	for (size_t bit = 0; bit < 8 * w.quote.len; bit += sampled) {
		w.quote.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (warm_judge(&w) == EVIDENCE_VALID)
			fail_msg("bit %zu of byte %zu", bit % 8, bit / 8);
		w.quote.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	warm_done(&w);
}

static void set_until(json_t *document, const char *until)
{
	assert_int_equal(json_object_set_new(document, "nextUpdate", json_string(until)), 0);
}

static void pck_ends(struct warm *w, const char *at)
{
	strcpy(w->f.pck_until, at);
	tdx_fixture_certify(&w->f);
}

static void crls_end(struct warm *w, const char *at)
{
	strcpy(w->f.crl_until, at);
}

static void tcb_info_ends(struct warm *w, const char *at)
{
	set_until(w->f.tcb_info, at);
}

static void qe_identity_ends(struct warm *w, const char *at)
{
	set_until(w->f.qe_identity, at);
}

static const struct {
	const char *what;
	void (*change)(struct warm *w, const char *at);
} endings[] = {
	{ "the PCK certificate", pck_ends },
	{ "the revocation lists", crls_end },
	{ "the TCB info", tcb_info_ends },
	{ "the QE identity", qe_identity_ends },
};

/* A quote that was good is refused when anything it rests on has run out, or is yet to begin. */
static void nothing_is_used_past_its_end(void **state)
{
	int64_t begin, end;

	assert_int_equal(quantity_instant(TDX_FIXTURE_NOT_BEFORE, &begin), 0);
	assert_int_equal(quantity_instant(TOMORROW, &end), 0);
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		uint64_t hits = 0;
		struct warm w;

		warm_init(&w);
		endings[i].change(&w, TOMORROW);
		warm_make(&w);
		assert_int_equal(warm_judge(&w), EVIDENCE_VALID);
		w.now = end - 1;
		assert_int_equal(warm_judge(&w), EVIDENCE_VALID);
		expect_hits(&w, &hits, KINDS);
		w.now = end + 1;
		if (warm_judge(&w) != EVIDENCE_INVALID)
			fail_msg("%s, past its end", endings[i].what);
		w.now = begin - 1;
		if (warm_judge(&w) != EVIDENCE_INVALID)
			fail_msg("%s, before it begins", endings[i].what);
		warm_done(&w);
	}
}

static void newer_tcb_info(struct warm *w)
{
	tdx_fixture_status(&w->f, "OutOfDate");
	assert_int_equal(json_object_set_new(w->f.tcb_info, "issueDate", json_string(TOMORROW)), 0);
	tdx_fixture_part(&w->f, TDX_FIXTURE_TCB_INFO, &w->more);
}

static void newer_crl(struct warm *w)
{
	w->f.ca_revokes = w->f.pck;
	strcpy(w->f.crl_from, TOMORROW);
	tdx_fixture_part(&w->f, TDX_FIXTURE_PCK_CRL, &w->more);
}

/* What is in force from tomorrow on counts tomorrow, though what is older is known and good. */
static void what_begins_later_counts_when_it_begins(void **state)
{
	static const struct {
		void (*add)(struct warm *w);
		enum evidence_verdict tomorrow;
	} later[] = {
		{ newer_tcb_info, EVIDENCE_POLICY },
		{ newer_crl, EVIDENCE_INVALID },
	};
	int64_t begin;

	assert_int_equal(quantity_instant(TOMORROW, &begin), 0);
	for (size_t i = 0; i < ARRAY_LEN(later); i++) {
		uint64_t hits = 0;
		struct warm w;

		warm_init(&w);
		later[i].add(&w);
		assert_int_equal(warm_judge(&w), EVIDENCE_VALID);
		w.now = begin - 1;
		assert_int_equal(warm_judge(&w), EVIDENCE_VALID);
		expect_hits(&w, &hits, KINDS);
		w.now = begin;
		assert_int_equal(warm_judge(&w), later[i].tomorrow);
		warm_done(&w);
	}
}

static const struct {
	const char *what, *policy, *at;
	unsigned int without;
	enum evidence_verdict verdict;
	const char *rule, *text;
} graces[] = {
	{ "collateral a day past its end, by default", NULL, "2027-01-03T00:00:00Z", 0,
	  EVIDENCE_INVALID, "evidence.pck_chain", "expired" },
	{ "denied in words", "tdx: {collateral: {expired: deny}}", "2027-01-03T00:00:00Z", 0,
	  EVIDENCE_INVALID, "evidence.pck_chain", "expired" },
	{ "allowed, and within the time of grace", "tdx: {collateral: {expired: allow, grace: 7d}}",
	  "2027-01-03T00:00:00Z", 0, EVIDENCE_VALID, NULL, NULL },
	{ "its last second", "tdx: {collateral: {expired: allow, grace: 7d}}",
	  "2027-01-09T00:00:00Z", 0, EVIDENCE_VALID, NULL, NULL },
	{ "the second after", "tdx: {collateral: {expired: allow, grace: 7d}}",
	  "2027-01-09T00:00:01Z", 0, EVIDENCE_INVALID, "evidence.tcb_info", "expired" },
	{ "not in force yet: nothing to be lenient about",
	  "tdx: {collateral: {expired: allow, grace: 90d}}", "2025-12-31T23:59:59Z", 0,
	  EVIDENCE_INVALID, "evidence.pck_chain", "not yet valid" },
	{ "no list of the PCK CA", "tdx: {collateral: {expired: allow, grace: 7d}}",
	  "2027-01-03T00:00:00Z", 1 << TDX_FIXTURE_PCK_CRL, EVIDENCE_INVALID, "evidence.pck_chain",
	  "none" },
	{ "no list of the root", "tdx: {collateral: {expired: allow, grace: 7d}}",
	  "2027-01-03T00:00:00Z", 1 << TDX_FIXTURE_ROOT_CRL, EVIDENCE_INVALID, "evidence.pck_chain",
	  "none" },
};

/* Accepted, each thing that ran out with a warning. */
static void expect_warnings(const char *what, const struct alone_try *t)
{
	assert_int_equal(t->verdict, EVIDENCE_VALID);
	/* Two lists for the chain, one for each document's signer, and the documents. */
	if (t->a.n != 6)
		fail_msg("%s: %zu warnings", what, t->a.n);
	for (size_t i = 0; i < t->a.n; i++) {
		assert_true(t->a.reasons[i].warning);
		assert_string_equal(t->a.reasons[i].rule, "platforms.tdx.collateral.expired");
	}
}

static void expired_collateral_is_for_the_policy_to_allow(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(graces); i++) {
		CLEANUP(policy_freep) struct policy *policy = alone_try_policy(graces[i].policy);
		struct making m = { .at = graces[i].at, .without = graces[i].without };
		struct alone_try t;

		tdx_fixture_init(&m.f);
		strcpy(m.f.crl_until, TOMORROW);
		set_until(m.f.tcb_info, TOMORROW);
		set_until(m.f.qe_identity, TOMORROW);
		judge(&m, policy, &t);
		if (graces[i].rule)
			alone_try_expect(graces[i].what, &t, graces[i].verdict, graces[i].rule,
					 graces[i].text);
		else
			expect_warnings(graces[i].what, &t);
		appraisal_done(&t.a);
		tdx_fixture_done(&m.f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_is_found_and_accepted_only_by_name),
		cmocka_unit_test(what_is_signed_is_still_judged),
		cmocka_unit_test(what_was_found_out_is_not_found_out_again),
		cmocka_unit_test(a_refusal_leaves_nothing_behind),
		cmocka_unit_test(a_revocation_counts_at_once),
		cmocka_unit_test(a_flipped_bit_in_what_is_cached_is_another_thing),
		cmocka_unit_test(a_flipped_bit_in_a_quote_is_refused_by_a_warm_cache),
		cmocka_unit_test(nothing_is_used_past_its_end),
		cmocka_unit_test(what_begins_later_counts_when_it_begins),
		cmocka_unit_test(expired_collateral_is_for_the_policy_to_allow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
