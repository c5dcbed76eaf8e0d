/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <tss2/tss2_mu.h>

#include "arena.h"
#include "evidence.h"
#include "verifier/tpm_quote.h"

/*
 * The input is a ChipReport, as it travels. It is judged as it comes, with the key in it
 * enrolled, so that all behind the name is reached; and the same structures once more
 * without the signature, which a fuzzer does not forge.
 */

static const char policy_text[] =
	"application: a\nversion: 1\nplatforms:\n  tpm:\n    event_log: require\n"
	"    pcrs: {4: [\"0404040404040404040404040404040404040404040404040404040404040404\"]}\n";

static struct policy *policy(void)
{
	static struct policy *p;
	char *error = NULL;

	if (!p && policy_parse(view_text(policy_text), "fuzz", &p, &error) != 0)
		abort();
	return p;
}

static void judge(const Assay__ChipReport *report, struct view name)
{
	struct evidence_input in = { .report = report,
				     .claims = view_text("claims"),
				     .now = 1800000000,
				     .policy = policy(),
				     .key_name = name };
	struct evidence_result result;
	struct appraisal a;

	appraisal_init(&a);
	if (evidence_find("tpm")->verify(&in, &a, &result) == 0 && !a.refused &&
	    !result.signature_good)
		abort();
	/* The same fields as soft evidence. */
	if (evidence_find("soft")->verify(&in, &a, &result) == 0 && !a.refused)
		abort(); /* the policy does not name soft */
	appraisal_done(&a);
}

/* What lies behind the signature, read as if it had been good. */
static void judge_values(const Assay__ChipReport *report)
{
	struct tpm_quote q = { .hash = HASH_SHA256 };
	struct digest registers[EVIDENCE_PCRS];
	struct appraisal a;
	uint32_t quoted;
	size_t at = 0;

	if (Tss2_MU_TPMS_ATTEST_Unmarshal(report->report.data, report->report.len, &at,
					  &q.attest) != TSS2_RC_SUCCESS ||
	    q.attest.type != TPM2_ST_ATTEST_QUOTE)
		return;
	appraisal_init(&a);
	if (tpm_quote_judge_pcrs(&q, report->pcrs, report->n_pcrs, HASH_SHA256, &a, registers,
				 &quoted) == 0 &&
	    !a.refused)
		abort();
	appraisal_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tpm_public key;
	Assay__ChipReport *report;
	struct arena *arena;
	const char *why;

	if (arena_new(4 * 1024 * 1024, &arena) < 0)
		return 0;
	report = assay__chip_report__unpack(arena_allocator(arena), size, data);
	if (report) {
		judge(report, view_text("not enrolled"));
		if (tpm_public_parse(view_of(report->key.data, report->key.len), &key, &why) == 0)
			judge(report, tpm_public_name(&key));
		judge_values(report);
	}
	arena_free(arena);
	return 0;
}
