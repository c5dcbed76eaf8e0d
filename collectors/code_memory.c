/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "collectors/code_state.h"

/*
 * Memory of a process, many small pieces of it in one call: each call of its own costs as much as
 * reading several pages does. What could not be read so is read by itself.
 */

/* Bytes that are read ahead of a process at a node. */
#define MEMORY_MAX (16 * 1024 * 1024)
/* Pieces of one call (IOV_MAX). */
#define PIECES_MAX 1024

void code_memory_done(struct code_memory *m)
{
	free(m->pieces);
	free(m->data);
	free(m->far);
	*m = (struct code_memory){ 0 };
}

void code_memory_reset(struct code_memory *m)
{
	m->n = 0;
	m->len = 0;
}

int code_memory_want(struct code_memory *m, uint64_t start, size_t len)
{
	if (len == 0 || len > MEMORY_MAX - m->len || start > UINT64_MAX - len)
		return 0;
	if (m->n == m->room) {
		size_t room = m->room ? 2 * m->room : 64;
		struct code_piece *grown = realloc(m->pieces, room * sizeof(*grown));
		struct iovec *far;

		if (!grown)
			return -ENOMEM;
		m->pieces = grown;
		far = realloc(m->far, room * sizeof(*far));
		if (!far)
			return -ENOMEM;
		m->far = far;
		m->room = room;
	}
	m->pieces[m->n++] = (struct code_piece){ start, len, 0 };
	m->len += len;
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct code_piece *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

/*
 * Makes one piece of those that no whole page lies between, as each costs more than a page. Nothing
 * is read that a piece does not share a page with.
 */
static void join(struct code_memory *m)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	size_t n = 0;

	m->len = 0;
	for (size_t i = 0; i < m->n; i++) {
		struct code_piece p = m->pieces[i], *last = n > 0 ? &m->pieces[n - 1] : NULL;
		uint64_t end = p.start + p.len;

		if (!last || p.start / page > (last->start + last->len - 1) / page + 1) {
			m->pieces[n++] = p;
			m->len += p.len;
		} else if (end > last->start + last->len) {
			m->len += end - last->start - last->len;
			last->len = end - last->start;
		}
	}
	m->n = n;
}

/* Reads pieces from the first on; how many are whole. */
static size_t read_pieces(struct code_memory *m, pid_t pid, size_t first, size_t n)
{
	struct iovec near = { m->data + m->pieces[first].at, 0 };
	ssize_t got;
	size_t i;

	for (i = 0; i < n; i++) {
		const struct code_piece *p = &m->pieces[first + i];

		m->far[i] = (struct iovec){ (void *)(uintptr_t)p->start, p->len };
		near.iov_len += p->len;
	}
	got = process_vm_readv(pid, &near, 1, m->far, n, 0);
	for (i = 0; i < n && got >= (ssize_t)m->far[i].iov_len; i++)
		got -= (ssize_t)m->far[i].iov_len;
	return i;
}

int code_memory_read(struct code_memory *m, pid_t pid, int proc_fd)
{
	size_t at = 0, whole = 0;

	if (m->n > 1)
		qsort(m->pieces, m->n, sizeof(*m->pieces), by_start);
	join(m);
	if (m->len > m->size) {
		uint8_t *grown = realloc(m->data, m->len);

		if (!grown)
			return -ENOMEM;
		m->data = grown;
		m->size = m->len;
	}
	for (size_t i = 0; i < m->n; i++) {
		m->pieces[i].at = at;
		at += m->pieces[i].len;
	}
	while (whole < m->n) {
		size_t n = m->n - whole < PIECES_MAX ? m->n - whole : PIECES_MAX;
		size_t got = read_pieces(m, pid, whole, n);

		whole += got;
		if (got < n)
			break;
	}
	/* The pid was the process's all the time if it still is. */
	m->n = faccessat(proc_fd, "stat", F_OK, 0) == 0 ? whole : 0;
	return 0;
}

bool code_memory_view(const struct code_memory *m, uint64_t start, size_t len, struct view *ret)
{
	size_t low = 0, high = m->n;

	/* The last piece that begins there or before. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->pieces[middle].start <= start)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	low--;
	if (start - m->pieces[low].start > m->pieces[low].len ||
	    len > m->pieces[low].len - (start - m->pieces[low].start))
		return false;
	*ret = view_of(m->data + m->pieces[low].at + (start - m->pieces[low].start), len);
	return true;
}
