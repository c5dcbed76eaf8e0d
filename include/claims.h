/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLAIMS_H
#define ASSAY_CLAIMS_H

#include "arena.h"
#include "bytes.h"
#include "digest.h"
#include "session.pb-c.h"

/* Claims: what one measurement claims, and what a chip signs of it. docs/protocol.md */

#define CLAIMS_VERSION  1
#define CLAIMS_MAX      (16 * 1024)
#define CLAIMS_RAW_MAX  (8 * 1024) /* of M, where M = MI */
#define NONCE_SIZE      32
#define EXPORTER_SIZE   32
#define CHANNEL_KEY_SIZE 32
#define RUN_ID_SIZE     16
#define BOOT_ID_SIZE    16
#define REPORT_DATA_SIZE 64
#define QUALIFYING_SIZE 32
#define APPLICATION_NAME_MAX 64
#define STAGE_MAX       4096

/* RFC 9266, section 4.2: label of the tls-exporter channel binding. */
#define EXPORTER_LABEL "EXPORTER-Channel-Binding"

/* Challenge.reason of the demand that tells an attester that its application was readmitted. */
#define CHALLENGE_READMITTED "readmitted"

/* Serialises. -EMSGSIZE past CLAIMS_MAX. */
MUST_CHECK int claims_pack(const Assay__Claims *claims, struct bytes *ret);

/*
 * The Claims in these bytes, in the arena, with every field's size, the version
 * and the application's name checked. -EBADMSG otherwise; *ret_why (may be NULL)
 * then says which field, in words that live for ever.
 */
MUST_CHECK int claims_unpack(struct view packed, struct arena *arena, Assay__Claims **ret,
			     const char **ret_why);

/* SHA-512 of serialised Claims: the chip's report data, the chain, the additional data of HPKE. */
MUST_CHECK int claims_hash(struct view packed, struct digest *ret);

/* SHA-256 of serialised Claims: a TPM's qualifying data. */
MUST_CHECK int claims_qualifying(struct view packed, struct digest *ret);

/* M of these MI bytes: SHA-384 of them. */
MUST_CHECK int claims_m(struct view mi, struct digest *ret);

/* What is extended into a runtime register for M: SHA-256 of it. */
MUST_CHECK int claims_runtime(struct view m, struct digest *ret);

/*
 * Extends such a digest as the runtime register does: a register of another algorithm takes that
 * one's hash of the 32 bytes. -ENOMEM.
 */
MUST_CHECK int claims_runtime_extend(struct digest *reg, struct view entry);

/* True for a name of 1 to APPLICATION_NAME_MAX letters, digits, '.', '_' and '-', no '.' first. */
bool application_name_valid(const char *name);

#endif
