/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quantity.h"

#define HOST_MAX 64

/* "10.0.0.0/8:5432" taken apart; the parts are text still. */
struct parts {
	char host[HOST_MAX]; /* without brackets */
	bool bracketed;
	char prefix[4]; /* empty: none given */
	char port[6];
};

static int take(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size)
		return -EINVAL;
	memcpy(to, from, len);
	to[len] = '\0';
	return 0;
}

static int split(const char *text, struct parts *ret)
{
	struct parts p = { 0 };
	const char *end, *port = strrchr(text, ':');
	int r;

	if (!port)
		return -EINVAL;
	if (*text == '[') {
		end = strchr(text, ']');
		if (!end || end > port)
			return -EINVAL;
		p.bracketed = true;
		r = take(p.host, sizeof(p.host), text + 1, (size_t)(end - text - 1));
		end++;
	} else {
		end = text + strcspn(text, "/:");
		r = take(p.host, sizeof(p.host), text, (size_t)(end - text));
	}
	if (r < 0)
		return r;
	if (*end == '/') {
		r = take(p.prefix, sizeof(p.prefix), end + 1, (size_t)(port - end - 1));
		if (r < 0 || !p.prefix[0])
			return -EINVAL;
		end = port;
	}
	if (end != port)
		return -EINVAL;
	r = take(p.port, sizeof(p.port), port + 1, strlen(port + 1));
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

static int read_port(const char *text, uint16_t *ret)
{
	uint64_t n;
	int r;

	r = quantity_count(text, &n);
	if (r < 0)
		return r;
	if (n > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)n;
	return 0;
}

static bool beyond_prefix_is_zero(const uint8_t *bytes, unsigned int size, unsigned int prefix)
{
	for (unsigned int bit = prefix; bit < size * 8; bit++) {
		if (bytes[bit / 8] & (0x80u >> bit % 8))
			return false;
	}
	return true;
}

static int parse_inet(const char *text, struct address_pattern *p)
{
	struct parts parts;
	unsigned int bits;
	uint64_t n;
	int r;

	r = split(text, &parts);
	if (r < 0)
		return r;
	p->any_port = strcmp(parts.port, "*") == 0;
	if (!p->any_port) {
		r = read_port(parts.port, &p->port);
		if (r < 0)
			return r;
	}
	p->any_address = !parts.bracketed && strcmp(parts.host, "*") == 0;
	if (p->any_address)
		return parts.prefix[0] ? -EINVAL : 0;
	p->family = parts.bracketed ? AF_INET6 : AF_INET;
	if (inet_pton(p->family, parts.host, p->bytes) != 1)
		return -EINVAL;
	bits = parts.bracketed ? 128 : 32;
	p->prefix = bits;
	if (parts.prefix[0]) {
		r = quantity_count(parts.prefix, &n);
		if (r < 0 || n > bits)
			return -EINVAL;
		p->prefix = (unsigned int)n;
	}
	return beyond_prefix_is_zero(p->bytes, bits / 8, p->prefix) ? 0 : -EINVAL;
}

/* unix/run/x.sock is /run/x.sock; unix//run/x.sock too; unix/@x is abstract. */
static int parse_unix(const char *text, struct address_pattern *p)
{
	size_t slash = *text == '/' || *text == '@' ? 0 : 1;

	if (*text == '\0' || strlen(text) + slash > ADDRESS_PATH_MAX)
		return -EINVAL;
	p->path[0] = '/';
	memcpy(p->path + slash, text, strlen(text) + 1);
	return 0;
}

/* vsock/CID:PORT, in numbers, either of them *. */
static int parse_vsock(const char *text, struct address_pattern *p)
{
	const char *colon = strchr(text, ':');
	size_t cid = colon ? (size_t)(colon - text) : 0;

	if (!colon || strlen(text) > ADDRESS_PATH_MAX)
		return -EINVAL;
	if (!(cid == 1 && text[0] == '*') && (cid == 0 || strspn(text, "0123456789") != cid))
		return -EINVAL;
	if (strcmp(colon + 1, "*") != 0 &&
	    (colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1)))
		return -EINVAL;
	memcpy(p->path, text, strlen(text) + 1);
	return 0;
}

int address_pattern_parse(const char *text, bool need_protocol, struct address_pattern *ret)
{
	static const struct {
		const char *name;
		int (*parse)(const char *text, struct address_pattern *p);
	} protocols[] = {
		{ "tcp", parse_inet },
		{ "udp", parse_inet },
		{ "unix", parse_unix },
		{ "vsock", parse_vsock },
	};
	struct address_pattern p = { 0 };
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		size_t len = strlen(protocols[i].name);

		if (strncmp(text, protocols[i].name, len) != 0 || text[len] != '/')
			continue;
		memcpy(p.protocol, protocols[i].name, len);
		r = protocols[i].parse(text + len + 1, &p);
	}
	if (!p.protocol[0] && !need_protocol)
		r = parse_inet(text, &p);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

static bool matches_inet(const struct address_pattern *p, const char *address)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	uint8_t bytes[16] = { 0 };
	struct parts parts;
	int family;
	uint16_t port;

	if (split(address, &parts) < 0 || parts.prefix[0] || read_port(parts.port, &port) < 0)
		return false;
	if (!p->any_port && port != p->port)
		return false;
	/* A link-local address may carry its interface: fe80::1%eth0. */
	parts.host[strcspn(parts.host, "%")] = '\0';
	family = parts.bracketed ? AF_INET6 : AF_INET;
	if (inet_pton(family, parts.host, bytes) != 1)
		return false;
	if (p->any_address)
		return true;
	if (family == AF_INET6 && p->family == AF_INET &&
	    memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		family = AF_INET;
		memmove(bytes, bytes + sizeof(mapped), 4);
	}
	if (family != p->family)
		return false;
	for (unsigned int bit = 0; bit < p->prefix; bit++) {
		if ((bytes[bit / 8] ^ p->bytes[bit / 8]) & (0x80u >> bit % 8))
			return false;
	}
	return true;
}

bool address_pattern_matches(const struct address_pattern *p, const char *protocol,
			     const char *address)
{
	if (p->protocol[0] ? strcmp(p->protocol, protocol) != 0 : strcmp(protocol, "unix") == 0)
		return false;
	if (p->path[0])
		return fnmatch(p->path, address, FNM_PATHNAME) == 0;
	return matches_inet(p, address);
}
