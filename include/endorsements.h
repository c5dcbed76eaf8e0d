/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ENDORSEMENTS_H
#define ASSAY_ENDORSEMENTS_H

#include <openssl/x509.h>

#include "bytes.h"

/*
 * What makers say of their chips (RFC 9334: Endorsements), as the caller found it:
 * certificates, revocation lists, TCB levels. Each blob is recognised by its content, never by
 * its name, and nothing in it is believed here: whoever uses it checks who signed it.
 */

#define ENDORSEMENTS_MAX      256
#define ENDORSEMENT_BYTES_MAX (1024 * 1024)

enum endorsement_kind {
	ENDORSEMENT_CERTIFICATE,
	ENDORSEMENT_CRL,
	ENDORSEMENT_PUBLIC_KEY,	 /* DER of a SubjectPublicKeyInfo */
	ENDORSEMENT_TCB_INFO,	 /* {"tcbInfo":{..},"signature":".."} as Intel's PCS serves it */
	ENDORSEMENT_QE_IDENTITY, /* {"enclaveIdentity":{..},"signature":".."} */
	ENDORSEMENT_CSV_CERTIFICATE, /* HRK, HSK, CEK, PEK as Hygon gives them out */
	ENDORSEMENT_CCA_ANCHORS, /* keys of Arm CCA platforms by instance, as JSON */
};

/* One of them. Lent: good as long as the set. */
struct endorsement {
	enum endorsement_kind kind;
	struct view bytes;     /* DER, or the text as it came */
	X509 *certificate;     /* of a CERTIFICATE, else NULL */
	X509_CRL *crl;	       /* of a CRL, else NULL */
	uint8_t sha256[32];    /* of bytes */
};

struct endorsements;

MUST_CHECK int endorsements_new(struct endorsements **ret);
void endorsements_free(struct endorsements *e);

/*
 * Adds all that is in the blob, which is copied: DER or PEM (one or many), an Intel JSON
 * document, the certificate table of an SNP extended report, certificates of Hygon's (one, or
 * several one after the other), trust anchors of CCA platforms. -EBADMSG: it is none of these
 * (nothing was added); -EMSGSIZE: more than the limits above; *ret_why says it in words that
 * live for ever.
 */
MUST_CHECK int endorsements_add(struct endorsements *e, struct view blob, const char **ret_why);

/*
 * Adds what another set has, lent from it: from must live as long as e. -EMSGSIZE. from may be
 * NULL.
 */
MUST_CHECK int endorsements_add_all(struct endorsements *e, const struct endorsements *from);

/* Adds one, lent as above. -EMSGSIZE. */
MUST_CHECK int endorsements_add_one(struct endorsements *e, const struct endorsement *item);

/* The next of the kind after that one (NULL: the first); NULL: there is none. e may be NULL. */
const struct endorsement *endorsements_next(const struct endorsements *e,
					    enum endorsement_kind kind,
					    const struct endorsement *after);

/* All certificates, all lists, in the order they came, for struct x509_chain. Lent. e may be NULL. */
STACK_OF(X509) * endorsements_certificates(const struct endorsements *e);
STACK_OF(X509_CRL) * endorsements_crls(const struct endorsements *e);

/*
 * SHA-256 of all blobs and sets that were added, in their order: two sets with the same have the
 * same in them. e may be NULL.
 */
void endorsements_digest(const struct endorsements *e, uint8_t ret_sha256[32]);

/* By number, from 0; NULL past the last. Lent. */
const struct endorsement *endorsements_at(const struct endorsements *e, size_t i);

/* How many there are. */
size_t endorsements_count(const struct endorsements *e);

#endif
