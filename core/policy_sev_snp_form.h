/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_POLICY_SEV_SNP_FORM_H
#define ASSAY_POLICY_SEV_SNP_FORM_H

#include "policy_platform.h"

/* `platforms.sev-snp` as it is written, and what it means. */

struct policy_snp_tcb_form {
	char *bootloader, *tee, *snp, *microcode, *fmc;
};

struct policy_snp_form {
	struct policy_texts measurement, host_data, id_key_digest, author_key_digest;
	struct policy_texts family_id, image_id, chip_id;
	struct policy_texts products, keys;
	enum policy_accept debug, migration;
	enum { SNP_CRL_UNSET, SNP_CRL_REQUIRE, SNP_CRL_ALLOW } crl;
	char *vmpl_max, *guest_svn_min;
	struct policy_snp_tcb_form *minimum_tcb;
	struct policy_flags_form *platform, *guest_policy;

	struct policy_snp rules;
};

extern const struct cyaml_schema_field policy_snp_fields[];

/* Works out f->rules; problems go to d. -ENOMEM. */
MUST_CHECK int policy_read_sev_snp(struct yamldoc *d, struct arena *arena,
				   struct policy_snp_form *f);

#endif
