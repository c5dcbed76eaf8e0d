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

#include "cleanup.h"
#include "quantity.h"
#include "ratls.h"
#include "tests/support/alone_try.h"
#include "tests/support/snp_fixture.h"

/* Certificates with evidence over their key: made and judged, and wrong in one thing at a time. */

CLEANUP_FUNCTION(X509 *, X509_free)

#define ARENA_MAX   (1024 * 1024)
#define VALUE_MAX   (128 * 1024)
#define REPORT_DATA 0x50
#define DAY	    86400
#define SIGNED	    0x2a0 /* bytes of a report */

static const uint8_t sev_snp_array[] = { 0xda, 0x00, 0x1a, 0x75, 0x04, 0x82 };

struct scene {
	struct snp_fixture_keys keys;
	struct snp_fixture f;
	struct endorsements *e;
	EVP_PKEY *key, *other;
	int64_t now;
};

static int scene_open(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	snp_fixture_make_keys(&s->keys);
	snp_fixture_init(&s->f, &s->keys, "Genoa");
	snp_fixture_certify(&s->f, &s->f.vcek);
	assert_int_equal(endorsements_new(&s->e), 0);
	snp_fixture_endorse(s->e, s->f.vcek.x);
	snp_fixture_endorse(s->e, s->f.ark);
	snp_fixture_endorse(s->e, s->f.ask);
	s->key = EVP_EC_gen("P-256");
	s->other = EVP_EC_gen("P-256");
	assert_true(s->key && s->other);
	assert_int_equal(quantity_instant(SNP_FIXTURE_NOW, &s->now), 0);
	*state = s;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *s = *state;

	EVP_PKEY_free(s->key);
	EVP_PKEY_free(s->other);
	endorsements_free(s->e);
	snp_fixture_done(&s->f);
	snp_fixture_free_keys(&s->keys);
	free(s);
	return 0;
}

/* A report over the claims, as the chip would give it. */
static void report_over(struct scene *s, struct view claims)
{
	assert_int_equal(ratls_report_data(claims, s->f.report + REPORT_DATA), 0);
	snp_fixture_sign(&s->f, s->f.vcek.key);
}

static struct view report(const struct scene *s)
{
	return view_of(s->f.report, sizeof(s->f.report));
}

static struct bytes claims_of(EVP_PKEY *key, const char *nonce)
{
	struct bytes b = BYTES_INIT(RATLS_CLAIMS_MAX);

	assert_int_equal(ratls_claims(key, view_text(nonce), &b), 0);
	return b;
}

static X509 *certificate(const struct scene *s, EVP_PKEY *key, struct view value)
{
	X509 *x;

	assert_int_equal(ratls_certificate(key, value, s->now - DAY, s->now + DAY, &x), 0);
	return x;
}

static void judge_file(const struct scene *s, struct view file, const char *platform,
		       const char *nonce, struct alone_try *ret)
{
	struct evidence_alone in = { .platform = platform,
				     .endorsements = s->e,
				     .now = s->now,
				     .roots = &s->f.root,
				     .n_roots = 1 };
	struct evidence_found found;
	struct arena *arena;

	*ret = (struct alone_try){ 0 };
	appraisal_init(&ret->a);
	assert_int_equal(arena_new(ARENA_MAX, &arena), 0);
	assert_int_equal(ratls_appraise(&in, "certificate", file, view_text(nonce), arena, &ret->a,
					&found, &ret->result),
			 0);
	ret->verdict = evidence_verdict(&ret->a);
	ret->ops = found.ops;
	arena_free(arena);
}

/* rule NULL: it is good. */
static void expect_file(const char *what, const struct scene *s, struct view file, const char *rule,
			const char *text)
{
	struct alone_try t;

	judge_file(s, file, NULL, "", &t);
	alone_try_expect(what, &t, rule ? EVIDENCE_INVALID : EVIDENCE_VALID, rule, text);
	appraisal_done(&t.a);
}

