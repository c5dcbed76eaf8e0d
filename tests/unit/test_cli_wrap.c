/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "cmw.h"
#include "tests/support/endorsement_scene.h"
#include "tests/support/made_chip.h"
#include "tests/support/shared_evidence.h"

/* `assay evidence wrap`: what goes in is what comes out, and the verdict is the same. */

static void expect(const struct endorsement_scene *s, int status, const char *command)
{
	endorsement_scene_expect(s, status, command);
}

static int scene_open(void **state)
{
	struct endorsement_scene *s = malloc(sizeof(*s));

	assert_non_null(s);
	endorsement_scene_open(s);
	*state = s;
	return 0;
}

static int scene_close(void **state)
{
	endorsement_scene_close(*state);
	free(*state);
	return 0;
}

/* A chip's report as DIR/evidence/report, and what its maker says of it beside that. */
static void make_evidence(const struct endorsement_scene *s, const char *platform)
{
	struct bytes report = BYTES_INIT(64 * 1024), aux = BYTES_INIT(64 * 1024);
	struct made_chip *chip = made_chip_new(platform);
	uint8_t data[MADE_CHIP_DATA] = { 1, 2, 3 };
	char folder[300];

	expect(s, 0, "rm -rf DIR/evidence && mkdir DIR/evidence");
	made_chip_report(chip, data, &report, &aux);
	endorsement_scene_write(s, "evidence/report", bytes_view(&report));
	snprintf(folder, sizeof(folder), "%s/evidence", s->directory);
	made_chip_write(chip, folder);
	made_chip_free(chip);
	bytes_done(&report);
	bytes_done(&aux);
}

static struct bytes content(const struct endorsement_scene *s, const char *name)
{
	struct bytes b = BYTES_INIT(2 * CMW_BYTES_MAX);
	char path[300];
	FILE *f;
	int c;

	snprintf(path, sizeof(path), "%s/%s", s->directory, name);
	f = fopen(path, "r");
	assert_non_null(f);
	while ((c = getc(f)) != EOF)
		assert_int_equal(bytes_append_u8(&b, (uint8_t)c), 0);
	fclose(f);
	return b;
}

/*
 * Makers' roots are pinned in the program, so that the first two are refused for that alone; keys
 * of CCA platforms are whoever's judges trust.
 */
static const struct {
	const char *platform, *type, *provider, *trust;
	int status;
} rows[] = {
	{ "tdx", TSM_REPORT_MEDIA_TYPE, "tdx_guest", "", 1 },
	{ "csv", "", "", "", 1 },
	{ "cca", TSM_REPORT_MEDIA_TYPE, "arm_cca_guest", " -e DIR/evidence/root.pem", 0 },
};

static void a_report_in_a_record_is_what_it_was(void **state)
{
	struct endorsement_scene *s = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cmw_message m[CMW_MESSAGES_MAX];
		struct bytes made, report;
		struct tsm_report t;
		const char *why;
		size_t n;

		make_evidence(s, rows[i].platform);
		expect(s, 0, "assay evidence wrap DIR/evidence/report -o DIR/report.cmw");
		made = content(s, "report.cmw");
		report = content(s, "evidence/report");
		assert_int_equal(cmw_read(bytes_view(&made), m, &n, &why), 0);
		assert_int_equal(n, 1);
		assert_int_equal(m[0].indicator, CMW_EVIDENCE);
		assert_true(view_is(m[0].type, rows[i].type));
		if (*rows[i].provider) {
			assert_int_equal(tsm_report_read(m[0].value, &t), 0);
			assert_true(view_is(t.provider, rows[i].provider));
			assert_true(view_equal(t.outblob, bytes_view(&report)));
		} else {
			assert_int_equal(m[0].format, 42);
			assert_true(view_equal(m[0].value, bytes_view(&report)));
		}
		expect(s, 0, "assay evidence show DIR/evidence/report --json >DIR/bare");
		expect(s, 0, "assay evidence show DIR/report.cmw --json >DIR/wrapped");
		expect(s, 0,
		       "sed s/report.cmw/evidence.report/ DIR/wrapped >DIR/w && sed "
		       "s,evidence/report,evidence.report, DIR/bare | cmp - DIR/w");
		bytes_done(&made);
		bytes_done(&report);
	}
}

static void verify(const struct endorsement_scene *s, size_t row, const char *what, const char *to,
		   int status)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "assay evidence verify DIR/%s --json --at 2027-01-01T00:00:00Z%s >DIR/%s", what,
		 rows[row].trust, to);
	expect(s, status, command);
}

