/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_ENROL_H
#define ASSAY_DAEMON_ENROL_H

#include "monitor.h"

/*
 * Enrolment of a machine whose chip has no key of the machine's own: asks the chip for a
 * report over the enrolment statement (enrolment.h) of this session, and sends EnrolRequest with
 * it. What fails later closes the session.
 */
MUST_CHECK int enrol_by_report(struct daemon *d);

#endif
