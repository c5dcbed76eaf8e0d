/* SPDX-License-Identifier: Apache-2.0 */
#include "vtpm_stand_in.h"

#include <stdio.h>
#include <string.h>

#include "attesters/table.h"
#include "attesters/tpm.h"
#include "cleanup.h"
#include "digest.h"
#include "verifier/jws.h"

#define AK_AT	      0x81000003
#define NV_REPORT     0x01400001
#define NV_CHUNK      512
#define HCL_ROOM      2048 /* as much as swtpm lets an index have */
#define HARDWARE_SIZE 1184
#define KIND_SNP      2
#define KIND_TDX      4

/* The paravisor's: restricted, RSASSA with SHA-256. */
static const TPM2B_PUBLIC ak_template = {
	.publicArea = {
		.type = TPM2_ALG_RSA,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
				    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
				    TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
				    TPMA_OBJECT_SIGN_ENCRYPT,
		.parameters.rsaDetail = {
			.symmetric = { .algorithm = TPM2_ALG_NULL },
			.scheme = { TPM2_ALG_RSASSA, { .rsassa = { TPM2_ALG_SHA256 } } },
			.keyBits = 2048,
		},
		.unique.rsa = { .size = 256 },
	},
};

static int connect(const char *tcti, struct tpm *t)
{
	const struct attester_config config = { .tcti = tcti };
	char why[ATTESTER_WHY_MAX] = "";
	int r = tpm_connect(t, &attester_tpm, &config, why, sizeof(why));

	if (r < 0)
		fprintf(stderr, "stand-in: %s\n", why);
	return r;
}

static TSS2_RC ak_make(struct tpm *t)
{
	static const TPM2B_SENSITIVE_CREATE no_sensitive;
	static const TPML_PCR_SELECTION no_pcrs;
	static const TPM2B_DATA no_data;
	CLEANUP(tpm_transient_done) struct tpm_transient x = { .tpm = t, .handle = ESYS_TR_NONE };
	ESYS_TR persistent = ESYS_TR_NONE;
	TSS2_RC rc;

	rc = Esys_CreatePrimary(t->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, ESYS_TR_NONE,
				ESYS_TR_NONE, &no_sensitive, &ak_template, &no_data, &no_pcrs,
				&x.handle, NULL, NULL, NULL, NULL);
	if (rc != TSS2_RC_SUCCESS) {
		x.handle = ESYS_TR_NONE;
		return rc;
	}
	rc = Esys_EvictControl(t->esys, ESYS_TR_RH_OWNER, x.handle, ESYS_TR_PASSWORD, ESYS_TR_NONE,
			       ESYS_TR_NONE, AK_AT, &persistent);
	if (rc == TSS2_RC_SUCCESS)
		Esys_TR_Close(t->esys, &persistent);
	return rc;
}

/* The AK's public part in t->ak_public: it is there already, or is made. */
static int ak_open(struct tpm *t)
{
	TSS2_RC rc = tpm_ak_find(t, AK_AT);

	if (tpm_code(rc) == TPM2_RC_HANDLE) {
		rc = ak_make(t);
		if (rc == TSS2_RC_SUCCESS)
			rc = tpm_ak_find(t, AK_AT);
	}
	return tpm_errno(rc);
}

static int append_data(const struct tpm *t, struct bytes *ret)
{
	const TPM2B_PUBLIC_KEY_RSA *n = &t->ak_public.publicArea.unique.rsa;
	int r;

	r = bytes_append_text(ret, "{\"keys\":[{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],"
				   "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
	if (r == 0)
		r = base64url_append(ret, view_of(n->buffer, n->size));
	if (r == 0)
		r = bytes_printf(ret,
				 "\"}],\"vm-configuration\":{\"secure-boot\":true},"
				 "\"user-data\":\"%0128d\"}",
				 0);
	return r;
}

static int append_numbers(struct bytes *to, const uint32_t *numbers, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const uint8_t le[] = { (uint8_t)numbers[i], (uint8_t)(numbers[i] >> 8),
				       (uint8_t)(numbers[i] >> 16), (uint8_t)(numbers[i] >> 24) };

		r = bytes_append(to, le, sizeof(le));
	}
	return r;
}

static bool is_tdx(const struct made_chip *chip)
{
	return strcmp(made_chip_platform(chip), "tdx") == 0;
}

/* The chip's report over the data's digest. */
static int report_over(struct made_chip *chip, struct view data, struct bytes *ret)
{
	CLEANUP(bytes_cleanup) struct bytes aux = BYTES_INIT(64 * 1024);
	uint8_t binding[MADE_CHIP_DATA] = { 0 };
	struct digest d;
	int r;

	r = digest_of(HASH_SHA256, data, &d);
	if (r < 0)
		return r;
	memcpy(binding, d.bytes, d.size);
	made_chip_report(chip, binding, ret, &aux);
	return 0;
}

