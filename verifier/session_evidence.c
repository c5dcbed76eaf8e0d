/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)

/*
 * Evidence, from the message to its verdict: Claims are read, MI is waited for where it
 * comes over another connection, the keeper says what it knows, the evidence is appraised,
 * the keeper decides and records, and the verdict goes out.
 */
struct session_evidence {
	struct session *session;
	const Assay__Evidence *message;
	const struct policy *policy;
	struct appraise_measurement *measurements; /* in the session's arena */
	size_t n;
	struct bytes mi; /* that came over another connection */
	bool awaits_mi, mi_missed;
	struct appraisal appraisal;
	struct appraise_result result;
};

static struct view field(ProtobufCBinaryData d)
{
	return view_of(d.data, d.len);
}

static const Assay__Claims *last_claims(const struct session_evidence *e)
{
	return e->measurements[e->n - 1].claims;
}

void session_evidence_free(struct session_evidence *e)
{
	if (!e)
		return;
	appraisal_done(&e->appraisal);
	bytes_done(&e->mi);
	free(e);
}

static int read_measurement(struct session *s, const Assay__Measurement *from,
			    struct appraise_measurement *ret, const char **ret_why)
{
	Assay__Claims *claims;
	int r;

	r = claims_unpack(field(from->claims), s->arena, &claims, ret_why);
	if (r < 0)
		return r;
	ret->claims = claims;
	ret->packed = field(from->claims);
	/* Where M is the MI, the bytes under the signature are the ones to judge. */
	ret->mi = claims->form == ASSAY__CLAIMS__FORM__RAW ? field(claims->m) : field(from->mi);
	r = claims_hash(ret->packed, &ret->hash);
	if (r == 0)
		r = claims_runtime(field(claims->m), &ret->runtime);
	return r;
}

/* 1: the message is whole; 0: it is not, and the session is refused. */
static int read_message(struct session *s, struct session_evidence *e)
{
	const Assay__Evidence *m = s->message->evidence;
	const char *why = "Claims";
	int r;

	if (!m->chip || m->n_measurements == 0 || m->n_measurements > KEEPER_MEASUREMENTS) {
		session_refuse(s, "session.evidence",
			       "Evidence without a report, or with %zu measurements",
			       m->n_measurements);
		return 0;
	}
	e->message = m;
	e->n = m->n_measurements;
	e->measurements = arena_alloc(s->arena, e->n * sizeof(*e->measurements));
	if (!e->measurements)
		return -ENOMEM;
	for (size_t i = 0; i < e->n; i++) {
		r = read_measurement(s, m->measurements[i], &e->measurements[i], &why);
		if (r == -EBADMSG) {
			session_refuse(s, "session.evidence", "Claims: %s", why);
			return 0;
		}
		if (r < 0)
			return r;
	}
	return 1;
}

/* The two ways in which the method counts its steps: before the start, and while it runs. */
static const struct {
	const char *chain, *values, *channel, *secret;
} steps[] = {
	[ASSAY__CLAIMS__KIND__STATIC] = { "A4", "A5", "A6", "A7" },
	[ASSAY__CLAIMS__KIND__DYNAMIC] = { "B7", "B8", "B9", "B10" },
};

static void log_reasons(const char *application, const struct appraisal *a)
{
	for (size_t i = 0; i < a->n; i++)
		log_warning("%s: %s%s: expected %s, seen %s", application,
			    a->reasons[i].warning ? "(warning) " : "", a->reasons[i].rule,
			    a->reasons[i].expected, a->reasons[i].seen);
}

