/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper.h"

#include <string.h>

#include "keeper_judge.h"
#include "log.h"

#define MINUTE_NS (60 * UINT64_C(1000000000))

/* When a request may be made. */
enum need {
	ANYTIME,
	IN_SESSION, /* Hello was read; the struct begins with the session's number */
	ENROLLED,   /* and the machine is enrolled */
};

static int done(struct keeper_call *c)
{
	return keeper_write(c->answer, KEEPER_DONE, NULL, NULL);
}

static int on_hello(struct keeper_call *c)
{
	const struct keeper_hello *h = &c->fixed->hello;
	struct keeper_hello_answer answer;
	struct store_attester a = { 0 };
	int r;

	memset(&answer, 0, sizeof(answer));
	r = store_session_open(c->keeper->store, h, c->now, &answer.session);
	if (r < 0)
		return r;
	r = store_attester_find(c->keeper->store, view_of(h->key_name, h->key_name_len), &a);
	if (r < 0 && r != -ENOENT)
		return r;
	answer.known = r == 0;
	r = keeper_write(c->answer, KEEPER_HELLO_ANSWER, &answer,
			 (struct view[]){ bytes_view(&a.ak_public), bytes_view(&a.ek_public),
					  bytes_view(&a.ek_certificate),
					  bytes_view(&a.ek_chain) });
	store_attester_done(&a);
	return r;
}

static int on_bye(struct keeper_call *c)
{
	int r;

	r = store_session_close(c->keeper->store, c->session.id, c->fixed->bye.why, c->now);
	return r < 0 ? r : done(c);
}

static int on_enrol(struct keeper_call *c)
{
	const struct keeper_enrol *e = &c->fixed->enrol;
	struct view key_name = view_of(c->session.key_name, c->session.key_name_len);
	int r;

	if (e->accepted)
		r = store_enrol(c->keeper->store, &c->session, c->blobs, c->now);
	else
		r = store_log(c->keeper->store, c->now.at_ns, "enrolment refused", c->session.id,
			      key_name, NULL, json_pack("{s:s}", "why", e->why));
	if (r == -EEXIST)
		c->why = "this chip is enrolled under another key: assay fleet forget it first";
	return r < 0 ? r : done(c);
}

static int on_nonce(struct keeper_call *c)
{
	const struct keeper_nonce *n = &c->fixed->nonce;
	struct keeper_nonce_answer answer;
	int r;

	if (!policies_find(c->keeper->policies, n->application)) {
		c->why = "no policy for this application";
		return -ENOENT;
	}
	memset(&answer, 0, sizeof(answer));
	keeper_text(answer.application, sizeof(answer.application), n->application);
	keeper_text(answer.reason, sizeof(answer.reason), n->reason);
	answer.demand = n->demand;
	answer.stage = n->stage;
	answer.valid_ms = (uint32_t)(c->keeper->nonce_valid_ns / 1000000);
	r = keeper_new_nonce(c, n->application, n->stage, answer.nonce);
	if (r == 0)
		r = store_runtime_known(c->keeper->store, &c->session, &answer.runtime_log_known);
	if (r < 0)
		return r;
	return keeper_write(c->answer, KEEPER_NONCE_ANSWER, &answer, NULL);
}

static int on_receipt(struct keeper_call *c)
{
	int r;

	r = store_receipt_add(c->keeper->store, &c->session, &c->fixed->receipt, c->now);
	if (r == -ENOENT)
		c->why = "a receipt for what was not released";
	return r < 0 ? r : done(c);
}

static bool may_record(struct keeper *k, uint64_t now_ns)
{
	if (now_ns - k->refusals_since_ns > MINUTE_NS) {
		k->refusals_since_ns = now_ns;
		k->refusals = 0;
	}
	if (k->refusals < KEEPER_REFUSALS_MAX) {
		k->refusals++;
		return true;
	}
	k->refusals_uncounted++;
	return false;
}

static int on_refusal(struct keeper_call *c)
{
	const struct keeper_refusal *f = &c->fixed->refusal;
	int r;

	/* One that is enrolled is recorded always; its number is limited by what it may be sent. */
	if (f->session == 0 && !may_record(c->keeper, c->now.boottime_ns))
		return done(c);
	r = store_log(c->keeper->store, c->now.at_ns, "refusal", f->session, view_of(NULL, 0), NULL,
		      json_pack("{s:s, s:s, s:s, s:I}", "peer", f->peer, "rule", f->rule, "why",
				f->why, "uncounted_before",
				(json_int_t)c->keeper->refusals_uncounted));
	if (r < 0)
		return r;
	c->keeper->refusals_uncounted = 0;
	return done(c);
}

static int on_alive(struct keeper_call *c)
{
	if (c->keeper->on_alive)
		c->keeper->on_alive(c->keeper->arg);
	return done(c);
}

/* What the appraiser may ask, and when. */
static const struct {
	enum need need;
	int (*answer)(struct keeper_call *c);
} requests[KEEPER_REQUESTS] = {
	[KEEPER_HELLO] = { ANYTIME, on_hello },
	[KEEPER_BYE] = { IN_SESSION, on_bye },
	[KEEPER_ENROL] = { IN_SESSION, on_enrol },
	[KEEPER_NONCE] = { ENROLLED, on_nonce },
	[KEEPER_PREPARE] = { ENROLLED, keeper_prepare },
	[KEEPER_JUDGE] = { ENROLLED, keeper_judge },
	[KEEPER_RECEIPT] = { ENROLLED, on_receipt },
	[KEEPER_REFUSAL] = { ANYTIME, on_refusal },
	[KEEPER_ALIVE] = { ANYTIME, on_alive },
};

static int allowed(struct keeper_call *c, enum need need)
{
	uint64_t session;
	int r;

	if (need == ANYTIME)
		return 0;
	memcpy(&session, c->fixed, sizeof(session));
	r = store_session_find(c->keeper->store, session, &c->session);
	if (r == -ENOENT)
		c->why = "the session has ended";
	if (r == 0 && need == ENROLLED && c->session.attester == 0) {
		c->why = "the attester is not enrolled";
		r = -EPERM;
	}
	return r;
}

int keeper_handle(struct keeper *k, uint32_t type, struct view body, struct store_time now,
		  struct bytes *answer)
{
	struct view blobs[KEEPER_BLOBS] = { { 0 } };
	struct keeper_failed failed;
	union keeper_any fixed;
	struct keeper_call c = {
		.keeper = k, .now = now, .fixed = &fixed, .blobs = blobs, .answer = answer
	};
	int r;

	if (type >= ARRAY_LEN(requests) || !requests[type].answer)
		return -EBADMSG;
	memset(&fixed, 0, sizeof(fixed));
	r = keeper_parse(type, body, &fixed, blobs);
	if (r < 0)
		return r;
	bytes_reset(answer);
	r = store_begin(k->store);
	if (r == 0)
		r = allowed(&c, requests[type].need);
	if (r == 0)
		r = requests[type].answer(&c);
	/* Nothing leaves before what it rests on is on the disk. */
	if (r == 0)
		r = store_commit(k->store);
	if (r == 0)
		return 0;
	store_rollback(k->store);
	if (r == -EBADMSG)
		return r;
	memset(&failed, 0, sizeof(failed));
	keeper_text(failed.why, sizeof(failed.why), c.why ? c.why : strerror(-r));
	log_warning("%s: %s", keeper_shape(type)->name, failed.why);
	bytes_reset(answer);
	return keeper_write(answer, KEEPER_FAILED, &failed, NULL);
}
