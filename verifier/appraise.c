/* SPDX-License-Identifier: Apache-2.0 */
#include "appraise.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "appraise_ima.h"
#include "appraise_runtime.h"
#include "cleanup.h"
#include "manifest.h"
#include "mi.h"

static struct view field(ProtobufCBinaryData d)
{
	return view_of(d.data, d.len);
}

static void pass_or(struct appraisal *a, bool held, const char *rule, const char *expected,
		    const char *seen)
{
	if (held)
		appraisal_pass(a);
	else
		appraisal_refuse(a, rule, expected, "%s", seen);
}

/* The report is of the kind that Hello announced, and its own module judges it. */
static int check_chip(const struct appraise_input *in, struct appraisal *a,
		      struct appraise_result *ret)
{
	const struct appraise_measurement *last = &in->measurements[in->n - 1];
	const struct evidence_ops *ops = evidence_find(in->platform);
	struct evidence_input input = {
		.report = in->report,
		.claims = last->packed,
		.now = in->now,
		.policy = in->policy,
		.key_name = in->key_name,
		.ek_public = in->ek_public,
		.ek_certificate = in->ek_certificate,
		.ek_chain = in->ek_chain,
		.endorsements = in->endorsements,
		.roots = in->roots,
		.n_roots = in->n_roots,
		.cache = in->cache,
		.ima = in->ima ? &in->ima->known : NULL,
	};
	int r;

	if (!ops || strcmp(in->report->platform, in->platform) != 0) {
		appraisal_refuse(a, "evidence.platform", in->platform, "%.32s",
				 in->report->platform);
		return 0;
	}
	r = ops->verify(&input, a, &ret->chip);
	if (r < 0)
		return r;
	ret->signature_good = ret->chip.signature_good;
	return in->ima ? appraise_ima_take(in->ima, in->report, ret, a) : 0;
}

/* What belongs to the session alone. The nonce is the keeper's to judge. */
static bool check_channel(const struct appraise_input *in, struct appraisal *a)
{
	const Assay__Claims *c = in->measurements[in->n - 1].claims;
	bool good = true;

	if (in->known->seen_before) {
		appraisal_refuse(a, "evidence.replayed", "Claims that were not judged before",
				 "Claims that were");
		good = false;
	}
	/* Without a nonce it was measured while there was no session: nothing to bind to. */
	if (c->nonce.len > 0 &&
	    (c->exporter.len != in->exporter.len ||
	     CRYPTO_memcmp(c->exporter.data, in->exporter.data, in->exporter.len) != 0)) {
		appraisal_refuse(a, "evidence.exporter", "the exporter value of this TLS session",
				 "%s", c->exporter.len > 0 ? "another" : "none");
		good = false;
	}
	if (in->mi_awaited) {
		appraisal_refuse(a, "evidence.mi", "MI on the second connection", "none in time");
		good = false;
	}
	if (good)
		appraisal_pass(a);
	return good;
}

/* The measurements of one Evidence are of one run, and only the signed one asks for anything. */
static void check_together(const struct appraise_input *in, struct appraisal *a)
{
	const Assay__Claims *last = in->measurements[in->n - 1].claims;
	uint32_t most = policy_report_every_max(in->policy);
	char expected[64];

	if (in->n > 1 && in->n > most) {
		snprintf(expected, sizeof(expected), "at most %u measurements a report", most);
		appraisal_refuse(a, "report_every", expected, "%zu", in->n);
	}
	for (size_t i = 0; i < in->n; i++) {
		const Assay__Claims *c = in->measurements[i].claims;

		pass_or(a,
			strcmp(c->application, last->application) == 0 &&
				view_equal(field(c->run_id), field(last->run_id)),
			"evidence.run", "measurements of one run", "of several");
		pass_or(a, view_equal(field(c->boot_id), in->boot_id), "evidence.boot_id",
			"the boot of this session", "another");
		if (c != last)
			pass_or(a,
				c->stage == 0 && c->nonce.len == 0 && c->exporter.len == 0 &&
					c->channel_key.len == 0,
				"evidence.chained",
				"neither nonce, key nor stage in Claims without a report",
				"one of them");
	}
}

static bool link_fails(struct appraisal *a, const char *rule, uint64_t expected, uint64_t seen)
{
	char text[64];

	snprintf(text, sizeof(text), "sequence %" PRIu64, expected);
	appraisal_refuse(a, rule, text, "%" PRIu64, seen);
	return false;
}

static bool dropped_grows(struct appraisal *a, uint64_t before, uint64_t now)
{
	if (now >= before)
		return true;
	appraisal_refuse(a, "evidence.dropped", "a count that does not go back",
			 "%" PRIu64 " after %" PRIu64, now, before);
	return false;
}

/*
 * The oldest measurement continues what is known of its run. A gap is counted: whether it
 * is explained, a measurement of this session must say.
 */
