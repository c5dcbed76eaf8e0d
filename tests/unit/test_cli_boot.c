/* SPDX-License-Identifier: Apache-2.0 */
/* `assay measure boot`, `seal boot` and `unseal boot` as their users meet them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "boot_key.h"
#include "cleanup.h"
#include "policy.h"
#include "tests/support/boot_fixture.h"
#include "tests/support/command_run.h"
#include "tests/support/swtpm.h"

#define ZERO	"0000000000000000000000000000000000000000000000000000000000000000"
#define MEASURE "/lib/systemd/systemd-measure"
#define DIRECT	"measure", "boot", "--kernel", "kernel", "--initrd", "initrd", "--cmdline", "quiet"
#define UNIFIED "measure", "boot", "--uki", "uki"
#define SEAL	"seal", "boot", "--uki", "uki"

#define LAUNCH "--firmware", "firmware", "--vcpus", "2", "--cpu", "25,1,1"
#define TDX    "--tdx-firmware", "tdx-firmware"
#define IN_A_TD                                                                                    \
	"measure", "boot", "--kernel", "tee-kernel", "--initrd", "initrd", "--cmdline", "quiet", TDX

static char directory[] = P_tmpdir "/assay-test-boot-XXXXXX";

static const struct command_run assay = { .program = ASSAY_PROGRAM, .input = "key" };

#define RUN(...) command_run(&assay, (const char *const[]){ __VA_ARGS__, NULL })

static void write_file(const char *name, struct view v)
{
	FILE *f = fopen(name, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(v.data, 1, v.len, f), v.len);
	assert_int_equal(fclose(f), 0);
}

static const struct snp_section launch_sections[] = {
	{ 0x800000, 0x9000, SNP_SECTION_ZERO },
	{ 0x80d000, 0x1000, SNP_SECTION_SECRETS },
	{ 0x80e000, 0x1000, SNP_SECTION_CPUID },
	{ 0x80f000, 0x1000, SNP_SECTION_KERNEL_HASHES },
};

static const struct tdx_section tdx_sections[] = {
	{ 0, 0x1000, 0xfffff000, 0x1000, TDX_SECTION_CODE, TDX_SECTION_EXTEND },
	{ 0, 0, 0x809000, 0x2000, TDX_SECTION_HOB, 0 },
};

static int start(void **state)
{
	struct boot_section sections[BOOT_FIXTURE_UNIFIED];
	struct bytes kernel, image, firmware;

	if (!mkdtemp(directory) || chdir(directory) < 0)
		return neg_errno();
	boot_fixture_kernel(&kernel);
	boot_fixture_unified("quiet", view_text("made initrd"), bytes_view(&kernel), sections);
	boot_fixture_pe(sections, BOOT_FIXTURE_UNIFIED, &image);
	write_file("kernel", bytes_view(&kernel));
	write_file("uki", bytes_view(&image));
	write_file("initrd", view_text("made initrd"));
	write_file("cmdline", view_text("quiet"));
	write_file("osrel", view_text("ID=made\n"));
	write_file("key", view_text("a key"));
	bytes_done(&image);
	boot_fixture_kernel_for_tee(&image);
	write_file("tee-kernel", bytes_view(&image));
	bytes_done(&image);
	boot_fixture_firmware(launch_sections, ARRAY_LEN(launch_sections), &firmware);
	write_file("firmware", bytes_view(&firmware));
	boot_fixture_firmware(launch_sections, 3, &image);
	write_file("no-hashes", bytes_view(&image));
	bytes_done(&image);
	boot_fixture_tdx_firmware(tdx_sections, ARRAY_LEN(tdx_sections), &image);
	write_file("tdx-firmware", bytes_view(&image));
	bytes_done(&kernel);
	bytes_done(&image);
	bytes_done(&firmware);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int stop(void **state)
{
	if (chdir("/") < 0)
		return neg_errno();
	return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* What --policy prints is a policy as it stands, with the values that --json gives. */
