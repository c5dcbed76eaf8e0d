/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CORE_LINUX_IMAGE_H
#define ASSAY_CORE_LINUX_IMAGE_H

#include <stdbool.h>

#include "bytes.h"

/* A Linux kernel for x86 (bzImage): Linux, Documentation/arch/x86/boot.rst. */

/*
 * Looks whether it is one, of boot protocol 2.12 or newer, with an EFI stub that measures command
 * line and initrd into PCR 9. -EBADMSG; -EMSGSIZE: more than BOOT_KERNEL_MAX; *ret_why.
 */
MUST_CHECK int linux_image_check(struct view image, const char **ret_why);

/*
 * Whether the EFI stub of an image that passed the check measures into the registers of a TEE where
 * there is no TPM: efi_measure_tagged_event of drivers/firmware/efi/libstub, in Linux 6.12 and not
 * in 6.1.
 */
bool linux_image_measures_without_tpm(struct view image);

/*
 * Changes an image that passed the check as QEMU 7.2 (hw/i386/x86.c, x86_load_linux) does on a q35
 * machine before the firmware sees it. -EINVAL: the initrd does not fit into the memory; *ret_why.
 */
MUST_CHECK int linux_image_as_qemu_loads(uint8_t *image, size_t len, uint32_t initrd_size,
					 uint32_t memory_mib, const char **ret_why);

#endif
