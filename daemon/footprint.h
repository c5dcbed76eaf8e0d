/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_FOOTPRINT_H
#define ASSAY_FOOTPRINT_H

/* Before anything is allocated: one heap, and memory of large buffers goes back when they are freed. */
void footprint_limit(void);

/*
 * Gives back what starting up or a large piece of work left behind: free memory of every heap, and
 * the pages of code and constants, which come back from the page cache when they are used again.
 * From any thread; allowed in net's sandbox.
 */
void footprint_trim(void);

#endif
