/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "cleanup.h"
#include "enrol.h"
#include "ima_log.h"
#include "log.h"
#include "proto/frame.h"

static int send_message(struct daemon *d, enum privsep_type type, const Assay__ToVerifier *m)
{
	CLEANUP(bytes_cleanup) struct bytes packed = BYTES_INIT(FRAME_MAX);
	size_t size = assay__to_verifier__get_packed_size(m);
	uint8_t *to;
	int r;

	r = bytes_reserve(&packed, size, &to);
	if (r < 0)
		return r;
	packed.len = assay__to_verifier__pack(m, to);
	return privsep_send(d->net, type, bytes_view(&packed));
}

int channel_send(struct daemon *d, const Assay__ToVerifier *m)
{
	return send_message(d, PRIVSEP_SEND, m);
}

static ProtobufCBinaryData binary(struct view v)
{
	return (ProtobufCBinaryData){ v.len, (uint8_t *)v.data };
}

static int send_hello(struct daemon *d)
{
	Assay__ToVerifier m = ASSAY__TO_VERIFIER__INIT;
	Assay__Hello hello = ASSAY__HELLO__INIT;
	char *names[CONFIG_APPLICATIONS];

	for (size_t i = 0; i < d->config->n_applications; i++)
		names[i] = d->config->applications[i].name;
	hello.version = CLAIMS_VERSION;
	hello.platform = (char *)d->attester_ops->platform;
	hello.insecure = d->attester_ops->insecure;
	hello.n_applications = d->config->n_applications;
	hello.applications = names;
	hello.boot_id = binary(view_of(d->boot_id, sizeof(d->boot_id)));
	hello.key_name = binary(bytes_view(&d->identity.key_name));
	hello.attester_epoch = binary(view_of(d->epoch, sizeof(d->epoch)));
	hello.n_survivors = d->n_survivors;
	hello.survivors = d->survivors;
	hello.software = (char *)"assayd " ASSAY_VERSION;
	m.body_case = ASSAY__TO_VERIFIER__BODY_HELLO;
	m.hello = &hello;
	return send_message(d, PRIVSEP_SEND, &m);
}

static int on_up(struct daemon *d, struct view message)
{
	struct privsep_up up;
	int r;

	r = privsep_up_read(message, &up);
	if (r < 0)
		return r;
	memcpy(d->exporter, up.exporter, sizeof(d->exporter));
	d->session_up = true;
	d->session_number++;
	d->admitted = false;
	if (d->ima)
		ima_list_known(d->ima, 0);
	log_info("session with the verifier: TLS 1.3, its certificate is good");
	return send_hello(d);
}

static int on_down(struct daemon *d, struct view message)
{
	struct privsep_text text;
	int r;

	r = privsep_text_read(message, &text);
	if (r < 0)
		return r;
	d->session_up = d->admitted = false;
	for (size_t i = 0; i < d->n_applications; i++)
		application_session_down(d->applications[i]);
	return 0;
}

static void flush_receipts(struct daemon *d)
{
	CLEANUP(bytes_cleanup) struct bytes one = BYTES_INIT(FRAME_MAX);

	while (frame_read(d->receipts, &one) > 0) {
		d->n_receipts--;
		if (privsep_send(d->net, PRIVSEP_SEND, bytes_view(&one)) < 0)
			return;
	}
}

/* The verifier takes us: what waited may go. */
static void admitted(struct daemon *d)
{
	if (d->admitted)
		return;
	d->admitted = true;
	flush_receipts(d);
}

static int on_challenge(struct daemon *d, struct view message)
{
	struct privsep_challenge c;
	struct application *a;
	int r;

	r = privsep_challenge_read(message, &c);
	if (r < 0)
		return r;
	a = monitor_application(d, c.application);
	if (!a)
		return -EBADMSG;
	admitted(d);
	if (d->runtime_log)
		runtime_log_known(d->runtime_log, c.runtime_log_known);
	application_challenged(a, &c);
	return 0;
}

/* ActivateCredential on the chip thread. */
struct activation {
	struct daemon *daemon;
	struct privsep_enrol enrol;
	struct secret credential;
};