static void the_policy_is_one(void **state)
{
	const struct digest *values;
	char hex[DIGEST_HEX_MAX];
	struct policy *p = NULL;
	struct bytes text;
	char *error = NULL;

	assert_int_equal(RUN(UNIFIED, "--policy", "--application", "payroll", "--pcr", "7=" ZERO),
			 0);
	text = command_file("out");
	if (policy_parse(bytes_view(&text), "out", &p, &error) != 0)
		fail_msg("%s", error);
	assert_string_equal(policy_application(p), "payroll");
	assert_true(policy_allows_platform(p, "tpm"));
	assert_int_equal(policy_tpm_bank(p), HASH_SHA256);
	assert_int_equal(RUN(UNIFIED, "--json", "--pcr", "7=" ZERO), 0);
	for (unsigned int i = 0; i < BOOT_PCRS; i++) {
		bool known = i == 4 || i == 7 || i == 9 || i == 11;

		assert_int_equal(policy_tpm_pcr(p, i, &values), known);
		if (known)
			assert_true(command_file_has("out", digest_hex(&values[0], hex)));
	}
	policy_free(p);
	bytes_done(&text);

	/* The other bank, which the policy then names. */
	assert_int_equal(RUN(UNIFIED, "--policy", "--bank", "sha384"), 0);
	text = command_file("out");
	assert_int_equal(policy_parse(bytes_view(&text), "out", &p, &error), 0);
	assert_int_equal(policy_tpm_bank(p), HASH_SHA384);
	assert_int_equal(policy_tpm_pcr(p, 11, &values), 1);
	policy_free(p);
	bytes_done(&text);
}

static void pcr_11_is_as_systemd_predicts_it(void **state)
{
	struct bytes theirs;
	char *hex;

	if (access(MEASURE, X_OK) != 0) {
		print_message("skipped: there is no " MEASURE "\n");
		skip();
	}
	assert_int_equal(
		command_run(&(struct command_run){ .program = MEASURE },
			    (const char *const[]){ "calculate", "--linux=kernel", "--osrel=osrel",
						   "--cmdline=cmdline", "--initrd=initrd",
						   "--bank=sha256", "--phase=:", NULL }),
		0);
	theirs = command_file("out");
	assert_int_equal(bytes_append_u8(&theirs, 0), 0);
	hex = strstr((char *)theirs.data, "sha256=");
	assert_non_null(hex);
	hex += strlen("sha256=");
	hex[64] = '\0';
	assert_int_equal(RUN(UNIFIED), 0);
	assert_true(command_file_has("out", hex));
	bytes_done(&theirs);
}

static void memory_decides_pcr_4(void **state)
{
	assert_int_equal(RUN(DIRECT), 0);
	assert_false(command_file_has("out", "sha256  4"));
	assert_true(command_file_has("err", "PCR 4 is left out"));
	assert_true(command_file_has("out", "sha256  9"));
	/* As computed from pesign's digest in test_boot_values.c, over the events. */
	assert_int_equal(RUN(DIRECT, "--memory", "512"), 0);
	assert_true(command_file_has(
		"out", "2fbdf6ded1beb645dd48134ccb455d5ce4c0add4fce483818ce23f922e6c0b92"));
	assert_int_equal(RUN(DIRECT, "--memory", "4096"), 0);
	assert_true(command_file_has(
		"out", "8ab22a6f4ced4a016b05bf617e410e1161d3c044a5bab7264cad941de8e6feb9"));
}

