/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_DER_H
#define ASSAY_VERIFIER_DER_H

#include "bytes.h"

/* DER (X.690), as much of it as the makers' own certificate extensions need. */

#define DER_INTEGER	 0x02
#define DER_OCTET_STRING 0x04
#define DER_OID		 0x06
#define DER_SEQUENCE	 0x30

struct der {
	uint8_t tag;
	struct view content; /* lent */
};

/* The next value; tags above 30 and lengths of more than 4 bytes are not DER to us. -EBADMSG. */
MUST_CHECK int der_next(struct reader *r, struct der *ret);

/* An INTEGER that is not negative. -EBADMSG. */
MUST_CHECK int der_unsigned(const struct der *d, uint64_t *ret);

#endif
