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
#include "tests/support/shared_evidence.h"
#include "verifier/hcl_report.h"

/*
 * Genuine evidence of vTPMs on Azure, read in place, and the same with one part changed or
 * taken from another machine.
 */

#define MILAN_V2 "vtpm-on-snp/azure-milan-v2"
#define MILAN_V3 "vtpm-on-snp/azure-milan-v3"
#define GENOA_V3 "vtpm-on-snp/azure-genoa-v3"
#define BAD_VCEK "vtpm-on-snp/bad-vcek-of-other-chip"
#define ON_TDX	 "vtpm-on-tdx/azure-tdx-90c06f000000"

#define FILES 7

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct policy *, policy_free)

/* The parts of a case, in this order; NULL: it has none. */
enum part { HCL, ATTEST, SIGNATURE, PCRS, KEY, NONCE, QUOTE };
static const char *const names[] = { "hcl-report.bin",	"quote.attest", "quote.rsassa-sig",
				     "sha256.pcrs.txt", "vcek.der",	"nonce.bin",
				     "td.quote" };

#define ALL(f)                                                                                     \
	{                                                                                          \
		f, f, f, f, f, f, NULL                                                             \
	}

#define TDX_ALL(f)                                                                                 \
	{                                                                                          \
		f, f, f, f, NULL, f, f                                                             \
	}

#define FIXTURE	  "6174746573746174696f6e2d746573742d66697874757265" /* attestation-test-fixture */
#define CHALLENGE "6368616c6c656e6765"

/* With measurement and PCR 0 of azure-milan-v3. */
#define PCR0_V3 "e15c44796beabf46abcec7c57e590942041e47497e4ec27571c8b7664f48dced"

