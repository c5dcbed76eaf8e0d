/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_QUEUE_H
#define ASSAY_DAEMON_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "digest.h"
#include "session.pb-c.h"

/*
 * Evidence of one application on its way to the verifier, oldest first. One is
 * under way at a time, so that the verifier sees the chain in order. Bounded:
 * past the maximum the oldest dynamic ones are dropped, and the next Claims say how many.
 */

/* Claims and MI, as the very bytes that were hashed. */
struct queued_measurement {
	struct queued_measurement *next;
	struct bytes claims, mi;
};

struct round;

struct queued_evidence {
	struct queued_evidence *next;
	struct arena *arena; /* of chip */
	Assay__ChipReport chip;
	struct queued_measurement *measurements; /* oldest first */
	size_t n_measurements;
	struct digest claims_hash; /* of the last one, which the chip signed */
	uint64_t runtime_end;	   /* runtime log entries up to its own */
	uint64_t ima_end;	   /* bytes of IMA's list when it was made */
	bool is_static;
	bool in_session; /* made for the session of now: worthless in another */
	bool sent;
	struct round *round; /* waits for its verdict; NULL: nobody does */
};

struct queue {
	struct queued_evidence *first;
	size_t n; /* measurements in all */
	size_t max;
	size_t bytes; /* of Claims and MI */
};

/* Most bytes of Claims and MI in one queue, whatever its number of measurements. */
#define QUEUE_BYTES_MAX (64 * 1024 * 1024)

void queued_measurement_free(struct queued_measurement *m);
void queued_evidence_free(struct queued_evidence *e);

/* Takes e over. Returns how many measurements were dropped to make room. */
size_t queue_push(struct queue *q, struct queued_evidence *e);

/* Takes the first out if it was sent and has this hash; NULL otherwise. The caller frees it. */
struct queued_evidence *queue_answered(struct queue *q, const uint8_t hash[64]);

/*
 * The session ended: what was made for it goes, what was only sent in it is to
 * be sent again. Returns how many measurements went; on_lost is called for each evidence that a
 * round waits for.
 */
size_t queue_session_ended(struct queue *q, void (*on_lost)(struct round *r));

void queue_done(struct queue *q);

#endif
