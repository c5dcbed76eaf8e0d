/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_KEEPER_H
#define ASSAY_VERIFIER_KEEPER_H

#include "config.h"
#include "keeper_proto.h"
#include "policies.h"
#include "store.h"
#include "vault.h"

/*
 * The privileged process: store, secrets, nonces, the decision on release, the
 * control socket. It parses nothing that came from the network but keeper_proto.h.
 */
struct keeper {
	const struct policies *policies;
	const struct vault *vault;
	struct store *store;
	uint64_t nonce_valid_ns;

	/* Refusals before Hello can be made by anybody: past a rate they are only counted. */
	uint64_t refusals_since_ns;
	unsigned int refusals;
	uint64_t refusals_uncounted;

	void (*on_alive)(void *arg); /* may be NULL */
	void *arg;
};

/* Of refusals without a session, recorded in a minute. */
#define KEEPER_REFUSALS_MAX 60

/*
 * Answers one request: appends one message to answer, which is never empty on success.
 * -EBADMSG: not a request; the appraiser is broken or taken over, and the caller ends it. What a
 * request changes is committed before this returns; one that fails changes nothing and is
 * answered with KEEPER_FAILED.
 */
MUST_CHECK int keeper_handle(struct keeper *k, uint32_t type, struct view body,
			     struct store_time now, struct bytes *answer);

/*
 * The keeper process: opens store and secrets, serves fd (the appraiser's socket) and the control
 * socket until it is told to end. Exit status. clock is where the time comes from.
 */
int keeper_main(const struct verifier_config *config, const char *directory,
		const struct policies *policies, int fd, struct store_time (*clock)(void));

#endif
