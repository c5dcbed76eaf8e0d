/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_key.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <tss2/tss2_mu.h>

#include "boot_key_file.h"
#include "cleanup.h"
#include "table.h"
#include "tpm.h"

static const TPMT_SYM_DEF aes_cfb = { TPM2_ALG_AES, { .aes = 128 }, { .aes = TPM2_ALG_CFB } };

static int say(TSS2_RC rc, const char *tried, char *ret_why, size_t size)
{
	tpm_explain(rc, tried, ret_why, size);
	return tpm_errno(rc);
}

static int connect_tpm(struct tpm *t, const char *tcti, enum hash_alg bank, char *ret_why,
		       size_t size)
{
	const struct attester_config config = { .tcti = tcti, .bank = bank };

	*ret_why = '\0';
	return tpm_connect(t, &attester_tpm, &config, ret_why, size);
}

/* An HMAC or policy session; salted with the SRK, so that what it encrypts is not to be listened
 * to. */
static TSS2_RC start_session(struct tpm *t, ESYS_TR srk, TPM2_SE type, TPMA_SESSION attributes,
			     struct tpm_transient *ret)
{
	TSS2_RC rc;

	TPM_CALL(rc, Esys_StartAuthSession(t->esys, srk, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					   ESYS_TR_NONE, NULL, type, &aes_cfb, TPM2_ALG_SHA256,
					   &ret->handle));
	if (rc != TSS2_RC_SUCCESS) {
		ret->handle = ESYS_TR_NONE;
		return rc;
	}
	return Esys_TRSess_SetAttributes(t->esys, ret->handle, attributes, 0xff);
}

/* TPM 2.0 part 3, TPM2_PolicyPCR: what the policy has of the values, and the policy's own digest.
 */
static int policy_of(struct boot_key_file *f, TPM2B_DIGEST *ret_policy)
{
	const TPML_PCR_SELECTION selection = boot_key_selection(f->bank, f->pcrs);
	struct view values[BOOT_PCRS];
	uint8_t command[4 + sizeof(selection)];
	const struct digest start = digest_zero(HASH_SHA256);
	struct digest pcrs, policy;
	struct view parts[3];
	size_t n = 0, len = 0;
	int r;

	for (unsigned int i = 0; i < BOOT_PCRS; i++) {
		if (f->pcrs >> i & 1)
			values[n++] = digest_view(&f->expected.pcr[i]);
	}
	r = digest_of_parts(HASH_SHA256, values, n, &pcrs);
	if (r < 0)
		return r;
	if (Tss2_MU_TPM2_CC_Marshal(TPM2_CC_PolicyPCR, command, sizeof(command), &len) !=
		    TSS2_RC_SUCCESS ||
	    Tss2_MU_TPML_PCR_SELECTION_Marshal(&selection, command, sizeof(command), &len) !=
		    TSS2_RC_SUCCESS)
		return -EINVAL;
	parts[0] = digest_view(&start);
	parts[1] = view_of(command, len);
	parts[2] = digest_view(&pcrs);
	r = digest_of_parts(HASH_SHA256, parts, ARRAY_LEN(parts), &policy);
	if (r < 0)
		return r;
	f->pcr_digest.size = pcrs.size;
	memcpy(f->pcr_digest.buffer, pcrs.bytes, pcrs.size);
	ret_policy->size = policy.size;
	memcpy(ret_policy->buffer, policy.bytes, policy.size);
	return 0;
}

/* Sealed data that its policy alone opens, and no password. */
static TPM2B_PUBLIC template_of(const TPM2B_DIGEST *policy)
{
	return (TPM2B_PUBLIC){
		.publicArea = {
			.type = TPM2_ALG_KEYEDHASH,
			.nameAlg = TPM2_ALG_SHA256,
			.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
					    TPMA_OBJECT_NODA,
			.authPolicy = *policy,
			.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL,
		},
	};
}

