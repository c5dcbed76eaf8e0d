/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ADDRESS_H
#define ASSAY_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "errors.h"

/*
 * Patterns over the addresses of sockets, as policies write them:
 *
 *   tcp/0.0.0.0:443   tcp/[::]:443   udp/10.0.0.0/8:53   tcp/[2001:db8::]/32:*
 *   tcp/X:443 with X = '*': any address      unix/run/app/X.sock is the path /run/app/X.sock
 *   unix/@name: abstract; in unix names * ? [] match as in a shell, but not across '/'
 *   vsock/2:1234, vsock/2:X with X = '*': context id and port
 *
 * For connections the protocol may be left out: any over IP.
 */

#define ADDRESS_PATH_MAX 108 /* of struct sockaddr_un */

struct address_pattern {
	char protocol[8]; /* tcp, udp, unix, vsock; empty: any over IP */
	bool any_address, any_port;
	int family; /* AF_INET, AF_INET6 */
	uint8_t bytes[16];
	unsigned int prefix; /* bits that count */
	uint16_t port;
	char path[ADDRESS_PATH_MAX + 1];
};

/*
 * Reads one. need_protocol: an address to listen at. -EINVAL: not such a pattern; bits
 * set beyond the prefix are refused too, they are a mistake.
 */
MUST_CHECK int address_pattern_parse(const char *text, bool need_protocol,
				     struct address_pattern *ret);
#define ADDRESS_LISTEN	"PROTOCOL/ADDRESS:PORT (tcp/0.0.0.0:443, udp/[::]:53, unix/PATH)"
#define ADDRESS_CONNECT "ADDRESS[/BITS]:PORT (10.0.0.0/8:5432, [2001:db8::]/32:*)"

/*
 * True if the address that MI shows ("10.0.0.1:443", "[::1]:443", "/run/x.sock", "@name") is
 * one of the pattern. An IPv4 address mapped into IPv6 counts as the IPv4 address. What
 * cannot be read matches nothing.
 */
bool address_pattern_matches(const struct address_pattern *p, const char *protocol,
			     const char *address);

#endif
