/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_SVSM_MANIFEST_H
#define ASSAY_VERIFIER_SVSM_MANIFEST_H

#include "tpm_public.h"

/*
 * What an SVSM says of its services, and the chip's report covers (AMD 58019, 8; Linux
 * Documentation/ABI/testing/configfs-tsm-report). Asked for its vTPM alone: the TPMT_PUBLIC of
 * the endorsement key, which is manifest version 0. Asked for all: a table of services, each by
 * its GUID in mixed-endian order (the first three fields little-endian), offset and length.
 * Pure reading: nothing is trusted here.
 */

#define SVSM_MANIFEST_MAX (32 * 1024) /* as much as configfs-tsm gives */
#define SVSM_SERVICES_MAX 64
#define SVSM_GUID_SIZE	  16

struct svsm_manifest {
	bool all_services;
	size_t n_services;    /* of the table; 1 where it is the vTPM's alone */
	struct view vtpm;     /* TPMT_PUBLIC of the EK, lent: these very bytes */
	struct tpm_public ek; /* the same, read: a storage key that never left its TPM */
};

/*
 * -EBADMSG: it is not such a manifest with one vTPM; *ret_why says why, in words that live for
 * ever. -ENOMEM.
 */
MUST_CHECK int svsm_manifest_parse(struct view raw, struct svsm_manifest *ret,
				   const char **ret_why);

/* True if the bytes are such a manifest. */
bool svsm_manifest_is(struct view raw);

#endif
