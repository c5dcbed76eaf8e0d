/* SPDX-License-Identifier: Apache-2.0 */
/* RTMR1 and RTMR2 of TDX, from the files that are booted: against events that a machine had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "boot_values.h"
#include "pe.h"
#include "tests/support/boot_fixture.h"
#include "tests/support/shared_evidence.h"

#define INITRD "made initrd"

/* "quiet initrd=initrd" with its NUL. */
#define OPTIONS "q\0u\0i\0e\0t\0 \0i\0n\0i\0t\0r\0d\0=\0i\0n\0i\0t\0r\0d\0\0"

/* Of a TDX quote of version 4: Intel TDX DCAP Quoting Library API, A.3. */
#define QUOTE_RTMR(n) (48 + 328 + 48 * (n))

static int direct(struct view kernel, uint32_t memory, bool unchanged, enum hash_alg alg,
		  struct boot_values *ret)
{
	const struct boot_direct in = {
		.kernel = kernel,
		.initrd = view_text(INITRD),
		.command_line = "quiet",
		.memory_mib = memory,
		.kernel_unchanged = unchanged,
	};
	const char *why = NULL;
	int r = boot_values_direct(&in, alg, ret, &why);

	if (r < 0)
		fail_msg("%s", why);
	return r;
}

static void event(struct digest *rtmr, struct view data)
{
	struct digest d;

	assert_int_equal(digest_of(HASH_SHA384, data, &d), 0);
	assert_int_equal(digest_extend(rtmr, digest_view(&d)), 0);
}

static void image_event(struct digest *rtmr, struct view image)
{
	const char *why = NULL;
	struct digest d;
	struct pe pe;

	assert_int_equal(pe_parse(image, &pe, &why), 0);
	assert_int_equal(pe_authenticode(&pe, HASH_SHA384, &d), 0);
	assert_int_equal(digest_extend(rtmr, digest_view(&d)), 0);
}

static void assert_digest(const struct digest *is, const struct digest *should)
{
	char a[DIGEST_HEX_MAX], b[DIGEST_HEX_MAX];

	assert_string_equal(digest_hex(is, a), digest_hex(should, b));
}

static void a_kernel_that_is_handed_over_as_it_is(void **state)
{
	struct digest first = digest_zero(HASH_SHA384), second = first, d;
	struct boot_values v;
	struct bytes kernel;

	boot_fixture_kernel_for_tee(&kernel);
	image_event(&first, bytes_view(&kernel));
	event(&first, view_text("Calling EFI Application from Boot Option"));
	event(&first, view_of("\0\0\0", 4));
	event(&first, view_text("Exit Boot Services Invocation"));
	event(&first, view_text("Exit Boot Services Returned with Success"));
	event(&second, view_of(OPTIONS, sizeof(OPTIONS)));
	event(&second, view_text(INITRD));

	assert_int_equal(direct(bytes_view(&kernel), 0, true, HASH_SHA384, &v), 0);
	assert_int_equal(boot_values_rtmr1(&v, &d), 0);
	assert_digest(&d, &first);
	assert_int_equal(boot_values_rtmr2(&v, &d), 0);
	assert_digest(&d, &second);
	/* What memory there is does not matter then. */
	assert_int_equal(direct(bytes_view(&kernel), 512, true, HASH_SHA384, &v), 0);
	assert_int_equal(boot_values_rtmr1(&v, &d), 0);
	assert_digest(&d, &first);

	/* One that QEMU changes: another first register, the same second. */
	assert_int_equal(direct(bytes_view(&kernel), 512, false, HASH_SHA384, &v), 0);
	assert_int_equal(boot_values_rtmr1(&v, &d), 0);
	assert_false(digest_equal(&d, &first));
	assert_int_equal(boot_values_rtmr2(&v, &d), 0);
	assert_digest(&d, &second);
	bytes_done(&kernel);
}

