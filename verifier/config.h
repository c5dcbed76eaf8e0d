/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_CONFIG_H
#define ASSAY_VERIFIER_CONFIG_H

#include <stdint.h>

#include "bytes.h"

/*
 * /etc/assay/verifierd.yaml, checked against its schema. assay-verifierd.yaml(5)
 * describes every key. Names of files are kept as they are written: relative ones
 * belong to the folder of the configuration file, see config_path().
 */

#define VERIFIER_CONFIG_MAX   (1024 * 1024)
#define VERIFIER_SECRETS_MAX  4096
#define VERIFIER_POLICIES_MAX 1024
#define VERIFIER_DIAL_MAX     64
#define VERIFIER_ROOTS_MAX    16
#define VERIFIER_RESULTS_KEYS_MAX 8

struct verifier_secret {
	char *name; /* 1 to 64 letters, digits, '.', '_' and '-', no '.' first */
	char *file;
};

struct verifier_config {
	char *listen; /* "host:port", "[::]:port"; NULL where there is `dial` alone */
	char **dial;  /* attesters in listen mode, host:port */
	size_t n_dial;
	char *certificate;		 /* PEM, the chain */
	char *key;			 /* PEM */
	char *store;			 /* SQLite file */
	struct verifier_secret *secrets; /* no name twice */
	size_t n_secrets;
	char *secrets_directory; /* each regular file is a secret of its name; NULL: none */
	char **policies;	 /* at least one */
	size_t n_policies;
	char *endorsements_directory; /* of a store; NULL: none */
	char *endorsements_bundle;    /* likewise, a tar file */
	char **test_roots; /* instead of the makers' roots; only with allow_test_roots */
	size_t n_test_roots;
	char *user;	      /* of the process that appraises, "_assay-verifier" */
	char *control_socket; /* "/run/assay-verifierd/control.sock" */
	uint64_t nonce_valid_ns;
	uint32_t sessions_max;
	char *results_listen;  /* host:port where their keys are served; NULL: nowhere */
	char *results_key;     /* PEM, P-256, signs attestation results; NULL: there are none */
	char **results_public; /* PEM: the keys that are served */
	size_t n_results_public;
	int64_t results_valid_seconds;
	int log_level; /* enum log_level */
};

/*
 * Parses; pure. file names it in errors. -EINVAL, and *ret_error has a line a problem,
 * "FILE:LINE: KEY: expected ..., found ..." (free() it). -ENOMEM.
 */
MUST_CHECK int verifier_config_parse(struct view text, const char *file,
				     struct verifier_config **ret, char **ret_error);
void verifier_config_free(struct verifier_config *c);

/*
 * The path of a file that a configuration in that directory names: name itself where
 * it is absolute, DIRECTORY/NAME otherwise. NULL: no memory. free() it.
 */
char *config_path(const char *directory, const char *name);

#endif
