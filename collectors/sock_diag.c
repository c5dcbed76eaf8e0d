/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/sock_diag.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"

#define BUFFER_SIZE (32 * 1024)

struct sock_diag {
	int fd;
	uint32_t sequence;
	_Alignas(struct nlmsghdr) uint8_t buffer[BUFFER_SIZE];
};

struct entering {
	int netns_fd, fd;
};

static int make_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	return fd < 0 ? neg_errno() : fd;
}

static void *enter_and_make(void *arg)
{
	struct entering *e = arg;

	e->fd = setns(e->netns_fd, CLONE_NEWNET) < 0 ? neg_errno() : make_socket();
	return NULL;
}

int sock_diag_open(int netns_fd, struct sock_diag **ret)
{
	struct entering e = { .netns_fd = netns_fd, .fd = -EIO };
	struct sock_diag *d;
	pthread_t thread;
	int r;

	if (netns_fd < 0) {
		e.fd = make_socket();
	} else {
		r = pthread_create(&thread, NULL, enter_and_make, &e);
		if (r != 0)
			return -r;
		pthread_join(thread, NULL);
	}
	if (e.fd < 0)
		return e.fd;
	d = calloc(1, sizeof(*d));
	if (!d) {
		close(e.fd);
		return -ENOMEM;
	}
	d->fd = e.fd;
	*ret = d;
	return 0;
}

void sock_diag_close(struct sock_diag *d)
{
	if (!d)
		return;
	close(d->fd);
	free(d);
}

static int request(struct sock_diag *d, int family, int protocol, uint32_t states, bool with_bytes)
{
	struct {
		struct nlmsghdr header;
		union {
			struct inet_diag_req_v2 inet;
			struct inet_diag_req both; /* the older request: it knows no family */
			struct unix_diag_req un;
		};
	} q = { .header = { .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };

	q.header.nlmsg_seq = ++d->sequence;
	if (family == AF_UNIX) {
		q.un.sdiag_family = AF_UNIX;
		q.un.udiag_states = states;
		q.un.udiag_show = UDIAG_SHOW_NAME;
		q.header.nlmsg_len = NLMSG_LENGTH(sizeof(q.un));
	} else if (family == AF_UNSPEC) {
		q.header.nlmsg_type = TCPDIAG_GETSOCK;
		q.both.idiag_states = states;
		q.both.idiag_ext = with_bytes ? 1 << (INET_DIAG_INFO - 1) : 0;
		q.header.nlmsg_len = NLMSG_LENGTH(sizeof(q.both));
	} else {
		q.inet.sdiag_family = (uint8_t)family;
		q.inet.sdiag_protocol = (uint8_t)protocol;
		q.inet.idiag_states = states;
		q.inet.idiag_ext = with_bytes ? 1 << (INET_DIAG_INFO - 1) : 0;
		q.header.nlmsg_len = NLMSG_LENGTH(sizeof(q.inet));
	}
	if (sendto(d->fd, &q, q.header.nlmsg_len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return neg_errno();
	return 0;
}

/* The attribute's content; NULL: there is none, or it is shorter than size. */
static const void *attribute(const struct nlmsghdr *h, size_t header_size, unsigned short type,
			     size_t size, size_t *ret_len)
{
	const struct rtattr *a =
		(const void *)((const uint8_t *)NLMSG_DATA(h) + NLMSG_ALIGN(header_size));
	long left = (long)h->nlmsg_len - (long)NLMSG_SPACE(header_size);

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == type && RTA_PAYLOAD(a) >= size) {
			*ret_len = RTA_PAYLOAD(a);
			return RTA_DATA(a);
		}
	}
	return NULL;
}

static int take_inet(const struct nlmsghdr *h, int protocol,
		     int (*on_socket)(void *arg, const struct sock_entry *entry), void *arg)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	struct sock_entry e = { .protocol = (uint8_t)protocol };
	const struct tcp_info *info;
	size_t len;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return -EBADMSG;
	e.inode = m->idiag_inode;
	e.family = m->idiag_family;
	e.state = m->idiag_state;
	e.local_port = ntohs(m->id.idiag_sport);
	e.remote_port = ntohs(m->id.idiag_dport);
	memcpy(e.local, m->id.idiag_src, sizeof(e.local));
	memcpy(e.remote, m->id.idiag_dst, sizeof(e.remote));
	info = attribute(h, sizeof(*m), INET_DIAG_INFO,
			 offsetof(struct tcp_info, tcpi_bytes_retrans), &len);
	if (info) {
		e.sent_bytes = info->tcpi_bytes_sent;
		e.received_bytes = info->tcpi_bytes_received;
	}
	return on_socket(arg, &e);
}

void sock_unix_name(const void *name, size_t len, char to[SOCK_UNIX_NAME_MAX])
{
	if (len > SOCK_UNIX_NAME_MAX - 1)
		len = SOCK_UNIX_NAME_MAX - 1;
	memcpy(to, name, len);
	to[len] = '\0';
	if (len == 0 || to[0] != '\0')
		return;
	/* Abstract names begin with a zero byte and may hold more. */
	for (size_t i = 0; i < len; i++) {
		if (to[i] == '\0')
			to[i] = '@';
	}
}

static int take_unix(const struct nlmsghdr *h,
		     int (*on_socket)(void *arg, const struct sock_entry *entry), void *arg)
{
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	struct sock_entry e = { .family = AF_UNIX };
	char path[SOCK_UNIX_NAME_MAX];
	const char *name;
	size_t len;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return -EBADMSG;
	e.inode = m->udiag_ino;
	e.state = m->udiag_state;
	name = attribute(h, sizeof(*m), UNIX_DIAG_NAME, 1, &len);
	if (name) {
		sock_unix_name(name, len, path);
		e.path = path;
	}
	return on_socket(arg, &e);
}

int sock_diag_dump(struct sock_diag *d, int family, int protocol, uint32_t states, bool with_bytes,
		   int (*on_socket)(void *arg, const struct sock_entry *entry), void *arg)
{
	int result = 0, r;
	ssize_t n;

	r = request(d, family, protocol, states, with_bytes);
	if (r < 0)
		return r;
	for (;;) {
		const struct nlmsghdr *h = (const void *)d->buffer;

		n = recv(d->fd, d->buffer, sizeof(d->buffer), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? neg_errno() : -EIO;
		for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_seq != d->sequence)
				continue; /* rest of a listing that was given up */
			if (h->nlmsg_type == NLMSG_DONE) {
				/* Carries the error of a listing that could not begin. */
				if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(int)))
					memcpy(&r, NLMSG_DATA(h), sizeof(r));
				return r < 0 ? r : result;
			}
			if (h->nlmsg_type == NLMSG_ERROR) {
				const struct nlmsgerr *e = NLMSG_DATA(h);

				return h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)) ? -EBADMSG
									       : e->error;
			}
			if (h->nlmsg_flags & NLM_F_DUMP_INTR && result == 0)
				result = -EINTR;
			if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY &&
			    h->nlmsg_type != TCPDIAG_GETSOCK)
				continue;
			r = family == AF_UNIX ? take_unix(h, on_socket, arg)
					      : take_inet(h, protocol, on_socket, arg);
			if (r < 0)
				return r;
		}
	}
}
