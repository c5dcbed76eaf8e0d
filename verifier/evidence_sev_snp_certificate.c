/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_sev_snp_certificate.h"

#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>

#define OID_MAX		64
#define COMMON_NAME_MAX 64
#define ASN1_INT	0x02
#define ASN1_OCTETS	0x04
#define ASN1_IA5	0x16

#define HEAD "1.3.6.1.4.1.3704.1."

static const char vcek_name[] = "SEV-VCEK", vlek_name[] = "SEV-VLEK";

/* The one common name of a subject or an issuer; empty: none, several, or an odd one. */
static void common_name(const X509_NAME *name, char to[COMMON_NAME_MAX])
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	const ASN1_STRING *text;
	int len;

	to[0] = '\0';
	if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
		return;
	text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	len = ASN1_STRING_length(text);
	if (len <= 0 || len >= COMMON_NAME_MAX ||
	    memchr(ASN1_STRING_get0_data(text), 0, (size_t)len))
		return;
	memcpy(to, ASN1_STRING_get0_data(text), (size_t)len);
	to[len] = '\0';
}

bool snp_certificate_claims_to_be_one(const X509 *x)
{
	char name[COMMON_NAME_MAX];

	common_name(X509_get_subject_name(x), name);
	return strcmp(name, vcek_name) == 0 || strcmp(name, vlek_name) == 0;
}

/* The content of one short DER value of that tag, and nothing behind it. */
static int content(struct view der, uint8_t tag, struct view *ret)
{
	struct reader in = reader_of(der);
	uint8_t seen, len;

	if (read_u8(&in, &seen) < 0 || read_u8(&in, &len) < 0)
		return -EBADMSG;
	/* Nothing that AMD writes here needs the long form, which DER allows from 128 on. */
	if (seen != tag || len >= 128 || in.left != len)
		return -EBADMSG;
	return read_view(&in, len, ret);
}

/* INTEGER from 0 to 255 in its only encoding. */
static int small_integer(struct view der, uint8_t *ret)
{
	struct view v;

	if (content(der, ASN1_INT, &v) < 0)
		return -EBADMSG;
	if (v.len == 1 && v.data[0] < 0x80)
		*ret = v.data[0];
	else if (v.len == 2 && v.data[0] == 0 && v.data[1] >= 0x80)
		*ret = v.data[1];
	else
		return -EBADMSG;
	return 0;
}

static int text(struct view der, char *to, size_t size)
{
	struct view v;

	if (content(der, ASN1_IA5, &v) < 0 || v.len == 0 || v.len >= size)
		return -EBADMSG;
	for (size_t i = 0; i < v.len; i++) {
		if (v.data[i] < 0x20 || v.data[i] > 0x7e)
			return -EBADMSG;
	}
	memcpy(to, v.data, v.len);
	to[v.len] = '\0';
	return 0;
}

static int take_struct_version(struct view der, unsigned int arc, struct snp_certificate *c)
{
	uint8_t version;

	/* 0 up to Genoa, 1 since Turin. */
	return small_integer(der, &version) < 0 || version > 1 ? -EBADMSG : 0;
}

static int take_product_name(struct view der, unsigned int arc, struct snp_certificate *c)
{
	return text(der, c->product_name, sizeof(c->product_name));
}

static int take_spl(struct view der, unsigned int arc, struct snp_certificate *c)
{
	c->spls_there |= (uint16_t)(1u << arc);
	return small_integer(der, &c->spl[arc]);
}

/* 8 or 64 bytes as they are, or in an OCTET STRING, by the age of the certificate. */
static int take_hwid(struct view der, unsigned int arc, struct snp_certificate *c)
{
	struct view v = der;

	if (v.len != 8 && v.len != SNP_CHIP_ID_SIZE && content(der, ASN1_OCTETS, &v) < 0)
		return -EBADMSG;
	if (v.len != 8 && v.len != SNP_CHIP_ID_SIZE)
		return -EBADMSG;
	memcpy(c->hwid, v.data, v.len);
	c->hwid_len = v.len;
	return 0;
}

static int take_csp(struct view der, unsigned int arc, struct snp_certificate *c)
{
	return text(der, c->csp, sizeof(c->csp));
}

