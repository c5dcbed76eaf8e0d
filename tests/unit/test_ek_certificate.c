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

static EVP_PKEY *root_key, *middle_key, *ek_key, *other_key;

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

static int make_keys(void **state)
{
	root_key = tpm_fixture_key("P-384");
	middle_key = tpm_fixture_key("P-256");
	other_key = tpm_fixture_key("P-256");
	ek_key = tpm_fixture_key("RSA");
	return 0;
}

static int free_keys(void **state)
{
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(middle_key);
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(ek_key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ek_certificate_chains_to_the_roots),
		cmocka_unit_test(genuine_certificates_chain_too),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
