/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <openssl/crypto.h>

#include "claims.h"
#include "cleanup.h"
#include "evidence.h"

/* What every platform's evidence is judged by in the same way. */

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)
CLEANUP_FUNCTION(struct hasher *, hasher_free)

int evidence_judge_platform(const struct evidence_input *in, const char *platform,
			    struct appraisal *a)
{
	/* On its own, without a policy, the question is only whether the report is genuine. */
	if (in->alone && !in->policy)
		return 1;
	if (!in->policy || !policy_allows_platform(in->policy, platform)) {
		appraisal_refuse(a, "platforms", "a platform that the policy names", "%s",
				 platform);
		return 0;
	}
	appraisal_pass(a);
	return 1;
}

static bool all_zero(struct view v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.data[i])
			return false;
	}
	return true;
}

static int judge_data(struct view expected, struct view seen, const char *rule, struct appraisal *a)
{
	char want[2 * EVIDENCE_DATA + 1], got[2 * EVIDENCE_DATA + 1];

	if (expected.len <= seen.len && seen.len <= EVIDENCE_DATA &&
	    CRYPTO_memcmp(expected.data, seen.data, expected.len) == 0 &&
	    all_zero(view_of(seen.data + expected.len, seen.len - expected.len))) {
		appraisal_pass(a);
		return 1;
	}
	hex_encode(expected.data, expected.len < EVIDENCE_DATA ? expected.len : EVIDENCE_DATA,
		   want);
	hex_encode(seen.data, seen.len < EVIDENCE_DATA ? seen.len : EVIDENCE_DATA, got);
	appraisal_refuse(a, rule, want, "%s", got);
	return 0;
}

int evidence_judge_report_data(const struct evidence_input *in, struct view seen,
			       struct appraisal *a)
{
	struct digest claims;
	int r;

	if (in->alone) {
		if (in->report_data.len == 0)
			return 1;
		return judge_data(in->report_data, seen, "evidence.report_data", a);
	}
	r = claims_hash(in->claims, &claims);
	if (r < 0)
		return r;
	if (seen.len != claims.size) {
		appraisal_refuse(a, "evidence.claims", "64 bytes of report data", "%zu", seen.len);
		return 0;
	}
	return judge_data(digest_view(&claims), seen, "evidence.claims", a);
}

static int hash_blobs(const struct evidence_input *in, struct hasher *h)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < in->report->n_endorsements; i++) {
		ProtobufCBinaryData d = in->report->endorsements[i];
		uint64_t len = d.len;

		r = hasher_add(h, &len, sizeof(len));
		if (r == 0)
			r = hasher_add(h, d.data, d.len);
	}
	return r;
}

int evidence_basis(const struct evidence_input *in, const struct x509_pin *pins, size_t n_pins,
		   struct cache_key *ret)
{
	CLEANUP(hasher_freep) struct hasher *h = NULL;
	uint8_t set[32];
	struct digest d;
	int r;

	endorsements_digest(in->endorsements, set);
	r = hasher_new(HASH_SHA256, &h);
	if (r < 0)
		return r;
	r = hasher_begin(h);
	if (r == 0)
		r = hasher_add(h, set, sizeof(set));
	if (r == 0)
		r = hasher_add(h, &n_pins, sizeof(n_pins));
	for (size_t i = 0; r == 0 && i < n_pins; i++)
		r = hasher_add(h, pins[i].sha256, sizeof(pins[i].sha256));
	if (r == 0)
		r = hash_blobs(in, h);
	if (r == 0)
		r = hasher_end(h, &d);
	if (r < 0)
		return r;
	memcpy(ret->sha256, d.bytes, sizeof(ret->sha256));
	return 0;
}

int evidence_gather(const struct evidence_file *files, size_t n, size_t at,
		    bool (*is_log)(struct view v), struct arena *arena, Assay__ChipReport *report)
{
	ProtobufCBinaryData *others = arena_alloc(arena, (n + 1) * sizeof(*others));

	if (!others)
		return -ENOMEM;
	report->endorsements = others;
	for (size_t i = 0; i < n; i++) {
		struct view v = files[i].bytes;
		ProtobufCBinaryData d = { v.len, (uint8_t *)v.data };

		if (i == at)
			report->report = d;
		else if (is_log && v.len <= EVENT_LOG_MAX && is_log(v))
			report->event_log = d;
		else
			others[report->n_endorsements++] = d;
	}
	return 0;
}

int evidence_endorsements(const struct evidence_input *in, struct endorsements **ret)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	const char *why;
	int r;

	r = endorsements_new(&e);
	if (r < 0)
		return r;
	r = endorsements_add_all(e, in->endorsements);
	for (size_t i = 0; r == 0 && i < in->report->n_endorsements; i++) {
		ProtobufCBinaryData d = in->report->endorsements[i];

		r = endorsements_add(e, view_of(d.data, d.len), &why);
		if (r == -EBADMSG || r == -EMSGSIZE)
			r = 0;
	}
	if (r < 0)
		return r;
	*ret = TAKE(e);
	return 0;
}
