/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tdx_launch.h"
#include "tests/support/boot_fixture.h"

/* Sections as OVMF's, smaller. The last one's content ends within its first page. */
static const struct tdx_section sections[] = {
	{ 0x000, 0x1000, 0xfffff000, 0x1000, TDX_SECTION_CODE, TDX_SECTION_EXTEND },
	{ 0x000, 0x0000, 0xffffe000, 0x1000, TDX_SECTION_VARIABLES, 0 },
	{ 0x000, 0x0000, 0x00810000, 0x3000, TDX_SECTION_TEMPORARY, 0 },
	{ 0x000, 0x0000, 0x00809000, 0x2000, TDX_SECTION_HOB, 0 },
	{ 0x100, 0x0e00, 0x100000000, 0x2000, TDX_SECTION_CODE, TDX_SECTION_EXTEND },
};

/* Of the fixture's firmware, computed apart from this code, with Python's hashlib. */
#define MRTD                                                                                       \
	"0a0de316dad6e4a8ec610ea7ce52f1cac93516eb40aa55063cec24fcd64e088409ffc28d8768c2ca7ab2180a" \
	"fd52fa01"

static struct digest mrtd_of(const struct tdx_section *s, size_t n, size_t flip)
{
	struct tdx_firmware f;
	struct bytes image;
	const char *why = NULL;
	struct digest d;

	boot_fixture_tdx_firmware(s, n, &image);
	if (flip < image.len)
		image.data[flip] ^= 1;
	if (tdx_firmware_parse(bytes_view(&image), &f, &why) != 0)
		fail_msg("%s", why);
	assert_int_equal(f.n, n);
	assert_memory_equal(f.sections, s, n * sizeof(*s));
	assert_int_equal(tdx_firmware_mrtd(&f, &d), 0);
	bytes_done(&image);
	return d;
}

static void as_computed_elsewhere(void **state)
{
	struct digest d = mrtd_of(sections, ARRAY_LEN(sections), SIZE_MAX);
	char hex[DIGEST_HEX_MAX];

	assert_string_equal(digest_hex(&d, hex), MRTD);
}

/* Content that is extended, places, sizes and order: each input shows. */
static void every_input_shows(void **state)
{
	struct tdx_section s[6][ARRAY_LEN(sections)];
	struct digest d[ARRAY_LEN(s) + 1];

	for (size_t i = 0; i < ARRAY_LEN(s); i++)
		memcpy(s[i], sections, sizeof(sections));
	s[1][1].address += 0x1000;
	s[2][2].memory += 0x1000;
	s[3][4].size--;
	s[4][1].attributes = TDX_SECTION_EXTEND;
	s[5][2] = sections[3];
	s[5][3] = sections[2];
	for (size_t i = 0; i < ARRAY_LEN(s); i++)
		d[i] = mrtd_of(s[i], ARRAY_LEN(sections), SIZE_MAX);
	d[ARRAY_LEN(s)] = mrtd_of(sections, ARRAY_LEN(sections), 17);
	for (size_t i = 0; i < ARRAY_LEN(d); i++)
		for (size_t k = 0; k < i; k++)
			assert_false(digest_equal(&d[i], &d[k]));
}

/* Of what is not extended only that it is there is measured. */
static void other_content_does_not_show(void **state)
{
	struct tdx_section s[] = { sections[0], sections[1] };
	struct digest a, b;

	s[0].offset = s[0].size = 0x800;
	s[1].size = 0x800;
	a = mrtd_of(s, ARRAY_LEN(s), SIZE_MAX);
	b = mrtd_of(s, ARRAY_LEN(s), 17);
	assert_true(digest_equal(&a, &b));
}

/* Offsets from the end of the fixture's firmware. */
#define METADATA BOOT_FIXTURE_FIRMWARE_METADATA
#define ENTRY	 (32 + 18 + 22) /* the end of the entry that leads to the metadata */
static const struct {
	const char *what;
	size_t before_end;
	uint8_t byte;
	const char *why;
} broken[] = {
	{ "another table", 48, 0, "no table" },
	{ "an entry smaller than its header", 32 + 18 + 18, 1, "malformed" },
	{ "metadata outside of the file", ENTRY + 22 - 2, 0xff, "not within" },
	{ "metadata of another kind", METADATA, 'X', "no version" },
	{ "metadata of version 2", METADATA - 8, 2, "no version" },
	{ "no sections", METADATA - 12, 0, "no sections" },
	{ "33 sections", METADATA - 12, 33, "too many" },
	{ "an unknown section", METADATA - 16 - 24, 4, "not known" },
	{ "an unknown attribute", METADATA - 16 - 28, 3, "not known" },
	{ "part of a page", METADATA - 16 - 16, 1, "not known" },
	{ "an address within a page", METADATA - 16 - 8, 1, "not known" },
	{ "an endless section", METADATA - 16 - 20, 1, "not known" },
	{ "more content than memory", METADATA - 16 - 5, 0x20, "not known" },
	{ "content outside of the file", METADATA - 16 - 1, 0x10, "not known" },
};

static void other_firmware_is_refused(void **state)
{
	struct tdx_firmware f;
	struct bytes image;
	const char *why;

	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		boot_fixture_tdx_firmware(sections, ARRAY_LEN(sections), &image);
		image.data[image.len - broken[i].before_end] = broken[i].byte;
		why = NULL;
		if (tdx_firmware_parse(bytes_view(&image), &f, &why) != -EBADMSG || !why ||
		    !strstr(why, broken[i].why))
			fail_msg("%s: %s", broken[i].what, why);
		bytes_done(&image);
	}
	boot_fixture_tdx_firmware(sections, 0, &image);
	assert_int_equal(tdx_firmware_parse(bytes_view(&image), &f, &why), -EBADMSG);
	assert_non_null(strstr(why, "not made for TDX"));
	for (size_t len = 0; len < 64; len++)
		assert_int_equal(tdx_firmware_parse(view_of(image.data, len), &f, &why), -EBADMSG);
	bytes_done(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_computed_elsewhere),
		cmocka_unit_test(every_input_shows),
		cmocka_unit_test(other_content_does_not_show),
		cmocka_unit_test(other_firmware_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
