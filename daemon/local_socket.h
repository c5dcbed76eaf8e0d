/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_LOCAL_SOCKET_H
#define ASSAY_DAEMON_LOCAL_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "errors.h"

/* Sockets in the file system, and what the kernel says of who is at the other end. */

/* Listens, not blocking. A socket that stands at path is replaced; -EEXIST: something else does. */
MUST_CHECK int local_socket_listen(const char *path, int type, mode_t mode, int *ret);

struct local_peer {
	pid_t pid;
	uid_t uid;
	int pidfd; /* -1: the process is gone, or not in our pid namespace */
};

/*
 * Who connected. With SO_PEERPIDFD (Linux 6.5) pid and pidfd are the same process;
 * before, they are if local_peer_alive() says so after pid was looked up.
 */
MUST_CHECK int local_socket_peer(int fd, struct local_peer *ret);
void local_peer_done(struct local_peer *p);

/* True if the process has not ended: what was just looked up by its pid was about it. */
bool local_peer_alive(const struct local_peer *p);

#endif
