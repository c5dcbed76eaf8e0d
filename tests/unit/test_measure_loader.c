/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_tree.h"

#include <spawn.h>
#include <sys/wait.h>

#include "collectors/measure_parts.h"

extern char **environ;

static int measure(const char *path, struct measured **ret)
{
	const struct measure_options o = { .threads = 2, .dependencies = true };
	char *wrong = NULL;
	int r;

	r = measure_paths(&path, 1, &o, ret, &wrong);
	free(wrong);
	return r;
}

/* True if a measured file is the one that path leads to. */
static bool has_file(const struct measured *m, const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	for (size_t i = 0; i < m->n_files; i++) {
		if (m->files[i].inode == st.st_ino && m->files[i].device == st.st_dev)
			return true;
	}
	return false;
}

/* Paths that ldd(1) prints; it asks the loader itself. */
static size_t ldd(const char *program, char paths[][PATH_MAX], size_t max)
{
	char command[PATH_MAX + 64], line[2 * PATH_MAX];
	size_t n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "env -u LD_PRELOAD -u LD_LIBRARY_PATH ldd '%s' 2>&1",
		 program);
	f = popen(command, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *from = strstr(line, "=> "), *end = strstr(line, " (0x");

		from = from ? from + 3 : line + strspn(line, "\t");
		if (!end || from[0] != '/')
			continue;
		*end = '\0';
		assert_true(n < max);
		snprintf(paths[n++], PATH_MAX, "%.*s", PATH_MAX - 1, from);
	}
	pclose(f);
	return n;
}

/* What is measured with a program is what ldd lists, no more and no less. */
static void assert_as_ldd(const char *program)
{
	static char paths[256][PATH_MAX];
	size_t n = ldd(program, paths, ARRAY_LEN(paths));
	struct measured *m = NULL;

	if (measure(program, &m) < 0)
		fail_msg("%s cannot be measured", program);
	for (size_t i = 0; i < n; i++) {
		if (!has_file(m, paths[i]))
			fail_msg("%s: %s is missing", program, paths[i]);
		if (!strstr(paths[i], "/..") && !manifest_find(&m->manifest, paths[i]))
			fail_msg("%s: %s is missing by this name", program, paths[i]);
	}
	for (size_t i = 0; i < m->n_files; i++) {
		struct stat file, other;
		bool listed = false;

		assert_int_equal(stat(m->files[i].path, &file), 0);
		for (size_t k = 0; k <= n && !listed; k++) {
			assert_int_equal(stat(k < n ? paths[k] : program, &other), 0);
			listed = other.st_ino == file.st_ino && other.st_dev == file.st_dev;
		}
		if (!listed)
			fail_msg("%s: %s is too much", program, m->files[i].path);
	}
	measured_free(m);
}

static void installed_programs_are_as_ldd_says(void **state)
{
	static const char *const programs[] = {
		"/bin/ls",
		"/bin/sh",
		"/usr/sbin/nginx",
		"/usr/bin/redis-server",
		"/usr/bin/python3",
		"/usr/bin/openssl",
		"/usr/bin/systemctl",
	};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		if (access(programs[i], X_OK) < 0) {
			print_message("%s is not installed: not compared\n", programs[i]);
			continue;
		}
		assert_as_ldd(programs[i]);
		n++;
	}
	assert_true(n >= 2);
}

/* Runs the compiler in the test's directory; false where there is none. */
static bool compile(const char *arguments)
{
	char command[8192];

	snprintf(command, sizeof(command), "cd '%s' && cc -x c /dev/null -x none %s", top,
		 arguments);
	return system(command) == 0;
}

static void make_source(const char *name, const char *text)
{
	make_text(name, text);
}

