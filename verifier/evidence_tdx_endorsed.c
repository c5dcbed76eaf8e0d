/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <openssl/x509.h>

#include "cleanup.h"
#include "evidence_tdx.h"
#include "pem.h"

/* Intel's words about the platform: who signed them, are they in force, do they speak of it. */

#define CERTIFICATES_MAX 8 /* in a quote */
#define SIGNER		 "Intel SGX TCB Signing"

static const char grace_rule[] = "platforms.tdx.collateral.expired";

/* SHA-256 of the Intel SGX Root CA's certificate, valid until 2049-12-31. */
static const struct x509_pin intel_root = {
	"the Intel SGX Root CA",
	{ 0x44, 0xa0, 0x19, 0x6b, 0x2b, 0x99, 0xf8, 0x89, 0xb8, 0xe1, 0x49,
	  0xe9, 0x5b, 0x80, 0x7a, 0x35, 0x0e, 0x74, 0x24, 0x96, 0x43, 0x99,
	  0xe8, 0x85, 0xa7, 0xcb, 0xb8, 0xcc, 0xfa, 0xb6, 0x74, 0xd3 },
};

CLEANUP_FUNCTION(struct tdx_tcb_info *, tdx_tcb_info_free)
CLEANUP_FUNCTION(struct tdx_qe_identity *, tdx_qe_identity_free)

static int push(STACK_OF(X509) * stack, X509 *x)
{
	if (!X509_up_ref(x))
		return -ENOMEM;
	if (sk_X509_push(stack, x) > 0)
		return 0;
	X509_free(x);
	return -ENOMEM;
}

static int read_chain(struct tdx_check *c)
{
	CLEANUP(bytes_cleanup) struct bytes der = BYTES_INIT(PEM_DER_MAX);
	struct reader at = reader_of(c->q.chain);
	struct view label;
	X509 *x;
	int r;

	while ((r = pem_next(&at, &label, &der)) > 0) {
		if (!view_is(label, "CERTIFICATE") || sk_X509_num(c->chain) == CERTIFICATES_MAX)
			return -EBADMSG;
		r = x509_read(bytes_view(&der), &x);
		if (r < 0)
			return r;
		if (sk_X509_push(c->chain, x) <= 0) {
			X509_free(x);
			return -ENOMEM;
		}
	}
	return r < 0 ? r : sk_X509_num(c->chain) > 0 ? 0 : -EBADMSG;
}

/* The quote's chain, the endorsements, and until when none of them begins or ends. */
static int read_given(struct tdx_check *c)
{
	STACK_OF(X509) * more;
	int r;

	if (c->given)
		return 0;
	c->chain = sk_X509_new_null();
	c->given = sk_X509_new_null();
	if (!c->chain || !c->given)
		return -ENOMEM;
	r = read_chain(c);
	if (r == 0)
		r = evidence_endorsements(c->in, &c->endorsements);
	/* The first vouches for nobody, so that what is found out of collateral rests on the
	 * others. */
	for (int i = 1; r == 0 && i < sk_X509_num(c->chain); i++)
		r = push(c->given, sk_X509_value(c->chain, i));
	more = endorsements_certificates(c->endorsements);
	for (int i = 0; r == 0 && i < sk_X509_num(more); i++)
		r = push(c->given, sk_X509_value(more, i));
	if (r < 0)
		return r;
	x509_cut_span(c->chain, NULL, c->in->now, &c->span);
	x509_cut_span(more, endorsements_crls(c->endorsements), c->in->now, &c->span);
	return 0;
}