static int activate(void *arg)
{
	struct activation *x = arg;
	struct daemon *d = x->daemon;

	return d->attester_ops->activate(d->attester, view_of(x->enrol.blob, x->enrol.blob_len),
					 view_of(x->enrol.seed, x->enrol.seed_len), &x->credential);
}

static void activated(void *arg, int r)
{
	struct activation *x = arg;
	struct daemon *d = x->daemon;
	Assay__ToVerifier m = ASSAY__TO_VERIFIER__INIT;
	Assay__EnrolProof proof = ASSAY__ENROL_PROOF__INIT;

	if (r == 0 && d->session_up) {
		proof.credential = binary(secret_view(&x->credential));
		m.body_case = ASSAY__TO_VERIFIER__BODY_ENROL_PROOF;
		m.enrol_proof = &proof;
		r = send_message(d, PRIVSEP_SEND, &m);
	}
	if (r < 0 && r != -ECANCELED) {
		log_error("enrolment: the chip does not open the verifier's credential: %s",
			  strerror(-r));
		channel_close(d, "enrolment failed");
	}
	secret_done(&x->credential);
	free(x);
}

static int send_enrol_request(struct daemon *d)
{
	Assay__ToVerifier m = ASSAY__TO_VERIFIER__INIT;
	Assay__EnrolRequest request = ASSAY__ENROL_REQUEST__INIT;
	ProtobufCBinaryData chain = binary(bytes_view(&d->identity.ek_chain));

	log_info("enrolment: the verifier does not know this chip's key yet");
	request.ek_certificate = binary(bytes_view(&d->identity.ek_certificate));
	request.ek_public = binary(bytes_view(&d->identity.ek_public));
	request.ak_public = binary(bytes_view(&d->identity.ak_public));
	if (chain.len > 0) {
		request.n_ek_chain = 1;
		request.ek_chain = &chain;
	}
	m.body_case = ASSAY__TO_VERIFIER__BODY_ENROL_REQUEST;
	m.enrol_request = &request;
	return send_message(d, PRIVSEP_SEND, &m);
}

static int on_enrol_challenge(struct daemon *d, struct view message)
{
	struct activation *x;
	int r;

	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->daemon = d;
	r = privsep_enrol_read(message, &x->enrol);
	if (r == 0 && x->enrol.blob_len == 0) {
		/* Without a key of its own a machine is known by what its chip says of it. */
		bool by_report = d->attester_ops->enrols_by_report || d->identity.ak_public.len == 0;

		r = by_report ? enrol_by_report(d) : send_enrol_request(d);
	} else if (r == 0) {
		r = d->attester_ops->activate ? worker_run(d->chip, activate, activated, x)
					      : -EBADMSG;
		if (r == 0)
			return 0;
	}
	free(x);
	return r;
}

static int on_enrolled(struct daemon *d, struct view message)
{
	struct privsep_enrolled e;
	int r;

	r = privsep_enrolled_read(message, &e);
	if (r < 0)
		return r;
	if (!e.accepted) {
		log_error("enrolment refused by the verifier: %s", e.why);
		return 0;
	}
	log_notice("enrolled with the verifier");
	admitted(d);
	return 0;
}

/* The reasons after a verdict's head as text, a line each, and the reader moved past them. */
static int read_reasons(struct reader *in, uint32_t n, struct bytes *ret)
{
	struct privsep_reason reason;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		r = privsep_reason_read(in, &reason);
		if (r == 0)
			r = bytes_printf(ret, "%s%s%s: expected %s, seen %s", i ? "\n" : "",
					 reason.warning ? "warning: " : "", reason.rule,
					 reason.expected, reason.seen);
	}
	return r;
}

