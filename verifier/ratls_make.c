/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include "cbor_writer.h"
#include "cleanup.h"
#include "ratls.h"
#include "ratls_tag.h"

CLEANUP_FUNCTION(X509 *, X509_free)
CLEANUP_FUNCTION(ASN1_OBJECT *, ASN1_OBJECT_free)
CLEANUP_FUNCTION(ASN1_OCTET_STRING *, ASN1_OCTET_STRING_free)
CLEANUP_FUNCTION(X509_EXTENSION *, X509_EXTENSION_free)
CLEANUP_FUNCTION(BIGNUM *, BN_free)

#define NAMED_SHA256 1 /* IANA, "Named Information Hash Algorithm Registry" */
#define ENTRY_MAX    64
#define SERIAL_BITS  127
#define VERSION_3    2

static int write_key_hash(EVP_PKEY *key, struct bytes *to)
{
	unsigned char *spki = NULL;
	struct digest d;
	int len = i2d_PUBKEY(key, &spki), r;

	ERR_clear_error();
	if (len < 0)
		return -EINVAL;
	r = digest_of(HASH_SHA256, view_of(spki, (size_t)len), &d);
	OPENSSL_free(spki);
	if (r == 0)
		r = cbor_writer_array(to, 2);
	if (r == 0)
		r = cbor_writer_int(to, NAMED_SHA256);
	return r == 0 ? cbor_writer_bytes(to, digest_view(&d)) : r;
}

int ratls_claims(EVP_PKEY *key, struct view nonce, struct bytes *to)
{
	CLEANUP(bytes_cleanup) struct bytes entry = BYTES_INIT(ENTRY_MAX);
	int r;

	if (nonce.len > RATLS_NONCE_MAX)
		return -EINVAL;
	r = write_key_hash(key, &entry);
	if (r == 0)
		r = cbor_writer_map(to, nonce.len > 0 ? 2 : 1);
	if (r == 0)
		r = cbor_writer_text(to, "pubkey-hash");
	if (r == 0)
		r = cbor_writer_bytes(to, bytes_view(&entry));
	if (r < 0 || nonce.len == 0)
		return r;
	r = cbor_writer_text(to, "nonce");
	return r == 0 ? cbor_writer_bytes(to, nonce) : r;
}

int ratls_report_data(struct view claims, uint8_t ret[RATLS_REPORT_DATA])
{
	struct digest d;
	int r = digest_of(HASH_SHA256, claims, &d);

	if (r < 0)
		return r;
	memset(ret, 0, RATLS_REPORT_DATA);
	memcpy(ret, d.bytes, d.size);
	return 0;
}

int ratls_extension(const char *platform, struct view report, struct view claims, struct bytes *to)
{
	uint64_t tag;
	int r;

	r = ratls_tag(platform, &tag);
	if (r == 0)
		r = cbor_writer_tag(to, tag);
	if (r == 0)
		r = cbor_writer_array(to, 2);
	if (r == 0)
		r = cbor_writer_bytes(to, report);
	return r == 0 ? cbor_writer_bytes(to, claims) : r;
}

static bool add_extension(X509 *x, struct view value)
{
	CLEANUP(ASN1_OBJECT_freep) ASN1_OBJECT *oid = OBJ_txt2obj(RATLS_OID, 1);
	CLEANUP(ASN1_OCTET_STRING_freep) ASN1_OCTET_STRING *string = ASN1_OCTET_STRING_new();
	CLEANUP(X509_EXTENSION_freep) X509_EXTENSION *e = NULL;

	if (!oid || !string || !ASN1_OCTET_STRING_set(string, value.data, (int)value.len))
		return false;
	e = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, string);
	return e && X509_add_ext(x, e, -1);
}

static bool set_serial(X509 *x)
{
	CLEANUP(BN_freep) BIGNUM *n = BN_new();

	return n && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
	       BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
}

static bool fill(X509 *x, EVP_PKEY *key, struct view extension, int64_t from, int64_t until)
{
	X509_NAME *name = X509_get_subject_name(x);

	return X509_set_version(x, VERSION_3) && set_serial(x) &&
	       ASN1_TIME_set(X509_getm_notBefore(x), from) &&
	       ASN1_TIME_set(X509_getm_notAfter(x), until) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"RA-TLS",
					  -1, -1, 0) &&
	       X509_set_issuer_name(x, name) && X509_set_pubkey(x, key) &&
	       add_extension(x, extension);
}

int ratls_certificate(EVP_PKEY *key, struct view extension, int64_t not_before, int64_t not_after,
		      X509 **ret)
{
	CLEANUP(X509_freep) X509 *x = X509_new();
	/* Those of RFC 8032 hash by themselves. */
	bool own = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
	int ok;

	if (!x || !fill(x, key, extension, not_before, not_after)) {
		ERR_clear_error();
		return -ENOMEM;
	}
	ok = X509_sign(x, key, own ? NULL : EVP_sha256());
	ERR_clear_error();
	if (ok <= 0)
		return -EINVAL;
	if (i2d_X509(x, NULL) > X509_DER_MAX)
		return -EMSGSIZE; /* nobody here would read it */
	*ret = TAKE(x);
	return 0;
}
