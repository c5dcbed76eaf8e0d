/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_BOOT_KEY_OPTIONS_H
#define ASSAY_CLI_BOOT_KEY_OPTIONS_H

#include <getopt.h>

#include "boot_files.h"
#include "boot_key.h"

/* What `assay seal boot` and `assay unseal boot` have in common. */

struct boot_key_request {
	struct boot_files files;
	enum hash_alg bank;
	uint32_t pcrs, handle; /* 0: not given */
	const char *tcti, *key, *sealed, *out;
	bool leave_open;
};

enum {
	BOOT_KEY_BANK = BOOT_FILES_OTHER,
	BOOT_KEY_PCRS,
	BOOT_KEY_HANDLE,
	BOOT_KEY_TCTI,
	BOOT_KEY_KEY,
	BOOT_KEY_LEAVE_OPEN,
};

/* clang-format off */
#define BOOT_KEY_OPTIONS                                                                           \
	{ "bank", required_argument, NULL, BOOT_KEY_BANK },                                        \
	{ "pcrs", required_argument, NULL, BOOT_KEY_PCRS },                                        \
	{ "handle", required_argument, NULL, BOOT_KEY_HANDLE },                                    \
	{ "tcti", required_argument, NULL, BOOT_KEY_TCTI },                                        \
	{ "output", required_argument, NULL, 'o' },                                                \
	{ "help", no_argument, NULL, 'h' }
/* clang-format on */

#define BOOT_KEY_TPM_HELP                                                                          \
	"      --tcti TEXT       the TPM, device:/dev/tpmrm0 where this is not given\n"

/*
 * Takes what getopt_long returned. 1: it is one of these; 0: it is another one; -EINVAL: its
 * argument is wrong (a message was printed).
 */
MUST_CHECK int boot_key_option(struct boot_key_request *q, int option);

/* Says what failed, and how: EXIT_ENVIRONMENT. */
int boot_key_failed(int r, const char *what, const char *why);

/* To a file (mode 0600) or standard output (NULL). Returns the exit status. */
MUST_CHECK int boot_key_write(const char *path, struct view content);

/* Does the work with memory for secrets. Returns the exit status. */
int boot_key_with_heap(int (*work)(const struct boot_key_request *q),
		       const struct boot_key_request *q);

#endif
