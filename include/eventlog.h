/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_EVENTLOG_H
#define ASSAY_EVENTLOG_H

#include <stdbool.h>

#include "bytes.h"
#include "digest.h"

/*
 * The firmware's event log: TCG PC Client Platform Firmware Profile, 10. Both
 * forms: SHA-1 records as TPM 1.2 had them, and crypto-agile ones behind a
 * "Spec ID Event03" header; a CCEL area (TDX, CSV) is the latter, padded to its
 * length. Pure. A log proves nothing by itself: its replay is compared with
 * registers that the chip signed.
 */

#define EVENTLOG_BANKS_MAX  8
#define EVENTLOG_EVENTS_MAX 32768
#define EVENTLOG_REGISTERS  24

#define EVENTLOG_NO_ACTION  3	       /* EV_NO_ACTION: never extended */
#define EVENTLOG_EFI_ACTION 0x80000007 /* EV_EFI_ACTION: its data is the text that was extended */

struct eventlog_bank {
	uint16_t alg;  /* TCG identifier; may be one that enum hash_alg does not have */
	uint16_t size; /* of its digests */
};

/* A place in a log. Its views lend from the log's bytes. */
struct eventlog {
	struct reader at;
	bool agile;
	size_t n_banks;
	struct eventlog_bank banks[EVENTLOG_BANKS_MAX];
	size_t events; /* read so far, the Spec ID header included */
	size_t end;    /* offset behind the last event read */
};

struct eventlog_event {
	uint32_t index; /* PCR; for a CCEL the measurement register: 0 MRTD, 1 to 4 RTMR0 to 3 */
	uint32_t type;
	struct view digests[EVENTLOG_BANKS_MAX]; /* in the order of banks; empty: it has none */
	struct view data;			 /* proves nothing unless a digest covers it */
};

/*
 * Starts at the first event. -EBADMSG: not a log; *ret_why says what is wrong, in words that
 * live for ever.
 */
MUST_CHECK int eventlog_open(struct view log, struct eventlog *ret, const char **ret_why);

/* 1: the next event is in *ret; 0: the log has ended; -EBADMSG as above. */
MUST_CHECK int eventlog_next(struct eventlog *log, struct eventlog_event *ret,
			     const char **ret_why);

/* What the registers of one bank are after all events. */
struct eventlog_registers {
	enum hash_alg alg;
	uint32_t touched; /* bitmap of the registers that the log speaks of */
	bool incomplete;  /* a record has no digest for this bank: the values prove nothing */
	/*
	 * Bitmap of the registers that were extended with both actions of ExitBootServices, one
	 * after the other (PFP, 10.4.4: in PCR 5). Where they are missing, the log ends, or the
	 * firmware's services went on, before the kernel had the machine for itself.
	 */
	uint32_t boot_services_left;
	struct digest registers[EVENTLOG_REGISTERS];
};

struct eventlog_replay {
	size_t n_banks;
	struct eventlog_registers banks[EVENTLOG_BANKS_MAX]; /* those with a hash we have */
	uint8_t locality; /* of the start-up: PCR 0 began as 00..locality */
	size_t events, end;
};

/* Replays the whole log in every bank. -EBADMSG as above. -ENOMEM. */
MUST_CHECK int eventlog_replay(struct view log, struct eventlog_replay *ret, const char **ret_why);

/* The bank in the replay; NULL: the log does not have it. */
const struct eventlog_registers *eventlog_bank_of(const struct eventlog_replay *replay,
						  enum hash_alg alg);

#endif
