/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_cca.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "cleanup.h"
#include "evidence_table.h"

#define PROFILE_2023 "tag:arm.com,2023:cca_platform#1.0.0"

CLEANUP_FUNCTION(EVP_PKEY *, EVP_PKEY_free)

/* CCA's measurements say how long they are; each length is of one SHA-2. */
static struct digest digest_of_size(struct view v)
{
	static const enum hash_alg algs[] = { HASH_SHA256, HASH_SHA384, HASH_SHA512 };
	struct digest d = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		if (digest_from(algs[i], v, &d) == 0)
			break;
	}
	return d;
}

const char *cca_text(struct view text, char to[CCA_TEXT_MAX + 1])
{
	size_t len = text.len < CCA_TEXT_MAX ? text.len : CCA_TEXT_MAX;

	for (size_t i = 0; i < len; i++)
		to[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? (char)text.data[i] : '?';
	to[len] = '\0';
	return to;
}

/* "BL 3.4.2, RMM": type and version of each component of the platform. */
static void list_components(const struct cca_platform *p, char to[EVIDENCE_TEXT_MAX])
{
	char type[CCA_TEXT_MAX + 1], version[CCA_TEXT_MAX + 1];
	size_t at = 0;

	for (size_t i = 0; i < p->n_components; i++) {
		const struct cca_component *c = &p->components[i];
		char one[2 * CCA_TEXT_MAX + 8];
		int len = snprintf(one, sizeof(one), "%s%s%s%s", i ? ", " : "",
				   c->type.len ? cca_text(c->type, type) : "-",
				   c->version.len ? " " : "", cca_text(c->version, version));

		if (at + (size_t)len + sizeof(" ...") > EVIDENCE_TEXT_MAX) {
			snprintf(to + at, EVIDENCE_TEXT_MAX - at, " ...");
			return;
		}
		memcpy(to + at, one, (size_t)len + 1);
		at += (size_t)len;
	}
}

static void copy_out(struct cca_check *c)
{
	const struct cca_platform *p = &c->token.platform;
	const struct cca_realm *t = &c->token.realm;
	struct evidence_result *res = &c->result;

	res->version = view_is(p->profile, PROFILE_2023) ? 2 : 1;
	res->has_report_data = true;
	res->report_data_len = t->challenge.len;
	memcpy(res->report_data, t->challenge.data, t->challenge.len);
	res->measurement = digest_of_size(t->rim);
	for (size_t i = 0; i < CCA_REMS; i++)
		res->registers[i] = digest_of_size(t->rem[i]);
	res->n_registers = CCA_REMS;
	res->debug = cca_lifecycle_bit(p->lifecycle) &
		     (POLICY_CCA_NON_CCA_DEBUG | POLICY_CCA_RECOVERABLE_DEBUG);
	res->chip_id_len = p->instance_id.len;
	memcpy(res->chip_id, p->instance_id.data, p->instance_id.len);
	snprintf(res->status, sizeof(res->status), "%s", cca_lifecycle_name(p->lifecycle));
	list_components(p, res->tcb);
}

static int check_token(struct cca_check *c)
{
	struct view raw = view_of(c->in->report->report.data, c->in->report->report.len);
	const char *why;

	if (cca_token_read(raw, &c->token, &why) < 0) {
		appraisal_refuse(c->a, "evidence.report", "a token of Arm CCA", "%s", why);
		return 0;
	}
	copy_out(c);
	appraisal_pass(c->a);
	return 1;
}

/* The RAK in the token made it: which proves nothing before check_binding. */
static int check_realm_signature(struct cca_check *c)
{
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *rak = NULL;
	const char *why;
	int r;

	r = cose_key_read(c->token.realm.public_key, &rak, &why);
	if (r == -EBADMSG) {
		appraisal_refuse(c->a, "evidence.realm_signature", "the realm's key (RAK)", "%s",
				 why);
		return 0;
	}
	if (r == 0)
		r = cose_sign1_verify(&c->token.realm_message, rak);
	if (r < 0)
		return r;
	if (r == 0)
		appraisal_refuse(c->a, "evidence.realm_signature",
				 "a realm token signed by the realm's key (RAK) in it",
				 "it does not verify");
	else
		appraisal_pass(c->a);
	return r;
}

/* IANA Named Information registry; what the RMM offers for the key's hash. */
static enum hash_alg hash_of_name(struct view name)
{
	static const struct {
		const char *name;
		enum hash_alg alg;
	} names[] = {
		{ "sha-256", HASH_SHA256 },
		{ "sha-384", HASH_SHA384 },
		{ "sha-512", HASH_SHA512 },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (view_is(name, names[i].name))
			return names[i].alg;
	}
	return HASH_NONE;
}

/* DEN0137, A7.2.3.1: the platform's nonce is the hash of the RAK as the realm token carries it. */
static int check_binding(struct cca_check *c)
{
	const struct cca_realm *t = &c->token.realm;
	struct view nonce = c->token.platform.nonce;
	char seen[DIGEST_HEX_MAX], expected[DIGEST_HEX_MAX];
	enum hash_alg alg = hash_of_name(t->public_key_hash_alg);
	char name[CCA_TEXT_MAX + 1];
	struct digest d;
	int r;

	if (alg == HASH_NONE) {
		appraisal_refuse(c->a, "evidence.binding",
				 "the RAK hashed with sha-256, sha-384 or sha-512", "%s",
				 cca_text(t->public_key_hash_alg, name));
		return 0;
	}
	r = digest_of(alg, t->public_key, &d);
	if (r < 0)
		return r;
	if (nonce.len == d.size && CRYPTO_memcmp(nonce.data, d.bytes, d.size) == 0) {
		appraisal_pass(c->a);
		return 1;
	}
	hex_encode(nonce.data, nonce.len, seen);
	appraisal_refuse(c->a, "evidence.binding", digest_hex(&d, expected),
			 "the platform token vouches for a realm key of hash %s", seen);
	return 0;
}

/* Linux gives a realm no log of its extensible measurements: one that is here is somebody's. */
static int check_event_log(struct cca_check *c)
{
	if (c->in->report->event_log.len > 0)
		appraisal_fail(c->a, true, "evidence.event_log", "no event log",
			       "one that could not be checked: nothing of it is believed");
	return 1;
}

/* In order, as in evidence_csv.c. */
static const struct {
	int (*check)(struct cca_check *c);
	bool rest_builds_on_it;
} checks[] = {
	{ check_token, true },		    { cca_check_platform_key, false },
	{ check_realm_signature, false },   { check_binding, false },
	{ check_event_log, false },
};

static int judge_genuine(struct cca_check *c)
{
	int r, genuine = 1;

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		r = checks[i].check(c);
		if (r < 0)
			return r;
		if (r == 0)
			genuine = 0;
		if (r == 0 && checks[i].rest_builds_on_it)
			break;
	}
	return genuine;
}

