/* SPDX-License-Identifier: Apache-2.0 */
/* Who an application runs as. */
#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch.h"

#define LOOKUP_MAX (64 * 1024)

static int number_of(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long long v;

	if (!isdigit((unsigned char)*text))
		return -ENOENT;
	errno = 0;
	v = strtoull(text, &end, 10);
	/* All bits set means "no change" to the system calls. */
	if (errno != 0 || *end != '\0' || v >= UINT32_MAX)
		return -ENOENT;
	*ret = (uint32_t)v;
	return 0;
}

static int keep_text(char *to, size_t size, const char *text)
{
	int n = snprintf(to, size, "%s", text);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int find_user(const char *name, char *buffer, struct passwd *store, struct passwd **ret)
{
	struct passwd *pw = NULL;
	uint32_t uid;
	int r;

	if (!name)
		r = getpwuid_r(getuid(), store, buffer, LOOKUP_MAX, &pw);
	else if (number_of(name, &uid) == 0)
		r = getpwuid_r(uid, store, buffer, LOOKUP_MAX, &pw);
	else
		r = getpwnam_r(name, store, buffer, LOOKUP_MAX, &pw);
	if (r != 0)
		return -r;
	if (!pw)
		return -ENOENT;
	*ret = pw;
	return 0;
}

static int find_group(const char *name, char *buffer, gid_t *ret)
{
	struct group store, *gr = NULL;
	uint32_t gid;
	int r;

	if (number_of(name, &gid) == 0) {
		*ret = gid;
		return 0;
	}
	r = getgrnam_r(name, &store, buffer, LOOKUP_MAX, &gr);
	if (r != 0)
		return -r;
	if (!gr)
		return -ENOENT;
	*ret = gr->gr_gid;
	return 0;
}

int launch_user_of(const struct config_application *a, struct launch_user *ret)
{
	struct launch_user user = { 0 };
	struct passwd store, *pw = NULL;
	int n = LAUNCH_GROUPS_MAX, r;
	char *buffer;

	buffer = malloc(LOOKUP_MAX);
	if (!buffer)
		return -ENOMEM;
	r = find_user(a->user, buffer, &store, &pw);
	if (r < 0)
		goto out;
	user.uid = pw->pw_uid;
	user.gid = pw->pw_gid;
	r = keep_text(user.name, sizeof(user.name), pw->pw_name);
	if (r == 0)
		r = keep_text(user.home, sizeof(user.home), pw->pw_dir);
	if (r == 0)
		r = keep_text(user.shell, sizeof(user.shell), pw->pw_shell);
	if (r == 0 && a->group)
		r = find_group(a->group, buffer, &user.gid);
	if (r < 0)
		goto out;
	if (getgrouplist(user.name, user.gid, user.groups, &n) < 0) {
		r = -E2BIG;
		goto out;
	}
	user.n_groups = (size_t)n;
	*ret = user;
out:
	free(buffer);
	return r;
}
