/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/scan.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "mapped.skel.h"
#include "scan.skel.h"

/* Several of the kernel's own pages at once, and always room for a whole record. */
#define BUFFER_SIZE (128 * 1024)

struct scan {
	struct scan_bpf *skel;
	struct mapped_bpf *mapped; /* NULL: this kernel's mappings cannot be walked */
	struct bpf_link *threads, *descriptors, *mappings;
	pid_t *wanted;
	size_t n_wanted;
	uint8_t *buffer;
};

CLEANUP_FUNCTION(struct scan *, scan_close)

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static int load(struct scan *s)
{
	libbpf_print_fn_t before = libbpf_set_print(quiet);
	int r;

	s->skel = scan_bpf__open();
	r = s->skel ? 0 : neg_errno();
	if (r == 0) {
		s->skel->rodata->scanner = (uint32_t)getpid();
		r = scan_bpf__load(s->skel);
	}
	libbpf_set_print(before);
	return r;
}

static int attach(struct bpf_program *program, struct bpf_link **ret)
{
	*ret = bpf_program__attach_iter(program, NULL);
	return *ret ? 0 : neg_errno();
}

/* Without it mappings are asked for one by one: it costs more, and tells the same. */
static void load_mapped(struct scan *s)
{
	libbpf_print_fn_t before = libbpf_set_print(quiet);
	int r;

	s->mapped = mapped_bpf__open();
	r = s->mapped ? bpf_map__reuse_fd(s->mapped->maps.wanted, bpf_map__fd(s->skel->maps.wanted))
		      : neg_errno();
	if (r == 0)
		r = mapped_bpf__load(s->mapped);
	if (r == 0)
		r = attach(s->mapped->progs.mapped, &s->mappings);
	if (r < 0) {
		mapped_bpf__destroy(s->mapped);
		s->mapped = NULL;
		s->mappings = NULL;
	}
	libbpf_set_print(before);
}

int scan_open(struct scan **ret, char *ret_why, size_t size)
{
	CLEANUP(scan_closep) struct scan *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->buffer = malloc(BUFFER_SIZE);
	if (!s->buffer)
		return -ENOMEM;
	r = load(s);
	if (r == 0)
		r = attach(s->skel->progs.scan_threads, &s->threads);
	if (r == 0)
		r = attach(s->skel->progs.scan_descriptors, &s->descriptors);
	if (r < 0) {
		snprintf(ret_why, size, "the kernel takes no eBPF iterators over tasks (%s)",
			 strerror(-r));
		return r;
	}
	load_mapped(s);
	*ret = TAKE(s);
	return 0;
}

void scan_close(struct scan *s)
{
	if (!s)
		return;
	bpf_link__destroy(s->threads);
	bpf_link__destroy(s->descriptors);
	bpf_link__destroy(s->mappings);
	mapped_bpf__destroy(s->mapped);
	scan_bpf__destroy(s->skel);
	free(s->wanted);
	free(s->buffer);
	free(s);
}

