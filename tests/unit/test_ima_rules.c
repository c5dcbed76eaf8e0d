/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ima_log.h"
#include "tests/support/ima_made.h"
#include "verifier/ima_rules.h"

/* Two violations: entries that need no hash to be right, so that lists can be written down. */
#define ZERO_LINE                                                                                  \
	"10 0000000000000000000000000000000000000000 ima-ng sha1:"                                 \
	"0000000000000000000000000000000000000000 /x\n"
#define BROKEN_LINE "10 11 ima-ng sha1:00 /x\n"

enum quote { OF_NONE, OF_ONE, OF_TWO, OF_OTHER, NOT_QUOTED };

#define REQUIRE                                                                                    \
	{                                                                                          \
		.log = POLICY_IMA_REQUIRE, .violations = POLICY_IMA_ALLOW                          \
	}

static const struct {
	const char *what, *log;
	bool asked; /* the policy speaks of it */
	struct policy_ima policy;
	enum quote quote;
	int held;
	const char *rule; /* of the first reason; NULL: none */
	bool warning;
	size_t proven, entries;
} cases[] = {
	{ "no list, none asked for", "", false, { 0 }, OF_NONE, 1, NULL, false, 0, 0 },
	{ "no list where one must be", "", true, REQUIRE, OF_NONE, 0, "platforms.tpm.ima.log",
	  false, 0, 0 },
	{ "a list whose PCR is not quoted",
	  ZERO_LINE,
	  false,
	  { 0 },
	  NOT_QUOTED,
	  1,
	  "evidence.ima",
	  true,
	  0,
	  0 },
	{ "a list that must be proven and is not", ZERO_LINE, true, REQUIRE, NOT_QUOTED, 0,
	  "evidence.ima", false, 0, 0 },
	{ "the whole list", ZERO_LINE ZERO_LINE, true, REQUIRE, OF_TWO, 1, NULL, false, 2, 2 },
	{ "a list that went on", ZERO_LINE ZERO_LINE, true, REQUIRE, OF_ONE, 1, NULL, false, 1, 2 },
	{ "a list of something else",
	  ZERO_LINE,
	  false,
	  { 0 },
	  OF_OTHER,
	  0,
	  "evidence.ima",
	  false,
	  0,
	  1 },
	{ "a list without its end",
	  ZERO_LINE,
	  false,
	  { 0 },
	  OF_TWO,
	  0,
	  "evidence.ima",
	  false,
	  0,
	  1 },
	{ "a broken list",
	  ZERO_LINE BROKEN_LINE,
	  false,
	  { 0 },
	  OF_ONE,
	  0,
	  "evidence.ima",
	  false,
	  0,
	  0 },
	{ "a violation, nothing said",
	  ZERO_LINE,
	  false,
	  { 0 },
	  OF_ONE,
	  1,
	  "platforms.tpm.ima.violations",
	  true,
	  1,
	  1 },
	{ "a violation, denied",
	  ZERO_LINE,
	  true,
	  { .violations = POLICY_IMA_DENY },
	  OF_ONE,
	  0,
	  "platforms.tpm.ima.violations",
	  false,
	  1,
	  1 },
};

/* As it is written; NULL: the policy does not speak of it. */
static struct policy *policy_with(const char *platform, const struct policy_ima *ima)
{
	static const char *const violations[] = { "warn", "deny", "allow" }, *const aggregates[] = {
		"", ", boot_aggregate: require", ", boot_aggregate: warn", ", boot_aggregate: allow"
	};
	char text[256], rules[128] = "";
	char *error = NULL;
	struct policy *p;

	if (ima)
		snprintf(rules, sizeof(rules), "ima: {log: %s, violations: %s%s}",
			 ima->log == POLICY_IMA_REQUIRE ? "require" : "allow",
			 violations[ima->violations], aggregates[ima->boot_aggregate]);
	snprintf(text, sizeof(text), "application: a\nplatforms: {%s: {%s}}\n", platform, rules);
	if (policy_parse(view_text(text), "p", &p, &error) < 0)
		fail_msg("%s", error);
	return p;
}

static struct digest quoted(enum quote quote)
{
	struct digest d = digest_zero(HASH_SHA256);
	uint8_t ones[32];

	memset(ones, 0xff, sizeof(ones));
	for (int i = 0; i < (quote == OF_TWO ? 2 : quote == OF_ONE ? 1 : 0); i++)
		assert_int_equal(digest_extend(&d, view_of(ones, sizeof(ones))), 0);
	if (quote == OF_OTHER)
		d.bytes[0] ^= 1;
	return d;
}

