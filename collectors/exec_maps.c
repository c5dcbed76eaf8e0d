/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/exec_maps.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

/* A program's start is five to fifty records of about 150 bytes. */
#define RING_DEFAULT (256 * 1024)
#define NAME_MAX_KEPT 128
/* The part of a ring that may fill before anybody is woken. */
#define WAKE_PART 4

struct ring {
	int fd;
	struct perf_event_mmap_page *page; /* the data follows it */
	uint64_t mark;
};

struct exec_maps {
	struct ring *rings; /* one for each possible CPU; fd -1: it is not online */
	unsigned int possible;
	int online; /* when we last looked */
	size_t ring_bytes, page_bytes;
	bool at_once;
	int epoll_fd;
	bool counts_lost; /* the kernel gives the number of lost records when asked */
	struct exec_maps_account account;
};

CLEANUP_FUNCTION(struct exec_maps *, exec_maps_close)

static size_t mapped_size(const struct exec_maps *m)
{
	return m->page_bytes + m->ring_bytes;
}

static int open_event(struct exec_maps *m, int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TIME,
		.read_format = m->counts_lost ? PERF_FORMAT_LOST : 0,
		.mmap = 1,
		.mmap2 = 1,
		.sample_id_all = 1,
		.use_clockid = 1,
		.clockid = CLOCK_BOOTTIME,
		.watermark = 1,
		.wakeup_watermark = m->at_once ? 1 : (uint32_t)(m->ring_bytes / WAKE_PART),
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0 && errno == EINVAL && m->counts_lost) {
		m->counts_lost = false;
		return open_event(m, cpu);
	}
	return fd < 0 ? neg_errno() : fd;
}

static int open_ring(struct exec_maps *m, unsigned int cpu)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct ring *ring = &m->rings[cpu];
	void *at;
	int r;

	r = open_event(m, (int)cpu);
	if (r < 0)
		return r;
	ring->fd = r;
	at = mmap(NULL, mapped_size(m), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (at == MAP_FAILED)
		return neg_errno();
	ring->page = at;
	if (epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, ring->fd, &event) < 0)
		return neg_errno();
	m->account.cpus++;
	return 0;
}

/* -ENODEV is what perf says of a CPU that is offline. */
static int open_rings(struct exec_maps *m, uint64_t *late)
{
	int r;

	for (unsigned int i = 0; i < m->possible; i++) {
		if (m->rings[i].fd >= 0)
			continue;
		r = open_ring(m, i);
		if (r < 0 && r != -ENODEV)
			return r;
		if (r == 0 && late)
			++*late;
	}
	return 0;
}

int exec_maps_open(size_t ring_bytes, bool at_once, struct exec_maps **ret)
{
	CLEANUP(exec_maps_closep) struct exec_maps *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->epoll_fd = -1;
	m->counts_lost = true;
	m->ring_bytes = ring_bytes ? ring_bytes : RING_DEFAULT;
	m->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	m->at_once = at_once;
	m->rings = calloc((size_t)get_nprocs_conf(), sizeof(*m->rings));
	if (!m->rings)
		return -ENOMEM;
	m->possible = (unsigned int)get_nprocs_conf();
	for (unsigned int i = 0; i < m->possible; i++)
		m->rings[i].fd = -1;
	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (m->epoll_fd < 0)
		return neg_errno();
	m->online = get_nprocs();
	r = open_rings(m, NULL);
	if (r < 0)
		return r;
	if (m->account.cpus == 0)
		return -ENODEV;
	*ret = TAKE(m);
	return 0;
}

void exec_maps_close(struct exec_maps *m)
{
	if (!m)
		return;
	for (unsigned int i = 0; i < m->possible; i++) {
		if (m->rings[i].page)
			munmap(m->rings[i].page, mapped_size(m));
		if (m->rings[i].fd >= 0)
			close(m->rings[i].fd);
	}
	if (m->epoll_fd >= 0)
		close(m->epoll_fd);
	free(m->rings);
	free(m);
}

int exec_maps_events_fd(const struct exec_maps *m)
{
	return m->epoll_fd;
}

uint64_t exec_maps_records(const struct exec_maps *m)
{
	return m->account.records;
}

void exec_maps_mark(struct exec_maps *m)
{
	for (unsigned int i = 0; i < m->possible; i++) {
		struct ring *ring = &m->rings[i];

		if (ring->page)
			ring->mark = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	}
}

