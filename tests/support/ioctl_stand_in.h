/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_IOCTL_STAND_IN_H
#define ASSAY_TESTS_IOCTL_STAND_IN_H

#include <stdbool.h>

#include "made_chip.h"

/*
 * Stands in for /dev/sev-guest and /dev/csv-guest: a node of that name in a /dev of the
 * test's own, and a thread that answers its ioctls in the kernel's place (seccomp user
 * notification), with a made chip behind it.
 */
struct ioctl_stand_in;

/* What goes wrong. */
struct ioctl_faults {
	int error;		  /* of every request, negative */
	unsigned int busy;	  /* sev-guest: so many times the host asks to wait */
	bool growing;		  /* sev-guest: the host's certificates never fit */
	uint32_t certificates;	  /* sev-guest: the room they need; 0: as it is */
	uint32_t firmware_status; /* sev-guest: in the response; csv-guest: of registers */
	uint32_t report_size;	  /* sev-guest: what the response says; 0: as it is */
	bool silent;		  /* csv-guest: success, and nothing was written */
	int positive;		  /* csv-guest: what the hypercall gave */
	bool stale;		  /* the report is over what was asked before */
	bool no_registers;	  /* csv-guest: ENODEV, as of a firmware without */
	uint8_t register_state;	  /* csv-guest: 0: working */
};

/*
 * Begins to answer: from now on for this thread, and for those and the processes that it makes.
 * Once a program; own_mounts_begin was called.
 */
MUST_CHECK int ioctl_stand_in_start(struct ioctl_stand_in **ret);

/* No ioctl may be out; later ones fail with ENOSYS. Accepts NULL. */
void ioctl_stand_in_stop(struct ioctl_stand_in *s);

/* Which chip there is (sev-snp, csv), and with it the node; NULL: none. Lent. No fault remains. */
MUST_CHECK int ioctl_stand_in_chip(struct ioctl_stand_in *s, struct made_chip *chip);

void ioctl_stand_in_faults(struct ioctl_stand_in *s, const struct ioctl_faults *faults);

/* Requests for reports so far, and how many gave one. */
unsigned int ioctl_stand_in_requests(struct ioctl_stand_in *s);
unsigned int ioctl_stand_in_reports(struct ioctl_stand_in *s);

#endif
