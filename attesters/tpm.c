/* SPDX-License-Identifier: Apache-2.0 */
#include "tpm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

#include "cleanup.h"
#include "evidence.h" /* EVENT_LOG_MAX, what the other side takes */
#include "table.h"

#define TCTI_DEFAULT	 "device:/dev/tpmrm0"
#define KERNEL_EVENT_LOG "/sys/kernel/security/tpm0/binary_bios_measurements"
#define EK_BYTES_MAX	 (32 * 1024)
#define IDENTITY_MAX	 (4 * 1024)

static const char *tcti_of(const struct attester_config *config)
{
	return config->tcti ? config->tcti : TCTI_DEFAULT;
}

void tpm_done(struct tpm *t)
{
	if (t->esys && t->ak_at)
		Esys_TR_Close(t->esys, &t->ak);
	else if (t->esys)
		tpm_flush(t, &t->ak);
	Esys_Finalize(&t->esys);
	Tss2_TctiLdr_Finalize(&t->tcti);
	bytes_done(&t->ek_certificate);
	bytes_done(&t->ek_chain);
	bytes_done(&t->event_log);
	free(t->state);
}

static void tpm_close(struct attester *a)
{
	struct tpm *t = (struct tpm *)a;

	if (!t)
		return;
	tpm_done(t);
	free(t);
}

static void tpm_closep(struct tpm **t)
{
	tpm_close(*t ? &(*t)->base : NULL);
}

static int tpm_new(struct tpm **ret)
{
	struct tpm *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->ak = ESYS_TR_NONE;
	*ret = t;
	return 0;
}

/* Opens the way to the TPM and has it say something, so that silence is noticed here. */
static int connect_tpm(struct tpm *t, const char *tcti, char *ret_why, size_t size)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;
	char tried[160];
	TSS2_RC rc;

	snprintf(tried, sizeof(tried), "cannot talk to a TPM at %s", tcti);
	rc = Tss2_TctiLdr_Initialize(tcti, &t->tcti);
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_Initialize(&t->esys, t->tcti, NULL);
	if (rc == TSS2_RC_SUCCESS)
		TPM_CALL(rc, Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
						TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FAMILY_INDICATOR,
						1, &more, &data));
	if (rc != TSS2_RC_SUCCESS) {
		tpm_explain(rc, tried, ret_why, size);
		return tpm_errno(rc);
	}
	Esys_Free(data);
	return 0;
}

static int check_config(const struct attester_config *config, char *ret_why, size_t size)
{
	if (config->runtime_pcr > TPM_RUNTIME_MAX) {
		snprintf(ret_why, size,
			 "runtime_pcr is %u, must be 0 to %d: software can reset a higher one",
			 config->runtime_pcr, TPM_RUNTIME_MAX);
		return -EINVAL;
	}
	if (config->pcrs >> TPM_PCRS) {
		snprintf(ret_why, size, "a TPM has the PCRs 0 to %d", TPM_PCRS - 1);
		return -EINVAL;
	}
	if (config->bank && hash_size(config->bank) == 0) {
		snprintf(ret_why, size, "there is no PCR bank 0x%04x", config->bank);
		return -EINVAL;
	}
	return 0;
}

int tpm_connect(struct tpm *t, const struct attester_ops *ops, const struct attester_config *config,
		char *ret_why, size_t size)
{
	int r;

	t->base.ops = ops;
	t->ak = ESYS_TR_NONE;
	t->bank = config->bank ? config->bank : HASH_SHA256;
	t->runtime_pcr = config->runtime_pcr;
	t->ek_certificate = BYTES_INIT(EK_BYTES_MAX);
	t->ek_chain = BYTES_INIT(EK_BYTES_MAX);
	t->event_log = BYTES_INIT(EVENT_LOG_MAX);
	r = check_config(config, ret_why, size);
	if (r < 0)
		return r;
	t->pcrs = config->pcrs | 1u << config->runtime_pcr;
	if (config->state) {
		t->state = strdup(config->state);
		if (!t->state)
			return -ENOMEM;
	}
	return connect_tpm(t, tcti_of(config), ret_why, size);
}

