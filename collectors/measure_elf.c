/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the dynamic loader reads in an ELF file, through libelf. Like the loader it
 * goes by program headers alone: section headers can say anything.
 */
#include "measure_parts.h"

#include <fcntl.h>
#include <string.h>

#include <gelf.h>
#include <libelf.h>

static void elf_endp(Elf **e)
{
	if (*e)
		elf_end(*e);
}

void elf_facts_done(struct elf_facts *f)
{
	for (size_t i = 0; i < f->n_needed; i++)
		free(f->needed[i]);
	free(f->needed);
	free(f->interpreter);
	free(f->soname);
	free(f->rpath);
	free(f->runpath);
	*f = (struct elf_facts){ 0 };
}

static void facts_cleanup(struct elf_facts *f)
{
	elf_facts_done(f);
}

/* A zero-terminated string of at most PATH_MAX bytes out of a piece of the file. */
static int text_at(const Elf_Data *d, uint64_t at, char **ret)
{
	const char *s;
	size_t len;
	char *copy;

	if (!d->d_buf || at >= d->d_size)
		return -ENOEXEC;
	s = (const char *)d->d_buf + at;
	len = strnlen(s, d->d_size - at);
	if (len == d->d_size - at || len >= PATH_MAX)
		return -ENOEXEC;
	copy = strndup(s, len);
	if (!copy)
		return -ENOMEM;
	free(*ret);
	*ret = copy;
	return 0;
}

static Elf_Data *piece(Elf *e, uint64_t at, uint64_t len, Elf_Type type)
{
	size_t size;

	/* libelf refuses what is outside of the file; the types of its arguments are narrower. */
	if (!elf_rawfile(e, &size) || at > size || len > size - at)
		return NULL;
	return elf_getdata_rawchunk(e, (int64_t)at, len, type);
}

/* Where in the file the loader would see that address; the bytes after it in *ret_left. */
static int offset_of(Elf *e, size_t n_headers, uint64_t address, uint64_t *ret, uint64_t *ret_left)
{
	for (size_t i = 0; i < n_headers; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(e, (int)i, &p))
			return -ENOEXEC;
		if (p.p_type != PT_LOAD || address < p.p_vaddr || address - p.p_vaddr >= p.p_filesz)
			continue;
		if (p.p_offset > UINT64_MAX - (address - p.p_vaddr))
			return -ENOEXEC;
		*ret = p.p_offset + (address - p.p_vaddr);
		*ret_left = p.p_filesz - (address - p.p_vaddr);
		return 0;
	}
	return -ENOEXEC;
}

static int add_needed(struct elf_facts *f, const Elf_Data *strings, uint64_t at)
{
	char **grown;

	if (f->n_needed == ELF_NEEDED_MAX)
		return -ENOEXEC;
	grown = realloc(f->needed, (f->n_needed + 1) * sizeof(char *));
	if (!grown)
		return -ENOMEM;
	f->needed = grown;
	grown[f->n_needed] = NULL;
	f->n_needed++;
	return text_at(strings, at, &grown[f->n_needed - 1]);
}

static int read_dynamic(Elf *e, size_t n_headers, const GElf_Phdr *p, struct elf_facts *f)
{
	uint64_t strings_at = 0, strings_size = 0, offset, left;
	Elf_Data *entries, *strings;
	GElf_Dyn d;
	size_t n;
	int r = 0;

	entries = piece(e, p->p_offset, p->p_filesz, ELF_T_DYN);
	if (!entries)
		return -ENOEXEC;
	for (n = 0; gelf_getdyn(entries, (int)n, &d) && d.d_tag != DT_NULL; n++) {
		if (d.d_tag == DT_STRTAB)
			strings_at = d.d_un.d_ptr;
		else if (d.d_tag == DT_STRSZ)
			strings_size = d.d_un.d_val;
		else if (d.d_tag == DT_FLAGS_1)
			f->no_default_directories = d.d_un.d_val & DF_1_NODEFLIB;
	}
	if (strings_at == 0)
		return 0;
	r = offset_of(e, n_headers, strings_at, &offset, &left);
	if (r < 0)
		return r;
	strings = piece(e, offset, strings_size < left ? strings_size : left, ELF_T_BYTE);
	if (!strings)
		return -ENOEXEC;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (!gelf_getdyn(entries, (int)i, &d))
			return -ENOEXEC;
		if (d.d_tag == DT_NEEDED)
			r = add_needed(f, strings, d.d_un.d_val);
		else if (d.d_tag == DT_SONAME)
			r = text_at(strings, d.d_un.d_val, &f->soname);
		else if (d.d_tag == DT_RPATH)
			r = text_at(strings, d.d_un.d_val, &f->rpath);
		else if (d.d_tag == DT_RUNPATH)
			r = text_at(strings, d.d_un.d_val, &f->runpath);
	}
	return r;
}

static int read_facts(Elf *e, struct elf_facts *ret)
{
	CLEANUP(facts_cleanup) struct elf_facts f = { 0 };
	Elf_Data *d;
	GElf_Ehdr h;
	size_t n;
	int r = 0;

	if (elf_kind(e) != ELF_K_ELF || !gelf_getehdr(e, &h) || elf_getphdrnum(e, &n) < 0)
		return -ENOEXEC;
	f.class = h.e_ident[EI_CLASS];
	f.order = h.e_ident[EI_DATA];
	f.type = h.e_type;
	f.machine = h.e_machine;
	for (size_t i = 0; r == 0 && i < n; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(e, (int)i, &p))
			return -ENOEXEC;
		if (p.p_type == PT_INTERP) {
			d = piece(e, p.p_offset, p.p_filesz, ELF_T_BYTE);
			r = d ? text_at(d, 0, &f.interpreter) : -ENOEXEC;
		} else if (p.p_type == PT_DYNAMIC) {
			r = read_dynamic(e, n, &p, &f);
		}
	}
	if (r < 0)
		return r;
	*ret = f;
	f = (struct elf_facts){ 0 };
	return 0;
}

int elf_facts_read(int fd, struct elf_facts *ret)
{
	CLEANUP(elf_endp) Elf *e = NULL;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	/* Reads, never maps: a file cut short while it is looked at must not end the program. */
	e = elf_begin(fd, ELF_C_READ, NULL);
	if (!e)
		return -ENOEXEC;
	return read_facts(e, ret);
}

int elf_facts_parse(struct view image, struct elf_facts *ret)
{
	CLEANUP(elf_endp) Elf *e = NULL;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	/* libelf writes to memory only where it is told to update. */
	e = elf_memory((char *)image.data, image.len);
	if (!e)
		return -ENOEXEC;
	return read_facts(e, ret);
}
