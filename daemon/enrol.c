/* SPDX-License-Identifier: Apache-2.0 */
#include "enrol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "channel.h"
#include "cleanup.h"
#include "enrolment.h"
#include "log.h"
#include "round.h"

/* On the chip thread; the daemon outlives it. */
struct enrolment {
	struct daemon *daemon;
	uint64_t session_number;
	struct bytes statement;
	struct arena *arena;
	Assay__ChipReport chip;
	char why[ATTESTER_WHY_MAX]; /* in words, why there is no report */
};

static void enrolment_free(struct enrolment *e)
{
	if (!e)
		return;
	bytes_done(&e->statement);
	arena_free(e->arena);
	free(e);
}

CLEANUP_FUNCTION(struct enrolment *, enrolment_free)

static int ask_chip(void *arg)
{
	struct enrolment *e = arg;
	struct attester *chip = e->daemon->attester;
	int r;

	chip->why[0] = '\0';
	r = e->daemon->attester_ops->report(chip, bytes_view(&e->statement), e->arena, &e->chip);
	if (r < 0)
		snprintf(e->why, sizeof(e->why), "%s", chip->why[0] ? chip->why : strerror(-r));
	return r;
}

static ProtobufCBinaryData binary(const struct bytes *b)
{
	return (ProtobufCBinaryData){ .len = b->len, .data = b->data };
}

static int send_request(struct enrolment *e)
{
	Assay__ToVerifier m = ASSAY__TO_VERIFIER__INIT;
	Assay__EnrolRequest request = ASSAY__ENROL_REQUEST__INIT;

	request.chip = &e->chip;
	request.ak_public = binary(&e->daemon->identity.ak_public);
	m.body_case = ASSAY__TO_VERIFIER__BODY_ENROL_REQUEST;
	m.enrol_request = &request;
	return channel_send(e->daemon, &m);
}

static void chip_answered(void *arg, int r)
{
	struct enrolment *e = arg;
	struct daemon *d = e->daemon;

	/* The statement is of a session: for the next one there will be another. */
	if (r != -ECANCELED && d->session_up && d->session_number == e->session_number) {
		if (r == 0) {
			r = send_request(e);
			snprintf(e->why, sizeof(e->why), "%s", strerror(r < 0 ? -r : 0));
		}
		if (r < 0) {
			log_error("enrolment: the chip's report could not be sent: %s", e->why);
			channel_close(d, "enrolment failed");
		}
	}
	enrolment_free(e);
}

int enrol_by_report(struct daemon *d)
{
	CLEANUP(enrolment_freep) struct enrolment *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->daemon = d;
	e->session_number = d->session_number;
	e->statement = BYTES_INIT(ENROLMENT_STATEMENT_MAX);
	assay__chip_report__init(&e->chip);
	r = enrolment_statement(view_of(d->exporter, sizeof(d->exporter)),
				bytes_view(&d->identity.key_name), &e->statement);
	if (r == 0)
		r = arena_new(ROUND_CHIP_MEMORY, &e->arena);
	if (r < 0)
		return r;
	log_info("enrolment: the verifier does not know this machine yet; the chip vouches for it");
	r = worker_run(d->chip, ask_chip, chip_answered, e);
	if (r == 0)
		TAKE(e);
	return r;
}
