/* SPDX-License-Identifier: Apache-2.0 */
#include "ima_rules.h"

#include <inttypes.h>
#include <stdio.h>

#include "ima_log.h"

static const char rule[] = "evidence.ima";

/* What the kernel hashes into its first entry (ima_crypto.c, ima_calc_boot_aggregate_tfm). */
#define AGGREGATE_SHA1 8  /* PCRs 0 to 7 */
#define AGGREGATE      10 /* other banks: 0 to 9 */

/* The rules of one platform; ima NULL: the policy does not speak of it. */
struct rules {
	const char *platform;
	const struct policy_ima *ima;
};

static void fail(const struct rules *x, bool warn, const char *member, const char *expected,
		 const char *seen, struct appraisal *a)
{
	char path[APPRAISAL_RULE_MAX];

	snprintf(path, sizeof(path), "platforms.%s.ima.%s", x->platform, member);
	appraisal_fail(a, warn, path, expected, "%s", seen);
}

static int judge_violations(const struct rules *x, size_t violations, struct appraisal *a)
{
	const struct policy_ima *ima = x->ima;
	char seen[32];

	bool deny = ima && ima->violations == POLICY_IMA_DENY;

	if (violations == 0) {
		appraisal_pass(a);
		return 1;
	}
	if (ima && ima->violations == POLICY_IMA_ALLOW)
		return 1;
	snprintf(seen, sizeof(seen), "%zu of them", violations);
	fail(x, !deny, "violations", "no file measured while it was open for writing", seen, a);
	return !deny;
}

/* NULL, and the digest of the quoted boot registers; or why there is none to compare with. */
static const char *aggregate_of(const struct evidence_result *result, enum hash_alg alg,
				struct digest *ret, int *ret_error)
{
	size_t n = alg == HASH_SHA1 ? AGGREGATE_SHA1 : AGGREGATE;
	struct view parts[AGGREGATE];
	uint32_t needed = (1u << n) - 1;

	*ret_error = 0;
	if (hash_size(alg) == 0)
		return "the list does not begin with one";
	if (alg != result->bank)
		return "it is of another bank than the quote";
	if ((result->pcrs_quoted & needed) != needed)
		return "not all of these PCRs are quoted";
	for (size_t i = 0; i < n; i++)
		parts[i] = digest_view(&result->pcrs[i]);
	*ret_error = digest_of_parts(alg, parts, n, ret);
	return NULL;
}

/* What ties the list to the boot that the other registers tell of. */
static int judge_aggregate(const struct rules *x, const struct evidence_result *result,
			   struct appraisal *a)
{
	static const char expected[] = "the digest of the quoted PCRs 0 to 9";
	const struct policy_ima *ima = x->ima;
	const struct digest *listed = &result->ima.known.boot_aggregate;
	bool asked = ima && ima->boot_aggregate != POLICY_IMA_AGGREGATE_UNSET;
	bool required = ima && ima->boot_aggregate == POLICY_IMA_AGGREGATE_REQUIRE;
	char hex[DIGEST_HEX_MAX], seen[APPRAISAL_TEXT_MAX];
	struct digest of_boot;
	const char *why;
	int r;

	if (ima && ima->boot_aggregate == POLICY_IMA_AGGREGATE_ALLOW)
		return 1;
	why = aggregate_of(result, listed->alg, &of_boot, &r);
	if (r < 0)
		return r;
	if (why && !asked)
		return 1;
	if (!why && digest_equal(&of_boot, listed)) {
		appraisal_pass(a);
		return 1;
	}
	if (why)
		snprintf(seen, sizeof(seen), "could not be checked: %s", why);
	fail(x, !required, "boot_aggregate", expected, why ? seen : digest_hex(listed, hex), a);
	return !required;
}

static int judge_absent(const struct rules *x, const char *why, struct appraisal *a)
{
	char seen[APPRAISAL_TEXT_MAX];

	if (!x->ima || x->ima->log != POLICY_IMA_REQUIRE)
		return 1;
	snprintf(seen, sizeof(seen), "none%s%s", why && *why ? ": " : "", why ? why : "");
	fail(x, false, "log", "the kernel's list of measurements", seen, a);
	return 0;
}

