/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/ioctl_stand_in.h"
#include "tests/support/own_mounts.h"
#include "tests/support/tee_scene.h"

/*
 * Attesters of TEEs against a stand-in of the devices that older and other kernels have; what they
 * bring is judged by the verifier's side.
 */

static struct ioctl_stand_in *devices;
static struct made_chip *amd, *hygon;

static void needs_devices(void)
{
	if (devices)
		return;
	print_message("skipped: no mount namespace and seccomp notification here; it needs root\n");
	skip();
}

static void scene_open(struct made_chip *chip, struct tee_scene *s)
{
	assert_int_equal(ioctl_stand_in_chip(devices, chip), 0);
	tee_scene_open(chip, &tee_scene_config, s);
}

static void scene_close(struct tee_scene *s)
{
	tee_scene_close(s);
	assert_int_equal(ioctl_stand_in_chip(devices, NULL), 0);
}

static void set_faults(const struct ioctl_faults *faults)
{
	ioctl_stand_in_faults(devices, faults);
}

static void snp_reports_come_with_the_hosts_certificates(void **state)
{
	struct evidence_result result;
	char rule[APPRAISAL_RULE_MAX];
	unsigned int before;
	struct tee_scene s;

	needs_devices();
	scene_open(amd, &s);
	before = ioctl_stand_in_requests(devices);
	tee_scene_expect_good(&s, false);
	assert_int_equal(s.report.n_endorsements, 1);
	/* Once to hear how much room they need, and once with the room. */
	assert_int_equal(ioctl_stand_in_requests(devices) - before, 2);

	made_chip_debug(amd, true);
	assert_int_equal(tee_scene_ask(&s), 0);
	tee_scene_judge(&s, tee_scene_claims, false, rule, &result);
	assert_string_equal(rule, "platforms.sev-snp.debug");
	made_chip_debug(amd, false);
	scene_close(&s);
}

/* A host whose certificates need more room than there may be: the report comes without. */
static void certificates_have_a_limit(void **state)
{
	static const struct ioctl_faults cases[] = {
		{ .certificates = 0x5000 },
		{ .certificates = 5000 },
		{ .certificates = 0xfffff000 },
		{ .growing = true },
	};
	struct evidence_result result;
	char rule[APPRAISAL_RULE_MAX];
	struct tee_scene s;

	needs_devices();
	scene_open(amd, &s);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_faults(&cases[i]);
		tee_scene_expect_good(&s, true);
		assert_int_equal(s.report.n_endorsements, 0);
		tee_scene_judge(&s, tee_scene_claims, false, rule, &result);
		assert_string_equal(rule, "evidence.certificate");
	}
	scene_close(&s);
}

static void a_host_that_throttles_is_asked_again(void **state)
{
	struct tee_scene s;

	needs_devices();
	scene_open(amd, &s);
	set_faults(&(struct ioctl_faults){ .busy = 2 });
	tee_scene_expect_good(&s, false);
	scene_close(&s);
}

static void csv_reports_are_judged_by_the_other_side(void **state)
{
	struct evidence_result result;
	char rule[APPRAISAL_RULE_MAX];
	struct tee_scene s;

	needs_devices();
	for (int extended = 0; extended < 2; extended++) {
		scene_open(hygon, &s);
		set_faults(&(struct ioctl_faults){ .no_registers = !extended });
		tee_scene_expect_good(&s, true);
		tee_scene_judge(&s, tee_scene_claims, true, rule, &result);
		assert_int_equal(result.version, extended ? 2 : 1);
		assert_int_equal(result.n_registers, extended ? 5 : 0);
		tee_scene_judge(&s, tee_scene_claims, false, rule, &result);
		assert_string_not_equal(rule, "");

		made_chip_debug(hygon, true);
		assert_int_equal(tee_scene_ask(&s), 0);
		tee_scene_judge(&s, tee_scene_claims, true, rule, &result);
		assert_string_equal(rule, "platforms.csv.debug");
		made_chip_debug(hygon, false);
		scene_close(&s);
	}
}

static void csv_extends_its_register(void **state)
{
	struct digest m, of_bank, value, expected;
	const struct attester_ops *ops;
	struct evidence_result result;
	char rule[APPRAISAL_RULE_MAX];
	unsigned int number = 0;
	struct tee_scene s;

	needs_devices();
	scene_open(hygon, &s);
	ops = s.attester->ops;
	assert_int_equal(digest_of(HASH_SHA256, view_text("M"), &m), 0);
	assert_int_equal(digest_of(HASH_SM3, digest_view(&m), &of_bank), 0);
	assert_int_equal(ops->runtime(s.attester, &number, &expected), 0);
	assert_int_equal(number, 4);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ops->extend(s.attester, &m), 0);
		assert_int_equal(digest_extend(&expected, digest_view(&of_bank)), 0);
		assert_int_equal(ops->runtime(s.attester, &number, &value), 0);
		assert_true(digest_equal(&value, &expected));
	}
	assert_int_equal(tee_scene_ask(&s), 0);
	tee_scene_judge(&s, tee_scene_claims, true, rule, &result);
	assert_string_equal(rule, "");
	assert_true(digest_equal(&result.registers[4], &expected));

	set_faults(&(struct ioctl_faults){ .firmware_status = 0x16 });
	assert_int_equal(ops->extend(s.attester, &m), -EIO);
	assert_non_null(strstr(s.attester->why, "RTMR4 cannot be extended"));
	assert_int_equal(ops->runtime(s.attester, &number, &value), -EIO);
	set_faults(&(struct ioctl_faults){ .no_registers = true });
	assert_int_equal(ops->runtime(s.attester, &number, &value), -EOPNOTSUPP);
	assert_non_null(strstr(s.attester->why, "CSV3"));
	set_faults(&(struct ioctl_faults){ .register_state = 1 });
	assert_int_equal(ops->runtime(s.attester, &number, &value), -EOPNOTSUPP);
	scene_close(&s);
}

