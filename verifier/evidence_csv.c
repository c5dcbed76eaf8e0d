/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_csv.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "cleanup.h"
#include "csv_chain.h"
#include "csv_coco.h"
#include "eventlog.h"
#include "evidence_table.h"

CLEANUP_FUNCTION(struct endorsements *, endorsements_free)

static struct digest sm3(const uint8_t bytes[CSV_DIGEST_SIZE])
{
	struct digest d = { .alg = HASH_SM3, .size = CSV_DIGEST_SIZE };

	memcpy(d.bytes, bytes, CSV_DIGEST_SIZE);
	return d;
}

static void copy_out(struct csv_check *c)
{
	const struct csv_report *p = &c->report;
	struct evidence_result *res = &c->result;
	size_t len;

	res->version = p->version;
	res->has_report_data = true;
	res->report_data_len = sizeof(p->report_data);
	memcpy(res->report_data, p->report_data, sizeof(p->report_data));
	res->measurement = sm3(p->measurement);
	res->n_registers = p->rtmr_version ? CSV_RTMRS : 0;
	for (size_t i = 0; i < res->n_registers; i++)
		res->registers[i] = sm3(p->rtmr[i]);
	res->debug = !(p->policy & CSV_POLICY_NODBG);
	len = (size_t)snprintf(res->tcb, sizeof(res->tcb), "api %u.%u", c->pek.firmware_major,
			       c->pek.firmware_minor);
	if (p->version > 1)
		snprintf(res->tcb + len, sizeof(res->tcb) - len, " build %u", p->build);
}

static int check_report(struct csv_check *c)
{
	struct view raw = view_of(c->in->report->report.data, c->in->report->report.len);
	const char *why;

	if (csv_report_parse(raw, &c->report, &why) < 0 ||
	    csv_report_pek(&c->report, &c->pek, &why) < 0) {
		appraisal_refuse(c->a, "evidence.report", "a CSV attestation report", "%s", why);
		return 0;
	}
	copy_out(c);
	appraisal_pass(c->a);
	return 1;
}

static int check_signature(struct csv_check *c)
{
	int r;

	r = sm2_verify(&c->pek.key, c->pek.user_id, &c->report.signature, c->report.signed_part);
	if (r < 0)
		return r;
	if (r == 0)
		appraisal_refuse(c->a, "evidence.signature",
				 "an SM2 signature of the PEK in the report", "it does not verify");
	else
		appraisal_pass(c->a);
	return r;
}

/*
 * That the report came as the firmware wrote it, also where its signature does not reach: PEK,
 * serial number and, by its key, the mask of version 1. It shows damage, not forgery: whoever
 * has a report has the key (mnonce). Where a guest's library has rewritten what it covers it
 * cannot be checked, and that is said.
 */
static int check_mac(struct csv_check *c)
{
	const struct csv_report *p = &c->report;
	uint8_t mac[CSV_DIGEST_SIZE];
	size_t len;

	if (!EVP_Q_mac(NULL, "HMAC", NULL, "SM3", NULL, p->mnonce, sizeof(p->mnonce),
		       p->mac_covered.data, p->mac_covered.len, mac, sizeof(mac), &len))
		return -ENOMEM;
	if (len == sizeof(p->mac) && CRYPTO_memcmp(mac, p->mac, len) == 0) {
		appraisal_pass(c->a);
		return 1;
	}
	appraisal_fail(c->a, p->mac_spoilt, "evidence.mac",
		       "an HMAC-SM3 over PEK and serial number under the guest's nonce",
		       p->mac_spoilt ? "it could not be checked: a guest's library has rewritten "
				       "what it covers"
				     : "another");
	return p->mac_spoilt ? 1 : 0;
}

