/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_IMA_FILES_H
#define ASSAY_IMA_FILES_H

#include "bytes.h"
#include "digest.h"

/*
 * The files that the kernel's IMA has measured since the machine started, as a table that can be
 * asked: the second witness beside what assayd says it measured. Pure. It is filled from those
 * entries of IMA's list that a quote over PCR 10 proves (ima_log.h); what else is put in proves
 * nothing.
 */

#define IMA_FILES_MAX	131072		   /* entries of one table */
#define IMA_FILES_BYTES (32 * 1024 * 1024) /* memory of one table */

/* What one entry of the list says of a file. */
struct ima_file {
	const char *path; /* in the list's words: white space stands there as '_' */
	/*
	 * Of its content; size 0: it says nothing that SHA-256 could be compared with. Then why:
	 * "of sha1", "of fs-verity", or that the file was open for writing meanwhile.
	 */
	struct digest sha256;
	const char *why; /* lives for ever */
	bool violation;	 /* open for writing: whatever was read */
};

struct ima_files;

/* -ENOMEM. Ended with ima_files_free. */
MUST_CHECK int ima_files_new(struct ima_files **ret);
void ima_files_free(struct ima_files *f);

/*
 * Adds a copy. path need not end with a zero byte; file->path is not looked at. -EMSGSIZE: the
 * table is full (IMA_FILES_MAX). -EINVAL: the path has a zero byte inside, or the digest is not
 * SHA-256. -ENOMEM, also past
 * IMA_FILES_BYTES.
 */
MUST_CHECK int ima_files_add(struct ima_files *f, struct view path, const struct ima_file *file);

size_t ima_files_count(const struct ima_files *f);

/* In the order in which they were added; i is less than the count. Lent until f ends. */
const struct ima_file *ima_files_at(const struct ima_files *f, size_t i);

/* What IMA knows of a file that assayd measured. */
enum ima_seen {
	IMA_SEEN_NOT,	/* neither its path nor its content */
	IMA_SEEN_OTHER, /* its path, with other content only */
	IMA_SEEN_SAME,	/* its content, under this path or another (a link, a mount, a rename) */
};

/*
 * path as assayd has it; sha256 of another length is no content. *ret_other, unless NULL: for
 * IMA_SEEN_OTHER the last entry of that path, lent until f ends.
 */
enum ima_seen ima_files_find(const struct ima_files *f, const char *path, struct view sha256,
			     const struct ima_file **ret_other);

#endif
