/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "evidence_cca.h"
#include "evidence_rules.h"

/* What is only a matter of what the owner accepts. */

#define PATH	   "platforms.cca"
#define RULE_MAX   32
#define HEX_MAX	   (2 * POLICY_CCA_DIGEST_MAX + 1)
#define SHOWN_MAX  2 /* accepted values that a reason has room for */
#define WORDS_MAX  128

/* DEN0137, A7.2.3.2.4: the high byte is the state, the low one the maker's. */
static const struct {
	uint64_t high;
	const char *name;
	unsigned int bit;
} lifecycles[] = {
	{ 0x00, "unknown", POLICY_CCA_UNKNOWN },
	{ 0x10, "assembly-and-test", POLICY_CCA_ASSEMBLY },
	{ 0x20, "rot-provisioning", POLICY_CCA_PROVISIONING },
	{ 0x30, "secured", POLICY_CCA_SECURED },
	{ 0x40, "non-cca-debug", POLICY_CCA_NON_CCA_DEBUG },
	{ 0x50, "recoverable-debug", POLICY_CCA_RECOVERABLE_DEBUG },
	{ 0x60, "decommissioned", POLICY_CCA_DECOMMISSIONED },
};

const char *cca_lifecycle_name(uint64_t lifecycle)
{
	for (size_t i = 0; i < ARRAY_LEN(lifecycles); i++) {
		if (lifecycles[i].high == lifecycle >> 8)
			return lifecycles[i].name;
	}
	return "invalid";
}

unsigned int cca_lifecycle_bit(uint64_t lifecycle)
{
	for (size_t i = 0; i < ARRAY_LEN(lifecycles); i++) {
		if (lifecycles[i].high == lifecycle >> 8)
			return lifecycles[i].bit;
	}
	return 0;
}

static bool is_one_of(const struct policy_cca_digests *v, struct view seen)
{
	for (size_t i = 0; i < v->n; i++) {
		if (view_equal(view_of(v->at[i].bytes, v->at[i].size), seen))
			return true;
	}
	return false;
}

static void list_values(const struct policy_cca_digests *v, char to[APPRAISAL_TEXT_MAX])
{
	char hex[HEX_MAX];
	size_t len = 0;

	for (size_t i = 0; i < v->n && i < SHOWN_MAX; i++) {
		hex_encode(v->at[i].bytes, v->at[i].size, hex);
		len += (size_t)snprintf(to + len, APPRAISAL_TEXT_MAX - len, "%s%s",
					i ? " or " : "", hex);
	}
	if (v->n > SHOWN_MAX)
		snprintf(to + len, APPRAISAL_TEXT_MAX - len, " or one of %zu more",
			 v->n - SHOWN_MAX);
}

/* of: whose value it is, for people; empty where the rule says it. */
static void judge_value(struct cca_check *c, const char *rule, const struct policy_cca_digests *v,
			struct view seen, const char *of)
{
	char expected[APPRAISAL_TEXT_MAX], hex[HEX_MAX];

	if (v->n == 0)
		return;
	if (is_one_of(v, seen)) {
		appraisal_pass(c->a);
		return;
	}
	list_values(v, expected);
	hex_encode(seen.data, seen.len, hex);
	appraisal_refuse(c->a, rule, expected, "%s%s%s", of, *of ? ": " : "", hex);
}

static void judge_lifecycle(struct cca_check *c)
{
	uint64_t seen = c->token.platform.lifecycle;
	char expected[WORDS_MAX] = "";
	size_t len = 0;

	if (c->rules->lifecycle & cca_lifecycle_bit(seen)) {
		appraisal_pass(c->a);
		return;
	}
	for (const struct policy_flag *f = policy_cca_lifecycles; f->word; f++) {
		if (c->rules->lifecycle & f->bit)
			len += (size_t)snprintf(expected + len, sizeof(expected) - len, "%s%s",
						len ? " or " : "", f->word);
	}
	appraisal_refuse(c->a, PATH ".lifecycle", expected, "%s (0x%04x)", cca_lifecycle_name(seen),
			 (unsigned int)seen);
}

static void judge_components(struct cca_check *c)
{
	const struct cca_platform *p = &c->token.platform;
	char type[CCA_TEXT_MAX + 1];

	for (size_t i = 0; i < p->n_components; i++) {
		const struct cca_component *one = &p->components[i];

		cca_text(one->type, type);
		judge_value(c, PATH ".component_measurements", &c->rules->component_measurements,
			    one->measurement, type);
		judge_value(c, PATH ".component_signers", &c->rules->component_signers,
			    one->signer_id, type);
	}
}

static bool has_component(const struct cca_platform *p, const char *type)
{
	for (size_t i = 0; i < p->n_components; i++) {
		if (view_is(p->components[i].type, type))
			return true;
	}
	return false;
}

static void judge_required_components(struct cca_check *c)
{
	for (const char *const *type = c->rules->components; type && *type; type++) {
		if (has_component(&c->token.platform, *type))
			appraisal_pass(c->a);
		else
			appraisal_refuse(c->a, PATH ".components", *type,
					 "no component of this type");
	}
}

void cca_judge_policy(struct cca_check *c)
{
	const struct policy_cca *p = c->rules;
	const struct cca_token *t = &c->token;
	char rule[RULE_MAX];

	judge_lifecycle(c);
	evidence_rule_values(c->a, PATH ".implementation_id", &p->implementation_id,
			     t->platform.implementation_id.data);
	evidence_rule_values(c->a, PATH ".instance_id", &p->instance_id,
			     t->platform.instance_id.data);
	judge_components(c);
	judge_required_components(c);
	judge_value(c, PATH ".measurement", &p->measurement, t->realm.rim, "");
	for (size_t i = 0; i < CCA_REMS; i++) {
		snprintf(rule, sizeof(rule), PATH ".rem%zu", i);
		judge_value(c, rule, &p->rem[i], t->realm.rem[i], "");
	}
	evidence_rule_values(c->a, PATH ".personalization", &p->personalization,
			     t->realm.personalization.data);
}