static TSS2_RC create(struct tpm *t, ESYS_TR srk, const TPM2B_PUBLIC *template,
		      const struct secret *key, struct boot_key_file *f)
{
	CLEANUP(tpm_transient_done)
	struct tpm_transient hidden = { .tpm = t, .handle = ESYS_TR_NONE };
	TPM2B_SENSITIVE_CREATE sensitive = { 0 };
	const TPML_PCR_SELECTION no_pcrs = { 0 };
	const TPM2B_DATA no_data = { 0 };
	TPM2B_PRIVATE *private = NULL;
	TPM2B_PUBLIC *public = NULL;
	TSS2_RC rc;

	rc = start_session(t, srk, TPM2_SE_HMAC,
			   TPMA_SESSION_DECRYPT | TPMA_SESSION_CONTINUESESSION, &hidden);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	sensitive.sensitive.data.size = (uint16_t)key->len;
	memcpy(sensitive.sensitive.data.buffer, key->data, key->len);
	TPM_CALL(rc, Esys_Create(t->esys, srk, ESYS_TR_PASSWORD, hidden.handle, ESYS_TR_NONE,
				 &sensitive, template, &no_data, &no_pcrs, &private, &public, NULL,
				 NULL, NULL));
	OPENSSL_cleanse(&sensitive, sizeof(sensitive));
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	f->private = *private;
	f->public = *public;
	Esys_Free(private);
	Esys_Free(public);
	return rc;
}

static TSS2_RC load(struct tpm *t, ESYS_TR srk, const struct boot_key_file *f,
		    struct tpm_transient *ret)
{
	TSS2_RC rc;

	TPM_CALL(rc, Esys_Load(t->esys, srk, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
			       &f->private, &f->public, &ret->handle));
	if (rc != TSS2_RC_SUCCESS)
		ret->handle = ESYS_TR_NONE;
	return rc;
}

/* Keeps the object in the TPM, at the handle. */
static int keep(struct tpm *t, ESYS_TR srk, const struct boot_key_file *f, uint32_t handle,
		char *ret_why, size_t size)
{
	CLEANUP(tpm_transient_done)
	struct tpm_transient object = { .tpm = t, .handle = ESYS_TR_NONE };
	ESYS_TR kept = ESYS_TR_NONE;
	TSS2_RC rc;

	rc = load(t, srk, f, &object);
	if (rc != TSS2_RC_SUCCESS)
		return say(rc, "cannot load what was sealed", ret_why, size);
	TPM_CALL(rc, Esys_EvictControl(t->esys, ESYS_TR_RH_OWNER, object.handle, ESYS_TR_PASSWORD,
				       ESYS_TR_NONE, ESYS_TR_NONE, handle, &kept));
	if (tpm_code(rc) == TPM2_RC_NV_DEFINED) {
		snprintf(ret_why, size,
			 "the TPM has an object at 0x%08x already: tpm2_evictcontrol -c 0x%08x",
			 handle, handle);
		return -EEXIST;
	}
	if (rc != TSS2_RC_SUCCESS)
		return say(rc, "cannot keep the key in the TPM", ret_why, size);
	Esys_TR_Close(t->esys, &kept);
	return 0;
}

static int seal(struct tpm *t, struct boot_key_file *f, const struct secret *key, uint32_t handle,
		char *ret_why, size_t size)
{
	CLEANUP(tpm_transient_done) struct tpm_transient srk = { .tpm = t, .handle = ESYS_TR_NONE };
	TPM2B_PUBLIC template;
	TPM2B_DIGEST policy = { 0 };
	TSS2_RC rc;
	int r;

	r = policy_of(f, &policy);
	if (r < 0)
		return r;
	template = template_of(&policy);
	rc = tpm_srk_open(t, &srk);
	if (rc != TSS2_RC_SUCCESS)
		return say(rc, "cannot have the TPM's storage root key", ret_why, size);
	rc = create(t, srk.handle, &template, key, f);
	if (rc != TSS2_RC_SUCCESS)
		return say(rc, "cannot seal the key", ret_why, size);
	return handle ? keep(t, srk.handle, f, handle, ret_why, size) : 0;
}

static int check_seal(const struct boot_values *v, const struct secret *key, uint32_t handle,
		      char *ret_why, size_t size)
{
	const struct digest zero = digest_zero(v->alg);

	if (key->len == 0 || key->len > BOOT_KEY_MAX) {
		snprintf(ret_why, size, "a TPM seals 1 to %d bytes, not %zu", BOOT_KEY_MAX,
			 key->len);
		return -EMSGSIZE;
	}
	if ((v->known & ~(1u << BOOT_KEY_DOOR)) == 0 || v->known >> BOOT_PCRS) {
		snprintf(ret_why, size, "there is no PCR to seal to");
		return -EINVAL;
	}
	if (v->known >> BOOT_KEY_DOOR & 1 && !digest_equal(&v->pcr[BOOT_KEY_DOOR], &zero)) {
		snprintf(ret_why, size, "PCR %d must be zero: it closes the door", BOOT_KEY_DOOR);
		return -EINVAL;
	}
	if (handle && (handle < BOOT_KEY_HANDLE_FIRST || handle > BOOT_KEY_HANDLE_LAST)) {
		snprintf(ret_why, size, "a persistent handle is 0x%08x to 0x%08x, not 0x%08x",
			 BOOT_KEY_HANDLE_FIRST, BOOT_KEY_HANDLE_LAST, handle);
		return -EINVAL;
	}
	return 0;
}

