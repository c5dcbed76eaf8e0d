/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "cleanup.h"

struct waiting {
	STAILQ_ENTRY(waiting) next;
	keeper_answer_fn answer; /* NULL: nobody waits any more */
	void *arg;
};

struct keeper_client {
	struct bufferevent *bev;
	STAILQ_HEAD(, waiting) waiting;
	keeper_answer_fn on_unasked;
	void (*on_lost)(void *arg);
	void *arg;
	struct bytes in, out;
};

CLEANUP_FUNCTION(struct keeper_client *, keeper_client_free)

static int dispatch(struct keeper_client *c, uint32_t type)
{
	struct view blobs[KEEPER_BLOBS] = { { 0 } };
	struct waiting *w;
	union keeper_any fixed;
	int r;

	memset(&fixed, 0, sizeof(fixed));
	r = keeper_parse(type, bytes_view(&c->in), &fixed, blobs);
	if (r < 0)
		return r;
	if (type >= KEEPER_DEMAND) {
		c->on_unasked(c->arg, type, &fixed, blobs);
		return 0;
	}
	w = STAILQ_FIRST(&c->waiting);
	if (!w)
		return -EBADMSG;
	STAILQ_REMOVE_HEAD(&c->waiting, next);
	if (w->answer)
		w->answer(w->arg, type, &fixed, blobs);
	free(w);
	return 0;
}

/* 1: a message was handled; 0: there is no whole one. */
static int take_message(struct keeper_client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	const struct keeper_shape *shape;
	struct keeper_header h;
	uint8_t *to;
	int r;

	if (evbuffer_copyout(in, &h, sizeof(h)) < (ev_ssize_t)sizeof(h))
		return 0;
	shape = keeper_shape(h.type);
	if (!shape || h.len > keeper_len_max(shape))
		return -EBADMSG;
	if (evbuffer_get_length(in) < sizeof(h) + h.len)
		return 0;
	bytes_reset(&c->in);
	r = bytes_reserve(&c->in, h.len, &to);
	if (r < 0)
		return r;
	evbuffer_drain(in, sizeof(h));
	evbuffer_remove(in, to, h.len);
	c->in.len = h.len;
	r = dispatch(c, h.type);
	return r < 0 ? r : 1;
}

static void on_readable(struct bufferevent *bev, void *arg)
{
	struct keeper_client *c = arg;
	int r;

	do {
		r = take_message(c);
	} while (r == 1);
	if (r < 0)
		c->on_lost(c->arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct keeper_client *c = arg;

	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		c->on_lost(c->arg);
}

int keeper_client_new(struct event_base *base, int fd, keeper_answer_fn on_unasked,
		      void (*on_lost)(void *arg), void *arg, struct keeper_client **ret)
{
	CLEANUP(keeper_client_freep) struct keeper_client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	STAILQ_INIT(&c->waiting);
	c->on_unasked = on_unasked;
	c->on_lost = on_lost;
	c->arg = arg;
	c->in = c->out = BYTES_INIT(KEEPER_MESSAGE_MAX);
	c->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		return -ENOMEM;
	bufferevent_setcb(c->bev, on_readable, NULL, on_event, c);
	if (bufferevent_enable(c->bev, EV_READ | EV_WRITE) < 0)
		return -ENOMEM;
	*ret = TAKE(c);
	return 0;
}

void keeper_client_free(struct keeper_client *c)
{
	struct waiting *w;

	if (!c)
		return;
	while ((w = STAILQ_FIRST(&c->waiting))) {
		STAILQ_REMOVE_HEAD(&c->waiting, next);
		free(w);
	}
	if (c->bev)
		bufferevent_free(c->bev);
	bytes_done(&c->in);
	bytes_done(&c->out);
	free(c);
}

int keeper_ask(struct keeper_client *c, enum keeper_type type, const void *fixed,
	       const struct view *blobs, keeper_answer_fn answer, void *arg)
{
	struct waiting *w;
	int r;

	bytes_reset(&c->out);
	r = keeper_write(&c->out, type, fixed, blobs);
	if (r < 0)
		return r;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	if (bufferevent_write(c->bev, c->out.data, c->out.len) < 0) {
		free(w);
		return -ENOMEM;
	}
	w->answer = answer;
	w->arg = arg;
	STAILQ_INSERT_TAIL(&c->waiting, w, next);
	return 0;
}

void keeper_client_forget(struct keeper_client *c, const void *arg)
{
	struct waiting *w;

	STAILQ_FOREACH(w, &c->waiting, next)
	{
		if (w->arg == arg)
			w->answer = NULL;
	}
}