static void log_verdict(const struct session_evidence *e, const struct keeper_judge_answer *v,
			const struct appraisal *reasons, size_t secrets)
{
	const Assay__Claims *c = last_claims(e);
	const char *insecure =
		e->session->insecure ? " (insecure platform: it proves nothing)" : "";
	unsigned int kind = c->kind;
	char step[32];

	log_step(steps[kind].chain, c->application, "chip report of %s: %s%s",
		 e->session->ops->platform, e->result.signature_good ? "good" : "refused",
		 insecure);
	log_step(steps[kind].values, c->application,
		 "boot measurements, M and policy, node %llu, sequence %llu: %s",
		 (unsigned long long)c->node->number, (unsigned long long)c->sequence,
		 e->result.measurement_good ? "as expected" : "refused");
	if (v->accepted && c->channel_key.len > 0)
		log_step(steps[kind].channel, c->application,
			 "channel key of this measurement: bound to this session");
	log_reasons(c->application, reasons);
	if (secrets > 0) {
		log_step(steps[kind].secret, c->application, "%zu secret%s sealed to it and sent",
			 secrets, secrets > 1 ? "s" : "");
		snprintf(step, sizeof(step), "stage %u", c->stage);
		log_step(step, c->application, "released%s", insecure);
		return;
	}
	log_info("%s: %s%s, stage %u%s", c->application, v->accepted ? "accepted" : "refused",
		 insecure, c->stage, v->latched ? ", latched" : "");
	if (v->latched_now)
		log_warning("%s: latched; nothing further is released until assay fleet readmit %s",
			    c->application, c->application);
}

static int fill_reasons(struct session *s, const struct appraisal *a, Assay__Verdict *v)
{
	v->reasons = arena_alloc(s->arena, (a->n + 1) * sizeof(*v->reasons));
	if (!v->reasons)
		return -ENOMEM;
	for (size_t i = 0; i < a->n; i++) {
		Assay__Reason *reason = arena_alloc(s->arena, sizeof(*reason));

		if (!reason)
			return -ENOMEM;
		assay__reason__init(reason);
		reason->rule = a->reasons[i].rule;
		reason->expected = a->reasons[i].expected;
		reason->seen = a->reasons[i].seen;
		reason->warning = a->reasons[i].warning;
		v->reasons[v->n_reasons++] = reason;
	}
	return 0;
}

static int fill_secrets(struct session *s, struct view sealed, Assay__Verdict *v)
{
	struct reader in = reader_of(sealed);
	struct keeper_sealed k;
	struct view content;
	int r;

	v->secrets = arena_alloc(s->arena, POLICY_SECRETS_MAX * sizeof(*v->secrets));
	if (!v->secrets)
		return -ENOMEM;
	while (in.left > 0 && v->n_secrets < POLICY_SECRETS_MAX) {
		Assay__SealedSecret *secret = arena_alloc(s->arena, sizeof(*secret));

		r = keeper_next_sealed(&in, &k, &content);
		if (r < 0)
			return r;
		if (!secret)
			return -ENOMEM;
		assay__sealed_secret__init(secret);
		secret->name = arena_text(s->arena, k.name);
		secret->stage = k.stage;
		secret->enc.data = arena_copy(s->arena, k.enc, sizeof(k.enc));
		secret->enc.len = sizeof(k.enc);
		secret->sealed = (ProtobufCBinaryData){ content.len, (uint8_t *)content.data };
		if (!secret->name || !secret->enc.data)
			return -ENOMEM;
		v->secrets[v->n_secrets++] = secret;
	}
	return 0;
}

