/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "claims.h"
#include "cleanup.h"
#include "endorsement_store.h"
#include "tests/support/alone_try.h"
#include "tests/support/cca_fixture.h"
#include "tests/support/shared_evidence.h"
#include "verifier/cca_anchor.h"
#include "verifier/cca_token.h"

/*
 * Genuine tokens, with the verdicts stated beside them; and tokens of our own, good but for one
 * thing, signed as they are.
 */

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct policy *, policy_free)
CLEANUP_FUNCTION(struct cca_anchors *, cca_anchors_free)

#define FOLDER "cca"
#define AT     "2026-09-01T00:00:00Z" /* any: nothing here has dates */
#define COCO   "coco-fvp.cbor"
#define FVP    "coco-fvp.cpak.pem"
#define ES256  "es256-platform-legacy-sha512bind"
#define COCO_RIM                                                                                   \
	"ae87fbf7f105e71a7827cb6f0896889c73d2beaf4830d4f9cb05e3e96c3fc7b4faa04caf36a26bd094cf9c7"  \
	"b738617e4c189aaee184dedda5d7a03c39dbdac7c"
#define COCO_CHALLENGE                                                                             \
	"57e979ae2618de0c1ab73144c440d741cf9236dc9d52ed190053382a4d190252f9f0370403c35dcb155fb43"  \
	"62d73c66d5b0494bf939315d3dc52b8cdc8b85a96"
#define FVP_INSTANCE "0107060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918"
#define FVP_IMPLEMENTATION "7f454c4602010100000000000000000003003e00010000005058000000000000"
#define ZERO_32		   "0000000000000000000000000000000000000000000000000000000000000000"
#define HEX_3E		   "3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e"
#define HEX_44		   "4444444444444444444444444444444444444444444444444444444444444444"
#define HEX_C0		   "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0"
#define HEX_C1		   "c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1"
#define HEX_51		   "5151515151515151515151515151515151515151515151515151515151515151"

static const struct {
	const char *what, *token, *key, *policy, *report_data;
	enum evidence_verdict verdict;
	const char *rule, *seen; /* of one reason; NULL: there is none at all */
} cases[] = {
	{ "a reference stack's", COCO, FVP, NULL, COCO_CHALLENGE, EVIDENCE_VALID, NULL, NULL },
	{ "the newer profile, RAK as a COSE_Key", "draft-ffm-00-cosekey-rak.cbor",
	  "draft-ffm-00-cosekey-rak.cpak.pem", NULL, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "platform by ES256, bound by SHA-512", ES256 ".cbor", ES256 ".cpak.pem", NULL, NULL,
	  EVIDENCE_VALID, NULL, NULL },
	{ "the realm profile of 2023", "realm-profile-2023.cbor", "realm-profile-2023.cpak.pem",
	  NULL, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "the same, bound by SHA-512", "realm-profile-2023-sha512bind.cbor",
	  "realm-profile-2023-sha512bind.cpak.pem", NULL, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "a realm key that the platform does not vouch for", "bad/binding-mismatch.cbor", FVP,
	  NULL, NULL, EVIDENCE_INVALID, "evidence.binding", "vouches for a realm key" },
	{ "the key of another platform", COCO, ES256 ".cpak.pem", NULL, NULL, EVIDENCE_INVALID,
	  "evidence.platform_signature", "none of 1 key(s)" },
	{ "no key", COCO, NULL, NULL, NULL, EVIDENCE_INVALID, "evidence.platform_signature",
	  "no key" },
	{ "a trust anchor of the instance", COCO, "ta-tfa.json", NULL, NULL, EVIDENCE_VALID, NULL,
	  NULL },
	{ "a trust anchor of another instance", ES256 ".cbor", "ta-tfa.json", NULL, NULL,
	  EVIDENCE_INVALID, "evidence.platform_signature", "no key" },
	{ "another challenge", COCO, FVP, NULL, "57e9", EVIDENCE_INVALID, "evidence.report_data",
	  "57e9" },
	{ "what it is", COCO, FVP,
	  "cca: {measurement: [\"" COCO_RIM "\"], instance_id: [\"" FVP_INSTANCE
	  "\"], implementation_id: [\"" FVP_IMPLEMENTATION
	  "\"], components: [RMM, AP_BL31], lifecycle: [secured]}",
	  NULL, EVIDENCE_VALID, NULL, NULL },
	{ "another RIM", COCO, FVP, "cca: {measurement: [\"" ZERO_32 "\"]}", NULL, EVIDENCE_POLICY,
	  "platforms.cca.measurement", COCO_RIM },
	{ "a key that the policy does not name", COCO, FVP, "cca: {cpak: [\"" ZERO_32 "\"]}", NULL,
	  EVIDENCE_INVALID, "evidence.platform_signature", "platforms.cca.cpak" },
	{ "a policy for another platform", COCO, FVP, "sev-snp: {}", NULL, EVIDENCE_POLICY,
	  "platforms", "cca" },
};

