/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "collectors/descriptors.h"
#include "collectors/sock_diag.h"
#include "collectors/table.h"
#include "collectors/target_state.h"

/*
 * What is held open that nobody expects: by the application (a connection as standard input, the
 * memory of processes, kernel objects), and by others towards it (its memory, its ports, the
 * packets of its network). Listeners, connections and files are items 3 and 4.
 */

/* Most that are listed one by one; more are counted. */
#define OWN_MAX	    1024
#define FOREIGN_MAX 1024
/* Most network namespaces whose packets are the application's. */
#define NETWORKS_MAX 16

#define MEMORY_MAJOR 1 /* the driver of /dev/mem */

struct holders {
	struct collector base;
	struct target *target;
};

/* One collect under way. */
struct looking {
	const struct target *target;
	const struct descriptors *d;
	struct mi *mi;
	Assay__Descriptors *out;
	uint32_t networks[NETWORKS_MAX];
	size_t n_networks;
	bool networks_known;
};

static int holders_open(struct target *t, struct collector **ret)
{
	struct holders *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->base.ops = &collector_descriptors;
	x->target = t;
	*ret = &x->base;
	return 0;
}

static const char *protocol_of(const struct scan_descriptor *d)
{
	if (d->type == SOCK_RAW)
		return "raw";
	return d->protocol == IPPROTO_TCP ? "tcp" : d->protocol == IPPROTO_UDP ? "udp" : "ip";
}

static bool is_inet(const struct scan_descriptor *d)
{
	return d->family == AF_INET || d->family == AF_INET6;
}

static int inet_text(struct mi *mi, const struct scan_descriptor *d, bool remote, char **ret)
{
	char text[INET6_ADDRSTRLEN];

	if (!inet_ntop(d->family, remote ? d->remote : d->local, text, sizeof(text)))
		return -EINVAL;
	return mi_printf(mi, ret, d->family == AF_INET6 ? "%s/[%s]:%u" : "%s/%s:%u", protocol_of(d),
			 text, remote ? d->remote_port : d->local_port);
}

/* Names of what the kernel hands out as anonymous files, and that is no part of plain programs. */
static const char *const objects[] = {
	"bpf-map",  "bpf-prog",	 "bpf_link",	   "bpf-link",	  "bpf_iter",
	"bpf-token", "btf",	 "[userfaultfd]", "[perf_event]", "seccomp notify",
};

static bool is_object(struct view name)
{
	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		if (view_is(name, objects[i]))
			return true;
	}
	return false;
}

static int text_of(struct looking *x, const struct descriptor_notable *one, char **ret)
{
	struct view v = descriptor_text(x->d, one);

	return mi_text(x->mi, v.len > 0 ? (const char *)v.data : "", ret);
}

/* The kind of a socket that matters here; NULL: none. */
static int socket_detail(struct looking *x, const struct scan_descriptor *d, const char **ret_kind,
			 char **ret)
{
	*ret_kind = NULL;
	if (d->family == AF_PACKET) {
		*ret_kind = "raw_socket";
		return mi_text(x->mi, "a packet socket", ret);
	}
	if (is_inet(d) && d->type == SOCK_RAW) {
		*ret_kind = "raw_socket";
		return mi_printf(x->mi, ret, "a raw socket of IP protocol %u", d->protocol);
	}
	if (d->number > STDERR_FILENO)
		return 0;
	if (is_inet(d)) {
		*ret_kind = "standard_socket";
		return inet_text(x->mi, d, d->state != SOCK_STATE_LISTEN, ret);
	}
	if (d->family == AF_VSOCK) {
		*ret_kind = "standard_socket";
		return mi_printf(x->mi, ret, "vsock/%u:%u", d->remote_cid, d->remote_vport);
	}
	return 0;
}

/* What has the memory of all of the machine in it. */
static int whole_memory(const struct looking *x, const struct scan_descriptor *d, char **ret)
{
	if (d->kind == SCAN_KERNEL_IMAGE)
		return mi_text(x->mi, "/proc/kcore", ret);
	return mi_printf(x->mi, ret, "the device %u:%u of memory", MEMORY_MAJOR,
			 (unsigned int)(d->device & 0xfffff));
}

