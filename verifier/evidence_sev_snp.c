/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_sev_snp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "cleanup.h"
#include "evidence_table.h"

#define CANDIDATES_MAX 16	 /* keys whose signature is tried */
#define ISSUER_OF_ASK  (1u << 1) /* the ARK, in the chain VCEK, ASK, ARK */
#define PATH_LEN       3
#define COMPONENT_TEXT 64

/* What is kept in the cache: a key's certificate whose chain held, with nothing to warn of. */
struct snp_known {
	struct cached base;
	X509 *leaf;
	struct snp_certificate certificate;
};

#define KNOWN_SIZE (sizeof(struct snp_known) + 8 * 1024) /* with the certificate, about */

/* One report on its way through the checks. */
struct snp_check {
	const struct evidence_input *in;
	struct view raw;
	struct appraisal *a;
	const struct policy_snp *rules;
	struct endorsements *endorsements; /* read when a check first needs them */
	struct snp_report report;
	const struct snp_product *product; /* by the CPU; by the certificate in version 2 */
	X509 *leaf;			   /* lent by endorsements, or known */
	struct snp_certificate certificate;
	struct cached *known; /* of the cache; NULL: found out anew */
	struct cache_key key; /* where there is a cache */
	bool signature_good;
	bool worth_keeping; /* found out anew, without any reason */
	struct evidence_result result;
};

static const char *key_name(bool vlek)
{
	return vlek ? "VLEK" : "VCEK";
}

static void copy_out(struct snp_check *c)
{
	const struct snp_report *p = &c->report;
	struct evidence_result *res = &c->result;

	res->version = p->version;
	res->has_report_data = true;
	res->report_data_len = sizeof(p->report_data);
	memcpy(res->report_data, p->report_data, sizeof(p->report_data));
	res->measurement = (struct digest){ .alg = HASH_SHA384, .size = sizeof(p->measurement) };
	memcpy(res->measurement.bytes, p->measurement, sizeof(p->measurement));
	res->debug = p->policy & SNP_POLICY_DEBUG;
	res->chip_id_len = sizeof(p->chip_id);
	memcpy(res->chip_id, p->chip_id, sizeof(p->chip_id));
	hex_encode(p->reported_tcb, sizeof(p->reported_tcb), res->tcb);
}

static int check_report(struct snp_check *c)
{
	const char *why;

	if (snp_report_parse(c->raw, &c->report, &why) < 0) {
		appraisal_refuse(c->a, "evidence.report", "an SEV-SNP attestation report", "%s",
				 why);
		return 0;
	}
	copy_out(c);
	appraisal_pass(c->a);
	return 1;
}

