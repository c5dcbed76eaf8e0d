/* SPDX-License-Identifier: Apache-2.0 */
#include "round.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "application.h"
#include "application_unit.h"
#include "batch.h"
#include "channel.h"
#include "cleanup.h"
#include "hpke.h"
#include "log.h"
#include "unit.h"
#include "violation_log.h"

/* What HPKE binds a sealed secret to, besides the Claims: docs/protocol.md, "Release". */
#define RELEASE_INFO "assay stage secret v1"

struct round {
	struct application *app;
	Assay__Claims__Kind kind;
	Assay__TimeNode__Kind node;
	uint64_t due_boottime_ns;
	char *reason;
	uint32_t stage;
	uint32_t report_every;

	size_t step;
	bool running;	/* inside run_steps */
	bool continued; /* a step that waited was continued from inside itself */
	bool abandoned;
	unsigned int jobs; /* on other threads, holding this object */
	struct event *timer;

	bool has_nonce, wants_nonce;
	uint64_t session; /* that the nonce is good in */
	bool linked;	  /* its Claims are in the chain */
	bool handed_on;	  /* and are in the queue or the batch */
	uint8_t nonce[NONCE_SIZE];
	bool covered; /* no chip report of its own: a later one covers it */

	uint64_t taken_boottime_ns, taken_realtime_ns;
	struct mi *mi;
	struct measured *measured; /* static: what the files thread found */
	char *measured_path;	   /* where it failed */
	struct bytes mi_bytes;
	struct digest m;
	bool raw;

	uint8_t channel_public[HPKE_PUBLIC_SIZE];
	struct secret channel_private;
	struct bytes claims;
	struct digest claims_hash;

	struct arena *arena;
	Assay__ChipReport chip;
	char chip_why[ATTESTER_WHY_MAX]; /* in words, why there is none */
	struct digest runtime_entry;
	bool extended;
	uint64_t runtime_end, ima_end;

	bool judged, accepted;
	struct bytes sealed; /* the verdict's secrets, as net passed them */
	uint32_t n_sealed;
};

/* A step returns 0 when it is done, STEP_WAIT when somebody will continue the round, or an error.
 */
#define STEP_WAIT 1

static void round_continue(struct round *r, int result);

static bool in_session(const struct round *r)
{
	return r->has_nonce;
}

static const char *name_of(const struct round *r)
{
	return r->app->config->name;
}

/* A round that a secret hangs on always asks for a nonce of its own, just before it measures. */
static int step_nonce(struct round *r)
{
	struct application *a = r->app;
	struct daemon *d = a->daemon;
	uint64_t now = schedule_boottime_ns();
	static const struct timeval limit = { ROUND_VERIFIER_SECONDS, 0 };
	int e;

	if (r->covered)
		return 0;
	if (!d->session_up || !a->challenged)
		return r->stage > 0 || r->kind == ASSAY__CLAIMS__KIND__STATIC ? -ENOTCONN : 0;
	if (r->stage == 0 && a->nonce_until_boottime_ns > now) {
		memcpy(r->nonce, a->nonce, NONCE_SIZE);
		a->nonce_until_boottime_ns = 0;
		r->has_nonce = true;
		r->session = d->session_number;
		return 0;
	}
	e = channel_ask_nonce(d, a->config->name, r->stage);
	if (e < 0)
		return e;
	r->wants_nonce = true;
	event_add(r->timer, &limit);
	return STEP_WAIT;
}

