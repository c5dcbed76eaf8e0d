/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/endorsement_scene.h"
#include "tests/support/snp_fixture.h"

/*
 * `assay endorsements` as its users meet it, and a KDS of our own on loopback. The fixture's
 * certificates are of 2026 to 2033, so that times are given where they matter.
 */

#define NOW " --at " SNP_FIXTURE_NOW
#define HEX64                                                                                      \
	"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"                         \
	"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
#define VCEK  "/vcek/v1/Milan/" HEX64 "?blSPL=04&teeSPL=01&snpSPL=23&ucodeSPL=213"
#define CHAIN "/vcek/v1/Milan/cert_chain"
#define CRL   "/vcek/v1/Milan/crl"

static struct snp_fixture_keys keys;

struct scene {
	struct endorsement_scene at;
	struct snp_fixture amd;
};

static void expect(const struct scene *s, int status, const char *command)
{
	endorsement_scene_expect(&s->at, status, command);
}

static void answer(const struct scene *s, const char *answers)
{
	endorsement_scene_answer(&s->at, answers);
}

static void write_x509(const struct scene *s, const char *name, X509 *x)
{
	unsigned char *der = NULL;
	int len = i2d_X509(x, &der);

	endorsement_scene_write(&s->at, name, view_of(der, (size_t)len));
	OPENSSL_free(der);
}

static void write_crl(struct scene *s, const char *name, X509 *revoked, const char *until)
{
	X509_CRL *crl = snp_fixture_crl(&s->amd, revoked);
	unsigned char *der = NULL;
	ASN1_TIME *t;
	int len;

	if (until) {
		t = ASN1_TIME_new();
		assert_int_equal(ASN1_TIME_set_string_X509(t, until), 1);
		assert_int_equal(X509_CRL_set1_nextUpdate(crl, t), 1);
		ASN1_TIME_free(t);
	}
	len = i2d_X509_CRL(crl, &der);
	endorsement_scene_write(&s->at, name, view_of(der, (size_t)len));
	OPENSSL_free(der);
	X509_CRL_free(crl);
}

#define GOOD                                                                                       \
	"\"" VCEK "\": {\"file\": \"vcek.der\"}, \"" CHAIN "\": {\"file\": \"chain.pem\"},"        \
	"\"" CRL "\": {\"file\": \"crl.der\"}"

static int scene_open(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	endorsement_scene_open(&s->at);
	snp_fixture_init(&s->amd, &keys, "Milan");
	snp_fixture_certify(&s->amd, &s->amd.vcek);
	snp_fixture_sign(&s->amd, s->amd.vcek.key);
	endorsement_scene_write(&s->at, "report.bin",
				view_of(s->amd.report, sizeof(s->amd.report)));
	write_x509(s, "vcek.der", s->amd.vcek.x);
	write_x509(s, "ask.der", s->amd.ask);
	write_x509(s, "ark.der", s->amd.ark);
	write_crl(s, "crl.der", NULL, NULL);
	write_crl(s, "ended.der", NULL, "20260201000000Z");
	expect(s, 0,
	       "(openssl x509 -inform DER -in DIR/ask.der; openssl x509 -inform DER -in "
	       "DIR/ark.der)"
	       " >DIR/chain.pem");
	answer(s, GOOD);
	endorsement_scene_serve(&s->at);
	*state = s;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *s = *state;

	snp_fixture_done(&s->amd);
	endorsement_scene_close(&s->at);
	free(s);
	return 0;
}

