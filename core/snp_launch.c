/* SPDX-License-Identifier: Apache-2.0 */
#include "snp_launch.h"

#include <stdlib.h>
#include <string.h>

#include "ovmf_table.h"

#define PAGE	     OVMF_PAGE
#define GUID_SIZE    OVMF_GUID
#define BSP_RESET_AT 0xfffffff0u
#define FOUR_GIB     0x100000000ull

/* The ABI specification, 8.17.2: PAGE_INFO, and the types of pages. */
#define PAGE_INFO_SIZE 0x70
enum page_type {
	PAGE_NORMAL = 1,
	PAGE_VMSA = 2,
	PAGE_ZERO = 3,
	PAGE_SECRETS = 5,
	PAGE_CPUID = 6,
};
/* Where the processors' state is said to be: all ones, as far as there are such addresses. */
#define VMSA_ADDRESS 0xfffffffff000ull

/* edk2, OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm; in the order of their bytes. */
static const uint8_t hashes_entry[GUID_SIZE] = { 0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b,
						 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54 };
static const uint8_t reset_entry[GUID_SIZE] = { 0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f,
						0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e };
static const uint8_t metadata_entry[GUID_SIZE] = { 0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47,
						   0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc };

/* QEMU, target/i386/sev.c: the table of a kernel's hashes and its entries. */
static const uint8_t hashes_table[GUID_SIZE] = { 0x06, 0xd6, 0x38, 0x94, 0x22, 0x4f, 0xc9, 0x4c,
						 0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21 };
static const uint8_t of_kernel[GUID_SIZE] = { 0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42,
					      0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b };
static const uint8_t of_initrd[GUID_SIZE] = { 0x31, 0xf7, 0xba, 0x44, 0x2f, 0x3a, 0xd7, 0x4b,
					      0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d };
static const uint8_t of_command_line[GUID_SIZE] = {
	0xd8, 0x2d, 0xd0, 0x97, 0x20, 0xbd, 0x94, 0x4c,
	0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a
};
#define HASHES_ENTRY_SIZE (GUID_SIZE + 2 + 32)
#define HASHES_SIZE	  (GUID_SIZE + 2 + 3 * HASHES_ENTRY_SIZE)
#define HASHES_ROOM	  ((HASHES_SIZE + 15) & ~15u)

static int bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

static int u32_of(struct view v, uint32_t *ret)
{
	struct reader r = reader_of(v);

	return read_le32(&r, ret);
}

static int read_section(struct reader *r, struct snp_section *ret)
{
	uint32_t kind;

	if (read_le32(r, &ret->address) < 0 || read_le32(r, &ret->size) < 0 ||
	    read_le32(r, &kind) < 0)
		return -EBADMSG;
	ret->kind = (enum snp_section_kind)kind;
	if (kind != SNP_SECTION_ZERO && kind != SNP_SECTION_SECRETS && kind != SNP_SECTION_CPUID &&
	    kind != SNP_SECTION_KERNEL_HASHES)
		return -EBADMSG;
	if (ret->address % PAGE || ret->size == 0 || ret->size % PAGE ||
	    ret->size > SNP_SECTION_MAX)
		return -EBADMSG;
	return kind == SNP_SECTION_ZERO || ret->size == PAGE ? 0 : -EBADMSG;
}

static int read_metadata(struct snp_firmware *f, struct view entry, const char **ret_why)
{
	uint32_t size, version, n;
	struct reader r;
	struct view v;

	if (ovmf_before_end(f->image, entry, &v) < 0)
		return bad(ret_why, "its SEV metadata are not within it");
	r = reader_of(v);
	if (read_view(&r, 4, &v) < 0 || !view_is(v, "ASEV") || read_le32(&r, &size) < 0 ||
	    read_le32(&r, &version) < 0 || read_le32(&r, &n) < 0 || version != 1)
		return bad(ret_why, "its SEV metadata are of no version that is known");
	if (n > SNP_SECTIONS_MAX)
		return bad(ret_why, "its SEV metadata have too many sections");
	for (size_t i = 0; i < n; i++) {
		if (read_section(&r, &f->sections[i]) < 0)
			return bad(ret_why, "a section of its SEV metadata is not known, or no "
					    "whole pages");
	}
	f->n = n;
	return 0;
}

static int take_entry(struct snp_firmware *f, struct view name, struct view data,
		      const char **ret_why)
{
	if (view_equal(name, view_of(hashes_entry, GUID_SIZE)))
		return u32_of(data, &f->hashes_at) < 0 ? bad(ret_why, "its table is cut short") : 0;
	if (view_equal(name, view_of(reset_entry, GUID_SIZE)))
		return u32_of(data, &f->reset_at) < 0 ? bad(ret_why, "its table is cut short") : 0;
	if (view_equal(name, view_of(metadata_entry, GUID_SIZE)))
		return read_metadata(f, data, ret_why);
	return 0;
}

