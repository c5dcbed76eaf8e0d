/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_FETCH_CACHE_H
#define ASSAY_CLI_FETCH_CACHE_H

#include "fetch.h"

/* Answers in files, one JSON object each, named by the SHA-256 of their address. */

#define FETCH_CACHE_FILE_MAX (2 * FETCH_BODY_MAX + 4 * FETCH_CHAIN_MAX)

/* -ENOENT: none, or too old, or not what was written. -ENOMEM. */
MUST_CHECK int fetch_cache_read(const char *directory, const char *url, int64_t now,
				struct fetched *ret);
MUST_CHECK int fetch_cache_write(const char *directory, const char *url, int64_t now,
				 int64_t max_age, const struct fetched *answer);

/* The file's content, for that address at that time. Appends to ret. -EBADMSG: not so. */
MUST_CHECK int fetch_cache_parse(struct view text, const char *url, int64_t now,
				 struct fetched *ret);

#endif
