/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLEANUP_H
#define ASSAY_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Runs f(&variable) when the variable goes out of scope. */
#define CLEANUP(f) __attribute__((cleanup(f)))

/* Hands a pointer on: the value of p, with p set to NULL so that its CLEANUP finds nothing. */
#define TAKE(p)                                                                                    \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

/* Hands a file descriptor on: the value of fd, with fd set to -1. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})

/* Defines name##p(), the CLEANUP function that calls name() on the pointer it is given. */
#define CLEANUP_FUNCTION(type, name)                                                               \
	static inline void name##p(type *p)                                                        \
	{                                                                                          \
		name(*p);                                                                          \
	}

static inline void cleanup_mem(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

#endif
