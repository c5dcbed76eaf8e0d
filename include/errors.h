/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ERRORS_H
#define ASSAY_ERRORS_H

#include <errno.h>

/* A caller that ignores the result is a mistake the compiler reports. */
#define MUST_CHECK __attribute__((warn_unused_result))

/* printf-style arguments, checked by the compiler. */
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The negative of errno, and -EIO where a library failed without setting it: never 0. */
static inline int neg_errno(void)
{
	return errno > 0 ? -errno : -EIO;
}

#endif
