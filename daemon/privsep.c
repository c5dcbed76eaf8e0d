/* SPDX-License-Identifier: Apache-2.0 */
#include "privsep.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "cleanup.h"
#include "proto/frame.h"

/* Bytes that may wait for the other side before it counts as stuck. */
#define WAITING_MAX (64 * 1024 * 1024)

struct privsep {
	struct bufferevent *bev;
	struct bytes message; /* the one being handled */
	privsep_message on_message;
	privsep_ended on_ended;
	void *arg;
	bool ended;
};

CLEANUP_FUNCTION(struct privsep *, privsep_free)

static int read_exactly(struct view message, void *to, size_t size)
{
	if (message.len != size)
		return -EBADMSG;
	memcpy(to, message.data, size);
	return 0;
}

#define END_TEXT(field) (field)[sizeof(field) - 1] = '\0'

int privsep_challenge_read(struct view message, struct privsep_challenge *ret)
{
	int r;

	r = read_exactly(message, ret, sizeof(*ret));
	if (r < 0)
		return r;
	END_TEXT(ret->application);
	END_TEXT(ret->reason);
	return application_name_valid(ret->application) && ret->stage <= STAGE_MAX ? 0 : -EBADMSG;
}

int privsep_text_read(struct view message, struct privsep_text *ret)
{
	int r;

	r = read_exactly(message, ret, sizeof(*ret));
	if (r == 0)
		END_TEXT(ret->text);
	return r;
}

int privsep_up_read(struct view message, struct privsep_up *ret)
{
	return read_exactly(message, ret, sizeof(*ret));
}

int privsep_enrol_read(struct view message, struct privsep_enrol *ret)
{
	int r;

	r = read_exactly(message, ret, sizeof(*ret));
	if (r < 0)
		return r;
	return ret->blob_len <= PRIVSEP_BLOB_MAX && ret->seed_len <= PRIVSEP_BLOB_MAX ? 0
										      : -EBADMSG;
}

int privsep_enrolled_read(struct view message, struct privsep_enrolled *ret)
{
	int r;

	r = read_exactly(message, ret, sizeof(*ret));
	if (r == 0)
		END_TEXT(ret->why);
	return r;
}

int privsep_verdict_read(struct reader *in, struct privsep_verdict *ret)
{
	int r;

	r = read_copy(in, ret, sizeof(*ret));
	if (r < 0)
		return r;
	END_TEXT(ret->application);
	return ret->n_reasons <= PRIVSEP_REASONS_MAX && ret->n_secrets <= PRIVSEP_SECRETS_MAX &&
			       application_name_valid(ret->application)
		       ? 0
		       : -EBADMSG;
}

int privsep_reason_read(struct reader *in, struct privsep_reason *ret)
{
	int r;

	r = read_copy(in, ret, sizeof(*ret));
	if (r < 0)
		return r;
	END_TEXT(ret->rule);
	END_TEXT(ret->expected);
	END_TEXT(ret->seen);
	return 0;
}

int privsep_sealed_read(struct reader *in, struct privsep_sealed *ret, struct view *ret_sealed)
{
	int r;

	r = read_copy(in, ret, sizeof(*ret));
	if (r < 0)
		return r;
	END_TEXT(ret->name);
	if (ret->sealed_len > PRIVSEP_SEALED_MAX)
		return -EBADMSG;
	return read_view(in, ret->sealed_len, ret_sealed);
}

static void end(struct privsep *p, const char *why)
{
	if (p->ended)
		return;
	p->ended = true;
	bufferevent_disable(p->bev, EV_READ | EV_WRITE);
	p->on_ended(p->arg, why);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct privsep *p = arg;
	uint32_t type;
	int r;

	while (!p->ended) {
		r = frame_read(bufferevent_get_input(bev), &p->message);
		if (r == 0)
			return;
		if (r > 0) {
			struct reader in = reader_of(bytes_view(&p->message));

			r = read_be32(&in, &type);
			if (r == 0)
				r = p->on_message(p->arg, type, view_of(in.at, in.left));
		}
		/* A message may hold a sealed secret, and large ones are rare. */
		bytes_done(&p->message);
		if (r < 0)
			end(p, strerror(-r));
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		end(arg, "the other process ended");
}

int privsep_new(struct event_base *base, int fd, size_t max, privsep_message message,
		privsep_ended ended, void *arg, struct privsep **ret)
{
	CLEANUP(privsep_freep) struct privsep *p = NULL;

	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->message = BYTES_INIT(max);
	p->on_message = message;
	p->on_ended = ended;
	p->arg = arg;
	evutil_make_socket_nonblocking(fd);
	p->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!p->bev)
		return -ENOMEM;
	bufferevent_setcb(p->bev, on_read, NULL, on_event, p);
	if (bufferevent_enable(p->bev, EV_READ | EV_WRITE) < 0)
		return -ENOMEM;
	*ret = TAKE(p);
	return 0;
}

void privsep_free(struct privsep *p)
{
	if (!p)
		return;
	if (p->bev) {
		/* libevent closes the descriptor only in a later turn of a loop that may have ended. */
		shutdown(bufferevent_getfd(p->bev), SHUT_RDWR);
		bufferevent_free(p->bev);
	}
	bytes_done(&p->message);
	free(p);
}

int privsep_send(struct privsep *p, uint32_t type, struct view message)
{
	struct evbuffer *out = bufferevent_get_output(p->bev);
	uint32_t head[2] = { htonl((uint32_t)message.len + 4), htonl(type) };

	if (evbuffer_get_length(out) > WAITING_MAX)
		return -ENOBUFS;
	if (evbuffer_add(out, head, sizeof(head)) < 0 ||
	    evbuffer_add(out, message.data, message.len) < 0)
		return -ENOMEM;
	return 0;
}
