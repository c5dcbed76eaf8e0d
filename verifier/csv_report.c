/* SPDX-License-Identifier: Apache-2.0 */
#include "csv_report.h"

#include <string.h>

#define USAGE_AT      180 /* sig_usage, sig_algo; masked in version 1 */
#define ANONCE_AT     188
#define V1_PEK_AT     336
#define V2_PEK_AT     1168
#define PEK_USAGE_AT  8 /* in the certificate */
#define MAGIC_SIZE    16
#define FLAG_EXTENDED 1u
#define RTMR_VERSION  1
#define V2_RESERVED_1 14
#define V2_RESERVED_2 656

static const char cut[] = "it is cut short";

static void unmask(uint8_t *bytes, size_t len, const uint8_t anonce[4])
{
	for (size_t i = 0; i < len; i++)
		bytes[i] ^= anonce[i % 4];
}

/* The word at an offset, XORed with mask. raw is long enough. */
static uint32_t word_at(struct view raw, size_t offset, uint32_t mask)
{
	struct reader in = reader_of(raw);
	struct view skipped;
	uint32_t word;

	if (read_view(&in, offset, &skipped) < 0 || read_le32(&in, &word) < 0)
		return 0;
	return word ^ mask;
}

static bool is_v1(struct view raw, bool *ret_restored)
{
	uint32_t anonce = word_at(raw, ANONCE_AT, 0);

	if (raw.len < CSV_REPORT_V1_SIZE || word_at(raw, USAGE_AT, anonce) != CSV_USAGE_PEK ||
	    word_at(raw, USAGE_AT + 4, anonce) != CSV_ALGORITHM_SM2_SIGN)
		return false;
	/* A nonce of zero masks nothing: it is as it came. */
	*ret_restored = anonce != 0 && word_at(raw, V1_PEK_AT + PEK_USAGE_AT, 0) == CSV_USAGE_PEK;
	return *ret_restored || word_at(raw, V1_PEK_AT + PEK_USAGE_AT, anonce) == CSV_USAGE_PEK;
}

static bool is_v2(struct view raw)
{
	return raw.len >= CSV_REPORT_V2_SIZE && word_at(raw, USAGE_AT, 0) == CSV_USAGE_PEK &&
	       word_at(raw, USAGE_AT + 4, 0) == CSV_ALGORITHM_SM2_SIGN &&
	       word_at(raw, V2_PEK_AT + PEK_USAGE_AT, 0) == CSV_USAGE_PEK;
}

/*
 * Takes a guest library's wrapper off. *ret_version: 1 or 2, as it says, or 0 where there is no
 * wrapper. NULL, or why it is none.
 */
static const char *unwrap(struct view raw, struct view *ret, uint32_t *ret_version)
{
	static const uint8_t legacy[MAGIC_SIZE], extended[MAGIC_SIZE] = "ATTESTATION_EXT";
	struct reader in = reader_of(raw);
	struct view magic;
	uint32_t flags;

	*ret = raw;
	*ret_version = 0;
	if (raw.len != CSV_WRAPPED_SIZE)
		return NULL;
	if (read_view(&in, MAGIC_SIZE, &magic) < 0 || read_le32(&in, &flags) < 0 ||
	    read_view(&in, CSV_PAGE_SIZE, ret) < 0)
		return cut;
	if (view_equal(magic, view_of(legacy, MAGIC_SIZE)))
		*ret_version = 1;
	else if (view_equal(magic, view_of(extended, MAGIC_SIZE)) && flags <= FLAG_EXTENDED)
		*ret_version = flags == FLAG_EXTENDED ? 2 : 1;
	else
		return "its wrapper has a magic or flags that are not known";
	return NULL;
}

static bool has_a_size(struct view raw)
{
	return raw.len == CSV_REPORT_V1_SIZE || raw.len == CSV_REPORT_V2_SIZE ||
	       raw.len == CSV_PAGE_SIZE || raw.len == CSV_WRAPPED_SIZE;
}

bool csv_report_begins(struct view raw)
{
	uint32_t version;
	bool restored;

	return has_a_size(raw) && !unwrap(raw, &raw, &version) &&
	       (is_v1(raw, &restored) || is_v2(raw));
}

/* Bytes 0 to 187: the same in both versions, but for the mask. */
static const char *read_head(struct reader *in, struct csv_report *p)
{
	uint8_t policy[4];
	struct reader word;
	struct view usages;

	if (read_copy(in, p->user_public_key_digest, sizeof(p->user_public_key_digest)) < 0 ||
	    read_copy(in, p->vm_id, sizeof(p->vm_id)) < 0 ||
	    read_copy(in, p->vm_version, sizeof(p->vm_version)) < 0 ||
	    read_copy(in, p->report_data, sizeof(p->report_data)) < 0 ||
	    read_copy(in, p->mnonce, sizeof(p->mnonce)) < 0 ||
	    read_copy(in, p->measurement, sizeof(p->measurement)) < 0 ||
	    read_copy(in, policy, sizeof(policy)) < 0 || read_view(in, 8, &usages) < 0)
		return cut;
	/* All these fields begin at multiples of four, and so does the mask. */
	unmask(p->user_public_key_digest, sizeof(p->user_public_key_digest), p->anonce);
	unmask(p->vm_id, sizeof(p->vm_id), p->anonce);
	unmask(p->vm_version, sizeof(p->vm_version), p->anonce);
	unmask(p->report_data, sizeof(p->report_data), p->anonce);
	unmask(p->mnonce, sizeof(p->mnonce), p->anonce);
	unmask(p->measurement, sizeof(p->measurement), p->anonce);
	unmask(policy, sizeof(policy), p->anonce);
	word = reader_of(view_of(policy, sizeof(policy)));
	return read_le32(&word, &p->policy) < 0 ? cut : NULL;
}

