/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_SIGNED_JSON_H
#define ASSAY_VERIFIER_SIGNED_JSON_H

#include <jansson.h>

#include "bytes.h"

/*
 * Intel's signed JSON: {"NAME":{...},"signature":"128 hex digits"}. The signature covers the
 * inner object's text byte for byte, so it is cut out, never written anew.
 */

#define SIGNED_JSON_DEPTH_MAX 32

/* Views lend from the text. */
struct signed_json {
	struct view name;
	struct view object;    /* from its { to its } */
	uint8_t signature[64]; /* r || s of ECDSA P-256, big-endian */
};

/*
 * -EBADMSG: not of that form: other members, one of them twice, nested too deeply, or bytes
 * behind it.
 */
MUST_CHECK int signed_json_cut(struct view text, struct signed_json *ret);

/* The object, parsed: no member twice at any depth. -EBADMSG. The caller ends *ret. */
MUST_CHECK int signed_json_parse(const struct signed_json *j, json_t **ret);

/* For CLEANUP(). */
static inline void cleanup_json(json_t **j)
{
	json_decref(*j);
}

#endif
