/* SPDX-License-Identifier: Apache-2.0 */
#include "jws.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>

#include "cleanup.h"
#include "digest.h"

#define COORDINATE 32
#define SIGNATURE  (2 * COORDINATE)

CLEANUP_FUNCTION(EVP_MD_CTX *, EVP_MD_CTX_free)
CLEANUP_FUNCTION(ECDSA_SIG *, ECDSA_SIG_free)

static inline void cleanup_json(json_t **j)
{
	json_decref(*j);
}

int base64url_append(struct bytes *to, struct view data)
{
	size_t room = 4 * ((data.len + 2) / 3) + 1;
	size_t before = to->len, len;
	uint8_t *at;
	int r;

	if (data.len > INT32_MAX)
		return -EMSGSIZE;
	r = bytes_reserve(to, room, &at);
	if (r < 0)
		return r;
	len = (size_t)EVP_EncodeBlock(at, data.data, (int)data.len);
	while (len > 0 && at[len - 1] == '=')
		len--;
	for (size_t i = 0; i < len; i++)
		at[i] = at[i] == '+' ? '-' : at[i] == '/' ? '_' : at[i];
	to->len = before + len;
	return 0;
}

static json_t *base64url_json(struct view data)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(1024);

	if (base64url_append(&text, data) < 0)
		return NULL;
	return json_stringn((const char *)text.data, text.len);
}

static int coordinates(EVP_PKEY *key, json_t **ret_x, json_t **ret_y)
{
	uint8_t point[1 + 2 * COORDINATE];
	char group[32] = "";
	size_t len = 0;

	if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1 ||
	    strcmp(group, "prime256v1") != 0 ||
	    EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
					    &len) != 1 ||
	    len != sizeof(point) || point[0] != 0x04)
		return -EINVAL;
	*ret_x = base64url_json(view_of(point + 1, COORDINATE));
	*ret_y = base64url_json(view_of(point + 1 + COORDINATE, COORDINATE));
	return *ret_x && *ret_y ? 0 : -ENOMEM;
}

/* RFC 7638: the digest of the members that make the key, sorted and without blanks. */
static json_t *thumbprint(json_t *jwk)
{
	char *text = json_dumps(jwk, JSON_COMPACT | JSON_SORT_KEYS);
	struct digest d;
	int r;

	if (!text)
		return NULL;
	r = digest_of(HASH_SHA256, view_text(text), &d);
	free(text);
	return r < 0 ? NULL : base64url_json(digest_view(&d));
}

int jws_public_key(EVP_PKEY *key, json_t **ret)
{
	CLEANUP(cleanup_json) json_t *x = NULL;
	CLEANUP(cleanup_json) json_t *y = NULL;
	CLEANUP(cleanup_json) json_t *jwk = NULL;
	json_t *kid;
	int r;

	r = coordinates(key, &x, &y);
	if (r < 0)
		return r;
	jwk = json_pack("{s:s, s:s, s:O, s:O}", "kty", "EC", "crv", "P-256", "x", x, "y", y);
	kid = jwk ? thumbprint(jwk) : NULL;
	if (!kid || json_object_set_new(jwk, "kid", kid) < 0 ||
	    json_object_set_new(jwk, "alg", json_string("ES256")) < 0 ||
	    json_object_set_new(jwk, "use", json_string("sig")) < 0)
		return -ENOMEM;
	*ret = TAKE(jwk);
	return 0;
}

int jws_key_set(EVP_PKEY *const *keys, size_t n, json_t **ret)
{
	CLEANUP(cleanup_json) json_t *list = json_array();
	json_t *jwk;
	int r;

	for (size_t i = 0; i < n; i++) {
		r = jws_public_key(keys[i], &jwk);
		if (r < 0)
			return r;
		if (json_array_append_new(list, jwk) < 0)
			return -ENOMEM;
	}
	*ret = json_pack("{s:O}", "keys", list);
	return *ret ? 0 : -ENOMEM;
}

static int append_header(EVP_PKEY *key, struct bytes *to)
{
	CLEANUP(cleanup_json) json_t *jwk = NULL;
	CLEANUP(cleanup_json) json_t *header = NULL;
	char *text;
	int r;

	r = jws_public_key(key, &jwk);
	if (r < 0)
		return r;
	header = json_pack("{s:s, s:s, s:O}", "alg", "ES256", "typ", "JWT", "kid",
			   json_object_get(jwk, "kid"));
	text = header ? json_dumps(header, JSON_COMPACT) : NULL;
	if (!text)
		return -ENOMEM;
	r = base64url_append(to, view_text(text));
	free(text);
	return r;
}

/* r and s side by side, each of the curve's size, as JWS has them. */
static int fixed_width(const uint8_t *der, size_t len, uint8_t to[SIGNATURE])
{
	CLEANUP(ECDSA_SIG_freep) ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der, (long)len);

	if (!s || BN_bn2binpad(ECDSA_SIG_get0_r(s), to, COORDINATE) != COORDINATE ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(s), to + COORDINATE, COORDINATE) != COORDINATE)
		return -EIO;
	return 0;
}

int jws_sign(EVP_PKEY *key, struct view payload, struct bytes *ret)
{
	CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t der[128], fixed[SIGNATURE];
	size_t len = sizeof(der);
	int r;

	if (!context)
		return -ENOMEM;
	r = append_header(key, ret);
	if (r == 0)
		r = bytes_append_text(ret, ".");
	if (r == 0)
		r = base64url_append(ret, payload);
	if (r < 0)
		return r;
	if (EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(context, der, &len, ret->data, ret->len) != 1)
		return -EIO;
	r = fixed_width(der, len, fixed);
	if (r == 0)
		r = bytes_append_text(ret, ".");
	return r < 0 ? r : base64url_append(ret, view_of(fixed, sizeof(fixed)));
}
