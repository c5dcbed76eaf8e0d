/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "manifest_entries.h"

static char *text_of(const struct manifest *m)
{
	struct bytes text = BYTES_INIT(MANIFEST_MAX);

	assert_int_equal(manifest_write(m, &text), 0);
	assert_int_equal(bytes_append_u8(&text, 0), 0);
	return (char *)text.data;
}

static void the_text_is_canonical(void **state)
{
	CLEANUP(manifest_done) struct manifest m = { 0 };
	CLEANUP(cleanup_mem) char *text = NULL;

	add(&m, link_to("/usr/lib/x.so.1", "x.so.1.2"));
	add(&m, plain_entry("/run/x.sock", MANIFEST_OTHER));
	add(&m, file("/usr/sbin/nginx", SHA_A));
	add(&m, plain_entry("/", MANIFEST_DIR));
	add(&m, plain_entry("/etc/nginx", MANIFEST_DIR));
	assert_int_equal(manifest_sort(&m), 0);
	text = text_of(&m);
	assert_string_equal(text, "#mtree\n"
				  "./ type=dir mode=0755 uid=0 gid=0\n"
				  "./etc/nginx type=dir mode=0755 uid=0 gid=0\n"
				  "./run/x.sock type=other mode=0755 uid=0 gid=0\n"
				  "./usr/lib/x.so.1 type=link mode=0777 uid=0 gid=0 link=x.so.1.2\n"
				  "./usr/sbin/nginx type=file mode=0755 uid=0 gid=0 size=1175288 "
				  "sha256digest=" SHA_A "\n");
}

/* Names that a file system takes, and what they are in the text. */
static const struct {
	const char *what, *name, *text;
} names[] = {
	{ "a space", "/a b", "/a\\040b" },
	{ "an equals sign", "/type=file", "/type\\075file" },
	{ "a comment sign", "/#mtree", "/\\043mtree" },
	{ "a backslash", "/a\\040b", "/a\\134040b" },
	{ "a newline", "/a\n./b", "/a\\012./b" },
	{ "a tab and a carriage return", "/\t\r", "/\\011\\015" },
	{ "UTF-8", "/gr\xc3\xbc\xc3\x9f", "/gr\\303\\274\\303\\237" },
	{ "bytes that are no UTF-8", "/\xff\xfe\x80", "/\\377\\376\\200" },
	{ "control bytes", "/\x01\x1b[31m\x7f", "/\\001\\033[31m\\177" },
	{ "dots that are no dot components", "/.../..a/.b/c.", "/.../..a/.b/c." },
	{ "a minus", "/--", "/--" },
};

static void names_of_every_kind_survive(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(manifest_done) struct manifest m = { 0 }, again = { 0 };
		CLEANUP(cleanup_mem) char *text = NULL, *expected = NULL;

		/* As a path and as what a link points to. */
		add(&m, link_to(names[i].name, names[i].name));
		text = text_of(&m);
		assert_true(asprintf(&expected,
				     "#mtree\n.%s type=link mode=0777 uid=0 gid=0 link=%s\n",
				     names[i].text, names[i].text) > 0);
		if (strcmp(text, expected) != 0)
			fail_msg("%s: %s", names[i].what, text);
		assert_int_equal(manifest_read(view_text(text), &again), 0);
		assert_int_equal(again.n, 1);
		if (strcmp(again.entries[0].path, names[i].name) != 0 ||
		    strcmp(again.entries[0].link, names[i].name) != 0)
			fail_msg("%s", names[i].what);
	}
}

static void a_very_long_name_survives(void **state)
{
	CLEANUP(manifest_done) struct manifest m = { 0 }, again = { 0 };
	CLEANUP(cleanup_mem) char *text = NULL;
	static char name[1024 * 1024];

	memset(name, 0xc3, sizeof(name) - 1);
	name[0] = '/';
	add(&m, file(name, SHA_A));
	text = text_of(&m);
	assert_int_equal(manifest_read(view_text(text), &again), 0);
	assert_string_equal(again.entries[0].path, name);
}

/* Pseudo-random: the same every time. */
static uint32_t next(uint32_t *x)
{
	*x = *x * 1664525 + 1013904223;
	return *x >> 8;
}

static void random_name(uint32_t *x, char *to, size_t len)
{
	to[0] = '/';
	for (size_t i = 1; i < len; i++)
		to[i] = (char)(1 + next(x) % 255);
	to[len] = '\0';
}

