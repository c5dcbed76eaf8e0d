/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_CBOR_WRITER_H
#define ASSAY_VERIFIER_CBOR_WRITER_H

#include "bytes.h"

/* CBOR (RFC 8949) written item by item, in the shortest form. -EMSGSIZE and -ENOMEM as bytes_append. */

MUST_CHECK int cbor_writer_int(struct bytes *to, int64_t number);
MUST_CHECK int cbor_writer_bytes(struct bytes *to, struct view v);
MUST_CHECK int cbor_writer_text(struct bytes *to, const char *text);
MUST_CHECK int cbor_writer_text_view(struct bytes *to, struct view text);

/* What begins with these is to be followed by as many items (a map: pairs of them). */
MUST_CHECK int cbor_writer_array(struct bytes *to, size_t n);
MUST_CHECK int cbor_writer_map(struct bytes *to, size_t n);
MUST_CHECK int cbor_writer_tag(struct bytes *to, uint64_t tag);

#endif
