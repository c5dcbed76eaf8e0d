/* SPDX-License-Identifier: Apache-2.0 */
#include "shared_evidence.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"

#define FILE_MAX (16 * 1024 * 1024)

static const char *shared(void)
{
	const char *given = getenv("ASSAY_SHARED");

	return given ? given : ASSAY_SHARED_DEFAULT;
}

void shared_evidence_needed(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/evidence", shared());
	if (access(path, R_OK) == 0)
		return;
	print_message("skipped: no genuine evidence at %s ($ASSAY_SHARED)\n", path);
	skip();
}

struct bytes shared_evidence(const char *folder, const char *file)
{
	struct bytes content = BYTES_INIT(FILE_MAX);
	CLEANUP(cleanup_fd) int fd = -1;
	char path[4096];

	snprintf(path, sizeof(path), "%s/evidence/%s/%s", shared(), folder, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || bytes_read_fd(&content, fd) < 0)
		fail_msg("%s cannot be read", path);
	return content;
}
