/* SPDX-License-Identifier: Apache-2.0 */
#include "tdx_tcb.h"

static bool covers(const uint8_t *have, const uint8_t *level, size_t from)
{
	for (size_t i = from; i < TDX_SVNS; i++) {
		if (have[i] < level[i])
			return false;
	}
	return true;
}

/*
 * Where TEE_TCB_SVN[1] says a version of the module, components 0 and 1 are the module's own,
 * and its identity judges them.
 */
static const struct tdx_level *platform_level(const struct tdx_tcb_info *info,
					      const struct tdx_pck *pck, struct view tee_tcb_svn)
{
	size_t from = tee_tcb_svn.data[1] > 0 ? 2 : 0;

	for (size_t i = 0; i < info->levels.n; i++) {
		const struct tdx_level *l = &info->levels.at[i];

		if (covers(pck->svn, l->sgx, 0) && pck->pcesvn >= l->svn &&
		    covers(tee_tcb_svn.data, l->tdx, from))
			return l;
	}
	return NULL;
}

static const struct tdx_level *svn_level(const struct tdx_levels *levels, uint16_t isvsvn)
{
	for (size_t i = 0; i < levels->n; i++) {
		if (levels->at[i].svn <= isvsvn)
			return &levels->at[i];
	}
	return NULL;
}

static void use(struct tdx_tcb *t, const struct tdx_level *l)
{
	if (t->n_levels == 0 || l->date < t->date)
		t->date = l->date;
	t->levels[t->n_levels++] = l;
}

/* Intel's library passes over other statuses of a component. None has had one; we do not. */
static bool component_status_known(enum tdx_status s)
{
	return s == TDX_UP_TO_DATE || s == TDX_OUT_OF_DATE || s == TDX_REVOKED;
}

/* A component that lags behind drags the platform down with it. */
static enum tdx_status converge(enum tdx_status platform, enum tdx_status component)
{
	if (component == TDX_REVOKED)
		return TDX_REVOKED;
	if (component != TDX_OUT_OF_DATE)
		return platform;
	if (platform == TDX_UP_TO_DATE || platform == TDX_SW_HARDENING_NEEDED)
		return TDX_OUT_OF_DATE;
	if (platform == TDX_CONFIGURATION_NEEDED ||
	    platform == TDX_CONFIGURATION_AND_SW_HARDENING_NEEDED)
		return TDX_OUT_OF_DATE_CONFIGURATION_NEEDED;
	return platform;
}

/* Of one TEE_TCB_SVN: NULL, or why there is none. The QE's level was found before. */
static const char *evaluate_svn(const struct tdx_tcb_info *info, const struct tdx_svns *svns,
				struct view tee_tcb_svn, struct tdx_tcb *t, enum tdx_status *ret)
{
	const struct tdx_module *module = tdx_tcb_info_module(info, tee_tcb_svn);
	const struct tdx_level *platform, *of_module = NULL;
	bool of_launch = t->n_levels == 1;

	platform = platform_level(info, svns->pck, tee_tcb_svn);
	if (!module)
		return "the TCB info does not have the TDX module's version";
	if (tee_tcb_svn.data[1] > 0) {
		of_module = svn_level(&module->levels, tee_tcb_svn.data[0]);
		if (!of_module)
			return "no level of the TDX module is as low";
		if (!component_status_known(of_module->status))
			return "the TDX module's level has a status that no module has";
	}
	if (!platform)
		return "no TCB level of the platform is as low";
	use(t, platform);
	*ret = converge(platform->status, t->qe);
	if (of_module) {
		use(t, of_module);
		*ret = converge(*ret, of_module->status);
	}
	if (of_launch) {
		t->platform = platform->status;
		t->has_module = of_module != NULL;
		t->module = of_module ? of_module->status : TDX_NOT_SUPPORTED;
	}
	return NULL;
}

static bool configuration_needed(enum tdx_status s)
{
	return s == TDX_CONFIGURATION_NEEDED || s == TDX_OUT_OF_DATE_CONFIGURATION_NEEDED ||
	       s == TDX_CONFIGURATION_AND_SW_HARDENING_NEEDED;
}

/* The platform was mended while the TD ran: starting it again would put it in order. */
static enum tdx_status relaunch(enum tdx_status launch, enum tdx_status current)
{
	bool behind = launch == TDX_OUT_OF_DATE || launch == TDX_OUT_OF_DATE_CONFIGURATION_NEEDED;
	bool mended = current == TDX_UP_TO_DATE || current == TDX_SW_HARDENING_NEEDED ||
		      current == TDX_CONFIGURATION_NEEDED ||
		      current == TDX_CONFIGURATION_AND_SW_HARDENING_NEEDED;

	/* Revoked since the launch: Intel's library says it of the launch alone. We do not wait. */
	if (current == TDX_REVOKED)
		return TDX_REVOKED;
	if (!behind || !mended)
		return launch;
	return configuration_needed(launch) || configuration_needed(current)
		       ? TDX_RELAUNCH_ADVISED_CONFIGURATION_NEEDED
		       : TDX_RELAUNCH_ADVISED;
}

const char *tdx_tcb_evaluate(const struct tdx_tcb_info *info, const struct tdx_qe_identity *qe,
			     const struct tdx_svns *svns, struct view second, struct tdx_tcb *ret)
{
	struct tdx_tcb t = { .status = TDX_NOT_SUPPORTED };
	const struct tdx_level *of_qe = svn_level(&qe->levels, svns->qe_isvsvn);
	enum tdx_status launch, current;
	const char *why;

	*ret = t;
	if (!of_qe)
		return "no level of the quoting enclave is as low";
	if (!component_status_known(of_qe->status))
		return "the quoting enclave's level has a status that no enclave has";
	use(&t, of_qe);
	t.qe = of_qe->status;
	why = evaluate_svn(info, svns, svns->tee_tcb_svn, &t, &launch);
	if (why)
		return why;
	current = launch;
	if (second.len > 0) {
		why = evaluate_svn(info, svns, second, &t, &current);
		if (why)
			return why;
	}
	t.status = relaunch(launch, current);
	*ret = t;
	return NULL;
}
