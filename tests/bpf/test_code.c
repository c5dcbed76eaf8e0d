/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "cleanup.h"
#include "collectors/mappings.h"
#include "tests/bpf/nodes.h"

static int anonymous_code(struct running *x, void *arg)
{
	void *memory;

	running_say(x, 0);
	running_wait(x);
	memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	running_say(x, (long)memory);
	running_wait(x);
	return 0;
}

static const Assay__AnonymousCode *anonymous_at(const Assay__Mi *m, uint64_t start)
{
	const Assay__CodeOf *c = m->code->processes[0];

	for (size_t i = 0; i < c->n_anonymous; i++) {
		if (c->anonymous[i]->start <= start &&
		    start < c->anonymous[i]->start + c->anonymous[i]->length)
			return c->anonymous[i];
	}
	return NULL;
}

static void anonymous_code_is_found(void **state)
{
	const Assay__AnonymousCode *a;
	const Assay__Mi *m;
	size_t before;
	pid_t pid = running_start(&app, anonymous_code, NULL);
	uint64_t at;

	running_hear(&app);
	before = node()->code->processes[0]->n_anonymous;
	running_go(&app);
	at = (uint64_t)running_hear(&app);
	m = node();
	a = anonymous_at(m, at);
	assert_non_null(a);
	assert_string_equal(a->protection, "rwxp");
	assert_string_equal(a->name, "");
	assert_int_equal(a->length, 3 * PAGE);
	assert_int_equal(a->sha256.len, 32);
	assert_int_equal(m->code->processes[0]->n_anonymous, before + 1);
	end(pid);
}

/* In a page of text of its own, so that nothing else is changed. */
__attribute__((noinline, aligned(PAGE), section(".text.patched"))) static int patched(int n)
{
	return n + 1;
}

static int say_address(struct running *x, void *arg)
{
	running_say(x, (long)(uintptr_t)patched + patched(0) - 1);
	running_wait(x);
	return 0;
}

static void patch(pid_t pid, uint64_t at, const uint8_t *to, uint8_t *ret_was, size_t n)
{
	CLEANUP(cleanup_fd) int fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, ret_was, n, (off_t)at), n);
	assert_int_equal(pwrite(fd, to, n, (off_t)at), n);
}

static void a_patched_page_is_found_and_stays_found(void **state)
{
	static const uint8_t code[] = { 0xcc, 0xcc, 0xcc };
	pid_t pid = running_start(&app, say_address, NULL);
	const Assay__ModifiedText *t;
	uint8_t was[3], none[3];
	uint64_t at = (uint64_t)running_hear(&app);
	const Assay__Mi *m = node();

	assert_state(m, "code", COMPLETE);
	assert_int_equal(m->code->processes[0]->n_modified, 0);
	patch(pid, at, code, was, sizeof(code));
	m = node();
	assert_int_equal(m->code->processes[0]->n_modified, 1);
	t = m->code->processes[0]->modified[0];
	assert_int_equal(t->start, at / PAGE * PAGE);
	assert_int_equal(t->pages, 1);
	assert_non_null(strstr(m->files[t->file - 1]->path, "bpf_code"));
	/* The old bytes put back make the content right and the page still not the file's. */
	patch(pid, at, was, none, sizeof(was));
	assert_int_equal(node()->code->processes[0]->n_modified, 1);
	end(pid);
}

struct listed {
	char text[64 * 1024];
	size_t len;
};

static int list_mapping(void *arg, const struct proc_mapping *m)
{
	struct listed *l = arg;

	l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len,
				   "%lx %lx %s %lx %lx %lu %.*s\n", m->start, m->end, m->protection,
				   m->offset, m->device, m->inode, (int)m->name.len,
				   (const char *)m->name.data);
	assert_true(l->len < sizeof(l->text));
	return 0;
}

static int list_pages(void *arg, uint64_t start, uint64_t pages)
{
	struct listed *l = arg;

	l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len, "%lx+%lu\n", start,
				   pages);
	return 0;
}

