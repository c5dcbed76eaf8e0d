/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_sev_snp_product.h"

#include <string.h>

/* AMD 57230 (VCEK certificate and KDS), "TCB version": up to Genoa, and from Turin on. */
static const struct snp_component tcb_of_milan[SNP_TCB_SIZE] = {
	{ "bootloader", 1 }, { "tee", 2 },	  { "reserved_4", 4 }, { "reserved_5", 5 },
	{ "reserved_6", 6 }, { "reserved_7", 7 }, { "snp", 3 },	       { "microcode", 8 },
};

static const struct snp_component tcb_of_turin[SNP_TCB_SIZE] = {
	{ "fmc", 9 },	     { "bootloader", 1 }, { "tee", 2 },	       { "snp", 3 },
	{ "reserved_5", 5 }, { "reserved_6", 6 }, { "reserved_7", 7 }, { "microcode", 8 },
};

static const struct snp_product milan = {
	.name = "Milan",
	.ask = "SEV-Milan",
	.asvk = "SEV-VLEK-Milan",
	.root = { "ARK-Milan", { 0x69, 0xd0, 0x63, 0xb4, 0x53, 0x44, 0xd2, 0x6a, 0x2e, 0x94, 0xe1,
				 0xf4, 0x21, 0x0d, 0xe4, 0x9e, 0xf5, 0x55, 0x30, 0x82, 0x87, 0xd4,
				 0xc1, 0x74, 0x44, 0x5c, 0x95, 0x63, 0x9a, 0x54, 0x0b, 0xcd } },
	.tcb = tcb_of_milan,
	.hwid_size = 64,
};

static const struct snp_product genoa = {
	.name = "Genoa",
	.ask = "SEV-Genoa",
	.asvk = "SEV-VLEK-Genoa",
	.root = { "ARK-Genoa", { 0x4c, 0x65, 0x98, 0xd1, 0x9c, 0x18, 0x71, 0x9c, 0x5d, 0xfd, 0x4a,
				 0x7d, 0x33, 0x5f, 0x67, 0x4e, 0x5b, 0xfe, 0x1d, 0x8f, 0x80, 0x0c,
				 0xea, 0x2c, 0xf2, 0x70, 0xc1, 0x0d, 0x10, 0x3d, 0xb2, 0xf1 } },
	.tcb = tcb_of_milan,
	.hwid_size = 64,
};

static const struct snp_product turin = {
	.name = "Turin",
	.ask = "SEV-Turin",
	.asvk = "SEV-VLEK-Turin",
	.root = { "ARK-Turin", { 0x1f, 0x08, 0x41, 0x61, 0xa4, 0x4b, 0xb6, 0xd9, 0x37, 0x78, 0xa9,
				 0x04, 0x87, 0x7d, 0x48, 0x19, 0xca, 0xfa, 0x5d, 0x05, 0xef, 0x41,
				 0x93, 0xb2, 0xde, 0xd9, 0xdd, 0x9c, 0x73, 0xdd, 0x3f, 0x6a } },
	.tcb = tcb_of_turin,
	.hwid_size = 8,
};

const struct snp_product *const snp_products[] = { &milan, &genoa, &turin, NULL };

/* Family and model as CPUID gives them. Genoa's root also serves Bergamo and Siena. */
static const struct {
	uint8_t family, first, last;
	const struct snp_product *product;
} cpus[] = {
	{ 0x19, 0x00, 0x0f, &milan },
	{ 0x19, 0x10, 0x1f, &genoa },
	{ 0x19, 0xa0, 0xaf, &genoa },
	{ 0x1a, 0x00, 0x11, &turin },
};

const struct snp_product *snp_product_of_cpu(uint8_t family, uint8_t model)
{
	for (size_t i = 0; i < ARRAY_LEN(cpus); i++) {
		if (cpus[i].family == family && cpus[i].first <= model && model <= cpus[i].last)
			return cpus[i].product;
	}
	return NULL;
}

const struct snp_product *snp_product_named(const char *name)
{
	for (const struct snp_product *const *p = snp_products; *p; p++) {
		size_t len = strlen((*p)->name);

		/* "Milan-B0": a stepping may follow. */
		if (strncmp(name, (*p)->name, len) == 0 && (name[len] == '\0' || name[len] == '-'))
			return *p;
	}
	return NULL;
}

const struct snp_product *snp_product_of_issuer(const char *common_name, bool *ret_vlek)
{
	for (const struct snp_product *const *p = snp_products; *p; p++) {
		if (strcmp(common_name, (*p)->ask) != 0 && strcmp(common_name, (*p)->asvk) != 0)
			continue;
		*ret_vlek = strcmp(common_name, (*p)->asvk) == 0;
		return *p;
	}
	return NULL;
}
