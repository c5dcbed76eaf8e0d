/* SPDX-License-Identifier: Apache-2.0 */
#include "server_tls.h"

#include <stdlib.h>

#include <openssl/err.h>

#include "cleanup.h"
#include "log.h"

static int take_as_it_comes(X509_STORE_CTX *ctx, void *arg)
{
	return 1;
}

static void ctx_freep(SSL_CTX **ctx)
{
	SSL_CTX_free(*ctx);
}

static int complain(const char *path)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	log_error("%s: %s", path, why ? why : "it cannot be used");
	ERR_clear_error();
	return -EINVAL;
}

int server_tls_open(const struct verifier_config *config, const char *directory, SSL_CTX **ret)
{
	CLEANUP(cleanup_mem) char *certificate = config_path(directory, config->certificate);
	CLEANUP(cleanup_mem) char *key = config_path(directory, config->key);
	CLEANUP(ctx_freep) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx || !certificate || !key)
		return -ENOMEM;
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 0) != 1 || SSL_CTX_set_max_early_data(ctx, 0) != 1)
		return -EIO;
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, take_as_it_comes, NULL);
	if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
		return complain(certificate);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return complain(key);
	*ret = TAKE(ctx);
	return 0;
}
