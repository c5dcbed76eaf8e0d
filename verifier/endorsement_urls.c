/* SPDX-License-Identifier: Apache-2.0 */
#include "endorsement_urls.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/x509.h>

#include "cleanup.h"
#include "csv_report.h"
#include "evidence_sev_snp_product.h"
#include "evidence_sev_snp_report.h"
#include "hcl_report.h"
#include "pem.h"
#include "tdx_pck.h"
#include "tdx_quote.h"
#include "x509_chain.h"

const struct endorsement_services endorsement_services_public = {
	.amd_kds = "https://kdsintf.amd.com",
	.intel_pcs = "https://api.trustedservices.intel.com",
	.intel_root_crl = "https://certificates.trustedservices.intel.com",
	.hygon_kds = "https://cert.hygon.cn",
};

struct asking {
	const struct endorsement_services *services;
	struct endorsement_urls *to;
	bool too_long;
};

static void ask(struct asking *x, const char *format, ...) PRINTF_LIKE(2, 3);

static void ask(struct asking *x, const char *format, ...)
{
	va_list args;
	int n;

	if (x->to->n == ENDORSEMENT_URLS_MAX) {
		x->too_long = true;
		return;
	}
	va_start(args, format);
	n = vsnprintf(x->to->at[x->to->n], ENDORSEMENT_URL_MAX, format, args);
	va_end(args);
	if (n < 0 || n >= ENDORSEMENT_URL_MAX)
		x->too_long = true;
	else
		x->to->n++;
}

/* The SPLs of a VCEK's address, in the KDS's order (57230, 4.1; Turin begins with the FMC). */
static const struct {
	uint8_t extension;
	const char *name;
} spls[] = { { 9, "fmcSPL" }, { 1, "blSPL" }, { 2, "teeSPL" }, { 3, "snpSPL" }, { 8, "ucodeSPL" } };

static void add_spls(const struct snp_product *p, const struct snp_report *r, char *to, size_t size)
{
	size_t len = 0;

	to[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(spls); i++) {
		for (size_t k = 0; k < SNP_TCB_SIZE; k++) {
			if (p->tcb[k].extension != spls[i].extension || len >= size)
				continue;
			len += (size_t)snprintf(to + len, size - len, "%c%s=%02u", len ? '&' : '?',
						spls[i].name, r->reported_tcb[k]);
		}
	}
}

static int ask_snp(struct asking *x, struct view raw, const char **ret_why)
{
	char hwid[2 * SNP_CHIP_ID_SIZE + 1], parts[128];
	const char *base = x->services->amd_kds;
	const struct snp_product *p;
	struct snp_report r;
	bool vlek;
	int e;

	e = snp_report_parse(raw, &r, ret_why);
	if (e < 0)
		return e;
	p = r.version < SNP_VERSION_CPUID ? NULL : snp_product_of_cpu(r.family, r.model);
	if (!p) {
		*ret_why = "the report does not say of which product its chip is";
		return -EOPNOTSUPP;
	}
	vlek = r.signing_key == SNP_KEY_VLEK;
	ask(x, "%s/%s/v1/%s/cert_chain", base, vlek ? "vlek" : "vcek", p->name);
	ask(x, "%s/%s/v1/%s/crl", base, vlek ? "vlek" : "vcek", p->name);
	/* A VLEK is its cloud provider's, who hands it out; a masked chip cannot be asked for. */
	if (vlek || snp_all_zero(r.chip_id, sizeof(r.chip_id)))
		return 0;
	hex_encode(r.chip_id, p->hwid_size, hwid);
	add_spls(p, &r, parts, sizeof(parts));
	ask(x, "%s/vcek/v1/%s/%s%s", base, p->name, hwid, parts);
	return 0;
}

/* "processor" or "platform": which of Intel's two CAs issued the certificate. */
static const char *pck_ca(const X509 *x)
{
	char cn[64];
	int n = X509_NAME_get_text_by_NID(X509_get_issuer_name(x), NID_commonName, cn, sizeof(cn));

	return n > 0 && strstr(cn, "Processor") ? "processor" : "platform";
}