static int send_verdict(struct session_evidence *e, const struct keeper_judge_answer *a,
			const struct appraisal *reasons, struct view sealed)
{
	const struct appraise_measurement *last = &e->measurements[e->n - 1];
	Assay__ToAttester m = ASSAY__TO_ATTESTER__INIT;
	Assay__Verdict v = ASSAY__VERDICT__INIT;
	struct session *s = e->session;
	int r;

	v.claims_hash = (ProtobufCBinaryData){ last->hash.size, (uint8_t *)last->hash.bytes };
	v.application = last->claims->application;
	v.accepted = a->accepted;
	v.latched = a->latched;
	v.stage = last->claims->stage;
	v.runtime_log_known = a->runtime_log_known;
	v.ima_log_known = s->ima.known.bytes;
	if (a->next_valid_ms > 0) {
		v.next_nonce = (ProtobufCBinaryData){ NONCE_SIZE, (uint8_t *)a->next_nonce };
		v.next_nonce_valid_ms = a->next_valid_ms;
	}
	r = fill_reasons(s, reasons, &v);
	if (r == 0)
		r = fill_secrets(s, sealed, &v);
	if (r < 0)
		return r;
	m.body_case = ASSAY__TO_ATTESTER__BODY_VERDICT;
	m.verdict = &v;
	log_verdict(e, a, reasons, v.n_secrets);
	session_send(s, &m);
	return 0;
}

static void on_judged(void *arg, uint32_t type, const union keeper_any *fixed,
		      const struct view *blobs)
{
	struct session *s = arg;
	struct appraisal reasons;
	int r;

	if (type != KEEPER_JUDGE_ANSWER) {
		session_fail(s, fixed->failed.why);
		return;
	}
	appraisal_init(&reasons);
	r = keeper_read_reasons(blobs[0], &reasons);
	if (r == 0)
		r = send_verdict(s->evidence, &fixed->judge_answer, &reasons, blobs[1]);
	appraisal_done(&reasons);
	if (r < 0)
		session_fail(s, strerror(-r));
	else
		session_next(s);
}

static int pack_measurements(const struct session_evidence *e, bool with_mi, struct bytes *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < e->n; i++) {
		const struct appraise_measurement *m = &e->measurements[i];
		const Assay__Claims *c = m->claims;
		struct keeper_measurement k;

		memset(&k, 0, sizeof(k));
		memcpy(k.claims_hash, m->hash.bytes, sizeof(k.claims_hash));
		k.sequence = c->sequence;
		k.node_kind = c->node->kind;
		k.node_number = c->node->number;
		k.realtime_ns = c->realtime_ns;
		k.stage = c->stage;
		k.kind = (uint32_t)c->kind;
		r = keeper_add_measurement(ret, &k, m->packed, with_mi ? m->mi : view_of(NULL, 0));
	}
	return r;
}

static int pack_report(const struct session_evidence *e, struct bytes *ret)
{
	size_t len = assay__chip_report__get_packed_size(e->message->chip);
	uint8_t *to;
	int r;

	r = bytes_reserve(ret, len, &to);
	if (r == 0)
		ret->len += assay__chip_report__pack(e->message->chip, to);
	return r;
}

static int pack_entries(const struct session_evidence *e, struct bytes *ret)
{
	const Assay__RuntimeLog *log = e->message->chip->runtime_log;
	int r = 0;

	if (!e->result.runtime_good)
		return 0;
	for (size_t i = e->result.new_entries_from; r == 0 && i < log->n_entries; i++)
		r = bytes_append_view(ret, field(log->entries[i]));
	return r;
}

static void fill_judge(const struct session_evidence *e, const struct keeper_prepare_answer *known,
		       struct keeper_judge *j)
{
	const struct appraise_result *result = &e->result;
	const Assay__Claims *c = last_claims(e);

	memset(j, 0, sizeof(*j));
	j->session = e->session->id;
	keeper_text(j->application, sizeof(j->application), c->application);
	memcpy(j->run_id, c->run_id.data, RUN_ID_SIZE);
	j->measurement_good = result->measurement_good;
	j->signature_good = result->signature_good;
	j->channel_good = result->channel_good;
	j->seen_before = known->seen_before;
	j->has_nonce = c->nonce.len > 0;
	if (j->has_nonce)
		memcpy(j->nonce, c->nonce.data, NONCE_SIZE);
	j->has_channel_key = c->channel_key.len > 0;
	if (j->has_channel_key)
		memcpy(j->channel_key, c->channel_key.data, HPKE_PUBLIC_SIZE);
	j->chain_good = result->chain_good;
	j->head_before = known->sequence;
	j->dropped = c->dropped;
	j->missing = result->missing;
	j->runtime_good = result->runtime_good;
	j->checks = (uint32_t)e->appraisal.checks;
	if (!result->runtime_good)
		return;
	j->reset_count = result->chip.reset_count;
	j->runtime_register = result->runtime_register;
	j->runtime_alg = (uint32_t)result->runtime_value.alg;
	j->runtime_before = result->runtime_before;
	memcpy(j->runtime_value, result->runtime_value.bytes, result->runtime_value.size);
}

