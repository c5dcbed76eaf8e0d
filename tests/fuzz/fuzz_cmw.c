/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "cmw.h"
#include "evidence.h"

/* A wrapper: read, its messages made anew and read again, and judged as evidence. */

#define ARENA_MAX (1024 * 1024)
#define MADE_MAX  (2 * CMW_BYTES_MAX)

static void make_anew(const struct cmw_message *m)
{
	struct cmw_message again[CMW_MESSAGES_MAX];
	struct bytes b = BYTES_INIT(MADE_MAX);
	const char *why;
	size_t n;

	if (cmw_write(&b, m) == 0 &&
	    (cmw_read(bytes_view(&b), again, &n, &why) < 0 || n != 1 ||
	     !view_equal(again[0].value, m->value) || again[0].format != m->format ||
	     again[0].indicator != m->indicator))
		abort();
	bytes_done(&b);
}

static void make_report_anew(const struct tsm_report *t)
{
	struct bytes b = BYTES_INIT(MADE_MAX);
	struct tsm_report again;

	if (tsm_report_write(&b, t) == 0 &&
	    (tsm_report_read(bytes_view(&b), &again) < 0 || !view_equal(again.outblob, t->outblob)))
		abort();
	bytes_done(&b);
}

static void judge(struct view raw)
{
	const struct evidence_file files[] = { { "wrapper", raw } };
	struct evidence_alone in = { .files = files, .n_files = 1, .now = 1800000000 };
	struct evidence_found found;
	struct evidence_result result;
	struct arena *arena;
	struct appraisal a;

	if (arena_new(ARENA_MAX, &arena) < 0)
		return;
	appraisal_init(&a);
	if (evidence_appraise(&in, arena, &a, &found, &result) == 0 && found.ops && found.at != 0)
		abort();
	appraisal_done(&a);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cmw_message m[CMW_MESSAGES_MAX];
	struct view raw = view_of(data, size);
	struct tsm_report t;
	const char *why = NULL;
	size_t n = 0;
	int r;

	r = cmw_read(raw, m, &n, &why);
	if (r < 0 && (r != -EBADMSG || !why))
		abort();
	for (size_t i = 0; r == 0 && i < n; i++)
		make_anew(&m[i]);
	if (tsm_report_read(raw, &t) == 0)
		make_report_anew(&t);
	judge(raw);
	return 0;
}