static int check_product(struct snp_check *c)
{
	if (c->report.version < SNP_VERSION_CPUID)
		return 1; /* it does not say; the chain of its key does */
	c->product = snp_product_of_cpu(c->report.family, c->report.model);
	if (!c->product) {
		appraisal_refuse(c->a, "evidence.product", "a CPU of Milan, Genoa or Turin",
				 "family 0x%02x, model 0x%02x", c->report.family, c->report.model);
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

static void cleanup_ecdsa(ECDSA_SIG **s)
{
	ECDSA_SIG_free(*s);
}

static void cleanup_md_ctx(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

static int signature_der(const struct snp_report *p, uint8_t *to, size_t size, size_t *ret_len)
{
	CLEANUP(cleanup_ecdsa) ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(p->r, sizeof(p->r), NULL);
	BIGNUM *s = BN_bin2bn(p->s, sizeof(p->s), NULL);
	int len;

	if (!sig || !r || !s || !ECDSA_SIG_set0(sig, r, s)) {
		BN_free(r);
		BN_free(s);
		return -ENOMEM;
	}
	len = i2d_ECDSA_SIG(sig, NULL);
	if (len <= 0 || (size_t)len > size)
		return -EBADMSG;
	*ret_len = (size_t)i2d_ECDSA_SIG(sig, &to);
	return 0;
}

/* 1: the key made the signature; 0: not. */
static int signed_by(const struct snp_check *c, X509 *x)
{
	CLEANUP(cleanup_md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *key = X509_get0_pubkey(x);
	struct view covered = snp_report_signed(c->raw);
	uint8_t der[2 * SNP_NUMBER_SIZE + 16];
	size_t len;
	int r;

	if (!ctx || !key)
		return -ENOMEM;
	r = signature_der(&c->report, der, sizeof(der), &len);
	if (r < 0)
		return r;
	r = EVP_DigestVerifyInit_ex(ctx, NULL, "SHA384", NULL, NULL, key, NULL) == 1 &&
	    EVP_DigestVerify(ctx, der, len, covered.data, covered.len) == 1;
	ERR_clear_error();
	return r;
}

static bool of_this_chip(const struct snp_check *c, const struct snp_certificate *cert)
{
	const uint8_t *id = c->report.chip_id;

	return memcmp(id, cert->hwid, cert->hwid_len) == 0 &&
	       snp_all_zero(id + cert->hwid_len, SNP_CHIP_ID_SIZE - cert->hwid_len);
}

static void refuse_no_key(struct snp_check *c, int seen, const char *fault)
{
	char expected[4 * SNP_CHIP_ID_SIZE], chip[2 * SNP_CHIP_ID_SIZE + 1];
	char tcb[2 * SNP_TCB_SIZE + 1];

	hex_encode(c->report.reported_tcb, SNP_TCB_SIZE, tcb);
	hex_encode(c->report.chip_id, SNP_CHIP_ID_SIZE, chip);
	snprintf(expected, sizeof(expected), "the certificate of the %s at TCB %s of chip %s",
		 key_name(c->report.signing_key == SNP_KEY_VLEK), tcb, chip);
	if (fault)
		appraisal_refuse(c->a, "evidence.certificate", expected, "one of which %s", fault);
	else
		appraisal_refuse(c->a, "evidence.certificate", expected,
				 "none (of %d that are not)", seen);
}

/*
 * The key that made such a report before, if it made this one too: the signature tells. Which
 * certificates are tried depends on the kind of key alone.
 */
static int find_known(struct snp_check *c)
{
	const struct evidence_input *in = c->in;
	uint8_t flags[] = { c->report.signing_key == SNP_KEY_VLEK, c->rules->crl_required };
	struct cache_key basis = { 0 };
	const struct view parts[] = {
		view_of(basis.sha256, sizeof(basis.sha256)),
		view_of(flags, sizeof(flags)),
		view_of(c->report.chip_id, sizeof(c->report.chip_id)),
		view_of(c->report.reported_tcb, sizeof(c->report.reported_tcb)),
	};
	struct snp_known *k;
	int r;

	if (!in->cache)
		return 0;
	r = evidence_basis(in, in->roots, in->roots ? in->n_roots : 0, &basis);
	if (r == 0)
		r = cache_key_of("sev-snp", parts, ARRAY_LEN(parts), &c->key);
	if (r < 0)
		return r;
	k = (struct snp_known *)appraisal_cache_get(in->cache, &c->key, in->now);
	if (!k)
		return 0;
	r = signed_by(c, k->leaf);
	if (r <= 0) {
		cached_unref(&k->base);
		return r;
	}
	c->known = &k->base;
	c->leaf = k->leaf;
	c->certificate = k->certificate;
	c->signature_good = true;
	return 1;
}

static void free_known(struct cached *cached)
{
	struct snp_known *k = (struct snp_known *)cached;

	X509_free(k->leaf);
	free(k);
}

/* Until when every certificate and list is as it is now. */
static struct cache_span span_of(const struct snp_check *c)
{
	struct cache_span span = { INT64_MIN, INT64_MAX };

	x509_cut_span(endorsements_certificates(c->endorsements),
		      endorsements_crls(c->endorsements), c->in->now, &span);
	return span;
}

/* For the next report of this chip. Without memory: the next one finds it out anew. */
static void keep(struct snp_check *c)
{
	struct snp_known *k = calloc(1, sizeof(*k));

	if (!k)
		return;
	cached_init(&k->base, free_known, KNOWN_SIZE);
	k->base.span = span_of(c);
	k->leaf = c->leaf;
	X509_up_ref(k->leaf);
	k->certificate = c->certificate;
	appraisal_cache_put(c->in->cache, &c->key, &k->base);
	cached_unref(&k->base);
}

/*
 * The certificate of the key that signed, among all that were handed in. Where none did, the
 * chip's own or else the first of its kind goes on, so that the reasons tell what is wrong
 * with it.
 */
static int check_certificate(struct snp_check *c)
{
	const struct endorsement *e = NULL;
	struct snp_certificate cert;
	const char *why, *fault = NULL;
	bool own = false;
	int tried = 0, r;

	r = find_known(c);
	if (r > 0)
		appraisal_pass(c->a);
	if (r != 0)
		return r;
	r = evidence_endorsements(c->in, &c->endorsements);
	if (r < 0)
		return r;
	while (!c->signature_good && tried < CANDIDATES_MAX &&
	       (e = endorsements_next(c->endorsements, ENDORSEMENT_CERTIFICATE, e))) {
		if (!snp_certificate_claims_to_be_one(e->certificate))
			continue;
		tried++;
		if (snp_certificate_parse(e->certificate, &cert, &why) < 0) {
			fault = fault ? fault : why;
			continue;
		}
		if (cert.vlek != (c->report.signing_key == SNP_KEY_VLEK))
			continue;
		r = signed_by(c, e->certificate);
		if (r < 0)
			return r;
		if (c->leaf && r == 0 && (own || !of_this_chip(c, &cert)))
			continue;
		c->signature_good = r == 1;
		own = of_this_chip(c, &cert);
		c->leaf = e->certificate;
		c->certificate = cert;
	}
	if (!c->leaf) {
		refuse_no_key(c, tried, fault);
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

/* The report's CPU and its key's certificate are of one product; version 2 has the latter only. */
static int check_same_product(struct snp_check *c)
{
	if (c->product && c->product != c->certificate.product) {
		appraisal_refuse(c->a, "evidence.product", c->product->name,
				 "the certificate of a key of %s", c->certificate.product->name);
		return 0;
	}
	c->product = c->certificate.product;
	appraisal_pass(c->a);
	return 1;
}

/* A list of another time is no list; that one was there is worth a warning. */
static void warn_of_stale_lists(struct snp_check *c, X509 *ark)
{
	const X509_NAME *name = X509_get_subject_name(ark);
	char from_text[TIME_TEXT_MAX], until_text[TIME_TEXT_MAX];
	const struct endorsement *e = NULL;
	int64_t from = 0, until = 0;
	bool any = false;

	while ((e = endorsements_next(c->endorsements, ENDORSEMENT_CRL, e))) {
		int64_t f, u;

		if (X509_NAME_cmp(X509_CRL_get_issuer(e->crl), name) != 0 ||
		    x509_time(X509_CRL_get0_lastUpdate(e->crl), &f) < 0 ||
		    x509_time(X509_CRL_get0_nextUpdate(e->crl), &u) < 0)
			continue;
		if (f <= c->in->now && c->in->now <= u)
			return;
		any = true;
		from = f;
		until = u;
	}
	if (any)
		appraisal_fail(c->a, true, "evidence.crl", "the ARK's revocation list in force",
			       "collateral expired or not yet valid: one in force %s to %s",
			       time_text(from, from_text), time_text(until, until_text));
}

static int check_chain(struct snp_check *c)
{
	STACK_OF(X509) *path = NULL;
	size_t before = c->a->n + c->a->uncounted;
	struct x509_chain chain = {
		.rule = "evidence.chain",
		.what = c->certificate.vlek ? "VLEK certificate" : "VCEK certificate",
		.leaf = c->leaf,
		.given = endorsements_certificates(c->endorsements),
		.pins = c->in->roots ? c->in->roots : &c->product->root,
		.n_pins = c->in->roots ? c->in->n_roots : 1,
		.crls = endorsements_crls(c->endorsements),
		.crls_needed = c->rules->crl_required ? ISSUER_OF_ASK : 0,
		.now = c->in->now,
	};
	int r;

	if (c->known) {
		appraisal_pass(c->a);
		return 1;
	}
	r = x509_chain_verify(&chain, c->a, &path);
	if (r <= 0)
		return r;
	/* So that what AMD's CA says of a name is said of this very certificate. */
	if (sk_X509_num(path) != PATH_LEN) {
		appraisal_refuse(c->a, "evidence.chain", "a key, its ASK or ASVK, and the ARK",
				 "a chain of %d certificates", sk_X509_num(path));
		r = 0;
	} else {
		warn_of_stale_lists(c, sk_X509_value(path, PATH_LEN - 1));
		c->worth_keeping = c->a->n + c->a->uncounted == before;
	}
	sk_X509_pop_free(path, X509_free);
	return r;
}

/* Every byte of the reported TCB, reserved ones too, is what the certificate states. */
static int check_tcb(struct snp_check *c)
{
	char expected[COMPONENT_TEXT];
	int held = 1;

	for (size_t i = 0; i < SNP_TCB_SIZE; i++) {
		const struct snp_component *part = &c->product->tcb[i];
		unsigned int certified = c->certificate.spl[part->extension];

		if (c->report.reported_tcb[i] == certified)
			continue;
		snprintf(expected, sizeof(expected), "%s %u, as its %s is for", part->name,
			 certified, key_name(c->certificate.vlek));
		appraisal_refuse(c->a, "evidence.tcb", expected, "reported: %s %u", part->name,
				 c->report.reported_tcb[i]);
		held = 0;
	}
	if (held)
		appraisal_pass(c->a);
	return held;
}

/* A VLEK is of no chip, and a host may have the id masked; the signature stands for it then. */
static int check_chip(struct snp_check *c)
{
	char expected[2 * SNP_CHIP_ID_SIZE + 1], seen[2 * SNP_CHIP_ID_SIZE + 1];

	if (c->certificate.vlek || snp_all_zero(c->report.chip_id, SNP_CHIP_ID_SIZE))
		return 1;
	if (!of_this_chip(c, &c->certificate)) {
		hex_encode(c->certificate.hwid, c->certificate.hwid_len, expected);
		hex_encode(c->report.chip_id, SNP_CHIP_ID_SIZE, seen);
		appraisal_refuse(c->a, "evidence.chip_id", expected, "%s", seen);
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

static int check_signature(struct snp_check *c)
{
	if (!c->signature_good) {
		appraisal_refuse(c->a, "evidence.signature",
				 "an ECDSA P-384 signature of the key in the certificate",
				 "it does not verify");
		return 0;
	}
	appraisal_pass(c->a);
	return 1;
}

/*
 * In order. A check gives 1: held; 0: refused; a negative errno. After one that the rest
 * builds on the rest would only repeat it.
 */
static const struct {
	int (*check)(struct snp_check *c);
	bool rest_builds_on_it;
} checks[] = {
	{ check_report, true },	      { check_product, true },	  { check_certificate, true },
	{ check_same_product, true }, { check_chain, false },	  { check_tcb, false },
	{ check_chip, false },	      { check_signature, false },
};

static int judge_genuine(struct snp_check *c)
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

static void snp_check_done(struct snp_check *c)
{
	endorsements_free(c->endorsements);
	cached_unref(c->known);
}

int snp_judge(const struct evidence_input *in, struct view raw, struct appraisal *a,
	      struct evidence_result *ret)
{
	CLEANUP(snp_check_done)
	struct snp_check c = { .in = in, .raw = raw, .a = a, .rules = policy_sev_snp(in->policy) };
	int genuine = judge_genuine(&c);

	if (genuine < 0)
		return genuine;
	if (genuine && c.worth_keeping && in->cache)
		keep(&c);
	/* Of a report that may be anybody's the policy would only talk. */
	if (genuine)
		snp_judge_policy(c.rules, &c.report, &c.certificate, a);
	*ret = c.result;
	return genuine;
}

static int snp_verify(const struct evidence_input *in, struct appraisal *a,
		      struct evidence_result *ret)
{
	struct evidence_result result = { 0 };
	struct view raw = view_of(in->report->report.data, in->report->report.len);
	int genuine, r;

	*ret = result;
	r = evidence_judge_platform(in, evidence_sev_snp.platform, a);
	if (r < 0)
		return r;
	/* On its own the verdict also says whether the report is genuine. */
	if (r == 0 && !in->alone)
		return 0;
	genuine = snp_judge(in, raw, a, &result);
	if (genuine < 0)
		return genuine;
	r = result.has_report_data
		    ? evidence_judge_report_data(
			      in, view_of(result.report_data, result.report_data_len), a)
		    : 0;
	if (r < 0)
		return r;
	result.signature_good = genuine && r;
	*ret = result;
	return 0;
}

/* No other evidence is of this size and begins with a small number; the rest is for a reason. */
static bool snp_detect(struct view raw)
{
	struct reader in = reader_of(raw);
	uint32_t version;

	return raw.len == SNP_REPORT_SIZE && read_le32(&in, &version) == 0 && version != 0 &&
	       version <= UINT8_MAX;
}

static int snp_gather(const struct evidence_file *files, size_t n, size_t at, struct arena *arena,
		      Assay__ChipReport *report, const char **ret_why)
{
	return evidence_gather(files, n, at, NULL, arena, report);
}

static int snp_show_report(const Assay__ChipReport *report, json_t **ret)
{
	return snp_show(view_of(report->report.data, report->report.len), ret);
}

const struct evidence_ops evidence_sev_snp = {
	.platform = "sev-snp",
	.insecure = false,
	.verify = snp_verify,
	.detect = snp_detect,
	.gather = snp_gather,
	.show = snp_show_report,
	.proves = "An AMD chip running firmware at the reported TCB made this report for a guest\n"
		  "whose initial memory has the launch digest \"measurement\", and that guest (or\n"
		  "what runs at the VMPL it names) chose the report data.",
	.proves_not = "What the guest has run since its launch; that the launch digest is one you\n"
		      "expect, unless the policy lists it; freshness, unless the report data are\n"
		      "compared with a nonce of yours.",
};
