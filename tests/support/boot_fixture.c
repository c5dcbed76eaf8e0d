/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define IMAGE_MAX     (4 * 1024 * 1024)
#define SECTION_BYTES 40

void boot_fixture_put_le16(struct bytes *b, size_t at, uint16_t v)
{
	assert_true(at + 2 <= b->len);
	b->data[at] = (uint8_t)v;
	b->data[at + 1] = (uint8_t)(v >> 8);
}

void boot_fixture_put_le32(struct bytes *b, size_t at, uint32_t v)
{
	boot_fixture_put_le16(b, at, (uint16_t)v);
	boot_fixture_put_le16(b, at + 2, (uint16_t)(v >> 16));
}

static void append_zeros(struct bytes *b, size_t n)
{
	static const uint8_t zeros[BOOT_FIXTURE_HEADERS];

	assert_true(n <= sizeof(zeros));
	assert_int_equal(bytes_append(b, zeros, n), 0);
}

static void put_headers(struct bytes *b, size_t n)
{
	const size_t o = BOOT_FIXTURE_OPTIONAL_AT;

	append_zeros(b, BOOT_FIXTURE_HEADERS);
	memcpy(b->data, "MZ", 2);
	boot_fixture_put_le32(b, 0x3c, BOOT_FIXTURE_PE_AT);
	memcpy(b->data + BOOT_FIXTURE_PE_AT, "PE", 2);
	boot_fixture_put_le16(b, BOOT_FIXTURE_PE_AT + 4, 0x8664);
	boot_fixture_put_le16(b, BOOT_FIXTURE_SECTIONS_N, (uint16_t)n);
	boot_fixture_put_le16(b, BOOT_FIXTURE_PE_AT + 20, 240);
	boot_fixture_put_le16(b, BOOT_FIXTURE_PE_AT + 22, 0x0206);
	boot_fixture_put_le16(b, o, 0x20b);
	boot_fixture_put_le32(b, o + 32, 0x1000); /* alignment in memory */
	boot_fixture_put_le32(b, o + 36, BOOT_FIXTURE_ALIGNED);
	boot_fixture_put_le32(b, o + 60, BOOT_FIXTURE_HEADERS);
	boot_fixture_put_le32(b, o + 64, 0x12345678); /* checksum */
	boot_fixture_put_le16(b, o + 68, 10);	      /* an EFI application */
	boot_fixture_put_le32(b, o + 108, 16);
}

static void put_section(struct bytes *b, size_t i, const struct boot_section *s, uint32_t *address)
{
	size_t at = BOOT_FIXTURE_SECTIONS_AT + i * SECTION_BYTES;
	size_t padding = -s->data.len & (BOOT_FIXTURE_ALIGNED - 1);
	uint32_t memory = s->memory ? s->memory : (uint32_t)s->data.len;

	assert_true(at + SECTION_BYTES <= BOOT_FIXTURE_HEADERS);
	memcpy(b->data + at, s->name, strnlen(s->name, 8));
	boot_fixture_put_le32(b, at + 8, memory);
	boot_fixture_put_le32(b, at + 12, *address);
	boot_fixture_put_le32(b, at + 16, (uint32_t)(s->data.len + padding));
	boot_fixture_put_le32(b, at + 20, (uint32_t)b->len);
	boot_fixture_put_le32(b, at + 36, 0x40000040); /* data that is read */
	assert_int_equal(bytes_append_view(b, s->data), 0);
	append_zeros(b, padding);
	*address += (memory + 0xfff) & ~0xfffu;
}

void boot_fixture_pe(const struct boot_section *sections, size_t n, struct bytes *ret)
{
	uint32_t address = 0x1000;

	*ret = BYTES_INIT(IMAGE_MAX);
	put_headers(ret, n);
	for (size_t i = 0; i < n; i++)
		put_section(ret, i, &sections[i], &address);
	boot_fixture_put_le32(ret, BOOT_FIXTURE_OPTIONAL_AT + 56, address);
}

void boot_fixture_sign(struct bytes *image, size_t size)
{
	boot_fixture_put_le32(image, BOOT_FIXTURE_CERTIFICATE_AT, (uint32_t)image->len);
	boot_fixture_put_le32(image, BOOT_FIXTURE_CERTIFICATE_AT + 4, (uint32_t)size);
	append_zeros(image, size);
	memset(image->data + image->len - size, 0x5a, size);
}

static void make_kernel(struct view text, struct bytes *ret)
{
	const struct boot_section section = { ".text", text, 0 };

	boot_fixture_pe(&section, 1, ret);
	boot_fixture_put_le16(ret, 0x1fe, 0xaa55);
	memcpy(ret->data + 0x202, "HdrS", 4);
	boot_fixture_put_le16(ret, 0x206, 0x020f);
	ret->data[0x211] = 0x01;
	boot_fixture_put_le16(ret, 0x236, 0x003f);
}

#define NAMES "code\0LOADED_IMAGE::LoadOptions\0Linux initrd\0more code"

void boot_fixture_kernel(struct bytes *ret)
{
	static const char text[] = NAMES;

	make_kernel(view_of(text, sizeof(text)), ret);
}

void boot_fixture_kernel_for_tee(struct bytes *ret)
{
	/* A GUID's halves as gcc has them in Debian's 6.12.95. */
	static const char text[] = NAMES "\x3d\x1a\x75\x96\xf4\x72\xa6\x41 between them is code"
					 "\xa7\x94\xed\x5d\x0e\x67\xae\x6b";

	make_kernel(view_of(text, sizeof(text)), ret);
}

