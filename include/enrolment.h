/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ENROLMENT_H
#define ASSAY_ENROLMENT_H

#include "bytes.h"
#include "digest.h"

/*
 * What a chip without an endorsed key of its own signs to enrol a machine: a report over
 * this statement says that a guest, which the policy accepts, takes this name in this TLS session.
 * Chips sign its SHA-512 (a TPM's qualifying data: SHA-256), as they do of Claims; no Claims begin
 * with the bytes of its label.
 *
 *	"assay enrolment v1", a zero byte, the exporter value of the session (32), the key name
 */
#define ENROLMENT_LABEL		"assay enrolment v1"
#define ENROLMENT_STATEMENT_MAX 256
#define ENROLMENT_NAME_MIN	16 /* bytes of a name that must not be guessed */

/* exporter must be of EXPORTER_SIZE bytes: -EINVAL. -EMSGSIZE: the name is too long. -ENOMEM. */
MUST_CHECK int enrolment_statement(struct view exporter, struct view key_name, struct bytes *ret);

#endif
