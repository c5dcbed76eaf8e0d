/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_VERIFIER_LAB_H
#define ASSAY_TESTS_VERIFIER_LAB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "arena.h"
#include "bytes.h"
#include "scripted_attester.h"
#include "session.pb-c.h"

/*
 * The real assay-verifierd on loopback in a temporary directory, with policies for the
 * applications demo and othr; and attesters that say what a test tells them to. Everything
 * here fails the test where it does not succeed.
 */

struct lab {
	char directory[192], store[256], config[256];
	int port;
	pid_t verifier;
	EVP_PKEY *key;
	X509 *certificate;
};

struct client {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	struct scripted *attester;
	uint8_t exporter[EXPORTER_SIZE];
	struct arena *arena;
	struct bytes in;
	Assay__ToAttester *message; /* the last that came */
	bool had_nonce;		    /* the last Evidence that went */
};

/* SealedSecrets that left the verifier, in all sessions of this program. */
extern size_t sealed_seen;

/*
 * Another one: the text goes to the end of verifierd.yaml, and stands in the policies for the
 * platform soft; files are written into the directory. The caller starts it with lab_start.
 */
struct lab_file {
	const char *name;
	struct view content;
};
struct lab *lab_make(const char *config, const char *platforms, const struct lab_file *files,
		     size_t n_files);

/* A cmocka fixture: *state is a struct lab. The verifier must end as told at its end. */
int lab_set_up(void **state);
int lab_tear_down(void **state);
void lab_start(struct lab *lab);

/* kill -9, and until its other process has noticed. */
void lab_kill(struct lab *lab);

int lab_connect(const struct lab *lab);

/* A number out of the verifier's store. */
int64_t lab_count(const struct lab *lab, const char *sql);

/* Sessions that were refused, by the record; the peer may hear of it a moment before. */
int64_t lab_refusals(const struct lab *lab, int64_t expected);

/* A new attester is served as if nothing had been. */
void lab_lives_on(const struct lab *lab);

/* False: the verifier refused the handshake. */
bool client_handshake(struct client *c, const struct lab *lab, int max_version);
void client_open(struct client *c, const struct lab *lab, struct scripted *attester);
void client_close(struct client *c);

void client_send_bytes(struct client *c, const void *data, size_t len);
/* body: ASSAY__TO_VERIFIER__BODY_...; content: the message of that kind. */
void client_send(struct client *c, int body, void *content);

/* The next message, into c->message; false: the verifier closed the connection. */
bool client_receive(struct client *c);
void client_expect(struct client *c, int body);
void client_expect_closed(struct client *c);

/* Keeps its nonce for the next measurement. */
void client_take_challenge(struct client *c);
void client_say_hello(struct client *c);
void client_ask_enrolment(struct client *c, struct bytes *key);

/* Everything up to the first nonces. enrolled: the verifier knows the key by now. */
void client_begin(struct client *c, const struct lab *lab, struct scripted *attester,
		  bool enrolled);
void client_ask_nonce(struct client *c, const char *application, uint32_t stage);
void client_send_evidence(struct client *c, struct scripted_measurement *m, bool mi_elsewhere);
/* With the nonce for the next measurement where this one had one. */
void client_expect_verdict(struct client *c, bool accepted, size_t secrets, const char *rule);

/* A measurement for that stage with a fresh nonce, and its verdict. */
void client_pass_stage(struct client *c, uint32_t stage);

/* The first secret of the verdict at hand opens, and is that text. */
void client_open_secret(struct client *c, const struct scripted_measurement *m, const char *text);

#endif
