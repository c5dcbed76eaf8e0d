/* SPDX-License-Identifier: Apache-2.0 */
#include "footprint.h"

#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE (128 * 1024)

void footprint_limit(void)
{
	/*
	 * It is the default until the first large buffer is freed; then glibc moves it up, and the
	 * megabytes that one static measurement took would stay for ever. Fixed, it stays.
	 */
	mallopt(M_MMAP_THRESHOLD, LARGE);
	mallopt(M_TRIM_THRESHOLD, LARGE);
	/* Threads seldom allocate at the same moment; heaps of their own would each keep holes. */
	mallopt(M_ARENA_MAX, 1);
}

/* Segments that nobody writes, relocations included: what is dropped is what the file says. */
static int drop_unwritten(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t from = (info->dlpi_addr + p->p_vaddr) & ~(page - 1);
		uintptr_t to = info->dlpi_addr + p->p_vaddr + p->p_filesz;

		if (p->p_type == PT_LOAD && !(p->p_flags & PF_W))
			(void)madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

void footprint_trim(void)
{
	malloc_trim(0);
	dl_iterate_phdr(drop_unwritten, NULL);
}
