/* SPDX-License-Identifier: Apache-2.0 */
#include "endorsements.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "cca_anchor.h"
#include "certificate_table.h"
#include "cleanup.h"
#include "csv_certificate.h"
#include "digest.h"
#include "pem.h"
#include "signed_json.h"
#include "x509_chain.h"

struct endorsements {
	struct endorsement items[ENDORSEMENTS_MAX];
	bool lent[ENDORSEMENTS_MAX]; /* the item's bytes are another set's */
	size_t n;
	uint8_t sha256[32];	       /* of what was added; zero: nothing */
	STACK_OF(X509) * certificates; /* lent from items */
	STACK_OF(X509_CRL) * crls;
};

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct cca_anchors *, cca_anchors_free)

static void last_item_done(struct endorsements *e)
{
	struct endorsement *i = &e->items[--e->n];

	X509_free(i->certificate);
	X509_CRL_free(i->crl);
	if (!e->lent[e->n])
		free((void *)i->bytes.data);
	*i = (struct endorsement){ 0 };
}

void endorsements_free(struct endorsements *e)
{
	if (!e)
		return;
	while (e->n > 0)
		last_item_done(e);
	sk_X509_free(e->certificates);
	sk_X509_CRL_free(e->crls);
	free(e);
}

int endorsements_new(struct endorsements **ret)
{
	CLEANUP(endorsements_freep) struct endorsements *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->certificates = sk_X509_new_null();
	e->crls = sk_X509_CRL_new_null();
	if (!e->certificates || !e->crls)
		return -ENOMEM;
	*ret = TAKE(e);
	return 0;
}

/* Takes over the certificate or list, also where it fails; the bytes too unless they are lent. */
static int put_item(struct endorsements *e, const struct endorsement *item, bool lent)
{
	int r = -EMSGSIZE;

	if (e->n == ENDORSEMENTS_MAX)
		goto failed;
	r = -ENOMEM;
	if (item->certificate && sk_X509_push(e->certificates, item->certificate) <= 0)
		goto failed;
	if (item->crl && sk_X509_CRL_push(e->crls, item->crl) <= 0)
		goto failed;
	e->items[e->n] = *item;
	e->lent[e->n++] = lent;
	return 0;

failed:
	if (!lent)
		free((void *)item->bytes.data);
	X509_free(item->certificate);
	X509_CRL_free(item->crl);
	return r;
}

/* The same with bytes that are copied. */
static int put(struct endorsements *e, enum endorsement_kind kind, struct view bytes, X509 *x,
	       X509_CRL *crl)
{
	struct endorsement item = { .kind = kind, .certificate = x, .crl = crl };
	uint8_t *copy = malloc(bytes.len + 1);
	struct digest d;

	if (!copy || digest_of(HASH_SHA256, bytes, &d) < 0) {
		free(copy);
		X509_free(x);
		X509_CRL_free(crl);
		return -ENOMEM;
	}
	memcpy(copy, bytes.data, bytes.len);
	memcpy(item.sha256, d.bytes, sizeof(item.sha256));
	item.bytes = view_of(copy, bytes.len);
	return put_item(e, &item, false);
}

static int put_certificate(struct endorsements *e, struct view der)
{
	X509 *x;
	int r = x509_read(der, &x);

	return r < 0 ? r : put(e, ENDORSEMENT_CERTIFICATE, der, x, NULL);
}

static int put_crl(struct endorsements *e, struct view der)
{
	X509_CRL *crl;
	int r = x509_read_crl(der, &crl);

	return r < 0 ? r : put(e, ENDORSEMENT_CRL, der, NULL, crl);
}

static int put_public_key(struct endorsements *e, struct view der)
{
	const unsigned char *at = der.data;
	EVP_PKEY *key;
	bool whole;

	key = der.len <= X509_DER_MAX ? d2i_PUBKEY(NULL, &at, (long)der.len) : NULL;
	whole = key && at == der.data + der.len;
	EVP_PKEY_free(key);
	ERR_clear_error();
	return whole ? put(e, ENDORSEMENT_PUBLIC_KEY, der, NULL, NULL) : -EBADMSG;
}