static int measure_files(void *arg)
{
	struct round *r = arg;
	const struct config_application *c = r->app->config;
	struct measure_options options = { .dependencies = true };
	struct unit_files unit = { 0 }; /* what says how systemd starts it */
	const char **paths;
	size_t n = 0;
	int e;

	if (c->unit) {
		e = unit_files("", c->unit, &unit);
		if (e < 0) {
			r->measured_path = strdup(c->unit);
			return e;
		}
	}
	paths = calloc(c->target.n_files + 1 + unit.n, sizeof(*paths));
	if (!paths) {
		unit_files_done(&unit);
		return -ENOMEM;
	}
	if (c->exec)
		paths[n++] = c->exec[0];
	for (size_t i = 0; i < c->target.n_files; i++)
		paths[n++] = c->target.files[i];
	for (size_t i = 0; i < unit.n; i++)
		paths[n++] = unit.paths[i];
	e = measure_paths(paths, n, &options, &r->measured, &r->measured_path);
	free(paths);
	unit_files_done(&unit);
	return e;
}

static void measured(void *arg, int result)
{
	struct round *r = arg;

	r->jobs--;
	if (result < 0 && !r->abandoned)
		log_error("%s: %s: cannot be measured: %s", name_of(r),
			  r->measured_path ? r->measured_path : "files",
			  result == -ESTALE ? "it changed while it was read" : strerror(-result));
	round_continue(r, result);
}

static int collect(struct round *r)
{
	struct application *a = r->app;
	struct collector_time time = {
		.boottime_ns = r->taken_boottime_ns,
		.realtime_ns = r->taken_realtime_ns,
		.previous_boottime_ns = a->last_node_boottime_ns ? a->last_node_boottime_ns
								 : a->target->started_boottime_ns,
	};
	Assay__TimeNode *node;
	int e;

	time.brief = schedule_brief(r->node, &a->brief_nodes);
	e = mi_new(&r->mi);
	if (e < 0)
		return e;
	node = MI_MESSAGE(r->mi, Assay__TimeNode, assay__time_node__init);
	if (!node)
		return -ENOMEM;
	r->mi->msg->node = node;
	node->kind = r->node;
	node->number = a->node_number;
	node->due_boottime_ns = r->due_boottime_ns;
	node->taken_boottime_ns = r->taken_boottime_ns;
	node->taken_realtime_ns = r->taken_realtime_ns;
	e = mi_text(r->mi, r->reason, &node->reason);
	if (e == 0)
		e = mi_text(r->mi, a->config->name, &r->mi->msg->application);
	if (e == 0)
		e = schedule_take_missed(a->schedule, r->mi, node);
	if (e == 0)
		e = target_scan(a->target, r->taken_boottime_ns, r->mi);
	for (size_t i = 0; e == 0 && i < a->n_collectors; i++)
		e = a->collectors[i]->ops->collect(a->collectors[i], &time, r->mi);
	if (e == 0)
		e = target_settle(a->target, r->mi);
	if (e < 0)
		schedule_give_back(a->schedule, node);
	return e;
}

static int step_measure(struct round *r)
{
	struct application *a = r->app;
	int e;

	r->taken_boottime_ns = schedule_boottime_ns();
	r->taken_realtime_ns = schedule_realtime_ns();
	if (r->kind == ASSAY__CLAIMS__KIND__DYNAMIC) {
		a->node_number++;
		e = collect(r);
		a->last_node_boottime_ns = r->taken_boottime_ns;
		/* What was seen of a unit on its way down says nothing about one that runs. */
		if (e == 0 && a->config->unit && application_unit_ending(a))
			e = -ECANCELED;
		if (e < 0)
			return e;
		violation_in_mi(a, r->mi->msg);
		log_step("B3", name_of(r), "MI collected at time node %llu%s%s: %zu processes",
			 (unsigned long long)a->node_number, *r->reason ? ", " : "", r->reason,
			 r->mi->msg->n_processes);
		return 0;
	}
	e = worker_run(a->daemon->files, measure_files, measured, r);
	if (e < 0)
		return e;
	r->jobs++;
	return STEP_WAIT;
}

