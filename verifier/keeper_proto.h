/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_KEEPER_PROTO_H
#define ASSAY_VERIFIER_KEEPER_PROTO_H

#include <stdint.h>

#include "appraisal.h"
#include "bytes.h"
#include "claims.h"
#include "hpke.h"

/*
 * Between the two processes of assay-verifierd. The appraiser, which parses what
 * comes from the network, asks; the keeper, which holds the secrets and the store, answers. A
 * message is a header, a struct of fixed layout, and so many blobs, each after its length: no
 * message of the network's own formats is parsed by the keeper. Both ends are the same program on
 * the same machine, so integers are in its own order.
 *
 * Signature, policy and channel key are the appraiser's word. One that was taken over could
 * enrol a machine that does not exist, open sessions for any machine, call any measurement good,
 * name a channel key of its own, and so be given every secret that a policy releases, stage after
 * stage; latch any application; and impersonate the verifier, whose TLS key it holds. It could not
 * read a secret that no policy releases, have one again for the same nonce, skip a stage or a
 * nonce's age, pass the latch of a machine, open it, or take a row out of the record: these are
 * the keeper's. Every field is checked here against the limits below; what it may ask, and when,
 * is the table in keeper.c.
 */

#define KEEPER_APPLICATIONS 64
#define KEEPER_KEY_NAME_MAX 66 /* TPM name: algorithm and SHA-512 */
#define KEEPER_PLATFORM_MAX 16
#define KEEPER_PEER_MAX	    64
#define KEEPER_WHY_MAX	    256
#define KEEPER_NAME_MAX	    (APPLICATION_NAME_MAX + 1)
#define KEEPER_BLOBS	    5
#define KEEPER_MESSAGE_MAX  (40 * 1024 * 1024)
#define KEEPER_MEASUREMENTS 256	  /* in one Evidence */
#define KEEPER_ENTRIES	    65536 /* of a runtime log in one Evidence */
#define KEEPER_HASH_SIZE    64
#define KEEPER_DIGEST_SIZE  32
#define KEEPER_FILE_NAME_MAX 96	     /* of an endorsement */
#define KEEPER_FILE_MAX	     1048576 /* its bytes, or a part of a bundle */

enum keeper_type {
	/* Asked by the appraiser. */
	KEEPER_HELLO = 1, /* a session begins: Hello was read */
	KEEPER_BYE,	  /* it ended */
	KEEPER_ENROL,	  /* an attester proved where its key lives */
	KEEPER_NONCE,	  /* a nonce for an application and a stage */
	KEEPER_PREPARE,	  /* what is known that evidence is judged against */
	KEEPER_JUDGE,	  /* evidence was judged: record it, decide */
	KEEPER_RECEIPT,	  /* a secret was delivered */
	KEEPER_REFUSAL,	  /* the session did what the protocol forbids */
	KEEPER_ALIVE,	  /* for the service manager's watchdog */
	KEEPER_REQUESTS,  /* one past the last */

	/* Answers; each request has exactly one, in order. */
	KEEPER_DONE = 32,
	KEEPER_FAILED, /* it could not be done: the session is to be closed */
	KEEPER_HELLO_ANSWER,
	KEEPER_NONCE_ANSWER,
	KEEPER_PREPARE_ANSWER,
	KEEPER_JUDGE_ANSWER,

	/* Unasked, from the keeper. */
	KEEPER_DEMAND = 64, /* the operator asks for a measurement */
	KEEPER_END,	    /* sessions of this attester are to be closed: it was forgotten */
	/* The endorsements anew, which the appraiser in its sandbox cannot read for itself. */
	KEEPER_STORE_BEGIN,
	KEEPER_STORE_FILE,   /* one of a directory's files */
	KEEPER_STORE_BUNDLE, /* the next bytes of a tar file; none: it is whole */
	KEEPER_STORE_END,    /* that was all, or it could not be read to its end */
};

struct keeper_header {
	uint32_t type;
	uint32_t len; /* of what follows */
};

struct keeper_hello {
	uint32_t version;
	uint8_t insecure;
	uint8_t key_name_len;
	uint8_t key_name[KEEPER_KEY_NAME_MAX];
	uint8_t boot_id[BOOT_ID_SIZE];
	uint8_t epoch[16];
	char platform[KEEPER_PLATFORM_MAX];
	char peer[KEEPER_PEER_MAX];
	char software[KEEPER_PEER_MAX];
	uint32_t n_applications;
	char applications[KEEPER_APPLICATIONS][KEEPER_NAME_MAX];
	uint32_t n_survivors;
};