static void judge(struct view token, const struct endorsements *e, const struct policy *p,
		  const char *data, struct alone_try *ret)
{
	const struct evidence_file file = { "token", token };
	struct alone_try_in in = { .files = &file,
				   .n = 1,
				   .endorsements = e,
				   .at = AT,
				   .report_data = data,
				   .policy = p };

	alone_try(&in, ret);
}

static struct endorsements *endorsed(const char *file)
{
	struct endorsements *e;

	assert_int_equal(endorsements_new(&e), 0);
	if (file)
		alone_try_endorse(e, FOLDER, file);
	return e;
}

static void genuine_tokens_get_the_verdict_they_deserve(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(endorsements_freep) struct endorsements *e = endorsed(cases[i].key);
		CLEANUP(policy_freep) struct policy *p = alone_try_policy(cases[i].policy);
		CLEANUP(bytes_cleanup) struct bytes token = shared_evidence(FOLDER, cases[i].token);
		struct alone_try t;

		judge(bytes_view(&token), e, p, cases[i].report_data, &t);
		alone_try_expect(cases[i].what, &t, cases[i].verdict, cases[i].rule, cases[i].seen);
		appraisal_done(&t.a);
	}
}

/* Of the one with another realm key both signatures are good: nothing else refuses it. */
static void only_the_binding_refuses_another_realm_key(void **state)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	CLEANUP(bytes_cleanup) struct bytes token = BYTES_INIT(0);
	struct alone_try t;

	(void)state;
	shared_evidence_needed();
	e = endorsed(FVP);
	token = shared_evidence(FOLDER, "bad/binding-mismatch.cbor");
	judge(bytes_view(&token), e, NULL, NULL, &t);
	assert_int_equal(t.a.n, 1);
	assert_string_equal(t.a.reasons[0].rule, "evidence.binding");
	appraisal_done(&t.a);
}

static void expect_hex(const uint8_t *bytes, size_t len, const char *hex)
{
	char seen[2 * EVIDENCE_DATA + 1];

	hex_encode(bytes, len, seen);
	assert_string_equal(seen, hex);
}

