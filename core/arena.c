/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE (16 * 1024)
#define ALIGNMENT  _Alignof(max_align_t)

struct block {
	struct block *next;
	size_t size, used;
	_Alignas(max_align_t) uint8_t data[];
};

struct arena {
	struct block *blocks;
	size_t max;
	size_t used;  /* handed out */
	size_t taken; /* from malloc, for it */
	ProtobufCAllocator allocator;
};

static void *allocator_alloc(void *arena, size_t len)
{
	return arena_alloc(arena, len);
}

static void allocator_free(void *arena, void *p)
{
	/* All of it ends with the arena. */
}

int arena_new(size_t max, struct arena **ret)
{
	struct arena *a;

	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->max = max;
	a->allocator = (ProtobufCAllocator){ allocator_alloc, allocator_free, a };
	*ret = a;
	return 0;
}

void arena_free(struct arena *a)
{
	struct block *next;

	if (!a)
		return;
	for (struct block *b = a->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	free(a);
}

void arena_reset(struct arena *a)
{
	struct block *kept = NULL, *next;

	for (struct block *b = a->blocks; b; b = next) {
		next = b->next;
		/* Not one that a single large allocation was given: it would be kept for ever. */
		if (!kept && b->size <= BLOCK_SIZE)
			kept = b;
		else
			free(b);
	}
	a->blocks = kept;
	a->used = a->taken = 0;
	if (kept) {
		kept->next = NULL;
		kept->used = 0;
		a->taken = sizeof(*kept) + kept->size;
	}
}

static bool fits(const struct arena *a, size_t size)
{
	size_t left = a->max - a->taken;

	return left >= sizeof(struct block) && size <= left - sizeof(struct block);
}

static struct block *block_new(struct arena *a, size_t len)
{
	size_t size = len > BLOCK_SIZE ? len : BLOCK_SIZE;
	struct block *b;

	if (!fits(a, size)) {
		/* A last block of just what is asked for, if that still fits. */
		size = len;
		if (!fits(a, size))
			return NULL;
	}
	b = malloc(sizeof(*b) + size);
	if (!b)
		return NULL;
	b->size = size;
	b->used = 0;
	a->taken += sizeof(*b) + size;
	if (size > BLOCK_SIZE && a->blocks) {
		/* Full from the start: the first block still has room for small things. */
		b->next = a->blocks->next;
		a->blocks->next = b;
	} else {
		b->next = a->blocks;
		a->blocks = b;
	}
	return b;
}

void *arena_alloc(struct arena *a, size_t len)
{
	struct block *b = a->blocks;
	void *p;

	if (len > SIZE_MAX - ALIGNMENT)
		return NULL;
	len = (len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (!b || len > b->size - b->used) {
		b = block_new(a, len);
		if (!b)
			return NULL;
	}
	p = b->data + b->used;
	memset(p, 0, len);
	b->used += len;
	a->used += len;
	return p;
}

void *arena_copy(struct arena *a, const void *data, size_t len)
{
	void *p = arena_alloc(a, len);

	if (p && len > 0)
		memcpy(p, data, len);
	return p;
}

char *arena_text(struct arena *a, const char *text)
{
	return arena_copy(a, text, strlen(text) + 1);
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list args, again;
	char *p = NULL;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n >= 0)
		p = arena_alloc(a, (size_t)n + 1);
	if (p)
		vsnprintf(p, (size_t)n + 1, format, again);
	va_end(again);
	return p;
}

ProtobufCAllocator *arena_allocator(struct arena *a)
{
	return &a->allocator;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}
