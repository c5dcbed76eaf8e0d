/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTESTERS_TEE_H
#define ASSAY_ATTESTERS_TEE_H

#include "attester.h"
#include "timed.h"
#include "tsm.h"

/*
 * What the attesters of TEEs have in common: the kernel asks the chip, or the host asks it,
 * which may take long; a report is bytes that cover 64 bytes of ours; beside it go
 * certificates and the firmware's event log. tdx.c, sev_snp.c, cca.c and csv.c embed it.
 */

#define TEE_NAME_SIZE	    32
#define TEE_ENDORSEMENT_MAX (64 * 1024) /* bytes of one */

/* One request to a chip, with all that its thread needs. */
struct tee_job {
	struct tsm_request request; /* request.inblob: what the report is to cover */
	struct tsm_answer answer;
	char why[ATTESTER_WHY_MAX];
	int (*ask)(struct tee_job *job);
};

/* Fills answer.outblob and, where there is one, answer.auxblob; why where it fails. */
typedef int (*tee_ask)(struct tee_job *job);

struct tee {
	struct attester base; /* first, so that an attester casts back to its own state */
	tee_ask ask;
	struct timed *calls;
	unsigned int timeout_ms;
	uint8_t name[TEE_NAME_SIZE]; /* this machine's, for the record */
	struct bytes event_log;	     /* complete before we start */
	struct bytes endorsements[ATTESTER_ENDORSEMENTS_MAX];
	size_t n_endorsements;
};

/* 0: configfs-tsm has this provider; -ENODEV, ret_why says what is there. */
MUST_CHECK int tee_find_tsm(const char *provider, char *ret_why, size_t size);

/* tee_ask by configfs-tsm. */
MUST_CHECK int tee_ask_tsm(struct tee_job *job);

/*
 * attester_ops.open with the way to the chip that was found. event_log: the kernel's file, where
 * the configuration names no other; NULL: there is none. ret_why says what is wrong with a file.
 */
MUST_CHECK int tee_open(const struct attester_ops *ops, const struct attester_config *config,
			tee_ask ask, const char *event_log, struct attester **ret, char *ret_why,
			size_t size);

/* attester_ops.close */
void tee_close(struct attester *a);

/* attester_ops.identity: a name, and no keys. */
MUST_CHECK int tee_identity(struct attester *a, struct attester_identity *ret);

/* 0, or -EBADMSG and why (in words) this is no report of the kind that covers data[64]. */
typedef int (*tee_covers)(struct view report, const uint8_t *data, const char **ret_why);

/* Each platform's, of bytes that came from the host. */
MUST_CHECK int tdx_covers(struct view quote, const uint8_t *data, const char **ret_why);
MUST_CHECK int snp_covers(struct view report, const uint8_t *data, const char **ret_why);
MUST_CHECK int csv_covers(struct view report, const uint8_t *data, const char **ret_why);
MUST_CHECK int cca_covers(struct view token, const uint8_t *data, const char **ret_why);

/*
 * attester_ops.report: has the chip report on the Claims, sees that it did, and fills
 * the message in. -ETIMEDOUT: not in time; -EBUSY: the request before is still out; -EBADMSG:
 * what came is no such report; else what ask gave. a->why has it in words.
 */
MUST_CHECK int tee_report(struct attester *a, const char *provider, tee_covers covers,
			  struct view claims, struct arena *arena, Assay__ChipReport *report);

/*
 * One request and what came of it, unchecked; *ret is ended with tsm_answer_done. Errors as of
 * tee_report.
 */
MUST_CHECK int tee_request(struct tee *t, const struct tsm_request *request,
			   struct tsm_answer *ret);

/* The certificates that came with a report, and those that are configured. */
MUST_CHECK int tee_endorse(const struct tee *t, struct view aux, struct arena *arena,
			   Assay__ChipReport *report);

#endif
