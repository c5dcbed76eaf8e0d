/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "snp_launch.h"
#include "tests/support/boot_fixture.h"

/*
 * Values that virtee/sev-snp-measure publishes in its tests (test_guest.py): of a firmware of
 * OVMF's AmdSev kind, given as the digest of its pages (two of them), on a processor "EPYC-v4",
 * with an empty kernel and initrd. The firmware's table and sections, which they depend on, are
 * made here.
 */
#define FIRMWARE_A                                                                                 \
	"cab7e085874b3acfdbe2d96dcaa3125111f00c35c6fc9708464c2ae74bfdb048a198cb9a9ccae0b3e5e1a33f" \
	"5f249819"
#define FIRMWARE_B                                                                                 \
	"edcf6d1c57ce868a167c990f58c8667c698269ef9e0803246419eea914186343054d557e1f17acd93b032c10" \
	"6bc70d25"

static const struct {
	const char *what, *firmware, *command_line; /* NULL: no kernel */
	unsigned int vcpus;
	const char *digest;
} published[] = {
	{ "snp_ovmf_hash_gen", FIRMWARE_A, "", 1,
	  "db06fb267824b1ccb56edbe2a9c2ce88841bca5090dc6dac91d9cd30f3c2c0bf42daccb30d55d6625bfbf0da"
	  "e5c50c6d" },
	{ "snp", FIRMWARE_B, "console=ttyS0 loglevel=7", 1,
	  "f07864303ad8243132029e8110b92805c78d1135a15da75f67abb9a711d78740347f24ee76f603e650ec4adf"
	  "3611cc1e" },
	{ "snp_without_kernel", FIRMWARE_B, NULL, 1,
	  "e5e6be5a8fa6256f0245666bb237e2d028b7928148ce78d51b8a64dc9506c377709a5b5d7ab75554593bced3"
	  "04fcff93" },
	{ "snp_with_multiple_vcpus", FIRMWARE_B, "", 4,
	  "1c784beb8c49aa604b7fd57fbc73b36ec53a3f5fb48a2b895ad6cc2ea15d18ee7cc15e3e57c792766b45f944"
	  "c3e81cfe" },
};

static const struct snp_section sections[] = {
	{ 0x800000, 0x9000, SNP_SECTION_ZERO },		 { 0x80a000, 0x3000, SNP_SECTION_ZERO },
	{ 0x80d000, 0x1000, SNP_SECTION_SECRETS },	 { 0x80e000, 0x1000, SNP_SECTION_CPUID },
	{ 0x80f000, 0x1000, SNP_SECTION_KERNEL_HASHES }, { 0x810000, 0x10000, SNP_SECTION_ZERO },
};

static struct digest of_hex(const char *hex)
{
	struct digest d = { .alg = HASH_SHA384, .size = 48 };

	assert_int_equal(hex_decode_exact(hex, d.bytes, 48), 0);
	return d;
}

static struct snp_firmware parsed(const struct bytes *image)
{
	struct snp_firmware f;
	const char *why = NULL;

	if (snp_firmware_parse(bytes_view(image), &f, &why) != 0)
		fail_msg("%s", why);
	return f;
}

static void the_published_values(void **state)
{
	struct snp_firmware f;
	struct bytes image;
	const char *why = NULL;

	boot_fixture_firmware(sections, ARRAY_LEN(sections), &image);
	f = parsed(&image);
	assert_int_equal(f.n, ARRAY_LEN(sections));
	assert_memory_equal(f.sections, sections, sizeof(sections));
	assert_int_equal(f.reset_at, 0x80b004);
	assert_int_equal(f.hashes_at, 0x80fc00);
	for (size_t i = 0; i < ARRAY_LEN(published); i++) {
		struct snp_launch in = {
			.vcpus = published[i].vcpus,
			.cpu_signature = snp_cpu_signature(23, 1, 2),
			.has_kernel = published[i].command_line != NULL,
			.command_line = published[i].command_line,
		};
		struct digest d, from = of_hex(published[i].firmware);
		char hex[DIGEST_HEX_MAX];

		assert_int_equal(snp_launch_digest(&f, &from, &in, &d, &why), 0);
		if (strcmp(digest_hex(&d, hex), published[i].digest) != 0)
			fail_msg("%s: %s", published[i].what, hex);
	}
	bytes_done(&image);
}

static struct digest digest_with(const struct snp_firmware *f, const struct snp_launch *in)
{
	const char *why = NULL;
	struct digest from, d;

	assert_int_equal(snp_firmware_digest(f, &from), 0);
	assert_int_equal(snp_launch_digest(f, &from, in, &d, &why), 0);
	return d;
}

/* Each input counts: a byte of the firmware, of what is booted, the processors. */
static void every_input_shows(void **state)
{
	const struct snp_launch base = { .vcpus = 2,
					 .cpu_signature = 0xa00f11,
					 .has_kernel = true,
					 .kernel = view_text("kernel"),
					 .initrd = view_text("initrd"),
					 .command_line = "quiet" };
	struct snp_launch in[6] = { base, base, base, base, base, base };
	struct digest d[ARRAY_LEN(in) + 1];
	struct snp_firmware f;
	struct bytes image;

	boot_fixture_firmware(sections, ARRAY_LEN(sections), &image);
	f = parsed(&image);
	in[1].vcpus = 3;
	in[2].cpu_signature++;
	in[3].kernel = view_text("Kernel");
	in[4].initrd = view_text("initrd ");
	in[5].command_line = "quiet ";
	for (size_t i = 0; i < ARRAY_LEN(in); i++)
		d[i] = digest_with(&f, &in[i]);
	image.data[17] ^= 1;
	f = parsed(&image);
	d[ARRAY_LEN(in)] = digest_with(&f, &base);
	for (size_t i = 0; i < ARRAY_LEN(d); i++)
		for (size_t k = 0; k < i; k++)
			assert_false(digest_equal(&d[i], &d[k]));
	bytes_done(&image);
}

