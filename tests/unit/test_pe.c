/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pe.h"
#include "tests/support/boot_fixture.h"

/* Of the image with these two sections: pesign 0.112, pesign -h -i IMAGE. */
#define PESIGN_DIGEST "214a1bf1835a9fa024a9070ecb89836d5a7e770a868eb158b9ed4386b2bc390a"

static const struct boot_section two[] = {
	{ ".text", { (const uint8_t *)"some code", 9 }, 0 },
	{ ".data", { (const uint8_t *)"and its data", 12 }, 0 },
};

static struct pe parsed(const struct bytes *image)
{
	const char *why = NULL;
	struct pe pe;

	if (pe_parse(bytes_view(image), &pe, &why) != 0)
		fail_msg("%s", why);
	return pe;
}

static void assert_digest(const struct bytes *image, enum hash_alg alg, const char *hex)
{
	struct pe pe = parsed(image);
	char is[DIGEST_HEX_MAX];
	struct digest d;

	assert_int_equal(pe_authenticode(&pe, alg, &d), 0);
	assert_string_equal(digest_hex(&d, is), hex);
}

/* The same digest in another way: the file without the bytes that do not count. */
static void assert_is_file_without(const struct bytes *image, size_t signatures)
{
	struct bytes b = BYTES_INIT(1024 * 1024);
	struct digest d;
	char hex[DIGEST_HEX_MAX];

	assert_int_equal(bytes_append(&b, image->data, image->len - signatures), 0);
	memmove(b.data + BOOT_FIXTURE_CERTIFICATE_AT, b.data + BOOT_FIXTURE_CERTIFICATE_AT + 8,
		b.len - BOOT_FIXTURE_CERTIFICATE_AT - 8);
	b.len -= 8;
	memmove(b.data + BOOT_FIXTURE_CHECKSUM_AT, b.data + BOOT_FIXTURE_CHECKSUM_AT + 4,
		b.len - BOOT_FIXTURE_CHECKSUM_AT - 4);
	b.len -= 4;
	assert_int_equal(digest_of(HASH_SHA256, bytes_view(&b), &d), 0);
	assert_digest(image, HASH_SHA256, digest_hex(&d, hex));
	bytes_done(&b);
}

static void the_digest_is_that_of_other_programs(void **state)
{
	struct bytes image;

	boot_fixture_pe(two, 2, &image);
	assert_digest(&image, HASH_SHA256, PESIGN_DIGEST);
	assert_is_file_without(&image, 0);
	bytes_done(&image);
}

static void signatures_and_checksum_do_not_count(void **state)
{
	struct bytes image;

	boot_fixture_pe(two, 2, &image);
	boot_fixture_put_le32(&image, BOOT_FIXTURE_CHECKSUM_AT, 0xffffffff);
	assert_digest(&image, HASH_SHA256, PESIGN_DIGEST);
	boot_fixture_sign(&image, 1024);
	assert_digest(&image, HASH_SHA256, PESIGN_DIGEST);
	assert_is_file_without(&image, 1024);
	bytes_done(&image);
}

static void every_other_byte_counts(void **state)
{
	struct bytes image;
	struct digest d, good;
	const char *why;
	struct pe pe;

	boot_fixture_pe(two, 2, &image);
	pe = parsed(&image);
	assert_int_equal(pe_authenticode(&pe, HASH_SHA256, &good), 0);
	for (size_t i = 0; i < image.len; i++) {
		bool counts =
			(i < BOOT_FIXTURE_CHECKSUM_AT || i >= BOOT_FIXTURE_CHECKSUM_AT + 4) &&
			(i < BOOT_FIXTURE_CERTIFICATE_AT || i >= BOOT_FIXTURE_CERTIFICATE_AT + 8);

		image.data[i] ^= 1;
		/* Where the image can still be read at all. */
		if (pe_parse(bytes_view(&image), &pe, &why) == 0) {
			assert_int_equal(pe_authenticode(&pe, HASH_SHA256, &d), 0);
			if (digest_equal(&d, &good) == counts)
				fail_msg("byte 0x%zx", i);
		}
		image.data[i] ^= 1;
	}
	bytes_done(&image);
}

