/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence_table.h"

#include <string.h>

const struct evidence_ops *const evidence_table[] = {
	&evidence_tpm,
	&evidence_soft,
	&evidence_tdx,
	&evidence_sev_snp,
	&evidence_csv,
	&evidence_cca,
	&evidence_vtpm, /* in sessions, of either form */
	&evidence_svsm,
	NULL,
};

const struct evidence_ops *evidence_find(const char *platform)
{
	for (const struct evidence_ops *const *ops = evidence_table; *ops; ops++) {
		if (strcmp((*ops)->platform, platform) == 0)
			return *ops;
	}
	return NULL;
}