static int ask_tdx(struct asking *x, struct view raw, const char **ret_why)
{
	CLEANUP(bytes_cleanup) struct bytes der = BYTES_INIT(PEM_DER_MAX);
	const char *base = x->services->intel_pcs;
	char fmspc[2 * 6 + 1];
	struct tdx_quote q;
	struct tdx_pck pck;
	struct view label;
	struct reader at;
	X509 *leaf;
	int r;

	r = tdx_quote_parse(raw, &q, ret_why);
	if (r < 0)
		return r;
	*ret_why = "a quote without a PCK certificate";
	at = reader_of(q.chain);
	if (pem_next(&at, &label, &der) <= 0 || x509_read(bytes_view(&der), &leaf) < 0)
		return -EBADMSG;
	r = tdx_pck_read(leaf, &pck);
	if (r == 0) {
		hex_encode(pck.fmspc, sizeof(pck.fmspc), fmspc);
		ask(x, "%s/tdx/certification/v4/tcb?fmspc=%s", base, fmspc);
		ask(x, "%s/tdx/certification/v4/qe/identity", base);
		ask(x, "%s/sgx/certification/v4/pckcrl?ca=%s&encoding=der", base, pck_ca(leaf));
		ask(x, "%s/IntelSGXRootCA.der", x->services->intel_root_crl);
	}
	X509_free(leaf);
	return r;
}

static int ask_csv(struct asking *x, struct view raw, const char **ret_why)
{
	struct csv_report report;
	struct view serial;
	bool plain;
	int r;

	r = csv_report_parse(raw, &report, ret_why);
	if (r < 0)
		return r;
	serial = csv_report_serial(&report);
	plain = serial.len > 0;
	for (size_t i = 0; i < serial.len; i++)
		plain = plain && isalnum(serial.data[i]);
	if (!plain) {
		*ret_why = "a serial number that is not of letters and digits";
		return -EBADMSG;
	}
	ask(x, "%s/hsk_cek?snumber=%.*s", x->services->hygon_kds, (int)serial.len, serial.data);
	return 0;
}

static struct view field(ProtobufCBinaryData d)
{
	return view_of(d.data, d.len);
}

/* The chip's own report is in the paravisor's, or a quote beside it. */
static int ask_vtpm(struct asking *x, const Assay__ChipReport *report, const char **ret_why)
{
	struct hcl_report hcl;
	int r;

	r = hcl_report_parse(field(report->key), &hcl, ret_why);
	if (r < 0)
		return r;
	if (hcl.kind == HCL_SNP)
		return ask_snp(x, hcl.hardware, ret_why);
	for (size_t i = 0; i < report->n_endorsements; i++) {
		if (tdx_quote_begins(field(report->endorsements[i])))
			return ask_tdx(x, field(report->endorsements[i]), ret_why);
	}
	*ret_why = "no quote beside the paravisor's report";
	return -EBADMSG;
}

static const struct {
	const char *platform;
	int (*of_bytes)(struct asking *x, struct view raw, const char **ret_why);
} platforms[] = {
	{ "sev-snp", ask_snp },
	{ "tdx", ask_tdx },
	{ "csv", ask_csv },
};

int endorsement_urls(const struct endorsement_services *services, const char *platform,
		     const Assay__ChipReport *report, struct endorsement_urls *ret,
		     const char **ret_why)
{
	struct endorsement_urls urls = { 0 };
	struct asking x = { .services = services, .to = &urls };
	int r = -EOPNOTSUPP;

	*ret_why = "no service is known for the platform";
	for (size_t i = 0; i < ARRAY_LEN(platforms); i++) {
		if (strcmp(platforms[i].platform, platform) == 0)
			r = platforms[i].of_bytes(&x, field(report->report), ret_why);
	}
	if (strcmp(platform, "vtpm") == 0)
		r = ask_vtpm(&x, report, ret_why);
	if (r < 0)
		return r;
	if (x.too_long) {
		*ret_why = "the address of a service is too long";
		return -EMSGSIZE;
	}
	*ret = urls;
	return 0;
}
