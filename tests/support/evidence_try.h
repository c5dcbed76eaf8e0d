/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_EVIDENCE_TRY_H
#define ASSAY_TESTS_EVIDENCE_TRY_H

#include "evidence.h"
#include "tests/support/tpm_fixture.h"

/* TPM evidence tried on the verifier: good, but for one thing that a case changes. */

#define EVIDENCE_TRY_NOW 1800000000

/* Values of the fixture's PCRs 4 and 9, and another. */
#define HEX_04 "0404040404040404040404040404040404040404040404040404040404040404"
#define HEX_05 "0505050505050505050505050505050505050505050505050505050505050505"
#define HEX_09 "0909090909090909090909090909090909090909090909090909090909090909"

#define POLICY_GOOD                                                                                \
	"{tpm: {pcrs: {4: [" HEX_05 ", " HEX_04 "], 9: [" HEX_09 "]}, event_log: allow}}"

struct evidence_try_keys {
	EVP_PKEY *p256, *p384, *rsa, *other;
};

struct evidence_try {
	const struct evidence_try_keys *keys;
	struct tpm_fixture f;
	struct evidence_input in;
};

struct evidence_case {
	const char *what, *platforms; /* of the policy */
	/* Changes the evidence before it is packed, so that it is signed as it is then. */
	void (*before)(struct evidence_try *t);
	/* Changes what travels, or what the verifier knows: nothing is signed anew. */
	void (*after)(struct evidence_try *t);
	/* Of all reasons that refuse; NULL: accepted. seen: a part of what the first one says. */
	const char *rule, *seen;
};

struct view evidence_try_claims(void);

/* The policy with these platforms; end it with policy_free. */
struct policy *evidence_try_policy(const char *platforms);

/* What the verifier is given, once the fixture is packed. */
struct evidence_input evidence_try_input(const struct tpm_fixture *f, const struct policy *p);

/* Fails the running test at the first case that does not come out as it says. */
void evidence_try_all(const struct evidence_try_keys *keys, const struct evidence_case *cases,
		      size_t n);

/* A change that is none. */
void evidence_try_keep(struct evidence_try *t);

/* For a group's set-up and tear-down. */
void evidence_try_make_keys(struct evidence_try_keys *ret);
void evidence_try_free_keys(struct evidence_try_keys *keys);

#endif
