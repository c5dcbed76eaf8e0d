/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_SWTPM_H
#define ASSAY_TESTS_SWTPM_H

#include <sys/types.h>

#include "bytes.h"

/* A TPM 2.0 in software, one's own: its state, CA and sockets are in a directory that ends with it.
 */
struct swtpm {
	char directory[64];
	char tcti[128]; /* its TCTI string */
	pid_t pid;
};

/*
 * Makes one with these PCR banks ("sha256", "sha256,sha384"), with an EK certificate of its
 * own CA, and starts it. -ENOENT: there is no swtpm on this machine.
 */
MUST_CHECK int swtpm_start(const char *banks, struct swtpm *ret);

/* Ends it and removes all of it. */
void swtpm_stop(struct swtpm *s);

/* PEM of its CA: the root and the issuing certificate. */
MUST_CHECK int swtpm_roots(const struct swtpm *s, struct bytes *ret);

/* A path in its directory, for a test's own files. */
void swtpm_path(const struct swtpm *s, const char *name, char *to, size_t size);

#endif
