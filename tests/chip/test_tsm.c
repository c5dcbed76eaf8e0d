/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "attester.h"
#include "attesters/tsm.h"
#include "cleanup.h"
#include "tests/support/own_mounts.h"
#include "tests/support/tee_scene.h"
#include "tests/support/tsm_stand_in.h"

/*
 * Attesters of TEEs against a stand-in of the kernel's configfs-tsm, with a chip of the test's own
 * behind it; what they bring is judged by the verifier's side.
 */

#define SHORT_MS 200
#define LOOKS	 1000 /* of 10 ms each, for what another thread does */

static bool no_namespace;
static struct made_chip *chips[2]; /* made once: the keys of an AMD take a second */

/* A chip behind its stand-in, and the attester over it. */
struct scene {
	struct tee_scene tee;
	struct tsm_stand_in *tsm;
};

static void needs_namespace(void)
{
	if (!no_namespace)
		return;
	print_message("skipped: no mount namespace and FUSE here; it needs root and /dev/fuse\n");
	skip();
}

static struct made_chip *chip_of(const char *platform)
{
	for (size_t i = 0; i < ARRAY_LEN(chips); i++) {
		if (!chips[i])
			chips[i] = made_chip_new(platform);
		assert_non_null(chips[i]);
		if (strcmp(made_chip_platform(chips[i]), platform) == 0)
			return chips[i];
	}
	fail_msg("%s: a chip too many", platform);
	return NULL;
}

static int chips_end(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(chips); i++)
		made_chip_free(chips[i]);
	return 0;
}

static void scene_open_with(const char *platform, const struct attester_config *config,
			    struct scene *s)
{
	assert_int_equal(tsm_stand_in_start(chip_of(platform), &s->tsm), 0);
	tee_scene_open(chip_of(platform), config, &s->tee);
}

static void scene_open(const char *platform, struct scene *s)
{
	scene_open_with(platform, &tee_scene_config, s);
}

static void scene_close(struct scene *s)
{
	tee_scene_close(&s->tee);
	/* No directory of ours is left in the kernel's. */
	assert_int_equal(tsm_stand_in_entries(s->tsm), 0);
	tsm_stand_in_stop(s->tsm);
}

static void snp_reports_are_judged_by_the_other_side(void **state)
{
	struct evidence_result result;
	char rule[APPRAISAL_RULE_MAX];
	struct scene s;

	needs_namespace();
	scene_open("sev-snp", &s);
	/* The certificates are those that the host gave with the report. */
	tee_scene_expect_good(&s.tee, false);
	assert_int_equal(s.tee.report.n_endorsements, 1);
	made_chip_debug(s.tee.chip, true);
	assert_int_equal(tee_scene_ask(&s.tee), 0);
	tee_scene_judge(&s.tee, tee_scene_claims, false, rule, &result);
	assert_string_equal(rule, "platforms.sev-snp.debug");
	made_chip_debug(s.tee.chip, false);
	scene_close(&s);
}

static void tdx_quotes_are_judged_by_the_other_side(void **state)
{
	struct evidence_result result;
	char rule[APPRAISAL_RULE_MAX];
	struct scene s;

	needs_namespace();
	scene_open("tdx", &s);
	tee_scene_expect_good(&s.tee, true);
	tee_scene_judge(&s.tee, tee_scene_claims, false, rule, &result);
	assert_string_not_equal(rule, "");
	made_chip_debug(s.tee.chip, true);
	assert_int_equal(tee_scene_ask(&s.tee), 0);
	tee_scene_judge(&s.tee, tee_scene_claims, true, rule, &result);
	assert_string_equal(rule, "platforms.tdx.debug");
	made_chip_debug(s.tee.chip, false);
	scene_close(&s);
}

