/* SPDX-License-Identifier: Apache-2.0 */
#include "net.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/listener.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "cleanup.h"
#include "footprint.h"
#include "log.h"
#include "privsep.h"
#include "proto/frame.h"
#include "sandbox.h"
#include "tls.h"

#define BACKOFF_FIRST_MS  250
#define BACKOFF_MAX_MS	  30000
#define HANDSHAKE_SECONDS 15
#define MI_WAITING_MAX	  (64 * 1024 * 1024)
#define OUTPUT_MAX	  (64 * 1024 * 1024)

struct net {
	const struct config *config;
	struct event_base *base;
	struct evdns_base *dns;
	struct privsep *monitor;
	SSL_CTX *tls;
	char *host; /* to dial, and in the verifier's certificate by default */
	int port;
	struct evconnlistener *listener; /* listen mode */

	struct bufferevent *session;
	struct event *handshake_timer;
	bool up;
	struct event *retry;
	unsigned int backoff_ms;
	char last_problem[PRIVSEP_TEXT_MAX]; /* logged once, not at every try */

	struct bufferevent *mi; /* mi_channel: separate */
	bool mi_up;
	struct evbuffer *mi_waiting;

	struct bytes frame;
	int exit_status;
};

static void session_start(struct net *n, evutil_socket_t fd);

static int to_monitor(struct net *n, uint32_t type, const void *message, size_t size)
{
	return privsep_send(n->monitor, type, view_of(message, size));
}

static const char *name_of_verifier(const struct net *n)
{
	return n->config->verifier_name ? n->config->verifier_name : n->host;
}

/* Half to one and a half of the back-off, so that many attesters do not come at once. */
static void retry_later(struct net *n)
{
	uint32_t random = 0;
	unsigned int ms;
	struct timeval tv;

	if (n->listener)
		return;
	if (RAND_bytes((uint8_t *)&random, sizeof(random)) != 1)
		random = 0;
	ms = n->backoff_ms / 2 + random % n->backoff_ms;
	n->backoff_ms = n->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : n->backoff_ms * 2;
	tv = (struct timeval){ ms / 1000, (ms % 1000) * 1000 };
	event_add(n->retry, &tv);
	footprint_trim(); /* a try touched megabytes of code, and the next one may be far off */
}

static void mi_close(struct net *n)
{
	if (n->mi)
		bufferevent_free(n->mi);
	n->mi = NULL;
	n->mi_up = false;
	evbuffer_drain(n->mi_waiting, evbuffer_get_length(n->mi_waiting));
}

static void session_close(struct net *n, const char *why)
{
	struct privsep_text text = { 0 };
	bool was_up = n->up;

	if (!n->session)
		return;
	event_del(n->handshake_timer);
	bufferevent_free(n->session);
	n->session = NULL;
	n->up = false;
	mi_close(n);
	if (was_up || strcmp(why, n->last_problem) != 0) {
		log_warning("verifier %s: %s; trying again", n->host ? n->host : "(listening)",
			    why);
		snprintf(n->last_problem, sizeof(n->last_problem), "%s", why);
	}
	if (was_up) {
		snprintf(text.text, sizeof(text.text), "%s", why);
		if (to_monitor(n, PRIVSEP_DOWN, &text, sizeof(text)) < 0)
			event_base_loopbreak(n->base);
	}
	retry_later(n);
}

/* Copies a message's text into a fixed field. */
#define SET_TEXT(field, from) snprintf(field, sizeof(field), "%s", from)

static int on_challenge(struct net *n, const Assay__ToAttester *m)
{
	const Assay__Challenge *c = m->challenge;
	struct privsep_challenge out = { 0 };

	if (c->nonce.len != NONCE_SIZE || !application_name_valid(c->application) ||
	    c->stage > STAGE_MAX)
		return -EBADMSG;
	memcpy(out.nonce, c->nonce.data, NONCE_SIZE);
	SET_TEXT(out.application, c->application);
	SET_TEXT(out.reason, c->reason);
	out.stage = c->stage;
	out.valid_ms = c->valid_ms;
	out.demand = c->demand;
	out.runtime_log_known = c->runtime_log_known;
	/* Only now does it take us: one that refuses after the handshake is not asked in a storm. */
	n->backoff_ms = BACKOFF_FIRST_MS;
	return to_monitor(n, PRIVSEP_CHALLENGE, &out, sizeof(out));
}

