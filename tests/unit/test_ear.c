/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>

#include "cleanup.h"
#include "verifier/ear.h"
#include "verifier/jws.h"

/* One application, and what its submodule says. */
static const struct {
	const char *what, *platform;
	bool insecure;
	const char *application; /* as the record has it, without its name */
	const char *status, *vector;
} cases[] = {
	{ "running and good", "sev-snp", false,
	  "{'accepted':true,'latched':false,'kind':'dynamic','reasons':[]}", "affirming",
	  "{'instance-identity':2,'configuration':2,'executables':2,'file-system':2,'hardware':2,"
	  "'runtime-opaque':2,'sourced-data':2}" },
	{ "memory that nothing encrypts", "tpm", false,
	  "{'accepted':true,'latched':false,'kind':'dynamic','reasons':[]}", "affirming",
	  "{'instance-identity':2,'configuration':2,'executables':2,'file-system':2,'hardware':2,"
	  "'sourced-data':2}" },
	{ "not started yet", "tdx", false,
	  "{'accepted':true,'latched':false,'kind':'static','reasons':[]}", "affirming",
	  "{'instance-identity':2,'configuration':2,'executables':3,'file-system':2,'hardware':"
	  "2}" },
	{ "patched code", "tdx", false,
	  "{'accepted':false,'latched':true,'kind':'dynamic','reasons':[{'rule':"
	  "'dynamic.code.modified_text','warning':false}]}",
	  "contraindicated",
	  "{'instance-identity':2,'configuration':2,'executables':33,'file-system':2,'hardware':2,"
	  "'runtime-opaque':2,'sourced-data':2}" },
	{ "a debuggable guest", "tdx", false,
	  "{'accepted':false,'latched':true,'kind':'static','reasons':[{'rule':"
	  "'platforms.tdx.debug','warning':false}]}",
	  "contraindicated",
	  "{'instance-identity':2,'configuration':2,'executables':3,'file-system':2,'hardware':2,"
	  "'runtime-opaque':96}" },
	{ "a forged report: nothing else is known", "tdx", false,
	  "{'accepted':false,'latched':true,'kind':'dynamic','reasons':[{'rule':"
	  "'evidence.signature','warning':false}]}",
	  "contraindicated", "{'hardware':99}" },
	{ "another machine's key", "tpm", false,
	  "{'accepted':false,'latched':false,'kind':'static','reasons':[{'rule':'evidence.key',"
	  "'warning':false}]}",
	  "contraindicated", "{'instance-identity':97}" },
	{ "a warning", "sev-snp", false,
	  "{'accepted':true,'latched':false,'kind':'dynamic','reasons':[{'rule':"
	  "'dynamic.connections','warning':true}]}",
	  "warning",
	  "{'instance-identity':2,'configuration':2,'executables':2,'file-system':2,'hardware':2,"
	  "'runtime-opaque':2,'sourced-data':32}" },
	{ "good now, and not readmitted", "sev-snp", false,
	  "{'accepted':true,'latched':true,'kind':'dynamic','reasons':[]}", "contraindicated",
	  "{'instance-identity':2,'configuration':2,'executables':2,'file-system':2,'hardware':2,"
	  "'runtime-opaque':2,'sourced-data':2}" },
	{ "no chip at all", "soft", true,
	  "{'accepted':true,'latched':false,'kind':'dynamic','reasons':[]}", "none", "{}" },
};

static json_t *json_of(const char *quoted)
{
	char text[1024];
	json_t *j;

	snprintf(text, sizeof(text), "%s", quoted);
	for (char *c = text; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	j = json_loads(text, 0, NULL);
	if (!j)
		fail_msg("%s", quoted);
	return j;
}

static json_t *attester_of(const char *platform, bool insecure, const char *application)
{
	json_t *a = json_of(application);

	json_object_set_new(a, "application", json_string("payroll"));
	return json_pack("{s:s, s:s, s:b, s:[o]}", "attester", "000b", "platform", platform,
			 "insecure", insecure, "applications", a);
}

static void verdicts_become_vectors(void **state)
{
	const struct ear_context context = { .build = "1", .now = 1000, .valid = 60 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *attester =
			attester_of(cases[i].platform, cases[i].insecure, cases[i].application);
		json_t *vector = json_of(cases[i].vector), *ear = NULL, *sub, *seen;

		assert_int_equal(ear_claims(attester, &context, &ear), 0);
		sub = json_object_get(json_object_get(ear, "submods"), "payroll");
		seen = json_object_get(sub, "ear_trustworthiness_vector");
		if (!json_equal(seen, vector))
			fail_msg("%s: %s", cases[i].what, json_dumps(seen, JSON_COMPACT));
		if (strcmp(json_string_value(json_object_get(sub, "ear_status")),
			   cases[i].status) != 0)
			fail_msg("%s: %s", cases[i].what,
				 json_string_value(json_object_get(sub, "ear_status")));
		json_decref(ear);
		json_decref(vector);
		json_decref(attester);
	}
}

static void a_result_says_whose_and_when(void **state)
{
	struct ear_context context = {
		.build = "7", .now = 1000, .valid = 60, .nonce = "12345678"
	};
	json_t *attester = attester_of("tpm", false, cases[0].application), *ear = NULL, *id;
	char long_nonce[EAR_NONCE_MAX + 2];

	(void)state;
	assert_int_equal(ear_claims(attester, &context, &ear), 0);
	assert_string_equal(json_string_value(json_object_get(ear, "eat_profile")),
			    "tag:ietf.org,2026:rats/ear#04");
	assert_int_equal(json_integer_value(json_object_get(ear, "iat")), 1000);
	assert_int_equal(json_integer_value(json_object_get(ear, "exp")), 1060);
	assert_string_equal(json_string_value(json_object_get(ear, "eat_nonce")), "12345678");
	id = json_object_get(ear, "ear_verifier_id");
	assert_string_equal(json_string_value(json_object_get(id, "build")), "7");
	json_decref(ear);
	context.nonce = "1234567";
	assert_int_equal(ear_claims(attester, &context, &ear), -EINVAL);
	memset(long_nonce, 'x', sizeof(long_nonce));
	long_nonce[sizeof(long_nonce) - 1] = '\0';
	context.nonce = long_nonce;
	assert_int_equal(ear_claims(attester, &context, &ear), -EINVAL);
	json_decref(attester);
}

/* Our own reading of base64url, so that the one that is tested does not check itself. */
static size_t decode(const char *text, size_t len, uint8_t *to)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	size_t n = 0;
	int have = 0;

	for (size_t i = 0; i < len; i++) {
		const char *at = strchr(digits, text[i]);

		assert_non_null(at);
		bits = bits << 6 | (uint32_t)(at - digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			to[n++] = (uint8_t)(bits >> have);
		}
	}
	return n;
}

