/* SPDX-License-Identifier: Apache-2.0 */
#include "tdx_quote.h"

#include <stddef.h>
#include <string.h>

#define VERSION_4		4
#define VERSION_5		5
#define KEY_ECDSA_P256		2
#define TEE_TDX			0x81
#define CERTIFICATION_QE_REPORT 6
#define CERTIFICATION_PCK_CHAIN 5
#define HEADER_SIZE		48
#define QE_REPORT_SIZE		384

static const uint8_t intel[16] = {
	0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
	0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
};

static const struct {
	uint16_t type;
	uint32_t size;
} bodies[] = {
	{ TDX_BODY_TD10, 584 },
	{ TDX_BODY_TD15, 648 },
	{ TDX_BODY_TD15_EXTENDED, 885 },
};

/* The fields of a body, in their order. */
static const struct {
	size_t size, member;
	uint16_t since;
} body_fields[] = {
	{ 16, offsetof(struct tdx_body, tee_tcb_svn), TDX_BODY_TD10 },
	{ 48, offsetof(struct tdx_body, mrseam), TDX_BODY_TD10 },
	{ 48, offsetof(struct tdx_body, mrsignerseam), TDX_BODY_TD10 },
	{ 8, offsetof(struct tdx_body, seam_attributes), TDX_BODY_TD10 },
	{ 8, offsetof(struct tdx_body, td_attributes), TDX_BODY_TD10 },
	{ 8, offsetof(struct tdx_body, xfam), TDX_BODY_TD10 },
	{ 48, offsetof(struct tdx_body, mrtd), TDX_BODY_TD10 },
	{ 48, offsetof(struct tdx_body, mrconfigid), TDX_BODY_TD10 },
	{ 48, offsetof(struct tdx_body, mrowner), TDX_BODY_TD10 },
	{ 48, offsetof(struct tdx_body, mrownerconfig), TDX_BODY_TD10 },
	{ 48, offsetof(struct tdx_body, rtmr[0]), TDX_BODY_TD10 },
	{ 48, offsetof(struct tdx_body, rtmr[1]), TDX_BODY_TD10 },
	{ 48, offsetof(struct tdx_body, rtmr[2]), TDX_BODY_TD10 },
	{ 48, offsetof(struct tdx_body, rtmr[3]), TDX_BODY_TD10 },
	{ 64, offsetof(struct tdx_body, report_data), TDX_BODY_TD10 },
	{ 16, offsetof(struct tdx_body, tee_tcb_svn_2), TDX_BODY_TD15 },
	{ 48, offsetof(struct tdx_body, mrservicetd), TDX_BODY_TD15 },
	{ 1, offsetof(struct tdx_body, vm_id), TDX_BODY_TD15_EXTENDED },
	{ 32, offsetof(struct tdx_body, td_id), TDX_BODY_TD15_EXTENDED },
	{ 48, offsetof(struct tdx_body, devinfo), TDX_BODY_TD15_EXTENDED },
	{ 48, offsetof(struct tdx_body, init_servtd_hash), TDX_BODY_TD15_EXTENDED },
	{ 8, offsetof(struct tdx_body, init_servtd_attributes), TDX_BODY_TD15_EXTENDED },
	{ 16, offsetof(struct tdx_body, init_cpusvn), TDX_BODY_TD15_EXTENDED },
	{ 16, offsetof(struct tdx_body, init_tee_tcb_svn), TDX_BODY_TD15_EXTENDED },
	{ 12, offsetof(struct tdx_body, init_tee_fmspc), TDX_BODY_TD15_EXTENDED },
	{ 48, offsetof(struct tdx_body, servtd_hash), TDX_BODY_TD15_EXTENDED },
	{ 8, offsetof(struct tdx_body, servtd_attributes), TDX_BODY_TD15_EXTENDED },
};

/* On its way through the quote: once something was not there, everything after is not either. */
struct walk {
	struct reader r;
	bool failed;
};

static struct view take(struct walk *w, size_t len)
{
	struct view v = { 0 };

	if (w->failed || read_view(&w->r, len, &v) < 0)
		w->failed = true;
	return v;
}

static uint16_t take_le16(struct walk *w)
{
	uint16_t v = 0;

	if (w->failed || read_le16(&w->r, &v) < 0)
		w->failed = true;
	return v;
}

static uint32_t take_le32(struct walk *w)
{
	uint32_t v = 0;

	if (w->failed || read_le32(&w->r, &v) < 0)
		w->failed = true;
	return v;
}

static const char *parse_header(struct walk *w, struct tdx_quote *q)
{
	uint16_t key;
	uint32_t tee;

	q->version = take_le16(w);
	key = take_le16(w);
	tee = take_le32(w);
	take(w, 4); /* reserved for TDX: not to be interpreted */
	q->qe_vendor = take(w, 16);
	q->user_data = take(w, 20);
	if (w->failed)
		return "it ends within its header";
	if (tee != TEE_TDX)
		return "it is not of a TD";
	if (q->version != VERSION_4 && q->version != VERSION_5)
		return "its version is neither 4 nor 5";
	if (key != KEY_ECDSA_P256)
		return "its attestation key is not ECDSA P-256";
	if (memcmp(q->qe_vendor.data, intel, sizeof(intel)) != 0)
		return "its quoting enclave is not Intel's";
	return NULL;
}