static int ask_judge(struct session_evidence *e, const struct keeper_prepare_answer *known)
{
	CLEANUP(bytes_cleanup) struct bytes report = BYTES_INIT(FRAME_MAX);
	CLEANUP(bytes_cleanup) struct bytes measurements = BYTES_INIT(KEEPER_MESSAGE_MAX);
	CLEANUP(bytes_cleanup)
	struct bytes reasons = BYTES_INIT(APPRAISAL_REASONS_MAX * sizeof(struct reason));
	CLEANUP(bytes_cleanup)
	struct bytes entries = BYTES_INIT(KEEPER_ENTRIES * KEEPER_DIGEST_SIZE);
	struct keeper_judge j;
	int r;

	fill_judge(e, known, &j);
	r = pack_report(e, &report);
	/* A replay is recorded as one; its MI is in the store already. */
	if (r == 0)
		r = pack_measurements(e, !known->seen_before, &measurements);
	if (r == 0)
		r = keeper_add_reasons(&reasons, &e->appraisal);
	if (r == 0)
		r = pack_entries(e, &entries);
	if (r < 0)
		return r;
	return keeper_ask(e->session->server->keeper, KEEPER_JUDGE, &j,
			  (struct view[]){ bytes_view(&report), bytes_view(&measurements),
					   bytes_view(&reasons), bytes_view(&entries),
					   view_of(e->result.entries, e->n * sizeof(uint64_t)) },
			  on_judged, e->session);
}

static int appraise_now(struct session_evidence *e, const struct keeper_prepare_answer *known,
			const struct view *blobs)
{
	CLEANUP(endorsements_freep) struct endorsements *endorsements = NULL;
	struct session *s = e->session;
	const struct trust *trust = &s->server->trust;
	struct appraise_input in = {
		.report = e->message->chip,
		.measurements = e->measurements,
		.n = e->n,
		.policy = e->policy,
		.now = server_clock().at_ns / 1000000000,
		.platform = s->ops->platform,
		.boot_id = view_of(s->hello.boot_id, BOOT_ID_SIZE),
		.exporter = view_of(s->exporter, sizeof(s->exporter)),
		.key_name = view_of(s->hello.key_name, s->hello.key_name_len),
		.ek_public = bytes_view(&s->ek_public),
		.ek_certificate = bytes_view(&s->ek_certificate),
		.ek_chain = bytes_view(&s->ek_chain),
		.mi_awaited = e->mi_missed,
		.known = known,
		.previous_mi = blobs[0],
		.known_entries = blobs[1],
		.roots = trust->roots,
		.n_roots = trust->n_roots,
		.cache = s->server->cache,
		.ima = &s->ima,
	};
	int r;

	r = trust_endorsements(trust, in.platform, in.report, in.now, &endorsements);
	if (r < 0)
		return r;
	in.endorsements = endorsements;
	return appraise(&in, &e->appraisal, &e->result);
}

static void on_prepared(void *arg, uint32_t type, const union keeper_any *fixed,
			const struct view *blobs)
{
	struct session *s = arg;
	int r;

	if (type != KEEPER_PREPARE_ANSWER) {
		session_fail(s, fixed->failed.why);
		return;
	}
	r = appraise_now(s->evidence, &fixed->prepare_answer, blobs);
	if (r == 0)
		r = ask_judge(s->evidence, &fixed->prepare_answer);
	if (r == -EMSGSIZE)
		session_refuse(s, "session.evidence", "Evidence larger than can be recorded");
	else if (r < 0)
		session_fail(s, strerror(-r));
}

