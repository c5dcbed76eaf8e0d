/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_key_file.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/asn1t.h>
#include <openssl/pem.h>
#include <tss2/tss2_mu.h>

#include "boot_key.h"
#include "cleanup.h"

/* draft-bottomley-tpm2-keys, "TPM Key File Format". OpenSSL's templates want type names. */
#define PEM_NAME   "TSS2 PRIVATE KEY"
#define SEALED_OID "2.23.133.10.1.5"

typedef struct tpm_policy_st {
	ASN1_INTEGER *code;
	ASN1_OCTET_STRING *parameters;
} TPM_POLICY;

typedef struct tpm_key_st {
	ASN1_OBJECT *type;
	ASN1_BOOLEAN empty_auth;
	STACK_OF(TPM_POLICY) * policy;
	ASN1_UTF8STRING *description;
	ASN1_INTEGER *parent;
	ASN1_OCTET_STRING *public;
	ASN1_OCTET_STRING *private;
} TPM_KEY;

DEFINE_STACK_OF(TPM_POLICY)

ASN1_SEQUENCE(TPM_POLICY) = {
	ASN1_EXP(TPM_POLICY, code, ASN1_INTEGER, 0),
	ASN1_EXP(TPM_POLICY, parameters, ASN1_OCTET_STRING, 1),
} static_ASN1_SEQUENCE_END(TPM_POLICY)

ASN1_SEQUENCE(TPM_KEY) = {
	ASN1_SIMPLE(TPM_KEY, type, ASN1_OBJECT),
	ASN1_EXP_OPT(TPM_KEY, empty_auth, ASN1_BOOLEAN, 0),
	ASN1_EXP_SEQUENCE_OF_OPT(TPM_KEY, policy, TPM_POLICY, 1),
	ASN1_EXP_OPT(TPM_KEY, description, ASN1_UTF8STRING, 4),
	ASN1_SIMPLE(TPM_KEY, parent, ASN1_INTEGER),
	ASN1_SIMPLE(TPM_KEY, public, ASN1_OCTET_STRING),
	ASN1_SIMPLE(TPM_KEY, private, ASN1_OCTET_STRING),
} static_ASN1_SEQUENCE_END(TPM_KEY)

#define PUBLIC_MAX	4096
#define DESCRIPTION_MAX (BOOT_PCRS * (4 + DIGEST_HEX_MAX) + 16)

static void key_free(TPM_KEY **k)
{
	ASN1_item_free((ASN1_VALUE *)*k, ASN1_ITEM_rptr(TPM_KEY));
}

static int set_octets(ASN1_OCTET_STRING *to, const uint8_t *data, size_t len)
{
	return ASN1_OCTET_STRING_set(to, data, (int)len) == 1 ? 0 : -ENOMEM;
}

TPML_PCR_SELECTION boot_key_selection(enum hash_alg bank, uint32_t pcrs)
{
	TPML_PCR_SELECTION l = { .count = 1 };

	l.pcrSelections[0].hash = (TPMI_ALG_HASH)bank;
	l.pcrSelections[0].sizeofSelect = BOOT_PCRS / 8;
	for (unsigned int i = 0; i < BOOT_PCRS; i++) {
		if (pcrs >> i & 1)
			l.pcrSelections[0].pcrSelect[i / 8] |= (BYTE)(1u << (i % 8));
	}
	return l;
}

/* The parameters of TPM2_PolicyPCR, in its order. */
static int set_policy(TPM_KEY *k, const struct boot_key_file *f)
{
	const TPML_PCR_SELECTION selection = boot_key_selection(f->bank, f->pcrs);
	uint8_t parameters[sizeof(TPM2B_DIGEST) + sizeof(TPML_PCR_SELECTION)];
	TPM_POLICY *p = NULL;
	size_t len = 0;

	if (Tss2_MU_TPM2B_DIGEST_Marshal(&f->pcr_digest, parameters, sizeof(parameters), &len) !=
		    TSS2_RC_SUCCESS ||
	    Tss2_MU_TPML_PCR_SELECTION_Marshal(&selection, parameters, sizeof(parameters), &len) !=
		    TSS2_RC_SUCCESS)
		return -EINVAL;
	p = (TPM_POLICY *)ASN1_item_new(ASN1_ITEM_rptr(TPM_POLICY));
	if (p && ASN1_INTEGER_set(p->code, TPM2_CC_PolicyPCR) == 1 &&
	    set_octets(p->parameters, parameters, len) == 0) {
		k->policy = sk_TPM_POLICY_new_null();
		if (k->policy && sk_TPM_POLICY_push(k->policy, p) > 0)
			return 0;
	}
	ASN1_item_free((ASN1_VALUE *)p, ASN1_ITEM_rptr(TPM_POLICY));
	return -ENOMEM;
}

