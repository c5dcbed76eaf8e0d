/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_sev_snp_form.h"

#define PATH	 "platforms.sev-snp"
#define VMPL_MAX 3

static const cyaml_strval_t crls[] = {
	{ "require", SNP_CRL_REQUIRE },
	{ "allow", SNP_CRL_ALLOW },
};

static const cyaml_schema_field_t tcb_fields[] = {
	FORM_TEXT("bootloader", struct policy_snp_tcb_form, bootloader),
	FORM_TEXT("tee", struct policy_snp_tcb_form, tee),
	FORM_TEXT("snp", struct policy_snp_tcb_form, snp),
	FORM_TEXT("microcode", struct policy_snp_tcb_form, microcode),
	FORM_TEXT("fmc", struct policy_snp_tcb_form, fmc),
	CYAML_FIELD_END,
};

#define SNP_TEXTS(key, member)                                                                     \
	FORM_TEXTS(key, struct policy_snp_form, member.texts, member.n, POLICY_DIGESTS_MAX)

const cyaml_schema_field_t policy_snp_fields[] = {
	SNP_TEXTS("measurement", measurement),
	SNP_TEXTS("host_data", host_data),
	SNP_TEXTS("id_key_digest", id_key_digest),
	SNP_TEXTS("author_key_digest", author_key_digest),
	SNP_TEXTS("family_id", family_id),
	SNP_TEXTS("image_id", image_id),
	SNP_TEXTS("chip_id", chip_id),
	SNP_TEXTS("products", products),
	SNP_TEXTS("keys", keys),
	FORM_WORD("debug", struct policy_snp_form, debug, policy_accepts),
	FORM_WORD("migration", struct policy_snp_form, migration, policy_accepts),
	FORM_WORD("crl", struct policy_snp_form, crl, crls),
	FORM_TEXT("vmpl_max", struct policy_snp_form, vmpl_max),
	FORM_TEXT("guest_svn_min", struct policy_snp_form, guest_svn_min),
	FORM_PART("minimum_tcb", struct policy_snp_form, minimum_tcb, tcb_fields),
	FORM_PART("platform", struct policy_snp_form, platform, policy_flags_fields),
	FORM_PART("guest_policy", struct policy_snp_form, guest_policy, policy_flags_fields),
	CYAML_FIELD_END,
};

/* AMD 56860, PLATFORM_INFO. */
const struct policy_flag policy_snp_platform_flags[] = {
	{ "smt", UINT64_C(1) << 0 },
	{ "tsme", UINT64_C(1) << 1 },
	{ "ecc", UINT64_C(1) << 2 },
	{ "rapl_disabled", UINT64_C(1) << 3 },
	{ "ciphertext_hiding", UINT64_C(1) << 4 },
	{ "alias_check", UINT64_C(1) << 5 },
	{ "tio", UINT64_C(1) << 7 },
	{ NULL, 0 },
};

/* AMD 56860, guest policy. debug and migration have keys of their own. */
const struct policy_flag policy_snp_guest_policy_flags[] = {
	{ "smt", UINT64_C(1) << 16 },
	{ "single_socket", UINT64_C(1) << 20 },
	{ "cxl", UINT64_C(1) << 21 },
	{ "aes_256_xts", UINT64_C(1) << 22 },
	{ "rapl_disable", UINT64_C(1) << 23 },
	{ "ciphertext_hiding", UINT64_C(1) << 24 },
	{ "page_swap_disable", UINT64_C(1) << 25 },
	{ NULL, 0 },
};

/*
 * What is judged by without a policy: whether the report is genuine. That its guest can be
 * debugged is then said, not refused; a policy that does not speak of it denies it.
 */
static const struct policy_snp defaults = { .vmpl_max = VMPL_MAX, .debug = true };

const struct policy_snp *policy_sev_snp(const struct policy *p)
{
	return p && p->form->platforms->snp ? &p->form->platforms->snp->rules : &defaults;
}

static void read_tcb(struct policy_reading *x, const struct policy_snp_tcb_form *from,
		     uint8_t ret[POLICY_SNP_COMPONENTS])
{
	const struct {
		enum policy_snp_component component;
		const char *member, *text;
	} parts[] = {
		{ POLICY_SNP_BOOTLOADER, "minimum_tcb.bootloader", from->bootloader },
		{ POLICY_SNP_TEE, "minimum_tcb.tee", from->tee },
		{ POLICY_SNP_SNP, "minimum_tcb.snp", from->snp },
		{ POLICY_SNP_MICROCODE, "minimum_tcb.microcode", from->microcode },
		{ POLICY_SNP_FMC, "minimum_tcb.fmc", from->fmc },
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		ret[parts[i].component] = (uint8_t)policy_read_number(x, parts[i].member,
								      parts[i].text, UINT8_MAX, 0);
}

int policy_read_sev_snp(struct yamldoc *d, struct arena *arena, struct policy_snp_form *f)
{
	static const char *const products[] = { "milan", "genoa", "turin", NULL };
	static const char *const keys[] = { "vcek", "vlek", NULL };
	struct policy_reading x = {
		.d = d, .arena = arena, .path = PATH, .flags_in = "docs/evidence-sev-snp.md"
	};
	struct policy_snp rules = defaults;

	policy_read_values(&x, "measurement", &f->measurement, 48, &rules.measurement);
	policy_read_values(&x, "host_data", &f->host_data, 32, &rules.host_data);
	policy_read_values(&x, "id_key_digest", &f->id_key_digest, 48, &rules.id_key_digest);
	policy_read_values(&x, "author_key_digest", &f->author_key_digest, 48,
			   &rules.author_key_digest);
	policy_read_values(&x, "family_id", &f->family_id, 16, &rules.family_id);
	policy_read_values(&x, "image_id", &f->image_id, 16, &rules.image_id);
	policy_read_values(&x, "chip_id", &f->chip_id, 64, &rules.chip_id);
	policy_read_words(&x, "products", &f->products, products, "milan, genoa or turin",
			  &rules.products);
	policy_read_words(&x, "keys", &f->keys, keys, "vcek or vlek", &rules.keys);
	rules.debug = f->debug == ACCEPT_ALLOW;
	rules.migration = f->migration == ACCEPT_ALLOW;
	rules.crl_required = f->crl == SNP_CRL_REQUIRE;
	rules.vmpl_max = (uint32_t)policy_read_number(&x, "vmpl_max", f->vmpl_max, VMPL_MAX,
						      defaults.vmpl_max);
	rules.guest_svn_min =
		(uint32_t)policy_read_number(&x, "guest_svn_min", f->guest_svn_min, UINT32_MAX, 0);
	if (f->minimum_tcb)
		read_tcb(&x, f->minimum_tcb, rules.minimum_tcb);
	policy_read_flags(&x, "platform", f->platform, policy_snp_platform_flags, &rules.platform);
	policy_read_flags(&x, "guest_policy", f->guest_policy, policy_snp_guest_policy_flags,
			  &rules.guest_policy);
	f->rules = rules;
	return x.out_of_memory ? -ENOMEM : 0;
}
