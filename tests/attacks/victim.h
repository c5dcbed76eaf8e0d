/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTACKS_VICTIM_H
#define ASSAY_ATTACKS_VICTIM_H

/*
 * Attacks from within: what a taken-over application does to itself. Each is a verb that runs
 * in one of two ways: in full, or without its decisive step, which must then not be reported.
 */
#include <stdbool.h>
#include <stddef.h>

struct verb {
	const char *name;
	/* 0 or a negative errno. decisive: in full. argument: what follows in the order, or "". */
	int (*run)(bool decisive, const char *argument);
};

/* The verbs of one file; the table ends with a NULL name. */
extern const struct verb memory_verbs[];
extern const struct verb process_verbs[];
extern const struct verb network_verbs[];

/*
 * The code that attacks change: on pages of its own, so that the program goes on when they are
 * replaced. Returns its argument plus one.
 */
int victim_code(int x);
/* Where it starts, and how many bytes (whole pages). */
void *victim_code_page(size_t *ret_size);

/* A pointer that is read-only after relocation, and a slot of the table of imports. */
void *victim_relro(void);
void **victim_import(const char *name);

#endif
