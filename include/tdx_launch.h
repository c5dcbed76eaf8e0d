/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TDX_LAUNCH_H
#define ASSAY_TDX_LAUNCH_H

#include "bytes.h"
#include "digest.h"

/*
 * MRTD: the measurement that a TDX quote has of the memory which a virtual machine was built of, from
 * the firmware's file: Intel TDX Virtual Firmware Design Guide (344991), 11 (the metadata); TDX Module
 * Base Architecture Specification (348549), TDH.MEM.PAGE.ADD and TDH.MR.EXTEND (what is hashed). In
 * the order in which QEMU and KVM do it: section by section, each page extended right after it is
 * added. Pure.
 */

#define TDX_FIRMWARE_MAX (64u * 1024 * 1024)
#define TDX_SECTIONS_MAX 32
#define TDX_SECTION_MAX	 (16u * 1024 * 1024) /* bytes of memory of one */

/* A part of the guest's memory that is there at its start. */
struct tdx_section {
	uint32_t offset, size; /* in the file; 0 bytes: zeros */
	uint64_t address, memory;
	enum tdx_section_kind {
		TDX_SECTION_CODE = 0,	   /* BFV, the boot firmware volume */
		TDX_SECTION_VARIABLES = 1, /* CFV, the configuration's */
		TDX_SECTION_HOB = 2,
		TDX_SECTION_TEMPORARY = 3,
	} kind;
	uint32_t attributes; /* TDX_SECTION_EXTEND */
};
/* Its content is measured, and not only that it is there. */
#define TDX_SECTION_EXTEND 1u

/* Lends from the bytes that it was read from. */
struct tdx_firmware {
	struct view image;
	size_t n;
	struct tdx_section sections[TDX_SECTIONS_MAX];
};

/*
 * Reads the firmware's metadata. -EBADMSG: no OVMF for TDX, or one with sections that QEMU does not
 * take; -EMSGSIZE: more than TDX_FIRMWARE_MAX; *ret_why says why, in words that live for ever.
 */
MUST_CHECK int tdx_firmware_parse(struct view image, struct tdx_firmware *ret,
				  const char **ret_why);

/* SHA-384, into *ret. Errors of the hasher. */
MUST_CHECK int tdx_firmware_mrtd(const struct tdx_firmware *f, struct digest *ret);

#endif
