/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks over its own sockets: catalogue section 1.6. All on loopback. */
#include "victim.h"

#include "uring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_in loopback(const char *port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* N01: connects to the port and stays connected. */
static int out(bool decisive, const char *argument)
{
	struct sockaddr_in to = loopback(argument);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return -errno;
	return decisive && connect(s, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

/* N02: a listener more. */
static int listener(bool decisive, const char *argument)
{
	struct sockaddr_in at = loopback("0");
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return decisive && listen(s, 1) < 0 ? -errno : 0;
}

/* N04: as N01, but io_uring connects. */
static int out_uring(bool decisive, const char *argument)
{
	struct sockaddr_in to = loopback(argument);
	struct uring ring;
	int s, r;

	s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -errno;
	if (!decisive)
		return 0;
	r = uring_open(&ring);
	if (r < 0)
		return r;
	r = uring_connect(&ring, s, &to, sizeof(to));
	uring_close(&ring);
	return r;
}

const struct verb network_verbs[] = {
	{ "out", out },
	{ "listener", listener },
	{ "out-uring", out_uring },
	{ NULL, NULL },
};
