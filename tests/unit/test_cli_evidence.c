/* SPDX-License-Identifier: Apache-2.0 */
/* `assay evidence` as its users meet it: ASSAY_PROGRAM in a directory of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "tests/support/command_run.h"
#include "tests/support/shared_evidence.h"

static char directory[] = P_tmpdir "/assay-test-evidence-XXXXXX";

static const struct command_run assay = { .program = ASSAY_PROGRAM, .word = "evidence" };

#define RUN(...) command_run(&assay, (const char *const[]){ __VA_ARGS__, NULL })

static void write_file(const char *name, const void *data, size_t len)
{
	CLEANUP(cleanup_fd) int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
}

/* The genuine file, beside the others of the test while it runs. */
static void lay_out(const char *folder, const char *file, const char *as)
{
	struct bytes b = shared_evidence(folder, file);

	write_file(as, b.data, b.len);
	bytes_done(&b);
}

static json_t *answer(void)
{
	struct bytes b = command_file("out");
	json_t *j = json_loadb((const char *)b.data, b.len, JSON_REJECT_DUPLICATES, NULL);

	bytes_done(&b);
	if (!j)
		fail_msg("not one JSON object");
	return j;
}

static const char *text_of(json_t *j, const char *name)
{
	const char *text = json_string_value(json_object_get(j, name));

	return text ? text : "(none)";
}

static void lay_out_tdx(void)
{
	static const char set[] = "tdx/collateral/2026-03_90c06f000000";

	assert_true(mkdir("endorsements", 0700) == 0 || errno == EEXIST);
	lay_out("tdx/quotes", "v5-td15-90c06f000000-uptodate.quote", "good.quote");
	lay_out("tdx/quotes", "v5-td15-90c06f000000-2025.quote", "old.quote");
	lay_out(set, "tcbinfo.json", "endorsements/a");
	lay_out(set, "qe_identity.json", "endorsements/b");
	lay_out(set, "pck_platform_crl.der", "endorsements/c");
	lay_out(set, "root_crl.der", "endorsements/d");
	lay_out("tdx/certs", "tcb-signing-chain-2025.pem", "endorsements/e");
	write_file("endorsements/notes", "x", 1);
}

#define AT    "--at", "2026-03-20T00:00:00Z"
#define GIVEN "--endorsements", "endorsements"

static void a_quote_is_judged(void **state)
{
	json_t *j;

	(void)state;
	shared_evidence_needed();
	lay_out_tdx();
	assert_int_equal(RUN("verify", "good.quote", GIVEN, AT), 0);
	assert_true(command_file_has("out", "VALID: tdx report of version 5, TCB status UpToDate"));
	assert_true(command_file_has("out", "Proves: "));
	assert_true(command_file_has("out", "Does not prove: "));
	assert_true(command_file_has("err", "endorsements/notes: not an endorsement"));

	assert_int_equal(RUN("verify", "good.quote", GIVEN, AT, "--json"), 0);
	j = answer();
	assert_string_equal(text_of(j, "platform"), "tdx");
	assert_int_equal(json_integer_value(json_object_get(j, "version")), 5);
	assert_string_equal(text_of(j, "verdict"), "valid");
	assert_string_equal(text_of(j, "status"), "UpToDate");
	assert_int_equal(json_array_size(json_object_get(j, "reasons")), 0);
	assert_int_equal(strlen(text_of(j, "report_data")), 128);
	assert_int_equal(strlen(text_of(j, "measurement")), 96);
	assert_int_equal(json_array_size(json_object_get(j, "registers")), 4);
	assert_int_equal(strlen(text_of(j, "chip_id")), 32);
	assert_true(json_is_false(json_object_get(j, "debug")));
	assert_true(json_is_string(json_object_get(j, "tcb")));
	json_decref(j);
}

static void what_is_refused_says_why(void **state)
{
	json_t *j;

	(void)state;
	shared_evidence_needed();
	lay_out_tdx();
	assert_int_equal(RUN("verify", "old.quote", GIVEN, AT, "--json"), 1);
	j = answer();
	assert_string_equal(text_of(j, "verdict"), "policy");
	assert_string_equal(text_of(j, "status"), "OutOfDate");
	assert_string_equal(text_of(json_array_get(json_object_get(j, "reasons"), 0), "rule"),
			    "platforms.tdx.tcb_status");
	json_decref(j);

	/* Without endorsements nothing is known of the chip. */
	assert_int_equal(RUN("verify", "good.quote", AT), 1);
	assert_true(command_file_has("out", "INVALID: it proves nothing"));
	assert_false(command_file_has("out", "Proves: "));
	assert_int_equal(RUN("verify", "good.quote", GIVEN, "--at", "2026-06-01T00:00:00Z"), 1);
	assert_true(command_file_has("out", "expired"));
	assert_int_equal(RUN("verify", "good.quote", GIVEN, AT, "--report-data", "00"), 1);
	assert_true(command_file_has("out", "evidence.report_data"));
	assert_int_equal(RUN("verify", "good.quote", GIVEN, AT, "--platform", "sev-snp"), 1);
	assert_int_equal(RUN("verify", "endorsements", AT), 1);
	assert_true(command_file_has("out", "no report of a platform that is known"));
}

