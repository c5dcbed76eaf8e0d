/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on its own memory: catalogue section 1.1. */
#include "victim.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096UL

/* Alone on its page: the function after it is aligned too. */
__attribute__((noinline, aligned(4096), section(".text.victim_code"))) int victim_code(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x + 1;
}

__attribute__((noinline, aligned(4096), used, section(".text.victim_code"))) static void
after_victim_code(void)
{
	__asm__ volatile("");
}

void *victim_code_page(size_t *ret_size)
{
	*ret_size = PAGE;
	return (void *)(uintptr_t)&victim_code;
}

/* mov eax, 42; ret */
static const unsigned char shellcode[] = { 0xb8, 0x2a, 0x00, 0x00, 0x00, 0xc3 };

static int (*const relro_table[])(int) = { victim_code, victim_code };

void *victim_relro(void)
{
	int (*const *p)(int) = relro_table;

	__asm__ volatile("" : "+r"(p));
	return (void *)(uintptr_t)&p[1];
}

struct wanted {
	const char *name;
	void **slot;
};

/* The slot in the program's own table of imported functions (DT_JMPREL). */
static int find_slot(struct dl_phdr_info *info, size_t size, void *arg)
{
	const ElfW(Dyn) *dynamic = NULL;
	const ElfW(Rela) *relocations = NULL;
	const ElfW(Sym) *symbols = NULL;
	const char *strings = NULL;
	struct wanted *w = arg;
	size_t bytes = 0;

	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			dynamic = (void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
		if (dynamic->d_tag == DT_JMPREL)
			relocations = (void *)dynamic->d_un.d_ptr;
		else if (dynamic->d_tag == DT_PLTRELSZ)
			bytes = dynamic->d_un.d_val;
		else if (dynamic->d_tag == DT_SYMTAB)
			symbols = (void *)dynamic->d_un.d_ptr;
		else if (dynamic->d_tag == DT_STRTAB)
			strings = (void *)dynamic->d_un.d_ptr;
	}
	for (size_t i = 0; relocations && symbols && strings && i < bytes / sizeof(*relocations);
	     i++) {
		const ElfW(Sym) *s = &symbols[ELF64_R_SYM(relocations[i].r_info)];

		if (strcmp(strings + s->st_name, w->name) == 0)
			w->slot = (void *)(info->dlpi_addr + relocations[i].r_offset);
	}
	return 1; /* the program comes first; the libraries do not matter */
}

void **victim_import(const char *name)
{
	struct wanted w = { .name = name };

	dl_iterate_phdr(find_slot, &w);
	return w.slot;
}

/* M05: a call of getppid() becomes one of another function of libc. */
static int import_slot(bool decisive, const char *argument)
{
	void **slot = victim_import("getppid");
	void *other = dlsym(RTLD_DEFAULT, "system");

	if (!slot || !other)
		return -ENOENT;
	*(void *volatile *)slot = decisive ? other : *slot;
	return 0;
}

static int protect(void *at, int protection)
{
	return mprotect(at, PAGE, protection) < 0 ? -errno : 0;
}

static void write_code(void *at)
{
	memcpy(at, shellcode, sizeof(shellcode));
	__builtin___clear_cache(at, (char *)at + sizeof(shellcode));
}

/* M07: its text made writable, patched, made read-only again. */
static int patch(bool decisive, const char *argument)
{
	size_t size;
	void *at = victim_code_page(&size);
	int r = protect(at, decisive ? PROT_READ | PROT_WRITE | PROT_EXEC : PROT_READ);

	if (r == 0 && decisive)
		write_code(at);
	if (r == 0)
		r = protect(at, PROT_READ | PROT_EXEC);
	return r == 0 && decisive && victim_code(1) != 42 ? -EFAULT : r;
}

/* M09: the same, run, and the private copy dropped, so that no page of it is left. */
static int patch_and_drop(bool decisive, const char *argument)
{
	size_t size;
	void *at = victim_code_page(&size);
	int r = patch(decisive, argument);

	if (r == 0 && madvise(at, size, MADV_DONTNEED) < 0)
		r = -errno;
	return r == 0 && victim_code(1) != 2 ? -EFAULT : r;
}

/* M10: memory without a file over its text. */
static int replace(bool decisive, const char *argument)
{
	size_t size;
	void *at = victim_code_page(&size), *copy;
	int r;

	copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED)
		return -errno;
	write_code(copy);
	if (!decisive)
		return protect(copy, PROT_READ);
	r = protect(copy, PROT_READ | PROT_EXEC);
	if (r == 0 && mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED)
		r = -errno;
	return r == 0 && victim_code(1) != 42 ? -EFAULT : r;
}

/* M12: code in a memory file. */
static int memory_file(bool decisive, const char *argument)
{
	int fd = memfd_create("code", MFD_CLOEXEC);
	int (*code)(void);

	if (fd < 0 || write(fd, shellcode, sizeof(shellcode)) < 0)
		return -errno;
	code = mmap(NULL, PAGE, decisive ? PROT_READ | PROT_EXEC : PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (code == MAP_FAILED)
		return -errno;
	return decisive && code() != 42 ? -EFAULT : 0;
}

/* M14: code in memory that is writable and executable. */
static int anonymous(bool decisive, const char *argument)
{
	int (*code)(void) = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | (decisive ? PROT_EXEC : 0),
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (code == MAP_FAILED)
		return -errno;
	write_code(code);
	return decisive && code() != 42 ? -EFAULT : 0;
}

/* A system call through the door of 32-bit programs. */
static long compat(long number, unsigned long a, unsigned long b, unsigned long c)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "0"(number), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	return r;
}

/* M21: its own text, mapped again low enough for a 32-bit mprotect, patched through that. */
static int patch_compat(bool decisive, const char *argument)
{
	enum { COMPAT_MPROTECT = 125 };
	unsigned char *at;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	long r;

	if (fd < 0)
		return -errno;
	at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_32BIT, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		return -errno;
	if (!decisive)
		return (int)compat(COMPAT_MPROTECT, (unsigned long)at, PAGE, PROT_READ);
	r = compat(COMPAT_MPROTECT, (unsigned long)at, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	if (r < 0)
		return (int)r;
	write_code(at + 2048);
	return (int)compat(COMPAT_MPROTECT, (unsigned long)at, PAGE, PROT_READ | PROT_EXEC);
}

/* Loads a library, as a plugin is loaded; for attacks on its file. */
static int load(bool decisive, const char *argument)
{
	return !decisive || dlopen(argument, RTLD_NOW) ? 0 : -ENOENT;
}

/* M25: takes the C library out of the loader's list, by which debuggers and unwinders go. */
static int hide(bool decisive, const char *argument)
{
	struct link_map *m = NULL;

	if (dlinfo(dlopen(NULL, RTLD_NOW), RTLD_DI_LINKMAP, &m) < 0)
		return -ENOENT;
	while (m && !strstr(m->l_name, "/libc.so."))
		m = m->l_next;
	if (!m || !m->l_prev)
		return -ENOENT;
	if (!decisive)
		return 0;
	m->l_prev->l_next = m->l_next;
	if (m->l_next)
		m->l_next->l_prev = m->l_prev;
	return 0;
}

const struct verb memory_verbs[] = {
	{ "import", import_slot },
	{ "patch", patch },
	{ "patch-and-drop", patch_and_drop },
	{ "replace", replace },
	{ "memory-file", memory_file },
	{ "anonymous", anonymous },
	{ "patch-compat", patch_compat },
	{ "load", load },
	{ "hide", hide },
	{ NULL, NULL },
};