static void what_is_written_reads_back_and_writes_the_same(void **state)
{
	size_t written = 0;
	uint32_t x = 7;

	for (size_t round = 0; round < 200; round++) {
		CLEANUP(manifest_done) struct manifest m = { 0 }, again = { 0 };
		CLEANUP(cleanup_mem) char *text = NULL, *second = NULL;
		size_t n = next(&x) % 40;

		for (size_t i = 0; i < n; i++) {
			struct manifest_entry e = { .type = next(&x) % 4,
						    .mode = next(&x) & 07777 };
			char path[64], target[64];
			int r;

			random_name(&x, path, 2 + next(&x) % 20);
			random_name(&x, target, 1 + next(&x) % 20);
			e.path = path;
			e.uid = next(&x) << 8;
			e.gid = UINT32_MAX - next(&x) % 2;
			if (e.type == MANIFEST_LINK)
				e.link = target;
			if (e.type == MANIFEST_FILE) {
				e.size = UINT64_MAX - next(&x) % 2;
				e.sha256 = digest_zero(HASH_SHA256);
				e.sha256.bytes[next(&x) % 32] = (uint8_t)next(&x);
			}
			/* Some are not paths ("//", "/.", "/x/"): refused, not written. */
			r = manifest_add(&m, &e);
			assert_true(r == 0 || r == -EINVAL);
		}
		if (manifest_sort(&m) == -EEXIST)
			continue;
		text = text_of(&m);
		assert_int_equal(manifest_read(view_text(text), &again), 0);
		assert_int_equal(manifest_compare(&m, &again, NULL, NULL), 0);
		assert_int_equal(again.n, m.n);
		second = text_of(&again);
		assert_string_equal(text, second);
		written += m.n;
	}
	assert_true(written > 1000);
}

static void no_locale_changes_the_text(void **state)
{
	static const char *const locales[] = { "C.UTF-8", "de_DE.UTF-8", "tr_TR.UTF-8",
					       "en_US.ISO-8859-1" };
	CLEANUP(cleanup_mem) char *expected = NULL;
	CLEANUP(manifest_done) struct manifest m = { 0 };
	size_t tried = 0;

	add(&m, file("/b", SHA_A));
	add(&m, file("/\xc3\xa4", SHA_A));
	add(&m, file("/B", SHA_A));
	add(&m, file("/a", SHA_B));
	add(&m, file("/I\xc4\xb1", SHA_B));
	assert_int_equal(manifest_sort(&m), 0);
	assert_string_equal(m.entries[0].path, "/B");
	expected = text_of(&m);
	for (size_t i = 0; i < ARRAY_LEN(locales); i++) {
		CLEANUP(manifest_done) struct manifest again = { 0 };
		CLEANUP(cleanup_mem) char *text = NULL;

		if (!setlocale(LC_ALL, locales[i]))
			continue;
		tried++;
		assert_int_equal(manifest_read(view_text(expected), &again), 0);
		assert_int_equal(manifest_sort(&again), 0);
		text = text_of(&again);
		assert_string_equal(text, expected);
	}
	setlocale(LC_ALL, "C");
	if (tried == 0)
		skip();
}

#define DIR_LINE  "./d type=dir mode=0755 uid=0 gid=0\n"
#define FILE_LINE "./f type=file mode=0644 uid=0 gid=0 size=3 sha256digest=" SHA_A "\n"

