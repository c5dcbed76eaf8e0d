/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTESTERS_SEV_GUEST_H
#define ASSAY_ATTESTERS_SEV_GUEST_H

#include "tee.h"

/* /dev/sev-guest, Linux 5.19 (Documentation/virt/coco/sev-guest.rst). */

#define SEV_GUEST_DEVICE "/dev/sev-guest"

/* 0 if it is there and may be opened. */
MUST_CHECK int sev_guest_probe(char *ret_why, size_t size);

/*
 * tee_job.ask: an extended report with the host's certificates, or a plain one from a host
 * that has no room for more than are taken. -EBUSY: the host throttles; -EIO: refused.
 */
MUST_CHECK int sev_guest_ask(struct tee_job *job);

#endif
