/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CMW_H
#define ASSAY_CMW_H

#include "bytes.h"

/*
 * RATS Conceptual Message Wrapper (draft-ietf-rats-msg-wrap), in CBOR: records [type, value] and
 * [type, value, indicator], CBOR tags made of a content format (RFC 9277, 4.3), and collections
 * of these, one in another. JSON, and JSON tunnelled in CBOR, is not read. It wraps and protects
 * nothing: what a message is must be found in its value.
 */

#define CMW_MEDIA_TYPE	 "application/cmw+cbor"
#define CMW_BYTES_MAX	 (1024 * 1024)
#define CMW_MESSAGES_MAX 32 /* messages and collections in one wrapper */

/* Bits of the indicator (section 3.1, "cm-type"). */
enum cmw_indicator {
	CMW_REFERENCE_VALUES = 1 << 0,
	CMW_ENDORSEMENTS = 1 << 1,
	CMW_EVIDENCE = 1 << 2,
	CMW_ATTESTATION_RESULTS = 1 << 3,
};

/* All lent. */
struct cmw_message {
	struct view label; /* text in its collection; empty: a number, or in none */
	struct view type;  /* media type; empty: format says it */
	uint16_t format;   /* CoAP content format, where type is empty */
	struct view value;
	uint32_t indicator; /* enum cmw_indicator; 0: not said */
};

/*
 * The whole of raw: its messages, in the order they stand, those of a collection in a collection
 * after the others. -EBADMSG and *ret_why, which lives for ever: no wrapper, or one that says
 * something twice, nothing, an indicator of no meaning, more than CMW_MESSAGES_MAX.
 */
MUST_CHECK int cmw_read(struct view raw, struct cmw_message to[CMW_MESSAGES_MAX], size_t *ret_n,
			const char **ret_why);

/* Appends one as a record. -EMSGSIZE, -ENOMEM as bytes_append. */
MUST_CHECK int cmw_write(struct bytes *to, const struct cmw_message *m);

/* Appends a collection of n records by their labels, which are texts and differ. */
MUST_CHECK int cmw_write_collection(struct bytes *to, const struct cmw_message *m, size_t n);

/*
 * What Linux's configfs-tsm gave for one report, as a CBOR map by the names of its files: what
 * Veraison's verifiers take as application/vnd.veraison.tsm-report+cbor.
 */

#define TSM_REPORT_MEDIA_TYPE "application/vnd.veraison.tsm-report+cbor"

struct tsm_report {
	struct view provider; /* "sev_guest", no line's end */
	struct view outblob;
	struct view auxblob; /* empty: none */
};

/* The whole of raw. -EBADMSG. Lent. */
MUST_CHECK int tsm_report_read(struct view raw, struct tsm_report *ret);

/* Appends. -EMSGSIZE, -ENOMEM as bytes_append. */
MUST_CHECK int tsm_report_write(struct bytes *to, const struct tsm_report *t);

#endif
