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
#include "eventlog.h"
#include "evidence.h"
#include "tests/support/shared_evidence.h"
#include "verifier/tpm_quote.h"

/* Genuine quotes, with the nonces that they were made over. */

#define PCRS 24

static const struct {
	const char *folder, *nonce; /* hex */
	size_t nonce_len;
	const char *name; /* of the AK, hex */
	const char *log;
	uint32_t replayed;	   /* PCRs that the log must explain */
	enum hash_alg banks[4];	   /* one quote a bank; ended by HASH_NONE */
	const char *refused;	   /* a part of why; NULL: must pass */
	uint32_t resets, restarts; /* of the clock */
} genuine[] = {
	{ "tpm/gce-cos85-empty-nonce",
	  "",
	  0,
	  "000bf175bdb57297b2b289973f819863d6c9d09c236725676914f4248c9a2404c2a4",
	  "eventlog.bin",
	  0x3ff,
	  { HASH_SHA1, HASH_SHA256, HASH_SHA384 },
	  NULL,
	  10,
	  0 },
	{ "tpm/gce-cos85-nonce9009",
	  "\x90\x09",
	  2,
	  "000bf175bdb57297b2b289973f819863d6c9d09c236725676914f4248c9a2404c2a4",
	  "eventlog.bin",
	  0x3ff,
	  { HASH_SHA1, HASH_SHA256, HASH_SHA384 },
	  NULL,
	  10,
	  0 },
	{ "tpm/windows-gcp-sha1",
	  "",
	  0,
	  "000b4ce9b151f75089d74c15dabe9d520cffafbcafd5d43be0aad2e2d88d54717e2e",
	  "eventlog-tcg12.bin",
	  1u << 0 | 1u << 4 | 1u << 5 | 1u << 7 | 0xfu << 11,
	  { HASH_SHA1 },
	  "SHA-1",
	  0,
	  0 },
};

static struct bytes bank_file(const char *folder, enum hash_alg bank, const char *suffix)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", hash_name(bank), suffix);
	return shared_evidence(folder, name);
}

/* The values of "INDEX HEX" lines. */
struct values {
	Assay__PcrValue v[PCRS], *p[PCRS];
	uint8_t bytes[PCRS][DIGEST_MAX];
	size_t n;
};

static void read_values(const char *folder, enum hash_alg bank, struct values *ret)
{
	struct bytes text = bank_file(folder, bank, ".pcrs.txt");
	char hex[DIGEST_HEX_MAX];
	unsigned int index;
	char *line, *rest;

	assert_int_equal(bytes_append_u8(&text, 0), 0);
	rest = (char *)text.data;
	ret->n = 0;
	while ((line = strsep(&rest, "\n")) && sscanf(line, "%u %128s", &index, hex) == 2) {
		Assay__PcrValue *v = &ret->v[ret->n];

		assert_true(ret->n < PCRS);
		assay__pcr_value__init(v);
		v->alg = bank;
		v->index = index;
		v->value =
			(ProtobufCBinaryData){ .len = hash_size(bank), .data = ret->bytes[ret->n] };
		assert_int_equal(hex_decode_exact(hex, ret->bytes[ret->n], hash_size(bank)), 0);
		ret->p[ret->n++] = v;
	}
	assert_int_equal(ret->n, PCRS);
	bytes_done(&text);
}

/* One quote: its signature over this nonce, and its values; the values by PCR number. */
static void check_quote(size_t i, enum hash_alg bank, const struct tpm_public *ak,
			struct digest registers[PCRS])
{
	struct bytes attest = bank_file(genuine[i].folder, bank, ".attest");
	struct bytes signature = bank_file(genuine[i].folder, bank, ".tpmt_signature");
	struct view nonce = view_of(genuine[i].nonce, genuine[i].nonce_len);
	struct values values;
	struct tpm_quote q;
	struct appraisal a;
	uint32_t quoted = 0;
	int r;

