/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_TSM_STAND_IN_H
#define ASSAY_TESTS_TSM_STAND_IN_H

#include <stdbool.h>

#include "bytes.h"
#include "made_chip.h"

/*
 * A file system that behaves as the kernel's configfs-tsm does (drivers/virt/coco/guest/report.c,
 * fs/configfs/file.c) and has a made chip behind it: mounted where configfs-tsm is, in the mount
 * namespace of the test. Beside it, for a chip that has them, a TD's measurement registers.
 */
struct tsm_stand_in;

/* What goes wrong. Each may be set at any time; the file system looks when it is asked. */
struct tsm_faults {
	bool no_provider;	/* mkdir: ENXIO */
	const char *provider;	/* another name than the chip's */
	unsigned int busy;	/* so many reports are refused with EBUSY */
	int error;		/* what reports fail with, negative */
	unsigned int interfere; /* so many times another writes before the report is made */
	bool lose_inblob;	/* its write is not taken, which nobody is told */
	bool stale;		/* the report is over what was asked before */
	bool hold;		/* who reads a report waits until this is false */
	unsigned int privlevel_floor;
	void (*alter)(struct bytes *report); /* what is handed out; NULL: as it is */
	const char *generation;		     /* what the attribute says; NULL: as it is */
	bool no_registers;		     /* tdx: measurement registers fail with EIO */
};

/* own_mounts_begin was called; directory: where it is mounted, and must be. */
MUST_CHECK int tsm_stand_in_start(struct made_chip *chip, struct tsm_stand_in **ret);
void tsm_stand_in_stop(struct tsm_stand_in *s);

void tsm_stand_in_faults(struct tsm_stand_in *s, const struct tsm_faults *faults);

/*
 * The guest is an SVSM's, which has a vTPM with this manifest; before anybody asks. made_chip must
 * be an SEV-SNP's: its report then is what the chip gives at VMPL 0.
 */
MUST_CHECK int tsm_stand_in_vtpm(struct tsm_stand_in *s, struct view manifest);

/* Directories that are there now; reports made so far; the level the last one was made for. */
unsigned int tsm_stand_in_entries(struct tsm_stand_in *s);
unsigned int tsm_stand_in_reports(struct tsm_stand_in *s);
unsigned int tsm_stand_in_privlevel(struct tsm_stand_in *s);

/* Waits until somebody waits for a report that is held. */
void tsm_stand_in_wait_held(struct tsm_stand_in *s);

#endif
