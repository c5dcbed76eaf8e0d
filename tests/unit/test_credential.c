/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>

#include "credential.h"
#include "tests/support/ek_fixture.h"
#include "tests/support/shared_evidence.h"
#include "tests/support/tpm_fixture.h"

#define YEAR (365 * 24 * 3600)
#define NOW  1800000000

static EVP_PKEY *root_key, *middle_key, *ek_key, *ak_key, *other_key;

/* The chain of the running case. */
static struct ek_fixture_certificate root, middle, leaf;
static struct bytes roots, chain, certificate;
static int64_t now;

#define EK_USAGE "2.23.133.8.1"

static void start_case(void)
{
	root = (struct ek_fixture_certificate){
		.key = root_key,
		.subject = "Root",
		.issuer = "Root",
		.issuer_key = root_key,
		.not_before = NOW - YEAR,
		.not_after = NOW + YEAR,
		.digest = "SHA256",
		.extensions = { "basicConstraints", "critical,CA:TRUE", "keyUsage",
				"critical,keyCertSign" },
	};
	middle = root;
	middle.key = middle_key;
	middle.subject = "Middle";
	leaf = (struct ek_fixture_certificate){
		.key = ek_key,
		.subject = NULL,
		.issuer = "Middle",
		.issuer_key = middle_key,
		.not_before = NOW - YEAR,
		.not_after = NOW + YEAR,
		.digest = "SHA256",
		/* TPM manufacturer, model and version stand in the SAN of a real one. */
		.extensions = { "basicConstraints", "critical,CA:FALSE", "keyUsage",
				"critical,keyEncipherment", "extendedKeyUsage", EK_USAGE,
				"subjectAltName", "critical,DNS:tpm.example" },
	};
	roots = BYTES_INIT(64 * 1024);
	chain = BYTES_INIT(64 * 1024);
	certificate = BYTES_INIT(64 * 1024);
	now = NOW;
}

static void issue(const struct ek_fixture_certificate *c, struct bytes *ret,
		  void (*as)(X509 *x, struct bytes *ret))
{
	X509 *x = ek_fixture_issue(c);

	as(x, ret);
	X509_free(x);
}

static void issue_all(void)
{
	issue(&root, &roots, ek_fixture_pem);
	issue(&middle, &chain, ek_fixture_der);
	issue(&leaf, &certificate, ek_fixture_der);
}

static void end_case(void)
{
	bytes_done(&roots);
	bytes_done(&chain);
	bytes_done(&certificate);
}

static void set_extension(struct ek_fixture_certificate *c, const char *name, const char *value)
{
	size_t i;

	for (i = 0; c->extensions[i] && strcmp(c->extensions[i], name) != 0; i += 2)
		;
	c->extensions[i] = name;
	c->extensions[i + 1] = value;
}

static void drop_extensions(struct ek_fixture_certificate *c)
{
	memset(c->extensions, 0, sizeof(c->extensions));
}

static void nothing(void)
{
}

static void of_no_usage(void)
{
	drop_extensions(&leaf);
}

static void of_agreement(void)
{
	set_extension(&leaf, "keyUsage", "critical,keyAgreement");
}

static void of_two_usages(void)
{
	set_extension(&leaf, "extendedKeyUsage", "clientAuth," EK_USAGE);
}

static void of_platform_attributes(void)
{
	set_extension(&leaf, "2.5.29.9", "critical,DER:30:00");
}

static void of_unknown_extension(void)
{
	set_extension(&leaf, "1.2.3.4.5", "DER:05:00");
}

static void of_unknown_critical(void)
{
	set_extension(&leaf, "1.2.3.4.5", "critical,DER:05:00");
}

static void middle_of_platform_attributes(void)
{
	set_extension(&middle, "2.5.29.9", "critical,DER:30:00");
}

static void of_a_ca(void)
{
	set_extension(&leaf, "basicConstraints", "critical,CA:TRUE");
	set_extension(&leaf, "keyUsage", "critical,keyCertSign,keyEncipherment");
}

