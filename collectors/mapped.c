/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/mapped.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "collectors/target_state.h"

/* Records of all processes of an application that are kept of a pass. */
#define RECORDS_MAX (1024 * 1024)

/* The records of one process. */
struct span {
	pid_t pid;
	size_t first, n;
	uint64_t start_boottime_ns;
	bool forgotten; /* the process has changed its mappings since */
};

struct mapped {
	struct mappings_ways *ways;
	struct bytes *text;
	uint64_t page;
	struct mapped_record *records;
	size_t n_records, room_records;
	struct span *spans; /* of processes whose records are all there, in order of pid */
	size_t n_spans, room_spans;
	size_t first; /* record of the process under way */
};

int mapped_new(struct mappings_ways *ways, struct bytes *text, struct mapped **ret)
{
	struct mapped *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->ways = ways;
	m->text = text;
	m->page = (uint64_t)sysconf(_SC_PAGESIZE);
	*ret = m;
	return 0;
}

void mapped_free(struct mapped *m)
{
	if (!m)
		return;
	free(m->records);
	free(m->spans);
	free(m);
}

static int room_for(void *array, size_t n, size_t *room, size_t size)
{
	void **items = array, *grown;
	size_t more = *room ? 2 * *room : 64;

	if (n < *room)
		return 0;
	grown = realloc(*items, more * size);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*room = more;
	return 0;
}

static int on_record(void *arg, const struct mapped_record *one)
{
	struct mapped *m = arg;
	int r;

	if (!(one->flags & MAPPED_END)) {
		if (m->n_records == RECORDS_MAX)
			return -E2BIG;
		r = room_for(&m->records, m->n_records, &m->room_records, sizeof(*m->records));
		if (r == 0)
			m->records[m->n_records++] = *one;
		return r;
	}
	if (one->flags & MAPPED_WHOLE) {
		r = room_for(&m->spans, m->n_spans, &m->room_spans, sizeof(*m->spans));
		if (r < 0)
			return r;
		m->spans[m->n_spans++] = (struct span){
			.pid = (pid_t)one->tgid,
			.first = m->first,
			.n = m->n_records - m->first,
			.start_boottime_ns = one->start,
		};
	}
	m->first = m->n_records;
	return 0;
}

static int by_pid(const void *a, const void *b)
{
	pid_t left = ((const struct span *)a)->pid, right = ((const struct span *)b)->pid;

	return left < right ? -1 : left > right;
}

int mapped_pass(struct mapped *m, struct target *t)
{
	struct scan *iterators;
	const char *why;
	int r;

	m->n_records = m->n_spans = m->first = 0;
	/* Names can only be asked for one by one, of a kernel that does not know this either. */
	if (m->ways->no_query)
		return 0;
	r = target_iterators(t, &iterators, &why);
	if (r < 0 || !iterators)
		return r;
	r = scan_mappings(iterators, on_record, m);
	if (r < 0)
		m->n_spans = 0;
	else if (m->n_spans > 1)
		qsort(m->spans, m->n_spans, sizeof(*m->spans), by_pid);
	return r == -ENOMEM ? r : 0;
}

/* NULL: there is none that is whole, or its pid is another process's by now. */
static struct span *span_of(const struct mapped *m, const struct target_process *p)
{
	struct span key = { .pid = p->pid };
	struct span *s =
		m->n_spans ? bsearch(&key, m->spans, m->n_spans, sizeof(key), by_pid) : NULL;

	if (!s || s->forgotten || m->ways->no_query ||
	    s->start_boottime_ns / PROC_TICK_NS * PROC_TICK_NS != p->start_boottime_ns)
		return NULL;
	return s;
}

void mapped_forget(struct mapped *m, const struct target_process *p)
{
	struct span *s = span_of(m, p);

	if (s)
		s->forgotten = true;
}

static struct proc_mapping mapping_of(const struct mapped *m, const struct mapped_record *from)
{
	return (struct proc_mapping){
		.start = from->start,
		.end = from->end,
		.offset = from->inode ? from->page * m->page : 0,
		.protection = { from->flags & MAPPED_READ ? 'r' : '-',
				from->flags & MAPPED_WRITE ? 'w' : '-',
				from->flags & MAPPED_EXECUTE ? 'x' : '-',
				from->flags & MAPPED_SHARED ? 's' : 'p' },
		.device = makedev(from->device >> 20, from->device & 0xfffff),
		.inode = from->inode,
		.no_copies = !(from->flags & MAPPED_COPIES),
	};
}

/* A process that is told of from its records, and the file that the kernel is asked through. */
struct telling {
	struct mapped *m;
	int proc_fd, maps_fd;
	uint64_t told; /* up to that address */
	char name[PATH_MAX + 16];
};

/* What is mapped there by now, as the kernel shows it. -ENOENT: nothing. */
static int ask_again(struct telling *t, struct proc_mapping *one)
{
	int r = t->maps_fd < 0 ? mappings_open(t->proc_fd, &t->maps_fd) : 0;

	return r < 0 ? r : mappings_again(t->maps_fd, t->name, sizeof(t->name), one);
}

static bool is_code(const struct proc_mapping *one)
{
	return one->protection[2] == 'x';
}

static bool is_written(const struct proc_mapping *one)
{
	return one->inode && one->protection[1] == 'w' && one->protection[3] == 's';
}

static int tell(struct mapped *m, const struct target_process *p, const struct span *s,
		bool (*is_wanted)(const struct proc_mapping *one),
		int (*on_mapping)(void *arg, const struct proc_mapping *m), void *arg)
{
	struct telling t = { .m = m, .proc_fd = p->proc_fd, .maps_fd = -1 };
	const struct mappings_ways *ways = m->ways;
	int r = 0;

	for (size_t i = s->first; i < s->first + s->n && r == 0; i++) {
		struct proc_mapping one = mapping_of(m, &m->records[i]);

		if (!is_wanted(&one) || one.start < t.told)
			continue;
		if (is_wanted == is_written || one.inode == 0 || !ways->is_known ||
		    !ways->is_known(ways->known_arg, one.device, one.inode))
			r = ask_again(&t, &one);
		if (r == 0 && is_wanted(&one))
			r = on_mapping(arg, &one);
		t.told = one.end;
		r = r == -ENOENT ? 0 : r;
	}
	if (t.maps_fd >= 0)
		close(t.maps_fd);
	return r;
}

int mapped_executable(struct mapped *m, const struct target_process *p,
		      int (*on_mapping)(void *arg, const struct proc_mapping *m), void *arg)
{
	const struct span *s = span_of(m, p);

	return s ? tell(m, p, s, is_code, on_mapping, arg)
		 : mappings_executable(m->ways, p->proc_fd, m->text, on_mapping, arg);
}

int mapped_written(struct mapped *m, const struct target_process *p,
		   int (*on_mapping)(void *arg, const struct proc_mapping *m), void *arg)
{
	const struct span *s = span_of(m, p);

	return s ? tell(m, p, s, is_written, on_mapping, arg)
		 : mappings_written(m->ways, p->proc_fd, m->text, on_mapping, arg);
}
