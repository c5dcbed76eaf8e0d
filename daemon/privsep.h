/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_PRIVSEP_H
#define ASSAY_DAEMON_PRIVSEP_H

#include <event2/event.h>

#include "bytes.h"
#include "claims.h"
#include "secret.h"

/*
 * The socketpair between monitor and net. net parses what the network sends and
 * passes on fields of fixed sizes; monitor takes them as untrusted all the same. monitor passes
 * whole messages, packed, that net only frames.
 */

enum privsep_type {
	/* net to monitor */
	PRIVSEP_UP = 1,		 /* struct privsep_up: a session stands */
	PRIVSEP_DOWN,		 /* struct privsep_text: why it ended */
	PRIVSEP_CHALLENGE,	 /* struct privsep_challenge */
	PRIVSEP_ENROL_CHALLENGE, /* struct privsep_enrol */
	PRIVSEP_ENROLLED,	 /* struct privsep_enrolled */
	PRIVSEP_VERDICT,	 /* struct privsep_verdict, reasons, secrets */
	/* monitor to net */
	PRIVSEP_SEND = 64, /* a packed ToVerifier for the session */
	PRIVSEP_SEND_MI,   /* a packed ToVerifier for the MI channel */
	PRIVSEP_CLOSE,	   /* struct privsep_text: end the session and begin anew */
	PRIVSEP_READY,	   /* nothing: the monitor can say Hello; before, net dials nobody */
	PRIVSEP_ABOVE_ROOT, /* nothing: the initrd is over; SIGTERM is now the machine's end */
};

#define PRIVSEP_TEXT_MAX       512
#define PRIVSEP_RULE_MAX       96
#define PRIVSEP_NAME_MAX       128
#define PRIVSEP_REASONS_MAX    64
#define PRIVSEP_SECRETS_MAX    64
#define PRIVSEP_BLOB_MAX       4096 /* of a TPM credential or seed */
#define PRIVSEP_SEALED_MAX     (SECRET_MAX + 16)
#define PRIVSEP_TO_MONITOR_MAX (8 * 1024 * 1024) /* of one message */
#define PRIVSEP_TO_NET_MAX     (17 * 1024 * 1024)

struct privsep_up {
	uint8_t exporter[EXPORTER_SIZE];
};

struct privsep_text {
	char text[PRIVSEP_TEXT_MAX];
};

struct privsep_challenge {
	uint8_t nonce[NONCE_SIZE];
	char application[APPLICATION_NAME_MAX + 1];
	char reason[PRIVSEP_TEXT_MAX];
	uint32_t stage;
	uint32_t valid_ms;
	uint64_t runtime_log_known;
	uint8_t demand;
};

struct privsep_enrol {
	uint32_t blob_len, seed_len; /* both 0: the verifier asks for enrolment */
	uint8_t blob[PRIVSEP_BLOB_MAX];
	uint8_t seed[PRIVSEP_BLOB_MAX];
};

struct privsep_enrolled {
	uint8_t accepted;
	char why[PRIVSEP_TEXT_MAX];
};

struct privsep_verdict {
	uint8_t claims_hash[64];
	char application[APPLICATION_NAME_MAX + 1];
	uint8_t accepted, latched, has_next_nonce;
	uint8_t next_nonce[NONCE_SIZE];
	uint32_t next_nonce_valid_ms;
	uint32_t stage;
	uint64_t runtime_log_known, ima_log_known;
	uint32_t n_reasons, n_secrets; /* so many structures of each kind follow */
};

struct privsep_reason {
	char rule[PRIVSEP_RULE_MAX];
	char expected[PRIVSEP_TEXT_MAX];
	char seen[PRIVSEP_TEXT_MAX];
	uint8_t warning;
};

/* Followed by sealed_len bytes. */
struct privsep_sealed {
	char name[PRIVSEP_NAME_MAX];
	uint32_t stage;
	uint8_t enc[32];
	uint32_t sealed_len;
};

/*
 * Takes a structure of that size from a message. -EBADMSG: too short. Texts in it are
 * made to end: the privsep_*_read functions see to that.
 */
MUST_CHECK int privsep_challenge_read(struct view message, struct privsep_challenge *ret);
MUST_CHECK int privsep_text_read(struct view message, struct privsep_text *ret);
MUST_CHECK int privsep_up_read(struct view message, struct privsep_up *ret);
MUST_CHECK int privsep_enrol_read(struct view message, struct privsep_enrol *ret);
MUST_CHECK int privsep_enrolled_read(struct view message, struct privsep_enrolled *ret);

/* A verdict is read piece by piece: head, then n_reasons reasons, then n_secrets secrets. */
MUST_CHECK int privsep_verdict_read(struct reader *in, struct privsep_verdict *ret);
MUST_CHECK int privsep_reason_read(struct reader *in, struct privsep_reason *ret);
/* *ret_sealed is lent by the message. */
MUST_CHECK int privsep_sealed_read(struct reader *in, struct privsep_sealed *ret,
				   struct view *ret_sealed);

/* One end of the socketpair on a loop. */
struct privsep;

/* message is lent for the call. Returning an error (or the peer going away) calls ended, once. */
typedef int (*privsep_message)(void *arg, uint32_t type, struct view message);
typedef void (*privsep_ended)(void *arg, const char *why);

/* Takes fd over. max: bytes of the largest message taken. */
MUST_CHECK int privsep_new(struct event_base *base, int fd, size_t max, privsep_message message,
			   privsep_ended ended, void *arg, struct privsep **ret);
void privsep_free(struct privsep *p);

/* Queues a message. -ENOMEM; -ENOBUFS: the other side does not read. */
MUST_CHECK int privsep_send(struct privsep *p, uint32_t type, struct view message);

#endif
