/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_SECRET_H
#define ASSAY_SECRET_H

#include <stdbool.h>

#include "bytes.h"

/*
 * A secret: in OpenSSL's secure heap (locked, with guard pages, left out of core
 * dumps), wiped when it ends, compared in constant time. There is no function that prints one.
 */
struct secret {
	uint8_t *data;
	size_t len;
};

/* The most bytes one secret has. */
#define SECRET_MAX (64 * 1024)

/*
 * Makes the secure heap, once, before the first secret. -EPERM: memory could not
 * be locked (RLIMIT_MEMLOCK); -ENOMEM.
 */
MUST_CHECK int secret_heap_open(void);

/* Wipes and returns the heap; for the end of a program. */
void secret_heap_close(void);

/* len zero bytes. -EMSGSIZE past SECRET_MAX; -ENOMEM: the secure heap is full. */
MUST_CHECK int secret_new(size_t len, struct secret *ret);
MUST_CHECK int secret_copy(struct view from, struct secret *ret);

/* len bytes from OpenSSL's private random generator. -EIO: it failed. */
MUST_CHECK int secret_random(size_t len, struct secret *ret);

/* Wipes and frees; the object is empty afterwards and may be ended again. */
void secret_done(struct secret *s);

bool secret_equal(const struct secret *a, const struct secret *b);

/* The content, good until the secret ends. The caller passes it on only to what needs it. */
struct view secret_view(const struct secret *s);

#endif
