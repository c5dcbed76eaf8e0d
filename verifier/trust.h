/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_TRUST_H
#define ASSAY_VERIFIER_TRUST_H

#include "config.h"
#include "endorsement_store.h"
#include "x509_chain.h"

/*
 * What evidence of chips is verified with besides the report itself: the store's endorsements, and
 * the trust anchors (RFC 9334), which are the makers' that are pinned in the program unless
 * the configuration has test roots.
 */
struct trust {
	struct endorsement_store *store; /* NULL: none */
	struct endorsements *given;	 /* what the files of the test roots are; NULL: none */
	struct x509_pin *roots;		 /* NULL: the makers' */
	size_t n_roots;

	/* The store anew, while it comes from the keeper; NULL: none does. */
	struct endorsement_store *next;
	struct bytes bundle; /* of it, as far as it has come */
	int next_failed;     /* its first error */
};

/*
 * Reads what the configuration names; directory is the configuration's own. A file of
 * the store that is damaged is left out with a warning. -EINVAL and others: *ret_error says what is
 * wrong with which file (free() it).
 */
MUST_CHECK int trust_load(const struct verifier_config *config, const char *directory,
			  struct trust *ret, char **ret_error);
void trust_done(struct trust *t);

/*
 * The store anew: begin, then each file, or the bytes of a tar file up to an empty part, then
 * end, which changes over to what came, or with complete false throws it away. What cannot be
 * read is logged; where that is all of it, or there is too much, the store stays as it was.
 */
void trust_again_begin(struct trust *t);
void trust_again_file(struct trust *t, const char *name, struct view content);
void trust_again_bundle(struct trust *t, struct view part);
void trust_again_end(struct trust *t, bool complete);

/* With roots of one's own a report proves what these roots are worth: nothing to anybody else. */
bool trust_is_for_tests(const struct trust *t);

/* A set for one report: what the store has for it, and the test roots. The caller frees *ret. */
MUST_CHECK int trust_endorsements(const struct trust *t, const char *platform,
				  const Assay__ChipReport *report, int64_t now,
				  struct endorsements **ret);

#endif
