/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper_files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "endorsement_store.h"
#include "keeper_proto.h"
#include "log.h"

_Static_assert(KEEPER_FILE_NAME_MAX == ENDORSEMENT_NAME_MAX, "a store's file fits its message");
_Static_assert(KEEPER_FILE_MAX == ENDORSEMENT_BYTES_MAX, "a store's file fits its message");

struct sending {
	const struct keeper_files_sink *to;
	struct bytes message;
	size_t total;
	int failed; /* of the sending, not of the files */
};

static int send_one(struct sending *x, uint32_t type, const void *fixed, struct view content)
{
	int r;

	bytes_reset(&x->message);
	r = keeper_write(&x->message, type, fixed, &content);
	if (r == 0)
		r = x->to->send(x->to->arg, bytes_view(&x->message));
	if (r < 0)
		x->failed = r;
	return r;
}

static bool too_many(struct sending *x, struct view content)
{
	x->total += content.len;
	return x->total > ENDORSEMENT_STORE_BYTES_MAX;
}

static void left_out(void *arg, const char *path, const char *why)
{
	log_warning("%s: %s; continuing without", path, why);
}

static int send_file(void *arg, const char *path, const char *name, struct view content)
{
	struct keeper_store_file file;
	struct sending *x = arg;

	if (strlen(name) >= sizeof(file.name)) {
		left_out(NULL, path, "not a store's file");
		return 0;
	}
	if (too_many(x, content))
		return -EMSGSIZE;
	memset(&file, 0, sizeof(file));
	keeper_text(file.name, sizeof(file.name), name);
	return send_one(x, KEEPER_STORE_FILE, &file, content);
}

static int send_bundle(struct sending *x, const char *path)
{
	CLEANUP(bytes_cleanup) struct bytes part = BYTES_INIT(KEEPER_FILE_MAX);
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint8_t *to;
	ssize_t n;
	int r;

	if (fd < 0)
		return neg_errno();
	r = bytes_reserve(&part, KEEPER_FILE_MAX, &to);
	if (r < 0)
		return r;
	do {
		n = read(fd, to, KEEPER_FILE_MAX);
		if (n < 0)
			return neg_errno();
		if (too_many(x, view_of(to, (size_t)n)))
			return -EMSGSIZE;
		/* The last has no bytes. */
		r = send_one(x, KEEPER_STORE_BUNDLE, NULL, view_of(to, (size_t)n));
	} while (r == 0 && n > 0);
	return r;
}

static int send_store(struct sending *x, const char *directory, const char *name)
{
	const struct endorsement_files_sink sink = { send_file, left_out, x };
	CLEANUP(cleanup_mem) char *path = NULL;
	struct stat st;
	int r;

	if (!name)
		return 0;
	path = config_path(directory, name);
	if (!path)
		return -ENOMEM;
	r = stat(path, &st) < 0 ? neg_errno() : 0;
	if (r == 0)
		r = S_ISDIR(st.st_mode) ? endorsement_files_read(path, &sink)
					: send_bundle(x, path);
	if (r < 0)
		log_error("%s: %s; continuing with the endorsements read before", path,
			  r == -EMSGSIZE ? "more endorsements than are kept" : strerror(-r));
	return r;
}

int keeper_files_send(const struct verifier_config *config, const char *directory,
		      const struct keeper_files_sink *to)
{
	struct sending x = { .to = to, .message = BYTES_INIT(KEEPER_MESSAGE_MAX) };
	struct keeper_store_end end = { 0 };
	int r;

	r = send_one(&x, KEEPER_STORE_BEGIN, NULL, view_of(NULL, 0));
	if (r == 0)
		r = send_store(&x, directory, config->endorsements_directory);
	if (r == 0)
		r = send_store(&x, directory, config->endorsements_bundle);
	end.complete = r == 0;
	if (x.failed == 0)
		(void)!send_one(&x, KEEPER_STORE_END, &end, view_of(NULL, 0));
	bytes_done(&x.message);
	return x.failed;
}
