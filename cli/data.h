/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_DATA_H
#define ASSAY_CLI_DATA_H

/*
 * How the files of a split data set are named: OUTDIR/block-I.assay, and
 * OUTDIR/secrets/block-I-key, whose file name is the secret's name at the verifier.
 */
#define DATA_BLOCK_FORMAT "block-%u.assay"
#define DATA_KEY_FORMAT	  "block-%u-key"
#define DATA_SECRETS	  "secrets"
#define DATA_STAGES	  "stages.yaml"

#endif
