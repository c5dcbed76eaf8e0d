/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy.h"
#include "tests/unit/documented.h"

#define SHA256 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define UPPER  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define SHA384 SHA256 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct policy *parsed(const char *what, struct view text)
{
	struct policy *p = NULL;
	char *error = NULL;
	int r;

	r = policy_parse(text, what, &p, &error);
	if (r < 0)
		fail_msg("%s: %d %s", what, r, error ? error : "");
	return p;
}

static void the_documented_policy_is_one(void **state)
{
	struct bytes text;
	const struct digest *values;
	const struct policy_stage *stage;
	struct policy *p;

	(void)state;
	assert_int_equal(documented("docs/policy.md", "```yaml", "```", &text), 0);
	p = parsed("docs/policy.md", bytes_view(&text));
	assert_string_equal(policy_application(p), "payroll");
	assert_int_equal(policy_version(p), 3);
	assert_true(policy_allows_platform(p, "tpm"));
	assert_false(policy_allows_platform(p, "soft"));
	assert_int_equal(policy_tpm_event_log(p), EVENT_LOG_ALLOW);
	assert_int_equal(policy_tpm_bank(p), HASH_SHA256);
	assert_int_equal(policy_tpm_pcr(p, 4, &values), 1);
	assert_int_equal(values[0].bytes[0], 0x9b);
	assert_int_equal(policy_tpm_pcr(p, 9, &values), 2);
	assert_int_equal(values[1].bytes[0], 0x1f);
	assert_int_equal(policy_tpm_pcr(p, 5, &values), 0);
	assert_int_equal(policy_tpm_pcr(p, 24, &values), 0);
	assert_string_equal(policy_tpm_ek_ca_file(p), "ek-roots.pem");
	assert_string_equal(policy_manifest_file(p), "payroll.mtree");
	assert_null(policy_manifest(p));
	assert_false(policy_requires_initrd(p));
	assert_int_equal(policy_report_every_max(p), 6);
	assert_int_equal(policy_configs(p, &values), 0);
	assert_int_equal(policy_stage_count(p), 2);
	assert_null(policy_stage(p, 0));
	assert_null(policy_stage(p, 3));
	stage = policy_stage(p, 2);
	assert_int_equal(stage->stage, 2);
	assert_int_equal(stage->after, POLICY_DYNAMIC);
	assert_int_equal(stage->within_ns, UINT64_C(60000000000));
	assert_string_equal(stage->release[0], "block-2-key");
	assert_null(stage->release[1]);
	assert_int_equal(policy_stage(p, 1)->after, POLICY_STATIC);
	assert_int_equal(policy_stage(p, 1)->within_ns, 0);
	policy_free(p);
	bytes_done(&text);
}

static void the_manual_s_policy_is_one(void **state)
{
	struct bytes text;
	struct policy *p;

	(void)state;
	assert_int_equal(documented("packaging/man/assay-policy.5", ".Bd -literal", ".Ed", &text),
			 0);
	p = parsed("assay-policy.5", bytes_view(&text));
	assert_string_equal(policy_application(p), "web");
	/* Defaults. */
	assert_int_equal(policy_version(p), 1);
	assert_int_equal(policy_report_every_max(p), 1);
	assert_true(policy_allows_platform(p, "soft"));
	assert_null(policy_soft_keys(p));
	assert_null(policy_tpm_ek_ca_file(p));
	assert_int_equal(policy_tpm_bank(p), HASH_SHA256);
	assert_int_equal(policy_tpm_ek_ca(p).len, 0);
	policy_free(p);
	bytes_done(&text);
}

static void what_it_does_not_judge_is_read_over(void **state)
{
	static const char text[] =
		"application: a\n"
		"platforms:\n"
		"  tdx: {mrtd: [" SHA384 "], tcb_status: [UpToDate], debug: deny}\n"
		"  csv: {debug: deny}\n"
		"  sev-snp: {debug: deny}\n"
		"  soft: {keys: [" SHA256 ", " UPPER "]}\n"
		"  tpm: {bank: sha384, event_log: require}\n"
		"initrd: require\n"
		"configurations: [" SHA384 "]\n";
	const struct digest *configs;
	struct policy *p;

	(void)state;
	p = parsed("text", view_text(text));
	assert_true(policy_allows_platform(p, "tdx"));
	assert_true(policy_allows_platform(p, "sev-snp"));
	assert_false(policy_allows_platform(p, "cca"));
	assert_string_equal(policy_soft_keys(p)[0], SHA256);
	assert_string_equal(policy_soft_keys(p)[1], SHA256);
	assert_null(policy_soft_keys(p)[2]);
	assert_int_equal(policy_tpm_bank(p), HASH_SHA384);
	assert_int_equal(policy_tpm_event_log(p), EVENT_LOG_REQUIRE);
	assert_true(policy_requires_initrd(p));
	assert_int_equal(policy_configs(p, &configs), 1);
	assert_int_equal(configs[0].size, 48);
	policy_free(p);
}

