/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "terminal.h"

#define FILE_MAX  (16 * 1024 * 1024)
#define ARENA_MAX (4 * 1024 * 1024)

CLEANUP_FUNCTION(struct arena *, arena_free)
CLEANUP_FUNCTION(struct endorsements *, endorsements_free)

static int read_into(struct evidence_files *f, const char *path, bool from_folder)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0)
		return neg_errno();
	if (fstat(fd, &st) < 0)
		return neg_errno();
	/* In a folder: a folder, a socket, a device. */
	if (from_folder && !S_ISREG(st.st_mode))
		return 0;
	if (f->n == EVIDENCE_FILES_MAX)
		return -E2BIG;
	f->at[f->n].name = strdup(path);
	if (!f->at[f->n].name)
		return -ENOMEM;
	f->at[f->n].content = BYTES_INIT(FILE_MAX);
	f->at[f->n].from_folder = from_folder;
	f->n++;
	r = bytes_read_fd(&f->at[f->n - 1].content, fd);
	return r == -EMSGSIZE ? -EFBIG : r;
}

static int read_folder(struct evidence_files *f, const char *path)
{
	struct dirent **names = NULL;
	char *file;
	int n, r = 0;

	/* In an order of their own, so that the same folder gives the same words. */
	n = scandir(path, &names, NULL, alphasort);
	if (n < 0)
		return neg_errno();
	for (int i = 0; i < n; i++) {
		if (r == 0 && names[i]->d_name[0] != '.') {
			if (asprintf(&file, "%s/%s", path, names[i]->d_name) < 0) {
				r = -ENOMEM;
			} else {
				r = read_into(f, file, true);
				free(file);
			}
		}
		free(names[i]);
	}
	free(names);
	return r;
}

int evidence_files_add(struct evidence_files *f, const char *path)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		r = neg_errno();
	else if (S_ISDIR(st.st_mode))
		r = read_folder(f, path);
	else
		r = read_into(f, path, false);
	if (r < 0)
		terminal_error("%s: %s", path, strerror(-r));
	return r;
}

void evidence_files_done(struct evidence_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->at[i].name);
		bytes_done(&f->at[i].content);
	}
	f->n = 0;
}

static struct evidence_file lend(const struct evidence_files *f, size_t i)
{
	return (struct evidence_file){ f->at[i].name, bytes_view(&f->at[i].content) };
}

int evidence_files_find_reports(struct evidence_files *f, const char *platform, size_t *ret)
{
	size_t found = 0;
	int r;

	for (size_t i = 0; i < f->n; i++) {
		CLEANUP(arena_freep) struct arena *arena = NULL;
		struct evidence_file file = lend(f, i);
		struct evidence_alone in = { .platform = platform, .files = &file, .n_files = 1 };
		struct evidence_found report;
		const char *why;

		r = arena_new(ARENA_MAX, &arena);
		if (r == 0)
			r = evidence_detect(&in, arena, &report, &why);
		if (r == -ENOMEM)
			return r;
		/* -EINVAL: a report that lacks its other parts, which are in other files. */
		f->at[i].is_report = r == 0 || r == -EINVAL;
		found += f->at[i].is_report;
	}
	*ret = found;
	return 0;
}

/* -EBADMSG: not an endorsement. */
static int has_bare_key(struct view blob, bool *ret)
{
	CLEANUP(endorsements_freep) struct endorsements *e = NULL;
	const char *why;
	int r = endorsements_new(&e);

	if (r == 0)
		r = endorsements_add(e, blob, &why);
	if (r < 0)
		return r;
	*ret = endorsements_next(e, ENDORSEMENT_PUBLIC_KEY, NULL) ||
	       endorsements_next(e, ENDORSEMENT_CCA_ANCHORS, NULL);
	return 0;
}

int evidence_files_endorse(struct evidence_files *f, bool with_keys, struct endorsements *e)
{
	bool bare = false;
	const char *why;
	int r;

	for (size_t i = 0; i < f->n; i++) {
		if (f->at[i].is_report)
			continue;
		r = with_keys ? 0 : has_bare_key(bytes_view(&f->at[i].content), &bare);
		if (r == -ENOMEM)
			return r;
		if (r == -EBADMSG || (r == 0 && bare))
			continue;
		r = endorsements_add(e, bytes_view(&f->at[i].content), &why);
		if (r == -ENOMEM)
			return r;
		if (r == -EMSGSIZE)
			terminal_warning("%s: %s", f->at[i].name, why);
		f->at[i].is_endorsement = r == 0;
	}
	return 0;
}

/* The name without its folder, up to the first dot. */
static struct view stem(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return view_of(name, strcspn(name, "."));
}

static bool names_another_report(const struct evidence_files *f, size_t report, size_t file)
{
	if (view_equal(stem(f->at[file].name), stem(f->at[report].name)))
		return false;
	for (size_t i = 0; i < f->n; i++) {
		if (i != report && f->at[i].is_report &&
		    view_equal(stem(f->at[i].name), stem(f->at[file].name)))
			return true;
	}
	return false;
}

size_t evidence_files_of(const struct evidence_files *f, size_t report, struct evidence_file *to)
{
	size_t n = 0;

	to[n++] = lend(f, report);
	for (size_t i = 0; i < f->n; i++) {
		if (i != report && !f->at[i].is_report && !names_another_report(f, report, i))
			to[n++] = lend(f, i);
	}
	return n;
}
