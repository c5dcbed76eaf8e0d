/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_TEE_SCENE_H
#define ASSAY_TESTS_TEE_SCENE_H

#include "arena.h"
#include "attester.h"
#include "evidence.h"
#include "made_chip.h"

/* An attester over a made chip, and the verifier's side that judges what it brings. */

struct tee_scene {
	struct made_chip *chip; /* lent */
	struct attester *attester;
	struct arena *arena;
	Assay__ChipReport report; /* the last one */
};

/* What stands for serialised Claims. */
extern const char tee_scene_claims[];

/* Nothing set but a time-out that is never reached. */
extern const struct attester_config tee_scene_config;

/* Opened, or the running test fails. */
struct attester *tee_scene_attester(const char *platform, const struct attester_config *config);

/* The chip is behind its stand-in already. */
void tee_scene_open(struct made_chip *chip, const struct attester_config *config,
		    struct tee_scene *ret);

/* attester NULL: it is closed already. */
void tee_scene_close(struct tee_scene *s);

/* attester_ops.report over tee_scene_claims, or others. */
int tee_scene_ask(struct tee_scene *s);
int tee_scene_ask_for(struct tee_scene *s, const char *claims);

/*
 * Judges the last report over these Claims, under a policy that names the platform and nothing
 * else, with the chip's root. own_endorsements: what the chip's maker would give, besides what
 * came with the report. The first rule that refuses, or "".
 */
void tee_scene_judge(struct tee_scene *s, const char *over, bool own_endorsements, char *ret_rule,
		     struct evidence_result *ret);

/* A new report, which the verifier takes: for its Claims and for no others. */
void tee_scene_expect_good(struct tee_scene *s, bool own_endorsements);

#endif