#define TOP "application: a\nplatforms: {soft: {}}\n"

static const struct {
	const char *what, *text, *problems;
} cases[] = {
	{ "nothing", "", "p:1: expected a mapping, found an empty text\n" },
	{ "no platforms", "application: a\n",
	  "p:1: platforms: expected this key, found nothing\n" },
	{ "platforms without one", "application: a\nplatforms: {}\n",
	  "p:2: platforms: expected at least one platform, found none\n" },
	{ "a platform that does not exist", "application: a\nplatforms: {sgx: {}}\n",
	  "p:2: platforms.sgx: expected one of the keys soft, tpm, vtpm, tdx, sev-snp, csv, cca, "
	  "found "
	  "\"sgx\"\n" },
	{ "a wrong key in its line", TOP "dynamc: {}\n",
	  "p:3: dynamc: expected one of the keys application, version, platforms, initrd, "
	  "report_every, configurations, static, updates, dynamic, stages, found \"dynamc\"\n" },
	{ "a name that is none", "application: ../a\nplatforms: {soft: {}}\n",
	  "p:1: application: expected a name of 1 to 64 letters, digits, '.', '_', '-', found "
	  "\"../a\"\n" },
	{ "version 0", TOP "version: 0\n",
	  "p:3: version: expected a whole number from 1 to 4294967295, found \"0\"\n" },
	{ "an octal number", TOP "version: 010\n",
	  "p:3: version: expected a whole number from 1 to 4294967295, found \"010\"\n" },
	{ "a short digest of a PCR",
	  "application: a\nplatforms:\n  tpm:\n    pcrs:\n      4: [00ff]\n",
	  "p:5: platforms.tpm.pcrs.4: expected 64 hex digits (sha256), found \"00ff\"\n" },
	{ "a digest of another bank",
	  "application: a\nplatforms: {tpm: {bank: sha384, pcrs: {4: [" SHA256 "]}}}\n",
	  "p:2: platforms.tpm.pcrs.4: expected 96 hex digits (sha384), found "
	  "\"" SHA256 "\"\n" },
	{ "a PCR that does not exist",
	  "application: a\nplatforms: {tpm: {pcrs: {24: [" SHA256 "]}}}\n",
	  "p:2: platforms.tpm.pcrs: expected a PCR from 0 to 23, found \"24\"\n" },
	{ "a PCR twice",
	  "application: a\nplatforms: {tpm: {pcrs: {4: [" SHA256 "], 4: [" SHA256 "]}}}\n",
	  "p:2: 4: expected each key once, found it a second time\n" },
	{ "a PCR with no value at all", "application: a\nplatforms: {tpm: {pcrs: {4: []}}}\n",
	  "p:2: platforms.tpm.pcrs.4: expected a list of accepted values, found an empty one\n" },
	{ "no list of PCRs", "application: a\nplatforms: {tpm: {pcrs: 4}}\n",
	  "p:2: platforms.tpm.pcrs: expected a mapping of PCR numbers, found \"4\"\n" },
	{ "a soft key that is none", "application: a\nplatforms: {soft: {keys: [x]}}\n",
	  "p:2: platforms.soft.keys[0]: expected 64 hex digits (sha256), found \"x\"\n" },
	{ "rules without one", TOP "dynamic: {mode: warn}\n",
	  "p:3: dynamic: expected at least one rule, found none\n" },
	{ "a mapping of rules without one", TOP "dynamic:\n  code: {mode: warn}\n",
	  "p:4: dynamic.code: expected at least one rule, found none\n" },
	{ "a size that is none", TOP "dynamic:\n  memory:\n    resident: {max: 2GB}\n",
	  "p:5: dynamic.memory.resident.max: expected a size (bytes, or with KiB, MiB, GiB, TiB), "
	  "found \"2GB\"\n" },
	{ "a limit without its value", TOP "dynamic:\n  memory:\n    resident: {mode: warn}\n",
	  "p:5: dynamic.memory.resident.max: expected this key, found nothing\n" },
	{ "a share with four decimals", TOP "dynamic: {cpu: {share: {max: 1.8001}}}\n",
	  "p:3: dynamic.cpu.share.max: expected a number with at most three decimals, found "
	  "\"1.8001\"\n" },
	{ "a mode that does not exist", TOP "dynamic: {listen: {allow: [], mode: ignore}}\n",
	  "p:3: dynamic.listen.mode: expected one of enforce, warn, found \"ignore\"\n" },
	{ "a listener without a protocol", TOP "dynamic: {listen: {allow: [\"0.0.0.0:443\"]}}\n",
	  "p:3: dynamic.listen.allow[0]: expected PROTOCOL/ADDRESS:PORT (tcp/0.0.0.0:443, "
	  "udp/[::]:53, unix/PATH), found \"0.0.0.0:443\"\n" },
	{ "two problems in two lines",
	  TOP "dynamic:\n  connections:\n    allow:\n    - 10.0.0.1/8:1\n    - db:1\n",
	  "p:6: dynamic.connections.allow[0]: expected ADDRESS[/BITS]:PORT (10.0.0.0/8:5432, "
	  "[2001:db8::]/32:*), found \"10.0.0.1/8:1\"\n"
	  "p:7: dynamic.connections.allow[1]: expected ADDRESS[/BITS]:PORT (10.0.0.0/8:5432, "
	  "[2001:db8::]/32:*), found \"db:1\"\n" },
	{ "a setting that does not exist", TOP "dynamic: {code: {anonymous: forbid}}\n",
	  "p:3: dynamic.code.anonymous: expected one of deny, warn, allow, found \"forbid\"\n" },
	{ "an envelope of nothing", TOP "dynamic: {code: {jit: {}}}\n",
	  "p:3: dynamic.code.jit: expected max_bytes, max_regions or wx, found none of them\n" },
	{ "digests without files", TOP "dynamic: {code: {anonymous: deny, allow: [" SHA256 "]}}\n",
	  "p:3: dynamic.code.allow: expected it beside \"files: manifest\" or \"files: listed\", "
	  "found it without\n" },
	{ "listed files without a list", TOP "dynamic: {code: {files: listed}}\n",
	  "p:3: dynamic.code.files: expected the list allow beside \"listed\", found none\n" },
	{ "programs without executables", TOP "dynamic: {processes: {programs: [" SHA256 "]}}\n",
	  "p:3: dynamic.processes.programs: expected it beside \"executables: manifest\" or "
	  "\"executables: listed\", found it without\n" },
	{ "listed executables without a list", TOP "dynamic: {processes: {executables: listed}}\n",
	  "p:3: dynamic.processes.executables: expected the list programs beside \"listed\", "
	  "found none\n" },
	{ "a relative directory", TOP "dynamic: {disk: {writes_within: [var/lib]}}\n",
	  "p:3: dynamic.disk.writes_within[0]: expected an absolute path, found \"var/lib\"\n" },
	{ "a directory with dots", TOP "dynamic: {disk: {writes_within: [/var/../etc]}}\n",
	  "p:3: dynamic.disk.writes_within[0]: expected an absolute path, found "
	  "\"/var/../etc\"\n" },
	{ "no mapping of variables", TOP "dynamic: {environment: {equal: [LANG]}}\n",
	  "p:3: dynamic.environment.equal: expected a mapping of names to values, found a list\n" },
	{ "a variable without a name", TOP "dynamic: {environment: {equal: {\"a=b\": c}}}\n",
	  "p:3: dynamic.environment.equal: expected the name of a variable, found \"a=b\"\n" },
	{ "a log without a limit", TOP "dynamic:\n  logs:\n    \"ERROR|panic\": 0\n",
	  "p:5: dynamic.logs.\"ERROR|panic\": expected a mapping like {max: 0}, found \"0\"\n" },
	{ "a log with another limit",
	  TOP "dynamic:\n  logs:\n    ERROR: {max: -1}\n    panic: {min: 0}\n    x: {max: 0, mode: "
	      "off}\n",
	  "p:5: dynamic.logs.\"ERROR\": expected a whole number as max, found \"-1\"\n"
	  "p:6: dynamic.logs.\"panic\": expected one of the keys max, mode, partial, found "
	  "\"min\"\n"
	  "p:6: dynamic.logs.\"panic\": expected the key max, found nothing\n"
	  "p:7: dynamic.logs.\"x\": expected one of enforce, warn, found \"off\"\n" },
	{ "a user by name", TOP "dynamic: {processes: {users: [www-data]}}\n",
	  "p:3: dynamic.processes.users[0]: expected the number of a user, found \"www-data\"\n" },
	{ "unchanged in words", TOP "dynamic: {start_time: {unchanged: yes}}\n",
	  "p:3: dynamic.start_time.unchanged: expected one of false, true, found \"yes\"\n" },
	{ "a gap between stages",
	  TOP "dynamic: {missed_nodes: {max: 0}}\nstages:\n"
	      "- {stage: 1, after: dynamic, release: [a]}\n"
	      "- {stage: 3, after: dynamic, release: [b]}\n",
	  "p:6: stages[1].stage: expected 2 (stages from 1, in order, without a gap), found "
	  "\"3\"\n" },
	{ "a stage that nothing is judged for",
	  TOP "stages:\n- {stage: 1, after: dynamic, release: [a]}\n"
	      "- {stage: 2, after: static, release: [a]}\n",
	  "p:4: stages[0].after: expected rules under \"dynamic\", found none\n"
	  "p:5: stages[1].after: expected reference values under \"static\", found none\n" },
	{ "a stage that releases nothing",
	  TOP "static: {manifest: m}\nstages: [{stage: 1, after: static}]\n",
	  "p:4: stages[0].release: expected the names of secrets, found nothing\n" },
	{ "a secret twice, and one that is a path",
	  TOP "static: {manifest: m}\nstages: [{stage: 1, after: static, release: [a, a, ../b]}]\n",
	  "p:4: stages[0].release[1]: expected each secret once, found \"a\" again\n"
	  "p:4: stages[0].release[2]: expected the name of a secret, found \"../b\"\n" },
	{ "a duration without a unit",
	  TOP
	  "static: {manifest: m}\nstages: [{stage: 1, after: static, release: [a], within: 60}]\n",
	  "p:4: stages[0].within: expected a duration (a number with us, ms, s, m, h, d), found "
	  "\"60\"\n" },
	{ "a manifest without a name", TOP "static: {}\n",
	  "p:3: static.manifest: expected this key, found nothing\n" },
	{ "a configuration that is no digest", TOP "configurations: [" SHA256 "]\n",
	  "p:3: configurations[0]: expected 96 hex digits (sha384), found \"" SHA256 "\"\n" },
	{ "no report at all", TOP "report_every: {max: 0}\n",
	  "p:3: report_every.max: expected a whole number from 1 to 1000, found \"0\"\n" },
};

