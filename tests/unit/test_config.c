/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/config.h"
#include "log.h"
#include "tests/unit/documented.h"

static struct config *parsed(const char *what, struct view text)
{
	struct config *c = NULL;
	char *error = NULL;
	int r;

	r = config_parse(text, what, &c, &error);
	if (r < 0)
		fail_msg("%s: %d %s", what, r, error ? error : "");
	return c;
}

static void the_documented_configuration_is_one(void **state)
{
	const struct config_application *a;
	struct digest digest;
	struct bytes text;
	struct config *c;

	(void)state;
	assert_int_equal(documented("packaging/man/assayd.yaml.5", ".Bd -literal", ".Ed", &text),
			 0);
	c = parsed("assayd.yaml.5", bytes_view(&text));
	assert_int_equal(digest_of(HASH_SHA384, bytes_view(&text), &digest), 0);
	assert_true(digest_equal(&c->digest, &digest));
	assert_string_equal(c->verifier_address, "verifier.example:7443");
	assert_string_equal(c->verifier_name, "verifier.example");
	assert_null(c->verifier_listen);
	assert_string_equal(c->verifier_ca, "/etc/assay/verifier-ca.pem");
	assert_int_equal(c->chip.pcrs, 1 << 0 | 1 << 2 | 1 << 4 | 1 << 7 | 1 << 9);
	assert_int_equal(c->n_applications, 1);
	a = &c->applications[0];
	assert_string_equal(a->name, "payroll");
	assert_ptr_equal(a->target.name, a->name);
	assert_string_equal(a->exec[0], "/usr/bin/payroll");
	assert_string_equal(a->exec[1], "--serve");
	assert_null(a->exec[2]);
	assert_string_equal(a->user, "payroll");
	assert_null(a->group);
	assert_int_equal(a->n_environment, 1);
	assert_string_equal(a->environment[0].name, "LANG");
	assert_string_equal(a->environment[0].value, "C.UTF-8");
	assert_int_equal(a->target.n_files, 2);
	assert_string_equal(a->target.files[1], "/usr/lib/payroll");
	assert_int_equal(a->target.n_logs, 1);
	assert_string_equal(a->target.logs[0].match, "ERROR|panic");
	assert_int_equal(a->target.n_environment, 3);
	assert_string_equal(a->target.environment[2], "LD_*");
	assert_true(a->target.environment_hash_only);
	assert_int_equal(a->target.n_storage, 1);
	assert_int_equal(a->n_nodes, 6);
	assert_int_equal(a->nodes[0].kind, ASSAY__TIME_NODE__KIND__START);
	assert_int_equal(a->nodes[1].kind, ASSAY__TIME_NODE__KIND__EVERY);
	assert_int_equal(a->nodes[1].every_ns, UINT64_C(10000000000));
	assert_int_equal(a->nodes[1].jitter_ns, UINT64_C(2000000000));
	assert_int_equal(a->nodes[1].report_every, 6);
	assert_int_equal(a->nodes[2].second_of_day, 7200);
	assert_int_equal(a->nodes[3].kind, ASSAY__TIME_NODE__KIND__STAGE);
	assert_int_equal(a->nodes[4].events, CONFIG_EVENT_EXEC | CONFIG_EVENT_WX_MEMORY);
	assert_int_equal(a->nodes[5].kind, ASSAY__TIME_NODE__KIND__DEMAND);
	assert_int_equal(a->nodes[5].report_every, 1);
	assert_int_equal(a->stages, 4);
	assert_int_equal(config_deliver_of(a, 1), DELIVER_CREDENTIAL);
	assert_int_equal(config_deliver_of(a, 2), DELIVER_SOCKET);
	assert_int_equal(a->on_refusal, REFUSAL_WITHHOLD);
	config_free(c);
	bytes_done(&text);
}

#define TOP  "verifier: {address: \"[::1]:7443\", ca: /ca}\n"
#define APPS "applications:\n"
#define APP  "- name: a\n  exec: [/a]\n"

#define UNIT(name) "- name: a\n  unit: \"" name "\"\n  files: [/f]\n"
#define DISK(of)   "- name: a\n  disk: {" of "}\n"

