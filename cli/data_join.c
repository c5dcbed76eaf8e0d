/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/stat.h>

#include "assay/assay.h"
#include "block.h"
#include "cleanup.h"
#include "command.h"
#include "data.h"
#include "output.h"
#include "terminal.h"

CLEANUP_FUNCTION(struct assay_block *, assay_close_block)
CLEANUP_FUNCTION(struct assay_secret *, assay_secret_free)

struct join {
	char *paths[BLOCK_COUNT_MAX]; /* by index - 1 */
	const char *keys[BLOCK_COUNT_MAX];
	size_t n_keys;
	const char *keys_directory; /* or */
	struct block_header first;  /* of any block: what all must agree on */
	size_t n;		    /* blocks found */
	struct output out;
	struct progress progress;
};

/* Puts a block where its header says; that it is right, opening it will show. */
static int add_file(struct join *j, const char *path)
{
	uint8_t raw[BLOCK_HEADER_SIZE];
	CLEANUP(cleanup_fd) int fd = -1;
	const char *why = NULL;
	struct block_header h;
	struct stat st;
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	n = fd < 0 || fstat(fd, &st) < 0 ? -1 : read(fd, raw, sizeof(raw));
	if (n < 0) {
		terminal_error("%s: %s", path, strerror(errno));
		return EXIT_ENVIRONMENT;
	}
	if (block_header_read(view_of(raw, (size_t)n), &h, &why) < 0) {
		terminal_error("%s: not a block: %s", path, why);
		return EXIT_JUDGED_BAD;
	}
	if (j->n == 0)
		j->first = h;
	if (h.count != j->first.count ||
	    memcmp(h.data_set, j->first.data_set, sizeof(h.data_set)) != 0) {
		terminal_error("%s: a block of another data set", path);
		return EXIT_JUDGED_BAD;
	}
	if (j->paths[h.index - 1]) {
		terminal_error("%s and %s: both are block %u", j->paths[h.index - 1], path,
			       h.index);
		return EXIT_JUDGED_BAD;
	}
	j->paths[h.index - 1] = strdup(path);
	if (!j->paths[h.index - 1])
		return EXIT_ENVIRONMENT;
	j->n++;
	j->progress.total += (uint64_t)st.st_size;
	return EXIT_GOOD;
}

static int add_directory(struct join *j, const char *path)
{
	struct dirent *e;
	DIR *d = opendir(path);
	int r = EXIT_GOOD;

	if (!d) {
		terminal_error("%s: %s", path, strerror(errno));
		return EXIT_ENVIRONMENT;
	}
	while (r == EXIT_GOOD && (e = readdir(d))) {
		const char *end = strrchr(e->d_name, '.');
		CLEANUP(cleanup_mem) char *file = NULL;

		if (!end || strcmp(end, ".assay") != 0)
			continue;
		if (asprintf(&file, "%s/%s", path, e->d_name) < 0)
			r = EXIT_ENVIRONMENT;
		else
			r = add_file(j, file);
	}
	closedir(d);
	return r;
}

static int add(struct join *j, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return add_directory(j, path);
	return add_file(j, path);
}

static int complete(const struct join *j)
{
	if (j->n == 0) {
		terminal_error("no blocks were found");
		return EXIT_ENVIRONMENT;
	}
	for (uint32_t i = 0; i < j->first.count; i++) {
		if (!j->paths[i]) {
			terminal_error("block %u of %u is missing", i + 1, j->first.count);
			return EXIT_JUDGED_BAD;
		}
	}
	return EXIT_GOOD;
}

