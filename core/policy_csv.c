/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_csv_form.h"

#define PATH	    "platforms.csv"
#define VERSION_MAX 2
#define SM3_SIZE    32
#define VM_ID_SIZE  16

#define CSV_TEXTS(key, member)                                                                     \
	FORM_TEXTS(key, struct policy_csv_form, member.texts, member.n, POLICY_DIGESTS_MAX)

const cyaml_schema_field_t policy_csv_fields[] = {
	CSV_TEXTS("measurement", measurement),
	CSV_TEXTS("rtmr1", rtmr[0]),
	CSV_TEXTS("rtmr2", rtmr[1]),
	CSV_TEXTS("rtmr3", rtmr[2]),
	CSV_TEXTS("rtmr4", rtmr[3]),
	CSV_TEXTS("user_public_key_digest", user_public_key_digest),
	CSV_TEXTS("vm_id", vm_id),
	CSV_TEXTS("vm_version", vm_version),
	CSV_TEXTS("chip_id", chip_id),
	FORM_WORD("debug", struct policy_csv_form, debug, policy_accepts),
	FORM_WORD("event_log", struct policy_csv_form, event_log, policy_event_logs),
	FORM_TEXT("version_min", struct policy_csv_form, version_min),
	FORM_TEXT("build_min", struct policy_csv_form, build_min),
	FORM_PART("guest_policy", struct policy_csv_form, guest_policy, policy_flags_fields),
	CYAML_FIELD_END,
};

const struct policy_flag policy_csv_guest_policy_flags[] = {
	{ "noks", UINT64_C(1) << 1 },	    { "es", UINT64_C(1) << 2 },
	{ "nosend", UINT64_C(1) << 3 },	    { "domain", UINT64_C(1) << 4 },
	{ "csv", UINT64_C(1) << 5 },	    { "csv3", UINT64_C(1) << 6 },
	{ "asid_reuse", UINT64_C(1) << 7 }, { NULL, 0 },
};

/* What is judged by without a policy, and where one says nothing: no guest that can be debugged. */
static const struct policy_csv defaults = { .version_min = 1 };

const struct policy_csv *policy_csv(const struct policy *p)
{
	return p && p->form->platforms->csv ? &p->form->platforms->csv->rules : &defaults;
}

int policy_read_csv(struct yamldoc *d, struct arena *arena, struct policy_csv_form *f)
{
	static const char *const rtmrs[POLICY_CSV_RTMRS] = { "rtmr1", "rtmr2", "rtmr3", "rtmr4" };
	struct policy_reading x = {
		.d = d, .arena = arena, .path = PATH, .flags_in = "docs/evidence-csv.md"
	};
	struct policy_csv rules = defaults;

	policy_read_values(&x, "measurement", &f->measurement, SM3_SIZE, &rules.measurement);
	for (size_t i = 0; i < POLICY_CSV_RTMRS; i++)
		policy_read_values(&x, rtmrs[i], &f->rtmr[i], SM3_SIZE, &rules.rtmr[i]);
	policy_read_values(&x, "user_public_key_digest", &f->user_public_key_digest, SM3_SIZE,
			   &rules.user_public_key_digest);
	policy_read_values(&x, "vm_id", &f->vm_id, VM_ID_SIZE, &rules.vm_id);
	policy_read_values(&x, "vm_version", &f->vm_version, VM_ID_SIZE, &rules.vm_version);
	policy_read_values(&x, "chip_id", &f->chip_id, hash_size(HASH_SHA256), &rules.chip_id);
	rules.debug = f->debug == ACCEPT_ALLOW;
	rules.event_log_required = f->event_log == EVENT_LOG_REQUIRE;
	rules.version_min = (uint32_t)policy_read_number(&x, "version_min", f->version_min,
							 VERSION_MAX, defaults.version_min);
	rules.build_min =
		(uint32_t)policy_read_number(&x, "build_min", f->build_min, UINT32_MAX, 0);
	policy_read_flags(&x, "guest_policy", f->guest_policy, policy_csv_guest_policy_flags,
			  &rules.guest_policy);
	f->rules = rules;
	return x.out_of_memory ? -ENOMEM : 0;
}
