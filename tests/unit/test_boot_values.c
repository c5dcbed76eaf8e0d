/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot_values.h"
#include "ima_log.h"
#include "tests/support/boot_fixture.h"

/*
 * Digests of the fixture's images by pesign 0.112 (pesign -h -i IMAGE): the kernel as it is, as
 * QEMU changes it for 512 MiB and for 4 GiB of memory, and the unified kernel image around it.
 */
#define KERNEL_DIGEST	   "895639041082fa349a81f45b95cb6e1f4e7b22e04f61931e2017a64883a5acdf"
#define KERNEL_512_DIGEST  "4ee455979589f852f84f745e61b7ed66d9e2eeeff0f768824863976e1e8c0e85"
#define KERNEL_4096_DIGEST "46cd102ce6a9ee9cb96fb0448062f767b9055ddc81513e0e7129ec33eb0b5972"
#define UNIFIED_DIGEST	   "04ff8154897723bfb19238148db4a89d47083f8635c9e98414ecf26c8f621008"

/* systemd-measure 252: calculate --linux= --osrel= --cmdline= --initrd= --phase=: */
#define MEASURE_SHA256 "4d273c173e83d23a39dab373398f33ec9fdb190ce67406fc3acc20a1a4dd9fe7"
#define MEASURE_SHA384                                                                             \
	"6fca4b87ca69236309348dd5d89090a7d9c7d74dbb1f22da51682d8977caf5b45242cfadaeaf11db044fa390" \
	"b41afacf"

#define INITRD "made initrd"

static struct digest of_hex(const char *hex)
{
	struct digest d = { .alg = HASH_SHA256, .size = 32 };

	assert_int_equal(hex_decode_exact(hex, d.bytes, 32), 0);
	return d;
}

static struct digest of(struct view v)
{
	struct digest d;

	assert_int_equal(digest_of(HASH_SHA256, v, &d), 0);
	return d;
}

static void assert_pcr(const struct boot_values *v, unsigned int pcr, const struct digest *events,
		       size_t n)
{
	struct digest d = digest_zero(HASH_SHA256);
	char is[DIGEST_HEX_MAX], should[DIGEST_HEX_MAX];

	assert_true(v->known >> pcr & 1);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(digest_extend(&d, digest_view(&events[i])), 0);
	assert_string_equal(digest_hex(&v->pcr[pcr], is), digest_hex(&d, should));
}

/* "a" as the kernel measures load options: UTF-16 and its NUL. */
static struct digest of_options(const char *text)
{
	struct bytes b = BYTES_INIT(8192);
	struct digest d;

	for (size_t i = 0; i <= strlen(text); i++) {
		assert_int_equal(bytes_append_u8(&b, (uint8_t)text[i]), 0);
		assert_int_equal(bytes_append_u8(&b, 0), 0);
	}
	d = of(bytes_view(&b));
	bytes_done(&b);
	return d;
}

static struct digest of_action(void)
{
	return of(view_text("Calling EFI Application from Boot Option"));
}

static struct digest of_separator(void)
{
	return of(view_of("\0\0\0", 4));
}

static int direct(struct view kernel, struct view initrd, const char *line, uint32_t memory,
		  struct boot_values *ret, const char **ret_why)
{
	const struct boot_direct in = {
		.kernel = kernel, .initrd = initrd, .command_line = line, .memory_mib = memory
	};

	return boot_values_direct(&in, HASH_SHA256, ret, ret_why);
}

static void a_kernel_from_qemu(void **state)
{
	static const struct {
		uint32_t memory;
		const char *digest;
	} memories[] = { { 512, KERNEL_512_DIGEST }, { 4096, KERNEL_4096_DIGEST } };
	struct boot_values v;
	const char *why = NULL;
	struct bytes kernel;

	boot_fixture_kernel(&kernel);
	for (size_t i = 0; i < ARRAY_LEN(memories); i++) {
		assert_int_equal(direct(bytes_view(&kernel), view_text(INITRD), "quiet",
					memories[i].memory, &v, &why),
				 0);
		assert_pcr(&v, 4,
			   (struct digest[]){ of_hex(memories[i].digest), of_action(),
					      of_separator() },
			   3);
		assert_pcr(&v, 9,
			   (struct digest[]){ of_options("quiet initrd=initrd"),
					      of(view_text(INITRD)) },
			   2);
		assert_pcr(&v, 11, NULL, 0);
	}
	/* Without the machine's memory PCR 4 is not known, and nothing is guessed. */
	assert_int_equal(direct(bytes_view(&kernel), view_text(INITRD), "quiet", 0, &v, &why), 0);
	assert_int_equal(v.known, 1u << 9 | 1u << 11);
	bytes_done(&kernel);
}