	appraisal_init(&a);
	r = tpm_quote_judge(ak, bytes_view(&attest), bytes_view(&signature), nonce, &a, &q);
	if (genuine[i].refused) {
		assert_int_equal(r, 0);
		assert_string_equal(a.reasons[0].rule, "evidence.signature");
		assert_non_null(strstr(a.reasons[0].seen, genuine[i].refused));
		goto out;
	}
	if (r != 1)
		fail_msg("%s: %s", genuine[i].folder, a.n ? a.reasons[0].seen : "not judged");
	assert_int_equal(q.attest.clockInfo.resetCount, genuine[i].resets);
	assert_int_equal(q.attest.clockInfo.restartCount, genuine[i].restarts);
	read_values(genuine[i].folder, bank, &values);
	assert_int_equal(tpm_quote_judge_pcrs(&q, values.p, values.n, bank, &a, registers, &quoted),
			 1);
	assert_int_equal(quoted, 0xffffff);
	assert_false(a.refused);

	/* The same with one thing wrong. */
	assert_int_equal(tpm_quote_judge(ak, bytes_view(&attest), bytes_view(&signature),
					 view_text("another nonce"), &a, &q),
			 0);
	assert_string_equal(a.reasons[0].rule, "evidence.claims");
	values.bytes[4][0] ^= 1;
	assert_int_equal(tpm_quote_judge_pcrs(&q, values.p, values.n, bank, &a, registers, &quoted),
			 0);
	assert_string_equal(a.reasons[1].rule, "evidence.pcrs");
	signature.data[signature.len - 1] ^= 1;
	assert_int_equal(
		tpm_quote_judge(ak, bytes_view(&attest), bytes_view(&signature), nonce, &a, &q), 0);
	assert_string_equal(a.reasons[2].rule, "evidence.signature");
	values.bytes[4][0] ^= 1;
	for (size_t j = 0; j < PCRS; j++)
		assert_int_equal(digest_from(bank, view_of(values.bytes[j], hash_size(bank)),
					     &registers[values.v[j].index]),
				 0);
out:
	appraisal_done(&a);
	bytes_done(&attest);
	bytes_done(&signature);
}

static void check_log(size_t i, enum hash_alg bank, const struct digest registers[PCRS])
{
	CLEANUP(cleanup_mem) struct eventlog_replay *replay = malloc(sizeof(*replay));
	struct bytes log = shared_evidence(genuine[i].folder, genuine[i].log);
	const struct eventlog_registers *b;
	const char *why = "";

	assert_non_null(replay);
	if (eventlog_replay(bytes_view(&log), replay, &why) != 0)
		fail_msg("%s: %s", genuine[i].folder, why);
	b = eventlog_bank_of(replay, bank);
	assert_non_null(b);
	assert_false(b->incomplete);
	for (unsigned int pcr = 0; pcr < PCRS; pcr++) {
		if (!(genuine[i].replayed >> pcr & 1))
			continue;
		if (!(b->touched >> pcr & 1) || !digest_equal(&b->registers[pcr], &registers[pcr]))
			fail_msg("%s: PCR %u of %s", genuine[i].folder, pcr, hash_name(bank));
	}
	bytes_done(&log);
}

static void genuine_quotes_are_judged_as_they_deserve(void **state)
{
	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(genuine); i++) {
		struct bytes public = shared_evidence(genuine[i].folder, "ak.tpmt_public");
		char hex[2 * TPM_NAME_MAX + 1];
		struct tpm_public ak;
		const char *why = "";

		if (tpm_public_parse(bytes_view(&public), &ak, &why) != 0)
			fail_msg("%s: %s", genuine[i].folder, why);
		hex_encode(ak.name, ak.name_len, hex);
		assert_string_equal(hex, genuine[i].name);
		assert_null(tpm_public_ak_fault(&ak));
		assert_non_null(tpm_public_ek_fault(&ak));
		for (size_t b = 0; genuine[i].banks[b] != HASH_NONE; b++) {
			struct digest registers[PCRS] = { 0 };

			check_quote(i, genuine[i].banks[b], &ak, registers);
			if (genuine[i].refused) {
				struct values values;

				read_values(genuine[i].folder, genuine[i].banks[b], &values);
				for (size_t j = 0; j < PCRS; j++)
					assert_int_equal(
						digest_from(genuine[i].banks[b],
							    view_of(values.bytes[j],
								    hash_size(genuine[i].banks[b])),
							    &registers[values.v[j].index]),
						0);
			}
			check_log(i, genuine[i].banks[b], registers);
		}
		bytes_done(&public);
	}
}

