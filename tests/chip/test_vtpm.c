/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "arena.h"
#include "attester.h"
#include "cleanup.h"
#include "credential.h"
#include "evidence.h"
#include "tests/support/own_mounts.h"
#include "tests/support/swtpm.h"
#include "tests/support/tsm_stand_in.h"
#include "tests/support/vtpm_stand_in.h"

/*
 * The attester of vTPMs over a TPM in software and a made chip that vouches for it, as Azure's
 * paravisor and as an SVSM do; what it brings is judged by the verifier's side.
 */

#define REPORT_MEMORY (4 * 1024 * 1024)
#define PCRS	      (1u << 0 | 1u << 4 | 1u << 9)
#define RUNTIME_PCR   15
#define MANIFEST_ROOM 1024

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct policy *, policy_free)

static bool no_swtpm, no_namespace;
static struct swtpm tpm, other_tpm;
static struct made_chip *chip;

static const char claims_text[] = "these bytes stand for serialised Claims";

/* An attester and its last report. */
struct scene {
	struct attester *attester;
	struct attester_identity identity;
	struct arena *arena;
	Assay__ChipReport report;
};

static int start(void **state)
{
	int r = secret_heap_open();

	if (r == 0)
		r = swtpm_start("sha256", &tpm);
	if (r == -ENOENT) {
		no_swtpm = true;
		return 0;
	}
	if (r == 0)
		r = swtpm_start("sha256", &other_tpm);
	chip = made_chip_new("sev-snp");
	return r;
}

static int stop(void **state)
{
	made_chip_free(chip);
	swtpm_stop(&tpm);
	swtpm_stop(&other_tpm);
	secret_heap_close();
	return 0;
}

static void needs(bool namespace_too)
{
	if (no_swtpm)
		print_message("skipped: there is no swtpm on this machine\n");
	else if (namespace_too && no_namespace)
		print_message("skipped: no mount namespace and FUSE here\n");
	else
		return;
	skip();
}

static struct attester_config config_of(const struct swtpm *s)
{
	return (struct attester_config){
		.tcti = s->tcti,
		.bank = HASH_SHA256,
		.pcrs = PCRS,
		.runtime_pcr = RUNTIME_PCR,
		.timeout_ms = 60000,
	};
}

