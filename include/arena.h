/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ARENA_H
#define ASSAY_ARENA_H

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "errors.h"

/*
 * Memory that ends together. An MI is built in one, and messages from outside are
 * unpacked into one, so that its maximum bounds what a hostile message can make
 * the program allocate: protobuf turns two bytes into a structure of many.
 */
struct arena;

/* max: bytes it will hand out, its own bookkeeping included. -ENOMEM. */
MUST_CHECK int arena_new(size_t max, struct arena **ret);

/* Frees all that was handed out. Accepts NULL. */
void arena_free(struct arena *a);

/* Forgets all that was handed out and keeps some memory for the next use. */
void arena_reset(struct arena *a);

/* Zeroed, aligned for any type; NULL when the maximum is reached or memory is out. */
void *arena_alloc(struct arena *a, size_t len);

/* Copies; NULL as above. */
char *arena_text(struct arena *a, const char *text);
void *arena_copy(struct arena *a, const void *data, size_t len);
char *arena_printf(struct arena *a, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* For protobuf-c's unpack; lives as long as the arena. Its free does nothing. */
ProtobufCAllocator *arena_allocator(struct arena *a);

/* Bytes handed out so far. */
size_t arena_used(const struct arena *a);

#endif
