/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <tss2/tss2_mu.h>

#include "evidence_tpm_files.h"
#include "ima_rules.h"
#include "pcr_rules.h"
#include "tpm_public.h"
#include "tpm_quote.h"

/*
 * A TPM's quote on its own. The same checks as in a session (evidence_tpm.c), but for the key:
 * nobody enrolled it, so it is taken as it comes, and what that leaves open the summary says.
 */
struct alone_check {
	const struct evidence_input *in;
	struct appraisal *a;
	struct tpm_public key;
	struct tpm_quote quote;
	struct evidence_result result;
};

static struct view field(ProtobufCBinaryData d)
{
	return view_of(d.data, d.len);
}

static size_t pcr_values(const struct policy *p, unsigned int index, const struct digest **ret)
{
	return p ? policy_tpm_pcr(p, index, ret) : 0;
}

static struct pcr_rules rules_of(const struct alone_check *c)
{
	return (struct pcr_rules){
		.path = "platforms.tpm.pcrs",
		.policy = c->in->policy,
		.values = pcr_values,
		.event_log = c->in->policy ? policy_tpm_event_log(c->in->policy) : EVENT_LOG_UNSET,
	};
}

static int check_platform(struct alone_check *c)
{
	return evidence_judge_platform(c->in, "tpm", c->a);
}

/* The first bank of the selection, unless the policy names one. */
static int check_form(struct alone_check *c)
{
	struct view raw = field(c->in->report->report);
	TPMS_ATTEST t = { 0 };
	size_t at = 0;

	if (c->in->report->event_log.len > EVENT_LOG_MAX || raw.len > sizeof(t) ||
	    Tss2_MU_TPMS_ATTEST_Unmarshal(raw.data, raw.len, &at, &t) != TSS2_RC_SUCCESS ||
	    at != raw.len || t.type != TPM2_ST_ATTEST_QUOTE) {
		appraisal_refuse(c->a, "evidence.format", "a TPMS_ATTEST of a quote",
				 "another structure, or one with bytes behind it");
		return 0;
	}
	c->result.bank = HASH_SHA256;
	if (t.attested.quote.pcrSelect.count > 0)
		c->result.bank = (enum hash_alg)t.attested.quote.pcrSelect.pcrSelections[0].hash;
	if (c->in->policy)
		c->result.bank = policy_tpm_bank(c->in->policy);
	if (hash_size(c->result.bank) == 0) {
		appraisal_refuse(c->a, "evidence.format", "a quote over a bank that is known",
				 "one of 0x%04x", (unsigned int)c->result.bank);
		return 0;
	}
	c->result.version = 2;
	c->result.has_report_data = t.extraData.size <= sizeof(c->result.report_data);
	if (c->result.has_report_data) {
		memcpy(c->result.report_data, t.extraData.buffer, t.extraData.size);
		c->result.report_data_len = t.extraData.size;
	}
	appraisal_pass(c->a);
	return 1;
}

static int check_key(struct alone_check *c)
{
	const char *why = NULL;
	int r;

	r = tpm_public_parse(field(c->in->report->key), &c->key, &why);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (r == 0)
		why = tpm_public_ak_fault(&c->key);
	if (why) {
		appraisal_refuse(c->a, "evidence.key", "a restricted signing key made in the TPM",
				 "%s", why);
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

static int check_quote(struct alone_check *c)
{
	struct view own = view_of(c->result.report_data, c->result.report_data_len);
	int r;

	r = tpm_quote_judge(&c->key, field(c->in->report->report), field(c->in->report->signature),
			    own, c->a, &c->quote);
	if (r <= 0)
		return r;
	c->result.reset_count = c->quote.attest.clockInfo.resetCount;
	c->result.restart_count = c->quote.attest.clockInfo.restartCount;
	c->result.clock = c->quote.attest.clockInfo.clock;
	r = evidence_judge_report_data(c->in, own, c->a);
	c->result.signature_good = r > 0;
	return r;
}

/* Without the values the quote vouches for a digest that says nothing to anybody. */
static int check_pcrs(struct alone_check *c)
{
	return tpm_quote_judge_pcrs(&c->quote, c->in->report->pcrs, c->in->report->n_pcrs,
				    c->result.bank, c->a, c->result.pcrs, &c->result.pcrs_quoted);
}

static int check_selection(struct alone_check *c)
{
	struct pcr_rules rules = rules_of(c);

	return pcr_rules_judge_selection(&rules, &c->result, c->a);
}

static int check_event_log(struct alone_check *c)
{
	struct pcr_rules rules = rules_of(c);

	return pcr_rules_judge_event_log(&rules, field(c->in->report->event_log), &c->result, c->a);
}

static int check_ima(struct alone_check *c)
{
	return ima_rules_judge(c->in->policy, "tpm", c->in->report, NULL, &c->result, c->a);
}

static int check_values(struct alone_check *c)
{
	struct pcr_rules rules = rules_of(c);

	return pcr_rules_judge_values(&rules, &c->result, c->a);
}

/* In order; after one that fails the rest has nothing to stand on, but for the event log. */
static const struct {
	int (*check)(struct alone_check *c);
	bool rest_builds_on_it;
} checks[] = {
	{ check_platform, true },   { check_form, true }, { check_key, true },
	{ check_quote, true },	    { check_pcrs, true }, { check_selection, true },
	{ check_event_log, false }, { check_ima, false }, { check_values, false },
};

int tpm_verify_alone(const struct evidence_input *in, struct appraisal *a,
		     struct evidence_result *ret)
{
	struct alone_check c = { .in = in, .a = a };
	int r;

	*ret = c.result;
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		r = checks[i].check(&c);
		if (r < 0)
			return r;
		if (r == 0 && checks[i].rest_builds_on_it)
			break;
	}
	*ret = c.result;
	return 0;
}