static int judge(struct cca_check *c)
{
	const struct evidence_result *res = &c->result;
	int genuine, covers = 0;

	genuine = judge_genuine(c);
	if (genuine < 0)
		return genuine;
	/* Of a token that may be anybody's the policy would only talk. */
	if (genuine)
		cca_judge_policy(c);
	if (res->has_report_data)
		covers = evidence_judge_report_data(
			c->in, view_of(res->report_data, res->report_data_len), c->a);
	if (covers < 0)
		return covers;
	c->result.signature_good = genuine && covers;
	return 0;
}

static int cca_verify(const struct evidence_input *in, struct appraisal *a,
		      struct evidence_result *ret)
{
	CLEANUP(cleanup_mem) struct cca_check *c = NULL;
	int r;

	*ret = (struct evidence_result){ 0 };
	r = evidence_judge_platform(in, evidence_cca.platform, a);
	if (r < 0)
		return r;
	/* On its own the verdict also says whether the token is genuine. */
	if (r == 0 && !in->alone)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->in = in;
	c->a = a;
	c->rules = policy_cca(in->policy);
	r = judge(c);
	if (r < 0)
		return r;
	*ret = c->result;
	return 0;
}

static int cca_show_report(const Assay__ChipReport *report, json_t **ret)
{
	return cca_show(view_of(report->report.data, report->report.len), ret);
}

const struct evidence_ops evidence_cca = {
	.platform = "cca",
	.insecure = false,
	.verify = cca_verify,
	.detect = cca_token_begins,
	.show = cca_show_report,
	.proves = "A platform whose key (CPAK) is among those you trust, with the firmware shown\n"
		  "under \"tcb\", made this token for a realm whose initial memory has the RIM\n"
		  "\"measurement\" and which extended the registers; that realm chose the challenge\n"
		  "(report data).",
	.proves_not =
		"That the platform is Arm's or anybody's: its key is a matter of whom you had it\n"
		"from. That its firmware and the RIM are ones you expect, unless the policy lists\n"
		"them; freshness, unless the report data are compared with a nonce of yours.",
};
