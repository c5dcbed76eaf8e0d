/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <tss2/tss2_tctildr.h>

#include "attesters/boot_key_file.h"
#include "attesters/table.h"
#include "attesters/tpm.h"
#include "boot_key.h"
#include "tests/support/swtpm.h"

/* Sealing before a boot and opening after it, on a TPM in software that is really reset. */

static struct swtpm chip, other_chip; /* the first one has a SHA-384 bank too */
static bool no_swtpm;

static const char key_text[] = "sixty-four bytes of a disk's key, made up for this test alone..";

static int start(void **state)
{
	int r;

	r = secret_heap_open();
	if (r < 0)
		return r;
	r = swtpm_start("sha256,sha384", &chip);
	if (r == -ENOENT) {
		no_swtpm = true;
		return 0;
	}
	return r < 0 ? r : swtpm_start("sha256", &other_chip);
}

static int stop(void **state)
{
	swtpm_stop(&chip);
	swtpm_stop(&other_chip);
	secret_heap_close();
	return 0;
}

static void needs_swtpm(void)
{
	if (!no_swtpm)
		return;
	print_message("skipped: there is no swtpm on this machine\n");
	skip();
}

static void connect_to(const struct swtpm *s, struct tpm *ret)
{
	const struct attester_config config = { .tcti = s->tcti };
	char why[512];

	*ret = (struct tpm){ 0 };
	if (tpm_connect(ret, &attester_tpm, &config, why, sizeof(why)) != 0)
		fail_msg("%s", why);
}

/* The machine is switched off and on: its PCRs begin anew. */
static void power_cycle(const struct swtpm *s)
{
	TSS2_TCTI_CONTEXT *tcti = NULL;
	ESYS_CONTEXT *esys = NULL;
	char command[256];

	snprintf(command, sizeof(command), "swtpm_ioctl --unix %s/sock.ctrl -i", s->directory);
	assert_int_equal(system(command), 0);
	assert_int_equal(Tss2_TctiLdr_Initialize(s->tcti, &tcti), TSS2_RC_SUCCESS);
	assert_int_equal(Esys_Initialize(&esys, tcti, NULL), TSS2_RC_SUCCESS);
	assert_int_equal(Esys_Startup(esys, TPM2_SU_CLEAR), TSS2_RC_SUCCESS);
	Esys_Finalize(&esys);
	Tss2_TctiLdr_Finalize(&tcti);
}

/* One event, in every bank: what firmware does at a boot. */
static void measure(const struct swtpm *s, unsigned int pcr, const char *what)
{
	TPML_DIGEST_VALUES *digests = NULL;
	TPM2B_EVENT event = { .size = (uint16_t)strlen(what) };
	struct tpm t;

	memcpy(event.buffer, what, event.size);
	connect_to(s, &t);
	assert_int_equal(Esys_PCR_Event(t.esys, pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
					&event, &digests),
			 TSS2_RC_SUCCESS);
	Esys_Free(digests);
	tpm_done(&t);
}

static void predict(struct boot_values *v, unsigned int pcr, const char *what)
{
	struct digest d;

	if (!(v->known >> pcr & 1))
		v->pcr[pcr] = digest_zero(v->alg);
	v->known |= 1u << pcr;
	assert_int_equal(digest_of(v->alg, view_text(what), &d), 0);
	assert_int_equal(digest_extend(&v->pcr[pcr], digest_view(&d)), 0);
}

/* What is predicted, and then booted: PCR 4 and 9. */
static struct boot_values predicted(enum hash_alg bank)
{
	struct boot_values v = { .alg = bank };

	predict(&v, 4, "kernel");
	predict(&v, 9, "command line");
	predict(&v, 9, "initrd");
	return v;
}

static void boot(const struct swtpm *s, const char *kernel, const char *initrd)
{
	power_cycle(s);
	measure(s, 4, kernel);
	measure(s, 9, "command line");
	measure(s, 9, initrd);
}