static void defaults_are_the_documented_ones(void **state)
{
	const struct config_application *a;
	struct config *c = parsed("text", view_text(TOP APPS APP));

	(void)state;
	assert_string_equal(c->verifier_name, "::1");
	assert_false(c->mi_separate);
	assert_string_equal(c->attester, "auto");
	assert_string_equal(c->chip.tcti, "device:/dev/tpmrm0");
	assert_string_equal(c->chip.state, "/var/lib/assay");
	assert_int_equal(c->chip.bank, HASH_SHA256);
	assert_int_equal(c->chip.pcrs, 0x3ff | 1 << 11);
	assert_int_equal(c->chip.runtime_pcr, 15);
	assert_null(c->chip.event_log);
	assert_null(c->ima_log);
	assert_null(c->chip.key);
	assert_int_equal(c->chip.timeout_ms, 0);
	assert_null(c->chip.tee_event_log);
	assert_null(c->chip.tee_endorsements);
	assert_string_equal(c->socket, "/run/assay/app.sock");
	assert_null(c->credential_socket);
	assert_string_equal(c->runtime_directory, "/run/assay");
	assert_string_equal(c->state_directory, "/var/lib/assay");
	assert_null(c->cgroup);
	assert_string_equal(c->net_user, "_assay-net");
	assert_int_equal(c->queue_max, 1000);
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_null(c->initrd.modules);
	assert_null(c->initrd.network.interface);
	assert_null(c->initrd.root.device);
	assert_int_equal(c->initrd.wait_ns, UINT64_C(30000000000));
	assert_int_equal(c->initrd.timeout_ns, UINT64_C(300000000000));
	assert_int_equal(c->initrd.attempts, 3);
	assert_int_equal(c->initrd.on_failure, FAILURE_POWEROFF);
	a = &c->applications[0];
	assert_null(a->unit);
	assert_int_equal(a->disk.kind, DISK_NONE);
	assert_true(a->measure_static);
	assert_true(a->measure_dynamic);
	assert_false(a->raw);
	assert_int_equal(a->target.n_files, 1);
	assert_string_equal(a->target.files[0], "/a");
	assert_int_equal(a->target.n_logs, 0);
	/* Without stages there is no node for them. */
	assert_int_equal(a->n_nodes, 3);
	assert_int_equal(a->nodes[0].kind, ASSAY__TIME_NODE__KIND__START);
	assert_int_equal(a->nodes[1].kind, ASSAY__TIME_NODE__KIND__DEMAND);
	assert_int_equal(a->nodes[2].every_ns, UINT64_C(60000000000));
	assert_int_equal(a->stages, 0);
	assert_int_equal(config_deliver_of(a, 1), DELIVER_SOCKET);
	assert_int_equal(a->on_refusal, REFUSAL_WITHHOLD);
	assert_false(a->restart);
	config_free(c);

	c = parsed("text", view_text(TOP APPS APP "  stages: 2\n"));
	assert_int_equal(c->applications[0].n_nodes, 4);
	assert_int_equal(c->applications[0].nodes[3].kind, ASSAY__TIME_NODE__KIND__STAGE);
	config_free(c);

	c = parsed("text", view_text(TOP APPS APP "  measure: {dynamic: false}\n"));
	assert_int_equal(c->applications[0].n_nodes, 0);
	assert_true(c->applications[0].measure_static);
	config_free(c);
}