/* Certificates can be read, and the first one says it is that of a PCK. */
int tdx_check_chain_form(struct tdx_check *c)
{
	static const char rule[] = "evidence.pck_chain";
	char seen[X509_TEXT_MAX];
	int r;

	r = tdx_known_find_pck(c);
	if (r > 0)
		appraisal_pass(c->a);
	if (r != 0)
		return r;
	r = read_given(c);
	if (r == -EBADMSG) {
		appraisal_refuse(c->a, rule, "PCK certificate and CAs in PEM",
				 "bytes that are not certificates and nothing else");
		return 0;
	}
	if (r < 0)
		return r;
	r = tdx_known_make_pck(c);
	if (r < 0)
		return r;
	if (!tdx_pck_named(sk_X509_value(c->chain, 0))) {
		appraisal_refuse(c->a, rule,
				 "an SGX PCK Certificate of Intel's Platform or Processor CA", "%s",
				 x509_describe(sk_X509_value(c->chain, 0), seen));
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

const struct x509_pin *tdx_pins(const struct evidence_input *in, size_t *ret_n)
{
	*ret_n = in->roots ? in->n_roots : 1;
	return in->roots ? in->roots : &intel_root;
}

static struct x509_chain chain_of(const struct tdx_check *c, X509 *leaf)
{
	size_t n_pins;
	const struct x509_pin *pins = tdx_pins(c->in, &n_pins);

	return (struct x509_chain){
		.leaf = leaf,
		.given = c->given,
		.pins = pins,
		.n_pins = n_pins,
		.crls = endorsements_crls(c->endorsements),
		.crl_grace = policy_tdx_collateral_grace(c->in->policy),
		.grace_rule = grace_rule,
		.now = c->in->now,
	};
}

/* Reasons so far, warnings and those that there was no room for with them. */
static size_t reasons(const struct tdx_check *c)
{
	return c->a->n + c->a->uncounted;
}

/* PCK certificate to root, no certificate in the quote that is not of it, none revoked. */
int tdx_check_chain(struct tdx_check *c)
{
	CLEANUP(cleanup_x509_path) STACK_OF(X509) *path = NULL;
	size_t before = reasons(c);
	struct x509_chain chain;
	char seen[X509_TEXT_MAX];
	int r;

	if (c->known_pck.found) {
		c->chain_good = true;
		appraisal_pass(c->a);
		return 1;
	}
	chain = chain_of(c, sk_X509_value(c->chain, 0));
	chain.rule = "evidence.pck_chain";
	chain.what = "PCK certificate";
	chain.crls_needed = 3; /* PCK CRL of the CA, root CRL of the root */
	r = x509_chain_verify(&chain, c->a, &path);
	if (r <= 0)
		return r;
	for (int i = 0; i < sk_X509_num(c->chain); i++) {
		X509 *x = sk_X509_value(c->chain, i);

		if (i < sk_X509_num(path) && X509_cmp(x, sk_X509_value(path, i)) == 0)
			continue;
		appraisal_refuse(c->a, chain.rule, "the chain of the PCK certificate, in order",
				 "%s, which is not of it", x509_describe(x, seen));
		return 0;
	}
	c->chain_good = true;
	c->known_pck.worth_keeping = reasons(c) == before;
	return 1;
}

static int read_pck(struct tdx_check *c)
{
	struct tdx_known_pck *known = (struct tdx_known_pck *)c->known_pck.c;
	int r = 0;

	if (!c->known_pck.found)
		r = tdx_pck_read(sk_X509_value(c->chain, 0), &known->pck);
	if (r == 0)
		c->pck = known->pck;
	return r;
}

int tdx_check_pck(struct tdx_check *c)
{
	int r;

	r = read_pck(c);
	if (r == -EBADMSG) {
		c->known_pck.worth_keeping = false;
		appraisal_refuse(c->a, "evidence.pck",
				 "the SGX extension of a PCK certificate: PPID, TCB, PCE-ID, FMSPC",
				 "none, or one that lacks some of these or has them twice");
		return 0;
	}
	if (r < 0)
		return r;
	c->has_pck = true;
	memcpy(c->result.chip_id, c->pck.ppid, sizeof(c->pck.ppid));
	c->result.chip_id_len = sizeof(c->pck.ppid);
	appraisal_pass(c->a);
	return 1;
}

static bool named(const X509 *x, const char *name)
{
	char cn[sizeof(SIGNER) + 1];

	return X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn,
					 sizeof(cn)) == (int)strlen(name) &&
	       strcmp(cn, name) == 0;
}

static bool in_force(const X509 *x, int64_t now)
{
	int64_t from, until;

	return x509_time(X509_get0_notBefore(x), &from) == 0 &&
	       x509_time(X509_get0_notAfter(x), &until) == 0 && from <= now && now <= until;
}

static int signed_by(X509 *x, struct view signature, struct view data)
{
	struct p256_key *key;
	int r;

	r = p256_key_of(X509_get0_pubkey(x), &key);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	r = p256_verify(key, signature, data);
	p256_key_free(key);
	return r;
}

/* The certificate that the document's signature goes with; rather one that is in force. */
static int find_signer(const struct tdx_check *c, const struct tdx_document *doc, X509 **ret)
{
	struct view signature = view_of(doc->text.signature, sizeof(doc->text.signature));
	X509 *best = NULL;
	int r;

	for (int i = 0; i < sk_X509_num(c->given); i++) {
		X509 *x = sk_X509_value(c->given, i);

		if (!named(x, SIGNER) || (best && !in_force(x, c->in->now)))
			continue;
		r = signed_by(x, signature, doc->text.object);
		if (r < 0)
			return r;
		if (r > 0 && (!best || !in_force(best, c->in->now)))
			best = x;
	}
	*ret = best;
	return 0;
}

/* 1: in force, or it ran out and the policy allows that, with a warning. */
static int judge_window(struct tdx_check *c, const struct tdx_document *doc, const char *rule,
			const char *what)
{
	char now[TIME_TEXT_MAX], from[TIME_TEXT_MAX], until[TIME_TEXT_MAX], expected[128];
	int64_t late = c->in->now - doc->next_update;

	if (c->in->now >= doc->issued && late <= 0)
		return 1;
	snprintf(expected, sizeof(expected), "%s in force at %s", what, time_text(c->in->now, now));
	time_text(doc->issued, from);
	time_text(doc->next_update, until);
	if (late > 0 && late <= policy_tdx_collateral_grace(c->in->policy)) {
		appraisal_fail(c->a, true, grace_rule, expected,
			       "one in force %s to %s, which the policy still allows", from, until);
		return 1;
	}
	appraisal_refuse(c->a, rule, expected,
			 "collateral expired or not yet valid: one in force %s to %s", from, until);
	return 0;
}

/* The document is Intel's, and of this time. */
static int judge_document(struct tdx_check *c, struct tdx_document *doc, const char *rule,
			  const char *what)
{
	struct x509_chain chain;
	char expected[128];
	X509 *signer;
	int r;

	r = find_signer(c, doc, &signer);
	if (r < 0)
		return r;
	if (!signer) {
		snprintf(expected, sizeof(expected), "%s signed by a certificate of " SIGNER, what);
		appraisal_refuse(c->a, rule, expected,
				 "no certificate given goes with its signature");
		return 0;
	}
	chain = chain_of(c, signer);
	chain.rule = rule;
	chain.what = "TCB signing certificate";
	chain.crls_needed = 1; /* root CRL */
	r = x509_chain_verify(&chain, c->a, NULL);
	if (r <= 0)
		return r;
	r = judge_window(c, doc, rule, what);
	if (r <= 0)
		return r;
	/* Lent from the endorsements, which do not live as long as what is kept. */
	doc->text = (struct signed_json){ 0 };
	appraisal_pass(c->a);
	return 1;
}

/* What is found out of collateral changes also when another document of its kind takes over. */
static void note_document(struct tdx_check *c, const struct endorsement *e,
			  const struct tdx_document *doc)
{
	struct cached *known = c->known_collateral.c;

	cache_span_cut_window(&known->span, c->in->now, doc->issued, doc->next_update);
	known->size += e->bytes.len; /* more than what is read of it takes */
}

/* Of two, the one in force, and of two in force the newer. */
static bool better(const struct tdx_document *a, const struct tdx_document *b, int64_t now)
{
	bool a_now = a->issued <= now && now <= a->next_update;
	bool b_now = b->issued <= now && now <= b->next_update;

	return a_now != b_now ? a_now : a->issued > b->issued;
}

/* The TCB info of this FMSPC and PCE; *ret_seen says what was there instead. */
static int find_tcb_info(struct tdx_check *c, struct tdx_tcb_info **ret, const char **ret_seen)
{
	CLEANUP(tdx_tcb_info_freep) struct tdx_tcb_info *best = NULL;
	const struct endorsement *e = NULL;
	const char *why;
	int r;

	*ret_seen = "none was given";
	while ((e = endorsements_next(c->endorsements, ENDORSEMENT_TCB_INFO, e))) {
		CLEANUP(tdx_tcb_info_freep) struct tdx_tcb_info *t = NULL;

		r = tdx_tcb_info_read(e->bytes, &t, &why);
		if (r == -EBADMSG) {
			*ret_seen = why;
			continue;
		}
		if (r < 0)
			return r;
		if (memcmp(t->fmspc, c->pck.fmspc, sizeof(t->fmspc)) != 0 ||
		    memcmp(t->pceid, c->pck.pceid, sizeof(t->pceid)) != 0) {
			*ret_seen = "one of another platform";
			continue;
		}
		note_document(c, e, &t->doc);
		if (best && !better(&t->doc, &best->doc, c->in->now))
			continue;
		tdx_tcb_info_free(best);
		best = TAKE(t);
	}
	*ret = TAKE(best);
	return 0;
}

/* Its signer's chain held, and so did its own window. */
static void pass_known_document(struct tdx_check *c)
{
	appraisal_pass(c->a);
	appraisal_pass(c->a);
}

/* Looks for both documents in the cache. 1: they are in c; 0: no; they are to be read. */
static int find_collateral(struct tdx_check *c)
{
	int r = 0;

	if (c->has_pck)
		r = tdx_known_find_collateral(c);
	if (r == 0)
		r = read_given(c);
	if (r == 0)
		r = tdx_known_make_collateral(c);
	return r;
}

int tdx_check_tcb_info(struct tdx_check *c)
{
	CLEANUP(tdx_tcb_info_freep) struct tdx_tcb_info *t = NULL;
	char fmspc[13], pceid[5], expected[64];
	size_t before = reasons(c);
	const char *seen;
	int r;

	r = find_collateral(c);
	if (r > 0)
		pass_known_document(c);
	if (r != 0)
		return r;
	if (!c->has_pck)
		return 0;
	r = find_tcb_info(c, &t, &seen);
	if (r < 0)
		return r;
	if (!t) {
		hex_encode(c->pck.fmspc, sizeof(c->pck.fmspc), fmspc);
		hex_encode(c->pck.pceid, sizeof(c->pck.pceid), pceid);
		snprintf(expected, sizeof(expected), "TDX TCB info of FMSPC %s, PCE-ID %s", fmspc,
			 pceid);
		appraisal_refuse(c->a, "evidence.tcb_info", expected, "%s", seen);
		return 0;
	}
	r = judge_document(c, &t->doc, "evidence.tcb_info", "TCB info");
	if (r <= 0)
		return r;
	c->tcb_info = t;
	((struct tdx_known_collateral *)c->known_collateral.c)->tcb_info = TAKE(t);
	c->known_collateral.worth_keeping = reasons(c) == before;
	return 1;
}

static int find_qe_identity(struct tdx_check *c, struct tdx_qe_identity **ret,
			    const char **ret_seen)
{
	CLEANUP(tdx_qe_identity_freep) struct tdx_qe_identity *best = NULL;
	const struct endorsement *e = NULL;
	const char *why;
	int r;

	*ret_seen = "none was given";
	while ((e = endorsements_next(c->endorsements, ENDORSEMENT_QE_IDENTITY, e))) {
		CLEANUP(tdx_qe_identity_freep) struct tdx_qe_identity *q = NULL;

		r = tdx_qe_identity_read(e->bytes, &q, &why);
		if (r == -EBADMSG) {
			*ret_seen = why;
			continue;
		}
		if (r < 0)
			return r;
		note_document(c, e, &q->doc);
		if (best && !better(&q->doc, &best->doc, c->in->now))
			continue;
		tdx_qe_identity_free(best);
		best = TAKE(q);
	}
	*ret = TAKE(best);
	return 0;
}

int tdx_check_qe_identity(struct tdx_check *c)
{
	CLEANUP(tdx_qe_identity_freep) struct tdx_qe_identity *q = NULL;
	bool worth_keeping = c->known_collateral.worth_keeping;
	size_t before = reasons(c);
	const char *seen;
	int r;

	/* The two go together, or not at all. */
	c->known_collateral.worth_keeping = false;
	if (c->qe_identity) {
		pass_known_document(c);
		return 1;
	}
	r = find_qe_identity(c, &q, &seen);
	if (r < 0)
		return r;
	if (!q) {
		appraisal_refuse(c->a, "evidence.qe_identity", "the identity of Intel's TD_QE",
				 "%s", seen);
		return 0;
	}
	r = judge_document(c, &q->doc, "evidence.qe_identity", "QE identity");
	if (r <= 0)
		return r;
	c->qe_identity = q;
	((struct tdx_known_collateral *)c->known_collateral.c)->qe_identity = TAKE(q);
	c->known_collateral.worth_keeping = worth_keeping && reasons(c) == before;
	return 1;
}
