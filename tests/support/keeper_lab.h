/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_KEEPER_LAB_H
#define ASSAY_TESTS_KEEPER_LAB_H

#include "hpke.h"
#include "verifier/keeper.h"

/*
 * The keeper and its store over a file in a temporary directory, driven by the requests that
 * the appraiser makes: what is judged here was appraised elsewhere. Its policy is of the
 * application demo: stage 1 after a static measurement releases one secret, stage 2 after a
 * dynamic one two. Everything here fails the test where it does not succeed.
 */

#define SECOND UINT64_C(1000000000)

struct keeper_lab {
	char directory[192], path[256];
	struct policy *policy;
	struct policies policies;
	struct vault vault;
	struct keeper keeper;
	struct bytes message, answer;
	union keeper_any fixed;
	struct view blobs[KEEPER_BLOBS];
	uint32_t type;
	struct store_time now;
	uint64_t session;
	uint8_t nonce[NONCE_SIZE], public_key[HPKE_PUBLIC_SIZE];
	struct secret private_key;
	uint64_t sequence;
	uint8_t head[KEEPER_HASH_SIZE];
};

/* A judgement that is good in all; a test spoils what it is about. */
struct judgement {
	struct keeper_judge j;
	struct keeper_measurement m;
	const char *claims, *mi;
	struct view entries; /* new ones of the runtime log */
	struct appraisal reasons;
};

/* A cmocka fixture: *state is a struct keeper_lab. */
int keeper_lab_set_up(void **state);
int keeper_lab_tear_down(void **state);
void keeper_lab_open_store(struct keeper_lab *f);

/* One request through the very bytes that the socket carries; the answer is in f. */
int keeper_lab_ask(struct keeper_lab *f, uint32_t type, const void *fixed,
		   const struct view *blobs);
void keeper_lab_hello(struct keeper_lab *f, const char *key_name);
void keeper_lab_enrol(struct keeper_lab *f);
/* With that EK certificate; the answer is in f. */
void keeper_lab_enrol_chip(struct keeper_lab *f, const char *ek_certificate);
void keeper_lab_nonce(struct keeper_lab *f, uint32_t stage);

/* A session of an enrolled machine. */
void keeper_lab_start(struct keeper_lab *f);

void keeper_lab_prepare(struct keeper_lab *f, uint8_t run, uint32_t stage, struct judgement *ret);
int keeper_lab_judge(struct keeper_lab *f, struct judgement *g);
void keeper_lab_expect(struct keeper_lab *f, struct judgement *g, bool accepted, size_t secrets,
		       const char *rule);

/* Of the last verdict: how many secrets, and whether the rule is among its reasons. */
size_t keeper_lab_sealed(struct keeper_lab *f);
bool keeper_lab_refused_by(struct keeper_lab *f, const char *rule);

/* A number out of the store; and that its log says the same as its tables. */
int64_t keeper_lab_count(struct keeper_lab *f, const char *sql);
void keeper_lab_assert_whole(struct keeper_lab *f);

#endif
