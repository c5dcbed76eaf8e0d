/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "endorsement_store.h"
#include "evidence.h"
#include "quantity.h"
#include "tests/support/endorsement_scene.h"
#include "tests/support/tdx_fixture.h"
#include "tests/support/tdx_fixture_sign.h"

/*
 * `assay endorsements fetch` for a quote, at a PCS of our own: bodies as Intel's has them, and
 * their issuers' certificates percent-encoded in a header.
 */

#define PATH_TCB      "/tdx/certification/v4/tcb?fmspc=f0c06f000001"
#define PATH_QE	      "/tdx/certification/v4/qe/identity"
#define PATH_PCK_CRL  "/sgx/certification/v4/pckcrl?ca=platform&encoding=der"
#define PATH_ROOT_CRL "/IntelSGXRootCA.der"
#define ENDED	      "2026-02-01T00:00:00Z" /* before any day on which this runs */

#define FETCH                                                                                      \
	"assay endorsements fetch DIR/td.quote --intel-pcs KDS --intel-root-crl KDS"               \
	" --store DIR/store --cache DIR/cache --allow-http --json >DIR/out 2>DIR/err"

struct scene {
	struct endorsement_scene at;
	struct tdx_fixture intel;
	struct bytes signers, cas; /* of a header: percent-encoded */
};

static void expect(const struct scene *s, int status, const char *command)
{
	endorsement_scene_expect(&s->at, status, command);
}

static void encode(const struct bytes *pem, struct bytes *to)
{
	*to = BYTES_INIT(64 * 1024);
	for (size_t i = 0; i < pem->len; i++)
		assert_int_equal(
			bytes_printf(to, isalnum(pem->data[i]) ? "%c" : "%%%02X", pem->data[i]), 0);
	assert_int_equal(bytes_append_u8(to, 0), 0);
}

/* What the fixture has now, as files. */
static void write_parts(struct scene *s)
{
	struct bytes quote;

	tdx_fixture_write(&s->intel, s->at.directory);
	tdx_fixture_quote(&s->intel, &quote);
	endorsement_scene_write(&s->at, "td.quote", bytes_view(&quote));
	bytes_done(&quote);
}

/* One row of what the services answer; more: members besides, with a comma first. */
static void row(struct bytes *to, const char *path, const char *file, const char *header,
		const struct bytes *chain, const char *more)
{
	assert_int_equal(bytes_printf(to, "%s\"%s\": {\"file\": \"%s\"%s", to->len ? ", " : "",
				      path, file, more),
			 0);
	if (header)
		assert_int_equal(bytes_printf(to, ", \"headers\": {\"%s\": \"", header), 0);
	if (header)
		assert_int_equal(bytes_append_text(to, (const char *)chain->data), 0);
	assert_int_equal(bytes_append_text(to, header ? "\"}}" : "}"), 0);
}

/* Which of the four are answered, and how; NULL: with 404. */
struct answers {
	const char *tcb, *qe, *pck_crl, *root_crl;
};

static const struct answers all = { "", "", "", "" };

static void answer(struct scene *s, const struct answers *a)
{
	struct bytes text = BYTES_INIT(64 * 1024);

	if (a->tcb)
		row(&text, PATH_TCB, "tcb_info.json", "TCB-Info-Issuer-Chain", &s->signers, a->tcb);
	if (a->qe)
		row(&text, PATH_QE, "qe_identity.json", "SGX-Enclave-Identity-Issuer-Chain",
		    &s->signers, a->qe);
	if (a->pck_crl)
		row(&text, PATH_PCK_CRL, "pck.crl", "SGX-PCK-CRL-Issuer-Chain", &s->cas,
		    a->pck_crl);
	if (a->root_crl)
		row(&text, PATH_ROOT_CRL, "root.crl", NULL, NULL, a->root_crl);
	assert_int_equal(bytes_append_u8(&text, 0), 0);
	endorsement_scene_answer(&s->at, (const char *)text.data);
	bytes_done(&text);
}

