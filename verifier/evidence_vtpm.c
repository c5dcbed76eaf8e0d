/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <tss2/tss2_mu.h>

#include "claims.h"
#include "cleanup.h"
#include "evidence_sev_snp_report.h"
#include "evidence_table.h"
#include "evidence_vtpm_check.h"
#include "ima_log.h"
#include "ima_rules.h"
#include "pcr_rules.h"

/*
 * A vTPM inside a confidential VM, and Azure's form of it. Its key is worth nothing by itself:
 * whoever emulates a TPM has one. It is trusted only because the chip signed a report over the hash
 * of the data that name it, and only as far as what the chip measured can be trusted to run that
 * TPM.
 */

#define PCR_VALUES_MAX	   (TPM2_NUM_PCR_BANKS * EVIDENCE_PCRS)
#define PART_SIGNATURE_MAX (8 + VTPM_RSA_MAX)

static struct view field(ProtobufCBinaryData d)
{
	return view_of(d.data, d.len);
}

static int check_sizes(struct vtpm_check *c)
{
	const Assay__ChipReport *r = c->in->report;
	const struct {
		const char *what;
		size_t size, max;
	} limits[] = {
		{ "quote", r->report.len, sizeof(TPMS_ATTEST) },
		{ "signature", r->signature.len, PART_SIGNATURE_MAX },
		{ "report of the paravisor", r->key.len, HCL_REPORT_MAX },
		{ "PCR values", r->n_pcrs, PCR_VALUES_MAX },
		{ "event log", r->event_log.len, EVENT_LOG_MAX },
		{ "IMA list", r->ima_log.len, IMA_LOG_MAX },
	};
	char expected[64];

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		if (limits[i].size <= limits[i].max)
			continue;
		snprintf(expected, sizeof(expected), "%s: at most %zu", limits[i].what,
			 limits[i].max);
		appraisal_refuse(c->a, "evidence.size", expected, "%zu", limits[i].size);
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

static int check_hcl(struct vtpm_check *c)
{
	struct digest d;
	const char *why;
	int r;

	/* Its name in the record is an attestation key's, which this evidence does not show. */
	if (c->in->ek_public.len > 0) {
		appraisal_refuse(c->a, "evidence.hcl", "an SVSM's manifest, as it was enrolled by",
				 "evidence of another form");
		return 0;
	}
	r = hcl_report_parse(field(c->in->report->key), &c->hcl, &why);
	if (r == -EBADMSG) {
		appraisal_refuse(c->a, "evidence.hcl",
				 "a paravisor's report with the key of its vTPM", "%s", why);
		return 0;
	}
	if (r < 0)
		return r;
	r = digest_of(c->hcl.hash, c->hcl.variable, &d);
	if (r < 0)
		return r;
	memcpy(c->binding, d.bytes, d.size);
	c->ak = c->hcl.ak;
	appraisal_pass(c->a);
	return 1;
}

/* Finds the chip's own report; false: there is none, and a reason is in a. */
typedef bool find_report(struct vtpm_check *c, const struct evidence_ops *ops, struct view *ret);

/*
 * Whoever runs at a VMPL above 0 may ask the chip for reports over what they like, so only
 * one of VMPL 0, where the paravisor is, speaks of the paravisor's vTPM.
 */
static bool find_snp(struct vtpm_check *c, const struct evidence_ops *ops, struct view *ret)
{
	struct snp_report report;
	const char *why;

	*ret = c->hcl.hardware;
	if (snp_report_parse(*ret, &report, &why) < 0 || report.vmpl == 0)
		return true; /* the platform's own checks say what is wrong with its form */
	appraisal_refuse(c->a, "evidence.vmpl", "0: that of the paravisor", "%u", report.vmpl);
	return false;
}

/* The area holds a TDREPORT, which only that machine can check; a quote over it lies beside. */
static bool find_tdx(struct vtpm_check *c, const struct evidence_ops *ops, struct view *ret)
{
	const Assay__ChipReport *r = c->in->report;

	for (size_t i = 0; ops->detect && i < r->n_endorsements; i++) {
		if (!ops->detect(field(r->endorsements[i])))
			continue;
		*ret = field(r->endorsements[i]);
		return true;
	}
	appraisal_refuse(c->a, "evidence.hardware", "a TDX quote over the paravisor's TDREPORT",
			 "none");
	return false;
}

static const struct {
	enum hcl_kind kind;
	const char *platform;
	find_report *find;
} chips[] = {
	{ HCL_SNP, "sev-snp", find_snp },
	{ HCL_TDX, "tdx", find_tdx },
};

static void take_result(struct vtpm_check *c, const struct evidence_result *chip)
{
	enum hash_alg bank = c->result.bank;

	c->result = *chip;
	c->result.bank = bank;
	/* What was asked for is in the quote, not in the chip's report. */
	c->result.signature_good = false;
	c->result.has_report_data = false;
	c->result.report_data_len = 0;
}

int vtpm_judge_chip(struct vtpm_check *c, const struct evidence_ops *ops, struct view raw,
		    const char *what)
{
	Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
	struct evidence_input in = *c->in;
	struct evidence_result chip = { 0 };
	char expected[96];
	int r;

	report.platform = (char *)ops->platform;
	report.report = (ProtobufCBinaryData){ raw.len, (uint8_t *)raw.data };
	report.n_endorsements = c->in->report->n_endorsements;
	report.endorsements = c->in->report->endorsements;
	in.report = &report;
	in.alone = true;
	in.report_data = view_of(c->binding, sizeof(c->binding));
	r = ops->verify_alone ? ops->verify_alone(&in, c->a, &chip) : ops->verify(&in, c->a, &chip);
	if (r < 0)
		return r;
	take_result(c, &chip);
	if (chip.signature_good)
		return 1;
	/* Also where the chip's platform only said that the policy does not name it. */
	snprintf(expected, sizeof(expected), "a genuine report of the chip over %s", what);
	appraisal_refuse(c->a, "evidence.hardware", expected, "one that was not found to be");
	return 0;
}

static int check_hardware(struct vtpm_check *c)
{
	const struct evidence_ops *ops = NULL;
	struct view raw;
	size_t i;

	for (i = 0; i < ARRAY_LEN(chips); i++) {
		if (chips[i].kind == c->hcl.kind)
			break;
	}
	ops = i < ARRAY_LEN(chips) ? evidence_find(chips[i].platform) : NULL;
	if (!ops) {
		appraisal_refuse(c->a, "evidence.hardware", "a chip whose reports can be judged",
				 "kind %d", c->hcl.kind);
		return 0;
	}
	if (!chips[i].find(c, ops, &raw))
		return 0;
	return vtpm_judge_chip(c, ops, raw, "the paravisor's variable data");
}

/* What the quote was asked for over; on its own and without an expectation, what it says. */
static struct view qualifying(const struct vtpm_check *c, const struct digest *claims,
			      TPM2B_DATA *own)
{
	const struct evidence_input *in = c->in;
	struct view attest = field(in->report->report);
	TPMS_ATTEST parsed = { 0 };
	size_t at = 0;

	if (!in->alone)
		return digest_view(claims);
	if (in->report_data.len > 0)
		return in->report_data;
	if (vtpm_is_quote(attest) &&
	    Tss2_MU_TPMS_ATTEST_Unmarshal(attest.data, attest.len, &at, &parsed) == TSS2_RC_SUCCESS)
		*own = parsed.extraData;
	return view_of(own->buffer, own->size);
}

static int check_quote(struct vtpm_check *c)
{
	const TPMS_CLOCK_INFO *clock = &c->quote.attest.clockInfo;
	const TPM2B_DATA *extra = &c->quote.attest.extraData;
	uint8_t room[PART_SIGNATURE_MAX];
	struct digest claims = { 0 };
	TPM2B_DATA own = { 0 };
	struct view signature;
	int r;

	if (c->in->report->report.len == 0) {
		appraisal_refuse(c->a, "evidence.quote", "a quote of the vTPM", "none");
		return 0;
	}
	r = c->in->alone ? 0 : claims_qualifying(c->in->claims, &claims);
	if (r < 0)
		return r;
	signature = vtpm_signature(field(c->in->report->signature), &c->ak, room, sizeof(room));
	r = tpm_quote_judge(&c->ak, field(c->in->report->report), signature,
			    qualifying(c, &claims, &own), c->a, &c->quote);
	if (r <= 0)
		return r;
	c->result.reset_count = clock->resetCount;
	c->result.restart_count = clock->restartCount;
	c->result.clock = clock->clock;
	if (extra->size <= sizeof(c->result.report_data)) {
		c->result.has_report_data = true;
		c->result.report_data_len = extra->size;
		memcpy(c->result.report_data, extra->buffer, extra->size);
	}
	return 1;
}

static int check_pcr_values(struct vtpm_check *c)
{
	struct evidence_result *res = &c->result;
	int r;

	r = tpm_quote_judge_pcrs(&c->quote, c->in->report->pcrs, c->in->report->n_pcrs, res->bank,
				 c->a, res->pcrs, &res->pcrs_quoted);
	if (r == 1)
		res->signature_good = true;
	return r;
}

static struct pcr_rules rules_of(const struct vtpm_check *c)
{
	return (struct pcr_rules){
		.path = "platforms.vtpm.pcrs",
		.policy = c->in->policy,
		.values = policy_vtpm_pcr,
		.event_log = policy_vtpm_event_log(c->in->policy),
	};
}

static int check_selection(struct vtpm_check *c)
{
	struct pcr_rules rules = rules_of(c);

	return pcr_rules_judge_selection(&rules, &c->result, c->a);
}

static int check_event_log(struct vtpm_check *c)
{
	struct pcr_rules rules = rules_of(c);

	return pcr_rules_judge_event_log(&rules, field(c->in->report->event_log), &c->result, c->a);
}

static int check_ima(struct vtpm_check *c)
{
	if (c->in->enrolling)
		return 1;
	return ima_rules_judge(c->in->policy, evidence_vtpm.platform, c->in->report, c->in->ima,
			       &c->result, c->a);
}

static int check_policy_pcrs(struct vtpm_check *c)
{
	struct pcr_rules rules = rules_of(c);

	return pcr_rules_judge_values(&rules, &c->result, c->a);
}

typedef int check(struct vtpm_check *c);

/*
 * In order: a key is nobody's before the chip has vouched for it. After a check that the rest
 * builds on the rest would only repeat it.
 */
static check *const azure_checks[] = { check_sizes, check_hcl, check_hardware, NULL };
static check *const svsm_checks[] = { check_sizes,
				      svsm_check_sizes,
				      svsm_check_manifest,
				      svsm_check_hardware,
				      svsm_check_ek,
				      svsm_check_ak,
				      NULL };
static check *const quote_checks[] = { check_quote, check_pcr_values, check_selection, NULL };
static check *const value_checks[] = { check_event_log, check_ima, check_policy_pcrs, NULL };

/* 1: all held; 0: one did not, and if the rest builds on each, those behind it were not made. */
static int run(struct vtpm_check *c, check *const *checks, bool each_is_needed)
{
	int r, held = 1;

	for (; *checks; checks++) {
		r = (*checks)(c);
		if (r < 0)
			return r;
		if (r == 0 && each_is_needed)
			return 0;
		if (r == 0)
			held = 0;
	}
	return held;
}

int vtpm_verify(const struct evidence_input *in, struct appraisal *a, struct evidence_result *ret)
{
	check *const *key_checks = svsm_is(in->report) ? svsm_checks : azure_checks;
	struct vtpm_check c = { .in = in, .a = a };
	int r;

	c.result.bank = policy_vtpm_bank(in->policy);
	*ret = c.result;
	r = evidence_judge_platform(in, evidence_vtpm.platform, a);
	if (r < 0)
		return r;
	/* On its own the verdict also says whether the evidence is genuine. */
	if (r == 0 && !in->alone)
		return 0;
	r = run(&c, key_checks, true);
	if (r == 1)
		r = run(&c, quote_checks, true);
	if (r == 1)
		r = run(&c, value_checks, false);
	if (r < 0)
		return r;
	*ret = c.result;
	return 0;
}

/* The chip's quote and the vTPM's lie beside the paravisor's report as parts of one evidence. */
static const char *const parts[] = { "tdx", "tpm", NULL };

const struct evidence_ops evidence_vtpm = {
	.platform = "vtpm",
	.insecure = false,
	.verify = vtpm_verify,
	.detect = hcl_report_begins,
	.gather = vtpm_gather,
	.show = vtpm_show,
	.parts = parts,
	.proves = "The chip signed a report over the key of this vTPM, and that key signed these\n"
		  "register values over the data it was asked for. What runs the vTPM is what the\n"
		  "chip measured at launch.",
	.proves_not =
		"That what the chip measured is the provider's genuine paravisor, unless the\n"
		"policy lists its measurement; that the registers have values you expect,\n"
		"unless the policy lists them; freshness, unless the data are compared with\n"
		"a nonce of yours.",
};