static void a_td_extends_its_register(void **state)
{
	const struct attester_ops *ops;
	struct digest m, of_size, value, expected;
	struct evidence_result result;
	char rule[APPRAISAL_RULE_MAX];
	unsigned int number = 0;
	struct scene s;

	needs_namespace();
	scene_open("tdx", &s);
	ops = s.tee.attester->ops;
	assert_int_equal(digest_of(HASH_SHA256, view_text("M"), &m), 0);
	assert_int_equal(digest_of(HASH_SHA384, digest_view(&m), &of_size), 0);
	assert_int_equal(ops->runtime(s.tee.attester, &number, &expected), 0);
	assert_int_equal(number, 3);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ops->extend(s.tee.attester, &m), 0);
		assert_int_equal(digest_extend(&expected, digest_view(&of_size)), 0);
		assert_int_equal(ops->runtime(s.tee.attester, &number, &value), 0);
		assert_true(digest_equal(&value, &expected));
	}
	assert_int_equal(tee_scene_ask(&s.tee), 0);
	tee_scene_judge(&s.tee, tee_scene_claims, true, rule, &result);
	assert_string_equal(rule, "");
	assert_true(digest_equal(&result.registers[3], &expected));

	tsm_stand_in_faults(s.tsm, &(struct tsm_faults){ .no_registers = true });
	assert_int_equal(ops->extend(s.tee.attester, &m), -EIO);
	assert_non_null(strstr(s.tee.attester->why, "RTMR3 cannot be extended"));
	assert_int_equal(ops->runtime(s.tee.attester, &number, &value), -EIO);
	scene_close(&s);
}

static void cut_one(struct bytes *b)
{
	b->len--;
}

static void cut_to_ten(struct bytes *b)
{
	b->len = 10;
}

static void nothing(struct bytes *b)
{
	b->len = 0;
}

static void one_more(struct bytes *b)
{
	assert_int_equal(bytes_append_u8(b, 0), 0);
}

static void too_large(struct bytes *b)
{
	while (b->len <= TSM_OUTBLOB_MAX)
		one_more(b);
}

static void other_format(struct bytes *b)
{
	memset(b->data, 0xd9, 8);
	while (b->len <= 8192)
		one_more(b);
}

static void sgx_quote(struct bytes *b)
{
	b->data[4] = 0;
}

/* What goes wrong once is refused in words, and the next report is good again. */
static const struct {
	const char *what, *platform;
	struct tsm_faults faults;
	int error;
	const char *why;
} refused[] = {
	{ "others write all the time",
	  "sev-snp",
	  { .interfere = 1000 },
	  -EBUSY,
	  "another process writes there" },
	{ "the chip is always busy", "tdx", { .busy = 1000 }, -EBUSY, "at another request" },
	{ "the host refuses", "tdx", { .error = -EIO }, -EIO, "refused the request" },
	{ "the kernel gives up", "tdx", { .error = -ETIMEDOUT }, -ETIMEDOUT, "did not answer" },
	{ "the provider takes nothing", "sev-snp", { .error = -EINVAL }, -EINVAL, "does not take" },
	{ "larger than the kernel takes", "tdx", { .error = -EFBIG }, -EFBIG, "than the kernel" },
	{ "no provider any more", "sev-snp", { .no_provider = true }, -ENODEV, "no TSM driver" },
	{ "another provider", "sev-snp", { .provider = "tdx_guest" }, -ENODEV, "another provider" },
	{ "inblob is not taken", "sev-snp", { .lose_inblob = true }, -EINVAL, "does not take" },
	{ "a report over what was asked before",
	  "sev-snp",
	  { .stale = true },
	  -EBADMSG,
	  "over other report data" },
	{ "a quote over what was asked before",
	  "tdx",
	  { .stale = true },
	  -EBADMSG,
	  "over other report data" },
	{ "a short report", "sev-snp", { .alter = cut_one }, -EBADMSG, "1183 bytes" },
	{ "a report with a tail", "sev-snp", { .alter = one_more }, -EBADMSG, "1185 bytes" },
	{ "an empty report", "sev-snp", { .alter = nothing }, -EBADMSG, "0 bytes" },
	{ "an empty quote", "tdx", { .alter = nothing }, -EBADMSG, "no TDX quote" },
	{ "a quote of ten bytes", "tdx", { .alter = cut_to_ten }, -EBADMSG, "no TDX quote" },
	{ "another format, above 8 KiB",
	  "tdx",
	  { .alter = other_format },
	  -EBADMSG,
	  "no TDX quote of version 4 or 5" },
	{ "a quote of SGX", "tdx", { .alter = sgx_quote }, -EBADMSG, "no TDX quote of version" },
	{ "more than is taken", "sev-snp", { .alter = too_large }, -EMSGSIZE, "outblob: larger" },
	{ "a generation that is no number",
	  "tdx",
	  { .generation = "many\n" },
	  -EBADMSG,
	  "generation: it makes no sense" },
	{ "a generation without an end",
	  "tdx",
	  { .generation = "1111111111111111111111111111111111111111111111111111111111111111111" },
	  -EBADMSG,
	  "generation: it makes no sense" },
	{ "a generation that does not move",
	  "tdx",
	  { .generation = "7\n" },
	  -EBUSY,
	  "another process writes there" },
};