static int on_enrol_challenge(struct net *n, const Assay__ToAttester *m)
{
	const Assay__EnrolChallenge *c = m->enrol_challenge;
	struct privsep_enrol out = { 0 };

	if (c->credential_blob.len > sizeof(out.blob) || c->encrypted_seed.len > sizeof(out.seed))
		return -EBADMSG;
	out.blob_len = (uint32_t)c->credential_blob.len;
	out.seed_len = (uint32_t)c->encrypted_seed.len;
	if (out.blob_len > 0)
		memcpy(out.blob, c->credential_blob.data, out.blob_len);
	if (out.seed_len > 0)
		memcpy(out.seed, c->encrypted_seed.data, out.seed_len);
	return to_monitor(n, PRIVSEP_ENROL_CHALLENGE, &out, sizeof(out));
}

static int on_enrolled(struct net *n, const Assay__ToAttester *m)
{
	struct privsep_enrolled out = { .accepted = m->enrolled->accepted };

	SET_TEXT(out.why, m->enrolled->why);
	return to_monitor(n, PRIVSEP_ENROLLED, &out, sizeof(out));
}

static int append_reason(struct bytes *to, const Assay__Reason *reason)
{
	struct privsep_reason out = { .warning = reason->warning };

	SET_TEXT(out.rule, reason->rule);
	SET_TEXT(out.expected, reason->expected);
	SET_TEXT(out.seen, reason->seen);
	return bytes_append(to, &out, sizeof(out));
}

static int append_sealed(struct bytes *to, const Assay__SealedSecret *s)
{
	struct privsep_sealed out = { .stage = s->stage };
	int r;

	if (s->enc.len != sizeof(out.enc) || s->sealed.len > PRIVSEP_SEALED_MAX ||
	    strlen(s->name) >= sizeof(out.name))
		return -EBADMSG;
	SET_TEXT(out.name, s->name);
	memcpy(out.enc, s->enc.data, sizeof(out.enc));
	out.sealed_len = (uint32_t)s->sealed.len;
	r = bytes_append(to, &out, sizeof(out));
	if (r < 0)
		return r;
	return bytes_append(to, s->sealed.data, s->sealed.len);
}

static int on_verdict(struct net *n, const Assay__ToAttester *m)
{
	CLEANUP(bytes_cleanup) struct bytes out = BYTES_INIT(PRIVSEP_TO_MONITOR_MAX);
	const Assay__Verdict *v = m->verdict;
	struct privsep_verdict head = {
		.accepted = v->accepted,
		.latched = v->latched,
		.stage = v->stage,
		.runtime_log_known = v->runtime_log_known,
		.ima_log_known = v->ima_log_known,
		.n_reasons = (uint32_t)(v->n_reasons > PRIVSEP_REASONS_MAX ? PRIVSEP_REASONS_MAX
									   : v->n_reasons),
		.n_secrets = (uint32_t)v->n_secrets,
	};
	int r;

	if (v->claims_hash.len != sizeof(head.claims_hash) ||
	    !application_name_valid(v->application) || v->n_secrets > PRIVSEP_SECRETS_MAX)
		return -EBADMSG;
	memcpy(head.claims_hash, v->claims_hash.data, sizeof(head.claims_hash));
	SET_TEXT(head.application, v->application);
	if (v->next_nonce.len == NONCE_SIZE) {
		head.has_next_nonce = 1;
		memcpy(head.next_nonce, v->next_nonce.data, NONCE_SIZE);
		head.next_nonce_valid_ms = v->next_nonce_valid_ms;
	}
	r = bytes_append(&out, &head, sizeof(head));
	for (uint32_t i = 0; r == 0 && i < head.n_reasons; i++)
		r = append_reason(&out, v->reasons[i]);
	for (uint32_t i = 0; r == 0 && i < head.n_secrets; i++)
		r = append_sealed(&out, v->secrets[i]);
	if (r < 0)
		return r;
	return privsep_send(n->monitor, PRIVSEP_VERDICT, bytes_view(&out));
}