static int read_key(const struct join *j, uint32_t index, struct assay_secret **ret)
{
	CLEANUP(cleanup_mem) char *path = NULL;
	CLEANUP(cleanup_fd) int fd = -1;
	int r = 0;

	if (j->keys_directory)
		r = asprintf(&path, "%s/" DATA_KEY_FORMAT, j->keys_directory, index);
	else if (index <= j->n_keys)
		r = asprintf(&path, "%s", j->keys[index - 1]);
	if (r < 0)
		return EXIT_ENVIRONMENT;
	if (!path) {
		terminal_error("there is no --key for block %u", index);
		return EXIT_WRONG_USE;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? neg_errno() : assay_secret_read(fd, ret);
	if (r < 0) {
		terminal_error("%s: %s", path, fd < 0 ? strerror(-r) : assay_error_text(r));
		return EXIT_ENVIRONMENT;
	}
	return EXIT_GOOD;
}

/* 0, or a negative errno: of the block (*ret_output false) or of the output. */
static int copy_block(struct join *j, struct assay_block *b, bool *ret_output)
{
	const void *data;
	ssize_t n;
	int r;

	for (;;) {
		n = assay_block_next(b, &data);
		if (n < 0)
			return (int)n;
		/* Now the header is known to be genuine: was it another one when it was first read?
		 */
		if (assay_block_count(b) != j->first.count ||
		    memcmp(assay_block_data_set(b), j->first.data_set, BLOCK_DATA_SET_SIZE) != 0)
			return -ESTALE;
		if (n == 0)
			return 0;
		r = output_write(&j->out, data, (size_t)n);
		if (r < 0) {
			*ret_output = true;
			return r;
		}
		progress_add(&j->progress, (uint64_t)n);
	}
}

static int join_block(struct join *j, uint32_t index)
{
	CLEANUP(assay_secret_freep) struct assay_secret *key = NULL;
	CLEANUP(assay_close_blockp) struct assay_block *b = NULL;
	const char *path = j->paths[index - 1];
	bool output = false;
	int r;

	r = read_key(j, index, &key);
	if (r != EXIT_GOOD)
		return r;
	r = assay_open_block(path, key, index, &b);
	if (r == -EINVAL) {
		terminal_error("the key for block %u has %zu bytes, not %d", index,
			       assay_secret_size(key), BLOCK_KEY_SIZE);
		return EXIT_JUDGED_BAD;
	}
	if (r == 0)
		r = copy_block(j, b, &output);
	if (r < 0) {
		progress_end(&j->progress);
		terminal_error("%s: %s", output ? "output" : path,
			       output ? strerror(-r) : assay_error_text(r));
		return r == -EBADMSG || r == -ESTALE ? EXIT_JUDGED_BAD : EXIT_ENVIRONMENT;
	}
	return EXIT_GOOD;
}

static int join(struct join *j, const char *out)
{
	int r, status;

	r = output_open(out, &j->out);
	if (r < 0) {
		terminal_error("%s: %s", out, strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	j->progress.what = "join";
	for (uint32_t i = 1; i <= j->first.count; i++) {
		status = join_block(j, i);
		if (status != EXIT_GOOD)
			return status;
	}
	progress_end(&j->progress);
	r = output_commit(&j->out);
	if (r < 0) {
		terminal_error("%s: %s", out, strerror(-r));
		return EXIT_ENVIRONMENT;
	}
	return EXIT_GOOD;
}

static int run_join(const struct command *c, struct join *j, int argc, char **argv)
{
	static const struct option options[] = {
		{ "keys", required_argument, NULL, 'K' },
		{ "key", required_argument, NULL, 'k' },
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *out = NULL;
	int o, status;

	while ((o = getopt_long(argc, argv, "K:k:o:h", options, NULL)) != -1) {
		if (o == 'K')
			j->keys_directory = optarg;
		else if (o == 'o')
			out = optarg;
		else if (o == 'k' && j->n_keys < BLOCK_COUNT_MAX)
			j->keys[j->n_keys++] = optarg;
		else if (o == 'k')
			return command_wrong_use(c, "more keys than a data set has blocks");
		else
			return command_other_option(c, o);
	}
	if (!out)
		return command_wrong_use(c, "-o OUT is missing (- for standard output)");
	if ((j->keys_directory != NULL) == (j->n_keys > 0))
		return command_wrong_use(c, "either --keys DIR or --key FILE is needed");
	if (optind == argc)
		return command_wrong_use(c, "which blocks? A directory, or files");
	for (int i = optind; i < argc; i++) {
		status = add(j, argv[i]);
		if (status != EXIT_GOOD)
			return status;
	}
	status = complete(j);
	if (status != EXIT_GOOD)
		return status;
	if (j->n_keys > j->n)
		return command_wrong_use(c, "%zu keys for %zu blocks", j->n_keys, j->n);
	return join(j, out);
}

static int run(const struct command *c, int argc, char **argv)
{
	struct join *j = calloc(1, sizeof(*j));
	int status;

	if (!j)
		return EXIT_ENVIRONMENT;
	j->out = OUTPUT_NONE;
	status = run_join(c, j, argc, argv);
	output_done(&j->out);
	for (size_t i = 0; i < BLOCK_COUNT_MAX; i++)
		free(j->paths[i]);
	free(j);
	return status;
}

const struct command command_data_join = {
	.name = "data join",
	.arguments = "--keys DIR|--key FILE... OUTDIR|BLOCK... -o OUT",
	.summary = "Put the data together again from its blocks and their keys",
	.options =
		"The blocks come in the order of their numbers, whatever order they are named in;\n"
		"each must be there once, and all of one data set. OUT appears when all of it was\n"
		"found genuine; on standard output (-) only the exit status says so.\n\n"
		"  -K, --keys DIR        directory with block-1-key ...\n"
		"  -k, --key FILE        the key of one block; once a block, in their order\n"
		"  -o, --output OUT      where to\n",
	.run = run,
};