static void values_are_those_stated(void **state)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	CLEANUP(bytes_cleanup) struct bytes token = BYTES_INIT(0);
	Assay__ChipReport chip = ASSAY__CHIP_REPORT__INIT;
	struct alone_try t;
	json_t *shown, *platform;

	(void)state;
	shared_evidence_needed();
	e = endorsed(FVP);
	token = shared_evidence(FOLDER, COCO);
	judge(bytes_view(&token), e, NULL, NULL, &t);
	assert_string_equal(t.ops->platform, "cca");
	assert_int_equal(t.result.version, 1);
	assert_true(t.result.signature_good);
	assert_string_equal(t.result.status, "secured");
	assert_false(t.result.debug);
	expect_hex(t.result.measurement.bytes, t.result.measurement.size, COCO_RIM);
	expect_hex(t.result.report_data, t.result.report_data_len, COCO_CHALLENGE);
	expect_hex(t.result.chip_id, t.result.chip_id_len, FVP_INSTANCE);
	assert_int_equal(t.result.n_registers, 4);
	assert_int_equal(t.result.registers[0].size, 64);
	assert_non_null(strstr(t.result.tcb, "RSE_BL1_2, RSE_BL2"));
	appraisal_done(&t.a);

	chip.report = (ProtobufCBinaryData){ token.len, token.data };
	assert_int_equal(t.ops->show(&chip, &shown), 0);
	platform = json_object_get(shown, "platform");
	assert_string_equal(json_string_value(json_object_get(platform, "implementation_id")),
			    FVP_IMPLEMENTATION);
	assert_int_equal(json_integer_value(json_object_get(platform, "lifecycle_value")), 12291);
	assert_int_equal(json_array_size(json_object_get(platform, "components")), 13);
	json_decref(shown);
	chip.report.len--;
	assert_int_equal(t.ops->show(&chip, &shown), -EBADMSG);
}

static void bare_claims_are_read_as_stated(void **state)
{
	static const struct {
		const char *file, *why; /* NULL: they are good */
	} *c, claims[] = {
		{ "claims/platform-claims.cbor", NULL },
		{ "claims/realm-claims.cbor", NULL },
		{ "bad/realm-claims-missing-challenge.cbor", "challenge of 64 bytes" },
		/* An unknown claim is one that we do not use. */
		{ "bad/realm-claims+spurious-numeric-key.cbor", NULL },
	};

	(void)state;
	shared_evidence_needed();
	for (c = claims; c < claims + ARRAY_LEN(claims); c++) {
		CLEANUP(bytes_cleanup) struct bytes raw = shared_evidence(FOLDER, c->file);
		struct cca_platform p;
		struct cca_realm m;
		const char *why = "";
		int r = strstr(c->file, "platform")
				? cca_platform_read(bytes_view(&raw), &p, &why)
				: cca_realm_read(bytes_view(&raw), &m, &why);

		if (c->why ? r != -EBADMSG || !strstr(why, c->why) : r != 0)
			fail_msg("%s: %d, %s", c->file, r, why);
	}
}

static void a_key_off_its_curve_is_none(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes raw = BYTES_INIT(0);
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	CLEANUP(cca_anchors_freep) struct cca_anchors *a = NULL;
	const char *why = "";

	(void)state;
	shared_evidence_needed();
	raw = shared_evidence(FOLDER, "bad/ta-point-not-on-curve.json");
	assert_int_equal(cca_anchors_read(bytes_view(&raw), &a, &why), -EBADMSG);
	assert_string_equal(why, "a point that is not on its curve");
	e = endorsed(NULL);
	assert_int_equal(endorsements_add(e, bytes_view(&raw), &why), -EBADMSG);
	assert_int_equal(endorsements_count(e), 0);
}

/* Bits apart in a run of every test; all with ASSAY_EVERY_BIT. A prime: all places occur. */
static size_t step(void)
{
	return getenv("ASSAY_EVERY_BIT") ? 1 : 61;
}

