/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_IMA_LOG_H
#define ASSAY_IMA_LOG_H

#include <stdbool.h>

#include <openssl/evp.h>

#include "bytes.h"
#include "digest.h"

/*
 * The kernel's list of what it measured (IMA): /sys/kernel/security/ima/
 * {binary,ascii}_runtime_measurements (Linux, security/integrity/ima/ima_fs.c and
 * ima_template_lib.c). Pure. The list proves nothing by itself: its replay is compared with the
 * PCR, 10 by default, that a TPM signed.
 */

#define IMA_LOG_MAX	 (8 * 1024 * 1024)
#define IMA_ENTRIES_MAX	 131072
#define IMA_DATA_MAX	 65536 /* template data of one entry */
#define IMA_TEMPLATE_MAX 128   /* name of a template, or its fields where it has no name */
#define IMA_FIELDS_MAX	 12
#define IMA_PCR		 10 /* CONFIG_IMA_MEASURE_PCR_IDX */

/* A place in a list. */
struct ima_log {
	struct reader at;
	bool ascii;
	size_t digest_size; /* binary: of the template hashes */
	size_t entries;	    /* read so far */
	struct bytes built; /* template data of the entry, where the list does not carry them */
};

/* One entry. Its views lend from the list and from struct ima_log, until the next one. */
struct ima_entry {
	uint32_t pcr;
	struct view logged; /* template hash as the list has it */
	uint8_t logged_bytes[DIGEST_MAX];
	bool violation; /* logged is zero: the file was open for writing meanwhile */
	struct view template_name;
	struct view data;	/* whose digest the PCR of each bank was extended with */
	enum hash_alg file_alg; /* HASH_NONE: of an algorithm that we do not have, or none */
	struct view file_digest;
	bool verity;	       /* the digest is fs-verity's, not the content's */
	struct view path;      /* or what stands there: "boot_aggregate", a keyring's name */
	struct view signature; /* security.ima as it was; empty: none */
};

/* -EBADMSG: not such a list; *ret_why says why, in words that live for ever. */
MUST_CHECK int ima_log_open(struct view log, struct ima_log *ret, const char **ret_why);

/*
 * 1: the next entry is in *ret; 0: the list has ended; -EBADMSG: it is malformed, or a template
 * hash is not that of its data; -ENOMEM.
 */
MUST_CHECK int ima_log_next(struct ima_log *log, struct ima_entry *ret, const char **ret_why);
void ima_log_done(struct ima_log *log);

/* True if the bytes begin as such a list does. */
bool ima_log_detect(struct view bytes);

/*
 * What is known of the list of a machine, from quotes before: the state after its first `bytes`.
 * All zero: nothing.
 */
struct ima_known {
	uint64_t bytes;
	size_t entries, violations;   /* of PCR 10, proven */
	struct digest value;	      /* of PCR 10 after them */
	struct digest boot_aggregate; /* of the list's first entry; size 0: it has none of ours */
};

struct ima_replay {
	size_t entries;	   /* of that PCR, in the whole list */
	size_t violations; /* among the proven ones */
	size_t proven;	   /* entries of the shortest beginning whose replay is the quoted value */
	bool matched;	   /* there is such a beginning */
	struct digest value;	      /* of all entries */
	size_t ended_at;	      /* bytes of the list up to the last proven entry */
	struct digest boot_aggregate; /* of the first entry, if it is one; size 0: none */
};

/*
 * Replays the entries of one PCR in one bank. quoted may be NULL: then nothing is proven. Entries
 * that came after the quote are lawful: the kernel appends before it extends. -EBADMSG, -ENOMEM
 * as above.
 */
MUST_CHECK int ima_replay(struct view log, uint32_t pcr, enum hash_alg bank,
			  const struct digest *quoted, struct ima_replay *ret,
			  const char **ret_why);

/*
 * As above for a list that goes on from where the register had the value `from`: it may be empty,
 * and none of its entries need be proven if that value is the one that was quoted.
 */
MUST_CHECK int ima_replay_from(struct view log, uint32_t pcr, const struct digest *from,
			       const struct digest *quoted, struct ima_replay *ret,
			       const char **ret_why);

/* The header of a signature: type, version, hash, key id (the end of SHA-1 of the key's bits). */
struct ima_signature {
	uint8_t version; /* 2: over the file's digest; 3: over a structure with fs-verity's */
	enum hash_alg alg;
	uint8_t key_id[4];
	struct view bytes; /* PKCS#1 v1.5 or DER of ECDSA */
};

/* -EBADMSG: no signature of version 2 or 3, or another length than it says. */
MUST_CHECK int ima_signature_parse(struct view field, struct ima_signature *ret,
				   const char **ret_why);

/*
 * 1: the key signed the entry's file digest; 0: it did not; -EBADMSG: the field is no signature;
 * -ENOTSUP: a version or algorithm that is not checked here. -ENOMEM.
 */
MUST_CHECK int ima_signature_verify(const struct ima_entry *entry, EVP_PKEY *key,
				    const char **ret_why);

/* The key id that signatures of this key carry. -EINVAL: a key that cannot be written as bits. */
MUST_CHECK int ima_key_id(EVP_PKEY *key, uint8_t ret[4]);

#endif
