/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "endorsements.h"
#include "verifier/pem.h"
#include "verifier/tdx_collateral.h"

/* Documents of Intel's form, made up; nobody signed them. */

#define SIGNATURE                                                                                  \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"                         \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SVNS16                                                                                     \
	"[{\"svn\":1},{\"svn\":2},{\"svn\":3},{\"svn\":4},{\"svn\":5},{\"svn\":6},{\"svn\":7},"    \
	"{\"svn\":8},{\"svn\":9},{\"svn\":10},{\"svn\":11},{\"svn\":12},{\"svn\":13},{\"svn\":14}" \
	","                                                                                        \
	"{\"svn\":15},{\"svn\":16}]"
#define ZERO48                                                                                     \
	"0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000" \
	"00"                                                                                       \
	"000000"
#define MODULE                                                                                     \
	"\"mrsigner\":\"" ZERO48                                                                   \
	"\",\"attributes\":\"0000000000000000\",\"attributesMask\":\"FFFFFFFFFFFFFFFF\""
#define LEVEL(tcb)                                                                                 \
	"{\"tcb\":{" tcb "},\"tcbDate\":\"2024-11-13T00:00:00Z\",\"tcbStatus\":\"UpToDate\","      \
	"\"advisoryIDs\":[\"INTEL-SA-1\"]}"
#define PLATFORM_TCB "\"sgxtcbcomponents\":" SVNS16 ",\"pcesvn\":11,\"tdxtcbcomponents\":" SVNS16
#define TCB_INFO                                                                                   \
	"{\"id\":\"TDX\",\"version\":3,\"issueDate\":\"2026-03-16T22:21:30Z\","                    \
	"\"nextUpdate\":\"2026-04-15T22:21:30Z\",\"fmspc\":\"90C06f000000\",\"pceId\":\"0000\","   \
	"\"tdxModule\":{" MODULE "},\"tdxModuleIdentities\":[{\"id\":\"TDX_01\"," MODULE           \
	",\"tcbLevels\":[" LEVEL("\"isvsvn\":2") "]}],\"tcbLevels\":[" LEVEL(PLATFORM_TCB) "]}"
#define DOCUMENT(name, object) "{\"" name "\":" object ",\"signature\":\"" SIGNATURE "\"}"
#define QE                                                                                         \
	"{\"id\":\"TD_QE\",\"version\":2,\"issueDate\":\"2026-03-16T22:16:03Z\","                  \
	"\"nextUpdate\":\"2026-04-15T22:16:03Z\",\"miscselect\":\"00000001\","                     \
	"\"miscselectMask\":\"FFFFFFFF\",\"attributes\":\"11000000000000000000000000000000\","     \
	"\"attributesMask\":\"FBFFFFFFFFFFFFFF0000000000000000\","                                 \
	"\"mrsigner\":\"DC9E2A7C6F948F17474E34A7FC43ED030F7C1563F1BABDDF6340C82E0E54A8C5\","       \
	"\"isvprodid\":2,\"tcbLevels\":[" LEVEL("\"isvsvn\":4") "]}"

static const char tcb_info[] = DOCUMENT("tcbInfo", TCB_INFO);
static const char qe_identity[] = DOCUMENT("enclaveIdentity", QE);

/* The text with the first `from` replaced by `to`. */
static char *changed(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *result;

	if (!at)
		fail_msg("the text has no %s", from);
	assert_true(asprintf(&result, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) >
		    0);
	return result;
}

static void what_they_say_is_read(void **state)
{
	struct tdx_tcb_info *t = NULL;
	struct tdx_qe_identity *q = NULL;
	const uint8_t none[TDX_SVNS] = { 0 }, one[TDX_SVNS] = { 5, 1 }, seven[TDX_SVNS] = { 5, 7 };
	const char *why = NULL;

	(void)state;
	assert_int_equal(tdx_tcb_info_read(view_text(tcb_info), &t, &why), 0);
	assert_memory_equal(t->fmspc, "\x90\xc0\x6f\0\0\0", 6);
	assert_int_equal(t->levels.n, 1);
	assert_int_equal(t->levels.at[0].sgx[15], 16);
	assert_int_equal(t->levels.at[0].tdx[0], 1);
	assert_int_equal(t->levels.at[0].svn, 11);
	assert_int_equal(t->levels.at[0].status, TDX_UP_TO_DATE);
	assert_int_equal(json_array_size(t->levels.at[0].advisories), 1);
	assert_ptr_equal(tdx_tcb_info_module(t, view_of(none, TDX_SVNS)), &t->module);
	assert_ptr_equal(tdx_tcb_info_module(t, view_of(one, TDX_SVNS)), &t->modules[0]);
	assert_null(tdx_tcb_info_module(t, view_of(seven, TDX_SVNS)));
	/* The signature is over these bytes and no others. */
	assert_true(view_is(t->doc.text.object, TCB_INFO));
	tdx_tcb_info_free(t);

	assert_int_equal(tdx_qe_identity_read(view_text(qe_identity), &q, &why), 0);
	assert_int_equal(q->miscselect, 1);
	assert_int_equal(q->isvprodid, 2);
	assert_true(view_is(q->doc.text.object, QE));
	tdx_qe_identity_free(q);
}

