/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_CSV_REPORT_H
#define ASSAY_VERIFIER_CSV_REPORT_H

#include "csv_certificate.h"

/*
 * Attestation reports of Hygon's firmware. Version 1 ("legacy"): nearly all fields are masked
 * with a nonce of the firmware (anonce). Version 2 ("extended", firmware build 2337 and later):
 * in the clear, with runtime registers. Pure reading: nothing here is trusted before the
 * signature has been checked.
 */

#define CSV_PAGE_SIZE	     4096 /* a report is the beginning of a page */
#define CSV_REPORT_V1_SIZE   2548 /* what it uses of it */
#define CSV_REPORT_V2_SIZE   3380
#define CSV_WRAPPED_SIZE     (20 + CSV_PAGE_SIZE) /* magic, flags, page: as the guest asked for it */
#define CSV_V1_SIGNED_SIZE   180
#define CSV_V2_SIGNED_SIZE   1024
#define CSV_MAC_COVERED_SIZE (CSV_CHIP_CERTIFICATE_SIZE + CSV_SERIAL_SIZE + 32)
#define CSV_SERIAL_SIZE	     64
#define CSV_DIGEST_SIZE	     32 /* SM3 */
#define CSV_MNONCE_SIZE	     16
#define CSV_RTMRS	     5

/* Guest policy. Bits 11:8 and 15:12: least HSK and CEK version; 23:16, 31:24: least API. */
#define CSV_POLICY_NODBG (1u << 0)

/* In the order of the structure, unmasked; byte strings as they stand there. */
struct csv_report {
	uint32_t version; /* 1 or 2: of the form; no field says it */
	bool restored;	  /* version 1 whose PEK and serial somebody has unmasked already */
	uint8_t user_public_key_digest[CSV_DIGEST_SIZE];
	uint8_t vm_id[16], vm_version[16];
	uint8_t report_data[64], mnonce[CSV_MNONCE_SIZE];
	uint8_t measurement[CSV_DIGEST_SIZE];
	uint32_t policy;
	uint8_t anonce[4];     /* zero in version 2 */
	uint32_t build;	       /* version 2; else 0 */
	uint16_t rtmr_version; /* 0: there are no registers */
	uint8_t rtmr[CSV_RTMRS][CSV_DIGEST_SIZE];
	struct sm2_signature signature;
	struct view signed_part; /* lent from the bytes that were parsed */

	uint8_t pek_bytes[CSV_CHIP_CERTIFICATE_SIZE];
	uint8_t serial[CSV_SERIAL_SIZE];
	struct view mac_covered; /* lent, as it came: PEK, serial, reserved */
	bool mac_spoilt;	 /* its reserved bytes were cleared, as a guest's library does */
	uint8_t mac[CSV_DIGEST_SIZE];
};

/*
 * -EBADMSG: not one report in a form that is known; *ret_why says why, in words that live for
 * ever. The PEK is not read yet: csv_report_pek.
 */
MUST_CHECK int csv_report_parse(struct view raw, struct csv_report *ret, const char **ret_why);

/* The certificate inside; it lends from report. -EBADMSG as csv_certificate_parse. */
MUST_CHECK int csv_report_pek(const struct csv_report *report, struct csv_certificate *ret,
			      const char **ret_why);

/* True if the bytes have a report's size and, where they must, its usages. */
bool csv_report_begins(struct view raw);

/* The serial number without its padding; empty: not printable. Lent from report. */
struct view csv_report_serial(const struct csv_report *report);

#endif
