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
#include "tests/support/shared_evidence.h"

/* Logs whose final registers the README of the genuine evidence lists. */
#define GENUINE_LOGS 17

static struct eventlog_replay replay; /* large; each test fills it anew */

static const char *bank_and_index(const char *line, enum hash_alg *ret_alg, unsigned int *ret_index)
{
	char name[16];
	int used = 0;

	if (sscanf(line, "%15[a-z0-9][%u] %n", name, ret_index, &used) < 2 || used == 0)
		return NULL;
	*ret_alg = hash_by_name(name);
	return *ret_alg == HASH_NONE ? NULL : line + used;
}

/* Lines "BANK[INDEX] HEX" up to the closing fence; their number. */
static size_t check_registers(const char *file, const char *line)
{
	size_t n = 0;

	for (; line && strncmp(line, "```", 3) != 0;
	     line = strchr(line, '\n'), line += !!line, n++) {
		const struct eventlog_registers *bank;
		char hex[DIGEST_HEX_MAX];
		enum hash_alg alg;
		unsigned int index;
		const char *value = bank_and_index(line, &alg, &index);

		if (!value)
			fail_msg("%s: %.40s", file, line);
		bank = eventlog_bank_of(&replay, alg);
		if (!bank || bank->incomplete || !(bank->touched >> index & 1))
			fail_msg("%s: no register %u of %s", file, index, hash_name(alg));
		digest_hex(&bank->registers[index], hex);
		if (strncmp(hex, value, strlen(hex)) != 0)
			fail_msg("%s: register %u of %s is %s", file, index, hash_name(alg), hex);
	}
	return n;
}

static void genuine_logs_replay_to_their_registers(void **state)
{
	struct bytes readme, log;
	const char *at, *why = "";
	size_t logs = 0;

	(void)state;
	shared_evidence_needed();
	readme = shared_evidence(".", "README.md");
	assert_int_equal(bytes_append_u8(&readme, 0), 0);
	for (at = (const char *)readme.data; (at = strstr(at, "\n`eventlog/")); at++) {
		char file[128];
		size_t size, events, end;
		int used = 0;

		if (sscanf(at, " `eventlog/%127[^`]` size %zu, events %zu, end %zu %n", file, &size,
			   &events, &end, &used) < 4 ||
		    used == 0)
			continue;
		log = shared_evidence("eventlog", file);
		assert_int_equal(log.len, size);
		if (eventlog_replay(bytes_view(&log), &replay, &why) != 0)
			fail_msg("%s: %s", file, why);
		if (replay.events != events || replay.end != end)
			fail_msg("%s: %zu events, end %zu", file, replay.events, replay.end);
		assert_true(check_registers(file, strchr(at + used, '\n') + 1) > 0);
		bytes_done(&log);
		logs++;
	}
	assert_int_equal(logs, GENUINE_LOGS);
	bytes_done(&readme);
}

static void a_genuine_log_cut_short_is_refused_or_ends_early(void **state)
{
	struct bytes log;
	const char *why = "";
	size_t cut = 0;

	(void)state;
	shared_evidence_needed();
	log = shared_evidence("eventlog", "tcg2-systemd-boot-fedora37.bin");
	assert_int_equal(eventlog_replay(bytes_view(&log), &replay, &why), 0);
	for (size_t len = 0; len < log.len; len++) {
		int r = eventlog_replay(view_of(log.data, len), &replay, &why);

		/*
		 * Between two records the log is a shorter one, and a few zeros of the next
		 * record look like padding: the registers tell, not the parser.
		 */
		if (r == 0) {
			for (size_t i = replay.end; i < len; i++)
				assert_int_equal(log.data[i], 0);
			cut++;
			continue;
		}
		assert_int_equal(r, -EBADMSG);
		assert_true(strlen(why) > 0);
	}
	assert_true(cut < 200);
	bytes_done(&log);
}

/* A log under construction. */
static struct bytes made;

static void le(uint64_t v, size_t size)
{
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes_append_u8(&made, (uint8_t)(v >> (8 * i))), 0);
}

static void zeros(size_t n, uint8_t value)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(bytes_append_u8(&made, value), 0);
}

static void raw(const void *data, size_t len)
{
	assert_int_equal(bytes_append(&made, data, len), 0);
}