static int on_verdict(struct daemon *d, struct view message)
{
	CLEANUP(bytes_cleanup) struct bytes reasons = BYTES_INIT(PRIVSEP_TO_MONITOR_MAX);
	struct reader in = reader_of(message);
	struct queued_evidence *e;
	struct privsep_verdict v;
	struct application *a;
	int r;

	r = privsep_verdict_read(&in, &v);
	if (r < 0)
		return r;
	a = monitor_application(d, v.application);
	e = a ? queue_answered(&a->queue, v.claims_hash) : NULL;
	if (!e) {
		channel_close(d, "it judged what was not sent");
		return 0;
	}
	r = read_reasons(&in, v.n_reasons, &reasons);
	if (r == 0) {
		if (d->runtime_log)
			runtime_log_known(d->runtime_log, v.runtime_log_known);
		if (d->ima)
			ima_list_known(d->ima, v.ima_log_known);
		if (v.has_next_nonce) {
			memcpy(a->nonce, v.next_nonce, NONCE_SIZE);
			a->nonce_until_boottime_ns =
				schedule_boottime_ns() + v.next_nonce_valid_ms * 1000000ULL;
		}
		application_judged(a, v.accepted, v.latched, v.stage, bytes_view(&reasons));
		if (e->round)
			round_judged(e->round, &v, in);
	}
	queued_evidence_free(e);
	if (r == 0)
		channel_flush(a);
	return r;
}

/* What net may say, and when: with or without a session. */
static const struct {
	enum privsep_type type;
	bool in_session;
	int (*handle)(struct daemon *d, struct view message);
} from_net[] = {
	{ PRIVSEP_UP, false, on_up },
	{ PRIVSEP_DOWN, true, on_down },
	{ PRIVSEP_CHALLENGE, true, on_challenge },
	{ PRIVSEP_ENROL_CHALLENGE, true, on_enrol_challenge },
	{ PRIVSEP_ENROLLED, true, on_enrolled },
	{ PRIVSEP_VERDICT, true, on_verdict },
};

int channel_on_net(void *daemon, uint32_t type, struct view message)
{
	struct daemon *d = daemon;

	for (size_t i = 0; i < ARRAY_LEN(from_net); i++) {
		if (from_net[i].type == type)
			return from_net[i].in_session == d->session_up
				       ? from_net[i].handle(d, message)
				       : -EPROTO;
	}
	return -EBADMSG;
}

int channel_ask_nonce(struct daemon *d, const char *application, uint32_t stage)
{
	Assay__ToVerifier m = ASSAY__TO_VERIFIER__INIT;
	Assay__NonceRequest request = ASSAY__NONCE_REQUEST__INIT;

	request.application = (char *)application;
	request.stage = stage;
	m.body_case = ASSAY__TO_VERIFIER__BODY_NONCE_REQUEST;
	m.nonce_request = &request;
	return send_message(d, PRIVSEP_SEND, &m);
}

static int send_mi_apart(struct daemon *d, const struct queued_evidence *e,
			 const struct queued_measurement *last)
{
	Assay__ToVerifier m = ASSAY__TO_VERIFIER__INIT;
	Assay__MiUpload upload = ASSAY__MI_UPLOAD__INIT;

	upload.claims_hash = binary(digest_view(&e->claims_hash));
	upload.mi = binary(bytes_view(&last->mi));
	m.body_case = ASSAY__TO_VERIFIER__BODY_MI_UPLOAD;
	m.mi_upload = &upload;
	return send_message(d, PRIVSEP_SEND_MI, &m);
}

static void set_ima(Assay__ChipReport *chip, struct view list, uint64_t first, const char *absent)
{
	chip->ima_log = binary(list);
	chip->ima_first = first;
	chip->ima_absent = (char *)absent;
}

/* The part of IMA's list that the verifier lacks, lent from ret; or why there is none. */
static int add_ima(struct daemon *d, struct queued_evidence *e, struct bytes *ret,
		   char why[IMA_LIST_WHY_MAX])
{
	uint64_t first = 0;
	int r;

	set_ima(&e->chip, view_of(NULL, 0), 0, d->ima_why);
	if (!d->ima)
		return 0;
	r = ima_list_slice(d->ima, e->ima_end, ret, &first, why);
	if (r == -ENOMEM)
		return r;
	set_ima(&e->chip, bytes_view(ret), first, r < 0 ? why : "");
	return 0;
}