static const struct {
	const char *what, *build[5];
	const char *used, *unused; /* NULL: nothing to be unused */
} searches[] = {
	{ "RUNPATH of the program, with $ORIGIN",
	  { "-shared -o one/libx.so -Wl,-soname,libx.so",
	    "main.c -o program -Wl,--enable-new-dtags,-rpath,'$ORIGIN/one' -Lone -lx" },
	  "one/libx.so",
	  NULL },
	{ "braces, two directories, the first that has it",
	  { "-shared -o one/libx.so", "-shared -o two/libx.so -DTWO",
	    "main.c -o program "
	    "-Wl,--enable-new-dtags,-rpath,'${ORIGIN}/none:${ORIGIN}/two:$ORIGIN/one' "
	    "-Lone -lx" },
	  "two/libx.so",
	  "one/libx.so" },
	{ "RPATH is passed on to libraries",
	  { "-shared -o one/liby.so", "-shared -o one/libx.so -Wl,--no-as-needed -Lone -ly",
	    "main.c -o program -Wl,--disable-new-dtags,-rpath,'$ORIGIN/one' -Lone -lx" },
	  "one/liby.so",
	  NULL },
	{ "RUNPATH is not passed on",
	  { "-shared -o one/liby.so", "-shared -o one/libx.so -Wl,--no-as-needed -Lone -ly",
	    "main.c -o program -Wl,--enable-new-dtags,-rpath,'$ORIGIN/one' -Lone -lx "
	    "-Wl,--allow-shlib-undefined,-rpath-link,one" },
	  "one/libx.so",
	  "one/liby.so" },
	{ "a library's own RUNPATH, from where it was found",
	  { "-shared -o two/liby.so",
	    "-shared -o one/libx.so -Wl,--no-as-needed,--enable-new-dtags,-rpath,'$ORIGIN/../two' "
	    "-Ltwo "
	    "-ly",
	    "main.c -o program -Wl,--enable-new-dtags,-rpath,'$ORIGIN/one' -Lone -lx" },
	  "two/liby.so",
	  NULL },
	{ "a name that another library brought already",
	  { "-shared -o two/libother.so -Wl,-soname,libx.so", "-shared -o one/libx.so",
	    "main.c -o program -Wl,--no-as-needed,--enable-new-dtags,-rpath,'$ORIGIN/one' "
	    "two/libother.so one/libx.so",
	    "main.c -o program -Wl,--no-as-needed,--enable-new-dtags,-rpath,'$ORIGIN/one' -Lone "
	    "-lx" },
	  "one/libx.so",
	  "two/libother.so" },
	{ "a file that is no library is passed over",
	  { "-shared -o one/libx.so",
	    "main.c -o program -Wl,--enable-new-dtags,-rpath,'$ORIGIN/bad:$ORIGIN/one' -Lone -lx" },
	  "one/libx.so",
	  NULL },
};

static void libraries_are_searched_as_the_loader_does(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(searches); i++) {
		struct measured *m = NULL;
		char program[PATH_MAX];

		make_dir("one");
		make_dir("two");
		make_dir("bad");
		make_source("main.c", "int main(void) { return 0; }\n");
		for (size_t k = 0; k < ARRAY_LEN(searches[i].build) && searches[i].build[k]; k++) {
			char arguments[2048];

			snprintf(arguments, sizeof(arguments), "-Wl,--no-as-needed %s",
				 searches[i].build[k]);
			if (compile(arguments))
				continue;
			if (k > 0 || i > 0)
				fail_msg("%s: %s", searches[i].what, arguments);
			print_message("SKIP: there is no compiler\n");
			skip();
		}
		/* Of another machine: an ELF file, but not one for this program. */
		make_file("bad/libx.so", "\177ELF\1\1\1", 7, 0755);
		snprintf(program, sizeof(program), "%s", at("program"));
		if (!strstr(searches[i].what, "no library"))
			assert_as_ldd(program);
		assert_int_equal(measure(program, &m), 0);
		if (!has_file(m, at(searches[i].used)))
			fail_msg("%s: %s is missing", searches[i].what, searches[i].used);
		if (searches[i].unused && has_file(m, at(searches[i].unused)))
			fail_msg("%s: %s is too much", searches[i].what, searches[i].unused);
		assert_false(has_file(m, at("bad/libx.so")));
		measured_free(m);
		remove_top(NULL);
		assert_int_equal(mkdir(top, 0700), 0);
	}
}

static void scripts_bring_their_interpreters(void **state)
{
	struct measured *m = NULL;

	make_file("sh", "#!/bin/sh -e\nexit 0\n", 20, 0755);
	make_file("env", "#!/usr/bin/env -S FOO=1 sh\n", 27, 0755);
	make_file("missing", "#!/nowhere/interpreter\n", 23, 0755);
	make_file("nested", "#!", 2, 0755);

	assert_int_equal(measure(at("sh"), &m), 0);
	assert_true(has_file(m, "/bin/sh"));
	assert_non_null(manifest_find(&m->manifest, "/bin/sh"));
	assert_true(has_file(m, "/lib/x86_64-linux-gnu/libc.so.6") || m->n_files > 3);
	measured_free(m);

	assert_int_equal(measure(at("env"), &m), 0);
	assert_true(has_file(m, "/usr/bin/env"));
	assert_true(has_file(m, "/bin/sh"));
	measured_free(m);

	/* Given by name it must be able to start; in a tree it just stands there. */
	assert_int_equal(measure(at("missing"), &m), -ENOENT);
	assert_int_equal(measure(top, &m), 0);
	assert_true(has_file(m, "/usr/bin/env"));
	measured_free(m);
}

static void interpreters_of_interpreters_end(void **state)
{
	char text[PATH_MAX + 8];
	struct measured *m = NULL;

	snprintf(text, sizeof(text), "#!%s\n", at("self"));
	make_file("self", text, strlen(text), 0755);
	assert_int_equal(measure(at("self"), &m), -ELOOP);
}

static void data_brings_nothing(void **state)
{
	struct measured *m = NULL;

	make_dir("tree");
	/* Not executable: nobody runs it. */
	make_file("tree/notes", "#!/bin/sh\n", 10, 0644);
	make_file("tree/broken", "\177ELFgarbage and more", 20, 0755);
	assert_int_equal(measure(at("tree"), &m), 0);
	assert_int_equal(m->n_files, 2);
	measured_free(m);
}

/* The parsers, on bytes that nobody sane would write. */

