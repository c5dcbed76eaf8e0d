/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "credential.h"
#include "tests/support/ek_fixture.h"
#include "tests/support/tpm_fixture.h"

#define YEAR (365 * 24 * 3600)
#define NOW  1800000000

static EVP_PKEY *root_key, *ek_key, *ak_key, *other_key;
static struct bytes roots, certificate;

/* A good EK certificate under a root; test_ek_certificate.c has those that are not. */
static void issue(void)
{
	const struct ek_fixture_certificate root = {
		.key = root_key,
		.subject = "Root",
		.issuer = "Root",
		.issuer_key = root_key,
		.not_before = NOW - YEAR,
		.not_after = NOW + YEAR,
		.digest = "SHA256",
		.extensions = { "basicConstraints", "critical,CA:TRUE" },
	};
	struct ek_fixture_certificate leaf = root;
	X509 *x;

	leaf.key = ek_key;
	leaf.subject = NULL;
	leaf.extensions[1] = "critical,CA:FALSE";
	roots = BYTES_INIT(16 * 1024);
	certificate = BYTES_INIT(16 * 1024);
	x = ek_fixture_issue(&root);
	ek_fixture_pem(x, &roots);
	X509_free(x);
	x = ek_fixture_issue(&leaf);
	ek_fixture_der(x, &certificate);
	X509_free(x);
}

static void nothing(void)
{
}

static TPMT_PUBLIC ek_public, ak_public;
static size_t ek_extra, ak_extra;

static void other_ek(void)
{
	ek_public = tpm_fixture_public(other_key, TPM_FIXTURE_EK);
}

static void signing_ek(void)
{
	ek_public = tpm_fixture_public(ek_key, TPM_FIXTURE_AK);
}

static void unrestricted_ek(void)
{
	ek_public.objectAttributes &= ~TPMA_OBJECT_RESTRICTED;
}

static void exported_ek(void)
{
	ek_public.objectAttributes &= ~TPMA_OBJECT_FIXEDTPM;
}

static void ek_behind(void)
{
	ek_extra = 1;
}

static void unrestricted_ak(void)
{
	ak_public.objectAttributes &= ~TPMA_OBJECT_RESTRICTED;
}

static void storage_ak(void)
{
	ak_public = tpm_fixture_public(ak_key, TPM_FIXTURE_EK);
}

static void imported_ak(void)
{
	ak_public.objectAttributes &= ~TPMA_OBJECT_SENSITIVEDATAORIGIN;
}

static void ak_by_sha1(void)
{
	ak_public.nameAlg = TPM2_ALG_SHA1;
}

static void ak_off_the_curve(void)
{
	ak_public.unique.ecc.x.buffer[0] ^= 1;
}

static void ak_behind(void)
{
	ak_extra = 1;
}

static void certificate_tampered(void)
{
	certificate.data[certificate.len - 1] ^= 1;
}

static const struct {
	const char *what;
	void (*change)(void);
	const char *rule, *seen;
} request_cases[] = {
	{ "an EK with its certificate, an AK", nothing, NULL, NULL },
	{ "a certificate that is not good", certificate_tampered, "platforms.tpm.ek_ca", "" },
	{ "another EK than the certificate's", other_ek, "enrolment.ek", "another key" },
	{ "a signing key for EK", signing_ek, "enrolment.ek", "not a storage key" },
	{ "an EK that is not restricted", unrestricted_ek, "enrolment.ek", "not restricted" },
	{ "an EK that may leave its TPM", exported_ek, "enrolment.ek", "fixedTPM" },
	{ "bytes behind the EK", ek_behind, "enrolment.ek", "behind" },
	{ "an AK that signs anything", unrestricted_ak, "enrolment.ak", "not restricted" },
	{ "a storage key for AK", storage_ak, "enrolment.ak", "not a signing key" },
	{ "an imported AK", imported_ak, "enrolment.ak", "sensitiveDataOrigin" },
	{ "an AK named by SHA-1", ak_by_sha1, "enrolment.ak", "name algorithm" },
	{ "an AK off its curve", ak_off_the_curve, "enrolment.ak", "P-256" },
	{ "bytes behind the AK", ak_behind, "enrolment.ak", "behind" },
};

