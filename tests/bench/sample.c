/* SPDX-License-Identifier: Apache-2.0 */
#include "sample.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

double sample_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

double sample_median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

int sample_number(const char *text, int max)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *text && !*end && n >= 1 && n <= max ? (int)n : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void sample_remove(const char *directory)
{
	if (nftw(directory, remove_one, 64, FTW_DEPTH | FTW_PHYS) != 0)
		fprintf(stderr, "%s is left behind\n", directory);
}
