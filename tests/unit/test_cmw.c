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
#include "tests/support/alone_try.h"
#include "tests/support/cca_fixture.h"
#include "tests/support/shared_evidence.h"

/* Wrappers: read, made, refused; and evidence in them judged as it is without. */

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)

#define AT	  "2026-03-20T00:00:00Z"
#define BYTES_MAX 64
#define WRAP_MAX  (256 * 1024)
#define RECORD	  "8263612f624101" /* ["a/b", h'01'] */

static const struct {
	const char *what, *hex;
	int n; /* messages; -1: refused */
	const char *why;
} wrappers[] = {
	{ "a record", RECORD, 1, NULL },
	{ "a record by content format", "8219010741aa", 1, NULL },
	{ "a record with an indicator", "8363612f62410104", 1, NULL },
	{ "an indicator of two", "8363612f62410103", 1, NULL },
	{ "an indicator of none", "8363612f62410100", -1, "indicator" },
	{ "an indicator of a fifth bit", "8363612f62410110", -1, "indicator" },
	{ "a record of one", "8163612f62", -1, "[type, value]" },
	{ "a record of four", "8463612f6241010400", -1, "[type, value]" },
	{ "a type that is no media type", "8261614101", -1, "[type, value]" },
	{ "a tunnel of JSON", "826f23636d772d6a32632d74756e6e656c4101", -1, "[type, value]" },
	{ "a content format of 17 bits", "821a000100004101", -1, "[type, value]" },
	{ "a value that is text", "8263612f626101", -1, "[type, value]" },
	{ "bytes behind it", RECORD "00", -1, "behind" },
	{ "a tag: content format 30001", "da637476a741aa", 1, NULL },
	{ "a tag before those of content formats", "da6374010041aa", -1, "content format" },
	{ "a tag that is left out", "da6374020041aa", -1, "content format" },
	{ "a tag behind those of content formats", "da6375000041aa", -1, "content format" },
	{ "a collection", "a26161" RECORD "01" RECORD, 2, NULL },
	{ "a collection with a type", "a2685f5f636d77635f7465613a623a636161" RECORD, 1, NULL },
	{ "a collection in another", "a16161a26162" RECORD "01" RECORD, 2, NULL },
	{ "a collection of nothing", "a0", -1, "nothing" },
	{ "a label twice", "a26161" RECORD "6161" RECORD, -1, "twice" },
	{ "a member that is none", "a1616100", -1, "no CMW" },
	{ "a number", "00", -1, "no CMW" },
	{ "nothing", "", -1, "no CMW" },
};

static void wrappers_are_read_or_refused(void **state)
{
	struct cmw_message m[CMW_MESSAGES_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrappers); i++) {
		uint8_t bytes[BYTES_MAX];
		size_t len = strlen(wrappers[i].hex) / 2, n = 0;
		const char *why = "";
		int r;

		assert_int_equal(hex_decode_exact(wrappers[i].hex, bytes, len), 0);
		r = cmw_read(view_of(bytes, len), m, &n, &why);
		if (wrappers[i].n < 0 ? r != -EBADMSG || !strstr(why, wrappers[i].why)
				      : r != 0 || n != (size_t)wrappers[i].n)
			fail_msg("%s: %d, %zu, %s", wrappers[i].what, r, n, why);
	}
}

/* RFC 9277, 4.3, both ends of its range and a format in it. */
static void tags_are_of_their_content_formats(void **state)
{
	static const struct {
		const char *hex;
		uint16_t format;
	} tags[] = {
		{ "da6374010141aa", 0 },
		{ "da637401ff41aa", 254 },
		{ "da6374020141aa", 255 },
		{ "da637476a741aa", 30001 },
		{ "da6374ffff41aa", 65024 },
	};
	struct cmw_message m[CMW_MESSAGES_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		uint8_t bytes[BYTES_MAX];
		size_t len = strlen(tags[i].hex) / 2, n;
		const char *why = "";

		assert_int_equal(hex_decode_exact(tags[i].hex, bytes, len), 0);
		if (cmw_read(view_of(bytes, len), m, &n, &why) != 0)
			fail_msg("%s: %s", tags[i].hex, why);
		assert_int_equal(m[0].format, tags[i].format);
		assert_int_equal(m[0].value.len, 1);
	}
}

