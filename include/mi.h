/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_MI_H
#define ASSAY_MI_H

#include <stdbool.h>

#include "arena.h"
#include "bytes.h"
#include "digest.h"
#include "mi.pb-c.h"

/*
 * Measurement information while it is gathered: the message of mi.proto, in an
 * arena. Collectors fill in their item; whatever they hang into the message they
 * take from the arena, so nothing is freed one by one.
 */

/* The most bytes an MI has on the wire, and the most memory it takes while built or unpacked. */
#define MI_MAX        (8 * 1024 * 1024)
#define MI_MEMORY_MAX (64 * 1024 * 1024)

struct mi {
	struct arena *arena;
	Assay__Mi *msg;

	bool received; /* by mi_unpack(): only to be read */

	/* Of mi_file(): positions in msg->files by hash, 0 for a free place. */
	uint32_t *index;
	size_t index_room, indexed;
};

/* An empty MI. -ENOMEM. */
MUST_CHECK int mi_new(struct mi **ret);
void mi_free(struct mi *mi);

/* Forgets the content, for the next time node. -ENOMEM: the MI is then only good for mi_free. */
MUST_CHECK int mi_reset(struct mi *mi);

/*
 * Makes a message of a type of mi.proto inside mi, initialised:
 * MI_MESSAGE(mi, listener) is an Assay__Listener *, or NULL when memory is out.
 */
#define MI_MESSAGE(mi, Type, init)                                                                 \
	({                                                                                         \
		Type *made_ = arena_alloc((mi)->arena, sizeof(*made_));                            \
		if (made_)                                                                         \
			init(made_);                                                               \
		made_;                                                                             \
	})

/*
 * Adds item to a repeated field, whose count and array are *n and *array. -ENOMEM.
 * -EROFS: the MI was received.
 */
MUST_CHECK int mi_push(struct mi *mi, size_t *n, void *array, void *item);

/* Copies text or bytes into the MI. -ENOMEM. Text that is not UTF-8 is escaped as \xNN. */
MUST_CHECK int mi_text(struct mi *mi, const char *text, char **ret);
MUST_CHECK int mi_bytes(struct mi *mi, struct view from, ProtobufCBinaryData *ret);
MUST_CHECK int mi_printf(struct mi *mi, char **ret, const char *format, ...) PRINTF_LIKE(3, 4);

/* Says how the collector of that name fared. why may be NULL. -ENOMEM. */
MUST_CHECK int mi_status(struct mi *mi, const char *collector,
			 Assay__CollectorStatus__State state, const char *why);

/*
 * The index (from 1) of the file in Mi.files, added if it is not there yet:
 * found by device and inode, and path. *ret_file may be filled in by the caller
 * that finds its sha256 empty. -ENOMEM.
 */
MUST_CHECK int mi_file(struct mi *mi, uint64_t device, uint64_t inode, const char *path,
		       uint32_t *ret_index, Assay__File **ret_file);

/* Serialises into ret, whose maximum should be MI_MAX. -EMSGSIZE: too much was seen. */
MUST_CHECK int mi_pack(const struct mi *mi, struct bytes *ret);

/* The MI in these bytes, to be read. -EBADMSG: not an MI, or past the limits above. */
MUST_CHECK int mi_unpack(struct view packed, struct mi **ret);

#endif