static void expect(const char *what, const struct scene *s, X509 *x, const char *rule,
		   const char *text)
{
	unsigned char *der = NULL;
	int len = i2d_X509(x, &der);

	assert_true(len > 0);
	expect_file(what, s, view_of(der, (size_t)len), rule, text);
	OPENSSL_free(der);
}

static void expect_extension(const char *what, const struct scene *s, struct view value,
			     const char *rule, const char *text)
{
	CLEANUP(X509_freep) X509 *x = certificate(s, s->key, value);

	expect(what, s, x, rule, text);
}

static void what_is_made_is_good(void **state)
{
	static const char *const kinds[] = { "P-256", "P-384" };
	struct scene *s = *state;

	for (size_t i = 0; i < ARRAY_LEN(kinds) + 2; i++) {
		EVP_PKEY *key = i < ARRAY_LEN(kinds)	? EVP_EC_gen(kinds[i])
				: i == ARRAY_LEN(kinds) ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
							: EVP_RSA_gen(2048);
		CLEANUP(bytes_cleanup) struct bytes claims = claims_of(key, i % 2 ? "fresh" : "");
		CLEANUP(bytes_cleanup) struct bytes value = BYTES_INIT(VALUE_MAX);
		CLEANUP(X509_freep) X509 *x = NULL;
		const char *why;
		struct ratls t;

		report_over(s, bytes_view(&claims));
		assert_int_equal(ratls_extension("sev-snp", report(s), bytes_view(&claims), &value),
				 0);
		x = certificate(s, key, bytes_view(&value));
		assert_int_equal(ratls_read(x, &t, &why), 0);
		assert_string_equal(t.platform, "sev-snp");
		assert_true(view_equal(t.report, report(s)));
		assert_true(view_is(t.nonce, i % 2 ? "fresh" : ""));
		expect("as it is made", s, x, NULL, NULL);
		EVP_PKEY_free(key);
	}
}

static void the_nonce_is_the_one_that_was_given(void **state)
{
	static const struct {
		const char *in, *expected, *refused;
	} nonces[] = {
		{ "one", "one", NULL },	  { "one", "", NULL },	  { "one", "two", "nonce" },
		{ "one", "on", "nonce" }, { "", "one", "nonce" },
	};
	struct scene *s = *state;

	for (size_t i = 0; i < ARRAY_LEN(nonces); i++) {
		CLEANUP(bytes_cleanup) struct bytes claims = claims_of(s->key, nonces[i].in);
		CLEANUP(bytes_cleanup) struct bytes value = BYTES_INIT(VALUE_MAX);
		CLEANUP(X509_freep) X509 *x = NULL;
		unsigned char *der = NULL;
		struct alone_try t;
		int len;

		report_over(s, bytes_view(&claims));
		assert_int_equal(ratls_extension("sev-snp", report(s), bytes_view(&claims), &value),
				 0);
		x = certificate(s, s->key, bytes_view(&value));
		len = i2d_X509(x, &der);
		assert_true(len > 0);
		judge_file(s, view_of(der, (size_t)len), NULL, nonces[i].expected, &t);
		alone_try_expect(nonces[i].expected, &t,
				 nonces[i].refused ? EVIDENCE_INVALID : EVIDENCE_VALID,
				 nonces[i].refused ? "evidence.ratls" : NULL, nonces[i].refused);
		appraisal_done(&t.a);
		OPENSSL_free(der);
	}
}

static void there_is_no_tag_for_every_platform(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes b = BYTES_INIT(VALUE_MAX);

	(void)state;
	assert_int_equal(ratls_extension("tpm", view_text("r"), view_text("c"), &b), -ENOTSUP);
	assert_int_equal(b.len, 0);
}