static void a_flipped_bit_is_refused(void **state)
{
	static const char *const files[] = { COCO, "realm-profile-2023" };

	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		CLEANUP(endorsements_freep)
		struct endorsements *e = endorsed(i ? "realm-profile-2023.cpak.pem" : FVP);
		CLEANUP(bytes_cleanup)
		struct bytes r = shared_evidence(FOLDER, i ? "realm-profile-2023.cbor" : COCO);

		for (size_t bit = 0; bit < 8 * r.len; bit += step()) {
			struct alone_try t;

			r.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			judge(bytes_view(&r), e, NULL, NULL, &t);
			if (t.verdict != EVIDENCE_INVALID || t.result.signature_good)
				fail_msg("%s: bit %zu of byte %zu", files[i], bit % 8, bit / 8);
			appraisal_done(&t.a);
			r.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static void a_token_cut_short_is_none(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes r = BYTES_INIT(0);

	(void)state;
	shared_evidence_needed();
	r = shared_evidence(FOLDER, COCO);
	for (size_t len = 0; len < r.len; len++) {
		CLEANUP(cleanup_mem) uint8_t *part = malloc(len + 1);
		struct cca_token t;
		const char *why = NULL;

		/* In memory of its own, so that a sanitizer sees a byte too many. */
		assert_non_null(part);
		memcpy(part, r.data, len);
		if (cca_token_read(view_of(part, len), &t, &why) != -EBADMSG || !why)
			fail_msg("cut at %zu", len);
	}
}

static void evidence_of_another_platform_is_none(void **state)
{
	static const struct {
		const char *folder, *file;
	} others[] = {
		{ "sev-snp", "v3-milan-2026.report" },
		{ "sev-snp", "v3-genoa-tsm.cbor" },
		{ "tdx", "quotes/v4-b0c06f000000-uptodate.quote" },
		{ "csv", "v1-report-full-chain.bin" },
		{ "cca", "claims/realm-claims.cbor" },
	};

	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		CLEANUP(bytes_cleanup)
		struct bytes r = shared_evidence(others[i].folder, others[i].file);
		Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
		struct evidence_input in = { .report = &report, .alone = true };
		struct evidence_result result;
		struct appraisal a;

		assert_false(evidence_find("cca")->detect(bytes_view(&r)));
		report.report = (ProtobufCBinaryData){ r.len, r.data };
		appraisal_init(&a);
		assert_int_equal(evidence_find("cca")->verify(&in, &a, &result), 0);
		appraisal_finish(&a);
		if (evidence_verdict(&a) != EVIDENCE_INVALID || result.signature_good)
			fail_msg("%s", others[i].file);
		appraisal_done(&a);
	}
}

/* Tokens of our own. */

static struct cca_fixture maker;

static int make_keys(void **state)
{
	(void)state;
	cca_fixture_init(&maker);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	cca_fixture_done(&maker);
	return 0;
}

static void keep(struct cca_fixture *f)
{
	(void)f;
}

static void of_2023(struct cca_fixture *f)
{
	f->profile_2023 = true;
}

static void wrapped(struct cca_fixture *f)
{
	f->profile_2023 = f->wrapped = true;
}

static void sha384(struct cca_fixture *f)
{
	f->size = 48;
}

static void platform_signed_by_another(struct cca_fixture *f)
{
	f->platform_signer = f->other;
}

/* A realm that signs its own platform token. */
static void platform_signed_by_the_rak(struct cca_fixture *f)
{
	f->platform_signer = f->rak;
}

static void realm_signed_by_another(struct cca_fixture *f)
{
	f->realm_signer = f->other;
}

static void realm_signed_by_the_cpak(struct cca_fixture *f)
{
	f->realm_signer = f->cpak;
}

static void another_rak_vouched_for(struct cca_fixture *f)
{
	f->vouched = f->other;
}

static void another_rak_vouched_for_2023(struct cca_fixture *f)
{
	f->vouched = f->other;
	f->profile_2023 = true;
}

static void other_binding_hash(struct cca_fixture *f)
{
	f->key_hash_name = "sha-512";
}

static void weak_binding_hash(struct cca_fixture *f)
{
	f->key_hash_name = "sha-1";
}

static void algorithm_of_another_curve(struct cca_fixture *f)
{
	f->platform_algorithm = -36;
}

static void unknown_algorithm(struct cca_fixture *f)
{
	f->platform_algorithm = -257;
}

static void unprotected_algorithm(struct cca_fixture *f)
{
	f->algorithm_unprotected = true;
}

static void critical_header(struct cca_fixture *f)
{
	f->critical_header = true;
}

static void no_challenge(struct cca_fixture *f)
{
	f->without_realm_claim = 10;
}

static void challenge_twice(struct cca_fixture *f)
{
	f->twice_realm_claim = 10;
}

static void no_rak(struct cca_fixture *f)
{
	f->without_realm_claim = 44237;
}

static void no_nonce(struct cca_fixture *f)
{
	f->without_platform_claim = 10;
}

static void no_lifecycle(struct cca_fixture *f)
{
	f->without_platform_claim = 2395;
}

static void no_components(struct cca_fixture *f)
{
	f->without_platform_claim = 2399;
}

static void instance_of_another_type(struct cca_fixture *f)
{
	f->instance_id[0] = 2;
}

static void psa_profile(struct cca_fixture *f)
{
	f->platform_profile = "http://arm.com/psa/2.0.0";
}

static void later_realm_profile(struct cca_fixture *f)
{
	f->realm_profile = "tag:arm.com,2030:realm#9.0.0";
}

static void debuggable(struct cca_fixture *f)
{
	f->lifecycle = 0x4001;
}

static void recoverable(struct cca_fixture *f)
{
	f->lifecycle = 0x5000;
}

static void decommissioned(struct cca_fixture *f)
{
	f->lifecycle = 0x6000;
}

static void between_states(struct cca_fixture *f)
{
	f->lifecycle = 0x3100;
}

static void wide_lifecycle(struct cca_fixture *f)
{
	f->lifecycle = 0x13003;
}

static const struct {
	const char *what;
	void (*change)(struct cca_fixture *f);
	const char *policy;
	enum evidence_verdict verdict;
	const char *rule, *seen;
} made[] = {
	{ "legacy", keep, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "of 2023", of_2023, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "in a CMW collection", wrapped, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "measured by SHA-384", sha384, NULL, EVIDENCE_VALID, NULL, NULL },
	{ "the platform token signed by another key", platform_signed_by_another, NULL,
	  EVIDENCE_INVALID, "evidence.platform_signature", "none of 1 key(s)" },
	{ "the platform token signed by the realm", platform_signed_by_the_rak, NULL,
	  EVIDENCE_INVALID, "evidence.platform_signature", "none of 1 key(s)" },
	{ "the realm token signed by another key", realm_signed_by_another, NULL, EVIDENCE_INVALID,
	  "evidence.realm_signature", "does not verify" },
	{ "the realm token signed by the platform", realm_signed_by_the_cpak, NULL,
	  EVIDENCE_INVALID, "evidence.realm_signature", "does not verify" },
	{ "another realm's key vouched for", another_rak_vouched_for, NULL, EVIDENCE_INVALID,
	  "evidence.binding", "vouches for" },
	{ "another realm's key vouched for, 2023", another_rak_vouched_for_2023, NULL,
	  EVIDENCE_INVALID, "evidence.binding", "vouches for" },
	{ "bound by another hash than it says", other_binding_hash, NULL, EVIDENCE_INVALID,
	  "evidence.binding", "vouches for" },
	{ "bound by a hash that is not accepted", weak_binding_hash, NULL, EVIDENCE_INVALID,
	  "evidence.binding", "sha-1" },
	{ "an algorithm of another length", algorithm_of_another_curve, NULL, EVIDENCE_INVALID,
	  "evidence.report", "length of its algorithm's" },
	{ "an algorithm that is not known", unknown_algorithm, NULL, EVIDENCE_INVALID,
	  "evidence.report", "none of ES256" },
	{ "an algorithm that nothing protects", unprotected_algorithm, NULL, EVIDENCE_INVALID,
	  "evidence.report", "protected algorithm" },
	{ "a header that must be understood", critical_header, NULL, EVIDENCE_INVALID,
	  "evidence.report", "must be understood" },
	{ "no challenge", no_challenge, NULL, EVIDENCE_INVALID, "evidence.report", "challenge" },
	{ "two challenges", challenge_twice, NULL, EVIDENCE_INVALID, "evidence.report",
	  "stands twice" },
	{ "no realm key", no_rak, NULL, EVIDENCE_INVALID, "evidence.report", "public key" },
	{ "no nonce", no_nonce, NULL, EVIDENCE_INVALID, "evidence.report", "nonce" },
	{ "no lifecycle", no_lifecycle, NULL, EVIDENCE_INVALID, "evidence.report", "lifecycle" },
	{ "no components", no_components, NULL, EVIDENCE_INVALID, "evidence.report", "components" },
	{ "an instance id of another type", instance_of_another_type, NULL, EVIDENCE_INVALID,
	  "evidence.report", "UEID" },
	{ "a token of PSA", psa_profile, NULL, EVIDENCE_INVALID, "evidence.report", "profile" },
	{ "a realm profile that is not known", later_realm_profile, NULL, EVIDENCE_INVALID,
	  "evidence.report", "profile" },
	{ "a lifecycle of 17 bits", wide_lifecycle, NULL, EVIDENCE_INVALID, "evidence.report",
	  "16 bits" },
	{ "debugging of the platform", debuggable, NULL, EVIDENCE_POLICY, "platforms.cca.lifecycle",
	  "non-cca-debug (0x4001)" },
	{ "debugging of the platform, accepted", debuggable,
	  "cca: {lifecycle: [secured, non-cca-debug]}", EVIDENCE_VALID, NULL, NULL },
	{ "recoverable debugging where only the other is accepted", recoverable,
	  "cca: {lifecycle: [secured, non-cca-debug]}", EVIDENCE_POLICY, "platforms.cca.lifecycle",
	  "recoverable-debug" },
	{ "a platform that is no more", decommissioned,
	  "cca: {lifecycle: [secured, non-cca-debug, recoverable-debug]}", EVIDENCE_POLICY,
	  "platforms.cca.lifecycle", "decommissioned" },
	{ "a lifecycle of no state", between_states, NULL, EVIDENCE_POLICY,
	  "platforms.cca.lifecycle", "invalid (0x3100)" },
	{ "all that a policy can list", keep,
	  "cca: {measurement: [\"" HEX_3E "\"], rem3: [\"" HEX_44 "\"], component_measurements: "
	  "[\"" HEX_C0 "\", \"" HEX_C1 "\"], component_signers: [\"" HEX_51 "\"], components: "
	  "[RMM]}",
	  EVIDENCE_VALID, NULL, NULL },
	{ "another register", keep, "cca: {rem2: [\"" HEX_44 "\"]}", EVIDENCE_POLICY,
	  "platforms.cca.rem2", "3333" },
	{ "a component that is not listed", keep,
	  "cca: {component_measurements: [\"" HEX_C0 "\"]}", EVIDENCE_POLICY,
	  "platforms.cca.component_measurements", "AP_BL31: " HEX_C1 },
	{ "a signer that is not listed", keep, "cca: {component_signers: [\"" HEX_C0 "\"]}",
	  EVIDENCE_POLICY, "platforms.cca.component_signers", HEX_51 },
	{ "a component that is missing", keep, "cca: {components: [RMM, RSE_S]}", EVIDENCE_POLICY,
	  "platforms.cca.components", "no component" },
	{ "another implementation", keep, "cca: {implementation_id: [\"" HEX_3E "\"]}",
	  EVIDENCE_POLICY, "platforms.cca.implementation_id", "7f7f" },
};

static void made_tokens_get_the_verdict_they_deserve(void **state)
{
	CLEANUP(endorsements_freep) struct endorsements *e = endorsed(NULL);

	(void)state;
	cca_fixture_endorse(&maker, e);
	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		CLEANUP(policy_freep) struct policy *p = alone_try_policy(made[i].policy);
		CLEANUP(bytes_cleanup) struct bytes token = BYTES_INIT(0);
		struct cca_fixture f = maker;
		struct alone_try t;

		made[i].change(&f);
		cca_fixture_token(&f, &token);
		judge(bytes_view(&token), e, p, NULL, &t);
		alone_try_expect(made[i].what, &t, made[i].verdict, made[i].rule, made[i].seen);
		appraisal_done(&t.a);
	}
}