/* Every extension that is known, by what follows HEAD. */
static const struct {
	const char *oid;
	unsigned int arc;
	int (*take)(struct view der, unsigned int arc, struct snp_certificate *c);
	const char *fault;
} extensions[] = {
	{ HEAD "1", 0, take_struct_version, "its structure version is not 0 or 1" },
	{ HEAD "2", 0, take_product_name, "its product name is no short text" },
	{ HEAD "3.1", 1, take_spl, "its boot loader SPL is not a number from 0 to 255" },
	{ HEAD "3.2", 2, take_spl, "its TEE SPL is not a number from 0 to 255" },
	{ HEAD "3.3", 3, take_spl, "its SNP SPL is not a number from 0 to 255" },
	{ HEAD "3.4", 4, take_spl, "a reserved SPL is not a number from 0 to 255" },
	{ HEAD "3.5", 5, take_spl, "a reserved SPL is not a number from 0 to 255" },
	{ HEAD "3.6", 6, take_spl, "a reserved SPL is not a number from 0 to 255" },
	{ HEAD "3.7", 7, take_spl, "a reserved SPL is not a number from 0 to 255" },
	{ HEAD "3.8", 8, take_spl, "its microcode SPL is not a number from 0 to 255" },
	{ HEAD "3.9", 9, take_spl, "its FMC SPL is not a number from 0 to 255" },
	{ HEAD "4", 0, take_hwid, "its hardware id is not of 8 or 64 bytes" },
	{ HEAD "5", 0, take_csp, "its CSP id is no short text" },
};

static const char *take_extension(X509_EXTENSION *e, uint32_t *taken, struct snp_certificate *c)
{
	const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(e);
	struct view der = view_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
	char oid[OID_MAX];
	int len;

	len = OBJ_obj2txt(oid, sizeof(oid), X509_EXTENSION_get_object(e), 1);
	if (len <= 0 || len >= (int)sizeof(oid))
		return NULL; /* none of AMD's, and what is critical the chain refuses */
	for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
		if (strcmp(oid, extensions[i].oid) != 0)
			continue;
		if (*taken >> i & 1)
			return "an extension of AMD's stands there twice";
		*taken |= 1u << i;
		return extensions[i].take(der, extensions[i].arc, c) < 0 ? extensions[i].fault
									 : NULL;
	}
	return NULL;
}

/* Which product's, and which kind of key, by who issued it; the extensions must agree. */
static const char *identify(const X509 *x, struct snp_certificate *c)
{
	char subject[COMMON_NAME_MAX], issuer[COMMON_NAME_MAX];
	const struct snp_product *named;

	common_name(X509_get_subject_name(x), subject);
	common_name(X509_get_issuer_name(x), issuer);
	c->product = snp_product_of_issuer(issuer, &c->vlek);
	if (!c->product)
		return "its issuer is not the ASK or ASVK of Milan, Genoa or Turin";
	if (strcmp(subject, c->vlek ? vlek_name : vcek_name) != 0)
		return "its name is not that of a key that its issuer signs";
	named = snp_product_named(c->product_name);
	if (named != c->product)
		return "its product name is not that of its issuer";
	return NULL;
}

static const char *complete(const struct snp_certificate *c)
{
	for (size_t i = 0; i < SNP_TCB_SIZE; i++) {
		if (!(c->spls_there >> c->product->tcb[i].extension & 1))
			return "it does not state every component of its TCB";
	}
	if (!c->vlek && c->hwid_len != c->product->hwid_size)
		return "its hardware id is not that of a chip of its product";
	if (c->vlek && c->hwid_len != 0)
		return "it is of a provider's key, but names a chip";
	if (c->vlek && c->csp[0] == '\0')
		return "it does not say whose key it is";
	return NULL;
}

static const char *check_key(const X509 *x)
{
	const EVP_PKEY *key = X509_get0_pubkey(x);
	char group[32];
	size_t len;

	if (!key || !EVP_PKEY_is_a(key, "EC") ||
	    EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1 ||
	    strcmp(group, "secp384r1") != 0)
		return "its key is not of P-384";
	return NULL;
}

int snp_certificate_parse(const X509 *x, struct snp_certificate *ret, const char **ret_why)
{
	struct snp_certificate c = { 0 };
	const char *why = NULL;
	uint32_t taken = 0;

	for (int i = 0; !why && i < X509_get_ext_count(x); i++)
		why = take_extension(X509_get_ext(x, i), &taken, &c);
	if (!why)
		why = identify(x, &c);
	if (!why)
		why = complete(&c);
	if (!why)
		why = check_key(x);
	if (why) {
		*ret_why = why;
		return -EBADMSG;
	}
	*ret = c;
	return 0;
}
