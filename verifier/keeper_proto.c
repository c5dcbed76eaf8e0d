/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper_proto.h"

#include <stddef.h>
#include <string.h>

#include "evidence.h"
#include "mi.h"

#define EK_CHAIN_ROOM (64 * 1024)
#define REASONS_MAX   (APPRAISAL_REASONS_MAX * sizeof(struct reason))
#define SEALED_MAX                                                                                 \
	(POLICY_SECRETS_MAX * (sizeof(struct keeper_sealed) + SECRET_MAX + HPKE_TAG_SIZE))
#define MEASUREMENTS_MAX (24 * 1024 * 1024)
#define REPORT_MAX	 (8 * 1024 * 1024)

/* Every message there is. What is not in the table is not a message. */
static const struct keeper_shape shapes[] = {
	[KEEPER_HELLO] = { "hello", sizeof(struct keeper_hello), 0, { 0 } },
	[KEEPER_BYE] = { "bye", sizeof(struct keeper_bye), 0, { 0 } },
	[KEEPER_ENROL] = { "enrol",
			   sizeof(struct keeper_enrol),
			   4,
			   { 4096, 4096, 16384, EK_CHAIN_ROOM } },
	[KEEPER_NONCE] = { "nonce", sizeof(struct keeper_nonce), 0, { 0 } },
	[KEEPER_PREPARE] = { "prepare",
			     sizeof(struct keeper_prepare),
			     1,
			     { KEEPER_MEASUREMENTS * KEEPER_DIGEST_SIZE } },
	[KEEPER_JUDGE] = { "judge",
			   sizeof(struct keeper_judge),
			   5,
			   { REPORT_MAX, MEASUREMENTS_MAX, REASONS_MAX,
			     KEEPER_ENTRIES *KEEPER_DIGEST_SIZE, KEEPER_MEASUREMENTS * 8 } },
	[KEEPER_RECEIPT] = { "receipt", sizeof(struct keeper_receipt), 0, { 0 } },
	[KEEPER_REFUSAL] = { "refusal", sizeof(struct keeper_refusal), 0, { 0 } },
	[KEEPER_ALIVE] = { "alive", 0, 0, { 0 } },
	[KEEPER_DONE] = { "done", 0, 0, { 0 } },
	[KEEPER_FAILED] = { "failed", sizeof(struct keeper_failed), 0, { 0 } },
	[KEEPER_HELLO_ANSWER] = { "hello answer",
				  sizeof(struct keeper_hello_answer),
				  4,
				  { 4096, 4096, 16384, EK_CHAIN_ROOM } },
	[KEEPER_NONCE_ANSWER] = { "nonce answer", sizeof(struct keeper_nonce_answer), 0, { 0 } },
	[KEEPER_PREPARE_ANSWER] = { "prepare answer",
				    sizeof(struct keeper_prepare_answer),
				    2,
				    { MI_MAX, KEEPER_MEASUREMENTS * 8 } },
	[KEEPER_JUDGE_ANSWER] = { "judge answer",
				  sizeof(struct keeper_judge_answer),
				  2,
				  { REASONS_MAX, SEALED_MAX } },
	[KEEPER_DEMAND] = { "demand", sizeof(struct keeper_demand), 0, { 0 } },
	[KEEPER_END] = { "end", sizeof(struct keeper_demand), 0, { 0 } },
	[KEEPER_STORE_BEGIN] = { "store begin", 0, 0, { 0 } },
	[KEEPER_STORE_FILE] = { "store file",
				sizeof(struct keeper_store_file),
				1,
				{ KEEPER_FILE_MAX } },
	[KEEPER_STORE_BUNDLE] = { "store bundle", 0, 1, { KEEPER_FILE_MAX } },
	[KEEPER_STORE_END] = { "store end", sizeof(struct keeper_store_end), 0, { 0 } },
};

