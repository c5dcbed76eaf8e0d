/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log.h"
#include "tests/unit/documented.h"
#include "verifier/config.h"

static struct verifier_config *parsed(const char *what, struct view text)
{
	struct verifier_config *c = NULL;
	char *error = NULL;
	int r;

	r = verifier_config_parse(text, what, &c, &error);
	if (r < 0)
		fail_msg("%s: %d %s", what, r, error ? error : "");
	return c;
}

static void the_documented_configuration_is_one(void **state)
{
	struct verifier_config *c;
	struct bytes text;

	(void)state;
	assert_int_equal(
		documented("packaging/man/assay-verifierd.yaml.5", ".Bd -literal", ".Ed", &text),
		0);
	c = parsed("assay-verifierd.yaml.5", bytes_view(&text));
	assert_string_equal(c->listen, "0.0.0.0:7443");
	assert_string_equal(c->certificate, "verifier.pem");
	assert_string_equal(c->key, "verifier.key");
	assert_int_equal(c->n_secrets, 2);
	assert_string_equal(c->secrets[1].name, "block-2-key");
	assert_string_equal(c->secrets[1].file, "secrets/block-2.key");
	assert_int_equal(c->n_policies, 2);
	assert_string_equal(c->policies[1], "web.yaml");
	assert_int_equal(c->nonce_valid_ns, UINT64_C(60000000000));
	assert_int_equal(c->sessions_max, 256);
	verifier_config_free(c);
	bytes_done(&text);
}

#define TOP "certificate: c\nkey: k\npolicies: [p]\n"

static void defaults_are_the_documented_ones(void **state)
{
	struct verifier_config *c = parsed("text", view_text(TOP));

	(void)state;
	assert_string_equal(c->listen, "0.0.0.0:7443");
	assert_int_equal(c->n_dial, 0);
	assert_string_equal(c->store, "/var/lib/assay-verifierd/assay.db");
	assert_int_equal(c->n_secrets, 0);
	assert_null(c->secrets_directory);
	assert_string_equal(c->user, "_assay-verifier");
	assert_string_equal(c->control_socket, "/run/assay-verifierd/control.sock");
	assert_int_equal(c->nonce_valid_ns, UINT64_C(60000000000));
	assert_int_equal(c->sessions_max, 256);
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_null(c->endorsements_directory);
	assert_null(c->endorsements_bundle);
	assert_int_equal(c->n_test_roots, 0);
	verifier_config_free(c);

	c = parsed("text",
		   view_text(TOP "endorsements: {directory: d, bundle: b.tar}\n"
				 "test_roots: [r.pem, s.pem]\nallow_test_roots: true\n"));
	assert_string_equal(c->endorsements_directory, "d");
	assert_string_equal(c->endorsements_bundle, "b.tar");
	assert_int_equal(c->n_test_roots, 2);
	assert_string_equal(c->test_roots[1], "s.pem");
	verifier_config_free(c);

	c = parsed("text",
		   view_text(TOP "dial: [\"cvm.example:7444\", \"[::1]:7444\"]\n"
				 "secrets_directory: s\nstore: d\nuser: u\ncontrol_socket: /c\n"
				 "nonce_valid: 5s\nsessions: {max: 2}\nlog_level: debug\n"));
	assert_null(c->listen);
	assert_int_equal(c->n_dial, 2);
	assert_string_equal(c->dial[1], "[::1]:7444");
	assert_string_equal(c->secrets_directory, "s");
	assert_string_equal(c->user, "u");
	assert_int_equal(c->nonce_valid_ns, UINT64_C(5000000000));
	assert_int_equal(c->sessions_max, 2);
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	verifier_config_free(c);
}

static const struct {
	const char *what, *text, *problems;
} cases[] = {
	{ "a test root that nobody allowed", TOP "test_roots: [r.pem]\n",
	  "v:4: test_roots: expected allow_test_roots: true beside it, found none: with them "
	  "reports prove nothing\n" },
	{ "a test root that is not to be", TOP "test_roots: [r.pem]\nallow_test_roots: false\n",
	  "v:4: test_roots: expected allow_test_roots: true beside it, found none: with them "
	  "reports prove nothing\n" },
	{ "no certificate, no key, no policy", "listen: a:1\n",
	  "v:1: certificate: expected this key, found nothing\n"
	  "v:1: key: expected this key, found nothing\n"
	  "v:1: policies: expected this key, found nothing\n" },
	{ "no policy in the list", "certificate: c\nkey: k\npolicies: []\n",
	  "v:3: policies: expected at least 1 entries, found 0\n" },
	{ "a wrong key", TOP "listn: a:1\n",
	  "v:4: listn: expected one of the keys listen, dial, certificate, key, store, secrets, "
	  "secrets_directory, policies, endorsements, test_roots, allow_test_roots, user, "
	  "control_socket, nonce_valid, sessions, results, log_level, found \"listn\"\n" },
	{ "a listener without a port", TOP "listen: 0.0.0.0\n",
	  "v:4: listen: expected HOST:PORT, found \"0.0.0.0\"\n" },
	{ "an attester without a host", TOP "dial: [\":7444\", \"a:0\"]\n",
	  "v:4: dial[0]: expected HOST:PORT, found \":7444\"\n"
	  "v:4: dial[1]: expected HOST:PORT, found \"a:0\"\n" },
	{ "a secret twice",
	  TOP "secrets:\n- {name: a, file: f}\n- {name: b, file: f}\n- {name: a, file: g}\n",
	  "v:7: secrets[2].name: expected another name, found \"a\" again\n" },
	{ "a secret whose name is a path", TOP "secrets: [{name: a/b, file: f}]\n",
	  "v:4: secrets[0].name: expected 1 to 64 letters, digits, '.', '_', '-', found "
	  "\"a/b\"\n" },
	{ "a secret without a file", TOP "secrets: [{name: a}]\n",
	  "v:4: secrets[0].file: expected this key, found nothing\n" },
	{ "a nonce that never ends", TOP "nonce_valid: 2h\n",
	  "v:4: nonce_valid: expected a duration (a number with us, ms, s, m, h, d), at most an "
	  "hour, "
	  "found \"2h\"\n" },
	{ "no session at all", TOP "sessions: {max: 0}\n",
	  "v:4: sessions.max: expected a whole number from 1 to 65536, found \"0\"\n" },
};

static void wrong_configurations_are_refused_with_their_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct verifier_config *c = NULL;
		char *error = NULL;
		int r;

		r = verifier_config_parse(view_text(cases[i].text), "v", &c, &error);
		if (r != -EINVAL || c || !error)
			fail_msg("%s: %d", cases[i].what, r);
		if (strcmp(error, cases[i].problems) != 0)
			fail_msg("%s:\n%s", cases[i].what, error);
		free(error);
	}
}

static void relative_names_belong_to_the_folder(void **state)
{
	static const struct {
		const char *directory, *name, *path;
	} names[] = {
		{ "/etc/assay", "p.yaml", "/etc/assay/p.yaml" },
		{ "/etc/assay", "/p.yaml", "/p.yaml" },
		{ ".", "a/p.yaml", "./a/p.yaml" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *path = config_path(names[i].directory, names[i].name);

		assert_string_equal(path, names[i].path);
		free(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documented_configuration_is_one),
		cmocka_unit_test(defaults_are_the_documented_ones),
		cmocka_unit_test(wrong_configurations_are_refused_with_their_lines),
		cmocka_unit_test(relative_names_belong_to_the_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
