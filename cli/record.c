/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "bytes.h"
#include "cleanup.h"
#include "command.h"
#include "output.h"
#include "terminal.h"
#include "verifier/store.h"

#define ANSWER_MAX (64 * 1024 * 1024)
#define PAGE	   200

static int connect_to(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	CLEANUP(cleanup_fd) int fd = -1;

	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return neg_errno();
	return TAKE_FD(fd);
}

static json_t *ask_socket(const char *path, json_t *request)
{
	CLEANUP(cleanup_mem) char *text = json_dumps(request, JSON_COMPACT);
	CLEANUP(bytes_cleanup) struct bytes in = BYTES_INIT(ANSWER_MAX);
	CLEANUP(cleanup_fd) int fd = -1;
	json_t *answer = NULL;
	int r;

	fd = connect_to(path);
	if (fd < 0) {
		terminal_error("%s: %s", path, strerror(-fd));
		return NULL;
	}
	r = text ? output_write_fd(fd, text, strlen(text)) : -ENOMEM;
	if (r == 0)
		r = output_write_fd(fd, "\n", 1);
	if (r == 0)
		r = bytes_read_fd(&in, fd);
	if (r == 0)
		answer = json_loadb((const char *)in.data, in.len, 0, NULL);
	if (!answer)
		terminal_error("%s: %s", path, r < 0 ? strerror(-r) : "no answer");
	return answer;
}

static int read_fleet(struct store *s, json_t *request, json_t **ret)
{
	const char *application = json_string_value(json_object_get(request, "application"));
	json_t *fleet;
	int r;

	r = store_fleet(s, application, &fleet);
	if (r == 0)
		*ret = json_pack("{s:b, s:o}", "ok", 1, "attesters", fleet);
	return r;
}

static int read_log(struct store *s, json_t *request, json_t **ret)
{
	const char *application = json_string_value(json_object_get(request, "application"));
	json_t *rows;
	int r;

	r = store_log_rows(s, json_integer_value(json_object_get(request, "after")), PAGE,
			   application, &rows);
	if (r == 0)
		*ret = json_pack("{s:b, s:o}", "ok", 1, "rows", rows);
	return r;
}

static int read_verify(struct store *s, json_t *request, json_t **ret)
{
	json_t *result;
	bool good;
	int r;

	r = store_verify(s, &good, &result);
	if (r == 0)
		*ret = json_pack("{s:b, s:b, s:o}", "ok", 1, "good", good, "store", result);
	return r;
}

/* What can be answered from the file alone. */
static const struct {
	const char *name;
	int (*answer)(struct store *s, json_t *request, json_t **ret);
} readers[] = {
	{ "fleet", read_fleet },
	{ "log", read_log },
	{ "verify", read_verify },
};

static json_t *ask_store(const char *path, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "do"));
	json_t *answer = NULL;
	struct store *s;
	char why[256];
	int r;

	r = store_open(path, true, &s, why, sizeof(why));
	if (r < 0) {
		terminal_error("%s: %s", path, why);
		return NULL;
	}
	r = -EROFS;
	for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
		if (strcmp(readers[i].name, name) == 0)
			r = readers[i].answer(s, request, &answer);
	}
	if (r == -EROFS)
		terminal_error("assay-verifierd alone changes its store: leave --store out");
	else if (r < 0)
		terminal_error("%s: %s", path, strerror(-r));
	store_close(s);
	return answer;
}

json_t *record_ask(const struct record *r, json_t *request, int *ret_status)
{
	json_t *answer;
	const char *why;

	answer = r->store ? ask_store(r->store, request) : ask_socket(r->socket, request);
	json_decref(request);
	if (!answer) {
		*ret_status = EXIT_ENVIRONMENT;
		return NULL;
	}
	if (json_is_true(json_object_get(answer, "ok")))
		return answer;
	why = json_string_value(json_object_get(answer, "error"));
	terminal_error("%s", why ? why : "the verifier refused");
	json_decref(answer);
	*ret_status = EXIT_WRONG_USE;
	return NULL;
}

const char *record_time(int64_t ns, char to[32])
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(to, 32, "%Y-%m-%d %H:%M:%SZ", &tm);
	return to;
}