static int step_digest(struct round *r)
{
	bool is_static = r->kind == ASSAY__CLAIMS__KIND__STATIC;
	char hex[DIGEST_HEX_MAX];
	int e;

	if (is_static)
		e = bytes_append_view(&r->mi_bytes, bytes_view(&r->measured->text));
	else
		e = mi_pack(r->mi, &r->mi_bytes);
	if (e == 0)
		e = claims_m(bytes_view(&r->mi_bytes), &r->m);
	if (e < 0)
		return e;
	if (!is_static && r->app->config->raw && r->mi_bytes.len <= CLAIMS_RAW_MAX)
		r->raw = true;
	else if (!is_static && r->app->config->raw)
		log_notice("%s: MI of %zu bytes is too large for measurement: raw; M = Hash(MI)",
			   name_of(r), r->mi_bytes.len);
	if (is_static)
		log_step("A2", name_of(r), "measured %zu files, %llu bytes: M = %.16s…",
			 r->measured->n_files, (unsigned long long)r->measured->bytes_read,
			 digest_hex(&r->m, hex));
	else
		log_step("B4", name_of(r), "M = %s of %zu bytes: %.16s…",
			 r->raw ? "MI" : "Hash(MI)", r->mi_bytes.len, digest_hex(&r->m, hex));
	return 0;
}

static ProtobufCBinaryData binary(const void *data, size_t len)
{
	return (ProtobufCBinaryData){ len, (uint8_t *)data };
}

static int step_claims(struct round *r)
{
	struct application *a = r->app;
	struct daemon *d = a->daemon;
	struct view m = r->raw ? bytes_view(&r->mi_bytes) : digest_view(&r->m);
	Assay__Claims claims = ASSAY__CLAIMS__INIT;
	Assay__TimeNodeRef node = ASSAY__TIME_NODE_REF__INIT;
	int e;

	if (in_session(r)) {
		e = hpke_keypair(r->channel_public, &r->channel_private);
		if (e < 0)
			return e;
		claims.nonce = binary(r->nonce, NONCE_SIZE);
		claims.exporter = binary(d->exporter, EXPORTER_SIZE);
		claims.channel_key = binary(r->channel_public, HPKE_PUBLIC_SIZE);
	}
	node.kind = r->node;
	node.number = r->kind == ASSAY__CLAIMS__KIND__DYNAMIC ? a->node_number : 0;
	claims.version = CLAIMS_VERSION;
	claims.application = a->config->name;
	claims.kind = r->kind;
	claims.node = &node;
	claims.stage = r->stage;
	claims.sequence = a->sequence + 1;
	claims.hash_alg = r->raw ? 0 : r->m.alg;
	claims.form = r->raw ? ASSAY__CLAIMS__FORM__RAW : ASSAY__CLAIMS__FORM__HASH;
	claims.m = binary(m.data, m.len);
	if (a->sequence > 0)
		claims.previous = binary(a->previous.bytes, a->previous.size);
	claims.config = binary(d->config->digest.bytes, d->config->digest.size);
	claims.boot_id = binary(d->boot_id, BOOT_ID_SIZE);
	claims.run_id = binary(a->run_id, RUN_ID_SIZE);
	claims.boottime_ns = r->taken_boottime_ns;
	claims.realtime_ns = r->taken_realtime_ns;
	claims.in_initrd = d->in_initrd;
	claims.dropped = a->dropped;
	e = claims_pack(&claims, &r->claims);
	if (e == 0)
		e = claims_hash(bytes_view(&r->claims), &r->claims_hash);
	if (e == 0)
		e = claims_runtime(m, &r->runtime_entry);
	if (e < 0)
		return e;
	/* From here on this measurement is a link of the chain, whatever becomes of it. */
	a->sequence++;
	a->previous = r->claims_hash;
	r->linked = true;
	return 0;
}

/* On the chip thread, which alone may look at what the attester says. */
static int extend_and_report(struct round *r)
{
	struct daemon *d = r->app->daemon;
	int e;

	if (d->runtime_log) {
		e = runtime_log_prepare(d->runtime_log, &r->runtime_entry);
		if (e < 0)
			return e;
		e = d->attester_ops->extend(d->attester, &r->runtime_entry);
		if (e < 0) {
			runtime_log_abort(d->runtime_log);
			return e;
		}
		e = runtime_log_commit(d->runtime_log, &r->runtime_end);
		if (e < 0)
			return e;
	}
	if (r->covered)
		return 0;
	e = d->attester_ops->report(d->attester, bytes_view(&r->claims), r->arena, &r->chip);
	if (e == 0 && d->ima)
		r->ima_end = ima_list_read(d->ima);
	return e;
}

