/* SPDX-License-Identifier: Apache-2.0 */
#include "server_dial.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "log.h"

#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS	 60000
#define CONNECT_SECONDS	 15

struct server_dial {
	struct server *server;
	const char *address; /* as configured */
	struct addrinfo *found, *at;
	struct event *retry, *connecting;
	int fd;
	unsigned int backoff_ms;
};

int server_resolve(const char *address, bool passive, struct addrinfo **ret)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = passive ? AI_PASSIVE : 0 };
	CLEANUP(cleanup_mem) char *copy = strdup(address);
	char *host = copy, *port;
	int e;

	if (!copy)
		return -ENOMEM;
	port = strrchr(copy, ':');
	if (!port) {
		log_error("%s: host:port was expected", address);
		return -EINVAL;
	}
	*port++ = '\0';
	if (*host == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		host++;
	}
	e = getaddrinfo(*host && strcmp(host, "*") != 0 ? host : NULL, port, &hints, ret);
	if (e != 0) {
		log_error("%s: %s", address, gai_strerror(e));
		return -EADDRNOTAVAIL;
	}
	return 0;
}

void server_dial_again(struct server_dial *d)
{
	const struct timeval tv = { d->backoff_ms / 1000, (d->backoff_ms % 1000) * 1000 };

	if (!d->retry)
		return;
	d->backoff_ms = d->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : d->backoff_ms * 2;
	event_add(d->retry, &tv);
}

static void connecting_done(struct server_dial *d)
{
	if (d->connecting)
		event_free(d->connecting);
	d->connecting = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

static void failed(struct server_dial *d, int error)
{
	connecting_done(d);
	log_info("dialling %s: %s; trying again in %u ms", d->address, strerror(error),
		 d->backoff_ms);
	d->at = d->at->ai_next ? d->at->ai_next : d->found;
	server_dial_again(d);
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct server_dial *d = arg;
	socklen_t len = sizeof(int);
	int error = ETIMEDOUT, r;

	if (!(what & EV_TIMEOUT) && getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0) {
		failed(d, error);
		return;
	}
	r = TAKE_FD(d->fd);
	connecting_done(d);
	d->backoff_ms = BACKOFF_FIRST_MS;
	r = server_connection(d->server, r, d->address, d);
	if (r < 0) {
		log_error("%s: %s", d->address, strerror(-r));
		server_dial_again(d);
	}
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval patience = { .tv_sec = CONNECT_SECONDS };
	struct server_dial *d = arg;

	d->fd = socket(d->at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0) {
		failed(d, errno);
		return;
	}
	if (connect(d->fd, d->at->ai_addr, d->at->ai_addrlen) < 0 && errno != EINPROGRESS) {
		failed(d, errno);
		return;
	}
	d->connecting = event_new(d->server->base, d->fd, EV_WRITE, on_connected, d);
	if (!d->connecting || event_add(d->connecting, &patience) < 0)
		failed(d, ENOMEM);
}

int server_dial_all(struct server *s)
{
	int r;

	if (s->config->n_dial == 0)
		return 0;
	s->dials = calloc(s->config->n_dial, sizeof(*s->dials));
	if (!s->dials)
		return -ENOMEM;
	for (size_t i = 0; i < s->config->n_dial; i++) {
		struct server_dial *d = &s->dials[s->n_dials++];

		*d = (struct server_dial){ .server = s,
					   .address = s->config->dial[i],
					   .fd = -1,
					   .backoff_ms = BACKOFF_FIRST_MS };
		r = server_resolve(d->address, false, &d->found);
		if (r < 0)
			return r;
		d->at = d->found;
		d->retry = evtimer_new(s->base, on_retry, d);
		if (!d->retry)
			return -ENOMEM;
	}
	return 0;
}

void server_dial_begin(struct server *s)
{
	for (size_t i = 0; i < s->n_dials; i++)
		event_active(s->dials[i].retry, EV_TIMEOUT, 0);
}

void server_dial_done(struct server *s)
{
	for (size_t i = 0; i < s->n_dials; i++) {
		struct server_dial *d = &s->dials[i];

		connecting_done(d);
		if (d->retry)
			event_free(d->retry);
		d->retry = NULL;
		if (d->found)
			freeaddrinfo(d->found);
	}
}