/* The unified image; section `without` (-1: none) gets another name. */
static void make_unified(const char *line, int without, const char *name, struct bytes *ret)
{
	struct boot_section sections[BOOT_FIXTURE_UNIFIED];
	struct bytes kernel;

	boot_fixture_kernel(&kernel);
	boot_fixture_unified(line, view_text(INITRD), bytes_view(&kernel), sections);
	if (without >= 0)
		sections[without].name = name;
	boot_fixture_pe(sections, BOOT_FIXTURE_UNIFIED, ret);
	bytes_done(&kernel);
}

static void a_unified_kernel_image(void **state)
{
	char hex[DIGEST_HEX_MAX];
	const char *why = NULL;
	struct boot_values v;
	struct bytes image;

	make_unified("quiet", -1, NULL, &image);
	assert_int_equal(boot_values_unified(bytes_view(&image), false, HASH_SHA256, &v, &why), 0);
	assert_pcr(&v, 4,
		   (struct digest[]){ of_action(), of_separator(), of_hex(UNIFIED_DIGEST),
				      of_hex(KERNEL_DIGEST) },
		   4);
	assert_pcr(&v, 9, (struct digest[]){ of_options("quiet"), of(view_text(INITRD)) }, 2);
	assert_string_equal(digest_hex(&v.pcr[11], hex), MEASURE_SHA256);
	assert_int_equal(v.known, 1u << 4 | 1u << 9 | 1u << 11);

	/* Signed, with Secure Boot: the same digest, and the kernel is not measured apart. */
	boot_fixture_sign(&image, 64);
	assert_int_equal(boot_values_unified(bytes_view(&image), true, HASH_SHA256, &v, &why), 0);
	assert_pcr(&v, 4, (struct digest[]){ of_action(), of_separator(), of_hex(UNIFIED_DIGEST) },
		   3);
	assert_string_equal(digest_hex(&v.pcr[11], hex), MEASURE_SHA256);

	assert_int_equal(boot_values_unified(bytes_view(&image), true, HASH_SHA384, &v, &why), 0);
	assert_string_equal(digest_hex(&v.pcr[11], hex), MEASURE_SHA384);
	assert_int_equal(boot_values_unified(bytes_view(&image), true, (enum hash_alg)1, &v, &why),
			 -EINVAL);
	bytes_done(&image);
}

/* One byte more or less in any input shows, and shows where it should. */
static void changes_show(void **state)
{
	struct boot_values good, v;
	const char *why = NULL;
	struct bytes kernel;
	struct view k;

	boot_fixture_kernel(&kernel);
	k = bytes_view(&kernel);
	assert_int_equal(direct(k, view_text(INITRD), "quiet", 512, &good, &why), 0);
	assert_int_equal(direct(k, view_of(INITRD, sizeof(INITRD)), "quiet", 512, &v, &why), 0);
	assert_false(digest_equal(&v.pcr[9], &good.pcr[9]));
	assert_false(
		digest_equal(&v.pcr[4], &good.pcr[4])); /* its size is in the kernel's header */
	assert_int_equal(direct(k, view_text("made Initrd"), "quiet", 512, &v, &why), 0);
	assert_false(digest_equal(&v.pcr[9], &good.pcr[9]));
	assert_true(digest_equal(&v.pcr[4], &good.pcr[4]));
	assert_int_equal(direct(k, view_text(INITRD), "quiet init=/bin/sh", 512, &v, &why), 0);
	assert_false(digest_equal(&v.pcr[9], &good.pcr[9]));
	assert_true(digest_equal(&v.pcr[4], &good.pcr[4]));
	kernel.data[BOOT_FIXTURE_HEADERS] ^= 1;
	assert_int_equal(direct(k, view_text(INITRD), "quiet", 512, &v, &why), 0);
	assert_true(digest_equal(&v.pcr[9], &good.pcr[9]));
	assert_false(digest_equal(&v.pcr[4], &good.pcr[4]));
	bytes_done(&kernel);
}

static void kernels_that_do_not_measure_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t xor ;
		const char *why;
	} cases[] = {
		{ 0x1fe, 1, "not a bzImage" },
		{ 0x202, 1, "not a bzImage" },
		{ 0x207, 2, "not a bzImage" }, /* protocol 0.15 */
		{ 0x211, 1, "not a bzImage" },
		{ 0x236, 2, "not for x86-64" },
		{ BOOT_FIXTURE_HEADERS + 6, 1, "does not measure" },
		{ BOOT_FIXTURE_HEADERS + 34, 1, "does not measure" },
	};
	struct boot_values v;
	struct bytes kernel;
	const char *why;

	boot_fixture_kernel(&kernel);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		why = NULL;
		kernel.data[cases[i].at] ^= cases[i].xor ;
		assert_int_equal(
			direct(bytes_view(&kernel), view_text(INITRD), "quiet", 512, &v, &why),
			-EBADMSG);
		if (!why || !strstr(why, cases[i].why))
			fail_msg("0x%zx: %s", cases[i].at, why);
		kernel.data[cases[i].at] ^= cases[i].xor ;
	}
	assert_int_equal(direct(bytes_view(&kernel), view_of("", 0), "quiet", 512, &v, &why),
			 -EBADMSG);
	/* 1 MiB of memory with 1 MiB of initrd. */
	{
		static const uint8_t large[1024 * 1024];

		assert_int_equal(direct(bytes_view(&kernel), view_of(large, sizeof(large)), "quiet",
					1, &v, &why),
				 -EINVAL);
		assert_non_null(strstr(why, "does not fit"));
	}
	bytes_done(&kernel);
}

