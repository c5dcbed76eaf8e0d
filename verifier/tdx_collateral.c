/* SPDX-License-Identifier: Apache-2.0 */
#include "tdx_collateral.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "x509_chain.h"

#define TCB_INFO_VERSION    3
#define QE_IDENTITY_VERSION 2

CLEANUP_FUNCTION(struct tdx_tcb_info *, tdx_tcb_info_free)
CLEANUP_FUNCTION(struct tdx_qe_identity *, tdx_qe_identity_free)

static void levels_done(struct tdx_levels *l)
{
	for (size_t i = 0; i < l->n; i++)
		json_decref(l->at[i].advisories);
	free(l->at);
	*l = (struct tdx_levels){ 0 };
}

void tdx_tcb_info_free(struct tdx_tcb_info *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_modules; i++)
		levels_done(&t->modules[i].levels);
	levels_done(&t->levels);
	json_decref(t->doc.json);
	free(t);
}

void tdx_qe_identity_free(struct tdx_qe_identity *q)
{
	if (!q)
		return;
	levels_done(&q->levels);
	json_decref(q->doc.json);
	free(q);
}

/*
 * Members are read one after the other into a struct members; the first that is missing or
 * of another form is remembered, and the rest is not looked at.
 */
struct members {
	const char *why;
	int error; /* -ENOMEM */
};

static void fail(struct members *m, const char *why)
{
	if (!m->why)
		m->why = why;
}

static void get_hex(struct members *m, const json_t *o, const char *name, void *to, size_t size,
		    const char *why)
{
	const char *text = json_string_value(json_object_get(o, name));

	if (!text || hex_decode_exact(text, to, size) < 0)
		fail(m, why);
}

static void get_number(struct members *m, const json_t *o, const char *name, json_int_t max,
		       uint16_t *to, const char *why)
{
	const json_t *v = json_object_get(o, name);

	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
		fail(m, why);
	else
		*to = (uint16_t)json_integer_value(v);
}

/* "2026-03-16T22:21:30Z" and no other form. */
static void get_time(struct members *m, const json_t *o, const char *name, int64_t *to,
		     const char *why)
{
	const char *text = json_string_value(json_object_get(o, name)), *end;
	char again[TIME_TEXT_MAX];
	struct tm tm = { 0 };

	end = text ? strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;
	if (!end || *end) {
		fail(m, why);
		return;
	}
	*to = timegm(&tm);
	if (strcmp(time_text(*to, again), text) != 0)
		fail(m, why);
}

static bool is(const json_t *o, const char *name, const char *value)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text && strcmp(text, value) == 0;
}

static void read_svns(struct members *m, const json_t *components, uint8_t to[TDX_SVNS])
{
	uint16_t svn = 0;

	if (json_array_size(components) != TDX_SVNS) {
		fail(m, "a level does not have 16 components");
		return;
	}
	for (size_t i = 0; i < TDX_SVNS; i++) {
		get_number(m, json_array_get(components, i), "svn", UINT8_MAX, &svn,
			   "a component's svn is not a number up to 255");
		to[i] = (uint8_t)svn;
	}
}

static void read_advisories(struct members *m, const json_t *level, struct tdx_level *l)
{
	json_t *ids = json_object_get(level, "advisoryIDs");

	if (!ids)
		return;
	if (!json_is_array(ids))
		fail(m, "advisoryIDs is not a list");
	for (size_t i = 0; i < json_array_size(ids); i++) {
		if (!json_is_string(json_array_get(ids, i)))
			fail(m, "an advisory id is not a string");
	}
	l->advisories = json_incref(ids);
}

static void read_level(struct members *m, const json_t *level, bool platform, struct tdx_level *l)
{
	const json_t *tcb = json_object_get(level, "tcb");
	const char *status = json_string_value(json_object_get(level, "tcbStatus"));

	if (platform) {
		read_svns(m, json_object_get(tcb, "sgxtcbcomponents"), l->sgx);
		read_svns(m, json_object_get(tcb, "tdxtcbcomponents"), l->tdx);
	}
	get_number(m, tcb, platform ? "pcesvn" : "isvsvn", UINT16_MAX, &l->svn,
		   "a level has no pcesvn or isvsvn");
	get_time(m, level, "tcbDate", &l->date, "a level's tcbDate is not a time");
	if (!status || tdx_status_by_name(view_text(status), &l->status) < 0)
		fail(m, "a level's status is not one that Intel defined");
	read_advisories(m, level, l);
}

static void read_levels(struct members *m, const json_t *o, bool platform, struct tdx_levels *ret)
{
	const json_t *levels = json_object_get(o, "tcbLevels");
	size_t n = json_array_size(levels);

	if (n == 0 || n > TDX_LEVELS_MAX) {
		fail(m, "it has no TCB levels, or more than are looked at");
		return;
	}
	ret->at = calloc(n, sizeof(*ret->at));
	if (!ret->at) {
		m->error = -ENOMEM;
		return;
	}
	ret->n = n;
	for (size_t i = 0; i < n; i++)
		read_level(m, json_array_get(levels, i), platform, &ret->at[i]);
}

static void read_module(struct members *m, const json_t *o, struct tdx_module *ret)
{
	static const char why[] = "a TDX module's mrsigner, attributes or mask is not hex digits";

	get_hex(m, o, "mrsigner", ret->mrsigner, sizeof(ret->mrsigner), why);
	get_hex(m, o, "attributes", ret->attributes, sizeof(ret->attributes), why);
	get_hex(m, o, "attributesMask", ret->mask, sizeof(ret->mask), why);
}