/* In a session: the token is over Claims, and the key is one that somebody answers for. */
struct session_try {
	const struct endorsements *given; /* the verifier's own */
	const char *policy;
	bool root;	    /* the CPAK is the root of a test */
	bool key_travels;   /* with the report */
	bool other_claims;
};

static void expect_session(const char *what, const struct session_try *s, const char *rule,
			   const char *seen)
{
	static const uint8_t claims[] = "these claims";
	CLEANUP(policy_freep) struct policy *p = alone_try_policy(s->policy);
	CLEANUP(bytes_cleanup) struct bytes token = BYTES_INIT(0), pem = BYTES_INIT(0);
	Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
	struct evidence_input in = { .report = &report,
				     .claims = view_of(claims, sizeof(claims)),
				     .policy = p,
				     .endorsements = s->given,
				     .roots = s->root ? &maker.root : NULL,
				     .n_roots = s->root };
	struct cca_fixture f = maker;
	struct evidence_result result;
	ProtobufCBinaryData with;
	struct appraisal a;
	struct digest d;
	bool as_expected;

	assert_int_equal(claims_hash(in.claims, &d), 0);
	memcpy(f.challenge, d.bytes, sizeof(f.challenge));
	if (s->other_claims)
		f.challenge[63] ^= 1;
	cca_fixture_token(&f, &token);
	cca_fixture_public_pem(maker.cpak, &pem);
	report.report = (ProtobufCBinaryData){ token.len, token.data };
	with = (ProtobufCBinaryData){ pem.len, pem.data };
	if (s->key_travels) {
		report.endorsements = &with;
		report.n_endorsements = 1;
	}
	appraisal_init(&a);
	assert_int_equal(evidence_find("cca")->verify(&in, &a, &result), 0);
	appraisal_finish(&a);
	as_expected = rule ? alone_try_refused(&a, rule, seen) && !result.signature_good
			   : a.n == 0 && appraisal_accepted(&a) && result.signature_good;
	if (!as_expected)
		fail_msg("%s: %s", what, a.n ? a.reasons[0].seen : "accepted");
	appraisal_done(&a);
}