static void a_collection_is_of_so_many(void **state)
{
	struct cmw_message m[CMW_MESSAGES_MAX];
	uint8_t deep[CMW_MESSAGES_MAX * 2 + 8];
	const char *why;
	size_t n;

	(void)state;
	/* Each in one before it: nothing recurses, and the number is bounded. */
	for (size_t i = 0; i < CMW_MESSAGES_MAX + 1; i++)
		memcpy(deep + 2 * i, "\xa1\x01", 2);
	assert_int_equal(cmw_read(view_of(deep, 2 * CMW_MESSAGES_MAX + 2), m, &n, &why), -EBADMSG);
}

static void what_is_made_is_read(void **state)
{
	static const struct cmw_message made[] = {
		{ .label = { (const uint8_t *)"one", 3 },
		  .type = { (const uint8_t *)"application/eat+cwt", 19 },
		  .value = { (const uint8_t *)"value", 5 },
		  .indicator = CMW_EVIDENCE },
		{ .label = { (const uint8_t *)"two", 3 },
		  .format = 263,
		  .value = { (const uint8_t *)"", 0 } },
	};
	CLEANUP(bytes_cleanup) struct bytes b = BYTES_INIT(WRAP_MAX);
	struct cmw_message m[CMW_MESSAGES_MAX];
	const char *why = "";
	size_t n;

	(void)state;
	assert_int_equal(cmw_write_collection(&b, made, 2), 0);
	if (cmw_read(bytes_view(&b), m, &n, &why) != 0)
		fail_msg("%s", why);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++) {
		assert_true(view_equal(m[i].label, made[i].label));
		assert_true(view_equal(m[i].type, made[i].type));
		assert_true(view_equal(m[i].value, made[i].value));
		assert_int_equal(m[i].format, made[i].format);
		assert_int_equal(m[i].indicator, made[i].indicator);
	}
	for (size_t len = 0; len < b.len; len++)
		assert_int_equal(cmw_read(view_of(b.data, len), m, &n, &why), -EBADMSG);
}

/* Evidence. */

static struct bytes in_record(struct view value, const char *type, uint32_t indicator)
{
	struct cmw_message m = { .type = view_text(type), .value = value, .indicator = indicator };
	struct bytes b = BYTES_INIT(WRAP_MAX);

	assert_int_equal(cmw_write(&b, &m), 0);
	return b;
}

static struct bytes in_collection(struct view report, struct view endorsement)
{
	struct cmw_message m[] = {
		{ .label = view_text("vcek"),
		  .type = view_text("application/pkix-cert"),
		  .value = endorsement,
		  .indicator = CMW_ENDORSEMENTS },
		{ .label = view_text("report"),
		  .type = view_text("application/octet-stream"),
		  .value = report,
		  .indicator = CMW_EVIDENCE },
	};
	struct bytes b = BYTES_INIT(WRAP_MAX);

	assert_int_equal(cmw_write_collection(&b, m, ARRAY_LEN(m)), 0);
	return b;
}

static struct bytes in_tsm_report(struct view report, const char *provider)
{
	struct tsm_report t = { .provider = view_text(provider), .outblob = report };
	struct bytes b = BYTES_INIT(WRAP_MAX);

	assert_int_equal(tsm_report_write(&b, &t), 0);
	return b;
}

static void judge(struct view file, const struct endorsements *e, struct alone_try *ret)
{
	const struct evidence_file files[] = { { "wrapped", file } };
	struct alone_try_in in = { .files = files, .n = 1, .endorsements = e, .at = AT };

	alone_try(&in, ret);
}

static void expect(const char *what, struct bytes *wrapped, const struct endorsements *e,
		   const char *platform, const char *rule, const char *seen)
{
	struct alone_try t;

	judge(bytes_view(wrapped), e, &t);
	if (platform && (!t.ops || strcmp(t.ops->platform, platform) != 0))
		fail_msg("%s: not found to be %s", what, platform);
	alone_try_expect(what, &t, rule ? EVIDENCE_INVALID : EVIDENCE_VALID, rule, seen);
	appraisal_done(&t.a);
	bytes_done(wrapped);
}