/* Blobs: ak_public, ek_public, ek_certificate, ek_chain. */
struct keeper_hello_answer {
	uint64_t session;
	uint8_t known;
};

struct keeper_bye {
	uint64_t session;
	char why[KEEPER_WHY_MAX];
};

/* Blobs: ak_public, ek_public, ek_certificate, ek_chain. */
struct keeper_enrol {
	uint64_t session;
	uint8_t accepted;
	char why[KEEPER_WHY_MAX];
};

struct keeper_nonce {
	uint64_t session;
	char application[KEEPER_NAME_MAX];
	uint32_t stage;
	uint8_t demand;
	char reason[KEEPER_WHY_MAX];
};

/* With what was asked, so that the appraiser need not keep it. */
struct keeper_nonce_answer {
	char application[KEEPER_NAME_MAX];
	uint8_t demand;
	char reason[KEEPER_WHY_MAX];
	uint8_t nonce[NONCE_SIZE];
	uint32_t stage;
	uint32_t valid_ms;
	uint64_t runtime_log_known;
};

/* Blob: runtime digests of the measurements, KEEPER_DIGEST_SIZE each. */
struct keeper_prepare {
	uint64_t session;
	char application[KEEPER_NAME_MAX];
	uint8_t run_id[RUN_ID_SIZE];
	uint8_t claims_hash[KEEPER_HASH_SIZE];
	uint64_t runtime_end; /* entries in the runtime register when the chip signed, as it says */
};

/*
 * Blobs: previous MI (dynamic) of the run; for each digest asked for, in order, the entry (from 1)
 * where the log known so far has it, as 8 bytes, 0: not there.
 */
struct keeper_prepare_answer {
	uint8_t seen_before; /* Claims of that hash were judged already */
	uint8_t run_known;
	uint8_t resync;	   /* readmitted: what is missing is forgiven once */
	uint64_t sequence; /* of the last Claims of the run; 0: none */
	uint64_t dropped;
	uint64_t missing;		/* measurements of the run that never came */
	uint8_t head[KEEPER_HASH_SIZE]; /* hash of them */
	uint8_t boot_known;		/* the fields below */
	uint8_t boot_same;		/* it is the boot that the session's boot id names */
	uint32_t reset_count;
	uint32_t runtime_register;
	uint32_t runtime_alg;
	/* What is known of the register, up to runtime_end: reports may come in another order. */
	uint64_t runtime_count;
	uint8_t runtime_value[KEEPER_HASH_SIZE];
};

/* In the blob `measurements` of JUDGE: this, claims_len and mi_len bytes. Oldest first. */
struct keeper_measurement {
	uint8_t claims_hash[KEEPER_HASH_SIZE];
	uint64_t sequence;
	uint64_t node_number;
	uint64_t realtime_ns;
	uint32_t node_kind;
	uint32_t stage;
	uint32_t kind; /* 1 static, 2 dynamic: Claims.Kind */
	uint32_t claims_len;
	uint32_t mi_len;
};

/*
 * Blobs: chip report, measurements, reasons (struct reason each), new entries of the runtime log
 * (KEEPER_DIGEST_SIZE each), for each measurement its entry (8 bytes, 0: none).
 */
struct keeper_judge {
	uint64_t session;
	char application[KEEPER_NAME_MAX];
	uint8_t run_id[RUN_ID_SIZE];
	uint8_t measurement_good;
	uint8_t signature_good; /* the chip's, and it covers the Claims */
	uint8_t channel_good;
	uint8_t seen_before;
	uint8_t has_nonce;
	uint8_t nonce[NONCE_SIZE];
	uint8_t has_channel_key;
	uint8_t channel_key[HPKE_PUBLIC_SIZE];
	uint8_t chain_good;   /* signed, and continues the run: its head moves on */
	uint64_t head_before; /* sequence that the appraisal took as the run's last */
	uint64_t dropped;
	uint64_t missing;     /* chain_good: measurements of the run that never came, with these */
	uint8_t runtime_good; /* signed, and the runtime log replayed */
	uint32_t reset_count;
	uint32_t runtime_register;
	uint32_t runtime_alg;
	uint64_t runtime_before; /* entries that the appraisal took as known */
	uint8_t runtime_value[KEEPER_HASH_SIZE];
	uint32_t checks;
};

