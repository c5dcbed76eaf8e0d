/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <openssl/x509.h>

#include "cleanup.h"
#include "evidence_json.h"
#include "evidence_tdx.h"
#include "pem.h"

/* A quote, decoded and not judged. */

static json_t *body_json(const struct tdx_body *b)
{
	const struct {
		const char *name;
		struct view value;
	} fields[] = {
		{ "tee_tcb_svn", b->tee_tcb_svn },
		{ "mrseam", b->mrseam },
		{ "mrsignerseam", b->mrsignerseam },
		{ "seam_attributes", b->seam_attributes },
		{ "td_attributes", b->td_attributes },
		{ "xfam", b->xfam },
		{ "mrtd", b->mrtd },
		{ "mrconfigid", b->mrconfigid },
		{ "mrowner", b->mrowner },
		{ "mrownerconfig", b->mrownerconfig },
		{ "rtmr0", b->rtmr[0] },
		{ "rtmr1", b->rtmr[1] },
		{ "rtmr2", b->rtmr[2] },
		{ "rtmr3", b->rtmr[3] },
		{ "report_data", b->report_data },
		{ "tee_tcb_svn_2", b->tee_tcb_svn_2 },
		{ "mrservicetd", b->mrservicetd },
		{ "vm_id", b->vm_id },
		{ "td_id", b->td_id },
		{ "devinfo", b->devinfo },
		{ "init_servtd_hash", b->init_servtd_hash },
		{ "init_servtd_attributes", b->init_servtd_attributes },
		{ "init_cpusvn", b->init_cpusvn },
		{ "init_tee_tcb_svn", b->init_tee_tcb_svn },
		{ "init_tee_fmspc", b->init_tee_fmspc },
		{ "servtd_hash", b->servtd_hash },
		{ "servtd_attributes", b->servtd_attributes },
	};
	json_t *o = json_object();

	for (size_t i = 0; o && i < ARRAY_LEN(fields); i++) {
		if (fields[i].value.len > 0)
			json_object_set_new(o, fields[i].name, evidence_json_hex(fields[i].value));
	}
	return o;
}

static json_t *qe_json(const struct tdx_quote *q)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:i, s:i, s:i}", "cpusvn",
			 evidence_json_hex(q->qe.cpusvn), "attributes",
			 evidence_json_hex(q->qe.attributes), "mrenclave",
			 evidence_json_hex(q->qe.mrenclave), "mrsigner",
			 evidence_json_hex(q->qe.mrsigner), "miscselect", (int)q->qe.miscselect,
			 "isvprodid", (int)q->qe.isvprodid, "isvsvn", (int)q->qe.isvsvn);
}

static json_t *pck_json(const X509 *x)
{
	char text[X509_TEXT_MAX];
	struct tdx_pck p;

	if (tdx_pck_read(x, &p) < 0)
		return json_pack("{s:s}", "certificate", x509_describe(x, text));
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:i}", "certificate", x509_describe(x, text),
			 "ppid", evidence_json_hex(view_of(p.ppid, sizeof(p.ppid))), "fmspc",
			 evidence_json_hex(view_of(p.fmspc, sizeof(p.fmspc))), "pceid",
			 evidence_json_hex(view_of(p.pceid, sizeof(p.pceid))), "svn",
			 evidence_json_hex(view_of(p.svn, sizeof(p.svn))), "pcesvn", (int)p.pcesvn);
}

/* The first certificate of the chain, where it can be read. */
static json_t *chain_json(const struct tdx_quote *q)
{
	CLEANUP(bytes_cleanup) struct bytes der = BYTES_INIT(PEM_DER_MAX);
	struct reader at = reader_of(q->chain);
	struct view label;
	json_t *pck;
	X509 *x;

	if (pem_next(&at, &label, &der) <= 0 || x509_read(bytes_view(&der), &x) < 0)
		return json_null();
	pck = pck_json(x);
	X509_free(x);
	return pck;
}

static const char *const body_types[] = {
	[TDX_BODY_TD10] = "TD 1.0",
	[TDX_BODY_TD15] = "TD 1.5",
	[TDX_BODY_TD15_EXTENDED] = "TD 1.5 extended",
};

int tdx_show(const Assay__ChipReport *report, json_t **ret)
{
	struct tdx_quote q;
	const char *why;
	json_t *o;
	int r;

	r = tdx_quote_parse(view_of(report->report.data, report->report.len), &q, &why);
	if (r < 0)
		return r;
	o = json_pack("{s:i, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:I}", "version", (int)q.version,
		      "body_type", body_types[q.body.type], "user_data",
		      evidence_json_hex(q.user_data), "body", body_json(&q.body), "debug",
		      tdx_body_debug(&q.body), "qe_report", qe_json(&q), "pck", chain_json(&q),
		      "attestation_key", evidence_json_hex(q.key), "trailing_bytes",
		      (json_int_t)q.trailing);
	if (!o)
		return -ENOMEM;
	*ret = o;
	return 0;
}
