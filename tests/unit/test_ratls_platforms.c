/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "quantity.h"
#include "ratls.h"
#include "tests/support/alone_try.h"
#include "tests/support/made_chip.h"

/*
 * The whole way on the platforms that test_ratls.c does not take: a key, claims over it, a report
 * of a made chip over these, a certificate, and the verdict.
 */

CLEANUP_FUNCTION(X509 *, X509_free)

#define ARENA_MAX  (1024 * 1024)
#define REPORT_MAX (64 * 1024)
#define NOW	   "2027-01-01T00:00:00Z"
#define DAY	   86400

static const struct {
	const char *platform;
	uint32_t csv_version; /* 0: the chip's own */
	size_t signed_at;     /* a byte that the chip signed */
} rows[] = {
	{ "tdx", 0, 136 },
	{ "csv", 1, 32 },
	{ "csv", 2, 32 },
};

struct scene {
	size_t row;
	struct made_chip *chip;
	struct endorsements *e;
	EVP_PKEY *key;
	int64_t now;
};

static void scene_open(struct scene *s, size_t row)
{
	*s = (struct scene){ .row = row, .chip = made_chip_new(rows[row].platform) };
	s->key = EVP_EC_gen("P-256");
	assert_true(s->chip && s->key);
	assert_int_equal(endorsements_new(&s->e), 0);
	made_chip_endorse(s->chip, s->e);
	assert_int_equal(quantity_instant(NOW, &s->now), 0);
}

static void scene_close(struct scene *s)
{
	EVP_PKEY_free(s->key);
	endorsements_free(s->e);
	made_chip_free(s->chip);
}

/* What the chip reports over the claims. */
static struct bytes report_over(const struct scene *s, struct view claims)
{
	struct bytes report = BYTES_INIT(REPORT_MAX), aux = BYTES_INIT(REPORT_MAX);
	static const uint8_t mnonce[MADE_CHIP_MNONCE] = { 7 };
	uint8_t data[RATLS_REPORT_DATA], page[MADE_CHIP_PAGE];

	assert_int_equal(ratls_report_data(claims, data), 0);
	if (rows[s->row].csv_version > 0) {
		made_chip_csv_page(s->chip, rows[s->row].csv_version, data, mnonce, page);
		assert_int_equal(bytes_append(&report, page, sizeof(page)), 0);
	} else {
		made_chip_report(s->chip, data, &report, &aux);
	}
	bytes_done(&aux);
	return report;
}

static struct bytes claims_of(EVP_PKEY *key, const char *nonce)
{
	struct bytes b = BYTES_INIT(RATLS_CLAIMS_MAX);

	assert_int_equal(ratls_claims(key, view_text(nonce), &b), 0);
	return b;
}

/* A certificate with them, judged: rule NULL: it is good. */
static void expect(const char *what, const struct scene *s, const char *platform,
		   const struct bytes *report, const struct bytes *claims, const char *nonce,
		   const char *rule)
{
	CLEANUP(bytes_cleanup) struct bytes value = BYTES_INIT(2 * REPORT_MAX);
	CLEANUP(X509_freep) X509 *x = NULL;
	struct evidence_alone in = {
		.endorsements = s->e, .now = s->now, .roots = made_chip_root(s->chip), .n_roots = 1
	};
	struct alone_try t = { 0 };
	struct evidence_found found;
	unsigned char *der = NULL;
	struct arena *arena;
	int len;

	assert_int_equal(ratls_extension(platform, bytes_view(report), bytes_view(claims), &value),
			 0);
	assert_int_equal(
		ratls_certificate(s->key, bytes_view(&value), s->now - DAY, s->now + DAY, &x), 0);
	len = i2d_X509(x, &der);
	assert_true(len > 0);
	appraisal_init(&t.a);
	assert_int_equal(arena_new(ARENA_MAX, &arena), 0);
	assert_int_equal(ratls_appraise(&in, "certificate", view_of(der, (size_t)len),
					view_text(nonce), arena, &t.a, &found, &t.result),
			 0);
	t.verdict = evidence_verdict(&t.a);
	t.ops = found.ops;
	alone_try_expect(what, &t, rule ? EVIDENCE_INVALID : EVIDENCE_VALID, rule, "");
	if (!rule)
		assert_string_equal(t.ops->platform, platform);
	appraisal_done(&t.a);
	arena_free(arena);
	OPENSSL_free(der);
}

static void the_whole_way(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *platform = rows[i].platform;
		struct bytes claims, report;
		struct scene s;

		scene_open(&s, i);
		claims = claims_of(s.key, "fresh");
		report = report_over(&s, bytes_view(&claims));
		expect(platform, &s, platform, &report, &claims, "fresh", NULL);
		expect("another nonce", &s, platform, &report, &claims, "later", "evidence.ratls");
		made_chip_free(s.chip);
		s.chip = made_chip_new(platform);
		expect("a root that is not the chip's", &s, platform, &report, &claims, "fresh",
		       strcmp(platform, "tdx") == 0 ? "evidence.pck_chain" : "evidence.chain");
		bytes_done(&report);
		bytes_done(&claims);
		scene_close(&s);
	}
}

static void what_the_chip_did_not_sign_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *platform = rows[i].platform;
		struct bytes claims, other, report, about_other;
		EVP_PKEY *other_key;
		struct scene s;

		scene_open(&s, i);
		other_key = EVP_EC_gen("P-256");
		claims = claims_of(s.key, "");
		other = claims_of(other_key, "");
		report = report_over(&s, bytes_view(&claims));
		about_other = report_over(&s, bytes_view(&other));
		expect("as it is", &s, platform, &report, &claims, "", NULL);
		expect("the report over another key", &s, platform, &about_other, &claims, "",
		       "evidence.report_data");
		expect("the claims of another key", &s, platform, &about_other, &other, "",
		       "evidence.ratls");
		report.data[rows[i].signed_at] ^= 1;
		expect("a flipped bit", &s, platform, &report, &claims, "", "evidence.signature");
		report.data[rows[i].signed_at] ^= 1;
		expect("as another platform's", &s, strcmp(platform, "tdx") == 0 ? "csv" : "tdx",
		       &report, &claims, "", "evidence.format");
		bytes_done(&about_other);
		bytes_done(&report);
		bytes_done(&other);
		bytes_done(&claims);
		EVP_PKEY_free(other_key);
		scene_close(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_way),
		cmocka_unit_test(what_the_chip_did_not_sign_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