static void files_are_put_in_listed_and_checked(void **state)
{
	struct scene *s = *state;

	expect(s, 0,
	       "assay endorsements import DIR/vcek.der DIR/chain.pem DIR/crl.der --store DIR/store"
	       " --json" NOW " | grep -q '\"added\": 4'");
	expect(s, 0,
	       "assay endorsements import DIR/vcek.der DIR/chain.pem --store DIR/store --json" NOW
	       " | grep -q '\"known\": 3'");
	/* The store has them as its own files, and OpenSSL reads these. */
	expect(s, 0,
	       "for f in DIR/store/sev-snp/*.der; do"
	       " [ $(sha256sum <$f | cut -c1-64).der = $(basename $f) ] || exit 1; done");
	expect(s, 0,
	       "assay endorsements list --store DIR/store" NOW " | grep -q '^sev-snp  VCEK of "
	       "Milan .* in force .* chip 5a5a5a5a5a5a5a5a... *tcb 04010000000017d5'");
	expect(s, 0,
	       "assay endorsements list --store DIR/store --json" NOW
	       " | python3 -c 'import json,sys; j=json.load(sys.stdin);"
	       " assert len(j[\"endorsements\"]) == j[\"count\"] == 4;"
	       " assert all(e[\"state\"] == \"in force\" for e in j[\"endorsements\"])'");
	expect(s, 0, "assay endorsements check --store DIR/store" NOW " >DIR/out");
	/* Later the list has ended, and the check says so. */
	expect(s, 1,
	       "assay endorsements check --store DIR/store --at 2034-01-01T00:00:00Z >DIR/out");
	expect(s, 0, "grep -q 'revocation list of ARK-Milan *expired' DIR/out");
	/* A bit. */
	expect(s, 0,
	       "f=$(ls DIR/store/sev-snp/* | head -1); printf '\\001' |"
	       " dd of=$f bs=1 seek=90 conv=notrunc status=none");
	expect(s, 1, "assay endorsements check --store DIR/store" NOW " >DIR/out 2>&1");
	expect(s, 0, "grep -q '1 damaged' DIR/out");
}

static void a_folder_and_a_bundle_are_put_in(void **state)
{
	struct scene *s = *state;

	expect(s, 0,
	       "mkdir DIR/in && cp DIR/vcek.der DIR/chain.pem DIR/crl.der DIR/ended.der DIR/in"
	       " && echo nothing >DIR/in/README");
	expect(s, 0,
	       "assay endorsements import DIR/in --store DIR/one --json" NOW
	       " 2>DIR/err | grep -q '\"left_out\": 2'");
	/* A list that has ended is not put in, whoever hands it in. */
	expect(s, 0, "grep -q 'ended.der: left out: revocation list' DIR/err");
	expect(s, 0, "tar -C DIR/one -cf DIR/bundle.tar .");
	expect(s, 0,
	       "assay endorsements import DIR/bundle.tar --store DIR/two --json" NOW
	       " | grep -q '\"added\": 4'");
	expect(s, 0,
	       "assay endorsements import DIR/one --store DIR/three --json" NOW
	       " | grep -q '\"added\": 4'");
	expect(s, 0, "diff -r DIR/one DIR/two && diff -r DIR/one DIR/three");
}

static void wrong_use_and_wrong_files_are_told(void **state)
{
	struct scene *s = *state;

	expect(s, 2, "assay endorsements import --store DIR/store 2>DIR/err");
	expect(s, 2, "assay endorsements import DIR/vcek.der --at soon 2>DIR/err");
	expect(s, 3, "assay endorsements import DIR/nothing --store DIR/store 2>DIR/err");
	expect(s, 1, "assay endorsements import DIR/report.bin --store DIR/store 2>DIR/err");
	expect(s, 0, "grep -q 'neither endorsements nor a bundle' DIR/err");
	expect(s, 2, "assay endorsements list everything 2>DIR/err");
	expect(s, 2, "assay endorsements fetch 2>DIR/err");
	expect(s, 1, "assay endorsements fetch DIR/vcek.der --store DIR/store 2>DIR/err");
	expect(s, 0, "assay endorsements list --store DIR/nothing --json | grep -q '\"count\": 0'");
}

#define FETCH                                                                                      \
	"assay endorsements fetch DIR/report.bin --amd-kds KDS --store DIR/store --cache "         \
	"DIR/cache"

static void what_a_report_takes_is_fetched_once(void **state)
{
	struct scene *s = *state;

	expect(s, 0, FETCH " --allow-http --json >DIR/out");
	expect(s, 0, "grep -q '\"added\": 4' DIR/out");
	expect(s, 0, "[ $(wc -l <DIR/requests) = 3 ]");
	/* From the cache, for a day at most. */
	expect(s, 0, FETCH " --allow-http --json >DIR/out");
	expect(s, 0, "grep -q '\"known\": 4' DIR/out && grep -q 'from the cache' DIR/out");
	expect(s, 0, "[ $(wc -l <DIR/requests) = 3 ]");
	/* A cache that somebody wrote to is none. */
	expect(s, 0, "for f in DIR/cache/*; do echo '{}' >$f; done");
	expect(s, 0, FETCH " --allow-http >DIR/out");
	expect(s, 0, "[ $(wc -l <DIR/requests) = 6 ]");
	/* HTTPS unless said otherwise. */
	expect(s, 0, "rm -r DIR/cache");
	expect(s, 3, FETCH " 2>DIR/err >DIR/out");
	expect(s, 0, "[ $(wc -l <DIR/requests) = 6 ]");
	expect(s, 0, FETCH " --dry-run --json | grep -q 'ucodeSPL=213\": \"not asked\"'");
}

