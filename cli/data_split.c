/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/rand.h>

#include "block.h"
#include "cleanup.h"
#include "command.h"
#include "data.h"
#include "output.h"
#include "secret.h"
#include "terminal.h"

#define READ_SIZE (256 * 1024)

struct split {
	const char *in_path, *out_path;
	int in, out, secrets; /* out, secrets: directories */
	bool out_made, secrets_made;
	uint64_t block_size; /* of every block but the last; 0: in equal parts */
	uint64_t total;	     /* bytes of a regular file; 0: not known */
	struct block_header header;
	uint32_t blocks_made, keys_made; /* files of ours, whole or not */
	bool stages_made;
	struct progress progress;
	char failed[64]; /* the file that could not be written; empty: the input */
	uint8_t buffer[READ_SIZE];
};

static int sink_fd(void *arg, const void *data, size_t len)
{
	return output_write_fd(*(int *)arg, data, len);
}

/* A new file that only its owner reads. What is there already is somebody's data, or key. */
static int create(struct split *s, int directory, const char *name, int *ret)
{
	int fd;

	snprintf(s->failed, sizeof(s->failed), "%s", name);
	fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return neg_errno();
	*ret = fd;
	return 0;
}

/* How much of the input block i takes; the last one takes all that is left. */
static uint64_t share_of(const struct split *s, uint32_t i)
{
	if (i == s->header.count)
		return UINT64_MAX;
	if (s->block_size > 0)
		return s->block_size;
	return s->total / s->header.count + (i <= s->total % s->header.count);
}

/* Moves at most want bytes from the input into the block; *ret says how many. */
static int fill_block(struct split *s, struct block_writer *w, uint64_t want, uint64_t *ret)
{
	uint64_t done = 0;
	int r;

	while (done < want) {
		size_t room = want - done < READ_SIZE ? (size_t)(want - done) : READ_SIZE;
		ssize_t n = read(s->in, s->buffer, room);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			s->failed[0] = '\0';
			return neg_errno();
		}
		if (n == 0)
			break;
		r = block_writer_add(w, s->buffer, (size_t)n);
		if (r < 0)
			return r;
		done += (uint64_t)n;
		progress_add(&s->progress, (uint64_t)n);
	}
	*ret = done;
	return 0;
}

static int seal_block(struct split *s, const struct secret *key, int fd, uint64_t *ret_size)
{
	struct block_writer *w = NULL;
	int r;

	r = block_writer_new(&s->header, secret_view(key), (struct block_sink){ sink_fd, &fd }, &w);
	if (r == 0)
		r = fill_block(s, w, share_of(s, s->header.index), ret_size);
	if (r == 0)
		r = block_writer_finish(w);
	block_writer_free(w);
	return r;
}

/* The key first: a block without its key is lost, a key without its block harmless. */
static int write_key(struct split *s, const struct secret *key)
{
	CLEANUP(cleanup_fd) int fd = -1;
	char name[64];
	int r;

	snprintf(name, sizeof(name), DATA_KEY_FORMAT, s->header.index);
	r = create(s, s->secrets, name, &fd);
	if (r < 0)
		return r;
	s->keys_made = s->header.index;
	r = output_write_fd(fd, key->data, key->len);
	if (r < 0)
		return r;
	return fsync(fd) < 0 ? neg_errno() : 0;
}

static int write_block(struct split *s, uint32_t index, uint64_t *ret_size)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct secret key = { 0 };
	char name[64];
	int r;

	s->header.index = index;
	snprintf(name, sizeof(name), DATA_BLOCK_FORMAT, index);
	r = create(s, s->out, name, &fd);
	if (r < 0)
		return r;
	s->blocks_made = index;
	r = secret_random(BLOCK_KEY_SIZE, &key);
	if (r == 0)
		r = write_key(s, &key);
	snprintf(s->failed, sizeof(s->failed), "%s", name);
	if (r == 0)
		r = seal_block(s, &key, fd, ret_size);
	secret_done(&key);
	if (r < 0)
		return r;
	return fsync(fd) < 0 ? neg_errno() : 0;
}

/* What to paste into the policy: one stage a block, each after a measurement of its own. */
static int write_stages(struct split *s)
{
	char id[2 * BLOCK_DATA_SET_SIZE + 1];
	CLEANUP(cleanup_file) FILE *f = NULL;
	int fd, r;

	r = create(s, s->out, DATA_STAGES, &fd);
	if (r < 0)
		return r;
	s->stages_made = true;
	f = fdopen(fd, "w");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	hex_encode(s->header.data_set, sizeof(s->header.data_set), id);
	fprintf(f,
		"# Stages for data set %s in %u blocks; for the policy of the application\n"
		"# that reads them. Its keys are the files in " DATA_SECRETS
		"/, for secrets_directory.\nstages:\n",
		id, s->header.count);
	for (uint32_t i = 1; i <= s->header.count; i++)
		fprintf(f, "  - {stage: %u, after: dynamic, release: [" DATA_KEY_FORMAT "]}\n", i,
			i);
	return fflush(f) != 0 || fsync(fd) < 0 ? neg_errno() : 0;
}

