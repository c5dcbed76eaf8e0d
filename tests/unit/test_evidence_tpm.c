/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/evidence_try.h"

#define POLICY_EK   "{tpm: {ek_ca: roots.pem, event_log: allow}}"
#define POLICY_SOFT "{soft: {}}"

#define keep evidence_try_keep

static struct evidence_try_keys keys;
static uint8_t large[EVENT_LOG_MAX + 1];

/* Changes to the evidence before it is packed, so that it is signed as it is then. */

static void use_p384(struct evidence_try *t)
{
	tpm_fixture_init(&t->f, t->keys->p384, evidence_try_claims());
	t->f.hash = HASH_SHA384;
}

static void use_rsa(struct evidence_try *t)
{
	tpm_fixture_init(&t->f, t->keys->rsa, evidence_try_claims());
}

static void use_rsapss(struct evidence_try *t)
{
	use_rsa(t);
	t->f.scheme = TPM2_ALG_RSAPSS;
	t->f.public.parameters.rsaDetail.scheme.scheme = TPM2_ALG_RSAPSS;
}

static void key_of_any_scheme(struct evidence_try *t)
{
	t->f.public.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
}

static void scheme_not_the_keys(struct evidence_try *t)
{
	use_rsa(t);
	t->f.scheme = TPM2_ALG_RSAPSS;
}

static void sha1(struct evidence_try *t)
{
	use_rsa(t);
	t->f.hash = HASH_SHA1;
}

static void name_by_sha1(struct evidence_try *t)
{
	t->f.public.nameAlg = TPM2_ALG_SHA1;
}

static void signed_by_another(struct evidence_try *t)
{
	t->f.key = t->keys->other;
}

static void not_restricted(struct evidence_try *t)
{
	t->f.public.objectAttributes &= ~TPMA_OBJECT_RESTRICTED;
}

static void not_signing(struct evidence_try *t)
{
	t->f.public.objectAttributes &= ~TPMA_OBJECT_SIGN_ENCRYPT;
}

static void decrypting_too(struct evidence_try *t)
{
	t->f.public.objectAttributes |= TPMA_OBJECT_DECRYPT;
}

static void not_fixed_tpm(struct evidence_try *t)
{
	t->f.public.objectAttributes &= ~TPMA_OBJECT_FIXEDTPM;
}

static void not_fixed_parent(struct evidence_try *t)
{
	t->f.public.objectAttributes &= ~TPMA_OBJECT_FIXEDPARENT;
}

static void imported(struct evidence_try *t)
{
	t->f.public.objectAttributes &= ~TPMA_OBJECT_SENSITIVEDATAORIGIN;
}

static void small_rsa(struct evidence_try *t)
{
	use_rsa(t);
	t->f.public.unique.rsa.size = 128;
	t->f.public.parameters.rsaDetail.keyBits = 1024;
}

static void not_on_the_curve(struct evidence_try *t)
{
	t->f.public.unique.ecc.y.buffer[31] ^= 1;
}

static size_t edit_magic(uint8_t *attest, size_t len)
{
	attest[0] ^= 1;
	return len;
}

static void other_magic(struct evidence_try *t)
{
	t->f.edit_attest = edit_magic;
}

static size_t edit_type(uint8_t *attest, size_t len)
{
	attest[5] = 0x17; /* TPM_ST_ATTEST_CERTIFY */
	return len;
}

static void other_type(struct evidence_try *t)
{
	t->f.edit_attest = edit_type;
}

static size_t edit_longer(uint8_t *attest, size_t len)
{
	attest[len] = 0;
	return len + 1;
}

static void bytes_behind(struct evidence_try *t)
{
	t->f.edit_attest = edit_longer;
}

static size_t edit_shorter(uint8_t *attest, size_t len)
{
	return len - 1;
}

static void cut_short(struct evidence_try *t)
{
	t->f.edit_attest = edit_shorter;
}

static void other_claims(struct evidence_try *t)
{
	t->f.attest.extraData.buffer[31] ^= 1;
}

static void no_claims(struct evidence_try *t)
{
	t->f.attest.extraData.size = 0;
}

static void more_than_claims(struct evidence_try *t)
{
	t->f.attest.extraData.size++;
}

/* Changes to what travels, after it is packed: nothing is signed anew. */

static void no_key_enrolled(struct evidence_try *t)
{
	t->in.key_name = view_of(NULL, 0);
}

static void another_key_enrolled(struct evidence_try *t)
{
	t->f.name[33] ^= 1;
}

static void shorter_name_enrolled(struct evidence_try *t)
{
	t->in.key_name.len--;
}

