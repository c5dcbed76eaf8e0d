/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include <string.h>

static const struct {
	const char *name;
	enum assay_verdict verdict;
} verdicts[] = {
	{ "accepted", ASSAY_ACCEPTED },
	{ "refused", ASSAY_REFUSED },
	{ "pending", ASSAY_PENDING },
	{ "none", ASSAY_NONE },
};

enum assay_verdict verdict_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++)
		if (strcmp(name, verdicts[i].name) == 0)
			return verdicts[i].verdict;
	return ASSAY_REFUSED;
}

static void status_of(const Assay__ApplicationStatus *from, struct assay_status *to)
{
	*to = (struct assay_status){
		.application = from->application,
		.state = from->state,
		.platform = from->platform,
		.stage = from->stage,
		.stages = from->stages,
		.pid = from->pid,
		.verdict = verdict_by_name(from->verdict),
		.node = from->node,
		.queued = from->queued,
		.missed = from->missed,
		.foreign_callers = from->foreign_callers,
		.insecure = from->insecure,
		.verifier_connected = from->verifier_connected,
		.reason_count = from->n_reasons,
	};
}

int status_of_answer(const struct answer *from, struct assay_status **ret)
{
	const Assay__Answer *m = from->msg;
	struct assay_status *all;

	all = arena_alloc(from->arena, (m->n_status + 1) * sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_status; i++) {
		const char **reasons;
		size_t n = m->status[i]->n_reasons;

		/* protobuf does not end its arrays with a NULL. */
		reasons = arena_alloc(from->arena, (n + 1) * sizeof(*reasons));
		if (!reasons)
			return -ENOMEM;
		if (n > 0)
			memcpy(reasons, m->status[i]->reasons, n * sizeof(*reasons));
		status_of(m->status[i], &all[i]);
		all[i].reasons = reasons;
	}
	*ret = all;
	return 0;
}

int status_ask(struct assay *a, struct deadline by, struct answer *ret)
{
	Assay__GetStatus get = ASSAY__GET_STATUS__INIT;
	Assay__Request request = ASSAY__REQUEST__INIT;
	struct answer got = ANSWER_NONE;
	int r;

	request.body_case = ASSAY__REQUEST__BODY_GET_STATUS;
	request.get_status = &get;
	r = connection_call(a, &request, by, &got);
	if (r < 0)
		return r;
	if (got.msg->has_secret) {
		answer_done(&got);
		return connection_end(a, -EBADMSG);
	}
	*ret = got;
	return 0;
}

struct assay_status_list {
	struct answer answer;
	struct assay_status *status;
	size_t n;
};

int assay_get_status(struct assay *a, int timeout_ms, struct assay_status_list **ret)
{
	CLEANUP(assay_status_freep) struct assay_status_list *l = NULL;
	int r;

	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->answer = ANSWER_NONE;
	r = status_ask(a, deadline_in(timeout_ms), &l->answer);
	if (r < 0)
		return r;
	r = status_of_answer(&l->answer, &l->status);
	if (r < 0)
		return r;
	l->n = l->answer.msg->n_status;
	*ret = TAKE(l);
	return 0;
}

size_t assay_status_count(const struct assay_status_list *l)
{
	return l->n;
}

const struct assay_status *assay_status_at(const struct assay_status_list *l, size_t i)
{
	return i < l->n ? &l->status[i] : NULL;
}

void assay_status_free(struct assay_status_list *l)
{
	if (!l)
		return;
	answer_done(&l->answer);
	free(l);
}

struct assay_subscription {
	struct assay *connection;
};

int assay_subscribe(const struct assay *a, int timeout_ms, struct assay_subscription **ret)
{
	CLEANUP(assay_subscription_freep) struct assay_subscription *s = NULL;
	struct deadline by = deadline_in(timeout_ms);
	int r;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	r = connection_again(a, by, &s->connection);
	if (r < 0)
		return r;
	r = connection_subscribe(s->connection, by);
	if (r < 0)
		return r;
	*ret = TAKE(s);
	return 0;
}

int assay_subscription_fd(const struct assay_subscription *s)
{
	return s->connection->fd;
}

void assay_subscription_free(struct assay_subscription *s)
{
	if (!s)
		return;
	assay_close(s->connection);
	free(s);
}

/* The event as its user sees it, and what it points into. */
struct event {
	struct assay_event event;
	struct answer answer;
};

static int event_of_answer(struct answer *from, struct event *to)
{
	const Assay__Answer *m = from->msg;
	struct assay_status *status;
	int r;

	r = status_of_answer(from, &status);
	if (r < 0)
		return r;
	to->event.stage = m->stage;
	to->event.message = m->message;
	to->event.status = m->n_status > 0 ? status : NULL;
	/* 0 and EACCES are verdicts; anything else says why there is none yet. */
	to->event.verdict = m->error == 0	  ? ASSAY_ACCEPTED
			    : m->error == -EACCES ? ASSAY_REFUSED
						  : ASSAY_PENDING;
	return 0;
}

int assay_subscription_next(struct assay_subscription *s, int timeout_ms, struct assay_event **ret)
{
	struct event *e;
	int r;

	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->answer = ANSWER_NONE;
	r = connection_event(s->connection, deadline_in(timeout_ms), &e->answer);
	if (r == 0)
		r = event_of_answer(&e->answer, e);
	if (r < 0) {
		assay_event_free(&e->event);
		return r;
	}
	*ret = &e->event;
	return 0;
}

void assay_event_free(struct assay_event *event)
{
	struct event *e = (struct event *)event; /* its first member */

	if (!e)
		return;
	answer_done(&e->answer);
	free(e);
}