/* Text fields, which must end within themselves. */
static const struct {
	uint32_t type;
	size_t at, size, n;
} text_fields[] = {
#define TEXT(type, s, f)                                                                           \
	{                                                                                          \
		type, offsetof(struct s, f), sizeof(((struct s *)0)->f), 1                         \
	}
	TEXT(KEEPER_HELLO, keeper_hello, platform),
	TEXT(KEEPER_HELLO, keeper_hello, peer),
	TEXT(KEEPER_HELLO, keeper_hello, software),
	{ KEEPER_HELLO, offsetof(struct keeper_hello, applications), KEEPER_NAME_MAX,
	  KEEPER_APPLICATIONS },
	TEXT(KEEPER_BYE, keeper_bye, why),
	TEXT(KEEPER_ENROL, keeper_enrol, why),
	TEXT(KEEPER_NONCE, keeper_nonce, application),
	TEXT(KEEPER_NONCE, keeper_nonce, reason),
	TEXT(KEEPER_NONCE_ANSWER, keeper_nonce_answer, application),
	TEXT(KEEPER_NONCE_ANSWER, keeper_nonce_answer, reason),
	TEXT(KEEPER_PREPARE, keeper_prepare, application),
	TEXT(KEEPER_JUDGE, keeper_judge, application),
	TEXT(KEEPER_RECEIPT, keeper_receipt, application),
	TEXT(KEEPER_RECEIPT, keeper_receipt, secret),
	TEXT(KEEPER_RECEIPT, keeper_receipt, how),
	TEXT(KEEPER_REFUSAL, keeper_refusal, peer),
	TEXT(KEEPER_REFUSAL, keeper_refusal, rule),
	TEXT(KEEPER_REFUSAL, keeper_refusal, why),
	TEXT(KEEPER_FAILED, keeper_failed, why),
	TEXT(KEEPER_DEMAND, keeper_demand, application),
	TEXT(KEEPER_DEMAND, keeper_demand, reason),
	TEXT(KEEPER_END, keeper_demand, application),
	TEXT(KEEPER_END, keeper_demand, reason),
	TEXT(KEEPER_STORE_FILE, keeper_store_file, name),
#undef TEXT
};

/* Numbers with a maximum that is not their type's: lengths of arrays, and flags. */
static const struct {
	uint32_t type;
	size_t at, size;
	uint32_t max;
} number_fields[] = {
#define NUMBER(type, s, f, max)                                                                    \
	{                                                                                          \
		type, offsetof(struct s, f), sizeof(((struct s *)0)->f), max                       \
	}
	NUMBER(KEEPER_HELLO, keeper_hello, insecure, 1),
	NUMBER(KEEPER_HELLO, keeper_hello, key_name_len, KEEPER_KEY_NAME_MAX),
	NUMBER(KEEPER_HELLO, keeper_hello, n_applications, KEEPER_APPLICATIONS),
	NUMBER(KEEPER_ENROL, keeper_enrol, accepted, 1),
	NUMBER(KEEPER_NONCE, keeper_nonce, stage, STAGE_MAX),
	NUMBER(KEEPER_NONCE, keeper_nonce, demand, 1),
	NUMBER(KEEPER_JUDGE, keeper_judge, measurement_good, 1),
	NUMBER(KEEPER_JUDGE, keeper_judge, signature_good, 1),
	NUMBER(KEEPER_JUDGE, keeper_judge, channel_good, 1),
	NUMBER(KEEPER_JUDGE, keeper_judge, seen_before, 1),
	NUMBER(KEEPER_JUDGE, keeper_judge, has_nonce, 1),
	NUMBER(KEEPER_JUDGE, keeper_judge, has_channel_key, 1),
	NUMBER(KEEPER_JUDGE, keeper_judge, chain_good, 1),
	NUMBER(KEEPER_JUDGE, keeper_judge, runtime_good, 1),
	NUMBER(KEEPER_JUDGE, keeper_judge, runtime_register, EVIDENCE_PCRS - 1),
	NUMBER(KEEPER_RECEIPT, keeper_receipt, stage, STAGE_MAX),
	NUMBER(KEEPER_DEMAND, keeper_demand, key_name_len, KEEPER_KEY_NAME_MAX),
	NUMBER(KEEPER_END, keeper_demand, key_name_len, KEEPER_KEY_NAME_MAX),
	NUMBER(KEEPER_STORE_END, keeper_store_end, complete, 1),
#undef NUMBER
};