static void all_below_ten_give_the_aggregate(void **state)
{
	assert_int_equal(RUN(UNIFIED, "--pcr", "0=" ZERO, "--pcr", "1=" ZERO, "--pcr", "2=" ZERO,
			     "--pcr", "3=" ZERO, "--pcr", "5=" ZERO, "--pcr", "6=" ZERO, "--pcr",
			     "7=" ZERO),
			 0);
	assert_false(command_file_has("out", "boot_aggregate"));
	assert_int_equal(RUN(UNIFIED, "--pcr", "0=" ZERO, "--pcr", "1=" ZERO, "--pcr", "2=" ZERO,
			     "--pcr", "3=" ZERO, "--pcr", "5=" ZERO, "--pcr", "6=" ZERO, "--pcr",
			     "7=" ZERO, "--pcr", "8=" ZERO),
			 0);
	assert_true(command_file_has("out", "boot_aggregate"));
	assert_true(command_file_has("out", "sha256 10  "));
}

/* The measurement of a launch is the library's, in all three forms, and a policy takes it. */
static void a_launch_is_measured(void **state)
{
	const struct snp_launch with = { .vcpus = 2,
					 .cpu_signature = snp_cpu_signature(25, 1, 1),
					 .has_kernel = true,
					 .initrd = view_text("made initrd"),
					 .command_line = "quiet" };
	const struct policy_snp *snp;
	struct snp_launch in = with;
	char hex[DIGEST_HEX_MAX], *error = NULL;
	struct bytes image = command_file("firmware"), kernel = command_file("kernel"), text;
	struct policy *p = NULL;
	struct snp_firmware f;
	struct digest pages, d;
	const char *why;

	in.kernel = bytes_view(&kernel);
	assert_int_equal(snp_firmware_parse(bytes_view(&image), &f, &why), 0);
	assert_int_equal(snp_firmware_digest(&f, &pages), 0);
	assert_int_equal(snp_launch_digest(&f, &pages, &in, &d, &why), 0);
	digest_hex(&d, hex);
	assert_int_equal(RUN(DIRECT, LAUNCH), 0);
	assert_true(command_file_has("out", hex));
	assert_int_equal(RUN(DIRECT, LAUNCH, "--json"), 0);
	assert_true(command_file_has("out", hex));
	assert_int_equal(RUN(DIRECT, LAUNCH, "--policy"), 0);
	text = command_file("out");
	if (policy_parse(bytes_view(&text), "out", &p, &error) != 0)
		fail_msg("%s", error);
	assert_true(policy_allows_platform(p, "sev-snp"));
	snp = policy_sev_snp(p);
	assert_int_equal(snp->measurement.n, 1);
	assert_memory_equal(snp->measurement.bytes, d.bytes, 48);
	policy_free(p);
	bytes_done(&text);

	/* A unified image comes from the disk: the launch has no kernel. */
	in.has_kernel = false;
	assert_int_equal(snp_launch_digest(&f, &pages, &in, &d, &why), 0);
	assert_int_equal(RUN(UNIFIED, LAUNCH), 0);
	assert_true(command_file_has("out", digest_hex(&d, hex)));
	bytes_done(&image);
	bytes_done(&kernel);
}

/* The same of MRTD, also beside SEV-SNP. */
static void mrtd_is_measured(void **state)
{
	struct bytes image = command_file("tdx-firmware"), text;
	char hex[DIGEST_HEX_MAX], *error = NULL;
	struct policy *p = NULL;
	struct tdx_firmware f;
	const char *why;
	struct digest d;

	assert_int_equal(tdx_firmware_parse(bytes_view(&image), &f, &why), 0);
	assert_int_equal(tdx_firmware_mrtd(&f, &d), 0);
	digest_hex(&d, hex);
	assert_int_equal(RUN(UNIFIED, TDX), 0);
	assert_true(command_file_has("out", hex));
	assert_int_equal(RUN(UNIFIED, TDX, "--json"), 0);
	assert_true(command_file_has("out", hex));
	assert_false(command_file_has("out", "sev_snp"));
	assert_int_equal(RUN(UNIFIED, TDX, LAUNCH, "--policy"), 0);
	assert_true(command_file_has("out", hex));
	text = command_file("out");
	if (policy_parse(bytes_view(&text), "out", &p, &error) != 0)
		fail_msg("%s", error);
	assert_true(policy_allows_platform(p, "tdx"));
	assert_true(policy_allows_platform(p, "sev-snp"));
	policy_free(p);
	bytes_done(&text);
	bytes_done(&image);
}