static void a_session_believes_only_keys_that_are_named(void **state)
{
	CLEANUP(endorsements_freep) struct endorsements *e = endorsed(NULL);
	char named[128], hex[2 * 32 + 1];
	const char *rule = "evidence.platform_signature";

	(void)state;
	cca_fixture_endorse(&maker, e);
	hex_encode(maker.root.sha256, sizeof(maker.root.sha256), hex);
	snprintf(named, sizeof(named), "cca: {cpak: [\"%s\"]}", hex);
	expect_session("the policy names it", &(struct session_try){ .given = e, .policy = named }, NULL, NULL);
	expect_session("a test's root", &(struct session_try){ .given = e, .policy = "cca: {}", .root = true }, NULL,
		       NULL);
	expect_session("nobody names it", &(struct session_try){ .given = e, .policy = "cca: {}" }, rule,
		       "platforms.cca.cpak");
	expect_session("it came with the report",
		       &(struct session_try){ .policy = named, .key_travels = true }, rule, "no key");
	expect_session("other Claims", &(struct session_try){ .given = e, .policy = named, .other_claims = true },
		       "evidence.claims", "");
}

/* The trust anchor of an instance keeps other keys from speaking for it. */
static void an_anchor_is_for_its_instance_alone(void **state)
{
	static const char form[] =
		"[{\"pkey\": {\"kty\": \"EC\", \"crv\": \"P-256\", \"x\": "
		"\"%s\", \"y\": \"%s\"}, \"instance-id\": \"01%s\"%s}]";
	/* The generator of P-256 (FIPS 186-4, D.1.2.3): a key that nobody signs with here. */
	static const char x[] = "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
			  y[] = "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";
	static const char of_ours[] =
		"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
	static const struct {
		const char *what, *instance, *more, *seen;
	} anchors[] = {
		{ "of another instance: the bare key counts", HEX_3E, "", NULL },
		{ "of this one: the bare key does not", of_ours, "", "none of 1 key(s)" },
		{ "of another implementation", of_ours,
		  ", \"implementation-id\": \"" ZERO_32 "\"", "another implementation id" },
	};
	CLEANUP(bytes_cleanup) struct bytes token = BYTES_INIT(0);

	(void)state;
	cca_fixture_token(&maker, &token);
	for (size_t i = 0; i < ARRAY_LEN(anchors); i++) {
		CLEANUP(endorsements_freep) struct endorsements *e = endorsed(NULL);
		char text[1024];
		const char *why = "";
		struct alone_try t;

		cca_fixture_endorse(&maker, e);
		snprintf(text, sizeof(text), form, x, y, anchors[i].instance, anchors[i].more);
		if (endorsements_add(e, view_text(text), &why) != 0)
			fail_msg("%s: %s", anchors[i].what, why);
		judge(bytes_view(&token), e, NULL, NULL, &t);
		alone_try_expect(anchors[i].what, &t,
				 anchors[i].seen ? EVIDENCE_INVALID : EVIDENCE_VALID,
				 anchors[i].seen ? "evidence.platform_signature" : NULL,
				 anchors[i].seen);
		appraisal_done(&t.a);
	}
}

