/* SPDX-License-Identifier: Apache-2.0 */
#include "elf_object.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <gelf.h>
#include <libelf.h>

#include "cleanup.h"

/*
 * Like the loader this goes by program headers and the dynamic section alone: section headers can
 * say anything. The pieces are read through libelf, which knows sizes, bounds and byte order.
 */

#if defined(__x86_64__)
#define MACHINE	   EM_X86_64
#define R_CALL	   R_X86_64_JUMP_SLOT
#define R_ADDRESS  R_X86_64_GLOB_DAT
#define R_RESOLVED R_X86_64_IRELATIVE
#elif defined(__aarch64__)
#define MACHINE	   EM_AARCH64
#define R_CALL	   R_AARCH64_JUMP_SLOT
#define R_ADDRESS  R_AARCH64_GLOB_DAT
#define R_RESOLVED R_AARCH64_IRELATIVE
#else
#define MACHINE	   EM_NONE
#define R_CALL	   UINT32_MAX
#define R_ADDRESS  UINT32_MAX
#define R_RESOLVED UINT32_MAX
#endif

/* Slots' first content is read in pieces of so many bytes, and so many times at most. */
#define AROUND_BYTES (256 * 1024)
#define AROUND_MAX   256

/* A file under way. */
struct reading {
	Elf *elf;
	uint64_t size, page;
	size_t n_headers;
	struct elf_object *o;
	/* Of the dynamic section; 0: not there. */
	uint64_t strings_at, strings_size, symbols_at, hash_at, gnu_hash_at;
	uint64_t calls_at, calls_size, rela_at, rela_size;
	Elf_Data *strings, *symbols;
	size_t n_symbols;
	size_t slot_room;
	uint64_t name_bytes; /* looked at so far: names may overlap and be long */
	/* What is loaded around the slot last looked at: slots lie side by side. */
	Elf_Data *around;
	uint64_t around_at;
	unsigned int n_around;
};

CLEANUP_FUNCTION(struct elf_object *, elf_object_free)

static void elf_endp(Elf **e)
{
	if (*e)
		elf_end(*e);
}

uint64_t elf_name_hash(const char *name)
{
	/* FNV-1a in 64 bits. Whoever makes two names meet has to own a measured file. */
	uint64_t h = 0xcbf29ce484222325;

	for (const char *s = name; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3;
	return h ? h : 1;
}

static Elf_Data *piece(struct reading *x, uint64_t at, uint64_t len, Elf_Type type)
{
	if (at > x->size || len > x->size - at)
		return NULL;
	return elf_getdata_rawchunk(x->elf, (int64_t)at, len, type);
}

/* Where in the file that address is loaded from; the bytes from there on in *ret_left. */
static int offset_of(struct reading *x, uint64_t address, uint64_t *ret, uint64_t *ret_left)
{
	for (size_t i = 0; i < x->n_headers; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(x->elf, (int)i, &p))
			return -ENOEXEC;
		if (p.p_type != PT_LOAD || address < p.p_vaddr || address - p.p_vaddr >= p.p_filesz)
			continue;
		if (__builtin_add_overflow(p.p_offset, address - p.p_vaddr, ret))
			return -ENOEXEC;
		*ret_left = p.p_filesz - (address - p.p_vaddr);
		return 0;
	}
	return -ENOEXEC;
}

/* What is loaded at the address, len bytes or (whole false) as many as there are. */
static Elf_Data *loaded(struct reading *x, uint64_t address, uint64_t len, bool whole,
			Elf_Type type)
{
	uint64_t offset, left;

	if (offset_of(x, address, &offset, &left) < 0 || (whole && len > left))
		return NULL;
	if (len > left)
		len = left;
	if (offset > x->size)
		return NULL;
	if (!whole && len > x->size - offset)
		len = x->size - offset;
	return piece(x, offset, len, type);
}

