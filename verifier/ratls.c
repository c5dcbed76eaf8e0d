/* SPDX-License-Identifier: Apache-2.0 */
#include "ratls.h"

#include <string.h>

#include <openssl/err.h>

#include "cbor_reader.h"
#include "cleanup.h"
#include "pem.h"
#include "ratls_tag.h"

CLEANUP_FUNCTION(X509 *, X509_free)
CLEANUP_FUNCTION(ASN1_OBJECT *, ASN1_OBJECT_free)

/* Hash algorithms by their number in IANA's "Named Information" registry. */
static enum hash_alg named_hash(uint64_t id)
{
	switch (id) {
	case 1:
		return HASH_SHA256;
	case 7:
		return HASH_SHA384;
	case 8:
		return HASH_SHA512;
	default:
		return HASH_NONE;
	}
}

/*
 * 60000 is IANA's tag for an Intel TEE quote; the others stand in no registry: Alibaba's rats-tls
 * and librats use them.
 */
static const struct {
	uint64_t tag;
	const char *platform;
} tags[] = {
	{ 60000, "tdx" },
	{ 0x1a7504, "sev-snp" },
	{ 0x1a7506, "csv" },
};

static const char *platform_of(uint64_t tag)
{
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		if (tags[i].tag == tag)
			return tags[i].platform;
	}
	return NULL;
}

int ratls_tag(const char *platform, uint64_t *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		if (strcmp(tags[i].platform, platform) == 0) {
			*ret = tags[i].tag;
			return 0;
		}
	}
	return -ENOTSUP;
}

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

/* The extension's value; that of a second one would be read by nobody. */
static int find_extension(X509 *x, struct view *ret, const char **ret_why)
{
	CLEANUP(ASN1_OBJECT_freep) ASN1_OBJECT *oid = OBJ_txt2obj(RATLS_OID, 1);
	const ASN1_OCTET_STRING *value;
	int at;

	if (!oid)
		return -ENOMEM;
	at = X509_get_ext_by_OBJ(x, oid, -1);
	if (at < 0)
		return refuse(ret_why, "it has no extension " RATLS_OID);
	if (X509_get_ext_by_OBJ(x, oid, at) >= 0)
		return refuse(ret_why, "it has the extension " RATLS_OID " more than once");
	value = X509_EXTENSION_get_data(X509_get_ext(x, at));
	*ret = view_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
	return 0;
}

static int read_evidence(struct view value, struct ratls *t, const char **ret_why)
{
	struct reader r = reader_of(value);
	uint64_t tag;
	size_t n;

	if (cbor_reader_tag(&r, &tag) < 0)
		return refuse(ret_why, "its evidence is not CBOR with a tag");
	t->platform = platform_of(tag);
	if (!t->platform)
		return refuse(ret_why, "its evidence has a tag that is of no known platform");
	if (cbor_reader_array(&r, &n) < 0 || n != 2 || cbor_reader_bytes(&r, &t->report) < 0 ||
	    cbor_reader_bytes(&r, &t->claims) < 0)
		return refuse(ret_why, "its evidence is not [report, claims buffer]");
	if (r.left > 0)
		return refuse(ret_why, "there are bytes behind its evidence");
	if (t->report.len == 0 || t->report.len > EVIDENCE_REPORT_MAX)
		return refuse(ret_why, "the report in it is empty or too long");
	if (t->claims.len > RATLS_CLAIMS_MAX)
		return refuse(ret_why, "its claims buffer is too long");
	return 0;
}

/* A byte string with [algorithm, hash] (CoSWID's hash-entry) of the certificate's own key. */
static int check_key(X509 *x, struct view entry, const char **ret_why)
{
	unsigned char *spki = NULL;
	struct reader r = reader_of(entry);
	struct digest d;
	struct view hash;
	enum hash_alg alg;
	uint64_t id;
	size_t n;
	int len, e;

	if (cbor_reader_array(&r, &n) < 0 || n != 2 || cbor_reader_uint(&r, &id) < 0 ||
	    cbor_reader_bytes(&r, &hash) < 0 || r.left > 0)
		return refuse(ret_why, "its pubkey-hash is not [algorithm, hash]");
	alg = named_hash(id);
	if (alg == HASH_NONE)
		return refuse(ret_why,
			      "its pubkey-hash is not by sha-256 (1), sha-384 (7) or sha-512 (8)");
	len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki);
	if (len < 0)
		return -ENOMEM;
	e = digest_of(alg, view_of(spki, (size_t)len), &d);
	OPENSSL_free(spki);
	if (e < 0)
		return e;
	if (!view_equal(digest_view(&d), hash))
		return refuse(ret_why, "its pubkey-hash is of another key");
	return 0;
}

