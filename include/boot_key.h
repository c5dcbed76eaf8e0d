/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_BOOT_KEY_H
#define ASSAY_BOOT_KEY_H

#include "boot_values.h"
#include "bytes.h"
#include "digest.h"
#include "secret.h"

/*
 * A disk's key that a TPM gives out after one boot alone: sealed to PCR values that need not be
 * there yet (boot_values.h), for machines that must start with no verifier in reach.
 *
 * The file is a TPM 2.0 key file (draft-bottomley-tpm2-keys, "TSS2 PRIVATE KEY", sealed data) with
 * a policy of one TPM2_PolicyPCR; the object's parent is the SRK of the owner hierarchy (TCG TPM
 * v2.0 Provisioning Guidance, 7.5.1), which must have no password. The file is of no use without
 * this TPM; its description names the values and proves nothing.
 *
 * Calls block as an attester's do. On failure they say in ret_why, in words, what is wrong.
 */

#define BOOT_KEY_MAX	  128	      /* bytes that a TPM seals (TPM 2.0 part 2, MAX_SYM_DATA) */
#define BOOT_KEY_FILE_MAX (16 * 1024) /* bytes of a file */
#define BOOT_KEY_WHY_MAX  512

/*
 * Nobody measures into this PCR in a boot that is predicted (it is shim's, for machine owner
 * keys). Every key is sealed to its start value also, so that extending it closes the door until
 * the next boot without a change of what is quoted.
 */
#define BOOT_KEY_DOOR 14

/* Handles of persistent objects that owners may choose (TCG registry of reserved handles). */
#define BOOT_KEY_HANDLE_FIRST 0x81000000u
#define BOOT_KEY_HANDLE_LAST  0x817fffffu

/*
 * Seals key to the values of v, all that are known in it, and to the door. tcti as in struct
 * attester_config (NULL: the machine's own TPM). handle: also keeps the object in the TPM, there;
 * 0: only in *ret, which the caller has made with BYTES_INIT(BOOT_KEY_FILE_MAX). -EINVAL: nothing
 * to seal to, a door that is not zero, or a handle that is none; -EMSGSIZE: more than BOOT_KEY_MAX
 * bytes, or none; -EEXIST: the handle is in use; errors of the TPM (-ENODEV, -EACCES, -EBUSY,
 * -EIO).
 */
MUST_CHECK int boot_key_seal(const char *tcti, const struct boot_values *v,
			     const struct secret *key, uint32_t handle, struct bytes *ret,
			     char *ret_why, size_t size);

/*
 * The key. -EBADMSG: not such a file; -EKEYREJECTED: the machine did not boot so, or the door is
 * closed: ret_why names the first PCR that differs; -ESTALE: another TPM's, or the TPM was
 * cleared; errors of the TPM as above. The secret heap must be there.
 */
MUST_CHECK int boot_key_open(const char *tcti, struct view file, struct secret *ret, char *ret_why,
			     size_t size);

/* As boot_key_open, of an object in the TPM that was sealed to these PCRs (bitmap) and the door. */
MUST_CHECK int boot_key_open_at(const char *tcti, uint32_t handle, enum hash_alg bank,
				uint32_t pcrs, struct secret *ret, char *ret_why, size_t size);

/* Extends the door's PCR in every bank: no key opens again before the next boot. */
MUST_CHECK int boot_key_close(const char *tcti, char *ret_why, size_t size);

#endif