static void lists_that_are_no_anchors(void **state)
{
#define KEY                                                                                        \
	"\"pkey\":{\"kty\":\"EC\",\"crv\":\"P-256\","                                              \
	"\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\","                                   \
	"\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"}"
#define ID "\"instance-id\":\"01" HEX_3E "\""
	static const char *const texts[] = {
		"",
		"[]",
		"{}",
		"[1]",
		"[{" KEY "}]",
		"[{" ID "}]",
		"[{" KEY ",\"instance-id\":\"01\"}]",
		"[{" KEY "," ID ",\"implementation-id\":\"00\"}]",
		"[{" KEY "," ID "},{" KEY "," ID "}]",
		"[{" KEY "," KEY "," ID "}]",
		"[{\"pkey\":{\"kty\":\"OKP\"}," ID "}]",
		"[{\"pkey\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}," ID "}]",
	};
	CLEANUP(cca_anchors_freep) struct cca_anchors *good = NULL;
	const char *why;

	(void)state;
	assert_int_equal(cca_anchors_read(view_text("[{" KEY "," ID "}]"), &good, &why), 0);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct cca_anchors *a;

		why = NULL;
		if (cca_anchors_read(view_text(texts[i]), &a, &why) != -EBADMSG || !why)
			fail_msg("%s", texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_tokens_get_the_verdict_they_deserve),
		cmocka_unit_test(only_the_binding_refuses_another_realm_key),
		cmocka_unit_test(values_are_those_stated),
		cmocka_unit_test(bare_claims_are_read_as_stated),
		cmocka_unit_test(a_key_off_its_curve_is_none),
		cmocka_unit_test(a_flipped_bit_is_refused),
		cmocka_unit_test(a_token_cut_short_is_none),
		cmocka_unit_test(evidence_of_another_platform_is_none),
		cmocka_unit_test(made_tokens_get_the_verdict_they_deserve),
		cmocka_unit_test(a_session_believes_only_keys_that_are_named),
		cmocka_unit_test(an_anchor_is_for_its_instance_alone),
		cmocka_unit_test(lists_that_are_no_anchors),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