/* Forms of a blob, in the order they are tried. Each gives -EBADMSG where it is another one. */
static int take_pem(struct endorsements *e, struct view blob)
{
	static const struct {
		const char *label;
		int (*put)(struct endorsements *e, struct view der);
	} labels[] = {
		{ "CERTIFICATE", put_certificate },
		{ "X509 CRL", put_crl },
		{ "PUBLIC KEY", put_public_key },
	};
	CLEANUP(bytes_cleanup) struct bytes der = BYTES_INIT(PEM_DER_MAX);
	struct reader at = reader_of(blob);
	struct view label;
	int r;

	if (!pem_begins(blob))
		return -EBADMSG;
	while ((r = pem_next(&at, &label, &der)) > 0) {
		r = -EBADMSG;
		for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
			if (view_is(label, labels[i].label))
				r = labels[i].put(e, bytes_view(&der));
		}
		if (r < 0)
			return r;
	}
	return r;
}

static int take_json(struct endorsements *e, struct view blob)
{
	static const struct {
		const char *name;
		enum endorsement_kind kind;
	} names[] = {
		{ "tcbInfo", ENDORSEMENT_TCB_INFO },
		{ "enclaveIdentity", ENDORSEMENT_QE_IDENTITY },
	};
	struct signed_json j;
	int r;

	r = signed_json_cut(blob, &j);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (view_is(j.name, names[i].name))
			return put(e, names[i].kind, blob, NULL, NULL);
	}
	return -EBADMSG;
}

static int take_cca_anchors(struct endorsements *e, struct view blob)
{
	CLEANUP(cca_anchors_freep) struct cca_anchors *a = NULL;
	const char *why;
	int r = cca_anchors_read(blob, &a, &why);

	return r < 0 ? r : put(e, ENDORSEMENT_CCA_ANCHORS, blob, NULL, NULL);
}

static int take_table(struct endorsements *e, struct view blob)
{
	struct certificate_table t;
	int r;

	r = certificate_table_read(blob, &t);
	for (size_t i = 0; r == 0 && i < t.n; i++) {
		r = take_pem(e, t.entries[i].blob);
		if (r == -EBADMSG)
			r = put_certificate(e, t.entries[i].blob);
		/* Of other entries the table says nothing that we use. */
		if (r == -EBADMSG)
			r = 0;
	}
	return r;
}

/* One after the other, as Hygon serves HSK and CEK. Their form says how long each is. */
static int take_csv(struct endorsements *e, struct view blob)
{
	struct reader in = reader_of(blob);
	struct csv_certificate c;
	struct reader at;
	struct view v;
	const char *why;
	int r = -EBADMSG;

	while (in.left > 0) {
		at = in;
		r = read_view(&at, CSV_ROOT_CERTIFICATE_SIZE, &v);
		if (r == 0)
			r = csv_certificate_parse(v, &c, &why);
		if (r < 0) {
			at = in;
			r = read_view(&at, CSV_CHIP_CERTIFICATE_SIZE, &v);
			if (r == 0)
				r = csv_certificate_parse(v, &c, &why);
		}
		if (r == 0)
			r = put(e, ENDORSEMENT_CSV_CERTIFICATE, v, NULL, NULL);
		if (r < 0)
			return r;
		in = at;
	}
	return r;
}

static int (*const forms[])(struct endorsements *e, struct view blob) = {
	take_pem,	put_certificate, put_crl,  take_json,
	take_cca_anchors, put_public_key,  take_table, take_csv,
};

