/* SPDX-License-Identifier: Apache-2.0 */
#include "appraise_runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Those above 15 can be reset by software (PC Client Platform TPM Profile, 4.6.2). */
#define RUNTIME_REGISTER_MAX 15

static const char rule[] = "evidence.runtime_log";

/* Platforms whose chip has no register that assayd could extend. Any other must show it. */
static const char *const without_register[] = { "soft" };

static bool has_register(const char *platform)
{
	for (size_t i = 0; i < ARRAY_LEN(without_register); i++) {
		if (strcmp(without_register[i], platform) == 0)
			return false;
	}
	return true;
}

/* What is known of this boot: nothing yet, where the reset count has grown. */
struct base {
	uint64_t count;
	struct digest value;
	bool same_boot;
};

static bool find_base(const struct appraise_input *in, const struct appraise_result *result,
		      struct appraisal *a, struct base *ret)
{
	const struct keeper_prepare_answer *known = in->known;
	const Assay__RuntimeLog *log = in->report->runtime_log;

	*ret = (struct base){ .value = digest_zero(result->chip.bank) };
	if (!known->boot_known || result->chip.reset_count > known->reset_count)
		return true;
	if (result->chip.reset_count < known->reset_count) {
		appraisal_refuse(a, "evidence.reset_count", "a count that does not go back",
				 "%u after %u", result->chip.reset_count, known->reset_count);
		return false;
	}
	if (log->register_ != known->runtime_register ||
	    (uint32_t)result->chip.bank != known->runtime_alg) {
		appraisal_refuse(a, rule, "the register and bank of this boot", "register %u of %s",
				 log->register_, hash_name(result->chip.bank));
		return false;
	}
	ret->same_boot = true;
	ret->count = known->runtime_count;
	return digest_from(result->chip.bank, view_of(known->runtime_value, ret->value.size),
			   &ret->value) == 0;
}

/* The bank extends a digest of its own size: for SHA-256 the entry itself. */
static int extend(struct digest *value, struct view entry)
{
	struct digest d;
	int r;

	if (value->alg == HASH_SHA256)
		return digest_extend(value, entry);
	r = digest_of(value->alg, entry, &d);
	if (r < 0)
		return r;
	return digest_extend(value, digest_view(&d));
}

static int replay(const Assay__RuntimeLog *log, size_t from, struct digest *value)
{
	int r = 0;

	for (size_t i = from; r == 0 && i < log->n_entries; i++)
		r = extend(value, view_of(log->entries[i].data, log->entries[i].len));
	return r;
}

/*
 * Where each measurement stands: in what is known already (another application's evidence
 * brought it), or else in the new entries; each after the one before.
 */
static void place_all(const struct appraise_input *in, const struct base *base, size_t from,
		      struct appraisal *a, struct appraise_result *result)
{
	const Assay__RuntimeLog *log = in->report->runtime_log;
	struct reader known = reader_of(in->known_entries);
	uint64_t last = 0;

	for (size_t i = 0; i < in->n; i++) {
		struct view wanted = digest_view(&in->measurements[i].runtime);
		uint64_t place = 0;

		if (read_copy(&known, &place, sizeof(place)) < 0 || !base->same_boot ||
		    place <= last)
			place = 0;
		for (size_t k = from; place == 0 && k < log->n_entries; k++) {
			uint64_t here = base->count + (k - from) + 1;

			if (here > last &&
			    view_equal(wanted, view_of(log->entries[k].data, log->entries[k].len)))
				place = here;
		}
		if (place == 0) {
			appraisal_refuse(a, rule, "every measurement, in order",
					 "measurement %" PRIu64 " is not in it",
					 in->measurements[i].claims->sequence);
			return;
		}
		appraisal_pass(a);
		result->entries[i] = place;
		last = place;
	}
}

static bool well_formed(const Assay__RuntimeLog *log, const struct evidence_result *chip,
			struct appraisal *a)
{
	if (log->register_ > RUNTIME_REGISTER_MAX) {
		appraisal_refuse(a, rule, "a register that cannot be reset", "register %u",
				 log->register_);
		return false;
	}
	if (!(chip->pcrs_quoted >> log->register_ & 1)) {
		const char *bank = hash_name(chip->bank);

		appraisal_refuse(a, rule, "a quote of the runtime register in the policy's bank",
				 "could not be checked: register %u of %s is not quoted",
				 log->register_, bank ? bank : "no bank");
		return false;
	}
	if (log->n_entries > KEEPER_ENTRIES) {
		appraisal_refuse(a, rule, "at most 65536 entries at once", "%zu", log->n_entries);
		return false;
	}
	for (size_t i = 0; i < log->n_entries; i++) {
		if (log->entries[i].len != KEEPER_DIGEST_SIZE) {
			appraisal_refuse(a, rule, "entries of 32 bytes", "one of %zu",
					 log->entries[i].len);
			return false;
		}
	}
	return true;
}

int appraise_runtime(const struct appraise_input *in, struct appraisal *a,
		     struct appraise_result *result)
{
	const Assay__RuntimeLog *log = in->report->runtime_log;
	char expected[DIGEST_HEX_MAX], seen[DIGEST_HEX_MAX];
	struct digest value, *quoted;
	struct base base;
	size_t from;
	int r;

	/* Without a good signature there is a reason already, and nothing to hold the log to. */
	if (!result->signature_good || !has_register(in->platform))
		return 0;
	if (!log) {
		appraisal_refuse(a, rule, "the log of the runtime register",
				 "could not be checked: none");
		return 0;
	}
	if (!well_formed(log, &result->chip, a) || !find_base(in, result, a, &base))
		return 0;
	if (log->first > base.count || base.count - log->first > log->n_entries) {
		snprintf(expected, sizeof(expected), "entries up to and after number %" PRIu64,
			 base.count);
		appraisal_refuse(a, rule, expected, "%zu from %" PRIu64 " on", log->n_entries,
				 log->first);
		return 0;
	}
	from = (size_t)(base.count - log->first);
	value = base.value;
	r = replay(log, from, &value);
	if (r < 0)
		return r;
	quoted = &result->chip.pcrs[log->register_];
	if (!digest_equal(&value, quoted)) {
		appraisal_refuse(a, rule, digest_hex(quoted, expected), "its replay gives %s",
				 digest_hex(&value, seen));
		return 0;
	}
	appraisal_pass(a);
	result->runtime_good = true;
	result->runtime_register = log->register_;
	result->runtime_before = base.count;
	result->new_entries_from = from;
	result->runtime_value = value;
	place_all(in, &base, from, a, result);
	return 0;
}