static void a_policy_decides_what_is_accepted(void **state)
{
	static const char policy[] =
		"application: a\nplatforms: {tdx: {tcb_status: [OutOfDate]}}\n";

	(void)state;
	shared_evidence_needed();
	lay_out_tdx();
	write_file("policy.yaml", policy, strlen(policy));
	assert_int_equal(RUN("verify", "old.quote", GIVEN, AT, "--policy", "policy.yaml"), 0);
	assert_int_equal(RUN("verify", "good.quote", GIVEN, AT, "--policy", "policy.yaml"), 1);
}

/* Each is a piece of its own, and the worst verdict is the exit status. */
static void of_several_reports_each_is_judged(void **state)
{
	json_t *j;

	(void)state;
	shared_evidence_needed();
	lay_out_tdx();
	assert_int_equal(RUN("verify", "good.quote", "old.quote", GIVEN, AT, "--json"), 1);
	j = answer();
	assert_int_equal(json_array_size(json_object_get(j, "evidence")), 2);
	json_decref(j);
}

/* A TPM's quotes in a folder: the parts that share a quote's name, and those that share none's. */
static void a_folder_of_quotes_is_judged(void **state)
{
	static const char *const files[] = { "ak.tpmt_public",	     "eventlog.bin",
					     "sha1.attest",	     "sha1.pcrs.txt",
					     "sha1.tpmt_signature",  "sha256.attest",
					     "sha256.pcrs.txt",	     "sha256.tpmt_signature",
					     "sha384.attest",	     "sha384.pcrs.txt",
					     "sha384.tpmt_signature" };
	char as[64];
	json_t *j;

	(void)state;
	shared_evidence_needed();
	assert_true(mkdir("tpm", 0700) == 0 || errno == EEXIST);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(as, sizeof(as), "tpm/%s", files[i]);
		lay_out("tpm/gce-cos85-nonce9009", files[i], as);
	}
	assert_int_equal(RUN("verify", "tpm", "--report-data", "9009", "--json"), 0);
	j = answer();
	assert_int_equal(json_array_size(json_object_get(j, "evidence")), 3);
	for (size_t i = 0; i < 3; i++) {
		json_t *one = json_array_get(json_object_get(j, "evidence"), i);

		assert_string_equal(text_of(one, "verdict"), "valid");
		assert_string_equal(text_of(one, "report_data"), "9009");
		assert_true(json_is_true(json_object_get(one, "event_log_replayed")));
		assert_int_equal(
			json_object_size(json_object_get(json_object_get(one, "pcrs"), "values")),
			24);
	}
	json_decref(j);
	assert_int_equal(RUN("verify", "tpm", "--report-data", "9008"), 1);
	/* Values of another bank are not those that were quoted. */
	assert_int_equal(RUN("verify", "tpm/sha256.attest", "tpm/sha256.tpmt_signature",
			     "tpm/ak.tpmt_public", "tpm/sha1.pcrs.txt"),
			 1);
	assert_true(command_file_has("out", "evidence.pcrs"));
	/* Another quote's signature. */
	assert_int_equal(RUN("verify", "tpm/sha256.attest", "tpm/sha384.tpmt_signature",
			     "tpm/ak.tpmt_public", "tpm/sha256.pcrs.txt"),
			 1);
	assert_true(command_file_has("out", "evidence.signature"));
	assert_int_equal(RUN("verify", "tpm/sha256.attest"), 1);
	assert_true(command_file_has("out", "needs its signature"));
}