static const struct {
	const char *what, *from[FILES], *chain, *at, *report_data, *policy;
	enum evidence_verdict verdict;
	const char *rule, *seen;
} cases[] = {
	{ "Milan, v2", ALL(MILAN_V2), "milan", "2025-06-01T00:00:00Z", CHALLENGE, NULL,
	  EVIDENCE_VALID, NULL, NULL },
	{ "Milan, v3", ALL(MILAN_V3), "milan", "2025-06-01T00:00:00Z", CHALLENGE, NULL,
	  EVIDENCE_VALID, NULL, NULL },
	{ "Milan, v3, with no data expected", ALL(MILAN_V3), "milan", "2025-06-01T00:00:00Z", "",
	  NULL, EVIDENCE_VALID, NULL, NULL },
	{ "Genoa, v3", ALL(GENOA_V3), "genoa", "2025-06-01T00:00:00Z", "", NULL, EVIDENCE_VALID,
	  NULL, NULL },
	{ "the VCEK of another chip",
	  { BAD_VCEK, NULL, NULL, NULL, BAD_VCEK, NULL },
	  "milan",
	  "2025-06-01T00:00:00Z",
	  "",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.signature",
	  "does not verify" },
	{ "before the VCEK", ALL(MILAN_V3), "milan", "2025-01-01T00:00:00Z", CHALLENGE, NULL,
	  EVIDENCE_INVALID, "evidence.chain", "valid 2025-01-28" },
	{ "another product's chain", ALL(MILAN_V3), "genoa", "2025-06-01T00:00:00Z", CHALLENGE,
	  NULL, EVIDENCE_INVALID, "evidence.chain", "ARK-Milan" },

	/* Parts of other machines. */
	{ "another machine's quote",
	  { MILAN_V3, MILAN_V2, MILAN_V2, MILAN_V2, MILAN_V3, NULL },
	  "milan",
	  "2025-06-01T00:00:00Z",
	  CHALLENGE,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.signature",
	  "does not verify" },
	{ "another machine's VCEK",
	  { MILAN_V3, MILAN_V3, MILAN_V3, MILAN_V3, MILAN_V2, NULL },
	  "milan",
	  "2025-06-01T00:00:00Z",
	  CHALLENGE,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.chip_id",
	  "66a5a7b4" },
	{ "another machine's register values",
	  { MILAN_V3, MILAN_V3, MILAN_V3, MILAN_V2, MILAN_V3, NULL },
	  "milan",
	  "2025-06-01T00:00:00Z",
	  CHALLENGE,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.pcrs",
	  "over the shipped values" },
	{ "another quote's signature",
	  { MILAN_V3, MILAN_V3, MILAN_V2, MILAN_V3, MILAN_V3, NULL },
	  "milan",
	  "2025-06-01T00:00:00Z",
	  CHALLENGE,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.signature",
	  "does not verify" },
	{ "another challenge", ALL(MILAN_V3), "milan", "2025-06-01T00:00:00Z", "6368616c6c", NULL,
	  EVIDENCE_INVALID, "evidence.claims", CHALLENGE },

	/* Parts that are not there. */
	{ "no quote",
	  { MILAN_V3, NULL, NULL, NULL, MILAN_V3, NULL },
	  "milan",
	  "2025-06-01T00:00:00Z",
	  "",
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.quote",
	  "none" },
	{ "no signature",
	  { MILAN_V3, MILAN_V3, NULL, MILAN_V3, MILAN_V3, NULL },
	  "milan",
	  "2025-06-01T00:00:00Z",
	  CHALLENGE,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.signature",
	  "size" },
	{ "no register values",
	  { MILAN_V3, MILAN_V3, MILAN_V3, NULL, MILAN_V3, NULL },
	  "milan",
	  "2025-06-01T00:00:00Z",
	  CHALLENGE,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.pcrs",
	  "no value for PCR" },
	{ "no VCEK",
	  { MILAN_V3, MILAN_V3, MILAN_V3, MILAN_V3, NULL, NULL },
	  "milan",
	  "2025-06-01T00:00:00Z",
	  CHALLENGE,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.certificate",
	  "none" },
	{ "no chip at all",
	  { NULL, MILAN_V3, MILAN_V3, MILAN_V3, MILAN_V3, NULL },
	  "milan",
	  "2025-06-01T00:00:00Z",
	  CHALLENGE,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.format",
	  "" },

	/* On TDX, where the chip's report is a quote beside the paravisor's. */
	{ "TDX", TDX_ALL(ON_TDX), "tdx", "2026-02-25T00:00:00Z", FIXTURE, NULL, EVIDENCE_VALID,
	  NULL, NULL },
	{ "TDX, before the PCK certificate", TDX_ALL(ON_TDX), "tdx", "2025-06-25T00:00:00Z",
	  FIXTURE, NULL, EVIDENCE_INVALID, "evidence.pck_chain", "valid" },
	{ "TDX without its quote",
	  { ON_TDX, ON_TDX, ON_TDX, ON_TDX, NULL, NULL, NULL },
	  "tdx",
	  "2026-02-25T00:00:00Z",
	  FIXTURE,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.hardware",
	  "none" },
	{ "TDX with another challenge", TDX_ALL(ON_TDX), "tdx", "2026-02-25T00:00:00Z", CHALLENGE,
	  NULL, EVIDENCE_INVALID, "evidence.claims", CHALLENGE },
	{ "TDX with an SNP machine's vTPM quote",
	  { ON_TDX, MILAN_V3, MILAN_V3, MILAN_V3, NULL, NULL, ON_TDX },
	  "tdx",
	  "2026-02-25T00:00:00Z",
	  CHALLENGE,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.signature",
	  "does not verify" },
	{ "an SNP machine's paravisor with a TDX quote",
	  { MILAN_V3, ON_TDX, ON_TDX, ON_TDX, NULL, NULL, ON_TDX },
	  "tdx",
	  "2026-02-25T00:00:00Z",
	  FIXTURE,
	  NULL,
	  EVIDENCE_INVALID,
	  "evidence.certificate",
	  "none" },
	{ "TDX where the policy names SNP alone", TDX_ALL(ON_TDX), "tdx", "2026-02-25T00:00:00Z",
	  FIXTURE, "sev-snp: {}, vtpm: {}", EVIDENCE_POLICY, "platforms", "tdx" },

	/* Policies. */
	{ "registers as listed", ALL(MILAN_V3), "milan", "2025-06-01T00:00:00Z", CHALLENGE,
	  "sev-snp: {}, vtpm: {pcrs: {0: [" PCR0_V3 "]}}", EVIDENCE_VALID, NULL, NULL },
	{ "a register that is not as listed", ALL(MILAN_V3), "milan", "2025-06-01T00:00:00Z",
	  CHALLENGE, "sev-snp: {}, vtpm: {pcrs: {1: [" PCR0_V3 "]}}", EVIDENCE_POLICY,
	  "platforms.vtpm.pcrs.1", "7d81f145" },
	{ "a bank that is not in the quote", ALL(MILAN_V3), "milan", "2025-06-01T00:00:00Z",
	  CHALLENGE,
	  "sev-snp: {}, vtpm: {bank: sha1, pcrs: {0: [0000000000000000000000000000000000000000]}}",
	  EVIDENCE_INVALID, "evidence.pcrs", "sha1" },
	{ "a log that must be there", ALL(MILAN_V3), "milan", "2025-06-01T00:00:00Z", CHALLENGE,
	  "sev-snp: {}, vtpm: {event_log: require}", EVIDENCE_INVALID, "evidence.event_log",
	  "none" },
	{ "a policy without vTPMs", ALL(MILAN_V3), "milan", "2025-06-01T00:00:00Z", CHALLENGE,
	  "sev-snp: {}, tpm: {}", EVIDENCE_POLICY, "platforms", "vtpm" },
	{ "a policy without the chip", ALL(MILAN_V3), "milan", "2025-06-01T00:00:00Z", CHALLENGE,
	  "vtpm: {}, tpm: {}", EVIDENCE_POLICY, "platforms", "sev-snp" },
	{ "rules on the chip's report", ALL(MILAN_V3), "milan", "2025-06-01T00:00:00Z", CHALLENGE,
	  "vtpm: {}, sev-snp: {minimum_tcb: {microcode: 255}}", EVIDENCE_POLICY,
	  "platforms.sev-snp.minimum_tcb", "in the reported TCB" },
};

