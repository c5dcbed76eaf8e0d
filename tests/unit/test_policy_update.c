/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/judge_mi.h"

#include "cleanup.h"

/* Windows for updates: which reference values are good when, and what may be mapped in them. */

CLEANUP_FUNCTION(struct policy *, policy_free)
CLEANUP_FUNCTION(struct mi *, mi_free)

#define UNTIL 1000000000 /* 2001-09-09T01:46:40Z */
#define LINE(path, size, sha)                                                                      \
	"./usr/" path " type=file mode=0644 uid=0 gid=0 size=" size " sha256digest=" sha "\n"
#define APP "./usr/bin/app type=file mode=0755 uid=0 gid=0 size=10 sha256digest=" SHA_A "\n"

/* x.so is another one, and y.so is new. */
#define UPDATED "#mtree\n" APP LINE("lib/x.so", "21", SHA_C) LINE("lib/y.so", "30", SHA_B)
/* Half of it is there. */
#define MIXED "#mtree\n" APP LINE("lib/x.so", "21", SHA_C)
/* Something else is there too. */
#define WRONG "#mtree\n" APP LINE("lib/x.so", "22", SHA_A) LINE("lib/y.so", "30", SHA_B)

static const char rules[] =
	"application: app\nplatforms: {soft: {}}\nstatic: {manifest: app.mtree}\n"
	"updates: [{until: \"2001-09-09T01:46:40Z\", manifest: new.mtree}]\n"
	"dynamic:\n  code: {files: manifest, deleted: deny}\n  static_files: {unchanged: true}\n"
	"  kernel: {file_changed: deny}\n  processes: {executables: manifest}\n";

static struct policy *policy_with_update(void)
{
	struct policy *p = NULL;
	char *error = NULL;

	assert_int_equal(policy_parse(view_text(rules), "policy", &p, &error), 0);
	assert_int_equal(policy_update_count(p), 1);
	assert_string_equal(policy_update_file(p, 0), "new.mtree");
	assert_int_equal(policy_attach_manifest(p, view_text(MANIFEST), &error), 0);
	assert_int_equal(policy_attach_update(p, 0, view_text(UPDATED), &error), 0);
	return p;
}

/* What was measured of the files; changed: since the application was started. */
static void files_are(struct mi *mi, const char *manifest, bool text, bool changed)
{
	Assay__StaticFiles *f = mi->msg->static_files;
	struct digest d;

	assert_int_equal(digest_of(HASH_SHA384, view_text(manifest), &d), 0);
	memcpy(f->sha384.data, d.bytes, 48);
	if (text)
		f->manifest = (char *)manifest;
	if (changed)
		assert_int_equal(mi_push(mi, &f->n_changed, &f->changed, (char *)"/usr/lib/x.so"),
				 0);
}

static void file_events(struct mi *mi, uint64_t n)
{
	assert_int_equal(add_counter(mi, "file_changed", n), 0);
}

static void before(struct mi *mi)
{
	file_events(mi, 0);
}

/* The old library is gone from the disk and still mapped. */
static void installed(struct mi *mi)
{
	files_are(mi, UPDATED, false, true);
	mi->msg->files[1]->deleted = true;
	file_events(mi, 3);
}

static void half_installed(struct mi *mi)
{
	files_are(mi, MIXED, true, true);
	mi->msg->files[1]->deleted = true;
	file_events(mi, 1);
}

static void half_installed_unlisted(struct mi *mi)
{
	files_are(mi, MIXED, false, true);
	file_events(mi, 1);
}

static void loaded_late(struct mi *mi)
{
	installed(mi);
	assert_int_equal(add_file(mi, "/usr/lib/y.so", 0xbb), 3);
	assert_int_equal(add_mapping(mi, 3), 0);
}

static void restarted(struct mi *mi)
{
	files_are(mi, UPDATED, false, false);
	memset(mi->msg->files[1]->sha256.data, 0xcc, 32);
	file_events(mi, 0);
}

