/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_MANIFEST_ENTRIES_H
#define ASSAY_TESTS_MANIFEST_ENTRIES_H

/* Entries of manifests, for tests of the set and of its text. Include it after cmocka.h. */

#include <string.h>

#include "cleanup.h"
#include "manifest.h"

#define SHA_A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA_B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static inline struct manifest_entry file(const char *path, const char *sha256)
{
	struct manifest_entry e = { .path = (char *)path, .mode = 0755, .size = 1175288 };

	e.sha256 = digest_zero(HASH_SHA256);
	assert_int_equal(hex_decode_exact(sha256, e.sha256.bytes, e.sha256.size), 0);
	return e;
}

static inline struct manifest_entry link_to(const char *path, const char *target)
{
	return (struct manifest_entry){
		.path = (char *)path, .type = MANIFEST_LINK, .mode = 0777, .link = (char *)target
	};
}

static inline struct manifest_entry plain_entry(const char *path, enum manifest_type type)
{
	return (struct manifest_entry){ .path = (char *)path, .type = type, .mode = 0755 };
}

static inline void add(struct manifest *m, struct manifest_entry e)
{
	int r = manifest_add(m, &e);

	if (r != 0)
		fail_msg("%s: %d", e.path, r);
}

#endif