/* On the chip thread: every M into the runtime register first, then the report. */
static int ask_chip(void *arg)
{
	struct round *r = arg;
	struct attester *a = r->app->daemon->attester;
	int e;

	a->why[0] = '\0';
	e = extend_and_report(r);
	if (e < 0)
		snprintf(r->chip_why, sizeof(r->chip_why), "%s",
			 a->why[0] ? a->why : strerror(-e));
	return e;
}

static void chip_answered(void *arg, int result)
{
	struct round *r = arg;

	r->jobs--;
	if (result < 0 && result != -ECANCELED && !r->abandoned)
		log_error("%s: no report from the chip (%s): %s", name_of(r),
			  r->app->daemon->attester_ops->platform, r->chip_why);
	round_continue(r, result);
}

static int step_report(struct round *r)
{
	struct daemon *d = r->app->daemon;
	int e;

	e = arena_new(ROUND_CHIP_MEMORY, &r->arena);
	if (e < 0)
		return e;
	assay__chip_report__init(&r->chip);
	e = worker_run(d->chip, ask_chip, chip_answered, r);
	if (e < 0)
		return e;
	r->jobs++;
	return STEP_WAIT;
}

/* Claims and MI leave the round for the queue or the batch. */
static struct queued_measurement *take_measurement(struct round *r)
{
	struct queued_measurement *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->claims = r->claims;
	r->claims = (struct bytes){ 0 };
	if (!r->raw) {
		m->mi = r->mi_bytes;
		r->mi_bytes = (struct bytes){ 0 };
	}
	return m;
}

static int send_evidence(struct round *r, struct queued_measurement *m)
{
	static const struct timeval limit = { ROUND_VERIFIER_SECONDS, 0 };
	struct application *a = r->app;
	struct queued_evidence *e;
	size_t dropped;

	e = calloc(1, sizeof(*e));
	if (!e) {
		queued_measurement_free(m);
		return -ENOMEM;
	}
	e->arena = TAKE(r->arena);
	e->chip = r->chip;
	batch_add(a, m);
	e->measurements = batch_take(a, &e->n_measurements);
	e->claims_hash = r->claims_hash;
	e->runtime_end = r->runtime_end;
	e->ima_end = r->ima_end;
	e->is_static = r->kind == ASSAY__CLAIMS__KIND__STATIC;
	e->in_session = in_session(r);
	e->round = in_session(r) ? r : NULL;
	dropped = queue_push(&a->queue, e);
	if (dropped > 0) {
		a->dropped += dropped;
		log_warning(
			"%s: %zu measurements dropped: the verifier is away and the queue is full",
			name_of(r), dropped);
	}
	if (!in_session(r))
		return 0;
	log_step(e->is_static ? "A4" : "B6", name_of(r), "evidence to the verifier%s",
		 e->n_measurements > 1 ? ", with those it covers" : "");
	event_add(r->timer, &limit);
	channel_flush(a);
	return STEP_WAIT;
}

static int step_send(struct round *r)
{
	struct application *a = r->app;
	struct daemon *d = a->daemon;
	struct queued_measurement *m;

	/* Bound to a session that ended meanwhile, it would be refused. */
	if (in_session(r) && (!d->session_up || r->session != d->session_number))
		return -ENOTCONN;
	m = take_measurement(r);
	if (!m)
		return -ENOMEM;
	r->handed_on = true;
	if (r->covered) {
		batch_add(a, m);
		return 0;
	}
	log_step(r->kind == ASSAY__CLAIMS__KIND__STATIC ? "A3" : "B5", name_of(r),
		 "chip report (%s%s) over M and %s", a->daemon->attester_ops->platform,
		 a->daemon->attester_ops->insecure ? ", INSECURE" : "",
		 in_session(r) ? "P" : "no P: the verifier is away");
	return send_evidence(r, m);
}

