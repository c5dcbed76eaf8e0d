/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_CHANNEL_H
#define ASSAY_DAEMON_CHANNEL_H

#include "application.h"
#include "monitor.h"

/* The monitor's end of the session: what net reports, and what is sent through it. */

/* A message from net; for privsep_new. */
int channel_on_net(void *daemon, uint32_t type, struct view message);

/* Hands a message of the session to net. */
MUST_CHECK int channel_send(struct daemon *d, const Assay__ToVerifier *m);

/* Asks the verifier for a fresh nonce. */
MUST_CHECK int channel_ask_nonce(struct daemon *d, const char *application, uint32_t stage);

/* Sends the first evidence of the application's queue, if none is under way. */
void channel_flush(struct application *a);

/* Ends the session, for this reason; net begins a new one. */
void channel_close(struct daemon *d, const char *why);

/* A Receipt; kept while there is no session. */
void channel_receipt(struct daemon *d, const Assay__Receipt *receipt);

#endif
