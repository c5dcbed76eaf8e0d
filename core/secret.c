/* SPDX-License-Identifier: Apache-2.0 */
#include "secret.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

/* Room for sixteen secrets of the largest size, or hundreds of keys. A power of two. */
#define SECRET_HEAP (1024 * 1024)

int secret_heap_open(void)
{
	int r;

	if (CRYPTO_secure_malloc_initialized())
		return 0;
	r = CRYPTO_secure_malloc_init(SECRET_HEAP, 32);
	if (r == 0)
		return -ENOMEM;
	/* 2: the heap exists, but its pages could not be locked or guarded. */
	if (r == 2) {
		CRYPTO_secure_malloc_done();
		return -EPERM;
	}
	return 0;
}

void secret_heap_close(void)
{
	CRYPTO_secure_malloc_done();
}

int secret_new(size_t len, struct secret *ret)
{
	uint8_t *data;

	if (len > SECRET_MAX)
		return -EMSGSIZE;
	/* Without the heap OpenSSL would quietly hand out ordinary memory. */
	if (!CRYPTO_secure_malloc_initialized())
		return -ENOMEM;
	data = OPENSSL_secure_zalloc(len ? len : 1);
	if (!data)
		return -ENOMEM;
	*ret = (struct secret){ data, len };
	return 0;
}

int secret_copy(struct view from, struct secret *ret)
{
	int r;

	r = secret_new(from.len, ret);
	if (r < 0)
		return r;
	if (from.len > 0)
		memcpy(ret->data, from.data, from.len);
	return 0;
}

int secret_random(size_t len, struct secret *ret)
{
	struct secret s;
	int r;

	r = secret_new(len, &s);
	if (r < 0)
		return r;
	if (len > 0 && RAND_priv_bytes(s.data, (int)len) != 1) {
		secret_done(&s);
		return -EIO;
	}
	*ret = s;
	return 0;
}

void secret_done(struct secret *s)
{
	OPENSSL_secure_clear_free(s->data, s->len);
	*s = (struct secret){ 0 };
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && (a->len == 0 || CRYPTO_memcmp(a->data, b->data, a->len) == 0);
}

struct view secret_view(const struct secret *s)
{
	return view_of(s->data, s->len);
}