static const struct {
	const char *what, *start, *interpreter, *program;
} scripts[] = {
	{ "plain", "#!/bin/sh\n", "/bin/sh", NULL },
	{ "blanks and an argument", "#! \t/bin/sh\t-e x\nmore", "/bin/sh", NULL },
	{ "no newline", "#!/bin/sh", "/bin/sh", NULL },
	{ "relative", "#!sh\n", NULL, NULL },
	{ "empty", "#!\n/bin/sh\n", NULL, NULL },
	{ "nothing", "#!", NULL, NULL },
	{ "not a script", "/bin/sh\n", NULL, NULL },
	{ "env without a program", "#!/usr/bin/env\n", "/usr/bin/env", NULL },
	{ "env with options only", "#!/usr/bin/env -S A=b\n", "/usr/bin/env", NULL },
	{ "env with a path", "#!/usr/bin/env /bin/x y\n", "/usr/bin/env", "/bin/x" },
	{ "env with a program that is nowhere", "#!/usr/bin/env no-such-program-x\n",
	  "/usr/bin/env", NULL },
};

static void first_lines_are_read_as_the_kernel_does(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		char *interpreter = NULL, *program = NULL;
		int r = script_parse(view_text(scripts[i].start), &interpreter, &program);

		if (r != (scripts[i].interpreter ? 0 : -ENOEXEC))
			fail_msg("%s: %d", scripts[i].what, r);
		if (interpreter && strcmp(interpreter, scripts[i].interpreter) != 0)
			fail_msg("%s: %s", scripts[i].what, interpreter);
		if ((program != NULL) != (scripts[i].program != NULL) ||
		    (program && strcmp(program, scripts[i].program) != 0))
			fail_msg("%s: %s", scripts[i].what, program ? program : "nothing");
		free(interpreter);
		free(program);
	}
}

static int count_path(void *arg, const char *path, bool special)
{
	size_t *n = arg;

	assert_int_equal(path[0], '/');
	(*n)++;
	return 0;
}

static void the_cache_is_read_within_its_bounds(void **state)
{
	struct bytes cache = BYTES_INIT(16 * 1024 * 1024);
	int fd = open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC), r;
	size_t n = 0;

	if (fd < 0) {
		print_message("SKIP: there is no /etc/ld.so.cache\n");
		skip();
	}
	assert_int_equal(bytes_read_fd(&cache, fd), 0);
	close(fd);
	assert_int_equal(ld_cache_find(bytes_view(&cache), "libc.so.6", count_path, &n), 0);
	assert_true(n >= 1);
	n = 0;
	assert_int_equal(ld_cache_find(bytes_view(&cache), "libnone.so", count_path, &n), 0);
	assert_int_equal(n, 0);
	for (size_t len = 0; len < cache.len; len += len < 200 ? 1 : 997) {
		uint8_t *cut = malloc(len + 1); /* of its own, so that a sanitizer sees its end */

		memcpy(cut, cache.data, len);
		r = ld_cache_find(view_of(cut, len), "libc.so.6", count_path, &n);
		assert_true(r == 0 || r == -EBADMSG);
		if (len < 48)
			assert_int_equal(r, -EBADMSG);
		free(cut);
	}
	cache.data[0] ^= 1;
	assert_int_equal(ld_cache_find(bytes_view(&cache), "libc.so.6", count_path, &n), -EBADMSG);
	bytes_done(&cache);
}

static void elf_files_are_read_within_their_bounds(void **state)
{
	struct bytes image = BYTES_INIT(64 * 1024 * 1024);
	int fd = open("/bin/ls", O_RDONLY | O_CLOEXEC), r;
	struct elf_facts facts;

	assert_true(fd >= 0);
	assert_int_equal(bytes_read_fd(&image, fd), 0);
	close(fd);
	assert_int_equal(elf_facts_parse(bytes_view(&image), &facts), 0);
	assert_int_equal(facts.interpreter[0], '/');
	assert_true(facts.n_needed >= 1);
	elf_facts_done(&facts);
	for (size_t len = 0; len < image.len; len += len < 4096 ? 7 : 4099) {
		uint8_t *cut = malloc(len + 1);

		memcpy(cut, image.data, len);
		r = elf_facts_parse(view_of(cut, len), &facts);
		if (r == 0)
			elf_facts_done(&facts);
		else
			assert_int_equal(r, -ENOEXEC);
		if (len < 64)
			assert_int_equal(r, -ENOEXEC);
		free(cut);
	}
	bytes_done(&image);
}

#define ON_TREE(test) cmocka_unit_test_setup_teardown(test, make_top, remove_top)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(installed_programs_are_as_ldd_says),
		ON_TREE(libraries_are_searched_as_the_loader_does),
		ON_TREE(scripts_bring_their_interpreters),
		ON_TREE(interpreters_of_interpreters_end),
		ON_TREE(data_brings_nothing),
		cmocka_unit_test(first_lines_are_read_as_the_kernel_does),
		cmocka_unit_test(the_cache_is_read_within_its_bounds),
		cmocka_unit_test(elf_files_are_read_within_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
