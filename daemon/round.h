/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_ROUND_H
#define ASSAY_DAEMON_ROUND_H

#include "attester.h"
#include "claims.h"
#include "measure.h"
#include "mi.h"
#include "privsep.h"
#include "schedule.h"

/*
 * THE round: from a time node to the secret at the application. round.c tells it as a
 * table of steps; each step is done at once, or waits for somebody (chip, files,
 * verifier) who continues the round.
 */

struct application;
struct round;

/* A round that waits this long for the verifier gives the session up. */
#define ROUND_VERIFIER_SECONDS 30

/* Memory for one chip report: event log, endorsements, runtime log. */
#define ROUND_CHIP_MEMORY (24 * 1024 * 1024)

struct round_in {
	Assay__Claims__Kind kind;
	Assay__TimeNode__Kind node;
	uint64_t due_boottime_ns;
	const char *reason;    /* copied */
	uint32_t stage;	       /* 0: no secret hangs on it */
	uint32_t report_every; /* 1: its own chip report */
};

/* Begins; application_round_ended follows, from the loop or before this returns. */
void round_start(struct application *a, const struct round_in *in);

/* Drops the round: nothing is called any more. What the chip or a thread still does for it runs
 * out. */
void round_abandon(struct round *r);

/*
 * The run ends: a measurement that waits for the chip only to be extended joins the
 * batch now, whose report comes after it on the chip thread.
 */
void round_hand_over(struct round *r);

uint32_t round_stage(const struct round *r);
bool round_is_static(const struct round *r);

/* True once the verifier accepted its evidence. */
bool round_accepted(const struct round *r);

/* What a static round measured; the caller frees it. NULL: another took it, or there is none. */
struct measured *round_take_measured(struct round *r);

/* The verifier sent a nonce. True: the round had asked for it and goes on with it. */
bool round_challenged(struct round *r, const struct privsep_challenge *c);

/* The verifier judged this round's evidence; in holds the secrets. */
void round_judged(struct round *r, const struct privsep_verdict *head, struct reader in);

/* The session ended while the round's evidence was in the queue. */
void round_session_lost(struct round *r);

/* The session ended: a round that waits for a nonce ends with -ENOTCONN; others go on. */
void round_session_down(struct round *r);

#endif
