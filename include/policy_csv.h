/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_POLICY_CSV_H
#define ASSAY_POLICY_CSV_H

#include "policy_sev_snp.h"

/*
 * What a policy accepts of a genuine Hygon CSV report: `platforms.csv`, in
 * docs/evidence-csv.md. Part of policy.h.
 */

#define POLICY_CSV_RTMRS 4 /* RTMR1 to RTMR4; RTMR0 is the measurement */

/* Bits of `guest_policy`. debug has a key of its own. */
extern const struct policy_flag policy_csv_guest_policy_flags[]; /* ended by a NULL word */

struct policy_csv {
	struct policy_values measurement, rtmr[POLICY_CSV_RTMRS];
	struct policy_values user_public_key_digest, vm_id, vm_version;
	struct policy_values chip_id; /* SHA-256 of bytes 0 to 1043 of the CEK's certificate */
	bool debug;		      /* accepted */
	bool event_log_required;
	struct policy_flags guest_policy;
	uint32_t version_min, build_min;
};

#endif
