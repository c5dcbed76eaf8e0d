/* SPDX-License-Identifier: Apache-2.0 */
#include "appraise_runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char rule[] = "evidence.runtime_log";

/* Those above can be reset by software (PC Client Platform TPM Profile, 4.6.2). */
#define PCR_MAX 15

/* The value of a register in the report; NULL: it is not in it. */
static const struct digest *pcr(const struct evidence_result *chip, uint32_t number)
{
	return chip->pcrs_quoted >> number & 1 ? &chip->pcrs[number] : NULL;
}

static const struct digest *of_report(const struct evidence_result *chip, uint32_t number)
{
	return number < chip->n_registers ? &chip->registers[number] : NULL;
}

static bool always(const struct policy *p, const struct evidence_result *chip)
{
	return true;
}

/* Kernels before 6.16 let no program extend an RTMR: the owner may do without. */
static bool unless_policy_waives(const struct policy *p, const struct evidence_result *chip)
{
	return policy_tdx_runtime_log_required(p);
}

/* Only the extended report has registers. */
static bool where_report_has(const struct policy *p, const struct evidence_result *chip)
{
	return chip->n_registers > 0;
}

/*
 * The register that assayd extends, where the chip has one. It cannot be reset while the
 * machine runs, so it keeps the history. A platform that is not here is held to what a TPM is.
 */
struct runtime_kind {
	const char *platform;
	/* NULL: no register that assayd could extend. CCA has them, but Linux no way to one. */
	const struct digest *(*value)(const struct evidence_result *chip, uint32_t number);
	uint32_t number_max;
	bool counts_resets; /* else a new boot id is a new boot, whose log begins again */
	bool (*required)(const struct policy *p, const struct evidence_result *chip);
};

static const struct runtime_kind kinds[] = {
	{ "soft", NULL, 0, false, NULL },
	{ "sev-snp", NULL, 0, false, NULL },
	{ "cca", NULL, 0, false, NULL },
	{ "tdx", of_report, EVIDENCE_REGISTERS - 1, false, unless_policy_waives },
	{ "csv", of_report, EVIDENCE_REGISTERS - 1, false, where_report_has },
};

static const struct runtime_kind of_a_tpm = { NULL, pcr, PCR_MAX, true, always };

static const struct runtime_kind *kind_of(const char *platform)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].platform, platform) == 0)
			return &kinds[i];
	}
	return &of_a_tpm;
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
	enum hash_alg alg = result->runtime_value.alg;

	*ret = (struct base){ .value = digest_zero(alg) };
	if (!known->boot_known || result->chip.reset_count > known->reset_count)
		return true;
	if (result->chip.reset_count < known->reset_count) {
		appraisal_refuse(a, "evidence.reset_count", "a count that does not go back",
				 "%u after %u", result->chip.reset_count, known->reset_count);
		return false;
	}
	if (log->register_ != known->runtime_register ||
	    (uint32_t)alg != known->runtime_alg) {
		appraisal_refuse(a, rule, "the register and bank of this boot", "register %u of %s",
				 log->register_, hash_name(alg));
		return false;
	}
	ret->same_boot = true;
	ret->count = known->runtime_count;
	return digest_from(alg, view_of(known->runtime_value, ret->value.size),
			   &ret->value) == 0;
}

static int replay(const Assay__RuntimeLog *log, size_t from, struct digest *value)
{
	int r = 0;

	for (size_t i = from; r == 0 && i < log->n_entries; i++)
		r = claims_runtime_extend(value, view_of(log->entries[i].data, log->entries[i].len));
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

/* *ret_quoted: the register's value in the report. */
static bool well_formed(const struct runtime_kind *kind, const Assay__RuntimeLog *log,
			const struct evidence_result *chip, struct appraisal *a,
			struct digest *ret_quoted)
{
	const struct digest *quoted;

	if (log->register_ > kind->number_max) {
		appraisal_refuse(a, rule, "a register that cannot be reset", "register %u",
				 log->register_);
		return false;
	}
	quoted = kind->value(chip, log->register_);
	if (!quoted || quoted->size == 0) {
		const char *bank = hash_name(chip->bank);

		appraisal_refuse(a, rule, "a quote of the runtime register in the policy's bank",
				 "could not be checked: register %u of %s is not quoted",
				 log->register_, bank ? bank : "the report");
		return false;
	}
	*ret_quoted = *quoted;
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

/*
 * A chip that counts no resets: another boot than the one known is the next one. Whoever
 * lies about it has to show the whole log of the register, which cannot have begun again.
 */
static void count_boot(const struct appraise_input *in, struct evidence_result *chip)
{
	const struct keeper_prepare_answer *known = in->known;

	if (known->boot_known)
		chip->reset_count = known->reset_count + (known->boot_same ? 0 : 1);
}

/* The log from what is known on gives the quoted value; -errno. */
static int judge_log(const struct appraise_input *in, const struct digest *quoted,
		     struct appraisal *a, struct appraise_result *result)
{
	const Assay__RuntimeLog *log = in->report->runtime_log;
	char expected[DIGEST_HEX_MAX], seen[DIGEST_HEX_MAX];
	struct digest value;
	struct base base;
	size_t from;
	int r;

	result->runtime_value = *quoted;
	if (!find_base(in, result, a, &base))
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
	place_all(in, &base, from, a, result);
	return 0;
}

int appraise_runtime(const struct appraise_input *in, struct appraisal *a,
		     struct appraise_result *result)
{
	const Assay__RuntimeLog *log = in->report->runtime_log;
	const struct runtime_kind *kind = kind_of(in->platform);
	struct digest quoted;

	/* Without a good signature there is a reason already, and nothing to hold the log to. */
	if (!result->signature_good || !kind->value)
		return 0;
	if (!log && !kind->required(in->policy, &result->chip))
		return 0;
	if (!log) {
		appraisal_refuse(a, rule, "the log of the runtime register",
				 "could not be checked: none");
		return 0;
	}
	if (!well_formed(kind, log, &result->chip, a, &quoted))
		return 0;
	if (!kind->counts_resets)
		count_boot(in, &result->chip);
	return judge_log(in, &quoted, a, result);
}
