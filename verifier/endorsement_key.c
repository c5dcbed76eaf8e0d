/* SPDX-License-Identifier: Apache-2.0 */
#include "endorsement_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509.h>

#include "cca_anchor.h"
#include "cca_token.h"
#include "cleanup.h"
#include "csv_certificate.h"
#include "evidence_sev_snp_certificate.h"
#include "evidence_sev_snp_product.h"
#include "hcl_report.h"
#include "tdx_collateral.h"
#include "tdx_pck.h"
#include "tdx_quote.h"
#include "pem.h"
#include "x509_chain.h"

CLEANUP_FUNCTION(struct tdx_tcb_info *, tdx_tcb_info_free)
CLEANUP_FUNCTION(struct tdx_qe_identity *, tdx_qe_identity_free)
CLEANUP_FUNCTION(struct cca_anchors *, cca_anchors_free)

/* Common names of the makers' CAs, and whose chips they speak of. */
static const struct {
	const char *begins, *platform;
} cas[] = {
	{ "ARK-", "sev-snp" },
	{ "SEV-", "sev-snp" },
	{ "Intel SGX ", "tdx" },
};

static void common_name(const X509_NAME *name, char to[ENDORSEMENT_WHAT_MAX])
{
	int n = X509_NAME_get_text_by_NID((X509_NAME *)name, NID_commonName, to,
					  ENDORSEMENT_WHAT_MAX);

	if (n < 0)
		snprintf(to, ENDORSEMENT_WHAT_MAX, "(no common name)");
	for (char *at = to; *at; at++) {
		if (*at < ' ' || *at > '~')
			*at = '?';
	}
}

static const char *platform_of(const char *ca)
{
	for (size_t i = 0; i < ARRAY_LEN(cas); i++) {
		if (strncmp(ca, cas[i].begins, strlen(cas[i].begins)) == 0)
			return cas[i].platform;
	}
	return "other";
}

static void say(struct endorsement_key *k, const char *what, const char *of)
{
	snprintf(k->what, sizeof(k->what), "%s of %.60s", what, of);
}

static int times(const ASN1_TIME *from, const ASN1_TIME *until, struct endorsement_key *k)
{
	int r = x509_time(from, &k->from);

	return r < 0 ? r : x509_time(until, &k->until);
}

/* One key of one chip at one TCB, as the parts of TCB_VERSION stand in a report. */
static int read_snp(const X509 *x, struct endorsement_key *k, const char **ret_why)
{
	struct snp_certificate c;
	int r;

	r = snp_certificate_parse(x, &c, ret_why);
	if (r < 0)
		return r;
	k->platform = "sev-snp";
	memcpy(k->chip, c.hwid, c.hwid_len);
	k->chip_len = c.hwid_len;
	for (size_t i = 0; i < SNP_TCB_SIZE; i++)
		k->tcb[i] = c.spl[c.product->tcb[i].extension];
	k->tcb_len = SNP_TCB_SIZE;
	say(k, c.vlek ? "VLEK" : "VCEK", c.product_name);
	return 0;
}

static int read_certificate(const struct endorsement *e, struct endorsement_key *k,
			    const char **ret_why)
{
	const X509 *x = e->certificate;
	char name[ENDORSEMENT_WHAT_MAX];

	*ret_why = "a certificate without times";
	if (times(X509_get0_notBefore(x), X509_get0_notAfter(x), k) < 0)
		return -EBADMSG;
	if (snp_certificate_claims_to_be_one(x))
		return read_snp(x, k, ret_why);
	common_name(X509_get_subject_name(x), name);
	k->platform = platform_of(name);
	say(k, "certificate", name);
	return 0;
}

static int series(struct endorsement_key *k, const char *what, struct view of)
{
	return digest_of_parts(HASH_SHA256, (struct view[]){ view_of(what, strlen(what) + 1), of },
			       2, &k->series);
}

static int read_crl(const struct endorsement *e, struct endorsement_key *k, const char **ret_why)
{
	const X509_NAME *issuer = X509_CRL_get_issuer(e->crl);
	const ASN1_TIME *until = X509_CRL_get0_nextUpdate(e->crl);
	char name[ENDORSEMENT_WHAT_MAX];
	const unsigned char *der;
	size_t len;

	/* A list that never ends could hide what came after it. */
	*ret_why = "a revocation list without times";
	if (!until || times(X509_CRL_get0_lastUpdate(e->crl), until, k) < 0)
		return -EBADMSG;
	if (X509_NAME_get0_der(issuer, &der, &len) != 1)
		return -ENOMEM;
	common_name(issuer, name);
	k->platform = platform_of(name);
	say(k, "revocation list", name);
	return series(k, "crl", view_of(der, len));
}

