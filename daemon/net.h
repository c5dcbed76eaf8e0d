/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_NET_H
#define ASSAY_DAEMON_NET_H

#include "config.h"

/*
 * The net process: TLS to the verifier and all parsing of what comes from there. It runs as a
 * user of its own under a seccomp filter, opens no file, and holds no key but its TLS key and
 * no secret but sealed ones.
 */

/*
 * Never returns to the monitor's code: the exit status of the process. fd is the end of the
 * socketpair. Everything in config is read before privileges are dropped.
 */
int net_main(const struct config *config, int fd);

#endif
