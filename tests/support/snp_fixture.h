/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_SNP_FIXTURE_H
#define ASSAY_TESTS_SNP_FIXTURE_H

#include <openssl/x509.h>

#include "endorsements.h"
#include "x509_chain.h"

/*
 * An AMD of our own: ARK, ASK and ASVK of a product, keys of chips and providers, and the
 * reports that they sign. What a test changes is signed as it is then.
 */

#define SNP_FIXTURE_NOT_BEFORE "2026-01-01T00:00:00Z"
#define SNP_FIXTURE_NOW	       "2027-01-01T00:00:00Z"
#define SNP_FIXTURE_NOT_AFTER  "2033-01-01T00:00:00Z"
#define SNP_FIXTURE_EXTENSIONS 20

/* An extension under 1.3.6.1.4.1.3704.1, or one of another OID whole. */
struct snp_fixture_extension {
	const char *oid;
	uint8_t value[80];
	size_t len; /* 0: it is left out */
	bool critical;
};

struct snp_fixture_key {
	const char *subject;
	X509 *x; /* NULL before snp_fixture_certify */
	EVP_PKEY *key;
	struct snp_fixture_extension extensions[SNP_FIXTURE_EXTENSIONS];
	size_t n;
};

/* Of the CAs: they take long to make, so that a test makes them once. */
struct snp_fixture_keys {
	EVP_PKEY *ark, *ask, *asvk;
};

struct snp_fixture {
	const struct snp_fixture_keys *keys;
	char product[16];
	X509 *ark, *ask, *asvk;
	struct x509_pin root;
	struct snp_fixture_key vcek, vlek;
	uint8_t report[1184];
};

void snp_fixture_make_keys(struct snp_fixture_keys *ret);
void snp_fixture_free_keys(struct snp_fixture_keys *keys);

/*
 * A product ("Milan", "Genoa", "Turin"), its chip's and its provider's key, and a good report of
 * the version that a Linux guest gets there, signed by neither yet.
 */
void snp_fixture_init(struct snp_fixture *f, const struct snp_fixture_keys *keys,
		      const char *product);
void snp_fixture_done(struct snp_fixture *f);

/* The extension of that OID, to be changed before snp_fixture_certify. */
struct snp_fixture_extension *snp_fixture_extension(struct snp_fixture_key *k, const char *oid);

/* Has the ASK (ASVK for a VLEK) sign the key's certificate as it is described now. */
void snp_fixture_certify(struct snp_fixture *f, struct snp_fixture_key *k);

/* Signs the report as the firmware does. */
void snp_fixture_sign(struct snp_fixture *f, EVP_PKEY *key);

/* A list of the ARK with this certificate, or none, on it. The caller frees it. */
X509_CRL *snp_fixture_crl(struct snp_fixture *f, X509 *revoked);

/* Adds certificates (NULL: not that one). */
void snp_fixture_endorse(struct endorsements *e, X509 *x);
void snp_fixture_endorse_crl(struct endorsements *e, X509_CRL *crl);

#endif