static void of_an_ak(void)
{
	set_extension(&leaf, "keyUsage", "critical,digitalSignature");
}

static void of_an_ak_by_usage(void)
{
	set_extension(&leaf, "extendedKeyUsage", "2.23.133.8.3");
}

static void of_a_server(void)
{
	set_extension(&leaf, "extendedKeyUsage", "serverAuth");
}

static void of_a_broken_usage(void)
{
	set_extension(&leaf, "extendedKeyUsage", "DER:05:00");
}

static void expired(void)
{
	leaf.not_after = NOW - 1;
}

static void not_yet_valid(void)
{
	leaf.not_before = NOW + 1;
}

static void expired_middle(void)
{
	middle.not_after = NOW - 1;
}

static void later(void)
{
	now = NOW + 2 * (int64_t)YEAR;
}

static void by_a_leaf(void)
{
	set_extension(&middle, "basicConstraints", "critical,CA:FALSE");
	set_extension(&middle, "keyUsage", "critical,digitalSignature");
}

static void by_an_old_style_ca(void)
{
	drop_extensions(&middle);
	set_extension(&middle, "keyUsage", "critical,keyCertSign");
}

static void past_the_path_length(void)
{
	set_extension(&root, "basicConstraints", "critical,CA:TRUE,pathlen:0");
}

static void by_another_key(void)
{
	leaf.issuer_key = other_key;
}

static void by_another_root(void)
{
	middle.issuer_key = other_key;
}

static void by_sha1(void)
{
	leaf.digest = "SHA1";
}

/* Changes to what was issued. */

static void padded(void)
{
	for (int i = 0; i < 100; i++)
		assert_int_equal(bytes_append_u8(&certificate, 0), 0);
}

static void bytes_behind(void)
{
	assert_int_equal(bytes_append_u8(&certificate, 1), 0);
}

static void cut_short(void)
{
	certificate.len--;
}

static void too_large(void)
{
	while (certificate.len <= EK_CERTIFICATE_MAX)
		assert_int_equal(bytes_append_u8(&certificate, 0), 0);
}

static void no_certificate(void)
{
	certificate.len = 0;
}

static void no_chain(void)
{
	chain.len = 0;
}

static void chain_cut_short(void)
{
	chain.len--;
}

static void chain_too_long(void)
{
	size_t len = chain.len;

	for (int i = 0; i < EK_CHAIN_CERTS; i++) {
		uint8_t *to;

		assert_int_equal(bytes_reserve(&chain, len, &to), 0);
		memcpy(to, chain.data, len);
		chain.len += len;
	}
}

static void no_roots(void)
{
	roots.len = 0;
}

static void roots_of_rubbish(void)
{
	roots.data[40] ^= 0x55;
}

/* The owner pins the issuing CA and does not have the root. */
static void anchored_in_the_middle(void)
{
	roots.len = chain.len = 0;
	issue(&middle, &roots, ek_fixture_pem);
}

static void tampered(void)
{
	certificate.data[certificate.len - 1] ^= 1;
}

