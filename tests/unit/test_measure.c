/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_tree.h"

#include <locale.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cleanup.h"
#include "measure.h"

/* Measures what must be measurable. */
static struct measured *measure(const char *path, unsigned int threads, bool dependencies)
{
	const struct measure_options o = { .threads = threads, .dependencies = dependencies };
	struct measured *m = NULL;
	char *wrong = NULL;
	int r;

	r = measure_paths(&path, 1, &o, &m, &wrong);
	if (r < 0)
		fail_msg("%s: %s", wrong ? wrong : path, strerror(-r));
	assert_null(wrong);
	return m;
}

/* What measuring that path fails with; the path that is blamed must be blamed. */
static int failure(const char *path, const char *blamed)
{
	const struct measure_options o = { .threads = 2 };
	struct measured *m = NULL;
	char *wrong = NULL;
	int r;

	r = measure_paths(&path, 1, &o, &m, &wrong);
	if (r == 0)
		fail_msg("%s: measured", path);
	assert_null(m);
	if (!wrong || strcmp(wrong, blamed) != 0)
		fail_msg("%s: blames %s", path, wrong ? wrong : "nothing");
	free(wrong);
	return r;
}

static const struct manifest_entry *entry(const struct measured *m, const char *path)
{
	const struct manifest_entry *e = manifest_find(&m->manifest, path);

	if (!e)
		fail_msg("%s is not in the manifest", path);
	return e;
}

static void assert_sha256(const struct manifest_entry *e, const char *hex)
{
	char text[DIGEST_HEX_MAX];

	assert_int_equal(e->type, MANIFEST_FILE);
	assert_string_equal(digest_hex(&e->sha256, text), hex);
}

#define SHA_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA_ABC	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
/* of 3 MiB of zero bytes: head -c 3145728 /dev/zero | sha256sum */
#define SHA_ZEROS "bbd05cf6097ac9b1f89ea29d2542c1b7b67ee46848393895f5a9e43fa1f621e5"

