/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_TDX_FIXTURE_H
#define ASSAY_TESTS_TDX_FIXTURE_H

#include <jansson.h>
#include <openssl/x509.h>

#include "bytes.h"
#include "endorsements.h"
#include "x509_chain.h"

/*
 * An Intel of our own: root CA, PCK Platform CA, the PCK certificate of one platform, the TCB
 * signer, revocation lists, TCB info and QE identity, and a quoting enclave that signs quotes of
 * version 4 and 5. Everything public below may be changed by a test before the call that signs
 * it: what is changed is signed as it is then. Functions fail the running test (outside of a
 * test: end the program) where something cannot be made.
 */

#define TDX_FIXTURE_NOT_BEFORE "2026-01-01T00:00:00Z"
#define TDX_FIXTURE_NOW	       "2027-01-01T00:00:00Z"
#define TDX_FIXTURE_NOT_AFTER  "2033-01-01T00:00:00Z"

#define TDX_FIXTURE_BODY_MAX  885
#define TDX_FIXTURE_QUOTE_MAX (16 * 1024)
#define TDX_FIXTURE_AUTH      32
#define TDX_FIXTURE_PATH_MAX  512

/* Where things are in a body, and in the QE's report. */
#define TDX_FIXTURE_TEE_TCB_SVN	  0
#define TDX_FIXTURE_ATTRIBUTES	  120
#define TDX_FIXTURE_MRTD	  136
#define TDX_FIXTURE_RTMR0	  328
#define TDX_FIXTURE_REPORT_DATA	  520
#define TDX_FIXTURE_TEE_TCB_SVN_2 584

struct tdx_fixture {
	EVP_PKEY *root_key, *ca_key, *pck_key, *signer_key;
	EVP_PKEY *attestation_key;
	X509 *root, *ca, *pck, *signer;
	struct x509_pin pin; /* of the root */

	/* Of the platform: in the PCK certificate once tdx_fixture_certify was called. */
	uint8_t svn[16], ppid[16], fmspc[6], pceid[2];
	unsigned int pcesvn;
	char pck_from[32], pck_until[32];

	/* Revocation lists: who is on them (lent; NULL: nobody), and when they are in force. */
	X509 *root_revokes, *ca_revokes;
	char crl_from[32], crl_until[32];

	/* The inner objects of the collateral, which the signer signs. */
	json_t *tcb_info, *qe_identity;

	/* The quote. */
	unsigned int version;	/* 4 or 5 */
	unsigned int body_type; /* 2: TD 1.0, the only one of version 4; 3: TD 1.5; 4: extended */
	uint8_t body[TDX_FIXTURE_BODY_MAX];
	uint8_t qe_report[384]; /* but for its report data */
	uint8_t auth[TDX_FIXTURE_AUTH];
};

/* A good platform, UpToDate, and a quote of version 4 over report data of zeros. */
void tdx_fixture_init(struct tdx_fixture *f);
void tdx_fixture_done(struct tdx_fixture *f);

/* Issues the PCK certificate anew, as the fixture describes the platform now. */
void tdx_fixture_certify(struct tdx_fixture *f);

/*
 * Arranges collateral and quote so that Intel's rules give this status: any of their names,
 * "TDRelaunchAdvised" (the quote becomes one of version 5 with a TD 1.5), "TCB not supported".
 */
void tdx_fixture_status(struct tdx_fixture *f, const char *status);

/* The version and type of the quote's body. */
void tdx_fixture_form(struct tdx_fixture *f, unsigned int version, unsigned int body_type);

/* At most 64 bytes; zeros behind them. */
void tdx_fixture_report_data(struct tdx_fixture *f, struct view data);

/* Makes another key that signs quotes: the QE vouches for it from now on. */
void tdx_fixture_new_attestation_key(struct tdx_fixture *f);

/* The quote, signed as all of it is now. The caller ends *ret with bytes_done. */
void tdx_fixture_quote(struct tdx_fixture *f, struct bytes *ret);

/* What goes with it, each as the PCS serves it. */
enum tdx_fixture_part {
	TDX_FIXTURE_TCB_INFO,
	TDX_FIXTURE_QE_IDENTITY,
	TDX_FIXTURE_SIGNERS,  /* TCB signer and root, PEM */
	TDX_FIXTURE_PCK_CRL,  /* DER */
	TDX_FIXTURE_ROOT_CRL, /* DER */
	TDX_FIXTURE_PARTS,
};

/* The caller ends *ret with bytes_done. */
void tdx_fixture_part(struct tdx_fixture *f, enum tdx_fixture_part part, struct bytes *ret);

/* Adds all parts to the set. */
void tdx_fixture_endorse(struct tdx_fixture *f, struct endorsements *e);

/*
 * Writes all parts into the folder, and root.pem: tcb_info.json, qe_identity.json, signers.pem,
 * pck.crl, root.crl.
 */
void tdx_fixture_write(struct tdx_fixture *f, const char *folder);

#endif
