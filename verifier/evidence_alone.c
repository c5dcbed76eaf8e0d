/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "eventlog.h"
#include "evidence.h"
#include "evidence_wrapped.h"

/* Evidence in files, judged on its own: what it is, its parts, the verdict. */

static ProtobufCBinaryData lend(struct view v)
{
	return (ProtobufCBinaryData){ v.len, (uint8_t *)v.data };
}

/* The first row that knows a file as its report, for each file. */
static const struct evidence_ops *knows(const struct evidence_file *file, const char *platform)
{
	for (const struct evidence_ops *const *ops = evidence_table; *ops; ops++) {
		if (platform && strcmp((*ops)->platform, platform) != 0)
			continue;
		if ((*ops)->detect && (*ops)->detect(file->bytes))
			return *ops;
	}
	return NULL;
}

/* Report and event log; what else is among the files is nothing of ours. */
static void gather_plain(const struct evidence_file *files, size_t n, size_t at,
			 Assay__ChipReport *report)
{
	struct eventlog log;
	const char *why;

	report->report = lend(files[at].bytes);
	for (size_t i = 0; i < n; i++) {
		if (i != at && files[i].bytes.len <= EVENT_LOG_MAX &&
		    eventlog_open(files[i].bytes, &log, &why) == 0)
			report->event_log = lend(files[i].bytes);
	}
}

/* True if a report of part is but a part of the evidence of whole. */
static bool is_part(const struct evidence_ops *part, const struct evidence_ops *whole)
{
	for (const char *const *p = whole->parts; p && *p; p++) {
		if (strcmp(*p, part->platform) == 0)
			return true;
	}
	return false;
}

static bool is_part_of_another(const struct evidence_ops *const *known, size_t n, size_t i)
{
	for (size_t j = 0; j < n; j++) {
		if (known[j] && is_part(known[i], known[j]))
			return true;
	}
	return false;
}

/* The one report that is no part of another; -EEXIST: there are two. None: ops stay NULL. */
static int find_whole(const struct evidence_pieces *p, const char *platform, struct arena *arena,
		      struct evidence_found *f, const char **ret_why)
{
	const struct evidence_ops **known = arena_alloc(arena, (p->n + 1) * sizeof(*known));

	if (!known)
		return -ENOMEM;
	for (size_t i = 0; i < p->n; i++)
		known[i] = p->of[i].not_evidence ? NULL : knows(&p->files[i], platform);
	for (size_t i = 0; i < p->n; i++) {
		if (!known[i] || is_part_of_another(known, p->n, i))
			continue;
		if (f->ops) {
			*ret_why = arena_printf(arena, "%s and %s are both reports: one at a time",
						p->files[f->at].name, p->files[i].name);
			return *ret_why ? -EEXIST : -ENOMEM;
		}
		f->ops = known[i];
		f->at = i;
	}
	return 0;
}

int evidence_detect(const struct evidence_alone *in, struct arena *arena,
		    struct evidence_found *ret, const char **ret_why)
{
	struct evidence_found f = { .report = ASSAY__CHIP_REPORT__INIT };
	struct evidence_pieces p;
	int r;

	r = evidence_unwrap(in->files, in->n_files, arena, &p);
	if (r == 0)
		r = find_whole(&p, in->platform, arena, &f, ret_why);
	if (r < 0)
		return r;
	if (!f.ops) {
		*ret_why = in->platform
				   ? "no report of that platform is among the files"
				   : "no report of a platform that is known is among the files";
		return -ENOENT;
	}
	if (!evidence_piece_is_of(&p.of[f.at], f.ops->platform)) {
		*ret_why = "the wrapper says that another platform's driver gave this report";
		return -EINVAL;
	}
	f.report.platform = (char *)f.ops->platform;
	if (f.ops->gather) {
		r = f.ops->gather(p.files, p.n, f.at, arena, &f.report, ret_why);
		if (r < 0)
			return r;
	} else {
		gather_plain(p.files, p.n, f.at, &f.report);
	}
	f.at = p.of[f.at].file;
	*ret = f;
	return 0;
}

static int appraise(const struct evidence_alone *in, const struct evidence_found *f,
		    struct appraisal *a, struct evidence_result *ret)
{
	struct evidence_input input = {
		.report = &f->report,
		.now = in->now,
		.policy = in->policy,
		.endorsements = in->endorsements,
		.roots = in->roots,
		.n_roots = in->n_roots,
		.cache = in->cache,
		.alone = true,
		.report_data = in->report_data,
	};

	return f->ops->verify_alone ? f->ops->verify_alone(&input, a, ret)
				    : f->ops->verify(&input, a, ret);
}

int evidence_appraise(const struct evidence_alone *in, struct arena *arena, struct appraisal *a,
		      struct evidence_found *ret_found, struct evidence_result *ret)
{
	struct evidence_found f = { 0 };
	struct evidence_result result = { 0 };
	const char *why;
	int r;

	r = evidence_detect(in, arena, &f, &why);
	if (r == -ENOENT || r == -EEXIST || r == -EINVAL) {
		appraisal_refuse(a, "evidence.format",
				 in->platform ? in->platform : "one piece of evidence", "%s", why);
		r = 0;
	} else if (r == 0) {
		r = appraise(in, &f, a, &result);
	}
	if (r < 0)
		return r;
	appraisal_finish(a);
	*ret_found = f;
	*ret = result;
	return 0;
}

enum evidence_verdict evidence_verdict(const struct appraisal *a)
{
	if (appraisal_accepted(a))
		return EVIDENCE_VALID;
	/* A reason that there was no room for may be any. */
	if (!a->finished || a->checks == 0 || a->uncounted > 0)
		return EVIDENCE_INVALID;
	for (size_t i = 0; i < a->n; i++) {
		if (!a->reasons[i].warning &&
		    strncmp(a->reasons[i].rule, "platforms", strlen("platforms")) != 0)
			return EVIDENCE_INVALID;
	}
	return EVIDENCE_POLICY;
}

const char *evidence_verdict_name(enum evidence_verdict v)
{
	static const char *const names[] = {
		[EVIDENCE_INVALID] = "invalid",
		[EVIDENCE_POLICY] = "policy",
		[EVIDENCE_VALID] = "valid",
	};

	return names[v];
}
