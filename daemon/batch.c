/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "claims.h"
#include "cleanup.h"
#include "log.h"

void batch_add(struct application *a, struct queued_measurement *m)
{
	struct queued_measurement **end = &a->batch;

	while (*end)
		end = &(*end)->next;
	m->next = NULL;
	*end = m;
	a->batch_n++;
	a->batch_bytes += m->claims.len + m->mi.len;
}

struct queued_measurement *batch_take(struct application *a, size_t *ret_n)
{
	*ret_n = a->batch_n;
	a->batch_n = a->batch_bytes = 0;
	return TAKE(a->batch);
}

void batch_drop(struct application *a)
{
	struct queued_measurement *next;
	size_t n;

	for (struct queued_measurement *m = batch_take(a, &n); m; m = next) {
		next = m->next;
		queued_measurement_free(m);
	}
}

/* On the chip thread; the application outlives it. */
struct closing {
	struct application *app;
	struct queued_evidence *evidence;
	const struct queued_measurement *last;
	char why[ATTESTER_WHY_MAX]; /* in words, why there is no report */
};

static int ask_chip(void *arg)
{
	struct closing *c = arg;
	struct daemon *d = c->app->daemon;
	struct attester *chip = d->attester;
	int r;

	chip->why[0] = '\0';
	/* A round that the end of the run cut off may have extended since: the quote shows it. */
	if (d->runtime_log)
		c->evidence->runtime_end = runtime_log_end(d->runtime_log);
	r = d->attester_ops->report(chip, bytes_view(&c->last->claims), c->evidence->arena,
				    &c->evidence->chip);
	if (r == 0 && d->ima)
		c->evidence->ima_end = ima_list_read(d->ima);
	if (r < 0)
		snprintf(c->why, sizeof(c->why), "%s", chip->why[0] ? chip->why : strerror(-r));
	return r;
}

static void closing_free(struct closing *c)
{
	queued_evidence_free(c->evidence);
	free(c);
}

static void chip_answered(void *arg, int r)
{
	struct closing *c = arg;
	struct application *a = c->app;

	if (r < 0) {
		log_warning("%s: the last %zu measurements of a run have no chip report: %s",
			    a->config->name, c->evidence->n_measurements,
			    r == -ECANCELED ? strerror(-r) : c->why);
	} else {
		size_t dropped = queue_push(&a->queue, TAKE(c->evidence));

		if (dropped > 0)
			log_warning("%s: %zu measurements dropped: the queue is full",
				    a->config->name, dropped);
		channel_flush(a);
	}
	closing_free(c);
}

void batch_close(struct application *a)
{
	struct queued_evidence *e;
	struct closing *c;
	int r;

	if (!a->batch)
		return;
	c = calloc(1, sizeof(*c));
	e = calloc(1, sizeof(*e));
	r = c && e ? arena_new(ROUND_CHIP_MEMORY, &e->arena) : -ENOMEM;
	if (r < 0) {
		free(c);
		queued_evidence_free(e);
		log_error("%s: the last measurements of a run are lost: %s", a->config->name,
			  strerror(-r));
		return;
	}
	assay__chip_report__init(&e->chip);
	e->measurements = batch_take(a, &e->n_measurements);
	c->app = a;
	c->evidence = e;
	for (c->last = e->measurements; c->last->next; c->last = c->last->next)
		;
	r = claims_hash(bytes_view(&c->last->claims), &e->claims_hash);
	if (r == 0)
		r = worker_run(a->daemon->chip, ask_chip, chip_answered, c);
	if (r < 0) {
		log_error("%s: the last measurements of a run are lost: %s", a->config->name,
			  strerror(-r));
		closing_free(c);
	}
}
