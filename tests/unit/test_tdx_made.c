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
#include "tests/support/tdx_fixture.h"

/*
 * What no genuine quote at hand shows: every status, every form, and quotes that are good but
 * for one thing and signed as they are, by an Intel of our own.
 */

CLEANUP_FUNCTION(struct policy *, policy_free)

#define YESTERDAY "2026-12-31T00:00:00Z"

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

static void what_is_signed_is_still_judged(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct making m = { .at = TDX_FIXTURE_NOW };
		struct alone_try t;

		tdx_fixture_init(&m.f);
		cases[i].change(&m);
		judge(&m, NULL, &t);
		alone_try_expect(cases[i].what, &t, cases[i].verdict, cases[i].rule, cases[i].text);
		appraisal_done(&t.a);
		tdx_fixture_done(&m.f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_is_found_and_accepted_only_by_name),
		cmocka_unit_test(what_is_signed_is_still_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