/* Blobs: reasons (struct reason each; all of the verdict), sealed secrets. */
struct keeper_judge_answer {
	uint64_t evidence;
	uint8_t accepted;
	uint8_t latched;
	uint8_t latched_now; /* by this evidence */
	uint32_t stage;
	uint8_t next_nonce[NONCE_SIZE];
	uint32_t next_valid_ms; /* 0: none, the evidence carried no nonce either */
	uint64_t runtime_log_known;
};

/* In the blob `sealed secrets`: this and len bytes. */
struct keeper_sealed {
	char name[KEEPER_NAME_MAX];
	uint8_t enc[HPKE_PUBLIC_SIZE];
	uint32_t stage;
	uint32_t len;
};

struct keeper_receipt {
	uint64_t session;
	char application[KEEPER_NAME_MAX];
	uint8_t claims_hash[KEEPER_HASH_SIZE];
	uint32_t stage;
	uint32_t pid;
	char secret[KEEPER_NAME_MAX];
	char how[KEEPER_PLATFORM_MAX];
};

struct keeper_refusal {
	uint64_t session; /* 0: before Hello */
	char peer[KEEPER_PEER_MAX];
	char rule[KEEPER_PEER_MAX];
	char why[KEEPER_WHY_MAX];
};

struct keeper_failed {
	char why[KEEPER_WHY_MAX];
};

struct keeper_demand {
	uint8_t key_name_len; /* 0: every attester */
	uint8_t key_name[KEEPER_KEY_NAME_MAX];
	char application[KEEPER_NAME_MAX];
	char reason[KEEPER_WHY_MAX]; /* passed on to the attester */
};

/* Blob: the file's bytes. */
struct keeper_store_file {
	char name[KEEPER_FILE_NAME_MAX];
};

struct keeper_store_end {
	uint8_t complete; /* 0: what came is to be thrown away */
};

/* Room for the fixed part of any message. */
union keeper_any {
	struct keeper_hello hello;
	struct keeper_hello_answer hello_answer;
	struct keeper_bye bye;
	struct keeper_enrol enrol;
	struct keeper_nonce nonce;
	struct keeper_nonce_answer nonce_answer;
	struct keeper_prepare prepare;
	struct keeper_prepare_answer prepare_answer;
	struct keeper_judge judge;
	struct keeper_judge_answer judge_answer;
	struct keeper_receipt receipt;
	struct keeper_refusal refusal;
	struct keeper_failed failed;
	struct keeper_demand demand;
	struct keeper_store_file store_file;
	struct keeper_store_end store_end;
};

/* The shape of one type of message. */
struct keeper_shape {
	const char *name;
	size_t size; /* of the fixed part */
	size_t n_blobs;
	size_t blob_max[KEEPER_BLOBS];
};

/* NULL: no such type. */
const struct keeper_shape *keeper_shape(uint32_t type);

/* The most that a message of this type has after its header. */
size_t keeper_len_max(const struct keeper_shape *shape);

/*
 * Takes what follows a header apart: the fixed part is copied to ret, of shape->size bytes, and
 * the blobs are lent. Text ends within its field, counts and flags are in range. -EBADMSG.
 */
MUST_CHECK int keeper_parse(uint32_t type, struct view body, void *ret,
			    struct view ret_blobs[KEEPER_BLOBS]);

/* Appends header, fixed part and blobs. -EMSGSIZE: a blob is over its maximum. */
MUST_CHECK int keeper_write(struct bytes *to, uint32_t type, const void *fixed,
			    const struct view *blobs);

/* The next measurement in such a blob. -EBADMSG. */
MUST_CHECK int keeper_next_measurement(struct reader *r, struct keeper_measurement *ret,
				       struct view *ret_claims, struct view *ret_mi);
MUST_CHECK int keeper_add_measurement(struct bytes *to, const struct keeper_measurement *m,
				      struct view claims, struct view mi);

MUST_CHECK int keeper_next_sealed(struct reader *r, struct keeper_sealed *ret,
				  struct view *ret_sealed);
MUST_CHECK int keeper_add_sealed(struct bytes *to, const struct keeper_sealed *s,
				 struct view sealed);

/* Reasons of an appraisal as a blob, and back: added to a. -EBADMSG. */
MUST_CHECK int keeper_add_reasons(struct bytes *to, const struct appraisal *a);
MUST_CHECK int keeper_read_reasons(struct view blob, struct appraisal *a);

/* Copies text into a field, cut to fit; what is not printable ASCII becomes '?'. */
void keeper_text(char *to, size_t size, const char *text);

#endif
