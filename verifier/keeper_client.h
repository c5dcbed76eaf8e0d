/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_KEEPER_CLIENT_H
#define ASSAY_VERIFIER_KEEPER_CLIENT_H

#include "keeper_proto.h"

struct event_base;

/* The appraiser's end of the socket to the keeper: requests go out, answers come in order. */
struct keeper_client;

/*
 * The answer to a request: its type, fixed part and blobs, lent during the call.
 * KEEPER_FAILED where the keeper refused it.
 */
typedef void (*keeper_answer_fn)(void *arg, uint32_t type, const union keeper_any *fixed,
				 const struct view *blobs);

/* on_unasked gets KEEPER_DEMAND and KEEPER_END; on_lost is called when the keeper has ended. */
MUST_CHECK int keeper_client_new(struct event_base *base, int fd, keeper_answer_fn on_unasked,
				 void (*on_lost)(void *arg), void *arg, struct keeper_client **ret);
void keeper_client_free(struct keeper_client *c);

/* Asks. answer may be NULL. On success it is called once, unless arg is forgotten first. */
MUST_CHECK int keeper_ask(struct keeper_client *c, enum keeper_type type, const void *fixed,
			  const struct view *blobs, keeper_answer_fn answer, void *arg);

/* Answers for arg are dropped from now on. */
void keeper_client_forget(struct keeper_client *c, const void *arg);

#endif
