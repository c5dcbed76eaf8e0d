/* SPDX-License-Identifier: Apache-2.0 */
#include "queue.h"

#include <stdlib.h>
#include <string.h>

void queued_measurement_free(struct queued_measurement *m)
{
	if (!m)
		return;
	bytes_done(&m->claims);
	bytes_done(&m->mi);
	free(m);
}

void queued_evidence_free(struct queued_evidence *e)
{
	struct queued_measurement *next;

	if (!e)
		return;
	for (struct queued_measurement *m = e->measurements; m; m = next) {
		next = m->next;
		queued_measurement_free(m);
	}
	arena_free(e->arena);
	free(e);
}

static size_t bytes_of(const struct queued_evidence *e)
{
	size_t n = 0;

	for (const struct queued_measurement *m = e->measurements; m; m = m->next)
		n += m->claims.len + m->mi.len;
	return n;
}

static void unlink_at(struct queue *q, struct queued_evidence **at)
{
	struct queued_evidence *e = *at;

	*at = e->next;
	e->next = NULL;
	q->n -= e->n_measurements;
	q->bytes -= bytes_of(e);
}

/* The oldest that may be dropped: dynamic, not under way, and nobody waits for it. */
static struct queued_evidence **droppable(struct queue *q)
{
	for (struct queued_evidence **at = &q->first; *at; at = &(*at)->next) {
		if (!(*at)->is_static && !(*at)->sent && !(*at)->round)
			return at;
	}
	return NULL;
}

size_t queue_push(struct queue *q, struct queued_evidence *e)
{
	struct queued_evidence **at = &q->first, *drop;
	size_t dropped = 0;

	while (*at)
		at = &(*at)->next;
	e->next = NULL;
	*at = e;
	q->n += e->n_measurements;
	q->bytes += bytes_of(e);
	while (q->n > q->max || q->bytes > QUEUE_BYTES_MAX) {
		at = droppable(q);
		if (!at || *at == e)
			break;
		drop = *at;
		unlink_at(q, at);
		dropped += drop->n_measurements;
		queued_evidence_free(drop);
	}
	return dropped;
}

struct queued_evidence *queue_answered(struct queue *q, const uint8_t hash[64])
{
	struct queued_evidence *e = q->first;

	if (!e || !e->sent || memcmp(e->claims_hash.bytes, hash, 64) != 0)
		return NULL;
	unlink_at(q, &q->first);
	return e;
}

size_t queue_session_ended(struct queue *q, void (*on_lost)(struct round *r))
{
	struct queued_evidence **at = &q->first, *e;
	size_t lost = 0;

	while (*at) {
		e = *at;
		e->sent = false;
		if (!e->in_session) {
			at = &e->next;
			continue;
		}
		unlink_at(q, at);
		lost += e->n_measurements;
		if (e->round)
			on_lost(e->round);
		queued_evidence_free(e);
	}
	return lost;
}

void queue_done(struct queue *q)
{
	struct queued_evidence *e;

	while ((e = q->first)) {
		unlink_at(q, &q->first);
		queued_evidence_free(e);
	}
}
