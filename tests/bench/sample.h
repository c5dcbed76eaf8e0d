/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_SAMPLE_H
#define ASSAY_TESTS_SAMPLE_H

#include <stddef.h>
#include <time.h>

/* What every bench does: take times, and of many the median. */

/* What the clock shows, in ms. */
double sample_ms(clockid_t clock);

/* Of n values, one at least; puts them in order. */
double sample_median(double *values, size_t n);

/* The number from 1 to max that an option has; 0: it is none. */
int sample_number(const char *text, int max);

/* Removes a directory with all that is in it; says where it is left behind. */
void sample_remove(const char *directory);

#endif
