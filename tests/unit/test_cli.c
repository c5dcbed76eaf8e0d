/* SPDX-License-Identifier: Apache-2.0 */
/* The command line as its users meet it: ASSAY_PROGRAM is run in a directory of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "tests/support/command_run.h"

static char directory[] = P_tmpdir "/assay-test-cli-XXXXXX";

static const struct command_run assay = { .program = ASSAY_PROGRAM };

#define RUN(...) command_run(&assay, (const char *const[]){ __VA_ARGS__, NULL })

static const struct {
	const char *what;
	const char *args[COMMAND_ARGS_MAX];
	int status;
	const char *says; /* on standard error, or with status 0 on standard output */
} uses[] = {
	{ "no command at all", { NULL }, 2, "Usage: assay" },
	{ "help", { "--help" }, 0, "data split" },
	{ "the version", { "--version" }, 0, "assay " ASSAY_VERSION },
	{ "a command that is none", { "frobnicate" }, 2, "no command 'frobnicate'" },
	{ "half a command", { "data" }, 2, "no command 'data'" },
	{ "the wrong second half", { "data", "glue" }, 2, "no command 'data glue'" },
	{ "help of a command", { "data", "split", "--help" }, 0, "--block-size" },
	{ "an option that is none", { "status", "--frobnicate" }, 2, "assay status: unrecognized" },
	{ "an argument too many", { "status", "payroll" }, 2, "it takes no 'payroll'" },
	{ "no number of blocks", { "data", "split", "in", "d" }, 2, "--blocks N is missing" },
	{ "no blocks", { "data", "split", "--blocks", "0", "in", "d" }, 2, "'0' is not" },
	{ "less than none", { "data", "split", "--blocks", "-1", "in", "d" }, 2, "'-1' is not" },
	{ "a number and more", { "data", "split", "--blocks", "4x", "in", "d" }, 2, "'4x' is not" },
	{ "more than there may be", { "data", "split", "--blocks", "4097", "in", "d" }, 2, "4097" },
	{ "a unit that is none",
	  { "data", "split", "--blocks", "2", "--block-size", "3kB", "in", "d" },
	  2,
	  "'3kB' is not" },
	{ "a size past 64 bits",
	  { "data", "split", "--blocks", "2", "--block-size", "9999999999GiB", "in", "d" },
	  2,
	  "is not a number" },
	{ "no directory", { "data", "split", "--blocks", "2", "in" }, 2, "IN and OUTDIR" },
	{ "a stream whose size is not known",
	  { "data", "split", "--blocks", "2", "-", "d" },
	  2,
	  "give --block-size" },
	{ "no such input",
	  { "data", "split", "--blocks", "2", "absent", "d" },
	  3,
	  "absent: No such" },
	{ "no output", { "data", "join", "--keys", "k", "d" }, 2, "-o OUT is missing" },
	{ "no keys", { "data", "join", "d", "-o", "x" }, 2, "either --keys DIR or --key" },
	{ "both kinds of keys",
	  { "data", "join", "--keys", "k", "--key", "f", "d", "-o", "x" },
	  2,
	  "either --keys DIR or --key" },
	{ "no blocks to join", { "data", "join", "--keys", "k", "-o", "x" }, 2, "which blocks?" },
	{ "a block that is none",
	  { "data", "join", "--keys", "k", "in", "-o", "x" },
	  1,
	  "not a block" },
	{ "no secret", { "secret", "get" }, 2, "either NAME or --stage N" },
	{ "two secrets", { "secret", "get", "a", "--stage", "1" }, 2, "either NAME or --stage N" },
	{ "a stage that is none", { "secret", "get", "--stage", "0" }, 2, "'0' is not a stage" },
	{ "a time that is none", { "secret", "get", "a", "-t", "soon" }, 2, "'soon' is not" },
	{ "no assayd", { "secret", "get", "a", "-S", "nothing" }, 3, "no assayd listens here" },
	{ "a stage to demand",
	  { "fleet", "demand", "demo", "--stage", "1" },
	  2,
	  "unrecognized option '--stage'" },
	{ "a stage in words", { "stage", "begin", "one" }, 2, "which stage?" },
	{ "status without assayd", { "status", "--socket", "nothing" }, 3, "no assayd listens" },
	{ "nothing to measure", { "measure" }, 2, "what is to be measured?" },
	{ "a policy without its manifest's place",
	  { "measure", "--policy", "in" },
	  2,
	  "say with -o" },
	{ "measuring what is not there", { "measure", "absent" }, 3, "absent: No such file" },
	{ "a place below a root", { "measure", "-r", "d", "in" }, 2, "--root are absolute" },
	{ "a root that is not there",
	  { "measure", "-r", "absent", "/in" },
	  3,
	  "--root absent: No" },
	{ "no policy", { "policy", "check", "--mi", "in" }, 2, "which policy?" },
	{ "nothing to judge", { "policy", "check", "in" }, 2, "--mi FILE is missing" },
	{ "a policy that is none", { "policy", "check", "in", "--mi", "in" }, 2, "in:1:" },
	{ "a time that is none", { "policy", "check", "in", "--at", "now" }, 2, "'now' is not" },
	{ "learning from nothing", { "learn" }, 2, "one of --mi, --pid and --application" },
	{ "learning in two ways", { "learn", "--mi", "in", "--pid", "1" }, 2, "one of --mi" },
	{ "learning from what is no MI", { "learn", "--mi", "in" }, 2, "in: not an MI" },
	{ "learning from what is not there", { "learn", "--mi", "absent" }, 3, "absent: No such" },
	{ "a slack that is none", { "learn", "--mi", "in", "-s", "1001" }, 2, "'1001' is not" },
	{ "no time to learn in", { "learn", "--pid", "1", "--for", "0s" }, 2, "'0s' is not" },
	{ "a store of whom", { "learn", "--pid", "1", "--store", "in" }, 2, "--application" },
	{ "a name that is none", { "learn", "--mi", "in", "-n", "a b" }, 2, "'a b' cannot be" },
};

