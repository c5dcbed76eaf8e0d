/* SPDX-License-Identifier: Apache-2.0 */
#include "hcl_report.h"

#include <string.h>

#include <jansson.h>

#include "cleanup.h"
#include "pem.h"

#define MAGIC		"HCLA"
#define DATA_HEADER	20 /* bytes of the part that describes the variable data */
#define REQUEST_REPORT	2
#define DATA_VERSION	1
#define RSA_BYTES_MIN	256
#define RSA_BYTES_MAX	512

static const char cut[] = "it is cut short";

bool hcl_report_begins(struct view raw)
{
	return raw.len >= strlen(MAGIC) && memcmp(raw.data, MAGIC, strlen(MAGIC)) == 0;
}

static bool zero(struct view v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.data[i])
			return false;
	}
	return true;
}

/* Size of the whole up to the end of the variable data, as its head states it. */
static const char *read_head(struct reader *in, uint32_t *ret_size)
{
	uint32_t version, request, status;
	struct view magic, reserved;

	if (read_view(in, strlen(MAGIC), &magic) < 0 || read_le32(in, &version) < 0 ||
	    read_le32(in, ret_size) < 0 || read_le32(in, &request) < 0 ||
	    read_le32(in, &status) < 0 || read_view(in, 12, &reserved) < 0)
		return cut;
	if (memcmp(magic.data, MAGIC, magic.len) != 0)
		return "it does not begin with HCLA";
	if (version != 1 && version != 2)
		return "its version is not 1 or 2";
	if (request != REQUEST_REPORT)
		return "it does not answer a request for a report";
	if (status != 0 || !zero(reserved))
		return "its status or its reserved bytes are not zero";
	return NULL;
}

static const struct {
	uint32_t number;
	enum hash_alg hash;
} hashes[] = { { 1, HASH_SHA256 }, { 2, HASH_SHA384 }, { 3, HASH_SHA512 } };

static const struct {
	uint32_t number;
	enum hcl_kind kind;
	size_t used; /* of the hardware area */
} kinds[] = { { HCL_SNP, HCL_SNP, 1184 }, { HCL_TDX, HCL_TDX, 1024 } };

static const char *read_kind(uint32_t number, struct hcl_report *h)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t used = kinds[i].used;

		if (kinds[i].number != number)
			continue;
		if (!zero(view_of(h->hardware.data + used, h->hardware.len - used)))
			return "there are bytes behind the chip's report";
		h->kind = kinds[i].kind;
		return NULL;
	}
	return "its chip is neither SEV-SNP nor TDX";
}

static const char *read_data(struct reader *in, uint32_t size, struct hcl_report *h)
{
	uint32_t data_size, version, kind, hash, n;
	const char *why;

	if (read_view(in, HCL_HARDWARE_SIZE, &h->hardware) < 0 || read_le32(in, &data_size) < 0 ||
	    read_le32(in, &version) < 0 || read_le32(in, &kind) < 0 || read_le32(in, &hash) < 0 ||
	    read_le32(in, &n) < 0 || read_view(in, n, &h->variable) < 0)
		return cut;
	/* One length is stated three times. */
	if (data_size < DATA_HEADER || data_size - DATA_HEADER != n)
		return "its two lengths of the variable data differ";
	if (size < n || size - n != 32 + HCL_HARDWARE_SIZE + DATA_HEADER)
		return "its length is not that of its parts";
	if (version != DATA_VERSION)
		return "the version of its variable data is not 1";
	why = read_kind(kind, h);
	if (why)
		return why;
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		if (hashes[i].number == hash)
			h->hash = hashes[i].hash;
	}
	if (h->hash == HASH_NONE)
		return "its hash is not SHA-256, SHA-384 or SHA-512";
	/* The NV index is larger than what is in it. */
	if (!zero(view_of(in->at, in->left)))
		return "there are bytes behind it";
	return NULL;
}