const struct keeper_shape *keeper_shape(uint32_t type)
{
	return type < ARRAY_LEN(shapes) && shapes[type].name ? &shapes[type] : NULL;
}

size_t keeper_len_max(const struct keeper_shape *shape)
{
	size_t len = shape->size;

	for (size_t i = 0; i < shape->n_blobs; i++)
		len += sizeof(uint32_t) + shape->blob_max[i];
	return len;
}

static bool fields_fit(uint32_t type, const uint8_t *fixed)
{
	for (size_t i = 0; i < ARRAY_LEN(text_fields); i++) {
		if (text_fields[i].type != type)
			continue;
		for (size_t k = 0; k < text_fields[i].n; k++) {
			if (!memchr(fixed + text_fields[i].at + k * text_fields[i].size, 0,
				    text_fields[i].size))
				return false;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(number_fields); i++) {
		uint32_t n = 0;

		if (number_fields[i].type != type)
			continue;
		if (number_fields[i].size == 1)
			n = fixed[number_fields[i].at];
		else
			memcpy(&n, fixed + number_fields[i].at, sizeof(n));
		if (n > number_fields[i].max)
			return false;
	}
	return true;
}

int keeper_parse(uint32_t type, struct view body, void *ret, struct view ret_blobs[KEEPER_BLOBS])
{
	const struct keeper_shape *shape = keeper_shape(type);
	struct reader in = reader_of(body);
	struct view fixed;
	uint32_t len;
	int r;

	if (!shape)
		return -EBADMSG;
	r = read_view(&in, shape->size, &fixed);
	if (r < 0)
		return r;
	for (size_t i = 0; i < shape->n_blobs; i++) {
		r = read_copy(&in, &len, sizeof(len));
		if (r < 0)
			return r;
		if (len > shape->blob_max[i])
			return -EBADMSG;
		r = read_view(&in, len, &ret_blobs[i]);
		if (r < 0)
			return r;
	}
	if (in.left > 0 || !fields_fit(type, fixed.data))
		return -EBADMSG;
	if (shape->size > 0)
		memcpy(ret, fixed.data, shape->size);
	return 0;
}

int keeper_write(struct bytes *to, uint32_t type, const void *fixed, const struct view *blobs)
{
	const struct keeper_shape *shape = keeper_shape(type);
	struct keeper_header header = { .type = type };
	size_t len = shape->size;
	int r;

	for (size_t i = 0; i < shape->n_blobs; i++) {
		if (blobs[i].len > shape->blob_max[i])
			return -EMSGSIZE;
		len += sizeof(uint32_t) + blobs[i].len;
	}
	header.len = (uint32_t)len;
	r = bytes_append(to, &header, sizeof(header));
	if (r == 0)
		r = bytes_append(to, fixed, shape->size);
	for (size_t i = 0; r == 0 && i < shape->n_blobs; i++) {
		uint32_t n = (uint32_t)blobs[i].len;

		r = bytes_append(to, &n, sizeof(n));
		if (r == 0)
			r = bytes_append_view(to, blobs[i]);
	}
	return r;
}

int keeper_next_measurement(struct reader *r, struct keeper_measurement *ret,
			    struct view *ret_claims, struct view *ret_mi)
{
	struct keeper_measurement m;
	int e;

	e = read_copy(r, &m, sizeof(m));
	if (e < 0)
		return e;
	if (m.claims_len > CLAIMS_MAX || m.stage > STAGE_MAX || m.kind < 1 || m.kind > 2)
		return -EBADMSG;
	e = read_view(r, m.claims_len, ret_claims);
	if (e == 0)
		e = read_view(r, m.mi_len, ret_mi);
	if (e < 0)
		return e;
	*ret = m;
	return 0;
}

int keeper_add_measurement(struct bytes *to, const struct keeper_measurement *m, struct view claims,
			   struct view mi)
{
	struct keeper_measurement copy = *m;
	int r;

	copy.claims_len = (uint32_t)claims.len;
	copy.mi_len = (uint32_t)mi.len;
	r = bytes_append(to, &copy, sizeof(copy));
	if (r == 0)
		r = bytes_append_view(to, claims);
	if (r == 0)
		r = bytes_append_view(to, mi);
	return r;
}

int keeper_next_sealed(struct reader *r, struct keeper_sealed *ret, struct view *ret_sealed)
{
	struct keeper_sealed s;
	int e;

	e = read_copy(r, &s, sizeof(s));
	if (e < 0)
		return e;
	if (!memchr(s.name, 0, sizeof(s.name)))
		return -EBADMSG;
	e = read_view(r, s.len, ret_sealed);
	if (e < 0)
		return e;
	*ret = s;
	return 0;
}

int keeper_add_sealed(struct bytes *to, const struct keeper_sealed *s, struct view sealed)
{
	struct keeper_sealed copy = *s;
	int r;

	copy.len = (uint32_t)sealed.len;
	r = bytes_append(to, &copy, sizeof(copy));
	if (r == 0)
		r = bytes_append_view(to, sealed);
	return r;
}

int keeper_add_reasons(struct bytes *to, const struct appraisal *a)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->n; i++) {
		struct reason copy;

		memset(&copy, 0, sizeof(copy));
		keeper_text(copy.rule, sizeof(copy.rule), a->reasons[i].rule);
		keeper_text(copy.expected, sizeof(copy.expected), a->reasons[i].expected);
		keeper_text(copy.seen, sizeof(copy.seen), a->reasons[i].seen);
		copy.warning = a->reasons[i].warning;
		r = bytes_append(to, &copy, sizeof(copy));
	}
	return r;
}