static void arguments_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
		int status = command_run(&assay, uses[i].args);

		if (status != uses[i].status)
			fail_msg("%s: exit status %d", uses[i].what, status);
		if (!command_file_has(status == 0 ? "out" : "err", uses[i].says))
			fail_msg("%s: it does not say '%s'", uses[i].what, uses[i].says);
	}
	assert_int_equal(access("d", F_OK), -1); /* wrong use left nothing behind */
	assert_int_equal(access("x", F_OK), -1);
}

static void flip(const char *name, off_t at)
{
	int fd = open(name, O_RDWR);
	uint8_t b;

	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= 1;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	close(fd);
}

static void data_is_split_and_joined(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(RUN("data", "split", "--blocks", "3", "in", "set"), 0);
	assert_int_equal(stat("set/secrets/block-3-key", &st), 0);
	assert_int_equal(st.st_size, 32);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat("set/secrets", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_true(command_file_has("set/stages.yaml",
				     "stage: 3, after: dynamic, release: [block-3-key]"));
	assert_int_equal(RUN("data", "join", "--keys", "set/secrets", "set", "-o", "back"), 0);
	assert_int_equal(RUN("data", "join", "--keys", "set/secrets", "set/block-2.assay",
			     "set/block-3.assay", "set/block-1.assay", "-o", "-"),
			 0);
	assert_int_equal(system("cmp -s in back && cmp -s in out"), 0);

	/* What is there already is not written over. */
	assert_int_equal(RUN("data", "split", "--blocks", "3", "in", "set"), 3);
	assert_int_equal(RUN("data", "join", "--keys", "set/secrets", "set", "-o", "back"), 0);

	/* One key a block, in order; the wrong one opens nothing. */
	assert_int_equal(RUN("data", "join", "--key", "set/secrets/block-1-key", "--key",
			     "set/secrets/block-3-key", "--key", "set/secrets/block-2-key", "set",
			     "-o", "no"),
			 1);
	assert_int_equal(RUN("data", "join", "--key", "set/secrets/block-1-key", "set", "-o", "no"),
			 2);

	flip("set/block-2.assay", 100);
	assert_int_equal(RUN("data", "join", "--keys", "set/secrets", "set", "-o", "no"), 1);
	assert_true(command_file_has("err", "not genuine"));
	flip("set/block-2.assay", 100);
	assert_int_equal(unlink("set/block-3.assay"), 0);
	assert_int_equal(RUN("data", "join", "--keys", "set/secrets", "set", "-o", "no"), 1);
	assert_true(command_file_has("err", "block 3 of 3 is missing"));

	/* A block of another data set in the place of the missing one. */
	assert_int_equal(RUN("data", "split", "--blocks", "3", "in", "other"), 0);
	assert_int_equal(rename("other/block-3.assay", "set/block-3.assay"), 0);
	assert_int_equal(RUN("data", "join", "--keys", "set/secrets", "set", "-o", "no"), 1);
	assert_true(command_file_has("err", "a block of another data set"));
	assert_int_equal(access("no", F_OK), -1);
}

static void a_split_that_fails_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(mkdir("half", 0700), 0);
	assert_int_equal(close(open("half/block-2.assay", O_WRONLY | O_CREAT, 0600)), 0);
	assert_int_equal(RUN("data", "split", "--blocks", "3", "in", "half"), 3);
	assert_true(command_file_has("err", "half/block-2.assay: File exists"));
	assert_int_equal(access("half/block-2.assay", F_OK), 0); /* not ours */
	assert_int_equal(access("half/block-1.assay", F_OK), -1);
	assert_int_equal(access("half/secrets", F_OK), -1);
}