/* After it was started with the new files, nothing may have the old ones. */
static void restarted_with_the_old(struct mi *mi)
{
	files_are(mi, UPDATED, false, false);
	mi->msg->files[1]->deleted = true;
	file_events(mi, 0);
}

static void another_library(struct mi *mi)
{
	installed(mi);
	memset(mi->msg->files[1]->sha256.data, 0xdd, 32);
}

static void deleted_of_neither(struct mi *mi)
{
	installed(mi);
	mi->msg->files[1]->path = (char *)"/usr/lib/z.so";
}

static void wrong_files(struct mi *mi)
{
	files_are(mi, WRONG, true, true);
	file_events(mi, 3);
}

/* A list that is not what was measured. */
static void a_false_list(struct mi *mi)
{
	files_are(mi, WRONG, false, true);
	mi->msg->static_files->manifest = (char *)MIXED;
	file_events(mi, 3);
}

static const struct {
	const char *what;
	void (*change)(struct mi *mi);
	int64_t now;
	enum outcome outcome;
	const char *rule;
} cases[] = {
	{ "the old files, in the window", before, UNTIL - 1, PASSES, "" },
	{ "the old files, after it", before, UNTIL, FAILS, "dynamic.static_files.unchanged" },
	{ "installed, in the window", installed, UNTIL - 1, PASSES, "" },
	{ "the old library is mapped after it", installed, UNTIL, FAILS,
	  "dynamic.static_files.unchanged" },
	{ "half installed", half_installed, UNTIL - 1, PASSES, "" },
	{ "half installed, after the window", half_installed, UNTIL, FAILS,
	  "dynamic.static_files.unchanged" },
	{ "half installed, without the list", half_installed_unlisted, UNTIL - 1, UNCHECKED,
	  "dynamic.static_files.unchanged" },
	{ "a new library is loaded beside the old", loaded_late, UNTIL - 1, PASSES, "" },
	{ "restarted, in the window", restarted, UNTIL - 1, PASSES, "" },
	{ "restarted, after the window", restarted, UNTIL, PASSES, "" },
	{ "an old library in what was started with the new", restarted_with_the_old, UNTIL - 1,
	  FAILS, "dynamic.code.files" },
	{ "a library of neither", another_library, UNTIL - 1, FAILS, "dynamic.code.files" },
	{ "a deleted file of neither", deleted_of_neither, UNTIL - 1, FAILS, "dynamic.code.files" },
	{ "files of neither", wrong_files, UNTIL - 1, FAILS, "dynamic.static_files.unchanged" },
	{ "a list that is not what was measured", a_false_list, UNTIL - 1, FAILS,
	  "dynamic.static_files.unchanged" },
};

static void an_update_is_good_in_its_window(void **state)
{
	static const char *const more[] = { "credentials" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(policy_freep) struct policy *p = policy_with_update();
		CLEANUP(mi_freep) struct mi *mi = mi_of_one_process(p);
		struct appraisal a;

		assert_int_equal(
			mi_status(mi, more[0], ASSAY__COLLECTOR_STATUS__STATE__COMPLETE, NULL), 0);
		for (int k = 0; k < 2; k++) {
			Assay__Credentials *c =
				MI_MESSAGE(mi, Assay__Credentials, assay__credentials__init);
			Assay__Namespaces *n =
				MI_MESSAGE(mi, Assay__Namespaces, assay__namespaces__init);

			assert_int_equal(
				mi_push(mi, &mi->msg->n_credentials, &mi->msg->credentials, c), 0);
			assert_int_equal(
				mi_push(mi, &mi->msg->n_namespaces, &mi->msg->namespaces, n), 0);
		}
		mi->msg->processes[0]->credentials = mi->msg->processes[0]->namespaces = 1;
		mi->msg->processes[0]->executable = 1;
		cases[i].change(mi);
		appraisal_init(&a);
		policy_judge_dynamic(p, mi, NULL, cases[i].now, &a);
		appraisal_finish(&a);
		check_outcome(cases[i].what, &a, cases[i].outcome, cases[i].rule, "");
		appraisal_done(&a);
	}
}

