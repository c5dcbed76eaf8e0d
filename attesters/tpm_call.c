/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <tss2/tss2_rc.h>

#include "tpm.h"

#define TRIES_MAX    40
#define TRY_AFTER_MS 25

/*
 * tss2 would write its own messages to standard error; what matters of them is in
 * ret_why. Before main, as the environment may not be changed once there are threads; who
 * sets TSS2_LOG is heard.
 */
__attribute__((constructor)) static void tss2_quiet(void)
{
	setenv("TSS2_LOG", "all+NONE", 0);
}

TPM2_RC tpm_code(TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	if (rc == TSS2_RC_SUCCESS ||
	    (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER))
		return 0;
	rc &= ~TSS2_RC_LAYER_MASK;
	/* Format one: bit 6 and bits 8 to 11 say which parameter, handle or session (part 2, 6.6).
	 */
	return rc & TPM2_RC_FMT1 ? rc & (TPM2_RC_FMT1 | 0x3f) : rc;
}

bool tpm_again(TSS2_RC rc, unsigned int tries)
{
	TPM2_RC code = tpm_code(rc);
	struct timespec wait = { .tv_nsec = TRY_AFTER_MS * 1000 * 1000 };

	if (code != TPM2_RC_RETRY && code != TPM2_RC_TESTING && code != TPM2_RC_YIELDED &&
	    code != TPM2_RC_NV_RATE)
		return false;
	if (tries == TRIES_MAX)
		return false;
	nanosleep(&wait, NULL);
	return true;
}

static const struct {
	TPM2_RC code;
	int error;
	const char *advice;
} tpm_errors[] = {
	{ TPM2_RC_INITIALIZE, ENODEV,
	  "the TPM was never started: the firmware does that, or swtpm's --flags startup-clear" },
	{ TPM2_RC_FAILURE, EIO, "the TPM is in failure mode until the machine is reset" },
	{ TPM2_RC_LOCKOUT, EBUSY,
	  "the TPM is locked after wrong passwords: tpm2_dictionarylockout --clear-lockout" },
	{ TPM2_RC_AUTH_FAIL, EACCES,
	  "the owner and endorsement hierarchies must have no password: tpm2_changeauth" },
	{ TPM2_RC_BAD_AUTH, EACCES,
	  "the owner and endorsement hierarchies must have no password: tpm2_changeauth" },
	{ TPM2_RC_HIERARCHY, EACCES, "the owner or endorsement hierarchy is switched off" },
	{ TPM2_RC_OBJECT_MEMORY, EBUSY,
	  "others fill the TPM's memory: use the resource manager, device:/dev/tpmrm0" },
	{ TPM2_RC_SESSION_MEMORY, EBUSY,
	  "others fill the TPM's memory: use the resource manager, device:/dev/tpmrm0" },
	{ TPM2_RC_MEMORY, EBUSY,
	  "others fill the TPM's memory: use the resource manager, device:/dev/tpmrm0" },
	{ TPM2_RC_RETRY, EBUSY, "the TPM stays busy: try again" },
	{ TPM2_RC_TESTING, EBUSY, "the TPM tests itself: try again" },
	{ TPM2_RC_INTEGRITY, EBADMSG, "it was not made by this TPM, or was changed" },
	{ TPM2_RC_BINDING, EBADMSG, "it was not made by this TPM, or was changed" },
	{ TPM2_RC_VALUE, EBADMSG, "the TPM does not take this value" },
	{ TPM2_RC_SIZE, EBADMSG, "the TPM does not take this size" },
	{ TPM2_RC_LOCALITY, EACCES, "the PCR may not be extended from locality 0" },
	{ TPM2_RC_COMMAND_CODE, EOPNOTSUPP, "the TPM lacks a command: is it a TPM 2.0?" },
	{ TPM2_RC_CURVE, EOPNOTSUPP, "the TPM lacks the curve P-256" },
};

/* Of the layers below ESYS: what becomes of the code behind the layer. */
static const struct {
	TSS2_RC code;
	int error;
	const char *advice;
} tss_errors[] = {
	{ TSS2_BASE_RC_IO_ERROR, ENODEV,
	  "is there a TPM 2.0, may this user open it, and does no one else hold it?" },
	{ TSS2_BASE_RC_NO_CONNECTION, ENODEV,
	  "is there a TPM 2.0, may this user open it, and does no one else hold it?" },
	{ TSS2_BASE_RC_NOT_SUPPORTED, ENODEV,
	  "is the TCTI string right, device:/dev/tpmrm0 or swtpm:path=SOCKET, and its library "
	  "installed?" },
	{ TSS2_BASE_RC_BAD_VALUE, EINVAL,
	  "is the TCTI string right, device:/dev/tpmrm0 or swtpm:path=SOCKET?" },
	{ TSS2_BASE_RC_MEMORY, ENOMEM, "out of memory" },
	{ TSS2_BASE_RC_TRY_AGAIN, EBUSY, "the TPM did not answer in time: try again" },
	{ TSS2_BASE_RC_MALFORMED_RESPONSE, EIO, "the TPM's answer makes no sense" },
};

static const char *look_up(TSS2_RC rc, int *ret_error)
{
	TPM2_RC code = tpm_code(rc);

	for (size_t i = 0; code && i < ARRAY_LEN(tpm_errors); i++) {
		if (tpm_errors[i].code == code) {
			*ret_error = tpm_errors[i].error;
			return tpm_errors[i].advice;
		}
	}
	for (size_t i = 0; !code && i < ARRAY_LEN(tss_errors); i++) {
		if (tss_errors[i].code == (rc & ~TSS2_RC_LAYER_MASK)) {
			*ret_error = tss_errors[i].error;
			return tss_errors[i].advice;
		}
	}
	*ret_error = EIO;
	return "the TPM does not work as it should";
}

int tpm_errno(TSS2_RC rc)
{
	int error;

	if (rc == TSS2_RC_SUCCESS)
		return 0;
	look_up(rc, &error);
	return -error;
}

void tpm_explain(TSS2_RC rc, const char *tried, char *ret_why, size_t size)
{
	int error;
	const char *advice = look_up(rc, &error);

	snprintf(ret_why, size, "%s: %s (0x%x); %s", tried, Tss2_RC_Decode(rc), rc, advice);
}

void tpm_flush(struct tpm *t, ESYS_TR *handle)
{
	TSS2_RC rc;

	if (*handle == ESYS_TR_NONE)
		return;
	TPM_CALL(rc, Esys_FlushContext(t->esys, *handle));
	/* What the TPM no longer has needs no flushing; ESYS must forget it all the same. */
	if (rc != TSS2_RC_SUCCESS)
		Esys_TR_Close(t->esys, handle);
	*handle = ESYS_TR_NONE;
}

void tpm_transient_done(struct tpm_transient *x)
{
	if (x->persistent)
		Esys_TR_Close(x->tpm->esys, &x->handle);
	else
		tpm_flush(x->tpm, &x->handle);
}