/* With its endorsements: one file for all, and the same reasons, but for how many were given. */
static void a_folder_in_a_collection_gets_the_same_verdict(void **state)
{
	struct endorsement_scene *s = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		make_evidence(s, rows[i].platform);
		expect(s, 0, "assay evidence wrap DIR/evidence >DIR/all.cmw");
		verify(s, i, "evidence", "bare", rows[i].status);
		verify(s, i, "all.cmw", "wrapped", rows[i].status);
		expect(s, 0,
		       "python3 -c 'import json,re,sys; a, b = (json.loads(re.sub(\"[0-9]+ (root "
		       ")?certif\","
		       " \"certif\", open(f).read())) for f in sys.argv[1:]); a.pop(\"file\", 0); "
		       "b.pop(\"file\", 0); assert a == b, (a, b);"
		       " assert len(a[\"report_data\"]) == 128' DIR/bare"
		       " DIR/wrapped");
		/* A bit of the report: seen in the wrapper as well. */
		expect(s, 0,
		       "python3 -c 'import sys; f = open(sys.argv[1], \"r+b\"); b = f.read();"
		       " at = b.index(open(sys.argv[2], \"rb\").read()[:400]) + 300;"
		       " f.seek(at); f.write(bytes([b[at] ^ 1]))' DIR/all.cmw DIR/evidence/report");
		verify(s, i, "all.cmw", "flipped", 1);
		expect(s, 0, "! cmp -s DIR/flipped DIR/wrapped");
	}
}

static void wrong_use_is_told(void **state)
{
	struct endorsement_scene *s = *state;

	make_evidence(s, "csv");
	expect(s, 2, "assay evidence wrap 2>DIR/err");
	expect(s, 3, "assay evidence wrap DIR/nothing 2>DIR/err");
	expect(s, 1, "assay evidence wrap DIR/evidence/root.cert -o DIR/out 2>DIR/err");
	expect(s, 0, "grep -q 'no evidence that is known' DIR/err && ! test -e DIR/out");
	expect(s, 0, "assay evidence wrap DIR/evidence/report -o DIR/out");
	expect(s, 2, "assay evidence wrap DIR/out -o DIR/again 2>DIR/err");
	expect(s, 0, "grep -q 'a CMW already' DIR/err && ! test -e DIR/again");
	expect(s, 0, "mkdir DIR/b && cp DIR/evidence/report DIR/b");
	expect(s, 2, "assay evidence wrap DIR/b/report DIR/evidence -o DIR/again 2>DIR/err");
	expect(s, 0, "grep -q 'another file has this name' DIR/err && ! test -e DIR/again");
	expect(s, 0, "for i in $(seq 40); do echo $i >DIR/b/$i; done");
	expect(s, 2, "assay evidence wrap DIR/b 2>DIR/err && grep -q 'at most 32' DIR/err");
	expect(s, 0, "rm DIR/b/? DIR/b/??; head -c 1100000 /dev/zero >DIR/b/large");
	expect(s, 3, "assay evidence wrap DIR/b -o DIR/again 2>DIR/err");
	expect(s, 0, "grep -q 'more than a CMW holds' DIR/err && ! test -e DIR/again");
}

static void lay_out(const struct endorsement_scene *s, const char *folder, const char *file,
		    const char *as)
{
	struct bytes b = shared_evidence(folder, file);

	endorsement_scene_write(s, as, bytes_view(&b));
	bytes_done(&b);
}

#define SET "tdx/collateral/2026-03_90c06f000000"

/* Genuine: a quote with all that its verdict takes, and a report with certificates. */
static void genuine_evidence_is_valid_in_one_file(void **state)
{
	struct endorsement_scene *s = *state;

	shared_evidence_needed();
	expect(s, 0, "mkdir DIR/tdx DIR/snp");
	lay_out(s, "tdx/quotes", "v5-td15-90c06f000000-uptodate.quote", "tdx/quote");
	lay_out(s, SET, "tcbinfo.json", "tdx/tcb");
	lay_out(s, SET, "qe_identity.json", "tdx/qe");
	lay_out(s, SET, "pck_platform_crl.der", "tdx/pck");
	lay_out(s, SET, "root_crl.der", "tdx/root");
	lay_out(s, "tdx/certs", "tcb-signing-chain-2025.pem", "tdx/signer");
	expect(s, 0, "assay evidence wrap DIR/tdx -o DIR/tdx.cmw");
	expect(s, 0, "assay evidence verify DIR/tdx.cmw --at 2026-03-20T00:00:00Z >DIR/out");
	expect(s, 0, "grep -q 'TCB status UpToDate' DIR/out");
	expect(s, 1, "assay evidence verify DIR/tdx.cmw --at 2026-06-01T00:00:00Z >DIR/out");

	lay_out(s, "sev-snp", "v3-milan-2026.report", "snp/report");
	lay_out(s, "sev-snp", "v3-milan-2026.vcek.der", "snp/vcek");
	lay_out(s, "sev-snp/certs", "milan-ask-ark-asvk.pem", "snp/chain");
	expect(s, 0, "assay evidence wrap DIR/snp -o DIR/snp.cmw");
	expect(s, 0, "assay evidence verify DIR/snp.cmw --at 2026-09-01T00:00:00Z >DIR/out");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		TEST(a_report_in_a_record_is_what_it_was),
		TEST(a_folder_in_a_collection_gets_the_same_verdict),
		TEST(wrong_use_is_told),
		TEST(genuine_evidence_is_valid_in_one_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
