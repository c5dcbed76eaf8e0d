/* SPDX-License-Identifier: Apache-2.0 */
#include "release.h"

#include <stdio.h>

/* Why a nonce does not count. In the order of enum release_nonce. */
static const char *const nonce_seen[] = {
	[RELEASE_NONCE_UNKNOWN] = "a nonce that was never issued",
	[RELEASE_NONCE_USED] = "a nonce that was used before",
	[RELEASE_NONCE_REPLACED] = "a nonce that a later one replaced",
	[RELEASE_NONCE_EXPIRED] = "a nonce that has expired",
	[RELEASE_NONCE_OTHER_SESSION] = "the nonce of another session",
	[RELEASE_NONCE_OTHER_APPLICATION] = "the nonce of another application",
	[RELEASE_NONCE_OTHER_STAGE] = "the nonce of another stage",
	[RELEASE_NONCE_NONE] = "none",
};

/*
 * The channel's part. Its refusals do not latch: they say nothing of the application,
 * and an honest attester meets them after a lost connection.
 */
static bool channel_allows(const struct release_input *in, struct appraisal *a)
{
	bool good = in->channel_good;

	if (in->nonce == RELEASE_NONCE_NONE) {
		/* Chained, signed and sent later: judged, and good for no stage. */
		if (in->stage == 0) {
			appraisal_pass(a);
			return good;
		}
		appraisal_refuse(a, "release.nonce", "a nonce of this session", "%s",
				 nonce_seen[in->nonce]);
		return false;
	}
	if (in->nonce != RELEASE_NONCE_GOOD) {
		appraisal_refuse(a, "release.nonce",
				 "an unused nonce of this session, application and stage", "%s",
				 nonce_seen[in->nonce]);
		return false;
	}
	appraisal_pass(a);
	return good;
}

/* The stage's own conditions. A refusal here latches. */
static bool stage_allows(const struct release_input *in, struct appraisal *a)
{
	static const char *const kind_names[] = {
		[POLICY_STATIC] = "static", [POLICY_DYNAMIC] = "dynamic"
	};
	const struct policy_stage *asked = in->asked;
	/* A verdict that was lost on the way may be asked for again, with a new measurement. */
	bool again = in->stage == in->run_passed && !in->run_delivered;
	char expected[64];

	if (!asked) {
		appraisal_refuse(a, "release.stage", "a stage of the policy", "stage %u",
				 in->stage);
		return false;
	}
	if (!in->run_current) {
		appraisal_refuse(a, "release.run", "the latest run of the application",
				 "an earlier one");
		return false;
	}
	if (in->stage != in->run_passed + 1 && !again) {
		snprintf(expected, sizeof(expected), "stage %u", in->run_passed + 1);
		appraisal_refuse(a, "release.stage", expected, "stage %u", in->stage);
		return false;
	}
	if (in->kind != asked->after) {
		appraisal_refuse(a, "release.after", kind_names[asked->after], "%s",
				 kind_names[in->kind]);
		return false;
	}
	if (asked->within_ns > 0 && in->since_challenge_ns > asked->within_ns) {
		snprintf(expected, sizeof(expected), "at most %.3f s after the challenge",
			 (double)asked->within_ns / 1e9);
		appraisal_refuse(a, "release.within", expected, "%.3f s",
				 (double)in->since_challenge_ns / 1e9);
		return false;
	}
	appraisal_pass(a);
	return true;
}

void release_decide(const struct release_input *in, struct appraisal *a,
		    struct release_decision *ret)
{
	bool channel = channel_allows(in, a);
	bool good = in->measurement_good && channel;

	*ret = (struct release_decision){ 0 };
	/*
	 * What the chip did not sign anybody can say who reaches the port, and what the channel
	 * refuses may be a replay: neither latches. What was measured without a session does: it
	 * is the machine's own word, and how tampering shows that was done meanwhile.
	 */
	if (!in->measurement_good && in->signature_good && channel)
		ret->latch = true;
	if (good && in->stage > 0) {
		if (in->latched) {
			appraisal_refuse(a, "release.latched", "an application that is admitted",
					 "latched after a refusal; assay fleet readmit opens it");
			good = false;
		} else if (!in->has_channel_key) {
			appraisal_refuse(a, "release.channel_key", "a channel key", "none");
			good = false;
		} else if (!stage_allows(in, a)) {
			ret->latch = true;
			good = false;
		}
	}
	appraisal_finish(a);
	ret->accepted = good;
	ret->release = good && in->stage > 0;
}