/* "sha256:4=...,9=...": for people, and to say afterwards what differs. */
static int set_description(TPM_KEY *k, const struct boot_key_file *f)
{
	struct bytes text = BYTES_INIT(DESCRIPTION_MAX);
	char hex[DIGEST_HEX_MAX];
	const char *before = ":";
	int r;

	r = bytes_append_text(&text, hash_name(f->bank));
	for (unsigned int i = 0; i < BOOT_PCRS && r == 0; i++) {
		if (!(f->expected.known >> i & 1))
			continue;
		r = bytes_printf(&text, "%s%u=%s", before, i, digest_hex(&f->expected.pcr[i], hex));
		before = ",";
	}
	k->description = ASN1_UTF8STRING_new();
	if (r == 0 &&
	    (!k->description || ASN1_STRING_set(k->description, text.data, (int)text.len) != 1))
		r = -ENOMEM;
	bytes_done(&text);
	return r;
}

static int set_object(TPM_KEY *k, const struct boot_key_file *f)
{
	uint8_t public[PUBLIC_MAX], private[PUBLIC_MAX];
	size_t public_len = 0, private_len = 0;
	int r;

	if (Tss2_MU_TPM2B_PUBLIC_Marshal(&f->public, public, sizeof(public), &public_len) !=
		    TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Marshal(&f->private, private, sizeof(private), &private_len) !=
		    TSS2_RC_SUCCESS)
		return -EINVAL;
	r = set_octets(k->public, public, public_len);
	return r < 0 ? r : set_octets(k->private, private, private_len);
}

static int append_pem(const TPM_KEY *k, struct bytes *ret)
{
	uint8_t *der = NULL;
	char *text;
	long text_len;
	int len, r = -ENOMEM;
	BIO *out = BIO_new(BIO_s_mem());

	len = ASN1_item_i2d((const ASN1_VALUE *)k, &der, ASN1_ITEM_rptr(TPM_KEY));
	if (out && len > 0 && PEM_write_bio(out, PEM_NAME, "", der, len) > 0) {
		text_len = BIO_get_mem_data(out, &text);
		r = bytes_append(ret, text, (size_t)text_len);
	}
	OPENSSL_free(der);
	BIO_free(out);
	return r;
}

int boot_key_file_write(const struct boot_key_file *f, struct bytes *ret)
{
	CLEANUP(key_free) TPM_KEY *k = (TPM_KEY *)ASN1_item_new(ASN1_ITEM_rptr(TPM_KEY));
	int r;

	if (!k)
		return -ENOMEM;
	k->type = OBJ_txt2obj(SEALED_OID, 1);
	k->empty_auth = 0xff;
	/* An INTEGER that is not negative. */
	if (!k->type || ASN1_INTEGER_set_uint64(k->parent, TPM2_RH_OWNER) != 1)
		return -ENOMEM;
	r = set_policy(k, f);
	if (r == 0)
		r = set_description(k, f);
	if (r == 0)
		r = set_object(k, f);
	return r < 0 ? r : append_pem(k, ret);
}

static int bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

static bool is_sealed(const TPM_KEY *k)
{
	ASN1_OBJECT *sealed = OBJ_txt2obj(SEALED_OID, 1);
	bool is = sealed && OBJ_cmp(k->type, sealed) == 0;

	ASN1_OBJECT_free(sealed);
	return is;
}

static int take_selection(const TPML_PCR_SELECTION *l, struct boot_key_file *f)
{
	const TPMS_PCR_SELECTION *s = &l->pcrSelections[0];

	if (l->count != 1 || s->sizeofSelect > BOOT_PCRS / 8 ||
	    hash_size((enum hash_alg)s->hash) == 0)
		return -EBADMSG;
	f->bank = (enum hash_alg)s->hash;
	for (unsigned int i = 0; i < BOOT_PCRS && i / 8 < s->sizeofSelect; i++) {
		if (s->pcrSelect[i / 8] >> (i % 8) & 1)
			f->pcrs |= 1u << i;
	}
	return f->pcrs ? 0 : -EBADMSG;
}

static int take_policy(const TPM_KEY *k, struct boot_key_file *f)
{
	TPML_PCR_SELECTION selection = { 0 };
	const TPM_POLICY *p;
	size_t at = 0, len;
	int64_t code;

	if (sk_TPM_POLICY_num(k->policy) != 1)
		return -EBADMSG;
	p = sk_TPM_POLICY_value(k->policy, 0);
	len = (size_t)ASN1_STRING_length(p->parameters);
	if (ASN1_INTEGER_get_int64(&code, p->code) != 1 || code != TPM2_CC_PolicyPCR ||
	    Tss2_MU_TPM2B_DIGEST_Unmarshal(ASN1_STRING_get0_data(p->parameters), len, &at,
					   &f->pcr_digest) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPML_PCR_SELECTION_Unmarshal(ASN1_STRING_get0_data(p->parameters), len, &at,
						 &selection) != TSS2_RC_SUCCESS ||
	    at != len)
		return -EBADMSG;
	return take_selection(&selection, f);
}