static int read_tcb_info(const struct endorsement *e, struct endorsement_key *k,
			 const char **ret_why)
{
	CLEANUP(tdx_tcb_info_freep) struct tdx_tcb_info *t = NULL;
	char hex[2 * sizeof(t->fmspc) + 1];
	int r;

	r = tdx_tcb_info_read(e->bytes, &t, ret_why);
	if (r < 0)
		return r;
	k->platform = "tdx";
	k->chip_len = sizeof(t->fmspc);
	memcpy(k->chip, t->fmspc, sizeof(t->fmspc));
	k->from = t->doc.issued;
	k->until = t->doc.next_update;
	hex_encode(t->fmspc, sizeof(t->fmspc), hex);
	say(k, "TCB info", hex);
	return series(k, "tcb info", view_of(t->fmspc, sizeof(t->fmspc)));
}

static int read_qe_identity(const struct endorsement *e, struct endorsement_key *k,
			    const char **ret_why)
{
	CLEANUP(tdx_qe_identity_freep) struct tdx_qe_identity *q = NULL;
	int r;

	r = tdx_qe_identity_read(e->bytes, &q, ret_why);
	if (r < 0)
		return r;
	k->platform = "tdx";
	k->from = q->doc.issued;
	k->until = q->doc.next_update;
	say(k, "QE identity", "TDX");
	return series(k, "qe identity", view_of(NULL, 0));
}

/* It names nobody: whoever needs one tries them. */
static int read_public_key(const struct endorsement *e, struct endorsement_key *k,
			   const char **ret_why)
{
	struct digest d;
	char hex[DIGEST_HEX_MAX];
	int r = digest_of(HASH_SHA256, e->bytes, &d);

	if (r < 0)
		return r;
	k->platform = "other";
	say(k, "public key", digest_hex(&d, hex));
	return 0;
}

/* A CEK does not say of which chip it is: whoever needs one tries them. */
static int read_csv_certificate(const struct endorsement *e, struct endorsement_key *k,
				const char **ret_why)
{
	struct csv_certificate c;
	int r = csv_certificate_parse(e->bytes, &c, ret_why);

	if (r < 0)
		return r;
	k->platform = "csv";
	say(k, csv_usage_name(c.usage), "Hygon");
	return 0;
}

/* Of one platform where there is but one. */
static int read_cca_anchors(const struct endorsement *e, struct endorsement_key *k,
			    const char **ret_why)
{
	CLEANUP(cca_anchors_freep) struct cca_anchors *all = NULL;
	const struct cca_anchor *a;
	char hex[2 * CCA_INSTANCE_SIZE + 1];
	int r = cca_anchors_read(e->bytes, &all, ret_why);

	if (r < 0)
		return r;
	k->platform = "cca";
	a = cca_anchors_at(all, 0);
	if (cca_anchors_at(all, 1)) {
		say(k, "CPAKs", "several platforms");
		return 0;
	}
	k->chip_len = sizeof(a->instance_id);
	memcpy(k->chip, a->instance_id, sizeof(a->instance_id));
	hex_encode(a->instance_id, sizeof(a->instance_id), hex);
	say(k, "CPAK", hex);
	return 0;
}

static int (*const readers[])(const struct endorsement *e, struct endorsement_key *k,
			      const char **ret_why) = {
	[ENDORSEMENT_CERTIFICATE] = read_certificate, [ENDORSEMENT_CRL] = read_crl,
	[ENDORSEMENT_PUBLIC_KEY] = read_public_key,   [ENDORSEMENT_TCB_INFO] = read_tcb_info,
	[ENDORSEMENT_QE_IDENTITY] = read_qe_identity,
	[ENDORSEMENT_CSV_CERTIFICATE] = read_csv_certificate,
	[ENDORSEMENT_CCA_ANCHORS] = read_cca_anchors,
};

int endorsement_key_read(const struct endorsement *e, struct endorsement_key *ret,
			 const char **ret_why)
{
	struct endorsement_key k = { .platform = "other" };
	int r;

	*ret_why = "an endorsement of a kind that no store keeps";
	if ((size_t)e->kind >= ARRAY_LEN(readers) || !readers[e->kind])
		return -EBADMSG;
	r = readers[e->kind](e, &k, ret_why);
	if (r == 0)
		*ret = k;
	return r;
}

/* Of reports. Nothing is checked: it says only what to look for. */

static struct view field(ProtobufCBinaryData d)
{
	return view_of(d.data, d.len);
}

