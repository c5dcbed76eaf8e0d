/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_BOOT_H
#define ASSAY_DAEMON_BOOT_H

#include "config.h"

/*
 * The monitor's part of a start in the initrd (initrd.h): disks are opened first, the front is
 * told how that went, and once process 1 has another root this process makes it its own. Only then
 * the other applications begin: their files are there.
 */

struct application;
struct boot;
struct daemon;

/*
 * report_fd: from initrd_enter; owned by it from here on, whatever comes back. -ENOMEM, or what
 * looking at /proc gave.
 */
MUST_CHECK int boot_new(struct daemon *d, int report_fd, struct boot **ret);

/* Accepts NULL. */
void boot_free(struct boot *b);

/* All applications have been told to begin: what is there to be opened is known. */
void boot_begin(struct boot *b);

/* True if the application has to wait for the new root. b may be NULL: none has. */
bool boot_holds(const struct boot *b, const struct config_application *a);

/* The disk of an application is open, or could not be opened for this reason; b may be NULL. */
void boot_disk_opened(struct boot *b);
void boot_disk_failed(struct boot *b, const struct application *a, const char *why);

/* The verifier refused to have a disk opened: it would again. b may be NULL. */
void boot_disk_refused(struct boot *b, const struct application *a, const char *reasons);

#endif
