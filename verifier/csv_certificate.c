/* SPDX-License-Identifier: Apache-2.0 */
#include "csv_certificate.h"

#include <string.h>

#define ROOT_VERSION	 1
#define CHIP_VERSION_MAX 2
#define CURVE_SM2	 3
#define USER_ID_FIELD	 254
#define ROOT_SIGNED	 576

static const char cut[] = "it is cut short";

/* A step of the reading; NULL: go on, or why the bytes are no certificate. */
typedef const char *csv_step(struct reader *in, struct csv_certificate *c);

const char *csv_usage_name(uint32_t usage)
{
	static const struct {
		uint32_t usage;
		const char *name;
	} names[] = {
		{ CSV_USAGE_HRK, "HRK" }, { CSV_USAGE_HSK, "HSK" }, { CSV_USAGE_OCA, "OCA" },
		{ CSV_USAGE_PEK, "PEK" }, { CSV_USAGE_CEK, "CEK" },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (names[i].usage == usage)
			return names[i].name;
	}
	return "?";
}

static const char *skip_zero(struct reader *in, size_t len, const char *why)
{
	struct view v;

	if (read_view(in, len, &v) < 0)
		return cut;
	for (size_t i = 0; i < v.len; i++) {
		if (v.data[i])
			return why;
	}
	return NULL;
}

const char *csv_read_number(struct reader *in, uint8_t ret[SM2_NUMBER_SIZE])
{
	struct view little;

	if (read_view(in, SM2_NUMBER_SIZE, &little) < 0)
		return cut;
	for (size_t i = 0; i < SM2_NUMBER_SIZE; i++)
		ret[i] = little.data[SM2_NUMBER_SIZE - 1 - i];
	return skip_zero(in, CSV_NUMBER_FIELD - SM2_NUMBER_SIZE, "a number does not fit SM2");
}

/* Curve, point and the owner's id: the same in both forms. */
static const char *read_key(struct reader *in, struct csv_certificate *c)
{
	uint32_t curve;
	uint16_t len;
	struct view field;
	const char *why;

	if (read_le32(in, &curve) < 0)
		return cut;
	if (curve != CURVE_SM2)
		return "its key is not of SM2";
	why = csv_read_number(in, c->key.x);
	if (!why)
		why = csv_read_number(in, c->key.y);
	if (why)
		return why;
	if (read_le16(in, &len) < 0 || read_view(in, USER_ID_FIELD, &field) < 0)
		return cut;
	if (len == 0 || len > USER_ID_FIELD)
		return "its user id has an impossible length";
	c->user_id = view_of(field.data, len);
	return NULL;
}

static const char *read_signature(struct reader *in, struct sm2_signature *ret)
{
	const char *why = csv_read_number(in, ret->r);

	return why ? why : csv_read_number(in, ret->s);
}

static const char *read_root_head(struct reader *in, struct csv_certificate *c)
{
	uint32_t version;
	struct view reserved;

	if (read_le32(in, &version) < 0 || read_copy(in, c->key_id, sizeof(c->key_id)) < 0 ||
	    read_copy(in, c->signer_id, sizeof(c->signer_id)) < 0 || read_le32(in, &c->usage) < 0 ||
	    read_view(in, 24, &reserved) < 0)
		return cut;
	if (version != ROOT_VERSION)
		return "its version is not 1";
	if (c->usage != CSV_USAGE_HRK && c->usage != CSV_USAGE_HSK)
		return "it is neither of an HRK nor of an HSK";
	return NULL;
}

static const char *read_root_rest(struct reader *in, struct csv_certificate *c)
{
	struct view reserved;
	const char *why;

	if (read_view(in, 108, &reserved) < 0)
		return cut;
	c->signatures[0].usage = CSV_USAGE_HRK;
	c->n_signatures = 1;
	why = read_signature(in, &c->signatures[0].signature);
	return why ? why : skip_zero(in, in->left, "bytes behind the signature are set");
}

