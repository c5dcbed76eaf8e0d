/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_RELEASE_H
#define ASSAY_VERIFIER_RELEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "appraisal.h"
#include "policy.h"

/*
 * Whether a measurement that was judged releases the secrets of its stage, and
 * whether it latches the application: docs/protocol.md, Release. Pure: what the store knows
 * goes in, a decision with reasons comes out.
 */

/* What the store knows of the nonce in the Claims. The worst is first. */
enum release_nonce {
	RELEASE_NONCE_UNKNOWN,
	RELEASE_NONCE_USED,
	RELEASE_NONCE_REPLACED,
	RELEASE_NONCE_EXPIRED,
	RELEASE_NONCE_OTHER_SESSION,
	RELEASE_NONCE_OTHER_APPLICATION,
	RELEASE_NONCE_OTHER_STAGE,
	RELEASE_NONCE_NONE, /* measured while there was no session */
	RELEASE_NONCE_GOOD,
};

struct release_input {
	bool measurement_good; /* chip, boot values, chain, M and policy */
	bool signature_good;   /* the chip's, and it covers the Claims */
	bool channel_good;     /* exporter, Claims not judged before, what else is the session's */
	enum release_nonce nonce;
	bool has_channel_key;
	uint32_t stage; /* 0: a periodic measurement, nothing hangs on it */
	enum policy_kind kind;
	uint64_t since_challenge_ns;
	bool latched;
	bool run_current;		  /* no later run of this application is known */
	uint32_t run_passed;		  /* last stage that this run passed, 0: none */
	bool run_delivered;		  /* a receipt for that stage came */
	const struct policy_stage *asked; /* NULL: the policy has no such stage */
};

struct release_decision {
	bool accepted; /* what the verdict says */
	bool release;  /* the secrets of the stage go out */
	bool latch;    /* nothing further goes out until readmission */
};

/* Decides. Reasons of its own are added to a, which is finished. */
void release_decide(const struct release_input *in, struct appraisal *a,
		    struct release_decision *ret);

#endif
