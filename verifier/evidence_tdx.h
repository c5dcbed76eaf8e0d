/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_TDX_H
#define ASSAY_VERIFIER_EVIDENCE_TDX_H

#include "ecdsa_p256.h"
#include "evidence.h"
#include "tdx_collateral.h"
#include "tdx_quote.h"
#include "tdx_tcb.h"

/* What is kept in the cache, in tdx_known.c: each found out from bytes that its key covers. */

/*
 * A PCK certificate whose chain held: its key (NULL: not of the curve), and what it says of the
 * platform.
 */
struct tdx_known_pck {
	struct cached base;
	struct p256_key *key;
	struct tdx_pck pck;
};

/* Authentic collateral, in force, of one kind of platform. */
struct tdx_known_collateral {
	struct cached base;
	struct tdx_tcb_info *tcb_info;
	struct tdx_qe_identity *qe_identity;
};

/* An attestation key that a QE, whose report a PCK signed, vouches for. */
struct tdx_known_qe {
	struct cached base;
	struct p256_key *key;
};

/* One of them on its way: from the cache, or made by the checks and not in it yet. */
struct tdx_known {
	struct cache_key key;
	bool found;	    /* in the cache */
	bool worth_keeping; /* it is not in the cache, and held without any reason */
	struct cached *c;
};

/* One quote on its way through the checks of evidence_tdx.c. */
struct tdx_check {
	const struct evidence_input *in;
	struct appraisal *a;
	struct evidence_result result;
	bool failed; /* a check did: what rests on all of them is not judged any more */

	struct tdx_quote q;
	struct tdx_known known_pck, known_collateral, known_qe;
	struct cache_key basis; /* of the keys of these */
	struct cache_span span; /* in which certificates and lists are as they are now */

	/* Read when a check first needs them. */
	STACK_OF(X509) * chain; /* of the quote, in its order */
	STACK_OF(X509) * given; /* these but the first, and the endorsements' */
	struct endorsements *endorsements;

	struct tdx_pck pck;
	bool has_pck;
	struct tdx_tcb_info *tcb_info;	     /* read; authentic and in force, or NULL */
	struct tdx_qe_identity *qe_identity; /* the same */
	bool chain_good, qe_signed, qe_bound, quote_good, data_good;
};

/* Intel's, or those to be trusted instead. */
const struct x509_pin *tdx_pins(const struct evidence_input *in, size_t *ret_n);

/*
 * Looks in the cache; 1: it is there, and in c; 0: not, or there is no cache; -ENOMEM. The
 * second needs c->pck. The third rests on the first's key.
 */
int tdx_known_find_pck(struct tdx_check *c);
int tdx_known_find_collateral(struct tdx_check *c);
int tdx_known_find_qe(struct tdx_check *c);

/*
 * Makes one that is not there: of the key of the chain's first certificate; empty; of the quote's
 * key (-EBADMSG: it is none). -ENOMEM. Nothing where there is one.
 */
int tdx_known_make_pck(struct tdx_check *c);
int tdx_known_make_collateral(struct tdx_check *c);
int tdx_known_make_qe(struct tdx_check *c);

/* Puts into the cache what is worth keeping of what a genuine quote rested on. */
void tdx_known_keep(struct tdx_check *c);

/*
 * What rests on endorsements, in evidence_tdx_endorsed.c. A check gives 1: held; 0: refused;
 * a negative errno.
 */
int tdx_check_chain_form(struct tdx_check *c);
int tdx_check_chain(struct tdx_check *c);
int tdx_check_pck(struct tdx_check *c);
int tdx_check_tcb_info(struct tdx_check *c);
int tdx_check_qe_identity(struct tdx_check *c);

/* What the policy says of it, and the event log, in evidence_tdx_policy.c. */
int tdx_check_attributes(struct tdx_check *c);
int tdx_check_status(struct tdx_check *c);
int tdx_check_registers(struct tdx_check *c);
int tdx_check_event_log(struct tdx_check *c);

int tdx_gather(const struct evidence_file *files, size_t n, size_t at, struct arena *arena,
	       Assay__ChipReport *report, const char **ret_why);

/* The quote's fields as JSON: evidence_tdx_show.c. */
int tdx_show(const Assay__ChipReport *report, json_t **ret);

#endif