static int scene_open(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct bytes pem = BYTES_INIT(16 * 1024);

	assert_non_null(s);
	endorsement_scene_open(&s->at);
	tdx_fixture_init(&s->intel);
	tdx_fixture_append_pem(&pem, s->intel.signer);
	tdx_fixture_append_pem(&pem, s->intel.root);
	encode(&pem, &s->signers);
	bytes_reset(&pem);
	tdx_fixture_append_pem(&pem, s->intel.ca);
	tdx_fixture_append_pem(&pem, s->intel.root);
	encode(&pem, &s->cas);
	bytes_done(&pem);
	write_parts(s);
	answer(s, &all);
	endorsement_scene_serve(&s->at);
	*state = s;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *s = *state;

	bytes_done(&s->signers);
	bytes_done(&s->cas);
	tdx_fixture_done(&s->intel);
	endorsement_scene_close(&s->at);
	free(s);
	return 0;
}

/* The quote, judged with nothing but what the store has; true: it is genuine and in order. */
static bool is_good(const struct scene *s, const char *at)
{
	Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
	struct evidence_input in = {
		.report = &report, .roots = &s->intel.pin, .n_roots = 1, .alone = true
	};
	struct endorsement_store *store;
	struct evidence_result result;
	struct endorsements *e;
	struct appraisal a;
	struct bytes quote;
	char path[300];
	bool good;

	tdx_fixture_quote((struct tdx_fixture *)&s->intel, &quote);
	report.report = (ProtobufCBinaryData){ quote.len, quote.data };
	assert_int_equal(quantity_instant(at, &in.now), 0);
	snprintf(path, sizeof(path), "%s/store", s->at.directory);
	assert_int_equal(endorsement_store_new(&store), 0);
	assert_int_equal(endorsements_new(&e), 0);
	assert_int_equal(endorsement_store_read(store, path), 0);
	assert_int_equal(endorsement_store_select(store, "tdx", &report, in.now, e), 0);
	in.endorsements = e;
	appraisal_init(&a);
	assert_int_equal(evidence_find("tdx")->verify(&in, &a, &result), 0);
	appraisal_finish(&a);
	good = evidence_verdict(&a) == EVIDENCE_VALID;
	appraisal_done(&a);
	endorsements_free(e);
	endorsement_store_free(store);
	bytes_done(&quote);
	return good;
}

static void what_a_quote_takes_is_fetched_once(void **state)
{
	struct scene *s = *state;

	expect(s, 0, FETCH);
	/* TCB info, QE identity, their signer, the PCK CA, the root, two lists. */
	expect(s, 0, "grep -q '\"added\": 7' DIR/out");
	expect(s, 0, "[ $(wc -l <DIR/requests) = 4 ]");
	assert_true(is_good(s, TDX_FIXTURE_NOW));
	expect(s, 0, FETCH);
	expect(s, 0,
	       "grep -q '\"added\": 0' DIR/out && [ $(grep -c 'from the cache' DIR/out) = 4 ]");
	expect(s, 0, "[ $(wc -l <DIR/requests) = 4 ]");
}

/* The signer comes in no other way: without the header nobody signed the TCB info. */
static void issuers_come_in_the_headers(void **state)
{
	struct scene *s = *state;

	bytes_reset(&s->signers);
	assert_int_equal(bytes_append_u8(&s->signers, 0), 0);
	answer(s, &all);
	expect(s, 0, FETCH);
	expect(s, 0, "grep -q '\"added\": 6' DIR/out");
	assert_false(is_good(s, TDX_FIXTURE_NOW));
}

