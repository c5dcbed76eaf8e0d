/* SPDX-License-Identifier: Apache-2.0 */
#include "connection.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

/* More than the one that may come, so that a second one is seen, and closed. */
#define DESCRIPTORS_MAX 8

/* Late answers that one call drops before it stops believing in them. */
#define STALE_MAX 1024

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct deadline deadline_in(int timeout_ms)
{
	if (timeout_ms < 0)
		return (struct deadline){ .forever = true };
	return (struct deadline){ .at_ns = now_ns() + (int64_t)timeout_ms * 1000000 };
}

/* Milliseconds that are left, rounded up so that poll does not return just before the end. */
static int deadline_left(const struct deadline *d)
{
	int64_t left;

	if (d->forever)
		return -1;
	left = (d->at_ns - now_ns() + 999999) / 1000000;
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static int wait_for(int fd, short events, const struct deadline *by)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	for (;;) {
		n = poll(&p, 1, deadline_left(by));
		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return neg_errno();
	}
}

void answer_done(struct answer *a)
{
	arena_free(a->arena);
	cleanup_fd(&a->fd);
	*a = ANSWER_NONE;
}

/* Where a full backlog makes connect(2) wait, SO_SNDTIMEO bounds it: unix(7), socket(7). */
static int connect_by(int fd, const struct sockaddr_un *to, socklen_t len, struct deadline by)
{
	int left;

	for (;;) {
		left = deadline_left(&by);
		if (left > 0) {
			struct timeval t = { left / 1000, left % 1000 * 1000 };

			if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0)
				return neg_errno();
		}
		if (left == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
			return neg_errno();
		if (connect(fd, (const struct sockaddr *)to, len) == 0)
			return 0;
		if (errno == EAGAIN)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return neg_errno();
	}
}

int connection_new(const struct sockaddr_un *to, socklen_t len, struct deadline by,
		   struct assay **ret)
{
	CLEANUP(assay_closep) struct assay *a = NULL;
	int r;

	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->address = *to;
	a->address_len = len;
	a->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return neg_errno();
	r = connect_by(a->fd, to, len, by);
	if (r < 0)
		return r;
	if (fcntl(a->fd, F_SETFL, O_NONBLOCK) < 0)
		return neg_errno();
	*ret = TAKE(a);
	return 0;
}

static int address_of(const char *path, struct sockaddr_un *ret, socklen_t *ret_len)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (len == 0)
		return -ENOENT;
	if (len >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, len);
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	if (path[0] == '@') {
		to.sun_path[0] = '\0';
		(*ret_len)--; /* an abstract name has no final NUL */
	}
	*ret = to;
	return 0;
}

int assay_connect(const char *path, int timeout_ms, struct assay **ret)
{
	struct sockaddr_un to;
	socklen_t len;
	int r;

	if (!path)
		path = secure_getenv(ASSAY_SOCKET_VARIABLE);
	if (!path)
		path = ASSAY_SOCKET_DEFAULT;
	r = address_of(path, &to, &len);
	if (r < 0)
		return r;
	return connection_new(&to, len, deadline_in(timeout_ms), ret);
}

int connection_again(const struct assay *a, struct deadline by, struct assay **ret)
{
	return connection_new(&a->address, a->address_len, by, ret);
}

void assay_close(struct assay *a)
{
	if (!a)
		return;
	cleanup_fd(&a->fd);
	free(a);
}

const char *assay_message(const struct assay *a)
{
	return a->message;
}

int connection_end(struct assay *a, int r)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	return r;
}

static int send_request(struct assay *a, Assay__Request *request, const struct deadline *by)
{
	uint8_t packet[4096]; /* a name, a reason: requests are small */
	size_t len = assay__request__get_packed_size(request);
	int r;

	if (len > sizeof(packet))
		return -EINVAL;
	assay__request__pack(request, packet);
	for (;;) {
		if (send(a->fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		/* Whoever closed it may have said why: that can still be read. */
		if (errno == EPIPE || errno == ECONNRESET)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return neg_errno();
		r = wait_for(a->fd, POLLOUT, by);
		if (r < 0)
			return r;
	}
}

/* Takes the descriptors out of a message: how many, the first in *ret, the others closed. */
static size_t take_descriptors(struct msghdr *m, int *ret)
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t here;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (n++ == 0)
				*ret = fd;
			else
				close(fd);
		}
	}
	return n;
}