static void bytes_behind_key(struct evidence_try *t)
{
	t->f.key_bytes[t->f.report.key.len++] = 0;
}

static void no_key(struct evidence_try *t)
{
	t->f.report.key.len = 0;
}

static void no_signature(struct evidence_try *t)
{
	t->f.report.signature.len = 0;
}

static void bytes_behind_signature(struct evidence_try *t)
{
	t->f.signature_bytes[t->f.report.signature.len++] = 0;
}

static void signature_of_another_kind(struct evidence_try *t)
{
	t->f.signature_bytes[1] = TPM2_ALG_SM2 & 0xff;
}

static void report_changed(struct evidence_try *t)
{
	t->f.report_bytes[t->f.report.report.len - 1] ^= 1;
}

static void no_report(struct evidence_try *t)
{
	t->f.report.report.len = 0;
}

static void report_too_large(struct evidence_try *t)
{
	t->f.report.report = (ProtobufCBinaryData){ .len = EVIDENCE_REPORT_MAX + 1, .data = large };
}

static void log_too_large(struct evidence_try *t)
{
	t->f.report.event_log = (ProtobufCBinaryData){ .len = sizeof(large), .data = large };
}

static void values_too_many(struct evidence_try *t)
{
	t->f.report.n_pcrs = 16 * 24 + 1;
	for (size_t i = 0; i < t->f.report.n_pcrs; i++)
		t->f.value_pointers[i] = &t->f.values[0];
}

static void roots_of_no_one(struct evidence_try *t)
{
	assert_int_equal(policy_attach_ek_ca((struct policy *)t->in.policy, view_text("no PEM")),
			 0);
}

static const struct evidence_case cases[] = {
	{ "good evidence", POLICY_GOOD, keep, keep, NULL, NULL },
	{ "P-384 with SHA-384", POLICY_GOOD, use_p384, keep, NULL, NULL },
	{ "RSASSA", POLICY_GOOD, use_rsa, keep, NULL, NULL },
	{ "RSAPSS", POLICY_GOOD, use_rsapss, keep, NULL, NULL },
	{ "a key without a scheme of its own", POLICY_GOOD, key_of_any_scheme, keep, NULL, NULL },

	{ "a platform that is not in the policy", POLICY_SOFT, keep, keep, "platforms", "tpm" },
	{ "a report too large", POLICY_GOOD, keep, report_too_large, "evidence.size", "65537" },
	{ "a log too large", POLICY_GOOD, keep, log_too_large, "evidence.size", "1048577" },
	{ "too many values", POLICY_GOOD, keep, values_too_many, "evidence.size", "385" },

	{ "no key enrolled", POLICY_GOOD, keep, no_key_enrolled, "evidence.key",
	  "none is enrolled" },
	{ "another key enrolled", POLICY_GOOD, keep, another_key_enrolled, "evidence.key", "000b" },
	{ "half a name", POLICY_GOOD, keep, shorter_name_enrolled, "evidence.key", "000b" },
	{ "no key", POLICY_GOOD, keep, no_key, "evidence.key", "its size" },
	{ "bytes behind the key", POLICY_GOOD, keep, bytes_behind_key, "evidence.key", "behind" },
	{ "a name by SHA-1", POLICY_GOOD, name_by_sha1, keep, "evidence.key", "name algorithm" },
	{ "RSA of 1024 bits", POLICY_GOOD, small_rsa, keep, "evidence.key", "another kind" },
	{ "a point off the curve", POLICY_GOOD, not_on_the_curve, keep, "evidence.key",
	  "not valid" },
	{ "an unrestricted key", POLICY_GOOD, not_restricted, keep, "evidence.key.attributes",
	  "not restricted" },
	{ "a key that does not sign", POLICY_GOOD, not_signing, keep, "evidence.key.attributes",
	  "not a signing key" },
	{ "a key that decrypts", POLICY_GOOD, decrypting_too, keep, "evidence.key.attributes",
	  "decryption key" },
	{ "a key that may leave the TPM", POLICY_GOOD, not_fixed_tpm, keep,
	  "evidence.key.attributes", "fixedTPM" },
	{ "a key that may leave its parent", POLICY_GOOD, not_fixed_parent, keep,
	  "evidence.key.attributes", "fixedParent" },
	{ "an imported key", POLICY_GOOD, imported, keep, "evidence.key.attributes",
	  "sensitiveDataOrigin" },

	{ "no signature", POLICY_GOOD, keep, no_signature, "evidence.signature", "its size" },
	{ "bytes behind the signature", POLICY_GOOD, keep, bytes_behind_signature,
	  "evidence.signature", "behind" },
	{ "a signature of another kind", POLICY_GOOD, keep, signature_of_another_kind,
	  "evidence.signature", "not one that is accepted" },
	{ "a signature by another key", POLICY_GOOD, signed_by_another, keep, "evidence.signature",
	  "does not verify" },
	{ "a scheme that is not the key's", POLICY_GOOD, scheme_not_the_keys, keep,
	  "evidence.signature", "not the key's" },
	{ "SHA-1", POLICY_GOOD, sha1, keep, "evidence.signature", "SHA-1" },
	{ "a quote changed after it was signed", POLICY_GOOD, keep, report_changed,
	  "evidence.signature", "does not verify" },
	{ "no quote", POLICY_GOOD, keep, no_report, "evidence.signature", "does not verify" },

	{ "not made in a TPM", POLICY_GOOD, other_magic, keep, "evidence.quote", "magic" },
	{ "not a quote", POLICY_GOOD, other_type, keep, "evidence.quote", "type" },
	{ "bytes behind the quote", POLICY_GOOD, bytes_behind, keep, "evidence.quote", "behind" },
	{ "a quote cut short", POLICY_GOOD, cut_short, keep, "evidence.quote",
	  "not a TPMS_ATTEST" },

	{ "other Claims", POLICY_GOOD, other_claims, keep, "evidence.claims", "" },
	{ "no Claims", POLICY_GOOD, no_claims, keep, "evidence.claims", "" },
	{ "more than the Claims", POLICY_GOOD, more_than_claims, keep, "evidence.claims", "" },

	{ "no roots though the policy names them", POLICY_EK, keep, keep, "platforms.tpm.ek_ca",
	  "no certificate of an EK CA" },
	{ "roots that are none", POLICY_EK, keep, roots_of_no_one, "platforms.tpm.ek_ca",
	  "no certificate of an EK CA" },
};

