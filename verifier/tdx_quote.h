/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_TDX_QUOTE_H
#define ASSAY_VERIFIER_TDX_QUOTE_H

#include "bytes.h"

/*
 * An Intel TDX quote, version 4 or 5, with a TD report 1.0, 1.5 or 1.5 extended (Intel TDX DCAP
 * Quoting Library API, appendix 3). Taken apart, nothing checked but its form. All views lend
 * from the quote.
 */

#define TDX_REGISTER	48
#define TDX_RTMRS	4
#define TDX_REPORT_DATA 64
#define TDX_AUTH_MAX	1024
#define TDX_CHAIN_MAX	(16 * 1024)

enum tdx_body_type {
	TDX_BODY_TD10 = 2,
	TDX_BODY_TD15 = 3,
	TDX_BODY_TD15_EXTENDED = 4,
};

/* TD report: what the module says of the TD. */
struct tdx_body {
	enum tdx_body_type type;
	struct view tee_tcb_svn, mrseam, mrsignerseam, seam_attributes;
	struct view td_attributes, xfam;
	struct view mrtd, mrconfigid, mrowner, mrownerconfig;
	struct view rtmr[TDX_RTMRS];
	struct view report_data;
	struct view tee_tcb_svn_2, mrservicetd; /* TD 1.5, else empty */
	/* TD 1.5 extended, else empty: its id and devices, and of its service TD then and now. */
	struct view vm_id, td_id, devinfo;
	struct view init_servtd_hash, init_servtd_attributes;
	struct view init_cpusvn, init_tee_tcb_svn, init_tee_fmspc;
	struct view servtd_hash, servtd_attributes;
};

/* The quoting enclave's own report (SGX REPORT body, SDM volume 3D, 38.15). */
struct tdx_qe_report {
	struct view whole;
	struct view cpusvn, attributes, mrenclave, mrsigner, report_data;
	uint32_t miscselect;
	uint16_t isvprodid, isvsvn;
};

struct tdx_quote {
	uint16_t version;
	struct view qe_vendor, user_data;
	struct tdx_body body;
	struct view signed_part;    /* header, descriptor of version 5, body */
	struct view signature, key; /* of the attestation key: r || s; x || y */
	struct tdx_qe_report qe;
	struct view qe_signature, qe_auth;
	struct view chain; /* PEM: PCK certificate and up */
	size_t trailing;   /* bytes behind the declared length, which nobody signed */
};

/* -EBADMSG: not such a quote; *ret_why says why, in words that live for ever. */
MUST_CHECK int tdx_quote_parse(struct view raw, struct tdx_quote *ret, const char **ret_why);

/* True for bytes that begin as a TDX quote of any version does. */
bool tdx_quote_begins(struct view raw);

/* Byte 0, bit 0 of the attributes (TDX module ABI, TDATTRIBUTES). */
bool tdx_body_debug(const struct tdx_body *b);

#endif
