/* SPDX-License-Identifier: Apache-2.0 */
/* The socket that LoadCredential= reads from. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "claims.h"
#include "cleanup.h"
#include "deliver.h"
#include "local_socket.h"
#include "log.h"

#define UNIT_SUFFIX ".service"

/* A connection whose secret is not there yet. */
struct waiting {
	int fd;
	pid_t pid;
	char application[256], name[256];
};

struct deliver_socket {
	char *path; /* to be removed in the end; NULL: the service manager's */
	int fd;
	struct event *acceptable, *retry;
	const struct deliver_socket_ops *ops;
	void *arg;
	struct waiting waiting[DELIVER_WAITING_MAX];
	size_t n;
};

/* The text up to the next '/' (or, for the last, to the end), moved past. */
static int take_part(struct reader *r, bool last, struct view *ret)
{
	const uint8_t *slash = r->left > 0 ? memchr(r->at, '/', r->left) : NULL;
	uint8_t skipped;
	int e;

	if (last)
		return slash ? -EBADMSG : read_view(r, r->left, ret);
	if (!slash)
		return -EBADMSG;
	e = read_view(r, (size_t)(slash - r->at), ret);
	if (e < 0)
		return e;
	return read_u8(r, &skipped);
}

static int keep_name(struct view v, char ret[256])
{
	if (v.len == 0 || v.len > 255 || memchr(v.data, 0, v.len))
		return -EBADMSG;
	memcpy(ret, v.data, v.len);
	ret[v.len] = '\0';
	return 0;
}

int deliver_socket_parse(struct view address, char ret_application[256], char ret_name[256])
{
	struct reader r = reader_of(address);
	char application[256], name[256];
	struct view random, kind, unit, credential;
	size_t suffix = strlen(UNIT_SUFFIX);
	uint8_t first;
	int e;

	e = read_u8(&r, &first);
	if (e < 0)
		return e;
	/* Not an abstract address: anybody may bind a path. */
	if (first != 0)
		return -EBADMSG;
	e = take_part(&r, false, &random);
	if (e == 0)
		e = take_part(&r, false, &kind);
	if (e == 0)
		e = take_part(&r, false, &unit);
	if (e == 0)
		e = take_part(&r, true, &credential);
	if (e < 0)
		return e;
	if (random.len == 0 || !view_is(kind, "unit") || unit.len <= suffix ||
	    memcmp(unit.data + unit.len - suffix, UNIT_SUFFIX, suffix) != 0)
		return -EBADMSG;
	e = keep_name(view_of(unit.data, unit.len - suffix), application);
	if (e == 0)
		e = keep_name(credential, name);
	if (e < 0)
		return e;
	if (!application_name_valid(application) || !deliver_name_valid(name))
		return -EBADMSG;
	memcpy(ret_application, application, sizeof(application));
	memcpy(ret_name, name, sizeof(name));
	return 0;
}

/*
 * Answers and closes; -EAGAIN: it has to wait. The whole secret fits into the
 * socket's buffer, so that nothing of it is kept here.
 */
static int answer(struct deliver_socket *s, const struct waiting *w)
{
	int size = 4 * SECRET_MAX, r;
	struct deliver_secret secret;
	struct view v;

	r = s->ops->get(s->arg, w->application, w->name, w->pid, &secret);
	if (r == -EAGAIN)
		return r;
	if (r < 0) {
		log_warning("LoadCredential of %s for %s: refused: %s", w->name, w->application,
			    strerror(-r));
		close(w->fd);
		return 0;
	}
	if (setsockopt(w->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		log_debug("credential socket: its buffer cannot be set: %m");
	v = secret_view(secret.value);
	if (send(w->fd, v.data, v.len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)v.len)
		log_error("LoadCredential of %s for %s: could not be sent: %m", w->name,
			  w->application);
	else
		s->ops->delivered(s->arg, w->application, secret.stage, w->name, w->pid);
	close(w->fd);
	return 0;
}

/*
 * systemd shuts down its sending side at once, which looks like the end of the
 * connection; that it has gone shows only when asked for.
 */
static bool hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

/* Keeps those for which keep says so. */
static void go_through(struct deliver_socket *s,
		       bool (*keep)(struct deliver_socket *s, struct waiting *w))
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (keep(s, &s->waiting[i]))
			s->waiting[kept++] = s->waiting[i];
	}
	s->n = kept;
}

