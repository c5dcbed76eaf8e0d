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
	  FIXTURE, "sev-snp: {}, vtpm: {}", EVIDENCE_INVALID, "platforms", "tdx" },

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

/* Every part with a bit flipped: what the chip signed, what it vouches for, the quote, the values.
 */
static void a_flipped_bit_is_refused(void **state)
{
	static const char *const from[FILES] = ALL(MILAN_V3);
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	const size_t step = getenv("ASSAY_EVERY_BIT") ? 1 : 29;
	struct hcl_report hcl;
	struct alone_try t;
	const char *why;
	struct parts p;

	(void)state;
	shared_evidence_needed();
	e = chain_of("milan");
	read_parts(from, &p);
	assert_int_equal(hcl_report_parse(p.files[HCL].bytes, &hcl, &why), 0);
	for (size_t part = HCL; part <= KEY; part++) {
		struct bytes *content = &p.content[part];

		for (size_t bit = 0; bit < 8 * content->len; bit += step) {
			/* A hex digit in upper case is the same digit; line ends may be missing. */
			if (part == PCRS && bit % 8 == 5)
				continue;
			content->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			alone_try(&(struct alone_try_in){ .files = p.files,
							  .n = p.n,
							  .endorsements = e,
							  .at = "2025-06-01T00:00:00Z",
							  .report_data = CHALLENGE },
				  &t);
			if (t.verdict != EVIDENCE_INVALID)
				fail_msg("%s: bit %zu of byte 0x%zx", p.files[part].name, bit % 8,
					 bit / 8);
			appraisal_done(&t.a);
			content->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
	parts_done(&p);
}

static void a_paravisor_s_report_cut_anywhere_is_refused(void **state)
{
	struct bytes raw;
	struct hcl_report hcl;
	const char *why = "";
	size_t end;

	(void)state;
	shared_evidence_needed();
	raw = shared_evidence(MILAN_V3, "hcl-report.bin");
	assert_int_equal(hcl_report_parse(bytes_view(&raw), &hcl, &why), 0);
	end = (size_t)(hcl.variable.data + hcl.variable.len - raw.data);
	for (size_t len = 0; len < raw.len; len++) {
		uint8_t *copy = malloc(len ? len : 1);

		assert_non_null(copy);
		memcpy(copy, raw.data, len);
		/* Behind the variable data there is only padding. */
		if ((hcl_report_parse(view_of(copy, len), &hcl, &why) == 0) != (len >= end))
			fail_msg("cut to %zu", len);
		free(copy);
	}
	bytes_done(&raw);
}

/* The JSON of a report made here: only its reading is looked at, nobody signed it. */
#define N256                                                                                       \
	"mHSRbgAAhfrYaq4f0zFsxuZkkrvoJIbmndQGo6pP1X-oXc8SHHrT014FpJXAARcoNL9N5NSpbSfIZ0YFLH4qH-"   \
	"9jfSjeMS2ZCfGPyBnL8Jr-bAH7ExG0kzz_"                                                       \
	"cXHR31pjRdr5Qt511JYAvwhroyeL1F84q5cM6cVR4sRjyrPi2pU1pWoM"                                 \
	"-5GIL1SPcxU5H4RPq1KZhXJ67dtquJUZtQhWZT6DcZrGtee-"                                         \
	"c9TAYamBW0ufyqFs38HduibveXPmEa063WtXu56tXY8EpuO3PN_6Z_tf6bNj1KqwQ316TD_lbVX_vcXmpWg35_"   \
	"DfsVaUcrMi8bungbhXir2nQZaRcgbfIQ"
#define AK  "{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" N256 "\"}"
#define EK  "{\"kid\":\"HCLEkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" N256 "\"}"
#define HEX "00000000000000000000000000000000"

static const struct {
	const char *what, *json, *why; /* NULL: it is read */
} texts[] = {
	{ "one attestation key", "{\"keys\":[" AK "]}", NULL },
	{ "and an endorsement key before it", "{\"keys\":[" EK "," AK "]}", NULL },
	{ "and user data", "{\"keys\":[" AK "],\"user-data\":\"" HEX HEX HEX HEX "\"}", NULL },
	{ "two attestation keys", "{\"keys\":[" AK "," AK "]}", "two attestation keys" },
	{ "the keys twice", "{\"keys\":[" AK "],\"keys\":[" AK "]}", "without duplicates" },
	{ "the modulus twice",
	  "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" N256
	  "\",\"n\":\"" N256 "\"}]}",
	  "without duplicates" },
	{ "no attestation key", "{\"keys\":[" EK "]}", "no attestation key" },
	{ "no keys", "{}", "no keys" },
	{ "keys that are no list", "{\"keys\":" AK "}", "no keys" },
	{ "no JSON", "{\"keys\":[" AK "]", "not one JSON value" },
	{ "something behind the JSON", "{\"keys\":[" AK "]}{}", "not one JSON value" },
	{ "a key of another kind",
	  "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"EC\",\"e\":\"AQAB\",\"n\":\"" N256 "\"}]}",
	  "not of RSA" },
	{ "a short modulus",
	  "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"AQAB\"}]}",
	  "2048 to 4096" },
	{ "a modulus with padding",
	  "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" N256 "==\"}]}",
	  "2048 to 4096" },
	{ "an exponent of one",
	  "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQ\",\"n\":\"" N256 "\"}]}",
	  "exponent" },
	{ "an exponent of five bytes",
	  "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAAAAE\",\"n\":\"" N256
	  "\"}]}",
	  "exponent" },
	{ "user data that are too short", "{\"keys\":[" AK "],\"user-data\":\"" HEX "\"}",
	  "user data" },
	{ "user data that are no text", "{\"keys\":[" AK "],\"user-data\":1}", "user data" },
};

static void put32(struct bytes *b, uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(bytes_append_u8(b, (uint8_t)(v >> 8 * i)), 0);
}

static struct bytes made(const char *json, uint32_t kind, uint32_t hash)
{
	struct bytes b = BYTES_INIT(HCL_REPORT_MAX);
	uint32_t n = (uint32_t)strlen(json);
	uint8_t *room;

	assert_int_equal(bytes_append_text(&b, "HCLA"), 0);
	put32(&b, 2);
	put32(&b, 32 + HCL_HARDWARE_SIZE + 20 + n);
	put32(&b, 2);
	for (size_t i = 0; i < 4; i++)
		put32(&b, 0);
	assert_int_equal(bytes_reserve(&b, HCL_HARDWARE_SIZE, &room), 0);
	memset(room, 0, HCL_HARDWARE_SIZE);
	b.len += HCL_HARDWARE_SIZE;
	put32(&b, 20 + n);
	put32(&b, 1);
	put32(&b, kind);
	put32(&b, hash);
	put32(&b, n);
	assert_int_equal(bytes_append_text(&b, json), 0);
	return b;
}

static void odd_variable_data_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CLEANUP(bytes_cleanup) struct bytes b = made(texts[i].json, HCL_SNP, 1);
		const char *why = "it was read";
		struct hcl_report hcl;
		int r = hcl_report_parse(bytes_view(&b), &hcl, &why);

		if ((r == 0) != !texts[i].why || (r < 0 && !strstr(why, texts[i].why)))
			fail_msg("%s: %s", texts[i].what, why);
	}
}