/* What goes wrong once is refused in words, and the next report is good again. */
static const struct {
	const char *what;
	bool csv;
	struct ioctl_faults faults;
	int error;
	const char *why;
} refused[] = {
	{ "the host refuses", false, { .error = -EIO }, -EIO, "/dev/sev-guest: Input/output" },
	{ "the device is not of this guest", false, { .error = -ENOTTY }, -ENOTTY, "sev-guest" },
	{ "the host throttles all the time", false, { .busy = 1000 }, -EBUSY, "asks to wait" },
	{ "the firmware refuses", false, { .firmware_status = 0x16 }, -EIO, "status is 0x16" },
	{ "a report of no bytes in the response",
	  false,
	  { .report_size = 1 },
	  -EBADMSG,
	  "gave 1 bytes" },
	{ "a report that is cut", false, { .report_size = 1183 }, -EBADMSG, "gave 1183 bytes" },
	{ "more than there is", false, { .report_size = 3969 }, -EBADMSG, "of 3969 bytes" },
	{ "as many bytes as there may be",
	  false,
	  { .report_size = UINT32_MAX },
	  -EBADMSG,
	  "of 4294967295 bytes" },
	{ "a report over what was asked before",
	  false,
	  { .stale = true },
	  -EBADMSG,
	  "over other report data" },

	{ "the chip refuses",
	  true,
	  { .error = -EIO },
	  -EIO,
	  "/dev/csv-guest: the chip or the host" },
	{ "no CSV guest", true, { .error = -ENOTTY }, -ENOTTY, "/dev/csv-guest" },
	{ "an error of the hypercall", true, { .positive = 5 }, -EIO, "refused the request" },
	{ "success and no report", true, { .silent = true }, -EIO, "refused the request" },
	{ "a report over what was asked before",
	  true,
	  { .stale = true },
	  -EBADMSG,
	  "over other report data" },
	{ "a masked one over what was asked before",
	  true,
	  { .stale = true, .no_registers = true },
	  -EBADMSG,
	  "over other report data" },
};

static void what_goes_wrong_is_said(void **state)
{
	struct tee_scene s;
	int r;

	needs_devices();
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		scene_open(refused[i].csv ? hygon : amd, &s);
		assert_int_equal(tee_scene_ask_for(&s, "the Claims before"), 0);
		set_faults(&refused[i].faults);
		r = tee_scene_ask(&s);
		if (r != refused[i].error || !strstr(s.attester->why, refused[i].why))
			fail_msg("%s: %d, \"%s\"", refused[i].what, r, s.attester->why);
		assert_int_equal(s.report.report.len, 0);
		set_faults(&(struct ioctl_faults){ 0 });
		tee_scene_expect_good(&s, true);
		scene_close(&s);
	}
}

static void auto_picks_what_the_machine_has(void **state)
{
	const struct attester_config none = { .tcti = "swtpm:path=/nonexistent" };
	struct made_chip *const chips[] = { amd, hygon };
	const struct attester_ops *ops;
	struct attester *a = NULL;
	char why[1024];

	needs_devices();
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(ioctl_stand_in_chip(devices, chips[i]), 0);
		ops = attester_pick("auto", &none, why, sizeof(why));
		assert_non_null(ops);
		assert_string_equal(ops->platform, made_chip_platform(chips[i]));
		assert_non_null(strstr(why, i ? "/dev/csv-guest" : "/dev/sev-guest"));
		assert_int_equal(ioctl_stand_in_chip(devices, NULL), 0);
		/* Picked, and gone before it is opened. */
		assert_int_equal(ops->open(&none, &a, why, sizeof(why)), -ENODEV);
		assert_non_null(strstr(why, "No such file"));
		assert_null(attester_pick("auto", &none, why, sizeof(why)));
		assert_non_null(strstr(why, "sev-snp: /dev/sev-guest: No such file"));
		assert_non_null(strstr(why, "csv: /dev/csv-guest: No such file"));
	}
}

static int end(void **state)
{
	ioctl_stand_in_stop(devices);
	made_chip_free(amd);
	made_chip_free(hygon);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(snp_reports_come_with_the_hosts_certificates),
		cmocka_unit_test(certificates_have_a_limit),
		cmocka_unit_test(a_host_that_throttles_is_asked_again),
		cmocka_unit_test(csv_reports_are_judged_by_the_other_side),
		cmocka_unit_test(csv_extends_its_register),
		cmocka_unit_test(what_goes_wrong_is_said),
		cmocka_unit_test(auto_picks_what_the_machine_has),
	};

	if (own_mounts_begin() < 0 || ioctl_stand_in_start(&devices) < 0)
		devices = NULL;
	amd = made_chip_new("sev-snp");
	hygon = made_chip_new("csv");
	return cmocka_run_group_tests(tests, NULL, end);
}