static void a_service_that_is_busy_is_given_time(void **state)
{
	struct scene *s = *state;

	answer(s, "\"" VCEK "\": {\"file\": \"vcek.der\", \"busy\": 2, \"retry_after\": \"1\"},"
		  "\"" CHAIN "\": {\"file\": \"chain.pem\", \"busy\": 1}, \"" CRL
		  "\": {\"file\": \"crl.der\"}");
	expect(s, 0, FETCH " --allow-http >DIR/out 2>DIR/err");
	expect(s, 0, "[ $(wc -l <DIR/requests) = 6 ] && [ $(grep -c 'waiting' DIR/err) = 3 ]");
	/* Not longer than allowed. */
	answer(s,
	       "\"" CHAIN "\": {\"file\": \"chain.pem\", \"busy\": 9, \"retry_after\": \"3600\"}");
	expect(s, 0, "rm -r DIR/cache DIR/requests");
	expect(s, 3, FETCH " --allow-http --max-wait 5 >DIR/out 2>DIR/err");
	expect(s, 0,
	       "grep -q 'cert_chain: the service answers 429 and asks to wait 3600 s' DIR/err");
	expect(s, 0, "grep -q 'crl: the service answers 404' DIR/err");
}

static void a_list_is_not_used_past_its_end(void **state)
{
	struct scene *s = *state;

	/* A service that hands out an old list: not put in. */
	answer(s,
	       "\"" VCEK "\": {\"file\": \"vcek.der\"}, \"" CHAIN "\": {\"file\": \"chain.pem\"},"
	       "\"" CRL "\": {\"file\": \"ended.der\"}");
	expect(s, 0, FETCH " --allow-http --json >DIR/out 2>DIR/err");
	expect(s, 0, "grep -q '\"left_out\": 1' DIR/out && grep -q 'not in force' DIR/err");
	/* The cache has it, which is fresh; asked for again, since what is in it has ended. */
	answer(s, GOOD);
	expect(s, 0, FETCH " --allow-http --json >DIR/out 2>DIR/err");
	expect(s, 0, "grep -q '\"added\": 1' DIR/out");
	expect(s, 0, "[ $(grep -c '/crl$' DIR/requests) = 2 ]");
}

static void answers_that_are_none_are_refused(void **state)
{
	static const struct {
		const char *answer, *words;
	} cases[] = {
		{ "{\"size\": 2000000}", "larger than an endorsement may be" },
		{ "{\"size\": 100}", "neither certificates" },
		{ "{\"status\": 500}", "answers 500" },
		{ "{\"status\": 302, \"headers\": {\"Location\": \"/vcek\"}}", "answers 302" },
	};
	struct scene *s = *state;
	char text[1024];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text),
			 "\"" VCEK "\": %s, \"" CHAIN "\": {\"file\": \"chain.pem\"},"
			 "\"" CRL "\": {\"file\": \"crl.der\"}",
			 cases[i].answer);
		answer(s, text);
		expect(s, 0, "rm -rf DIR/cache DIR/store");
		expect(s, 3, FETCH " --allow-http --json >DIR/out 2>DIR/err");
		snprintf(text, sizeof(text), "grep -q '%s' DIR/err", cases[i].words);
		expect(s, 0, text);
		/* The rest is there all the same. */
		expect(s, 0, "grep -q '\"added\": 3' DIR/out");
	}
}

static int set_up(void **state)
{
	(void)state;
	snp_fixture_make_keys(&keys);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	snp_fixture_free_keys(&keys);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		TEST(files_are_put_in_listed_and_checked),
		TEST(a_folder_and_a_bundle_are_put_in),
		TEST(wrong_use_and_wrong_files_are_told),
		TEST(what_a_report_takes_is_fetched_once),
		TEST(a_service_that_is_busy_is_given_time),
		TEST(a_list_is_not_used_past_its_end),
		TEST(answers_that_are_none_are_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