int boot_key_seal(const char *tcti, const struct boot_values *v, const struct secret *key,
		  uint32_t handle, struct bytes *ret, char *ret_why, size_t size)
{
	struct boot_key_file f = { .bank = v->alg, .expected = *v };
	struct tpm t = { 0 };
	int r;

	r = check_seal(v, key, handle, ret_why, size);
	if (r < 0)
		return r;
	f.expected.pcr[BOOT_KEY_DOOR] = digest_zero(v->alg);
	f.expected.known |= 1u << BOOT_KEY_DOOR;
	f.pcrs = f.expected.known;
	r = connect_tpm(&t, tcti, v->alg, ret_why, size);
	/* Values that the TPM cannot ever have would shut the key in for good. */
	t.pcrs = f.pcrs;
	if (r == 0)
		r = tpm_pcr_check_bank(&t, ret_why, size);
	if (r == 0)
		r = seal(&t, &f, key, handle, ret_why, size);
	if (r == 0)
		r = boot_key_file_write(&f, ret);
	tpm_done(&t);
	return r;
}

/* Which PCR is not as the key was sealed: after a refusal, for people. */
static void say_which(struct tpm *t, const struct boot_key_file *f, char *ret_why, size_t size)
{
	struct digest is[TPM_PCRS];
	const struct digest *should;
	char is_hex[DIGEST_HEX_MAX], should_hex[DIGEST_HEX_MAX];

	snprintf(ret_why, size,
		 "the TPM does not give the key out: the machine booted otherwise than it was "
		 "sealed to, or the door was closed");
	if (tpm_pcr_read(t, f->pcrs, is) < 0)
		return;
	for (unsigned int i = 0; i < TPM_PCRS; i++) {
		should = &f->expected.pcr[i];
		if (!(f->pcrs & f->expected.known & 1u << i) || digest_equal(&is[i], should))
			continue;
		if (i == BOOT_KEY_DOOR)
			snprintf(ret_why, size,
				 "PCR %u was extended: the door is closed until the next boot", i);
		else
			snprintf(ret_why, size, "PCR %u is %s; the key is sealed to %s", i,
				 digest_hex(&is[i], is_hex), digest_hex(should, should_hex));
		return;
	}
}

/* The key out of a loaded object, through a session that has shown the PCRs. */
static int unseal(struct tpm *t, ESYS_TR srk, ESYS_TR object, const struct boot_key_file *f,
		  struct secret *ret, char *ret_why, size_t size)
{
	CLEANUP(tpm_transient_done)
	struct tpm_transient session = { .tpm = t, .handle = ESYS_TR_NONE };
	const TPML_PCR_SELECTION selection = boot_key_selection(f->bank, f->pcrs);
	TPM2B_SENSITIVE_DATA *data = NULL;
	TSS2_RC rc;
	int r;

	rc = start_session(t, srk, TPM2_SE_POLICY,
			   TPMA_SESSION_ENCRYPT | TPMA_SESSION_CONTINUESESSION, &session);
	if (rc == TSS2_RC_SUCCESS)
		TPM_CALL(rc, Esys_PolicyPCR(t->esys, session.handle, ESYS_TR_NONE, ESYS_TR_NONE,
					    ESYS_TR_NONE, NULL, &selection));
	if (rc != TSS2_RC_SUCCESS)
		return say(rc, "cannot show the TPM its PCRs", ret_why, size);
	TPM_CALL(rc,
		 Esys_Unseal(t->esys, object, session.handle, ESYS_TR_NONE, ESYS_TR_NONE, &data));
	if (tpm_code(rc) == TPM2_RC_POLICY_FAIL) {
		say_which(t, f, ret_why, size);
		return -EKEYREJECTED;
	}
	if (rc != TSS2_RC_SUCCESS)
		return say(rc, "cannot unseal the key", ret_why, size);
	r = secret_copy(view_of(data->buffer, data->size), ret);
	OPENSSL_cleanse(data, sizeof(*data));
	Esys_Free(data);
	if (r < 0)
		snprintf(ret_why, size, "%s", strerror(-r));
	return r;
}

