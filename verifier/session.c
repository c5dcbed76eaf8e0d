/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>

#include "cleanup.h"
#include "log.h"

#define FRAME_LENGTH 4

CLEANUP_FUNCTION(struct session *, session_free)

void session_timer(struct session *s, unsigned int seconds)
{
	const struct timeval tv = { .tv_sec = seconds };

	event_add(s->timer, &tv);
}

static void close_softly(struct session *s)
{
	s->state = SESSION_CLOSING;
	s->busy = false;
	keeper_client_forget(s->server->keeper, s);
	session_timer(s, SESSION_CLOSE_SECONDS);
	/* What still comes is read and thrown away, so that the Refusal is not lost in a reset. */
	bufferevent_setwatermark(s->bev, EV_READ, 0, 0);
	bufferevent_enable(s->bev, EV_READ | EV_WRITE);
}

static void tell_bye(struct session *s, const char *why)
{
	struct keeper_bye bye;

	if (s->id == 0)
		return;
	memset(&bye, 0, sizeof(bye));
	bye.session = s->id;
	keeper_text(bye.why, sizeof(bye.why), why);
	s->id = 0;
	if (keeper_ask(s->server->keeper, KEEPER_BYE, &bye, NULL, NULL, NULL) < 0)
		log_warning("%s: continuing without a record of its end", s->peer);
}

static void send_refusal(struct session *s, const char *why)
{
	Assay__Refusal refusal = ASSAY__REFUSAL__INIT;
	Assay__ToAttester m = ASSAY__TO_ATTESTER__INIT;

	refusal.why = (char *)why;
	m.body_case = ASSAY__TO_ATTESTER__BODY_REFUSAL;
	m.refusal = &refusal;
	if (frame_pack(bufferevent_get_output(s->bev), &m.base) < 0)
		log_warning("%s: continuing without a Refusal", s->peer);
}

void session_refuse(struct session *s, const char *rule, const char *why_format, ...)
{
	struct keeper_refusal f;
	char why[KEEPER_WHY_MAX];
	va_list args;

	if (s->state == SESSION_CLOSING)
		return;
	va_start(args, why_format);
	vsnprintf(why, sizeof(why), why_format, args);
	va_end(args);
	log_warning("%s: refused: %s: %s", s->peer, rule, why);
	memset(&f, 0, sizeof(f));
	f.session = s->id;
	keeper_text(f.peer, sizeof(f.peer), s->peer);
	keeper_text(f.rule, sizeof(f.rule), rule);
	keeper_text(f.why, sizeof(f.why), why);
	if (keeper_ask(s->server->keeper, KEEPER_REFUSAL, &f, NULL, NULL, NULL) < 0)
		log_warning("%s: continuing without a record of the refusal", s->peer);
	send_refusal(s, f.why);
	close_softly(s);
	tell_bye(s, why);
}

void session_fail(struct session *s, const char *why)
{
	if (s->state == SESSION_CLOSING)
		return;
	log_error("%s: %s; the session is closed", s->peer, why);
	send_refusal(s, "the verifier cannot go on");
	close_softly(s);
	tell_bye(s, why);
}

void session_send(struct session *s, const Assay__ToAttester *message)
{
	if (s->state == SESSION_CLOSING)
		return;
	if (frame_pack(bufferevent_get_output(s->bev), &message->base) < 0)
		session_fail(s, "a message could not be sent");
}

const struct policy *session_policy(const struct session *s, const char *application)
{
	for (uint32_t i = 0; i < s->hello.n_applications; i++) {
		if (strcmp(s->hello.applications[i], application) == 0)
			return policies_find(s->server->policies, application);
	}
	return NULL;
}

/* How much of a frame is allowed by now. */
static size_t frame_max(const struct session *s)
{
	static const size_t by_state[SESSION_STATES] = {
		[SESSION_FRESH] = SESSION_FRESH_FRAME_MAX,
		[SESSION_MI_ONLY] = FRAME_MAX,
		[SESSION_ENROL] = SESSION_ENROL_FRAME_MAX,
		[SESSION_PROVE] = SESSION_ENROL_FRAME_MAX,
		[SESSION_READY] = FRAME_MAX,
	};

	return s->large ? FRAME_MAX : by_state[s->state];
}

/* A first frame that can only be MI may be large, for a few peers at a time. */
static void allow_large(struct session *s)
{
	struct evbuffer *in = bufferevent_get_input(s->bev);
	uint32_t be;

	if (s->state != SESSION_FRESH || s->large ||
	    s->server->n_large_fresh >= SERVER_LARGE_FRESH_MAX ||
	    evbuffer_copyout(in, &be, FRAME_LENGTH) < FRAME_LENGTH ||
	    ntohl(be) <= SESSION_FRESH_FRAME_MAX)
		return;
	s->large = true;
	s->server->n_large_fresh++;
}

