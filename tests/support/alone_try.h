/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_ALONE_TRY_H
#define ASSAY_TESTS_ALONE_TRY_H

#include "evidence.h"

/* Evidence in files tried on the verifier, as `assay evidence verify` does. */

struct alone_try {
	struct appraisal a;
	struct evidence_result result;
	const struct evidence_ops *ops; /* NULL: no evidence was found */
	enum evidence_verdict verdict;
};

/* What is handed in; everything is lent. */
struct alone_try_in {
	const struct evidence_file *files;
	size_t n;
	const struct endorsements *endorsements;
	const char *at;		 /* "2026-09-01T00:00:00Z" */
	const char *report_data; /* hex; NULL or empty: not compared */
	const struct policy *policy;
	const struct x509_pin *roots; /* NULL: the makers' */
	size_t n_roots;
};

/*
 * Fails the running test where it cannot be judged, or not in the same way with a cache
 * (cached_try.h). The caller ends ret->a with appraisal_done. */
void alone_try(const struct alone_try_in *in, struct alone_try *ret);

/* The policy with these platforms: "tpm: {}"; NULL for NULL. End it with policy_free. */
struct policy *alone_try_policy(const char *platforms);

/* Adds what the file in the shared evidence holds, which must be endorsements. */
void alone_try_endorse(struct endorsements *e, const char *folder, const char *file);

/* True if a reason that refuses has this rule, and this text in what it says. */
bool alone_try_refused(const struct appraisal *a, const char *rule, const char *text);

/*
 * What a case expects: the verdict, a reason (rule NULL: none, not even a warning), and
 * signature_good where the evidence is genuine. Fails the running test otherwise.
 */
void alone_try_expect(const char *what, const struct alone_try *t, enum evidence_verdict verdict,
		      const char *rule, const char *text);

#endif
