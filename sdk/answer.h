/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_SDK_ANSWER_H
#define ASSAY_SDK_ANSWER_H

#include "app.pb-c.h"
#include "arena.h"
#include "bytes.h"

/* One packet from assayd, checked. proto/app.proto */

#define PACKET_MAX	  (64 * 1024)
#define ANSWER_MEMORY_MAX (1024 * 1024) /* for unpacking one */

/*
 * The answer in this packet, in the arena, which came with that many descriptors. Control
 * characters in its texts are replaced, so that they can go to a terminal. -EBADMSG: not an
 * answer, an error number that is none, or descriptors that do not go with it.
 */
MUST_CHECK int answer_read(struct view packet, size_t descriptors, struct arena *arena,
			   Assay__Answer **ret);

#endif
