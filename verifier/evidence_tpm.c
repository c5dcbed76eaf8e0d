/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "claims.h"
#include "cleanup.h"
#include "credential.h"
#include "evidence_table.h"
#include "evidence_tpm_files.h"
#include "ima_log.h"
#include "ima_rules.h"
#include "pcr_rules.h"
#include "tpm_quote.h"

#define PCR_VALUES_MAX (TPM2_NUM_PCR_BANKS * EVIDENCE_PCRS)

/* One piece of evidence on its way through the checks. */
struct tpm_check {
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

static int check_platform(struct tpm_check *c)
{
	if (!policy_allows_platform(c->in->policy, evidence_tpm.platform)) {
		appraisal_refuse(c->a, "platforms", "a platform that the policy names", "%s",
				 evidence_tpm.platform);
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

static int check_sizes(struct tpm_check *c)
{
	const Assay__ChipReport *r = c->in->report;
	const struct {
		const char *what;
		size_t size, max;
	} limits[] = {
		{ "report", r->report.len, EVIDENCE_REPORT_MAX },
		{ "signature", r->signature.len, EVIDENCE_REPORT_MAX },
		{ "key", r->key.len, EVIDENCE_REPORT_MAX },
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

static void hex_of(struct view v, char to[DIGEST_HEX_MAX + 4])
{
	hex_encode(v.data, v.len < TPM_NAME_MAX ? v.len : TPM_NAME_MAX, to);
}

/* The AK is the one that was enrolled for this machine: its name is a hash of all that it is. */
static int check_key(struct tpm_check *c)
{
	char expected[DIGEST_HEX_MAX + 4], seen[DIGEST_HEX_MAX + 4];
	struct view name;
	const char *why;
	int r;

	r = tpm_public_parse(field(c->in->report->key), &c->key, &why);
	if (r == -EBADMSG) {
		appraisal_refuse(c->a, "evidence.key", "the TPMT_PUBLIC of an attestation key",
				 "%s", why);
		return 0;
	}
	if (r < 0)
		return r;
	name = tpm_public_name(&c->key);
	hex_of(name, seen);
	if (c->in->key_name.len == 0) {
		appraisal_refuse(c->a, "evidence.key", "a key enrolled for this machine",
				 "%s, and none is enrolled", seen);
		return 0;
	}
	if (c->in->key_name.len != name.len ||
	    CRYPTO_memcmp(c->in->key_name.data, name.data, name.len) != 0) {
		hex_of(c->in->key_name, expected);
		appraisal_refuse(c->a, "evidence.key", expected, "%s", seen);
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

static int check_key_attributes(struct tpm_check *c)
{
	const char *fault = tpm_public_ak_fault(&c->key);

	if (fault) {
		appraisal_refuse(c->a, "evidence.key.attributes",
				 "a restricted signing key made in the TPM", "%s", fault);
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

static int check_quote(struct tpm_check *c)
{
	const TPMS_CLOCK_INFO *clock = &c->quote.attest.clockInfo;
	struct digest qualifying;
	int r;

	r = claims_qualifying(c->in->claims, &qualifying);
	if (r < 0)
		return r;
	r = tpm_quote_judge(&c->key, field(c->in->report->report), field(c->in->report->signature),
			    digest_view(&qualifying), c->a, &c->quote);
	if (r <= 0)
		return r;
	c->result.signature_good = true;
	c->result.reset_count = clock->resetCount;
	c->result.restart_count = clock->restartCount;
	c->result.clock = clock->clock;
	return 1;
}

static int check_pcr_values(struct tpm_check *c)
{
	struct evidence_result *res = &c->result;

	return tpm_quote_judge_pcrs(&c->quote, c->in->report->pcrs, c->in->report->n_pcrs,
				    res->bank, c->a, res->pcrs, &res->pcrs_quoted);
}

static struct pcr_rules rules_of(const struct tpm_check *c)
{
	return (struct pcr_rules){
		.path = "platforms.tpm.pcrs",
		.policy = c->in->policy,
		.values = policy_tpm_pcr,
		.event_log = policy_tpm_event_log(c->in->policy),
	};
}

static int check_selection(struct tpm_check *c)
{
	struct pcr_rules rules = rules_of(c);

	return pcr_rules_judge_selection(&rules, &c->result, c->a);
}

static int check_event_log(struct tpm_check *c)
{
	struct pcr_rules rules = rules_of(c);

	return pcr_rules_judge_event_log(&rules, field(c->in->report->event_log), &c->result, c->a);
}

static int check_ima(struct tpm_check *c)
{
	return ima_rules_judge(c->in->policy, evidence_tpm.platform, c->in->report, c->in->ima,
			       &c->result, c->a);
}

static int check_policy_pcrs(struct tpm_check *c)
{
	struct pcr_rules rules = rules_of(c);

	return pcr_rules_judge_values(&rules, &c->result, c->a);
}

/* A policy that names no EK CA leaves it to the enrolment which chips are trusted. */
static int check_ek_certificate(struct tpm_check *c)
{
	const char *file = policy_tpm_ek_ca_file(c->in->policy);
	struct view roots = policy_tpm_ek_ca(c->in->policy);

	if ((!file || !*file) && roots.len == 0)
		return 1;
	return ek_certificate_judge(c->in->ek_certificate, c->in->ek_chain, roots, c->in->now,
				    c->a);
}

/*
 * In order. A check gives 1: held; 0: refused; a negative errno. After one that the rest
 * builds on the rest would only repeat it.
 */
static const struct {
	int (*check)(struct tpm_check *c);
	bool rest_builds_on_it;
} checks[] = {
	{ check_platform, true },	{ check_sizes, true },		 { check_key, true },
	{ check_key_attributes, true }, { check_quote, true },		 { check_pcr_values, true },
	{ check_selection, true },	{ check_event_log, false },	 { check_ima, false },
	{ check_policy_pcrs, false },	{ check_ek_certificate, false },
};

static int tpm_verify(const struct evidence_input *in, struct appraisal *a,
		      struct evidence_result *ret)
{
	struct tpm_check c = { .in = in, .a = a };
	int r;

	c.result.bank = policy_tpm_bank(in->policy);
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

const struct evidence_ops evidence_tpm = {
	.platform = "tpm",
	.insecure = false,
	.verify = tpm_verify,
	.detect = tpm_detect,
	.gather = tpm_gather,
	.verify_alone = tpm_verify_alone,
	.show = tpm_show,
	.proves = "The attestation key given made this quote over the report data and registers\n"
		  "shown, and says of itself that it signs only what its TPM saw.",
	.proves_not = "That the key is of a genuine TPM, or of which machine: that takes its\n"
		      "enrolment, or the chain of its EK; when the quote was made, unless the\n"
		      "report data were fresh.",
};
