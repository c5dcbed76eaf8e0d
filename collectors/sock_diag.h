/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_SOCK_DIAG_H
#define ASSAY_COLLECTORS_SOCK_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "errors.h"

/* Sockets of one network namespace as the kernel lists them (sock_diag(7)). */

/* TCP states (include/net/tcp_states.h); UDP and UNIX sockets use some of them. */
#define SOCK_STATE_ESTABLISHED 1
#define SOCK_STATE_TIME_WAIT   6
#define SOCK_STATE_CLOSE       7
#define SOCK_STATE_LISTEN      10
#define SOCK_STATES	       13

struct sock_entry {
	uint64_t inode;
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP; 0 for UNIX */
	uint8_t family, state;
	uint16_t local_port, remote_port; /* host order */
	uint8_t local[16], remote[16];
	uint64_t sent_bytes, received_bytes; /* TCP, where asked for */
	const char *path; /* UNIX: "@abstract" or a path, lent for the call; NULL: no name */
};

/*
 * The name of a UNIX socket as MI shows it: a path, or "@name" with further zero bytes as "@". name
 * is what follows the family in its address (unix(7)); to has room for SOCK_UNIX_NAME_MAX.
 */
#define SOCK_UNIX_NAME_MAX 109
void sock_unix_name(const void *name, size_t len, char to[SOCK_UNIX_NAME_MAX]);

struct sock_diag;

/*
 * A connection to the kernel's lister in the network namespace that netns_fd is of
 * (/proc/PID/ns/net), or with -1 in our own. The namespace is entered in a thread that ends
 * at once, so no other code of this process is ever in it.
 */
MUST_CHECK int sock_diag_open(int netns_fd, struct sock_diag **ret);
void sock_diag_close(struct sock_diag *d);

/*
 * Calls on_socket for the sockets of a family (AF_INET, AF_INET6, AF_UNIX; for TCP also AF_UNSPEC,
 * both in one pass over the kernel's table) and protocol whose state is in the bitmap. -ENOENT: the
 * kernel has no lister for them. The callback's error ends the listing and is returned. -EINTR:
 * sockets changed too fast for a whole list.
 */
MUST_CHECK int sock_diag_dump(struct sock_diag *d, int family, int protocol, uint32_t states,
			      bool with_bytes,
			      int (*on_socket)(void *arg, const struct sock_entry *entry),
			      void *arg);

#endif
