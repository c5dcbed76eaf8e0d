/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "cleanup.h"

static const struct {
	enum hash_alg alg;
	const char *name;
	size_t size;
} algorithms[] = {
	{ HASH_SHA1, "sha1", 20 },     { HASH_SHA256, "sha256", 32 }, { HASH_SHA384, "sha384", 48 },
	{ HASH_SHA512, "sha512", 64 }, { HASH_SM3, "sm3", 32 },
};

struct hasher {
	EVP_MD *md;
	EVP_MD_CTX *ctx;
	enum hash_alg alg;
};

CLEANUP_FUNCTION(struct hasher *, hasher_free)

size_t hash_size(enum hash_alg alg)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		if (algorithms[i].alg == alg)
			return algorithms[i].size;
	}
	return 0;
}

const char *hash_name(enum hash_alg alg)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		if (algorithms[i].alg == alg)
			return algorithms[i].name;
	}
	return NULL;
}

enum hash_alg hash_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		if (strcmp(algorithms[i].name, name) == 0)
			return algorithms[i].alg;
	}
	return HASH_NONE;
}

int hasher_new(enum hash_alg alg, struct hasher **ret)
{
	CLEANUP(hasher_freep) struct hasher *h = NULL;
	const char *name = hash_name(alg);

	if (!name)
		return -EINVAL;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->alg = alg;
	h->md = EVP_MD_fetch(NULL, name, NULL);
	h->ctx = EVP_MD_CTX_new();
	if (!h->md || !h->ctx)
		return -ENOMEM;
	*ret = TAKE(h);
	return 0;
}

int hasher_begin(struct hasher *h)
{
	return EVP_DigestInit_ex2(h->ctx, h->md, NULL) == 1 ? 0 : -ENOMEM;
}

int hasher_add(struct hasher *h, const void *data, size_t len)
{
	return EVP_DigestUpdate(h->ctx, data, len) == 1 ? 0 : -EIO;
}

int hasher_end(struct hasher *h, struct digest *ret)
{
	struct digest d = { .alg = h->alg };
	unsigned int size;

	if (EVP_DigestFinal_ex(h->ctx, d.bytes, &size) != 1)
		return -EIO;
	d.size = (uint8_t)size;
	*ret = d;
	return 0;
}

void hasher_free(struct hasher *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	EVP_MD_free(h->md);
	free(h);
}

int digest_of_parts(enum hash_alg alg, const struct view *parts, size_t n, struct digest *ret)
{
	CLEANUP(hasher_freep) struct hasher *h = NULL;
	int r;

	r = hasher_new(alg, &h);
	if (r < 0)
		return r;
	r = hasher_begin(h);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = hasher_add(h, parts[i].data, parts[i].len);
	if (r < 0)
		return r;
	return hasher_end(h, ret);
}

int digest_of(enum hash_alg alg, struct view data, struct digest *ret)
{
	return digest_of_parts(alg, &data, 1, ret);
}

int digest_from(enum hash_alg alg, struct view raw, struct digest *ret)
{
	size_t size = hash_size(alg);

	if (size == 0 || raw.len != size)
		return -EINVAL;
	*ret = (struct digest){ .alg = alg, .size = (uint8_t)size };
	memcpy(ret->bytes, raw.data, size);
	return 0;
}

int digest_extend(struct digest *reg, struct view data)
{
	struct view parts[] = { digest_view(reg), data };

	return digest_of_parts(reg->alg, parts, 2, reg);
}

struct digest digest_zero(enum hash_alg alg)
{
	return (struct digest){ .alg = alg, .size = (uint8_t)hash_size(alg) };
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return a->alg == b->alg && a->size == b->size &&
	       CRYPTO_memcmp(a->bytes, b->bytes, a->size) == 0;
}

struct view digest_view(const struct digest *d)
{
	return view_of(d->bytes, d->size);
}

const char *digest_hex(const struct digest *d, char to[DIGEST_HEX_MAX])
{
	hex_encode(d->bytes, d->size, to);
	return to;
}