static const char *read_chip_head(struct reader *in, struct csv_certificate *c)
{
	uint32_t version, algorithm;
	uint16_t reserved;

	if (read_le32(in, &version) < 0 || read_u8(in, &c->firmware_major) < 0 ||
	    read_u8(in, &c->firmware_minor) < 0 || read_le16(in, &reserved) < 0 ||
	    read_le32(in, &c->usage) < 0 || read_le32(in, &algorithm) < 0)
		return cut;
	if (version == 0 || version > CHIP_VERSION_MAX)
		return "its version is not 1 or 2";
	if (c->usage != CSV_USAGE_CEK && c->usage != CSV_USAGE_PEK)
		return "it is neither of a CEK nor of a PEK";
	if (algorithm != CSV_ALGORITHM_SM2_SIGN)
		return "its key is not for SM2 signatures";
	return NULL;
}

static const char *read_slot(struct reader *in, struct csv_certificate *c)
{
	static const char set[] = "bytes beside a signature are set";
	struct csv_signed s;
	uint32_t algorithm;
	const char *why;

	if (read_le32(in, &s.usage) < 0 || read_le32(in, &algorithm) < 0)
		return cut;
	if (s.usage == CSV_USAGE_NONE)
		return algorithm ? set : skip_zero(in, 2 * CSV_NUMBER_FIELD + 368, set);
	if (algorithm != CSV_ALGORITHM_SM2_SIGN)
		return "a signature is not of SM2";
	why = read_signature(in, &s.signature);
	if (!why)
		why = skip_zero(in, 368, set);
	if (!why)
		c->signatures[c->n_signatures++] = s;
	return why;
}

static const char *read_chip_rest(struct reader *in, struct csv_certificate *c)
{
	struct view reserved;
	const char *why;

	if (read_copy(in, c->signer_id, sizeof(c->signer_id)) < 0 ||
	    read_view(in, 608, &reserved) < 0)
		return cut;
	why = read_slot(in, c);
	return why ? why : read_slot(in, c);
}

int csv_certificate_parse(struct view raw, struct csv_certificate *ret, const char **ret_why)
{
	static csv_step *const root[] = { read_root_head, read_key, read_root_rest };
	static csv_step *const chip[] = { read_chip_head, read_key, read_chip_rest };
	bool is_root = raw.len == CSV_ROOT_CERTIFICATE_SIZE;
	struct csv_certificate c = { .body = view_of(raw.data,
						     is_root ? ROOT_SIGNED : CSV_CHIP_BODY_SIZE) };
	struct reader in = reader_of(raw);
	const char *why = NULL;

	if (!is_root && raw.len != CSV_CHIP_CERTIFICATE_SIZE)
		why = "its size is neither 832 nor 2084 bytes";
	for (size_t i = 0; !why && i < ARRAY_LEN(root); i++)
		why = is_root ? root[i](&in, &c) : chip[i](&in, &c);
	if (why) {
		*ret_why = why;
		return -EBADMSG;
	}
	*ret = c;
	return 0;
}

/* Who may sign whom. A CEK has no id: which of them signed a PEK only the signature tells. */
static bool may_sign(const struct csv_certificate *signer, const struct csv_certificate *c)
{
	static const struct {
		uint32_t of, by;
	} rows[] = {
		{ CSV_USAGE_HRK, CSV_USAGE_HRK },
		{ CSV_USAGE_HSK, CSV_USAGE_HRK },
		{ CSV_USAGE_CEK, CSV_USAGE_HSK },
		{ CSV_USAGE_PEK, CSV_USAGE_CEK },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].of == c->usage && rows[i].by == signer->usage)
			return signer->usage == CSV_USAGE_CEK ||
			       memcmp(signer->key_id, c->signer_id, CSV_KEY_ID_SIZE) == 0;
	}
	return false;
}

int csv_certificate_signed_by(const struct csv_certificate *c, const struct csv_certificate *signer)
{
	int r = 0;

	if (!may_sign(signer, c))
		return 0;
	for (size_t i = 0; r == 0 && i < c->n_signatures; i++) {
		if (c->signatures[i].usage == signer->usage)
			r = sm2_verify(&signer->key, signer->user_id, &c->signatures[i].signature,
				       c->body);
	}
	return r;
}
