/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/guard.h"

#include <bpf/btf.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "cleanup.h"
#include "collectors/follow_state.h"
#include "guard.skel.h"

/* What to do about it. */
#define ADVICE                                                                                     \
	"needed is a kernel with BPF LSM (CONFIG_BPF_LSM), started with bpf in lsm= on its "       \
	"command line (lsm=LIST,bpf with LIST from /sys/kernel/security/lsm)"

struct guard {
	struct follow *follow;
	struct guard_bpf *skel; /* NULL: nothing is guarded */
	uint32_t wanted;
	char why_not[320];
};

/* Which programs what is wanted needs; file_open, which tells that it is asked, is always there. */
static const struct {
	const char *name;
	uint32_t parts;
} programs[] = {
	{ "guard_access", GUARD_SELF },	      { "guard_signal", GUARD_SELF },
	{ "guard_limit", GUARD_SELF },	      { "guard_map", GUARD_SELF },
	{ "guard_program", GUARD_SELF },      { "guard_call", GUARD_SELF },
	{ "guard_unlink", GUARD_FILES },      { "guard_rename", GUARD_FILES },
	{ "guard_setattr", GUARD_FILES },     { "guard_setxattr", GUARD_FILES },
	{ "guard_removexattr", GUARD_FILES }, { "guard_mkdir", GUARD_CHIP },
};

static const char *const part_names[GUARD_PARTS] = { "self", "files", "chip" };

static const char *const denial_names[GUARD_DENIALS] = {
	[GUARD_DENIED_ACCESS] = "access", [GUARD_DENIED_LOOK] = "look",
	[GUARD_DENIED_SIGNAL] = "signal", [GUARD_DENIED_LIMIT] = "limit",
	[GUARD_DENIED_OBJECT] = "object", [GUARD_DENIED_FILE] = "file",
	[GUARD_DENIED_CHIP] = "chip",
};

const char *guard_part_name(uint32_t part)
{
	for (size_t i = 0; i < GUARD_PARTS; i++) {
		if (part == 1U << i)
			return part_names[i];
	}
	return "unknown";
}

const char *guard_denial_name(uint32_t kind)
{
	return kind < GUARD_DENIALS ? denial_names[kind] : "unknown";
}

/*
 * Kernels since 6.9 hand inode_setattr the mount's idmap first. Their types tell; -EOPNOTSUPP:
 * there is no such hook.
 */
static int find_setattr_dentry(uint32_t *ret)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const struct btf_type *t;
	int id, r = -EOPNOTSUPP;

	if (!btf)
		return neg_errno();
	id = btf__find_by_name_kind(btf, "bpf_lsm_inode_setattr", BTF_KIND_FUNC);
	if (id > 0) {
		t = btf__type_by_id(btf, btf__type_by_id(btf, (uint32_t)id)->type);
		for (uint32_t i = 0; i < btf_vlen(t) && i < 2 && r < 0; i++) {
			const struct btf_type *p = btf__type_by_id(btf, btf_params(t)[i].type);

			if (!btf_is_ptr(p))
				continue;
			p = btf__type_by_id(btf, p->type);
			if (strcmp(btf__name_by_offset(btf, p->name_off), "dentry") != 0)
				continue;
			*ret = i;
			r = 0;
		}
	}
	btf__free(btf);
	return r;
}

/* The same map as follow's, not another of that name. */
static int share(struct bpf_map *map, const struct bpf_map *with)
{
	return bpf_map__reuse_fd(map, bpf_map__fd(with));
}

