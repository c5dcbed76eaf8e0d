/* SPDX-License-Identifier: Apache-2.0 */
#include "tdx_launch.h"

#include <string.h>

#include "cleanup.h"
#include "ovmf_table.h"

#define PAGE OVMF_PAGE
/* What TDH.MR.EXTEND takes at a time, and what both put before the hash of anything. */
#define CHUNK	 256
#define PREAMBLE 128

CLEANUP_FUNCTION(struct hasher *, hasher_free)

static const uint8_t metadata_entry[OVMF_GUID] = { 0x35, 0x65, 0x7a, 0xe4, 0x4a, 0x98, 0x98, 0x47,
						   0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2 };

static int bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

static int read_section(struct reader *r, struct view image, struct tdx_section *ret)
{
	struct view content;
	uint32_t kind;

	if (read_le32(r, &ret->offset) < 0 || read_le32(r, &ret->size) < 0 ||
	    read_le64(r, &ret->address) < 0 || read_le64(r, &ret->memory) < 0 ||
	    read_le32(r, &kind) < 0 || read_le32(r, &ret->attributes) < 0)
		return -EBADMSG;
	ret->kind = (enum tdx_section_kind)kind;
	if (kind > TDX_SECTION_TEMPORARY || ret->attributes & ~TDX_SECTION_EXTEND)
		return -EBADMSG;
	if (ret->address % PAGE || ret->memory == 0 || ret->memory % PAGE ||
	    ret->memory > TDX_SECTION_MAX || ret->size > ret->memory ||
	    ret->address > UINT64_MAX - ret->memory)
		return -EBADMSG;
	return ovmf_part(image, ret->offset, ret->size, &content);
}

static int read_metadata(struct tdx_firmware *f, struct view entry, const char **ret_why)
{
	uint32_t size, version, n;
	struct reader r;
	struct view v;

	if (ovmf_before_end(f->image, entry, &v) < 0)
		return bad(ret_why, "its TDX metadata are not within it");
	r = reader_of(v);
	if (read_view(&r, 4, &v) < 0 || !view_is(v, "TDVF") || read_le32(&r, &size) < 0 ||
	    read_le32(&r, &version) < 0 || read_le32(&r, &n) < 0 || version != 1)
		return bad(ret_why, "its TDX metadata are of no version that is known");
	if (n == 0 || n > TDX_SECTIONS_MAX)
		return bad(ret_why, "its TDX metadata have no sections, or too many");
	for (size_t i = 0; i < n; i++) {
		if (read_section(&r, f->image, &f->sections[i]) < 0)
			return bad(ret_why, "a section of its TDX metadata is not known, no whole "
					    "pages or not within the file");
	}
	f->n = n;
	return 0;
}

int tdx_firmware_parse(struct view image, struct tdx_firmware *ret, const char **ret_why)
{
	struct tdx_firmware f = { .image = image };
	struct view table, data, name;
	int r;

	if (image.len > TDX_FIRMWARE_MAX) {
		*ret_why = "the firmware has more than 64 MiB";
		return -EMSGSIZE;
	}
	if (ovmf_table(image, &table) < 0)
		return bad(ret_why, "the firmware has no table at its end: no OVMF");
	while ((r = ovmf_table_last(&table, &data, &name)) == 1) {
		if (!view_equal(name, view_of(metadata_entry, sizeof(metadata_entry))))
			continue;
		r = read_metadata(&f, data, ret_why);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return bad(ret_why, "the firmware's table is malformed");
	if (f.n == 0)
		return bad(ret_why, "the firmware has no TDX metadata: not made for TDX");
	*ret = f;
	return 0;
}

/* What stands before a page that is added, and before each chunk of one that is extended. */
static int add_preamble(struct hasher *h, const char *what, uint64_t address)
{
	uint8_t preamble[PREAMBLE] = { 0 };

	memcpy(preamble, what, strlen(what));
	for (size_t i = 0; i < 8; i++)
		preamble[16 + i] = (uint8_t)(address >> (8 * i));
	return hasher_add(h, preamble, sizeof(preamble));
}

static int extend_page(struct hasher *h, uint64_t address, const uint8_t page[PAGE])
{
	int r = 0;

	for (size_t at = 0; at < PAGE && r == 0; at += CHUNK) {
		r = add_preamble(h, "MR.EXTEND", address + at);
		if (r == 0)
			r = hasher_add(h, page + at, CHUNK);
	}
	return r;
}

static int add_section(struct hasher *h, struct view image, const struct tdx_section *s)
{
	struct view content;
	int r = ovmf_part(image, s->offset, s->size, &content);

	for (uint64_t at = 0; at < s->memory && r == 0; at += PAGE) {
		uint8_t page[PAGE] = { 0 };

		if (at < content.len)
			memcpy(page, content.data + at,
			       content.len - at < PAGE ? content.len - at : PAGE);
		r = add_preamble(h, "MEM.PAGE.ADD", s->address + at);
		if (r == 0 && s->attributes & TDX_SECTION_EXTEND)
			r = extend_page(h, s->address + at, page);
	}
	return r;
}

int tdx_firmware_mrtd(const struct tdx_firmware *f, struct digest *ret)
{
	CLEANUP(hasher_freep) struct hasher *h = NULL;
	int r;

	r = hasher_new(HASH_SHA384, &h);
	if (r == 0)
		r = hasher_begin(h);
	for (size_t i = 0; i < f->n && r == 0; i++)
		r = add_section(h, f->image, &f->sections[i]);
	return r < 0 ? r : hasher_end(h, ret);
}