/* What lies behind or between sections is hashed as firmware does it: counted from their sum. */
static void gaps_count_from_the_sum(void **state)
{
	struct bytes image, expected = BYTES_INIT(1024 * 1024);
	char hex[DIGEST_HEX_MAX];
	struct digest d;
	size_t second = BOOT_FIXTURE_HEADERS + BOOT_FIXTURE_ALIGNED;

	boot_fixture_pe(two, 2, &image);
	/* The second section moves back by 16 bytes, and 8 more than that end the file. */
	assert_int_equal(bytes_append(&image, "0123456789abcdefGHIJKLMN", 24), 0);
	boot_fixture_put_le32(&image, BOOT_FIXTURE_SECTIONS_AT + 40 + 20, (uint32_t)second + 16);

	assert_int_equal(bytes_append(&expected, image.data, BOOT_FIXTURE_CHECKSUM_AT), 0);
	assert_int_equal(bytes_append(&expected, image.data + BOOT_FIXTURE_CHECKSUM_AT + 4,
				      BOOT_FIXTURE_CERTIFICATE_AT - BOOT_FIXTURE_CHECKSUM_AT - 4),
			 0);
	assert_int_equal(bytes_append(&expected, image.data + BOOT_FIXTURE_CERTIFICATE_AT + 8,
				      second - BOOT_FIXTURE_CERTIFICATE_AT - 8),
			 0);
	assert_int_equal(bytes_append(&expected, image.data + second + 16, BOOT_FIXTURE_ALIGNED),
			 0);
	assert_int_equal(bytes_append(&expected, image.data + second + BOOT_FIXTURE_ALIGNED, 24),
			 0);
	assert_int_equal(digest_of(HASH_SHA256, bytes_view(&expected), &d), 0);
	assert_digest(&image, HASH_SHA256, digest_hex(&d, hex));
	bytes_done(&expected);
	bytes_done(&image);
}

static const struct {
	const char *what;
	size_t at;
	uint32_t value;
	int size; /* bytes of the value; 0: the image ends at `at` */
	const char *why;
} refused[] = {
	{ "nothing", 0, 0, 0, "not a PE image" },
	{ "no MZ", 0, 0, 2, "not a PE image" },
	{ "PE signature past the end", 0x3c, 0x7fffffff, 4, "not a PE image" },
	{ "another signature", BOOT_FIXTURE_PE_AT, 0x454e, 2, "not a PE image" },
	{ "an image of another kind", BOOT_FIXTURE_OPTIONAL_AT, 0x107, 2, "neither PE32" },
	{ "headers past the file's end", BOOT_FIXTURE_OPTIONAL_AT + 60, 0x7fffffff, 4,
	  "do not fit" },
	{ "headers that end before the sections' do", BOOT_FIXTURE_OPTIONAL_AT + 60,
	  BOOT_FIXTURE_SECTIONS_AT + 40, 4, "do not fit" },
	{ "more directories than there are", BOOT_FIXTURE_OPTIONAL_AT + 108, 17, 4, "do not fit" },
	{ "directories past the optional header", BOOT_FIXTURE_PE_AT + 20, 200, 2, "do not fit" },
	{ "signatures that are not at the end", BOOT_FIXTURE_CERTIFICATE_AT + 4, 8, 4,
	  "signatures are not at its end" },
	{ "signatures without end", BOOT_FIXTURE_CERTIFICATE_AT + 4, 0xffffffff, 4,
	  "signatures are not at its end" },
	{ "too many sections", BOOT_FIXTURE_SECTIONS_N, 97, 2, "more than 96" },
	{ "a section past the end", BOOT_FIXTURE_SECTIONS_AT + 20, 0x7fffff00, 4,
	  "not within the file" },
	{ "a section without end", BOOT_FIXTURE_SECTIONS_AT + 16, 0xffffffff, 4,
	  "not within the file" },
	{ "a section over another", BOOT_FIXTURE_SECTIONS_AT + 16, 0x300, 4, "overlap" },
	{ "a section over the headers", BOOT_FIXTURE_SECTIONS_AT + 20, 0x500, 4, "overlap" },
	{ "an end within the second section", BOOT_FIXTURE_HEADERS + 0x210, 0, 0,
	  "not within the file" },
};

