/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_CCEL_H
#define ASSAY_VERIFIER_EVIDENCE_CCEL_H

#include "appraisal.h"
#include "eventlog.h"

/*
 * The firmware's event log of a guest with runtime registers (CCEL, UEFI "Confidential Computing
 * Event Log"), replayed and held against the registers that the chip signed.
 */
struct ccel_registers {
	enum hash_alg alg;
	uint32_t known;	    /* bitmap of the indexes that a log may speak of */
	unsigned int index; /* in the log, of register `first`; those that follow it follow */
	unsigned int first; /* of those that are compared */
	unsigned int
		last; /* for whoever runs after the boot loader: only where the log speaks of it */
	const char *no_digests, *incomplete; /* what to say of a log of other digests */
};

/* 1; 0: *ret_why, which lives for ever, says what is wrong with the log; or a negative errno. */
MUST_CHECK int ccel_replay(const struct ccel_registers *c, struct view log,
			   struct eventlog_registers *ret, const char **ret_why);

/*
 * True: all that was replayed are the registers, which are values[0] and on by their number; the
 * firmware's must be so also where the log does not speak of them. False, and a reason each under
 * "evidence.event_log".
 */
bool ccel_judge(const struct ccel_registers *c, const struct eventlog_registers *replayed,
		const struct digest *values, struct appraisal *a);

#endif