/* The key of the JWK, as whoever fetched it would make it. */
static EVP_PKEY *key_of(json_t *jwk)
{
	uint8_t point[65] = { 0x04 };
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	const char *x = json_string_value(json_object_get(jwk, "x"));
	const char *y = json_string_value(json_object_get(jwk, "y"));
	OSSL_PARAM *params;
	EVP_PKEY *key = NULL;

	assert_int_equal(decode(x, strlen(x), point + 1), 32);
	assert_int_equal(decode(y, strlen(y), point + 33), 32);
	OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
	OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point));
	params = OSSL_PARAM_BLD_to_param(build);
	assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
	assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(context);
	return key;
}

static bool signature_holds(EVP_PKEY *key, const char *token)
{
	const char *end = strrchr(token, '.');
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	ECDSA_SIG *s = ECDSA_SIG_new();
	uint8_t raw[128], *der = NULL;
	int len;
	bool good;

	assert_int_equal(decode(end + 1, strlen(end + 1), raw), 64);
	ECDSA_SIG_set0(s, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
	len = i2d_ECDSA_SIG(s, &der);
	assert_true(len > 0);
	good = EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
	       EVP_DigestVerify(context, der, (size_t)len, (const uint8_t *)token,
				(size_t)(end - token)) == 1;
	OPENSSL_free(der);
	ECDSA_SIG_free(s);
	EVP_MD_CTX_free(context);
	return good;
}

static void signatures_hold_with_the_key_that_is_served(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256"), *keys[2];
	json_t *set = NULL, *header;
	uint8_t text[512];

	(void)state;
	keys[0] = key;
	keys[1] = other;
	assert_int_equal(jws_key_set(keys, 2, &set), 0);
	for (int i = 0; i < 64; i++) {
		CLEANUP(bytes_cleanup) struct bytes token = BYTES_INIT(65536);
		json_t *jwk = json_array_get(json_object_get(set, "keys"), 0);
		EVP_PKEY *served = key_of(jwk);
		char payload[64];
		size_t len;

		/* Many: r and s begin with zeros now and then, which must stay. */
		snprintf(payload, sizeof(payload), "{\"n\":%d}", i);
		assert_int_equal(jws_sign(key, view_text(payload), &token), 0);
		assert_int_equal(bytes_append_u8(&token, 0), 0);
		assert_true(signature_holds(served, (char *)token.data));
		assert_false(signature_holds(other, (char *)token.data));
		len = decode((char *)token.data, strcspn((char *)token.data, "."), text);
		header = json_loadb((char *)text, len, JSON_REJECT_DUPLICATES, NULL);
		assert_string_equal(json_string_value(json_object_get(header, "alg")), "ES256");
		assert_true(
			json_equal(json_object_get(header, "kid"), json_object_get(jwk, "kid")));
		json_decref(header);
		/* The payload changed. */
		token.data[strcspn((char *)token.data, ".") + 2] ^= 1;
		assert_false(signature_holds(served, (char *)token.data));
		EVP_PKEY_free(served);
	}
	json_decref(set);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

static void only_keys_of_p256_sign(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes token = BYTES_INIT(65536);
	EVP_PKEY *key = EVP_EC_gen("P-384");
	json_t *jwk;

	(void)state;
	assert_int_equal(jws_public_key(key, &jwk), -EINVAL);
	assert_int_equal(jws_sign(key, view_text("{}"), &token), -EINVAL);
	EVP_PKEY_free(key);
}

static void base64url_has_no_padding(void **state)
{
	static const struct {
		const char *data, *text;
	} known[] = { { "", "" },	 { "f", "Zg" },	       { "fo", "Zm8" },
		      { "foo", "Zm9v" }, { "foob", "Zm9vYg" }, { "\xfb\xff", "-_8" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		CLEANUP(bytes_cleanup) struct bytes b = BYTES_INIT(64);

		assert_int_equal(base64url_append(&b, view_text(known[i].data)), 0);
		assert_true(view_is(bytes_view(&b), known[i].text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts_become_vectors),
		cmocka_unit_test(a_result_says_whose_and_when),
		cmocka_unit_test(signatures_hold_with_the_key_that_is_served),
		cmocka_unit_test(only_keys_of_p256_sign),
		cmocka_unit_test(base64url_has_no_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