static void none_is_made_that_is_too_long_to_be_read(void **state)
{
	CLEANUP(cleanup_mem) uint8_t *value = calloc(1, X509_DER_MAX);
	struct scene *s = *state;
	X509 *x = NULL;

	assert_non_null(value);
	assert_int_equal(
		ratls_certificate(s->key, view_of(value, X509_DER_MAX), s->now, s->now, &x),
		-EMSGSIZE);
	assert_null(x);
}

/* The claims buffer by hand; the report is over it, so that nothing else is wrong. */
static const struct {
	const char *what;
	const char *head; /* hex before the hash of the key */
	const char *tail; /* hex behind it */
	const char *md;
	const char *refused; /* NULL: good */
} claims_cases[] = {
#define NAME "6b7075626b65792d68617368" /* "pubkey-hash" */
	{ "sha-256",
	  "a1" NAME "5824820158"
	  "20",
	  "", "SHA256", NULL },
	{ "sha-384",
	  "a1" NAME "5834820758"
	  "30",
	  "", "SHA384", NULL },
	{ "sha-512",
	  "a1" NAME "5844820858"
	  "40",
	  "", "SHA512", NULL },
	{ "a claim of somebody's own behind it",
	  "a2" NAME "5824820158"
	  "20",
	  "656d696e654101", "SHA256", NULL },
	{ "sha-256 called sha-384",
	  "a1" NAME "5824820758"
	  "20",
	  "", "SHA256", "another key" },
	{ "sha-256-128",
	  "a1" NAME "5824820258"
	  "20",
	  "", "SHA256", "not by sha-256 (1)" },
	{ "algorithm 0",
	  "a1" NAME "5824820058"
	  "20",
	  "", "SHA256", "not by sha-256 (1)" },
	{ "sha3-512",
	  "a1" NAME "5844820c58"
	  "40",
	  "", "SHA3-512", "not by sha-256 (1)" },
	{ "the entry not in bytes",
	  "a1" NAME "820158"
	  "20",
	  "", "SHA256", "not bytes" },
	{ "an entry of three",
	  "a1" NAME "5825830158"
	  "20",
	  "00", "SHA256", "not [algorithm, hash]" },
	{ "bytes behind the entry",
	  "a1" NAME "5825820158"
	  "20",
	  "00", "SHA256", "not [algorithm, hash]" },
	{ "a name of another case",
	  "a1"
	  "6b5075626b65792d68617368"
	  "5824820158"
	  "20",
	  "", "SHA256", "no pubkey-hash" },
	{ "the name twice",
	  "a2" NAME "4100" NAME "5824820158"
	  "20",
	  "", "SHA256", "not one map" },
	{ "bytes behind the claims",
	  "a1" NAME "5824820158"
	  "20",
	  "00", "SHA256", "not one map" },
	{ "an endless map",
	  "bf" NAME "5824820158"
	  "20",
	  "ff", "SHA256", "not one map" },
	{ "a nonce that is text",
	  "a2" NAME "5824820158"
	  "20",
	  "656e6f6e63656161", "SHA256", "nonce" },
	{ "a nonce of nothing",
	  "a2" NAME "5824820158"
	  "20",
	  "656e6f6e636540", "SHA256", "nonce" },
#undef NAME
};

static void append_hex(struct bytes *b, const char *hex)
{
	assert_int_equal(hex_decode(hex, strlen(hex), b), 0);
}

