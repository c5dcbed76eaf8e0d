/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "cleanup.h"
#include "collectors/descriptors.h"
#include "collectors/sock_diag.h"
#include "collectors/table.h"
#include "collectors/target_state.h"

/*
 * MI item 3. Which sockets are the application's is told by its descriptors; what they are the
 * iterator over descriptors tells with them, or, where the kernel has none, the kernel's lister in
 * each network namespace that its processes are in.
 */

/* Most connections that are listed one by one; more are counted. */
#define CONNECTIONS_MAX 1024
#define LISTENERS_MAX	4096
/* Most network namespaces of one application. */
#define NAMESPACES_MAX 8

/* More sockets than these are not asked for their kind one by one: then all is listed. */
#define KINDS_ASKED_MAX 512

enum kind { KIND_UNKNOWN, KIND_TCP, KIND_UDP, KIND_UNIX, KIND_QUIET, KIND_OTHER, KINDS };

/* A socket that a process of the application has open. */
struct owned {
	uint64_t inode;
	uint32_t pid;
	uint32_t process; /* index, and descriptor in it */
	int number;
	uint32_t about; /* in the descriptors' notable, from 1; 0: not told */
	enum kind kind;
	bool listed;
};

struct name_space {
	uint64_t inode; /* of /proc/PID/ns/net */
	struct sock_diag *diag;
	bool used; /* at this node */
};

struct network {
	struct collector base;
	struct target *target;
	struct owned *sockets; /* in order of inode once all are found */
	size_t n_sockets, room;
	size_t pending[KINDS]; /* sockets of each kind that no list has shown yet */
	struct name_space spaces[NAMESPACES_MAX];
	struct follow_traffic traffic, run_base;
	uint64_t run;
};

/* One collect under way. */
struct gathering {
	struct network *x;
	struct mi *mi;
	Assay__Network *out;
	const char *why; /* what could not be seen */
};

static const char *const state_names[SOCK_STATES] = {
	"",	 "established", "syn-sent", "syn-recv", "fin-wait-1", "fin-wait-2",   "time-wait",
	"close", "close-wait",	"last-ack", "listen",	"closing",    "new-syn-recv",
};

static int network_open(struct target *t, struct collector **ret)
{
	struct network *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->base.ops = &collector_network;
	x->target = t;
	*ret = &x->base;
	return 0;
}

static int take_sockets(struct network *x, const struct descriptors *d)
{
	if (d->n > x->room) {
		struct owned *grown = realloc(x->sockets, d->n * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		x->sockets = grown;
		x->room = d->n;
	}
	x->n_sockets = 0;
	for (size_t i = 0; i < d->n; i++) {
		const struct descriptor *one = &d->all[i];

		if (one->socket != 0)
			x->sockets[x->n_sockets++] = (struct owned){
				.inode = one->socket,
				.pid = (uint32_t)x->target->processes[one->process].pid,
				.process = one->process,
				.number = one->number,
				.about = one->about,
			};
	}
	return 0;
}

static int by_inode(const void *a, const void *b)
{
	const struct owned *left = a, *right = b;

	if (left->inode != right->inode)
		return left->inode < right->inode ? -1 : 1;
	return left->pid < right->pid ? -1 : left->pid > right->pid;
}

/* Sorted, each socket once, with the first process that has it. */
static void order_sockets(struct network *x)
{
	size_t n = 0;

	if (x->n_sockets == 0)
		return;
	qsort(x->sockets, x->n_sockets, sizeof(*x->sockets), by_inode);
	for (size_t i = 0; i < x->n_sockets; i++) {
		if (n == 0 || x->sockets[n - 1].inode != x->sockets[i].inode)
			x->sockets[n++] = x->sockets[i];
	}
	x->n_sockets = n;
}

/* What the kernel calls the protocols; a name that is not here is one that no list shows. */
static const struct {
	const char *name;
	enum kind kind;
} kinds[] = {
	{ "TCP", KIND_TCP },   { "TCPv6", KIND_TCP },	  { "UDP", KIND_UDP },
	{ "UDPv6", KIND_UDP }, { "UNIX", KIND_UNIX },	  { "UNIX-STREAM", KIND_UNIX },
	{ "unix", KIND_UNIX }, { "NETLINK", KIND_QUIET }, { "ALG", KIND_QUIET },
};

/*
 * The kernel keeps a socket's protocol as an attribute of its file (sockprotoname); asking for
 * it costs less than going through tables in which no socket of ours can be. What cannot
 * be told stays unknown and is looked for everywhere.
 */
static enum kind ask_kind(const struct network *x, const struct owned *o)
{
	char path[64], name[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/fd/%d",
		 x->target->processes[o->process].proc_fd, o->number);
	len = getxattr(path, "system.sockprotoname", name, sizeof(name) - 1);
	if (len <= 0)
		return KIND_UNKNOWN;
	name[len] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].kind;
	}
	return KIND_OTHER;
}

