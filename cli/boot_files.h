/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_BOOT_FILES_H
#define ASSAY_CLI_BOOT_FILES_H

#include <getopt.h>

#include "boot_values.h"

/* What will be booted, as the command line says it: of `assay measure boot` and `assay seal boot`.
 */

/* Their options, for getopt_long; boot_files_option takes what it returns for them. */
enum {
	BOOT_FILES_KERNEL = 0x100,
	BOOT_FILES_INITRD,
	BOOT_FILES_CMDLINE,
	BOOT_FILES_MEMORY,
	BOOT_FILES_UKI,
	BOOT_FILES_SECURE_BOOT,
	BOOT_FILES_PCR,
	BOOT_FILES_OTHER, /* the command's own begin here */
};

/* clang-format off */
#define BOOT_FILES_OPTIONS                                                                         \
	{ "kernel", required_argument, NULL, BOOT_FILES_KERNEL },                                  \
	{ "initrd", required_argument, NULL, BOOT_FILES_INITRD },                                  \
	{ "cmdline", required_argument, NULL, BOOT_FILES_CMDLINE },                                \
	{ "memory", required_argument, NULL, BOOT_FILES_MEMORY },                                  \
	{ "uki", required_argument, NULL, BOOT_FILES_UKI },                                        \
	{ "secure-boot", no_argument, NULL, BOOT_FILES_SECURE_BOOT },                              \
	{ "pcr", required_argument, NULL, BOOT_FILES_PCR }
/* clang-format on */

#define BOOT_FILES_ARGUMENTS                                                                       \
	"--kernel FILE --initrd FILE --cmdline TEXT [--memory MIB] | --uki FILE [--secure-boot]"

#define BOOT_FILES_HELP                                                                            \
	"      --kernel FILE     a kernel that QEMU hands to the firmware (-kernel)\n"             \
	"      --initrd FILE     its initrd (-initrd)\n"                                           \
	"      --cmdline TEXT    its command line (-append)\n"                                     \
	"      --memory MIB      the machine's memory (-m), on which PCR 4 then depends; "         \
	"without\n"                                                                                \
	"                        it PCR 4 is left out\n"                                           \
	"      --uki FILE        or a unified kernel image, as it is on the disk (signed)\n"       \
	"      --secure-boot     with Secure Boot the firmware measures the image alone\n"         \
	"      --pcr N=HEX       the value of a PCR that is not predicted; once for each\n"

#define BOOT_FILES_GIVEN_MAX BOOT_PCRS

struct boot_files {
	const char *kernel, *initrd, *cmdline, *uki; /* lent from argv */
	uint64_t memory_mib;
	bool kernel_unchanged; /* see struct boot_direct */
	bool secure_boot;
	size_t n_given;
	const char *given[BOOT_FILES_GIVEN_MAX]; /* "7=HEX" */
};

/*
 * Takes an option. 1: it is one of these; 0: it is another one; -EINVAL: its argument is wrong
 * (a message was printed).
 */
MUST_CHECK int boot_files_option(struct boot_files *f, int option, const char *argument);

/* What is missing or too much; NULL: nothing. */
const char *boot_files_wrong(const struct boot_files *f);

/* A file of at most max bytes into *ret, which the caller ends. Says what is wrong. */
MUST_CHECK int boot_files_read(const char *path, size_t max, struct bytes *ret);

/*
 * Reads the files and predicts, in one bank; the PCRs given are added. Messages on standard error.
 * Returns the exit status.
 */
MUST_CHECK int boot_files_values(const struct boot_files *f, enum hash_alg bank,
				 struct boot_values *ret);

#endif