static void claims_are_held_to_the_key(void **state)
{
	struct scene *s = *state;
	unsigned char *spki = NULL;
	int len = i2d_PUBKEY(s->key, &spki);

	assert_true(len > 0);
	for (size_t i = 0; i < ARRAY_LEN(claims_cases); i++) {
		CLEANUP(bytes_cleanup) struct bytes claims = BYTES_INIT(RATLS_CLAIMS_MAX);
		CLEANUP(bytes_cleanup) struct bytes value = BYTES_INIT(VALUE_MAX);
		unsigned char hash[EVP_MAX_MD_SIZE];
		size_t hash_len;

		assert_int_equal(EVP_Q_digest(NULL, claims_cases[i].md, NULL, spki, (size_t)len,
					      hash, &hash_len),
				 1);
		append_hex(&claims, claims_cases[i].head);
		assert_int_equal(bytes_append(&claims, hash, hash_len), 0);
		append_hex(&claims, claims_cases[i].tail);
		report_over(s, bytes_view(&claims));
		assert_int_equal(ratls_extension("sev-snp", report(s), bytes_view(&claims), &value),
				 0);
		expect_extension(claims_cases[i].what, s, bytes_view(&value),
				 claims_cases[i].refused ? "evidence.ratls" : NULL,
				 claims_cases[i].refused);
	}
	OPENSSL_free(spki);
}

/* Good ones to begin with. */
static void good_value(struct scene *s, struct bytes *claims, struct bytes *value)
{
	*claims = claims_of(s->key, "");
	*value = BYTES_INIT(VALUE_MAX);
	report_over(s, bytes_view(claims));
	assert_int_equal(ratls_extension("sev-snp", report(s), bytes_view(claims), value), 0);
}

static void another_key_or_other_data_are_refused(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes claims = { 0 }, value = { 0 };
	CLEANUP(bytes_cleanup) struct bytes fresh = BYTES_INIT(VALUE_MAX);
	struct scene *s = *state;
	CLEANUP(bytes_cleanup) struct bytes nonce = claims_of(s->key, "later");
	CLEANUP(X509_freep) X509 *x = NULL, *y = NULL;

	good_value(s, &claims, &value);
	x = certificate(s, s->other, bytes_view(&value));
	expect("a stolen extension", s, x, "evidence.ratls", "another key");
	y = certificate(s, s->key, bytes_view(&value));
	assert_true(X509_sign(y, s->other, EVP_sha256()) > 0);
	expect("signed by another key", s, y, "evidence.ratls", "not signed by its own key");

	assert_int_equal(ratls_extension("sev-snp", report(s), bytes_view(&nonce), &fresh), 0);
	expect_extension("a nonce that the report is not over", s, bytes_view(&fresh),
			 "evidence.report_data", "");
	s->f.report[REPORT_DATA + RATLS_REPORT_DATA - 1] = 1;
	snp_fixture_sign(&s->f, s->f.vcek.key);
	bytes_reset(&fresh);
	assert_int_equal(ratls_extension("sev-snp", report(s), bytes_view(&claims), &fresh), 0);
	expect_extension("more than the hash in the report data", s, bytes_view(&fresh),
			 "evidence.report_data", "");
	s->f.report[0x90] ^= 1;
	bytes_reset(&fresh);
	assert_int_equal(ratls_extension("sev-snp", report(s), bytes_view(&claims), &fresh), 0);
	expect_extension("a report with a flipped bit", s, bytes_view(&fresh), "evidence.signature",
			 "");
}

static void the_tag_says_the_platform(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes claims = { 0 }, value = { 0 };
	CLEANUP(bytes_cleanup) struct bytes tdx = BYTES_INIT(VALUE_MAX);
	struct scene *s = *state;
	CLEANUP(X509_freep) X509 *x = NULL;
	unsigned char *der = NULL;
	struct alone_try t;
	int len;

	good_value(s, &claims, &value);
	assert_int_equal(ratls_extension("tdx", report(s), bytes_view(&claims), &tdx), 0);
	expect_extension("an SNP report as Intel's quote", s, bytes_view(&tdx), "evidence.format",
			 "no report of that platform");
	x = certificate(s, s->key, bytes_view(&value));
	len = i2d_X509(x, &der);
	assert_true(len > 0);
	judge_file(s, view_of(der, (size_t)len), "tdx", "", &t);
	alone_try_expect("asked for another platform", &t, EVIDENCE_INVALID, "evidence.ratls",
			 "another platform");
	appraisal_done(&t.a);
	OPENSSL_free(der);
}

