/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "verifier/appraise_runtime.h"

#define ENTRIES	 3
#define REGISTER 15

/*
 * The runtime log of one TPM: three entries, the second of which is the measurement at hand,
 * and a quote of what they extend to. A case changes one thing of it.
 */
struct world {
	const char *platform;
	struct appraise_measurement m;
	Assay__Claims claims;
	Assay__RuntimeLog log;
	Assay__ChipReport report;
	struct keeper_prepare_answer known;
	struct digest entries[ENTRIES];
	ProtobufCBinaryData list[ENTRIES];
	struct appraise_result result;
};

static void nothing(struct world *w)
{
}

static void no_log(struct world *w)
{
	w->report.runtime_log = NULL;
}

static void nothing_quoted(struct world *w)
{
	w->result.chip.pcrs_quoted = 0;
}

static void another_register_quoted(struct world *w)
{
	w->result.chip.pcrs_quoted = 1U << 7;
}

/* As a quote of SHA-1 alone is, under a policy of SHA-256: no value in the policy's bank. */
static void nothing_quoted_and_no_log(struct world *w)
{
	nothing_quoted(w);
	no_log(w);
}

static void nothing_quoted_of_a_known_boot(struct world *w)
{
	nothing_quoted_and_no_log(w);
	w->known.boot_known = 1;
	w->known.reset_count = 4;
	w->known.runtime_count = 1;
	w->known.runtime_register = REGISTER;
	w->known.runtime_alg = HASH_SHA256;
}

static void another_bank_than_before(struct world *w)
{
	w->known.boot_known = 1;
	w->known.reset_count = 4;
	w->known.runtime_register = REGISTER;
	w->known.runtime_alg = HASH_SHA384;
}

static void values_of_another_bank(struct world *w)
{
	w->result.chip.pcrs[REGISTER] = digest_zero(HASH_SHA384);
}

static void resettable(struct world *w)
{
	w->log.register_ = 16;
	w->result.chip.pcrs_quoted |= 1U << 16;
	w->result.chip.pcrs[16] = w->result.chip.pcrs[REGISTER];
}

static void entry_hidden(struct world *w)
{
	w->log.n_entries--;
}

static void entry_of_another_size(struct world *w)
{
	w->list[0].len--;
}

static void measurement_not_in_it(struct world *w)
{
	w->m.runtime.bytes[0] ^= 1;
}

static void reset_count_goes_back(struct world *w)
{
	w->known.boot_known = 1;
	w->known.reset_count = 5;
}

static void soft(struct world *w)
{
	w->platform = "soft";
	nothing_quoted_and_no_log(w);
}

static void another_platform(struct world *w)
{
	w->platform = "one that comes later";
	nothing_quoted_and_no_log(w);
}

/* As above, in a TD: RTMR3 of the report, SHA-384, of a chip that counts no resets. */
static void in_a_td(struct world *w)
{
	struct digest entry, *value = &w->result.chip.registers[3];

	nothing_quoted(w);
	w->platform = "tdx";
	w->log.register_ = 3;
	w->result.chip.bank = HASH_NONE;
	w->result.chip.reset_count = 0;
	w->result.chip.n_registers = 4;
	*value = digest_zero(HASH_SHA384);
	for (size_t i = 0; i < ENTRIES; i++) {
		assert_int_equal(digest_of(HASH_SHA384, digest_view(&w->entries[i]), &entry), 0);
		assert_int_equal(digest_extend(value, digest_view(&entry)), 0);
	}
}

static void in_a_td_without_log(struct world *w)
{
	in_a_td(w);
	no_log(w);
}

static void in_a_td_with_an_entry_hidden(struct world *w)
{
	in_a_td(w);
	entry_hidden(w);
}

static void in_a_td_of_another_register(struct world *w)
{
	in_a_td(w);
	w->log.register_ = 2;
	w->result.chip.registers[2] = digest_zero(HASH_SHA384);
}

static void in_a_td_beyond_its_registers(struct world *w)
{
	in_a_td(w);
	w->log.register_ = 4;
}

/* Whatever it says of its boot, the register has not begun again. */
static void known_td(struct world *w, bool same)
{
	struct digest entry, value = digest_zero(HASH_SHA384);

	in_a_td(w);
	assert_int_equal(digest_of(HASH_SHA384, digest_view(&w->entries[0]), &entry), 0);
	assert_int_equal(digest_extend(&value, digest_view(&entry)), 0);
	w->known.boot_known = 1;
	w->known.boot_same = same;
	w->known.reset_count = 7;
	w->known.runtime_register = 3;
	w->known.runtime_alg = HASH_SHA384;
	w->known.runtime_count = 1;
	memcpy(w->known.runtime_value, value.bytes, value.size);
}

static void td_that_goes_on(struct world *w)
{
	known_td(w, true);
}

static void td_that_was_started_again(struct world *w)
{
	known_td(w, false);
}

static void td_that_lies_about_its_boot(struct world *w)
{
	known_td(w, false);
	w->log.first = 1;
	w->log.entries++;
	w->log.n_entries--;
}

static void without_register(struct world *w)
{
	w->platform = "sev-snp";
	nothing_quoted_and_no_log(w);
}

static void short_csv_report(struct world *w)
{
	w->platform = "csv";
	nothing_quoted_and_no_log(w);
}

