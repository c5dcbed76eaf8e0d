/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_APPRAISE_H
#define ASSAY_VERIFIER_APPRAISE_H

#include <stdbool.h>

#include "appraisal.h"
#include "claims.h"
#include "evidence.h"
#include "keeper_proto.h"
#include "policy.h"

/*
 * One piece of evidence, appraised: the chip's report, the channel, the chain of
 * Claims, the runtime log, M, the policy, in this order. Pure: bytes, what is known of
 * this machine, a policy and a time go in; reasons come out.
 */

struct ima_witness; /* appraise_ima.h */

/* A measurement whose Claims were read. Everything is lent. */
struct appraise_measurement {
	const Assay__Claims *claims;
	struct view packed;    /* the Claims' bytes */
	struct view mi;	       /* as shipped, or M where M = MI; empty: it did not come */
	struct digest hash;    /* SHA-512 of packed */
	struct digest runtime; /* what is extended for its M */
};

struct appraise_input {
	const Assay__ChipReport *report;
	const struct appraise_measurement *measurements; /* oldest first; the last one is signed */
	size_t n;
	const struct policy *policy;
	int64_t now; /* seconds since 1970 */

	/* Of the session. */
	const char *platform; /* as Hello named it */
	const struct endorsements *endorsements; /* besides the report's own; may be NULL */
	const struct x509_pin *roots; /* instead of the makers'; NULL: those */
	size_t n_roots;
	struct appraisal_cache *cache; /* may be NULL */
	struct ima_witness *ima; /* what this session knows of IMA's list, and learns; NULL: nothing */
	struct view boot_id;
	struct view exporter;
	struct view key_name, ek_public, ek_certificate, ek_chain; /* as enrolled */
	bool mi_awaited; /* MI was to come over another connection and did not */

	/* What the keeper knows, and its blobs. */
	const struct keeper_prepare_answer *known;
	struct view previous_mi;
	struct view known_entries; /* 8 bytes each: where the known log has the runtime digests */
};

struct appraise_result {
	bool signature_good;
	bool measurement_good; /* every check but the channel's held */
	bool channel_good;
	bool chain_good;   /* signed, and it continues the run */
	uint64_t missing;  /* chain_good: measurements of the run that never came */
	bool runtime_good; /* signed, and the runtime log replayed: the fields below */
	struct evidence_result chip;
	uint32_t runtime_register;
	uint64_t runtime_before; /* entries known before */
	size_t new_entries_from; /* of report->runtime_log: those before are known already */
	struct digest runtime_value;
	uint64_t entries[KEEPER_MEASUREMENTS]; /* where each measurement stands; 0: nowhere */
};

/*
 * Appraises. Reasons of every check go into a, which is not finished: the decision on
 * release adds its own. A negative errno: it was not judged (-ENOMEM).
 */
MUST_CHECK int appraise(const struct appraise_input *in, struct appraisal *a,
			struct appraise_result *ret);

#endif