/* One byte of the head, which nothing covers: a wrong one must not be read over. */
static const struct {
	const char *what;
	size_t at;
	uint8_t value;
} heads[] = {
	{ "the magic", 0, 'h' },
	{ "version 0", 4, 0 },
	{ "version 3", 4, 3 },
	{ "a longer whole", 9, 0xff },
	{ "another request", 12, 1 },
	{ "a status", 16, 1 },
	{ "reserved bytes", 31, 1 },
	{ "a longer description", 1217, 0xff },
	{ "another data version", 1220, 2 },
	{ "another chip", 1224, 3 },
	{ "no hash", 1228, 0 },
	{ "another hash", 1228, 4 },
	{ "longer data", 1234, 1 },
};

static void an_odd_head_is_refused(void **state)
{
	struct hcl_report hcl;
	const char *why = "";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		CLEANUP(bytes_cleanup) struct bytes b = made(texts[0].json, HCL_TDX, 3);

		assert_int_equal(hcl_report_parse(bytes_view(&b), &hcl, &why), 0);
		assert_int_equal(hcl.hash, HASH_SHA512);
		b.data[heads[i].at] = heads[i].value;
		if (hcl_report_parse(bytes_view(&b), &hcl, &why) != -EBADMSG)
			fail_msg("%s", heads[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_evidence_gets_the_verdict_it_deserves),
		cmocka_unit_test(a_flipped_bit_is_refused),
		cmocka_unit_test(a_paravisor_s_report_cut_anywhere_is_refused),
		cmocka_unit_test(odd_variable_data_are_refused),
		cmocka_unit_test(an_odd_head_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