/* After a failure nothing is left that could be taken for the whole. */
static void undo(struct split *s)
{
	char name[64];

	for (uint32_t i = 1; i <= s->blocks_made; i++) {
		snprintf(name, sizeof(name), DATA_BLOCK_FORMAT, i);
		unlinkat(s->out, name, 0);
	}
	for (uint32_t i = 1; i <= s->keys_made; i++) {
		snprintf(name, sizeof(name), DATA_KEY_FORMAT, i);
		unlinkat(s->secrets, name, 0);
	}
	if (s->stages_made)
		unlinkat(s->out, DATA_STAGES, 0);
	if (s->secrets_made)
		unlinkat(s->out, DATA_SECRETS, AT_REMOVEDIR);
	if (s->out_made)
		rmdir(s->out_path);
}

static int open_directory(int at, const char *name, mode_t mode, bool *ret_made, int *ret)
{
	int fd;

	if (mkdirat(at, name, mode) == 0)
		*ret_made = true;
	else if (errno != EEXIST)
		return neg_errno();
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	*ret = fd;
	return 0;
}

static int write_all(struct split *s)
{
	bool empty = false;
	int r;

	for (uint32_t i = 1; i <= s->header.count; i++) {
		uint64_t size = 0;

		r = write_block(s, i, &size);
		if (r < 0)
			return r;
		empty = empty || size == 0;
	}
	r = write_stages(s);
	if (r < 0)
		return r;
	progress_end(&s->progress);
	if (empty)
		terminal_warning("the data does not fill %u blocks; some are empty",
				 s->header.count);
	return 0;
}

static int split(struct split *s)
{
	int r;

	s->progress.what = "split";
	s->progress.total = s->total;
	snprintf(s->failed, sizeof(s->failed), "%s", DATA_SECRETS);
	r = secret_heap_open();
	if (r < 0)
		return r;
	r = open_directory(AT_FDCWD, s->out_path, 0755, &s->out_made, &s->out);
	if (r == 0)
		r = open_directory(s->out, DATA_SECRETS, 0700, &s->secrets_made, &s->secrets);
	if (r == 0 && RAND_bytes(s->header.data_set, sizeof(s->header.data_set)) != 1)
		r = -EIO;
	if (r == 0)
		r = write_all(s);
	progress_end(&s->progress);
	if (r < 0)
		undo(s);
	return r;
}

static int open_input(const struct command *c, struct split *s)
{
	struct stat st;

	s->in = strcmp(s->in_path, "-") == 0 ? STDIN_FILENO
					     : open(s->in_path, O_RDONLY | O_CLOEXEC);
	if (s->in < 0 || fstat(s->in, &st) < 0) {
		terminal_error("%s: %s", s->in_path, strerror(errno));
		return EXIT_ENVIRONMENT;
	}
	if (S_ISREG(st.st_mode) && lseek(s->in, 0, SEEK_CUR) == 0)
		s->total = (uint64_t)st.st_size;
	else if (s->block_size == 0)
		return command_wrong_use(c, "%s is not a file of known size: give --block-size",
					 s->in_path);
	posix_fadvise(s->in, 0, 0, POSIX_FADV_SEQUENTIAL);
	return EXIT_GOOD;
}

static int run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "blocks", required_argument, NULL, 'n' },
		{ "block-size", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	CLEANUP(cleanup_mem) struct split *s = calloc(1, sizeof(*s));
	uint64_t blocks = 0;
	int o, r;

	if (!s)
		return EXIT_ENVIRONMENT;
	s->in = s->out = s->secrets = -1;
	while ((o = getopt_long(argc, argv, "n:s:h", options, NULL)) != -1) {
		if (o == 'n' && command_number(optarg, BLOCK_COUNT_MAX, &blocks) == 0)
			continue;
		if (o == 's' && command_size(optarg, &s->block_size) == 0)
			continue;
		if (o == 'n' || o == 's')
			return command_wrong_use(c, "'%s' is not a number this option takes",
						 optarg);
		return command_other_option(c, o);
	}
	if (blocks == 0)
		return command_wrong_use(c, "--blocks N is missing: how many, 1 to %d",
					 BLOCK_COUNT_MAX);
	if (argc - optind != 2)
		return command_wrong_use(c, "IN and OUTDIR are needed, and nothing else");
	s->in_path = argv[optind];
	s->out_path = argv[optind + 1];
	s->header.count = (uint32_t)blocks;
	s->header.chunk_size = BLOCK_CHUNK_SIZE;
	r = open_input(c, s);
	if (r == EXIT_GOOD) {
		r = split(s);
		if (r < 0)
			terminal_error("%s%s%s: %s", s->failed[0] ? s->out_path : s->in_path,
				       s->failed[0] ? "/" : "", s->failed, strerror(-r));
		r = r < 0 ? EXIT_ENVIRONMENT : EXIT_GOOD;
	}
	cleanup_fd(&s->in);
	cleanup_fd(&s->out);
	cleanup_fd(&s->secrets);
	explicit_bzero(s->buffer, sizeof(s->buffer));
	return r;
}

const struct command command_data_split = {
	.name = "data split",
	.arguments = "--blocks N [--block-size SIZE] IN OUTDIR",
	.summary = "Cut data into N encrypted blocks, each under a key of its own",
	.options = "IN is a file, or - for standard input. OUTDIR gets block-1.assay to "
		   "block-N.assay,\n"
		   "secrets/block-1-key ... (for the verifier's secrets_directory) and stages.yaml "
		   "(for\n"
		   "the policy). The secrets stay with the owner of the data; the blocks go where "
		   "the\n"
		   "application reads them.\n\n"
		   "  -n, --blocks N        how many, 1 to 4096\n"
		   "  -s, --block-size SIZE bytes of each block (KiB, MiB, GiB), the last one "
		   "taking what\n"
		   "                        is left; needed where the size of IN is not known\n",
	.run = run,
};
