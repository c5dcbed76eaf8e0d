/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <arpa/inet.h>
#include <string.h>

#define LENGTH_SIZE 4

/*
 * Room for a frame whose message has len bytes, its length filled in. One piece:
 * a length without its message, when memory runs out in between, would make the
 * next frame's bytes part of this one.
 */
static int frame_begin(struct evbuffer *to, size_t len, struct evbuffer_iovec *ret)
{
	uint32_t be;

	if (len > FRAME_MAX)
		return -EMSGSIZE;
	be = htonl((uint32_t)len);
	if (evbuffer_reserve_space(to, (ev_ssize_t)(LENGTH_SIZE + len), ret, 1) != 1)
		return -ENOMEM;
	memcpy(ret->iov_base, &be, LENGTH_SIZE);
	ret->iov_len = LENGTH_SIZE + len;
	return 0;
}

static int frame_end(struct evbuffer *to, struct evbuffer_iovec *space)
{
	return evbuffer_commit_space(to, space, 1) == 0 ? 0 : -EIO;
}

int frame_write(struct evbuffer *to, struct view message)
{
	struct evbuffer_iovec space;
	int r;

	r = frame_begin(to, message.len, &space);
	if (r < 0)
		return r;
	if (message.len > 0)
		memcpy((uint8_t *)space.iov_base + LENGTH_SIZE, message.data, message.len);
	return frame_end(to, &space);
}

int frame_read(struct evbuffer *from, struct bytes *ret)
{
	uint32_t be;
	size_t len;
	uint8_t *to;
	int r;

	if (evbuffer_copyout(from, &be, LENGTH_SIZE) < LENGTH_SIZE)
		return 0;
	len = ntohl(be);
	if (len > ret->max)
		return -EMSGSIZE;
	if (evbuffer_get_length(from) - LENGTH_SIZE < len)
		return 0;
	bytes_reset(ret);
	r = bytes_reserve(ret, len, &to);
	if (r < 0)
		return r;
	evbuffer_drain(from, LENGTH_SIZE);
	evbuffer_remove(from, to, len);
	ret->len = len;
	return 1;
}

int frame_pack(struct evbuffer *to, const ProtobufCMessage *message)
{
	struct evbuffer_iovec space;
	int r;

	r = frame_begin(to, protobuf_c_message_get_packed_size(message), &space);
	if (r < 0)
		return r;
	protobuf_c_message_pack(message, (uint8_t *)space.iov_base + LENGTH_SIZE);
	return frame_end(to, &space);
}

int frame_unpack(const ProtobufCMessageDescriptor *type, struct view bytes, struct arena *arena,
		 void *ret)
{
	ProtobufCMessage *m;

	m = protobuf_c_message_unpack(type, arena_allocator(arena), bytes.len, bytes.data);
	if (!m)
		return -EBADMSG;
	*(ProtobufCMessage **)ret = m;
	return 0;
}
