/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "status.h"

#define REASON_MAX 255

int assay_begin_stage(struct assay *a, uint32_t stage, int timeout_ms)
{
	Assay__BeginStage begin = ASSAY__BEGIN_STAGE__INIT;
	Assay__Request request = ASSAY__REQUEST__INIT;

	if (stage == 0)
		return -EINVAL;
	begin.stage = stage;
	request.body_case = ASSAY__REQUEST__BODY_BEGIN_STAGE;
	request.begin_stage = &begin;
	return connection_tell(a, &request, deadline_in(timeout_ms));
}

int assay_measure(struct assay *a, const char *reason, int timeout_ms)
{
	Assay__Measure measure = ASSAY__MEASURE__INIT;
	Assay__Request request = ASSAY__REQUEST__INIT;

	if (reason && strlen(reason) > REASON_MAX)
		return -EINVAL;
	if (reason)
		measure.reason = (char *)reason;
	request.body_case = ASSAY__REQUEST__BODY_MEASURE;
	request.measure = &measure;
	return connection_tell(a, &request, deadline_in(timeout_ms));
}

static void keep_reasons(struct assay *a, const struct assay_status *s)
{
	size_t at = 0;
	int n;

	for (size_t i = 0; i < s->reason_count && at < sizeof(a->message); i++) {
		n = snprintf(a->message + at, sizeof(a->message) - at, "%s%s", i ? "; " : "",
			     s->reasons[i]);
		if (n > 0)
			at += (size_t)n;
	}
}

/* Asks how the stage stands: ASSAY_PENDING while it is not decided. */
static int stage_verdict(struct assay *a, uint32_t stage, struct deadline by,
			 struct assay *words_to, enum assay_verdict *ret)
{
	struct answer got = ANSWER_NONE;
	struct assay_status *s = NULL;
	int r;

	r = status_ask(a, by, &got);
	if (r < 0)
		return r;
	r = status_of_answer(&got, &s);
	if (r == 0 && got.msg->n_status != 1)
		r = -EPERM; /* the superuser outside of every application sees none or all */
	if (r < 0) {
		answer_done(&got);
		return r;
	}
	if (s->stage >= stage) {
		*ret = ASSAY_ACCEPTED;
	} else if (s->verdict == ASSAY_REFUSED) {
		*ret = ASSAY_REFUSED;
		keep_reasons(words_to, s);
	} else {
		*ret = ASSAY_PENDING;
	}
	answer_done(&got);
	return 0;
}

/* An event says that something was judged; what, is read from the status, which cannot lag. */
static int wait_stage(struct assay *events, struct assay *a, uint32_t stage, struct deadline by,
		      enum assay_verdict *ret)
{
	enum assay_verdict v;
	int r;

	for (;;) {
		struct answer event = ANSWER_NONE;

		events->event_seen = false;
		r = stage_verdict(events, stage, by, a, &v);
		if (r < 0)
			return r;
		if (v != ASSAY_PENDING) {
			*ret = v;
			return 0;
		}
		if (events->event_seen)
			continue;
		r = connection_event(events, by, &event);
		if (r < 0)
			return r;
		answer_done(&event);
	}
}

int assay_wait_stage(struct assay *a, uint32_t stage, int timeout_ms, enum assay_verdict *ret)
{
	CLEANUP(assay_closep) struct assay *events = NULL;
	struct deadline by = deadline_in(timeout_ms);
	int r;

	if (stage == 0)
		return -EINVAL;
	a->message[0] = '\0';
	r = connection_again(a, by, &events);
	if (r < 0)
		return r;
	/* First subscribe, then ask: so no verdict falls in between. */
	r = connection_subscribe(events, by);
	if (r == 0)
		r = wait_stage(events, a, stage, by, ret);
	if (r < 0 && events->message[0])
		memcpy(a->message, events->message, sizeof(a->message));
	return r;
}