/* One secret of the verdict: opened with P's private key, kept for the application. */
static int open_secret(struct round *r, const struct privsep_sealed *s, struct view sealed)
{
	CLEANUP(bytes_cleanup) struct bytes aad = BYTES_INIT(DIGEST_MAX + 4 + PRIVSEP_NAME_MAX);
	struct secret value = { 0 };
	int e;

	if (s->stage != r->stage || !deliver_name_valid(s->name))
		return -EBADMSG;
	e = bytes_append_view(&aad, digest_view(&r->claims_hash));
	if (e == 0)
		e = bytes_append_be32(&aad, s->stage);
	if (e == 0)
		e = bytes_append_text(&aad, s->name);
	if (e == 0)
		e = hpke_open(&r->channel_private, s->enc, view_text(RELEASE_INFO),
			      bytes_view(&aad), sealed, &value);
	if (e < 0)
		return e;
	e = application_keep_secret(r->app, s->name, s->stage, &r->claims_hash, &value);
	secret_done(&value);
	return e;
}

static int step_open(struct round *r)
{
	struct reader in = reader_of(bytes_view(&r->sealed));
	bool is_static = r->kind == ASSAY__CLAIMS__KIND__STATIC;
	struct privsep_sealed s;
	struct view sealed;
	int e;

	if (!r->judged || !r->accepted)
		return 0;
	for (uint32_t i = 0; i < r->n_sealed; i++) {
		e = privsep_sealed_read(&in, &s, &sealed);
		if (e == 0)
			e = open_secret(r, &s, sealed);
		if (e < 0) {
			log_error("%s: a released secret does not open: %s", name_of(r),
				  strerror(-e));
			return e;
		}
	}
	if (r->n_sealed > 0)
		log_step(is_static ? "A7" : "B10", name_of(r),
			 "stage %u: %u secret%s opened with the key bound to this measurement",
			 r->stage, r->n_sealed, r->n_sealed == 1 ? "" : "s");
	return 0;
}

/* The round, as a table. A8 and B11, at the application, follow in application.c. */
static const struct {
	const char *what;
	int (*run)(struct round *r);
} steps[] = {
	{ "ask for a nonce", step_nonce },
	{ "measure", step_measure }, /* A2, B3 */
	{ "hash MI", step_digest },  /* A2, B4 */
	{ "write the Claims", step_claims },
	{ "ask the chip for a report", step_report }, /* A3, B5 */
	{ "send the evidence", step_send },	      /* A4, B6 */
	{ "open the secrets", step_open },	      /* A6 A7, B9 B10 */
};

static void round_free(struct round *r)
{
	if (r->timer)
		event_free(r->timer);
	mi_free(r->mi);
	measured_free(r->measured);
	arena_free(r->arena);
	secret_done(&r->channel_private);
	bytes_done(&r->mi_bytes);
	bytes_done(&r->claims);
	bytes_done(&r->sealed);
	free(r->measured_path);
	free(r->reason);
	free(r);
}

static void round_end(struct round *r, int result)
{
	struct application *a = r->app;

	event_del(r->timer);
	if (r->linked && !r->handed_on)
		a->dropped++;
	if (result < 0 && result != -ENOTCONN && result != -ECANCELED)
		log_error("%s: the round failed: %s: %s", name_of(r), steps[r->step].what,
			  strerror(-result));
	application_round_ended(a, r, result);
	r->abandoned = true;
	if (r->jobs == 0)
		round_free(r);
}

static void run_steps(struct round *r)
{
	int e = 0;

	r->running = true;
	while (r->step < ARRAY_LEN(steps)) {
		r->continued = false;
		e = steps[r->step].run(r);
		if (e == STEP_WAIT && !r->continued) {
			r->running = false;
			return;
		}
		if (e < 0)
			break;
		r->step++;
	}
	r->running = false;
	round_end(r, e < 0 ? e : 0);
}