static int tpm_probe(const struct attester_config *config, char *ret_why, size_t size)
{
	CLEANUP(tpm_closep) struct tpm *t = NULL;
	int r;

	r = tpm_new(&t);
	if (r == 0)
		r = tpm_connect(t, &attester_tpm, config, ret_why, size);
	if (r < 0)
		return r;
	snprintf(ret_why, size, "there is a TPM 2.0 at %s", tcti_of(config));
	return 0;
}

/*
 * The kernel's log is that of the machine's own TPM; a TPM at another address has its own
 * past, which only the configuration knows. A log that is absent is no error.
 */
static int read_event_log(struct tpm *t, const struct attester_config *config, char *ret_why,
			  size_t size)
{
	bool own = strncmp(tcti_of(config), "device", strlen("device")) == 0;
	const char *file = config->event_log;
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	if (!file && own)
		file = KERNEL_EVENT_LOG;
	if (!file)
		return 0;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	r = fd < 0 ? neg_errno() : bytes_read_fd(&t->event_log, fd);
	if (r < 0)
		snprintf(ret_why, size, "%s: %s", file, strerror(-r));
	return r;
}

/* Certificates that cannot be read are as good as none: the verifier says what it misses. */
static int read_ek(struct tpm *t, char *ret_why, size_t size)
{
	TSS2_RC rc;
	int r;

	rc = tpm_ek_find(t);
	if (rc != TSS2_RC_SUCCESS) {
		tpm_explain(rc, "cannot have the TPM's endorsement key", ret_why, size);
		return tpm_errno(rc);
	}
	r = tpm_nv_ek_certificate(t, &t->ek_certificate);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		bytes_reset(&t->ek_certificate);
	r = tpm_nv_ek_chain(t, &t->ek_chain);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		bytes_reset(&t->ek_chain);
	return 0;
}

static int open_ak(struct tpm *t, char *ret_why, size_t size)
{
	TPM2B_NAME srk, made_under;
	const char *note = NULL;
	bool kept;
	TSS2_RC rc;
	int r;

	if (!t->state) {
		rc = tpm_ak_derive(t);
		if (rc != TSS2_RC_SUCCESS) {
			tpm_explain(rc, "cannot derive an attestation key", ret_why, size);
			return tpm_errno(rc);
		}
		ret_why[0] = '\0';
		return 0;
	}
	if (mkdir(t->state, 0700) < 0 && errno != EEXIST) {
		r = neg_errno();
		snprintf(ret_why, size, "%s: %s", t->state, strerror(-r));
		return r;
	}
	r = tpm_state_read(t, &made_under);
	kept = r == 0;
	if (r < 0 && r != -ENOENT && r != -EBADMSG) {
		snprintf(ret_why, size, "%s: the attestation key cannot be read: %s", t->state,
			 strerror(-r));
		return r;
	}
	rc = tpm_ak_open(t, kept ? &made_under : NULL, &note, &srk);
	if (rc != TSS2_RC_SUCCESS) {
		tpm_explain(rc, "cannot make or load an attestation key", ret_why, size);
		return tpm_errno(rc);
	}
	if (note) {
		r = tpm_state_write(t, &srk);
		if (r < 0) {
			snprintf(ret_why, size, "%s: the attestation key cannot be kept: %s",
				 t->state, strerror(-r));
			return r;
		}
	}
	snprintf(ret_why, size, "%s", note ? note : "");
	return 0;
}

int tpm_registers(struct tpm *t, const struct attester_config *config, char *ret_why, size_t size)
{
	int r = tpm_pcr_check_bank(t, ret_why, size);

	return r < 0 ? r : read_event_log(t, config, ret_why, size);
}