/* A JWK of RSA as the key in a TPM that it is (RFC 7518, 6.3). */
static const char *read_ak(const json_t *jwk, struct tpm_public *ret)
{
	const char *kty = json_string_value(json_object_get(jwk, "kty"));
	const char *n = json_string_value(json_object_get(jwk, "n"));
	const char *e = json_string_value(json_object_get(jwk, "e"));
	uint8_t modulus[RSA_BYTES_MAX], exponent[4];
	size_t len, exponent_len;
	uint32_t value = 0;
	TPMT_PUBLIC *area = &ret->area;

	if (!kty || strcmp(kty, "RSA") != 0 || !n || !e)
		return "its attestation key is not of RSA";
	if (base64url_decode(n, modulus, sizeof(modulus), &len) < 0 || len < RSA_BYTES_MIN ||
	    !(modulus[0] & 0x80))
		return "the modulus of its attestation key is not of 2048 to 4096 bits";
	if (base64url_decode(e, exponent, sizeof(exponent), &exponent_len) < 0)
		return "the exponent of its attestation key is not of four bytes";
	for (size_t i = 0; i < exponent_len; i++)
		value = value << 8 | exponent[i];
	if (value < 3)
		return "the exponent of its attestation key is none";
	*ret = (struct tpm_public){ 0 };
	area->type = TPM2_ALG_RSA;
	area->nameAlg = TPM2_ALG_SHA256;
	area->parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
	area->parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
	area->parameters.rsaDetail.keyBits = (TPMI_RSA_KEY_BITS)(8 * len);
	area->parameters.rsaDetail.exponent = value;
	if (len > sizeof(area->unique.rsa.buffer))
		return "its attestation key is larger than a TPM's may be";
	memcpy(area->unique.rsa.buffer, modulus, len);
	area->unique.rsa.size = (UINT16)len;
	return NULL;
}

static const char *read_keys(const json_t *data, struct hcl_report *h)
{
	const json_t *keys = json_object_get(data, "keys"), *ak = NULL, *key;
	size_t i;

	if (!json_is_array(keys))
		return "there are no keys in its variable data";
	json_array_foreach(keys, i, key)
	{
		const char *kid = json_string_value(json_object_get(key, "kid"));

		if (!kid || strcmp(kid, HCL_AK) != 0)
			continue;
		if (ak)
			return "there are two attestation keys in its variable data";
		ak = key;
	}
	if (!ak)
		return "there is no attestation key in its variable data";
	return read_ak(ak, &h->ak);
}

static const char *read_user_data(const json_t *data, struct hcl_report *h)
{
	const json_t *text = json_object_get(data, "user-data");

	if (!text)
		return NULL; /* older ones have none */
	if (!json_is_string(text) ||
	    hex_decode_exact(json_string_value(text), h->user_data, sizeof(h->user_data)) < 0)
		return "its user data are not 64 bytes in hex";
	h->has_user_data = true;
	return NULL;
}

static const char *read_variable(struct hcl_report *h)
{
	json_error_t error;
	const char *why;
	json_t *data;

	data = json_loadb((const char *)h->variable.data, h->variable.len, JSON_REJECT_DUPLICATES,
			  &error);
	if (!data)
		return "its variable data are not one JSON value without duplicates";
	why = read_keys(data, h);
	if (!why)
		why = read_user_data(data, h);
	json_decref(data);
	return why;
}

int hcl_report_parse(struct view raw, struct hcl_report *ret, const char **ret_why)
{
	struct reader in = reader_of(raw);
	struct hcl_report h = { 0 };
	uint32_t size = 0;
	const char *why;

	why = raw.len > HCL_REPORT_MAX ? "it is larger than such a report may be"
				       : read_head(&in, &size);
	if (!why)
		why = read_data(&in, size, &h);
	if (!why)
		why = read_variable(&h);
	if (why) {
		*ret_why = why;
		return -EBADMSG;
	}
	*ret = h;
	return 0;
}
