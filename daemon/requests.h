/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_REQUESTS_H
#define ASSAY_DAEMON_REQUESTS_H

#include "app_socket.h"
#include "deliver.h"

/* What the monitor answers on the application socket and the credential socket; arg: struct daemon.
 */
extern const struct app_socket_ops requests_ops;
extern const struct deliver_socket_ops requests_credential_ops;

#endif