static void a_request_is_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(request_cases); i++) {
		const char *what = request_cases[i].what, *rule = request_cases[i].rule;
		uint8_t ek[2048] = { 0 }, ak[2048] = { 0 };
		struct credential_request q;
		struct bytes name = BYTES_INIT(AK_NAME_MAX);
		struct appraisal a;
		int r;

		issue();
		ek_public = tpm_fixture_public(ek_key, TPM_FIXTURE_EK);
		ak_public = tpm_fixture_public(ak_key, TPM_FIXTURE_AK);
		ek_extra = ak_extra = 0;
		request_cases[i].change();
		q = (struct credential_request){
			bytes_view(&certificate),
			view_of(NULL, 0),
			view_of(ek,
				tpm_fixture_marshal_public(&ek_public, ek, sizeof(ek)) + ek_extra),
			view_of(ak,
				tpm_fixture_marshal_public(&ak_public, ak, sizeof(ak)) + ak_extra),
		};
		appraisal_init(&a);
		r = credential_judge(&q, bytes_view(&roots), NOW, &a, &name);
		if (r != (rule ? 0 : 1) || a.refused != !!rule || (name.len == 34) != !rule)
			fail_msg("%s: %d %s", what, r, a.n ? a.reasons[0].seen : "");
		if (rule && (strcmp(a.reasons[0].rule, rule) != 0 ||
			     !strstr(a.reasons[0].seen, request_cases[i].seen)))
			fail_msg("%s: %s: %s", what, a.reasons[0].rule, a.reasons[0].seen);
		appraisal_done(&a);
		bytes_done(&name);
		bytes_done(&roots);
		bytes_done(&certificate);
	}
}

static void aes_192(void)
{
	ek_public.parameters.rsaDetail.symmetric.keyBits.aes = 192;
}

static void no_symmetric(void)
{
	ek_public.parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
}

static void aes_in_cbc(void)
{
	ek_public.parameters.rsaDetail.symmetric.mode.aes = TPM2_ALG_CBC;
}

static void small_modulus(void)
{
	ek_public.unique.rsa.size = 128;
	ek_public.parameters.rsaDetail.keyBits = 1024;
}

static void exponent_three(void)
{
	ek_public.parameters.rsaDetail.exponent = 3;
}

static const struct {
	const char *what;
	void (*change)(void);
	size_t credential, name;
	int r;
} make_cases[] = {
	{ "a credential", nothing, 32, 34, 0 },
	{ "one byte", nothing, 1, 34, 0 },
	{ "AES-192", aes_192, 32, 34, 0 },
	{ "no credential", nothing, 0, 34, -EINVAL },
	{ "a credential that does not fit", nothing, 33, 34, -EINVAL },
	{ "no name", nothing, 32, 0, -EINVAL },
	{ "a name that is none", nothing, 32, 67, -EINVAL },
	{ "a key that signs", signing_ek, 32, 34, -EBADMSG },
	{ "a key without a cipher", no_symmetric, 32, 34, -EBADMSG },
	{ "a key with CBC", aes_in_cbc, 32, 34, -EBADMSG },
	{ "RSA of 1024 bits", small_modulus, 32, 34, -EBADMSG },
	{ "a public exponent of 3", exponent_three, 32, 34, -EBADMSG },
};

/* That what is made opens is for a TPM to say: tests/chip. */
static void a_credential_is_made_for_good_keys_only(void **state)
{
	static const uint8_t fill[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(make_cases); i++) {
		struct bytes blob = BYTES_INIT(CREDENTIAL_BLOB_MAX);
		struct bytes seed = BYTES_INIT(CREDENTIAL_SEED_MAX);
		uint8_t ek[2048];
		int r;

		ek_public = tpm_fixture_public(ek_key, TPM_FIXTURE_EK);
		make_cases[i].change();
		r = credential_make(
			view_of(ek, tpm_fixture_marshal_public(&ek_public, ek, sizeof(ek))),
			view_of(fill, make_cases[i].name), view_of(fill, make_cases[i].credential),
			&blob, &seed);
		if (r != make_cases[i].r)
			fail_msg("%s: %d", make_cases[i].what, r);
		if (r == 0) {
			/* Two sizes, the HMAC, the credential behind its own size. */
			assert_int_equal(blob.len, 2 + 2 + 32 + 2 + make_cases[i].credential);
			assert_int_equal(seed.len, 2 + 256);
		}
		bytes_done(&blob);
		bytes_done(&seed);
	}
}

static int make_keys(void **state)
{
	root_key = tpm_fixture_key("P-384");
	ak_key = tpm_fixture_key("P-256");
	other_key = tpm_fixture_key("P-256");
	ek_key = tpm_fixture_key("RSA");
	return 0;
}

static int free_keys(void **state)
{
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(ak_key);
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(ek_key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_judged),
		cmocka_unit_test(a_credential_is_made_for_good_keys_only),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