static void what_is_not_known_is_not_guessed(void **state)
{
	struct boot_section sections[BOOT_FIXTURE_UNIFIED];
	struct bytes kernel, old, image;
	const char *why = NULL;
	struct boot_values v;
	struct digest d;

	boot_fixture_kernel_for_tee(&kernel);
	boot_fixture_kernel(&old);
	/* Another bank. */
	assert_int_equal(direct(bytes_view(&kernel), 0, true, HASH_SHA256, &v), 0);
	assert_int_equal(boot_values_rtmr1(&v, &d), -EINVAL);
	assert_int_equal(boot_values_rtmr2(&v, &d), -EINVAL);
	/* What QEMU makes of the kernel. */
	assert_int_equal(direct(bytes_view(&kernel), 0, false, HASH_SHA384, &v), 0);
	assert_int_equal(boot_values_rtmr1(&v, &d), -ENODATA);
	assert_int_equal(boot_values_rtmr2(&v, &d), 0);
	/* A kernel that measures into a TPM alone. */
	assert_int_equal(direct(bytes_view(&old), 0, true, HASH_SHA384, &v), 0);
	assert_int_equal(boot_values_rtmr1(&v, &d), 0);
	assert_int_equal(boot_values_rtmr2(&v, &d), -ENODATA);
	/* A disk's partition table. */
	boot_fixture_unified("quiet", view_text(INITRD), bytes_view(&kernel), sections);
	boot_fixture_pe(sections, BOOT_FIXTURE_UNIFIED, &image);
	assert_int_equal(boot_values_unified(bytes_view(&image), true, HASH_SHA384, &v, &why), 0);
	assert_int_equal(boot_values_rtmr1(&v, &d), -ENODATA);
	assert_int_equal(boot_values_rtmr2(&v, &d), 0);
	bytes_done(&kernel);
	bytes_done(&old);
	bytes_done(&image);
}

/* Half a GUID, or halves too far from each other, are none. */
static void a_guid_is_looked_for_whole(void **state)
{
	struct boot_values v;
	struct bytes kernel;
	struct digest d;
	uint8_t *half;

	boot_fixture_kernel_for_tee(&kernel);
	half = memmem(kernel.data, kernel.len, "\xa7\x94\xed\x5d", 4);
	assert_non_null(half);
	*half ^= 1;
	assert_int_equal(direct(bytes_view(&kernel), 0, true, HASH_SHA384, &v), 0);
	assert_int_equal(boot_values_rtmr2(&v, &d), -ENODATA);
	bytes_done(&kernel);
}

/* The digest of an event of RTMR1, or of RTMR2, in a list as dstack writes it. */
static struct digest listed(const json_t *list, int register_no, size_t which)
{
	struct digest d = { .alg = HASH_SHA384, .size = 48 };
	size_t i, seen = 0;
	json_t *e;

	json_array_foreach(list, i, e)
	{
		if (json_integer_value(json_object_get(e, "imr")) != register_no || seen++ < which)
			continue;
		assert_int_equal(hex_decode_exact(json_string_value(json_object_get(e, "digest")),
						  d.bytes, 48),
				 0);
		return d;
	}
	fail_msg("RTMR%d has no event %zu", register_no, which);
	return d;
}

/*
 * A genuine quote and the events of its boot, which QEMU gave its kernel. Of the kernel only the
 * digest is at hand, and of command line and initrd; what comes before and after it are ours.
 */
static void a_machine_had_these_registers(void **state)
{
	struct boot_values v = { .alg = HASH_SHA384,
				 .known = 1u << BOOT_PCR_IMAGES | 1u << BOOT_PCR_LINUX,
				 .direct = true,
				 .measures_without_tpm = true };
	struct bytes quote, text;
	struct digest d;
	json_t *list;

	shared_evidence_needed();
	quote = shared_evidence("tdx/quotes", "v4-dstack-rtmr-log.quote");
	text = shared_evidence("tdx/quotes", "v4-dstack-rtmr-log.events.json");
	list = json_loadb((const char *)text.data, text.len, 0, NULL);
	assert_non_null(list);
	v.pcr[BOOT_PCR_IMAGES] = digest_zero(HASH_SHA384);
	v.pcr[BOOT_PCR_LINUX] = digest_zero(HASH_SHA384);
	d = listed(list, 1, 0);
	assert_int_equal(digest_extend(&v.pcr[BOOT_PCR_IMAGES], digest_view(&d)), 0);
	event(&v.pcr[BOOT_PCR_IMAGES], view_text("Calling EFI Application from Boot Option"));
	event(&v.pcr[BOOT_PCR_IMAGES], view_of("\0\0\0", 4));
	for (size_t i = 0; i < 2; i++) {
		d = listed(list, 2, i);
		assert_int_equal(digest_extend(&v.pcr[BOOT_PCR_LINUX], digest_view(&d)), 0);
	}
	assert_true(quote.len > QUOTE_RTMR(3));
	assert_int_equal(boot_values_rtmr1(&v, &d), 0);
	assert_memory_equal(d.bytes, quote.data + QUOTE_RTMR(1), 48);
	assert_int_equal(boot_values_rtmr2(&v, &d), 0);
	assert_memory_equal(d.bytes, quote.data + QUOTE_RTMR(2), 48);
	json_decref(list);
	bytes_done(&quote);
	bytes_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kernel_that_is_handed_over_as_it_is),
		cmocka_unit_test(what_is_not_known_is_not_guessed),
		cmocka_unit_test(a_guid_is_looked_for_whole),
		cmocka_unit_test(a_machine_had_these_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