/* Bytes of the ring from that place on, across its end. */
static void copy_out(const struct exec_maps *m, const struct ring *ring, uint64_t from, void *to,
		     size_t len)
{
	const uint8_t *data = (const uint8_t *)ring->page + m->page_bytes;
	size_t at = from & (m->ring_bytes - 1);
	size_t first = m->ring_bytes - at < len ? m->ring_bytes - at : len;

	memcpy(to, data + at, first);
	memcpy((uint8_t *)to + first, data, len - first);
}

/* PERF_RECORD_MMAP2 up to its name, as linux/perf_event.h describes it. */
struct mmap2 {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t address, length, offset;
	uint32_t major, minor;
	uint64_t inode, generation;
	uint32_t prot, flags;
};

/* True if it is a mapping, which is handed out. */
static bool take_mmap(const struct exec_maps *m, const struct ring *ring, uint64_t from,
		      size_t size, void (*on_map)(void *arg, const struct exec_map *map), void *arg)
{
	char name[NAME_MAX_KEPT];
	struct exec_map map;
	struct mmap2 fixed;
	uint64_t when;
	size_t len;

	if (size < sizeof(fixed) + sizeof(when))
		return false;
	copy_out(m, ring, from, &fixed, sizeof(fixed));
	len = size - sizeof(fixed) - sizeof(when);
	copy_out(m, ring, from + size - sizeof(when), &when, sizeof(when));
	if (len > sizeof(name) - 1)
		len = sizeof(name) - 1;
	copy_out(m, ring, from + sizeof(fixed), name, len);
	name[len] = '\0';
	map = (struct exec_map){
		.pid = fixed.pid,
		.prot = fixed.prot,
		.address = fixed.address,
		.length = fixed.length,
		.boottime_ns = when,
		.device = (uint64_t)fixed.major << 20 | fixed.minor,
		.inode = fixed.inode,
		.name = name,
	};
	on_map(arg, &map);
	return true;
}

static int drain_ring(struct exec_maps *m, struct ring *ring,
		      void (*on_map)(void *arg, const struct exec_map *map), void *arg)
{
	uint64_t tail = ring->page->data_tail;
	struct perf_event_header header;
	int r = 0;

	while (tail < ring->mark) {
		uint64_t left = ring->mark - tail;

		if (left >= sizeof(header))
			copy_out(m, ring, tail, &header, sizeof(header));
		if (left < sizeof(header) || header.size < sizeof(header) || header.size > left) {
			m->account.unreadable++;
			tail = ring->mark;
			r = -EBADMSG;
			break;
		}
		if (header.type == PERF_RECORD_MMAP2) {
			if (take_mmap(m, ring, tail, header.size, on_map, arg))
				m->account.records++;
			else
				m->account.unreadable++;
		} else if (header.type == PERF_RECORD_LOST && !m->counts_lost) {
			struct {
				struct perf_event_header header;
				uint64_t id, lost;
			} lost;

			if (header.size >= sizeof(lost)) {
				copy_out(m, ring, tail, &lost, sizeof(lost));
				m->account.lost += lost.lost;
			}
		}
		tail += header.size;
	}
	__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	return r;
}

int exec_maps_drain(struct exec_maps *m, void (*on_map)(void *arg, const struct exec_map *map),
		    void *arg)
{
	int first = 0, r;

	for (unsigned int i = 0; i < m->possible; i++) {
		if (!m->rings[i].page)
			continue;
		r = drain_ring(m, &m->rings[i], on_map, arg);
		if (first == 0)
			first = r;
	}
	return first;
}

static void look_for_cpus(struct exec_maps *m)
{
	int online = get_nprocs();

	if (online == m->online)
		return;
	m->online = online;
	/* One that cannot be watched stays late and is tried again when the number changes. */
	if (open_rings(m, &m->account.cpus_late) < 0)
		m->account.cpus_late++;
}

void exec_maps_account(struct exec_maps *m, struct exec_maps_account *ret)
{
	uint64_t lost = 0;

	look_for_cpus(m);
	for (unsigned int i = 0; m->counts_lost && i < m->possible; i++) {
		struct {
			uint64_t value, lost;
		} counts;

		if (m->rings[i].fd >= 0 &&
		    read(m->rings[i].fd, &counts, sizeof(counts)) == sizeof(counts))
			lost += counts.lost;
	}
	if (m->counts_lost)
		m->account.lost = lost;
	*ret = m->account;
}