static int add_text(struct reading *x, const GElf_Phdr *p)
{
	uint64_t inside = p->p_vaddr & (x->page - 1), end;
	struct elf_object *o = x->o;

	if (p->p_filesz == 0)
		return 0;
	if (o->n_text == ELF_SEGMENTS_MAX)
		return -E2BIG;
	if (p->p_offset < inside || (p->p_offset & (x->page - 1)) != inside ||
	    __builtin_add_overflow(p->p_vaddr, p->p_filesz, &end) ||
	    __builtin_add_overflow(end, x->page - 1, &end))
		return -ENOEXEC;
	o->text[o->n_text++] = (struct elf_text){ .start = p->p_vaddr - inside,
						  .end = end & ~(x->page - 1),
						  .offset = p->p_offset - inside };
	return 0;
}

static int read_headers(struct reading *x, GElf_Phdr *ret_dynamic)
{
	struct elf_object *o = x->o;
	bool first = true;
	int r = 0;

	for (size_t i = 0; r == 0 && i < x->n_headers; i++) {
		GElf_Phdr p;
		uint64_t end;

		if (!gelf_getphdr(x->elf, (int)i, &p))
			return -ENOEXEC;
		if (p.p_type == PT_LOAD) {
			if (first) {
				o->first = p.p_vaddr & ~(x->page - 1);
				o->first_offset = p.p_offset & ~(x->page - 1);
			}
			first = false;
			if (p.p_flags & PF_X)
				r = add_text(x, &p);
		} else if (p.p_type == PT_DYNAMIC) {
			*ret_dynamic = p;
		} else if (p.p_type == PT_GNU_RELRO) {
			/* As glibc and musl protect it: a page at its end is left out if not full.
			 */
			if (__builtin_add_overflow(p.p_vaddr, p.p_memsz, &end))
				return -ENOEXEC;
			o->relro_start = p.p_vaddr & ~(x->page - 1);
			o->relro_offset = p.p_offset & ~(x->page - 1);
			o->relro_end = end & ~(x->page - 1);
			if (o->relro_end < o->relro_start)
				o->relro_end = o->relro_start;
		}
	}
	return r;
}

static int read_dynamic(struct reading *x, const GElf_Phdr *p)
{
	Elf_Data *entries = piece(x, p->p_offset, p->p_filesz, ELF_T_DYN);
	bool rela = true;
	GElf_Dyn d;

	if (!entries)
		return -ENOEXEC;
	for (int i = 0; gelf_getdyn(entries, i, &d) && d.d_tag != DT_NULL; i++) {
		uint64_t value = d.d_un.d_val;

		if (d.d_tag == DT_STRTAB)
			x->strings_at = value;
		else if (d.d_tag == DT_STRSZ)
			x->strings_size = value;
		else if (d.d_tag == DT_SYMTAB)
			x->symbols_at = value;
		else if (d.d_tag == DT_HASH)
			x->hash_at = value;
		else if (d.d_tag == DT_GNU_HASH)
			x->gnu_hash_at = value;
		else if (d.d_tag == DT_JMPREL)
			x->calls_at = value;
		else if (d.d_tag == DT_PLTRELSZ)
			x->calls_size = value;
		else if (d.d_tag == DT_PLTREL)
			rela = value == DT_RELA;
		else if (d.d_tag == DT_RELA)
			x->rela_at = value;
		else if (d.d_tag == DT_RELASZ)
			x->rela_size = value;
		else if (d.d_tag == DT_DEBUG)
			x->o->debug = p->p_vaddr + (uint64_t)i * sizeof(Elf64_Dyn) +
				      offsetof(Elf64_Dyn, d_un);
	}
	/* Both processors have relocations with addends only. */
	return rela ? 0 : -EOPNOTSUPP;
}