/* One packet, checked but for its id. Any that cannot be believed ends the connection. */
static int receive(struct assay *a, const struct deadline *by, struct answer *ret)
{
	union {
		char room[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { a->packet, sizeof(a->packet) };
	struct answer got = ANSWER_NONE;
	struct msghdr m;
	size_t descriptors;
	ssize_t n;
	int r;

	for (;;) {
		m = (struct msghdr){ .msg_iov = &part,
				     .msg_iovlen = 1,
				     .msg_control = control.room,
				     .msg_controllen = sizeof(control.room) };
		n = recvmsg(a->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n >= 0)
			break;
		if (errno == ECONNRESET || errno == EPIPE)
			return connection_end(a, -ECONNRESET);
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return neg_errno();
		r = wait_for(a->fd, POLLIN, by);
		if (r < 0)
			return r;
	}
	descriptors = take_descriptors(&m, &got.fd);
	if (n == 0 && descriptors == 0)
		return connection_end(a, -ECONNRESET);
	r = -EBADMSG;
	if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || n > PACKET_MAX)
		goto refuse;
	r = arena_new(ANSWER_MEMORY_MAX, &got.arena);
	if (r < 0)
		goto refuse;
	r = answer_read(view_of(a->packet, (size_t)n), descriptors, got.arena, &got.msg);
	if (r < 0)
		goto refuse;
	*ret = got;
	return 0;

refuse:
	answer_done(&got);
	return connection_end(a, r);
}

int connection_call(struct assay *a, Assay__Request *request, struct deadline by,
		    struct answer *ret)
{
	struct answer got = ANSWER_NONE;
	int r;

	a->message[0] = '\0';
	if (a->fd < 0)
		return -ECONNRESET;
	request->id = ++a->id;
	r = send_request(a, request, &by);
	if (r < 0)
		return r;
	for (size_t stale = 0; stale < STALE_MAX; stale++) {
		r = receive(a, &by, &got);
		if (r < 0)
			return r;
		/* Who belongs to no application is told so, whatever was asked. */
		if (got.msg->id == a->id || (got.msg->id == 0 && got.msg->error == -EPERM))
			goto answered;
		if (got.msg->id > a->id || (got.msg->id == 0 && !a->subscribed))
			break;
		a->event_seen = a->event_seen || got.msg->id == 0;
		answer_done(&got);
	}
	/* An answer to what was never asked, or no end of late ones. */
	answer_done(&got);
	return connection_end(a, -EBADMSG);

answered:
	if (got.msg->error < 0) {
		r = got.msg->error;
		snprintf(a->message, sizeof(a->message), "%s", got.msg->message);
		answer_done(&got);
		return r;
	}
	*ret = got;
	return 0;
}

int connection_tell(struct assay *a, Assay__Request *request, struct deadline by)
{
	struct answer got = ANSWER_NONE;
	int r;

	r = connection_call(a, request, by, &got);
	if (r < 0)
		return r;
	r = got.msg->has_secret ? connection_end(a, -EBADMSG) : 0;
	answer_done(&got);
	return r;
}

int connection_event(struct assay *a, struct deadline by, struct answer *ret)
{
	struct answer got = ANSWER_NONE;
	int r;

	if (a->fd < 0)
		return -ECONNRESET;
	for (size_t stale = 0; stale < STALE_MAX; stale++) {
		r = receive(a, &by, &got);
		if (r < 0)
			return r;
		if (got.msg->id == 0 && !got.msg->has_secret) {
			*ret = got;
			return 0;
		}
		if (got.msg->id == 0 || got.msg->id > a->id)
			break;
		answer_done(&got);
	}
	answer_done(&got);
	return connection_end(a, -EBADMSG);
}

int connection_subscribe(struct assay *a, struct deadline by)
{
	Assay__Subscribe subscribe = ASSAY__SUBSCRIBE__INIT;
	Assay__Request request = ASSAY__REQUEST__INIT;

	request.body_case = ASSAY__REQUEST__BODY_SUBSCRIBE;
	request.subscribe = &subscribe;
	a->subscribed = true;
	return connection_tell(a, &request, by);
}