static void what_goes_wrong_is_said(void **state)
{
	struct scene scenes[2];

	needs_namespace();
	for (size_t p = 0; p < 2; p++) {
		struct scene *s = &scenes[p];

		/* One after the other: there is one configfs-tsm. */
		scene_open(p ? "tdx" : "sev-snp", s);
		for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
			int r;

			if (strcmp(refused[i].platform, made_chip_platform(s->tee.chip)) != 0)
				continue;
			assert_int_equal(tee_scene_ask_for(&s->tee, "the Claims before"), 0);
			tsm_stand_in_faults(s->tsm, &refused[i].faults);
			r = tee_scene_ask(&s->tee);
			if (r != refused[i].error || !strstr(s->tee.attester->why, refused[i].why))
				fail_msg("%s: %d, \"%s\"", refused[i].what, r,
					 s->tee.attester->why);
			assert_int_equal(s->tee.report.report.len, 0);
			tsm_stand_in_faults(s->tsm, &(struct tsm_faults){ 0 });
			tee_scene_expect_good(&s->tee, true);
		}
		scene_close(s);
	}
}

/* A tag of a CCA collection before bytes that hold the challenge; it is no more of a token. */
static void like_a_token(struct bytes *b)
{
	static const uint8_t tag[] = { 0xd9, 399 >> 8, 399 & 0xff };

	memcpy(b->data, tag, sizeof(tag));
}

static void other_tag(struct bytes *b)
{
	like_a_token(b);
	b->data[2]++;
}

/* What the attester itself sees of a token, whose judging is the verifier's. */
static void a_cca_token_is_recognised(void **state)
{
	struct tsm_faults faults = { .provider = "arm_cca_guest", .alter = like_a_token };
	struct scene s = { .tsm = NULL };

	needs_namespace();
	assert_int_equal(tsm_stand_in_start(chip_of("sev-snp"), &s.tsm), 0);
	tsm_stand_in_faults(s.tsm, &faults);
	s.tee = (struct tee_scene){ .attester = tee_scene_attester("cca", &tee_scene_config) };
	assert_int_equal(arena_new(1024 * 1024, &s.tee.arena), 0);
	assert_int_equal(tee_scene_ask_for(&s.tee, "the Claims before"), 0);
	assert_string_equal(s.tee.report.platform, "cca");
	assert_int_equal(s.tee.report.report.len, 1184);

	faults.stale = true;
	tsm_stand_in_faults(s.tsm, &faults);
	assert_int_equal(tee_scene_ask(&s.tee), -EBADMSG);
	assert_non_null(strstr(s.tee.attester->why, "over other report data"));
	faults = (struct tsm_faults){ .provider = "arm_cca_guest", .alter = other_tag };
	tsm_stand_in_faults(s.tsm, &faults);
	assert_int_equal(tee_scene_ask(&s.tee), -EBADMSG);
	assert_non_null(strstr(s.tee.attester->why, "no CCA token"));
	faults.alter = nothing;
	tsm_stand_in_faults(s.tsm, &faults);
	assert_int_equal(tee_scene_ask(&s.tee), -EBADMSG);
	assert_non_null(strstr(s.tee.attester->why, "0 bytes"));
	scene_close(&s);
}

static void another_writer_is_noticed(void **state)
{
	struct scene s;
	unsigned int before;

	needs_namespace();
	scene_open("sev-snp", &s);
	before = tsm_stand_in_reports(s.tsm);
	tsm_stand_in_faults(s.tsm, &(struct tsm_faults){ .interfere = TSM_TRIES - 1 });
	assert_int_equal(tee_scene_ask(&s.tee), 0);
	/* Those that the other's data went into were thrown away. */
	assert_int_equal(tsm_stand_in_reports(s.tsm) - before, TSM_TRIES);
	tee_scene_expect_good(&s.tee, false);
	scene_close(&s);
}