int snp_firmware_parse(struct view image, struct snp_firmware *ret, const char **ret_why)
{
	struct snp_firmware f = { .image = image };
	struct view table, data, name;
	int r;

	if (image.len > SNP_FIRMWARE_MAX) {
		*ret_why = "the firmware has more than 64 MiB";
		return -EMSGSIZE;
	}
	if (image.len == 0 || image.len % PAGE)
		return bad(ret_why, "the firmware is no whole pages");
	if (ovmf_table(image, &table) < 0)
		return bad(ret_why, "the firmware has no table at its end: no OVMF");
	while ((r = ovmf_table_last(&table, &data, &name)) == 1) {
		r = take_entry(&f, name, data, ret_why);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return bad(ret_why, "the firmware's table is malformed");
	if (f.n == 0)
		return bad(ret_why, "the firmware has no SEV metadata: not made for SEV-SNP");
	*ret = f;
	return 0;
}

static void put_le(uint8_t *at, size_t size, uint64_t v)
{
	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)(v >> (8 * i));
}

/* One page more: content is its digest, or zero bytes where it is not measured. */
static int add_page(struct digest *ld, enum page_type type, uint64_t address,
		    const struct digest *content)
{
	uint8_t info[PAGE_INFO_SIZE] = { 0 };

	memcpy(info, ld->bytes, ld->size);
	memcpy(info + 48, content->bytes, content->size);
	put_le(info + 96, 2, PAGE_INFO_SIZE);
	put_le(info + 98, 1, type);
	put_le(info + 104, 8, address);
	return digest_of(HASH_SHA384, view_of(info, sizeof(info)), ld);
}

static int add_content(struct digest *ld, enum page_type type, uint64_t address,
		       const uint8_t page[PAGE])
{
	struct digest d;
	int r;

	r = digest_of(HASH_SHA384, view_of(page, PAGE), &d);
	return r < 0 ? r : add_page(ld, type, address, &d);
}

int snp_firmware_digest(const struct snp_firmware *f, struct digest *ret)
{
	struct digest ld = digest_zero(HASH_SHA384);
	uint64_t address = FOUR_GIB - f->image.len;
	struct reader r = reader_of(f->image);
	struct view page;
	int e = 0;

	while (e == 0 && r.left > 0) {
		e = read_view(&r, PAGE, &page);
		if (e == 0)
			e = add_content(&ld, PAGE_NORMAL, address, page.data);
		address += PAGE;
	}
	if (e == 0)
		*ret = ld;
	return e;
}

static int put_hash(uint8_t *at, const uint8_t name[GUID_SIZE], struct view data)
{
	struct digest d;
	int r;

	r = digest_of(HASH_SHA256, data, &d);
	if (r < 0)
		return r;
	memcpy(at, name, GUID_SIZE);
	put_le(at + GUID_SIZE, 2, HASHES_ENTRY_SIZE);
	memcpy(at + GUID_SIZE + 2, d.bytes, d.size);
	return 0;
}

/* QEMU's sev_add_kernel_loader_hashes. */
static int hashes_page(const struct snp_firmware *f, const struct snp_launch *in,
		       uint8_t page[PAGE])
{
	uint8_t *at = page + f->hashes_at % PAGE;
	int r;

	memset(page, 0, PAGE);
	memcpy(at, hashes_table, GUID_SIZE);
	put_le(at + GUID_SIZE, 2, HASHES_SIZE);
	at += GUID_SIZE + 2;
	r = put_hash(at, of_command_line, view_of(in->command_line, strlen(in->command_line) + 1));
	if (r == 0)
		r = put_hash(at + HASHES_ENTRY_SIZE, of_initrd, in->initrd);
	if (r == 0)
		r = put_hash(at + 2 * (size_t)HASHES_ENTRY_SIZE, of_kernel, in->kernel);
	return r;
}

static int add_section(struct digest *ld, const struct snp_firmware *f, const struct snp_section *s,
		       const struct snp_launch *in)
{
	const struct digest zero = digest_zero(HASH_SHA384);
	uint8_t page[PAGE];
	int r = 0;

	switch (s->kind) {
	case SNP_SECTION_SECRETS:
		return add_page(ld, PAGE_SECRETS, s->address, &zero);
	case SNP_SECTION_CPUID:
		return add_page(ld, PAGE_CPUID, s->address, &zero);
	case SNP_SECTION_KERNEL_HASHES:
		if (!in->has_kernel)
			break;
		r = hashes_page(f, in, page);
		return r < 0 ? r : add_content(ld, PAGE_NORMAL, s->address, page);
	case SNP_SECTION_ZERO:
		break;
	}
	for (uint32_t at = 0; r == 0 && at < s->size; at += PAGE)
		r = add_page(ld, PAGE_ZERO, (uint64_t)s->address + at, &zero);
	return r;
}