static void spec_id(uint32_t banks, const uint16_t (*bank)[2], uint8_t vendor)
{
	le(0, 4);
	le(EVENTLOG_NO_ACTION, 4);
	zeros(20, 0);
	le(16 + 8 + 4 + 4 * (banks > 9 ? 9 : banks) + 1 + vendor, 4);
	raw("Spec ID Event03", 16);
	zeros(8, 0);
	le(banks, 4);
	for (uint32_t i = 0; i < banks && i < 9; i++) {
		le(bank[i][0], 2);
		le(bank[i][1], 2);
	}
	le(vendor, 1);
	zeros(vendor, 'v');
}

static const uint16_t sha256_only[][2] = { { HASH_SHA256, 32 } };
static const uint16_t sha256_and_unknown[][2] = { { HASH_SHA256, 32 }, { 0x0027, 32 } };
static const uint16_t sha256_twice[][2] = { { HASH_SHA256, 32 }, { HASH_SHA256, 32 } };
static const uint16_t sha256_of_20[][2] = { { HASH_SHA256, 20 } };
static const uint16_t sha256_and_384[][2] = { { HASH_SHA256, 32 }, { HASH_SHA384, 48 } };
static const uint16_t nine[9][2] = { { 1, 32 } };

static void header(void)
{
	spec_id(1, sha256_only, 0);
}

/* One record with one SHA-256 digest, all of it fill. */
static void record(uint32_t index, uint32_t type, uint8_t fill)
{
	le(index, 4);
	le(type, 4);
	le(1, 4);
	le(HASH_SHA256, 2);
	zeros(32, fill);
	le(3, 4);
	raw("abc", 3);
}

static void locality(uint32_t index, const char *data, size_t len)
{
	le(index, 4);
	le(EVENTLOG_NO_ACTION, 4);
	le(1, 4);
	le(HASH_SHA256, 2);
	zeros(32, 0);
	le(len, 4);
	raw(data, len);
}

static void nothing(void)
{
}

static void only_padding(void)
{
	zeros(64, 0xff);
}

static void one_record(void)
{
	header();
	record(4, 5, 0xaa);
}

static void padded_with_ff(void)
{
	one_record();
	zeros(100, 0xff);
}

static void padded_with_zeros(void)
{
	one_record();
	zeros(5, 0);
}

static void bytes_behind_ff(void)
{
	padded_with_ff();
	zeros(1, 7);
}

static void bytes_behind_zeros(void)
{
	one_record();
	zeros(40, 0);
	zeros(1, 7);
}

static void half_a_record(void)
{
	one_record();
	le(4, 4);
	le(5, 4);
	le(1, 4);
	le(HASH_SHA256, 2);
	zeros(31, 0xaa);
}

static void data_past_the_end(void)
{
	header();
	le(4, 4);
	le(5, 4);
	le(1, 4);
	le(HASH_SHA256, 2);
	zeros(32, 0xaa);
	le(0xfffffff0, 4);
}

static void no_such_register(void)
{
	header();
	record(24, 5, 0xaa);
}

static void no_action_may_name_any_register(void)
{
	header();
	record(0xffffffff, EVENTLOG_NO_ACTION, 0xaa);
	record(4, 5, 0xaa);
}

static void algorithm_not_in_header(void)
{
	header();
	le(4, 4);
	le(5, 4);
	le(1, 4);
	le(HASH_SHA384, 2);
	zeros(48, 0xaa);
	le(0, 4);
}

static void more_digests_than_banks(void)
{
	header();
	le(4, 4);
	le(5, 4);
	le(2, 4);
	zeros(200, 0xaa);
}

static void two_digests_of_one_bank(void)
{
	spec_id(2, sha256_and_384, 0);
	le(4, 4);
	le(5, 4);
	le(2, 4);
	for (int i = 0; i < 2; i++) {
		le(HASH_SHA256, 2);
		zeros(32, 0xaa);
	}
	le(0, 4);
}

static void bank_twice(void)
{
	spec_id(2, sha256_twice, 0);
}

static void wrong_digest_size(void)
{
	spec_id(1, sha256_of_20, 0);
}

static void no_banks(void)
{
	spec_id(0, sha256_only, 0);
}

static void too_many_banks(void)
{
	spec_id(9, nine, 0);
}

static void vendor_bytes_missing(void)
{
	header();
	made.data[made.len - 1] = 1;
}

static void bytes_in_header_left(void)
{
	spec_id(1, sha256_only, 3);
	made.data[made.len - 4] = 2;
}

static void an_unknown_bank_beside(void)
{
	spec_id(2, sha256_and_unknown, 5);
	le(4, 4);
	le(5, 4);
	le(2, 4);
	le(0x0027, 2);
	zeros(32, 0xbb);
	le(HASH_SHA256, 2);
	zeros(32, 0xaa);
	le(0, 4);
}

