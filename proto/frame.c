/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <arpa/inet.h>
#include <string.h>

#define LENGTH_SIZE 4

static int add_length(struct evbuffer *to, size_t len)
{
	uint32_t be = htonl((uint32_t)len);

	if (len > FRAME_MAX)
		return -EMSGSIZE;
	return evbuffer_add(to, &be, sizeof(be)) == 0 ? 0 : -ENOMEM;
}

int frame_write(struct evbuffer *to, struct view message)
{
	int r;

	r = add_length(to, message.len);
	if (r < 0)
		return r;
	return evbuffer_add(to, message.data, message.len) == 0 ? 0 : -ENOMEM;
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
	size_t len = protobuf_c_message_get_packed_size(message);
	struct evbuffer_iovec space;
	int r;

	r = add_length(to, len);
	if (r < 0)
		return r;
	if (len == 0)
		return 0;
	if (evbuffer_reserve_space(to, (ev_ssize_t)len, &space, 1) != 1)
		return -ENOMEM;
	space.iov_len = protobuf_c_message_pack(message, space.iov_base);
	return evbuffer_commit_space(to, &space, 1) == 0 ? 0 : -EIO;
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
