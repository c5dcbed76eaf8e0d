/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <stdio.h>
#include <string.h>

/* A TEE before a TPM: what the TPM of a virtual machine says is the host's word. */
const struct attester_ops *const attester_table[] = {
	&attester_tdx,
	&attester_sev_snp,
	&attester_csv,
	&attester_cca,
	&attester_vtpm,
	&attester_tpm,
	&attester_soft,
	NULL,
};

void attester_identity_done(struct attester_identity *i)
{
	bytes_done(&i->key_name);
	bytes_done(&i->ak_public);
	bytes_done(&i->ek_public);
	bytes_done(&i->ek_certificate);
	bytes_done(&i->ek_chain);
}

/* Appends to text of one line, as far as there is room. */
static void add_text(char *to, size_t size, const char *platform, const char *text)
{
	size_t len = strlen(to);

	snprintf(to + len, size - len, "%s%s%s%s", len > 0 ? "; " : "", platform, *text ? ": " : "",
		 text);
}

static const struct attester_ops *pick_auto(const struct attester_config *config, char *ret_why,
					    size_t size)
{
	char why[256];

	ret_why[0] = '\0';
	for (const struct attester_ops *const *ops = attester_table; *ops; ops++) {
		/* Reports that prove nothing are asked for by name. */
		if ((*ops)->insecure)
			continue;
		why[0] = '\0';
		if ((*ops)->probe(config, why, sizeof(why)) == 0) {
			snprintf(ret_why, size, "%s", why);
			return *ops;
		}
		add_text(ret_why, size, (*ops)->platform, why);
	}
	return NULL;
}

const struct attester_ops *attester_pick(const char *name, const struct attester_config *config,
					 char *ret_why, size_t size)
{
	if (strcmp(name, "auto") == 0)
		return pick_auto(config, ret_why, size);
	for (const struct attester_ops *const *ops = attester_table; *ops; ops++) {
		if (strcmp((*ops)->platform, name) == 0) {
			snprintf(ret_why, size, "it is configured");
			return *ops;
		}
	}
	snprintf(ret_why, size, "there is no attester of that name, only auto");
	for (const struct attester_ops *const *ops = attester_table; *ops; ops++) {
		size_t len = strlen(ret_why);

		snprintf(ret_why + len, size - len, ", %s", (*ops)->platform);
	}
	return NULL;
}