static void locality_three(void)
{
	header();
	locality(0, "StartupLocality\0\3", 17);
	record(4, 5, 0xaa);
}

static void locality_twice(void)
{
	locality_three();
	locality(0, "StartupLocality\0\3", 17);
}

static void locality_too_late(void)
{
	header();
	record(0, 5, 0xaa);
	locality(0, "StartupLocality\0\3", 17);
}

static void locality_of_another_register(void)
{
	header();
	locality(1, "StartupLocality\0\3", 17);
}

static void locality_without_value(void)
{
	header();
	locality(0, "StartupLocality\0", 16);
}

static void locality_five(void)
{
	header();
	locality(0, "StartupLocality\0\5", 17);
}

static void too_many_records(void)
{
	header();
	for (size_t i = 0; i < EVENTLOG_EVENTS_MAX; i++) {
		le(0, 4);
		le(EVENTLOG_NO_ACTION, 4);
		le(0, 4);
		le(0, 4);
	}
}

/* why: a part of the refusal; NULL: the log is good, and PCR 4 is H(zeros || 32 times 0xaa). */
static const struct {
	const char *what;
	void (*make)(void);
	const char *why;
} cases[] = {
	{ "a record", one_record, NULL },
	{ "padding of 0xff", padded_with_ff, NULL },
	{ "padding of zeros, shorter than a record", padded_with_zeros, NULL },
	{ "a bank with a hash that we do not have", an_unknown_bank_beside, NULL },
	{ "start-up from locality 3", locality_three, NULL },
	{ "EV_NO_ACTION is not extended", no_action_may_name_any_register, NULL },
	{ "no bytes", nothing, "no records" },
	{ "only padding", only_padding, "no records" },
	{ "bytes behind padding of 0xff", bytes_behind_ff, "behind the 0xff padding" },
	{ "bytes behind padding of zeros", bytes_behind_zeros, "behind the zero padding" },
	{ "half a record", half_a_record, "cut short" },
	{ "data longer than the log", data_past_the_end, "past the end" },
	{ "a register that does not exist", no_such_register, "does not exist" },
	{ "an algorithm that was not announced", algorithm_not_in_header, "not in the Spec ID" },
	{ "more digests than banks", more_digests_than_banks, "more digests than" },
	{ "two digests for one bank", two_digests_of_one_bank, "two digests" },
	{ "a bank announced twice", bank_twice, "a bank twice" },
	{ "a wrong digest size", wrong_digest_size, "wrong digest size" },
	{ "no bank", no_banks, "no bank, or too many" },
	{ "nine banks", too_many_banks, "no bank, or too many" },
	{ "vendor bytes that are not there", vendor_bytes_missing, "header is cut short" },
	{ "bytes behind the header", bytes_in_header_left, "behind the Spec ID" },
	{ "two start-ups", locality_twice, "two StartupLocality" },
	{ "a start-up after an extend", locality_too_late, "after PCR 0" },
	{ "a start-up of PCR 1", locality_of_another_register, "malformed" },
	{ "a start-up without locality", locality_without_value, "malformed" },
	{ "a start-up from locality 5", locality_five, "no start-up locality" },
	{ "too many records", too_many_records, "too many records" },
};

static void made_logs_are_read_strictly(void **state)
{
	struct digest expected = digest_zero(HASH_SHA256);
	uint8_t aa[32];

	(void)state;
	memset(aa, 0xaa, sizeof(aa));
	assert_int_equal(digest_extend(&expected, view_of(aa, sizeof(aa))), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *why = "";
		int r;

		made = BYTES_INIT(1024 * 1024);
		cases[i].make();
		r = eventlog_replay(bytes_view(&made), &replay, &why);
		if (r != (cases[i].why ? -EBADMSG : 0))
			fail_msg("%s: %d %s", cases[i].what, r, why);
		if (cases[i].why && !strstr(why, cases[i].why))
			fail_msg("%s: says \"%s\"", cases[i].what, why);
		if (!cases[i].why && (replay.n_banks != 1 ||
				      !digest_equal(&replay.banks[0].registers[4], &expected)))
			fail_msg("%s: PCR 4 is wrong", cases[i].what);
		bytes_done(&made);
	}
}

