/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on loaded code, by their ids, each with the same steps without the decisive one. */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cleanup.h"
#include "collectors/elf_object.h"
#include "collectors/mappings.h"
#include "tests/bpf/nodes.h"

/*
 * On a page of its own, so that the program goes on when it is replaced. It begins with an
 * instruction that the kernel does not emulate: behind a probe it is run in [uprobes].
 */
#ifdef __x86_64__
__attribute__((naked, noinline, aligned(PAGE), section(".text.patched"))) static int patched(int n)
{
	__asm__("leal 1(%rdi), %eax\n\tret");
}
#else
__attribute__((noinline, aligned(PAGE), section(".text.patched"))) static int patched(int n)
{
	__asm__ volatile("" : "+r"(n));
	return n + 1;
}
#endif

__attribute__((noinline, aligned(PAGE), used, section(".text.patched"))) static void after(void)
{
	__asm__ volatile("");
}

/* Read-only after relocation. */
static int (*const table[])(int) = { patched, patched };

static uint64_t address_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void *text_page(void)
{
	return (void *)(uintptr_t)patched;
}

/* Does nothing but live; the test acts on it. */
static int lives(struct running *x, void *arg)
{
	running_say(x, 0);
	running_wait(x);
	running_say(x, patched(1));
	running_wait(x);
	/* Never so; for its import. */
	return x->commands < 0 ? setpgid(0, 0) : 0;
}

static const Assay__CodeOf *code(const Assay__Mi *m)
{
	assert_state(m, "code", COMPLETE);
	assert_int_equal(m->code->n_processes, 1);
	assert_non_null(m->code->processes[0]->objects);
	assert_true(m->code->processes[0]->objects->looked_at > 3);
	assert_true(m->code->processes[0]->objects->loader_list);
	assert_int_equal(m->code->processes[0]->objects->relro_sha256.len, 32);
	return m->code->processes[0];
}

/* Things that are found, in all. */
static size_t found(const Assay__CodeOf *c)
{
	const Assay__Objects *o = c->objects;

	return c->n_modified + o->n_replaced + o->n_relro + o->n_imports + o->n_links +
	       o->n_aliases;
}

static const char *path(const Assay__Mi *m, uint32_t file)
{
	return m->files[file - 1]->path;
}

static void store(pid_t pid, uint64_t at, const void *what, size_t n)
{
	CLEANUP(cleanup_fd) int fd = -1;
	char name[32];

	snprintf(name, sizeof(name), "/proc/%d/mem", pid);
	fd = open(name, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, what, n, (off_t)at), n);
}

static void load(pid_t pid, uint64_t at, void *to, size_t n)
{
	CLEANUP(cleanup_fd) int fd = -1;
	char name[32];

	snprintf(name, sizeof(name), "/proc/%d/mem", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, to, n, (off_t)at), n);
}

/* Begins: a process with nothing to be found, at two nodes. */
static pid_t begin(int (*body)(struct running *x, void *arg), void *arg)
{
	pid_t pid = running_start(&app, body, arg);

	running_hear(&app);
	assert_int_equal(found(code(node())), 0);
	assert_int_equal(found(code(node())), 0);
	return pid;
}

static void finish(pid_t pid)
{
	running_go(&app);
	running_hear(&app);
	end(pid);
}

/* Where the import of that name is in this program (and in its children). */
static uint64_t slot_of(const char *name)
{
	CLEANUP(cleanup_fd) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint64_t bias = address_of((const void *)getauxval(AT_PHDR)) & ~(uint64_t)(PAGE - 1),
		 at = 0;
	struct elf_object *o;

	assert_int_equal(elf_object_read(fd, PAGE, &o), 0);
	for (size_t i = 0; i < o->n_slots; i++) {
		if (strcmp((const char *)o->names.data + o->slots[i].name, name) == 0 &&
		    o->slots[i].symbol)
			at = bias - o->first + o->slots[i].at;
	}
	elf_object_free(o);
	assert_true(at != 0);
	return at;
}

