/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_CACHED_TRY_H
#define ASSAY_TESTS_CACHED_TRY_H

#include "evidence.h"

/*
 * evidence_appraise, three times: without a cache, with one that all calls of the program
 * share, and again with that. Fails the running test where the three are not the same to the last
 * reason. The outcome of the first is the caller's.
 */
void cached_try(const struct evidence_alone *in, struct arena *arena, struct appraisal *a,
		struct evidence_found *ret_found, struct evidence_result *ret);

/* Of the cache that is shared: zeros before its first use. */
struct appraisal_cache_counts cached_try_counts(void);

/* Fails the running test unless the other one is the same. */
void cached_try_same(const char *what, const struct appraisal *a, const struct evidence_result *r,
		     const struct appraisal *other_a, const struct evidence_result *other_r);

#endif