static void a_busy_chip_is_asked_again(void **state)
{
	struct scene s;

	needs_namespace();
	scene_open("tdx", &s);
	tsm_stand_in_faults(s.tsm, &(struct tsm_faults){ .busy = 2 });
	tee_scene_expect_good(&s.tee, true);
	scene_close(&s);
}

static void a_lesser_vmpl_is_named(void **state)
{
	struct scene s;

	needs_namespace();
	scene_open("sev-snp", &s);
	assert_int_equal(tee_scene_ask(&s.tee), 0);
	assert_int_equal(tsm_stand_in_privlevel(s.tsm), 0);
	tsm_stand_in_faults(s.tsm, &(struct tsm_faults){ .privlevel_floor = 2 });
	tee_scene_expect_good(&s.tee, false);
	assert_int_equal(tsm_stand_in_privlevel(s.tsm), 2);
	scene_close(&s);
}

/* Of a host that does not answer: who asks goes on, and nothing new is begun until it has. */
static void silence_has_an_end(void **state)
{
	const struct attester_config impatient = { .timeout_ms = SHORT_MS };
	struct scene s;
	int r = -EBUSY;

	needs_namespace();
	scene_open_with("tdx", &impatient, &s);
	tsm_stand_in_faults(s.tsm, &(struct tsm_faults){ .hold = true });
	assert_int_equal(tee_scene_ask(&s.tee), -ETIMEDOUT);
	assert_non_null(strstr(s.tee.attester->why, "no answer within 200 ms"));
	tsm_stand_in_wait_held(s.tsm);
	assert_int_equal(tee_scene_ask(&s.tee), -EBUSY);
	assert_non_null(strstr(s.tee.attester->why, "the request before"));
	tsm_stand_in_faults(s.tsm, &(struct tsm_faults){ 0 });
	for (int i = 0; (r == -EBUSY || r == -ETIMEDOUT) && i < LOOKS; i++) {
		poll(NULL, 0, 10);
		r = tee_scene_ask(&s.tee);
	}
	assert_int_equal(r, 0);
	/* Closed while one is out: its thread ends by itself, and with it its directory. */
	tsm_stand_in_faults(s.tsm, &(struct tsm_faults){ .hold = true });
	assert_int_equal(tee_scene_ask(&s.tee), -ETIMEDOUT);
	tsm_stand_in_wait_held(s.tsm);
	s.tee.attester->ops->close(s.tee.attester);
	s.tee.attester = NULL;
	tsm_stand_in_faults(s.tsm, &(struct tsm_faults){ 0 });
	for (int i = 0; tsm_stand_in_entries(s.tsm) > 0 && i < LOOKS; i++)
		poll(NULL, 0, 10);
	scene_close(&s);
}

static void auto_picks_what_the_machine_has(void **state)
{
	static const char *const platforms[] = { "sev-snp", "tdx" };
	const struct attester_config none = { .tcti = "swtpm:path=/nonexistent" };
	const struct attester_ops *ops;
	char why[1024];
	struct scene s;

	needs_namespace();
	for (size_t i = 0; i < ARRAY_LEN(platforms); i++) {
		scene_open(platforms[i], &s);
		ops = attester_pick("auto", &none, why, sizeof(why));
		assert_non_null(ops);
		assert_string_equal(ops->platform, platforms[i]);
		assert_non_null(strstr(why, made_chip_provider(s.tee.chip)));

		/* Every one that was looked for, and why it is not there. */
		tsm_stand_in_faults(s.tsm, &(struct tsm_faults){ .no_provider = true });
		ops = attester_pick("auto", &none, why, sizeof(why));
		assert_null(ops);
		assert_non_null(strstr(why, "tdx: "));
		assert_non_null(strstr(why, "sev-snp: "));
		assert_non_null(strstr(why, "cca: "));
		assert_non_null(strstr(why, "tpm: "));
		assert_non_null(strstr(why, "no TSM driver is registered"));

		tsm_stand_in_faults(s.tsm, &(struct tsm_faults){ .provider = "new_guest" });
		ops = attester_pick("auto", &none, why, sizeof(why));
		assert_null(ops);
		assert_non_null(strstr(why, "new_guest"));
		scene_close(&s);
	}
}

