/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_TDX_COLLATERAL_H
#define ASSAY_VERIFIER_TDX_COLLATERAL_H

#include <jansson.h>

#include "signed_json.h"
#include "tdx_pck.h"
#include "tdx_quote.h"
#include "tdx_status.h"

/*
 * Intel's TCB info (version 3) and QE identity (version 2), as the PCS serves them. Read, not
 * believed: who uses one first checks who signed its text.
 */

#define TDX_COLLATERAL_MAX (256 * 1024)
#define TDX_LEVELS_MAX	   64
#define TDX_MODULES_MAX	   32

/* One level: what it takes, and what having it means. */
struct tdx_level {
	uint8_t sgx[TDX_SVNS], tdx[TDX_SVNS]; /* of TCB info */
	uint16_t svn;			      /* pcesvn of TCB info, else isvsvn */
	enum tdx_status status;
	int64_t date;
	json_t *advisories; /* of strings; NULL: none */
};

struct tdx_levels {
	size_t n;
	struct tdx_level *at; /* as listed: the highest first */
};

/* A TDX module's identity. */
struct tdx_module {
	char id[16]; /* "TDX_01"; empty for the one without an id */
	uint8_t mrsigner[TDX_REGISTER];
	uint8_t attributes[8], mask[8];
	struct tdx_levels levels;
};

/* Of both documents. */
struct tdx_document {
	struct signed_json text; /* lent from what was read */
	json_t *json;		 /* NULL once read: it takes many times the text */
	int64_t issued, next_update;
};

struct tdx_tcb_info {
	struct tdx_document doc;
	uint8_t fmspc[6], pceid[2];
	struct tdx_module module; /* of TDX 1.0: for TEE_TCB_SVN[1] = 0 */
	size_t n_modules;
	struct tdx_module modules[TDX_MODULES_MAX];
	struct tdx_levels levels;
};

struct tdx_qe_identity {
	struct tdx_document doc;
	uint32_t miscselect, miscselect_mask;
	uint8_t attributes[16], attributes_mask[16];
	uint8_t mrsigner[32];
	uint16_t isvprodid;
	struct tdx_levels levels;
};

/*
 * The document, on its own; the caller frees *ret. -EBADMSG: not one of this kind, for TDX,
 * of a version we know, with all that is needed; *ret_why says what, in words that live for
 * ever. -ENOMEM.
 */
MUST_CHECK int tdx_tcb_info_read(struct view text, struct tdx_tcb_info **ret, const char **ret_why);
void tdx_tcb_info_free(struct tdx_tcb_info *t);
MUST_CHECK int tdx_qe_identity_read(struct view text, struct tdx_qe_identity **ret,
				    const char **ret_why);
void tdx_qe_identity_free(struct tdx_qe_identity *q);

/* The module's identity that goes with TEE_TCB_SVN; NULL: there is none. */
const struct tdx_module *tdx_tcb_info_module(const struct tdx_tcb_info *t, struct view svn);

#endif