static void each_fault_names_its_own_rule(void **state)
{
	evidence_try_all(&keys, cases, ARRAY_LEN(cases));
}

static bool accepted(const struct evidence_input *in)
{
	struct evidence_result result;
	struct appraisal a;
	bool yes;

	appraisal_init(&a);
	assert_int_equal(evidence_find("tpm")->verify(in, &a, &result), 0);
	appraisal_finish(&a);
	yes = appraisal_accepted(&a);
	assert_true(yes || a.n > 0);
	appraisal_done(&a);
	return yes;
}

static void flip_every_bit(ProtobufCBinaryData d, const struct evidence_input *in)
{
	for (size_t bit = 0; bit < 8 * d.len; bit++) {
		d.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		if (accepted(in))
			fail_msg("bit %zu", bit);
		d.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
}

static void cut_everywhere(ProtobufCBinaryData *d, const struct evidence_input *in)
{
	size_t len = d->len;

	for (d->len = 0; d->len < len; d->len++) {
		if (accepted(in))
			fail_msg("%zu bytes", d->len);
	}
}

static void no_bit_can_be_changed(void **state)
{
	struct policy *p = evidence_try_policy(POLICY_GOOD);
	static struct tpm_fixture f;
	struct evidence_input in;

	tpm_fixture_init(&f, keys.p256, evidence_try_claims());
	tpm_fixture_pack(&f);
	in = evidence_try_input(&f, p);
	assert_true(accepted(&in));
	flip_every_bit(f.report.report, &in);
	flip_every_bit(f.report.signature, &in);
	flip_every_bit(f.report.key, &in);
	for (size_t i = 0; i < f.report.n_pcrs; i++)
		flip_every_bit(f.report.pcrs[i]->value, &in);
	cut_everywhere(&f.report.report, &in);
	cut_everywhere(&f.report.signature, &in);
	cut_everywhere(&f.report.key, &in);
	assert_true(accepted(&in));
	policy_free(p);
}

static void only_known_platforms_are_found(void **state)
{
	(void)state;
	assert_non_null(evidence_find("tpm"));
	assert_false(evidence_find("tpm")->insecure);
	assert_true(evidence_find("soft")->insecure);
	assert_null(evidence_find(""));
	assert_null(evidence_find("tpm "));
}

static int make_keys(void **state)
{
	evidence_try_make_keys(&keys);
	return 0;
}

static int free_keys(void **state)
{
	evidence_try_free_keys(&keys);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_names_its_own_rule),
		cmocka_unit_test(no_bit_can_be_changed),
		cmocka_unit_test(only_known_platforms_are_found),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
