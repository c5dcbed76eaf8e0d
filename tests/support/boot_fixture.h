/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_BOOT_FIXTURE_H
#define ASSAY_TESTS_BOOT_FIXTURE_H

#include "bytes.h"
#include "snp_launch.h"
#include "tdx_launch.h"

/* Files to boot, made byte by byte: PE images, a kernel, a unified kernel image. */

/* Where fields are in every image made here. */
#define BOOT_FIXTURE_PE_AT	    0x240
#define BOOT_FIXTURE_SECTIONS_N	    (BOOT_FIXTURE_PE_AT + 6)
#define BOOT_FIXTURE_OPTIONAL_AT    (BOOT_FIXTURE_PE_AT + 24)
#define BOOT_FIXTURE_CHECKSUM_AT    (BOOT_FIXTURE_OPTIONAL_AT + 64)
#define BOOT_FIXTURE_CERTIFICATE_AT (BOOT_FIXTURE_OPTIONAL_AT + 112 + 4 * 8)
#define BOOT_FIXTURE_SECTIONS_AT    (BOOT_FIXTURE_OPTIONAL_AT + 240)
#define BOOT_FIXTURE_HEADERS	    0x600
#define BOOT_FIXTURE_ALIGNED	    0x200 /* sections in the file */

#define BOOT_FIXTURE_STUB "#### LoaderInfo: systemd-stub 252.39-1~deb12u2 ####"

struct boot_section {
	const char *name;
	struct view data;
	uint32_t memory; /* bytes when loaded; 0: as many as there are */
};

/* A PE32+ image. The caller ends *ret with bytes_done; fails the running test. */
void boot_fixture_pe(const struct boot_section *sections, size_t n, struct bytes *ret);

/* Appends so many bytes as signatures, and says so in the headers. */
void boot_fixture_sign(struct bytes *image, size_t size);

/* A kernel with an EFI stub that measures. */
void boot_fixture_kernel(struct bytes *ret);

/* The same of a kernel whose stub measures without a TPM too. */
void boot_fixture_kernel_for_tee(struct bytes *ret);

/* The sections of a unified kernel image, into to[5]: .sdmagic, .osrel, .cmdline, .initrd, .linux.
 */
#define BOOT_FIXTURE_UNIFIED 5
void boot_fixture_unified(const char *command_line, struct view initrd, struct view kernel,
			  struct boot_section to[BOOT_FIXTURE_UNIFIED]);

/*
 * OVMF's end: a page with its table, which says of the metadata where they are and of further
 * processors that they begin at 0x80b004; kernel hashes go to 0x80fc00. Without sections no
 * metadata.
 */
#define BOOT_FIXTURE_FIRMWARE_ENTRY    (32 + 18 + 18) /* size of the entry before the last */
#define BOOT_FIXTURE_FIRMWARE_METADATA 0x400	      /* before the end */
void boot_fixture_firmware(const struct snp_section *sections, size_t n, struct bytes *ret);

/*
 * The same for TDX: a page of which byte i is i * 7 % 251 where neither the table is nor the
 * metadata, and that has no metadata without sections.
 */
void boot_fixture_tdx_firmware(const struct tdx_section *sections, size_t n, struct bytes *ret);

void boot_fixture_put_le16(struct bytes *b, size_t at, uint16_t v);
void boot_fixture_put_le32(struct bytes *b, size_t at, uint32_t v);

#endif