static int send_evidence(struct daemon *d, struct queued_evidence *e)
{
	CLEANUP(bytes_cleanup) struct bytes ima = BYTES_INIT(IMA_LOG_MAX);
	char ima_why[IMA_LIST_WHY_MAX];
	CLEANUP(cleanup_mem) Assay__Measurement *list = NULL;
	CLEANUP(cleanup_mem) Assay__Measurement **pointers = NULL;
	Assay__ToVerifier m = ASSAY__TO_VERIFIER__INIT;
	Assay__Evidence evidence = ASSAY__EVIDENCE__INIT;
	const struct queued_measurement *last = NULL;
	size_t n = 0;
	int r;

	list = calloc(e->n_measurements, sizeof(*list));
	pointers = calloc(e->n_measurements, sizeof(*pointers));
	if (!list || !pointers)
		return -ENOMEM;
	for (const struct queued_measurement *q = e->measurements; q; q = q->next, n++) {
		assay__measurement__init(&list[n]);
		list[n].claims = binary(bytes_view(&q->claims));
		list[n].mi = binary(bytes_view(&q->mi));
		pointers[n] = &list[n];
		last = q;
	}
	if (d->runtime_log) {
		r = runtime_log_message(d->runtime_log, e->runtime_end, e->arena,
					&e->chip.runtime_log);
		if (r < 0)
			return r;
	}
	if (d->config->mi_separate && last && last->mi.len > 0) {
		list[n - 1].mi.len = 0;
		evidence.mi_elsewhere = true;
		r = send_mi_apart(d, e, last);
		if (r < 0)
			return r;
	}
	r = add_ima(d, e, &ima, ima_why);
	if (r < 0)
		return r;
	evidence.chip = &e->chip;
	evidence.n_measurements = n;
	evidence.measurements = pointers;
	m.body_case = ASSAY__TO_VERIFIER__BODY_EVIDENCE;
	m.evidence = &evidence;
	r = send_message(d, PRIVSEP_SEND, &m);
	if (r != -EMSGSIZE || ima.len == 0)
		return r;
	/* Measurements go before: without a list the policy decides, without them nothing can. */
	set_ima(&e->chip, view_of(NULL, 0), 0, "the message would be too large with it");
	return send_message(d, PRIVSEP_SEND, &m);
}

void channel_flush(struct application *a)
{
	struct daemon *d = a->daemon;
	struct queued_evidence *e = a->queue.first;
	int r;

	if (!e || e->sent || !d->session_up || !a->challenged)
		return;
	r = send_evidence(d, e);
	set_ima(&e->chip, view_of(NULL, 0), 0, ""); /* lent for the call */
	if (r < 0) {
		log_error("%s: evidence cannot be sent: %s", a->config->name, strerror(-r));
		channel_close(d, "evidence could not be sent");
		return;
	}
	e->sent = true;
}

void channel_close(struct daemon *d, const char *why)
{
	struct privsep_text text = { 0 };

	snprintf(text.text, sizeof(text.text), "%s", why);
	if (privsep_send(d->net, PRIVSEP_CLOSE, view_of(&text, sizeof(text))) < 0)
		event_base_loopbreak(d->base);
}

void channel_receipt(struct daemon *d, const Assay__Receipt *receipt)
{
	Assay__ToVerifier m = ASSAY__TO_VERIFIER__INIT;
	int r;

	m.body_case = ASSAY__TO_VERIFIER__BODY_RECEIPT;
	m.receipt = (Assay__Receipt *)receipt;
	if (d->admitted) {
		r = send_message(d, PRIVSEP_SEND, &m);
	} else if (d->n_receipts < MONITOR_RECEIPTS_MAX) {
		r = frame_pack(d->receipts, &m.base);
		if (r == 0)
			d->n_receipts++;
	} else {
		r = -ENOBUFS;
	}
	if (r < 0)
		log_warning("%s: the receipt for %s is lost: %s; continuing without",
			    receipt->application, receipt->secret, strerror(-r));
}
