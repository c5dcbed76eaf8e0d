/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <arpa/inet.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "cleanup.h"

/* Ten years: the certificate only carries a key, and the machine's clock may be wrong at boot. */
#define CERTIFICATE_SECONDS (10L * 365 * 24 * 3600)

static int own_certificate(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name;
	int r = -EIO;

	if (!key || !cert)
		goto out;
	name = X509_get_subject_name(cert);
	if (!X509_set_version(cert, X509_VERSION_3) ||
	    !ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) ||
	    !X509_gmtime_adj(X509_getm_notBefore(cert), -24L * 3600) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), CERTIFICATE_SECONDS) ||
	    !X509_set_pubkey(cert, key) ||
	    !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"assayd", -1, -1,
					0) ||
	    !X509_set_issuer_name(cert, name) || !X509_sign(cert, key, EVP_sha256()))
		goto out;
	if (SSL_CTX_use_certificate(ctx, cert) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1)
		goto out;
	r = 0;
out:
	X509_free(cert);
	EVP_PKEY_free(key);
	return r;
}

int tls_context(const char *ca_file, SSL_CTX **ret)
{
	SSL_CTX *ctx;
	int r;

	ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx)
		return -ENOMEM;
	r = -EIO;
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1)
		goto fail;
	/* Evidence is bound to one session; resuming one would only add ways to be wrong. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	r = -ENOENT;
	if (SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1)
		goto fail;
	r = own_certificate(ctx);
	if (r < 0)
		goto fail;
	*ret = ctx;
	return 0;
fail:
	SSL_CTX_free(ctx);
	return r;
}

int tls_session(SSL_CTX *ctx, const char *name, SSL **ret)
{
	unsigned char address[16];
	SSL *ssl;
	bool is_address;

	ssl = SSL_new(ctx);
	if (!ssl)
		return -ENOMEM;
	is_address =
		inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
	if (is_address
		    ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) != 1
		    : (SSL_set1_host(ssl, name) != 1 || SSL_set_tlsext_host_name(ssl, name) != 1)) {
		SSL_free(ssl);
		return -ENOMEM;
	}
	*ret = ssl;
	return 0;
}

int tls_exporter(SSL *ssl, uint8_t ret[EXPORTER_SIZE])
{
	if (SSL_version(ssl) != TLS1_3_VERSION || SSL_get_verify_result(ssl) != X509_V_OK ||
	    !SSL_get0_peer_certificate(ssl))
		return -EPROTO;
	if (SSL_export_keying_material(ssl, ret, EXPORTER_SIZE, EXPORTER_LABEL,
				       strlen(EXPORTER_LABEL), NULL, 0, 0) != 1)
		return -EPROTO;
	return 0;
}
