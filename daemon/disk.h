/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_DISK_H
#define ASSAY_DAEMON_DISK_H

#include "config.h"
#include "secret.h"

struct event_base;

/*
 * Opens an application's disk (`disk:`) with the program that was measured for it, cryptsetup(8) or
 * veritysetup(8). The passphrase goes through a pipe to its standard input: it is in no file, no
 * argument and no variable.
 */
struct disk;

/* A passphrase has to fit into a pipe, so that writing it waits for nobody. */
#define DISK_PASSPHRASE_MAX (16 * 1024)

/* The program is ended when it takes longer. */
#define DISK_SECONDS 120

/*
 * program_fd: from measured_open_program. passphrase is lent for the call; NULL: none is needed.
 * opened is called once, from the loop, unless disk_free comes first: why is NULL once
 * /dev/mapper/NAME is there, and says otherwise what went wrong and what to do. -EMSGSIZE: a
 * passphrase that is too long; errors of pipe2(2), clone(2).
 */
MUST_CHECK int disk_open(struct event_base *base, const struct config_application *a,
			 int program_fd, const struct secret *passphrase,
			 void (*opened)(void *arg, const char *why), void *arg, struct disk **ret);

/* Accepts NULL. A program that still runs is ended. */
void disk_free(struct disk *d);

/* What an exit status of cryptsetup(8) or veritysetup(8) means here, in words. Pure. */
const char *disk_status_text(const struct config_disk *d, int status);

#endif
