/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_TDX_FIXTURE_SIGN_H
#define ASSAY_TESTS_TDX_FIXTURE_SIGN_H

#include "tdx_fixture.h"

/* Between the fixture's two halves: its PKI, and its quoting enclave. */

/* r || s of ECDSA P-256 with SHA-256. */
void tdx_fixture_sign(EVP_PKEY *key, struct view data, uint8_t ret[64]);

/* A good body and QE report. */
void tdx_fixture_describe_quote(struct tdx_fixture *f);

void tdx_fixture_append_pem(struct bytes *to, X509 *x);

#endif