static const struct {
	const char *what;
	void (*before)(void);
	void (*after)(void);
	const char *seen; /* NULL: it holds */
} certificate_cases[] = {
	{ "an EK certificate over an intermediate", nothing, nothing, NULL },
	{ "one that says nothing of its use", of_no_usage, nothing, NULL },
	{ "an ECC one, for key agreement", of_agreement, nothing, NULL },
	{ "one for two uses", of_two_usages, nothing, NULL },
	{ "one with zero padding, as in NV", nothing, padded, NULL },
	{ "one with critical platform attributes", of_platform_attributes, nothing, NULL },
	{ "one with an unknown extension", of_unknown_extension, nothing, NULL },
	{ "one under a pinned intermediate", nothing, anchored_in_the_middle, NULL },

	{ "an unknown critical extension", of_unknown_critical, nothing, "critical extension" },
	{ "platform attributes in a CA", middle_of_platform_attributes, nothing,
	  "critical extension" },
	{ "a CA", of_a_ca, nothing, "certificate of a CA" },
	{ "an AK, by its key usage", of_an_ak, nothing, "cannot be sealed to" },
	{ "an AK, by its extended usage", of_an_ak_by_usage, nothing, "another use" },
	{ "a server", of_a_server, nothing, "another use" },
	{ "an extended usage that cannot be read", of_a_broken_usage, nothing,
	  "issuer certificate" },
	{ "expired", expired, nothing, "has expired" },
	{ "not yet valid", not_yet_valid, nothing, "not yet valid" },
	{ "an expired intermediate", expired_middle, nothing, "has expired" },
	{ "judged years later", later, nothing, "has expired" },
	{ "issued by a leaf", by_a_leaf, nothing, "certificate 1 of the chain" },
	{ "issued by a CA without basic constraints", by_an_old_style_ca, nothing, "invalid CA" },
	{ "past the root's path length", past_the_path_length, nothing, "path length" },
	{ "signed by another key", by_another_key, nothing, "signature failure" },
	{ "an intermediate of another root", by_another_root, nothing, "signature failure" },
	{ "signed with SHA-1", by_sha1, nothing, "digest algorithm too weak" },
	{ "a changed byte", nothing, tampered, "certificate" },
	{ "bytes behind it", nothing, bytes_behind, "not one certificate" },
	{ "cut short", nothing, cut_short, "not one certificate" },
	{ "too large", nothing, too_large, "not one certificate" },
	{ "none", nothing, no_certificate, "no EK certificate" },
	{ "no chain", nothing, no_chain, "local issuer certificate" },
	{ "a chain cut short", nothing, chain_cut_short, "a chain that is not" },
	{ "a chain too long", nothing, chain_too_long, "a chain that is not" },
	{ "no roots", nothing, no_roots, "no certificate of an EK CA" },
	{ "roots that are none", nothing, roots_of_rubbish, "no certificate of an EK CA" },
};

static void an_ek_certificate_chains_to_the_roots(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(certificate_cases); i++) {
		const char *what = certificate_cases[i].what, *seen = certificate_cases[i].seen;
		struct appraisal a;
		int r;

		start_case();
		certificate_cases[i].before();
		issue_all();
		certificate_cases[i].after();
		appraisal_init(&a);
		r = ek_certificate_judge(bytes_view(&certificate), bytes_view(&chain),
					 bytes_view(&roots), now, &a);
		if (r != (seen ? 0 : 1) || a.refused != !!seen)
			fail_msg("%s: %d %s", what, r, a.n ? a.reasons[0].seen : "");
		if (seen && (strcmp(a.reasons[0].rule, "platforms.tpm.ek_ca") != 0 ||
			     !strstr(a.reasons[0].seen, seen)))
			fail_msg("%s: %s: %s", what, a.reasons[0].rule, a.reasons[0].seen);
		appraisal_done(&a);
		end_case();
	}
}

/* Genuine certificates of keys in virtual TPMs. None is an EK's: the reason tells how far it came.
 */
