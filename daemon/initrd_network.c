/* SPDX-License-Identifier: Apache-2.0 */
/* A static address, by rtnetlink(7). */
#include "initrd.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

#define LOOK_NS	  (50 * 1000 * 1000)
#define SECOND_NS 1000000000ULL

struct request {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
	};
	char room[128]; /* for at most three attributes of at most an IPv6 address */
};

struct ip {
	int family;
	unsigned int bits;
	size_t size;
	uint8_t bytes[sizeof(struct in6_addr)];
};

static struct request request_of(uint16_t type, uint16_t flags, size_t body)
{
	return (struct request){
		.header = { .nlmsg_len = (uint32_t)NLMSG_LENGTH(body),
			    .nlmsg_type = type,
			    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags) },
	};
}

static void add(struct request *q, uint16_t type, const void *value, size_t size)
{
	struct rtattr *a = (struct rtattr *)((char *)q + NLMSG_ALIGN(q->header.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(size);
	memcpy(RTA_DATA(a), value, size);
	q->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->header.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* The kernel's answer to each is one acknowledgement, with an errno or 0. */
static int ask(int fd, struct request *q)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[1024];
	} answer;
	ssize_t n;

	if (sendto(fd, q, q->header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return neg_errno();
	n = recv(fd, &answer, sizeof(answer), 0);
	if (n < 0)
		return neg_errno();
	if ((size_t)n < sizeof(answer.header) + sizeof(answer.error) ||
	    answer.header.nlmsg_type != NLMSG_ERROR)
		return -EBADMSG;
	return answer.error.error;
}

/* ADDRESS[/BITS], as the configuration's check left it. */
static int ip_of(const char *text, struct ip *ret)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);

	if (len >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, len);
	address[len] = '\0';
	*ret = (struct ip){ .family = strchr(address, ':') ? AF_INET6 : AF_INET };
	ret->size = ret->family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
	ret->bits = slash ? (unsigned int)strtoul(slash + 1, NULL, 10) : 0;
	return inet_pton(ret->family, address, ret->bytes) == 1 ? 0 : -EINVAL;
}

static int link_up(int fd, unsigned int index)
{
	struct request q = request_of(RTM_NEWLINK, 0, sizeof(q.link));

	q.link.ifi_index = (int)index;
	q.link.ifi_flags = IFF_UP;
	q.link.ifi_change = IFF_UP;
	return ask(fd, &q);
}

static int add_address(int fd, unsigned int index, const struct ip *ip)
{
	struct request q = request_of(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof(q.address));

	q.address.ifa_family = (uint8_t)ip->family;
	q.address.ifa_prefixlen = (uint8_t)ip->bits;
	q.address.ifa_index = index;
	/* An IPv6 address is not kept waiting for others who might have it. */
	if (ip->family == AF_INET6)
		q.address.ifa_flags = IFA_F_NODAD;
	add(&q, IFA_LOCAL, ip->bytes, ip->size);
	add(&q, IFA_ADDRESS, ip->bytes, ip->size);
	return ask(fd, &q);
}

static int add_gateway(int fd, unsigned int index, const struct ip *ip)
{
	struct request q = request_of(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(q.route));

	q.route.rtm_family = (uint8_t)ip->family;
	q.route.rtm_table = RT_TABLE_MAIN;
	q.route.rtm_protocol = RTPROT_BOOT;
	q.route.rtm_scope = RT_SCOPE_UNIVERSE;
	q.route.rtm_type = RTN_UNICAST;
	add(&q, RTA_GATEWAY, ip->bytes, ip->size);
	add(&q, RTA_OIF, &index, sizeof(index));
	return ask(fd, &q);
}

/* A driver that was just loaded makes its interface a moment later. */
static unsigned int wait_for_interface(const char *name, uint64_t limit_ns)
{
	static const struct timespec look = { .tv_nsec = LOOK_NS };
	unsigned int index = if_nametoindex(name);

	for (uint64_t ns = 0; index == 0 && ns < limit_ns; ns += LOOK_NS) {
		nanosleep(&look, NULL);
		index = if_nametoindex(name);
	}
	return index;
}

static int configure(int fd, const struct config_initrd *c, char *ret_why, size_t size)
{
	unsigned int index = wait_for_interface(c->network.interface, c->wait_ns);
	struct ip address, gateway;
	int r;

	if (index == 0) {
		snprintf(ret_why, size,
			 "no network interface %s within %llu s: is its driver among "
			 "initrd.modules, and that its name?",
			 c->network.interface, (unsigned long long)(c->wait_ns / SECOND_NS));
		return -ENODEV;
	}
	r = ip_of(c->network.address, &address);
	if (r == 0)
		r = link_up(fd, index);
	if (r == 0)
		r = add_address(fd, index, &address);
	if (r < 0) {
		snprintf(ret_why, size, "network: %s cannot be given the address %s: %s",
			 c->network.interface, c->network.address, strerror(-r));
		return r;
	}
	if (!c->network.gateway)
		return 0;
	r = ip_of(c->network.gateway, &gateway);
	if (r == 0)
		r = add_gateway(fd, index, &gateway);
	if (r < 0)
		snprintf(ret_why, size, "network: no route by %s: %s; is it in the network of %s?",
			 c->network.gateway, strerror(-r), c->network.address);
	return r;
}

int initrd_network_up(const struct config_initrd *c, char *ret_why, size_t size)
{
	CLEANUP(cleanup_fd)
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	unsigned int loopback = if_nametoindex("lo");
	int r;

	if (fd < 0) {
		r = neg_errno();
		snprintf(ret_why, size, "network: %s", strerror(-r));
		return r;
	}
	r = loopback > 0 ? link_up(fd, loopback) : 0;
	if (r < 0) {
		snprintf(ret_why, size, "network: loopback: %s", strerror(-r));
		return r;
	}
	return c->network.interface ? configure(fd, c, ret_why, size) : 0;
}