/* A platform's key is believed because of who names it: not because it lies beside the token. */
static void a_bare_key_counts_only_where_it_is_named(void **state)
{
	json_t *j;

	(void)state;
	shared_evidence_needed();
	assert_int_equal(mkdir("cca", 0700), 0);
	lay_out("cca", "coco-fvp.cbor", "cca/coco-fvp.cbor");
	lay_out("cca", "coco-fvp.cpak.pem", "cca/coco-fvp.cpak.pem");
	lay_out("cca", "ta-tfa.json", "cca/anchors.json");
	assert_int_equal(RUN("verify", "cca"), 1);
	assert_true(command_file_has("out", "evidence.platform_signature"));
	assert_int_equal(RUN("verify", "cca", "--endorsements", "cca/anchors.json"), 0);
	assert_int_equal(RUN("verify", "cca", "--endorsements", "cca/coco-fvp.cpak.pem", "--json"),
			 0);
	j = answer();
	assert_string_equal(text_of(j, "platform"), "cca");
	assert_string_equal(text_of(j, "verdict"), "valid");
	assert_string_equal(text_of(j, "status"), "secured");
	json_decref(j);
}

static void a_wrapper_is_judged_by_what_is_in_it(void **state)
{
	json_t *j;

	(void)state;
	shared_evidence_needed();
	lay_out("sev-snp", "v3-genoa-tsm.cbor", "wrapped.cbor");
	assert_int_equal(RUN("verify", "wrapped.cbor", "--at", "2026-03-20T00:00:00Z", "--json"),
			 0);
	j = answer();
	assert_string_equal(text_of(j, "platform"), "sev-snp");
	assert_string_equal(text_of(j, "verdict"), "valid");
	json_decref(j);
	/* Before the certificate was made. */
	assert_int_equal(RUN("verify", "wrapped.cbor", "--at", "2025-04-19T00:00:00Z"), 1);
	assert_int_equal(RUN("show", "wrapped.cbor"), 0);
	assert_true(command_file_has("out", "measurement"));
}

static void a_report_is_shown(void **state)
{
	json_t *j, *body;

	(void)state;
	shared_evidence_needed();
	lay_out_tdx();
	assert_int_equal(RUN("show", "good.quote", "--json"), 0);
	j = answer();
	body = json_object_get(json_object_get(j, "report"), "body");
	assert_int_equal(strlen(text_of(body, "mrtd")), 96);
	json_decref(j);
	assert_int_equal(RUN("show", "endorsements/a"), 1);
	assert_int_equal(RUN("show", "good.quote"), 0);
	assert_true(command_file_has("out", "mrtd"));
}

static const struct {
	const char *what;
	const char *args[COMMAND_ARGS_MAX];
	int status;
	const char *says;
} uses[] = {
	{ "nothing to verify", { "verify" }, 2, "which evidence?" },
	{ "nothing to show", { "show" }, 2, "which evidence?" },
	{ "a platform that is none",
	  { "verify", "--platform", "sgx", "err" },
	  2,
	  "no platform 'sgx'" },
	{ "a time that is none", { "verify", "--at", "today", "err" }, 2, "--at takes" },
	{ "data that are not hex", { "verify", "--report-data", "0g", "err" }, 2, "hex digits" },
	{ "no data", { "verify", "--report-data", "", "err" }, 2, "hex digits" },
	{ "a file that is not there", { "verify", "absent" }, 3, "absent: No such file" },
	{ "a policy that is not there",
	  { "verify", "--policy", "absent", "err" },
	  3,
	  "absent: No" },
	{ "an endorsement that is not there",
	  { "verify", "-e", "absent", "err" },
	  3,
	  "absent: No" },
	{ "an endorsement that is none",
	  { "verify", "-e", "text", "err" },
	  2,
	  "not an endorsement" },
	{ "evidence that is none", { "verify", "text" }, 1, NULL },
	{ "showing what is none", { "show", "text" }, 1, "no report" },
};

static void wrong_use_is_told_from_bad_evidence(void **state)
{
	(void)state;
	write_file("text", "text", 4);
	for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
		int status = command_run(&assay, uses[i].args);

		if (status != uses[i].status ||
		    (uses[i].says && !command_file_has("err", uses[i].says)))
			fail_msg("%s: exit status %d", uses[i].what, status);
	}
}

static int enter(void **state)
{
	(void)state;
	return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int leave(void **state)
{
	(void)state;
	return chdir("/") == 0 ? nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quote_is_judged),
		cmocka_unit_test(what_is_refused_says_why),
		cmocka_unit_test(a_policy_decides_what_is_accepted),
		cmocka_unit_test(of_several_reports_each_is_judged),
		cmocka_unit_test(a_folder_of_quotes_is_judged),
		cmocka_unit_test(a_bare_key_counts_only_where_it_is_named),
		cmocka_unit_test(a_wrapper_is_judged_by_what_is_in_it),
		cmocka_unit_test(a_report_is_shown),
		cmocka_unit_test(wrong_use_is_told_from_bad_evidence),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
