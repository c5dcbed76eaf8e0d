/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "evidence.h"
#include "verifier/evidence_sev_snp.h"

/*
 * A report, and behind it endorsements in any form. They are judged as evidence on its own,
 * and what a certificate says is read as if its chain had been good, as is the report by the
 * rules of a policy.
 */

static const char policy_text[] =
	"application: a\nplatforms:\n  sev-snp:\n    vmpl_max: 0\n    keys: [vcek]\n"
	"    products: [genoa]\n    minimum_tcb: {bootloader: 9, fmc: 2, microcode: 80}\n"
	"    platform: {require: [alias_check], deny: [smt]}\n"
	"    guest_policy: {deny: [cxl]}\n"
	"    host_data: [\"0000000000000000000000000000000000000000000000000000000000000000\"]\n";

static struct policy *policy(void)
{
	static struct policy *p;
	char *error = NULL;

	if (!p && policy_parse(view_text(policy_text), "fuzz", &p, &error) != 0)
		abort();
	return p;
}

static void read_certificates(const struct endorsements *e, struct view raw)
{
	const struct endorsement *x = NULL;
	struct snp_certificate certificate;
	struct snp_report report;
	struct appraisal a;
	const char *why = NULL;

	while ((x = endorsements_next(e, ENDORSEMENT_CERTIFICATE, x))) {
		if (snp_certificate_parse(x->certificate, &certificate, &why) < 0) {
			if (!why)
				abort();
			continue;
		}
		if (snp_report_parse(raw, &report, &why) < 0)
			continue;
		appraisal_init(&a);
		snp_judge_policy(policy_sev_snp(policy()), &report, &certificate, &a);
		appraisal_done(&a);
	}
}

static void judge(struct view raw, const struct endorsements *e)
{
	Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
	struct evidence_input in = { .report = &report,
				     .now = 1800000000,
				     .policy = policy(),
				     .endorsements = e,
				     .alone = true };
	struct evidence_result result;
	struct appraisal a;

	report.report = (ProtobufCBinaryData){ raw.len, (uint8_t *)raw.data };
	appraisal_init(&a);
	/* Nobody here can sign as AMD does. */
	if (evidence_find("sev-snp")->verify(&in, &a, &result) == 0 &&
	    (!a.refused || result.signature_good))
		abort();
	appraisal_done(&a);
}

static void show(struct view raw)
{
	struct snp_report report;
	const char *why = NULL;
	json_t *shown = NULL;
	int r;

	r = snp_report_parse(raw, &report, &why);
	if (r < 0 && (r != -EBADMSG || !why))
		abort();
	if (snp_show(raw, &shown) != r)
		abort();
	json_decref(shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size < SNP_REPORT_SIZE ? size : SNP_REPORT_SIZE;
	struct view raw = view_of(data, len);
	struct endorsements *e;
	const char *why;

	if (endorsements_new(&e) < 0)
		return 0;
	show(raw);
	if (endorsements_add(e, view_of(data + len, size - len), &why) == 0)
		read_certificates(e, raw);
	judge(raw, e);
	endorsements_free(e);
	return 0;
}
