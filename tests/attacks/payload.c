/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library that attacks bring in: preloaded, loaded late, or put in another's place. Being there
 * is all it does. It carries what PostgreSQL 15 wants to see of a module, so that LOAD takes it.
 */
struct magic {
	int len, version, functions, indexes, names, float8;
	char extra[32];
};

const struct magic *Pg_magic_func(void);
const struct magic *Pg_magic_func(void)
{
	static const struct magic m = { sizeof(struct magic), 1500, 100, 32, 64, 1, "PostgreSQL" };

	return &m;
}

/* What is in its place in the other build of this file. */
#ifndef PAYLOAD_VALUE
#define PAYLOAD_VALUE 1
#endif

int payload_value(void);
int payload_value(void)
{
	return PAYLOAD_VALUE;
}