static void lists_are_judged_as_the_policy_asks(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct evidence_result result = { .bank = HASH_SHA256 };
		Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
		struct policy *p = policy_with("tpm", cases[i].asked ? &cases[i].policy : NULL);
		struct appraisal a;
		int r;

		appraisal_init(&a);
		result.pcrs[IMA_PCR] = quoted(cases[i].quote);
		result.pcrs_quoted = cases[i].quote == NOT_QUOTED ? 0xff : 1u << IMA_PCR;
		report.ima_log.data = (uint8_t *)cases[i].log;
		report.ima_log.len = strlen(cases[i].log);
		r = ima_rules_judge(p, "tpm", &report, NULL, &result, &a);
		if (r != cases[i].held || (a.n > 0) != (cases[i].rule != NULL))
			fail_msg("%s: %d, %zu reasons", cases[i].what, r, a.n);
		if (a.n > 0 && (strcmp(a.reasons[0].rule, cases[i].rule) != 0 ||
				a.reasons[0].warning != cases[i].warning))
			fail_msg("%s: %s", cases[i].what, a.reasons[0].rule);
		if (result.ima.proven != cases[i].proven || result.ima.entries != cases[i].entries)
			fail_msg("%s: %zu of %zu", cases[i].what, result.ima.proven,
				 result.ima.entries);
		appraisal_done(&a);
		policy_free(p);
	}
}

/* One machine's list as it grows, and the quotes of it. */
struct machine {
	struct ima_made made;
	struct ima_known known; /* by the verifier */
	const char *platform;	/* NULL: tpm */
	struct policy_ima policy;
	uint32_t quoted;
	struct digest pcrs[EVIDENCE_PCRS];
	const char *rule; /* of the first reason; empty: there was none */
	char text[APPRAISAL_TEXT_MAX];
	char rule_text[APPRAISAL_RULE_MAX];
	bool warning;
};

static struct digest pcr_of(int byte)
{
	struct digest d = digest_zero(HASH_SHA256);

	memset(d.bytes, byte, d.size);
	return d;
}

/* The kernel's first entry: a digest over PCRs 0 to last. */
static void boot(struct machine *m, const char *alg, size_t last)
{
	enum hash_alg hash = hash_by_name(alg);
	struct view parts[EVIDENCE_PCRS];
	struct digest aggregate;

	ima_made_begin(&m->made);
	m->known = (struct ima_known){ 0 };
	m->quoted = 0x7ff;
	for (int i = 0; i < 10; i++)
		m->pcrs[i] = pcr_of(i + 1);
	for (size_t i = 0; i <= last; i++)
		parts[i] = digest_view(&m->pcrs[i]);
	assert_int_equal(digest_of_parts(hash, parts, last + 1, &aggregate), 0);
	ima_made_entry(&m->made, "boot_aggregate", alg, digest_view(&aggregate));
}

/* A report with the list from byte first to byte end, quoting PCR 10 as it is now. */
static int report(struct machine *m, uint64_t first, size_t end)
{
	struct evidence_result result = { .bank = HASH_SHA256, .pcrs_quoted = m->quoted };
	const char *platform = m->platform ? m->platform : "tpm";
	struct policy *p = policy_with(platform, &m->policy);
	Assay__ChipReport r = ASSAY__CHIP_REPORT__INIT;
	struct appraisal a;
	int held;

	memcpy(result.pcrs, m->pcrs, sizeof(result.pcrs));
	result.pcrs[IMA_PCR] = m->made.pcr;
	r.ima_first = first;
	r.ima_log.data = m->made.list.data + first;
	r.ima_log.len = end - first;
	appraisal_init(&a);
	held = ima_rules_judge(p, platform, &r, &m->known, &result, &a);
	policy_free(p);
	snprintf(m->rule_text, sizeof(m->rule_text), "%s", a.n ? a.reasons[0].rule : "");
	snprintf(m->text, sizeof(m->text), "%s", a.n ? a.reasons[0].seen : "");
	m->rule = m->rule_text;
	m->warning = a.n && a.reasons[0].warning;
	if (result.ima.matched) {
		assert_int_equal(result.ima.known.entries, result.ima.proven);
		m->known = result.ima.known;
	}
	appraisal_done(&a);
	return held;
}