static void signatures_of_processors(void **state)
{
	/* QEMU's models EPYC-v4, EPYC-Milan, EPYC-Genoa. */
	assert_int_equal(snp_cpu_signature(23, 1, 2), 0x800f12);
	assert_int_equal(snp_cpu_signature(25, 1, 1), 0xa00f11);
	assert_int_equal(snp_cpu_signature(25, 17, 0), 0xa10f10);
	assert_int_equal(snp_cpu_signature(6, 13, 3), 0x6d3);
}

static void what_is_not_known_is_refused(void **state)
{
	struct snp_launch in = { .vcpus = 1, .cpu_signature = 1, .command_line = "" };
	struct snp_firmware f;
	struct digest d, from = of_hex(FIRMWARE_A);
	struct bytes image;
	const char *why;

	boot_fixture_firmware(sections, ARRAY_LEN(sections), &image);
	f = parsed(&image);
	in.vcpus = 0;
	assert_int_equal(snp_launch_digest(&f, &from, &in, &d, &why), -EINVAL);
	in.vcpus = SNP_VCPUS_MAX + 1;
	assert_int_equal(snp_launch_digest(&f, &from, &in, &d, &why), -EINVAL);
	in.vcpus = 2;
	f.reset_at = 0;
	assert_int_equal(snp_launch_digest(&f, &from, &in, &d, &why), -EINVAL);
	assert_non_null(strstr(why, "further processors"));
	in.vcpus = 1;
	in.has_kernel = true;
	f.hashes_at = 0x80ff80; /* the table would not end in its page */
	assert_int_equal(snp_launch_digest(&f, &from, &in, &d, &why), -EINVAL);
	f.hashes_at = 0;
	assert_int_equal(snp_launch_digest(&f, &from, &in, &d, &why), -EINVAL);
	assert_non_null(strstr(why, "kernel's hashes"));
	bytes_done(&image);

	boot_fixture_firmware(sections, 4, &image); /* no such section, as Debian's OVMF */
	f = parsed(&image);
	assert_int_equal(snp_launch_digest(&f, &from, &in, &d, &why), -EINVAL);
	bytes_done(&image);
}

/* Offsets from the end of the fixture's firmware. */
static const struct {
	const char *what;
	size_t before_end;
	uint8_t byte;
	const char *why;
} broken[] = {
	{ "another table", 48, 0, "no table" },
	{ "a table larger than the file", 49, 0xff, "no table" },
	{ "an entry smaller than its header", BOOT_FIXTURE_FIRMWARE_ENTRY, 1, "malformed" },
	{ "an entry larger than the table", BOOT_FIXTURE_FIRMWARE_ENTRY - 1, 0x7f, "malformed" },
	{ "metadata of another kind", BOOT_FIXTURE_FIRMWARE_METADATA, 'X', "no version" },
	{ "metadata of version 2", BOOT_FIXTURE_FIRMWARE_METADATA - 8, 2, "no version" },
	{ "33 sections", BOOT_FIXTURE_FIRMWARE_METADATA - 12, 33, "too many" },
	{ "an unknown section", BOOT_FIXTURE_FIRMWARE_METADATA - 16 - 8, 9, "not known" },
	{ "part of a page", BOOT_FIXTURE_FIRMWARE_METADATA - 16 - 4, 1, "not known" },
	{ "an address within a page", BOOT_FIXTURE_FIRMWARE_METADATA - 16, 1, "not known" },
	{ "an endless section", BOOT_FIXTURE_FIRMWARE_METADATA - 16 - 7, 0xff, "not known" },
};

static void other_firmware_is_refused(void **state)
{
	struct snp_firmware f;
	struct bytes image;
	const char *why;

	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		boot_fixture_firmware(sections, ARRAY_LEN(sections), &image);
		image.data[image.len - broken[i].before_end] = broken[i].byte;
		why = NULL;
		if (snp_firmware_parse(bytes_view(&image), &f, &why) != -EBADMSG || !why ||
		    !strstr(why, broken[i].why))
			fail_msg("%s: %s", broken[i].what, why);
		bytes_done(&image);
	}
	boot_fixture_firmware(sections, ARRAY_LEN(sections), &image);
	assert_int_equal(snp_firmware_parse(view_of(image.data, image.len - 1), &f, &why),
			 -EBADMSG);
	assert_int_equal(snp_firmware_parse(view_of(image.data, 0), &f, &why), -EBADMSG);
	bytes_done(&image);
	boot_fixture_firmware(sections, 0, &image);
	assert_int_equal(snp_firmware_parse(bytes_view(&image), &f, &why), -EBADMSG);
	assert_non_null(strstr(why, "no SEV metadata"));
	bytes_done(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_values),
		cmocka_unit_test(every_input_shows),
		cmocka_unit_test(signatures_of_processors),
		cmocka_unit_test(what_is_not_known_is_refused),
		cmocka_unit_test(other_firmware_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