static void wrong_policies_are_refused_with_their_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct policy *p = NULL;
		char *error = NULL;
		int r;

		r = policy_parse(view_text(cases[i].text), "p", &p, &error);
		if (r != -EINVAL || p || !error)
			fail_msg("%s: %d", cases[i].what, r);
		if (strcmp(error, cases[i].problems) != 0)
			fail_msg("%s:\n%s", cases[i].what, error);
		free(error);
	}
}

static void every_cut_is_refused_or_read_whole(void **state)
{
	struct bytes text;

	(void)state;
	assert_int_equal(documented("docs/policy.md", "```yaml", "```", &text), 0);
	for (size_t len = 0; len < text.len; len++) {
		struct policy *p = NULL;
		char *error = NULL;
		int r = policy_parse(view_of(text.data, len), "p", &p, &error);

		if (r == 0 ? !p || error : r != -EINVAL || p || !error)
			fail_msg("cut at %zu: %d", len, r);
		policy_free(p);
		free(error);
	}
	bytes_done(&text);
}

static void attachments_are_read_once_they_are_there(void **state)
{
	static const char manifest[] =
		"#mtree\n./a type=file mode=0644 uid=0 gid=0 size=1 sha256digest=" SHA256 "\n";
	struct policy *p = parsed("text", view_text(TOP "static: {manifest: m}\n"));
	char *error = NULL;

	(void)state;
	assert_int_equal(policy_attach_manifest(p, view_text("no manifest\n"), &error), -EINVAL);
	assert_non_null(error);
	assert_null(policy_manifest(p));
	free(error);
	assert_int_equal(policy_attach_manifest(p, view_text(manifest), &error), 0);
	assert_int_equal(policy_manifest(p)->n, 1);
	assert_int_equal(policy_attach_ek_ca(p, view_text("pem")), 0);
	assert_true(view_is(policy_tpm_ek_ca(p), "pem"));
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documented_policy_is_one),
		cmocka_unit_test(the_manual_s_policy_is_one),
		cmocka_unit_test(what_it_does_not_judge_is_read_over),
		cmocka_unit_test(wrong_policies_are_refused_with_their_lines),
		cmocka_unit_test(every_cut_is_refused_or_read_whole),
		cmocka_unit_test(attachments_are_read_once_they_are_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