static const char *read_signature(struct reader *in, struct csv_report *p)
{
	const char *why = csv_read_number(in, p->signature.r);

	return why ? why : csv_read_number(in, p->signature.s);
}

static bool all_zero(struct view v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.data[i])
			return false;
	}
	return true;
}

static const char *read_signer(struct reader *in, struct csv_report *p)
{
	struct view reserved;
	struct reader covered = *in;

	if (read_view(&covered, CSV_MAC_COVERED_SIZE, &p->mac_covered) < 0 ||
	    read_copy(in, p->pek_bytes, sizeof(p->pek_bytes)) < 0 ||
	    read_copy(in, p->serial, sizeof(p->serial)) < 0 || read_view(in, 32, &reserved) < 0 ||
	    read_copy(in, p->mac, sizeof(p->mac)) < 0)
		return cut;
	p->mac_spoilt = p->restored || (p->version == 2 && all_zero(reserved));
	if (!p->restored) {
		unmask(p->pek_bytes, sizeof(p->pek_bytes), p->anonce);
		unmask(p->serial, sizeof(p->serial), p->anonce);
	}
	return NULL;
}

static const char *read_v1(struct view raw, struct csv_report *p)
{
	struct reader in = reader_of(raw), anonce = in;
	struct view skipped;
	const char *why;

	if (read_view(&anonce, ANONCE_AT, &skipped) < 0 ||
	    read_copy(&anonce, p->anonce, sizeof(p->anonce)) < 0)
		return cut;
	why = read_head(&in, p);
	if (why)
		return why;
	if (read_view(&in, sizeof(p->anonce), &skipped) < 0)
		return cut;
	p->signed_part = view_of(raw.data, CSV_V1_SIGNED_SIZE);
	why = read_signature(&in, p);
	return why ? why : read_signer(&in, p);
}

static const char *read_rtmrs(struct reader *in, struct csv_report *p)
{
	struct view reserved;

	if (read_le32(in, &p->build) < 0 || read_le16(in, &p->rtmr_version) < 0 ||
	    read_view(in, V2_RESERVED_1, &reserved) < 0)
		return cut;
	if (!all_zero(reserved))
		return "reserved bytes before its registers are set";
	if (p->rtmr_version > RTMR_VERSION)
		return "the version of its registers is not known";
	for (size_t i = 0; i < CSV_RTMRS; i++) {
		if (read_copy(in, p->rtmr[i], CSV_DIGEST_SIZE) < 0)
			return cut;
	}
	if (read_view(in, V2_RESERVED_2, &reserved) < 0)
		return cut;
	if (!all_zero(reserved))
		return "reserved bytes before the signature are set";
	if (p->rtmr_version && memcmp(p->rtmr[0], p->measurement, CSV_DIGEST_SIZE) != 0)
		return "its register 0 is not its measurement";
	return NULL;
}

static const char *read_v2(struct view raw, struct csv_report *p)
{
	struct reader in = reader_of(raw);
	const char *why;

	why = read_head(&in, p);
	if (!why)
		why = read_rtmrs(&in, p);
	if (why)
		return why;
	p->signed_part = view_of(raw.data, CSV_V2_SIGNED_SIZE);
	why = read_signature(&in, p);
	return why ? why : read_signer(&in, p);
}

int csv_report_parse(struct view raw, struct csv_report *ret, const char **ret_why)
{
	struct csv_report p = { 0 };
	uint32_t version = 0;
	const char *why;
	bool v1, v2;

	why = has_a_size(raw) ? unwrap(raw, &raw, &version)
			      : "its size is not 2548, 3380, 4096 or 4116 bytes";
	v1 = !why && version != 2 && is_v1(raw, &p.restored);
	v2 = !why && version != 1 && !v1 && is_v2(raw);
	if (!why && !v1 && !v2)
		why = "it does not say that a PEK signed it with SM2, in a version that is known";
	p.version = v2 ? 2 : 1;
	if (!why)
		why = v2 ? read_v2(raw, &p) : read_v1(raw, &p);
	if (why) {
		*ret_why = why;
		return -EBADMSG;
	}
	*ret = p;
	return 0;
}

int csv_report_pek(const struct csv_report *report, struct csv_certificate *ret,
		   const char **ret_why)
{
	struct csv_certificate c;
	int r;

	r = csv_certificate_parse(view_of(report->pek_bytes, sizeof(report->pek_bytes)), &c,
				  ret_why);
	if (r < 0)
		return r;
	if (c.usage != CSV_USAGE_PEK) {
		*ret_why = "the certificate inside is not of a PEK";
		return -EBADMSG;
	}
	*ret = c;
	return 0;
}

struct view csv_report_serial(const struct csv_report *report)
{
	size_t len = 0;

	while (len < CSV_SERIAL_SIZE && report->serial[len] > 0x20 && report->serial[len] < 0x7f)
		len++;
	if (!all_zero(view_of(report->serial + len, CSV_SERIAL_SIZE - len)))
		len = 0;
	return view_of(report->serial, len);
}