static void a_list_goes_on_from_what_is_known(void **state)
{
	struct machine m = { 0 };
	size_t first, before;

	(void)state;
	boot(&m, "sha256", 9);
	ima_made_file(&m.made, "/usr/bin/a", 1);
	assert_int_equal(report(&m, 0, m.made.list.len), 1);
	assert_int_equal(m.known.entries, 2);
	assert_int_equal(m.known.bytes, m.made.list.len);

	/* Nothing new. */
	assert_int_equal(report(&m, m.known.bytes, m.made.list.len), 1);
	assert_int_equal(m.known.entries, 2);

	/* New entries, one of them after the quote. */
	first = m.made.list.len;
	ima_made_file(&m.made, "/usr/bin/b", 2);
	before = m.made.list.len;
	{
		struct digest quoted = m.made.pcr;

		ima_made_file(&m.made, "/usr/bin/c", 3);
		m.made.pcr = quoted;
	}
	assert_int_equal(report(&m, first, m.made.list.len), 1);
	assert_int_equal(m.known.entries, 3);
	assert_int_equal(m.known.bytes, before);

	/* What overlaps what is known is passed over. */
	assert_int_equal(report(&m, first, before), 1);
	assert_int_equal(m.known.entries, 3);
	ima_made_done(&m.made);
}

static void a_list_with_a_hole_is_refused(void **state)
{
	struct machine m = { 0 };
	size_t one, two;

	(void)state;
	boot(&m, "sha256", 9);
	one = m.made.list.len;
	assert_int_equal(report(&m, 0, one), 1);
	ima_made_file(&m.made, "/usr/bin/a", 1);
	two = m.made.list.len;
	ima_made_file(&m.made, "/usr/bin/b", 2);

	/* Past what is known: an entry is left out. */
	assert_int_equal(report(&m, two, m.made.list.len), 0);
	assert_string_equal(m.rule, "evidence.ima");
	assert_non_null(strstr(m.text, "are known"));
	/* An entry left out in the middle, as if it went on: the replay gives another value. */
	m.known.bytes = two;
	assert_int_equal(report(&m, two, m.made.list.len), 0);
	assert_string_equal(m.rule, "evidence.ima");
	assert_non_null(strstr(m.text, "at their end"));
	/* It ends before what is known does. */
	m.known.bytes = m.made.list.len;
	assert_int_equal(report(&m, one, two), 0);
	assert_string_equal(m.rule, "evidence.ima");
	assert_non_null(strstr(m.text, "ends before"));
	/* From the start on it stands alone, whatever is known. */
	m.known.bytes = 7;
	m.known.value = pcr_of(9);
	assert_int_equal(report(&m, 0, m.made.list.len), 1);
	assert_int_equal(m.known.entries, 3);
	/* Known of another bank. */
	m.known.value = digest_zero(HASH_SHA384);
	assert_int_equal(report(&m, one, m.made.list.len), 0);
	assert_string_equal(m.rule, "evidence.ima");
	assert_non_null(strstr(m.text, "are known"));
	ima_made_done(&m.made);
}

static void violations_are_not_forgotten(void **state)
{
	struct machine m = { .policy = { .violations = POLICY_IMA_DENY } };

	(void)state;
	boot(&m, "sha256", 9);
	ima_made_violation(&m.made, "/etc/x");
	assert_int_equal(report(&m, 0, m.made.list.len), 0);
	assert_string_equal(m.rule, "platforms.tpm.ima.violations");
	assert_int_equal(m.known.violations, 1);
	ima_made_file(&m.made, "/usr/bin/a", 1);
	assert_int_equal(report(&m, m.known.bytes, m.made.list.len), 0);
	assert_string_equal(m.rule, "platforms.tpm.ima.violations");
	ima_made_done(&m.made);
}

#define AGGREGATE "platforms.tpm.ima.boot_aggregate"

static const struct {
	const char *what, *alg;
	size_t last;
	int policy;
	uint32_t quoted;
	int change; /* PCR that changes after the kernel has begun its list; -1: none */
	int held;
	const char *rule;
	bool warning;
} boots[] = {
	{ "as the PCRs say", "sha256", 9, POLICY_IMA_AGGREGATE_REQUIRE, 0x7ff, -1, 1, "", false },
	{ "of another boot", "sha256", 9, POLICY_IMA_AGGREGATE_REQUIRE, 0x7ff, 4, 0, AGGREGATE,
	  false },
	{ "of another kernel or command line", "sha256", 9, POLICY_IMA_AGGREGATE_REQUIRE, 0x7ff, 9,
	  0, AGGREGATE, false },
	{ "the same, and nothing was said", "sha256", 9, POLICY_IMA_AGGREGATE_UNSET, 0x7ff, 4, 1,
	  AGGREGATE, true },
	{ "the same, as a warning", "sha256", 9, POLICY_IMA_AGGREGATE_WARN, 0x7ff, 4, 1, AGGREGATE,
	  true },
	{ "the same, allowed", "sha256", 9, POLICY_IMA_AGGREGATE_ALLOW, 0x7ff, 4, 1, "", false },
	{ "over too few PCRs", "sha256", 7, POLICY_IMA_AGGREGATE_REQUIRE, 0x7ff, -1, 0, AGGREGATE,
	  false },
	{ "a PCR is not quoted", "sha256", 9, POLICY_IMA_AGGREGATE_REQUIRE, 0x7fe, -1, 0, AGGREGATE,
	  false },
	{ "a PCR is not quoted, and nobody asked", "sha256", 9, POLICY_IMA_AGGREGATE_UNSET, 0x7fe,
	  -1, 1, "", false },
	{ "a PCR is not quoted, a warning", "sha256", 9, POLICY_IMA_AGGREGATE_WARN, 0x7fe, -1, 1,
	  AGGREGATE, true },
	{ "of another bank", "sha384", 9, POLICY_IMA_AGGREGATE_REQUIRE, 0x7ff, -1, 0, AGGREGATE,
	  false },
};