static int check_chain(struct csv_check *c)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	struct csv_chain chain = { .pins = c->in->roots ? c->in->roots : &csv_root,
				   .n_pins = c->in->roots ? c->in->n_roots : 1 };
	struct view cek;
	int r;

	r = evidence_endorsements(c->in, &e);
	if (r < 0)
		return r;
	chain.given = e;
	r = csv_chain_verify(&chain, &c->pek, c->a, &cek);
	if (r <= 0)
		return r;
	/* The serial number is not signed: the chip is the one that has this key. */
	r = digest_of(HASH_SHA256, view_of(cek.data, CSV_CHIP_BODY_SIZE), &c->chip_id);
	if (r < 0)
		return r;
	c->result.chip_id_len = c->chip_id.size;
	memcpy(c->result.chip_id, c->chip_id.bytes, c->chip_id.size);
	return 1;
}

/*
 * In order. A check gives 1: held; 0: refused; a negative errno. After one that the rest
 * builds on the rest would only repeat it.
 */
static const struct {
	int (*check)(struct csv_check *c);
	bool rest_builds_on_it;
} checks[] = {
	{ check_report, true }, { check_signature, false },	{ check_mac, false },
	{ check_chain, false }, { csv_check_event_log, false },
};

static int judge_genuine(struct csv_check *c)
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

static int judge(struct csv_check *c)
{
	const struct evidence_result *res = &c->result;
	int genuine, r = 0;

	genuine = judge_genuine(c);
	if (genuine < 0)
		return genuine;
	/* Of a report that may be anybody's the policy would only talk. */
	if (genuine)
		csv_judge_policy(c);
	if (res->has_report_data)
		r = evidence_judge_report_data(
			c->in, view_of(res->report_data, res->report_data_len), c->a);
	if (r < 0)
		return r;
	c->result.signature_good = genuine && r;
	return 0;
}

static int csv_verify(const struct evidence_input *in, struct appraisal *a,
		      struct evidence_result *ret)
{
	CLEANUP(cleanup_mem) struct csv_check *c = NULL;
	int r;

	*ret = (struct evidence_result){ 0 };
	r = evidence_judge_platform(in, evidence_csv.platform, a);
	if (r < 0)
		return r;
	/* On its own the verdict also says whether the report is genuine. */
	if (r == 0 && !in->alone)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->in = in;
	c->a = a;
	c->rules = policy_csv(in->policy);
	r = judge(c);
	if (r < 0)
		return r;
	*ret = c->result;
	return 0;
}

static bool csv_detect(struct view raw)
{
	return csv_report_begins(raw) || csv_coco_begins(raw);
}

static bool is_log(struct view v)
{
	struct eventlog log;
	const char *why;

	return eventlog_open(v, &log, &why) == 0;
}

static int csv_gather(const struct evidence_file *files, size_t n, size_t at, struct arena *arena,
		      Assay__ChipReport *report, const char **ret_why)
{
	int r = evidence_gather(files, n, at, is_log, arena, report);

	if (r == 0 && csv_coco_begins(files[at].bytes))
		r = csv_coco_unpack(files[at].bytes, arena, report, ret_why);
	return r;
}

static int csv_show_report(const Assay__ChipReport *report, json_t **ret)
{
	return csv_show(view_of(report->report.data, report->report.len), ret);
}

const struct evidence_ops evidence_csv = {
	.platform = "csv",
	.insecure = false,
	.verify = csv_verify,
	.detect = csv_detect,
	.gather = csv_gather,
	.show = csv_show_report,
	.proves = "A Hygon chip made this report for a guest whose initial memory has the launch\n"
		  "digest \"measurement\", and that guest chose the report data. In version 2 the\n"
		  "registers are what that guest extended.",
	.proves_not =
		"In version 1, anything without the measurement: the mask over its fields is not\n"
		"signed, so that they hold together only where the measurement is one you expect.\n"
		"In either, what the guest has run since its launch; the serial number; when: its\n"
		"certificates have no dates; freshness, unless the report data are compared with "
		"a\n"
		"nonce of yours.",
};