/* Older kernels have only text and pagemap's bits: what they say must be the same. */
static void old_and_new_ways_see_the_same(void **state)
{
	static const uint8_t code[] = { 0xcc };
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(1024 * 1024);
	static struct listed mapped_by[2], pages_by[2];
	pid_t pid = running_start(&app, say_address, NULL);
	uint64_t at = (uint64_t)running_hear(&app) / PAGE * PAGE;
	CLEANUP(cleanup_fd) int proc_fd = -1;
	CLEANUP(cleanup_fd) int pagemap_fd = -1;
	uint8_t was[1];
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pagemap_fd = openat(proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	assert_true(pagemap_fd >= 0);
	patch(pid, at, code, was, sizeof(code));
	for (size_t i = 0; i < 2; i++) {
		struct mappings_ways ways = { .no_query = i, .no_scan = i };

		assert_int_equal(
			mappings_executable(&ways, proc_fd, &text, list_mapping, &mapped_by[i]), 0);
		assert_int_equal(mappings_private_pages(&ways, pagemap_fd, at, at + 2 * PAGE,
							list_pages, &pages_by[i]),
				 0);
		if (i == 0 && (ways.no_query || ways.no_scan))
			printf("this kernel has the old ways only\n");
	}
	assert_string_equal(mapped_by[0].text, mapped_by[1].text);
	assert_true(mapped_by[0].len > 0);
	assert_string_equal(pages_by[0].text, pages_by[1].text);
	snprintf(path, sizeof(path), "%lx+1\n", at);
	assert_string_equal(pages_by[0].text, path);
	patch(pid, at, was, was, sizeof(was));
	end(pid);
}

static int map_special(struct running *x, void *arg)
{
	int memory = memfd_create("hidden", 0);
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/code", directory);
	fd = open(path, O_RDWR | O_CREAT, 0700);
	if (memory < 0 || fd < 0 || ftruncate(memory, PAGE) < 0 || ftruncate(fd, PAGE) < 0 ||
	    mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, memory, 0) == MAP_FAILED ||
	    mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		return 1;
	running_say(x, 0);
	running_wait(x);
	return 0;
}

static void memory_files_and_removed_files_are_told(void **state)
{
	pid_t pid = running_start(&app, map_special, NULL);
	const Assay__File *f;
	char path[96];
	const Assay__Mi *m;

	running_hear(&app);
	m = node();
	f = mapped(m, "memfd:hidden");
	assert_non_null(f);
	assert_true(f->deleted);
	assert_false(f->regular_fs);
	snprintf(path, sizeof(path), "%s/code", directory);
	f = mapped(m, path);
	assert_non_null(f);
	assert_false(f->deleted);
	assert_true(f->regular_fs);
	assert_int_equal(f->sha256.len, 32);
	assert_int_equal(unlink(path), 0);
	m = node();
	f = mapped(m, path);
	assert_non_null(f);
	assert_true(f->deleted);
	assert_string_equal(f->path, path);
	assert_int_equal(f->sha256.len, 32); /* of the file itself, which has no name any more */
	end(pid);
}

static void a_mapped_file_that_is_overwritten_has_another_digest(void **state)
{
	pid_t pid = running_start(&app, map_special, NULL);
	CLEANUP(cleanup_fd) int fd = -1;
	uint8_t before[32];
	char path[96];

	running_hear(&app);
	snprintf(path, sizeof(path), "%s/code", directory);
	memcpy(before, mapped(node(), path)->sha256.data, 32);
	assert_memory_equal(mapped(node(), path)->sha256.data, before, 32);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "evil", 4, 0), 4);
	assert_memory_not_equal(mapped(node(), path)->sha256.data, before, 32);
	end(pid);
}

static void *go_on(void *arg)
{
	running_say(arg, 0);
	running_wait(arg);
	_exit(0);
}

static int end_first_thread(struct running *x, void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, go_on, x) != 0)
		return 1;
	pthread_exit(NULL);
}

/* Waits until the first thread has really ended, as the process's state tells. */
static void wait_for_zombie(pid_t pid)
{
	char path[32], text[512] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; i < 5000 && !strstr(text, ") Z "); i++) {
		CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

		assert_true(read(fd, text, sizeof(text) - 1) > 0);
		usleep(1000);
	}
	assert_non_null(strstr(text, ") Z "));
}

static void code_is_seen_when_the_first_thread_has_ended(void **state)
{
	pid_t pid = running_start(&app, end_first_thread, NULL);
	const Assay__Mi *m;

	running_hear(&app);
	wait_for_zombie(pid);
	m = node();
	assert_int_equal(m->n_processes, 1);
	assert_int_equal(m->processes[0]->pid, pid);
	assert_true(m->processes[0]->executable != 0);
	assert_true(m->code->processes[0]->n_mappings > 0);
	assert_non_null(mapped(m, "bpf_code"));
	assert_int_equal(mapped(m, "bpf_code")->sha256.len, 32);
	assert_state(m, "code", COMPLETE);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(anonymous_code_is_found),
		TEST(a_patched_page_is_found_and_stays_found),
		TEST(old_and_new_ways_see_the_same),
		TEST(memory_files_and_removed_files_are_told),
		TEST(a_mapped_file_that_is_overwritten_has_another_digest),
		TEST(code_is_seen_when_the_first_thread_has_ended),
	};

	if (!running_possible())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
