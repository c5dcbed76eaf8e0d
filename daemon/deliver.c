/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets as arguments and in the environment. */
#include "deliver.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "launch.h"

#define PLACE_START "{secret:"
#define PLACE_END   '}'

#define NAME_MAX_LEN	 255 /* a file's name */
#define STRINGS_MAX	 4096
#define DEFAULT_PATH	 "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define DEFAULT_LANGUAGE "C.UTF-8"

bool deliver_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_LEN || name[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	}
	return true;
}

/*
 * Strings for execve, gathered in one block of secret memory that has its largest
 * size from the start: growing would leave copies behind.
 */
static int strings_new(size_t most, struct deliver_strings *ret)
{
	struct deliver_strings s = { 0 };
	int r;

	if (most > STRINGS_MAX)
		return -EMSGSIZE;
	s.list = calloc(most + 1, sizeof(*s.list));
	if (!s.list)
		return -ENOMEM;
	r = secret_new(SECRET_MAX, &s.content);
	if (r < 0) {
		free(s.list);
		return r;
	}
	s.content.len = 0;
	*ret = s;
	return 0;
}

void deliver_strings_done(struct deliver_strings *s)
{
	if (s->content.data) {
		s->content.len = SECRET_MAX;
		secret_done(&s->content);
	}
	free(s->list);
	*s = (struct deliver_strings){ 0 };
}

static int add_part(struct deliver_strings *s, struct view part)
{
	if (part.len > SECRET_MAX - s->content.len)
		return -EMSGSIZE;
	if (part.len > 0)
		memcpy(s->content.data + s->content.len, part.data, part.len);
	s->content.len += part.len;
	return 0;
}

static void begin_string(struct deliver_strings *s)
{
	s->list[s->n] = (char *)s->content.data + s->content.len;
}

static int end_string(struct deliver_strings *s)
{
	int r = add_part(s, view_of("", 1));

	if (r == 0)
		s->n++;
	return r;
}

static int add_secret(struct deliver_strings *s, const struct secret *value)
{
	struct view v = secret_view(value);

	/* The program would see the part before it and take it for the whole. */
	if (v.len > 0 && memchr(v.data, 0, v.len))
		return -EINVAL;
	return add_part(s, v);
}

static const struct secret *find_argument(const struct config_application *a,
					  const struct deliver_secret *secrets, size_t n,
					  struct view name)
{
	for (size_t i = 0; i < n; i++) {
		if (view_is(name, secrets[i].name) &&
		    config_deliver_of(a, secrets[i].stage) == DELIVER_ARGUMENT)
			return secrets[i].value;
	}
	return NULL;
}

/* One argument, with the places in it filled in. What a secret contains is not looked at again. */
static int add_argument(const struct config_application *a, const struct deliver_secret *secrets,
			size_t n, const char *text, struct deliver_strings *s)
{
	const char *place, *end;
	int r;

	begin_string(s);
	while ((place = strstr(text, PLACE_START)) && (end = strchr(place, PLACE_END))) {
		const char *name = place + strlen(PLACE_START);
		const struct secret *value =
			find_argument(a, secrets, n, view_of(name, (size_t)(end - name)));

		if (!value)
			return -ENOENT;
		r = add_part(s, view_of(text, (size_t)(place - text)));
		if (r == 0)
			r = add_secret(s, value);
		if (r < 0)
			return r;
		text = end + 1;
	}
	r = add_part(s, view_text(text));
	if (r < 0)
		return r;
	return end_string(s);
}

int deliver_arguments(const struct config_application *a, const struct deliver_secret *secrets,
		      size_t n, struct deliver_strings *ret)
{
	CLEANUP(deliver_strings_done) struct deliver_strings s = { 0 };
	size_t count = 0;
	int r;

	while (a->exec[count])
		count++;
	r = strings_new(count, &s);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		r = add_argument(a, secrets, n, a->exec[i], &s);
		if (r < 0)
			return r;
	}
	*ret = s;
	s = (struct deliver_strings){ 0 };
	return 0;
}

static int add_variable(struct deliver_strings *s, const char *name, const char *value)
{
	int r;

	begin_string(s);
	r = add_part(s, view_text(name));
	if (r == 0)
		r = add_part(s, view_text("="));
	if (r == 0)
		r = add_part(s, view_text(value));
	return r < 0 ? r : end_string(s);
}

static bool is_configured(const struct config_application *a, const char *name)
{
	for (size_t i = 0; i < a->n_environment; i++) {
		if (strcmp(a->environment[i].name, name) == 0)
			return true;
	}
	return false;
}

static int add_secret_variable(struct deliver_strings *s, const struct deliver_secret *secret)
{
	int r = 0;

	begin_string(s);
	for (const char *c = secret->name; *c && r == 0; c++) {
		char up = *c == '-' || *c == '.' ? '_' : (char)toupper((unsigned char)*c);

		r = add_part(s, view_of(&up, 1));
	}
	if (r == 0)
		r = add_part(s, view_text("="));
	if (r == 0)
		r = add_secret(s, secret->value);
	return r < 0 ? r : end_string(s);
}

int deliver_environment(const struct config_application *a, const struct launch_user *user,
			const char *lang, const char *credentials,
			const struct deliver_secret *secrets, size_t n, struct deliver_strings *ret)
{
	const struct {
		const char *name, *value;
	} own[] = {
		{ "PATH", DEFAULT_PATH },
		{ "LANG", lang ? lang : DEFAULT_LANGUAGE },
		{ "HOME", user->home },
		{ "USER", user->name },
		{ "LOGNAME", user->name },
		{ "SHELL", user->shell },
		{ "CREDENTIALS_DIRECTORY", credentials },
	};
	CLEANUP(deliver_strings_done) struct deliver_strings s = { 0 };
	int r;

	r = strings_new(ARRAY_LEN(own) + a->n_environment + n, &s);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		if (!own[i].value || is_configured(a, own[i].name))
			continue;
		r = add_variable(&s, own[i].name, own[i].value);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < a->n_environment; i++) {
		r = add_variable(&s, a->environment[i].name, a->environment[i].value);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < n; i++) {
		if (config_deliver_of(a, secrets[i].stage) != DELIVER_ENVIRONMENT)
			continue;
		r = add_secret_variable(&s, &secrets[i]);
		if (r < 0)
			return r;
	}
	*ret = s;
	s = (struct deliver_strings){ 0 };
	return 0;
}