/* What the verifier may say, and where it goes. */
static const struct {
	Assay__ToAttester__BodyCase body;
	int (*handle)(struct net *n, const Assay__ToAttester *m);
} from_verifier[] = {
	{ ASSAY__TO_ATTESTER__BODY_CHALLENGE, on_challenge },
	{ ASSAY__TO_ATTESTER__BODY_ENROL_CHALLENGE, on_enrol_challenge },
	{ ASSAY__TO_ATTESTER__BODY_ENROLLED, on_enrolled },
	{ ASSAY__TO_ATTESTER__BODY_VERDICT, on_verdict },
};

static int handle_frame(struct net *n, struct view frame, char ret_why[PRIVSEP_TEXT_MAX])
{
	struct arena *arena;
	Assay__ToAttester *m;
	int r;

	r = arena_new(FRAME_MEMORY_MAX, &arena);
	if (r < 0)
		return r;
	snprintf(ret_why, PRIVSEP_TEXT_MAX, "it sent a message that cannot be read");
	r = frame_unpack(&assay__to_attester__descriptor, frame, arena, &m);
	if (r == 0 && m->body_case == ASSAY__TO_ATTESTER__BODY_REFUSAL) {
		snprintf(ret_why, PRIVSEP_TEXT_MAX, "it refused the session: %s", m->refusal->why);
		r = -ECONNREFUSED;
	} else if (r == 0) {
		r = -EBADMSG;
		for (size_t i = 0; i < ARRAY_LEN(from_verifier); i++) {
			if (from_verifier[i].body == m->body_case)
				r = from_verifier[i].handle(n, m);
		}
	}
	arena_free(arena);
	return r;
}

static void on_session_read(struct bufferevent *bev, void *arg)
{
	char why[PRIVSEP_TEXT_MAX] = "it sent a message over the limit";
	struct net *n = arg;
	int r;

	for (;;) {
		r = frame_read(bufferevent_get_input(bev), &n->frame);
		if (r == 0)
			return;
		if (r > 0)
			r = handle_frame(n, bytes_view(&n->frame), why);
		bytes_done(&n->frame);
		if (r < 0) {
			session_close(n, why);
			return;
		}
	}
}

/* Why a connection or a handshake failed, in words. */
static void describe_failure(struct bufferevent *bev, short what, char *to, size_t size)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	unsigned long e = bufferevent_get_openssl_error(bev);
	long verify = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	int dns = bufferevent_socket_get_dns_error(bev);

	if (verify != X509_V_OK)
		snprintf(to, size,
			 "its certificate is not accepted: %s (verifier.ca, verifier.name)",
			 X509_verify_cert_error_string(verify));
	else if (dns != 0)
		snprintf(to, size, "name not found: %s", evutil_gai_strerror(dns));
	else if (e != 0)
		snprintf(to, size, "TLS: %s",
			 ERR_reason_error_string(e) ? ERR_reason_error_string(e) : "failed");
	else if (what & BEV_EVENT_EOF)
		snprintf(to, size, "it closed the connection");
	else if (what & BEV_EVENT_TIMEOUT)
		snprintf(to, size, "time out");
	else
		snprintf(to, size, "%s", evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
}

static void on_session_event(struct bufferevent *bev, short what, void *arg)
{
	struct net *n = arg;
	char why[PRIVSEP_TEXT_MAX];
	struct privsep_up up;

	if (what & BEV_EVENT_CONNECTED) {
		if (tls_exporter(bufferevent_openssl_get_ssl(bev), up.exporter) < 0) {
			session_close(n, "no TLS 1.3 session with a verified peer");
			return;
		}
		event_del(n->handshake_timer);
		n->up = true;
		n->last_problem[0] = '\0';
		footprint_trim(); /* nothing of the handshake is needed again */
		if (to_monitor(n, PRIVSEP_UP, &up, sizeof(up)) < 0)
			event_base_loopbreak(n->base);
		return;
	}
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) {
		describe_failure(bev, what, why, sizeof(why));
		session_close(n, why);
	}
}

static void on_handshake_late(evutil_socket_t fd, short what, void *arg)
{
	session_close(arg, "no TLS session within 15 s");
}

