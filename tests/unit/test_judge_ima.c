/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/judge_mi.h"

/* What IMA saw against what assayd measured. */

#define SHA_D "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

#define WITH_DIRECTORY                                                                             \
	"#mtree\n"                                                                                 \
	"./srv/app type=dir mode=0755 uid=0 gid=0\n"                                               \
	"./srv/app/a\\040name type=file mode=0644 uid=0 gid=0 size=1 sha256digest=" SHA_C "\n"     \
	"./usr/bin/app type=file mode=0755 uid=0 gid=0 size=10 sha256digest=" SHA_A "\n"           \
	"./usr/lib/x.so type=file mode=0644 uid=0 gid=0 size=20 sha256digest=" SHA_B "\n"

/* The version before, which the machine may have executed since it started. */
#define BEFORE                                                                                     \
	"#mtree\n"                                                                                 \
	"./usr/bin/app type=file mode=0755 uid=0 gid=0 size=10 sha256digest=" SHA_D "\n"

static struct policy *ima_policy(const char *rules, bool updated)
{
	char text[1024], *error = NULL;
	struct policy *p;

	snprintf(text, sizeof(text),
		 "application: app\nplatforms: {tpm: {ima: {%s}}}\nstatic: {manifest: app.mtree}\n"
		 "%sdynamic: {cpu: {share: {max: 64}}}\n",
		 rules,
		 updated ? "updates: [{until: \"2020-01-01T00:00:00Z\", manifest: new.mtree}]\n"
			 : "");
	if (policy_parse(view_text(text), "policy", &p, &error) < 0)
		fail_msg("%s: %s", rules, error);
	assert_int_equal(
		policy_attach_manifest(p, view_text(updated ? BEFORE : WITH_DIRECTORY), &error), 0);
	if (updated)
		assert_int_equal(policy_attach_update(p, 0, view_text(WITH_DIRECTORY), &error), 0);
	return p;
}

static void see(struct ima_files *f, const char *path, int byte)
{
	struct ima_file file = { .sha256 = { .alg = HASH_SHA256, .size = 32 } };

	memset(file.sha256.bytes, byte, 32);
	assert_int_equal(ima_files_add(f, view_text(path), &file), 0);
}

static void see_nothing_of(struct ima_files *f, const char *path, const char *why, bool violation)
{
	struct ima_file file = { .why = why, .violation = violation };

	assert_int_equal(ima_files_add(f, view_text(path), &file), 0);
}

static void both(struct ima_files *f)
{
	see(f, "/usr/bin/app", 0xaa);
	see(f, "/usr/lib/x.so", 0xbb);
}

static void nothing(struct ima_files *f)
{
}

static void the_program_alone(struct ima_files *f)
{
	see(f, "/usr/bin/app", 0xaa);
}

static void another_library(struct ima_files *f)
{
	see(f, "/usr/bin/app", 0xaa);
	see(f, "/usr/lib/x.so", 0xee);
}

static void the_library_elsewhere(struct ima_files *f)
{
	see(f, "/usr/bin/app", 0xaa);
	see(f, "/var/chroot/lib/x.so", 0xbb);
}

static void the_library_swapped_and_back(struct ima_files *f)
{
	both(f);
	see(f, "/usr/lib/x.so", 0xee);
}

static void the_library_by_sha1(struct ima_files *f)
{
	see(f, "/usr/bin/app", 0xaa);
	see_nothing_of(f, "/usr/lib/x.so", "of sha1", false);
}

static void both_and_by_sha1(struct ima_files *f)
{
	both(f);
	see_nothing_of(f, "/usr/lib/x.so", "of sha1", false);
}

static void both_and_one_while_written(struct ima_files *f)
{
	both(f);
	see_nothing_of(f, "/usr/lib/x.so", "while it was open for writing", true);
}

static void a_file_with_a_blank(struct ima_files *f)
{
	both(f);
	see(f, "/srv/app/a_name", 0xcc);
}

static void another_file_with_a_blank(struct ima_files *f)
{
	both(f);
	see(f, "/srv/app/a_name", 0xee);
}

static void an_unlisted_file(struct ima_files *f)
{
	both(f);
	see(f, "/srv/app/plugins/new.so", 0xee);
}

static void a_file_beside_the_directory(struct ima_files *f)
{
	both(f);
	see(f, "/srv/app2/new.so", 0xee);
}

static void a_file_below_a_file(struct ima_files *f)
{
	both(f);
	see(f, "/usr/lib/x.so/odd", 0xee);
}

