/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_RATLS_TAG_H
#define ASSAY_VERIFIER_RATLS_TAG_H

#include <stdint.h>

#include "errors.h"

/* The CBOR tag of a platform's reports in ratls.h. -ENOTSUP: there is none. */
MUST_CHECK int ratls_tag(const char *platform, uint64_t *ret);

#endif
