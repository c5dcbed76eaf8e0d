/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ATTACKS_ATTACKER_H
#define ASSAY_ATTACKS_ATTACKER_H

/* Attacks from outside: what another process on the machine does to a measured one. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The target, and what was found of it by looking only: no access that is more than reading. */
struct victim_process {
	pid_t pid;
	char executable[4096];
	uint64_t fini;	      /* address of its DT_FINI code, which runs only as it ends */
	uint64_t fini_offset; /* the same in its file */
	uint64_t cave;	      /* address of the unused rest of its last page of text */
	uint64_t vdso, vdso_end;
	uint64_t heap, stack; /* an address in each; 0: it has none */
	uint64_t given;	      /* an address from the command line, or 0 */
};

/* Fills *ret from /proc/PID/maps and the program's file. 0 or a negative errno. */
int victim_look(pid_t pid, struct victim_process *ret);

struct attack {
	const char *name;
	/* 0 or a negative errno. decisive: in full, otherwise without the step that counts. */
	int (*run)(const struct victim_process *v, bool decisive);
};

/* The attacks of one file; the table ends with a NULL name. */
extern const struct attack write_attacks[];
extern const struct attack read_attacks[];
extern const struct attack kernel_attacks[];

#endif
