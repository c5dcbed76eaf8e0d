/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "policy_form.h"
#include "quantity.h"

/* The platform rules of a policy for Intel TDX. */

#define NS_A_SECOND UINT64_C(1000000000)

static int read_register(struct yamldoc *d, struct arena *arena, const char *name,
			 const struct policy_measurements *texts, struct digest **ret)
{
	char path[YAMLDOC_PATH_MAX];

	snprintf(path, sizeof(path), "platforms.tdx.%s", name);
	*ret = policy_read_digests(d, arena, path, texts->texts, texts->n, HASH_SHA384);
	return *ret ? 0 : -ENOMEM;
}

static void read_statuses(struct yamldoc *d, struct policy_tdx *tdx)
{
	char path[YAMLDOC_PATH_MAX], found[YAMLDOC_FOUND_MAX];
	enum tdx_status s;

	for (size_t i = 0; i < tdx->n_tcb_status; i++) {
		if (tdx_status_by_name(view_text(tdx->tcb_status[i]), &s) == 0 &&
		    tdx_status_acceptable(s)) {
			tdx->accepted |= 1u << s;
			continue;
		}
		snprintf(path, sizeof(path), "platforms.tdx.tcb_status[%zu]", i);
		yamldoc_problem(
			d, path,
			"expected one of Intel's TCB statuses that may be accepted "
			"(UpToDate, SWHardeningNeeded, ConfigurationNeeded, OutOfDate, ...), "
			"found %s",
			yamldoc_quoted(tdx->tcb_status[i], found));
	}
}

/* Expired collateral is allowed for a time that is named, or not at all. */
static void read_collateral(struct yamldoc *d, struct policy_tdx_collateral *c)
{
	char found[YAMLDOC_FOUND_MAX];

	if ((c->expired == TDX_EXPIRED_ALLOW) != (c->grace != NULL)) {
		yamldoc_problem(d, "platforms.tdx.collateral",
				"expected \"expired: allow\" and \"grace\" together, or neither");
		return;
	}
	if (c->grace && (quantity_duration(c->grace, &c->grace_ns) < 0 ||
			 c->grace_ns > POLICY_TDX_GRACE_MAX * NS_A_SECOND))
		yamldoc_problem(d, "platforms.tdx.collateral.grace",
				"expected " QUANTITY_DURATION " of at most 90d, found %s",
				yamldoc_quoted(c->grace, found));
}

int policy_read_tdx(struct yamldoc *d, struct arena *arena, struct policy_tdx *tdx)
{
	static const char *const names[] = { "mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3" };
	int r;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		r = read_register(d, arena, names[i], &tdx->registers[i], &tdx->values[i]);
		if (r < 0)
			return r;
	}
	read_statuses(d, tdx);
	if (tdx->collateral)
		read_collateral(d, tdx->collateral);
	return 0;
}

static const struct policy_tdx *rules(const struct policy *p)
{
	return p ? p->form->platforms->tdx : NULL;
}

size_t policy_tdx_register(const struct policy *p, enum policy_tdx_register which,
			   const struct digest **ret)
{
	const struct policy_tdx *tdx = rules(p);

	if (!tdx || tdx->registers[which].n == 0)
		return 0;
	*ret = tdx->values[which];
	return tdx->registers[which].n;
}

bool policy_tdx_accepts(const struct policy *p, enum tdx_status s)
{
	const struct policy_tdx *tdx = rules(p);

	if (!tdx || tdx->n_tcb_status == 0)
		return s == TDX_UP_TO_DATE;
	return tdx_status_acceptable(s) && (tdx->accepted >> s & 1);
}

bool policy_tdx_debug_allowed(const struct policy *p)
{
	const struct policy_tdx *tdx = rules(p);

	return tdx && tdx->debug == TDX_DEBUG_ALLOW;
}

bool policy_tdx_runtime_log_required(const struct policy *p)
{
	return !rules(p) || rules(p)->runtime_log != EVENT_LOG_ALLOW;
}

bool policy_tdx_event_log_required(const struct policy *p)
{
	const struct policy_tdx *tdx = rules(p);

	return tdx && tdx->event_log == EVENT_LOG_REQUIRE;
}

int64_t policy_tdx_collateral_grace(const struct policy *p)
{
	const struct policy_tdx *tdx = rules(p);

	return tdx && tdx->collateral ? (int64_t)(tdx->collateral->grace_ns / NS_A_SECOND) : 0;
}