static const struct {
	const char *what, *manifest;
	bool in_window, after;
} statics[] = {
	{ "the old", MANIFEST, true, false },
	{ "the new", UPDATED, true, true },
	{ "some of both", MIXED, true, false },
	{ "neither", WRONG, false, false },
};

static void static_measurements_know_updates(void **state)
{
	CLEANUP(policy_freep) struct policy *p = policy_with_update();
	struct digest old;

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(statics); i++) {
		bool in_window = i % 2 == 0;
		struct appraisal a;

		appraisal_init(&a);
		policy_judge_static(p, view_text(statics[i / 2].manifest),
				    in_window ? UNTIL - 1 : UNTIL, &a);
		appraisal_finish(&a);
		if (appraisal_accepted(&a) !=
		    (in_window ? statics[i / 2].in_window : statics[i / 2].after))
			fail_msg("%s, %s the window", statics[i / 2].what,
				 in_window ? "in" : "after");
		appraisal_done(&a);
	}
	assert_int_equal(digest_of(HASH_SHA384, view_text(MANIFEST), &old), 0);
	assert_true(policy_expects_m(p, UNTIL - 1, digest_view(&old)));
	assert_false(policy_expects_m(p, UNTIL, digest_view(&old)));
	assert_true(policy_update_open(p, UNTIL - 1));
	assert_false(policy_update_open(p, UNTIL));
}

/* A changed file is no violation while an update may be the reason; another violation is. */
static void the_register_knows_updates(void **state)
{
	CLEANUP(policy_freep) struct policy *p = policy_with_update();

	(void)state;
	assert_int_equal(policy_on_violation(p, 3, UNTIL - 1), POLICY_WARNS);
	assert_int_equal(policy_on_violation(p, 3, UNTIL), POLICY_DENIES);
}

/* One that was not found is not one with nothing in it. */
static void an_update_must_be_attached(void **state)
{
	CLEANUP(policy_freep) struct policy *p = NULL;
	CLEANUP(mi_freep) struct mi *mi = NULL;
	struct appraisal a;
	char *error = NULL;

	(void)state;
	assert_int_equal(policy_parse(view_text(rules), "policy", &p, &error), 0);
	assert_int_equal(policy_attach_manifest(p, view_text(MANIFEST), &error), 0);
	mi = mi_of_one_process(p);
	file_events(mi, 0);
	appraisal_init(&a);
	policy_judge_dynamic(p, mi, NULL, UNTIL - 1, &a);
	appraisal_finish(&a);
	assert_false(appraisal_accepted(&a));
	appraisal_done(&a);
	assert_int_equal(policy_attach_update(p, 0, view_text("no manifest"), &error), -EINVAL);
	assert_non_null(strstr(error, "expected an mtree manifest"));
	free(error);
}

static void wrong_updates_are_refused(void **state)
{
	static const struct {
		const char *updates, *error;
	} wrong[] = {
		{ "static: {manifest: a}\nupdates: [{until: soon, manifest: b}]\n",
		  "updates[0].until: expected an instant" },
		{ "static: {manifest: a}\nupdates: [{until: \"2001-09-09T01:46:40Z\", manifest: b},"
		  " {until: \"2001-09-09T01:46:40Z\", manifest: c}]\n",
		  "updates[1].until: expected a time after that before it" },
		{ "updates: [{until: \"2001-09-09T01:46:40Z\", manifest: b}]\n",
		  "updates: expected the key static beside it" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct policy *p = NULL;
		char text[512], *error = NULL;

		snprintf(text, sizeof(text), "application: a\nplatforms: {soft: {}}\n%s",
			 wrong[i].updates);
		assert_int_equal(policy_parse(view_text(text), "p", &p, &error), -EINVAL);
		if (!strstr(error, wrong[i].error))
			fail_msg("%s", error);
		free(error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_update_is_good_in_its_window),
		cmocka_unit_test(static_measurements_know_updates),
		cmocka_unit_test(the_register_knows_updates),
		cmocka_unit_test(an_update_must_be_attached),
		cmocka_unit_test(wrong_updates_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
