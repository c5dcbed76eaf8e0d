/* SPDX-License-Identifier: Apache-2.0 */
#include "app_socket.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "app_peer.h"
#include "claims.h"
#include "cleanup.h"
#include "deliver.h"
#include "log.h"
#include "proto/frame.h"

/* Foreign callers that have connected and asked nothing yet. */
#define FOREIGN_MAX 16

#define REASON_MAX 128

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

struct app_socket {
	struct event_base *base;
	char *path;
	int fd;
	struct event *acceptable, *later;
	const struct app_socket_ops *ops;
	void *arg;
	struct app_peer *peers;
	struct arena *arena; /* of the request being worked on */
	uint8_t *buffer;
	uint64_t foreign;
};

/* A memfd that nobody can change any more: what the process reads is what was released. */
static int secret_fd(const struct secret *value, int *ret)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct view v = secret_view(value);
	size_t done = 0;

	fd = memfd_create("assay-secret", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("assay-secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return neg_errno();
	/* The receiver reads from the start: the place in the file is shared with it. */
	while (done < v.len) {
		ssize_t n = pwrite(fd, v.data + done, v.len - done, (off_t)done);

		if (n < 0)
			return neg_errno();
		done += (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return neg_errno();
	*ret = TAKE_FD(fd);
	return 0;
}

static int pack(Assay__Answer *answer, struct bytes *ret)
{
	size_t len = assay__answer__get_packed_size(answer);
	uint8_t *to;
	int r;

	/* Many applications with many reasons: the state of each counts more. */
	for (size_t i = 0; len > APP_PACKET_MAX && i < answer->n_status; i++) {
		answer->status[i]->n_reasons = 0;
		len = assay__answer__get_packed_size(answer);
	}
	r = bytes_reserve(ret, len, &to);
	if (r < 0)
		return r;
	ret->len += assay__answer__pack(answer, to);
	return 0;
}

/* Sends the answer, with the secret's descriptor if it has one, which is taken over. */
static void send_answer(struct app_peer *p, Assay__Answer *answer, int fd, pid_t pid)
{
	struct app_answer a = {
		.packet = BYTES_INIT(APP_PACKET_MAX),
		.secret_fd = fd,
		.stage = answer->stage,
		.pid = pid,
	};
	int r;

	r = pack(answer, &a.packet);
	if (r == 0 && fd >= 0) {
		a.name = strdup(answer->name);
		if (!a.name)
			r = -ENOMEM;
	}
	if (r < 0) {
		log_error("application socket: an answer to pid %d cannot be made: %s", p->who.pid,
			  strerror(-r));
		bytes_done(&a.packet);
		cleanup_fd(&fd);
		app_peer_close(p);
		return;
	}
	r = app_peer_send(p, &a);
	if (r < 0)
		log_debug("application socket: pid %d left before its answer", p->who.pid);
}

static void send_result(struct app_peer *p, uint64_t id, int error, const char *why)
{
	Assay__Answer answer = ASSAY__ANSWER__INIT;

	answer.id = id;
	answer.error = error;
	answer.message = (char *)(why ? why : error < 0 ? strerror(-error) : "");
	send_answer(p, &answer, -1, 0);
}

static void foreign(struct app_socket *s, pid_t pid, uid_t uid)
{
	s->foreign++;
	s->ops->foreign(s->arg, pid, uid);
}

static void refuse_foreign(struct app_peer *p, uint64_t id)
{
	send_result(p, id, -EPERM, "not a process of a measured application");
	app_peer_finish(p);
}

/*
 * -EAGAIN: not there yet. Otherwise the request was answered. The name that was asked for may be
 * the monitor's own or the request's; both are good until the answer is packed.
 */
static int try_secret(struct app_peer *p, const struct app_waiting *w, bool answer_not_yet)
{
	struct app_socket *s = p->socket;
	Assay__Answer answer = ASSAY__ANSWER__INIT;
	struct app_secret secret = { 0 };
	const char *why = NULL;
	int fd = -1, r;

	r = s->ops->get_secret(s->arg, p->application, w->name, w->stage, &secret, &why);
	if (r == -EAGAIN && !answer_not_yet)
		return r;
	if (r == 0)
		r = secret_fd(secret.value, &fd);
	if (r < 0) {
		send_result(p, w->id, r, why);
		return 0;
	}
	answer.id = w->id;
	answer.has_secret = true;
	answer.name = (char *)secret.name;
	answer.stage = secret.stage;
	send_answer(p, &answer, fd, w->pid);
	return 0;
}

static void on_get_secret(struct app_peer *p, const Assay__Request *request, pid_t pid)
{
	const Assay__GetSecret *get = request->get_secret;
	bool by_name = get->name[0] != '\0';
	struct app_waiting w = {
		.id = request->id,
		.name = by_name ? get->name : NULL,
		.stage = get->stage,
		.pid = pid,
	};

	if (by_name == (get->stage != 0)) {
		send_result(p, request->id, -EINVAL, "either a name or a stage");
		return;
	}
	if (get->stage > STAGE_MAX || (by_name && !deliver_name_valid(get->name))) {
		send_result(p, request->id, -EINVAL, "no secret can have that name or stage");
		return;
	}
	if (try_secret(p, &w, !get->wait) != -EAGAIN)
		return;
	if (p->n_waiting == APP_WAITING_MAX) {
		send_result(p, request->id, -EBUSY, "too many requests of this connection wait");
		return;
	}
	if (by_name) {
		w.name = strdup(get->name);
		if (!w.name) {
			send_result(p, request->id, -ENOMEM, NULL);
			return;
		}
	}
	p->waiting[p->n_waiting++] = w;
}

static void on_begin_stage(struct app_peer *p, const Assay__Request *request, pid_t pid)
{
	struct app_socket *s = p->socket;
	uint32_t stage = request->begin_stage->stage;
	const char *why = NULL;
	int r = -EINVAL;

	if (stage >= 1 && stage <= STAGE_MAX)
		r = s->ops->begin_stage(s->arg, p->application, stage, pid, &why);
	send_result(p, request->id, r, why);
}

static void on_measure(struct app_peer *p, const Assay__Request *request, pid_t pid)
{
	struct app_socket *s = p->socket;
	const char *reason = request->measure->reason, *why = NULL;
	int r = -EINVAL;

	if (strlen(reason) <= REASON_MAX)
		r = s->ops->measure(s->arg, p->application, reason, pid, &why);
	send_result(p, request->id, r, why);
}

static void on_subscribe(struct app_peer *p, const Assay__Request *request, pid_t pid)
{
	p->subscribed = true;
	send_result(p, request->id, 0, NULL);
}

static void on_get_status(struct app_peer *p, const Assay__Request *request, pid_t pid)
{
	struct app_socket *s = p->socket;
	Assay__Answer answer = ASSAY__ANSWER__INIT;
	int r;

	r = s->ops->status(s->arg, p->application, s->arena, &answer);
	if (r < 0) {
		send_result(p, request->id, r, NULL);
		return;
	}
	answer.id = request->id;
	send_answer(p, &answer, -1, 0);
}

/* What can be asked, and by whom. By body_case. */
static const struct {
	void (*handle)(struct app_peer *p, const Assay__Request *request, pid_t pid);
	bool root; /* also by root, outside any application */
} request_table[] = {
	[ASSAY__REQUEST__BODY_GET_SECRET] = { on_get_secret, .root = false },
	[ASSAY__REQUEST__BODY_BEGIN_STAGE] = { on_begin_stage, .root = false },
	[ASSAY__REQUEST__BODY_MEASURE] = { on_measure, .root = false },
	[ASSAY__REQUEST__BODY_SUBSCRIBE] = { on_subscribe, .root = false },
	[ASSAY__REQUEST__BODY_GET_STATUS] = { on_get_status, .root = true },
};

/* True if it parses; the request lives in the socket's arena until the next one. */
static bool parse(struct app_socket *s, struct view packet, bool cut, Assay__Request **ret)
{
	arena_reset(s->arena);
	if (cut)
		return false;
	return frame_unpack(&assay__request__descriptor, packet, s->arena, ret) == 0;
}

/* A connection can be handed on: the process that sent this packet must belong here too. */
static bool sender_belongs(const struct app_peer *p, pid_t pid, uid_t uid)
{
	struct app_socket *s = p->socket;

	if (pid == p->who.pid)
		return local_peer_alive(&p->who);
	if (p->application == APP_NONE && uid != 0)
		return false;
	return pid > 0 && s->ops->which(s->arg, pid) == p->application;
}

void app_socket_on_packet(struct app_peer *p, struct view packet, bool cut, pid_t pid, uid_t uid)
{
	struct app_socket *s = p->socket;
	Assay__Request *request;
	bool parsed = parse(s, packet, cut, &request);

	if (p->application == APP_FOREIGN) {
		refuse_foreign(p, parsed ? request->id : 0);
		return;
	}
	if (!sender_belongs(p, pid, uid)) {
		foreign(s, pid, uid);
		refuse_foreign(p, parsed ? request->id : 0);
		return;
	}
	if (!parsed) {
		send_result(p, 0, cut ? -EMSGSIZE : -EBADMSG, "not a request");
		app_peer_finish(p);
		return;
	}
	/* Its answer would look like an event. */
	if (request->id == 0) {
		send_result(p, 0, -EINVAL, "requests are numbered from 1");
		return;
	}
	if ((size_t)request->body_case >= ARRAY_LEN(request_table) ||
	    !request_table[request->body_case].handle) {
		send_result(p, request->id, -EBADMSG, "a request without content");
		return;
	}
	if (p->application == APP_NONE && !request_table[request->body_case].root) {
		foreign(s, pid, uid);
		send_result(p, request->id, -EPERM, "not a process of a measured application");
		return;
	}
	request_table[request->body_case].handle(p, request, pid);
}

void app_socket_on_silence(struct app_peer *p)
{
	refuse_foreign(p, 0);
}

void app_socket_on_closed(struct app_peer *p)
{
	event_active(p->socket->later, EV_TIMEOUT, 0);
}

void app_socket_on_sent(struct app_peer *p, const struct app_answer *a)
{
	struct app_socket *s = p->socket;

	if (a->name)
		s->ops->delivered(s->arg, p->application, a->stage, a->name, a->pid);
}

static void retry_waiting(struct app_peer *p)
{
	p->retry = false;
	/* Whoever else holds the connection by now did not ask. */
	if (!local_peer_alive(&p->who)) {
		app_peer_close(p);
		return;
	}
	for (size_t i = 0; !p->dead && i < p->n_waiting;) {
		if (try_secret(p, &p->waiting[i], false) == -EAGAIN)
			i++;
		else
			app_peer_forget_waiting(p, i);
	}
}

/* Tries again what waits, and frees what was closed. */
static void on_later(evutil_socket_t fd, short what, void *arg)
{
	struct app_socket *s = arg;
	struct app_peer **at = &s->peers;

	for (struct app_peer *p = s->peers; p; p = p->next) {
		if (p->retry && !p->dead)
			retry_waiting(p);
	}
	while (*at) {
		struct app_peer *p = *at;

		if (!p->dead) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		app_peer_free(p);
	}
}

static size_t count(const struct app_socket *s, bool (*counts)(const struct app_peer *p, int of),
		    int of)
{
	size_t n = 0;

	for (const struct app_peer *p = s->peers; p; p = p->next)
		n += !p->dead && counts(p, of);
	return n;
}

static bool counts_of_application(const struct app_peer *p, int of)
{
	return p->application == of;
}

static bool counts_all(const struct app_peer *p, int of)
{
	return true;
}

/* What somebody may get; the limits that are reached. */
static int application_of(struct app_socket *s, const struct local_peer *who)
{
	int application = local_peer_alive(who) ? s->ops->which(s->arg, who->pid) : APP_NONE;

	/* Alive now: pid meant this process, not one that got its number. */
	if (!local_peer_alive(who))
		return APP_FOREIGN;
	if (application >= 0)
		return application;
	return who->uid == 0 ? APP_NONE : APP_FOREIGN;
}

static bool is_room(struct app_socket *s, int application)
{
	size_t most = application == APP_FOREIGN ? FOREIGN_MAX : APP_CONNECTIONS_MAX;

	return count(s, counts_of_application, application) < most &&
	       count(s, counts_all, 0) < APP_CONNECTIONS_TOTAL_MAX;
}

static void on_connection(struct app_socket *s, int accepted)
{
	CLEANUP(cleanup_fd) int fd = accepted;
	struct local_peer who;
	struct app_peer *p;
	int application, r;

	r = local_socket_peer(fd, &who);
	if (r < 0) {
		log_warning("application socket: who called is not known: %s", strerror(-r));
		return;
	}
	application = application_of(s, &who);
	if (application == APP_FOREIGN)
		foreign(s, who.pid, who.uid);
	if (!is_room(s, application)) {
		if (application != APP_FOREIGN)
			log_warning("application socket: too many connections: pid %d is refused",
				    who.pid);
		local_peer_done(&who);
		return;
	}
	r = app_peer_new(s->base, s, fd, &who, application, s->buffer, &p);
	if (r < 0) {
		log_error("application socket: %s", strerror(-r));
		local_peer_done(&who);
		return;
	}
	TAKE_FD(fd);
	p->next = s->peers;
	s->peers = p;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct app_socket *s = arg;
	int accepted = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (accepted >= 0)
		on_connection(s, accepted);
	else if (errno != EAGAIN && errno != ECONNABORTED)
		log_error("application socket: %m");
}

CLEANUP_FUNCTION(struct app_socket *, app_socket_free)

int app_socket_new(struct event_base *base, const char *path, const struct app_socket_ops *ops,
		   void *arg, struct app_socket **ret)
{
	CLEANUP(app_socket_freep) struct app_socket *s = NULL;
	int on = 1, r;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->base = base;
	s->fd = -1;
	s->ops = ops;
	s->arg = arg;
	s->buffer = malloc(APP_PACKET_MAX);
	if (!s->buffer)
		return -ENOMEM;
	r = arena_new(APP_MEMORY_MAX, &s->arena);
	if (r < 0)
		return r;
	r = local_socket_listen(path, SOCK_SEQPACKET, 0666, &s->fd);
	if (r < 0)
		return r;
	s->path = strdup(path);
	if (!s->path)
		return -ENOMEM;
	/* Connections inherit it: each packet says who sent it. */
	if (setsockopt(s->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return neg_errno();
	s->acceptable = event_new(base, s->fd, EV_READ | EV_PERSIST, on_acceptable, s);
	s->later = event_new(base, -1, 0, on_later, s);
	if (!s->acceptable || !s->later || event_add(s->acceptable, NULL) < 0)
		return -ENOMEM;
	*ret = TAKE(s);
	return 0;
}

void app_socket_free(struct app_socket *s)
{
	struct app_peer *next;

	if (!s)
		return;
	for (struct app_peer *p = s->peers; p; p = next) {
		next = p->next;
		app_peer_free(p);
	}
	if (s->acceptable)
		event_free(s->acceptable);
	if (s->later)
		event_free(s->later);
	cleanup_fd(&s->fd);
	if (s->path)
		unlink(s->path);
	free(s->path);
	arena_free(s->arena);
	free(s->buffer);
	free(s);
}

void app_socket_notify(struct app_socket *s, int application)
{
	for (struct app_peer *p = s->peers; p; p = p->next) {
		if (p->application == application && p->n_waiting > 0)
			p->retry = true;
	}
	event_active(s->later, EV_TIMEOUT, 0);
}

void app_socket_event(struct app_socket *s, int application, uint32_t stage, int error,
		      const char *message)
{
	for (struct app_peer *p = s->peers; p; p = p->next) {
		Assay__Answer answer = ASSAY__ANSWER__INIT;

		if (p->dead || !p->subscribed || p->application != application)
			continue;
		answer.stage = stage;
		answer.error = error;
		/* Never empty: a message of zero bytes reads like the end of the connection. */
		answer.message = (char *)(message && *message ? message
					  : error < 0	      ? strerror(-error)
							      : "accepted");
		send_answer(p, &answer, -1, 0);
	}
}

uint64_t app_socket_foreign(const struct app_socket *s)
{
	return s->foreign;
}