static const struct {
	const char *what, *from, *to;
} bad_tcb_info[] = {
	{ "another signed document", "\"tcbInfo\"", "\"tcbinfo\"" },
	{ "a TCB info for SGX", "\"id\":\"TDX\"", "\"id\":\"SGX\"" },
	{ "a version that is not known", "\"version\":3", "\"version\":4" },
	{ "a version as text", "\"version\":3", "\"version\":\"3\"" },
	{ "a member twice", "\"pceId\":\"0000\"", "\"pceId\":\"0000\",\"pceId\":\"0001\"" },
	{ "a member twice, deep down", "\"svn\":7", "\"svn\":7,\"svn\":0" },
	{ "the signature twice", ",\"signature\"",
	  ",\"signature\":\"" SIGNATURE "\",\"signature\"" },
	{ "two documents in one", "{\"tcbInfo\":", "{\"tcbInfo\":{},\"tcbInfo\":" },
	{ "a short signature", "\"signature\":\"0", "\"signature\":\"" },
	{ "a signature that is not hex", "\"signature\":\"0", "\"signature\":\"g" },
	{ "no fmspc", "\"fmspc\"", "\"FMSPC\"" },
	{ "a short fmspc", "90C06f000000", "90C06f0000" },
	{ "no issue date", "\"issueDate\"", "\"issued\"" },
	{ "a date that does not exist", "2026-04-15T", "2026-02-30T" },
	{ "a date in another form", "2026-03-16T22:21:30Z", "2026-03-16T22:21:30+00:00" },
	{ "a status that Intel did not define", "UpToDate", "Fine" },
	{ "a status that no document may give", "UpToDate", "TCB not supported" },
	{ "a component too few", "{\"svn\":1},", "" },
	{ "a component too many", "{\"svn\":1},", "{\"svn\":1},{\"svn\":1}," },
	{ "a component's svn too large", "\"svn\":7", "\"svn\":256" },
	{ "a negative svn", "\"svn\":7", "\"svn\":-7" },
	{ "a svn that is a fraction", "\"svn\":7", "\"svn\":7.0" },
	{ "a pcesvn too large", "\"pcesvn\":11", "\"pcesvn\":65536" },
	{ "no levels", "\"tcbLevels\":[{\"tcb\":{\"sgx", "\"tcbLevel\":[{\"tcb\":{\"sgx" },
	{ "a module without an id", "\"id\":\"TDX_01\"", "\"name\":\"TDX_01\"" },
	{ "modules that are no list", "\"tdxModuleIdentities\":[",
	  "\"tdxModuleIdentities\":3,\"x\":[" },
	{ "advisories that are no list", "[\"INTEL-SA-1\"]", "\"INTEL-SA-1\"" },
	{ "an advisory that is no text", "\"INTEL-SA-1\"", "1" },
	{ "bytes behind it", SIGNATURE "\"}", SIGNATURE "\"}x" },
	{ "an escaped name", "{\"tcbInfo", "{\"tcb\\u0049nfo" },
};

static void other_tcb_infos_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_tcb_info); i++) {
		char *text = changed(tcb_info, bad_tcb_info[i].from, bad_tcb_info[i].to);
		struct tdx_tcb_info *t = NULL;
		const char *why = NULL;

		if (tdx_tcb_info_read(view_text(text), &t, &why) != -EBADMSG || t || !why)
			fail_msg("%s was read", bad_tcb_info[i].what);
		free(text);
	}
}

static const struct {
	const char *what, *from, *to;
} bad_identity[] = {
	{ "the SGX quoting enclave's", "\"TD_QE\"", "\"QE\"" },
	{ "version 1", "\"version\":2", "\"version\":1" },
	{ "a short mrsigner", "\"DC9E", "\"DC" },
	{ "a miscselect that is a number", "\"00000001\"", "1" },
	{ "no attributes mask", "\"attributesMask\"", "\"mask\"" },
	{ "an isvprodid that is text", "\"isvprodid\":2", "\"isvprodid\":\"2\"" },
	{ "a level without isvsvn", "\"isvsvn\"", "\"svn\"" },
	{ "a member twice", "\"isvprodid\":2", "\"isvprodid\":2,\"isvprodid\":3" },
};

static void other_identities_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_identity); i++) {
		char *text = changed(qe_identity, bad_identity[i].from, bad_identity[i].to);
		struct tdx_qe_identity *q = NULL;
		const char *why = NULL;

		if (tdx_qe_identity_read(view_text(text), &q, &why) != -EBADMSG || q || !why)
			fail_msg("%s was read", bad_identity[i].what);
		free(text);
	}
}