static bool continues(const struct appraise_input *in, struct appraisal *a, uint64_t *missing)
{
	const struct keeper_prepare_answer *known = in->known;
	const Assay__Claims *c = in->measurements[0].claims;
	uint64_t next = known->run_known ? known->sequence + 1 : 1;
	char expected[64];

	if (c->sequence < next)
		return link_fails(a, "evidence.sequence", next, c->sequence);
	if (!dropped_grows(a, known->run_known ? known->dropped : 0, c->dropped))
		return false;
	if (c->sequence > next) {
		*missing += c->sequence - next;
		snprintf(expected, sizeof(expected), "sequence %" PRIu64, next);
		appraisal_fail(a, true, "evidence.sequence", expected,
			       "%" PRIu64 ": what is between them is missing", c->sequence);
		return true;
	}
	if (next > 1 &&
	    !view_equal(field(c->previous), view_of(known->head, sizeof(known->head)))) {
		appraisal_refuse(a, "evidence.previous", "the hash of the Claims before",
				 "another");
		return false;
	}
	appraisal_pass(a);
	return true;
}

/*
 * A gap hides what was measured in it, so it must be owned up to. Claims that waited in the
 * attester's queue when it dropped others were written before that: they cannot know of it, and
 * only those of a session must explain what is missing of the run.
 */
static bool gaps_explained(const struct appraise_input *in, struct appraisal *a, uint64_t *missing)
{
	const Assay__Claims *c = in->measurements[in->n - 1].claims;
	char expected[64];

	if (c->nonce.len == 0 || *missing <= c->dropped) {
		appraisal_pass(a);
		return true;
	}
	if (!in->known->resync) {
		snprintf(expected, sizeof(expected), "at most %" PRIu64 " missing, as dropped says",
			 c->dropped);
		appraisal_refuse(a, "evidence.sequence", expected, "%" PRIu64 " of this run",
				 *missing);
		return false;
	}
	/* Readmitted: forgiven, and no more than that. */
	*missing = c->dropped;
	appraisal_pass(a);
	return true;
}

static bool check_chain(const struct appraise_input *in, struct appraisal *a, uint64_t *ret_missing)
{
	uint64_t missing = in->known->run_known ? in->known->missing : 0;
	bool good = continues(in, a, &missing);

	for (size_t i = 1; good && i < in->n; i++) {
		const struct appraise_measurement *before = &in->measurements[i - 1];
		const Assay__Claims *c = in->measurements[i].claims;

		if (c->sequence != before->claims->sequence + 1)
			return link_fails(a, "evidence.sequence", before->claims->sequence + 1,
					  c->sequence);
		good = view_equal(field(c->previous), digest_view(&before->hash));
		pass_or(a, good, "evidence.previous", "the hash of the Claims before", "another");
		good = good && dropped_grows(a, before->claims->dropped, c->dropped);
	}
	good = good && gaps_explained(in, a, &missing);
	if (good)
		*ret_missing = missing;
	return good;
}

/* Claims that the policy pins beyond M: configuration, initrd. */
static void check_daemon(const struct appraise_input *in, const Assay__Claims *c,
			 struct appraisal *a)
{
	const struct digest *configs;
	size_t n = policy_configs(in->policy, &configs);
	char seen[DIGEST_HEX_MAX];
	bool found = n == 0;

	if (policy_requires_initrd(in->policy))
		pass_or(a, c->in_initrd, "initrd", "assayd started in the initrd", "started later");
	for (size_t i = 0; i < n && !found; i++)
		found = view_equal(field(c->config), digest_view(&configs[i]));
	hex_encode(c->config.data, c->config.len, seen);
	pass_or(a, found, "config", "a configuration that the policy lists", seen);
}

/*
 * A static measurement without its manifest says only that the files are those expected: M
 * is then compared with the digest of the reference itself.
 */
static int check_expected_m(const struct appraise_input *in, const Assay__Claims *c,
			    struct appraisal *a)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(MANIFEST_MAX);
	const struct manifest *reference = policy_manifest(in->policy);
	char expected[DIGEST_HEX_MAX], seen[DIGEST_HEX_MAX];
	struct digest m;
	int r;

	r = manifest_write(reference, &text);
	if (r == 0)
		r = claims_m(bytes_view(&text), &m);
	if (r < 0)
		return r;
	hex_encode(c->m.data, c->m.len, seen);
	pass_or(a, policy_expects_m(in->policy, in->now, field(c->m)), "static.manifest",
		digest_hex(&m, expected), seen);
	return 0;
}

/* M is what the MI at hand gives. *ret_usable: the MI is what was signed. */
static int check_m(const struct appraise_input *in, const struct appraise_measurement *m,
		   struct appraisal *a, bool *ret_usable)
{
	const Assay__Claims *c = m->claims;
	char expected[DIGEST_HEX_MAX], seen[DIGEST_HEX_MAX];
	struct digest d;
	int r;

