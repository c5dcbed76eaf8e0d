/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_BOOT_VALUES_H
#define ASSAY_BOOT_VALUES_H

#include <stdbool.h>

#include "bytes.h"
#include "digest.h"

/*
 * The values that PCRs will have after a boot that has not happened, from the files that will be
 * booted. Pure. What is measured where, and what these values leave out: docs/boot.md.
 *
 * Firmware: OVMF, which loads the image from a boot option (TCG PC Client Platform Firmware Profile
 * 1.05, 3.3.4). Kernel: Linux, whose EFI stub measures its command line and initrd into PCR 9.
 */

#define BOOT_PCRS 24

#define BOOT_KERNEL_MAX	 (256u * 1024 * 1024)
#define BOOT_INITRD_MAX	 (1024u * 1024 * 1024)
#define BOOT_COMMAND_MAX 2047 /* letters of a command line: Linux, COMMAND_LINE_SIZE on x86 */
#define BOOT_MEMORY_MAX	 (64u * 1024 * 1024) /* MiB */

#define BOOT_PCR_IMAGES	   4  /* what firmware loaded and started */
#define BOOT_PCR_LINUX	   9  /* command line and initrd, by the kernel's EFI stub */
#define BOOT_PCR_IMA	   10 /* by the running kernel */
#define BOOT_PCR_UNIFIED   11 /* sections of a unified kernel image, by its stub */
#define BOOT_PCR_AGGREGATE 10 /* IMA's boot_aggregate is over the PCRs below this one */

struct boot_values {
	enum hash_alg alg;
	uint32_t known; /* bitmap of the PCRs that are in pcr */
	struct digest pcr[BOOT_PCRS];
	bool direct;		   /* of boot_values_direct */
	bool measures_without_tpm; /* the kernel, into the registers of a TEE */
};

/* A kernel that QEMU (7.2, machine q35) hands to the firmware: -kernel, -initrd, -append. */
struct boot_direct {
	struct view kernel, initrd;
	const char *command_line; /* as after -append */
	/*
	 * The machine's memory as after -m; 0: not given. QEMU writes into the kernel where the
	 * initrd goes, so that PCR 4 depends on it; without it PCR 4 is not known.
	 */
	uint32_t memory_mib;
	/* It does not, as from 10.2 on for confidential machines: then PCR 4 is always known. */
	bool kernel_unchanged;
};

/*
 * PCR 4 (with memory_mib or kernel_unchanged), 9 and 11 (zero: no stub). *ret_why says in words
 * that live for ever what is wrong. -EBADMSG: the kernel is no bzImage with an EFI stub that
 * measures; -EMSGSIZE: something is larger than the limits above; -EINVAL: a command line whose
 * measured form is not known: empty, with other letters than printable ASCII, with spaces at an
 * end, or with vga=, which QEMU turns into something else. Errors of digest_of_parts.
 */
MUST_CHECK int boot_values_direct(const struct boot_direct *in, enum hash_alg alg,
				  struct boot_values *ret, const char **ret_why);

/*
 * A unified kernel image with the stub of systemd 252 that the firmware loads from a boot option
 * without a command line of its own. PCR 4, 9 and 11, after which systemd-pcrphase, if it runs,
 * goes on extending PCR 11. secure_boot: the stub then starts the kernel unmeasured, so PCR 4 has
 * the image alone. As above; -EBADMSG also: no such image (another stub, no .linux, .cmdline or
 * .initrd, or a .pcrsig or .pcrpkey, which the stub adds to the initrd).
 */
MUST_CHECK int boot_values_unified(struct view image, bool secure_boot, enum hash_alg alg,
				   struct boot_values *ret, const char **ret_why);

/*
 * RTMR1 and RTMR2 of TDX in the same boot, from the SHA-384 bank. The firmware extends RTMR1 with
 * what it would extend PCR 2 to 6 with, the kernel's stub RTMR2 instead of PCR 9
 * (UEFI 2.10, 38.4.1): RTMR1 is PCR 4 and what firmware says when it hands over to the kernel (PCR
 * 5), and is known for boot_values_direct alone, as a boot from a disk has its partition table
 * there too. Firmware: OVMF of edk2-stable202302 and newer. -ENODATA: not known, for RTMR2 because
 * the kernel does not measure without a TPM; -EINVAL: another bank.
 */
MUST_CHECK int boot_values_rtmr1(const struct boot_values *v, struct digest *ret);
MUST_CHECK int boot_values_rtmr2(const struct boot_values *v, struct digest *ret);

/*
 * IMA's boot_aggregate, the first entry of its list: the digest of PCR 0 to 9 one after the other
 * (Linux 6.1, security/integrity/ima/ima_crypto.c). -ENODATA: not all of them are known.
 */
MUST_CHECK int boot_values_aggregate(const struct boot_values *v, struct digest *ret);

/*
 * PCR 10 into v where IMA measured nothing but boot_aggregate: the kernel has no IMA policy.
 * Template ima-sig, the kernel's default where it can check signatures, as Debian's. -ENODATA as
 * above.
 */
MUST_CHECK int boot_values_ima(struct boot_values *v);

#endif