static void make_every_type(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s;

	make_dir("tree");
	make_file("tree/abc", "abc", 3, 0640);
	make_text("tree/empty", "");
	make_dir("tree/inner");
	assert_int_equal(chmod(at("tree/inner"), 02750), 0);
	make_text("tree/inner/odd #name=\n", "abc");
	make_link("../abc", "tree/inner/up");
	make_link("nowhere", "tree/dangling");
	make_link("loop", "tree/loop");
	make_link("..", "tree/inner/round");
	assert_int_equal(link(at("tree/abc"), at("tree/hard")), 0);
	make_text("tree/sparse", "");
	assert_int_equal(truncate(at("tree/sparse"), 3 * 1024 * 1024), 0);
	assert_int_equal(mkfifo(at("tree/pipe"), 0600), 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", at("tree/socket"));
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	close(s);
}

static void every_type_is_recorded_as_it_is(void **state)
{
	struct measured *m;

	make_every_type();
	m = measure(at("tree"), 2, false);
	assert_int_equal(m->manifest.n, 13);
	assert_int_equal(m->n_files, 5);
	assert_int_equal(entry(m, at("tree"))->type, MANIFEST_DIR);
	assert_sha256(entry(m, at("tree/abc")), SHA_ABC);
	assert_int_equal(entry(m, at("tree/abc"))->mode, 0640);
	assert_int_equal(entry(m, at("tree/abc"))->uid, getuid());
	assert_int_equal(entry(m, at("tree/abc"))->size, 3);
	assert_sha256(entry(m, at("tree/hard")), SHA_ABC);
	assert_sha256(entry(m, at("tree/empty")), SHA_EMPTY);
	assert_sha256(entry(m, at("tree/sparse")), SHA_ZEROS);
	assert_sha256(entry(m, at("tree/inner/odd #name=\n")), SHA_ABC);
	assert_int_equal(entry(m, at("tree/inner"))->mode, 02750);
	/* Links are told and not followed, wherever they lead. */
	assert_int_equal(entry(m, at("tree/loop"))->type, MANIFEST_LINK);
	assert_string_equal(entry(m, at("tree/loop"))->link, "loop");
	assert_string_equal(entry(m, at("tree/inner/round"))->link, "..");
	assert_string_equal(entry(m, at("tree/inner/up"))->link, "../abc");
	assert_string_equal(entry(m, at("tree/dangling"))->link, "nowhere");
	assert_int_equal(entry(m, at("tree/pipe"))->type, MANIFEST_OTHER);
	assert_int_equal(entry(m, at("tree/socket"))->type, MANIFEST_OTHER);
	assert_int_equal(m->bytes_read, 3 + 3 + 3 + 3 * 1024 * 1024);
	for (size_t i = 0; i < m->n_files; i++) {
		assert_int_equal(entry(m, m->files[i].path)->type, MANIFEST_FILE);
		assert_int_equal(m->files[i].fd, -1);
	}
	measured_free(m);
}

static void m_is_sha384_of_the_text(void **state)
{
	struct manifest back;
	struct measured *m;
	struct digest d;

	make_every_type();
	m = measure(at("tree"), 2, false);
	assert_int_equal(digest_of(HASH_SHA384, bytes_view(&m->text), &d), 0);
	assert_true(digest_equal(&d, &m->m));
	assert_int_equal(manifest_read(bytes_view(&m->text), &back), 0);
	assert_int_equal(back.n, m->manifest.n);
	manifest_done(&back);
	measured_free(m);
}

static void given_links_are_told_and_followed(void **state)
{
	struct measured *m;

	make_dir("real");
	make_text("real/file", "abc");
	make_link("real", "second");
	make_link("second", "first");
	make_link("first/file", "file");

	m = measure(at("file"), 2, false);
	assert_string_equal(entry(m, at("file"))->link, "first/file");
	assert_string_equal(entry(m, at("first"))->link, "second");
	assert_string_equal(entry(m, at("second"))->link, "real");
	assert_sha256(entry(m, at("real/file")), SHA_ABC);
	assert_int_equal(m->manifest.n, 4);
	measured_free(m);

	/* A path through a linked directory is a name of its own, read once. */
	m = measure(at("first/file"), 2, false);
	assert_sha256(entry(m, at("first/file")), SHA_ABC);
	assert_sha256(entry(m, at("real/file")), SHA_ABC);
	assert_int_equal(m->bytes_read, 3);
	measured_free(m);

	m = measure(at("first"), 2, false);
	assert_sha256(entry(m, at("real/file")), SHA_ABC);
	assert_int_equal(entry(m, at("real"))->type, MANIFEST_DIR);
	measured_free(m);
}

static void what_cannot_be_measured_is_refused(void **state)
{
	const struct measure_options o = { .threads = 1 };
	const char *relative = "tree";
	struct measured *m = NULL;
	char *wrong = NULL, deep[PATH_MAX];

	make_link("round", "about");
	make_link("about", "round");
	make_link("nowhere", "dangling");
	make_text("file", "abc");
	assert_int_equal(failure(at("missing"), at("missing")), -ENOENT);
	assert_int_equal(failure(at("dangling"), at("dangling")), -ENOENT);
	assert_int_equal(failure(at("round"), at("round")), -ELOOP);
	assert_int_equal(failure(at("file/below"), at("file/below")), -ENOTDIR);
	/* proc has no sizes: what is read of a file in it is anybody's guess. */
	assert_int_equal(failure("/proc/version", "/proc/version"), -EOPNOTSUPP);
	assert_int_equal(measure_paths(&relative, 1, &o, &m, &wrong), -EINVAL);
	assert_null(m);
	free(wrong);
	memset(deep, 'a', sizeof(deep) - 1);
	deep[0] = '/';
	deep[sizeof(deep) - 1] = '\0';
	assert_int_equal(failure(deep, deep), -ENAMETOOLONG);
}

static void a_huge_file_is_refused_before_it_is_read(void **state)
{
	make_text("huge", "");
	if (truncate(at("huge"), (64LL << 30) + 1) < 0) {
		print_message("SKIP: this file system has no files of 64 GiB\n");
		skip();
	}
	assert_int_equal(failure(at("huge"), at("huge")), -EFBIG);
}

static void an_unreadable_file_is_an_error_that_names_it(void **state)
{
	if (geteuid() == 0) {
		print_message("SKIP: root reads every file\n");
		skip();
	}
	make_dir("tree");
	make_text("tree/good", "abc");
	make_file("tree/closed", "abc", 3, 0);
	assert_int_equal(failure(at("tree"), at("tree/closed")), -EACCES);
}

/* Writes to a file, or makes and removes one, until told to stop. */
struct disturber {
	pthread_t thread;
	atomic_bool stop;
	void (*disturb)(void);
};

static void *disturb_until(void *arg)
{
	struct disturber *d = arg;

	while (!atomic_load(&d->stop))
		d->disturb();
	return NULL;
}

static void write_to_big(void)
{
	int fd = open(at("tree/big"), O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && pwrite(fd, "x", 1, 0) == 1)
		close(fd);
}

static void add_and_remove(void)
{
	int fd = open(at("tree/new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd >= 0)
		close(fd);
	unlink(at("tree/new"));
}

static const struct {
	const char *what, *blamed[3];
	void (*disturb)(void);
} disturbances[] = {
	{ "a file that is written to while it is read", { "tree/big" }, write_to_big },
	{ "a tree whose files come and go", { "tree", "tree/new" }, add_and_remove },
};

static bool blames(size_t i, const char *path)
{
	for (size_t k = 0; disturbances[i].blamed[k]; k++) {
		if (strcmp(path, at(disturbances[i].blamed[k])) == 0)
			return true;
	}
	return false;
}

static void what_changes_meanwhile_is_stale(void **state)
{
	const struct measure_options o = { .threads = 2 };

	make_dir("tree");
	make_text("tree/big", "");
	assert_int_equal(truncate(at("tree/big"), 32 * 1024 * 1024), 0);
	for (size_t i = 0; i < ARRAY_LEN(disturbances); i++) {
		struct disturber d = { .disturb = disturbances[i].disturb };
		char tree[PATH_MAX];
		const char *path = tree;
		int r = 0;

		snprintf(tree, sizeof(tree), "%s", at("tree"));
		assert_int_equal(pthread_create(&d.thread, NULL, disturb_until, &d), 0);
		/* The other thread may not get to run within one measurement. */
		for (int k = 0; r == 0 && k < 50; k++) {
			struct measured *m = NULL;
			char *wrong = NULL;

			r = measure_paths(&path, 1, &o, &m, &wrong);
			if (r < 0 && (!wrong || !blames(i, wrong)))
				fail_msg("%s: blames %s", disturbances[i].what,
					 wrong ? wrong : "nothing");
			free(wrong);
			measured_free(m);
		}
		atomic_store(&d.stop, true);
		pthread_join(d.thread, NULL);
		if (r != -ESTALE)
			fail_msg("%s: %d", disturbances[i].what, r);
	}
}

/* n files in seven directories, made in one order or the other. */
static void make_numbered(size_t n, bool backwards)
{
	const struct timespec times[2] = { { .tv_sec = backwards ? 1000 : 2000 },
					   { .tv_sec = backwards ? 1000 : 2000 } };
	char name[64], text[64];

	make_dir("tree");
	for (size_t i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "tree/d%zu", backwards ? 6 - i : i);
		make_dir(name);
	}
	for (size_t i = 0; i < n; i++) {
		size_t k = backwards ? n - 1 - i : i;

		snprintf(name, sizeof(name), "tree/d%zu/%s%zu", k % 7, k % 3 ? "A" : "a", k);
		snprintf(text, sizeof(text), "content %zu", k);
		make_text(name, text);
		assert_int_equal(utimensat(AT_FDCWD, at(name), times, 0), 0);
	}
}

/* The text of the tree that stands at "tree", which is removed. */
static void take_text(const char *locale, unsigned int threads, struct bytes *ret)
{
	struct measured *m;

	setlocale(LC_ALL, locale);
	m = measure(at("tree"), threads, false);
	setlocale(LC_ALL, "C");
	*ret = BYTES_INIT(MANIFEST_MAX);
	assert_int_equal(bytes_append_view(ret, bytes_view(&m->text)), 0);
	measured_free(m);
	assert_int_equal(nftw(at("tree"), remove_entry, 64, FTW_DEPTH | FTW_PHYS), 0);
}

static void the_same_tree_gives_the_same_text(void **state)
{
	struct bytes first, second;

	make_numbered(500, false);
	take_text("C", 1, &first);
	/* Other inodes, another order in the directories, other times, other threads and locale. */
	make_numbered(500, true);
	take_text("en_US.UTF-8", 4, &second);
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.data, second.data, first.len);
	bytes_done(&second);

	make_numbered(499, true);
	take_text("C", 2, &second);
	assert_false(view_equal(bytes_view(&first), bytes_view(&second)));
	bytes_done(&first);
	bytes_done(&second);
}

static void many_small_files_equal_sha256sum(void **state)
{
	char command[PATH_MAX + 64], line[PATH_MAX + 128];
	struct measured *m;
	size_t n = 0;
	FILE *f;

	make_numbered(10000, false);
	m = measure(at("tree"), 0, false);
	snprintf(command, sizeof(command), "find %s -type f -print0 | xargs -0 sha256sum",
		 at("tree"));
	f = popen(command, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		line[64] = '\0';
		assert_sha256(entry(m, line + 66), line);
		n++;
	}
	assert_int_equal(pclose(f), 0);
	assert_int_equal(n, m->n_files);
	assert_int_equal(n, 10000);
	measured_free(m);
}

static void overlapping_paths_are_told_once(void **state)
{
	const struct measure_options o = { .threads = 2 };
	const char *paths[3];
	char whole[PATH_MAX], part[PATH_MAX];
	struct measured *m;
	char *wrong = NULL;

	make_every_type();
	snprintf(whole, sizeof(whole), "%s", at("tree"));
	snprintf(part, sizeof(part), "%s", at("tree/inner"));
	paths[0] = part;
	paths[1] = whole;
	paths[2] = part;
	assert_int_equal(measure_paths(paths, 3, &o, &m, &wrong), 0);
	assert_int_equal(m->manifest.n, 13);
	measured_free(m);
}

static void count_progress(void *arg, uint64_t files, uint64_t bytes)
{
	uint64_t *last = arg;

	assert_true(files > *last);
	*last = files;
}

static void progress_is_told(void **state)
{
	uint64_t last = 0;
	const struct measure_options o = {
		.threads = 1,
		.progress = count_progress,
		.progress_arg = &last,
	};
	char tree[PATH_MAX];
	const char *path = tree;
	struct measured *m;
	char *wrong = NULL;

	make_numbered(2000, false);
	snprintf(tree, sizeof(tree), "%s", at("tree"));
	assert_int_equal(measure_paths(&path, 1, &o, &m, &wrong), 0);
	assert_true(last > 500);
	measured_free(m);
}

/* measured_check and measured_open_program. */

static void touch(void)
{
	assert_int_equal(utimensat(AT_FDCWD, at("tree/abc"), NULL, 0), 0);
}

static void rewrite_with_old_times(void)
{
	struct timespec times[2];
	struct stat st;

	assert_int_equal(stat(at("tree/abc"), &st), 0);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	make_file("tree/abc", "abd", 3, 0640);
	assert_int_equal(utimensat(AT_FDCWD, at("tree/abc"), times, 0), 0);
}

static void replace(void)
{
	make_file("other", "abc", 3, 0640);
	assert_int_equal(rename(at("other"), at("tree/abc")), 0);
}

static void change_mode(void)
{
	assert_int_equal(chmod(at("tree/abc"), 0750), 0);
}

static void take_away(void)
{
	assert_int_equal(unlink(at("tree/abc")), 0);
}

static void add(void)
{
	make_text("tree/added", "");
}

static void point_elsewhere(void)
{
	assert_int_equal(unlink(at("tree/inner/up")), 0);
	make_link("../empty", "tree/inner/up");
}

static void nothing(void)
{
}

static const struct {
	const char *what;
	void (*change)(void);
	const char *blamed; /* NULL: nothing was touched */
} changes[] = {
	{ "an untouched tree", nothing, NULL },
	{ "a touched file", touch, "tree/abc" },
	{ "another content under the old times", rewrite_with_old_times, "tree/abc" },
	{ "another file with the same content", replace, "tree/abc" },
	{ "another mode", change_mode, "tree/abc" },
	{ "a file that is gone", take_away, "tree/abc" },
	{ "a file that was not there", add, "tree/added" },
	{ "a link that leads elsewhere", point_elsewhere, "tree/inner/up" },
};

static void a_check_finds_what_was_touched(void **state)
{
	for (size_t i = 0; i < 2 * ARRAY_LEN(changes); i++) {
		size_t k = i / 2;
		struct measured *m;
		char *wrong = NULL;
		int r;

		make_every_type();
		/* Once with files too young to be relied on by their times, once with settled ones.
		 */
		if (i % 2 == 0)
			let_settle();
		m = measure(at("tree"), 2, false);
		changes[k].change();
		r = measured_check(m, &wrong);
		if (r != (changes[k].blamed ? -ESTALE : 0))
			fail_msg("%s: %d", changes[k].what, r);
		if (changes[k].blamed && strcmp(wrong, at(changes[k].blamed)) != 0)
			fail_msg("%s: blames %s", changes[k].what, wrong);
		free(wrong);
		measured_free(m);
		assert_int_equal(nftw(at("tree"), remove_entry, 64, FTW_DEPTH | FTW_PHYS), 0);
	}
}

static void what_is_executed_is_what_was_measured(void **state)
{
	char first[3];
	struct measured *m;
	struct digest d;
	uint64_t bytes;
	int fd = -1;

	make_dir("tree");
	make_file("tree/program", "#!/bin/true\n", 12, 0755);
	make_file("tree/other", "#!/bin/false\n", 13, 0755);
	make_link("program", "tree/link");
	let_settle();
	m = measure(at("tree"), 1, false);

	assert_int_equal(measured_open_program(m, at("tree/program"), &fd), 0);
	assert_int_equal(read(fd, first, 3), 3); /* its place was left at the start */
	assert_memory_equal(first, "#!/", 3);
	assert_int_equal(measure_fd(fd, &d, &bytes), 0);
	assert_true(digest_equal(&d, &entry(m, at("tree/program"))->sha256));
	assert_int_equal(bytes, 12);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	/* By another name it is still what was measured. */
	assert_int_equal(measured_open_program(m, at("tree/link"), &fd), 0);
	close(fd);

	fd = -1;
	assert_int_equal(measured_open_program(m, at("missing"), &fd), -ENOENT);
	assert_int_equal(measured_open_program(m, "/bin/true", &fd), -ESTALE);
	assert_int_equal(measured_open_program(m, at("tree"), &fd), -ESTALE);
	make_file("tree/program", "#!/bin/evil\n", 12, 0755);
	assert_int_equal(measured_open_program(m, at("tree/program"), &fd), -ESTALE);
	assert_int_equal(fd, -1);
	measured_free(m);
}

static void only_regular_files_have_a_digest(void **state)
{
	struct digest d;
	uint64_t bytes;
	int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(measure_fd(fd, &d, &bytes), -EINVAL);
	close(fd);
	assert_int_equal(measure_fd(-1, &d, &bytes), -EBADF);
}

#define ON_TREE(test) cmocka_unit_test_setup_teardown(test, make_top, remove_top)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_TREE(every_type_is_recorded_as_it_is),
		ON_TREE(m_is_sha384_of_the_text),
		ON_TREE(given_links_are_told_and_followed),
		ON_TREE(what_cannot_be_measured_is_refused),
		ON_TREE(a_huge_file_is_refused_before_it_is_read),
		ON_TREE(an_unreadable_file_is_an_error_that_names_it),
		ON_TREE(what_changes_meanwhile_is_stale),
		ON_TREE(the_same_tree_gives_the_same_text),
		ON_TREE(many_small_files_equal_sha256sum),
		ON_TREE(overlapping_paths_are_told_once),
		ON_TREE(progress_is_told),
		ON_TREE(a_check_finds_what_was_touched),
		ON_TREE(what_is_executed_is_what_was_measured),
		ON_TREE(only_regular_files_have_a_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