static int open_file(struct tpm *t, const struct boot_key_file *f, struct secret *ret,
		     char *ret_why, size_t size)
{
	CLEANUP(tpm_transient_done) struct tpm_transient srk = { .tpm = t, .handle = ESYS_TR_NONE };
	CLEANUP(tpm_transient_done)
	struct tpm_transient object = { .tpm = t, .handle = ESYS_TR_NONE };
	TSS2_RC rc;

	rc = tpm_srk_open(t, &srk);
	if (rc != TSS2_RC_SUCCESS)
		return say(rc, "cannot have the TPM's storage root key", ret_why, size);
	rc = load(t, srk.handle, f, &object);
	if (tpm_errno(rc) == -EBADMSG) {
		snprintf(ret_why, size,
			 "the key was sealed by another TPM, this one was cleared, or the file was "
			 "changed");
		return -ESTALE;
	}
	if (rc != TSS2_RC_SUCCESS)
		return say(rc, "cannot load the sealed key", ret_why, size);
	return unseal(t, srk.handle, object.handle, f, ret, ret_why, size);
}

int boot_key_open(const char *tcti, struct view file, struct secret *ret, char *ret_why,
		  size_t size)
{
	struct boot_key_file f;
	struct tpm t = { 0 };
	const char *why = NULL;
	int r;

	r = boot_key_file_parse(file, &f, &why);
	if (r < 0) {
		snprintf(ret_why, size, "%s", why);
		return r;
	}
	r = connect_tpm(&t, tcti, f.bank, ret_why, size);
	if (r == 0)
		r = open_file(&t, &f, ret, ret_why, size);
	tpm_done(&t);
	return r;
}

static int open_kept(struct tpm *t, uint32_t handle, const struct boot_key_file *f,
		     struct secret *ret, char *ret_why, size_t size)
{
	CLEANUP(tpm_transient_done) struct tpm_transient srk = { .tpm = t, .handle = ESYS_TR_NONE };
	CLEANUP(tpm_transient_done)
	struct tpm_transient object = { .tpm = t, .handle = ESYS_TR_NONE };
	ESYS_TR found = ESYS_TR_NONE;
	TSS2_RC rc;

	TPM_CALL(rc, Esys_TR_FromTPMPublic(t->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE,
					   ESYS_TR_NONE, &found));
	if (tpm_code(rc) == TPM2_RC_HANDLE) {
		snprintf(ret_why, size, "the TPM has no object at 0x%08x", handle);
		return -ESTALE;
	}
	if (rc == TSS2_RC_SUCCESS) {
		object.handle = found;
		object.persistent = true;
		rc = tpm_srk_open(t, &srk);
	}
	if (rc != TSS2_RC_SUCCESS)
		return say(rc, "cannot have the sealed key", ret_why, size);
	return unseal(t, srk.handle, object.handle, f, ret, ret_why, size);
}

int boot_key_open_at(const char *tcti, uint32_t handle, enum hash_alg bank, uint32_t pcrs,
		     struct secret *ret, char *ret_why, size_t size)
{
	struct boot_key_file f = { .bank = bank, .pcrs = pcrs | 1u << BOOT_KEY_DOOR };
	struct tpm t = { 0 };
	int r;

	if (handle < BOOT_KEY_HANDLE_FIRST || handle > BOOT_KEY_HANDLE_LAST || pcrs >> BOOT_PCRS) {
		snprintf(ret_why, size, "not a persistent handle, or no such PCRs");
		return -EINVAL;
	}
	/* The door's value is known without a file. */
	f.expected.known = 1u << BOOT_KEY_DOOR;
	f.expected.pcr[BOOT_KEY_DOOR] = digest_zero(bank);
	r = connect_tpm(&t, tcti, bank, ret_why, size);
	if (r == 0)
		r = open_kept(&t, handle, &f, ret, ret_why, size);
	tpm_done(&t);
	return r;
}

int boot_key_close(const char *tcti, char *ret_why, size_t size)
{
	static const char closed[] = "assay: the boot key was used";
	TPM2B_EVENT event = { .size = sizeof(closed) - 1 };
	TPML_DIGEST_VALUES *digests = NULL;
	struct tpm t = { 0 };
	TSS2_RC rc;
	int r;

	memcpy(event.buffer, closed, event.size);
	r = connect_tpm(&t, tcti, HASH_SHA256, ret_why, size);
	if (r == 0) {
		/* Every bank at once. */
		TPM_CALL(rc, Esys_PCR_Event(t.esys, BOOT_KEY_DOOR, ESYS_TR_PASSWORD, ESYS_TR_NONE,
					    ESYS_TR_NONE, &event, &digests));
		if (rc == TSS2_RC_SUCCESS)
			Esys_Free(digests);
		else
			r = say(rc, "cannot close the door", ret_why, size);
	}
	tpm_done(&t);
	return r;
}
