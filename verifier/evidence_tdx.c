/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_tdx.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "digest.h"
#include "evidence_table.h"

/* Intel TDX quotes, in the order of Intel's quote verification library: docs/evidence-tdx.md. */

static struct digest register_value(struct view v)
{
	struct digest d = digest_zero(HASH_SHA384);

	assert(v.len == d.size);
	memcpy(d.bytes, v.data, v.len);
	return d;
}

/* What the quote says, for those who ask; whether it is true the verdict says. */
static void take_values(struct tdx_check *c)
{
	const struct tdx_body *b = &c->q.body;
	struct evidence_result *res = &c->result;

	res->version = c->q.version;
	res->has_report_data = true;
	memcpy(res->report_data, b->report_data.data, b->report_data.len);
	res->report_data_len = b->report_data.len;
	res->measurement = register_value(b->mrtd);
	for (size_t i = 0; i < TDX_RTMRS; i++)
		res->registers[i] = register_value(b->rtmr[i]);
	res->n_registers = TDX_RTMRS;
	res->debug = tdx_body_debug(b);
}

static int check_form(struct tdx_check *c)
{
	ProtobufCBinaryData report = c->in->report->report;
	const char *why = "it is larger than any";
	int r = -EBADMSG;

	if (report.len <= EVIDENCE_REPORT_MAX && c->in->report->event_log.len <= EVENT_LOG_MAX)
		r = tdx_quote_parse(view_of(report.data, report.len), &c->q, &why);
	if (r == -EBADMSG) {
		appraisal_refuse(c->a, "evidence.format", "a TDX quote of version 4 or 5", "%s",
				 why);
		return 0;
	}
	take_values(c);
	appraisal_pass(c->a);
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

/* The module that runs the TD is Intel's and of a version that the TCB info knows. */
static int check_module(struct tdx_check *c)
{
	static const char rule[] = "evidence.tdx_module";
	const struct tdx_body *b = &c->q.body;
	const struct tdx_module *m;
	uint8_t masked[8];

	if (!c->tcb_info)
		return 0;
	m = tdx_tcb_info_module(c->tcb_info, b->tee_tcb_svn);
	if (!m) {
		appraisal_refuse(c->a, rule, "a TDX module that the TCB info knows", "version %u",
				 b->tee_tcb_svn.data[1]);
		return 0;
	}
	if (memcmp(b->mrsignerseam.data, m->mrsigner, sizeof(m->mrsigner)) != 0) {
		appraisal_refuse(c->a, rule, "MRSIGNERSEAM of Intel's module", "another");
		return 0;
	}
	for (size_t i = 0; i < sizeof(masked); i++)
		masked[i] = b->seam_attributes.data[i] & m->mask[i];
	if (memcmp(masked, m->attributes, sizeof(masked)) != 0 || !all_zero(b->seam_attributes)) {
		appraisal_refuse(c->a, rule, "SEAMATTRIBUTES of zero, as the TCB info has them",
				 "others");
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

static int check_qe_signature(struct tdx_check *c)
{
	int r;

	r = tdx_known_find_qe(c);
	if (r == 0)
		r = p256_verify(((struct tdx_known_pck *)c->known_pck.c)->key, c->q.qe_signature,
				c->q.qe.whole);
	if (r < 0)
		return r;
	if (r == 0) {
		appraisal_refuse(c->a, "evidence.qe_report",
				 "a report of the quoting enclave signed by the PCK",
				 "its signature does not verify");
		return 0;
	}
	c->qe_signed = true;
	appraisal_pass(c->a);
	return 1;
}

/* The enclave vouches for the key that signed the quote: SHA-256(key || auth data) || zeros. */
static int check_qe_binding(struct tdx_check *c)
{
	const struct view parts[] = { c->q.key, c->q.qe_auth };
	struct view seen = c->q.qe.report_data;
	struct digest bound;
	int r;

	if (c->known_qe.c) {
		c->qe_bound = true;
		appraisal_pass(c->a);
		return 1;
	}
	r = digest_of_parts(HASH_SHA256, parts, ARRAY_LEN(parts), &bound);
	if (r < 0)
		return r;
	if (memcmp(seen.data, bound.bytes, bound.size) != 0 ||
	    !all_zero(view_of(seen.data + bound.size, seen.len - bound.size))) {
		appraisal_refuse(c->a, "evidence.qe_binding",
				 "a quoting enclave that vouches for the quote's key",
				 "its report data are not of that key");
		return 0;
	}
	c->qe_bound = true;
	appraisal_pass(c->a);
	return 1;
}

static bool masked_equal(struct view have, const uint8_t *mask, const uint8_t *want)
{
	for (size_t i = 0; i < have.len; i++) {
		if ((have.data[i] & mask[i]) != want[i])
			return false;
	}
	return true;
}

/* The quoting enclave is the one that Intel's identity describes. */
static int check_qe(struct tdx_check *c)
{
	const struct tdx_qe_identity *id = c->qe_identity;
	const struct tdx_qe_report *qe = &c->q.qe;
	const char *fault = NULL;

	if (!id)
		return 0;
	if ((qe->miscselect & id->miscselect_mask) != id->miscselect)
		fault = "MISCSELECT";
	else if (!masked_equal(qe->attributes, id->attributes_mask, id->attributes))
		fault = "ATTRIBUTES";
	else if (memcmp(qe->mrsigner.data, id->mrsigner, sizeof(id->mrsigner)) != 0)
		fault = "MRSIGNER";
	else if (qe->isvprodid != id->isvprodid)
		fault = "ISVPRODID";
	if (fault) {
		appraisal_refuse(c->a, "evidence.qe_identity",
				 "the quoting enclave that Intel names", "one with another %s",
				 fault);
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

static int check_signature(struct tdx_check *c)
{
	struct tdx_known_qe *qe;
	int r;

	r = tdx_known_make_qe(c);
	if (r == -EBADMSG) {
		appraisal_refuse(c->a, "evidence.signature", "a key on the curve P-256", "another");
		return 0;
	}
	if (r < 0)
		return r;
	qe = (struct tdx_known_qe *)c->known_qe.c;
	r = p256_verify(qe->key, c->q.signature, c->q.signed_part);
	if (r < 0)
		return r;
	if (r == 0) {
		appraisal_refuse(c->a, "evidence.signature",
				 "a quote signed by its attestation key",
				 "the signature does not verify");
		return 0;
	}
	c->quote_good = true;
	appraisal_pass(c->a);
	return 1;
}

static int check_report_data(struct tdx_check *c)
{
	int r = evidence_judge_report_data(c->in, c->q.body.report_data, c->a);

	c->data_good = r > 0;
	return r;
}

static bool in_list(const char *list, const char *id)
{
	size_t len = strlen(id);

	for (const char *at = list; (at = strstr(at, id)); at += len) {
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	}
	return false;
}

/* Union of the ids of all levels used. */
static void list_advisories(const struct tdx_tcb *t, char *to, size_t size)
{
	static const char more[] = " ...";
	size_t len = 0, add;

	to[0] = '\0';
	for (size_t i = 0; i < t->n_levels; i++) {
		for (size_t k = 0; k < json_array_size(t->levels[i]->advisories); k++) {
			const char *id =
				json_string_value(json_array_get(t->levels[i]->advisories, k));

			add = strlen(id) + 1;
			if (in_list(to, id))
				continue;
			if (len + add + sizeof(more) > size) {
				strcpy(to + len, more);
				return;
			}
			len += (size_t)snprintf(to + len, size - len, "%s%s", len ? " " : "", id);
		}
	}
}

static void describe_tcb(const struct tdx_check *c, const struct tdx_tcb *t, char *to, size_t size)
{
	char tee[33], sgx[33];

	hex_encode(c->q.body.tee_tcb_svn.data, c->q.body.tee_tcb_svn.len, tee);
	hex_encode(c->pck.svn, sizeof(c->pck.svn), sgx);
	snprintf(to, size,
		 "tee_tcb_svn %s, sgx svn %s, pcesvn %u, qe isvsvn %u: platform %s, module %s, QE "
		 "%s",
		 tee, sgx, c->pck.pcesvn, c->q.qe.isvsvn, tdx_status_name(t->platform),
		 t->has_module ? tdx_status_name(t->module) : "n/a", tdx_status_name(t->qe));
}

/* A status of what may not be genuine would only mislead: all before must have held. */
static int check_tcb(struct tdx_check *c)
{
	struct evidence_result *res = &c->result;
	struct tdx_svns svns = {
		.pck = &c->pck,
		.tee_tcb_svn = c->q.body.tee_tcb_svn,
		.qe_isvsvn = c->q.qe.isvsvn,
	};
	struct tdx_tcb t;
	const char *why;

	if (c->failed || !c->tcb_info || !c->qe_identity)
		return 0;
	why = tdx_tcb_evaluate(c->tcb_info, c->qe_identity, &svns, c->q.body.tee_tcb_svn_2, &t);
	snprintf(res->status, sizeof(res->status), "%s", tdx_status_name(t.status));
	if (why) {
		appraisal_refuse(c->a, "evidence.tcb", "a TCB that Intel supports", "%s: %s",
				 res->status, why);
		return 0;
	}
	time_text(t.date, res->tcb_date);
	list_advisories(&t, res->advisories, sizeof(res->advisories));
	describe_tcb(c, &t, res->tcb, sizeof(res->tcb));
	if (!tdx_status_acceptable(t.status)) {
		appraisal_refuse(c->a, "evidence.tcb", "a TCB that Intel did not revoke", "%s",
				 res->status);
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

static int check_platform(struct tdx_check *c)
{
	return evidence_judge_platform(c->in, evidence_tdx.platform, c->a);
}

/*
 * In order. A check gives 1: held; 0: refused, or it could not be made because one before it
 * failed; a negative errno. After one that the rest builds on, the rest would only repeat it.
 */
static const struct {
	int (*check)(struct tdx_check *c);
	bool rest_builds_on_it;
} checks[] = {
	{ check_platform, true },
	{ check_form, true },
	{ tdx_check_chain_form, true },
	{ tdx_check_chain, false },
	{ tdx_check_pck, false },
	{ tdx_check_tcb_info, false },
	{ tdx_check_qe_identity, false },
	{ check_module, false },
	{ check_qe_signature, false },
	{ check_qe_binding, false },
	{ check_qe, false },
	{ check_signature, false },
	{ check_report_data, false },
	{ check_tcb, false },
	{ tdx_check_status, false },
	{ tdx_check_attributes, false },
	{ tdx_check_registers, false },
	{ tdx_check_event_log, false },
};

static void tdx_check_done(struct tdx_check *c)
{
	sk_X509_pop_free(c->chain, X509_free);
	sk_X509_pop_free(c->given, X509_free);
	endorsements_free(c->endorsements);
	cached_unref(c->known_pck.c);
	cached_unref(c->known_collateral.c);
	cached_unref(c->known_qe.c);
}

static int tdx_verify(const struct evidence_input *in, struct appraisal *a,
		      struct evidence_result *ret)
{
	CLEANUP(tdx_check_done)
	struct tdx_check c = { .in = in, .a = a, .span = { INT64_MIN, INT64_MAX } };
	int r;

	*ret = c.result;
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		r = checks[i].check(&c);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		/* What is not judged must have been refused for a reason. */
		assert(a->refused);
		c.failed = true;
		if (checks[i].rest_builds_on_it)
			break;
	}
	c.result.signature_good =
		c.chain_good && c.qe_signed && c.qe_bound && c.quote_good && c.data_good;
	if (c.result.signature_good)
		tdx_known_keep(&c);
	*ret = c.result;
	return 0;
}

const struct evidence_ops evidence_tdx = {
	.platform = "tdx",
	.insecure = false,
	.verify = tdx_verify,
	.detect = tdx_quote_begins,
	.gather = tdx_gather,
	.show = tdx_show,
	.proves = "A TD on a genuine Intel TDX platform, started from the MRTD and measured into\n"
		  "the RTMRs shown, made this quote over the report data. What Intel says of the\n"
		  "platform's TCB was in force at the time.",
	.proves_not =
		"What software the registers stand for, unless a policy or an event log says\n"
		"so; when the quote was made, unless the report data were fresh; who runs\n"
		"the machine.",
};