static void every_key_can_be_said(void **state)
{
	static const char text[] =
		"verifier: {listen: 0.0.0.0:7444, ca: /ca, name: v.example}\n"
		"attester: soft\nsoft: {key: /k}\n"
		"tpm: {tcti: \"swtpm:path=/s\", bank: sha384, pcrs: [23], runtime_pcr: 8, "
		"event_log: /e, ima_log: none}\n"
		"tee: {timeout: 2500ms, event_log: /ccel, endorsements: [/hsk, /cek]}\n"
		"socket: /s\ncredential_socket: /c\nruntime_directory: /r\nstate_directory: /t\n"
		"cgroup: /g\nnet_user: n\nqueue: 7\nlog_level: debug\n"
		"applications:\n"
		"- name: a\n  exec: [/a, \"--key={secret:k}\"]\n  directory: /d\n  user: u\n"
		"  group: g\n  measure: {static: true, dynamic: true}\n  measurement: raw\n"
		"  files: [/f]\n  stages: 3\n"
		"  time_nodes: [{time: \"2026-11-21T20:43:22Z\", report: each}, {every: 10ms}]\n"
		"  deliver: {stage_1: argument, stage_3: systemd, others: credential}\n"
		"  on_refusal: kill\n  restart: true\n"
		"- {name: b, exec: [/b]}\n";
	const struct config_application *a;
	struct config *c = parsed("text", view_text(text));

	(void)state;
	assert_null(c->verifier_address);
	assert_string_equal(c->verifier_listen, "0.0.0.0:7444");
	assert_string_equal(c->verifier_name, "v.example");
	assert_string_equal(c->chip.key, "/k");
	assert_string_equal(c->chip.tcti, "swtpm:path=/s");
	assert_int_equal(c->chip.bank, HASH_SHA384);
	assert_int_equal(c->chip.pcrs, 1 << 23);
	assert_int_equal(c->chip.runtime_pcr, 8);
	assert_string_equal(c->chip.event_log, "/e");
	assert_string_equal(c->ima_log, "none");
	assert_int_equal(c->chip.timeout_ms, 2500);
	assert_string_equal(c->chip.tee_event_log, "/ccel");
	assert_string_equal(c->chip.tee_endorsements[1], "/cek");
	assert_null(c->chip.tee_endorsements[2]);
	assert_string_equal(c->chip.state, "/t");
	assert_string_equal(c->socket, "/s");
	assert_string_equal(c->credential_socket, "/c");
	assert_string_equal(c->cgroup, "/g");
	assert_string_equal(c->net_user, "n");
	assert_int_equal(c->queue_max, 7);
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->n_applications, 2);
	a = &c->applications[0];
	assert_string_equal(a->directory, "/d");
	assert_string_equal(a->group, "g");
	assert_true(a->raw);
	/* The program is measured beside what is listed. */
	assert_int_equal(a->target.n_files, 2);
	assert_string_equal(a->target.files[1], "/a");
	assert_int_equal(a->nodes[0].time, 1795293802);
	assert_int_equal(a->nodes[1].every_ns, 10000000);
	assert_int_equal(config_deliver_of(a, 1), DELIVER_ARGUMENT);
	assert_int_equal(config_deliver_of(a, 2), DELIVER_CREDENTIAL);
	assert_int_equal(config_deliver_of(a, 3), DELIVER_SYSTEMD);
	assert_int_equal(a->on_refusal, REFUSAL_KILL);
	assert_true(a->restart);
	config_free(c);

	c = parsed("text",
		   view_text("mi_channel: separate\n" TOP APPS "- {name: a, exec: [/a, \"\"]}\n"));
	assert_true(c->mi_separate);
	/* An argument may be empty. */
	assert_string_equal(c->applications[0].exec[1], "");
	assert_int_equal(c->protect, 0);
	config_free(c);

	c = parsed("text", view_text("protect: [self, chip]\nprotect_required: true\n" TOP APPS APP));
	assert_int_equal(c->protect, PROTECT_SELF | PROTECT_CHIP);
	assert_true(c->protect_required);
	config_free(c);
}