/* The last symbol that the GNU hash table leads to: the only place that tells their number. */
static int count_by_gnu_hash(struct reading *x, size_t *ret)
{
	Elf_Data *d = loaded(x, x->gnu_hash_at, UINT64_MAX, false, ELF_T_WORD);
	const uint32_t *w = d ? d->d_buf : NULL;
	size_t n = d && w ? d->d_size / sizeof(*w) : 0, at;
	uint32_t buckets, base, bloom, last = 0;

	if (n < 4)
		return -ENOEXEC;
	buckets = w[0];
	base = w[1];
	bloom = w[2];
	/* Words of the filter are of 64 bits. */
	at = 4 + 2 * (size_t)bloom;
	if (at > n || buckets > n - at)
		return -ENOEXEC;
	for (uint32_t i = 0; i < buckets; i++) {
		if (w[at + i] > last)
			last = w[at + i];
	}
	at += buckets;
	if (last < base) {
		*ret = base;
		return 0;
	}
	/* The last chain goes on up to the word whose lowest bit is set. */
	for (; last - base < n - at; last++) {
		if (w[at + (last - base)] & 1) {
			*ret = (size_t)last + 1;
			return 0;
		}
	}
	return -ENOEXEC;
}

static int count_symbols(struct reading *x, size_t *ret)
{
	const uint32_t *w;
	Elf_Data *d;

	if (x->gnu_hash_at)
		return count_by_gnu_hash(x, ret);
	*ret = 0;
	if (!x->hash_at)
		return 0;
	d = loaded(x, x->hash_at, 2 * sizeof(uint32_t), true, ELF_T_WORD);
	w = d ? d->d_buf : NULL;
	if (!w)
		return -ENOEXEC;
	*ret = w[1];
	return 0;
}

/* A name in the table, lent from the file. */
static int string_at(struct reading *x, uint64_t at, const char **ret)
{
	const char *s = x->strings ? x->strings->d_buf : NULL;
	size_t len;

	if (!s || at >= x->strings->d_size)
		return -ENOEXEC;
	len = strnlen(s + at, x->strings->d_size - (size_t)at);
	if (len == x->strings->d_size - (size_t)at)
		return -ENOEXEC;
	x->name_bytes += len;
	if (x->name_bytes > 2ULL * ELF_STRINGS_MAX)
		return -E2BIG;
	*ret = s + at;
	return 0;
}

static int add_symbol(struct reading *x, const GElf_Sym *s)
{
	unsigned int type = GELF_ST_TYPE(s->st_info), bind = GELF_ST_BIND(s->st_info);
	const char *name;
	int r;

	/* One that is not defined here and yet has a value stands for its own stub. */
	if (s->st_value == 0 || bind == STB_LOCAL || type == STT_TLS || type == STT_SECTION ||
	    s->st_shndx == SHN_ABS)
		return 0;
	r = string_at(x, s->st_name, &name);
	if (r < 0)
		return r;
	x->o->symbols[x->o->n_symbols++] = (struct elf_symbol){
		.name = elf_name_hash(name),
		.value = s->st_value & (UINT64_MAX >> 1),
		.resolver = type == STT_GNU_IFUNC,
	};
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct elf_symbol *left = a, *right = b;

	return left->name < right->name ? -1 : left->name > right->name;
}

static int read_symbols(struct reading *x)
{
	size_t n;
	int r;

	if (!x->symbols_at || !x->strings_at)
		return 0;
	if (x->strings_size > ELF_STRINGS_MAX)
		return -E2BIG;
	x->strings = loaded(x, x->strings_at, x->strings_size, true, ELF_T_BYTE);
	r = count_symbols(x, &n);
	if (r < 0 || !x->strings)
		return -ENOEXEC;
	if (n > ELF_SYMBOLS_MAX)
		return -E2BIG;
	/* Slots may name symbols past those that are offered: as many as there are bytes for. */
	x->symbols =
		loaded(x, x->symbols_at, ELF_SYMBOLS_MAX * sizeof(Elf64_Sym), false, ELF_T_SYM);
	if (!x->symbols || x->symbols->d_size / sizeof(Elf64_Sym) < n)
		return -ENOEXEC;
	x->n_symbols = x->symbols->d_size / sizeof(Elf64_Sym);
	if (n == 0)
		return 0;
	x->o->symbols = calloc(n, sizeof(*x->o->symbols));
	if (!x->o->symbols)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		GElf_Sym s;

		if (!gelf_getsym(x->symbols, (int)i, &s))
			return -ENOEXEC;
		r = add_symbol(x, &s);
		if (r < 0)
			return r;
	}
	qsort(x->o->symbols, x->o->n_symbols, sizeof(*x->o->symbols), by_name);
	return 0;
}

