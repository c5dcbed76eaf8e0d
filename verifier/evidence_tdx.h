/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_EVIDENCE_TDX_H
#define ASSAY_VERIFIER_EVIDENCE_TDX_H

#include "evidence.h"
#include "tdx_collateral.h"
#include "tdx_quote.h"
#include "tdx_tcb.h"

/* One quote on its way through the checks of evidence_tdx.c. */
struct tdx_check {
	const struct evidence_input *in;
	struct appraisal *a;
	struct evidence_result result;
	bool failed; /* a check did: what rests on all of them is not judged any more */

	struct tdx_quote q;
	STACK_OF(X509) * chain; /* of the quote, in its order */
	STACK_OF(X509) * given; /* these and the endorsements' */
	struct tdx_pck pck;
	bool has_pck;
	struct endorsements *endorsements;
	struct tdx_tcb_info *tcb_info;	     /* authentic and in force, or NULL */
	struct tdx_qe_identity *qe_identity; /* the same */
	bool chain_good, qe_good, quote_good, data_good;
};

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
