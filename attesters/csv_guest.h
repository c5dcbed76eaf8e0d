/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTESTERS_CSV_GUEST_H
#define ASSAY_ATTESTERS_CSV_GUEST_H

#include <linux/ioctl.h>

#include "tee.h"

/*
 * /dev/csv-guest of Hygon's kernels. No header of the kernel's is installed for it: what
 * follows is its interface (csv-guest.h there).
 */

#define CSV_GUEST_DEVICE "/dev/csv-guest"
#define CSV_GUEST_PAGE	 4096
#define CSV_GUEST_MNONCE 16
#define CSV_GUEST_DIGEST 32 /* SM3 */

/* What a report is asked for with; it comes back in the same page. */
struct csv_guest_input {
	uint8_t user_data[64];
	uint8_t mnonce[CSV_GUEST_MNONCE];
	uint8_t hash[CSV_GUEST_DIGEST]; /* SM3 of both */
	uint8_t magic[16];		/* an extended report; else zero */
	uint8_t flags[4];		/* little-endian; bit 0: with registers */
};

struct csv_guest_report_req {
	uint64_t page;
	uint32_t len, pad;
};

struct csv_guest_rtmr_req {
	uint64_t buffer, len;
	uint16_t command, reserved;
	uint32_t firmware_error;
};

enum csv_guest_rtmr_command {
	CSV_GUEST_RTMR_STATUS = 1,
	CSV_GUEST_RTMR_READ = 3,
	CSV_GUEST_RTMR_EXTEND = 4,
};

enum { CSV_GUEST_RTMR_WORKING = 2 };

struct csv_guest_rtmr_status {
	uint8_t version[2], state;
};

struct csv_guest_rtmr_value {
	uint8_t bitmap[4]; /* little-endian, of one register */
	uint8_t value[CSV_GUEST_DIGEST];
};

struct csv_guest_rtmr_extension {
	uint8_t index, reserved;
	uint8_t len[2]; /* little-endian */
	uint8_t data[CSV_GUEST_DIGEST];
};

#define CSV_GUEST_GET_REPORT _IOWR('D', 1, struct csv_guest_report_req)
#define CSV_GUEST_RTMR	     _IOWR('D', 2, struct csv_guest_rtmr_req)

#define CSV_GUEST_MAGIC	   "ATTESTATION_EXT" /* with its NUL */
#define CSV_GUEST_EXTENDED 1
#define CSV_GUEST_REGISTER 4 /* of 0 to 4: what is left to programs */

/* 0 if it is there and may be opened. */
MUST_CHECK int csv_guest_probe(char *ret_why, size_t size);

/*
 * tee_job.ask: the page with the report behind magic and flags, which say its form: version 2
 * where the machine has registers, else 1.
 */
MUST_CHECK int csv_guest_ask(struct tee_job *job);

/* -EOPNOTSUPP: the firmware has no registers, or has not begun them; -EIO: it failed. */
MUST_CHECK int csv_guest_rtmr_read(struct digest *ret);

/* RTMR = SM3(RTMR || SM3(d)); a SM3 digest goes in as it is. */
MUST_CHECK int csv_guest_rtmr_extend(const struct digest *d);

#endif
