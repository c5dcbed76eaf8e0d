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
#include "evidence.h"
#include "quantity.h"
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

static void print_reasons(const struct appraisal *a)
{
	for (size_t i = 0; i < a->n; i++)
		print_message("  %s: expected %s, saw %s\n", a->reasons[i].rule,
			      a->reasons[i].expected, a->reasons[i].seen);
}

static bool has_reason(const struct appraisal *a, const char *rule, const char *seen)
{
	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(a->reasons[i].rule, rule) == 0 &&
		    (strstr(a->reasons[i].seen, seen) || strstr(a->reasons[i].expected, seen)))
			return true;
	}
	return false;
}

static struct policy *policy_of(const char *rules)
{
	char text[2048], *error = NULL;
	struct policy *p = NULL;

	if (!rules)
		return NULL;
	snprintf(text, sizeof(text), "application: a\nplatforms: {%s}\n", rules);
	if (policy_parse(view_text(text), "p", &p, &error) != 0)
		fail_msg("%s", error);
	return p;
}

static void add(struct endorsements *e, const char *folder, const char *name)
{
	struct bytes part = shared_evidence(folder, name);
	const char *why = "";

	if (endorsements_add(e, bytes_view(&part), &why) != 0)
		fail_msg("%s: %s", name, why);
	bytes_done(&part);
}

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
			add(e, sets[i].files[f].folder, sets[i].files[f].name);
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

struct trial {
	struct appraisal a;
	struct evidence_result result;
	enum evidence_verdict verdict;
	char platform[16];
};

static void judge(const struct parts *p, const struct endorsements *e, const char *at,
		  const char *report_data, const struct policy *policy, struct trial *t)
{
	CLEANUP(bytes_cleanup) struct bytes data = BYTES_INIT(64);
	struct evidence_alone in = {
		.files = p->files, .n_files = p->n, .endorsements = e, .policy = policy
	};
	struct evidence_found found;
	struct arena *arena;

	assert_int_equal(quantity_instant(at, &in.now), 0);
	assert_int_equal(hex_decode(report_data, strlen(report_data), &data), 0);
	in.report_data = bytes_view(&data);
	appraisal_init(&t->a);
	assert_int_equal(arena_new(1024 * 1024, &arena), 0);
	assert_int_equal(evidence_appraise(&in, arena, &t->a, &found, &t->result), 0);
	t->verdict = evidence_verdict(&t->a);
	snprintf(t->platform, sizeof(t->platform), "%s", found.ops ? found.ops->platform : "none");
	arena_free(arena);
}

static void genuine_evidence_gets_the_verdict_it_deserves(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(endorsements_freep) struct endorsements *e = chain_of(cases[i].chain);
		CLEANUP(policy_freep) struct policy *policy = policy_of(cases[i].policy);
		struct parts p;
		struct trial t;

		read_parts(cases[i].from, &p);
		judge(&p, e, cases[i].at, cases[i].report_data, policy, &t);
		if (t.verdict != cases[i].verdict ||
		    (cases[i].rule && !has_reason(&t.a, cases[i].rule, cases[i].seen)) ||
		    (!cases[i].rule && t.a.n > 0) ||
		    (t.verdict == EVIDENCE_VALID && !t.result.signature_good)) {
			print_reasons(&t.a);
			fail_msg("%s: %s", cases[i].what, evidence_verdict_name(t.verdict));
		}
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