static void snp_of(struct view report, struct report_key *k)
{
	struct snp_report r;
	const char *why;

	if (snp_report_parse(report, &r, &why) < 0)
		return;
	if (r.signing_key != SNP_KEY_VLEK && !snp_all_zero(r.chip_id, sizeof(r.chip_id))) {
		memcpy(k->chip, r.chip_id, sizeof(r.chip_id));
		k->chip_len = sizeof(r.chip_id);
	}
	memcpy(k->tcb, r.reported_tcb, sizeof(r.reported_tcb));
	k->tcb_len = sizeof(r.reported_tcb);
}

static void tdx_of(struct view report, struct report_key *k)
{
	CLEANUP(bytes_cleanup) struct bytes der = BYTES_INIT(PEM_DER_MAX);
	struct tdx_quote q;
	struct tdx_pck pck;
	struct reader at;
	struct view label;
	const char *why;
	X509 *x;

	if (tdx_quote_parse(report, &q, &why) < 0)
		return;
	at = reader_of(q.chain);
	if (pem_next(&at, &label, &der) <= 0 || x509_read(bytes_view(&der), &x) < 0)
		return;
	if (tdx_pck_read(x, &pck) == 0) {
		memcpy(k->chip, pck.fmspc, sizeof(pck.fmspc));
		k->chip_len = sizeof(pck.fmspc);
	}
	X509_free(x);
}

static void read_snp_report(const Assay__ChipReport *report, struct report_key *k)
{
	snp_of(field(report->report), k);
}

static void read_tdx_quote(const Assay__ChipReport *report, struct report_key *k)
{
	tdx_of(field(report->report), k);
}

static void read_cca_token(const Assay__ChipReport *report, struct report_key *k)
{
	struct cca_token *t = malloc(sizeof(*t));
	const char *why;

	if (t && cca_token_read(field(report->report), t, &why) == 0) {
		memcpy(k->chip, t->platform.instance_id.data, CCA_INSTANCE_SIZE);
		k->chip_len = CCA_INSTANCE_SIZE;
	}
	free(t);
}

/* The chip's report is in the paravisor's, or the quote beside it; an SVSM's is its own part. */
static void read_vtpm(const Assay__ChipReport *report, struct report_key *k)
{
	struct hcl_report hcl;
	const char *why;

	if (report->service_report.len > 0) {
		k->platforms[0] = "sev-snp";
		snp_of(field(report->service_report), k);
		return;
	}
	if (hcl_report_parse(field(report->key), &hcl, &why) < 0)
		return;
	if (hcl.kind == HCL_SNP) {
		k->platforms[0] = "sev-snp";
		snp_of(hcl.hardware, k);
		return;
	}
	k->platforms[0] = "tdx";
	for (size_t i = 0; i < report->n_endorsements && k->chip_len == 0; i++)
		tdx_of(field(report->endorsements[i]), k);
}

static const struct {
	const char *platform;
	void (*read)(const Assay__ChipReport *report, struct report_key *k);
} reports[] = {
	{ "sev-snp", read_snp_report },
	{ "tdx", read_tdx_quote },
	{ "vtpm", read_vtpm },
	{ "cca", read_cca_token },
};

void report_key_read(const char *platform, const Assay__ChipReport *report, struct report_key *ret)
{
	*ret = (struct report_key){ .platforms = { platform, "other" } };
	for (size_t i = 0; i < ARRAY_LEN(reports); i++) {
		if (strcmp(reports[i].platform, platform) == 0)
			reports[i].read(report, ret);
	}
}

static bool of_platform(const struct report_key *report, const struct endorsement_key *e)
{
	for (size_t i = 0; i < ARRAY_LEN(report->platforms); i++) {
		if (strcmp(report->platforms[i], e->platform) == 0)
			return true;
	}
	return false;
}

/* A chip's id may be followed by zeros in the report (Turin). */
static bool of_chip(const struct report_key *report, const struct endorsement_key *e)
{
	if (e->chip_len == 0)
		return true;
	return e->chip_len <= report->chip_len &&
	       memcmp(e->chip, report->chip, e->chip_len) == 0 &&
	       snp_all_zero(report->chip + e->chip_len, report->chip_len - e->chip_len);
}

bool report_key_matches(const struct report_key *report, const struct endorsement_key *e)
{
	return of_platform(report, e) && of_chip(report, e) &&
	       (e->tcb_len == 0 ||
		(e->tcb_len == report->tcb_len && memcmp(e->tcb, report->tcb, e->tcb_len) == 0));
}