static int describe(struct looking *x, const struct descriptor_notable *one, const char **ret_kind,
		    char **ret)
{
	const struct scan_descriptor *d = &one->d;

	switch (d->kind) {
	case SCAN_SOCKET:
		return socket_detail(x, d, ret_kind, ret);
	case SCAN_PROCESS_MEMORY:
		*ret_kind = "process_memory";
		return mi_printf(x->mi, ret, "the memory of process %u%s", d->target,
				 d->writable ? ", writable" : "");
	case SCAN_MEMORY_FILE:
		*ret_kind = "memory_file";
		return text_of(x, one, ret);
	case SCAN_DELETED:
		*ret_kind = "deleted_program";
		return text_of(x, one, ret);
	case SCAN_CHARACTER:
	case SCAN_KERNEL_IMAGE:
		*ret_kind = "kernel_memory";
		return whole_memory(x, d, ret);
	case SCAN_BLOCK:
		*ret_kind = "block_device";
		return mi_printf(x->mi, ret, "the block device %u:%u%s",
				 (unsigned int)(d->device >> 20),
				 (unsigned int)(d->device & 0xfffff),
				 d->writable ? ", writable" : "");
	case SCAN_PERF_EVENT:
	case SCAN_OBJECT:
		*ret_kind = is_object(descriptor_text(x->d, one)) ? "kernel_object" : NULL;
		return *ret_kind ? text_of(x, one, ret) : 0;
	default:
		*ret_kind = NULL;
		return 0;
	}
}

static int add_own(struct looking *x, const struct descriptor_notable *one)
{
	Assay__Descriptor *to;
	const char *kind = NULL;
	char *detail = NULL;
	int r;

	r = describe(x, one, &kind, &detail);
	if (r < 0 || !kind)
		return r;
	if (x->out->n_own == OWN_MAX) {
		x->out->own_uncounted++;
		return 0;
	}
	to = MI_MESSAGE(x->mi, Assay__Descriptor, assay__descriptor__init);
	if (!to)
		return -ENOMEM;
	to->pid = one->d.tgid;
	to->number = one->d.number;
	to->detail = detail;
	r = mi_text(x->mi, kind, &to->kind);
	return r < 0 ? r : mi_push(x->mi, &x->out->n_own, &x->out->own, to);
}

static bool known_network(const struct looking *x, uint32_t network)
{
	for (size_t i = 0; i < x->n_networks; i++) {
		if (x->networks[i] == network)
			return true;
	}
	return false;
}

/* Ours too: what leaves a namespace of the application mostly goes through it. */
static bool in_its_network(struct looking *x, uint32_t network)
{
	struct stat st;

	if (!x->networks_known) {
		x->networks_known = true;
		if (stat("/proc/self/ns/net", &st) == 0)
			x->networks[x->n_networks++] = (uint32_t)st.st_ino;
		for (size_t i = 0; i < x->target->n_processes; i++) {
			if (x->n_networks < NETWORKS_MAX &&
			    fstatat(x->target->processes[i].proc_fd, "ns/net", &st, 0) == 0 &&
			    !known_network(x, (uint32_t)st.st_ino))
				x->networks[x->n_networks++] = (uint32_t)st.st_ino;
		}
	}
	/* Past the limit nothing is ruled out. */
	return x->n_networks == NETWORKS_MAX || known_network(x, network);
}

static bool unspecified(const struct scan_descriptor *d)
{
	static const uint8_t zero[16];

	return memcmp(d->local, zero, d->family == AF_INET ? 4 : 16) == 0;
}

/* True if what is sent to one can come to the other. */
static bool same_place(const struct scan_descriptor *a, const struct scan_descriptor *b)
{
	if (a->protocol != b->protocol || a->local_port != b->local_port || a->netns != b->netns ||
	    a->local_port == 0 || a->inode == b->inode)
		return false;
	if (unspecified(a) || unspecified(b)) /* [::] takes IPv4 too */
		return true;
	return a->family == b->family &&
	       memcmp(a->local, b->local, a->family == AF_INET ? 4 : 16) == 0;
}

static bool waits(const struct scan_descriptor *d)
{
	return d->kind == SCAN_SOCKET && is_inet(d) && d->type != SOCK_RAW &&
	       (d->protocol == IPPROTO_TCP ? d->state == SOCK_STATE_LISTEN
					   : d->protocol == IPPROTO_UDP && d->remote_port == 0);
}

static bool shares_port(const struct looking *x, const struct scan_descriptor *foreign)
{
	bool shared = false;

	if (!waits(foreign))
		return false;
	for (size_t i = 0; i < x->d->n_notable; i++) {
		const struct scan_descriptor *own = &x->d->notable[i].d;

		if (own->foreign || !waits(own))
			continue;
		/* The very socket, which it has from the application or the other way: no thief. */
		if (own->inode == foreign->inode)
			return false;
		shared |= same_place(own, foreign);
	}
	return shared;
}