static const struct {
	const char *what, *text;
	int r;
} texts[] = {
	{ "no entry at all", "#mtree\n", 0 },
	{ "our own form", "#mtree\n" DIR_LINE FILE_LINE, 0 },
	{ "comments and empty lines", "#mtree\n# x\n\n" DIR_LINE "#\n", 0 },
	{ "keywords in another order, unknown ones, several spaces",
	  "#mtree\n./d  gname=root time=1.0 nochange gid=0   type=dir uid=0 mode=755 \n", 0 },
	{ "a line twice", "#mtree\n" DIR_LINE DIR_LINE, 0 },
	{ "the root as bsdtar names it", "#mtree\n. type=dir mode=0755 uid=0 gid=0\n", 0 },
	{ "the short name of the digest",
	  "#mtree\n./f type=file mode=0644 uid=0 gid=0 size=3 sha256=" SHA_A "\n", 0 },
	{ "empty", "", -EBADMSG },
	{ "another text", "hello\n", -EBADMSG },
	{ "an entry without the first line", DIR_LINE, -EBADMSG },
	{ "cut within a line", "#mtree\n./d type=dir mode=0755 uid=0 gid=0", -EBADMSG },
	{ "one path with two modes", "#mtree\n" DIR_LINE "./d type=dir mode=0777 uid=0 gid=0\n",
	  -EBADMSG },
	{ "a keyword twice", "#mtree\n./d type=dir mode=0755 mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "two digests by two names",
	  "#mtree\n./f type=file mode=0644 uid=0 gid=0 size=3 sha256digest=" SHA_A " sha256=" SHA_B
	  "\n",
	  -EBADMSG },
	{ "no type", "#mtree\n./d mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "no mode", "#mtree\n./d type=dir uid=0 gid=0\n", -EBADMSG },
	{ "no uid", "#mtree\n./d type=dir mode=0755 gid=0\n", -EBADMSG },
	{ "no gid", "#mtree\n./d type=dir mode=0755 uid=0\n", -EBADMSG },
	{ "a file without digest", "#mtree\n./f type=file mode=0644 uid=0 gid=0 size=3\n",
	  -EBADMSG },
	{ "a file without size",
	  "#mtree\n./f type=file mode=0644 uid=0 gid=0 sha256digest=" SHA_A "\n", -EBADMSG },
	{ "a link to nowhere", "#mtree\n./l type=link mode=0777 uid=0 gid=0\n", -EBADMSG },
	{ "a link to nothing", "#mtree\n./l type=link mode=0777 uid=0 gid=0 link=\n", -EBADMSG },
	{ "a type nobody knows", "#mtree\n./d type=door mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "a symbolic mode", "#mtree\n./d type=dir mode=u=rwx uid=0 gid=0\n", -EBADMSG },
	{ "a mode that is not octal", "#mtree\n./d type=dir mode=0788 uid=0 gid=0\n", -EBADMSG },
	{ "a mode too large", "#mtree\n./d type=dir mode=10000 uid=0 gid=0\n", -EBADMSG },
	{ "an empty mode", "#mtree\n./d type=dir mode= uid=0 gid=0\n", -EBADMSG },
	{ "a negative uid", "#mtree\n./d type=dir mode=0755 uid=-1 gid=0\n", -EBADMSG },
	{ "a uid past 32 bits", "#mtree\n./d type=dir mode=0755 uid=4294967296 gid=0\n", -EBADMSG },
	{ "a gid past 64 bits", "#mtree\n./d type=dir mode=0755 uid=0 gid=18446744073709551616\n",
	  -EBADMSG },
	{ "a size past 64 bits",
	  "#mtree\n./f type=file mode=0644 uid=0 gid=0 size=18446744073709551616 "
	  "sha256digest=" SHA_A "\n",
	  -EBADMSG },
	{ "a digest too short",
	  "#mtree\n./f type=file mode=0644 uid=0 gid=0 size=3 sha256digest=0123\n", -EBADMSG },
	{ "a digest that is not hex",
	  "#mtree\n./f type=file mode=0644 uid=0 gid=0 size=3 "
	  "sha256digest=z123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n",
	  -EBADMSG },
	{ "an absolute path", "#mtree\n/d type=dir mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "mtree's other form, names relative to the line before",
	  "#mtree\nd type=dir mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "a path that climbs", "#mtree\n./a/../d type=dir mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "a path that climbs in octal",
	  "#mtree\n./a/\\056\\056/d type=dir mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "a dot component", "#mtree\n./a/./d type=dir mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "an empty component", "#mtree\n./a//d type=dir mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "a slash at the end", "#mtree\n./a/ type=dir mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "a name cut by an escaped NUL", "#mtree\n./d\\000x type=dir mode=0755 uid=0 gid=0\n",
	  -EBADMSG },
	{ "an escape past a byte", "#mtree\n./d\\400 type=dir mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "half an escape", "#mtree\n./d\\04 type=dir mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "an escape of C's", "#mtree\n./d\\n type=dir mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "a raw byte that ought to be escaped",
	  "#mtree\n./\xc3\xa4 type=dir mode=0755 uid=0 gid=0\n", -EBADMSG },
	{ "defaults for all lines", "#mtree\n/set type=dir uid=0 gid=0 mode=0755\n./d\n",
	  -EBADMSG },
	{ "a continued line", "#mtree\n./d type=dir mode=0755 \\\n uid=0 gid=0\n", -EBADMSG },
};

static void texts_are_read_strictly(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct manifest m = { .n = 77 };
		int r = manifest_read(view_text(texts[i].text), &m);

		if (r != texts[i].r)
			fail_msg("%s: %d", texts[i].what, r);
		if (r == 0)
			manifest_done(&m);
		else
			assert_int_equal(m.n, 77);
	}
}

static void a_nul_is_no_part_of_a_text(void **state)
{
	static const char text[] = "#mtree\n./d\0x type=dir mode=0755 uid=0 gid=0\n";
	struct manifest m;

	assert_int_equal(manifest_read(view_of(text, sizeof(text) - 1), &m), -EBADMSG);
	assert_int_equal(manifest_read(view_of(text, sizeof(text)), &m), -EBADMSG);
}

static void each_text_cut_short_is_no_other_entry(void **state)
{
	const char *text = "#mtree\n" DIR_LINE FILE_LINE;
	CLEANUP(manifest_done) struct manifest all = { 0 };

	assert_int_equal(manifest_read(view_text(text), &all), 0);
	for (size_t len = 0; len < strlen(text); len++) {
		CLEANUP(manifest_done) struct manifest m = { 0 };

		if (manifest_read(view_of(text, len), &m) != 0)
			continue;
		/* Only between lines, and then what is there is true. */
		assert_int_equal(text[len - 1], '\n');
		for (size_t i = 0; i < m.n; i++)
			assert_non_null(manifest_find(&all, m.entries[i].path));
	}
}

static void too_much_is_refused(void **state)
{
	static const char head[] = "#mtree\n", line[] = "./d type=dir mode=0 uid=0 gid=0\n";
	struct bytes text = BYTES_INIT(MANIFEST_MAX + 1);
	struct manifest m = { 0 };

	assert_int_equal(bytes_append(&text, head, strlen(head)), 0);
	while (text.len <= MANIFEST_MAX)
		assert_int_equal(bytes_append_u8(&text, '\n'), 0);
	assert_int_equal(manifest_read(bytes_view(&text), &m), -EMSGSIZE);

	bytes_reset(&text);
	assert_int_equal(bytes_append(&text, head, strlen(head)), 0);
	for (size_t i = 0; i <= MANIFEST_ENTRIES_MAX; i++)
		assert_int_equal(bytes_append(&text, line, strlen(line)), 0);
	assert_int_equal(manifest_read(bytes_view(&text), &m), -EMSGSIZE);
	assert_int_equal(m.n, 0);
	/* One less is no more than the limit, however often it says the same. */
	text.len -= strlen(line);
	assert_int_equal(manifest_read(bytes_view(&text), &m), 0);
	assert_int_equal(m.n, 1);
	manifest_done(&m);
	bytes_done(&text);
}

/* The file system must not have a say in it: names that exist, of another kind than the text says.
 */
static void named_files_are_not_looked_at(void **state)
{
	static const char text[] = "#mtree\n"
				   "./etc type=file mode=0600 uid=7 gid=7 size=5 contents=./etc "
				   "sha256digest=" SHA_A "\n";
	CLEANUP(manifest_done) struct manifest m = { 0 };

	assert_int_equal(manifest_read(view_text(text), &m), 0);
	assert_int_equal(m.entries[0].type, MANIFEST_FILE);
	assert_int_equal(m.entries[0].size, 5);
	assert_int_equal(m.entries[0].uid, 7);
}

static void what_is_not_whole_is_not_written(void **state)
{
	struct manifest_entry without_digest = file("/f", SHA_A);
	struct manifest_entry high_mode = plain_entry("/d", MANIFEST_DIR);
	const struct {
		const char *what;
		struct manifest_entry e[2];
	} cases[] = {
		{ "not sorted", { file("/b", SHA_A), file("/a", SHA_A) } },
		{ "one path twice", { file("/a", SHA_A), file("/a", SHA_A) } },
		{ "a file without digest", { without_digest, file("/g", SHA_A) } },
		{ "a link without target", { file("/a", SHA_A), link_to("/l", NULL) } },
		{ "a link to nothing", { file("/a", SHA_A), link_to("/l", "") } },
		{ "a mode past the permission bits", { file("/a", SHA_A), high_mode } },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(manifest_done) struct manifest m = { 0 };
		struct bytes text = BYTES_INIT(1024);

		add(&m, cases[i].e[0]);
		add(&m, cases[i].e[1]);
		if (i == 2)
			m.entries[0].sha256 = (struct digest){ 0 };
		if (i == 5)
			m.entries[1].mode = 0100755;
		if (manifest_write(&m, &text) != -EINVAL)
			fail_msg("%s", cases[i].what);
		assert_int_equal(text.len, 0);
		bytes_done(&text);
	}
}

/* What bsdtar --format=mtree --options mtree:sha256 writes of one link and one file. */
static void libarchive_text(struct bytes *ret)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	static char text[4096];
	size_t used;

	assert_int_equal(archive_write_set_format_mtree(a), ARCHIVE_OK);
	assert_int_equal(archive_write_set_options(a, "mtree:sha256"), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(a, text, sizeof(text), &used), ARCHIVE_OK);
	archive_entry_set_pathname(e, "usr/a b=\xc3\xa4#\\\n");
	archive_entry_set_mode(e, AE_IFREG | 04755);
	archive_entry_set_uid(e, 5);
	archive_entry_set_gid(e, 6);
	archive_entry_set_size(e, 3);
	archive_entry_set_mtime(e, 77, 5);
	archive_entry_set_uname(e, "games");
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, "hi\n", 3), 3);
	archive_entry_clear(e);
	archive_entry_set_pathname(e, "usr/l");
	archive_entry_set_mode(e, AE_IFLNK | 0777);
	archive_entry_set_symlink(e, "a b");
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	archive_entry_free(e);
	assert_int_equal(bytes_append(ret, text, used), 0);
}

