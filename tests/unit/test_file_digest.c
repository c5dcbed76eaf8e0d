/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_tree.h"

#include "collectors/file_digest.h"

#define SHA_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

/* Asks for the digest of a file and says whether its content was read for it. */
static bool is_read(struct file_digest_cache *c, const char *name, bool fresh, struct digest *ret)
{
	int fd = open(at(name), O_RDONLY | O_CLOEXEC);
	bool read;

	assert_true(fd >= 0);
	assert_int_equal(file_digest_by_fd(c, fd, fresh, ret, &read), 0);
	close(fd);
	return read;
}

static void a_file_is_read_once_until_it_changes(void **state)
{
	struct file_digest_cache *c;
	char hex[DIGEST_HEX_MAX];
	struct digest first, d;

	make_text("file", "abc");
	make_text("other", "abd");
	let_settle();
	assert_int_equal(file_digest_cache_new(&c), 0);
	assert_true(is_read(c, "file", false, &first));
	assert_string_equal(digest_hex(&first, hex), SHA_ABC);
	assert_false(is_read(c, "file", false, &d));
	assert_true(digest_equal(&first, &d));
	assert_true(is_read(c, "file", true, &d));
	assert_true(digest_equal(&first, &d));
	assert_true(is_read(c, "other", false, &d));
	assert_false(digest_equal(&first, &d));
	assert_false(is_read(c, "file", false, &d));

	make_text("file", "abd");
	assert_true(is_read(c, "file", false, &d));
	assert_false(digest_equal(&first, &d));
	/* Too young: it may change once more without a sign. */
	assert_true(is_read(c, "file", false, &d));
	let_settle();
	assert_true(is_read(c, "file", false, &d));
	assert_false(is_read(c, "file", false, &d));
	file_digest_cache_free(c);
}

static void it_forgets_and_stays_right(void **state)
{
	struct file_digest_cache *c;
	struct digest d, want;
	size_t n_read = 0;
	char name[32];

	for (int i = 0; i < FILE_DIGEST_ENTRIES + 500; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		make_text(name, name);
	}
	let_settle();
	assert_int_equal(file_digest_cache_new(&c), 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < FILE_DIGEST_ENTRIES + 500; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			n_read += is_read(c, name, false, &d);
			assert_int_equal(digest_of(HASH_SHA256, view_text(name), &want), 0);
			assert_true(digest_equal(&d, &want));
		}
	}
	/* More files than places: some are read again. */
	assert_true(n_read > FILE_DIGEST_ENTRIES + 500);
	file_digest_cache_free(c);
}

static void what_is_no_file_is_refused(void **state)
{
	int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct file_digest_cache *c;
	struct digest d;

	assert_int_equal(file_digest_cache_new(&c), 0);
	assert_int_equal(file_digest_by_fd(c, fd, false, &d, NULL), -EINVAL);
	assert_int_equal(file_digest_by_fd(c, -1, false, &d, NULL), -EBADF);
	close(fd);
	file_digest_cache_free(c);
	file_digest_cache_free(NULL);
}

#define ON_TREE(test) cmocka_unit_test_setup_teardown(test, make_top, remove_top)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_TREE(a_file_is_read_once_until_it_changes),
		ON_TREE(it_forgets_and_stays_right),
		ON_TREE(what_is_no_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
