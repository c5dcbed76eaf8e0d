/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that works through encrypted blocks, one stage each: for every block it begins
 * the stage, is measured, gets the block's key S_i if that measurement was good, and reads the
 * block as it is decrypted. When a stage is refused it says why and ends.
 *
 *	cc block_worker.c $(pkg-config --cflags --libs assay) -lcrypto -o block_worker
 *	assay data split --blocks 4 DATA /var/lib/example
 *
 * and then, in assayd's configuration, exec: [.../block_worker, --blocks, "4", --dir,
 * /var/lib/example]
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <assay/assay.h>
#include <openssl/evp.h>

#define STAGE_TIMEOUT_MS 120000

struct options {
	const char *directory, *socket;
	uint32_t blocks;
	long pause_ms;
};

/* What is found out about one block. */
struct result {
	EVP_MD_CTX *sha256;
	uint64_t bytes, words, lines;
	bool in_word;
};

/*
 * Called for every chunk of every block: the work itself. Not static and not inlined, so that
 * a demonstration of what a measurement notices finds it by name in the running program.
 */
int process_chunk(struct result *to, const uint8_t *data, size_t len);

__attribute__((noinline)) int process_chunk(struct result *to, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool blank = data[i] == ' ' || (data[i] >= '\t' && data[i] <= '\r');

		to->words += !blank && !to->in_word;
		to->lines += data[i] == '\n';
		to->in_word = !blank;
	}
	to->bytes += len;
	return EVP_DigestUpdate(to->sha256, data, len) == 1 ? 0 : -1;
}

static int fail(uint32_t stage, const char *what, int r, const char *words)
{
	fprintf(stderr, "stage %u: %s: %s%s%s\n", stage, what, assay_error_text(r),
		words[0] ? ": " : "", words);
	return -1;
}

static int print_result(uint32_t stage, struct result *of)
{
	unsigned char sha256[32];

	if (EVP_DigestFinal_ex(of->sha256, sha256, NULL) != 1)
		return -1;
	printf("stage %u: block %u: %" PRIu64 " bytes, %" PRIu64 " lines, %" PRIu64
	       " words, sha256 ",
	       stage, stage, of->bytes, of->lines, of->words);
	for (size_t i = 0; i < sizeof(sha256); i++)
		printf("%02x", sha256[i]);
	putchar('\n');
	return fflush(stdout) == 0 ? 0 : -1;
}

static int process_block(uint32_t stage, struct assay_block *block)
{
	struct result found = { .sha256 = EVP_MD_CTX_new() };
	const void *data;
	ssize_t n;
	int r = -1;

	if (!found.sha256 || EVP_DigestInit_ex(found.sha256, EVP_sha256(), NULL) != 1)
		goto out;
	while ((n = assay_block_next(block, &data)) > 0) {
		r = process_chunk(&found, data, (size_t)n);
		if (r < 0)
			goto out;
	}
	/* Only now is it known that the block was whole. */
	r = n < 0 ? fail(stage, "reading the block", (int)n, "") : print_result(stage, &found);
out:
	EVP_MD_CTX_free(found.sha256);
	return r;
}

static int work_on(struct assay *a, const struct options *o, uint32_t stage)
{
	struct assay_block *block;
	char path[4096];
	int r;

	snprintf(path, sizeof(path), "%s/block-%u.assay", o->directory, stage);
	printf("stage %u: begins\n", stage);
	fflush(stdout);
	r = assay_begin_stage(a, stage, STAGE_TIMEOUT_MS);
	if (r < 0)
		return fail(stage, "not begun", r, assay_message(a));
	r = assay_open_stage_block(a, path, stage, STAGE_TIMEOUT_MS, &block);
	if (r < 0)
		return fail(stage, path, r, assay_message(a));
	r = process_block(stage, block);
	assay_close_block(block);
	return r;
}

static int work(const struct options *o)
{
	struct timespec pause = { o->pause_ms / 1000, o->pause_ms % 1000 * 1000000 };
	struct assay *a;
	int r;

	r = assay_connect(o->socket, STAGE_TIMEOUT_MS, &a);
	if (r < 0)
		return fail(0, "connecting", r, "");
	for (uint32_t stage = 1; stage <= o->blocks; stage++) {
		if (stage > 1)
			nanosleep(&pause, NULL);
		r = work_on(a, o, stage);
		if (r < 0)
			break;
	}
	assay_close(a);
	if (r == 0)
		puts("all stages done");
	return r;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "blocks", required_argument, NULL, 'n' },
		{ "dir", required_argument, NULL, 'd' },
		{ "socket", required_argument, NULL, 's' },
		{ "pause", required_argument, NULL, 'p' },
		{ 0 },
	};
	struct options o = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == 'n')
			o.blocks = (uint32_t)strtoul(optarg, NULL, 10);
		else if (c == 'd')
			o.directory = optarg;
		else if (c == 's')
			o.socket = optarg;
		else if (c == 'p')
			o.pause_ms = strtol(optarg, NULL, 10);
		else
			return 2;
	}
	if (o.blocks == 0 || !o.directory || optind != argc || o.pause_ms < 0) {
		fprintf(stderr,
			"usage: %s --blocks N --dir DIR [--socket PATH] [--pause MILLISECONDS]\n",
			argv[0]);
		return 2;
	}
	return work(&o) < 0 ? 1 : 0;
}
