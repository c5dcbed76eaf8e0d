/* SPDX-License-Identifier: Apache-2.0 */
#include "measure_parts.h"

#include <string.h>

#define BLANK " \t"

/* As the kernel looks at no more of the first line (BINPRM_BUF_SIZE). */
#define LINE_MAX_KERNEL 256

/* Where env(1) looks without PATH: what the C library's confstr(_CS_PATH) and assayd's own give. */
static const char *const default_path[] = {
	"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
};

/* The next word of the line, cut out in place; NULL at its end. */
static char *next_word(char **line)
{
	char *word = *line + strspn(*line, BLANK);
	size_t len = strcspn(word, BLANK);

	if (len == 0)
		return NULL;
	*line = word + len + (word[len] != '\0');
	word[len] = '\0';
	return word;
}

/* What env would run: the first word that is neither an option nor an assignment. */
static char *program_of_env(char *arguments)
{
	char *word;

	while ((word = next_word(&arguments))) {
		if (word[0] != '-' && !strchr(word, '='))
			return word;
	}
	return NULL;
}

static int find_program(const char *name, char **ret)
{
	char path[PATH_MAX];

	if (name[0] == '/') {
		*ret = strdup(name);
		return *ret ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < ARRAY_LEN(default_path) && !strchr(name, '/'); i++) {
		int n = snprintf(path, sizeof(path), "%s/%s", default_path[i], name);

		if (n < 0 || (size_t)n >= sizeof(path) || access(path, X_OK) < 0)
			continue;
		*ret = strdup(path);
		return *ret ? 0 : -ENOMEM;
	}
	*ret = NULL;
	return 0;
}

int script_parse(struct view start, char **ret_interpreter, char **ret_program)
{
	CLEANUP(cleanup_mem) char *interpreter = NULL;
	char line[LINE_MAX_KERNEL + 1], *at = line, *word, *program = NULL;
	size_t len;
	int r;

	if (start.len < 2 || memcmp(start.data, "#!", 2) != 0)
		return -ENOEXEC;
	len = start.len - 2 < LINE_MAX_KERNEL ? start.len - 2 : LINE_MAX_KERNEL;
	memcpy(line, start.data + 2, len);
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';

	word = next_word(&at);
	if (!word || word[0] != '/')
		return -ENOEXEC;
	interpreter = strdup(word);
	if (!interpreter)
		return -ENOMEM;
	if (strcmp(strrchr(interpreter, '/'), "/env") == 0)
		word = program_of_env(at);
	else
		word = NULL;
	if (word) {
		r = find_program(word, &program);
		if (r < 0)
			return r;
	}
	*ret_interpreter = TAKE(interpreter);
	*ret_program = program;
	return 0;
}
