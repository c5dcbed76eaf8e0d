/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_YAMLDOC_FORM_H
#define ASSAY_YAMLDOC_FORM_H

#include "yamldoc.h"

/*
 * Fields of our schemas. Every scalar is text or one of a list of words: libcyaml's
 * own numbers take "010" for 8, and its booleans take any word for true. What is absent is NULL or
 * 0.
 */

/* key: text. type.member is a char *. */
#define FORM_TEXT(key, type, member)                                                               \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 1,     \
			       YAMLDOC_SCALAR_MAX)

#define FORM_REQUIRED_TEXT(key, type, member)                                                      \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 1, YAMLDOC_SCALAR_MAX)

/* key: [text, ...] with at least one. type.member is a char **, type.count a uint32_t. */
#define FORM_TEXTS(key, type, member, count, max)                                                  \
	CYAML_FIELD_SEQUENCE_COUNT(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member,    \
				   count, &form_text_entry, 1, max)

/* key: one word of an array of cyaml_strval_t. type.member is of four bytes. */
#define FORM_WORD(key, type, member, words)                                                        \
	CYAML_FIELD_ENUM(key, CYAML_FLAG_STRICT | CYAML_FLAG_OPTIONAL, type, member, words,        \
			 ARRAY_LEN(words))

/* key: {...}. type.member is a pointer to what fields describes. */
#define FORM_PART(key, type, member, fields)                                                       \
	CYAML_FIELD_MAPPING_PTR(key, CYAML_FLAG_OPTIONAL, type, member, fields)

/* key: [{...}, ...] with at least one. */
#define FORM_PARTS(key, type, member, count, entry, max)                                           \
	CYAML_FIELD_SEQUENCE_COUNT(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member,    \
				   count, entry, 1, max)

/* A key that is read from the nodes, or refused elsewhere with a reason of its own. */
#define FORM_NODE(key) CYAML_FIELD_IGNORE(key, CYAML_FLAG_OPTIONAL)

extern const struct cyaml_schema_value form_text_entry;

/* true and false; 0 stands for a key that is absent. */
enum form_bool { FORM_UNSET, FORM_FALSE, FORM_TRUE };
extern const struct cyaml_strval form_bools[2];

#endif