static bool keep_connected(struct deliver_socket *s, struct waiting *w)
{
	if (!hung_up(w->fd))
		return true;
	close(w->fd);
	return false;
}

static bool keep_unanswered(struct deliver_socket *s, struct waiting *w)
{
	return keep_connected(s, w) && answer(s, w) == -EAGAIN;
}

static void on_connection(struct deliver_socket *s, int accepted)
{
	CLEANUP(cleanup_fd) int fd = accepted;
	struct waiting w = { .fd = -1 };
	struct sockaddr_un address;
	socklen_t len = sizeof(address);
	struct local_peer peer;
	int r;

	r = local_socket_peer(fd, &peer);
	if (r < 0) {
		log_warning("credential socket: who called is not known: %s", strerror(-r));
		return;
	}
	local_peer_done(&peer);
	if (peer.uid != 0) {
		s->ops->foreign(s->arg, peer.pid, peer.uid);
		return;
	}
	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0)
		len = 0;
	if (len <= offsetof(struct sockaddr_un, sun_path) || len > sizeof(address))
		r = -EBADMSG;
	else
		r = deliver_socket_parse(
			view_of(address.sun_path, len - offsetof(struct sockaddr_un, sun_path)),
			w.application, w.name);
	if (r < 0) {
		/* root, but not systemd loading a credential for a unit of ours. */
		s->ops->foreign(s->arg, peer.pid, peer.uid);
		return;
	}
	w.fd = TAKE_FD(fd);
	w.pid = peer.pid;
	if (answer(s, &w) != -EAGAIN)
		return;
	if (s->n == DELIVER_WAITING_MAX)
		go_through(s, keep_connected);
	if (s->n == DELIVER_WAITING_MAX) {
		log_warning("credential socket: %d requests wait already: one more is refused",
			    DELIVER_WAITING_MAX);
		close(w.fd);
		return;
	}
	s->waiting[s->n++] = w;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct deliver_socket *s = arg;
	int accepted = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (accepted >= 0)
		on_connection(s, accepted);
	else if (errno != EAGAIN && errno != ECONNABORTED)
		log_error("credential socket: %m");
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	go_through(arg, keep_unanswered);
}

CLEANUP_FUNCTION(struct deliver_socket *, deliver_socket_close)

/* Makes the socket, or takes the one that was passed. */
static int listen_at(struct deliver_socket *s, const char *path)
{
	int r;

	if (s->fd >= 0) {
		r = fcntl(s->fd, F_SETFL, O_NONBLOCK);
		return r < 0 ? neg_errno() : 0;
	}
	r = local_socket_listen(path, SOCK_STREAM, 0600, &s->fd);
	if (r < 0)
		return r;
	s->path = strdup(path);
	return s->path ? 0 : -ENOMEM;
}

int deliver_socket_open(struct event_base *base, const char *path, int passed_fd,
			const struct deliver_socket_ops *ops, void *arg,
			struct deliver_socket **ret)
{
	CLEANUP(deliver_socket_closep) struct deliver_socket *s = NULL;
	int r;

	s = calloc(1, sizeof(*s));
	if (!s) {
		cleanup_fd(&passed_fd);
		return -ENOMEM;
	}
	s->fd = passed_fd;
	s->ops = ops;
	s->arg = arg;
	r = listen_at(s, path);
	if (r < 0)
		return r;
	s->acceptable = event_new(base, s->fd, EV_READ | EV_PERSIST, on_acceptable, s);
	s->retry = event_new(base, -1, 0, on_retry, s);
	if (!s->acceptable || !s->retry || event_add(s->acceptable, NULL) < 0)
		return -ENOMEM;
	*ret = TAKE(s);
	return 0;
}

void deliver_socket_notify(struct deliver_socket *s, const char *application)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->waiting[i].application, application) == 0)
			event_active(s->retry, EV_TIMEOUT, 0);
	}
}

void deliver_socket_close(struct deliver_socket *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		close(s->waiting[i].fd);
	if (s->acceptable)
		event_free(s->acceptable);
	if (s->retry)
		event_free(s->retry);
	cleanup_fd(&s->fd);
	if (s->path)
		unlink(s->path);
	free(s->path);
	free(s);
}