static const struct {
	const char *what, *text, *problems;
} cases[] = {
	{ "no verifier", APPS APP, "c:1: verifier: expected this key, found nothing\n" },
	{ "no application", TOP, "c:1: applications: expected this key, found nothing\n" },
	{ "an empty list of applications", TOP "applications: []\n",
	  "c:2: applications: expected at least 1 entries, found 0\n" },
	{ "both ways to the verifier", "verifier: {address: a:1, listen: b:2, ca: /ca}\n" APPS APP,
	  "c:1: verifier: expected either address or listen, found both\n" },
	{ "no way to the verifier", "verifier: {ca: /ca}\n" APPS APP,
	  "c:1: verifier: expected either address or listen, found neither\n" },
	{ "a port too great", "verifier: {address: \"a:70000\", ca: /ca}\n" APPS APP,
	  "c:1: verifier.address: expected HOST:PORT, found \"a:70000\"\n" },
	{ "IPv6 without brackets", "verifier: {address: \"::1:7443\", ca: /ca}\n" APPS APP,
	  "c:1: verifier.address: expected HOST:PORT, found \"::1:7443\"\n" },
	{ "a verifier that may be anybody", "verifier: {listen: \"0.0.0.0:1\", ca: /ca}\n" APPS APP,
	  "c:1: verifier.name: expected the name in the verifier's certificate, found nothing\n" },
	{ "a relative CA", "verifier: {address: a:1, ca: ca.pem}\n" APPS APP,
	  "c:1: verifier.ca: expected an absolute path, found \"ca.pem\"\n" },
	{ "an unknown chip", TOP "attester: sgx\n" APPS APP,
	  "c:2: attester: expected one of auto, tdx, sev-snp, csv, cca, vtpm, tpm, "
	  "soft, found \"sgx\"\n" },
	{ "soft without a key", TOP "attester: soft\n" APPS APP,
	  "c:1: soft.key: expected a key file for the attester soft, found nothing\n" },
	{ "a chip that nobody waits for", TOP "tee: {timeout: 999ms}\n" APPS APP,
	  "c:2: tee.timeout: expected a duration (a number with us, ms, s, m, h, d) from 1s to "
	  "10m, "
	  "found \"999ms\"\n" },
	{ "a chip that is waited for too long", TOP "tee: {timeout: 11m}\n" APPS APP,
	  "c:2: tee.timeout: expected a duration (a number with us, ms, s, m, h, d) from 1s to "
	  "10m, "
	  "found \"11m\"\n" },
	{ "an endorsement somewhere", TOP "tee: {endorsements: [/a, b]}\n" APPS APP,
	  "c:2: tee.endorsements[1]: expected an absolute path, found \"b\"\n" },
	{ "a runtime PCR that can be reset", TOP "tpm: {runtime_pcr: 16}\n" APPS APP,
	  "c:2: tpm.runtime_pcr: expected a whole number from 0 to 15, found \"16\"\n" },
	{ "a list of IMA at a relative path", TOP "tpm: {ima_log: list}\n" APPS APP,
	  "c:2: tpm.ima_log: expected an absolute path, found \"list\"\n" },
	{ "a PCR that does not exist", TOP "tpm: {pcrs: [1, 24]}\n" APPS APP,
	  "c:2: tpm.pcrs[1]: expected a whole number from 0 to 23, found \"24\"\n" },
	{ "a queue of nothing", TOP "queue: 0\n" APPS APP,
	  "c:2: queue: expected a whole number from 1 to 1000000, found \"0\"\n" },
	{ "a level that does not exist", TOP "log_level: loud\n" APPS APP,
	  "c:2: log_level: expected one of error, warning, notice, info, debug, found \"loud\"\n" },
	{ "an image", TOP APPS "- name: a\n  image: r/a@sha256:00\n",
	  "c:4: applications[0].image: expected exec, unit or disk, found image, which is not "
	  "supported by this version\n" },
	{ "a unit beside a program", TOP APPS APP "  unit: a.service\n  files: [/f]\n",
	  "c:4: applications[0].exec: expected one of exec, unit, disk, found 2 of them\n" },
	{ "no program", TOP APPS "- name: a\n",
	  "c:3: applications[0].exec: expected a program and its arguments (or unit, or disk), "
	  "found nothing\n" },
	{ "a unit of which nothing is measured", TOP APPS "- name: a\n  unit: a.service\n",
	  "c:3: applications[0].files: expected the unit's program and other files, found "
	  "nothing\n" },
	{ "a unit that is no service", TOP APPS UNIT("a.socket"),
	  "c:4: applications[0].unit: expected NAME.service, NAME of letters, digits, '.', '_', "
	  "'-', found \"a.socket\"\n" },
	{ "a unit that is somewhere else", TOP APPS UNIT("../a.service"),
	  "c:4: applications[0].unit: expected NAME.service, NAME of letters, digits, '.', '_', "
	  "'-', found \"../a.service\"\n" },
	{ "a unit without a name", TOP APPS UNIT(".service"),
	  "c:4: applications[0].unit: expected NAME.service, NAME of letters, digits, '.', '_', "
	  "'-', found \".service\"\n" },
	{ "a unit whose user is said here", TOP APPS UNIT("a.service") "  user: u\n",
	  "c:6: applications[0].user: expected none beside unit, whose own file says it, found "
	  "one\n" },
	{ "a secret that a unit cannot be given",
	  TOP APPS UNIT("a.service") "  stages: 1\n  deliver: {stage_1: credential}\n",
	  "c:7: applications[0].deliver: expected socket or systemd (LoadCredential=) for a unit, "
	  "found another\n" },
	{ "a disk of two kinds", TOP APPS DISK("luks: /d, verity: /d, name: n"),
	  "c:4: applications[0].disk: expected either luks or verity, found both\n" },
	{ "a disk of no kind", TOP APPS DISK("name: n"),
	  "c:4: applications[0].disk: expected either luks or verity, found neither\n" },
	{ "a disk's relative path", TOP APPS DISK("luks: d, name: n"),
	  "c:4: applications[0].disk.luks: expected an absolute path, found \"d\"\n" },
	{ "a disk's name that leads elsewhere", TOP APPS DISK("luks: /d, name: ../n"),
	  "c:4: applications[0].disk.name: expected a name for /dev/mapper, found \"../n\"\n" },
	{ "a root hash of a disk that has none", TOP APPS DISK("luks: /d, name: n, root_hash: aa"),
	  "c:4: applications[0].disk: expected no hash and no root_hash beside luks, found "
	  "one\n" },
	{ "verity without a root hash", TOP APPS DISK("verity: /d, name: n, hash: /h"),
	  "c:4: applications[0].disk: expected hash and root_hash beside verity, found no "
	  "root_hash\n" },
	{ "a root hash that is none", TOP APPS DISK("verity: /d, name: n, hash: /h, root_hash: x"),
	  "c:4: applications[0].disk.root_hash: expected a digest in hex digits, found \"x\"\n" },
	{ "a disk that is measured while it runs",
	  TOP APPS DISK("luks: /d, name: n") "  measure: {dynamic: true}\n",
	  "c:5: applications[0].measure: expected static measurement alone beside disk, found "
	  "another\n" },
	{ "a disk with a user", TOP APPS DISK("luks: /d, name: n") "  user: u\n",
	  "c:5: applications[0].user: expected none beside disk, found one\n" },
	{ "an address without its network",
	  TOP "initrd: {network: {interface: e, address: 10.0.2.15}}\n" APPS APP,
	  "c:2: initrd.network.address: expected ADDRESS/BITS (10.0.2.15/24, fd00::15/64), found "
	  "\"10.0.2.15\"\n" },
	{ "a network larger than there are",
	  TOP "initrd: {network: {interface: e, address: 10.0.2.15/33}}\n" APPS APP,
	  "c:2: initrd.network.address: expected ADDRESS/BITS (10.0.2.15/24, fd00::15/64), found "
	  "\"10.0.2.15/33\"\n" },
	{ "a gateway of another kind",
	  TOP "initrd: {network: {interface: e, address: 10.0.2.15/24, gateway: \"fd00::1\"}}\n" APPS
		  APP,
	  "c:2: initrd.network.gateway: expected an address of the same kind as address, found "
	  "\"fd00::1\"\n" },
	{ "an interface that no kernel could name",
	  TOP "initrd: {network: {interface: a234567890123456, address: 10.0.2.15/24}}\n" APPS APP,
	  "c:2: initrd.network.interface: expected the name of a network interface, found "
	  "\"a234567890123456\"\n" },
	{ "no time for devices", TOP "initrd: {wait: 1ms}\n" APPS APP,
	  "c:2: initrd.wait: expected a duration (a number with us, ms, s, m, h, d) from 1s to 1h, "
	  "found \"1ms\"\n" },
	{ "no end of waiting", TOP "initrd: {timeout: 2d}\n" APPS APP,
	  "c:2: initrd.timeout: expected a duration (a number with us, ms, s, m, h, d) from 1s to "
	  "1d, found \"2d\"\n" },
	{ "no attempt", TOP "initrd: {attempts: 0}\n" APPS APP,
	  "c:2: initrd.attempts: expected a whole number from 1 to 100, found \"0\"\n" },
	{ "going on after a failure", TOP "initrd: {on_failure: continue}\n" APPS APP,
	  "c:2: initrd.on_failure: expected one of poweroff, reboot, shell, found \"continue\"\n" },
	{ "a root of no file system", TOP "initrd: {root: {device: d, type: a/b}}\n" APPS APP,
	  "c:2: initrd.root.device: expected an absolute path, found \"d\"\n"
	  "c:2: initrd.root.type: expected the name of a file system (ext4), found \"a/b\"\n" },
	{ "a relative program", TOP APPS "- name: a\n  exec: [a, b]\n",
	  "c:4: applications[0].exec[0]: expected an absolute path, found \"a\"\n" },
	{ "two of one name", TOP APPS APP APP,
	  "c:5: applications[1].name: expected another name, found \"a\" again\n" },
	{ "a name that leads elsewhere", TOP APPS "- name: ../a\n  exec: [/a]\n",
	  "c:3: applications[0].name: expected 1 to 64 letters, digits, '.', '_', '-', found "
	  "\"../a\"\n" },
	{ "a wrong key", TOP APPS APP "  exce: [/b]\n",
	  "c:5: applications[0].exce: expected one of the keys name, exec, image, unit, disk, "
	  "directory, user, group, set_environment, measure, measurement, files, logs, environment, storage, "
	  "time_nodes, stages, deliver, on_refusal, restart, found \"exce\"\n" },
	{ "nothing measured", TOP APPS APP "  measure: {static: false, dynamic: false}\n",
	  "c:5: applications[0].measure: expected static or dynamic to be true, found neither\n" },
	{ "yes for true", TOP APPS APP "  measure: {static: yes}\n",
	  "c:5: applications[0].measure.static: expected one of false, true, found \"yes\"\n" },
	{ "relative paths, each in its place",
	  TOP APPS APP "  files: [/f, f]\n  storage: [s]\n  directory: d\n"
		       "  logs:\n  - {file: l, match: x}\n",
	  "c:7: applications[0].directory: expected an absolute path, found \"d\"\n"
	  "c:5: applications[0].files[1]: expected an absolute path, found \"f\"\n"
	  "c:6: applications[0].storage[0]: expected an absolute path, found \"s\"\n"
	  "c:9: applications[0].logs[0].file: expected an absolute path, found \"l\"\n" },
	{ "a pattern that is none", TOP APPS APP "  logs: [{file: /l, match: \"a(\"}]\n",
	  "c:5: applications[0].logs[0].match: expected an extended regular expression, found: "
	  "Unmatched ( or \\(\n" },
	{ "a variable that is none", TOP APPS APP "  set_environment:\n    A=B: c\n    D: [e]\n",
	  "c:6: applications[0].set_environment: expected the name of a variable, found \"A=B\"\n"
	  "c:7: applications[0].set_environment: expected text, found a list\n" },
	{ "too often", TOP APPS APP "  time_nodes:\n  - {every: 9ms}\n",
	  "c:6: applications[0].time_nodes[0].every: expected a duration (a number with us, ms, s, "
	  "m, h, d) of at least 10ms, found \"9ms\"\n" },
	{ "more jitter than time", TOP APPS APP "  time_nodes: [{every: 1s, jitter: 2s}]\n",
	  "c:5: applications[0].time_nodes[0].jitter: expected a duration (a number with us, ms, "
	  "s, "
	  "m, h, d) not longer than every, found \"2s\"\n" },
	{ "two occasions in one", TOP APPS APP "  time_nodes: [{at: start, every: 1s}]\n",
	  "c:5: applications[0].time_nodes[0]: expected one of at, every, daily, time, on, found 2 "
	  "of them\n" },
	{ "no occasion", TOP APPS APP "  time_nodes: [{report: each}]\n",
	  "c:5: applications[0].time_nodes[0]: expected one of at, every, daily, time, on, found 0 "
	  "of them\n" },
	{ "another start", TOP APPS APP "  time_nodes: [{at: end}]\n",
	  "c:5: applications[0].time_nodes[0].at: expected \"start\", found \"end\"\n" },
	{ "an hour that does not exist", TOP APPS APP "  time_nodes: [{daily: \"24:00\"}]\n",
	  "c:5: applications[0].time_nodes[0].daily: expected a time of day (\"02:00\" or "
	  "\"02:00:30\"), found \"24:00\"\n" },
	{ "an event that does not exist",
	  TOP APPS APP "  time_nodes: [{on: event, of: [exec, reboot]}]\n",
	  "c:5: applications[0].time_nodes[0].of[1]: expected one of exec, listen, connect, exit, "
	  "foreign_access, wx_memory, file_changed, found \"reboot\"\n" },
	{ "a second connection where the verifier dials",
	  "verifier: {listen: \"0.0.0.0:1\", ca: /ca, name: v}\nmi_channel: separate\n" APPS APP,
	  "c:2: mi_channel: expected same where the verifier dials (verifier.listen), found "
	  "separate\n" },
	{ "something that cannot be protected", "protect: [self, kernel]\n" TOP APPS APP,
	  "c:1: protect[1]: expected one of self, files, chip, found \"kernel\"\n" },
	{ "protection of nothing", "protect_required: true\n" TOP APPS APP,
	  "c:1: protect: expected self, files or chip beside \"protect_required: true\", found "
	  "nothing\n" },
	{ "repetitions that would multiply",
	  TOP APPS APP "  logs: [{file: /l, match: \"(((((((((a+)+)+)+)+)+)+)+)+)\"}]\n",
	  "c:5: applications[0].logs[0].match: expected at most 8 repetitions (+ and {}) in 1024 "
	  "bytes, found 9 in 28\n" },
	{ "an event without a name", TOP APPS APP "  time_nodes: [{on: event}]\n",
	  "c:5: applications[0].time_nodes[0].of: expected the names of events, found nothing\n" },
	{ "events of another occasion", TOP APPS APP "  time_nodes: [{on: demand, of: [exec]}]\n",
	  "c:5: applications[0].time_nodes[0].of: expected it beside \"on: event\", found "
	  "\"exec\"\n" },
	{ "a demand that waits for others",
	  TOP APPS APP "  time_nodes: [{on: demand, report: every 2}]\n",
	  "c:5: applications[0].time_nodes[0].report: expected \"each\" for stage and demand, "
	  "found "
	  "\"every 2\"\n" },
	{ "a stage node without stages", TOP APPS APP "  time_nodes: [{on: stage}]\n",
	  "c:5: applications[0].time_nodes[0]: expected stages of the application, found none\n" },
	{ "time nodes that nothing is done at",
	  TOP APPS APP "  measure: {dynamic: false}\n  time_nodes: [{at: start}]\n",
	  "c:6: applications[0].time_nodes: expected none without dynamic measurement, found 1\n" },
	{ "a stage past the stages", TOP APPS APP "  stages: 2\n  deliver: {stage_3: socket}\n",
	  "c:6: applications[0].deliver: expected \"others\" or \"stage_N\" with N from 1 to 2, "
	  "found "
	  "\"stage_3\"\n" },
	{ "a way of delivery that does not exist",
	  TOP APPS APP "  stages: 1\n  deliver: {stage_1: mail}\n",
	  "c:6: applications[0].deliver: expected one of socket, credential, environment, "
	  "argument, "
	  "systemd, found \"mail\"\n" },
	{ "an environment set while it runs",
	  TOP APPS APP "  stages: 2\n  deliver: {stage_2: environment}\n",
	  "c:6: applications[0].deliver: expected socket, credential or systemd after stage 1, "
	  "found "
	  "\"environment\"\n" },
	{ "the same by what is left",
	  TOP APPS APP "  stages: 2\n  deliver: {others: environment}\n",
	  "c:6: applications[0].deliver: expected socket, credential or systemd after stage 1, "
	  "found "
	  "another for stage 2\n" },
	{ "an argument without its place",
	  TOP APPS APP "  stages: 1\n  deliver: {stage_1: argument}\n",
	  "c:6: applications[0].deliver: expected {secret:NAME} in exec for a secret as an "
	  "argument, "
	  "found none\n" },
	{ "a place without its argument", TOP APPS "- name: a\n  exec: [/a, \"{secret:k}\"]\n",
	  "c:4: applications[0].exec: expected a stage delivered as argument for {secret:NAME}, "
	  "found none\n" },
	{ "too many stages", TOP APPS APP "  stages: 4097\n",
	  "c:5: applications[0].stages: expected a whole number from 0 to 4096, found \"4097\"\n" },
	{ "what is done on refusal", TOP APPS APP "  on_refusal: ignore\n",
	  "c:5: applications[0].on_refusal: expected one of withhold, freeze, stop, kill, found "
	  "\"ignore\"\n" },
};

