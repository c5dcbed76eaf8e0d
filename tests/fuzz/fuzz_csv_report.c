/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "evidence.h"
#include "verifier/csv_certificate.h"
#include "verifier/evidence_csv.h"

/*
 * A byte that says how much is the report, and behind it endorsements in any form. What is read
 * as files is judged as evidence on its own, an event log among them, or as JSON; and what the
 * report says is held against a policy as if its chain had been good.
 */

#define ARENA_MAX (1024 * 1024)

static const char policy_text[] =
	"application: a\nplatforms:\n  csv:\n    version_min: 2\n    build_min: 2337\n"
	"    event_log: require\n    guest_policy: {require: [csv3], deny: [asid_reuse]}\n"
	"    vm_id: [\"00000000000000000000000000000000\"]\n"
	"    rtmr1: [\"0000000000000000000000000000000000000000000000000000000000000000\"]\n";

static struct policy *policy(void)
{
	static struct policy *p;
	char *error = NULL;

	if (!p && policy_parse(view_text(policy_text), "fuzz", &p, &error) != 0)
		abort();
	return p;
}

static void read_certificate(struct view raw)
{
	struct csv_certificate c;
	const char *why = NULL;
	int r;

	r = csv_certificate_parse(raw, &c, &why);
	if (r < 0 && (r != -EBADMSG || !why))
		abort();
	if (r == 0 && c.user_id.len > 254)
		abort();
}

static void judge_policy(struct view raw)
{
	struct csv_check *c = calloc(1, sizeof(*c));
	struct appraisal a;
	const char *why;

	if (!c)
		return;
	appraisal_init(&a);
	c->a = &a;
	c->rules = policy_csv(policy());
	if (csv_report_parse(raw, &c->report, &why) == 0)
		csv_judge_policy(c);
	appraisal_done(&a);
	free(c);
}

static void show(struct view raw)
{
	struct csv_report report;
	const char *why = NULL;
	json_t *shown = NULL;
	int r;

	r = csv_report_parse(raw, &report, &why);
	if (r < 0 && (r != -EBADMSG || !why))
		abort();
	if (csv_show(raw, &shown) != r)
		abort();
	json_decref(shown);
}

static void judge(struct view raw, struct view rest)
{
	const struct evidence_file files[] = { { "report", raw }, { "rest", rest } };
	struct evidence_alone in = { .platform = "csv",
				     .files = files,
				     .n_files = ARRAY_LEN(files),
				     .now = 1800000000,
				     .policy = policy() };
	struct evidence_found found;
	struct evidence_result result;
	struct endorsements *e = NULL;
	struct arena *arena;
	struct appraisal a;
	const char *why;

	if (endorsements_new(&e) < 0)
		return;
	if (endorsements_add(e, rest, &why) == 0)
		in.endorsements = e;
	if (arena_new(ARENA_MAX, &arena) == 0) {
		appraisal_init(&a);
		/* Nobody here can sign as Hygon does. */
		if (evidence_appraise(&in, arena, &a, &found, &result) == 0 &&
		    (!a.refused || result.signature_good))
			abort();
		appraisal_done(&a);
		arena_free(arena);
	}
	endorsements_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t sizes[] = { CSV_REPORT_V1_SIZE, CSV_REPORT_V2_SIZE, CSV_PAGE_SIZE,
					CSV_WRAPPED_SIZE };
	size_t len;

	if (size == 0)
		return 0;
	/* Past the sizes of a report: all of it, which may be JSON. */
	len = data[0] < ARRAY_LEN(sizes) ? sizes[data[0]] : size;
	data++;
	size--;
	if (len > size)
		len = size;
	read_certificate(view_of(data, size));
	show(view_of(data, len));
	judge_policy(view_of(data, len));
	judge(view_of(data, len), view_of(data + len, size - len));
	return 0;
}
