/* SPDX-License-Identifier: Apache-2.0 */
#include "cca_anchor.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/x509.h>

#include "cleanup.h"
#include "cose.h"
#include "pem.h"

#define JSON_MAX       (256 * 1024)
#define COORDINATE_MAX 66

struct cca_anchors {
	struct cca_anchor at[CCA_ANCHORS_MAX];
	size_t n;
};

CLEANUP_FUNCTION(struct cca_anchors *, cca_anchors_free)

static void cleanup_json(json_t **j)
{
	json_decref(*j);
}

void cca_anchors_free(struct cca_anchors *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++)
		EVP_PKEY_free(a->at[i].key);
	free(a);
}

static const char *text_of(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	/* A NUL inside would hide what follows. */
	if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
		return "";
	return json_string_value(v);
}

static int read_jwk(const json_t *jwk, EVP_PKEY **ret, const char **ret_why)
{
	static const char *const curves[] = { NULL, "P-256", "P-384", "P-521" }; /* as of COSE */
	uint8_t x[COORDINATE_MAX], y[COORDINATE_MAX];
	size_t x_len = 0, y_len = 0;
	int64_t curve = 0;

	*ret_why = "a trust anchor without a public key of an elliptic curve";
	if (!json_is_object(jwk) || strcmp(text_of(jwk, "kty"), "EC") != 0 ||
	    json_object_get(jwk, "d"))
		return -EBADMSG;
	for (size_t i = 1; i < ARRAY_LEN(curves); i++) {
		if (strcmp(text_of(jwk, "crv"), curves[i]) == 0)
			curve = (int64_t)i;
	}
	if (base64url_decode(text_of(jwk, "x"), x, sizeof(x), &x_len) < 0 ||
	    base64url_decode(text_of(jwk, "y"), y, sizeof(y), &y_len) < 0)
		return -EBADMSG;
	return cose_key_of_point(curve, view_of(x, x_len), view_of(y, y_len), ret, ret_why);
}

static int read_anchor(const json_t *o, struct cca_anchor *ret, const char **ret_why)
{
	const char *implementation = text_of(o, "implementation-id");

	*ret_why = "a trust anchor without the id of an instance (33 bytes in hex)";
	if (hex_decode_exact(text_of(o, "instance-id"), ret->instance_id,
			     sizeof(ret->instance_id)) < 0)
		return -EBADMSG;
	*ret_why = "a trust anchor whose implementation id is not 32 bytes in hex";
	ret->has_implementation_id = json_object_get(o, "implementation-id") != NULL;
	if (ret->has_implementation_id &&
	    hex_decode_exact(implementation, ret->implementation_id,
			     sizeof(ret->implementation_id)) < 0)
		return -EBADMSG;
	return read_jwk(json_object_get(o, "pkey"), &ret->key, ret_why);
}

static bool is_known(const struct cca_anchors *a, const struct cca_anchor *one)
{
	for (size_t i = 0; i < a->n; i++) {
		if (memcmp(a->at[i].instance_id, one->instance_id, sizeof(one->instance_id)) == 0)
			return true;
	}
	return false;
}

int cca_anchors_read(struct view json, struct cca_anchors **ret, const char **ret_why)
{
	CLEANUP(cca_anchors_freep) struct cca_anchors *a = NULL;
	CLEANUP(cleanup_json) json_t *list = NULL;
	int r;

	*ret_why = "no list of CCA trust anchors";
	/* A list, and not much before it: what else is JSON is not parsed for this. */
	if (json.len == 0 || json.len > JSON_MAX || json.data[0] != '[')
		return -EBADMSG;
	list = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_array(list) || json_array_size(list) == 0 ||
	    json_array_size(list) > CCA_ANCHORS_MAX)
		return -EBADMSG;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct cca_anchor one = { 0 };

		r = read_anchor(json_array_get(list, i), &one, ret_why);
		if (r < 0)
			return r;
		if (is_known(a, &one)) {
			EVP_PKEY_free(one.key);
			*ret_why = "two trust anchors of one instance";
			return -EBADMSG;
		}
		a->at[a->n++] = one;
	}
	*ret = TAKE(a);
	return 0;
}

const struct cca_anchor *cca_anchors_at(const struct cca_anchors *a, size_t i)
{
	return i < a->n ? &a->at[i] : NULL;
}

int cca_key_digest(EVP_PKEY *key, struct digest *ret)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der), r;

	if (len <= 0)
		return -ENOMEM;
	r = digest_of(HASH_SHA256, view_of(der, (size_t)len), ret);
	OPENSSL_free(der);
	return r;
}