static void m02_ptrace_poke(void **state)
{
	pid_t pid = begin(lives, NULL);
	int status;
	long word;

	for (int decisive = 0; decisive < 2; decisive++) {
		assert_int_equal(ptrace(PTRACE_ATTACH, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		word = ptrace(PTRACE_PEEKTEXT, pid, text_page(), NULL);
		if (decisive)
			assert_int_equal(ptrace(PTRACE_POKETEXT, pid, text_page(), word), 0);
		assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
		/* The very same bytes: the page is a copy all the same. */
		assert_int_equal(code(node())->n_modified, decisive);
	}
	finish(pid);
}

static void m05_import_slot(void **state)
{
	pid_t pid = begin(lives, NULL);
	uint64_t slot = slot_of("setpgid"), was, evil = address_of(text_page());
	const Assay__OddImport *odd;
	const Assay__CodeOf *c;
	const Assay__Mi *m;

	load(pid, slot, &was, sizeof(was));
	store(pid, slot, &was, sizeof(was));
	assert_int_equal(found(code(node())), 0);
	store(pid, slot, &evil, sizeof(evil));
	for (int again = 0; again < 2; again++) {
		m = node();
		c = code(m);
		assert_int_equal(c->objects->n_imports, 1);
		odd = c->objects->imports[0];
		assert_int_equal(odd->slot, slot);
		assert_int_equal(odd->target, evil);
		assert_string_equal(odd->symbol, "setpgid");
		assert_non_null(strstr(odd->place, "bpf_objects"));
		assert_non_null(strstr(path(m, odd->file), "bpf_objects"));
	}
	/* Another function that is exported, but by another name. */
	evil = address_of(dlsym(RTLD_DEFAULT, "setsid"));
	store(pid, slot, &evil, sizeof(evil));
	assert_int_equal(code(node())->objects->n_imports, 1);
	store(pid, slot, &was, sizeof(was));
	assert_int_equal(found(code(node())), 0);
	finish(pid);
}

static void m06_relro(void **state)
{
	pid_t pid = begin(lives, NULL);
	uint64_t at = address_of(&table[1]), was, evil = address_of(text_page()) + 8;
	const Assay__CodeOf *c;
	struct digest before;
	const Assay__Mi *m;

	m = node();
	assert_int_equal(
		digest_from(HASH_SHA256, view_of(code(m)->objects->relro_sha256.data, 32), &before),
		0);
	load(pid, at, &was, sizeof(was));
	assert_int_equal(was, address_of(text_page()));
	store(pid, at, &was, sizeof(was));
	m = node();
	assert_int_equal(found(code(m)), 0);
	assert_memory_equal(code(m)->objects->relro_sha256.data, before.bytes, 32);
	store(pid, at, &evil, sizeof(evil));
	for (int again = 0; again < 2; again++) {
		m = node();
		c = code(m);
		assert_int_equal(found(c), 1);
		assert_int_equal(c->objects->n_relro, 1);
		assert_false(c->objects->relro[0]->writable);
		assert_true(c->objects->relro[0]->start <= at &&
			    at < c->objects->relro[0]->start + c->objects->relro[0]->length);
		assert_memory_not_equal(c->objects->relro_sha256.data, before.bytes, 32);
	}
	finish(pid);
}

/* In the process: what `arg` says, without (d false) and then with its decisive step. */
static int acts(struct running *x, void *arg)
{
	void (*act)(bool d) = NULL;

	memcpy(&act, &arg, sizeof(act));
	running_say(x, 0);
	for (int d = 0; d < 2; d++) {
		running_wait(x);
		act(d);
		running_say(x, 0);
	}
	running_wait(x);
	running_say(x, 0);
	running_wait(x);
	return 0;
}

static pid_t begin_acts(void (*act)(bool d))
{
	void *arg;

	memcpy(&arg, &act, sizeof(arg));
	return begin(acts, arg);
}

/* Lets it act; the node after that. */
static const Assay__Mi *acted(void)
{
	running_go(&app);
	running_hear(&app);
	return node();
}

static void own_patch(bool d)
{
	volatile uint8_t *p = text_page();

	if (mprotect(text_page(), PAGE, PROT_READ | PROT_WRITE) < 0)
		_exit(1);
	if (d)
		p[0] = p[0];
	if (mprotect(text_page(), PAGE, PROT_READ | PROT_EXEC) < 0)
		_exit(1);
}

static void m07_own_patch(void **state)
{
	pid_t pid = begin_acts(own_patch);

	assert_int_equal(found(code(acted())), 0);
	assert_int_equal(code(acted())->n_modified, 1);
	finish(pid);
}

static void map_over(bool d)
{
	if (mmap(d ? text_page() : NULL, PAGE, PROT_READ | PROT_EXEC,
		 MAP_PRIVATE | MAP_ANONYMOUS | (d ? MAP_FIXED : 0), -1, 0) == MAP_FAILED)
		_exit(1);
}

static void m10_mapping_over_text(void **state)
{
	pid_t pid = begin_acts(map_over);
	const Assay__ReplacedText *r;
	const Assay__CodeOf *c;
	const Assay__Mi *m;

	/* Anonymous code elsewhere is another finding. */
	assert_int_equal(found(code(acted())), 0);
	m = acted();
	c = code(m);
	assert_int_equal(c->objects->n_replaced, 1);
	r = c->objects->replaced[0];
	assert_int_equal(r->start, address_of(text_page()));
	assert_int_equal(r->length, PAGE);
	assert_non_null(strstr(path(m, r->file), "bpf_objects"));
	assert_string_equal(r->by, "code of no file");
	finish(pid);
}

static void memfd_over(bool d)
{
	int fd = memfd_create("evil", 0);

	if (fd < 0 || ftruncate(fd, PAGE) < 0 ||
	    mmap(d ? text_page() : NULL, PAGE, d ? PROT_READ | PROT_EXEC : PROT_READ,
		 MAP_PRIVATE | (d ? MAP_FIXED : 0), fd, 0) == MAP_FAILED)
		_exit(1);
}

static void m12_memfd_over_text(void **state)
{
	pid_t pid = begin_acts(memfd_over);
	const Assay__File *f;
	const Assay__Mi *m;

	m = acted();
	assert_int_equal(found(code(m)), 0);
	assert_null(mapped(m, "memfd:evil"));
	m = acted();
	assert_int_equal(code(m)->objects->n_replaced, 1);
	assert_non_null(strstr(code(m)->objects->replaced[0]->by, "memfd:evil"));
	f = mapped(m, "memfd:evil");
	assert_non_null(f);
	assert_false(f->regular_fs);
	assert_string_equal(f->filesystem, "memory");
	finish(pid);
}

static void m15_vdso(void **state)
{
	uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
	pid_t pid = begin(lives, NULL);
	const Assay__CodeOf *c;
	uint8_t bytes[4];
	size_t differ = 0;

	assert_true(vdso != 0);
	load(pid, vdso + 0x40, bytes, sizeof(bytes));
	assert_int_equal(found(code(node())), 0);
	bytes[0] ^= 0xff;
	store(pid, vdso + 0x40, bytes, sizeof(bytes));
	c = code(node());
	for (size_t i = 0; i < c->n_anonymous; i++)
		differ += c->anonymous[i]->differs;
	assert_int_equal(differ, 1);
	assert_int_equal(c->n_modified, 1);
	finish(pid);
}

/* Where in this program's file its text of that address is. */
static uint64_t place_in_file(uint64_t address)
{
	CLEANUP(cleanup_fd) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint64_t place = 0;
	struct elf_object *o;

	assert_int_equal(elf_object_read(fd, PAGE, &o), 0);
	for (size_t i = 0; i < o->n_text; i++) {
		if (o->text[i].start <= address && address < o->text[i].end)
			place = o->text[i].offset + (address - o->text[i].start);
	}
	elf_object_free(o);
	assert_true(place != 0);
	return place;
}

/* An event on the first instruction of patched(), for that process. */
static int probe(pid_t pid)
{
	struct perf_event_attr a = { .size = sizeof(a) };
	Dl_info info;
	FILE *f = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	char exe[256];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (!f)
		return -1;
	assert_int_equal(fscanf(f, "%u", &a.type), 1);
	fclose(f);
	assert_true(n > 0);
	exe[n] = '\0';
	assert_true(dladdr(text_page(), &info) != 0);
	a.config1 = address_of(exe);
	a.config2 = place_in_file(address_of(text_page()) - address_of(info.dli_fbase));
	return (int)syscall(SYS_perf_event_open, &a, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static bool has_probe(const Assay__CodeOf *c)
{
	for (size_t i = 0; i < c->n_anonymous; i++)
		if (strcmp(c->anonymous[i]->name, "[uprobes]") == 0)
			return true;
	return false;
}

static void m16_uprobe(void **state)
{
	pid_t pid = begin(lives, NULL);
	const Assay__CodeOf *c;
	pid_t other = fork();
	int fd;

	assert_true(other >= 0);
	if (other == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	fd = probe(other);
	if (fd < 0) {
		kill(other, SIGKILL);
		waitpid(other, NULL, 0);
		printf("skipped: this kernel lets nobody probe\n");
		finish(pid);
		skip();
	}
	/* One on another process of the same program. */
	assert_int_equal(found(code(node())), 0);
	close(fd);
	kill(other, SIGKILL);
	assert_int_equal(waitpid(other, NULL, 0), other);
	fd = probe(pid);
	assert_true(fd >= 0);
	assert_int_equal(code(node())->n_modified, 1);
	running_go(&app); /* it runs into the probe */
	assert_int_equal(running_hear(&app), 2);
	close(fd);
	c = code(node());
	assert_true(has_probe(c)); /* which is gone, and yet is seen */
	end(pid);
}

static void m18_code_cave(void **state)
{
	static const uint8_t code_cave[] = { 0xc3 };
	pid_t pid = begin(lives, NULL);
	uint64_t at = address_of(text_page()) + PAGE - 1;
	uint8_t was;

	load(pid, at, &was, 1);
	assert_int_equal(found(code(node())), 0);
	store(pid, at, code_cave, 1);
	assert_int_equal(code(node())->n_modified, 1);
	finish(pid);
}

static void hide_library(bool d)
{
	for (struct link_map *l = _r_debug.r_map; d && l; l = l->l_next) {
		if (l->l_next && strstr(l->l_next->l_name, "libcmocka")) {
			l->l_next = l->l_next->l_next;
			l->l_next->l_prev = l;
			break;
		}
	}
}

static void m25_hidden_from_the_loader(void **state)
{
	pid_t pid = begin_acts(hide_library);
	const Assay__Mi *m;

	assert_int_equal(found(code(acted())), 0);
	m = acted();
	assert_int_equal(code(m)->objects->n_links, 1);
	assert_non_null(strstr(path(m, code(m)->objects->links[0]->file), "libcmocka"));
	finish(pid);
}

static char library[128];

/* A library of its own: a copy of one that is there anyway. */
static void copy_library(const char *to)
{
	char command[512];
	Dl_info info;

	assert_true(dladdr((void *)(uintptr_t)_expect_any, &info) != 0);
	snprintf(command, sizeof(command), "cp '%s' '%s'", info.dli_fname, to);
	assert_int_equal(system(command), 0);
}

static int loads(struct running *x, void *arg)
{
	void *at;
	int fd;

	if (!dlopen(library, RTLD_NOW | RTLD_LOCAL))
		return 1;
	running_say(x, 0);
	running_wait(x);
	fd = open(library, O_RDWR);
	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	running_say(x, 0);
	running_wait(x);
	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	running_say(x, (long)at);
	running_wait(x);
	return at == MAP_FAILED;
}

static void code_that_is_writable_elsewhere(void **state)
{
	const Assay__WritableAlias *a;
	const Assay__Mi *m;
	uint64_t at;
	pid_t pid;

	snprintf(library, sizeof(library), "%s/own.so", directory);
	copy_library(library);
	pid = begin(loads, NULL);
	running_go(&app);
	running_hear(&app);
	assert_int_equal(found(code(node())), 0);
	running_go(&app);
	at = (uint64_t)running_hear(&app);
	m = node();
	assert_int_equal(code(m)->objects->n_aliases, 1);
	a = code(m)->objects->aliases[0];
	assert_int_equal(a->start, at);
	assert_string_equal(path(m, a->file), library);
	end(pid);
}

static void l04_l05_library_changed(void **state)
{
	char other[160], byte = 'x';
	CLEANUP(cleanup_fd) int fd = -1;
	uint8_t before[32];
	const Assay__Mi *m;
	pid_t pid;

	snprintf(library, sizeof(library), "%s/own.so", directory);
	snprintf(other, sizeof(other), "%s/other.so", directory);
	copy_library(library);
	copy_library(other);
	pid = begin(loads, NULL);
	memcpy(before, mapped(node(), "own.so")->sha256.data, 32);
	/* Opened to be written, and not written. */
	fd = open(library, O_RDWR | O_CLOEXEC);
	m = node();
	assert_memory_equal(mapped(m, "own.so")->sha256.data, before, 32);
	assert_int_equal(pwrite(fd, &byte, 1, lseek(fd, 0, SEEK_END) - 1), 1);
	m = node();
	assert_memory_not_equal(mapped(m, "own.so")->sha256.data, before, 32);
	assert_false(mapped(m, "own.so")->deleted);
	/* Renamed over: what is mapped is the old one, which has no name any more. */
	assert_int_equal(rename(other, library), 0);
	m = node();
	assert_true(mapped(m, "own.so")->deleted);
	running_go(&app);
	running_hear(&app);
	running_go(&app);
	running_hear(&app);
	end(pid);
}

static int maps_much(struct running *x, void *arg)
{
	running_say(x, 0);
	running_wait(x);
	/* Neighbours that differ, so that they stay two. */
	for (int i = 0; i < MAPPINGS_MAX + 100; i++) {
		if (mmap(NULL, PAGE, i % 2 ? PROT_EXEC : PROT_READ | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			return 1;
	}
	running_say(x, 0);
	running_wait(x);
	return 0;
}

static void more_mappings_than_are_measured(void **state)
{
	pid_t pid = running_start(&app, maps_much, NULL);
	const Assay__Mi *m;

	running_hear(&app);
	assert_state(node(), "code", COMPLETE);
	running_go(&app);
	running_hear(&app);
	m = node();
	assert_state(m, "code", PARTIAL);
	assert_string_equal(m->code->processes[0]->error,
			    "the process has more executable mappings than are measured");
	end(pid);
}

static void a_stopped_process_is_looked_at(void **state)
{
	pid_t pid = begin(lives, NULL);
	uint8_t byte = 0xcc;
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_int_equal(found(code(node())), 0);
	store(pid, address_of(text_page()) + PAGE - 1, &byte, 1);
	assert_int_equal(code(node())->n_modified, 1);
	assert_int_equal(kill(pid, SIGCONT), 0);
	finish(pid);
}

/* Large, with much to relocate, where a compiler is; small everywhere. */
static void *load_library(void)
{
	char name[32];
	void *d = NULL;

	for (int version = 14; version < 30 && !d; version++) {
		snprintf(name, sizeof(name), "libLLVM-%d.so.1", version);
		d = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
	}
	return d ? d : dlopen("libsqlite3.so.0", RTLD_LAZY | RTLD_LOCAL);
}

/* One process after the other loads a library as it goes. */
static bool load_in_a_child(void)
{
	pid_t pid = fork();
	int status = 1;

	if (pid == 0) {
		status = load_library() ? 0 : 1;
		usleep(2000);
		_exit(status);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* A library comes, mostly at the same place, and goes. */
static bool load_and_unload(void)
{
	void *d = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);

	usleep(2000);
	return d && dlclose(d) == 0;
}

/* Loads until the test says stop. */
static int load_all_the_time(struct running *x, void *arg)
{
	struct pollfd stop = { .fd = x->commands, .events = POLLIN };
	bool (*const *way)(void) = arg;
	bool good = true;

	running_say(x, 0);
	while (good && poll(&stop, 1, 0) == 0)
		good = (*way)();
	running_wait(x);
	return good ? 0 : 1;
}

static void nothing_is_found_in(const Assay__Mi *m, int node)
{
	for (size_t p = 0; p < m->code->n_processes; p++) {
		const Assay__CodeOf *c = m->code->processes[p];
		const Assay__Objects *o = c->objects;

		if (!o || (found(c) == 0 && *o->error == '\0'))
			continue;
		fail_msg("node %d: %zu changed, %zu replaced, %zu relro, %zu links, %zu imports "
			 "(%s leads to %s); %s",
			 node, c->n_modified, o->n_replaced, o->n_relro, o->n_links, o->n_imports,
			 o->n_imports ? o->imports[0]->symbol : "",
			 o->n_imports ? o->imports[0]->place : "", o->error);
	}
}

static void while_it_loads(bool (*way)(void), int nodes)
{
	pid_t pid = running_start(&app, load_all_the_time, &way);

	running_hear(&app);
	for (int i = 0; i < nodes; i++)
		nothing_is_found_in(node(), i);
	running_go(&app);
	running_end(pid);
}

static void a_library_that_is_being_loaded(void **state)
{
	(void)state;
	while_it_loads(load_in_a_child, 400);
}

static void a_library_that_comes_and_goes(void **state)
{
	(void)state;
	while_it_loads(load_and_unload, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(m02_ptrace_poke),
		TEST(m05_import_slot),
		TEST(m06_relro),
		TEST(m07_own_patch),
		TEST(m10_mapping_over_text),
		TEST(m12_memfd_over_text),
		TEST(m15_vdso),
		TEST(m16_uprobe),
		TEST(m18_code_cave),
		TEST(m25_hidden_from_the_loader),
		TEST(code_that_is_writable_elsewhere),
		TEST(l04_l05_library_changed),
		TEST(more_mappings_than_are_measured),
		TEST(a_stopped_process_is_looked_at),
		TEST(a_library_that_is_being_loaded),
		TEST(a_library_that_comes_and_goes),
	};

	if (!running_possible())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