static void a_quote_of_one_folder_is_not_anothers(void **state)
{
	struct bytes attest, signature, public;
	struct tpm_public ak;
	struct tpm_quote q;
	struct appraisal a;
	const char *why;

	(void)state;
	shared_evidence_needed();
	attest = bank_file(genuine[1].folder, HASH_SHA256, ".attest");
	signature = bank_file(genuine[0].folder, HASH_SHA256, ".tpmt_signature");
	public = shared_evidence(genuine[1].folder, "ak.tpmt_public");
	assert_int_equal(tpm_public_parse(bytes_view(&public), &ak, &why), 0);
	appraisal_init(&a);
	assert_int_equal(tpm_quote_judge(&ak, bytes_view(&attest), bytes_view(&signature),
					 view_of("\x90\x09", 2), &a, &q),
			 0);
	assert_string_equal(a.reasons[0].rule, "evidence.signature");
	appraisal_done(&a);
	bytes_done(&attest);
	bytes_done(&signature);
	bytes_done(&public);
}

/* A quote without key and signature: its values can be shown, and it proves nothing. */
static void a_quote_alone_is_shown_and_not_believed(void **state)
{
	Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
	struct evidence_input in = { .report = &report, .now = 1800000000, .alone = true };
	const struct evidence_ops *tpm = evidence_find("tpm");
	struct evidence_result result;
	struct appraisal a;
	struct bytes attest;
	json_t *shown, *selection;

	(void)state;
	shared_evidence_needed();
	attest = shared_evidence("tpm/parse-only", "quote-no-ak.attest");
	report.report = (ProtobufCBinaryData){ attest.len, attest.data };
	assert_int_equal(tpm->show(&report, &shown), 0);
	assert_string_equal(json_string_value(json_object_get(shown, "extra_data")), "12345678");
	assert_int_equal(json_integer_value(json_object_get(shown, "reset_count")), 16);
	selection = json_pack("{s:[i, i, i]}", "sha256", 0, 1, 2);
	assert_true(json_equal(json_object_get(shown, "pcr_selection"), selection));
	json_decref(selection);
	json_decref(shown);

	appraisal_init(&a);
	assert_int_equal((tpm->verify_alone ? tpm->verify_alone : tpm->verify)(&in, &a, &result),
			 0);
	appraisal_finish(&a);
	assert_int_equal(evidence_verdict(&a), EVIDENCE_INVALID);
	assert_false(result.signature_good);
	appraisal_done(&a);
	bytes_done(&attest);
}

/* What a TPM certified of a key that it made is signed by that key too, and is no quote. */
static void a_creation_is_no_quote(void **state)
{
	const size_t at = ARRAY_LEN(genuine) - 1;
	struct bytes attest, signature, public;
	Assay__ChipReport report = ASSAY__CHIP_REPORT__INIT;
	uint8_t name[TPM_NAME_MAX];
	struct tpm_public ak;
	struct tpm_quote q;
	struct appraisal a;
	json_t *shown;
	const char *why;

	(void)state;
	shared_evidence_needed();
	attest = shared_evidence(genuine[at].folder, "ak-creation.attest");
	signature = shared_evidence(genuine[at].folder, "ak-creation.tpmt_signature");
	public = shared_evidence(genuine[at].folder, "ak.tpmt_public");
	assert_int_equal(tpm_public_parse(bytes_view(&public), &ak, &why), 0);
	/* It names this key. */
	assert_int_equal(hex_decode_exact(genuine[at].name, name, ak.name_len), 0);
	assert_non_null(memmem(attest.data, attest.len, name, ak.name_len));
	appraisal_init(&a);
	assert_int_equal(tpm_quote_judge(&ak, bytes_view(&attest), bytes_view(&signature),
					 view_of(NULL, 0), &a, &q),
			 0);
	assert_true(a.n > 0 && a.refused);
	appraisal_done(&a);
	report.report = (ProtobufCBinaryData){ attest.len, attest.data };
	assert_int_equal(evidence_find("tpm")->show(&report, &shown), -EBADMSG);
	bytes_done(&attest);
	bytes_done(&signature);
	bytes_done(&public);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quote_alone_is_shown_and_not_believed),
		cmocka_unit_test(a_creation_is_no_quote),
		cmocka_unit_test(genuine_quotes_are_judged_as_they_deserve),
		cmocka_unit_test(a_quote_of_one_folder_is_not_anothers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
