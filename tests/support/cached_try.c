/* SPDX-License-Identifier: Apache-2.0 */
#include "cached_try.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ENTRIES_MAX 256
#define BYTES_MAX   (4 * 1024 * 1024)

static struct appraisal_cache *cache;

static void same_reasons(const char *what, const struct appraisal *a, const struct appraisal *b)
{
	if (a->n != b->n || a->checks != b->checks || a->refused != b->refused ||
	    a->uncounted != b->uncounted || a->finished != b->finished)
		fail_msg("%s: %zu reasons of %zu checks, not %zu of %zu", what, b->n, b->checks,
			 a->n, a->checks);
	for (size_t i = 0; i < a->n; i++) {
		const struct reason *x = &a->reasons[i], *y = &b->reasons[i];

		if (x->warning != y->warning || strcmp(x->rule, y->rule) != 0 ||
		    strcmp(x->expected, y->expected) != 0 || strcmp(x->seen, y->seen) != 0)
			fail_msg("%s: %s: saw %s, not %s: saw %s", what, y->rule, y->seen, x->rule,
				 x->seen);
	}
}

static void same_texts(const char *what, const struct evidence_result *a,
		       const struct evidence_result *b)
{
	const struct {
		const char *a, *b;
	} texts[] = {
		{ a->status, b->status },
		{ a->tcb, b->tcb },
		{ a->tcb_date, b->tcb_date },
		{ a->advisories, b->advisories },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (strcmp(texts[i].a, texts[i].b) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", what, texts[i].b, texts[i].a);
	}
}

static void same_values(const char *what, const struct evidence_result *a,
			const struct evidence_result *b)
{
	bool same = a->signature_good == b->signature_good && a->version == b->version &&
		    a->has_report_data == b->has_report_data && a->debug == b->debug &&
		    memcmp(a->report_data, b->report_data, sizeof(a->report_data)) == 0 &&
		    a->report_data_len == b->report_data_len && a->chip_id_len == b->chip_id_len &&
		    memcmp(a->chip_id, b->chip_id, sizeof(a->chip_id)) == 0 &&
		    digest_equal(&a->measurement, &b->measurement) &&
		    a->n_registers == b->n_registers && a->bank == b->bank &&
		    a->pcrs_quoted == b->pcrs_quoted &&
		    a->event_log_replayed == b->event_log_replayed &&
		    a->boot_services_left == b->boot_services_left;

	for (size_t i = 0; same && i < a->n_registers; i++)
		same = digest_equal(&a->registers[i], &b->registers[i]);
	if (!same)
		fail_msg("%s: other values", what);
}

void cached_try_same(const char *what, const struct appraisal *a, const struct evidence_result *r,
		     const struct appraisal *other_a, const struct evidence_result *other_r)
{
	same_reasons(what, a, other_a);
	same_texts(what, r, other_r);
	same_values(what, r, other_r);
}

static void try_again(const char *what, const struct evidence_alone *in, struct arena *arena,
		      const struct appraisal *a, const struct evidence_result *result)
{
	struct evidence_alone again = *in;
	struct evidence_result other = { 0 };
	struct evidence_found found;
	struct appraisal b;

	again.cache = cache;
	appraisal_init(&b);
	assert_int_equal(evidence_appraise(&again, arena, &b, &found, &other), 0);
	cached_try_same(what, a, result, &b, &other);
	appraisal_done(&b);
}

void cached_try(const struct evidence_alone *in, struct arena *arena, struct appraisal *a,
		struct evidence_found *ret_found, struct evidence_result *ret)
{
	if (!cache)
		assert_int_equal(appraisal_cache_new(ENTRIES_MAX, BYTES_MAX, &cache), 0);
	assert_int_equal(evidence_appraise(in, arena, a, ret_found, ret), 0);
	try_again("with a cache", in, arena, a, ret);
	try_again("with a cache, again", in, arena, a, ret);
}

struct appraisal_cache_counts cached_try_counts(void)
{
	return cache ? appraisal_cache_counts(cache) : (struct appraisal_cache_counts){ 0 };
}
