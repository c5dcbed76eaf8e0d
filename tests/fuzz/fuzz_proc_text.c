/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "collectors/cgroup.h"
#include "collectors/proc_text.h"

static void on_stat(struct view text)
{
	struct proc_stat s;

	if (proc_parse_stat(text, &s) == 0 && !memchr(s.comm, 0, sizeof(s.comm)))
		abort();
}

static void on_maps(struct view text)
{
	struct proc_mapping m;

	while (proc_parse_mapping(&text, &m) == 0) {
		if (m.end < m.start || m.protection[4] != '\0')
			abort();
	}
}

static void on_status(struct view text)
{
	uint64_t n;
	uid_t uid;
	gid_t gid;

	(void)!proc_parse_ids(text, &uid, &gid);
	(void)!proc_parse_key(text, "Pss", &n);
}

static void on_mountinfo(struct view text)
{
	char *found;

	if (cgroup_parse_mountinfo(text, &found) == 0)
		free(found);
}

static void on_cgroup(struct view text)
{
	char *found;

	if (cgroup_parse_self(text, &found) == 0)
		free(found);
}

static void (*const files[])(struct view text) = { on_stat, on_maps, on_status, on_mountinfo,
						   on_cgroup };

/* The first byte chooses which of the files of /proc the rest is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		files[data[0] % ARRAY_LEN(files)](view_of(data + 1, size - 1));
	return 0;
}
