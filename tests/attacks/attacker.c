/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack_attacker [--as UID] ATTACK attack|control PID [ADDRESS]
 *
 * Attacks the process, says "done" when it has, and holds what it opened until its standard input
 * ends. Exit status: 0 done, 1 the attack did not work, 2 wrong use.
 */
#include "attacker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct attack *attack_of(const char *name)
{
	const struct attack *const tables[] = { write_attacks, read_attacks, kernel_attacks };

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct attack *a = tables[t]; a->name; a++)
			if (strcmp(a->name, name) == 0)
				return a;
	return NULL;
}

int main(int argc, char **argv)
{
	struct victim_process v;
	const struct attack *a;
	bool decisive;
	char byte;
	int r;

	if (argc > 3 && strcmp(argv[1], "--as") == 0) {
		uid_t uid = (uid_t)strtoul(argv[2], NULL, 10);

		if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0) {
			perror("setresuid");
			return 1;
		}
		argv += 2;
		argc -= 2;
	}
	a = argc >= 4 ? attack_of(argv[1]) : NULL;
	decisive = a && strcmp(argv[2], "attack") == 0;
	if (!a || (!decisive && strcmp(argv[2], "control") != 0)) {
		fputs("usage: attack_attacker [--as UID] ATTACK attack|control PID [ADDRESS]\n",
		      stderr);
		return 2;
	}
	r = victim_look((pid_t)strtol(argv[3], NULL, 10), &v);
	if (r == 0) {
		v.given = argc > 4 ? strtoull(argv[4], NULL, 0) : 0;
		r = a->run(&v, decisive);
	}
	if (r < 0) {
		printf("failed: %s: %s\n", a->name, strerror(-r));
		return 1;
	}
	puts("done");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