static int take_object(const TPM_KEY *k, struct boot_key_file *f)
{
	size_t public_len = (size_t)ASN1_STRING_length(k->public), at = 0;
	size_t private_len = (size_t)ASN1_STRING_length(k->private);

	if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(ASN1_STRING_get0_data(k->public), public_len, &at,
					   &f->public) != TSS2_RC_SUCCESS ||
	    at != public_len)
		return -EBADMSG;
	at = 0;
	if (Tss2_MU_TPM2B_PRIVATE_Unmarshal(ASN1_STRING_get0_data(k->private), private_len, &at,
					    &f->private) != TSS2_RC_SUCCESS ||
	    at != private_len)
		return -EBADMSG;
	return f->public.publicArea.type == TPM2_ALG_KEYEDHASH ? 0 : -EBADMSG;
}

/* "4=HEX" into the values. */
static int take_value(struct view v, struct boot_values *to)
{
	struct digest d = { .alg = to->alg, .size = (uint8_t)hash_size(to->alg) };
	struct reader r = reader_of(v);
	struct bytes raw = BYTES_INIT(DIGEST_MAX);
	unsigned int pcr = 0;
	struct view number;
	int e;

	if (read_until(&r, '=', &number) < 0 || number.len == 0 || number.len > 2)
		return -EBADMSG;
	for (size_t i = 0; i < number.len; i++) {
		if (number.data[i] < '0' || number.data[i] > '9')
			return -EBADMSG;
		pcr = pcr * 10 + (unsigned int)(number.data[i] - '0');
	}
	e = hex_decode((const char *)r.at, r.left, &raw);
	if (e == 0 && (raw.len != d.size || pcr >= BOOT_PCRS))
		e = -EBADMSG;
	if (e == 0) {
		memcpy(d.bytes, raw.data, d.size);
		to->pcr[pcr] = d;
		to->known |= 1u << pcr;
	}
	bytes_done(&raw);
	return e == -ENOMEM ? e : e < 0 ? -EBADMSG : 0;
}

/* What others describe in other words is left alone. */
static int take_description(const TPM_KEY *k, struct boot_key_file *f)
{
	struct boot_values expected = { .alg = f->bank };
	struct reader r;
	struct view v;
	int e = 0;

	if (!k->description)
		return 0;
	r = reader_of(view_of(ASN1_STRING_get0_data(k->description),
			      (size_t)ASN1_STRING_length(k->description)));
	if (read_until(&r, ':', &v) < 0 || !view_is(v, hash_name(f->bank)))
		return 0;
	while (r.left > 0 && e == 0) {
		e = read_until(&r, ',', &v);
		if (e == 0)
			e = take_value(v, &expected);
	}
	if (e == 0)
		f->expected = expected;
	return e == -ENOMEM ? e : 0;
}

static int take_key(const TPM_KEY *k, struct boot_key_file *ret, const char **ret_why)
{
	struct boot_key_file f = { 0 };
	uint64_t parent;
	int r;

	if (!is_sealed(k))
		return bad(ret_why, "it is a key of another kind, not sealed data");
	if (ASN1_INTEGER_get_uint64(&parent, k->parent) != 1 || parent != TPM2_RH_OWNER)
		return bad(ret_why, "its parent is not the owner hierarchy's SRK");
	if (take_policy(k, &f) < 0)
		return bad(ret_why, "its policy is not one TPM2_PolicyPCR of one bank");
	if (take_object(k, &f) < 0)
		return bad(ret_why, "its object is not sealed data of a TPM");
	r = take_description(k, &f);
	if (r == 0)
		*ret = f;
	return r;
}

/* DER of the first block of that name, and nothing behind it. */
static int parse_der(const uint8_t *der, long len, TPM_KEY **ret)
{
	const unsigned char *at = der;
	TPM_KEY *k;

	k = (TPM_KEY *)ASN1_item_d2i(NULL, &at, len, ASN1_ITEM_rptr(TPM_KEY));
	if (!k)
		return -EBADMSG;
	if (at != der + len) {
		key_free(&k);
		return -EBADMSG;
	}
	*ret = k;
	return 0;
}

int boot_key_file_parse(struct view text, struct boot_key_file *ret, const char **ret_why)
{
	CLEANUP(key_free) TPM_KEY *k = NULL;
	char *name = NULL, *header = NULL;
	uint8_t *der = NULL;
	long len = 0;
	BIO *in;
	int r;

	*ret_why = "out of memory";
	if (text.len > BOOT_KEY_FILE_MAX)
		return bad(ret_why, "it is too large for a key file");
	in = BIO_new_mem_buf(text.data, (int)text.len);
	if (!in)
		return -ENOMEM;
	r = PEM_read_bio(in, &name, &header, &der, &len) == 1 && strcmp(name, PEM_NAME) == 0
		    ? parse_der(der, len, &k)
		    : -EBADMSG;
	BIO_free(in);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	if (r < 0)
		return bad(ret_why, "it is not a TPM 2.0 key file (" PEM_NAME ")");
	return take_key(k, ret, ret_why);
}
