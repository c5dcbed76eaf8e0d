/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTESTERS_BOOT_KEY_FILE_H
#define ASSAY_ATTESTERS_BOOT_KEY_FILE_H

#include <tss2/tss2_tpm2_types.h>

#include "boot_values.h"
#include "bytes.h"

/* What is in the file of a boot key (boot_key.h). Pure. */
struct boot_key_file {
	TPM2B_PUBLIC public;
	TPM2B_PRIVATE private; /* wrapped by the TPM */
	enum hash_alg bank;
	uint32_t pcrs;		     /* bitmap of those in the policy */
	TPM2B_DIGEST pcr_digest;     /* of their values */
	struct boot_values expected; /* those that the description names; it proves nothing */
};

/* The PCRs of a bitmap, as TPM2_PolicyPCR takes them. */
TPML_PCR_SELECTION boot_key_selection(enum hash_alg bank, uint32_t pcrs);

/* Appends PEM. -EINVAL: more than fits; -EMSGSIZE; -ENOMEM. */
MUST_CHECK int boot_key_file_write(const struct boot_key_file *f, struct bytes *ret);

/* -EBADMSG: not such a file; *ret_why says why, in words that live for ever. -ENOMEM. */
MUST_CHECK int boot_key_file_parse(struct view text, struct boot_key_file *ret,
				   const char **ret_why);

#endif