/* What the file has at the slot: 0 where nothing of the file is loaded there. */
static int initial_of(struct reading *x, uint64_t at, uint64_t *ret)
{
	Elf_Data *d = x->around;

	if (!d || at < x->around_at || at - x->around_at > d->d_size - sizeof(*ret)) {
		if (x->n_around++ == AROUND_MAX)
			return -E2BIG;
		d = loaded(x, at, AROUND_BYTES, false, ELF_T_BYTE);
		if (!d || !d->d_buf || d->d_size < sizeof(*ret)) {
			*ret = 0;
			return 0;
		}
		x->around = d;
		x->around_at = at;
	}
	/* Only files of this program's byte order are read. */
	memcpy(ret, (const uint8_t *)d->d_buf + (at - x->around_at), sizeof(*ret));
	return 0;
}

static int push_slot(struct reading *x, const struct elf_slot *s)
{
	struct elf_object *o = x->o;

	if (o->n_slots == ELF_SLOTS_MAX)
		return -E2BIG;
	if (o->n_slots == x->slot_room) {
		size_t room = x->slot_room ? 2 * x->slot_room : 64;
		struct elf_slot *grown = realloc(o->slots, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		o->slots = grown;
		x->slot_room = room;
	}
	o->slots[o->n_slots++] = *s;
	return 0;
}

static int add_slot(struct reading *x, const GElf_Rela *rela)
{
	uint32_t type = (uint32_t)GELF_R_TYPE(rela->r_info);
	struct elf_slot slot = { .at = rela->r_offset };
	const char *name;
	GElf_Sym s;
	int r;

	if (type == R_RESOLVED) {
		slot.kind = ELF_SLOT_RESOLVED;
		return push_slot(x, &slot);
	}
	if ((type != R_CALL && type != R_ADDRESS) || GELF_R_SYM(rela->r_info) == 0)
		return 0;
	if (GELF_R_SYM(rela->r_info) >= x->n_symbols ||
	    !gelf_getsym(x->symbols, (int)GELF_R_SYM(rela->r_info), &s))
		return -ENOEXEC;
	slot.kind = type == R_CALL ? ELF_SLOT_CALL : ELF_SLOT_FUNCTION;
	if (type == R_ADDRESS && GELF_ST_TYPE(s.st_info) != STT_FUNC &&
	    GELF_ST_TYPE(s.st_info) != STT_GNU_IFUNC)
		return 0; /* data, or cannot be told */
	r = string_at(x, s.st_name, &name);
	if (r < 0)
		return r;
	slot.symbol = elf_name_hash(name);
	slot.weak = GELF_ST_BIND(s.st_info) == STB_WEAK;
	slot.name = (uint32_t)x->o->names.len;
	if (type == R_CALL) {
		r = initial_of(x, slot.at, &slot.initial);
		if (r < 0)
			return r;
	}
	r = bytes_append(&x->o->names, name, strlen(name) + 1);
	return r < 0 ? r : push_slot(x, &slot);
}

static int read_slots(struct reading *x, uint64_t at, uint64_t size)
{
	Elf_Data *d;
	GElf_Rela rela;
	int r = 0;

	if (size == 0)
		return 0;
	d = loaded(x, at, size, true, ELF_T_RELA);
	if (!d)
		return -ENOEXEC;
	for (int i = 0; r == 0 && (size_t)i < d->d_size / sizeof(Elf64_Rela); i++)
		r = gelf_getrela(d, i, &rela) ? add_slot(x, &rela) : -ENOEXEC;
	return r;
}

static int by_address(const void *a, const void *b)
{
	const struct elf_slot *left = a, *right = b;

	return left->at < right->at ? -1 : left->at > right->at;
}

static void find_table(struct elf_object *o)
{
	for (size_t i = 0; i < o->n_slots; i++) {
		uint64_t at = o->slots[i].at;

		/* One that would wrap around is at no place that a process could have it. */
		if ((at >= o->relro_start && at < o->relro_end) || at > UINT64_MAX - sizeof(at))
			continue;
		if (o->table_end == o->table_start)
			o->table_start = at;
		o->table_end = at + sizeof(at);
	}
}

static int read_object(struct reading *x)
{
	GElf_Phdr dynamic = { 0 };
	GElf_Ehdr h;
	int r;

	if (elf_kind(x->elf) != ELF_K_ELF || !gelf_getehdr(x->elf, &h) ||
	    elf_getphdrnum(x->elf, &x->n_headers) < 0)
		return -ENOEXEC;
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB ||
	    h.e_machine != MACHINE)
		return -EOPNOTSUPP;
	r = read_headers(x, &dynamic);
	if (r < 0 || dynamic.p_type != PT_DYNAMIC)
		return r;
	r = read_dynamic(x, &dynamic);
	if (r == 0)
		r = read_symbols(x);
	if (r == 0)
		r = read_slots(x, x->rela_at, x->rela_size);
	if (r == 0)
		r = read_slots(x, x->calls_at, x->calls_size);
	if (r < 0)
		return r;
	if (x->o->n_slots > 1)
		qsort(x->o->slots, x->o->n_slots, sizeof(*x->o->slots), by_address);
	find_table(x->o);
	return 0;
}

