/* SPDX-License-Identifier: Apache-2.0 */
#include "cose.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include "cbor_reader.h"
#include "cbor_writer.h"
#include "cleanup.h"

#define TAG_SIGN1      18
#define HEADER_ALG     1 /* RFC 9052, 3.1 */
#define HEADER_CRIT    2
#define KEY_TYPE       1 /* RFC 9052, 7.1 */
#define KEY_TYPE_EC2   2
#define KEY_ALG	       3
#define KEY_OPS	       4
#define KEY_OP_VERIFY  2
#define EC2_CURVE      (-1)
#define EC2_X	       (-2)
#define EC2_Y	       (-3)
#define EC2_D	       (-4)
#define COORDINATE_MAX 66
#define DER_MAX	       160 /* of a P-521 signature: 139 */
#define GROUP_MAX      32

static const struct cose_algorithm algorithms[] = {
	{ -7, "ES256", "prime256v1", "SHA256", 1, 32 },
	{ -35, "ES384", "secp384r1", "SHA384", 2, 48 },
	{ -36, "ES512", "secp521r1", "SHA512", 3, 66 },
};

static void cleanup_key_ctx(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static void cleanup_md_ctx(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

static void cleanup_signature(ECDSA_SIG **s)
{
	ECDSA_SIG_free(*s);
}

static const struct cose_algorithm *algorithm_of_id(int64_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		if (algorithms[i].id == id)
			return &algorithms[i];
	}
	return NULL;
}

static const struct cose_algorithm *algorithm_of_curve(int64_t curve)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		if (algorithms[i].curve == curve)
			return &algorithms[i];
	}
	return NULL;
}

/* The bytes of a map, the whole of them. */
static int read_map(struct view raw, struct cbor_map *ret)
{
	struct reader r = reader_of(raw);

	return cbor_reader_map(&r, ret) < 0 || r.left > 0 ? -EBADMSG : 0;
}

static int read_headers(struct view protected_header, struct view unprotected,
			struct cose_sign1 *m, const char **ret_why)
{
	struct cbor_map p, u;
	int64_t id;

	*ret_why = "a COSE header that is no map, or has a key twice";
	if (read_map(protected_header, &p) < 0 || read_map(unprotected, &u) < 0)
		return -EBADMSG;
	/* RFC 9052, 3: a label is in one of the two. */
	*ret_why = "a COSE header that is both protected and not";
	for (size_t i = 0; i < p.n; i++) {
		const struct cbor_entry *e = &p.entries[i];

		if (!e->by_text && cbor_map_at(&u, e->key))
			return -EBADMSG;
	}
	*ret_why = "a COSE header that says it must be understood";
	if (cbor_map_at(&p, HEADER_CRIT) || cbor_map_at(&u, HEADER_CRIT))
		return -EBADMSG;
	*ret_why = "a COSE message without a protected algorithm";
	if (cbor_map_int(&p, HEADER_ALG, &id) < 0)
		return -EBADMSG;
	*ret_why = "a COSE algorithm that is none of ES256, ES384, ES512";
	m->algorithm = algorithm_of_id(id);
	return m->algorithm ? 0 : -EBADMSG;
}

int cose_sign1_read(struct view raw, struct cose_sign1 *ret, const char **ret_why)
{
	struct reader r = reader_of(raw);
	struct cose_sign1 m = { 0 };
	struct view unprotected;
	uint64_t tag;
	size_t n;

	*ret_why = "larger than a COSE message may be";
	if (raw.len > COSE_MESSAGE_MAX)
		return -EBADMSG;
	*ret_why = "no COSE_Sign1 message";
	if (cbor_reader_tag(&r, &tag) < 0 || tag != TAG_SIGN1 || cbor_reader_array(&r, &n) < 0 ||
	    n != 4 || cbor_reader_bytes(&r, &m.protected_header) < 0 ||
	    cbor_reader_item(&r, &unprotected) < 0 || cbor_reader_bytes(&r, &m.payload) < 0 ||
	    cbor_reader_bytes(&r, &m.signature) < 0 || r.left > 0)
		return -EBADMSG;
	if (read_headers(m.protected_header, unprotected, &m, ret_why) < 0)
		return -EBADMSG;
	*ret_why = "a signature that has not the length of its algorithm's";
	if (m.signature.len != 2 * m.algorithm->coordinate)
		return -EBADMSG;
	*ret = m;
	return 0;
}

/* RFC 9052, 4.4: what is signed. */
static int to_be_signed(const struct cose_sign1 *m, struct bytes *to)
{
	int r;

	r = cbor_writer_array(to, 4);
	if (r == 0)
		r = cbor_writer_text(to, "Signature1");
	if (r == 0)
		r = cbor_writer_bytes(to, m->protected_header);
	if (r == 0)
		r = cbor_writer_bytes(to, view_of(NULL, 0));
	if (r == 0)
		r = cbor_writer_bytes(to, m->payload);
	return r;
}

/* r and s of a fixed width become what OpenSSL reads. */
static int to_der(const struct cose_sign1 *m, uint8_t der[DER_MAX], size_t *ret_len)
{
	CLEANUP(cleanup_signature) ECDSA_SIG *sig = ECDSA_SIG_new();
	int width = (int)m->algorithm->coordinate;
	BIGNUM *r = BN_bin2bn(m->signature.data, width, NULL);
	BIGNUM *s = BN_bin2bn(m->signature.data + width, width, NULL);
	int n;

	if (!sig || !r || !s || !ECDSA_SIG_set0(sig, r, s)) {
		BN_free(r);
		BN_free(s);
		return -ENOMEM;
	}
	n = i2d_ECDSA_SIG(sig, &der);
	if (n <= 0)
		return -ENOMEM;
	*ret_len = (size_t)n;
	return 0;
}