/* In all three forms, and what is left out is named. */
static void registers_of_a_td_are_predicted(void **state)
{
	struct bytes kernel = command_file("tee-kernel"), text;
	struct boot_direct in = { .kernel = bytes_view(&kernel),
				  .initrd = view_text("made initrd"),
				  .command_line = "quiet",
				  .memory_mib = 512 };
	char as_it_is[DIGEST_HEX_MAX], changed[DIGEST_HEX_MAX], second[DIGEST_HEX_MAX];
	const struct digest *accepted;
	struct boot_values v;
	char *error = NULL;
	struct policy *p;
	const char *why;
	struct digest d;

	assert_int_equal(boot_values_direct(&in, HASH_SHA384, &v, &why), 0);
	assert_int_equal(boot_values_rtmr1(&v, &d), 0);
	digest_hex(&d, changed);
	in.kernel_unchanged = true;
	assert_int_equal(boot_values_direct(&in, HASH_SHA384, &v, &why), 0);
	assert_int_equal(boot_values_rtmr1(&v, &d), 0);
	digest_hex(&d, as_it_is);
	assert_int_equal(boot_values_rtmr2(&v, &d), 0);
	digest_hex(&d, second);

	assert_int_equal(RUN(IN_A_TD), 0);
	assert_true(command_file_has("out", as_it_is));
	assert_false(command_file_has("out", changed));
	assert_true(command_file_has("out", second));
	assert_int_equal(RUN(IN_A_TD, "--memory", "512", "--json"), 0);
	assert_true(command_file_has("out", as_it_is));
	assert_true(command_file_has("out", changed));
	assert_true(command_file_has("out", second));
	assert_int_equal(RUN(IN_A_TD, "--memory", "512", "--policy"), 0);
	text = command_file("out");
	if (policy_parse(bytes_view(&text), "out", &p, &error) != 0)
		fail_msg("%s", error);
	assert_int_equal(policy_tdx_register(p, POLICY_TDX_RTMR1, &accepted), 2);
	assert_int_equal(policy_tdx_register(p, POLICY_TDX_RTMR2, &accepted), 1);
	assert_memory_equal(accepted->bytes, d.bytes, 48);
	policy_free(p);
	bytes_done(&text);

	assert_int_equal(RUN(UNIFIED, TDX), 0);
	assert_true(command_file_has("err", "RTMR1 is left out"));
	assert_true(command_file_has("err", "RTMR2 is left out"));
	assert_false(command_file_has("out", "rtmr"));
	bytes_done(&kernel);
}

