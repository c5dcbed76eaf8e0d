/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_SDK_STATUS_H
#define ASSAY_SDK_STATUS_H

#include "connection.h"

/* The answer's status entries in the form of assay.h, in its arena. -ENOMEM. */
MUST_CHECK int status_of_answer(const struct answer *from, struct assay_status **ret);

/* The verdict of that name; ASSAY_REFUSED for one that is not known. */
enum assay_verdict verdict_by_name(const char *name);

/* Asks for the status. *ret is to be ended with answer_done. */
MUST_CHECK int status_ask(struct assay *a, struct deadline by, struct answer *ret);

CLEANUP_FUNCTION(struct assay_status_list *, assay_status_free)
CLEANUP_FUNCTION(struct assay_event *, assay_event_free)
CLEANUP_FUNCTION(struct assay_subscription *, assay_subscription_free)

#endif