/* An object is kept as long as something has it mapped: without the room that it grew with. */
static void shrink(struct elf_object *o)
{
	void *fits = o->n_slots ? realloc(o->slots, o->n_slots * sizeof(*o->slots)) : NULL;

	if (fits)
		o->slots = fits;
	fits = o->n_symbols ? realloc(o->symbols, o->n_symbols * sizeof(*o->symbols)) : NULL;
	if (fits)
		o->symbols = fits;
	fits = o->names.len ? realloc(o->names.data, o->names.len) : NULL;
	if (fits) {
		o->names.data = fits;
		o->names.room = o->names.len;
	}
}

static int read_elf(Elf *elf, uint64_t size, uint64_t page, struct elf_object **ret)
{
	CLEANUP(elf_object_freep) struct elf_object *o = calloc(1, sizeof(*o));
	struct reading x = { .elf = elf, .size = size, .page = page, .o = o };
	int r;

	if (!o)
		return -ENOMEM;
	o->names = BYTES_INIT(ELF_STRINGS_MAX);
	r = read_object(&x);
	if (r < 0)
		return r == -EMSGSIZE ? -E2BIG : r;
	shrink(o);
	*ret = TAKE(o);
	return 0;
}

int elf_object_read(int fd, uint64_t page, struct elf_object **ret)
{
	CLEANUP(elf_endp) Elf *e = NULL;
	struct stat st;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	if (fstat(fd, &st) < 0)
		return neg_errno();
	/* Reads, never maps: a file cut short while it is looked at must not end the program. */
	e = elf_begin(fd, ELF_C_READ, NULL);
	return e ? read_elf(e, (uint64_t)st.st_size, page, ret) : -ENOEXEC;
}

int elf_object_parse(struct view image, uint64_t page, struct elf_object **ret)
{
	CLEANUP(elf_endp) Elf *e = NULL;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	/* libelf writes to memory only where it is told to update. */
	e = elf_memory((char *)image.data, image.len);
	return e ? read_elf(e, image.len, page, ret) : -ENOEXEC;
}

void elf_object_free(struct elf_object *o)
{
	if (!o)
		return;
	free(o->slots);
	free(o->symbols);
	bytes_done(&o->names);
	free(o);
}

const struct elf_symbol *elf_object_find(const struct elf_object *o, uint64_t name, size_t *ret_n)
{
	size_t low = 0, high = o->n_symbols, n = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (o->symbols[middle].name < name)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + n < o->n_symbols && o->symbols[low + n].name == name)
		n++;
	*ret_n = n;
	return n ? &o->symbols[low] : NULL;
}
