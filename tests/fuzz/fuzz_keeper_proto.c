/* SPDX-License-Identifier: Apache-2.0 */
/* What the keeper reads of the appraiser's requests: the appraiser may have been taken over. */
#include <stdlib.h>
#include <string.h>

#include "verifier/keeper_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_judge(const struct keeper_judge *j, const struct view *blobs)
{
	struct reader in = reader_of(blobs[1]);
	struct keeper_measurement m;
	struct view claims, mi;
	struct appraisal a;
	size_t sum = 0;

	if (!memchr(j->application, 0, sizeof(j->application)) || j->measurement_good > 1)
		abort();
	while (keeper_next_measurement(&in, &m, &claims, &mi) == 0) {
		sum += sizeof(m) + claims.len + mi.len;
		if (sum > blobs[1].len || m.stage > STAGE_MAX)
			abort();
	}
	appraisal_init(&a);
	/* Blobs that are read as reasons: those that refuse do so whatever else they hold. */
	if (keeper_read_reasons(blobs[2], &a) == 0 && blobs[2].len > 0 && a.checks == 0)
		abort();
	for (size_t i = 0; i < a.n; i++) {
		if (!memchr(a.reasons[i].seen, 0, sizeof(a.reasons[i].seen)))
			abort();
	}
	appraisal_done(&a);
}

static void read_sealed(struct view blob)
{
	struct reader in = reader_of(blob);
	struct keeper_sealed s;
	struct view content;

	while (keeper_next_sealed(&in, &s, &content) == 0) {
		if (!memchr(s.name, 0, sizeof(s.name)) || content.len > blob.len)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view blobs[KEEPER_BLOBS] = { { 0 } };
	const struct keeper_shape *shape;
	union keeper_any fixed;
	size_t sum;

	if (size < 1)
		return 0;
	memset(&fixed, 0, sizeof(fixed));
	shape = keeper_shape(data[0]);
	if (keeper_parse(data[0], view_of(data + 1, size - 1), &fixed, blobs) < 0)
		return 0;
	if (!shape || size - 1 > keeper_len_max(shape))
		abort();
	sum = shape->size;
	for (size_t i = 0; i < shape->n_blobs; i++)
		sum += sizeof(uint32_t) + blobs[i].len;
	if (sum != size - 1)
		abort();
	if (data[0] == KEEPER_JUDGE)
		read_judge(&fixed.judge, blobs);
	if (data[0] == KEEPER_JUDGE_ANSWER)
		read_sealed(blobs[1]);
	return 0;
}
