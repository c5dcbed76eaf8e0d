/* SPDX-License-Identifier: Apache-2.0 */
#include "alone_try.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cached_try.h"
#include "cleanup.h"
#include "quantity.h"
#include "shared_evidence.h"

#define ARENA_MAX (1024 * 1024)

void alone_try(const struct alone_try_in *in, struct alone_try *ret)
{
	CLEANUP(bytes_cleanup) struct bytes data = BYTES_INIT(EVIDENCE_DATA);
	struct evidence_alone alone = { .files = in->files,
					.n_files = in->n,
					.endorsements = in->endorsements,
					.policy = in->policy,
					.roots = in->roots,
					.n_roots = in->n_roots };
	struct evidence_found found = { 0 };
	struct arena *arena;

	assert_int_equal(quantity_instant(in->at, &alone.now), 0);
	if (in->report_data)
		assert_int_equal(hex_decode(in->report_data, strlen(in->report_data), &data), 0);
	alone.report_data = bytes_view(&data);
	*ret = (struct alone_try){ 0 };
	appraisal_init(&ret->a);
	assert_int_equal(arena_new(ARENA_MAX, &arena), 0);
	cached_try(&alone, arena, &ret->a, &found, &ret->result);
	ret->verdict = evidence_verdict(&ret->a);
	ret->ops = found.ops;
	arena_free(arena);
}

struct policy *alone_try_policy(const char *platforms)
{
	char text[4096], *error = NULL;
	struct policy *p = NULL;

	if (!platforms)
		return NULL;
	snprintf(text, sizeof(text), "application: a\nplatforms: {%s}\n", platforms);
	if (policy_parse(view_text(text), "p", &p, &error) != 0)
		fail_msg("%s", error);
	return p;
}

void alone_try_endorse(struct endorsements *e, const char *folder, const char *file)
{
	struct bytes content = shared_evidence(folder, file);
	const char *why = "";

	if (endorsements_add(e, bytes_view(&content), &why) != 0)
		fail_msg("%s: %s", file, why);
	bytes_done(&content);
}

bool alone_try_refused(const struct appraisal *a, const char *rule, const char *text)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct reason *r = &a->reasons[i];

		if (!r->warning && strcmp(r->rule, rule) == 0 &&
		    (strstr(r->seen, text) || strstr(r->expected, text)))
			return true;
	}
	return false;
}

void alone_try_expect(const char *what, const struct alone_try *t, enum evidence_verdict verdict,
		      const char *rule, const char *text)
{
	bool as_expected = t->verdict == verdict &&
			   (verdict == EVIDENCE_INVALID || t->result.signature_good) &&
			   (rule ? alone_try_refused(&t->a, rule, text) : t->a.n == 0);

	if (as_expected)
		return;
	for (size_t i = 0; i < t->a.n; i++)
		print_message("  %s: expected %s, saw %s%s\n", t->a.reasons[i].rule,
			      t->a.reasons[i].expected, t->a.reasons[i].seen,
			      t->a.reasons[i].warning ? " (warning)" : "");
	fail_msg("%s: %s, signature %s", what, evidence_verdict_name(t->verdict),
		 t->result.signature_good ? "good" : "not good");
}
