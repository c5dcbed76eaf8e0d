/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "event_list.h"
#include "evidence_ccel.h"
#include "evidence_tdx.h"

/* What is true of the TD, held against what is wanted of it. */

#define VALUES_SHOWN 3 /* accepted values that a reason has room for */
#define DEBUG_BIT    1
#define CC_MR_RTMR0  1 /* index of RTMR0 in a CCEL; those that follow it follow */

/*
 * Bits 7:0 of the attributes say "TD under debug": with any of them the host can look into the
 * TD (TDX module base architecture specification, TDATTRIBUTES, group TUD). Bit 0 is the one
 * that has a meaning today, and the only one that a policy may allow.
 */
int tdx_check_attributes(struct tdx_check *c)
{
	uint8_t under_debug = c->q.body.td_attributes.data[0];

	if (under_debug & ~DEBUG_BIT) {
		appraisal_refuse(c->a, "evidence.attributes",
				 "no bit of \"TD under debug\" but bit 0",
				 "attributes that begin with %02x", under_debug);
		return 0;
	}
	if ((under_debug & DEBUG_BIT) && !policy_tdx_debug_allowed(c->in->policy)) {
		appraisal_refuse(c->a, "platforms.tdx.debug", "deny", "the TD is under debug");
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

int tdx_check_status(struct tdx_check *c)
{
	enum tdx_status s;

	if (tdx_status_by_name(view_text(c->result.status), &s) < 0)
		return 0; /* check_tcb found none, and said so */
	if (!policy_tdx_accepts(c->in->policy, s)) {
		appraisal_refuse(c->a, "platforms.tdx.tcb_status",
				 c->in->policy ? "a status that the policy accepts" : "UpToDate",
				 "%s%s%s", c->result.status, c->result.advisories[0] ? ": " : "",
				 c->result.advisories);
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

static bool accepted(const struct digest *values, size_t n, const struct digest *seen)
{
	for (size_t i = 0; i < n; i++) {
		if (digest_equal(&values[i], seen))
			return true;
	}
	return false;
}

static void list_values(const struct digest *values, size_t n, char *to, size_t size)
{
	char hex[DIGEST_HEX_MAX];
	size_t len = 0;

	to[0] = '\0';
	for (size_t i = 0; i < n && i < VALUES_SHOWN && len < size; i++)
		len += (size_t)snprintf(to + len, size - len, "%s%s", i ? " or " : "",
					digest_hex(&values[i], hex));
	if (n > VALUES_SHOWN && len < size)
		snprintf(to + len, size - len, " or one of %zu more", n - VALUES_SHOWN);
}

int tdx_check_registers(struct tdx_check *c)
{
	static const char *const names[] = { "mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3" };
	char rule[32], expected[APPRAISAL_TEXT_MAX], hex[DIGEST_HEX_MAX];
	const struct digest *values, *seen;
	int held = 1;
	size_t n;

	for (unsigned int i = 0; i < POLICY_TDX_REGISTERS; i++) {
		n = policy_tdx_register(c->in->policy, (enum policy_tdx_register)i, &values);
		if (n == 0)
			continue;
		seen = i == POLICY_TDX_MRTD ? &c->result.measurement
					    : &c->result.registers[i - POLICY_TDX_RTMR0];
		if (accepted(values, n, seen)) {
			appraisal_pass(c->a);
			continue;
		}
		snprintf(rule, sizeof(rule), "platforms.tdx.%s", names[i]);
		list_values(values, n, expected, sizeof(expected));
		appraisal_refuse(c->a, rule, expected, "%s", digest_hex(seen, hex));
		held = 0;
	}
	return held;
}

/* RTMR0 to 2 are the firmware's and the boot loader's, RTMR3 is for whoever runs later. */
static const struct ccel_registers registers = {
	.alg = HASH_SHA384,
	.known = (1u << (CC_MR_RTMR0 + TDX_RTMRS)) - 1,
	.index = CC_MR_RTMR0,
	.first = 0,
	.last = TDX_RTMRS - 1,
	.no_digests = "it has no SHA-384 digests",
	.incomplete = "it has records without a SHA-384 digest",
};

static int replay_list(struct view log, struct eventlog_registers *ret, const char **ret_why)
{
	int r = event_list_replay(log, ret, ret_why);

	return r == -EBADMSG ? 0 : r < 0 ? r : 1;
}

/* A log that is there must be true, asked for or not. */
int tdx_check_event_log(struct tdx_check *c)
{
	struct view log = view_of(c->in->report->event_log.data, c->in->report->event_log.len);
	struct eventlog_registers bank;
	const char *why;
	int r;

	if (log.len == 0) {
		if (!policy_tdx_event_log_required(c->in->policy))
			return 1;
		appraisal_refuse(c->a, "platforms.tdx.event_log", "the firmware's event log (CCEL)",
				 "none");
		return 0;
	}
	r = event_list_begins(log) ? replay_list(log, &bank, &why)
				   : ccel_replay(&registers, log, &bank, &why);
	if (r < 0)
		return r;
	if (r == 0) {
		appraisal_refuse(c->a, "evidence.event_log",
				 "an event log in CCEL form, or a JSON list", "%s", why);
		return 0;
	}
	if (!ccel_judge(&registers, &bank, c->result.registers, c->a))
		return 0;
	c->result.event_log_replayed = true;
	appraisal_pass(c->a);
	return 1;
}

static bool is_log(struct view v)
{
	struct eventlog log;
	const char *why;

	return event_list_begins(v) || eventlog_open(v, &log, &why) == 0;
}

int tdx_gather(const struct evidence_file *files, size_t n, size_t at, struct arena *arena,
	       Assay__ChipReport *report, const char **ret_why)
{
	return evidence_gather(files, n, at, is_log, arena, report);
}