static void not_large(struct session *s)
{
	if (s->large)
		s->server->n_large_fresh--;
	s->large = false;
}

static void challenge_next(struct session *s);

static void on_nonce(void *arg, uint32_t type, const union keeper_any *fixed,
		     const struct view *blobs)
{
	const struct keeper_nonce_answer *a = &fixed->nonce_answer;
	Assay__Challenge challenge = ASSAY__CHALLENGE__INIT;
	Assay__ToAttester m = ASSAY__TO_ATTESTER__INIT;
	struct session *s = arg;

	if (type != KEEPER_NONCE_ANSWER) {
		session_fail(s, "the keeper gave no nonce");
		return;
	}
	challenge.nonce = (ProtobufCBinaryData){ NONCE_SIZE, (uint8_t *)a->nonce };
	challenge.application = (char *)a->application;
	challenge.stage = a->stage;
	challenge.reason = (char *)a->reason;
	challenge.valid_ms = a->valid_ms;
	challenge.demand = a->demand;
	challenge.runtime_log_known = a->runtime_log_known;
	m.body_case = ASSAY__TO_ATTESTER__BODY_CHALLENGE;
	m.challenge = &challenge;
	session_send(s, &m);
	/* A demand comes from outside, whatever message is being worked on. */
	if (!a->demand)
		challenge_next(s);
}

void session_challenge(struct session *s, const char *application, uint32_t stage, bool demand,
		       const char *reason)
{
	struct keeper_nonce n;

	memset(&n, 0, sizeof(n));
	n.session = s->id;
	n.stage = stage;
	n.demand = demand;
	keeper_text(n.application, sizeof(n.application), application);
	keeper_text(n.reason, sizeof(n.reason), reason);
	if (keeper_ask(s->server->keeper, KEEPER_NONCE, &n, NULL, on_nonce, s) < 0)
		session_fail(s, "the keeper could not be asked");
}

/* The first challenges, one application after the other; then the next message. */
static void challenge_next(struct session *s)
{
	while (s->to_challenge < s->hello.n_applications) {
		const char *application = s->hello.applications[s->to_challenge++];

		if (session_policy(s, application)) {
			session_challenge(s, application, 0, false, "");
			return;
		}
		log_notice("%s: %s: no policy for this application", s->peer, application);
	}
	session_next(s);
}

void session_ready(struct session *s)
{
	s->state = SESSION_READY;
	log_info("%s: session %llu, platform %s%s", s->peer, (unsigned long long)s->id,
		 s->ops->platform, s->insecure ? " (insecure: it proves nothing)" : "");
	challenge_next(s);
}

static int on_nonce_request(struct session *s)
{
	const Assay__NonceRequest *n = s->message->nonce_request;

	if (!session_policy(s, n->application) || n->stage > STAGE_MAX) {
		session_refuse(s, "session.nonce_request",
			       "NonceRequest for an application of Hello with a policy");
		return 0;
	}
	session_challenge(s, n->application, n->stage, false, "");
	return 0;
}

static int on_mi_upload(struct session *s)
{
	const Assay__MiUpload *u = s->message->mi_upload;
	struct digest hash;
	int r;

	s->state = SESSION_MI_ONLY;
	if (u->mi.len == 0 ||
	    digest_from(HASH_SHA512, view_of(u->claims_hash.data, u->claims_hash.len), &hash) < 0) {
		session_refuse(s, "session.mi_upload", "MiUpload without a hash or an MI");
		return 0;
	}
	r = server_upload(s->server, &hash, view_of(u->mi.data, u->mi.len));
	if (r == -ENOBUFS) {
		session_refuse(s, "session.mi_upload", "too much MI waits for its Evidence");
		return 0;
	}
	if (r == 0)
		session_next(s);
	return r;
}

static void on_receipt_answer(void *arg, uint32_t type, const union keeper_any *fixed,
			      const struct view *blobs)
{
	struct session *s = arg;

	if (type == KEEPER_FAILED)
		session_refuse(s, "session.receipt", "%s", fixed->failed.why);
	else
		session_next(s);
}