static void names_are_kept(void **state)
{
	char folder[] = "/tmp/assay-test-tsm-XXXXXX", path[64];
	struct attester_config config = { .timeout_ms = 30000, .state = folder };
	struct attester_identity first, second;
	struct stat st;
	struct scene s;

	needs_namespace();
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/tee-name", folder);
	scene_open_with("tdx", &config, &s);
	assert_int_equal(s.tee.attester->ops->identity(s.tee.attester, &first), 0);
	assert_int_equal(first.key_name.len, 32);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	s.tee.attester->ops->close(s.tee.attester);
	s.tee.attester = tee_scene_attester("tdx", &config);
	assert_int_equal(s.tee.attester->ops->identity(s.tee.attester, &second), 0);
	assert_true(view_equal(bytes_view(&first.key_name), bytes_view(&second.key_name)));
	attester_identity_done(&second);

	/* Half a file is none. */
	s.tee.attester->ops->close(s.tee.attester);
	assert_int_equal(truncate(path, 16), 0);
	s.tee.attester = tee_scene_attester("tdx", &config);
	assert_int_equal(s.tee.attester->ops->identity(s.tee.attester, &second), 0);
	assert_int_equal(second.key_name.len, 32);
	assert_false(view_equal(bytes_view(&first.key_name), bytes_view(&second.key_name)));
	attester_identity_done(&second);
	attester_identity_done(&first);
	scene_close(&s);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void write_file(const char *path, const char *text)
{
	CLEANUP(cleanup_file) FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

/* What the configuration names goes with every report, or the attester does not open. */
static void files_go_with_the_report(void **state)
{
	char folder[] = "/tmp/assay-test-tsm-XXXXXX", log[64], first[64], second[64], absent[64];
	char *files[] = { first, second, NULL }, *wrong[] = { absent, NULL };
	struct attester_config config = { .timeout_ms = 30000,
					  .tee_event_log = log,
					  .tee_endorsements = files };
	char why[ATTESTER_WHY_MAX];
	struct attester *a = NULL;
	struct scene s;

	needs_namespace();
	assert_non_null(mkdtemp(folder));
	snprintf(log, sizeof(log), "%s/log", folder);
	snprintf(first, sizeof(first), "%s/first", folder);
	snprintf(second, sizeof(second), "%s/second", folder);
	snprintf(absent, sizeof(absent), "%s/absent", folder);
	write_file(log, "an event log");
	write_file(first, "one");
	write_file(second, "two");
	scene_open_with("sev-snp", &config, &s);
	assert_int_equal(tee_scene_ask(&s.tee), 0);
	assert_int_equal(s.tee.report.event_log.len, strlen("an event log"));
	assert_int_equal(s.tee.report.n_endorsements, 3);
	assert_int_equal(s.tee.report.endorsements[1].len, 3);
	assert_memory_equal(s.tee.report.endorsements[1].data, "one", 3);
	assert_memory_equal(s.tee.report.endorsements[2].data, "two", 3);

	config.tee_endorsements = wrong;
	assert_int_equal(s.tee.attester->ops->open(&config, &a, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, absent));
	config.tee_endorsements = NULL;
	config.tee_event_log = absent;
	assert_int_equal(s.tee.attester->ops->open(&config, &a, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, absent));
	scene_close(&s);
	assert_int_equal(unlink(log) + unlink(first) + unlink(second) + rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(snp_reports_are_judged_by_the_other_side),
		cmocka_unit_test(tdx_quotes_are_judged_by_the_other_side),
		cmocka_unit_test(a_td_extends_its_register),
		cmocka_unit_test(what_goes_wrong_is_said),
		cmocka_unit_test(a_cca_token_is_recognised),
		cmocka_unit_test(another_writer_is_noticed),
		cmocka_unit_test(a_busy_chip_is_asked_again),
		cmocka_unit_test(a_lesser_vmpl_is_named),
		cmocka_unit_test(silence_has_an_end),
		cmocka_unit_test(auto_picks_what_the_machine_has),
		cmocka_unit_test(names_are_kept),
		cmocka_unit_test(files_go_with_the_report),
	};

	no_namespace = own_mounts_begin() < 0 || access("/dev/fuse", R_OK | W_OK) < 0;
	return cmocka_run_group_tests(tests, NULL, chips_end);
}
