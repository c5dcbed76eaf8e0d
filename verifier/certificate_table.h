/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_CERTIFICATE_TABLE_H
#define ASSAY_VERIFIER_CERTIFICATE_TABLE_H

#include "bytes.h"

/*
 * The certificate table of an SNP extended report (GHCB specification, SNP Extended Guest
 * Request): entries of GUID, offset and length up to one of zeros, the blobs behind. The host
 * wrote it: hints, no more.
 */

#define CERTIFICATE_TABLE_ENTRIES 16

struct certificate_table {
	size_t n;
	struct {
		uint8_t guid[16];
		struct view blob; /* lent */
	} entries[CERTIFICATE_TABLE_ENTRIES];
};

/* -EBADMSG: not such a table, or one that points outside itself. */
MUST_CHECK int certificate_table_read(struct view table, struct certificate_table *ret);

#endif
