/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ELF_OBJECT_H
#define ASSAY_ELF_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

/*
 * What an ELF file says of itself once it is loaded: where its text lies, which memory is
 * read-only after relocation, which slots the loader fills with addresses of functions, and which
 * symbols it offers to others. Pure: of the file's bytes alone. Addresses are the file's; where the
 * file was loaded is added by whoever looks at a process.
 */
#define ELF_SEGMENTS_MAX 16
#define ELF_SLOTS_MAX	 (1U << 20)
#define ELF_SYMBOLS_MAX	 (1U << 20)
#define ELF_STRINGS_MAX	 (64U << 20) /* bytes of its names */

/* A piece of text, from whole pages of the file. */
struct elf_text {
	uint64_t start, end, offset; /* end - start bytes from offset of the file */
};

enum elf_slot_kind {
	ELF_SLOT_CALL,	   /* JUMP_SLOT: a function, maybe not looked up yet */
	ELF_SLOT_FUNCTION, /* GLOB_DAT of a function */
	ELF_SLOT_RESOLVED, /* IRELATIVE: what a resolver of the same file answered */
};

struct elf_slot {
	uint64_t at;
	uint64_t symbol;  /* hash of the name; 0 for ELF_SLOT_RESOLVED */
	uint64_t initial; /* in the file: the way to the loader, where it looks up at the first call
			   */
	uint32_t name;	  /* place in names */
	uint8_t kind;
	bool weak;
};

struct elf_symbol {
	uint64_t name; /* elf_name_hash */
	/* Thousands of them are kept. The highest bit is no process's address, so it is free. */
	uint64_t value : 63;
	uint64_t
		resolver : 1; /* STT_GNU_IFUNC: a function of the file chooses what calls lead to */
};

struct elf_object {
	struct elf_text text[ELF_SEGMENTS_MAX];
	size_t n_text;
	uint64_t first, first_offset; /* address of its first loaded page; its place in the file */
	uint64_t relro_start, relro_end; /* whole pages; equal: none */
	uint64_t relro_offset;		 /* of relro_start in the file */
	uint64_t debug;			 /* address of DT_DEBUG's value; 0: none */
	struct elf_slot *slots;		 /* in order of address */
	size_t n_slots;
	uint64_t table_start, table_end; /* those outside of relro lie here; equal: none do */
	struct elf_symbol *symbols;	 /* in order of name */
	size_t n_symbols;
	struct bytes names; /* of the slots' symbols, each zero-terminated */
};

/*
 * Reads it from the file. The caller owns *ret. -ENOEXEC: not an ELF file, or a broken one;
 * -EOPNOTSUPP: of another processor or word size than this program's; -E2BIG: past a limit above.
 */
MUST_CHECK int elf_object_read(int fd, uint64_t page, struct elf_object **ret);
/* The same from memory. */
MUST_CHECK int elf_object_parse(struct view image, uint64_t page, struct elf_object **ret);
void elf_object_free(struct elf_object *o);

uint64_t elf_name_hash(const char *name);

/* The first symbol of that name; *ret_n such follow one another. NULL: none. */
const struct elf_symbol *elf_object_find(const struct elf_object *o, uint64_t name, size_t *ret_n);

#endif