static void the_version_before(struct ima_files *f)
{
	see(f, "/usr/bin/app", 0xdd);
	both(f);
}

#define UNSEEN	 "platforms.tpm.ima.witness.unseen_file"
#define OTHER	 "platforms.tpm.ima.witness.other_digest"
#define UNLISTED "platforms.tpm.ima.witness.unlisted_file"

enum when { RUNNING, AFTER_UPDATE, BEFORE_START };

static const struct {
	const char *what;
	enum when when;
	const char *rules;
	void (*fill)(struct ima_files *f);
	enum outcome outcome;
	const char *rule, *seen;
} cases[] = {
	{ "IMA saw both files", RUNNING, "witness: require", both, PASSES, NULL, NULL },
	{ "it saw none", RUNNING, "witness: require", nothing, FAILS, UNSEEN,
	  "/usr/bin/app is executed" },
	{ "a library that it did not see", RUNNING, "witness: require", the_program_alone, FAILS,
	  UNSEEN, "/usr/lib/x.so is executed, and is not in IMA's list" },
	{ "the same, of which the policy only warns", RUNNING, "witness: warn", the_program_alone,
	  WARNS, UNSEEN, "/usr/lib/x.so" },
	{ "the same in a directory that IMA leaves out", RUNNING,
	  "witness: require, except: [/usr/lib]", the_program_alone, PASSES, NULL, NULL },
	{ "a directory of that beginning is another", RUNNING,
	  "witness: require, except: [/usr/li]", the_program_alone, FAILS, UNSEEN,
	  "/usr/lib/x.so" },
	{ "a library with other content", RUNNING, "witness: require", another_library, FAILS,
	  OTHER, "as eeeeeeeeeeeeeeee" },
	{ "its content under another path", RUNNING, "witness: require", the_library_elsewhere,
	  PASSES, NULL, NULL },
	{ "a library that was another one meanwhile", RUNNING, "witness: require",
	  the_library_swapped_and_back, FAILS, OTHER, "IMA saw /usr/lib/x.so" },
	{ "a digest that cannot be compared", RUNNING, "witness: require", the_library_by_sha1,
	  UNCHECKED, UNSEEN, "with a digest of sha1 only" },
	{ "one beside it that can", RUNNING, "witness: require", both_and_by_sha1, PASSES, NULL,
	  NULL },
	{ "a library read while it was written", RUNNING, "witness: require",
	  both_and_one_while_written, FAILS, OTHER, "while it was open for writing" },
	{ "a name with a blank, which IMA spells '_'", RUNNING, "witness: require",
	  a_file_with_a_blank, PASSES, NULL, NULL },
	{ "the same with other content", RUNNING, "witness: require", another_file_with_a_blank,
	  FAILS, OTHER, "/srv/app/a_name" },
	{ "a file of a measured directory that was not there then", RUNNING, "witness: require",
	  an_unlisted_file, FAILS, UNLISTED, "/srv/app/plugins/new.so" },
	{ "a directory of another name", RUNNING, "witness: require", a_file_beside_the_directory,
	  PASSES, NULL, NULL },
	{ "the version before an update is no contradiction", AFTER_UPDATE, "witness: require",
	  the_version_before, PASSES, NULL, NULL },
	{ "without it, it is", RUNNING, "witness: require", the_version_before, FAILS, OTHER,
	  "as dddddddddddddddd" },
	{ "before the start nothing was executed yet", BEFORE_START, "witness: require", nothing,
	  PASSES, NULL, NULL },
	{ "before the start, another library", BEFORE_START, "witness: require", another_library,
	  FAILS, OTHER, "/usr/lib/x.so" },
	{ "before the start, an unlisted file", BEFORE_START, "witness: require", an_unlisted_file,
	  FAILS, UNLISTED, "new.so" },
	{ "an unlisted file where IMA is not asked", RUNNING,
	  "witness: require, except: [/srv/app/plugins]", an_unlisted_file, PASSES, NULL, NULL },
	{ "below what is no directory nothing was measured", RUNNING, "witness: require",
	  a_file_below_a_file, PASSES, NULL, NULL },
};

