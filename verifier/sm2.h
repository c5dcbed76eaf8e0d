/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_SM2_H
#define ASSAY_VERIFIER_SM2_H

#include <openssl/evp.h>

#include "bytes.h"

/* SM2 signatures with SM3 (GB/T 32918.2) by keys that come as two coordinates. */

#define SM2_NUMBER_SIZE 32

/* Big-endian. */
struct sm2_point {
	uint8_t x[SM2_NUMBER_SIZE], y[SM2_NUMBER_SIZE];
};

struct sm2_signature {
	uint8_t r[SM2_NUMBER_SIZE], s[SM2_NUMBER_SIZE];
};

/*
 * 1: the key made the signature over data, as the signer of that id (GB/T 32918.2, 5.5: it goes
 * into the digest); 0: it did not, or the point is none of the curve; -ENOMEM.
 */
MUST_CHECK int sm2_verify(const struct sm2_point *key, struct view id,
			  const struct sm2_signature *signature, struct view data);

#endif