/* A TLS client connection: dialled when fd is -1, over an accepted one otherwise. */
static int tls_connection(struct net *n, evutil_socket_t fd, bufferevent_event_cb on_event,
			  bufferevent_data_cb on_read, struct bufferevent **ret)
{
	struct bufferevent *bev;
	SSL *ssl;
	int r;

	r = tls_session(n->tls, name_of_verifier(n), &ssl);
	if (r < 0)
		return r;
	bev = bufferevent_openssl_socket_new(n->base, fd, ssl, BUFFEREVENT_SSL_CONNECTING,
					     BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!bev) {
		SSL_free(ssl);
		return -ENOMEM;
	}
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	bufferevent_setcb(bev, on_read, NULL, on_event, n);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	if (fd < 0 &&
	    bufferevent_socket_connect_hostname(bev, n->dns, AF_UNSPEC, n->host, n->port) < 0) {
		bufferevent_free(bev);
		return -EHOSTUNREACH;
	}
	*ret = bev;
	return 0;
}

static void session_start(struct net *n, evutil_socket_t fd)
{
	static const struct timeval limit = { HANDSHAKE_SECONDS, 0 };
	int r;

	r = tls_connection(n, fd, on_session_event, on_session_read, &n->session);
	if (r < 0) {
		if (fd >= 0)
			evutil_closesocket(fd);
		retry_later(n);
		return;
	}
	event_add(n->handshake_timer, &limit);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;

	if (!n->session)
		session_start(n, -1);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *address,
		      int len, void *arg)
{
	struct net *n = arg;

	/* A new connection takes the place of one that never became a session. */
	if (n->session && n->up) {
		evutil_closesocket(fd);
		return;
	}
	if (n->session)
		session_close(n, "another connection came first");
	session_start(n, fd);
}

/* MI channel: its only traffic is what we send; anything that comes back is dropped with it. */
static void on_mi_event(struct bufferevent *bev, short what, void *arg)
{
	struct net *n = arg;

	if (what & BEV_EVENT_CONNECTED) {
		uint8_t exporter[EXPORTER_SIZE];

		if (tls_exporter(bufferevent_openssl_get_ssl(bev), exporter) < 0) {
			mi_close(n);
			return;
		}
		n->mi_up = true;
		bufferevent_write_buffer(bev, n->mi_waiting);
		return;
	}
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		mi_close(n);
}

static int send_mi(struct net *n, struct view message)
{
	int r;

	if (!n->up)
		return 0;
	if (n->mi_up)
		return frame_write(bufferevent_get_output(n->mi), message);
	if (evbuffer_get_length(n->mi_waiting) > MI_WAITING_MAX)
		return -ENOBUFS;
	r = frame_write(n->mi_waiting, message);
	if (r == 0 && !n->mi)
		r = tls_connection(n, -1, on_mi_event, NULL, &n->mi);
	return r;
}

static int on_monitor(void *arg, uint32_t type, struct view message)
{
	struct net *n = arg;
	struct privsep_text text;
	int r;

	if (type == PRIVSEP_SEND) {
		/* Sent into the session it was made for, or not at all. */
		if (!n->up)
			return 0;
		if (evbuffer_get_length(bufferevent_get_output(n->session)) > OUTPUT_MAX) {
			session_close(n, "it does not read what we send");
			return 0;
		}
		return frame_write(bufferevent_get_output(n->session), message);
	}
	if (type == PRIVSEP_SEND_MI)
		return send_mi(n, message);
	if (type == PRIVSEP_READY) {
		/* A session that nobody says Hello in, while a chip is slow, is closed at the other end. */
		if (!n->listener && !n->session)
			session_start(n, -1);
		return 0;
	}
	if (type == PRIVSEP_ABOVE_ROOT) {
		/*
		 * Until now it could be systemd clearing up the initrd. Now it is the machine that
		 * ends, and waits for whoever does not.
		 */
		signal(SIGTERM, SIG_DFL);
		return 0;
	}
	if (type == PRIVSEP_CLOSE) {
		r = privsep_text_read(message, &text);
		if (r == 0)
			session_close(n, text.text);
		return r;
	}
	return -EBADMSG;
}

static void on_monitor_ended(void *arg, const char *why)
{
	struct net *n = arg;

	event_base_loopbreak(n->base);
}

