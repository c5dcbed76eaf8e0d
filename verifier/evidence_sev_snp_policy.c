/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "evidence_rules.h"
#include "evidence_sev_snp.h"

/* What is only a matter of what the owner accepts: the report itself is genuine. */

#define PATH	 "platforms.sev-snp"
#define TEXT_MAX APPRAISAL_TEXT_MAX

struct rules {
	const struct policy_snp *policy;
	const struct snp_report *report;
	const struct snp_certificate *certificate;
	struct appraisal *a;
};

/* A digest of keys is nothing where the firmware says that there was no such key. */
static void judge_author_key(const struct rules *x)
{
	if (x->policy->author_key_digest.n > 0 && !x->report->author_key_enabled) {
		appraisal_refuse(x->a, PATH ".author_key_digest", "a guest with an author key",
				 "one without");
		return;
	}
	evidence_rule_values(x->a, PATH ".author_key_digest", &x->policy->author_key_digest,
			     x->report->author_key_digest);
}

/* With the id masked, that of the key's certificate: it is the key that makes a chip this one. */
static void judge_chip_id(const struct rules *x)
{
	uint8_t id[SNP_CHIP_ID_SIZE] = { 0 };

	memcpy(id, x->report->chip_id, sizeof(id));
	if (snp_all_zero(id, sizeof(id)))
		memcpy(id, x->certificate->hwid, x->certificate->hwid_len);
	evidence_rule_values(x->a, PATH ".chip_id", &x->policy->chip_id, id);
}

static void judge_ids(const struct rules *x)
{
	const struct policy_snp *p = x->policy;
	const struct snp_report *r = x->report;

	evidence_rule_values(x->a, PATH ".measurement", &p->measurement, r->measurement);
	evidence_rule_values(x->a, PATH ".host_data", &p->host_data, r->host_data);
	evidence_rule_values(x->a, PATH ".id_key_digest", &p->id_key_digest, r->id_key_digest);
	judge_author_key(x);
	evidence_rule_values(x->a, PATH ".family_id", &p->family_id, r->family_id);
	evidence_rule_values(x->a, PATH ".image_id", &p->image_id, r->image_id);
	judge_chip_id(x);
}

static bool listed(const char *const *words, const char *word)
{
	for (; *words; words++) {
		if (strcasecmp(*words, word) == 0)
			return true;
	}
	return false;
}

static void judge_word(const struct rules *x, const char *rule, const char *const *words,
		       const char *word)
{
	char expected[TEXT_MAX] = "";
	size_t len = 0;

	if (!words)
		return;
	if (listed(words, word)) {
		appraisal_pass(x->a);
		return;
	}
	for (const char *const *w = words; *w && len < sizeof(expected); w++)
		len += (size_t)snprintf(expected + len, sizeof(expected) - len, "%s%s",
					len ? " or " : "", *w);
	appraisal_refuse(x->a, rule, expected, "%s", word);
}

static void judge_key(const struct rules *x)
{
	judge_word(x, PATH ".products", x->policy->products, x->certificate->product->name);
	judge_word(x, PATH ".keys", x->policy->keys, x->certificate->vlek ? "vlek" : "vcek");
}

static void judge_bit(const struct rules *x, const char *rule, bool allowed, uint64_t bit,
		      const char *what)
{
	if (allowed)
		return;
	if (x->report->policy & bit)
		appraisal_refuse(x->a, rule, "a guest that forbids it", "a guest policy that %s",
				 what);
	else
		appraisal_pass(x->a);
}

static void judge_guest(const struct rules *x)
{
	const struct policy_snp *p = x->policy;

	judge_bit(x, PATH ".debug", p->debug, SNP_POLICY_DEBUG,
		  "lets the host read its memory (DEBUG)");
	judge_bit(x, PATH ".migration", p->migration, SNP_POLICY_MIGRATE_MA,
		  "lets a migration agent move it (MIGRATE_MA)");
	if (x->report->vmpl > p->vmpl_max) {
		char expected[32];

		snprintf(expected, sizeof(expected), "at most %u", p->vmpl_max);
		appraisal_refuse(x->a, PATH ".vmpl_max", expected, "%u", x->report->vmpl);
	} else {
		appraisal_pass(x->a);
	}
	if (x->report->guest_svn < p->guest_svn_min) {
		char expected[32];

		snprintf(expected, sizeof(expected), "at least %u", p->guest_svn_min);
		appraisal_refuse(x->a, PATH ".guest_svn_min", expected, "%u", x->report->guest_svn);
	}
}

/* Where a policy component's byte is in a TCB of the product; SNP_TCB_SIZE: it has none. */
static size_t place(const struct snp_product *product, enum policy_snp_component component)
{
	static const uint8_t extensions[POLICY_SNP_COMPONENTS] = {
		[POLICY_SNP_BOOTLOADER] = 1, [POLICY_SNP_TEE] = 2, [POLICY_SNP_SNP] = 3,
		[POLICY_SNP_MICROCODE] = 8,  [POLICY_SNP_FMC] = 9,
	};
	size_t i = 0;

	while (i < SNP_TCB_SIZE && product->tcb[i].extension != extensions[component])
		i++;
	return i;
}

/* Component by component: a TCB is no single number. */
static void judge_tcb(const struct rules *x, const char *which, const uint8_t tcb[SNP_TCB_SIZE])
{
	char expected[64];

	for (size_t i = 0; i < POLICY_SNP_COMPONENTS; i++) {
		const struct snp_product *product = x->certificate->product;
		unsigned int minimum = x->policy->minimum_tcb[i];
		size_t at = place(product, (enum policy_snp_component)i);

		/* Chips before Turin have no FMC to be old. */
		if (minimum == 0 || at == SNP_TCB_SIZE)
			continue;
		if (tcb[at] >= minimum) {
			appraisal_pass(x->a);
			continue;
		}
		snprintf(expected, sizeof(expected), "%s at least %u", product->tcb[at].name,
			 minimum);
		appraisal_refuse(x->a, PATH ".minimum_tcb", expected, "%u in the %s TCB", tcb[at],
				 which);
	}
}

void snp_judge_policy(const struct policy_snp *policy, const struct snp_report *report,
		      const struct snp_certificate *certificate, struct appraisal *a)
{
	const struct rules x = {
		.policy = policy, .report = report, .certificate = certificate, .a = a
	};

	judge_ids(&x);
	judge_key(&x);
	judge_guest(&x);
	evidence_rule_flags(a, PATH ".platform", policy_snp_platform_flags, &policy->platform,
			    report->platform_info);
	evidence_rule_flags(a, PATH ".guest_policy", policy_snp_guest_policy_flags,
			    &policy->guest_policy, report->policy);
	judge_tcb(&x, "reported", report->reported_tcb);
	judge_tcb(&x, "committed", report->committed_tcb);
	judge_tcb(&x, "launch", report->launch_tcb);
}