int tpm_own_keys(struct tpm *t, char *ret_why, size_t size)
{
	int r = read_ek(t, ret_why, size);

	return r < 0 ? r : open_ak(t, ret_why, size);
}

static int tpm_open(const struct attester_config *config, struct attester **ret, char *ret_why,
		    size_t size)
{
	CLEANUP(tpm_closep) struct tpm *t = NULL;
	int r;

	ret_why[0] = '\0';
	r = tpm_new(&t);
	if (r == 0)
		r = tpm_connect(t, &attester_tpm, config, ret_why, size);
	if (r == 0)
		r = tpm_registers(t, config, ret_why, size);
	if (r == 0)
		r = tpm_own_keys(t, ret_why, size);
	if (r < 0)
		return r;
	*ret = &TAKE(t)->base;
	return 0;
}

int tpm_append_public(const TPM2B_PUBLIC *public, struct bytes *ret)
{
	uint8_t raw[sizeof(TPMT_PUBLIC)];
	size_t len = 0;

	if (Tss2_MU_TPMT_PUBLIC_Marshal(&public->publicArea, raw, sizeof(raw), &len) !=
	    TSS2_RC_SUCCESS)
		return -EIO;
	return bytes_append(ret, raw, len);
}

static int append_name(struct tpm *t, struct bytes *ret)
{
	TPM2B_NAME *name = NULL;
	TSS2_RC rc;
	int r;

	rc = Esys_TR_GetName(t->esys, t->ak, &name);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_errno(rc);
	r = bytes_append(ret, name->name, name->size);
	Esys_Free(name);
	return r;
}

int tpm_identity(struct attester *a, struct attester_identity *ret)
{
	struct tpm *t = (struct tpm *)a;
	struct attester_identity i = {
		.key_name = BYTES_INIT(IDENTITY_MAX),
		.ak_public = BYTES_INIT(IDENTITY_MAX),
		.ek_public = BYTES_INIT(IDENTITY_MAX),
		.ek_certificate = BYTES_INIT(EK_BYTES_MAX),
		.ek_chain = BYTES_INIT(EK_BYTES_MAX),
	};
	int r;

	r = append_name(t, &i.key_name);
	if (r == 0)
		r = tpm_append_public(&t->ak_public, &i.ak_public);
	if (r == 0)
		r = tpm_append_public(&t->ek_public, &i.ek_public);
	if (r == 0)
		r = bytes_append_view(&i.ek_certificate, bytes_view(&t->ek_certificate));
	if (r == 0)
		r = bytes_append_view(&i.ek_chain, bytes_view(&t->ek_chain));
	if (r < 0) {
		attester_identity_done(&i);
		return r;
	}
	*ret = i;
	return 0;
}

/*
 * Into a SHA-256 bank goes the digest itself; into a bank of another hash goes that hash of
 * the digest's 32 bytes, as its registers take no other size.
 */
int tpm_extend(struct attester *a, const struct digest *d)
{
	struct tpm *t = (struct tpm *)a;
	TPML_DIGEST_VALUES values = { .count = 1 };
	struct digest of_bank = *d;
	TSS2_RC rc;
	int r;

	if (t->bank != HASH_SHA256) {
		r = digest_of(t->bank, digest_view(d), &of_bank);
		if (r < 0)
			return r;
	}
	if (of_bank.size != hash_size(t->bank))
		return -EINVAL;
	values.digests[0].hashAlg = (TPMI_ALG_HASH)t->bank;
	memcpy(&values.digests[0].digest, of_bank.bytes, of_bank.size);
	/*
	 * Not tried again past what ESYS does: only an answer that the TPM did nothing makes
	 * that safe, and TPM_RC_RETRY is that answer.
	 */
	TPM_CALL(rc, Esys_PCR_Extend(t->esys, (ESYS_TR)(ESYS_TR_PCR0 + t->runtime_pcr),
				     ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &values));
	return tpm_errno(rc);
}

