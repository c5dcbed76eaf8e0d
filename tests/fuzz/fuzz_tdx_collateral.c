/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "endorsements.h"
#include "verifier/event_list.h"
#include "verifier/tdx_tcb.h"

/* The input is an endorsement, or a TD's list of events, and is read as each of them. */

static void read_endorsements(struct view blob)
{
	struct endorsements *e;
	const char *why;

	if (endorsements_new(&e) < 0)
		return;
	/* Added whole or not at all. */
	if (endorsements_add(e, blob, &why) < 0 && endorsements_count(e) > 0)
		abort();
	endorsements_free(e);
}

/* With itself as the other document's levels: whatever was read can be reckoned with. */
static void evaluate(const struct tdx_tcb_info *info)
{
	static const uint8_t svns[][TDX_SVNS] = { { 0 }, { 5, 1, 5 }, { 255, 3, 255, 255 } };
	struct tdx_qe_identity qe = { .levels = info->n_modules > 0 ? info->modules[0].levels
								    : info->levels };
	struct tdx_pck pck = { .svn = { 9, 9, 9, 9, 9, 9, 9, 9, 9 }, .pcesvn = 20 };
	struct tdx_tcb t;

	for (size_t i = 0; i < ARRAY_LEN(svns); i++) {
		struct tdx_svns s = { .pck = &pck,
				      .tee_tcb_svn = view_of(svns[i], TDX_SVNS),
				      .qe_isvsvn = 6 };

		if (tdx_tcb_evaluate(info, &qe, &s, view_of(svns[2], TDX_SVNS), &t) &&
		    tdx_status_acceptable(t.status))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view blob = view_of(data, size);
	struct eventlog_registers registers;
	struct tdx_qe_identity *qe;
	struct tdx_tcb_info *info;
	const char *why;

	read_endorsements(blob);
	if (tdx_tcb_info_read(blob, &info, &why) == 0) {
		evaluate(info);
		tdx_tcb_info_free(info);
	}
	if (tdx_qe_identity_read(blob, &qe, &why) == 0)
		tdx_qe_identity_free(qe);
	if (event_list_begins(blob) && event_list_replay(blob, &registers, &why) == -ENOMEM)
		abort();
	return 0;
}