static struct bytes sealed(const struct swtpm *s, const struct boot_values *v, uint32_t handle)
{
	struct bytes file = BYTES_INIT(BOOT_KEY_FILE_MAX);
	char why[BOOT_KEY_WHY_MAX] = "";
	struct secret key;

	assert_int_equal(secret_copy(view_text(key_text), &key), 0);
	if (boot_key_seal(s->tcti, v, &key, handle, &file, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	secret_done(&key);
	return file;
}

static void assert_opens(const struct swtpm *s, const struct bytes *file)
{
	char why[BOOT_KEY_WHY_MAX] = "";
	struct secret key = { 0 };

	if (boot_key_open(s->tcti, bytes_view(file), &key, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	assert_true(view_is(secret_view(&key), key_text));
	secret_done(&key);
}

static void assert_refused(const struct swtpm *s, const struct bytes *file, int error,
			   const char *says)
{
	char why[BOOT_KEY_WHY_MAX] = "";
	struct secret key = { 0 };
	int r;

	r = boot_key_open(s->tcti, bytes_view(file), &key, why, sizeof(why));
	assert_null(key.data);
	if (r != error || !strstr(why, says))
		fail_msg("%d: %s", r, why);
}

static void assert_nothing_left(const struct swtpm *s)
{
	static const uint32_t kinds[] = { 0x80000000u, 0x02000000u, 0x03000000u };
	TPMS_CAPABILITY_DATA *data;
	TPMI_YES_NO more;
	struct tpm t;

	connect_to(s, &t);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		assert_int_equal(Esys_GetCapability(t.esys, ESYS_TR_NONE, ESYS_TR_NONE,
						    ESYS_TR_NONE, TPM2_CAP_HANDLES, kinds[i], 8,
						    &more, &data),
				 TSS2_RC_SUCCESS);
		assert_int_equal(data->data.handles.count, 0);
		Esys_Free(data);
	}
	tpm_done(&t);
}

static void the_predicted_boot_alone_opens(void **state)
{
	static const enum hash_alg banks[] = { HASH_SHA256, HASH_SHA384 };
	struct boot_values v;
	struct bytes file;

	needs_swtpm();
	for (size_t i = 0; i < ARRAY_LEN(banks); i++) {
		/* Before any boot: the values are not there yet. */
		power_cycle(&chip);
		v = predicted(banks[i]);
		file = sealed(&chip, &v, 0);
		assert_refused(&chip, &file, -EKEYREJECTED, "PCR 4 is 0000");

		boot(&chip, "kernel", "initrd");
		assert_opens(&chip, &file);
		assert_opens(&chip, &file);

		/* One of them wrong: which one is said. */
		boot(&chip, "kernel", "initrd with one byte more");
		assert_refused(&chip, &file, -EKEYREJECTED, "PCR 9 is ");
		boot(&chip, "another kernel", "initrd");
		assert_refused(&chip, &file, -EKEYREJECTED, "PCR 4 is ");

		/* And again as it was. */
		boot(&chip, "kernel", "initrd");
		assert_opens(&chip, &file);
		bytes_done(&file);
	}
	assert_nothing_left(&chip);
}

static void a_closed_door_stays_closed_until_the_next_boot(void **state)
{
	struct boot_values v = predicted(HASH_SHA256), v384 = predicted(HASH_SHA384);
	struct bytes file, file384;
	char why[BOOT_KEY_WHY_MAX] = "";
	struct tpm t;
	struct digest before[TPM_PCRS], after[TPM_PCRS];

	needs_swtpm();
	file = sealed(&chip, &v, 0);
	file384 = sealed(&chip, &v384, 0);
	boot(&chip, "kernel", "initrd");
	assert_opens(&chip, &file);
	connect_to(&chip, &t);
	assert_int_equal(tpm_pcr_read(&t, 0xffffff, before), 0);
	tpm_done(&t);
	if (boot_key_close(chip.tcti, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	assert_refused(&chip, &file, -EKEYREJECTED, "the door is closed");
	assert_refused(&chip, &file384, -EKEYREJECTED, "the door is closed");

	/* What is quoted did not change by it. */
	connect_to(&chip, &t);
	assert_int_equal(tpm_pcr_read(&t, 0xffffff, after), 0);
	tpm_done(&t);
	for (unsigned int i = 0; i < TPM_PCRS; i++)
		assert_int_equal(digest_equal(&before[i], &after[i]), i != BOOT_KEY_DOOR);

	boot(&chip, "kernel", "initrd");
	assert_opens(&chip, &file);
	assert_opens(&chip, &file384);
	/* Any extension of a PCR of the policy closes it as well. */
	measure(&chip, 9, "something later");
	assert_refused(&chip, &file, -EKEYREJECTED, "PCR 9 is ");
	bytes_done(&file);
	bytes_done(&file384);
}

static void a_kept_key_opens_without_a_file(void **state)
{
	const uint32_t handle = 0x81000123;
	struct boot_values v = predicted(HASH_SHA256);
	struct bytes file = BYTES_INIT(BOOT_KEY_FILE_MAX), first;
	char why[BOOT_KEY_WHY_MAX] = "";
	struct secret key = { 0 };

	needs_swtpm();
	assert_int_equal(boot_key_open_at(chip.tcti, handle, HASH_SHA256, 1u << 4 | 1u << 9, &key,
					  why, sizeof(why)),
			 -ESTALE);
	assert_non_null(strstr(why, "no object at 0x81000123"));
	first = sealed(&chip, &v, handle);
	boot(&chip, "kernel", "initrd");
	assert_int_equal(boot_key_open_at(chip.tcti, handle, HASH_SHA256, 1u << 4 | 1u << 9, &key,
					  why, sizeof(why)),
			 0);
	assert_true(view_is(secret_view(&key), key_text));
	secret_done(&key);
	/* Other PCRs than it was sealed to, or these with other values. */
	assert_int_equal(
		boot_key_open_at(chip.tcti, handle, HASH_SHA256, 1u << 4, &key, why, sizeof(why)),
		-EKEYREJECTED);
	measure(&chip, 4, "more");
	assert_int_equal(boot_key_open_at(chip.tcti, handle, HASH_SHA256, 1u << 4 | 1u << 9, &key,
					  why, sizeof(why)),
			 -EKEYREJECTED);
	assert_null(key.data);
	/* The handle is not given away twice. */
	assert_int_equal(secret_copy(view_text(key_text), &key), 0);
	assert_int_equal(boot_key_seal(chip.tcti, &v, &key, handle, &file, why, sizeof(why)),
			 -EEXIST);
	assert_int_equal(file.len, 0);
	secret_done(&key);
	bytes_done(&first);
	assert_nothing_left(&chip);
}

static void another_tpm_does_not_open_it(void **state)
{
	struct boot_values v = predicted(HASH_SHA256);
	struct bytes file;

	needs_swtpm();
	file = sealed(&chip, &v, 0);
	boot(&other_chip, "kernel", "initrd");
	assert_refused(&other_chip, &file, -ESTALE, "another TPM");
	assert_nothing_left(&other_chip);
	bytes_done(&file);
}

/* Only PEM, description and DER's frame may change and the key still opens. */
static void a_changed_file_gives_nothing_out(void **state)
{
	struct boot_values v = predicted(HASH_SHA256);
	struct boot_key_file f, changed;
	struct bytes file, other = BYTES_INIT(BOOT_KEY_FILE_MAX);
	const char *why;

	needs_swtpm();
	file = sealed(&chip, &v, 0);
	boot(&chip, "kernel", "initrd");
	assert_int_equal(boot_key_file_parse(bytes_view(&file), &f, &why), 0);
	assert_int_equal(f.pcrs, 1u << 4 | 1u << 9 | 1u << BOOT_KEY_DOOR);
	assert_int_equal(f.expected.known, f.pcrs);

	changed = f;
	changed.private.buffer[changed.private.size - 1] ^= 1;
	assert_int_equal(boot_key_file_write(&changed, &other), 0);
	assert_refused(&chip, &other, -ESTALE, "the file was changed");
	bytes_reset(&other);

	/* A policy without PCR 9 is not the object's. */
	changed = f;
	changed.pcrs &= ~(1u << 9);
	assert_int_equal(boot_key_file_write(&changed, &other), 0);
	assert_refused(&chip, &other, -EKEYREJECTED, "does not give the key out");
	bytes_reset(&other);

	/* An object that says of itself that it needs no policy is not the one that was sealed. */
	changed = f;
	changed.public.publicArea.objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
	assert_int_equal(boot_key_file_write(&changed, &other), 0);
	assert_refused(&chip, &other, -ESTALE, "the file was changed");
	bytes_reset(&other);

	/* The description is for people: it opens nothing and keeps nothing shut. */
	changed = f;
	changed.expected.pcr[4].bytes[0] ^= 1;
	assert_int_equal(boot_key_file_write(&changed, &other), 0);
	assert_opens(&chip, &other);
	bytes_done(&other);
	bytes_done(&file);
}

static void what_cannot_be_sealed_is_refused(void **state)
{
	struct boot_values v = predicted(HASH_SHA256), none = { .alg = HASH_SHA256 };
	struct bytes file = BYTES_INIT(BOOT_KEY_FILE_MAX);
	char why[BOOT_KEY_WHY_MAX] = "";
	struct secret key, large, empty = { 0 };

	needs_swtpm();
	assert_int_equal(secret_copy(view_text(key_text), &key), 0);
	assert_int_equal(secret_new(BOOT_KEY_MAX + 1, &large), 0);
	assert_int_equal(boot_key_seal(chip.tcti, &v, &large, 0, &file, why, sizeof(why)),
			 -EMSGSIZE);
	assert_int_equal(boot_key_seal(chip.tcti, &v, &empty, 0, &file, why, sizeof(why)),
			 -EMSGSIZE);
	assert_int_equal(boot_key_seal(chip.tcti, &none, &key, 0, &file, why, sizeof(why)),
			 -EINVAL);
	assert_int_equal(boot_key_seal(chip.tcti, &v, &key, 0x80000001u, &file, why, sizeof(why)),
			 -EINVAL);
	predict(&v, BOOT_KEY_DOOR, "shim");
	assert_int_equal(boot_key_seal(chip.tcti, &v, &key, 0, &file, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "must be zero"));
	/* A bank that the TPM does not have. */
	v = predicted(HASH_SHA384);
	assert_int_equal(boot_key_seal(other_chip.tcti, &v, &key, 0, &file, why, sizeof(why)),
			 -EOPNOTSUPP);
	assert_non_null(strstr(why, "sha384 bank"));
	/* No TPM. */
	assert_int_equal(
		boot_key_seal("swtpm:path=/nonexistent/sock", &v, &key, 0, &file, why, sizeof(why)),
		-ENODEV);
	assert_int_equal(file.len, 0);
	large.len = BOOT_KEY_MAX; /* as much as fits */
	v = predicted(HASH_SHA256);
	assert_int_equal(boot_key_seal(chip.tcti, &v, &large, 0, &file, why, sizeof(why)), 0);
	large.len = BOOT_KEY_MAX + 1;
	secret_done(&large);
	secret_done(&key);
	bytes_done(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_predicted_boot_alone_opens),
		cmocka_unit_test(a_closed_door_stays_closed_until_the_next_boot),
		cmocka_unit_test(a_kept_key_opens_without_a_file),
		cmocka_unit_test(another_tpm_does_not_open_it),
		cmocka_unit_test(a_changed_file_gives_nothing_out),
		cmocka_unit_test(what_cannot_be_sealed_is_refused),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
