/* SPDX-License-Identifier: Apache-2.0 */
#include "tee_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cleanup.h"

#define REPORT_MEMORY (4 * 1024 * 1024)

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct policy *, policy_free)

const char tee_scene_claims[] = "these bytes stand for serialised Claims";

const struct attester_config tee_scene_config = { .timeout_ms = 30000 };

struct attester *tee_scene_attester(const char *platform, const struct attester_config *config)
{
	const struct attester_ops *ops;
	struct attester *a = NULL;
	char why[ATTESTER_WHY_MAX] = "";

	ops = attester_pick(platform, config, why, sizeof(why));
	assert_non_null(ops);
	if (ops->open(config, &a, why, sizeof(why)) != 0)
		fail_msg("%s: %s", platform, why);
	return a;
}

void tee_scene_open(struct made_chip *chip, const struct attester_config *config,
		    struct tee_scene *ret)
{
	*ret = (struct tee_scene){ .chip = chip };
	ret->attester = tee_scene_attester(made_chip_platform(chip), config);
	assert_int_equal(arena_new(REPORT_MEMORY, &ret->arena), 0);
}

void tee_scene_close(struct tee_scene *s)
{
	if (s->attester)
		s->attester->ops->close(s->attester);
	arena_free(s->arena);
}

int tee_scene_ask_for(struct tee_scene *s, const char *claims)
{
	assay__chip_report__init(&s->report);
	return s->attester->ops->report(s->attester, view_text(claims), s->arena, &s->report);
}

int tee_scene_ask(struct tee_scene *s)
{
	return tee_scene_ask_for(s, tee_scene_claims);
}

void tee_scene_judge(struct tee_scene *s, const char *over, bool own_endorsements, char *ret_rule,
		     struct evidence_result *ret)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	CLEANUP(policy_freep) struct policy *p = NULL;
	struct evidence_input in = {
		.report = &s->report,
		.claims = view_text(over),
		.now = (int64_t)time(NULL),
		.roots = made_chip_root(s->chip),
		.n_roots = 1,
	};
	char text[256], *error = NULL;
	struct appraisal a;

	snprintf(text, sizeof(text), "application: a\nversion: 1\nplatforms: {%s: {}}\n",
		 made_chip_platform(s->chip));
	if (policy_parse(view_text(text), "test", &p, &error) != 0)
		fail_msg("%s", error);
	assert_int_equal(endorsements_new(&e), 0);
	if (own_endorsements)
		made_chip_endorse(s->chip, e);
	in.policy = p;
	in.endorsements = e;
	appraisal_init(&a);
	assert_int_equal(evidence_find(made_chip_platform(s->chip))->verify(&in, &a, ret), 0);
	appraisal_finish(&a);
	strcpy(ret_rule, appraisal_accepted(&a) ? "" : a.reasons[0].rule);
	appraisal_done(&a);
}

void tee_scene_expect_good(struct tee_scene *s, bool own_endorsements)
{
	struct evidence_result result;
	char rule[APPRAISAL_RULE_MAX];

	if (tee_scene_ask(s) != 0)
		fail_msg("%s", s->attester->why);
	assert_string_equal(s->report.platform, made_chip_platform(s->chip));
	tee_scene_judge(s, tee_scene_claims, own_endorsements, rule, &result);
	assert_string_equal(rule, "");
	assert_true(result.signature_good);
	tee_scene_judge(s, "other Claims", own_endorsements, rule, &result);
	assert_string_equal(rule, "evidence.claims");
}
