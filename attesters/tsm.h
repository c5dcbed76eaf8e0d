/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTESTERS_TSM_H
#define ASSAY_ATTESTERS_TSM_H

#include "bytes.h"

/*
 * configfs-tsm, the kernel's way to a TEE's reports (Linux 6.7;
 * Documentation/ABI/testing/configfs-tsm-report). Every call blocks.
 */

#define TSM_ROOT	 "/sys/kernel/config/tsm/report"
#define TSM_INBLOB_SIZE	 64
#define TSM_OUTBLOB_MAX	 (64 * 1024) /* as much as the verifier takes; the kernel's is 32 KiB */
#define TSM_PROVIDER_MAX 32
#define TSM_TRIES	 8 /* of others that write where they should not */

/* What is asked for. */
struct tsm_request {
	const char *provider; /* that the answer must come from: "tdx_guest", "sev_guest" ... */
	uint8_t inblob[TSM_INBLOB_SIZE];
	/* A service of an SVSM instead of the guest itself; NULL: the guest. */
	const char *service_provider, *service_guid;
};

/* What came back; a blob that the provider does not have is empty. Ended with tsm_answer_done. */
struct tsm_answer {
	struct bytes outblob, auxblob, manifestblob;
};

void tsm_answer_init(struct tsm_answer *a);
void tsm_answer_done(struct tsm_answer *a);

/*
 * Name of the provider that is registered. -ENODEV: there is none, or no configfs-tsm. ret_why
 * says what is missing, also where something else failed.
 */
MUST_CHECK int tsm_provider(char ret[TSM_PROVIDER_MAX], char *ret_why, size_t size);

/*
 * One report, in a directory of its own that is gone afterwards; asked for again where the
 * generation shows that another wrote there. -ENODEV: no such provider; -EBUSY: others do not
 * cease to write, or the chip is at another request; -EMSGSIZE: a blob above TSM_OUTBLOB_MAX;
 * -EBADMSG: an attribute that makes no sense; other errors are the provider's (-EIO: it has
 * failed, -ETIMEDOUT: the host did not answer, -EINVAL). ret_why says it in words.
 */
MUST_CHECK int tsm_ask(const struct tsm_request *request, struct tsm_answer *ret, char *ret_why,
		       size_t size);

#endif