static void long_csv_report(struct world *w)
{
	short_csv_report(w);
	w->result.chip.n_registers = 5;
}

static const struct {
	const char *what;
	void (*change)(struct world *w);
	bool refused, good;
	const char *rule, *seen; /* of the refusal */
} cases[] = {
	{ "a log that replays", nothing, false, true, NULL, NULL },
	{ "a platform without a register", soft, false, false, NULL, NULL },

	{ "RTMR3 of a TD", in_a_td, false, true, NULL, NULL },
	{ "a TD that goes on", td_that_goes_on, false, true, NULL, NULL },
	{ "a TD that was started again", td_that_was_started_again, false, true, NULL, NULL },
	{ "SEV-SNP, which has none", without_register, false, false, NULL, NULL },
	{ "CSV's short report, which has none", short_csv_report, false, false, NULL, NULL },

	{ "CSV's long report without a log", long_csv_report, true, false, "evidence.runtime_log",
	  "could not be checked" },
	{ "a TD without a log", in_a_td_without_log, true, false, "evidence.runtime_log",
	  "could not be checked" },
	{ "a TD's entry left out", in_a_td_with_an_entry_hidden, true, false,
	  "evidence.runtime_log", "its replay" },
	{ "another register of a TD", in_a_td_of_another_register, true, false,
	  "evidence.runtime_log", "its replay" },
	{ "a register that a TD has not", in_a_td_beyond_its_registers, true, false,
	  "evidence.runtime_log", "is not quoted" },
	{ "a TD that lies about its boot", td_that_lies_about_its_boot, true, false,
	  "evidence.runtime_log", "from 1 on" },
	{ "no log", no_log, true, false, "evidence.runtime_log", "could not be checked" },
	{ "a log, and no register in the quote", nothing_quoted, true, false,
	  "evidence.runtime_log", "could not be checked" },
	{ "another register in the quote", another_register_quoted, true, false,
	  "evidence.runtime_log", "could not be checked" },
	{ "neither log nor register", nothing_quoted_and_no_log, true, false,
	  "evidence.runtime_log", "could not be checked" },
	{ "neither, of a boot whose log is known", nothing_quoted_of_a_known_boot, true, false,
	  "evidence.runtime_log", "could not be checked" },
	{ "neither, of a platform nobody said it of", another_platform, true, false,
	  "evidence.runtime_log", "could not be checked" },
	{ "another bank than this boot's", another_bank_than_before, true, false,
	  "evidence.runtime_log", "" },
	{ "a value of another bank", values_of_another_bank, true, false, "evidence.runtime_log",
	  "" },
	{ "a register that software can reset", resettable, true, false, "evidence.runtime_log",
	  "register 16" },
	{ "an entry left out", entry_hidden, true, false, "evidence.runtime_log", "its replay" },
	{ "an entry that is no SHA-256", entry_of_another_size, true, false, "evidence.runtime_log",
	  "one of 31" },
	{ "a measurement that was not extended", measurement_not_in_it, true, true,
	  "evidence.runtime_log", "is not in it" },
	{ "a reset count that goes back", reset_count_goes_back, true, false,
	  "evidence.reset_count", "4 after 5" },
};

static void build(struct world *w)
{
	struct digest *value = &w->result.chip.pcrs[REGISTER];

	memset(w, 0, sizeof(*w));
	w->platform = "tpm";
	assay__claims__init(&w->claims);
	assay__runtime_log__init(&w->log);
	assay__chip_report__init(&w->report);
	*value = digest_zero(HASH_SHA256);
	for (size_t i = 0; i < ENTRIES; i++) {
		const uint8_t byte = (uint8_t)i;

		assert_int_equal(digest_of(HASH_SHA256, view_of(&byte, 1), &w->entries[i]), 0);
		assert_int_equal(digest_extend(value, digest_view(&w->entries[i])), 0);
		w->list[i] = (ProtobufCBinaryData){ KEEPER_DIGEST_SIZE, w->entries[i].bytes };
	}
	w->m.claims = &w->claims;
	w->m.runtime = w->entries[1];
	w->log.register_ = REGISTER;
	w->log.entries = w->list;
	w->log.n_entries = ENTRIES;
	w->report.runtime_log = &w->log;
	w->result.signature_good = true;
	w->result.chip.bank = HASH_SHA256;
	w->result.chip.pcrs_quoted = 1U << REGISTER;
	w->result.chip.reset_count = 4;
}

static void each_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct appraise_input in = { .n = 1 };
		struct appraisal a;
		struct world w;

		build(&w);
		cases[i].change(&w);
		in.report = &w.report;
		in.measurements = &w.m;
		in.platform = w.platform;
		in.known = &w.known;
		appraisal_init(&a);
		assert_int_equal(appraise_runtime(&in, &a, &w.result), 0);
		if (a.refused != cases[i].refused || w.result.runtime_good != cases[i].good)
			fail_msg("%s: refused %d, good %d", cases[i].what, a.refused,
				 w.result.runtime_good);
		if (cases[i].refused && (strcmp(a.reasons[0].rule, cases[i].rule) != 0 ||
					 !strstr(a.reasons[0].seen, cases[i].seen)))
			fail_msg("%s: %s: %s", cases[i].what, a.reasons[0].rule, a.reasons[0].seen);
		if (!cases[i].refused && cases[i].good)
			assert_int_equal(w.result.entries[0], 2);
		appraisal_done(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
