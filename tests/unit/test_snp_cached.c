/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "evidence.h"
#include "quantity.h"
#include "tests/support/snp_fixture.h"

/* Reports of one chip, judged one after the other with a cache. */

struct warm {
	struct snp_fixture f;
	struct appraisal_cache *cache;
	X509_CRL *crl;
	int64_t now;
};

static void warm_init(struct warm *w, void **state)
{
	*w = (struct warm){ 0 };
	snp_fixture_init(&w->f, *state, "Genoa");
	snp_fixture_certify(&w->f, &w->f.vcek);
	snp_fixture_sign(&w->f, w->f.vcek.key);
	assert_int_equal(appraisal_cache_new(16, 1024 * 1024, &w->cache), 0);
	assert_int_equal(quantity_instant(SNP_FIXTURE_NOW, &w->now), 0);
}

static void warm_done(struct warm *w)
{
	appraisal_cache_free(w->cache);
	X509_CRL_free(w->crl);
	snp_fixture_done(&w->f);
}

static enum evidence_verdict judge(struct warm *w)
{
	struct evidence_file file = { "report", view_of(w->f.report, sizeof(w->f.report)) };
	struct evidence_alone in = { .files = &file,
				     .n_files = 1,
				     .now = w->now,
				     .roots = &w->f.root,
				     .n_roots = 1,
				     .cache = w->cache };
	struct evidence_result result;
	struct evidence_found found;
	struct endorsements *e = NULL;
	enum evidence_verdict verdict;
	struct arena *arena = NULL;
	struct appraisal a;

	assert_int_equal(endorsements_new(&e), 0);
	snp_fixture_endorse(e, w->f.vcek.x);
	snp_fixture_endorse(e, w->f.ark);
	snp_fixture_endorse(e, w->f.ask);
	if (w->crl)
		snp_fixture_endorse_crl(e, w->crl);
	in.endorsements = e;
	appraisal_init(&a);
	assert_int_equal(arena_new(1024 * 1024, &arena), 0);
	assert_int_equal(evidence_appraise(&in, arena, &a, &found, &result), 0);
	verdict = evidence_verdict(&a);
	assert_int_equal(result.signature_good, verdict == EVIDENCE_VALID);
	appraisal_done(&a);
	arena_free(arena);
	endorsements_free(e);
	return verdict;
}

static uint64_t hits(const struct warm *w)
{
	return appraisal_cache_counts(w->cache).hits;
}

static void a_chain_is_verified_once(void **state)
{
	struct warm w;

	warm_init(&w, state);
	assert_int_equal(judge(&w), EVIDENCE_VALID);
	assert_int_equal(hits(&w), 0);
	w.f.report[0x050] ^= 1;
	snp_fixture_sign(&w.f, w.f.vcek.key);
	assert_int_equal(judge(&w), EVIDENCE_VALID);
	assert_int_equal(hits(&w), 1);
	assert_int_equal(appraisal_cache_counts(w.cache).entries, 1);
	warm_done(&w);
}

static void a_refusal_leaves_nothing_behind(void **state)
{
	struct warm w;

	warm_init(&w, state);
	w.f.report[0x050] ^= 1;
	assert_int_equal(judge(&w), EVIDENCE_INVALID);
	assert_int_equal(appraisal_cache_counts(w.cache).entries, 0);
	warm_done(&w);
}

/* A known key signs for itself alone. */
static void a_flipped_bit_in_a_report_is_refused_by_a_warm_cache(void **state)
{
	struct warm w;

	warm_init(&w, state);
	assert_int_equal(judge(&w), EVIDENCE_VALID);
	for (size_t bit = 0; bit < 8 * 0x2a0; bit += 61) {
		w.f.report[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (judge(&w) != EVIDENCE_INVALID)
			fail_msg("bit %zu of byte %zu", bit % 8, bit / 8);
		w.f.report[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(judge(&w), EVIDENCE_VALID);
	warm_done(&w);
}

static void a_revocation_counts_at_once(void **state)
{
	struct warm w;

	warm_init(&w, state);
	assert_int_equal(judge(&w), EVIDENCE_VALID);
	w.crl = snp_fixture_crl(&w.f, w.f.ask);
	assert_int_equal(judge(&w), EVIDENCE_INVALID);
	warm_done(&w);
}

static void another_root_is_another_thing(void **state)
{
	struct warm w;

	warm_init(&w, state);
	assert_int_equal(judge(&w), EVIDENCE_VALID);
	w.f.root.sha256[7] ^= 1;
	assert_int_equal(judge(&w), EVIDENCE_INVALID);
	warm_done(&w);
}

static void nothing_is_used_past_its_end(void **state)
{
	int64_t begin, end;
	struct warm w;

	warm_init(&w, state);
	assert_int_equal(quantity_instant(SNP_FIXTURE_NOT_BEFORE, &begin), 0);
	assert_int_equal(quantity_instant(SNP_FIXTURE_NOT_AFTER, &end), 0);
	assert_int_equal(judge(&w), EVIDENCE_VALID);
	w.now = end - 1;
	assert_int_equal(judge(&w), EVIDENCE_VALID);
	assert_int_equal(hits(&w), 1);
	w.now = end + 1;
	assert_int_equal(judge(&w), EVIDENCE_INVALID);
	w.now = begin - 1;
	assert_int_equal(judge(&w), EVIDENCE_INVALID);
	w.now = begin;
	assert_int_equal(judge(&w), EVIDENCE_VALID);
	warm_done(&w);
}

static int set_up(void **state)
{
	static struct snp_fixture_keys keys;

	snp_fixture_make_keys(&keys);
	*state = &keys;
	return 0;
}

static int tear_down(void **state)
{
	snp_fixture_free_keys(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_is_verified_once),
		cmocka_unit_test(a_refusal_leaves_nothing_behind),
		cmocka_unit_test(a_flipped_bit_in_a_report_is_refused_by_a_warm_cache),
		cmocka_unit_test(a_revocation_counts_at_once),
		cmocka_unit_test(another_root_is_another_thing),
		cmocka_unit_test(nothing_is_used_past_its_end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
