/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_TESTS_ENDORSEMENT_SCENE_H
#define ASSAY_TESTS_ENDORSEMENT_SCENE_H

#include <sys/types.h>

#include "bytes.h"

/*
 * `assay endorsements` as its users meet it: a directory of the test's own, and makers' services
 * (endorsement_server.py) on loopback. All functions fail the running test where something cannot
 * be done.
 */

struct endorsement_scene {
	char directory[256];
	pid_t server;
	int port;
};

/* Makes the directory. */
void endorsement_scene_open(struct endorsement_scene *s);
/* Ends the server and removes the directory. */
void endorsement_scene_close(struct endorsement_scene *s);

/* The services begin, with the answers that were given. */
void endorsement_scene_serve(struct endorsement_scene *s);

/* What they answer from now on: JSON as in endorsement_server.py, without the outer braces. */
void endorsement_scene_answer(const struct endorsement_scene *s, const char *answers);

/*
 * Runs a shell command and compares its exit status; "DIR" in it is the directory, "KDS" the
 * services' address, "assay " the program.
 */
void endorsement_scene_expect(const struct endorsement_scene *s, int status, const char *command);

void endorsement_scene_write(const struct endorsement_scene *s, const char *name,
			     struct view content);

#endif