/* v3-genoa-tsm: "must pass"; the certificates are in what the kernel gave beside the report. */
static void what_a_kernel_gave_is_judged_with_its_certificates(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes tsm = BYTES_INIT(0), report = BYTES_INIT(0);
	CLEANUP(bytes_cleanup) struct bytes vcek = BYTES_INIT(0);
	struct bytes b;

	(void)state;
	shared_evidence_needed();
	tsm = shared_evidence("sev-snp", "v3-genoa-tsm.cbor");
	report = shared_evidence("sev-snp", "v3-genoa-tsm.report");
	vcek = shared_evidence("sev-snp", "v3-genoa-tsm.vcek.der");
	b = BYTES_INIT(WRAP_MAX);
	assert_int_equal(bytes_append_view(&b, bytes_view(&tsm)), 0);
	expect("as it is", &b, NULL, "sev-snp", NULL, NULL);
	b = in_record(bytes_view(&tsm), TSM_REPORT_MEDIA_TYPE, CMW_EVIDENCE);
	expect("in a record", &b, NULL, "sev-snp", NULL, NULL);
	b = in_record(bytes_view(&tsm), TSM_REPORT_MEDIA_TYPE, 0);
	expect("in a record without an indicator", &b, NULL, "sev-snp", NULL, NULL);
	b = in_record(bytes_view(&tsm), TSM_REPORT_MEDIA_TYPE, CMW_ATTESTATION_RESULTS);
	expect("said to be a result", &b, NULL, NULL, "evidence.format", "no report");
	b = in_collection(bytes_view(&tsm), bytes_view(&vcek));
	expect("in a collection", &b, NULL, "sev-snp", NULL, NULL);
	b = in_collection(bytes_view(&vcek), bytes_view(&report));
	expect("a report said to be an endorsement", &b, NULL, NULL, "evidence.format",
	       "no report");
	b = in_tsm_report(bytes_view(&report), "tdx_guest");
	expect("said to be of another driver", &b, NULL, NULL, "evidence.format",
	       "another platform's driver");
	b = in_tsm_report(bytes_view(&report), "sev_guest\n");
	expect("without its certificates", &b, NULL, "sev-snp", "evidence.certificate", "");
}

static void a_flipped_bit_of_what_is_wrapped_is_refused(void **state)
{
	CLEANUP(bytes_cleanup) struct bytes tsm = BYTES_INIT(0);

	(void)state;
	shared_evidence_needed();
	tsm = shared_evidence("sev-snp", "v3-genoa-tsm.cbor");
	/* The report comes behind the certificates; 672 bytes of it are signed. */
	for (size_t at = 6597; at < tsm.len; at += 97) {
		struct alone_try t;

		tsm.data[at] ^= 1;
		judge(bytes_view(&tsm), NULL, &t);
		if (t.verdict != EVIDENCE_INVALID && at < 6597 + 672)
			fail_msg("byte %zu", at);
		appraisal_done(&t.a);
		tsm.data[at] ^= 1;
	}
	for (size_t len = 0; len < tsm.len; len += 61) {
		CLEANUP(cleanup_mem) uint8_t *part = malloc(len + 1);
		struct alone_try t;

		assert_non_null(part);
		memcpy(part, tsm.data, len);
		judge(view_of(part, len), NULL, &t);
		assert_int_equal(t.verdict, EVIDENCE_INVALID);
		appraisal_done(&t.a);
	}
}

/* Of our own: CCA's token, which is in a collection of its own already. */
static void tokens_of_cca_are_judged_in_any_wrapper(void **state)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	CLEANUP(bytes_cleanup) struct bytes token = BYTES_INIT(0), pem = BYTES_INIT(0);
	struct cca_fixture f;
	struct bytes b;

	(void)state;
	cca_fixture_init(&f);
	assert_int_equal(endorsements_new(&e), 0);
	cca_fixture_endorse(&f, e);
	for (int wrapped = 0; wrapped < 2; wrapped++) {
		f.wrapped = wrapped;
		bytes_done(&token);
		cca_fixture_token(&f, &token);
		b = in_record(bytes_view(&token), "application/eat-collection", CMW_EVIDENCE);
		expect("in a record", &b, e, "cca", NULL, NULL);
		b = in_tsm_report(bytes_view(&token), "arm_cca_guest");
		expect("as a kernel gives it", &b, e, "cca", NULL, NULL);
	}
	/* A key that is wrapped with the token vouches for nothing. */
	cca_fixture_public_pem(f.cpak, &pem);
	b = in_collection(bytes_view(&token), bytes_view(&pem));
	expect("with its own key", &b, NULL, "cca", "evidence.platform_signature", "no key");
	cca_fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrappers_are_read_or_refused),
		cmocka_unit_test(tags_are_of_their_content_formats),
		cmocka_unit_test(a_collection_is_of_so_many),
		cmocka_unit_test(what_is_made_is_read),
		cmocka_unit_test(what_a_kernel_gave_is_judged_with_its_certificates),
		cmocka_unit_test(a_flipped_bit_of_what_is_wrapped_is_refused),
		cmocka_unit_test(tokens_of_cca_are_judged_in_any_wrapper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