static void cut_anywhere_they_are_refused(void **state)
{
	struct tdx_tcb_info *t = NULL;
	const char *why;

	(void)state;
	for (size_t len = 0; len < strlen(tcb_info); len++) {
		if (tdx_tcb_info_read(view_of(tcb_info, len), &t, &why) != -EBADMSG)
			fail_msg("cut to %zu bytes it was read", len);
	}
}

/* Nesting that input controls must not become recursion that it controls. */
static void deep_nesting_is_refused(void **state)
{
	size_t depth = 100000, len = 2 * depth + 200;
	struct tdx_tcb_info *t = NULL;
	char *text = calloc(1, len);
	const char *why;

	(void)state;
	assert_non_null(text);
	strcpy(text, "{\"tcbInfo\":{\"a\":");
	memset(text + strlen(text), '[', depth);
	memset(text + strlen(text), ']', depth);
	strcat(text, "},\"signature\":\"" SIGNATURE "\"}");
	assert_int_equal(tdx_tcb_info_read(view_text(text), &t, &why), -EBADMSG);
	free(text);
}

static void endorsements_are_known_by_their_content(void **state)
{
	struct endorsements *e;
	const char *why = NULL;

	(void)state;
	assert_int_equal(endorsements_new(&e), 0);
	assert_int_equal(endorsements_add(e, view_text(tcb_info), &why), 0);
	assert_int_equal(endorsements_add(e, view_text(qe_identity), &why), 0);
	assert_int_equal(endorsements_count(e), 2);
	assert_non_null(endorsements_next(e, ENDORSEMENT_TCB_INFO, NULL));
	assert_null(endorsements_next(e, ENDORSEMENT_TCB_INFO,
				      endorsements_next(e, ENDORSEMENT_TCB_INFO, NULL)));
	assert_null(endorsements_next(e, ENDORSEMENT_CERTIFICATE, NULL));
	assert_int_equal(endorsements_add(e, view_text("anything"), &why), -EBADMSG);
	assert_non_null(why);
	assert_int_equal(endorsements_add(e, view_of(NULL, 0), &why), -EBADMSG);
	assert_int_equal(endorsements_count(e), 2);
	for (size_t i = 2; i < ENDORSEMENTS_MAX; i++)
		assert_int_equal(endorsements_add(e, view_text(tcb_info), &why), 0);
	assert_int_equal(endorsements_add(e, view_text(tcb_info), &why), -EMSGSIZE);
	assert_int_equal(endorsements_count(e), ENDORSEMENTS_MAX);
	endorsements_free(e);
}

static const struct {
	const char *what, *text;
	int n; /* blocks; negative: refused */
} pems[] = {
	{ "nothing", "", 0 },
	{ "line ends and padding", "\n\r\n", 0 },
	{ "one block", "-----BEGIN X-----\nQUJD\n-----END X-----\n", 1 },
	{ "two, without an end of line",
	  "-----BEGIN X-----\nQUJD\n-----END X-----\n"
	  "-----BEGIN Y-----\nQUI=\n-----END Y-----",
	  2 },
	{ "text before it", "x\n-----BEGIN X-----\nQUJD\n-----END X-----\n", -1 },
	{ "text behind it", "-----BEGIN X-----\nQUJD\n-----END X-----\nx", -1 },
	{ "another label at its end", "-----BEGIN X-----\nQUJD\n-----END Y-----\n", -1 },
	{ "no end", "-----BEGIN X-----\nQUJD\n", -1 },
	{ "a header", "-----BEGIN X-----\nA: b\n\nQUJD\n-----END X-----\n", -1 },
	{ "a blank in the text", "-----BEGIN X-----\nQU JD\n-----END X-----\n", -1 },
	{ "bits that are not used", "-----BEGIN X-----\nQUJ=\n-----END X-----\n", -1 },
	{ "nothing in it", "-----BEGIN X-----\n-----END X-----\n", -1 },
};

static void pem_is_read_strictly(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pems); i++) {
		struct reader r = reader_of(view_text(pems[i].text));
		struct bytes der = BYTES_INIT(PEM_DER_MAX);
		struct view label;
		int n = 0, e;

		while ((e = pem_next(&r, &label, &der)) > 0)
			n++;
		if (e < 0 ? pems[i].n >= 0 : n != pems[i].n)
			fail_msg("%s: %d blocks, %d", pems[i].what, n, e);
		bytes_done(&der);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_they_say_is_read),
		cmocka_unit_test(other_tcb_infos_are_refused),
		cmocka_unit_test(other_identities_are_refused),
		cmocka_unit_test(cut_anywhere_they_are_refused),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(endorsements_are_known_by_their_content),
		cmocka_unit_test(pem_is_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