static void text_of_bsdtar_is_read(void **state)
{
	CLEANUP(manifest_done) struct manifest m = { 0 };
	struct bytes text = BYTES_INIT(4096);
	struct digest hi;

	libarchive_text(&text);
	assert_int_equal(manifest_read(bytes_view(&text), &m), 0);
	assert_int_equal(m.n, 2);
	assert_string_equal(m.entries[0].path, "/usr/a b=\xc3\xa4#\\\n");
	assert_int_equal(m.entries[0].mode, 04755);
	assert_int_equal(m.entries[0].uid, 5);
	assert_int_equal(m.entries[0].gid, 6);
	assert_int_equal(m.entries[0].size, 3);
	assert_int_equal(digest_of(HASH_SHA256, view_text("hi\n"), &hi), 0);
	assert_true(digest_equal(&m.entries[0].sha256, &hi));
	assert_int_equal(m.entries[1].type, MANIFEST_LINK);
	assert_string_equal(m.entries[1].link, "a b");
	bytes_done(&text);
}

/* Our text is mtree(5): another reader finds the same in it. */
static void bsdtar_reads_our_text(void **state)
{
	CLEANUP(manifest_done) struct manifest m = { 0 };
	CLEANUP(cleanup_mem) char *text = NULL;
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		add(&m, file(names[i].name, i % 2 ? SHA_A : SHA_B));
	add(&m, link_to("/l", "a = b"));
	assert_int_equal(manifest_sort(&m), 0);
	text = text_of(&m);
	assert_int_equal(archive_read_support_format_mtree(a), ARCHIVE_OK);
	assert_int_equal(archive_read_open_memory(a, text, strlen(text)), ARCHIVE_OK);
	for (int r; (r = archive_read_next_header(a, &e)) != ARCHIVE_EOF; n++) {
		const struct manifest_entry *ours;

		assert_int_equal(r, ARCHIVE_OK);
		ours = manifest_find(&m, archive_entry_pathname(e) + 1);
		assert_non_null(ours);
		assert_int_equal(archive_entry_perm(e), ours->mode);
		if (ours->type == MANIFEST_LINK) {
			assert_string_equal(archive_entry_symlink(e), ours->link);
			continue;
		}
		assert_int_equal(archive_entry_size(e), ours->size);
		assert_memory_equal(archive_entry_digest(e, ARCHIVE_ENTRY_DIGEST_SHA256),
				    ours->sha256.bytes, ours->sha256.size);
	}
	assert_int_equal(n, m.n);
	archive_read_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_is_canonical),
		cmocka_unit_test(names_of_every_kind_survive),
		cmocka_unit_test(a_very_long_name_survives),
		cmocka_unit_test(what_is_written_reads_back_and_writes_the_same),
		cmocka_unit_test(no_locale_changes_the_text),
		cmocka_unit_test(texts_are_read_strictly),
		cmocka_unit_test(a_nul_is_no_part_of_a_text),
		cmocka_unit_test(each_text_cut_short_is_no_other_entry),
		cmocka_unit_test(too_much_is_refused),
		cmocka_unit_test(named_files_are_not_looked_at),
		cmocka_unit_test(what_is_not_whole_is_not_written),
		cmocka_unit_test(text_of_bsdtar_is_read),
		cmocka_unit_test(bsdtar_reads_our_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