static const struct {
	const char *what;
	const char *args[COMMAND_ARGS_MAX];
	int status;
	const char *says; /* on standard error, or with status 0 on standard output */
} uses[] = {
	{ "help", { "measure", "boot", "--help" }, 0, "--secure-boot" },
	{ "nothing to boot", { "measure", "boot" }, 2, "what will be booted?" },
	{ "a kernel alone", { "measure", "boot", "--kernel", "kernel" }, 2, "needs --initrd" },
	{ "both kinds", { UNIFIED, "--initrd", "initrd" }, 2, "in it" },
	{ "memory of an image", { UNIFIED, "--memory", "512" }, 2, "in it" },
	{ "Secure Boot and QEMU's kernel", { DIRECT, "--secure-boot" }, 2, "--secure-boot is for" },
	{ "memory that is none", { DIRECT, "--memory", "1G" }, 2, "expected MiB" },
	{ "a bank that is none", { UNIFIED, "--bank", "md5" }, 2, "--bank: expected" },
	{ "a bank twice", { UNIFIED, "--bank", "sha256,sha256" }, 2, "each once" },
	{ "two banks in one policy", { UNIFIED, "--bank", "sha256,sha384", "-p" }, 2, "one bank" },
	{ "both outputs", { UNIFIED, "--policy", "--json" }, 2, "either --policy or --json" },
	{ "a value that is predicted", { UNIFIED, "--pcr", "9=" ZERO }, 2, "PCR 9 is predicted" },
	{ "a value twice", { UNIFIED, "--pcr", "7=" ZERO, "--pcr", "7=" ZERO }, 2, "given twice" },
	{ "a value too short", { UNIFIED, "--pcr", "7=00" }, 2, "64 hex digits" },
	{ "a PCR that is none", { UNIFIED, "--pcr", "24=" ZERO }, 2, "expected N=HEX" },
	{ "a PCR below none", { UNIFIED, "--pcr", "-1=" ZERO }, 2, "expected N=HEX" },
	{ "no PCR", { UNIFIED, "--pcr", "=" ZERO }, 2, "expected N=HEX" },
	{ "a name that is none", { UNIFIED, "-p", "--application", "a b\"" }, 2, "not the name" },
	{ "an argument too many", { UNIFIED, "uki" }, 2, "unexpected argument" },
	{ "no such image", { "measure", "boot", "--uki", "absent" }, 3, "absent: No such file" },
	{ "no image", { "measure", "boot", "--uki", "initrd" }, 3, "initrd: it is not a PE image" },
	{ "a kernel alone as image", { "measure", "boot", "--uki", "kernel" }, 3, ".sdmagic" },
	{ "a kernel that is none",
	  { "measure", "boot", "--kernel", "initrd", "--initrd", "initrd", "--cmdline", "a" },
	  3,
	  "not a bzImage" },
	{ "a command line with a newline",
	  { "measure", "boot", "--kernel", "kernel", "--initrd", "initrd", "--cmdline", "a\n" },
	  2,
	  "printable ASCII" },
	{ "firmware alone", { UNIFIED, "--firmware", "firmware" }, 2, "go together" },
	{ "processors alone", { UNIFIED, "--vcpus", "2" }, 2, "go together" },
	{ "no processors", { UNIFIED, "--vcpus", "0" }, 2, "--vcpus: expected" },
	{ "half a processor", { UNIFIED, "--cpu", "25,1" }, 2, "--cpu: expected" },
	{ "a processor that is none", { UNIFIED, "--cpu", "25,1,16" }, 2, "--cpu: expected" },
	{ "firmware that is none",
	  { UNIFIED, "--firmware", "kernel", "--vcpus", "1", "--cpu", "25,1,1" },
	  3,
	  "kernel: the firmware" },
	{ "firmware that takes no kernel",
	  { DIRECT, "--firmware", "no-hashes", "--vcpus", "1", "--cpu", "25,1,1" },
	  2,
	  "no place for a kernel" },
	{ "no firmware for TDX", { UNIFIED, "--tdx-firmware", "firmware" }, 3, "not made for TDX" },
	{ "firmware that is absent",
	  { UNIFIED, "--tdx-firmware", "absent" },
	  3,
	  "absent: No such" },
	{ "sealing no key", { SEAL, "-o", "x" }, 2, "which key" },
	{ "sealing to nowhere", { SEAL, "--key", "key" }, 2, "where does it go?" },
	{ "sealing what is not there",
	  { SEAL, "--key", "absent", "-o", "x" },
	  3,
	  "absent: No such" },
	{ "sealing too much", { SEAL, "--key", "kernel", "-o", "x" }, 2, "1 to 128 bytes" },
	{ "sealing to what is not known",
	  { SEAL, "--key", "key", "-o", "x", "--pcrs", "4,7" },
	  2,
	  "PCR 7 is not predicted" },
	{ "PCRs that are none", { SEAL, "--key", "key", "-o", "x", "--pcrs", "4," }, 2, "--pcrs:" },
	{ "a handle that is none",
	  { SEAL, "--key", "key", "--handle", "81000001" },
	  2,
	  "--handle:" },
	{ "a handle past its range",
	  { SEAL, "--key", "key", "--handle", "0x81800000" },
	  2,
	  "--handle:" },
	{ "no TPM",
	  { SEAL, "--key", "key", "-o", "x", "--tcti", "swtpm:path=/nonexistent/s" },
	  3,
	  "cannot talk to a TPM" },
	{ "unsealing nothing", { "unseal", "boot" }, 2, "which key?" },
	{ "unsealing two", { "unseal", "boot", "x", "--handle", "0x81000001" }, 2, "which key?" },
	{ "a handle without PCRs", { "unseal", "boot", "--handle", "0x81000001" }, 2, "--pcrs" },
	{ "unsealing what is none", { "unseal", "boot", "initrd" }, 3, "not a TPM 2.0 key file" },
	{ "unsealing what is not there", { "unseal", "boot", "absent" }, 3, "absent: No such" },
};