/* Whoever a step waited for is done. */
static void round_continue(struct round *r, int result)
{
	if (r->abandoned) {
		if (r->jobs == 0)
			round_free(r);
		return;
	}
	if (r->running) {
		r->continued = true;
		return;
	}
	event_del(r->timer);
	if (result < 0) {
		round_end(r, result);
		return;
	}
	r->step++;
	run_steps(r);
}

static void on_verifier_late(evutil_socket_t fd, short what, void *arg)
{
	struct round *r = arg;

	/* net closes the session and says so; then round_session_lost ends this round. */
	channel_close(r->app->daemon, "it does not answer");
}

void round_start(struct application *a, const struct round_in *in)
{
	struct round *r;

	r = calloc(1, sizeof(*r));
	if (!r) {
		application_round_ended(a, NULL, -ENOMEM);
		return;
	}
	r->app = a;
	r->kind = in->kind;
	r->node = in->node;
	r->due_boottime_ns = in->due_boottime_ns;
	r->stage = in->stage;
	r->report_every = in->report_every;
	r->mi_bytes = BYTES_INIT(in->kind == ASSAY__CLAIMS__KIND__STATIC ? MANIFEST_MAX : MI_MAX);
	r->claims = BYTES_INIT(CLAIMS_MAX);
	r->sealed = BYTES_INIT(PRIVSEP_TO_MONITOR_MAX);
	r->reason = strdup(in->reason ? in->reason : "");
	r->timer = evtimer_new(a->daemon->base, on_verifier_late, r);
	r->covered = in->report_every > 1 && in->stage == 0 && a->batch_n + 1 < in->report_every &&
		     a->batch_bytes < BATCH_BYTES_MAX;
	a->round = r;
	if (!r->reason || !r->timer) {
		application_round_ended(a, r, -ENOMEM);
		round_free(r);
		return;
	}
	run_steps(r);
}

void round_abandon(struct round *r)
{
	struct queued_evidence *e;

	for (e = r->app->queue.first; e; e = e->next) {
		if (e->round == r)
			e->round = NULL;
	}
	event_del(r->timer);
	r->abandoned = true;
	if (r->jobs == 0)
		round_free(r);
}

void round_hand_over(struct round *r)
{
	struct queued_measurement *m;

	if (!r->covered || !r->linked || r->handed_on)
		return;
	m = take_measurement(r);
	if (!m)
		return;
	r->handed_on = true;
	batch_add(r->app, m);
}

uint32_t round_stage(const struct round *r)
{
	return r->stage;
}

bool round_is_static(const struct round *r)
{
	return r->kind == ASSAY__CLAIMS__KIND__STATIC;
}

struct measured *round_take_measured(struct round *r)
{
	return TAKE(r->measured);
}

bool round_accepted(const struct round *r)
{
	return r->judged && r->accepted;
}

bool round_challenged(struct round *r, const struct privsep_challenge *c)
{
	if (!r->wants_nonce || r->has_nonce || c->stage != r->stage)
		return false;
	memcpy(r->nonce, c->nonce, NONCE_SIZE);
	r->has_nonce = true;
	r->session = r->app->daemon->session_number;
	round_continue(r, 0);
	return true;
}

void round_judged(struct round *r, const struct privsep_verdict *head, struct reader in)
{
	int e;

	r->judged = true;
	r->accepted = head->accepted;
	r->n_sealed = head->accepted ? head->n_secrets : 0;
	e = bytes_append(&r->sealed, in.at, in.left);
	round_continue(r, e);
}

void round_session_lost(struct round *r)
{
	round_end(r, -ENOTCONN);
}

void round_session_down(struct round *r)
{
	if (r->wants_nonce && !r->has_nonce)
		round_end(r, -ENOTCONN);
}
