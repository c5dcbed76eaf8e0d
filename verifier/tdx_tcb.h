/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_TDX_TCB_H
#define ASSAY_VERIFIER_TDX_TCB_H

#include "tdx_collateral.h"

/*
 * The status of a platform's TCB, as Intel's quote verification library finds it (QVL,
 * TcbLevelCheck and TDRelaunchCheck; its clauses 4.1.2.5.18 and on). Pure arithmetic on what
 * was already found to be authentic.
 */

/* What a platform brings. */
struct tdx_svns {
	const struct tdx_pck *pck;
	struct view tee_tcb_svn; /* 16 */
	uint16_t qe_isvsvn;
};

#define TDX_LEVELS_USED 5 /* QE; platform and module, at launch and now */

/* What it comes to. */
struct tdx_tcb {
	enum tdx_status status;
	enum tdx_status platform, module, qe; /* at launch, before they are put together */
	bool has_module;		      /* TDX 1.5: the module has levels of its own */
	int64_t date;			      /* the oldest of those used */
	size_t n_levels;
	const struct tdx_level *levels[TDX_LEVELS_USED]; /* whose advisories apply */
};

/*
 * Finds the status; second is TEE_TCB_SVN_2 of a TD 1.5, else empty. NULL: found; else what
 * no status could be found for (the status is then TDX_NOT_SUPPORTED), in words that live for ever.
 */
const char *tdx_tcb_evaluate(const struct tdx_tcb_info *info, const struct tdx_qe_identity *qe,
			     const struct tdx_svns *svns, struct view second, struct tdx_tcb *ret);

#endif