static void read_modules(struct members *m, struct tdx_tcb_info *t)
{
	const json_t *list = json_object_get(t->doc.json, "tdxModuleIdentities"), *o;
	const char *id;

	/* Before TDX 1.5 there was no such list. */
	if (!list)
		return;
	if (!json_is_array(list) || json_array_size(list) > TDX_MODULES_MAX) {
		fail(m, "tdxModuleIdentities is not a list, or a longer one than is looked at");
		return;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		o = json_array_get(list, i);
		id = json_string_value(json_object_get(o, "id"));
		if (!id || strlen(id) >= sizeof(t->modules[i].id)) {
			fail(m, "a TDX module has no id");
			return;
		}
		strcpy(t->modules[i].id, id);
		read_module(m, o, &t->modules[i]);
		t->n_modules++;
		read_levels(m, o, false, &t->modules[i].levels);
		for (size_t k = 0; k < i; k++) {
			if (strcasecmp(t->modules[k].id, id) == 0)
				fail(m, "a TDX module is listed twice");
		}
	}
}

/* The document's text, and what both kinds have. */
static void read_document(struct members *m, struct view text, const char *name, const char *id,
			  int version, struct tdx_document *ret)
{
	const json_t *v;

	if (text.len > TDX_COLLATERAL_MAX) {
		fail(m, "it is larger than any");
		return;
	}
	if (signed_json_cut(text, &ret->text) < 0 || !view_is(ret->text.name, name)) {
		fail(m, "it is not a signed document of that name");
		return;
	}
	if (signed_json_parse(&ret->text, &ret->json) < 0) {
		fail(m, "it is not JSON, or has a member twice");
		return;
	}
	v = json_object_get(ret->json, "version");
	if (!is(ret->json, "id", id))
		fail(m, "it is not for TDX");
	if (!json_is_integer(v) || json_integer_value(v) != version)
		fail(m, "it is of a version that is not known");
	get_time(m, ret->json, "issueDate", &ret->issued, "its issueDate is not a time");
	get_time(m, ret->json, "nextUpdate", &ret->next_update, "its nextUpdate is not a time");
}

static int outcome(const struct members *m, struct tdx_document *doc, const char **ret_why)
{
	json_decref(doc->json);
	doc->json = NULL;
	if (m->error < 0)
		return m->error;
	if (!m->why)
		return 0;
	*ret_why = m->why;
	return -EBADMSG;
}

int tdx_tcb_info_read(struct view text, struct tdx_tcb_info **ret, const char **ret_why)
{
	CLEANUP(tdx_tcb_info_freep) struct tdx_tcb_info *t = calloc(1, sizeof(*t));
	struct members m = { 0 };
	int r;

	if (!t)
		return -ENOMEM;
	read_document(&m, text, "tcbInfo", "TDX", TCB_INFO_VERSION, &t->doc);
	if (t->doc.json) {
		get_hex(&m, t->doc.json, "fmspc", t->fmspc, sizeof(t->fmspc),
			"its fmspc is not 12 hex digits");
		get_hex(&m, t->doc.json, "pceId", t->pceid, sizeof(t->pceid),
			"its pceId is not 4 hex digits");
		read_module(&m, json_object_get(t->doc.json, "tdxModule"), &t->module);
		read_modules(&m, t);
		read_levels(&m, t->doc.json, true, &t->levels);
	}
	r = outcome(&m, &t->doc, ret_why);
	if (r < 0)
		return r;
	*ret = TAKE(t);
	return 0;
}

/* Hex of a u32 with its first byte first, as Intel writes miscselect. */
static void get_be32(struct members *m, const json_t *o, const char *name, uint32_t *to)
{
	uint8_t be[4] = { 0 };

	get_hex(m, o, name, be, sizeof(be), "its miscselect or mask is not 8 hex digits");
	*to = (uint32_t)be[0] << 24 | (uint32_t)be[1] << 16 | (uint32_t)be[2] << 8 | be[3];
}

int tdx_qe_identity_read(struct view text, struct tdx_qe_identity **ret, const char **ret_why)
{
	CLEANUP(tdx_qe_identity_freep) struct tdx_qe_identity *q = calloc(1, sizeof(*q));
	struct members m = { 0 };
	const json_t *j;
	int r;

	if (!q)
		return -ENOMEM;
	read_document(&m, text, "enclaveIdentity", "TD_QE", QE_IDENTITY_VERSION, &q->doc);
	j = q->doc.json;
	if (j) {
		get_be32(&m, j, "miscselect", &q->miscselect);
		get_be32(&m, j, "miscselectMask", &q->miscselect_mask);
		get_hex(&m, j, "attributes", q->attributes, sizeof(q->attributes),
			"its attributes are not 32 hex digits");
		get_hex(&m, j, "attributesMask", q->attributes_mask, sizeof(q->attributes_mask),
			"its attributesMask is not 32 hex digits");
		get_hex(&m, j, "mrsigner", q->mrsigner, sizeof(q->mrsigner),
			"its mrsigner is not 64 hex digits");
		get_number(&m, j, "isvprodid", UINT16_MAX, &q->isvprodid,
			   "its isvprodid is not a number");
		read_levels(&m, j, false, &q->levels);
	}
	r = outcome(&m, &q->doc, ret_why);
	if (r < 0)
		return r;
	*ret = TAKE(q);
	return 0;
}

const struct tdx_module *tdx_tcb_info_module(const struct tdx_tcb_info *t, struct view svn)
{
	char id[16];

	if (svn.data[1] == 0)
		return &t->module;
	snprintf(id, sizeof(id), "TDX_%02X", svn.data[1]);
	for (size_t i = 0; i < t->n_modules; i++) {
		if (strcasecmp(t->modules[i].id, id) == 0)
			return &t->modules[i];
	}
	return NULL;
}