static void the_initrd_and_its_disks_can_be_said(void **state)
{
	static const char *const luks[] = {
		"/usr/sbin/cryptsetup", "open", "--type", "luks2", "--key-file", "-",
		"--batch-mode", "--tries", "1", "/dev/vda2", "root", NULL,
	};
	static const char *const verity[] = { "/usr/sbin/veritysetup", "open", "/dev/vdb", "usr",
					      "/dev/vdc", "00112233445566778899aabbccddeeff", NULL };
	static const char text[] = TOP
		"initrd:\n  modules: [virtio_net, /lib/x.ko]\n  modules_file: /etc/assay/modules\n"
		"  network: {interface: eth0, address: \"fd00::15/64\", gateway: \"fd00::1\"}\n"
		"  wait: 5s\n  timeout: 2m\n  attempts: 7\n  on_failure: reboot\n"
		"  root: {device: /dev/mapper/root, type: ext4, writable: true, init: /lib/init}\n"
		APPS "- {name: a, disk: {luks: /dev/vda2, name: root}, files: [/etc/assay]}\n"
		     "- name: b\n  disk: {verity: /dev/vdb, hash: /dev/vdc, name: usr, root_hash: "
		     "\"00112233445566778899aabbccddeeff\"}\n"
		     "- {name: c, unit: nginx.service, files: [/usr/sbin/nginx], stages: 1, deliver: "
		     "{stage_1: systemd}}\n";
	struct config *c = parsed("text", view_text(text));
	const struct config_application *a = c->applications;

	(void)state;
	assert_string_equal(c->initrd.modules[1], "/lib/x.ko");
	assert_null(c->initrd.modules[2]);
	assert_string_equal(c->initrd.modules_file, "/etc/assay/modules");
	assert_string_equal(c->initrd.network.interface, "eth0");
	assert_string_equal(c->initrd.network.address, "fd00::15/64");
	assert_string_equal(c->initrd.network.gateway, "fd00::1");
	assert_int_equal(c->initrd.wait_ns, UINT64_C(5000000000));
	assert_int_equal(c->initrd.timeout_ns, UINT64_C(120000000000));
	assert_int_equal(c->initrd.attempts, 7);
	assert_int_equal(c->initrd.on_failure, FAILURE_REBOOT);
	assert_string_equal(c->initrd.root.device, "/dev/mapper/root");
	assert_string_equal(c->initrd.root.type, "ext4");
	assert_true(c->initrd.root.writable);
	assert_string_equal(c->initrd.root.init, "/lib/init");

	assert_int_equal(a[0].disk.kind, DISK_LUKS);
	for (size_t i = 0; i < ARRAY_LEN(luks); i++) {
		if (luks[i])
			assert_string_equal(a[0].exec[i], luks[i]);
		else
			assert_null(a[0].exec[i]);
	}
	assert_true(a[0].measure_static);
	assert_false(a[0].measure_dynamic);
	assert_int_equal(a[0].n_nodes, 0);
	assert_int_equal(a[0].stages, 1);
	assert_int_equal(config_deliver_of(&a[0], 1), DELIVER_DISK);
	/* What opens it is measured with what is listed. */
	assert_string_equal(a[0].target.files[1], "/usr/sbin/cryptsetup");

	assert_int_equal(a[1].disk.kind, DISK_VERITY);
	for (size_t i = 0; i < ARRAY_LEN(verity) && verity[i]; i++)
		assert_string_equal(a[1].exec[i], verity[i]);
	assert_int_equal(a[1].stages, 0);

	assert_string_equal(a[2].unit, "nginx.service");
	assert_null(a[2].exec);
	assert_int_equal(a[2].target.n_files, 1);
	assert_int_equal(config_deliver_of(&a[2], 1), DELIVER_SYSTEMD);
	config_free(c);

	c = parsed("text",
		   view_text(TOP "initrd: {root: {device: /d, type: ext4}}\n" APPS APP));
	assert_false(c->initrd.root.writable);
	assert_string_equal(c->initrd.root.init, "/sbin/init");
	config_free(c);
}