static void the_list_is_of_the_boot_that_is_quoted(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(boots); i++) {
		struct machine m = { 0 };
		int held;

		boot(&m, boots[i].alg, boots[i].last);
		m.policy.boot_aggregate = (__typeof__(m.policy.boot_aggregate))boots[i].policy;
		m.quoted = boots[i].quoted;
		if (boots[i].change >= 0)
			m.pcrs[boots[i].change] = pcr_of(0x99);
		held = report(&m, 0, m.made.list.len);
		if (held != boots[i].held || strcmp(m.rule, boots[i].rule) != 0 ||
		    m.warning != boots[i].warning)
			fail_msg("%s: %d, %s: %s", boots[i].what, held, m.rule, m.text);
		/* Later reports carry it no more, and are held to it all the same. */
		ima_made_file(&m.made, "/usr/bin/a", 1);
		held = report(&m, m.known.bytes, m.made.list.len);
		if (held != boots[i].held || strcmp(m.rule, boots[i].rule) != 0)
			fail_msg("%s, later: %d, %s: %s", boots[i].what, held, m.rule, m.text);
		ima_made_done(&m.made);
	}
}

static void a_list_without_an_aggregate_is_not_checked(void **state)
{
	struct machine m = { .policy = { .boot_aggregate = POLICY_IMA_AGGREGATE_REQUIRE } };

	(void)state;
	ima_made_begin(&m.made);
	m.quoted = 0x7ff;
	for (int i = 0; i < 10; i++)
		m.pcrs[i] = pcr_of(i);
	ima_made_file(&m.made, "/usr/bin/a", 1);
	assert_int_equal(report(&m, 0, m.made.list.len), 0);
	assert_string_equal(m.rule, AGGREGATE);
	assert_non_null(strstr(m.text, "could not be checked: the list does not begin with one"));
	ima_made_done(&m.made);
}

static void what_is_absent_says_why(void **state)
{
	static const char *const platforms[] = { "tpm", "vtpm" };
	const struct policy_ima policy = { .log = POLICY_IMA_REQUIRE };
	struct evidence_result result = { .bank = HASH_SHA256, .pcrs_quoted = 0x7ff };
	Assay__ChipReport r = ASSAY__CHIP_REPORT__INIT;
	struct appraisal a;

	(void)state;
	r.ima_absent = (char *)"no such file";
	for (size_t i = 0; i < ARRAY_LEN(platforms); i++) {
		struct policy *p = policy_with(platforms[i], &policy);
		char rule[64];

		snprintf(rule, sizeof(rule), "platforms.%s.ima.log", platforms[i]);
		appraisal_init(&a);
		assert_int_equal(ima_rules_judge(p, platforms[i], &r, NULL, &result, &a), 0);
		assert_string_equal(a.reasons[0].rule, rule);
		assert_string_equal(a.reasons[0].seen, "none: no such file");
		appraisal_done(&a);
		/* Of the other platform nothing is asked. */
		appraisal_init(&a);
		assert_int_equal(ima_rules_judge(p, platforms[1 - i], &r, NULL, &result, &a), 1);
		assert_int_equal(a.n, 0);
		appraisal_done(&a);
		policy_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_judged_as_the_policy_asks),
		cmocka_unit_test(a_list_goes_on_from_what_is_known),
		cmocka_unit_test(a_list_with_a_hole_is_refused),
		cmocka_unit_test(violations_are_not_forgotten),
		cmocka_unit_test(the_list_is_of_the_boot_that_is_quoted),
		cmocka_unit_test(a_list_without_an_aggregate_is_not_checked),
		cmocka_unit_test(what_is_absent_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