/* The layout: verifier/hcl_report.c. Of a TDREPORT, which only its machine can check, zeros. */
static int append_hcl(struct made_chip *chip, struct view report, struct view data,
		      struct bytes *ret)
{
	const uint32_t len = (uint32_t)data.len, size = 32 + HARDWARE_SIZE + 20 + len;
	const uint32_t kind = is_tdx(chip) ? KIND_TDX : KIND_SNP;
	const uint8_t no_report[HARDWARE_SIZE] = { 0 };
	int r;

	r = bytes_append(ret, "HCLA", 4);
	if (r == 0)
		r = append_numbers(ret, (const uint32_t[]){ 2, size, 2, 0, 0, 0, 0 }, 7);
	if (r == 0)
		r = bytes_append_view(ret, is_tdx(chip) ? view_of(no_report, sizeof(no_report))
							: report);
	if (r == 0)
		r = append_numbers(ret, (const uint32_t[]){ 20 + len, 1, kind, 1, len }, 5);
	return r == 0 ? bytes_append_view(ret, data) : r;
}

static TSS2_RC nv_define(struct tpm *t, ESYS_TR *ret)
{
	const TPM2B_NV_PUBLIC index = {
		.nvPublic = {
			.nvIndex = NV_REPORT,
			.nameAlg = TPM2_ALG_SHA256,
			.attributes = TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE,
			.dataSize = HCL_ROOM,
		},
	};
	static const TPM2B_AUTH no_auth;
	TSS2_RC rc;

	rc = Esys_TR_FromTPMPublic(t->esys, NV_REPORT, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
				   ret);
	if (tpm_code(rc) != TPM2_RC_HANDLE)
		return rc;
	return Esys_NV_DefineSpace(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
				   ESYS_TR_NONE, &no_auth, &index, ret);
}

/* The whole index: zeros behind the report. */
static int nv_write(struct tpm *t, struct view v)
{
	uint8_t all[HCL_ROOM] = { 0 };
	ESYS_TR index = ESYS_TR_NONE;
	TSS2_RC rc;

	if (v.len > sizeof(all))
		return -EMSGSIZE;
	memcpy(all, v.data, v.len);
	rc = nv_define(t, &index);
	for (uint16_t at = 0; rc == TSS2_RC_SUCCESS && at < sizeof(all); at += NV_CHUNK) {
		TPM2B_MAX_NV_BUFFER chunk = { .size = NV_CHUNK };

		memcpy(chunk.buffer, all + at, NV_CHUNK);
		rc = Esys_NV_Write(t->esys, ESYS_TR_RH_OWNER, index, ESYS_TR_PASSWORD, ESYS_TR_NONE,
				   ESYS_TR_NONE, &chunk, at);
	}
	if (index != ESYS_TR_NONE)
		Esys_TR_Close(t->esys, &index);
	return tpm_errno(rc);
}

static int write_file(const char *path, struct view v)
{
	FILE *f = fopen(path, "we");
	size_t n;

	if (!f)
		return -errno;
	n = fwrite(v.data, 1, v.len, f);
	return fclose(f) == 0 && n == v.len ? 0 : -EIO;
}

int vtpm_stand_in_azure(const char *tcti, struct made_chip *chip, const char *quote)
{
	CLEANUP(bytes_cleanup) struct bytes report = BYTES_INIT(64 * 1024);
	CLEANUP(bytes_cleanup) struct bytes data = BYTES_INIT(HCL_ROOM);
	CLEANUP(bytes_cleanup) struct bytes hcl = BYTES_INIT(HCL_ROOM);
	CLEANUP(tpm_done) struct tpm t = { 0 };
	int r;

	r = connect(tcti, &t);
	if (r == 0)
		r = ak_open(&t);
	if (r == 0)
		r = append_data(&t, &data);
	if (r == 0)
		r = report_over(chip, bytes_view(&data), &report);
	if (r == 0)
		r = append_hcl(chip, bytes_view(&report), bytes_view(&data), &hcl);
	if (r == 0 && is_tdx(chip))
		r = write_file(quote, bytes_view(&report));
	return r == 0 ? nv_write(&t, bytes_view(&hcl)) : r;
}

int vtpm_stand_in_manifest(const char *tcti, struct bytes *ret)
{
	CLEANUP(tpm_done) struct tpm t = { 0 };
	int r;

	r = connect(tcti, &t);
	if (r == 0)
		r = tpm_errno(tpm_ek_find(&t));
	return r == 0 ? tpm_append_public(&t.ek_public, ret) : r;
}
