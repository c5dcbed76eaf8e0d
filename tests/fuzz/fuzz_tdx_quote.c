/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "evidence.h"
#include "verifier/tdx_quote.h"

/*
 * The input is a quote. It is shown and judged with nothing to vouch for it, so that it must
 * be refused, and all that reads it has run.
 */
static void judge(struct view quote)
{
	struct evidence_file file = { "quote", quote };
	struct evidence_alone in = {
		.platform = "tdx", .files = &file, .n_files = 1, .now = 1773964800
	};
	struct evidence_result result;
	struct evidence_found found;
	struct appraisal a;
	struct arena *arena;

	if (arena_new(1024 * 1024, &arena) < 0)
		return;
	appraisal_init(&a);
	if (evidence_appraise(&in, arena, &a, &found, &result) == 0 &&
	    (evidence_verdict(&a) != EVIDENCE_INVALID || result.signature_good || result.status[0]))
		abort();
	appraisal_done(&a);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
	struct tdx_quote q;
	json_t *fields;
	const char *why;

	if (size > EVIDENCE_REPORT_MAX)
		return 0;
	report.report.data = (uint8_t *)data;
	report.report.len = size;
	if (evidence_find("tdx")->show(&report, &fields) == 0)
		json_decref(fields);
	/* What is declared lies within what is there. */
	if (tdx_quote_parse(view_of(data, size), &q, &why) == 0 &&
	    (q.signed_part.len + 4 + 134 + q.chain.len + q.trailing > size ||
	     q.chain.data + q.chain.len + q.trailing != data + size))
		abort();
	judge(view_of(data, size));
	return 0;
}
