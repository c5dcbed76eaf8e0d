/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "verifier/appraise_ima.h"
#include "verifier/ima_rules.h"

/*
 * A list of IMA in two reports of one session: what is known after them is what one report with all
 * of it makes known, or the second one is refused. The first byte says where it is cut.
 */

static const char rules[] = "application: a\nplatforms:\n  tpm:\n    ima: {witness: require}\n"
			    "static: {manifest: a.mtree}\n";
static const char manifest[] = "#mtree\n"
			       "./usr type=dir mode=0755 uid=0 gid=0\n"
			       "./usr/a\\040b type=file mode=0755 uid=0 gid=0 size=10 sha256digest="
			       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";

static const struct policy *policy(void)
{
	static struct policy *p;
	char *error = NULL;

	if (!p && (policy_parse(view_text(rules), "p", &p, &error) < 0 ||
		   policy_attach_manifest(p, view_text(manifest), &error) < 0))
		abort();
	return p;
}

/* One report, quoted with this value. True: it was proven. */
static bool report(struct ima_witness *w, struct view list, uint64_t first,
		   const struct digest *quoted)
{
	struct appraise_result result = { .signature_good = true };
	Assay__ChipReport r = ASSAY__CHIP_REPORT__INIT;
	struct appraise_input in = {
		.report = &r, .policy = policy(), .platform = "tpm", .ima = w
	};
	struct appraisal a;

	r.ima_log.data = (uint8_t *)list.data;
	r.ima_log.len = list.len;
	r.ima_first = first;
	result.chip.bank = HASH_SHA256;
	result.chip.pcrs_quoted = 1u << IMA_PCR;
	result.chip.pcrs[IMA_PCR] = *quoted;
	appraisal_init(&a);
	if (ima_rules_judge(NULL, "tpm", &r, &w->known, &result.chip, &a) < 0 ||
	    appraise_ima_take(w, &r, &result, &a) < 0)
		abort();
	appraise_ima_judge(&in, &result, NULL, &a);
	if (!result.chip.ima.matched && !a.refused)
		abort();
	appraisal_done(&a);
	return result.chip.ima.matched && w->files;
}

/* Where the PCR stands after the first n entries. */
static struct digest value_at(struct view list, size_t n, size_t *ret_bytes)
{
	struct ima_replay replay = { 0 }, again;
	struct ima_log log;
	struct ima_entry e;
	const char *why;
	size_t seen = 0, end = 0;

	if (ima_log_open(list, &log, &why) < 0)
		abort();
	while (seen < n && ima_log_next(&log, &e, &why) == 1) {
		seen += e.pcr == IMA_PCR;
		end = list.len - log.at.left;
	}
	ima_log_done(&log);
	if (ima_replay(view_of(list.data, end), IMA_PCR, HASH_SHA256, NULL, &replay, &why) < 0 ||
	    ima_replay(list, IMA_PCR, HASH_SHA256, &replay.value, &again, &why) < 0 ||
	    !again.matched || again.proven != n || again.ended_at != end)
		abort();
	*ret_bytes = end;
	return replay.value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ima_witness whole = { 0 }, parts = { 0 };
	struct ima_replay all;
	struct digest value;
	const char *why;
	struct view list;
	size_t cut;

	if (size < 2)
		return 0;
	list = view_of(data + 1, size - 1);
	if (ima_replay(list, IMA_PCR, HASH_SHA256, NULL, &all, &why) < 0 || all.entries == 0)
		return 0;
	if (!report(&whole, list, 0, &all.value) || whole.known.entries != all.entries)
		abort();
	value = value_at(list, 1 + data[0] % all.entries, &cut);
	if (!report(&parts, view_of(list.data, cut), 0, &value) || parts.known.bytes != cut)
		abort();
	if (report(&parts, view_of(list.data + cut, list.len - cut), cut, &all.value) &&
	    (parts.known.bytes != whole.known.bytes || parts.known.entries != whole.known.entries ||
	     parts.known.violations != whole.known.violations ||
	     !digest_equal(&parts.known.value, &whole.known.value) ||
	     ima_files_count(parts.files) != ima_files_count(whole.files)))
		abort();
	ima_witness_done(&whole);
	ima_witness_done(&parts);
	return 0;
}