/* "host:port", "[address]:port" or "address" into its parts. */
static int split_address(const char *text, char **ret_host, int *ret_port)
{
	const char *colon = strrchr(text, ':'), *start = text, *end = colon;
	char *rest;
	long port;

	if (!colon)
		return -EINVAL;
	port = strtol(colon + 1, &rest, 10);
	if (*rest || rest == colon + 1 || port < 1 || port > 65535)
		return -EINVAL;
	if (*start == '[' && end > start && end[-1] == ']') {
		start++;
		end--;
	}
	*ret_host = strndup(start, (size_t)(end - start));
	*ret_port = (int)port;
	return *ret_host ? 0 : -ENOMEM;
}

static int listen_for_verifier(struct net *n)
{
	struct sockaddr_storage address;
	int len = sizeof(address);

	if (evutil_parse_sockaddr_port(n->config->verifier_listen, (struct sockaddr *)&address,
				       &len) < 0)
		return -EINVAL;
	n->listener = evconnlistener_new_bind(n->base, on_accept, n,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE |
						      LEV_OPT_CLOSE_ON_EXEC,
					      4, (struct sockaddr *)&address, len);
	return n->listener ? 0 : neg_errno();
}

/* Everything that needs a file, a name or a privilege. */
static int prepare(struct net *n, int fd)
{
	const struct config *c = n->config;
	int r;

	n->base = event_base_new();
	n->mi_waiting = evbuffer_new();
	if (!n->base || !n->mi_waiting)
		return -ENOMEM;
	n->dns = evdns_base_new(n->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
						 EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (!n->dns) /* no resolv.conf: addresses and /etc/hosts still work */
		n->dns = evdns_base_new(n->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	n->retry = evtimer_new(n->base, on_retry, n);
	n->handshake_timer = evtimer_new(n->base, on_handshake_late, n);
	if (!n->dns || !n->retry || !n->handshake_timer)
		return -ENOMEM;
	r = tls_context(c->verifier_ca, &n->tls);
	if (r < 0) {
		log_error("verifier.ca: %s: no CA certificate (PEM) can be read from it",
			  c->verifier_ca);
		return r;
	}
	if (c->verifier_listen) {
		r = listen_for_verifier(n);
		if (r < 0) {
			log_error("verifier.listen: %s: %s", c->verifier_listen, strerror(-r));
			return r;
		}
	} else {
		r = split_address(c->verifier_address, &n->host, &n->port);
		if (r < 0)
			return r;
	}
	return privsep_new(n->base, fd, PRIVSEP_TO_NET_MAX, on_monitor, on_monitor_ended, n,
			   &n->monitor);
}

static void net_done(struct net *n)
{
	if (n->session)
		bufferevent_free(n->session);
	if (n->mi)
		bufferevent_free(n->mi);
	if (n->mi_waiting)
		evbuffer_free(n->mi_waiting);
	if (n->listener)
		evconnlistener_free(n->listener);
	privsep_free(n->monitor);
	if (n->retry)
		event_free(n->retry);
	if (n->handshake_timer)
		event_free(n->handshake_timer);
	if (n->dns)
		evdns_base_free(n->dns, 0);
	if (n->base)
		event_base_free(n->base);
	SSL_CTX_free(n->tls);
	bytes_done(&n->frame);
	free(n->host);
}

int net_main(const struct config *config, int fd)
{
	struct net n = { .config = config,
			 .backoff_ms = BACKOFF_FIRST_MS,
			 .frame = BYTES_INIT(FRAME_MAX) };
	int r;

	/* Interrupts are for the monitor; when it goes, this process has no purpose. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "assayd-net");
	r = prepare(&n, fd);
	if (r == 0) {
		r = sandbox_enter(config->net_user);
		if (r == -ENOENT)
			log_error("net_user: no user %s on this machine; create it or name another",
				  config->net_user);
		else if (r == -EINVAL)
			log_error("net_user: %s is root; name another user", config->net_user);
		else if (r < 0)
			log_error("cannot confine the net process: %s", strerror(-r));
	}
	if (r == 0) {
		event_base_dispatch(n.base);
		r = 0;
	}
	net_done(&n);
	return r < 0 ? 3 : 0;
}
