/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_KERNEL_EVENTS_H
#define ASSAY_COLLECTORS_KERNEL_EVENTS_H

#include "collectors/follow.h"
#include "mi.h"

/* Adds the record to out->events, in words. -ENOMEM. */
MUST_CHECK int kernel_event_add(struct mi *mi, Assay__KernelEvents *out,
				const struct follow_record *record);

#endif
