/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_TLS_H
#define ASSAY_DAEMON_TLS_H

#include <openssl/ssl.h>

#include "claims.h"

/* TLS towards the verifier: docs/protocol.md, "Channel". */

/*
 * A client context for TLS 1.3: the verifier is checked against the CA file, our
 * certificate is self-signed over a key made here. -ENOENT: the CA cannot be
 * read or holds no certificate; -EIO: OpenSSL failed.
 */
MUST_CHECK int tls_context(const char *ca_file, SSL_CTX **ret);

/* A session whose peer must have a certificate for name (a host name or an address). -ENOMEM. */
MUST_CHECK int tls_session(SSL_CTX *ctx, const char *name, SSL **ret);

/* RFC 9266 tls-exporter of a finished handshake. -EPROTO: not TLS 1.3, or the peer is not verified.
 */
MUST_CHECK int tls_exporter(SSL *ssl, uint8_t ret[EXPORTER_SIZE]);

#endif
