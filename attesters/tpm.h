/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTESTERS_TPM_H
#define ASSAY_ATTESTERS_TPM_H

#include <tss2/tss2_esys.h>

#include "attester.h"

/* A TPM 2.0, by what its parts do: tpm.c the operations, tpm_*.c what they are made of. */

#define TPM_PCRS	24
#define TPM_RUNTIME_MAX 15 /* from 16 on a PCR can be reset by software */

struct tpm {
	struct attester base; /* first, so that an attester casts back to its own state */
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	char *state; /* directory; NULL: the AK ends with the process */
	enum hash_alg bank;
	uint32_t pcrs; /* quoted; runtime_pcr is one of them */
	unsigned int runtime_pcr;

	ESYS_TR ak;	   /* loaded, or ESYS_TR_NONE */
	TPM2_HANDLE ak_at; /* persistent handle of an AK that others made; 0: our own */
	TPM2B_PUBLIC ak_public;
	TPM2B_PRIVATE ak_private; /* wrapped by the TPM */
	TPM2B_PUBLIC ek_public;
	struct bytes ek_certificate, ek_chain;
	struct bytes event_log; /* the firmware's, which is complete before we start */
};

/*
 * tpm.c, for an attester that embeds a struct tpm as its first member. A zeroed t; tpm_done ends
 * it in any case.
 */

/* Takes over the configuration and talks to the TPM. ret_why: what is wrong with either. */
MUST_CHECK int tpm_connect(struct tpm *t, const struct attester_ops *ops,
			   const struct attester_config *config, char *ret_why, size_t size);

/* The bank is there; the firmware's event log is read. */
MUST_CHECK int tpm_registers(struct tpm *t, const struct attester_config *config, char *ret_why,
			     size_t size);

/* EK with its certificates, and an AK of our own, kept in t->state. */
MUST_CHECK int tpm_own_keys(struct tpm *t, char *ret_why, size_t size);

/* The contents of t, not t itself. */
void tpm_done(struct tpm *t);

/* TPMT_PUBLIC. */
MUST_CHECK int tpm_append_public(const TPM2B_PUBLIC *public, struct bytes *ret);

/* attester_ops of those names. */
MUST_CHECK int tpm_identity(struct attester *a, struct attester_identity *ret);
MUST_CHECK int tpm_extend(struct attester *a, const struct digest *d);
MUST_CHECK int tpm_runtime(struct attester *a, unsigned int *ret_register, struct digest *ret);
MUST_CHECK int tpm_activate(struct attester *a, struct view credential_blob,
			    struct view encrypted_seed, struct secret *ret);

/* tpm_call.c: calls that are tried again, and their errors. */

/* Whether to call again: the TPM said so, and it was not said too often. Waits a little. */
bool tpm_again(TSS2_RC rc, unsigned int tries);

/* Calls until the TPM no longer asks to be called again; ESYS itself gives up after 5 times. */
#define TPM_CALL(rc, call)                                                                         \
	do {                                                                                       \
		unsigned int tries_ = 0;                                                           \
		do {                                                                               \
			(rc) = (call);                                                             \
		} while (tpm_again((rc), tries_++));                                               \
	} while (0)

/* The TPM's own code, without the number of the handle or parameter it is about; 0: not the TPM's.
 */
TPM2_RC tpm_code(TSS2_RC rc);

/* 0, or the errno that says it best. */
MUST_CHECK int tpm_errno(TSS2_RC rc);

/* What was tried, what tss2 says of it, and what to do. */
void tpm_explain(TSS2_RC rc, const char *tried, char *ret_why, size_t size);

/* Flushes a transient object or a session, if there is one. */
void tpm_flush(struct tpm *t, ESYS_TR *handle);

/* An object or session in use for one scope: flushed at its end, if it is not persistent. */
struct tpm_transient {
	struct tpm *tpm;
	ESYS_TR handle;
	bool persistent;
};

/* For CLEANUP(). */
void tpm_transient_done(struct tpm_transient *x);

/* tpm_keys.c: the EK, the SRK, and the AK under it. */

/* The EK's public area into t->ek_public. */
MUST_CHECK TSS2_RC tpm_ek_find(struct tpm *t);

/* The EK for use: its persistent handle, or loaded anew. */
MUST_CHECK TSS2_RC tpm_ek_open(struct tpm *t, struct tpm_transient *ret);

/* The SRK, made anew: always the same one, until the TPM is cleared. */
MUST_CHECK TSS2_RC tpm_srk_open(struct tpm *t, struct tpm_transient *ret);

/*
 * Loads the AK that is in t, which was made under an SRK of this name, or makes a new one
 * where there is none (NULL) or another TPM made it; *ret_note then says so in words
 * that live for ever, NULL otherwise. A new one is not kept yet: *ret_srk_name goes with it
 * into tpm_state_write.
 */
MUST_CHECK TSS2_RC tpm_ak_open(struct tpm *t, const TPM2B_NAME *made_under, const char **ret_note,
			       TPM2B_NAME *ret_srk_name);

/*
 * An AK that needs no place to be kept: derived from the owner hierarchy's seed, so that it is the
 * same until the TPM is cleared. For an initrd, in which nothing outlives the boot.
 */
MUST_CHECK TSS2_RC tpm_ak_derive(struct tpm *t);

/* The AK that others made, at this persistent handle, instead of one of our own. */
MUST_CHECK TSS2_RC tpm_ak_find(struct tpm *t, TPM2_HANDLE handle);

/* Loads the AK again, after the TPM has forgotten it (a suspend, a restart of swtpm). */
MUST_CHECK TSS2_RC tpm_ak_reload(struct tpm *t);

/* tpm_state.c: the wrapped AK in a file. */

/* The AK in t->state into t; the name of the SRK it was made under. -ENOENT; -EBADMSG. */
MUST_CHECK int tpm_state_read(struct tpm *t, TPM2B_NAME *ret_srk_name);
MUST_CHECK int tpm_state_write(const struct tpm *t, const TPM2B_NAME *srk_name);

/* tpm_nv.c: what the maker left in the chip. */

/*
 * Appends the content of an index. -ENOENT: there is none, or it was never written; -EMSGSIZE: it
 * has more than 4096 bytes.
 */
MUST_CHECK int tpm_nv_read(struct tpm *t, TPM2_HANDLE handle, struct bytes *ret);

/* DER of the EK certificate, without padding; empty where there is none. */
MUST_CHECK int tpm_nv_ek_certificate(struct tpm *t, struct bytes *ret);

/* DER certificates, one after the other; empty where there are none. */
MUST_CHECK int tpm_nv_ek_chain(struct tpm *t, struct bytes *ret);

/* Bytes of the DER SEQUENCE at the start of v; 0: there is none, or not all of it. */
size_t tpm_nv_der_size(struct view v);

/* tpm_pcr.c: registers. */

/* -EOPNOTSUPP: the TPM has no such bank, or not these PCRs in it; ret_why says which it has. */
MUST_CHECK int tpm_pcr_check_bank(struct tpm *t, char *ret_why, size_t size);

/* Those of the bitmap into ret_values, by their number. */
MUST_CHECK int tpm_pcr_read(struct tpm *t, uint32_t pcrs, struct digest ret_values[TPM_PCRS]);

/* A selection of these PCRs in t's bank. */
TPML_PCR_SELECTION tpm_pcr_selection(const struct tpm *t, uint32_t pcrs);

/* tpm_quote.c: attester_ops.report. */
MUST_CHECK int tpm_report(struct attester *a, struct view claims, struct arena *arena,
			  Assay__ChipReport *report);

#endif
