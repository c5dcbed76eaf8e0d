/* SPDX-License-Identifier: Apache-2.0 */
#include "appraise_ima.h"

#include <string.h>

#include "ima_log.h"

void ima_witness_done(struct ima_witness *w)
{
	ima_files_free(w->files);
	*w = (struct ima_witness){ 0 };
}

/* What an entry's digest is, where it is not SHA-256 of a file's content. */
static const char *why_not(const struct ima_entry *e)
{
	static const struct {
		enum hash_alg alg;
		const char *text;
	} others[] = {
		{ HASH_SHA1, "of sha1" },
		{ HASH_SHA384, "of sha384" },
		{ HASH_SHA512, "of sha512" },
		{ HASH_SM3, "of sm3" },
	};

	if (e->violation)
		return "while it was open for writing";
	if (e->verity)
		return "of fs-verity";
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (others[i].alg == e->file_alg)
			return others[i].text;
	}
	return e->file_alg == HASH_SHA256 ? NULL : "of another algorithm";
}

/* What is not a file by its path says nothing of one: boot_aggregate, keyrings, command lines. */
static int add_entry(struct ima_files *files, const struct ima_entry *e)
{
	struct ima_file f = { .violation = e->violation, .why = why_not(e) };

	if (e->pcr != IMA_PCR || e->path.len == 0 || e->path.data[0] != '/')
		return 0;
	if (!f.why && digest_from(HASH_SHA256, e->file_digest, &f.sha256) < 0)
		f.why = "of a file that could not be read";
	return ima_files_add(files, e->path, &f);
}

static int add_all(struct ima_files *files, struct view list, const char **ret_why)
{
	struct ima_entry entry;
	struct ima_log log;
	int r;

	if (list.len == 0)
		return 0;
	r = ima_log_open(list, &log, ret_why);
	if (r < 0)
		return r;
	while ((r = ima_log_next(&log, &entry, ret_why)) == 1) {
		r = add_entry(files, &entry);
		if (r < 0) {
			*ret_why = strerror(-r);
			break;
		}
	}
	ima_log_done(&log);
	return r;
}

int appraise_ima_take(struct ima_witness *w, const Assay__ChipReport *report,
		      const struct appraise_result *result, struct appraisal *a)
{
	const struct ima_known *known = &result->chip.ima.known;
	const char *why = "";
	int r = 0;

	if (report->ima_log.len == 0 && report->ima_first == 0)
		return 0;
	if (!result->chip.ima.matched) {
		ima_witness_done(w);
		return 0;
	}
	/* From the start on, and not further than what is known: an older report. It adds nothing.
	 */
	if (report->ima_first == 0 && known->bytes <= w->known.bytes)
		return 0;
	if (report->ima_first == 0)
		ima_witness_done(w);
	if (!w->files)
		r = ima_files_new(&w->files);
	if (r == 0)
		r = add_all(w->files, result->chip.ima.fresh, &why);
	if (r == -EMSGSIZE || r == -EINVAL || r == -EBADMSG) {
		appraisal_refuse(a, "evidence.ima", "a list that can be kept", "%s", why);
		ima_witness_done(w);
		return 0;
	}
	if (r < 0) {
		ima_witness_done(w);
		return r;
	}
	w->known = *known;
	return 0;
}

void appraise_ima_judge(const struct appraise_input *in, const struct appraise_result *result,
			const struct mi *mi, struct appraisal *a)
{
	const Assay__ChipReport *report = in->report;
	bool given = report->ima_log.len > 0 || report->ima_first > 0;
	bool proven =
		in->ima && in->ima->files && result->signature_good && result->chip.ima.matched;
	const char *why = "the report brings none";

	if (given)
		why = "the one that came is not proven";
	else if (report->ima_absent && *report->ima_absent)
		why = report->ima_absent;
	policy_judge_ima(in->policy, in->platform, mi, proven ? in->ima->files : NULL, why, in->now,
			 a);
}