static void measuring_and_judging_fit_together(void **state)
{
	(void)state;
	assert_int_equal(RUN("measure", "-n", "in", "-o", "m.mtree", "--policy"), 0);
	assert_int_equal(rename("out", "policy.yaml"), 0);
	assert_int_equal(RUN("policy", "check", "policy.yaml", "--mi", "m.mtree", "--json"), 0);
	assert_true(command_file_has("out", "\"accepted\": true"));
	flip("in", 0);
	assert_int_equal(RUN("measure", "-n", "in", "-o", "changed.mtree"), 0);
	assert_int_equal(RUN("policy", "check", "policy.yaml", "--mi", "changed.mtree", "--json"),
			 1);
	assert_true(command_file_has("out", "\"accepted\": false"));
	assert_true(command_file_has("out", "static.manifest"));
	flip("in", 0);
	assert_int_equal(RUN("measure", "-n", "in", "--json"), 0);
	assert_true(command_file_has("out", "\"algorithm\": \"sha384\""));
	assert_int_equal(RUN("policy", "check", "policy.yaml", "--mi", "policy.yaml"), 1);
}

static void a_tree_is_measured_as_the_system_that_it_becomes(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: another root is for root\n");
		skip();
	}
	assert_int_equal(mkdir("tree", 0755), 0);
	assert_int_equal(symlink("/file", "tree/link"), 0);
	assert_int_equal(link("in", "tree/file"), 0);
	assert_int_equal(RUN("measure", "-n", "-r", "tree", "/link", "/file", "-o", "t.mtree"), 0);
	assert_true(command_file_has("t.mtree", "\n./file "));
	assert_true(command_file_has("t.mtree", "\n./link "));
	assert_true(command_file_has("t.mtree", "link=/file"));
	assert_false(command_file_has("t.mtree", "assay-test-cli"));
	assert_int_equal(access("tree/t.mtree", F_OK), -1);
	assert_int_equal(RUN("measure", "-n", "-r", "tree", "/in"), 3);
}

static int enter(void **state)
{
	int fd;

	(void)state;
	if (!mkdtemp(directory) || chdir(directory) < 0)
		return -1;
	fd = open("in", O_WRONLY | O_CREAT, 0600);
	for (uint32_t i = 0; i < 50000; i++)
		if (write(fd, &i, sizeof(i)) != sizeof(i))
			return -1;
	return close(fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int leave(void **state)
{
	(void)state;
	return chdir("/") < 0 || nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) < 0 ? -1 : 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_are_checked),
		cmocka_unit_test(data_is_split_and_joined),
		cmocka_unit_test(a_split_that_fails_leaves_nothing),
		cmocka_unit_test(measuring_and_judging_fit_together),
		cmocka_unit_test(a_tree_is_measured_as_the_system_that_it_becomes),
	};

	unsetenv("ASSAY_SOCKET");
	return cmocka_run_group_tests(tests, enter, leave);
}