static void ask_kinds(struct gathering *g)
{
	struct network *x = g->x;

	memset(x->pending, 0, sizeof(x->pending));
	for (size_t i = 0; i < x->n_sockets; i++) {
		struct owned *o = &x->sockets[i];

		o->kind = x->n_sockets <= KINDS_ASKED_MAX ? ask_kind(x, o) : KIND_UNKNOWN;
		x->pending[o->kind]++;
	}
	if (x->pending[KIND_OTHER] > 0)
		g->why = "the application has sockets of kinds that are not listed (raw, packet or "
			 "others)";
}

static struct owned *find_socket(struct network *x, uint64_t inode)
{
	size_t low = 0, high = x->n_sockets;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (x->sockets[middle].inode == inode)
			return &x->sockets[middle];
		if (x->sockets[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static int address(struct mi *mi, const struct sock_entry *e, const uint8_t *ip, uint16_t port,
		   char **ret)
{
	char text[INET6_ADDRSTRLEN];

	if (!inet_ntop(e->family, ip, text, sizeof(text)))
		return -EINVAL;
	return mi_printf(mi, ret, e->family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, port);
}

static const char *protocol_name(const struct sock_entry *e)
{
	if (e->family == AF_UNIX)
		return "unix";
	return e->protocol == IPPROTO_UDP ? "udp" : "tcp";
}

static int add_listener(struct gathering *g, const struct sock_entry *e, uint32_t pid)
{
	Assay__Listener *l;
	int r;

	if (g->out->n_listeners == LISTENERS_MAX) {
		g->why = "the application listens at more places than are listed";
		return 0;
	}
	l = MI_MESSAGE(g->mi, Assay__Listener, assay__listener__init);
	if (!l)
		return -ENOMEM;
	r = mi_text(g->mi, protocol_name(e), &l->protocol);
	if (r == 0 && e->family == AF_UNIX)
		r = mi_text(g->mi, e->path, &l->address);
	else if (r == 0)
		r = address(g->mi, e, e->local, e->local_port, &l->address);
	if (r < 0)
		return r;
	l->pid = pid;
	return mi_push(g->mi, &g->out->n_listeners, &g->out->listeners, l);
}

static int add_connection(struct gathering *g, const struct sock_entry *e, uint32_t pid)
{
	Assay__Connection *c;
	int r;

	if (g->out->n_connections == CONNECTIONS_MAX) {
		g->out->connections_uncounted++;
		return 0;
	}
	c = MI_MESSAGE(g->mi, Assay__Connection, assay__connection__init);
	if (!c)
		return -ENOMEM;
	r = mi_text(g->mi, protocol_name(e), &c->protocol);
	if (r == 0)
		r = address(g->mi, e, e->local, e->local_port, &c->local);
	if (r == 0)
		r = address(g->mi, e, e->remote, e->remote_port, &c->remote);
	if (r == 0)
		r = mi_text(g->mi, e->state < SOCK_STATES ? state_names[e->state] : "unknown",
			    &c->state);
	if (r < 0)
		return r;
	c->pid = pid;
	c->sent_bytes = e->sent_bytes;
	c->received_bytes = e->received_bytes;
	return mi_push(g->mi, &g->out->n_connections, &g->out->connections, c);
}

static int add_socket(struct gathering *g, const struct sock_entry *e, uint32_t pid)
{
	if (e->family == AF_UNIX) /* one without a name cannot be reached by others */
		return e->path ? add_listener(g, e, pid) : 0;
	if (e->state == SOCK_STATE_LISTEN)
		return add_listener(g, e, pid);
	if (e->state ==
	    SOCK_STATE_CLOSE) /* of UDP: bound, to whoever writes; of TCP: nothing yet */
		return e->protocol == IPPROTO_UDP && e->local_port != 0 ? add_listener(g, e, pid)
									: 0;
	return add_connection(g, e, pid);
}

static int on_socket(void *arg, const struct sock_entry *e)
{
	struct gathering *g = arg;
	struct owned *o = find_socket(g->x, e->inode);

	if (!o || o->listed)
		return 0;
	o->listed = true;
	g->x->pending[o->kind]--;
	return add_socket(g, e, o->pid);
}

static int add_vsock(struct gathering *g, const struct scan_descriptor *d, uint32_t pid)
{
	bool waits = d->state == SOCK_STATE_LISTEN ||
		     (d->type == SOCK_DGRAM && d->local_vport != VMADDR_PORT_ANY);
	Assay__Connection *c;
	Assay__Listener *l;
	int r;

	if (!waits && d->state == SOCK_STATE_CLOSE)
		return 0;
	if (waits && g->out->n_listeners == LISTENERS_MAX) {
		g->why = "the application listens at more places than are listed";
		return 0;
	}
	if (!waits && g->out->n_connections == CONNECTIONS_MAX) {
		g->out->connections_uncounted++;
		return 0;
	}
	if (waits) {
		l = MI_MESSAGE(g->mi, Assay__Listener, assay__listener__init);
		if (!l)
			return -ENOMEM;
		l->pid = pid;
		r = mi_text(g->mi, "vsock", &l->protocol);
		if (r == 0)
			r = mi_printf(g->mi, &l->address, "%u:%u", d->local_cid, d->local_vport);
		return r < 0 ? r
			     : mi_push(g->mi, &g->out->n_listeners, &g->out->listeners, l);
	}
	c = MI_MESSAGE(g->mi, Assay__Connection, assay__connection__init);
	if (!c)
		return -ENOMEM;
	c->pid = pid;
	r = mi_text(g->mi, "vsock", &c->protocol);
	if (r == 0)
		r = mi_printf(g->mi, &c->local, "%u:%u", d->local_cid, d->local_vport);
	if (r == 0)
		r = mi_printf(g->mi, &c->remote, "%u:%u", d->remote_cid, d->remote_vport);
	if (r == 0)
		r = mi_text(g->mi, d->state < SOCK_STATES ? state_names[d->state] : "unknown",
			    &c->state);
	return r < 0 ? r : mi_push(g->mi, &g->out->n_connections, &g->out->connections, c);
}

/* A socket as the iterator told it. */
static int add_told(struct gathering *g, const struct descriptors *all, const struct owned *o)
{
	const struct descriptor_notable *one = &all->notable[o->about - 1];
	const struct scan_descriptor *d = &one->d;
	struct sock_entry e = { .inode = d->inode,
				.protocol = (uint8_t)d->protocol,
				.family = (uint8_t)d->family,
				.state = (uint8_t)d->state,
				.local_port = d->local_port,
				.remote_port = d->remote_port,
				.sent_bytes = d->sent_bytes,
				.received_bytes = d->received_bytes };
	struct view name = descriptor_text(all, one);
	char path[SOCK_UNIX_NAME_MAX];
	bool inet = d->family == AF_INET || d->family == AF_INET6;

	if (d->family == AF_NETLINK || d->family == AF_ALG)
		return 0;
	if (d->family == AF_VSOCK)
		return add_vsock(g, d, o->pid);
	if (d->family == AF_UNIX) {
		/* A connected one has the name of the one that was listened on. */
		if (name.len == 0 ||
		    (d->state != SOCK_STATE_LISTEN && d->state != SOCK_STATE_CLOSE))
			return 0;
		sock_unix_name(name.data, name.len, path);
		e.path = path;
		return add_socket(g, &e, o->pid);
	}
	if (!inet || (d->protocol != IPPROTO_TCP && d->protocol != IPPROTO_UDP) ||
	    d->type == SOCK_RAW) {
		g->why = "the application has sockets of kinds that are not listed (raw, packet or "
			 "others)";
		return 0;
	}
	memcpy(e.local, d->local, sizeof(e.local));
	memcpy(e.remote, d->remote, sizeof(e.remote));
	return add_socket(g, &e, o->pid);
}

/* The lister of the namespace that the process is in; NULL: more namespaces than we look into. */
static int space_of(struct network *x, size_t process, struct name_space **ret)
{
	int proc_fd = x->target->processes[process].proc_fd, r;
	struct name_space *place = NULL;
	CLEANUP(cleanup_fd) int fd = -1;
	struct stat st, own;

	if (fstatat(proc_fd, "ns/net", &st, 0) < 0)
		return neg_errno();
	for (size_t i = 0; i < NAMESPACES_MAX; i++) {
		struct name_space *s = &x->spaces[i];

		if (s->diag && s->inode == st.st_ino) {
			*ret = s;
			return 0;
		}
		if (!place && !s->used)
			place = s;
	}
	*ret = place;
	if (!place)
		return 0;
	sock_diag_close(place->diag);
	*place = (struct name_space){ .inode = st.st_ino };
	if (stat("/proc/self/ns/net", &own) < 0)
		return neg_errno();
	if (own.st_ino != st.st_ino) {
		fd = openat(proc_fd, "ns/net", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return neg_errno();
	}
	r = sock_diag_open(fd, &place->diag);
	return r;
}

/* TIME_WAIT belongs to no process any more. */
#define CONNECTED (~(1U << SOCK_STATE_LISTEN | 1U << SOCK_STATE_TIME_WAIT))

static const struct listing {
	enum kind kind;
	int family, protocol;
	uint32_t states;
	bool with_bytes;
} listings[] = {
	/* Listeners apart: the kernel finds them without going through all connections. */
	{ KIND_TCP, AF_INET, IPPROTO_TCP, 1 << SOCK_STATE_LISTEN, false },
	{ KIND_TCP, AF_INET6, IPPROTO_TCP, 1 << SOCK_STATE_LISTEN, false },
	{ KIND_UDP, AF_INET, IPPROTO_UDP, UINT32_MAX, false },
	{ KIND_UDP, AF_INET6, IPPROTO_UDP, UINT32_MAX, false },
	{ KIND_UNIX, AF_UNIX, 0, 1 << SOCK_STATE_LISTEN | 1 << SOCK_STATE_CLOSE, false },
	/* Both families at once; where a kernel no longer takes that, one after the other. */
	{ KIND_TCP, AF_UNSPEC, IPPROTO_TCP, CONNECTED, true },
	{ KIND_TCP, AF_INET, IPPROTO_TCP, CONNECTED, true },
	{ KIND_TCP, AF_INET6, IPPROTO_TCP, CONNECTED, true },
};

static int gather_space(struct gathering *g, struct name_space *s)
{
	struct network *x = g->x;
	bool both = false;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(listings); i++) {
		const struct listing *l = &listings[i];

		if (x->pending[l->kind] + x->pending[KIND_UNKNOWN] == 0)
			continue;
		if (both && l->states == CONNECTED)
			continue;
		r = sock_diag_dump(s->diag, l->family, l->protocol, l->states, l->with_bytes,
				   on_socket, g);
		if (r == -ENOMEM)
			return r;
		if (l->family == AF_UNSPEC) {
			both = r == 0 || r == -EINTR;
			r = both ? r : 0;
		}
		if (r == -EINTR)
			g->why = "sockets changed while they were listed";
		else if (r < 0)
			g->why = "the kernel does not list sockets of every kind (sock_diag)";
	}
	return 0;
}

static int gather_sockets(struct gathering *g)
{
	struct network *x = g->x;
	const struct descriptors *d;
	struct name_space *s;
	int r;

	for (size_t i = 0; i < NAMESPACES_MAX; i++)
		x->spaces[i].used = false;
	r = descriptors_of(x->target, &d);
	if (r == 0)
		r = take_sockets(x, d);
	if (r < 0)
		return r;
	if (!d->complete)
		g->why = "not every descriptor could be looked at";
	order_sockets(x);
	for (size_t i = 0; d->told && i < x->n_sockets; i++) {
		r = x->sockets[i].about ? add_told(g, d, &x->sockets[i]) : 0;
		if (r < 0)
			return r;
	}
	if (d->told)
		return 0;
	ask_kinds(g);
	for (size_t i = 0; i < x->target->n_processes && x->n_sockets > 0; i++) {
		r = space_of(x, i, &s);
		if (r == -ENOMEM)
			return r;
		if ((r < 0 || !s) && target_process_ended(&x->target->processes[i]))
			continue;
		if (r < 0 || !s) {
			g->why = "a network namespace of the application could not be looked into";
			continue;
		}
		if (s->used)
			continue;
		s->used = true;
		r = gather_space(g, s);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The application did not wait for it: nobody of it listens on the local port. */
static void mark_outgoing(Assay__Network *out)
{
	for (size_t i = 0; i < out->n_connections; i++) {
		Assay__Connection *c = out->connections[i];
		const char *port = strrchr(c->local, ':');
		bool listens = false;

		for (size_t j = 0; j < out->n_listeners && !listens; j++) {
			const Assay__Listener *l = out->listeners[j];
			const char *its = strrchr(l->address, ':');

			listens = its && port && strcmp(l->protocol, c->protocol) == 0 &&
				  strcmp(its, port) == 0;
		}
		c->outgoing = !listens;
	}
}

static int by_address(const void *a, const void *b)
{
	const Assay__Listener *left = *(Assay__Listener *const *)a;
	const Assay__Listener *right = *(Assay__Listener *const *)b;
	int r = strcmp(left->protocol, right->protocol);

	return r ? r : strcmp(left->address, right->address);
}

static void add_traffic(struct gathering *g)
{
	struct network *x = g->x;
	const struct target *t = x->target;
	struct follow_traffic now;

	if (!t->follow) {
		g->why = "bytes are not counted: eBPF cannot be used";
		return;
	}
	if (follow_traffic(t->follow, t->slot, &now) < 0) {
		g->why =
			"bytes are not counted: the kernel refused the programs (see kernel.hooks)";
		return;
	}
	for (size_t i = 0; i < t->n_processes; i++) {
		if (!target_detail(t, i)->in_cgroup)
			g->why = "bytes of processes that left the application's cgroup are not "
				 "counted";
	}
	if (x->run != t->started_boottime_ns) {
		if (x->run != 0)
			x->run_base = x->traffic;
		x->run = t->started_boottime_ns;
	}
	g->out->sent_bytes = now.sent_bytes - x->traffic.sent_bytes;
	g->out->received_bytes = now.received_bytes - x->traffic.received_bytes;
	g->out->sent_total_bytes = now.sent_bytes - x->run_base.sent_bytes;
	g->out->received_total_bytes = now.received_bytes - x->run_base.received_bytes;
	x->traffic = now;
}

static int network_collect(struct collector *c, const struct collector_time *time, struct mi *mi)
{
	struct network *x = (struct network *)c;
	struct gathering g = { .x = x, .mi = mi };
	int r;

	g.out = MI_MESSAGE(mi, Assay__Network, assay__network__init);
	if (!g.out)
		return -ENOMEM;
	mi->msg->network = g.out;
	g.out->window_ns = time->boottime_ns - time->previous_boottime_ns;
	r = gather_sockets(&g);
	if (r < 0)
		return r;
	mark_outgoing(g.out);
	if (g.out->n_listeners > 1)
		qsort(g.out->listeners, g.out->n_listeners, sizeof(*g.out->listeners), by_address);
	add_traffic(&g);
	if (!x->target->scan_complete && !g.why)
		g.why = "processes came faster than they could be listed";
	return mi_status(mi, c->ops->name,
			 g.why ? ASSAY__COLLECTOR_STATUS__STATE__PARTIAL
			       : ASSAY__COLLECTOR_STATUS__STATE__COMPLETE,
			 g.why);
}

static void network_close(struct collector *c)
{
	struct network *x = (struct network *)c;

	if (!x)
		return;
	for (size_t i = 0; i < NAMESPACES_MAX; i++)
		sock_diag_close(x->spaces[i].diag);
	free(x->sockets);
	free(x);
}

const struct collector_ops collector_network = {
	.name = "network",
	.item = 3,
	.open = network_open,
	.collect = network_collect,
	.close = network_close,
};