static void wrong_use_is_named(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
		int status = command_run(&assay, uses[i].args);

		if (status != uses[i].status ||
		    !command_file_has(status ? "err" : "out", uses[i].says))
			fail_msg("%s: %d", uses[i].what, status);
		if (access("x", F_OK) == 0)
			fail_msg("%s: it left a file", uses[i].what);
	}
}

/* From the command line to the TPM and back; what refuses when is chip_boot_key's. */
static void a_key_goes_round(void **state)
{
	struct swtpm chip;
	struct bytes key;
	int r = swtpm_start("sha256", &chip);

	if (r == -ENOENT) {
		print_message("skipped: there is no swtpm on this machine\n");
		skip();
	}
	assert_int_equal(r, 0);
	/* This TPM saw no boot, so it does not open; its PCR 7 alone is as given. */
	assert_int_equal(RUN(SEAL, "--key", "-", "-o", "sealed", "--tcti", chip.tcti), 0);
	assert_true(command_file_has("err", "sealed to sha256 PCR 4 9 11, and 14"));
	assert_false(command_file_has("sealed", "a key"));
	assert_int_equal(RUN("unseal", "boot", "sealed", "--tcti", chip.tcti), 1);
	assert_true(command_file_has("err", "PCR 4 is 0000"));
	key = command_file("out");
	assert_int_equal(key.len, 0);
	bytes_done(&key);

	assert_int_equal(RUN(SEAL, "--key", "key", "-o", "sealed", "--handle", "0x81000007",
			     "--pcr", "7=" ZERO, "--pcrs", "7", "--tcti", chip.tcti),
			 0);
	assert_int_equal(RUN("unseal", "boot", "--handle", "0x81000007", "--pcrs", "7",
			     "--leave-open", "--tcti", chip.tcti),
			 0);
	key = command_file("out");
	assert_true(view_is(bytes_view(&key), "a key"));
	bytes_done(&key);
	/* Once, where --leave-open is not said. */
	assert_int_equal(RUN("unseal", "boot", "sealed", "-o", "opened", "--tcti", chip.tcti), 0);
	key = command_file("opened");
	assert_true(view_is(bytes_view(&key), "a key"));
	bytes_done(&key);
	assert_int_equal(RUN("unseal", "boot", "sealed", "--tcti", chip.tcti), 1);
	assert_true(command_file_has("err", "the door is closed"));
	swtpm_stop(&chip);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_policy_is_one),
		cmocka_unit_test(pcr_11_is_as_systemd_predicts_it),
		cmocka_unit_test(memory_decides_pcr_4),
		cmocka_unit_test(all_below_ten_give_the_aggregate),
		cmocka_unit_test(a_launch_is_measured),
		cmocka_unit_test(mrtd_is_measured),
		cmocka_unit_test(registers_of_a_td_are_predicted),
		cmocka_unit_test(wrong_use_is_named),
		cmocka_unit_test(a_key_goes_round),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
