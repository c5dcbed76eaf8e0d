/* SPDX-License-Identifier: Apache-2.0 */
#include "app_peer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "cleanup.h"
#include "log.h"

static void answer_done(struct app_answer *a)
{
	bytes_done(&a->packet);
	cleanup_fd(&a->secret_fd);
	free(a->name);
	*a = (struct app_answer){ .secret_fd = -1 };
}

void app_peer_close(struct app_peer *p)
{
	if (p->dead)
		return;
	p->dead = true;
	event_del(p->readable);
	event_del(p->writable);
	event_del(p->refill);
	cleanup_fd(&p->fd);
	p->fd = -1;
	app_socket_on_closed(p);
}

void app_peer_forget_waiting(struct app_peer *p, size_t i)
{
	free(p->waiting[i].name);
	p->n_waiting--;
	memmove(&p->waiting[i], &p->waiting[i + 1], (p->n_waiting - i) * sizeof(p->waiting[0]));
}

void app_peer_free(struct app_peer *p)
{
	struct event *events[3];

	if (!p)
		return;
	events[0] = p->readable;
	events[1] = p->writable;
	events[2] = p->refill;
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (events[i])
			event_free(events[i]);
	}
	while (p->n_waiting > 0)
		app_peer_forget_waiting(p, p->n_waiting - 1);
	for (; p->n_answers > 0; p->n_answers--) {
		answer_done(&p->answers[p->first_answer]);
		p->first_answer = (p->first_answer + 1) % APP_ANSWERS_MAX;
	}
	cleanup_fd(&p->fd);
	local_peer_done(&p->who);
	free(p);
}

static int send_packet(int fd, const struct app_answer *a)
{
	struct iovec part = { .iov_base = a->packet.data, .iov_len = a->packet.len };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

	if (a->secret_fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.room);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &a->secret_fd, sizeof(int));
	}
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? neg_errno() : 0;
}

/* Whoever does not take its answers is not heard either: requests wait in the kernel. */
static void look_for_packets(struct app_peer *p)
{
	bool listen = !p->dead && !p->last && p->n_answers == 0 && p->packets_left > 0;

	if (p->dead)
		return;
	if ((listen ? event_add(p->readable, NULL) : event_del(p->readable)) < 0)
		app_peer_close(p);
}

static void flush(struct app_peer *p)
{
	while (!p->dead && p->n_answers > 0) {
		struct app_answer *a = &p->answers[p->first_answer];
		int r = send_packet(p->fd, a);

		if (r == -EAGAIN) {
			if (event_add(p->writable, NULL) < 0)
				app_peer_close(p);
			break;
		}
		if (r < 0) {
			app_peer_close(p); /* it went away */
			break;
		}
		app_socket_on_sent(p, a);
		answer_done(a);
		p->first_answer = (p->first_answer + 1) % APP_ANSWERS_MAX;
		p->n_answers--;
	}
	if (p->last && p->n_answers == 0)
		app_peer_close(p);
	look_for_packets(p);
}

int app_peer_send(struct app_peer *p, struct app_answer *a)
{
	if (p->dead || p->last) {
		answer_done(a);
		return p->dead ? -ENOTCONN : -ESHUTDOWN;
	}
	if (p->n_answers == APP_ANSWERS_MAX) {
		log_warning("application socket: pid %d does not read its answers: closed",
			    p->who.pid);
		answer_done(a);
		app_peer_close(p);
		return -ENOBUFS;
	}
	p->answers[(p->first_answer + p->n_answers) % APP_ANSWERS_MAX] = *a;
	*a = (struct app_answer){ .secret_fd = -1 };
	p->n_answers++;
	if (p->n_answers == 1)
		flush(p);
	return 0;
}

void app_peer_finish(struct app_peer *p)
{
	p->last = true;
	flush(p);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	flush(arg);
}

static void on_refill(evutil_socket_t fd, short what, void *arg)
{
	struct app_peer *p = arg;

	if (p->application == APP_FOREIGN) {
		app_socket_on_silence(p);
		return;
	}
	p->packets_left = APP_PACKETS_PER_SECOND_MAX;
	look_for_packets(p);
}

static int start_second(struct app_peer *p)
{
	struct timeval second = { .tv_sec = 1 };

	return event_add(p->refill, &second) < 0 ? -ENOMEM : 0;
}

/* False: there is no further packet. */
static bool read_packet(struct app_peer *p)
{
	struct iovec part = { .iov_base = p->buffer, .iov_len = APP_PACKET_MAX };
	/* Room for these alone: descriptors that somebody sends along are dropped by the kernel. */
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr m = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.room),
	};
	struct ucred sender = { 0 };
	ssize_t n;

	n = recvmsg(p->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && errno == EAGAIN)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); n >= 0 && c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
		    c->cmsg_len == CMSG_LEN(sizeof(sender)))
			memcpy(&sender, CMSG_DATA(c), sizeof(sender));
	}
	/* An empty packet reads like the end. */
	if (n <= 0) {
		app_peer_close(p);
		return false;
	}
	p->packets_left--;
	app_socket_on_packet(p, view_of(p->buffer, (size_t)n), (m.msg_flags & MSG_TRUNC) != 0,
			     sender.pid, sender.uid);
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct app_peer *p = arg;

	/* The first packet of a second starts it. */
	if (p->packets_left == APP_PACKETS_PER_SECOND_MAX && start_second(p) < 0) {
		app_peer_close(p);
		return;
	}
	while (!p->dead && !p->last && p->n_answers == 0 && p->packets_left > 0 && read_packet(p))
		;
	look_for_packets(p);
}

int app_peer_new(struct event_base *base, struct app_socket *socket, int fd,
		 const struct local_peer *who, int application, uint8_t *buffer,
		 struct app_peer **ret)
{
	struct app_peer *p;
	int r = -ENOMEM;

	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->socket = socket;
	p->application = application;
	p->buffer = buffer;
	p->packets_left = APP_PACKETS_PER_SECOND_MAX;
	p->fd = -1;
	p->who.pidfd = -1;
	p->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, p);
	p->writable = event_new(base, fd, EV_WRITE, on_writable, p);
	p->refill = evtimer_new(base, on_refill, p);
	if (!p->readable || !p->writable || !p->refill || event_add(p->readable, NULL) < 0)
		goto fail;
	if (application == APP_FOREIGN) {
		r = start_second(p);
		if (r < 0)
			goto fail;
	}
	p->fd = fd;
	p->who = *who;
	*ret = p;
	return 0;
fail:
	app_peer_free(p);
	return r;
}