static int on_receipt(struct session *s)
{
	const Assay__Receipt *m = s->message->receipt;
	struct keeper_receipt k;

	memset(&k, 0, sizeof(k));
	if (!session_policy(s, m->application) || m->claims_hash.len != sizeof(k.claims_hash) ||
	    m->stage == 0 || m->stage > STAGE_MAX || !application_name_valid(m->secret)) {
		session_refuse(s, "session.receipt", "Receipt that names no release");
		return 0;
	}
	k.session = s->id;
	keeper_text(k.application, sizeof(k.application), m->application);
	memcpy(k.claims_hash, m->claims_hash.data, sizeof(k.claims_hash));
	k.stage = m->stage;
	k.pid = m->pid;
	keeper_text(k.secret, sizeof(k.secret), m->secret);
	keeper_text(k.how, sizeof(k.how), m->how);
	log_info("%s: stage %u: %s delivered to process %u (%s)", k.application, k.stage, k.secret,
		 k.pid, k.how);
	return keeper_ask(s->server->keeper, KEEPER_RECEIPT, &k, NULL, on_receipt_answer, s);
}

/* What may come when. An empty place: it does not belong there, and ends the session. */
static const struct {
	const char *name;
	int (*handle[SESSION_STATES])(struct session *s);
} messages[] = {
	[ASSAY__TO_VERIFIER__BODY_HELLO] = { "Hello", { [SESSION_FRESH] = session_on_hello } },
	[ASSAY__TO_VERIFIER__BODY_ENROL_REQUEST] = { "EnrolRequest",
						     { [SESSION_ENROL] =
							       session_on_enrol_request } },
	[ASSAY__TO_VERIFIER__BODY_ENROL_PROOF] = { "EnrolProof",
						   { [SESSION_PROVE] = session_on_enrol_proof } },
	[ASSAY__TO_VERIFIER__BODY_NONCE_REQUEST] = { "NonceRequest",
						     { [SESSION_READY] = on_nonce_request } },
	[ASSAY__TO_VERIFIER__BODY_EVIDENCE] = { "Evidence",
						{ [SESSION_READY] = session_on_evidence } },
	[ASSAY__TO_VERIFIER__BODY_MI_UPLOAD] = { "MiUpload",
						 { [SESSION_FRESH] = on_mi_upload,
						   [SESSION_MI_ONLY] = on_mi_upload } },
	[ASSAY__TO_VERIFIER__BODY_RECEIPT] = { "Receipt", { [SESSION_READY] = on_receipt } },
};

static void handle(struct session *s)
{
	size_t body;
	int r;

	if (frame_unpack(&assay__to_verifier__descriptor, bytes_view(&s->frame), s->arena,
			 &s->message) < 0) {
		session_refuse(s, "session.frame", "%zu bytes that are not a message",
			       s->frame.len);
		return;
	}
	body = (size_t)s->message->body_case;
	if (body >= ARRAY_LEN(messages) || !messages[body].name) {
		session_refuse(s, "session.message", "a message of no known kind");
		return;
	}
	if (!messages[body].handle[s->state]) {
		session_refuse(s, "session.order", "%s does not belong at this point",
			       messages[body].name);
		return;
	}
	not_large(s);
	s->busy = true;
	r = messages[body].handle[s->state](s);
	if (r < 0)
		session_fail(s, strerror(-r));
}

/* The seconds that a peer has for what it is doing. */
static void restart_timer(struct session *s, bool in_frame)
{
	static const unsigned int by_state[SESSION_STATES] = {
		[SESSION_MI_ONLY] = SESSION_IDLE_SECONDS,
		[SESSION_ENROL] = SESSION_ENROL_SECONDS,
		[SESSION_PROVE] = SESSION_ENROL_SECONDS,
		[SESSION_READY] = SESSION_IDLE_SECONDS,
	};

	if (s->state == SESSION_FRESH || s->state == SESSION_CLOSING)
		return; /* their time runs from the start */
	session_timer(s, in_frame ? SESSION_FRAME_SECONDS : by_state[s->state]);
}

