/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_SDK_SECRET_H
#define ASSAY_SDK_SECRET_H

#include "assay/assay.h"
#include "bytes.h"
#include "cleanup.h"

/*
 * Takes the content of a memfd that assayd sent. -EBADMSG: not a memfd, not sealed so that
 * nobody can change it any more, or of another size than a secret has. -ENOMEM.
 */
MUST_CHECK int secret_from_memfd(int fd, const char *name, uint32_t stage,
				 struct assay_secret **ret);

CLEANUP_FUNCTION(struct assay_secret *, assay_secret_free)

#endif