/* Bytes of the value changed, its certificate signed over them. */
static void other_forms_are_refused(void **state)
{
	static const struct {
		const char *what, *hex, *refused;
	} values[] = {
		{ "nothing", "", "not CBOR with a tag" },
		{ "no tag", "8241004100", "not CBOR with a tag" },
		{ "a tag of nobody",
		  "d9ea63824100"
		  "4100",
		  "no known platform" },
		{ "a TDX report, which no one signed",
		  "d9ea61824100"
		  "4100",
		  "no known platform" },
		{ "an array of three", "d9ea6083410041004100", "not [report, claims buffer]" },
		{ "a map", "d9ea60a141004100", "not [report, claims buffer]" },
		{ "a report that is text", "d9ea608261004100", "not [report, claims buffer]" },
		{ "an endless array", "d9ea609f41004100ff", "not [report, claims buffer]" },
		{ "a tag that is longer than need be", "da0000ea608241004100", "not CBOR" },
		{ "no report", "d9ea60824041a0", "empty or too long" },
		{ "no claims", "d9ea6082410040", "not one map" },
		{ "claims of nothing", "d9ea6082410041a0", "no pubkey-hash" },
	};
	struct scene *s = *state;

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		CLEANUP(bytes_cleanup) struct bytes value = BYTES_INIT(VALUE_MAX);

		append_hex(&value, values[i].hex);
		expect_extension(values[i].what, s, bytes_view(&value), "evidence.ratls",
				 values[i].refused);
	}
}

static void cut_anywhere_or_longer_it_is_refused(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes claims = { 0 }, value = { 0 };
	struct scene *s = *state;
	size_t at_claims;

	good_value(s, &claims, &value);
	assert_memory_equal(value.data, sev_snp_array, sizeof(sev_snp_array));
	at_claims = value.len - claims.len - 2;
	for (size_t len = 0; len < value.len; len++) {
		CLEANUP(cleanup_mem) uint8_t *part = malloc(len + 1);
		CLEANUP(X509_freep) X509 *x = NULL;
		const char *why = NULL;
		struct ratls t;

		assert_non_null(part);
		memcpy(part, value.data, len);
		x = certificate(s, s->key, view_of(part, len));
		if (ratls_read(x, &t, &why) != -EBADMSG || !why)
			fail_msg("cut to %zu bytes of %zu, the claims at %zu", len, value.len,
				 at_claims);
	}
	assert_int_equal(bytes_append_u8(&value, 0), 0);
	expect_extension("a byte behind", s, bytes_view(&value), "evidence.ratls", "bytes behind");
}

/* All that is not in the report one by one, the report here and there. */
static void a_flipped_bit_of_the_extension_is_refused(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes claims = { 0 }, value = { 0 };
	struct scene *s = *state;
	size_t in_report, behind;

	good_value(s, &claims, &value);
	in_report = sizeof(sev_snp_array) + 3;
	behind = in_report + sizeof(s->f.report);
	for (size_t at = 0; at < value.len; at += at < in_report || at + 17 > behind ? 1 : 17) {
		struct alone_try t;
		CLEANUP(X509_freep) X509 *x = NULL;
		unsigned char *der = NULL;
		int len;

		/* Behind what SNP signs, and its signature, a report has bytes of no meaning. */
		value.data[at] ^= 1;
		x = certificate(s, s->key, bytes_view(&value));
		len = i2d_X509(x, &der);
		assert_true(len > 0);
		judge_file(s, view_of(der, (size_t)len), NULL, "", &t);
		if (t.verdict != EVIDENCE_INVALID && (at < in_report + SIGNED || at >= behind))
			fail_msg("byte %zu", at);
		appraisal_done(&t.a);
		OPENSSL_free(der);
		value.data[at] ^= 1;
	}
}

