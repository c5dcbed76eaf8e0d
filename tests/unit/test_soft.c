/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "arena.h"
#include "attester.h"
#include "evidence.h"

static char directory[] = "/tmp/assay-soft-XXXXXX";
static char file[64];
static const char claims_text[] = "these bytes stand for serialised Claims";

static struct attester *open_soft(void)
{
	struct attester_config config = { .key = file };
	struct attester *a = NULL;
	char why[256];

	if (attester_pick("soft", &config, why, sizeof(why))->open(&config, &a, why, sizeof(why)) !=
	    0)
		fail_msg("%s", why);
	return a;
}

static void write_key(const char *type, const char *group, mode_t mode)
{
	EVP_PKEY *key = group ? EVP_PKEY_Q_keygen(NULL, NULL, type, group)
			      : EVP_PKEY_Q_keygen(NULL, NULL, type, (size_t)2048);
	FILE *f;

	unlink(file);
	f = fopen(file, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	EVP_PKEY_free(key);
	assert_int_equal(chmod(file, mode), 0);
}

/* The rule of the first reason, or "". */
static void judge(const Assay__ChipReport *report, const char *over, struct view key_name,
		  const char *platforms, char *ret_rule)
{
	struct evidence_result result;
	struct evidence_input in;
	struct appraisal a;
	struct policy *p = NULL;
	char text[512], *error = NULL;

	snprintf(text, sizeof(text), "application: a\nversion: 1\nplatforms: %s\n", platforms);
	if (policy_parse(view_text(text), "test", &p, &error) != 0)
		fail_msg("%s", error);
	in = (struct evidence_input){
		.report = report, .claims = view_text(over), .policy = p, .key_name = key_name
	};
	appraisal_init(&a);
	assert_int_equal(evidence_find("soft")->verify(&in, &a, &result), 0);
	appraisal_finish(&a);
	strcpy(ret_rule, a.n ? a.reasons[0].rule : "");
	assert_int_equal(appraisal_accepted(&a), a.n == 0);
	assert_int_equal(result.signature_good, a.n == 0);
	appraisal_done(&a);
	policy_free(p);
}

static void check_reports(void)
{
	char rule[APPRAISAL_RULE_MAX], hex[65], listed[160];
	struct attester_identity i;
	struct attester *a = open_soft();
	Assay__ChipReport report;
	struct arena *arena;
	struct view name;

	assert_int_equal(arena_new(64 * 1024, &arena), 0);
	assay__chip_report__init(&report);
	assert_int_equal(a->ops->report(a, view_text(claims_text), arena, &report), 0);
	assert_int_equal(a->ops->identity(a, &i), 0);
	name = bytes_view(&i.key_name);
	hex_encode(name.data, name.len, hex);

	judge(&report, claims_text, name, "{soft: {}}", rule);
	assert_string_equal(rule, "");
	judge(&report, claims_text, view_of(NULL, 0), "{soft: {}}", rule);
	assert_string_equal(rule, "");
	snprintf(listed, sizeof(listed), "{soft: {keys: [%s]}}", hex);
	judge(&report, claims_text, name, listed, rule);
	assert_string_equal(rule, "");

	judge(&report, claims_text, name, "{tpm: {}}", rule);
	assert_string_equal(rule, "platforms");
	hex[0] = hex[0] == 'a' ? 'b' : 'a';
	snprintf(listed, sizeof(listed), "{soft: {keys: [%s]}}", hex);
	judge(&report, claims_text, name, listed, rule);
	assert_string_equal(rule, "platforms.soft.keys");
	judge(&report, claims_text, view_text("another key"), "{soft: {}}", rule);
	assert_string_equal(rule, "evidence.key");
	judge(&report, "other Claims", name, "{soft: {}}", rule);
	assert_string_equal(rule, "evidence.claims");
	for (size_t at = 0; at < report.signature.len; at++) {
		report.signature.data[at] ^= 4;
		judge(&report, claims_text, name, "{soft: {}}", rule);
		assert_string_equal(rule, "evidence.signature");
		report.signature.data[at] ^= 4;
	}
	report.report.data[0] ^= 1;
	judge(&report, claims_text, name, "{soft: {}}", rule);
	assert_string_equal(rule, "evidence.signature");
	report.report.data[0] ^= 1;
	report.report.len--;
	judge(&report, claims_text, name, "{soft: {}}", rule);
	assert_string_equal(rule, "evidence.signature");
	report.report.len++;
	report.key.len--;
	judge(&report, claims_text, name, "{soft: {}}", rule);
	assert_string_equal(rule, "evidence.key");
	report.key.len = 0;
	judge(&report, claims_text, name, "{soft: {}}", rule);
	assert_string_equal(rule, "evidence.key");

	attester_identity_done(&i);
	a->ops->close(a);
	arena_free(arena);
}

static void a_key_is_made_once(void **state)
{
	struct attester_identity first, second;
	struct attester *a;
	struct stat st;

	(void)state;
	unlink(file);
	a = open_soft();
	assert_int_equal(a->ops->identity(a, &first), 0);
	a->ops->close(a);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	a = open_soft();
	assert_int_equal(a->ops->identity(a, &second), 0);
	a->ops->close(a);
	assert_true(view_equal(bytes_view(&first.key_name), bytes_view(&second.key_name)));
	assert_int_equal(first.key_name.len, 32);
	attester_identity_done(&first);
	attester_identity_done(&second);
}

static void reports_are_judged_by_the_other_side(void **state)
{
	(void)state;
	unlink(file);
	check_reports();
	write_key("EC", "P-256", 0600);
	check_reports();
}

static void other_files_are_refused(void **state)
{
	struct attester_config config = { .key = file };
	const struct attester_ops *ops;
	struct attester *a = NULL;
	char why[256];

	(void)state;
	ops = attester_pick("soft", &config, why, sizeof(why));
	assert_true(ops->insecure);
	assert_null(ops->extend);
	assert_null(ops->activate);
	assert_true(ops->probe(&config, why, sizeof(why)) < 0);
	write_key("EC", "P-256", 0640);
	assert_int_equal(ops->open(&config, &a, why, sizeof(why)), -EPERM);
	assert_non_null(strstr(why, "chmod 600"));
	write_key("EC", "P-384", 0600);
	assert_int_equal(ops->open(&config, &a, why, sizeof(why)), -EINVAL);
	write_key("RSA", NULL, 0600);
	assert_int_equal(ops->open(&config, &a, why, sizeof(why)), -EINVAL);
	assert_int_equal(truncate(file, 0), 0);
	assert_int_equal(ops->open(&config, &a, why, sizeof(why)), -EINVAL);
	config.key = NULL;
	assert_int_equal(ops->open(&config, &a, why, sizeof(why)), -EINVAL);
	config.key = "/nonexistent/key.pem";
	assert_int_equal(ops->open(&config, &a, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, config.key));
}

static int make_directory(void **state)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(file, sizeof(file), "%s/key.pem", directory);
	return 0;
}

static int remove_directory(void **state)
{
	unlink(file);
	/* Fails where anything else was left in it. */
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_made_once),
		cmocka_unit_test(reports_are_judged_by_the_other_side),
		cmocka_unit_test(other_files_are_refused),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
