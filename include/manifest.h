/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_MANIFEST_H
#define ASSAY_MANIFEST_H

#include <sys/types.h>

#include "bytes.h"
#include "digest.h"

/*
 * A static measurement as an mtree manifest (mtree(5)): one line a file, full
 * paths, sorted by the bytes of the path, the same text for the same files on
 * every machine: no times, no inodes, no locale.
 *
 *   #mtree
 *   ./usr/sbin/nginx type=file mode=0755 uid=0 gid=0 size=1175288 sha256digest=6d1c…
 *   ./usr/lib/x.so.1 type=link mode=0777 uid=0 gid=0 link=x.so.1.2
 *   ./etc/nginx type=dir mode=0755 uid=0 gid=0
 *
 * Bytes outside the printable ASCII range, '\\', '#', '=' and white space in names are
 * written as a backslash and three octal digits (vis(3) VIS_OCTAL). M of a static
 * measurement is SHA-384 of this text.
 */

#define MANIFEST_MAX         (64 * 1024 * 1024)
#define MANIFEST_ENTRIES_MAX 1000000

enum manifest_type { MANIFEST_FILE, MANIFEST_DIR, MANIFEST_LINK, MANIFEST_OTHER };

struct manifest_entry {
	char *path; /* absolute, "/usr/sbin/nginx" */
	enum manifest_type type;
	mode_t mode; /* permission bits */
	uid_t uid;
	gid_t gid;
	uint64_t size;        /* files */
	struct digest sha256; /* files */
	char *link;           /* symbolic links: their target */
};

struct manifest {
	struct manifest_entry *entries;
	size_t n, room;
};

void manifest_init(struct manifest *m);
void manifest_done(struct manifest *m);

/*
 * Adds a copy of the entry. -EINVAL: path not absolute, or with an empty, "." or ".."
 * component ("/" itself is good). -EMSGSIZE: MANIFEST_ENTRIES_MAX.
 */
MUST_CHECK int manifest_add(struct manifest *m, const struct manifest_entry *e);

/* Sorts by path and drops entries that stand twice. -EEXIST: one path with two contents. */
MUST_CHECK int manifest_sort(struct manifest *m);

/*
 * Appends the canonical text of a sorted manifest. -EINVAL: not sorted, or an entry
 * lacks what its type has (a file its SHA-256, a link its target).
 */
MUST_CHECK int manifest_write(const struct manifest *m, struct bytes *ret);

/*
 * Reads a manifest, sorted: text of manifest_write(), or of bsdtar --format=mtree
 * --options mtree:sha256 (full paths; keywords in any order, unknown ones passed
 * over; no /set). -EBADMSG: not one; an entry does not say all that its type has, or
 * one path has two contents. -EMSGSIZE: past the limits above.
 */
MUST_CHECK int manifest_read(struct view text, struct manifest *ret);

/* The entry of that path, or NULL. m is sorted. */
const struct manifest_entry *manifest_find(const struct manifest *m, const char *path);

/*
 * Calls on_difference for each path that differs between two sorted manifests, in
 * order: left NULL for an entry only on the right and the other way round. It
 * returns how many differ; what names the first field that differs, "path" for one side alone.
 */
size_t manifest_compare(const struct manifest *left, const struct manifest *right,
			void (*on_difference)(void *arg, const struct manifest_entry *left,
					      const struct manifest_entry *right,
					      const char *what),
			void *arg);

#endif