static void command_lines_that_may_change_are_refused(void **state)
{
	char longest[BOOT_COMMAND_MAX + 2];
	static const struct {
		const char *line;
		int r;
	} lines[] = {
		{ "quiet", 0 },	       { "a  b", 0 },
		{ "", -EINVAL },       { " quiet", -EINVAL },
		{ "quiet ", -EINVAL }, { "quiet\n", -EINVAL },
		{ "a\tb", -EINVAL },   { "caf\xc3\xa9", -EINVAL },
	};
	struct boot_values v;
	const char *why = NULL;
	struct bytes kernel, image;

	boot_fixture_kernel(&kernel);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		if (direct(bytes_view(&kernel), view_text(INITRD), lines[i].line, 512, &v, &why) !=
		    lines[i].r)
			fail_msg("'%s'", lines[i].line);
		/* An empty section is none. */
		make_unified(lines[i].line, -1, NULL, &image);
		if (boot_values_unified(bytes_view(&image), false, HASH_SHA256, &v, &why) !=
		    (lines[i].line[0] ? lines[i].r : -EBADMSG))
			fail_msg("'%s' in an image", lines[i].line);
		bytes_done(&image);
	}
	/* QEMU takes this one for itself. */
	assert_int_equal(direct(bytes_view(&kernel), view_text(INITRD), "a vga=791", 512, &v, &why),
			 -EINVAL);
	assert_non_null(strstr(why, "vga="));

	memset(longest, 'a', sizeof(longest));
	longest[BOOT_COMMAND_MAX + 1] = '\0';
	assert_int_equal(direct(bytes_view(&kernel), view_text(INITRD), longest, 512, &v, &why),
			 -EMSGSIZE);
	longest[BOOT_COMMAND_MAX] = '\0';
	assert_int_equal(direct(bytes_view(&kernel), view_text(INITRD), longest, 512, &v, &why), 0);
	bytes_done(&kernel);
}

static void images_whose_values_are_not_known_are_refused(void **state)
{
	static const struct {
		int section;
		const char *name, *why;
	} cases[] = {
		{ 0, ".other", ".sdmagic" },	  { 2, ".other", "no .cmdline" },
		{ 3, ".other", "no .initrd" },	  { 4, ".other", "no .linux" },
		{ 1, ".pcrsig", ".pcrsig" },	  { 1, ".pcrpkey", ".pcrpkey" },
		{ 1, ".initrd", "not the only" }, { 1, ".linuxX", "not the only" },
	};
	struct boot_values v;
	struct bytes image;
	const char *why;
	uint8_t *stub;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make_unified("quiet", cases[i].section, cases[i].name, &image);
		why = NULL;
		assert_int_equal(
			boot_values_unified(bytes_view(&image), false, HASH_SHA256, &v, &why),
			-EBADMSG);
		if (!why || !strstr(why, cases[i].why))
			fail_msg("%s: %s", cases[i].name, why);
		bytes_done(&image);
	}
	/* A newer stub, which measures more. */
	make_unified("quiet", -1, NULL, &image);
	stub = memmem(image.data, image.len, "stub 252.", 9);
	assert_non_null(stub);
	stub[7] = '5';
	assert_int_equal(boot_values_unified(bytes_view(&image), false, HASH_SHA256, &v, &why),
			 -EBADMSG);
	assert_non_null(strstr(why, "not systemd-stub 252"));
	bytes_done(&image);
}

static void a_list_of(struct view data, struct bytes *ret)
{
	static const char template[] = "ima-sig";
	struct digest d;

	*ret = BYTES_INIT(4096);
	assert_int_equal(digest_of(HASH_SHA1, data, &d), 0);
	assert_int_equal(bytes_append(ret, (uint8_t[]){ 10, 0, 0, 0 }, 4), 0);
	assert_int_equal(bytes_append_view(ret, digest_view(&d)), 0);
	assert_int_equal(bytes_append(ret, (uint8_t[]){ 7, 0, 0, 0 }, 4), 0);
	assert_int_equal(bytes_append_text(ret, template), 0);
	assert_int_equal(bytes_append(ret, (uint8_t[]){ (uint8_t)data.len, 0, 0, 0 }, 4), 0);
	assert_int_equal(bytes_append_view(ret, data), 0);
}

