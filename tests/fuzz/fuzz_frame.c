/* SPDX-License-Identifier: Apache-2.0 */
/* A stream as either side of a session receives it, in pieces of the size in its first byte. */
#include "proto/frame.h"
#include "session.pb-c.h"

static void unpack(const ProtobufCMessageDescriptor *type, struct view message)
{
	ProtobufCMessage *m;
	struct arena *arena;

	if (arena_new(FRAME_MEMORY_MAX, &arena) < 0)
		return;
	if (frame_unpack(type, message, arena, &m) == 0)
		(void)protobuf_c_message_check(m);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes message = BYTES_INIT(64 * 1024);
	struct reader r = reader_of(view_of(data, size));
	struct evbuffer *stream = evbuffer_new();
	struct view piece;
	uint8_t step;
	int got = 0;

	if (!stream || read_u8(&r, &step) < 0)
		goto out;
	while (got >= 0 && read_view(&r, r.left < step + 1u ? r.left : step + 1u, &piece) == 0 &&
	       piece.len > 0) {
		if (evbuffer_add(stream, piece.data, piece.len) < 0)
			break;
		while ((got = frame_read(stream, &message)) == 1) {
			unpack(&assay__to_verifier__descriptor, bytes_view(&message));
			unpack(&assay__to_attester__descriptor, bytes_view(&message));
		}
	}
out:
	bytes_done(&message);
	if (stream)
		evbuffer_free(stream);
	return 0;
}