/* Values are byte strings; claims of other names are covered by the report, and not for us. */
static int read_claims(X509 *x, struct ratls *t, const char **ret_why)
{
	struct reader r = reader_of(t->claims), value;
	const struct view *item;
	struct view key_hash;
	struct cbor_map map;

	if (cbor_reader_map(&r, &map) < 0 || r.left > 0)
		return refuse(ret_why, "its claims buffer is not one map");
	item = cbor_map_named(&map, "nonce");
	if (item) {
		value = reader_of(*item);
		if (cbor_reader_bytes(&value, &t->nonce) < 0 || t->nonce.len == 0 ||
		    t->nonce.len > RATLS_NONCE_MAX)
			return refuse(ret_why, "its nonce is not bytes, or too many");
	}
	item = cbor_map_named(&map, "pubkey-hash");
	if (!item)
		return refuse(ret_why, "its claims buffer has no pubkey-hash");
	value = reader_of(*item);
	if (cbor_reader_bytes(&value, &key_hash) < 0)
		return refuse(ret_why, "its pubkey-hash is not bytes");
	return check_key(x, key_hash, ret_why);
}

int ratls_read(X509 *certificate, struct ratls *ret, const char **ret_why)
{
	struct ratls t = { 0 };
	EVP_PKEY *key;
	struct view value;
	int r;

	r = find_extension(certificate, &value, ret_why);
	if (r == 0)
		r = read_evidence(value, &t, ret_why);
	if (r == 0)
		r = read_claims(certificate, &t, ret_why);
	if (r < 0)
		return r;
	/* By another's signature nobody knows that the key's owner asked for the certificate. */
	key = X509_get0_pubkey(certificate);
	r = key ? X509_verify(certificate, key) : 0;
	ERR_clear_error();
	if (r != 1)
		return refuse(ret_why, "it is not signed by its own key");
	r = ratls_report_data(t.claims, t.report_data);
	if (r < 0)
		return r;
	*ret = t;
	return 0;
}

/* One certificate, PEM or DER, and nothing else. */
static int read_certificate(struct view file, X509 **ret, const char **ret_why)
{
	CLEANUP(bytes_cleanup) struct bytes der = BYTES_INIT(X509_DER_MAX);
	CLEANUP(bytes_cleanup) struct bytes more = BYTES_INIT(X509_DER_MAX);
	struct reader r = reader_of(file);
	struct view label;
	int e;

	if (file.len > RATLS_CERTIFICATE_MAX)
		return refuse(ret_why, "it is too long for a certificate");
	if (!pem_begins(file)) {
		e = x509_read(file, ret);
	} else {
		e = pem_next(&r, &label, &der);
		if (e == 1)
			e = view_is(label, "CERTIFICATE") && pem_next(&r, &label, &more) == 0
				    ? x509_read(bytes_view(&der), ret)
				    : -EBADMSG;
	}
	return e == 0 || e == -ENOMEM ? e
				      : refuse(ret_why, "it is not one certificate in PEM or DER");
}

static void check_in_force(X509 *x, int64_t now, struct appraisal *a)
{
	int64_t from, until;
	char text[X509_TEXT_MAX];

	if (x509_time(X509_get0_notBefore(x), &from) < 0 ||
	    x509_time(X509_get0_notAfter(x), &until) < 0 || now < from || now > until) {
		char at[TIME_TEXT_MAX];

		appraisal_refuse(a, "evidence.ratls", "a certificate in force", "%s at %s",
				 x509_describe(x, text), time_text(now, at));
		return;
	}
	appraisal_pass(a);
}

/* In the arena, so that what is found does not end with the certificate. */
static int evidence_files(const struct evidence_alone *in, const char *name, struct view report,
			  struct arena *arena, const struct evidence_file **ret)
{
	struct evidence_file *files = arena_alloc(arena, (in->n_files + 1) * sizeof(*files));
	const uint8_t *copy = arena_copy(arena, report.data, report.len);

	if (!files || !copy)
		return -ENOMEM;
	files[0] = (struct evidence_file){ name, view_of(copy, report.len) };
	for (size_t i = 0; i < in->n_files; i++)
		files[i + 1] = in->files[i];
	*ret = files;
	return 0;
}

int ratls_appraise(const struct evidence_alone *in, const char *name, struct view certificate,
		   struct view nonce, struct arena *arena, struct appraisal *a,
		   struct evidence_found *ret_found, struct evidence_result *ret)
{
	struct evidence_alone alone = *in;
	CLEANUP(X509_freep) X509 *x = NULL;
	const char *why = NULL;
	struct ratls t;
	int r;

	r = read_certificate(certificate, &x, &why);
	if (r == 0)
		r = ratls_read(x, &t, &why);
	if (r == 0 && in->platform && strcmp(in->platform, t.platform) != 0)
		r = refuse(&why, "its evidence has the tag of another platform");
	if (r == 0 && nonce.len > 0 && !view_equal(nonce, t.nonce))
		r = refuse(&why, "its nonce is missing or another");
	if (r == -EBADMSG) {
		appraisal_refuse(a, "evidence.ratls", "a certificate with evidence over its key",
				 "%s", why);
		appraisal_finish(a);
		*ret_found = (struct evidence_found){ 0 };
		*ret = (struct evidence_result){ 0 };
		return 0;
	}
	if (r == 0)
		r = evidence_files(in, name, t.report, arena, &alone.files);
	if (r < 0)
		return r;
	appraisal_pass(a);
	check_in_force(x, in->now, a);
	alone.n_files = in->n_files + 1;
	alone.platform = t.platform;
	alone.report_data = view_of(t.report_data, sizeof(t.report_data));
	return evidence_appraise(&alone, arena, a, ret_found, ret);
}