static void files_are_held_against_what_ima_saw(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct appraisal a;
		struct ima_files *f;
		struct policy *p;
		struct mi *mi;

		p = ima_policy(cases[i].rules, cases[i].when == AFTER_UPDATE);
		mi = mi_of_one_process(p);
		assert_int_equal(ima_files_new(&f), 0);
		cases[i].fill(f);
		appraisal_init(&a);
		policy_judge_ima(p, "tpm", cases[i].when == BEFORE_START ? NULL : mi, f, "",
				 1700000000, &a);
		appraisal_finish(&a);
		check_outcome(cases[i].what, &a, cases[i].outcome, cases[i].rule, cases[i].seen);
		appraisal_done(&a);
		ima_files_free(f);
		mi_free(mi);
		policy_free(p);
	}
}

/* Of the files in an MI those that are executed: by their code, or as what a process is. */
static void files_that_are_not_executed_are_not_asked_for(void **state)
{
	struct policy *p = ima_policy("witness: require", false);
	struct mi *mi = mi_of_one_process(p);
	struct ima_files *f;
	struct appraisal a;
	int index = add_file(mi, "/var/lib/app/database", 0x77);

	(void)state;
	assert_int_equal(ima_files_new(&f), 0);
	both(f);
	appraisal_init(&a);
	policy_judge_ima(p, "tpm", mi, f, "", 0, &a);
	appraisal_finish(&a);
	check_outcome("a file that is open", &a, PASSES, NULL, NULL);
	appraisal_done(&a);

	mi->msg->processes[0]->executable = (uint32_t)index;
	appraisal_init(&a);
	policy_judge_ima(p, "tpm", mi, f, "", 0, &a);
	appraisal_finish(&a);
	check_outcome("a program none of whose code is mapped", &a, FAILS, UNSEEN,
		      "/var/lib/app/database is executed");
	appraisal_done(&a);
	ima_files_free(f);
	mi_free(mi);
	policy_free(p);
}

/* Without a list, without a digest, without the item: never passed. */
static void what_cannot_be_compared_does_not_pass(void **state)
{
	struct policy *p = ima_policy("witness: require", false);
	struct mi *mi = mi_of_one_process(p);
	struct ima_files *f;
	struct appraisal a;

	(void)state;
	appraisal_init(&a);
	policy_judge_ima(p, "tpm", mi, NULL, "the kernel has none", 0, &a);
	appraisal_finish(&a);
	check_outcome("no list", &a, UNCHECKED, "platforms.tpm.ima.witness", "the kernel has none");
	appraisal_done(&a);

	assert_int_equal(ima_files_new(&f), 0);
	both(f);
	mi->msg->files[0]->sha256.len = 0;
	mi->msg->files[0]->error = (char *)"it is gone";
	appraisal_init(&a);
	policy_judge_ima(p, "tpm", mi, f, "", 0, &a);
	appraisal_finish(&a);
	check_outcome("a file that was not hashed", &a, UNCHECKED, UNSEEN, "it is gone");
	appraisal_done(&a);

	mi->msg->n_collectors = 0;
	appraisal_init(&a);
	policy_judge_ima(p, "tpm", mi, f, "", 0, &a);
	appraisal_finish(&a);
	check_outcome("no word from the collector of code", &a, UNCHECKED, UNSEEN, "\"code\"");
	appraisal_done(&a);
	ima_files_free(f);
	mi_free(mi);
	policy_free(p);
}

static void a_policy_that_does_not_ask_checks_nothing(void **state)
{
	static const char *const rules[] = { "witness: off", "log: allow" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct policy *p = ima_policy(rules[i], false);
		struct appraisal a;

		appraisal_init(&a);
		policy_judge_ima(p, "tpm", NULL, NULL, "", 0, &a);
		policy_judge_ima(p, "vtpm", NULL, NULL, "", 0, &a);
		assert_int_equal(a.n + a.checks, 0);
		appraisal_done(&a);
		policy_free(p);
	}
}

/* What is asked of one platform is not asked of another. */
static void a_vtpm_has_rules_of_its_own(void **state)
{
	char *error = NULL;
	struct appraisal a;
	struct policy *p;

	(void)state;
	assert_int_equal(policy_parse(view_text("application: a\nplatforms:\n  vtpm: {ima: "
						"{witness: require}}\n"),
				      "p", &p, &error),
			 0);
	appraisal_init(&a);
	policy_judge_ima(p, "tpm", NULL, NULL, "", 0, &a);
	policy_judge_ima(p, "tdx", NULL, NULL, "", 0, &a);
	assert_int_equal(a.n + a.checks, 0);
	policy_judge_ima(p, "vtpm", NULL, NULL, "none", 0, &a);
	appraisal_finish(&a);
	check_outcome("a vTPM", &a, UNCHECKED, "platforms.vtpm.ima.witness", "none");
	appraisal_done(&a);
	policy_free(p);
}

