/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_sev_snp.h"

#define SHOWN_MAX 64

static json_t *hex_json(const uint8_t *bytes, size_t len)
{
	char hex[2 * SHOWN_MAX + 1];

	hex_encode(bytes, len < SHOWN_MAX ? len : SHOWN_MAX, hex);
	return json_string(hex);
}

#define HEX(field) hex_json(p->field, sizeof(p->field))

static json_t *flags_json(const struct policy_flag *flags, uint64_t bits)
{
	json_t *set = json_array();

	for (; set && flags->word; flags++) {
		if (!(bits & flags->bit) ||
		    json_array_append_new(set, json_string(flags->word)) == 0)
			continue;
		json_decref(set);
		return NULL;
	}
	return set;
}

static json_t *firmware_json(const struct snp_firmware *f)
{
	return json_sprintf("%u.%u.%u", f->major, f->minor, f->build);
}

static json_t *tcb_json(const struct snp_product *product, const uint8_t tcb[SNP_TCB_SIZE])
{
	json_t *parts = json_object();
	int failed = json_object_set_new(parts, "raw", hex_json(tcb, SNP_TCB_SIZE));

	for (size_t i = 0; product && i < SNP_TCB_SIZE; i++)
		failed |= json_object_set_new(parts, product->tcb[i].name, json_integer(tcb[i]));
	if (failed) {
		json_decref(parts);
		return NULL;
	}
	return parts;
}

int snp_show(struct view raw, json_t **ret)
{
	struct snp_report report;
	const struct snp_report *p = &report;
	const struct snp_product *product;
	const char *why;
	json_t *o;
	int failed = 0;

	if (snp_report_parse(raw, &report, &why) < 0)
		return -EBADMSG;
	/* Version 2 says nothing of its CPU: its TCBs stay bytes here. */
	product = p->version < SNP_VERSION_CPUID ? NULL : snp_product_of_cpu(p->family, p->model);

	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{ "version", json_integer(p->version) },
		{ "product", product ? json_string(product->name) : json_null() },
		{ "guest_svn", json_integer(p->guest_svn) },
		{ "policy", json_sprintf("0x%llx", (unsigned long long)p->policy) },
		{ "guest_policy", flags_json(policy_snp_guest_policy_flags, p->policy) },
		{ "debug", json_boolean(p->policy & SNP_POLICY_DEBUG) },
		{ "migration", json_boolean(p->policy & SNP_POLICY_MIGRATE_MA) },
		{ "family_id", HEX(family_id) },
		{ "image_id", HEX(image_id) },
		{ "vmpl", json_integer(p->vmpl) },
		{ "current_tcb", tcb_json(product, p->current_tcb) },
		{ "platform_info", json_sprintf("0x%llx", (unsigned long long)p->platform_info) },
		{ "platform", flags_json(policy_snp_platform_flags, p->platform_info) },
		{ "author_key_enabled", json_boolean(p->author_key_enabled) },
		{ "signing_key", json_string(p->signing_key == SNP_KEY_VLEK ? "vlek" : "vcek") },
		{ "report_data", HEX(report_data) },
		{ "measurement", HEX(measurement) },
		{ "host_data", HEX(host_data) },
		{ "id_key_digest", HEX(id_key_digest) },
		{ "author_key_digest", HEX(author_key_digest) },
		{ "report_id", HEX(report_id) },
		{ "report_id_ma", HEX(report_id_ma) },
		{ "reported_tcb", tcb_json(product, p->reported_tcb) },
		{ "cpuid_family", json_integer(p->family) },
		{ "cpuid_model", json_integer(p->model) },
		{ "cpuid_stepping", json_integer(p->stepping) },
		{ "chip_id", HEX(chip_id) },
		{ "committed_tcb", tcb_json(product, p->committed_tcb) },
		{ "current_firmware", firmware_json(&p->current) },
		{ "committed_firmware", firmware_json(&p->committed) },
		{ "launch_tcb", tcb_json(product, p->launch_tcb) },
		{ "launch_mitigations",
		  json_sprintf("0x%llx", (unsigned long long)p->launch_mitigations) },
		{ "current_mitigations",
		  json_sprintf("0x%llx", (unsigned long long)p->current_mitigations) },
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
