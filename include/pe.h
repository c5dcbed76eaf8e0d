/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_PE_H
#define ASSAY_PE_H

#include "bytes.h"
#include "digest.h"

/*
 * A PE32 or PE32+ image, as UEFI firmware sees one: enough of it for the digest that the firmware
 * measures when it loads the image, and for the sections of a unified kernel image. Pure. Nothing
 * in Debian 12 offers this as a library. Microsoft PE format; UEFI 2.10, 2.1.1.
 */

#define PE_FILE_MAX	(1024u * 1024 * 1024) /* bytes of an image */
#define PE_SECTIONS_MAX 96		      /* as the Windows loader has it */
#define PE_NAME_MAX	8		      /* bytes of a section's name */

struct pe_section {
	char name[PE_NAME_MAX + 1];
	uint32_t memory;   /* bytes when loaded */
	struct view bytes; /* in the file */
};

/* Lends from the bytes that it was read from. */
struct pe {
	struct view file;
	size_t checksum_at;    /* 4 bytes, in no digest */
	size_t certificate_at; /* 8 bytes, in no digest: where signatures are; 0: no such entry */
	size_t signatures;     /* bytes of them at the file's end */
	size_t headers;	       /* bytes before the first section */
	size_t n;
	struct pe_section sections[PE_SECTIONS_MAX]; /* in the file's order of their bytes */
};

/*
 * Reads the headers. -EBADMSG: not an image that firmware would load, or more sections than
 * PE_SECTIONS_MAX; *ret_why says what is wrong, in words that live for ever. -EMSGSIZE: more than
 * PE_FILE_MAX bytes (*ret_why as well).
 */
MUST_CHECK int pe_parse(struct view file, struct pe *ret, const char **ret_why);

/*
 * Digest of the image without checksum and signatures (Windows Authenticode Portable Executable
 * Signature Format 1.0, "Calculating the PE Image Hash"), which firmware extends into PCR 4 (TCG PC
 * Client Platform Firmware Profile 1.05, 10.4.1). Errors of digest_of_parts.
 */
MUST_CHECK int pe_authenticode(const struct pe *pe, enum hash_alg alg, struct digest *ret);

/*
 * What a section has when the image is loaded. -ENOENT: there is none, or it is empty; -EBADMSG:
 * several sections' names begin with these letters, or it is larger in memory than in the file
 * (*ret_why).
 */
MUST_CHECK int pe_content(const struct pe *pe, const char *name, struct view *ret,
			  const char **ret_why);

#endif