static void scene_open(const struct swtpm *s, struct scene *ret)
{
	const struct attester_config config = config_of(s);
	const struct attester_ops *ops;
	char why[ATTESTER_WHY_MAX] = "";

	*ret = (struct scene){ 0 };
	ops = attester_pick("vtpm", &config, why, sizeof(why));
	assert_non_null(ops);
	if (ops->open(&config, &ret->attester, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	assert_int_equal(ops->identity(ret->attester, &ret->identity), 0);
	assert_int_equal(arena_new(REPORT_MEMORY, &ret->arena), 0);
}

static void scene_close(struct scene *s)
{
	s->attester->ops->close(s->attester);
	attester_identity_done(&s->identity);
	arena_free(s->arena);
}

static void ask(struct scene *s)
{
	assay__chip_report__init(&s->report);
	if (s->attester->ops->report(s->attester, view_text(claims_text), s->arena, &s->report) !=
	    0)
		fail_msg("%s", s->attester->why);
	assert_string_equal(s->report.platform, "vtpm");
}

/* The first rule that refuses, or "": under a policy that names the platforms alone. */
static void judge(const Assay__ChipReport *report, const char *over, struct view key_name,
		  struct view ek_public, char ret_rule[APPRAISAL_RULE_MAX],
		  struct evidence_result *ret)
{
	static const char text[] =
		"application: a\nversion: 1\nplatforms: {sev-snp: {}, vtpm: {}}\n";
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	CLEANUP(policy_freep) struct policy *p = NULL;
	struct evidence_input in = {
		.report = report,
		.claims = view_text(over),
		.now = (int64_t)time(NULL),
		.key_name = key_name,
		.ek_public = ek_public,
		.roots = made_chip_root(chip),
		.n_roots = 1,
	};
	char *error = NULL;
	struct appraisal a;

	assert_int_equal(policy_parse(view_text(text), "test", &p, &error), 0);
	assert_int_equal(endorsements_new(&e), 0);
	made_chip_endorse(chip, e);
	in.policy = p;
	in.endorsements = e;
	appraisal_init(&a);
	assert_int_equal(evidence_find("vtpm")->verify(&in, &a, ret), 0);
	appraisal_finish(&a);
	strcpy(ret_rule, appraisal_accepted(&a) ? "" : a.reasons[0].rule);
	appraisal_done(&a);
}

static void expect(const struct scene *s, const char *over, struct view ek_public,
		   const char *expected)
{
	struct evidence_result result;
	char rule[APPRAISAL_RULE_MAX];

	judge(&s->report, over, bytes_view(&s->identity.key_name), ek_public, rule, &result);
	assert_string_equal(rule, expected);
	assert_true(result.signature_good || expected[0]);
}

static void azures_report_is_judged_by_the_other_side(void **state)
{
	const struct view none = { 0 };
	struct digest extended = { .alg = HASH_SHA256, .size = 32 };
	struct evidence_result result;
	char rule[APPRAISAL_RULE_MAX];
	struct digest before;
	unsigned int number;
	struct scene s;

	needs(false);
	assert_int_equal(vtpm_stand_in_azure(tpm.tcti, chip, NULL), 0);
	scene_open(&tpm, &s);
	/* Nothing to enrol but a name. */
	assert_int_equal(s.identity.ak_public.len, 0);
	assert_true(s.identity.key_name.len >= 16);
	ask(&s);
	expect(&s, claims_text, none, "");
	expect(&s, "other Claims", none, "evidence.claims");
	/* A machine that was enrolled as an SVSM's does not turn into one of Azure's. */
	expect(&s, claims_text, view_text("an EK"), "evidence.hcl");

	assert_int_equal(s.attester->ops->runtime(s.attester, &number, &before), 0);
	assert_int_equal(number, RUNTIME_PCR);
	assert_int_equal(s.attester->ops->extend(s.attester, &extended), 0);
	ask(&s);
	judge(&s.report, claims_text, none, none, rule, &result);
	assert_string_equal(rule, "");
	assert_memory_not_equal(result.pcrs[RUNTIME_PCR].bytes, before.bytes, before.size);
	scene_close(&s);
}

static void a_debug_guests_paravisor_is_refused(void **state)
{
	const struct view none = { 0 };
	struct scene s;

	needs(false);
	made_chip_debug(chip, true);
	assert_int_equal(vtpm_stand_in_azure(tpm.tcti, chip, NULL), 0);
	scene_open(&tpm, &s);
	ask(&s);
	expect(&s, claims_text, none, "platforms.sev-snp.debug");
	made_chip_debug(chip, false);
	scene_close(&s);
}

/* The chip vouches for one TPM's key; the quote is another's. */
static void the_report_over_another_tpms_key_is_refused(void **state)
{
	const struct view none = { 0 };
	struct scene s, other;

	needs(false);
	assert_int_equal(vtpm_stand_in_azure(tpm.tcti, chip, NULL), 0);
	assert_int_equal(vtpm_stand_in_azure(other_tpm.tcti, chip, NULL), 0);
	scene_open(&tpm, &s);
	scene_open(&other_tpm, &other);
	ask(&s);
	ask(&other);
	s.report.key = other.report.key;
	expect(&s, claims_text, none, "evidence.signature");
	s.report.key.len = 0;
	expect(&s, claims_text, none, "evidence.hcl");
	scene_close(&other);
	scene_close(&s);
}

/* An SVSM, seen through configfs-tsm, with a vTPM that is none of Azure's. */
static struct tsm_stand_in *svsm_start(struct swtpm *ret)
{
	struct bytes manifest = BYTES_INIT(MANIFEST_ROOM);
	struct tsm_stand_in *tsm;

	assert_int_equal(swtpm_start("sha256", ret), 0);
	assert_int_equal(tsm_stand_in_start(chip, &tsm), 0);
	assert_int_equal(vtpm_stand_in_manifest(ret->tcti, &manifest), 0);
	assert_int_equal(tsm_stand_in_vtpm(tsm, bytes_view(&manifest)), 0);
	bytes_done(&manifest);
	return tsm;
}

static void open_credential(struct scene *s, struct view ek_public)
{
	struct bytes blob = BYTES_INIT(CREDENTIAL_BLOB_MAX), seed = BYTES_INIT(CREDENTIAL_SEED_MAX);
	const struct view sealed = view_text("0123456789abcdef0123456789abcdef");
	struct secret opened = { 0 };

	assert_int_equal(
		credential_make(ek_public, bytes_view(&s->identity.key_name), sealed, &blob, &seed),
		0);
	assert_int_equal(s->attester->ops->activate(s->attester, bytes_view(&blob),
						    bytes_view(&seed), &opened),
			 0);
	assert_true(view_equal(secret_view(&opened), sealed));
	secret_done(&opened);
	bytes_done(&blob);
	bytes_done(&seed);
}

static void an_svsms_report_is_judged_by_the_other_side(void **state)
{
	struct tsm_stand_in *tsm;
	struct view manifest;
	struct swtpm vtpm;
	struct scene s;

	needs(true);
	tsm = svsm_start(&vtpm);
	scene_open(&vtpm, &s);
	assert_true(s.identity.ak_public.len > 0);
	ask(&s);
	manifest = view_of(s.report.service_manifest.data, s.report.service_manifest.len);
	expect(&s, claims_text, manifest, "");
	/* The chip's report is over these Claims too. */
	expect(&s, "other Claims", manifest, "evidence.report_data");
	expect(&s, claims_text, view_of(NULL, 0), "evidence.ek");
	expect(&s, claims_text, view_text("another EK"), "evidence.ek");
	open_credential(&s, manifest);
	made_chip_debug(chip, true);
	ask(&s);
	manifest = view_of(s.report.service_manifest.data, s.report.service_manifest.len);
	expect(&s, claims_text, manifest, "platforms.sev-snp.debug");
	made_chip_debug(chip, false);
	assert_int_equal(tsm_stand_in_entries(tsm), 0);
	scene_close(&s);
	tsm_stand_in_stop(tsm);
	swtpm_stop(&vtpm);
}

static void another_tpm_than_the_svsms_is_noticed(void **state)
{
	struct attester_config config;
	char why[ATTESTER_WHY_MAX] = "";
	struct swtpm vtpm, plain;
	struct attester *a = NULL;
	struct tsm_stand_in *tsm;

	needs(true);
	tsm = svsm_start(&vtpm);
	assert_int_equal(swtpm_start("sha256", &plain), 0);
	config = config_of(&plain);
	assert_int_equal(attester_pick("vtpm", &config, why, sizeof(why))
				 ->open(&config, &a, why, sizeof(why)),
			 -ENODEV);
	assert_non_null(strstr(why, "not the SVSM's"));
	/* A host or an SVSM that gives the report of an earlier request. */
	tsm_stand_in_faults(tsm, &(struct tsm_faults){ .stale = true });
	config = config_of(&vtpm);
	assert_int_equal(attester_pick("vtpm", &config, why, sizeof(why))
				 ->open(&config, &a, why, sizeof(why)),
			 -EBADMSG);
	assert_non_null(strstr(why, "other report data"));
	tsm_stand_in_stop(tsm);
	swtpm_stop(&plain);
	swtpm_stop(&vtpm);
}

static void auto_picks_what_the_tpm_is(void **state)
{
	struct attester_config config;
	char why[ATTESTER_WHY_MAX] = "";
	struct swtpm plain;

	needs(false);
	assert_int_equal(vtpm_stand_in_azure(tpm.tcti, chip, NULL), 0);
	config = config_of(&tpm);
	assert_string_equal(attester_pick("auto", &config, why, sizeof(why))->platform, "vtpm");
	assert_non_null(strstr(why, "paravisor"));

	assert_int_equal(swtpm_start("sha256", &plain), 0);
	config = config_of(&plain);
	assert_string_equal(attester_pick("auto", &config, why, sizeof(why))->platform, "tpm");
	assert_int_equal(
		attester_pick("vtpm", &config, why, sizeof(why))->probe(&config, why, sizeof(why)),
		-ENODEV);
	assert_non_null(strstr(why, "no chip's report in NV index 0x01400001"));
	assert_non_null(strstr(why, "no vTPM of an SVSM"));
	swtpm_stop(&plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(azures_report_is_judged_by_the_other_side),
		cmocka_unit_test(a_debug_guests_paravisor_is_refused),
		cmocka_unit_test(the_report_over_another_tpms_key_is_refused),
		cmocka_unit_test(an_svsms_report_is_judged_by_the_other_side),
		cmocka_unit_test(another_tpm_than_the_svsms_is_noticed),
		cmocka_unit_test(auto_picks_what_the_tpm_is),
	};

	no_namespace = own_mounts_begin() < 0 || access("/dev/fuse", R_OK | W_OK) < 0;
	return cmocka_run_group_tests(tests, start, stop);
}