static void an_issuer_chain_that_is_none_is_refused(void **state)
{
	static const struct {
		const char *chain, *words;
	} cases[] = {
		{ "not%20PEM", "neither certificates" },
		{ "%2D%2D%2D%2D%2DBEGIN%20CERTIFICATE%2D%2D%2D%2D%2D", NULL },
	};
	struct scene *s = *state;
	char text[128];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bytes_reset(&s->signers);
		assert_int_equal(bytes_append_text(&s->signers, cases[i].chain), 0);
		assert_int_equal(bytes_append_u8(&s->signers, 0), 0);
		answer(s, &all);
		expect(s, 0, "rm -rf DIR/store DIR/cache");
		expect(s, 3, FETCH);
		/* Neither document is put in without its signer; the lists are. */
		expect(s, 0, "grep -q '\"added\": 4' DIR/out");
		if (!cases[i].words)
			continue;
		snprintf(text, sizeof(text), "grep -q '%s' DIR/err", cases[i].words);
		expect(s, 0, text);
	}
}

static void a_platform_that_the_service_does_not_know(void **state)
{
	struct scene *s = *state;

	answer(s, &(struct answers){ NULL, "", "", "" });
	expect(s, 3, FETCH);
	expect(s, 0, "grep -q 'tcb?fmspc=f0c06f000001: the service answers 404' DIR/err");
	/* The rest is there, and is not asked for again; the answer that was none is. */
	expect(s, 0, "grep -q '\"added\": 6' DIR/out");
	assert_false(is_good(s, TDX_FIXTURE_NOW));
	answer(s, &all);
	expect(s, 0, FETCH);
	expect(s, 0, "[ $(wc -l <DIR/requests) = 5 ]");
	assert_true(is_good(s, TDX_FIXTURE_NOW));
}

static void a_service_that_is_busy_is_asked_again(void **state)
{
	struct scene *s = *state;

	answer(s, &(struct answers){ ", \"busy\": 2, \"retry_after\": \"1\"", "", ", \"busy\": 1",
				     "" });
	expect(s, 0, FETCH);
	expect(s, 0, "[ $(wc -l <DIR/requests) = 7 ] && [ $(grep -c waiting DIR/err) = 3 ]");
	/* One that is not said is a second, the next one two at least. */
	expect(s, 0, "[ $(grep -c 'waiting 1 s' DIR/err) = 2 ] && grep -q 'waiting 2 s' DIR/err");
	assert_true(is_good(s, TDX_FIXTURE_NOW));
	/* Not for longer than it may: nothing is taken from that service then. */
	expect(s, 0, "rm -r DIR/store DIR/cache");
	answer(s, &(struct answers){ ", \"busy\": 9, \"retry_after\": \"600\"", "", "", "" });
	expect(s, 3, FETCH);
	expect(s, 0, "grep -q '429 and asks to wait 600 s, of 120 s that are left' DIR/err");
	assert_false(is_good(s, TDX_FIXTURE_NOW));
}

static void no_list_is_used_past_its_end(void **state)
{
	struct scene *s = *state;

	strcpy(s->intel.crl_until, ENDED);
	write_parts(s);
	expect(s, 0, FETCH);
	expect(s, 0,
	       "grep -q '\"left_out\": 2' DIR/out && [ $(grep -c 'not in force' DIR/err) = 2 ]");
	assert_false(is_good(s, TDX_FIXTURE_NOW));
	/* Their answers are fresh in the cache, and are not used: what is in them has ended. */
	strcpy(s->intel.crl_until, TDX_FIXTURE_NOT_AFTER);
	write_parts(s);
	expect(s, 0, FETCH);
	expect(s, 0,
	       "[ $(grep -c 'encoding=der$' DIR/requests) = 2 ] &&"
	       " [ $(grep -c RootCA DIR/requests) = 2 ] && [ $(grep -c tcb DIR/requests) = 1 ]");
	assert_true(is_good(s, TDX_FIXTURE_NOW));
	/* The store gives neither out after their end. */
	assert_false(is_good(s, "2034-01-01T00:00:00Z"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		TEST(what_a_quote_takes_is_fetched_once),
		TEST(issuers_come_in_the_headers),
		TEST(an_issuer_chain_that_is_none_is_refused),
		TEST(a_platform_that_the_service_does_not_know),
		TEST(a_service_that_is_busy_is_asked_again),
		TEST(no_list_is_used_past_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