static bool of_group(EVP_PKEY *key, const char *group)
{
	char name[GROUP_MAX];
	size_t len;

	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, name, sizeof(name), &len) == 1 &&
	       strcmp(name, group) == 0;
}

int cose_sign1_verify(const struct cose_sign1 *m, EVP_PKEY *key)
{
	CLEANUP(bytes_cleanup) struct bytes tbs = BYTES_INIT(2 * COSE_MESSAGE_MAX);
	CLEANUP(cleanup_md_ctx) EVP_MD_CTX *ctx = NULL;
	uint8_t der[DER_MAX];
	size_t len = 0;
	int r;

	if (!of_group(key, m->algorithm->group)) {
		ERR_clear_error();
		return 0;
	}
	r = to_be_signed(m, &tbs);
	if (r == 0)
		r = to_der(m, der, &len);
	if (r < 0)
		return r;
	ctx = EVP_MD_CTX_new();
	if (!ctx ||
	    EVP_DigestVerifyInit_ex(ctx, NULL, m->algorithm->md, NULL, NULL, key, NULL) != 1) {
		ERR_clear_error();
		return -ENOMEM;
	}
	r = EVP_DigestVerify(ctx, der, len, tbs.data, tbs.len) == 1;
	ERR_clear_error();
	return r;
}

/* OpenSSL refuses a point that is not on the curve. */
static int import(const struct cose_algorithm *a, struct view point, EVP_PKEY **ret,
		  const char **ret_why)
{
	CLEANUP(cleanup_key_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;
	char group[GROUP_MAX];
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, strlen(a->group)),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point.data, point.len),
		OSSL_PARAM_END,
	};

	if (!ctx)
		return -ENOMEM;
	memcpy(group, a->group, strlen(a->group) + 1);
	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		ERR_clear_error();
		*ret_why = "a point that is not on its curve";
		return -EBADMSG;
	}
	*ret = key;
	return 0;
}

int cose_key_of_point(int64_t curve, struct view x, struct view y, EVP_PKEY **ret,
		      const char **ret_why)
{
	const struct cose_algorithm *a = algorithm_of_curve(curve);
	uint8_t point[1 + 2 * COORDINATE_MAX] = { 4 /* uncompressed: SEC 1, 2.3.3 */ };

	*ret_why = "a key of a curve that is none of P-256, P-384, P-521";
	if (!a)
		return -EBADMSG;
	*ret_why = "a key whose coordinates have not the length of the curve's";
	if (x.len != a->coordinate || y.len != a->coordinate)
		return -EBADMSG;
	memcpy(point + 1, x.data, x.len);
	memcpy(point + 1 + x.len, y.data, y.len);
	return import(a, view_of(point, 1 + 2 * a->coordinate), ret, ret_why);
}

static int read_point(struct view raw, EVP_PKEY **ret, const char **ret_why)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		if (raw.len == 1 + 2 * algorithms[i].coordinate)
			return import(&algorithms[i], raw, ret, ret_why);
	}
	*ret_why = "a point that has not the length of a curve's";
	return -EBADMSG;
}

/* RFC 9052, 7.1: where a key says what it is for, this must be in it. */
static bool may_verify(const struct cbor_map *m)
{
	const struct view *ops = cbor_map_at(m, KEY_OPS);
	struct reader r;
	int64_t op;
	size_t n;

	if (!ops)
		return true;
	r = reader_of(*ops);
	if (cbor_reader_array(&r, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (cbor_reader_int(&r, &op) < 0)
			return false;
		if (op == KEY_OP_VERIFY)
			return true;
	}
	return false;
}

/* RFC 9052, 7.1: where a key names its algorithm, it is for no other. */
static bool of_its_algorithm(const struct cbor_map *m, int64_t curve)
{
	const struct cose_algorithm *a = algorithm_of_curve(curve);
	int64_t id;

	if (!cbor_map_at(m, KEY_ALG))
		return true;
	return a && cbor_map_int(m, KEY_ALG, &id) == 0 && id == a->id;
}

int cose_key_read(struct view raw, EVP_PKEY **ret, const char **ret_why)
{
	struct cbor_map m;
	struct view x, y;
	int64_t type, curve;

	if (raw.len > 0 && raw.data[0] == 4)
		return read_point(raw, ret, ret_why);
	*ret_why = "no COSE_Key of an elliptic curve with both coordinates";
	if (read_map(raw, &m) < 0 || cbor_map_int(&m, KEY_TYPE, &type) < 0 ||
	    type != KEY_TYPE_EC2 || cbor_map_int(&m, EC2_CURVE, &curve) < 0 ||
	    cbor_map_bytes(&m, EC2_X, &x) < 0 || cbor_map_bytes(&m, EC2_Y, &y) < 0)
		return -EBADMSG;
	*ret_why = "a COSE_Key with its private part";
	if (cbor_map_at(&m, EC2_D))
		return -EBADMSG;
	*ret_why = "a COSE_Key that is for something else";
	if (!may_verify(&m) || !of_its_algorithm(&m, curve))
		return -EBADMSG;
	return cose_key_of_point(curve, x, y, ret, ret_why);
}