static void put_segment(uint8_t *at, uint16_t selector, uint16_t attributes, uint32_t limit,
			uint64_t base)
{
	put_le(at, 2, selector);
	put_le(at + 2, 2, attributes);
	put_le(at + 4, 4, limit);
	put_le(at + 8, 8, base);
}

/*
 * A processor's state at its start, as QEMU and KVM have it: AMD64 Architecture Programmer's Manual
 * volume 2, tables 14-1 and B-4 (offsets).
 */
static void vmsa_page(uint32_t reset_at, uint32_t cpu_signature, uint8_t page[PAGE])
{
	memset(page, 0, PAGE);
	for (size_t i = 0; i < 6; i++) /* ES, CS, SS, DS, FS, GS */
		put_segment(page + i * 16, 0, 0x93, 0xffff, 0);
	put_segment(page + 0x10, 0xf000, 0x9b, 0xffff, reset_at & 0xffff0000u);
	put_segment(page + 0x60, 0, 0, 0xffff, 0);	/* GDTR */
	put_segment(page + 0x70, 0, 0x82, 0xffff, 0);	/* LDTR */
	put_segment(page + 0x80, 0, 0, 0xffff, 0);	/* IDTR */
	put_segment(page + 0x90, 0, 0x8b, 0xffff, 0);	/* TR */
	put_le(page + 0x0d0, 8, 0x1000);		/* EFER: SVME */
	put_le(page + 0x148, 8, 0x40);			/* CR4: MCE */
	put_le(page + 0x158, 8, 0x10);			/* CR0 */
	put_le(page + 0x160, 8, 0x400);			/* DR7 */
	put_le(page + 0x168, 8, 0xffff0ff0u);		/* DR6 */
	put_le(page + 0x170, 8, 0x2);			/* RFLAGS */
	put_le(page + 0x178, 8, reset_at & 0xffffu);	/* RIP */
	put_le(page + 0x268, 8, 0x0007040600070406ull); /* PAT */
	put_le(page + 0x310, 8, cpu_signature);		/* RDX */
	put_le(page + 0x3b0, 8, 0x1);			/* SEV_FEATURES: SNP */
	put_le(page + 0x3e8, 8, 0x1);			/* XCR0 */
}

uint32_t snp_cpu_signature(unsigned int family, unsigned int model, unsigned int stepping)
{
	unsigned int low = family > 0xf ? 0xf : family;

	return (family - low) << 20 | (model >> 4 & 0xf) << 16 | low << 8 | (model & 0xf) << 4 |
	       (stepping & 0xf);
}

/* The page of the kernel's hashes is one of the sections. */
static bool takes_kernel(const struct snp_firmware *f)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->sections[i].kind == SNP_SECTION_KERNEL_HASHES)
			return f->hashes_at - f->hashes_at % PAGE == f->sections[i].address &&
			       f->hashes_at % PAGE + HASHES_ROOM <= PAGE;
	}
	return false;
}

static int check(const struct snp_firmware *f, const struct snp_launch *in, const char **ret_why)
{
	*ret_why = "a machine has 1 to 512 processors";
	if (in->vcpus < 1 || in->vcpus > SNP_VCPUS_MAX)
		return -EINVAL;
	*ret_why = "the firmware does not say where further processors begin";
	if (in->vcpus > 1 && f->reset_at == 0)
		return -EINVAL;
	*ret_why = "the firmware has no place for a kernel's hashes: OVMF of the kind AmdSev has";
	return in->has_kernel && !takes_kernel(f) ? -EINVAL : 0;
}

int snp_launch_digest(const struct snp_firmware *f, const struct digest *firmware,
		      const struct snp_launch *in, struct digest *ret, const char **ret_why)
{
	struct digest ld = *firmware;
	uint8_t page[PAGE];
	int r;

	r = check(f, in, ret_why);
	if (r < 0)
		return r;
	*ret_why = "out of memory";
	for (size_t i = 0; i < f->n && r == 0; i++)
		r = add_section(&ld, f, &f->sections[i], in);
	for (unsigned int i = 0; i < in->vcpus && r == 0; i++) {
		vmsa_page(i == 0 ? BSP_RESET_AT : f->reset_at, in->cpu_signature, page);
		r = add_content(&ld, PAGE_VMSA, VMSA_ADDRESS, page);
	}
	if (r == 0)
		*ret = ld;
	return r;
}
