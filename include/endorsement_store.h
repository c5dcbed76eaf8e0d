/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ENDORSEMENT_STORE_H
#define ASSAY_ENDORSEMENT_STORE_H

#include "digest.h"
#include "endorsements.h"
#include "session.pb-c.h"

/*
 * Endorsements (RFC 9334) that are kept: a directory, or a bundle that is a tar file of one,
 *
 *	PLATFORM/SHA256.der	a certificate, a revocation list, a public key
 *	PLATFORM/SHA256.json	TCB info or QE identity, as Intel's PCS serves them
 *	PLATFORM/SHA256.bin	what has a form of the platform's own
 *
 * each file one endorsement, named by the SHA-256 of its bytes, so that a damaged one is seen. What
 * it is for (chip, TCB, times) is read from it and stands nowhere else. Nothing in the store
 * is believed: whoever uses an endorsement checks who signed it.
 */

#define ENDORSEMENT_STORE_MAX	    65536
#define ENDORSEMENT_STORE_BYTES_MAX (256 * 1024 * 1024)
#define ENDORSEMENT_CHIP_MAX	    64
#define ENDORSEMENT_TCB_MAX	    16
#define ENDORSEMENT_WHAT_MAX	    80
#define ENDORSEMENT_NAME_MAX	    96
#define ENDORSEMENT_PROBLEMS_MAX    64

/* What an endorsement is for, as it says itself. */
struct endorsement_key {
	const char *platform; /* "tdx", "sev-snp", "cca" ..., "other" */
	char what[ENDORSEMENT_WHAT_MAX]; /* for people: "VCEK of Milan-B0", "CRL of CN=..." */
	uint8_t chip[ENDORSEMENT_CHIP_MAX]; /* SNP: HWID; TDX: FMSPC of TCB info */
	size_t chip_len;		    /* 0: of no one chip */
	uint8_t tcb[ENDORSEMENT_TCB_MAX];   /* SNP: TCB_VERSION of a VCEK or VLEK */
	size_t tcb_len;
	int64_t from, until;		    /* seconds since 1970; both 0: it has no times */
	/*
	 * Of those of one series (a CA's lists, the TCB info of one FMSPC) the newest counts. size
	 * 0: it is of no series.
	 */
	struct digest series;
};

/* -EBADMSG: it says that it is one thing and is not; *ret_why says why, in words that live for ever. */
MUST_CHECK int endorsement_key_read(const struct endorsement *e, struct endorsement_key *ret,
				    const char **ret_why);

/* "SHA256.der" and so on. -ENOMEM. */
MUST_CHECK int endorsement_name(const struct endorsement *e, char ret[ENDORSEMENT_NAME_MAX]);

struct endorsement_store;

struct endorsement_entry {
	struct endorsement_key key;
	struct endorsement item;
	char name[ENDORSEMENT_NAME_MAX];
};

MUST_CHECK int endorsement_store_new(struct endorsement_store **ret);
void endorsement_store_free(struct endorsement_store *s);

/*
 * Reads a directory, or a tar file. What in it is none, or damaged, is left out with a
 * problem (endorsement_store_problem); the rest counts. A negative errno: it cannot be read
 * (-ENOENT: it is not there), or -EMSGSIZE: more than a store holds.
 */
MUST_CHECK int endorsement_store_read(struct endorsement_store *s, const char *path);

/*
 * The files of a directory as they are, for whoever is to judge them elsewhere: each one's bytes, or
 * why it was left out. What file returns ends the reading when it is negative.
 */
struct endorsement_files_sink {
	/* path names it in a log, name is its own; all lent for the call. */
	int (*file)(void *arg, const char *path, const char *name, struct view content);
	void (*left_out)(void *arg, const char *path, const char *why);
	void *arg;
};
/* Errors as of endorsement_store_read, and file's. */
MUST_CHECK int endorsement_files_read(const char *directory,
				      const struct endorsement_files_sink *to);

/* As of a tar file's bytes; name names it in problems. Errors as above; -EBADMSG: not a tar file. */
MUST_CHECK int endorsement_store_read_bundle(struct endorsement_store *s, const char *name,
					     struct view tar);

/* Adds one file's content as read above. -EBADMSG: not a store's file; *ret_why says why. */
MUST_CHECK int endorsement_store_read_file(struct endorsement_store *s, const char *name,
					   struct view content, const char **ret_why);

/*
 * Adds an endorsement (a copy). 1: it is new; 0: it is in the store; -EBADMSG and *ret_why as
 * of endorsement_key_read; -EMSGSIZE; -ENOMEM.
 */
MUST_CHECK int endorsement_store_add(struct endorsement_store *s, const struct endorsement *e,
				     const char **ret_why);

/* Writes one endorsement into a directory that is a store, made where it is not there. */
MUST_CHECK int endorsement_store_write(const char *directory, const struct endorsement *e);

size_t endorsement_store_count(const struct endorsement_store *s);
/* In the order of their platform, chip, TCB, name. Lent: good until something is added. */
const struct endorsement_entry *endorsement_store_at(struct endorsement_store *s, size_t i);

/* What was left out, "FILE: WHY"; NULL past the last. */
const char *endorsement_store_problem(const struct endorsement_store *s, size_t i);

/*
 * True if it can be used at that time: no revocation list before or past its validity, ever. Other
 * endorsements carry their times into the verdict.
 */
bool endorsement_usable(const struct endorsement_key *key, enum endorsement_kind kind, int64_t now);

/* What a time is to an endorsement. */
enum endorsement_state {
	ENDORSEMENT_IN_FORCE,
	ENDORSEMENT_OLD, /* another of its series counts before it, and is in force */
	ENDORSEMENT_NOT_YET,
	ENDORSEMENT_EXPIRED,
};
enum endorsement_state endorsement_state(const struct endorsement_store *s,
					 const struct endorsement_entry *e, int64_t now);
/* "in force", "old", "not yet valid", "expired". */
const char *endorsement_state_name(enum endorsement_state state);

/*
 * What the store has for a platform's report at that time, added to `to`: for its chip and TCB, for
 * the platform, and of no platform; of each series the newest in force, or the newest where
 * none is. s may be NULL. -EMSGSIZE: `to` is full, with what goes first in it.
 */
MUST_CHECK int endorsement_store_select(const struct endorsement_store *s, const char *platform,
					const Assay__ChipReport *report, int64_t now,
					struct endorsements *to);

#endif
