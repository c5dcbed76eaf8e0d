/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_CSV_CERTIFICATE_H
#define ASSAY_VERIFIER_CSV_CERTIFICATE_H

#include "sm2.h"

/*
 * Hygon's own certificates: those of its root key HRK and its signing key HSK in one form, those
 * of a chip (CEK, PEK) in another. Neither has dates, and nothing revokes one. Pure reading.
 */

#define CSV_ROOT_CERTIFICATE_SIZE 832  /* HRK, HSK */
#define CSV_CHIP_CERTIFICATE_SIZE 2084 /* CEK, PEK */
#define CSV_CHIP_BODY_SIZE	  1044 /* of it, signed */
#define CSV_KEY_ID_SIZE		  16
#define CSV_NUMBER_FIELD	  72 /* little-endian; 32 bytes are in use */
#define CSV_SIGNATURES		  2

enum csv_usage {
	CSV_USAGE_HRK = 0,
	CSV_USAGE_HSK = 0x13,
	CSV_USAGE_NONE = 0x1000, /* a place for a signature that has none */
	CSV_USAGE_OCA = 0x1001,	 /* the chip's owner; signs a PEK besides the CEK */
	CSV_USAGE_PEK = 0x1002,
	CSV_USAGE_CEK = 0x1004,
};

#define CSV_ALGORITHM_SM2_SIGN 4

/* One signature; usage: of the key that made it. */
struct csv_signed {
	uint32_t usage;
	struct sm2_signature signature;
};

/* Views lend from the bytes that were parsed. */
struct csv_certificate {
	uint32_t usage;
	uint8_t key_id[CSV_KEY_ID_SIZE];	/* HRK and HSK; zero in others */
	uint8_t signer_id[CSV_KEY_ID_SIZE];	/* key id of the signer; zero in a PEK */
	uint8_t firmware_major, firmware_minor; /* CEK and PEK: API of the firmware */
	struct sm2_point key;
	struct view user_id; /* of the key's owner, for what the key signs */
	struct view body;    /* what the signatures cover */
	struct csv_signed signatures[CSV_SIGNATURES];
	size_t n_signatures;
};

/*
 * A certificate in either form, by its size. -EBADMSG: it is none of HRK, HSK, CEK or PEK, a
 * number does not fit the curve, or bytes that no signature covers are set; *ret_why says which,
 * in words that live for ever.
 */
MUST_CHECK int csv_certificate_parse(struct view raw, struct csv_certificate *ret,
				     const char **ret_why);

/* A number in its field, little-endian, turned round. NULL, or why it is none. */
const char *csv_read_number(struct reader *in, uint8_t ret[SM2_NUMBER_SIZE]);

/* 1: a signature of this signer, by usage and id, verifies; 0: none does; -ENOMEM. */
MUST_CHECK int csv_certificate_signed_by(const struct csv_certificate *c,
					 const struct csv_certificate *signer);

/* "HSK"; "?" for a usage that is none of the above. */
const char *csv_usage_name(uint32_t usage);

#endif
