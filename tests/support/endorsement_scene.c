/* SPDX-License-Identifier: Apache-2.0 */
#include "endorsement_scene.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COMMAND_MAX 2048

void endorsement_scene_open(struct endorsement_scene *s)
{
	*s = (struct endorsement_scene){ 0 };
	snprintf(s->directory, sizeof(s->directory), "%s/assay-endorsements-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : P_tmpdir);
	assert_non_null(mkdtemp(s->directory));
}

void endorsement_scene_close(struct endorsement_scene *s)
{
	int status;

	if (s->server > 0) {
		kill(s->server, SIGKILL);
		assert_int_equal(waitpid(s->server, &status, 0), s->server);
	}
	endorsement_scene_expect(s, 0, "rm -rf DIR");
}

static int run(const struct endorsement_scene *s, const char *command)
{
	char whole[COMMAND_MAX] = "", *to = whole;
	int status;

	for (const char *at = command; *at; at++) {
		size_t left = sizeof(whole) - (size_t)(to - whole);

		if (strncmp(at, "DIR", 3) == 0)
			to += snprintf(to, left, "%s", s->directory), at += 2;
		else if (strncmp(at, "KDS", 3) == 0)
			to += snprintf(to, left, "http://127.0.0.1:%d", s->port), at += 2;
		else if (strncmp(at, "assay ", 6) == 0)
			to += snprintf(to, left, "%s ", ASSAY_PROGRAM), at += 5;
		else
			*to++ = *at;
		assert_true(to < whole + sizeof(whole) - 1);
	}
	*to = '\0';
	status = system(whole);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void endorsement_scene_expect(const struct endorsement_scene *s, int status, const char *command)
{
	int got = run(s, command);

	if (got != status)
		fail_msg("%s: %d, not %d", command, got, status);
}

void endorsement_scene_write(const struct endorsement_scene *s, const char *name,
			     struct view content)
{
	char path[320];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", s->directory, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(content.data, 1, content.len, f), content.len);
	assert_int_equal(fclose(f), 0);
}

void endorsement_scene_answer(const struct endorsement_scene *s, const char *answers)
{
	char *text = NULL;

	assert_true(asprintf(&text, "{%s}", answers) > 0);
	endorsement_scene_write(s, "answers.json", view_text(text));
	free(text);
}

void endorsement_scene_serve(struct endorsement_scene *s)
{
	char text[16] = "";
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	s->server = fork();
	assert_true(s->server >= 0);
	if (s->server == 0) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execlp("python3", "python3", SERVER, s->directory, NULL);
		_exit(127);
	}
	close(fds[1]);
	for (size_t n = 0; n + 1 < sizeof(text) && !strchr(text, '\n'); n++)
		assert_int_equal(read(fds[0], text + n, 1), 1);
	close(fds[0]);
	s->port = atoi(text);
	assert_true(s->port > 0);
}