void session_next(struct session *s)
{
	if (s->state == SESSION_CLOSING)
		return;
	s->busy = false;
	session_evidence_free(TAKE(s->evidence));
	s->message = NULL;
	arena_reset(s->arena);
	bytes_done(&s->frame);
	restart_timer(s, false);
	/* From the loop, not from here: a peer that sends much must not deepen the stack. */
	bufferevent_trigger(s->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static void drain(struct session *s)
{
	struct evbuffer *in = bufferevent_get_input(s->bev);
	int r;

	if (s->state == SESSION_CLOSING) {
		evbuffer_drain(in, evbuffer_get_length(in));
		return;
	}
	if (s->busy || evbuffer_get_length(in) == 0)
		return;
	allow_large(s);
	s->frame.max = frame_max(s);
	bufferevent_setwatermark(s->bev, EV_READ, 0, s->frame.max + FRAME_LENGTH);
	r = frame_read(in, &s->frame);
	if (r == -EMSGSIZE) {
		session_refuse(s, "session.frame", "a frame of more than %zu bytes", s->frame.max);
	} else if (r < 0) {
		session_fail(s, strerror(-r));
	} else if (r == 0) {
		/* Its time runs from the first byte that was seen of it. */
		if (!s->in_frame)
			restart_timer(s, true);
		s->in_frame = true;
	} else {
		s->in_frame = false;
		handle(s);
	}
}

static void on_readable(struct bufferevent *bev, void *arg)
{
	drain(arg);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct session *s = arg;

	/* The Refusal is out; the peer hears the end of it, and has a moment to hang up. */
	if (s->state != SESSION_CLOSING)
		return;
	SSL_shutdown(bufferevent_openssl_get_ssl(bev));
	ERR_clear_error();
	shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static bool take_exporter(struct session *s)
{
	SSL *ssl = bufferevent_openssl_get_ssl(s->bev);

	return SSL_export_keying_material(ssl, s->exporter, sizeof(s->exporter), EXPORTER_LABEL,
					  strlen(EXPORTER_LABEL), NULL, 0, 0) == 1;
}

/* Why the connection ended, in words; *ret_broken: not by hanging up. */
static const char *end_reason(struct bufferevent *bev, short what, bool *ret_broken)
{
	unsigned long e = bufferevent_get_openssl_error(bev);
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	*ret_broken = e && ERR_GET_REASON(e) != SSL_R_UNEXPECTED_EOF_WHILE_READING;
	if (*ret_broken && text)
		return text;
	return what & BEV_EVENT_EOF || e ? "the attester hung up" : "the connection broke";
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct session *s = arg;

	if (what & BEV_EVENT_CONNECTED) {
		if (!take_exporter(s))
			session_fail(s, "the exporter value of the session cannot be had");
		return;
	}
	if (s->state != SESSION_CLOSING) {
		bool broken;
		const char *why = end_reason(bev, what, &broken);

		log_info("%s: %s", s->peer, why);
		/* A handshake that is none is a refusal; an end between messages is not. */
		if (broken)
			session_refuse(s, "session.tls", "%s", why);
		tell_bye(s, why);
	}
	session_free(s);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	if (s->state == SESSION_CLOSING) {
		session_free(s);
	} else if (s->evidence && s->busy) {
		session_mi_timeout(s);
	} else if (s->state == SESSION_FRESH) {
		session_refuse(s, "session.time", "no Hello in %d seconds", SESSION_HELLO_SECONDS);
	} else {
		session_refuse(s, "session.time", "nothing came in time");
	}
}

int session_start(struct server *server, int fd, SSL *ssl, const char *peer,
		  struct server_dial *dial)
{
	CLEANUP(session_freep) struct session *s = calloc(1, sizeof(*s));
	int r;

	if (s)
		s->bev = bufferevent_openssl_socket_new(
			server->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
			BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!s || !s->bev) {
		SSL_free(ssl);
		close(fd);
		return -ENOMEM;
	}
	s->server = server;
	LIST_INSERT_HEAD(&server->sessions, s, next);
	server->n_sessions++;
	keeper_text(s->peer, sizeof(s->peer), peer);
	s->ak_public = s->ek_public = s->ek_certificate = s->ek_chain = BYTES_INIT(64 * 1024);
	r = arena_new(FRAME_MEMORY_MAX, &s->arena);
	if (r < 0)
		return r;
	s->timer = evtimer_new(server->base, on_timer, s);
	if (!s->timer)
		return -ENOMEM;
	session_timer(s, SESSION_HELLO_SECONDS);
	bufferevent_setcb(s->bev, on_readable, on_written, on_event, s);
	bufferevent_setwatermark(s->bev, EV_READ, 0, SESSION_FRESH_FRAME_MAX + FRAME_LENGTH);
	if (bufferevent_enable(s->bev, EV_READ | EV_WRITE) < 0)
		return -ENOMEM;
	s->dial = dial; /* last: one that could not start is the caller's to dial again */
	TAKE(s);
	return 0;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	if (s->bev)
		bufferevent_free(s->bev);
	if (s->timer)
		event_free(s->timer);
	session_evidence_free(s->evidence);
	arena_free(s->arena);
	bytes_done(&s->frame);
	bytes_done(&s->ak_public);
	bytes_done(&s->ek_public);
	bytes_done(&s->ek_certificate);
	bytes_done(&s->ek_chain);
	ima_witness_done(&s->ima);
	if (s->server) {
		if (s->server->keeper)
			keeper_client_forget(s->server->keeper, s);
		not_large(s);
		LIST_REMOVE(s, next);
		server_session_ended(s->server, s, s->dial);
	}
	free(s);
}
