/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_SCRIPTED_ATTESTER_H
#define ASSAY_TESTS_SCRIPTED_ATTESTER_H

#include <openssl/evp.h>

#include "bytes.h"
#include "claims.h"
#include "digest.h"
#include "hpke.h"
#include "secret.h"

/*
 * An attester that says what a test tells it to: a key in memory instead of a chip, and
 * Claims whose every field the test may change before they are signed.
 */

#define SCRIPTED_APPLICATION "demo"

/* The policy that its measurements pass, and the manifest that the policy names demo.mtree. */
extern const char scripted_policy[];
extern const char scripted_manifest[];

/* Makes a chip's report over these bytes; all of it lives as long as the chip. */
struct scripted_chip {
	const char *platform;
	void (*report)(void *arg, struct view claims, Assay__ChipReport *ret);
	void *arg;
};

struct scripted {
	const struct scripted_chip *chip; /* NULL: the key below */
	EVP_PKEY *key;
	struct bytes spki;
	struct digest key_name;
	uint8_t boot_id[BOOT_ID_SIZE], run_id[RUN_ID_SIZE];
	uint8_t nonce[NONCE_SIZE], exporter[EXPORTER_SIZE], channel_key[HPKE_PUBLIC_SIZE];
	struct secret private_key; /* of channel_key */
	uint64_t sequence;	   /* of the last Claims signed */
	struct digest head;	   /* hash of them */
};

/* One measurement: what a test changes before scripted_sign. */
struct scripted_measurement {
	Assay__Claims claims;
	Assay__TimeNodeRef node;
	struct bytes mi; /* as shipped */
	struct digest m; /* of mi; claims.m points here */
	struct digest config;
	struct digest previous;

	/* By scripted_sign. */
	struct bytes packed;
	struct digest hash;
	uint8_t signature[128];
	Assay__ChipReport report;
};

/* The secure heap must be open. Aborts where it fails: there is no test without it. */
void scripted_open(struct scripted *s);
void scripted_done(struct scripted *s);

/* From now on that chip makes the reports. */
void scripted_set_chip(struct scripted *s, const struct scripted_chip *chip);

/* The chip's report over the enrolment statement of the session. */
void scripted_enrol(struct scripted *s, Assay__ChipReport *ret);

/* A run begins. */
void scripted_new_run(struct scripted *s);

/* A measurement that is good in all: the next of its run, static or dynamic, for that stage. */
void scripted_measure(struct scripted *s, Assay__Claims__Kind kind, uint32_t stage,
		      struct scripted_measurement *ret);
void scripted_measurement_done(struct scripted_measurement *m);

/* Another MI, with M of it. */
void scripted_set_mi(struct scripted_measurement *m, struct view mi);

/* Takes nonce, exporter and channel key out: a measurement without a report of its own. */
void scripted_unbind(struct scripted_measurement *m);

/* Packs and signs the Claims as they are now, and takes the run on. */
void scripted_sign(struct scripted *s, struct scripted_measurement *m);

/* A dynamic MI, packed, with a listener at that address; NULL: with none. */
void scripted_mi(const char *listener, uint64_t node, struct bytes *ret);

#endif