static void a_start_up_locality_is_the_first_value_of_pcr_0(void **state)
{
	struct digest expected = digest_zero(HASH_SHA256);
	const char *why = "";

	(void)state;
	made = BYTES_INIT(4096);
	locality_three();
	assert_int_equal(eventlog_replay(bytes_view(&made), &replay, &why), 0);
	expected.bytes[31] = 3;
	assert_int_equal(replay.locality, 3);
	assert_int_equal(replay.banks[0].touched, 1u << 4 | 1u);
	assert_true(digest_equal(&replay.banks[0].registers[0], &expected));
	bytes_done(&made);
}

static void a_bank_that_a_record_lacks_is_incomplete(void **state)
{
	const char *why = "";

	(void)state;
	made = BYTES_INIT(4096);
	spec_id(2, sha256_and_384, 0);
	record(4, 5, 0xaa);
	assert_int_equal(eventlog_replay(bytes_view(&made), &replay, &why), 0);
	assert_false(eventlog_bank_of(&replay, HASH_SHA256)->incomplete);
	assert_true(eventlog_bank_of(&replay, HASH_SHA384)->incomplete);
	assert_null(eventlog_bank_of(&replay, HASH_SHA1));
	bytes_done(&made);
}

/* EV_EFI_ACTION with the digest of its text, or of another text. */
static void action(uint32_t index, const char *text, const char *measured)
{
	struct digest d;

	assert_int_equal(digest_of(HASH_SHA256, view_text(measured), &d), 0);
	le(index, 4);
	le(EVENTLOG_EFI_ACTION, 4);
	le(1, 4);
	le(HASH_SHA256, 2);
	raw(d.bytes, d.size);
	le(strlen(text), 4);
	raw(text, strlen(text));
}

#define INVOKED	  "Exit Boot Services Invocation"
#define SUCCEEDED "Exit Boot Services Returned with Success"
#define FAILED	  "Exit Boot Services Returned with Failure"

static void leaving_the_boot_services_is_told_by_both_actions(void **state)
{
	static const struct {
		const char *first, *second, *measured; /* of the second */
		uint32_t index;			       /* of the second; the first is in PCR 5 */
		uint32_t left;
	} tries[] = {
		{ INVOKED, SUCCEEDED, SUCCEEDED, 5, 1u << 5 },
		{ SUCCEEDED, INVOKED, INVOKED, 5, 0 },
		{ INVOKED, FAILED, FAILED, 5, 0 },
		{ INVOKED, SUCCEEDED, FAILED, 5, 0 }, /* a text that was not extended */
		{ INVOKED, SUCCEEDED, SUCCEEDED, 4, 0 },
	};
	const char *why = "";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		made = BYTES_INIT(4096);
		header();
		action(5, tries[i].first, tries[i].first);
		action(tries[i].index, tries[i].second, tries[i].measured);
		assert_int_equal(eventlog_replay(bytes_view(&made), &replay, &why), 0);
		if (replay.banks[0].boot_services_left != tries[i].left)
			fail_msg("%zu: 0x%x", i, replay.banks[0].boot_services_left);
		bytes_done(&made);
	}
}

static void genuine_logs_tell_whether_the_boot_services_were_left(void **state)
{
	static const struct {
		const char *file;
		uint32_t left; /* of the last bank */
	} logs[] = {
		{ "tcg2-systemd-boot-fedora37.bin", 1u << 5 }, { "tcg2-rhel8-uefi.bin", 1u << 5 },
		{ "tcg2-eventlogwithsp800155.bin", 1u << 5 },  { "ccel-gcp-cos113.bin", 1u << 2 },
		{ "bad/no-exit-boot-services.bin", 0 },
	};
	struct bytes log;
	const char *why = "";

	(void)state;
	shared_evidence_needed();
	for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
		log = shared_evidence("eventlog", logs[i].file);
		if (eventlog_replay(bytes_view(&log), &replay, &why) != 0)
			fail_msg("%s: %s", logs[i].file, why);
		if (replay.banks[replay.n_banks - 1].boot_services_left != logs[i].left)
			fail_msg("%s: 0x%x", logs[i].file,
				 replay.banks[replay.n_banks - 1].boot_services_left);
		bytes_done(&log);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_logs_replay_to_their_registers),
		cmocka_unit_test(a_genuine_log_cut_short_is_refused_or_ends_early),
		cmocka_unit_test(made_logs_are_read_strictly),
		cmocka_unit_test(a_start_up_locality_is_the_first_value_of_pcr_0),
		cmocka_unit_test(a_bank_that_a_record_lacks_is_incomplete),
		cmocka_unit_test(leaving_the_boot_services_is_told_by_both_actions),
		cmocka_unit_test(genuine_logs_tell_whether_the_boot_services_were_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