static const char *parse_body(struct walk *w, struct tdx_quote *q)
{
	uint16_t type = TDX_BODY_TD10;
	uint32_t size = 584;
	size_t i;

	if (q->version == VERSION_5) {
		type = take_le16(w);
		size = take_le32(w);
	}
	for (i = 0; i < ARRAY_LEN(bodies); i++) {
		if (bodies[i].type == type)
			break;
	}
	if (w->failed)
		return "it ends within its body's descriptor";
	if (i == ARRAY_LEN(bodies))
		return "its body is no TD report of a type that is known";
	if (bodies[i].size != size)
		return "its body's size is not that of its type";
	q->body.type = (enum tdx_body_type)type;
	for (i = 0; i < ARRAY_LEN(body_fields); i++) {
		if (body_fields[i].since <= type)
			*(struct view *)((char *)&q->body + body_fields[i].member) =
				take(w, body_fields[i].size);
	}
	return w->failed ? "it ends within its body" : NULL;
}

static void parse_qe_report(struct view whole, struct tdx_qe_report *ret)
{
	struct walk w = { .r = reader_of(whole) };

	ret->whole = whole;
	ret->cpusvn = take(&w, 16);
	ret->miscselect = take_le32(&w);
	take(&w, 28);
	ret->attributes = take(&w, 16);
	ret->mrenclave = take(&w, 32);
	take(&w, 32);
	ret->mrsigner = take(&w, 32);
	take(&w, 96);
	ret->isvprodid = take_le16(&w);
	ret->isvsvn = take_le16(&w);
	take(&w, 60);
	ret->report_data = take(&w, 64);
}

/* Certification data of type 6: the enclave's report, and within it how that is certified. */
static const char *parse_certification(struct view data, struct tdx_quote *q)
{
	struct walk w = { .r = reader_of(data) };
	struct view report;
	uint16_t type, auth;
	uint32_t size;

	report = take(&w, QE_REPORT_SIZE);
	q->qe_signature = take(&w, 64);
	auth = take_le16(&w);
	if (!w.failed && auth > TDX_AUTH_MAX)
		return "the enclave's authentication data are larger than any";
	q->qe_auth = take(&w, auth);
	type = take_le16(&w);
	size = take_le32(&w);
	if (w.failed)
		return "its certification data end too early";
	if (type != CERTIFICATION_PCK_CHAIN)
		return "it carries no PCK certificate chain (certification data of another type)";
	if (size > TDX_CHAIN_MAX)
		return "its PCK certificate chain is larger than any";
	q->chain = take(&w, size);
	if (w.failed || w.r.left > 0)
		return "the lengths in its certification data do not add up";
	parse_qe_report(report, &q->qe);
	return NULL;
}

static const char *parse_signature(struct walk *w, struct tdx_quote *q)
{
	uint32_t len = take_le32(w), size;
	struct walk in = { .r = reader_of(take(w, len)) };
	struct view data;
	uint16_t type;

	if (w->failed)
		return "its signature data end behind it";
	q->signature = take(&in, 64);
	q->key = take(&in, 64);
	type = take_le16(&in);
	size = take_le32(&in);
	data = take(&in, size);
	if (in.failed)
		return "its signature data end too early";
	if (type != CERTIFICATION_QE_REPORT)
		return "its certification data are not of the quoting enclave";
	if (in.r.left > 0)
		return "there are bytes behind its certification data";
	return parse_certification(data, q);
}

int tdx_quote_parse(struct view raw, struct tdx_quote *ret, const char **ret_why)
{
	struct walk w = { .r = reader_of(raw) };
	struct tdx_quote q = { 0 };
	const char *why;

	why = parse_header(&w, &q);
	if (!why)
		why = parse_body(&w, &q);
	if (!why) {
		q.signed_part = view_of(raw.data, raw.len - w.r.left);
		why = parse_signature(&w, &q);
	}
	if (why) {
		*ret_why = why;
		return -EBADMSG;
	}
	q.trailing = w.r.left;
	*ret = q;
	return 0;
}

bool tdx_quote_begins(struct view raw)
{
	struct walk w = { .r = reader_of(raw) };
	uint16_t version = take_le16(&w);
	uint32_t tee;

	take(&w, 2);
	tee = take_le32(&w);
	return !w.failed && raw.len >= HEADER_SIZE && version >= 3 && version < 16 &&
	       tee == TEE_TDX;
}

bool tdx_body_debug(const struct tdx_body *b)
{
	return b->td_attributes.data[0] & 1;
}