/* Raw sockets that are given copies of what comes in, but for the answers to ping. */
static bool hears_packets(const struct scan_descriptor *d)
{
	return d->family == AF_PACKET ||
	       (is_inet(d) && d->type == SOCK_RAW && d->protocol != IPPROTO_RAW &&
		d->protocol != IPPROTO_ICMP && d->protocol != IPPROTO_ICMPV6);
}

static int describe_foreign(struct looking *x, const struct scan_descriptor *d,
			    const char **ret_kind, char **ret)
{
	*ret_kind = NULL;
	if (d->kind == SCAN_PROCESS_MEMORY) {
		*ret_kind = "memory";
		return mi_text(x->mi, "the memory", ret);
	}
	if (d->kind == SCAN_KERNEL_IMAGE || d->kind == SCAN_CHARACTER) {
		*ret_kind = "memory";
		return whole_memory(x, d, ret);
	}
	if (d->kind == SCAN_PERF_EVENT) {
		*ret_kind = "trace";
		return mi_text(x->mi, "a perf event", ret);
	}
	if (d->kind != SCAN_SOCKET)
		return 0;
	if (hears_packets(d) && in_its_network(x, d->netns)) {
		*ret_kind = "packets";
		return d->family == AF_PACKET
			       ? mi_text(x->mi, "a packet socket", ret)
			       : mi_printf(x->mi, ret, "a raw socket of IP protocol %u",
					   d->protocol);
	}
	if (shares_port(x, d)) {
		*ret_kind = "port";
		return inet_text(x->mi, d, false, ret);
	}
	return 0;
}

static int add_foreign(struct looking *x, const struct descriptor_notable *one)
{
	const struct scan_descriptor *d = &one->d;
	char comm[SCAN_COMM + 1] = "", *detail = NULL;
	const char *kind;
	Assay__Holder *to;
	int r;

	r = describe_foreign(x, d, &kind, &detail);
	if (r < 0 || !kind)
		return r;
	if (x->out->n_foreign == FOREIGN_MAX) {
		x->out->foreign_uncounted++;
		return 0;
	}
	to = MI_MESSAGE(x->mi, Assay__Holder, assay__holder__init);
	if (!to)
		return -ENOMEM;
	memcpy(comm, d->comm, SCAN_COMM);
	to->pid = d->tgid;
	to->uid = d->uid;
	to->target = d->target;
	to->writable = d->kind == SCAN_PROCESS_MEMORY && d->writable;
	to->detail = detail;
	r = mi_text(x->mi, kind, &to->kind);
	if (r == 0)
		r = mi_text(x->mi, comm, &to->comm);
	return r < 0 ? r : mi_push(x->mi, &x->out->n_foreign, &x->out->foreign, to);
}

static int holders_collect(struct collector *c, const struct collector_time *time, struct mi *mi)
{
	struct holders *h = (struct holders *)c;
	struct looking x = { .target = h->target, .mi = mi };
	const char *why = NULL;
	int r;

	r = descriptors_of(h->target, &x.d);
	if (r < 0)
		return r;
	if (!x.d->told)
		return mi_status(mi, c->ops->name, ASSAY__COLLECTOR_STATUS__STATE__FAILED,
				 x.d->why);
	x.out = MI_MESSAGE(mi, Assay__Descriptors, assay__descriptors__init);
	if (!x.out)
		return -ENOMEM;
	mi->msg->descriptors = x.out;
	for (size_t i = 0; i < x.d->n_notable && r == 0; i++) {
		const struct descriptor_notable *one = &x.d->notable[i];

		r = one->d.foreign ? add_foreign(&x, one) : add_own(&x, one);
	}
	if (r < 0)
		return r;
	if (!x.d->complete)
		why = "not every descriptor could be looked at";
	else if (!h->target->scan_complete)
		why = "processes came faster than they could be listed";
	return mi_status(mi, c->ops->name,
			 why ? ASSAY__COLLECTOR_STATUS__STATE__PARTIAL
			     : ASSAY__COLLECTOR_STATUS__STATE__COMPLETE,
			 why);
}

static void holders_close(struct collector *c)
{
	free(c);
}

const struct collector_ops collector_descriptors = {
	.name = "descriptors",
	.item = 24,
	.open = holders_open,
	.collect = holders_collect,
	.close = holders_close,
};
