/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_EVIDENCE_H
#define ASSAY_EVIDENCE_H

#include "appraisal.h"
#include "bytes.h"
#include "digest.h"
#include "policy.h"
#include "session.pb-c.h"

/*
 * Evidence of one kind of chip, appraised: the mirror of attester.h. Pure: bytes,
 * policy and a time go in; what the report proves comes out in an appraisal.
 */

#define EVIDENCE_PCRS       24
#define EVIDENCE_REPORT_MAX (64 * 1024)
#define EVENT_LOG_MAX       (1024 * 1024)

struct evidence_input {
	const Assay__ChipReport *report;
	struct view claims;         /* serialised Claims that the report must cover */
	int64_t now;                /* reference time, seconds since 1970 */
	const struct policy *policy;
	/* tpm: name of the AK enrolled for this machine; soft: SHA-256 of the key. Empty: unknown. */
	struct view key_name;
	struct view ek_certificate; /* DER of the EK that the AK was enrolled under */
	struct view ek_chain;       /* DER certificates, one after the other */
};

/* What the chip vouched for. */
struct evidence_result {
	bool signature_good;        /* and covers the Claims */
	enum hash_alg bank;
	uint32_t pcrs_quoted;       /* bitmap */
	struct digest pcrs[EVIDENCE_PCRS]; /* those of pcrs_quoted */
	uint32_t reset_count, restart_count; /* tpm: TPMS_CLOCK_INFO */
	uint64_t clock;
	bool event_log_replayed;
};

struct evidence_ops {
	const char *platform;
	bool insecure;

	/*
	 * Checks signature, key, freshness data (the Claims) and boot values against
	 * the policy, in this order, a reason for each failure into a. A negative errno
	 * only for -ENOMEM and the like: the evidence is then not judged.
	 */
	int (*verify)(const struct evidence_input *input, struct appraisal *a,
		      struct evidence_result *ret);
};

extern const struct evidence_ops *const evidence_table[];

/* NULL: no such platform. */
const struct evidence_ops *evidence_find(const char *platform);

#endif
