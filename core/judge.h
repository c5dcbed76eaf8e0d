/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_JUDGE_H
#define ASSAY_JUDGE_H

#include "appraisal.h"
#include "policy_form.h"
#include "quantity.h"

/*
 * Judging an MI by a policy's rules, item by item: one judge_*.c an MI item, in the
 * table of policy_judge.c. A judge looks at each rule of its item that the policy has and makes
 * one check of it, which passes, fails or could not be made.
 */

#define JUDGE_NAMED_MAX 8 /* of a list, named in reasons of their own; the rest is counted */
#define JUDGE_TEXT_MAX	256

struct judging {
	const struct policy *policy;
	const struct policy_dynamic *rules;
	const Assay__Mi *mi;
	const Assay__Mi *previous; /* NULL: the first of its run */
	int64_t now_s;		   /* seconds since 1970 */
	/* Reference values that are good now, for what was measured. */
	const struct policy_reference *references;
	size_t n_references; /* more than one: a window for an update is open */
	const char *collector;	   /* whose item it is; NULL: no collector's */
	const Assay__CollectorStatus *status;
	struct appraisal *a;
};

/* One check of one rule. */
struct judge_check {
	const struct judging *j;
	const struct policy_rule *rule;
	const char *path; /* "dynamic.listen" */
	const char *expected;
	bool accept_partial;
	size_t failed;
};

/* Whether what was not seen could break the rule, unless the policy says `partial:` itself. */
enum judge_form { JUDGE_ABSENCE, JUDGE_VALUE };

/*
 * Begins a check of what the item says. False: it could not be made, which
 * refuses, and the reason is noted. present: the item is in the MI.
 */
bool judge_begin(struct judge_check *c, const struct judging *j, const struct policy_rule *rule,
		 enum judge_form form, const char *path, const char *expected, bool present);

/* Notes one thing that breaks the rule, or because of which it could not be checked. */
void judge_fail(struct judge_check *c, const char *seen_format, ...) PRINTF_LIKE(2, 3);
void judge_unchecked(struct judge_check *c, const char *why_format, ...) PRINTF_LIKE(2, 3);

/* As judge_unchecked, for what `partial: accept` lets pass: something of the item is missing. */
void judge_missing(struct judge_check *c, const char *why_format, ...) PRINTF_LIKE(2, 3);

/*
 * Notes each process of the MI that is not among the item's n, whose pids pid_at gives: one that
 * is left out could look like anything.
 */
void judge_covers(struct judge_check *c, size_t n,
		  uint32_t (*pid_at)(const Assay__Mi *mi, size_t i));

/* Ends the check: passed if nothing was noted. */
void judge_end(struct judge_check *c);

/* A check of one value against a limit, shown by text (quantity_size_text ...). */
void judge_at_most(const struct judging *j, const struct policy_limit *limit, const char *path,
		   bool present, uint64_t value,
		   const char *(*text)(uint64_t, char[QUANTITY_TEXT_MAX]));
const char *judge_count_text(uint64_t n, char to[QUANTITY_TEXT_MAX]);

/* The rule of a setting: settings of warn warn, the others do as their mapping says. */
struct policy_rule judge_setting(enum policy_setting setting, const struct policy_rule *outer);

const Assay__CollectorStatus *judge_status_of(const Assay__Mi *mi, const char *collector);

/* Sets the references of j. */
void judge_references(struct judging *j);

/* Whether a file of that path and digest is in the reference values. */
enum judge_reference { REFERENCE_NONE, REFERENCE_OTHER, REFERENCE_SAME };
enum judge_reference judge_reference_of(const struct judging *j, const char *path,
					struct view sha256);

/* Notes each path by which a measured manifest differs from all reference values. */
void judge_manifest(struct judge_check *c, const struct judging *j, struct view text);

/* True if the measured files are known to be those of the reference values, one by one. */
bool judge_files_expected(const struct judging *j);

/* True for a setting under which there is something to check. */
static inline bool judge_wanted(enum policy_setting setting)
{
	return setting == SETTING_DENY || setting == SETTING_WARN;
}

/* protobuf-c hands out "" for text that is absent; messages made by hand may hold NULL. */
static inline const char *judge_text(const char *text)
{
	return text ? text : "";
}

/* True if path is the directory itself or below it, by whole components. */
bool judge_is_within(const char *path, const char *directory);

/* One sort of events that a policy can deny. */
struct judge_kernel_rule {
	const char *path, *expected;	      /* "dynamic.kernel.wx_memory" */
	const char *counters[4], *kinds[4]; /* NULL behind the last; of events, which explain */
};
extern const struct judge_kernel_rule judge_kernel_rules[KERNEL_RULES];

void judge_start_time(const struct judging *j);
void judge_resources(const struct judging *j);
void judge_network(const struct judging *j);
void judge_storage(const struct judging *j);
void judge_environment(const struct judging *j);
void judge_logs(const struct judging *j);
void judge_static_files(const struct judging *j);
void judge_code(const struct judging *j);
void judge_kernel(const struct judging *j);
void judge_processes(const struct judging *j);
void judge_credentials(const struct judging *j);
void judge_descriptors(const struct judging *j);
void judge_machine(const struct judging *j);
void judge_missed_nodes(const struct judging *j);

#endif