	*ret_usable = false;
	if (c->form == ASSAY__CLAIMS__FORM__RAW) {
		*ret_usable = c->kind == ASSAY__CLAIMS__KIND__DYNAMIC;
		pass_or(a, *ret_usable, "evidence.m", "Hash(MI) for a static measurement",
			"the MI itself");
		return 0;
	}
	if (c->hash_alg != HASH_SHA384) {
		appraisal_refuse(a, "evidence.m", "sha384", "TCG algorithm 0x%04x", c->hash_alg);
		return 0;
	}
	if (m->mi.len == 0) {
		if (c->kind == ASSAY__CLAIMS__KIND__STATIC && policy_manifest(in->policy))
			return check_expected_m(in, c, a);
		appraisal_refuse(a, "evidence.mi", "the MI that M is the hash of", "none");
		return 0;
	}
	r = claims_m(m->mi, &d);
	if (r < 0)
		return r;
	*ret_usable = view_equal(field(c->m), digest_view(&d));
	hex_encode(c->m.data, c->m.len, expected);
	pass_or(a, *ret_usable, "evidence.m", expected, digest_hex(&d, seen));
	return 0;
}

static void mi_freep(struct mi **mi)
{
	mi_free(*mi);
}

/* The MI is of the time node and application that the Claims name. */
static bool check_node(const Assay__Claims *c, const struct mi *mi, struct appraisal *a)
{
	const Assay__TimeNode *node = mi->msg->node;
	bool good = node && node->number == c->node->number &&
		    (uint32_t)node->kind == c->node->kind &&
		    strcmp(mi->msg->application, c->application) == 0;

	pass_or(a, good, "evidence.node", "MI of the time node and application in the Claims",
		"of another");
	return good;
}

static int judge_dynamic(const struct appraise_input *in, const struct appraise_result *result,
			 const struct appraise_measurement *m, struct appraisal *a,
			 struct mi **previous)
{
	CLEANUP(mi_freep) struct mi *mi = NULL;
	int r;

	r = mi_unpack(m->mi, &mi);
	if (r == -EBADMSG) {
		appraisal_refuse(a, "evidence.mi", "an MI message", "%zu bytes that are not one",
				 m->mi.len);
		return 0;
	}
	if (r < 0)
		return r;
	if (!check_node(m->claims, mi, a))
		return 0;
	policy_judge_dynamic(in->policy, mi, *previous, in->now, a);
	appraise_ima_judge(in, result, mi, a);
	mi_free(*previous);
	*previous = TAKE(mi);
	return 0;
}

static int check_measurements(const struct appraise_input *in, const struct appraise_result *result,
			      struct appraisal *a)
{
	CLEANUP(mi_freep) struct mi *previous = NULL;
	bool usable;
	int r;

	if (in->previous_mi.len > 0) {
		r = mi_unpack(in->previous_mi, &previous);
		if (r < 0 && r != -EBADMSG)
			return r;
	}
	/*
	 * The MI before is the last that was good. What its counters have counted since was refused
	 * and is forgiven by readmission; the window since the node before stays.
	 */
	if (previous && in->known->resync)
		previous->msg->kernel = NULL;
	for (size_t i = 0; i < in->n; i++) {
		const struct appraise_measurement *m = &in->measurements[i];

		check_daemon(in, m->claims, a);
		if (in->mi_awaited && i + 1 == in->n)
			continue;
		r = check_m(in, m, a, &usable);
		if (r < 0)
			return r;
		if (m->claims->kind == ASSAY__CLAIMS__KIND__STATIC)
			appraise_ima_judge(in, result, NULL, a);
		if (!usable)
			continue;
		if (m->claims->kind == ASSAY__CLAIMS__KIND__STATIC)
			policy_judge_static(in->policy, m->mi, in->now, a);
		else
			r = judge_dynamic(in, result, m, a, &previous);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Adds the reasons of one appraisal to another, with its count of checks. */
static void add_up(struct appraisal *to, const struct appraisal *from)
{
	for (size_t i = 0; i < from->n; i++)
		appraisal_fail(to, from->reasons[i].warning, from->reasons[i].rule,
			       from->reasons[i].expected, "%s", from->reasons[i].seen);
	to->checks += from->checks - from->n;
	to->uncounted += from->uncounted;
	to->refused |= from->refused;
}

int appraise(const struct appraise_input *in, struct appraisal *a, struct appraise_result *ret)
{
	struct appraise_result result = { 0 };
	struct appraisal channel;
	int r;

	if (in->n == 0 || in->n > KEEPER_MEASUREMENTS)
		return -EINVAL;
	appraisal_init(&channel);
	result.channel_good = check_channel(in, &channel);
	r = check_chip(in, a, &result);
	if (r < 0)
		goto out;
	/* A replay has had its verdict; to judge it again would blame the application for it. */
	if (in->known->seen_before)
		goto done;
	check_together(in, a);
	result.chain_good = check_chain(in, a, &result.missing) && result.signature_good;
	r = appraise_runtime(in, a, &result);
	if (r < 0)
		goto out;
	r = check_measurements(in, &result, a);
	if (r < 0)
		goto out;
done:
	result.measurement_good = !a->refused;
	add_up(a, &channel);
	*ret = result;
out:
	appraisal_done(&channel);
	return r;
}
