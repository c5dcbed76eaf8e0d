/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_APP_SERVER_H
#define ASSAY_TESTS_APP_SERVER_H

#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>

#include "app.pb-c.h"

/* A server on an abstract socket that answers applications as the test wants it. */

#define SEALS	 (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define SECRET	 "the secret of stage two is here!" /* 32 bytes, a block's key */
#define SHORT_MS 60				    /* to wait for what does not come */
#define LONG_MS	 5000				    /* to wait for what comes */

/* How the server behaves: one function that gets each request. */
struct server {
	void (*behave)(struct server *s, int peer, const Assay__Request *q);
	char path[108]; /* abstract: "@..." */
	int listener;
	pthread_t thread;
	size_t seen; /* requests so far */
};

/* Starts a thread that serves; its path in s->path. */
void server_start(struct server *s,
		  void (*behave)(struct server *s, int peer, const Assay__Request *q));
void server_stop(struct server *s);

/* A memfd with that content and those seals. */
int memfd_of(const void *data, size_t len, int seals);

/* Sends a packet with up to 16 copies of one descriptor, which it closes. */
void send_raw(int peer, const void *data, size_t len, int fd, size_t copies);
void send_answer(int peer, const Assay__Answer *a, int fd, size_t copies);

/* "Done", and a good answer to GetSecret (the descriptor goes with send_answer). */
Assay__Answer answer_to(const Assay__Request *q);
Assay__Answer secret_answer(const Assay__Request *q);

/* How many descriptors this process has open. */
size_t open_descriptors(void);

#endif