static void wrong_configurations_are_refused_with_their_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config *c = NULL;
		char *error = NULL;
		int r;

		r = config_parse(view_text(cases[i].text), "c", &c, &error);
		if (r != -EINVAL || c || !error)
			fail_msg("%s: %d", cases[i].what, r);
		if (strcmp(error, cases[i].problems) != 0)
			fail_msg("%s:\n%s", cases[i].what, error);
		free(error);
	}
}

static void too_many_applications_are_refused(void **state)
{
	struct bytes text = BYTES_INIT(65536);
	struct config *c = NULL;
	char *error = NULL;

	(void)state;
	assert_int_equal(bytes_append_text(&text, TOP APPS), 0);
	for (int i = 0; i <= CONFIG_APPLICATIONS; i++)
		assert_int_equal(bytes_printf(&text, "- {name: a%d, exec: [/a]}\n", i), 0);
	assert_int_equal(config_parse(bytes_view(&text), "c", &c, &error), -EINVAL);
	assert_string_equal(error, "c:67: applications: expected at most 64 entries, found more\n");
	free(error);
	bytes_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documented_configuration_is_one),
		cmocka_unit_test(defaults_are_the_documented_ones),
		cmocka_unit_test(every_key_can_be_said),
		cmocka_unit_test(the_initrd_and_its_disks_can_be_said),
		cmocka_unit_test(wrong_configurations_are_refused_with_their_lines),
		cmocka_unit_test(too_many_applications_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
