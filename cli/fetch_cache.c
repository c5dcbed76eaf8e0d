/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch_cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "cleanup.h"
#include "digest.h"
#include "output.h"

void fetched_done(struct fetched *d)
{
	bytes_done(&d->body);
	bytes_done(&d->chain);
}

static int file_of(const char *directory, const char *url, char **ret)
{
	char hex[DIGEST_HEX_MAX];
	struct digest d;
	int r = digest_of(HASH_SHA256, view_text(url), &d);

	if (r < 0)
		return r;
	return asprintf(ret, "%s/%s.json", directory, digest_hex(&d, hex)) < 0 ? -ENOMEM : 0;
}

static int take(json_t *from, const char *name, struct bytes *to)
{
	json_t *hex = json_object_get(from, name);

	if (!json_is_string(hex))
		return -EBADMSG;
	return hex_decode(json_string_value(hex), json_string_length(hex), to) < 0 ? -EBADMSG : 0;
}

int fetch_cache_parse(struct view text, const char *url, int64_t now, struct fetched *ret)
{
	json_int_t at, until;
	const char *of;
	json_t *j;
	int r = -EBADMSG;

	j = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
	/* From the future: the clock was set back since, and its age cannot be told. */
	if (j && json_unpack(j, "{s:s, s:I, s:I}", "url", &of, "at", &at, "until", &until) == 0 &&
	    strcmp(of, url) == 0 && at <= now && now < until && until - at <= FETCH_AGE_MAX)
		r = take(j, "body", &ret->body);
	if (r == 0)
		r = take(j, "chain", &ret->chain);
	json_decref(j);
	return r;
}

int fetch_cache_read(const char *directory, const char *url, int64_t now, struct fetched *ret)
{
	CLEANUP(bytes_cleanup) struct bytes text = BYTES_INIT(FETCH_CACHE_FILE_MAX);
	CLEANUP(cleanup_mem) char *path = NULL;
	CLEANUP(cleanup_fd) int fd = -1;
	int r;

	r = file_of(directory, url, &path);
	if (r < 0) {
		path = NULL;
		return r;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	r = fd < 0 ? -ENOENT : bytes_read_fd(&text, fd);
	if (r == 0)
		r = fetch_cache_parse(bytes_view(&text), url, now, ret);
	if (r == 0 || r == -ENOMEM)
		return r;
	bytes_reset(&ret->body);
	bytes_reset(&ret->chain);
	return -ENOENT;
}

static json_t *hex_of(const struct bytes *b)
{
	char *hex = malloc(2 * b->len + 1);
	json_t *j;

	if (!hex)
		return NULL;
	hex_encode(b->data, b->len, hex);
	j = json_string(hex);
	free(hex);
	return j;
}

int fetch_cache_write(const char *directory, const char *url, int64_t now, int64_t max_age,
		      const struct fetched *answer)
{
	CLEANUP(cleanup_mem) char *path = NULL;
	struct output o = OUTPUT_NONE;
	char *text;
	json_t *j;
	int r;

	if (max_age <= 0)
		return 0;
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return neg_errno();
	r = file_of(directory, url, &path);
	if (r < 0) {
		path = NULL;
		return r;
	}
	j = json_pack("{s:s, s:I, s:I, s:o, s:o}", "url", url, "at", (json_int_t)now, "until",
		      (json_int_t)(now + max_age), "body", hex_of(&answer->body), "chain",
		      hex_of(&answer->chain));
	text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	if (!text)
		return -ENOMEM;
	r = output_open(path, &o);
	if (r == 0)
		r = output_write(&o, text, strlen(text));
	if (r == 0)
		r = output_commit(&o);
	output_done(&o);
	free(text);
	return r;
}
