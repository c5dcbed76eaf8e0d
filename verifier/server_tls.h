/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_VERIFIER_SERVER_TLS_H
#define ASSAY_VERIFIER_SERVER_TLS_H

#include <openssl/ssl.h>

#include "config.h"

/*
 * TLS 1.3 and nothing older, the verifier's certificate and key. No session is resumed,
 * nothing is read early. The attester's certificate is taken as it comes: what counts is
 * signed by the chip and bound to the session by its exporter. Errors are logged.
 */
MUST_CHECK int server_tls_open(const struct verifier_config *config, const char *directory,
			       SSL_CTX **ret);

#endif