static int ask_prepare(struct session_evidence *e)
{
	CLEANUP(bytes_cleanup)
	struct bytes digests = BYTES_INIT(KEEPER_MEASUREMENTS * KEEPER_DIGEST_SIZE);
	const Assay__Claims *c = last_claims(e);
	const Assay__RuntimeLog *log = e->message->chip->runtime_log;
	struct keeper_prepare p;
	int r = 0;

	memset(&p, 0, sizeof(p));
	p.runtime_end = log && log->first <= UINT64_MAX - log->n_entries
				? log->first + log->n_entries
				: UINT64_MAX;
	p.session = e->session->id;
	keeper_text(p.application, sizeof(p.application), c->application);
	memcpy(p.run_id, c->run_id.data, RUN_ID_SIZE);
	memcpy(p.claims_hash, e->measurements[e->n - 1].hash.bytes, sizeof(p.claims_hash));
	for (size_t i = 0; r == 0 && i < e->n; i++)
		r = bytes_append_view(&digests, digest_view(&e->measurements[i].runtime));
	if (r < 0)
		return r;
	return keeper_ask(e->session->server->keeper, KEEPER_PREPARE, &p,
			  (struct view[]){ bytes_view(&digests) }, on_prepared, e->session);
}

bool session_awaits_mi(const struct session *s, const struct digest *claims_hash)
{
	const struct session_evidence *e = s->evidence;

	return e && e->awaits_mi && digest_equal(&e->measurements[e->n - 1].hash, claims_hash);
}

void session_mi_came(struct session *s, struct bytes *mi)
{
	struct session_evidence *e = s->evidence;

	e->awaits_mi = false;
	e->mi = *mi;
	*mi = BYTES_INIT(0);
	e->measurements[e->n - 1].mi = bytes_view(&e->mi);
	session_timer(s, SESSION_FRAME_SECONDS);
	if (ask_prepare(e) < 0)
		session_fail(s, "the keeper could not be asked");
}

void session_mi_timeout(struct session *s)
{
	struct session_evidence *e = s->evidence;

	if (!e->awaits_mi) {
		session_fail(s, "the keeper does not answer");
		return;
	}
	e->awaits_mi = false;
	e->mi_missed = true;
	session_timer(s, SESSION_FRAME_SECONDS);
	if (ask_prepare(e) < 0)
		session_fail(s, "the keeper could not be asked");
}

/* Where MI comes over another connection: it is here already, or it is waited for. */
static int wait_for_mi(struct session_evidence *e)
{
	struct appraise_measurement *last = &e->measurements[e->n - 1];
	int r;

	if (!e->message->mi_elsewhere || last->mi.len > 0)
		return ask_prepare(e);
	r = server_take_upload(e->session->server, &last->hash, &e->mi);
	if (r == -ENOENT) {
		e->awaits_mi = true;
		session_timer(e->session, SERVER_MI_SECONDS);
		return 0;
	}
	if (r < 0)
		return r;
	last->mi = bytes_view(&e->mi);
	return ask_prepare(e);
}

int session_on_evidence(struct session *s)
{
	struct session_evidence *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	appraisal_init(&e->appraisal);
	e->session = s;
	s->evidence = e;
	r = read_message(s, e);
	if (r <= 0)
		return r;
	e->policy = session_policy(s, last_claims(e)->application);
	if (!e->policy) {
		session_refuse(s, "session.evidence",
			       "Evidence of %s, for which there is no policy",
			       last_claims(e)->application);
		return 0;
	}
	session_timer(s, SESSION_FRAME_SECONDS);
	return wait_for_mi(e);
}