#define COLLATERAL "tdx/collateral/2026-02_90c06f000000"

static const struct {
	const char *chain;
	struct {
		const char *folder, *name;
	} files[8];
} sets[] = {
	{ "milan", { { "sev-snp", "certs/milan-ask-ark-asvk.pem" } } },
	{ "genoa", { { "sev-snp", "certs/genoa-ask-ark-asvk.pem" } } },
	{ "tdx",
	  {
		  { "tdx/certs", "intel-sgx-root-ca.pem" },
		  { COLLATERAL, "pck_platform_crl.der" },
		  { COLLATERAL, "qe_identity.json" },
		  { COLLATERAL, "root_crl.der" },
		  { COLLATERAL, "tcbinfo.json" },
		  { "tdx/certs", "tcb-signing-chain-2025.pem" },
		  { "tdx/certs", "pck-platform-ca-chain.pem" },
	  } },
};

static struct endorsements *chain_of(const char *chain)
{
	struct endorsements *e;

	assert_int_equal(endorsements_new(&e), 0);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		if (strcmp(sets[i].chain, chain) != 0)
			continue;
		for (size_t f = 0; f < ARRAY_LEN(sets[i].files) && sets[i].files[f].name; f++)
			alone_try_endorse(e, sets[i].files[f].folder, sets[i].files[f].name);
	}
	assert_true(endorsements_count(e) > 0);
	return e;
}

struct parts {
	struct bytes content[FILES];
	struct evidence_file files[FILES];
	size_t n;
};

static void read_parts(const char *const from[FILES], struct parts *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < FILES; i++) {
		if (!from[i])
			continue;
		ret->content[ret->n] = shared_evidence(from[i], names[i]);
		ret->files[ret->n].name = names[i];
		ret->files[ret->n].bytes = bytes_view(&ret->content[ret->n]);
		ret->n++;
	}
}

static void parts_done(struct parts *p)
{
	for (size_t i = 0; i < p->n; i++)
		bytes_done(&p->content[i]);
}

static void genuine_evidence_gets_the_verdict_it_deserves(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(endorsements_freep) struct endorsements *e = chain_of(cases[i].chain);
		CLEANUP(policy_freep)
		struct policy *policy = alone_try_policy(cases[i].policy);
		struct alone_try t;
		struct parts p;

		read_parts(cases[i].from, &p);
		alone_try(&(struct alone_try_in){ .files = p.files,
						  .n = p.n,
						  .endorsements = e,
						  .at = cases[i].at,
						  .report_data = cases[i].report_data,
						  .policy = policy },
			  &t);
		alone_try_expect(cases[i].what, &t, cases[i].verdict, cases[i].rule, cases[i].seen);
		appraisal_done(&t.a);
		parts_done(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_evidence_gets_the_verdict_it_deserves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