static void exceptions_are_absolute_paths(void **state)
{
	char *error = NULL;
	struct policy *p;

	(void)state;
	assert_int_equal(policy_parse(view_text("application: a\nplatforms:\n  tpm:\n    ima: "
						"{witness: warn, except: [run, /a/../b]}\n"
						"  vtpm:\n    ima: {except: [x]}\n"),
				      "p", &p, &error),
			 -EINVAL);
	assert_non_null(strstr(error, "platforms.vtpm.ima.except[0]"));
	assert_non_null(strstr(error, "p:4: platforms.tpm.ima.except[0]"));
	assert_non_null(strstr(error, "except[1]"));
	free(error);
}

/* The table itself, with more files than it begins with room for. */
static void many_files_are_found(void **state)
{
	const struct ima_file *other = NULL;
	struct ima_files *f;
	uint8_t digest[32];
	char path[64];

	(void)state;
	assert_int_equal(ima_files_new(&f), 0);
	for (unsigned int i = 0; i < 3000; i++) {
		struct ima_file file = { .sha256 = digest_zero(HASH_SHA256) };

		memcpy(file.sha256.bytes, &i, sizeof(i));
		/* Each path twice, the second content is the newer one. */
		snprintf(path, sizeof(path), "/%u/a b", i % 1500);
		assert_int_equal(ima_files_add(f, view_text(path), &file), 0);
	}
	assert_int_equal(ima_files_count(f), 3000);
	memset(digest, 0, sizeof(digest));
	for (unsigned int i = 0; i < 3000; i += 7) {
		memcpy(digest, &i, sizeof(i));
		assert_int_equal(ima_files_find(f, "/elsewhere", view_of(digest, 32), NULL),
				 IMA_SEEN_SAME);
	}
	memset(digest, 0xff, sizeof(digest));
	for (unsigned int i = 0; i < 1500; i += 7) {
		unsigned int newest = i + 1500;

		snprintf(path, sizeof(path), "/%u/a b", i);
		assert_int_equal(ima_files_find(f, path, view_of(digest, 32), &other),
				 IMA_SEEN_OTHER);
		assert_memory_equal(other->sha256.bytes, &newest, sizeof(newest));
	}
	assert_int_equal(ima_files_find(f, "/1500/a b", view_of(digest, 32), NULL), IMA_SEEN_NOT);
	assert_int_equal(ima_files_find(f, "/1/a_b", view_of(digest, 32), NULL), IMA_SEEN_OTHER);
	assert_int_equal(ima_files_find(f, "/1/a", view_of(digest, 32), NULL), IMA_SEEN_NOT);
	assert_int_equal(ima_files_find(f, "/1/a bc", view_of(digest, 32), NULL), IMA_SEEN_NOT);
	assert_int_equal(ima_files_find(f, "", view_of(NULL, 0), NULL), IMA_SEEN_NOT);
	assert_int_equal(ima_files_add(f, view_text("/x"),
				       &(struct ima_file){ .sha256 = digest_zero(HASH_SHA1) }),
			 -EINVAL);
	assert_int_equal(ima_files_add(f, view_of("/a\0b", 4), &(struct ima_file){ 0 }), -EINVAL);
	ima_files_free(f);
	ima_files_free(NULL);
}

static void a_table_is_bounded(void **state)
{
	struct ima_file file = { .why = "of sha1" };
	struct ima_files *f;
	int r = 0;

	(void)state;
	assert_int_equal(ima_files_new(&f), 0);
	for (size_t i = 0; i < IMA_FILES_MAX; i++) {
		r = ima_files_add(f, view_text("/x"), &file);
		assert_int_equal(r, 0);
	}
	assert_int_equal(ima_files_add(f, view_text("/x"), &file), -EMSGSIZE);
	assert_int_equal(ima_files_count(f), IMA_FILES_MAX);
	ima_files_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_held_against_what_ima_saw),
		cmocka_unit_test(files_that_are_not_executed_are_not_asked_for),
		cmocka_unit_test(what_cannot_be_compared_does_not_pass),
		cmocka_unit_test(a_policy_that_does_not_ask_checks_nothing),
		cmocka_unit_test(a_vtpm_has_rules_of_its_own),
		cmocka_unit_test(exceptions_are_absolute_paths),
		cmocka_unit_test(many_files_are_found),
		cmocka_unit_test(a_table_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