int scan_want(struct scan *s, const pid_t *pids, size_t n)
{
	int fd = bpf_map__fd(s->skel->maps.wanted);
	size_t old = 0, new = 0;
	uint8_t one = 1;
	pid_t *copy;

	if (n > SCAN_WANTED_MAX)
		return -E2BIG;
	if (n == s->n_wanted && (n == 0 || memcmp(pids, s->wanted, n * sizeof(*pids)) == 0))
		return 0;
	copy = malloc((n + 1) * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	while (old < s->n_wanted) {
		if (new < n && pids[new] < s->wanted[old]) {
			new ++;
		} else if (new < n && pids[new] == s->wanted[old]) {
			new ++;
			old++;
		} else {
			(void)!bpf_map_delete_elem(fd, &s->wanted[old++]);
		}
	}
	for (new = 0; new < n; new ++) {
		if (bpf_map_update_elem(fd, &pids[new], &one, BPF_ANY) < 0) {
			/* Half of it is known now: the next call begins from nothing kept. */
			int r = neg_errno();

			for (size_t i = 0; i <= new; i++)
				(void)!bpf_map_delete_elem(fd, &pids[i]);
			s->n_wanted = 0;
			free(copy);
			return r;
		}
	}
	memcpy(copy, pids, n * sizeof(*copy));
	free(s->wanted);
	s->wanted = copy;
	s->n_wanted = n;
	return 0;
}

/* What one record takes; 0: it is not whole yet. */
typedef size_t record_size(const uint8_t *at, size_t have);
typedef int record_give(void *arg, const uint8_t *at, size_t size);

static int pass(struct scan *s, const struct bpf_link *link, record_size *size_of,
		record_give *give, void *arg)
{
	CLEANUP(cleanup_fd) int fd = bpf_iter_create(bpf_link__fd(link));
	size_t have = 0, at, size;
	ssize_t n;
	int r;

	if (fd < 0)
		return neg_errno();
	for (;;) {
		n = read(fd, s->buffer + have, BUFFER_SIZE - have);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return neg_errno();
		if (n == 0)
			return have == 0 ? 0 : -EBADMSG;
		have += (size_t)n;
		for (at = 0; (size = size_of(s->buffer + at, have - at)) > 0; at += size) {
			r = give(arg, s->buffer + at, size);
			if (r < 0)
				return r;
		}
		memmove(s->buffer, s->buffer + at, have - at);
		have -= at;
		if (have == BUFFER_SIZE)
			return -EBADMSG;
	}
}

struct thread_pass {
	int (*on_thread)(void *, const struct scan_thread *);
	void *arg;
};

static size_t thread_size(const uint8_t *at, size_t have)
{
	return have < sizeof(struct scan_thread) ? 0 : sizeof(struct scan_thread);
}

static int give_thread(void *arg, const uint8_t *at, size_t size)
{
	const struct thread_pass *p = arg;
	struct scan_thread t;

	memcpy(&t, at, sizeof(t));
	return p->on_thread(p->arg, &t);
}

int scan_threads(struct scan *s, int (*on_thread)(void *, const struct scan_thread *), void *arg)
{
	struct thread_pass p = { on_thread, arg };

	return pass(s, s->threads, thread_size, give_thread, &p);
}

struct descriptor_pass {
	int (*on_descriptor)(void *, const struct scan_descriptor *, struct view text);
	void *arg;
};

static size_t descriptor_size(const uint8_t *at, size_t have)
{
	struct scan_descriptor d;

	if (have < sizeof(d))
		return 0;
	memcpy(&d, at, sizeof(d));
	return have - sizeof(d) < d.text ? 0 : sizeof(d) + d.text;
}

static int give_descriptor(void *arg, const uint8_t *at, size_t size)
{
	const struct descriptor_pass *p = arg;
	struct scan_descriptor d;

	memcpy(&d, at, sizeof(d));
	if (d.kind >= SCAN_KINDS || d.text > SCAN_TEXT_MAX)
		return -EBADMSG;
	size -= sizeof(d);
	at += sizeof(d);
	/* Paths and names come with the zero byte that ends them; names of sockets have none. */
	if (d.kind != SCAN_SOCKET && size > 0 && at[size - 1] == 0)
		size--;
	return p->on_descriptor(p->arg, &d, view_of(at, size));
}

int scan_descriptors(struct scan *s,
		     int (*on_descriptor)(void *, const struct scan_descriptor *, struct view text),
		     void *arg)
{
	struct descriptor_pass p = { on_descriptor, arg };

	return pass(s, s->descriptors, descriptor_size, give_descriptor, &p);
}

struct mapping_pass {
	int (*on_mapping)(void *, const struct mapped_record *);
	void *arg;
};

static size_t mapping_size(const uint8_t *at, size_t have)
{
	return have < sizeof(struct mapped_record) ? 0 : sizeof(struct mapped_record);
}

static int give_mapping(void *arg, const uint8_t *at, size_t size)
{
	const struct mapping_pass *p = arg;
	struct mapped_record m;

	memcpy(&m, at, sizeof(m));
	return p->on_mapping(p->arg, &m);
}

int scan_mappings(struct scan *s, int (*on_mapping)(void *, const struct mapped_record *),
		  void *arg)
{
	struct mapping_pass p = { on_mapping, arg };

	return s->mappings ? pass(s, s->mappings, mapping_size, give_mapping, &p) : -EOPNOTSUPP;
}
