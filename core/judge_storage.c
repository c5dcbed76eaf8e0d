/* SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <stdio.h>
#include <string.h>

bool judge_is_within(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	while (len > 0 && directory[len - 1] == '/')
		len--;
	return strncmp(path, directory, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool is_plain(const char *path)
{
	size_t len = strlen(path);

	return path[0] == '/' && !strstr(path, "/../") &&
	       !(len >= 3 && strcmp(path + len - 3, "/..") == 0);
}

static void judge_writes(const struct judging *j, const struct policy_disk *disk)
{
	const Assay__Storage *item = j->mi->storage;
	struct judge_check c;
	bool within;

	if (!judge_begin(&c, j, &disk->rule, JUDGE_ABSENCE, "dynamic.disk.writes_within",
			 "files open for writing only there", item))
		return;
	for (size_t i = 0; i < item->n_writes; i++) {
		const char *path = judge_text(item->writes[i]->path);

		within = false;
		for (size_t k = 0; k < disk->n_writes_within && !within; k++)
			within = is_plain(path) && judge_is_within(path, disk->writes_within[k]);
		if (!within)
			judge_fail(&c, "process %u has %s open for writing", item->writes[i]->pid,
				   path);
	}
	if (item->writes_uncounted > 0)
		judge_unchecked(&c, "%llu files are not in the list",
				(unsigned long long)item->writes_uncounted);
	judge_end(&c);
}

static void judge_used(const struct judging *j, const struct policy_limit *limit)
{
	const Assay__Storage *item = j->mi->storage;
	char expected[JUDGE_TEXT_MAX], shown[QUANTITY_TEXT_MAX];
	struct judge_check c;
	uint64_t used = 0;

	snprintf(expected, sizeof(expected), "at most %s", quantity_size_text(limit->value, shown));
	if (!judge_begin(&c, j, &limit->rule, JUDGE_VALUE, "dynamic.disk.used", expected, item))
		return;
	if (item->n_filesystems == 0)
		judge_unchecked(&c, "no storage path is measured");
	for (size_t i = 0; i < item->n_filesystems; i++) {
		const Assay__Filesystem *f = item->filesystems[i];

		if (__builtin_add_overflow(used, f->tree_bytes, &used))
			used = UINT64_MAX;
		if (!f->tree_complete)
			judge_missing(&c, "%s was not read to its end", judge_text(f->path));
	}
	if (used > limit->value)
		judge_fail(&c, "%s", quantity_size_text(used, shown));
	judge_end(&c);
}

static void judge_available(const struct judging *j, const struct policy_limit *limit)
{
	const Assay__Storage *item = j->mi->storage;
	char expected[JUDGE_TEXT_MAX], shown[QUANTITY_TEXT_MAX];
	struct judge_check c;

	snprintf(expected, sizeof(expected), "at least %s",
		 quantity_size_text(limit->value, shown));
	if (!judge_begin(&c, j, &limit->rule, JUDGE_VALUE, "dynamic.disk.available", expected,
			 item))
		return;
	if (item->n_filesystems == 0)
		judge_unchecked(&c, "no storage path is measured");
	for (size_t i = 0; i < item->n_filesystems; i++) {
		const Assay__Filesystem *f = item->filesystems[i];

		if (f->available_bytes < limit->value)
			judge_fail(&c, "%s under %s", quantity_size_text(f->available_bytes, shown),
				   judge_text(f->path));
	}
	judge_end(&c);
}

/* MI item 4: local data storage. */
void judge_storage(const struct judging *j)
{
	const struct policy_disk *disk = j->rules->disk;

	if (!disk)
		return;
	if (disk->n_writes_within > 0)
		judge_writes(j, disk);
	if (disk->used)
		judge_used(j, disk->used);
	if (disk->available)
		judge_available(j, disk->available);
}