void boot_fixture_unified(const char *command_line, struct view initrd, struct view kernel,
			  struct boot_section to[BOOT_FIXTURE_UNIFIED])
{
	to[0] = (struct boot_section){ ".sdmagic", view_text(BOOT_FIXTURE_STUB), 0 };
	to[1] = (struct boot_section){ ".osrel", view_text("ID=made\n"), 0 };
	to[2] = (struct boot_section){ ".cmdline", view_text(command_line), 0 };
	to[3] = (struct boot_section){ ".initrd", initrd, 0 };
	to[4] = (struct boot_section){ ".linux", kernel, 0 };
}

/* An entry, from its end on backwards: its name, its size, its data. Returns where it begins. */
static size_t put_entry(struct bytes *b, size_t end, const char *guid, const uint8_t *data,
			size_t size)
{
	struct bytes name = BYTES_INIT(16);

	assert_int_equal(hex_decode(guid, strlen(guid), &name), 0);
	memcpy(b->data + end - 16, name.data, 16);
	boot_fixture_put_le16(b, end - 18, (uint16_t)(size + 18));
	memcpy(b->data + end - 18 - size, data, size);
	bytes_done(&name);
	return end - 18 - size;
}

void boot_fixture_firmware(const struct snp_section *sections, size_t n, struct bytes *ret)
{
	static const uint8_t hashes[8] = { 0x00, 0xfc, 0x80, 0, 0, 4 },
			     reset[] = { 4, 0xb0, 0x80, 0 };
	static const uint8_t metadata[] = { 0x00, 0x04, 0, 0 };
	size_t end, at, table;

	*ret = BYTES_INIT(IMAGE_MAX);
	for (size_t i = 0; i < 4; i++)
		append_zeros(ret, 1024);
	table = ret->len - 32;
	end = table - 18;
	/* The names are GUIDs in the order of their bytes. */
	end = put_entry(ret, end, "de71f7007e1acb4f890e68c77e2fb44e", reset, sizeof(reset));
	end = put_entry(ret, end, "1f3755723b3a044b927b1da6efa8d454", hashes, sizeof(hashes));
	if (n > 0)
		end = put_entry(ret, end, "666588dc4a989847a75e5585a7bf67cc", metadata,
				sizeof(metadata));
	put_entry(ret, table, "de82b596b21ff745baeaa366c55a082d", ret->data, 0);
	boot_fixture_put_le16(ret, table - 18, (uint16_t)(table - end));
	if (n == 0)
		return;
	at = ret->len - 0x400;
	memcpy(ret->data + at, "ASEV", 4);
	boot_fixture_put_le32(ret, at + 4, (uint32_t)(16 + n * 12));
	boot_fixture_put_le32(ret, at + 8, 1);
	boot_fixture_put_le32(ret, at + 12, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		boot_fixture_put_le32(ret, at + 16 + i * 12, sections[i].address);
		boot_fixture_put_le32(ret, at + 20 + i * 12, sections[i].size);
		boot_fixture_put_le32(ret, at + 24 + i * 12, sections[i].kind);
	}
}

void boot_fixture_tdx_firmware(const struct tdx_section *sections, size_t n, struct bytes *ret)
{
	static const uint8_t metadata[] = { 0x00, 0x04, 0, 0 }, reset[] = { 4, 0xb0, 0x80, 0 };
	size_t end, at, table;

	*ret = BYTES_INIT(IMAGE_MAX);
	for (size_t i = 0; i < 4; i++)
		append_zeros(ret, 1024);
	for (size_t i = 0; i < ret->len; i++)
		ret->data[i] = (uint8_t)(i * 7 % 251);
	table = ret->len - 32;
	end = table - 18;
	end = put_entry(ret, end, "de71f7007e1acb4f890e68c77e2fb44e", reset, sizeof(reset));
	if (n > 0)
		end = put_entry(ret, end, "35657ae44a989847865e4685a7bf8ec2", metadata,
				sizeof(metadata));
	put_entry(ret, table, "de82b596b21ff745baeaa366c55a082d", ret->data, 0);
	boot_fixture_put_le16(ret, table - 18, (uint16_t)(table - end));
	if (n == 0)
		return;
	at = ret->len - BOOT_FIXTURE_FIRMWARE_METADATA;
	memcpy(ret->data + at, "TDVF", 4);
	boot_fixture_put_le32(ret, at + 4, (uint32_t)(16 + n * 32));
	boot_fixture_put_le32(ret, at + 8, 1);
	boot_fixture_put_le32(ret, at + 12, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		const struct tdx_section *s = &sections[i];
		size_t to = at + 16 + i * 32;

		boot_fixture_put_le32(ret, to, s->offset);
		boot_fixture_put_le32(ret, to + 4, s->size);
		boot_fixture_put_le32(ret, to + 8, (uint32_t)s->address);
		boot_fixture_put_le32(ret, to + 12, (uint32_t)(s->address >> 32));
		boot_fixture_put_le32(ret, to + 16, (uint32_t)s->memory);
		boot_fixture_put_le32(ret, to + 20, (uint32_t)(s->memory >> 32));
		boot_fixture_put_le32(ret, to + 24, s->kind);
		boot_fixture_put_le32(ret, to + 28, s->attributes);
	}
}
