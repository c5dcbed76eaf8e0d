/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/ima_made.h"
#include "verifier/appraise_ima.h"
#include "verifier/ima_rules.h"

/* What a session keeps of IMA's list, report by report. */

struct scene {
	struct ima_made made;
	struct ima_witness witness;
	struct appraise_result result;
	Assay__ChipReport report;
	struct appraisal a;
};

static void begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	ima_made_begin(&s->made);
	appraisal_init(&s->a);
}

static void end(struct scene *s)
{
	ima_made_done(&s->made);
	ima_witness_done(&s->witness);
	appraisal_done(&s->a);
}

/* A report over the list as it is now, from byte first to byte last. */
static void report(struct scene *s, uint64_t first, size_t last)
{
	struct evidence_result chip = { .bank = HASH_SHA256, .pcrs_quoted = 1u << IMA_PCR };

	assay__chip_report__init(&s->report);
	s->report.ima_first = first;
	s->report.ima_log.data = s->made.list.data + first;
	s->report.ima_log.len = last - first;
	chip.pcrs[IMA_PCR] = s->made.pcr;
	chip.signature_good = true;
	assert_true(ima_rules_judge(NULL, "tpm", &s->report, &s->witness.known, &chip, &s->a) >= 0);
	s->result = (struct appraise_result){ .signature_good = true, .chip = chip };
	assert_int_equal(appraise_ima_take(&s->witness, &s->report, &s->result, &s->a), 0);
}

static enum ima_seen seen(struct scene *s, const char *path, int byte)
{
	uint8_t digest[32];

	memset(digest, byte, sizeof(digest));
	return ima_files_find(s->witness.files, path, view_of(digest, sizeof(digest)), NULL);
}

static void files_add_up_over_the_reports_of_a_session(void **state)
{
	struct scene s;
	size_t first;

	(void)state;
	begin(&s);
	ima_made_file(&s.made, "/usr/bin/a", 1);
	report(&s, 0, s.made.list.len);
	assert_int_equal(seen(&s, "/usr/bin/a", 1), IMA_SEEN_SAME);
	assert_int_equal(seen(&s, "/usr/bin/b", 2), IMA_SEEN_NOT);
	first = s.made.list.len;
	ima_made_file(&s.made, "/usr/bin/b", 2);
	report(&s, first, s.made.list.len);
	assert_int_equal(seen(&s, "/usr/bin/a", 1), IMA_SEEN_SAME);
	assert_int_equal(seen(&s, "/usr/bin/b", 2), IMA_SEEN_SAME);
	assert_int_equal(ima_files_count(s.witness.files), 2);
	assert_int_equal(s.witness.known.bytes, s.made.list.len);
	/* The same report once more. */
	report(&s, first, s.made.list.len);
	assert_int_equal(ima_files_count(s.witness.files), 2);
	end(&s);
}

static void only_files_of_the_quoted_part_count(void **state)
{
	struct digest quoted;
	struct scene s;

	(void)state;
	begin(&s);
	ima_made_file(&s.made, "boot_aggregate", 7);
	ima_made_file(&s.made, ".builtin_trusted_keys", 8);
	ima_made_file(&s.made, "/usr/bin/a", 1);
	quoted = s.made.pcr;
	ima_made_file(&s.made, "/usr/bin/after", 2);
	s.made.pcr = quoted;
	report(&s, 0, s.made.list.len);
	assert_int_equal(ima_files_count(s.witness.files), 1);
	assert_int_equal(seen(&s, "/usr/bin/a", 1), IMA_SEEN_SAME);
	assert_int_equal(seen(&s, "/usr/bin/after", 2), IMA_SEEN_NOT);
	end(&s);
}

static void digests_of_other_kinds_say_which(void **state)
{
	uint8_t sha1[20] = { 1 }, sha512[64] = { 1 }, zeros[20] = { 0 };
	const struct ima_file *f;
	struct scene s;

	(void)state;
	begin(&s);
	ima_made_entry(&s.made, "/sha1", "sha1", view_of(sha1, sizeof(sha1)));
	ima_made_entry(&s.made, "/sha512", "sha512", view_of(sha512, sizeof(sha512)));
	ima_made_entry(&s.made, "/other", "rmd160", view_of(sha1, sizeof(sha1)));
	ima_made_violation(&s.made, "/violation");
	ima_made_entry(&s.made, "/unread", "sha256", view_of(zeros, sizeof(zeros)));
	report(&s, 0, s.made.list.len);
	assert_int_equal(ima_files_count(s.witness.files), 5);
	for (size_t i = 0; i < 5; i++) {
		static const char *const why[] = { "of sha1", "of sha512", "of another algorithm",
						   "while it was open for writing",
						   "of a file that could not be read" };

		f = ima_files_at(s.witness.files, i);
		assert_int_equal(f->sha256.size, 0);
		assert_string_equal(f->why, why[i]);
		assert_int_equal(f->violation, i == 3);
	}
	end(&s);
}