static int open_programs(struct guard *g, struct guard_bpf *skel)
{
	uint32_t setattr_dentry = 0;
	int r = 0;

	if (g->wanted & GUARD_FILES)
		r = find_setattr_dentry(&setattr_dentry);
	if (r < 0)
		return r;
	skel->rodata->self_tgid = (uint32_t)getpid();
	skel->rodata->parts = g->wanted;
	skel->rodata->setattr_dentry = setattr_dentry;
	for (size_t i = 0; i < ARRAY_LEN(programs) && r == 0; i++) {
		struct bpf_program *p =
			bpf_object__find_program_by_name(skel->obj, programs[i].name);

		r = bpf_program__set_autoload(p, programs[i].parts & g->wanted);
	}
	if (r == 0)
		r = share(skel->maps.own, g->follow->skel->maps.own);
	if (r == 0)
		r = share(skel->maps.files, g->follow->skel->maps.files);
	if (r == 0)
		r = share(skel->maps.denied, g->follow->skel->maps.denied);
	return r;
}

/* A kernel whose list of LSMs does not have bpf takes the programs and never runs them. */
static bool is_asked(const struct guard_bpf *skel)
{
	CLEANUP(cleanup_fd) int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	return fd >= 0 && *(volatile uint64_t *)&skel->bss->asked > 0;
}

static void say(struct guard *g, const char *what, int error)
{
	snprintf(g->why_not, sizeof(g->why_not), "%s: %s; " ADVICE, what, strerror(-error));
}

static int start(struct guard *g, struct guard_bpf *skel)
{
	int r = open_programs(g, skel);

	if (r == 0)
		r = guard_bpf__load(skel);
	if (r < 0) {
		say(g, "its programs cannot be loaded", r);
		return r;
	}
	r = bpf_map_freeze(bpf_map__fd(skel->maps.denials));
	if (r == 0)
		r = guard_bpf__attach(skel);
	if (r < 0) {
		say(g, "its programs cannot be attached", r);
		return r;
	}
	if (!is_asked(skel)) {
		snprintf(g->why_not, sizeof(g->why_not),
			 "the kernel does not ask its programs; " ADVICE);
		return -EOPNOTSUPP;
	}
	return 0;
}

int guard_open(struct follow *f, uint32_t parts, struct guard **ret)
{
	struct guard *g = calloc(1, sizeof(*g));
	struct guard_bpf *skel;
	int r;

	if (!g)
		return -ENOMEM;
	g->follow = f;
	g->wanted = parts;
	libbpf_set_print(NULL); /* what went wrong is told by guard_why_not */
	skel = guard_bpf__open();
	if (!skel) {
		free(g);
		return -ENOMEM;
	}
	r = start(g, skel);
	if (r == 0) {
		g->skel = skel;
		r = guard_claim(g);
		if (r < 0)
			say(g, "its own objects cannot be guarded", r);
	}
	if (r < 0) {
		guard_bpf__destroy(skel);
		g->skel = NULL;
	}
	f->guard = g;
	*ret = g;
	return 0;
}

void guard_close(struct guard *g)
{
	if (!g)
		return;
	g->follow->guard = NULL;
	guard_bpf__destroy(g->skel);
	free(g);
}

const struct guard *guard_of(const struct follow *f)
{
	return f->guard;
}

uint32_t guard_wanted(const struct guard *g)
{
	return g->wanted;
}

uint32_t guard_active(const struct guard *g)
{
	return g->skel ? g->wanted : 0;
}

const char *guard_why_not(const struct guard *g)
{
	return g->why_not;
}

/* The kernel's name for what is behind a descriptor, and how to ask for its id. */
static int claim_one(const struct guard *g, int fd, const char *what)
{
	struct bpf_map_info map = { 0 };
	struct bpf_prog_info program = { 0 };
	struct bpf_link_info link = { 0 };
	struct guard_object key;
	uint32_t size, yes = 1;
	int r;

	if (strcmp(what, "anon_inode:bpf-map") == 0) {
		size = sizeof(map);
		r = bpf_obj_get_info_by_fd(fd, &map, &size);
		key = (struct guard_object){ GUARD_MAP, map.id };
	} else if (strcmp(what, "anon_inode:bpf-prog") == 0) {
		size = sizeof(program);
		r = bpf_obj_get_info_by_fd(fd, &program, &size);
		key = (struct guard_object){ GUARD_PROGRAM, program.id };
	} else if (strcmp(what, "anon_inode:bpf_link") == 0) {
		size = sizeof(link);
		r = bpf_obj_get_info_by_fd(fd, &link, &size);
		key = (struct guard_object){ GUARD_LINK, link.id };
	} else {
		return 0;
	}
	if (r == 0)
		r = bpf_map_update_elem(bpf_map__fd(g->skel->maps.objects), &key, &yes, BPF_ANY);
	return r == -E2BIG ? -ENOSPC : r;
}

