/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over every file of a corpus, where there is no libFuzzer. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "bytes.h"
#include "cleanup.h"

#define INPUT_MAX (32 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *directory, const char *name)
{
	struct bytes input = BYTES_INIT(INPUT_MAX);
	CLEANUP(cleanup_fd) int fd = -1;
	char path[4096];
	int r;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return neg_errno();
	r = bytes_read_fd(&input, fd);
	if (r == 0)
		r = LLVMFuzzerTestOneInput(input.data, input.len);
	bytes_done(&input);
	return r;
}

int main(int argc, char **argv)
{
	size_t n = 0;
	struct dirent *e;
	DIR *d;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
		return 2;
	}
	d = opendir(argv[1]);
	if (!d) {
		perror(argv[1]);
		return 2;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (replay(argv[1], e->d_name) < 0) {
			fprintf(stderr, "%s/%s: cannot be read\n", argv[1], e->d_name);
			return 1;
		}
		n++;
	}
	closedir(d);
	printf("%zu seeds\n", n);
	/* A corpus without a seed tests nothing. */
	return n > 0 ? 0 : 1;
}