static void the_extension_is_there_once(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes claims = { 0 }, value = { 0 };
	struct scene *s = *state;
	CLEANUP(X509_freep) X509 *x = NULL;
	X509_EXTENSION *e;

	good_value(s, &claims, &value);
	x = certificate(s, s->key, bytes_view(&value));
	assert_int_equal(X509_add_ext(x, X509_get_ext(x, 0), -1), 1);
	assert_true(X509_sign(x, s->key, EVP_sha256()) > 0);
	expect("twice", s, x, "evidence.ratls", "more than once");
	for (int i = 0; i < 2; i++) {
		e = X509_delete_ext(x, 0);
		X509_EXTENSION_free(e);
	}
	assert_true(X509_sign(x, s->key, EVP_sha256()) > 0);
	expect("not at all", s, x, "evidence.ratls", "no extension " RATLS_OID);
}

static void the_certificate_is_in_force(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes claims = { 0 }, value = { 0 };
	struct scene *s = *state;
	int64_t was = s->now;
	CLEANUP(X509_freep) X509 *x = NULL;

	good_value(s, &claims, &value);
	x = certificate(s, s->key, bytes_view(&value));
	s->now = was + DAY;
	expect("in its last second", s, x, NULL, NULL);
	s->now = was + DAY + 1;
	expect("after it", s, x, "evidence.ratls", "valid");
	s->now = was - DAY - 1;
	expect("before it", s, x, "evidence.ratls", "valid");
	s->now = was;
}

static struct bytes pem_of(X509 *x, int times)
{
	struct bytes b = BYTES_INIT(VALUE_MAX);
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long len;

	assert_non_null(bio);
	for (int i = 0; i < times; i++)
		assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	len = BIO_get_mem_data(bio, &data);
	assert_int_equal(bytes_append(&b, data, (size_t)len), 0);
	BIO_free(bio);
	return b;
}

static void a_file_holds_one_certificate(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes claims = { 0 }, value = { 0 }, one = { 0 }, two = { 0 };
	struct scene *s = *state;
	CLEANUP(X509_freep) X509 *x = NULL;
	CLEANUP(cleanup_mem) uint8_t *big = calloc(1, RATLS_CERTIFICATE_MAX + 1);

	assert_non_null(big);
	good_value(s, &claims, &value);
	x = certificate(s, s->key, bytes_view(&value));
	one = pem_of(x, 1);
	two = pem_of(x, 2);
	expect_file("PEM", s, bytes_view(&one), NULL, NULL);
	expect_file("two", s, bytes_view(&two), "evidence.ratls", "one certificate");
	expect_file("nothing", s, view_of("", 0), "evidence.ratls", "one certificate");
	expect_file("too much", s, view_of(big, RATLS_CERTIFICATE_MAX + 1), "evidence.ratls",
		    "too long");
	expect_file("the report alone", s, report(s), "evidence.ratls", "one certificate");
	memcpy(one.data + strlen("-----BEGIN "), "CERTIFICATF", strlen("CERTIFICATF"));
	expect_file("something else in PEM", s, bytes_view(&one), "evidence.ratls",
		    "one certificate");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_made_is_good),
		cmocka_unit_test(the_nonce_is_the_one_that_was_given),
		cmocka_unit_test(there_is_no_tag_for_every_platform),
		cmocka_unit_test(none_is_made_that_is_too_long_to_be_read),
		cmocka_unit_test(claims_are_held_to_the_key),
		cmocka_unit_test(another_key_or_other_data_are_refused),
		cmocka_unit_test(the_tag_says_the_platform),
		cmocka_unit_test(other_forms_are_refused),
		cmocka_unit_test(cut_anywhere_or_longer_it_is_refused),
		cmocka_unit_test(a_flipped_bit_of_the_extension_is_refused),
		cmocka_unit_test(the_extension_is_there_once),
		cmocka_unit_test(the_certificate_is_in_force),
		cmocka_unit_test(a_file_holds_one_certificate),
	};

	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