/* Back to n items: a blob is added whole or not at all. */
static void roll_back(struct endorsements *e, size_t n)
{
	while (e->n > n) {
		struct endorsement *last = &e->items[e->n - 1];

		if (last->certificate)
			sk_X509_pop(e->certificates);
		if (last->crl)
			sk_X509_CRL_pop(e->crls);
		last_item_done(e);
	}
}

/* The digest goes on over what was added. */
static int note_added(struct endorsements *e, const char *kind, struct view what)
{
	uint64_t len = what.len;
	const struct view parts[] = {
		view_of(e->sha256, sizeof(e->sha256)),
		view_text(kind),
		view_of(&len, sizeof(len)),
		what,
	};
	struct digest d;
	int r;

	r = digest_of_parts(HASH_SHA256, parts, ARRAY_LEN(parts), &d);
	if (r < 0)
		return r;
	memcpy(e->sha256, d.bytes, sizeof(e->sha256));
	return 0;
}

int endorsements_add(struct endorsements *e, struct view blob, const char **ret_why)
{
	size_t n = e->n;
	int r = -EBADMSG;

	if (blob.len > ENDORSEMENT_BYTES_MAX) {
		*ret_why = "larger than an endorsement may be";
		return -EMSGSIZE;
	}
	for (size_t i = 0; r == -EBADMSG && i < ARRAY_LEN(forms); i++) {
		r = forms[i](e, blob);
		if (r < 0)
			roll_back(e, n);
	}
	if (r == -EMSGSIZE)
		*ret_why = "more endorsements than are looked at";
	if (r == -EBADMSG || (r == 0 && e->n == n)) {
		*ret_why = "neither certificates, revocation lists, a public key, Intel's TCB info "
			   "or QE identity, a certificate table, certificates of Hygon's, nor trust "
			   "anchors of CCA";
		return -EBADMSG;
	}
	if (r == 0)
		r = note_added(e, "blob", blob);
	if (r < 0)
		roll_back(e, n);
	return r;
}

int endorsements_add_one(struct endorsements *e, const struct endorsement *item)
{
	int r;

	if (item->certificate)
		X509_up_ref(item->certificate);
	if (item->crl)
		X509_CRL_up_ref(item->crl);
	r = put_item(e, item, true);
	return r < 0 ? r : note_added(e, "one", view_of(item->sha256, sizeof(item->sha256)));
}

int endorsements_add_all(struct endorsements *e, const struct endorsements *from)
{
	int r;

	if (!from)
		return 0;
	for (size_t i = 0; i < from->n; i++) {
		const struct endorsement *item = &from->items[i];

		if (item->certificate)
			X509_up_ref(item->certificate);
		if (item->crl)
			X509_CRL_up_ref(item->crl);
		r = put_item(e, item, true);
		if (r < 0)
			return r;
	}
	return note_added(e, "set", view_of(from->sha256, sizeof(from->sha256)));
}

void endorsements_digest(const struct endorsements *e, uint8_t ret_sha256[32])
{
	if (e)
		memcpy(ret_sha256, e->sha256, sizeof(e->sha256));
	else
		memset(ret_sha256, 0, sizeof(e->sha256));
}

const struct endorsement *endorsements_next(const struct endorsements *e,
					    enum endorsement_kind kind,
					    const struct endorsement *after)
{
	if (!e)
		return NULL;
	for (size_t i = after ? (size_t)(after - e->items) + 1 : 0; i < e->n; i++) {
		if (e->items[i].kind == kind)
			return &e->items[i];
	}
	return NULL;
}

STACK_OF(X509) * endorsements_certificates(const struct endorsements *e)
{
	return e ? e->certificates : NULL;
}

STACK_OF(X509_CRL) * endorsements_crls(const struct endorsements *e)
{
	return e ? e->crls : NULL;
}

const struct endorsement *endorsements_at(const struct endorsements *e, size_t i)
{
	return e && i < e->n ? &e->items[i] : NULL;
}

size_t endorsements_count(const struct endorsements *e)
{
	return e ? e->n : 0;
}
