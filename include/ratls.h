/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_RATLS_H
#define ASSAY_RATLS_H

#include <openssl/x509.h>

#include "evidence.h"

/*
 * Evidence in a TLS certificate, as interoperable RA-TLS (Confidential Computing Consortium,
 * "Interoperable RA-TLS X.509 Cert and Evidence Formats") has it: an extension under the OID of
 * TCG DICE Attestation Architecture for evidence, whose value is a CBOR tag that names the sort of
 * evidence, over [ report, claims buffer ]. The claims buffer is a map with
 * "pubkey-hash": [ hash algorithm, hash of the certificate's SubjectPublicKeyInfo ], and the
 * report is made over SHA-256 of the claims buffer, so that the chip vouches for the key. It says
 * nothing about an application, nor (without a nonce) about when: no secret goes out for it.
 */

#define RATLS_OID	      "2.23.133.5.4.9"
#define RATLS_CERTIFICATE_MAX (64 * 1024) /* of the file, PEM or DER */
#define RATLS_CLAIMS_MAX      1024	  /* of the claims buffer */
#define RATLS_NONCE_MAX	      512
#define RATLS_REPORT_DATA     64 /* SHA-256 of the claims buffer, then zeros */

/* What a certificate's extension holds. Lent from the certificate. */
struct ratls {
	const char *platform; /* that the tag is for, by its row's name in evidence_table */
	struct view report;
	struct view claims;			/* the claims buffer */
	struct view nonce;			/* empty: none */
	uint8_t report_data[RATLS_REPORT_DATA]; /* what the report must have been made over */
};

/*
 * Reads the extension and holds the certificate to it: it is there once, all of it is read, its
 * pubkey-hash (sha-256, sha-384 or sha-512) is of the certificate's own key, and the certificate
 * is signed by that key. The report is not looked at. -EBADMSG and *ret_why, which lives for
 * ever: not so. -ENOMEM.
 */
MUST_CHECK int ratls_read(X509 *certificate, struct ratls *ret, const char **ret_why);

/*
 * As evidence_appraise, of the evidence in a certificate (one, PEM or DER): the report must be of
 * the platform that the tag is for and over the claims buffer, and the certificate in force.
 * What else goes with the report, an event log, is in in->files; in->report_data is not used.
 * nonce: that of the claims must be the same; empty: it is not compared. Rule "evidence.ratls":
 * what is wrong with the certificate. name is for messages; ret_found->at
 * is 0 for the certificate and one more than in in->files for the others.
 */
MUST_CHECK int ratls_appraise(const struct evidence_alone *in, const char *name,
			      struct view certificate, struct view nonce, struct arena *arena,
			      struct appraisal *a, struct evidence_found *ret_found,
			      struct evidence_result *ret);

/*
 * Making one. First the claims buffer for a key, with a nonce (empty: none) of at most
 * RATLS_NONCE_MAX bytes; appended. -EMSGSIZE, -ENOMEM as bytes_append, -EINVAL: the nonce is too
 * long or the key has no SubjectPublicKeyInfo.
 */
MUST_CHECK int ratls_claims(EVP_PKEY *key, struct view nonce, struct bytes *to);

/* Then what the chip is to be asked for a report over. -ENOMEM. */
MUST_CHECK int ratls_report_data(struct view claims, uint8_t ret[RATLS_REPORT_DATA]);

/* Then the extension's value; appended. -ENOTSUP: there is no tag for that platform's reports. */
MUST_CHECK int ratls_extension(const char *platform, struct view report, struct view claims,
			       struct bytes *to);

/*
 * And a certificate with it, signed by its own key and in force from not_before to not_after
 * (seconds since 1970). *ret is the caller's. -EINVAL: OpenSSL cannot sign with the key. -EMSGSIZE:
 * more than X509_DER_MAX bytes. -ENOMEM.
 */
MUST_CHECK int ratls_certificate(EVP_PKEY *key, struct view extension, int64_t not_before,
				 int64_t not_after, X509 **ret);

#endif
