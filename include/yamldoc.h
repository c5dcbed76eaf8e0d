/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_YAMLDOC_H
#define ASSAY_YAMLDOC_H

#include <stdbool.h>
#include <stddef.h>

#include <cyaml/cyaml.h>

#include "bytes.h"

/*
 * A YAML text read strictly: one document, no anchors, aliases, tags or NUL bytes,
 * no key twice, only scalars as keys, bounded in size and depth. libcyaml loads it by a schema;
 * mappings whose keys are the user's are read from the nodes, which know their lines. Whatever
 * is wrong becomes one line of text,
 *
 *   FILE:LINE: KEY.PATH: expected WHAT, found WHAT
 *
 * and as many as possible are found before it is handed back.
 */
struct yamldoc;

/* One value in the text. Good as long as its yamldoc. */
struct yamldoc_node;

#define YAMLDOC_DEPTH_MAX    16
#define YAMLDOC_NODES_MAX    100000
#define YAMLDOC_KEYS_MAX     4096 /* of one mapping */
#define YAMLDOC_SCALAR_MAX   (16 * 1024)
#define YAMLDOC_PROBLEMS_MAX 32
#define YAMLDOC_PATH_MAX     256

/*
 * Reads; max: of the text's bytes. A text that is not sound still makes a yamldoc, which then
 * has problems. -ENOMEM.
 */
MUST_CHECK int yamldoc_open(struct view text, size_t max, const char *file, struct yamldoc **ret);
void yamldoc_free(struct yamldoc *d);

/*
 * The text by a schema whose top is a mapping behind a pointer (CYAML_FLAG_POINTER).
 * The caller ends *ret with yamldoc_unload of the same schema. -EINVAL: problems were noted.
 */
MUST_CHECK int yamldoc_load(struct yamldoc *d, const struct cyaml_schema_value *schema, void *ret);

/* Frees what yamldoc_load made. Accepts NULL. */
void yamldoc_unload(const struct cyaml_schema_value *schema, void *loaded);

/* Notes a problem with the value at path ("a.b[2].c"), or the nearest that is there. */
void yamldoc_problem(struct yamldoc *d, const char *path, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* As above, in the line of a node. */
void yamldoc_problem_at(struct yamldoc *d, const struct yamldoc_node *at, const char *path,
			const char *format, ...) PRINTF_LIKE(4, 5);

/* 0, or -EINVAL where a problem was noted; -ENOMEM where one could not be. */
MUST_CHECK int yamldoc_verdict(const struct yamldoc *d);

/* The problems, a line each; the caller frees it. NULL: no memory. */
char *yamldoc_take_problems(struct yamldoc *d);

/* The value at path; NULL: there is none. */
const struct yamldoc_node *yamldoc_find(const struct yamldoc *d, const char *path);

/* A scalar's text; NULL for other nodes. */
const char *yamldoc_text(const struct yamldoc_node *n);

/* True for a mapping, a sequence. */
bool yamldoc_is_mapping(const struct yamldoc_node *n);
bool yamldoc_is_sequence(const struct yamldoc_node *n);

/* Pair i of a mapping in the order of the text; false: there is none. The key is a scalar. */
bool yamldoc_pair(const struct yamldoc *d, const struct yamldoc_node *n, size_t i,
		  const struct yamldoc_node **ret_key, const struct yamldoc_node **ret_value);

/* Value of a mapping's key, item i of a sequence; NULL: there is none. */
const struct yamldoc_node *yamldoc_get(const struct yamldoc *d, const struct yamldoc_node *n,
				       const char *key);
const struct yamldoc_node *yamldoc_item(const struct yamldoc *d, const struct yamldoc_node *n,
					size_t i);

/* The value in words for "found ...": a quoted and cut text, "a list", "nothing" ... */
#define YAMLDOC_FOUND_MAX 96
const char *yamldoc_found(const struct yamldoc_node *n, char to[YAMLDOC_FOUND_MAX]);

/* The same for a text. */
const char *yamldoc_quoted(const char *text, char to[YAMLDOC_FOUND_MAX]);

#endif