int guard_claim(struct guard *g)
{
	struct dirent *e;
	char what[64];
	ssize_t n;
	DIR *dir;
	int r = 0;

	if (!g->skel || !(g->wanted & GUARD_SELF))
		return 0;
	dir = opendir("/proc/self/fd");
	if (!dir)
		return neg_errno();
	while (r == 0 && (e = readdir(dir))) {
		n = readlinkat(dirfd(dir), e->d_name, what, sizeof(what) - 1);
		if (n < 0)
			continue; /* "." and ".." */
		what[n] = '\0';
		r = claim_one(g, (int)strtol(e->d_name, NULL, 10), what);
	}
	closedir(dir);
	return r;
}

int guard_denials(const struct guard *g, struct guard_denied ret[GUARD_DENIALS])
{
	int r = 0;

	for (uint32_t i = 0; i < GUARD_DENIALS; i++)
		ret[i] = (struct guard_denied){ 0 };
	for (uint32_t i = 0; g->skel && i < GUARD_DENIALS && r == 0; i++)
		r = bpf_map_lookup_elem(bpf_map__fd(g->skel->maps.denials), &i, &ret[i]);
	return r;
}

static int add_part(struct mi *mi, uint32_t parts, uint32_t part, size_t *n, char ***list)
{
	char *text;
	int r;

	if (!(parts & part))
		return 0;
	r = mi_text(mi, guard_part_name(part), &text);
	return r < 0 ? r : mi_push(mi, n, list, text);
}

static int add_denial(struct mi *mi, Assay__Guard *out, uint32_t kind,
		      const struct guard_denied *denied)
{
	Assay__GuardDenial *d = MI_MESSAGE(mi, Assay__GuardDenial, assay__guard_denial__init);
	char comm[GUARD_COMM + 1] = "";
	int r;

	if (!d)
		return -ENOMEM;
	d->total = denied->count;
	d->boottime_ns = denied->boottime_ns;
	d->actor = denied->actor;
	memcpy(comm, denied->comm, GUARD_COMM);
	r = mi_text(mi, guard_denial_name(kind), &d->kind);
	if (r == 0)
		r = mi_text(mi, comm, &d->comm);
	return r < 0 ? r : mi_push(mi, &out->n_denials, &out->denials, d);
}

int guard_write(const struct guard *g, struct mi *mi, Assay__KernelEvents *out,
		uint64_t *ret_denied)
{
	struct guard_denied denied[GUARD_DENIALS];
	uint64_t sum = 0;
	Assay__Guard *guard;
	int r = 0;

	*ret_denied = 0;
	if (!g)
		return 0;
	guard = MI_MESSAGE(mi, Assay__Guard, assay__guard__init);
	if (!guard)
		return -ENOMEM;
	for (uint32_t i = 0; i < GUARD_PARTS && r == 0; i++) {
		r = add_part(mi, guard_wanted(g), 1U << i, &guard->n_wanted, &guard->wanted);
		if (r == 0)
			r = add_part(mi, guard_active(g), 1U << i, &guard->n_active,
				     &guard->active);
	}
	if (r == 0 && g->why_not[0])
		r = mi_text(mi, g->why_not, &guard->why_not);
	if (r == 0)
		r = guard_denials(g, denied);
	for (uint32_t i = 0; i < GUARD_DENIALS && r == 0; i++) {
		sum += i == GUARD_DENIED_LOOK ? 0 : denied[i].count;
		if (denied[i].count > 0)
			r = add_denial(mi, guard, i, &denied[i]);
	}
	if (r < 0)
		return r;
	out->guard = guard;
	*ret_denied = sum;
	return 0;
}
