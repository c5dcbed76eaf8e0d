/* SPDX-License-Identifier: Apache-2.0 */
#include "tdx_pck.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/objects.h>

#include "der.h"

#define EXTENSION     "1.2.840.113741.1.13.1"
#define MEMBERS	      16 /* of the extension, at most */
#define NAME_MAX_READ 128

/* The extension's OID, which all of its members' begin with. */
static const uint8_t oid[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01 };

enum member {
	PPID = 1,
	TCB,
	PCEID,
	FMSPC,
	TCB_PCESVN = 17,
	TCB_CPUSVN,
	TCB_MEMBERS = TCB_CPUSVN,
};

/* Past one SEQUENCE { OID, value }: the OID's arc below prefix, and the value. */
static int next_member(struct reader *r, const uint8_t *prefix, size_t len, uint8_t *ret_arc,
		       struct der *ret)
{
	struct der pair, id, value;
	struct reader in;
	int e;

	e = der_next(r, &pair);
	if (e < 0 || pair.tag != DER_SEQUENCE)
		return -EBADMSG;
	in = reader_of(pair.content);
	if (der_next(&in, &id) < 0 || der_next(&in, &value) < 0 || in.left > 0 ||
	    id.tag != DER_OID || id.content.len != len + 1 ||
	    memcmp(id.content.data, prefix, len) != 0)
		return -EBADMSG;
	*ret_arc = id.content.data[len];
	*ret = value;
	return 0;
}

static int read_number(const struct der *value, uint16_t max, uint16_t *ret)
{
	uint64_t n;

	if (der_unsigned(value, &n) < 0 || n > max)
		return -EBADMSG;
	*ret = (uint16_t)n;
	return 0;
}

static int read_octets(const struct der *value, void *to, size_t size)
{
	if (value->tag != DER_OCTET_STRING || value->content.len != size)
		return -EBADMSG;
	memcpy(to, value->content.data, size);
	return 0;
}

static int read_tcb_member(uint8_t arc, const struct der *value, struct tdx_pck *p)
{
	uint8_t cpusvn[16];
	uint16_t n = 0;
	int e;

	if (arc == TCB_CPUSVN)
		return read_octets(value, cpusvn, sizeof(cpusvn));
	if (arc == TCB_PCESVN)
		return read_number(value, UINT16_MAX, &p->pcesvn);
	e = read_number(value, UINT8_MAX, &n);
	p->svn[arc - 1] = (uint8_t)n;
	return e;
}

static int read_tcb(const struct der *tcb, struct tdx_pck *p)
{
	uint8_t prefix[sizeof(oid) + 1], arc;
	struct reader r = reader_of(tcb->content);
	uint32_t seen = 0;
	struct der value;
	int e;

	if (tcb->tag != DER_SEQUENCE)
		return -EBADMSG;
	memcpy(prefix, oid, sizeof(oid));
	prefix[sizeof(oid)] = TCB;
	while (r.left > 0) {
		e = next_member(&r, prefix, sizeof(prefix), &arc, &value);
		if (e < 0 || arc < 1 || arc > TCB_MEMBERS || (seen >> arc & 1))
			return -EBADMSG;
		seen |= 1u << arc;
		e = read_tcb_member(arc, &value, p);
		if (e < 0)
			return e;
	}
	/* All of them: 1 to 18. */
	return seen == ((1u << (TCB_MEMBERS + 1)) - 2) ? 0 : -EBADMSG;
}

static int read_extension(struct view content, struct tdx_pck *p)
{
	const uint32_t needed = 1u << PPID | 1u << TCB | 1u << PCEID | 1u << FMSPC;
	struct reader r = reader_of(content);
	struct der sequence, value;
	uint32_t seen = 0;
	uint8_t arc;
	int e;

	if (der_next(&r, &sequence) < 0 || r.left > 0 || sequence.tag != DER_SEQUENCE)
		return -EBADMSG;
	r = reader_of(sequence.content);
	while (r.left > 0) {
		e = next_member(&r, oid, sizeof(oid), &arc, &value);
		if (e < 0 || arc < 1 || arc > MEMBERS || (seen >> arc & 1))
			return -EBADMSG;
		seen |= 1u << arc;
		if (arc == PPID)
			e = read_octets(&value, p->ppid, sizeof(p->ppid));
		else if (arc == TCB)
			e = read_tcb(&value, p);
		else if (arc == PCEID)
			e = read_octets(&value, p->pceid, sizeof(p->pceid));
		else if (arc == FMSPC)
			e = read_octets(&value, p->fmspc, sizeof(p->fmspc));
		if (e < 0)
			return e;
	}
	return (seen & needed) == needed ? 0 : -EBADMSG;
}

int tdx_pck_read(const X509 *x, struct tdx_pck *ret)
{
	ASN1_OBJECT *wanted = OBJ_txt2obj(EXTENSION, 1);
	const ASN1_OCTET_STRING *content;
	struct tdx_pck p = { 0 };
	int at, r;

	if (!wanted)
		return -ENOMEM;
	at = X509_get_ext_by_OBJ(x, wanted, -1);
	r = at < 0 || X509_get_ext_by_OBJ(x, wanted, at) >= 0 ? -EBADMSG : 0;
	ASN1_OBJECT_free(wanted);
	if (r < 0)
		return r;
	content = X509_EXTENSION_get_data(X509_get_ext(x, at));
	r = read_extension(
		view_of(ASN1_STRING_get0_data(content), (size_t)ASN1_STRING_length(content)), &p);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

static bool name_contains(const X509_NAME *name, const char *const *texts)
{
	char cn[NAME_MAX_READ];

	if (X509_NAME_get_text_by_NID((X509_NAME *)name, NID_commonName, cn, sizeof(cn)) < 0)
		return false;
	for (; *texts; texts++) {
		if (strstr(cn, *texts))
			return true;
	}
	return false;
}

bool tdx_pck_named(const X509 *x)
{
	static const char *const subjects[] = { "SGX PCK Certificate", NULL };
	static const char *const issuers[] = { "Intel SGX PCK Platform CA",
					       "Intel SGX PCK Processor CA", NULL };

	return name_contains(X509_get_subject_name(x), subjects) &&
	       name_contains(X509_get_issuer_name(x), issuers);
}
