/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_csv.h"

static json_t *hex_json(const uint8_t *bytes, size_t len)
{
	char hex[2 * EVIDENCE_DATA + 1];

	hex_encode(bytes, len < EVIDENCE_DATA ? len : EVIDENCE_DATA, hex);
	return json_string(hex);
}

#define HEX(field) hex_json(p->field, sizeof(p->field))

static json_t *flags_json(uint32_t policy)
{
	json_t *set = json_array();

	for (const struct policy_flag *f = policy_csv_guest_policy_flags; set && f->word; f++) {
		if (!(policy & f->bit) || json_array_append_new(set, json_string(f->word)) == 0)
			continue;
		json_decref(set);
		return NULL;
	}
	return set;
}

static json_t *registers_json(const struct csv_report *p)
{
	json_t *list = json_array();

	for (size_t i = 0; list && p->rtmr_version && i < CSV_RTMRS; i++) {
		if (json_array_append_new(list, HEX(rtmr[i])) == 0)
			continue;
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *pek_json(const struct csv_report *p)
{
	struct csv_certificate c;
	const char *why;

	if (csv_report_pek(p, &c, &why) < 0)
		return json_null();
	return json_pack(
		"{s:s%, s:o, s:o, s:o}", "user_id", (const char *)c.user_id.data, c.user_id.len,
		"firmware_api", json_sprintf("%u.%u", c.firmware_major, c.firmware_minor), "x",
		hex_json(c.key.x, sizeof(c.key.x)), "y", hex_json(c.key.y, sizeof(c.key.y)));
}

int csv_show(struct view raw, json_t **ret)
{
	struct csv_report report;
	const struct csv_report *p = &report;
	struct view serial;
	const char *why;
	json_t *o, *pek;
	int failed = 0;

	if (csv_report_parse(raw, &report, &why) < 0)
		return -EBADMSG;
	serial = csv_report_serial(p);
	/* A user id that is no text: what else the certificate says is left out with it. */
	pek = pek_json(p);

	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{ "version", json_integer(p->version) },
		{ "user_public_key_digest", HEX(user_public_key_digest) },
		{ "vm_id", HEX(vm_id) },
		{ "vm_version", HEX(vm_version) },
		{ "report_data", HEX(report_data) },
		{ "mnonce", HEX(mnonce) },
		{ "measurement", HEX(measurement) },
		{ "policy", json_sprintf("0x%08x", p->policy) },
		{ "guest_policy", flags_json(p->policy) },
		{ "debug", json_boolean(!(p->policy & CSV_POLICY_NODBG)) },
		{ "hsk_version_min", json_integer(p->policy >> 8 & 0xf) },
		{ "cek_version_min", json_integer(p->policy >> 12 & 0xf) },
		{ "api_min", json_sprintf("%u.%u", p->policy >> 16 & 0xff, p->policy >> 24) },
		{ "anonce", HEX(anonce) },
		{ "build", json_integer(p->build) },
		{ "rtmr_version", json_integer(p->rtmr_version) },
		{ "registers", registers_json(p) },
		{ "serial", json_stringn((const char *)serial.data, serial.len) },
		{ "pek", pek ? pek : json_null() },
		{ "restored", json_boolean(p->restored) },
	};

	o = json_object();
	/* Also after one that failed: each value is taken over. */
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		failed |= json_object_set_new(o, members[i].name, members[i].value);
	if (failed) {
		json_decref(o);
		return -ENOMEM;
	}
	*ret = o;
	return 0;
}