static void other_images_are_refused(void **state)
{
	struct bytes image;
	const char *why;
	struct pe pe;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		boot_fixture_pe(two, 2, &image);
		if (refused[i].size == 0)
			image.len = refused[i].at;
		else if (refused[i].size == 2)
			boot_fixture_put_le16(&image, refused[i].at, (uint16_t)refused[i].value);
		else
			boot_fixture_put_le32(&image, refused[i].at, refused[i].value);
		why = NULL;
		r = pe_parse(bytes_view(&image), &pe, &why);
		if (r != -EBADMSG)
			fail_msg("%s: %d", refused[i].what, r);
		if (!why || !strstr(why, refused[i].why))
			fail_msg("%s: says '%s'", refused[i].what, why);
		bytes_done(&image);
	}
}

/* Wherever it is cut off, it is refused or has a digest, and nothing behind it is read. */
static void every_length_is_safe(void **state)
{
	struct bytes image;
	const char *why;
	struct digest d;
	uint8_t *exact;
	struct pe pe;

	boot_fixture_pe(two, 2, &image);
	for (size_t len = 0; len < image.len; len++) {
		exact = malloc(len ? len : 1);
		assert_non_null(exact);
		memcpy(exact, image.data, len);
		if (pe_parse(view_of(exact, len), &pe, &why) == 0)
			assert_int_equal(pe_authenticode(&pe, HASH_SHA256, &d), 0);
		free(exact);
	}
	bytes_done(&image);
}

static void sections_have_what_is_loaded(void **state)
{
	const struct boot_section sections[] = {
		{ ".cmdline", view_text("quiet"), 0 }, { ".init", view_text("a"), 0 },
		{ ".initrd", view_text("b"), 0 },      { ".bss", view_text("c"), 0x1000 },
		{ ".osrel2", view_text("d"), 0 },
	};
	const char *why = NULL;
	struct bytes image;
	struct view v;
	struct pe pe;

	boot_fixture_pe(sections, ARRAY_LEN(sections), &image);
	pe = parsed(&image);
	assert_int_equal(pe_content(&pe, ".cmdline", &v, &why), 0);
	assert_true(view_is(v, "quiet")); /* not the padding to its place in the file */
	assert_int_equal(pe_content(&pe, ".linux", &v, &why), -ENOENT);
	/* .initrd alone is meant by its name; .init by two, as loaders compare. */
	assert_int_equal(pe_content(&pe, ".initrd", &v, &why), 0);
	assert_int_equal(pe_content(&pe, ".init", &v, &why), -EBADMSG);
	assert_non_null(strstr(why, "not the only one"));
	assert_int_equal(pe_content(&pe, ".osrel", &v, &why), -EBADMSG);
	assert_int_equal(pe_content(&pe, ".bss", &v, &why), -EBADMSG);
	assert_non_null(strstr(why, "larger than"));
	bytes_done(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_digest_is_that_of_other_programs),
		cmocka_unit_test(signatures_and_checksum_do_not_count),
		cmocka_unit_test(every_other_byte_counts),
		cmocka_unit_test(gaps_count_from_the_sum),
		cmocka_unit_test(other_images_are_refused),
		cmocka_unit_test(every_length_is_safe),
		cmocka_unit_test(sections_have_what_is_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