/*
 * The report's list from the end of what is known on. False: there is a gap between them, or they
 * are of different banks. A list from the machine's start on stands alone.
 */
static bool go_on(const Assay__ChipReport *report, const struct evidence_result *result,
		  struct ima_known *known, struct view *list, struct appraisal *a)
{
	uint64_t skip;

	if (report->ima_first == 0) {
		*known = (struct ima_known){ 0 };
		return true;
	}
	if (report->ima_first > known->bytes || known->value.alg != result->bank) {
		appraisal_refuse(a, rule, "a list that goes on from what is known of it",
				 "one from byte %" PRIu64 " on, and %" PRIu64 " are known",
				 report->ima_first, known->bytes);
		return false;
	}
	skip = known->bytes - report->ima_first;
	if (skip > list->len) {
		appraisal_refuse(a, rule, "a list that goes on from what is known of it",
				 "one that ends before");
		return false;
	}
	*list = view_of(list->data + skip, list->len - (size_t)skip);
	return true;
}

static int replay(struct view list, const struct ima_known *known, struct evidence_result *result,
		  struct ima_replay *ret, const char **ret_why)
{
	const struct digest *quoted = &result->pcrs[IMA_PCR];

	return known->bytes > 0
		       ? ima_replay_from(list, IMA_PCR, &known->value, quoted, ret, ret_why)
		       : ima_replay(list, IMA_PCR, result->bank, quoted, ret, ret_why);
}

static void take(struct view list, const struct ima_known *known, const struct ima_replay *replay,
		 struct evidence_result *result)
{
	struct ima_known *to = &result->ima.known;

	*to = *known;
	to->bytes += replay->ended_at;
	to->entries += replay->proven;
	to->violations += replay->violations;
	to->value = result->pcrs[IMA_PCR];
	if (known->bytes == 0)
		to->boot_aggregate = replay->boot_aggregate;
	result->ima.matched = true;
	result->ima.fresh = view_of(list.data, replay->ended_at);
	result->ima.proven = to->entries;
	result->ima.violations = to->violations;
}

static int judge_list(const struct rules *x, struct view list, const struct ima_known *known,
		      struct evidence_result *result, struct appraisal *a)
{
	struct ima_replay replayed;
	char hex[DIGEST_HEX_MAX];
	const char *why;
	int held, r;

	r = replay(list, known, result, &replayed, &why);
	if (r == 0 && known->entries + replayed.entries > IMA_ENTRIES_MAX) {
		why = "more entries than a list of IMA may have";
		r = -EBADMSG;
	}
	if (r == -EBADMSG) {
		appraisal_refuse(a, rule, "a list as IMA writes it", "%s", why);
		return 0;
	}
	if (r < 0)
		return r;
	result->ima.entries = known->entries + replayed.entries;
	if (!replayed.matched) {
		appraisal_refuse(a, rule, "a beginning whose replay is PCR 10 as it was quoted",
				 "%zu entries, and at their end %s", result->ima.entries,
				 digest_hex(&replayed.value, hex));
		return 0;
	}
	take(list, known, &replayed, result);
	appraisal_pass(a);
	held = judge_aggregate(x, result, a);
	if (held < 0)
		return held;
	return judge_violations(x, result->ima.violations, a) && held;
}

/* A list that is there must be true, asked for or not, as with the firmware's. */
int ima_rules_judge(const struct policy *policy, const char *platform,
		    const Assay__ChipReport *report, const struct ima_known *known,
		    struct evidence_result *result, struct appraisal *a)
{
	const struct rules x = { platform, policy_ima_of(policy, platform) };
	struct view list = view_of(report->ima_log.data, report->ima_log.len);
	struct ima_known from = known ? *known : (struct ima_known){ 0 };
	bool required = x.ima && x.ima->log == POLICY_IMA_REQUIRE;

	if (list.len == 0 && report->ima_first == 0)
		return judge_absent(&x, report->ima_absent, a);
	if (!(result->pcrs_quoted >> IMA_PCR & 1)) {
		appraisal_fail(a, !required, rule, "a quote over PCR 10, which proves the list",
			       "one over the PCRs 0x%06x", result->pcrs_quoted);
		return !required;
	}
	if (!go_on(report, result, &from, &list, a))
		return 0;
	return judge_list(&x, list, &from, result, a);
}