/* The verifier then says that it knows nothing, and the attester sends all of it. */
static void a_list_that_does_not_hold_is_begun_anew(void **state)
{
	struct scene s;
	size_t first;

	(void)state;
	begin(&s);
	ima_made_file(&s.made, "/usr/bin/a", 1);
	report(&s, 0, s.made.list.len);
	ima_made_file(&s.made, "/usr/bin/b", 2);
	first = s.made.list.len;
	ima_made_file(&s.made, "/usr/bin/c", 3);
	report(&s, first, s.made.list.len);
	assert_true(s.a.refused);
	assert_null(s.witness.files);
	assert_int_equal(s.witness.known.bytes, 0);
	report(&s, 0, s.made.list.len);
	assert_int_equal(ima_files_count(s.witness.files), 3);
	end(&s);
}

/* Evidence of another application, which waited, comes after one that knew more. */
static void an_older_report_takes_nothing_away(void **state)
{
	struct digest newest;
	struct scene s;
	size_t first;

	(void)state;
	begin(&s);
	ima_made_file(&s.made, "/usr/bin/a", 1);
	first = s.made.list.len;
	{
		struct digest before = s.made.pcr;

		ima_made_file(&s.made, "/usr/bin/b", 2);
		report(&s, 0, s.made.list.len);
		newest = s.made.pcr;
		s.made.pcr = before;
	}
	report(&s, 0, first);
	assert_false(s.a.refused);
	assert_int_equal(s.witness.known.bytes, s.made.list.len);
	assert_int_equal(ima_files_count(s.witness.files), 2);
	s.made.pcr = newest;
	report(&s, s.made.list.len, s.made.list.len);
	assert_false(s.a.refused);
	assert_true(s.result.chip.ima.matched);
	end(&s);
}

static struct policy *witnessed(void)
{
	char *error = NULL;
	struct policy *p;

	assert_int_equal(policy_parse(view_text("application: a\nplatforms:\n  tpm:\n    ima: "
						"{witness: require}\n"),
				      "p", &p, &error),
			 0);
	return p;
}

static const char *judged(struct scene *s, const struct policy *p, const char *platform)
{
	struct appraise_input in = {
		.report = &s->report, .policy = p, .platform = platform, .ima = &s->witness
	};

	appraisal_done(&s->a);
	appraisal_init(&s->a);
	appraise_ima_judge(&in, &s->result, NULL, &s->a);
	return s->a.n ? s->a.reasons[0].seen : s->a.checks ? "passed" : "nothing";
}

/* A list that came before does not speak for a report that brings none. */
static void what_is_not_proven_is_not_a_witness(void **state)
{
	struct policy *p = witnessed();
	struct scene s;

	(void)state;
	begin(&s);
	ima_made_file(&s.made, "/usr/bin/a", 1);
	report(&s, 0, s.made.list.len);
	assert_string_equal(judged(&s, p, "tpm"), "passed");
	assert_string_equal(judged(&s, p, "soft"), "nothing");

	s.result.signature_good = false;
	assert_non_null(strstr(judged(&s, p, "tpm"), "not proven"));
	s.result.signature_good = true;
	s.result.chip.ima.matched = false;
	assert_non_null(strstr(judged(&s, p, "tpm"), "not proven"));

	assay__chip_report__init(&s.report);
	assert_non_null(strstr(judged(&s, p, "tpm"), "the report brings none"));
	s.report.ima_absent = (char *)"the kernel has no IMA";
	assert_non_null(strstr(judged(&s, p, "tpm"), "the kernel has no IMA"));
	end(&s);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_add_up_over_the_reports_of_a_session),
		cmocka_unit_test(only_files_of_the_quoted_part_count),
		cmocka_unit_test(digests_of_other_kinds_say_which),
		cmocka_unit_test(a_list_that_does_not_hold_is_begun_anew),
		cmocka_unit_test(an_older_report_takes_nothing_away),
		cmocka_unit_test(what_is_not_proven_is_not_a_witness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
