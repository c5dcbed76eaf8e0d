/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include <event2/listener.h>
#include <openssl/err.h>

#include "cleanup.h"
#include "log.h"
#include "results.h"
#include "sandbox.h"
#include "server_dial.h"
#include "server_tls.h"
#include "session.h"

#define BACKLOG 128

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	/* Neither clock can fail on Linux; were one to, everything would have expired. */
	if (clock_gettime(id, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

struct store_time server_clock(void)
{
	return (struct store_time){
		.at_ns = (int64_t)clock_ns(CLOCK_REALTIME),
		.boottime_ns = clock_ns(CLOCK_BOOTTIME),
	};
}

static void upload_free(struct server *s, struct server_upload *u)
{
	TAILQ_REMOVE(&s->uploads, u, next);
	s->n_uploads--;
	s->uploads_bytes -= u->mi.len;
	bytes_done(&u->mi);
	free(u);
}

static void expire_uploads(struct server *s)
{
	uint64_t now = server_clock().boottime_ns;
	struct server_upload *u;

	while ((u = TAILQ_FIRST(&s->uploads)) && u->until_ns < now)
		upload_free(s, u);
}

int server_upload(struct server *s, const struct digest *claims_hash, struct view mi)
{
	CLEANUP(bytes_cleanup) struct bytes copy = BYTES_INIT(FRAME_MAX);
	struct server_upload *u;
	struct session *session;
	int r;

	r = bytes_append_view(&copy, mi);
	if (r < 0)
		return r;
	LIST_FOREACH(session, &s->sessions, next)
	{
		if (session_awaits_mi(session, claims_hash)) {
			session_mi_came(session, &copy);
			return 0;
		}
	}
	expire_uploads(s);
	if (s->n_uploads >= SERVER_UPLOADS_MAX ||
	    mi.len > SERVER_UPLOADS_BYTES_MAX - s->uploads_bytes)
		return -ENOBUFS;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->claims_hash = *claims_hash;
	u->until_ns = server_clock().boottime_ns + SERVER_MI_SECONDS * UINT64_C(1000000000);
	u->mi = copy;
	copy = BYTES_INIT(0);
	TAILQ_INSERT_TAIL(&s->uploads, u, next);
	s->n_uploads++;
	s->uploads_bytes += u->mi.len;
	return 0;
}

int server_take_upload(struct server *s, const struct digest *claims_hash, struct bytes *ret)
{
	struct server_upload *u;

	expire_uploads(s);
	TAILQ_FOREACH(u, &s->uploads, next)
	{
		if (!digest_equal(&u->claims_hash, claims_hash))
			continue;
		s->uploads_bytes -= u->mi.len;
		*ret = u->mi;
		u->mi = BYTES_INIT(0);
		upload_free(s, u);
		return 0;
	}
	return -ENOENT;
}

int server_connection(struct server *s, int fd, const char *peer, struct server_dial *dial)
{
	const int on = 1, idle = 60, interval = 20, probes = 4;
	SSL *ssl;

	/* A peer that is gone without a word is noticed in two to three minutes. */
	if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		log_warning("%s: continuing without its socket options: %s", peer, strerror(errno));
	ssl = SSL_new(s->tls);
	if (!ssl) {
		ERR_clear_error();
		close(fd);
		return -ENOMEM;
	}
	return session_start(s, fd, ssl, peer, dial);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
		      int len, void *arg)
{
	char host[46], port[8], peer[KEEPER_PEER_MAX] = "?";
	struct server *s = arg;
	int r;

	if (getnameinfo(from, (socklen_t)len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		snprintf(peer, sizeof(peer), from->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
			 host, port);
	if (s->n_sessions >= s->config->sessions_max) {
		log_warning("%s: turned away: %u sessions are open", peer, s->config->sessions_max);
		close(fd);
		return;
	}
	r = server_connection(s, fd, peer, NULL);
	if (r < 0)
		log_error("%s: %s", peer, strerror(-r));
}

void server_session_ended(struct server *s, struct session *session, struct server_dial *dial)
{
	s->n_sessions--;
	if (dial)
		server_dial_again(dial);
}

static bool subject_is(const struct session *session, const struct keeper_demand *d)
{
	return session->state == SESSION_READY &&
	       (d->key_name_len == 0 ||
		view_equal(view_of(d->key_name, d->key_name_len),
			   view_of(session->hello.key_name, session->hello.key_name_len)));
}

static void on_demand(struct server *s, uint32_t type, const struct keeper_demand *d)
{
	struct session *session, *next;

	for (session = LIST_FIRST(&s->sessions); session; session = next) {
		next = LIST_NEXT(session, next);
		if (!subject_is(session, d))
			continue;
		if (type == KEEPER_END)
			session_refuse(session, "session.forgotten", "the attester was forgotten");
		else if (session_policy(session, d->application))
			session_challenge(session, d->application, 0, true, d->reason);
	}
}

static void on_unasked(void *arg, uint32_t type, const union keeper_any *fixed,
		       const struct view *blobs)
{
	struct server *s = arg;

	if (type == KEEPER_STORE_BEGIN)
		trust_again_begin(&s->trust);
	else if (type == KEEPER_STORE_FILE)
		trust_again_file(&s->trust, fixed->store_file.name, blobs[0]);
	else if (type == KEEPER_STORE_BUNDLE)
		trust_again_bundle(&s->trust, blobs[0]);
	else if (type == KEEPER_STORE_END)
		trust_again_end(&s->trust, fixed->store_end.complete);
	else
		on_demand(s, type, &fixed->demand);
}

static void on_lost(void *arg)
{
	struct server *s = arg;

	s->lost = true;
	event_base_loopbreak(s->base);
}

/* The keeper answers, so its store is open: attesters may come. */
static void on_keeper_alive(void *arg, uint32_t type, const union keeper_any *fixed,
			    const struct view *blobs)
{
	struct server *s = arg;

	if (s->serving)
		return;
	s->serving = true;
	for (size_t i = 0; i < s->n_listeners; i++)
		evconnlistener_enable(s->listeners[i]);
	server_dial_begin(s);
	if (s->n_listeners > 0)
		log_notice("listening on %s", s->config->listen);
}

static void on_alive(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;

	expire_uploads(s);
	if (keeper_ask(s->keeper, KEEPER_ALIVE, NULL, NULL, on_keeper_alive, s) < 0)
		log_warning("continuing without a word to the keeper");
}

static int listen_at(struct server *s, const struct addrinfo *at)
{
	struct evconnlistener *l;

	l = evconnlistener_new_bind(s->base, on_accept, s,
				    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
					    LEV_OPT_REUSEABLE | LEV_OPT_DISABLED |
					    (at->ai_family == AF_INET6 ? LEV_OPT_BIND_IPV6ONLY : 0),
				    BACKLOG, at->ai_addr, (int)at->ai_addrlen);
	if (!l)
		return neg_errno();
	s->listeners[s->n_listeners++] = l;
	return 0;
}

static int listen_all(struct server *s)
{
	struct addrinfo *found, *at;
	size_t n = 0;
	int r;

	if (!s->config->listen)
		return 0;
	r = server_resolve(s->config->listen, true, &found);
	if (r < 0)
		return r;
	for (at = found; at; at = at->ai_next)
		n++;
	s->listeners = calloc(n, sizeof(*s->listeners));
	r = s->listeners ? 0 : -ENOMEM;
	for (at = found; r == 0 && at; at = at->ai_next)
		r = listen_at(s, at);
	freeaddrinfo(found);
	if (r < 0)
		log_error("listening on %s: %s", s->config->listen, strerror(-r));
	return r;
}

static int load_trust(struct server *s, const char *directory)
{
	CLEANUP(cleanup_mem) char *error = NULL;
	int r;

	r = trust_load(s->config, directory, &s->trust, &error);
	if (r < 0)
		log_error("%s", error ? error : strerror(-r));
	return r;
}

static int start(struct server *s, const char *directory, int fd, unsigned int alive_ms)
{
	const struct timeval often = { alive_ms / 1000, (alive_ms % 1000) * 1000 };
	int r;

	s->base = event_base_new();
	if (!s->base)
		return -ENOMEM;
	r = load_trust(s, directory);
	if (r == 0)
		r = appraisal_cache_new(APPRAISAL_CACHE_ENTRIES, APPRAISAL_CACHE_BYTES, &s->cache);
	if (r == 0)
		r = server_tls_open(s->config, directory, &s->tls);
	if (r == 0)
		r = listen_all(s);
	if (r == 0)
		r = results_http_open(s->base, s->config, directory, &s->results);
	if (r == 0)
		r = server_dial_all(s);
	if (r == 0)
		r = keeper_client_new(s->base, fd, on_unasked, on_lost, s, &s->keeper);
	if (r < 0)
		return r;
	s->alive = event_new(s->base, -1, EV_PERSIST, on_alive, s);
	if (!s->alive || event_add(s->alive, &often) < 0)
		return -ENOMEM;
	r = sandbox_enter(s->config->user, s->config->n_dial > 0);
	if (r < 0) {
		log_error("becoming %s in a sandbox: %s", s->config->user,
			  r == -ENOENT ? "no such user" : strerror(-r));
		return r;
	}
	event_active(s->alive, EV_TIMEOUT, 0);
	return 0;
}

static void stop(struct server *s)
{
	struct session *session, *next;

	server_dial_done(s);
	results_http_close(s->results);
	for (session = LIST_FIRST(&s->sessions); session; session = next) {
		next = LIST_NEXT(session, next);
		session_free(session);
	}
	while (!TAILQ_EMPTY(&s->uploads))
		upload_free(s, TAILQ_FIRST(&s->uploads));
	for (size_t i = 0; i < s->n_listeners; i++)
		evconnlistener_free(s->listeners[i]);
	free(s->listeners);
	if (s->alive)
		event_free(s->alive);
	keeper_client_free(s->keeper);
	SSL_CTX_free(s->tls);
	appraisal_cache_free(s->cache);
	trust_done(&s->trust);
	if (s->base)
		event_base_free(s->base);
}

int server_main(const struct verifier_config *config, const char *directory,
		const struct policies *policies, int fd, unsigned int alive_ms)
{
	struct server s = { .config = config, .policies = policies };
	int r;

	LIST_INIT(&s.sessions);
	TAILQ_INIT(&s.uploads);
	/* The keeper ends us; what a terminal or a service manager sends to both is its to hear. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	r = start(&s, directory, fd, alive_ms);
	if (r == 0)
		event_base_dispatch(s.base);
	stop(&s);
	return r < 0 ? 3 : 0;
}
