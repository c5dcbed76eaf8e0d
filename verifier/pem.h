/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_PEM_H
#define ASSAY_VERIFIER_PEM_H

#include "bytes.h"

/*
 * PEM (RFC 7468), strictly: nothing but line ends and zero padding between the blocks, no
 * headers in them, base64 with no bit to spare. A flipped bit is then never read over.
 */

#define PEM_DER_MAX (1024 * 1024)

/*
 * 1: the next block, its label lent from r, its content in *ret (which is emptied first);
 * 0: no more; -EBADMSG: not PEM; -ENOMEM.
 */
MUST_CHECK int pem_next(struct reader *r, struct view *ret_label, struct bytes *ret);

/* True if the bytes begin as PEM does. */
bool pem_begins(struct view v);

/*
 * The bytes that the text stands for, in its one true form: no blanks, no bit to spare. ret is
 * empty before. -EBADMSG: another text, or more bytes than ret may hold. -ENOMEM.
 */
MUST_CHECK int base64_decode(struct view text, struct bytes *ret);

/*
 * The same of base64url without padding (RFC 4648, 5), into at most size bytes; *ret_len of them.
 * -EBADMSG: another text, or more bytes.
 */
MUST_CHECK int base64url_decode(const char *text, uint8_t *to, size_t size, size_t *ret_len);

#endif