int keeper_read_reasons(struct view blob, struct appraisal *a)
{
	struct reader in = reader_of(blob);

	while (in.left > 0) {
		char rule[APPRAISAL_RULE_MAX], expected[APPRAISAL_TEXT_MAX];
		char seen[APPRAISAL_TEXT_MAX];
		struct view v;
		uint8_t warning;
		int r;

		r = read_view(&in, sizeof(struct reason), &v);
		if (r < 0)
			return r;
		/* Field by field: the bytes may hold no valid bool, and no text that ends. */
		if (!memchr(v.data + offsetof(struct reason, rule), 0, APPRAISAL_RULE_MAX) ||
		    !memchr(v.data + offsetof(struct reason, expected), 0, APPRAISAL_TEXT_MAX) ||
		    !memchr(v.data + offsetof(struct reason, seen), 0, APPRAISAL_TEXT_MAX))
			return -EBADMSG;
		keeper_text(rule, sizeof(rule),
			    (const char *)v.data + offsetof(struct reason, rule));
		keeper_text(expected, sizeof(expected),
			    (const char *)v.data + offsetof(struct reason, expected));
		keeper_text(seen, sizeof(seen),
			    (const char *)v.data + offsetof(struct reason, seen));
		warning = v.data[offsetof(struct reason, warning)];
		if (warning > 1)
			return -EBADMSG;
		appraisal_fail(a, warning == 1, rule, expected, "%s", seen);
	}
	return 0;
}

void keeper_text(char *to, size_t size, const char *text)
{
	size_t n = 0;

	for (; n + 1 < size && text[n]; n++)
		to[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	memset(to + n, 0, size - n);
}
