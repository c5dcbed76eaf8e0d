/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_HCL_REPORT_H
#define ASSAY_VERIFIER_HCL_REPORT_H

#include "digest.h"
#include "tpm_public.h"

/*
 * What the paravisor of an Azure confidential VM leaves in the vTPM's NV index 0x01400001: a
 * report of the chip, and the data ("variable data", JSON) whose hash stands in it. Among
 * the data is the vTPM's attestation key. Pure reading: nothing is trusted here.
 */

#define HCL_HARDWARE_SIZE 1184 /* the area; a shorter report leaves the rest zero */
#define HCL_REPORT_MAX	  (32 * 1024)
#define HCL_AK		  "HCLAkPub"
#define HCL_USER_DATA	  64

/* As the report numbers them. */
enum hcl_kind { HCL_SNP = 2, HCL_TDX = 4 };

struct hcl_report {
	enum hcl_kind kind;
	struct view hardware; /* HCL_HARDWARE_SIZE bytes, lent */
	enum hash_alg hash;
	struct view variable; /* the JSON, lent: these very bytes are hashed */
	struct tpm_public ak; /* by its numbers alone: it has no name and no attributes */
	bool has_user_data;
	uint8_t user_data[HCL_USER_DATA];
};

/* True if the bytes begin as such a report does. */
bool hcl_report_begins(struct view raw);

/*
 * -EBADMSG: not one such report with one attestation key in its data; *ret_why says why, in
 * words that live for ever. -ENOMEM.
 */
MUST_CHECK int hcl_report_parse(struct view raw, struct hcl_report *ret, const char **ret_why);

#endif
