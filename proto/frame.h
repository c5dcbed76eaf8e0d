/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_PROTO_FRAME_H
#define ASSAY_PROTO_FRAME_H

#include <event2/buffer.h>

#include "arena.h"
#include "bytes.h"

/* Framing on every stream of ours: the length in 4 bytes, big-endian, then as many bytes. */

#define FRAME_MAX        (16 * 1024 * 1024) /* of one message, length bytes apart */
#define FRAME_MEMORY_MAX (96 * 1024 * 1024) /* for unpacking one message */

/* Appends a frame. -EMSGSIZE past FRAME_MAX; -ENOMEM. */
MUST_CHECK int frame_write(struct evbuffer *to, struct view message);

/*
 * Takes the first frame out of from: 1 and the message in *ret (an empty struct bytes with its
 * maximum set; what it held is dropped), 0 when it is not whole yet, -EMSGSIZE when its length is
 * over ret->max: the stream cannot be used any more.
 */
MUST_CHECK int frame_read(struct evbuffer *from, struct bytes *ret);

/*
 * Packs a message as a frame, and the other way round: the message in these bytes,
 * in the arena. NULL: -EBADMSG, or the arena's limit.
 */
MUST_CHECK int frame_pack(struct evbuffer *to, const ProtobufCMessage *message);
MUST_CHECK int frame_unpack(const ProtobufCMessageDescriptor *type, struct view bytes,
			    struct arena *arena, void *ret);

#endif