/*
 * A virtual machine of QEMU 7.2 with OVMF 2022.11-6+deb12u2 and Linux 6.1.0-56-cloud-amd64, without
 * an IMA policy: its PCRs 0 to 9, what its kernel logged as boot_aggregate, and its PCR 10.
 */
static const char *const machine[] = {
	"d57b9ba9e61e694676b8e5d5ffdf950a21d06bd8f02f8a83fe62bb8d4f0d904a",
	"8e9d1fe23131f12d6a523e9c32eb3223d4dc25e14eb5fd60163e7ba8de0f248c",
	"3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969",
	"3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969",
	"7c1d4984f153331a652840f6e86e1bfec112f727cb0655f22addb13d2b50be41",
	"a5ceb755d043f32431d63e39f5161464620a3437280494b5850dc1b47cc074e0",
	"3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969",
	"65caf8dd1e0ea7a6347b635d2b379c93b9a1351edc2afc3ecda700e534eb3068",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"73cc9d89bc84d04c1d0c35e0fdda308666d21a65ad92731aadd698eb19caa1c4",
};
#define MACHINE_AGGREGATE "4b36d7b4a9ad842a7a381f701d429bc980357007e56b8605c8fc771ef1eff92e"
#define MACHINE_PCR_10	  "104d1d675a8f6c63c93641c19c9b07083873bc336ecfb1dc18697befd0b39b4b"

static void a_machine_had_this_aggregate(void **state)
{
	struct boot_values v = { .alg = HASH_SHA256, .known = 0x3ff };
	struct digest aggregate;
	char hex[DIGEST_HEX_MAX];

	for (unsigned int i = 0; i < ARRAY_LEN(machine); i++)
		v.pcr[i] = of_hex(machine[i]);
	assert_int_equal(boot_values_aggregate(&v, &aggregate), 0);
	assert_string_equal(digest_hex(&aggregate, hex), MACHINE_AGGREGATE);
	assert_int_equal(boot_values_ima(&v), 0);
	assert_string_equal(digest_hex(&v.pcr[10], hex), MACHINE_PCR_10);
}

/* Against what reads the kernel's lists. */
static void the_aggregate_begins_imas_list(void **state)
{
	struct bytes data = BYTES_INIT(4096), list, all = BYTES_INIT(4096);
	struct boot_values v = { .alg = HASH_SHA256, .known = 0x1ff };
	struct ima_replay replay;
	struct digest aggregate, expected;
	const char *why = NULL;

	for (unsigned int i = 0; i < BOOT_PCRS; i++)
		v.pcr[i] = of(view_of(&i, 1));
	assert_int_equal(boot_values_aggregate(&v, &aggregate), -ENODATA);
	assert_int_equal(boot_values_ima(&v), -ENODATA);
	v.known |= 1u << 9;
	assert_int_equal(boot_values_aggregate(&v, &aggregate), 0);
	for (unsigned int i = 0; i <= 9; i++)
		assert_int_equal(bytes_append_view(&all, digest_view(&v.pcr[i])), 0);
	expected = of(bytes_view(&all));
	assert_true(digest_equal(&aggregate, &expected));

	assert_int_equal(bytes_append(&data, (uint8_t[]){ 40, 0, 0, 0 }, 4), 0);
	assert_int_equal(bytes_append(&data, "sha256:", 8), 0);
	assert_int_equal(bytes_append_view(&data, digest_view(&aggregate)), 0);
	assert_int_equal(bytes_append(&data, (uint8_t[]){ 15, 0, 0, 0 }, 4), 0);
	assert_int_equal(bytes_append(&data, "boot_aggregate", 15), 0);
	assert_int_equal(bytes_append(&data, (uint8_t[]){ 0, 0, 0, 0 }, 4), 0);
	a_list_of(bytes_view(&data), &list);
	assert_int_equal(boot_values_ima(&v), 0);
	if (ima_replay(bytes_view(&list), IMA_PCR, HASH_SHA256, &v.pcr[10], &replay, &why) != 0)
		fail_msg("%s", why);
	assert_true(replay.matched);
	assert_int_equal(replay.proven, 1);
	bytes_done(&list);
	bytes_done(&data);
	bytes_done(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kernel_from_qemu),
		cmocka_unit_test(a_unified_kernel_image),
		cmocka_unit_test(changes_show),
		cmocka_unit_test(kernels_that_do_not_measure_are_refused),
		cmocka_unit_test(command_lines_that_may_change_are_refused),
		cmocka_unit_test(images_whose_values_are_not_known_are_refused),
		cmocka_unit_test(a_machine_had_this_aggregate),
		cmocka_unit_test(the_aggregate_begins_imas_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
