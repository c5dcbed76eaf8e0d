/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_CONTROL_H
#define ASSAY_VERIFIER_CONTROL_H

#include "keeper_proto.h"
#include "store.h"

struct event_base;

/*
 * The operator's socket: mode 0600, one request a connection, a JSON object on a
 * line; the answer is a JSON object, and the end. {"do": "fleet"}, "log", "verify", "readmit",
 * "demand", "forget", "result". "ok" in the answer, and "error" where it is false.
 */
struct control;

/* The longest request. */
#define CONTROL_REQUEST_MAX 4096
/* Operators at a time. */
#define CONTROL_CLIENTS_MAX 16

/* Passes a demand, or KEEPER_END, on to the appraiser. */
typedef int (*control_demand_fn)(void *arg, const struct keeper_demand *d, enum keeper_type type);

MUST_CHECK int control_open(struct event_base *base, const char *path, struct store *store,
			    struct store_time (*clock)(void), control_demand_fn demand, void *arg,
			    struct control **ret);
void control_close(struct control *c);

struct results;

/* What signs attestation results; lent, and used from then on. */
void control_use_results(struct control *c, const struct results *results);

/* Answers one request: never NULL but for want of memory. For the socket above, and tests. */
json_t *control_answer(struct control *c, struct view request);

#endif