int tpm_runtime(struct attester *a, unsigned int *ret_register, struct digest *ret)
{
	struct tpm *t = (struct tpm *)a;
	struct digest values[TPM_PCRS];
	int r;

	r = tpm_pcr_read(t, 1u << t->runtime_pcr, values);
	if (r < 0)
		return r;
	*ret_register = t->runtime_pcr;
	*ret = values[t->runtime_pcr];
	return 0;
}

/* The EK's use is bound to PolicySecret(endorsement hierarchy) by its template. */
static TSS2_RC ek_session(struct tpm *t, struct tpm_transient *ret)
{
	const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };
	TSS2_RC rc;

	TPM_CALL(rc, Esys_StartAuthSession(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					   ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &none,
					   TPM2_ALG_SHA256, &ret->handle));
	if (rc != TSS2_RC_SUCCESS) {
		ret->handle = ESYS_TR_NONE;
		return rc;
	}
	/* Kept past its use, so that it ends in one place on every path. */
	rc = Esys_TRSess_SetAttributes(t->esys, ret->handle, TPMA_SESSION_CONTINUESESSION,
				       TPMA_SESSION_CONTINUESESSION);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	TPM_CALL(rc,
		 Esys_PolicySecret(t->esys, ESYS_TR_RH_ENDORSEMENT, ret->handle, ESYS_TR_PASSWORD,
				   ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, NULL, 0, NULL, NULL));
	return rc;
}

static TSS2_RC activate(struct tpm *t, const TPM2B_ID_OBJECT *blob,
			const TPM2B_ENCRYPTED_SECRET *seed, TPM2B_DIGEST **ret)
{
	CLEANUP(tpm_transient_done) struct tpm_transient ek = { .tpm = t, .handle = ESYS_TR_NONE };
	CLEANUP(tpm_transient_done)
	struct tpm_transient session = { .tpm = t, .handle = ESYS_TR_NONE };
	TSS2_RC rc;

	rc = tpm_ek_open(t, &ek);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	rc = ek_session(t, &session);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	TPM_CALL(rc, Esys_ActivateCredential(t->esys, t->ak, ek.handle, ESYS_TR_PASSWORD,
					     session.handle, ESYS_TR_NONE, blob, seed, ret));
	return rc;
}

int tpm_activate(struct attester *a, struct view credential_blob, struct view encrypted_seed,
		 struct secret *ret)
{
	struct tpm *t = (struct tpm *)a;
	TPM2B_ENCRYPTED_SECRET seed = { 0 };
	TPM2B_ID_OBJECT blob = { 0 };
	TPM2B_DIGEST *credential = NULL;
	size_t blob_at = 0, seed_at = 0;
	TSS2_RC rc;
	int r;

	if (credential_blob.len > sizeof(blob) || encrypted_seed.len > sizeof(seed))
		return -EBADMSG;
	if (Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(credential_blob.data, credential_blob.len, &blob_at,
					      &blob) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(encrypted_seed.data, encrypted_seed.len,
						     &seed_at, &seed) != TSS2_RC_SUCCESS ||
	    blob_at != credential_blob.len || seed_at != encrypted_seed.len)
		return -EBADMSG;
	rc = activate(t, &blob, &seed, &credential);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_errno(rc);
	r = secret_copy(view_of(credential->buffer, credential->size), ret);
	OPENSSL_cleanse(credential, sizeof(*credential));
	Esys_Free(credential);
	return r;
}

const struct attester_ops attester_tpm = {
	.platform = "tpm",
	.insecure = false,
	.quotes_ima = true,
	.probe = tpm_probe,
	.open = tpm_open,
	.identity = tpm_identity,
	.extend = tpm_extend,
	.runtime = tpm_runtime,
	.report = tpm_report,
	.activate = tpm_activate,
	.close = tpm_close,
};