static const struct {
	const char *what, *file, *chain, *root;
	int64_t now;
	const char *seen;
} genuine[] = {
	{ "Google's, empty subject and critical SAN", "gce-uca_tpm_rsa_sign_cert.pem",
	  "gce-tpm-ek-intermediate-3.der", "gce-tpm-ek-root-1.der", NOW, "cannot be sealed to" },
	{ "Google's of an RSA AK", "gce-pca_tpm_rsa_sign_cert.pem", "gce-ek-ak-intermediate-v3.der",
	  "gce-ek-ak-root.der", NOW, "cannot be sealed to" },
	{ "Google's of an ECC AK", "gce-pca_tpm_ecc_sign_cert.pem", "gce-ek-ak-intermediate-v3.der",
	  "gce-ek-ak-root.der", NOW, "cannot be sealed to" },
	{ "before it was made", "gce-pca_tpm_ecc_sign_cert.pem", "gce-ek-ak-intermediate-v3.der",
	  "gce-ek-ak-root.der", 1600000000, "not yet valid" },
	{ "under the other root", "gce-pca_tpm_ecc_sign_cert.pem", "gce-ek-ak-intermediate-v3.der",
	  "gce-tpm-ek-root-1.der", NOW, "issuer certificate" },
	{ "Azure's AK", "azure-ak.der", "azure_tpm_intermediate_03.pem", "azure_tpm_root_2023.pem",
	  1769000000, "cannot be sealed to" },
	{ "Azure's AK as it is in NV", "azure-ak-nv-padded.bin", "azure_tpm_intermediate_03.pem",
	  "azure_tpm_root_2023.pem", 1769000000, "cannot be sealed to" },
	{ "Azure's AK after it expired", "azure-ak.der", "azure_tpm_intermediate_03.pem",
	  "azure_tpm_root_2023.pem", 1795000000, "has expired" },
	{ "Azure's AK over the wrong intermediate", "azure-ak.der", "azure_tpm_intermediate_01.pem",
	  "azure_tpm_root_2023.pem", 1769000000, "issuer certificate" },
};

/* A genuine certificate, PEM or DER, as the other. */
static struct bytes load(const char *file, void (*as)(X509 *x, struct bytes *ret))
{
	struct bytes content = shared_evidence("tpm/ak-certs", file), out = BYTES_INIT(64 * 1024);
	BIO *bio = BIO_new_mem_buf(content.data, (int)content.len);
	X509 *x = strstr(file, ".pem") ? PEM_read_bio_X509(bio, NULL, NULL, NULL)
				       : d2i_X509_bio(bio, NULL);

	assert_non_null(x);
	as(x, &out);
	X509_free(x);
	BIO_free(bio);
	bytes_done(&content);
	return out;
}

static void genuine_certificates_chain_too(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(genuine); i++) {
		struct bytes x = strstr(genuine[i].file, ".bin")
					 ? shared_evidence("tpm/ak-certs", genuine[i].file)
					 : load(genuine[i].file, ek_fixture_der);
		struct bytes c = load(genuine[i].chain, ek_fixture_der);
		struct bytes r = load(genuine[i].root, ek_fixture_pem);
		struct appraisal a;

		appraisal_init(&a);
		if (ek_certificate_judge(bytes_view(&x), bytes_view(&c), bytes_view(&r),
					 genuine[i].now, &a) != 0 ||
		    !strstr(a.reasons[0].seen, genuine[i].seen))
			fail_msg("%s: %s", genuine[i].what, a.n ? a.reasons[0].seen : "holds");
		appraisal_done(&a);
		bytes_done(&x);
		bytes_done(&c);
		bytes_done(&r);
	}
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
	tampered();
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

		start_case();
		issue_all();
		ek_public = tpm_fixture_public(ek_key, TPM_FIXTURE_EK);
		ak_public = tpm_fixture_public(ak_key, TPM_FIXTURE_AK);
		ek_extra = ak_extra = 0;
		request_cases[i].change();
		q = (struct credential_request){
			bytes_view(&certificate),
			bytes_view(&chain),
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
		end_case();
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
	middle_key = tpm_fixture_key("P-256");
	ak_key = tpm_fixture_key("P-256");
	other_key = tpm_fixture_key("P-256");
	ek_key = tpm_fixture_key("RSA");
	return 0;
}

static int free_keys(void **state)
{
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(middle_key);
	EVP_PKEY_free(ak_key);
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(ek_key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ek_certificate_chains_to_the_roots),
		cmocka_unit_test(genuine_certificates_chain_too),
		cmocka_unit_test(a_request_is_judged),
		cmocka_unit_test(a_credential_is_made_for_good_keys_only),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
