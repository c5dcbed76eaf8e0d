/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds what the dynamic loader would open for a program: ld.so(8) and glibc's
 * elf/dl-load.c. It differs in one thing, on purpose: of libraries that come in
 * variants for processors (glibc-hwcaps) every variant is taken, since M must not depend on
 * the processor it is made on. LD_LIBRARY_PATH and LD_PRELOAD are not part of it: they are the
 * environment's (MI item 5).
 */
#include "measure_parts.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>

#include <elf.h>

#define CACHE_FILE    "/etc/ld.so.cache"
#define CACHE_MAX     (16 * 1024 * 1024)
#define PRELOAD_FILE  "/etc/ld.so.preload"
#define PRELOAD_MAX   (64 * 1024)
#define PRELOAD_BLANK " \t\n:"
#define VARIANTS      "glibc-hwcaps"
#define OBJECTS_MAX   4096  /* libraries of one program */
#define LIBRARIES_MAX 65536 /* files looked at by one loader */
#define SCRIPT_DEPTH  5	    /* interpreters of interpreters, as the kernel */

/* A file that was looked at once. */
struct library {
	char *path;
	bool usable; /* an ELF file */
	bool told;   /* on_path knows */
	struct elf_facts facts;
};

struct loader {
	struct bytes cache, preload;
	struct library **libraries; /* by path */
	size_t n, room;
	/* of the call in progress */
	int (*on_path)(void *arg, const char *path);
	void *arg;
};

/* One program and what is loaded for it so far, in the loader's order. */
struct object {
	struct library *library;
	const char *asked; /* the name it was asked for by; NULL for the program */
	size_t by;	   /* which object asked */
};

struct run {
	struct loader *loader;
	struct object objects[OBJECTS_MAX];
	size_t n;
	char lib[PATH_MAX]; /* $LIB */
};

static int read_file(const char *path, struct bytes *ret)
{
	CLEANUP(cleanup_fd) int fd = -1;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return neg_errno();
	return bytes_read_fd(ret, fd);
}

static void drop_comments(struct bytes *b)
{
	bool comment = false;

	for (size_t i = 0; i < b->len; i++) {
		comment = b->data[i] != '\n' && (comment || b->data[i] == '#');
		if (comment)
			b->data[i] = ' ';
	}
}

int loader_new(struct loader **ret)
{
	CLEANUP(loader_freep) struct loader *l = NULL;
	int r;

	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->cache = BYTES_INIT(CACHE_MAX);
	l->preload = BYTES_INIT(PRELOAD_MAX);
	/* Without a cache the loader goes by the default directories, and so does this. */
	r = read_file(CACHE_FILE, &l->cache);
	if (r == -ENOMEM)
		return r;
	r = read_file(PRELOAD_FILE, &l->preload);
	if (r < 0 && r != -ENOENT)
		return r;
	drop_comments(&l->preload);
	*ret = TAKE(l);
	return 0;
}

void loader_free(struct loader *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++) {
		elf_facts_done(&l->libraries[i]->facts);
		free(l->libraries[i]->path);
		free(l->libraries[i]);
	}
	free(l->libraries);
	bytes_done(&l->cache);
	bytes_done(&l->preload);
	free(l);
}

/* The place of path among the libraries known; true if it is there. */
static bool place_of(const struct loader *l, const char *path, size_t *ret)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(path, l->libraries[middle]->path);

		if (order == 0) {
			*ret = middle;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*ret = low;
	return false;
}

static int learn(struct library *b)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct stat st;
	int r;

	fd = open(b->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0; /* the loader looks further as well */
	r = elf_facts_read(fd, &b->facts);
	b->usable = r == 0;
	return r == -ENOEXEC ? 0 : r;
}

/* The file of that path, usable or not. */
static int library_of(struct loader *l, const char *path, struct library **ret)
{
	struct library *b;
	size_t place;
	int r;

	if (place_of(l, path, &place)) {
		*ret = l->libraries[place];
		return 0;
	}
	if (l->n == LIBRARIES_MAX)
		return -EMSGSIZE;
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		struct library **grown = realloc(l->libraries, room * sizeof(struct library *));

		if (!grown)
			return -ENOMEM;
		l->libraries = grown;
		l->room = room;
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->path = strdup(path);
	r = b->path ? learn(b) : -ENOMEM;
	if (r < 0) {
		free(b->path);
		free(b);
		return r;
	}
	memmove(&l->libraries[place + 1], &l->libraries[place],
		(l->n - place) * sizeof(struct library *));
	l->libraries[place] = b;
	l->n++;
	*ret = b;
	return 0;
}

static int tell(struct loader *l, struct library *b)
{
	if (b->told)
		return 0;
	b->told = true;
	return l->on_path(l->arg, b->path);
}

/* True if the program can use it: another machine's is passed over, as the loader does. */
static bool fits(const struct run *u, const struct library *b)
{
	const struct elf_facts *program = &u->objects[0].library->facts, *f = &b->facts;

	return b->usable && f->type == ET_DYN && f->class == program->class &&
	       f->order == program->order && f->machine == program->machine;
}

/* 1: it is there, fits, and the program has it now. 0: look further. */
static int try_path(struct run *u, const char *path, const char *asked, size_t by)
{
	struct library *b;
	int r;

	r = library_of(u->loader, path, &b);
	if (r < 0)
		return r;
	if (!fits(u, b))
		return 0;
	for (size_t i = 0; i < u->n; i++) {
		if (u->objects[i].library == b)
			return 1;
	}
	if (u->n == OBJECTS_MAX)
		return -EMSGSIZE;
	u->objects[u->n++] = (struct object){ .library = b, .asked = asked, .by = by };
	r = tell(u->loader, b);
	return r < 0 ? r : 1;
}

/* The variants for processors below a directory: all of them, none is the answer. */
static int try_variants(struct run *u, const char *directory, const char *name, size_t by)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d;
	int n, r = 0;

	n = snprintf(path, sizeof(path), "%s/" VARIANTS, directory);
	if (n < 0 || (size_t)n >= sizeof(path))
		return 0;
	d = opendir(path);
	if (!d)
		return 0;
	while (r >= 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		n = snprintf(path, sizeof(path), "%s/" VARIANTS "/%s/%s", directory, e->d_name,
			     name);
		if (n > 0 && (size_t)n < sizeof(path))
			r = try_path(u, path, name, by);
	}
	closedir(d);
	return r < 0 ? r : 0;
}

static int try_directory(struct run *u, const char *directory, const char *name, size_t by)
{
	char path[PATH_MAX];
	int n, r;

	r = try_variants(u, directory, name, by);
	if (r < 0)
		return r;
	n = snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return 0;
	return try_path(u, path, name, by);
}

/* Replaces $ORIGIN, $LIB and $PLATFORM, with or without braces. -ENAMETOOLONG. */
static int expand(const struct run *u, const struct object *o, const char *text, size_t len,
		  char to[PATH_MAX])
{
	const char *platform = (const char *)getauxval(AT_PLATFORM);
	const char *slash = strrchr(o->library->path, '/');
	const struct {
		const char *name, *value;
		size_t len;
	} tokens[] = {
		{ "ORIGIN", o->library->path, (size_t)(slash - o->library->path) },
		{ "LIB", u->lib, strlen(u->lib) },
		{ "PLATFORM", platform ? platform : "", platform ? strlen(platform) : 0 },
	};
	size_t at = 0, out = 0;

	while (at < len) {
		const char *value = text + at;
		size_t n = 1, skip = 1;

		for (size_t i = 0; text[at] == '$' && i < ARRAY_LEN(tokens); i++) {
			size_t name_len = strlen(tokens[i].name);
			bool braced = at + 1 < len && text[at + 1] == '{';
			size_t from = at + 1 + braced;

			if (len - from < name_len + braced ||
			    strncmp(text + from, tokens[i].name, name_len) != 0 ||
			    (braced && text[from + name_len] != '}'))
				continue;
			value = tokens[i].value;
			n = tokens[i].len;
			skip = 1 + braced + name_len + braced;
			break;
		}
		if (n >= PATH_MAX - out)
			return -ENAMETOOLONG;
		memcpy(to + out, value, n);
		out += n;
		at += skip;
	}
	to[out] = '\0';
	return 0;
}

static int try_list(struct run *u, const struct object *o, const char *list, const char *name,
		    size_t by)
{
	char directory[PATH_MAX];

	for (size_t len; *list != '\0'; list += len + (list[len] == ':')) {
		int r;

		len = strcspn(list, ":");
		r = expand(u, o, list, len, directory);
		/* Relative ones depend on the working directory, which is not known. */
		if (r < 0 || directory[0] != '/')
			continue;
		r = try_directory(u, directory, name, by);
		if (r != 0)
			return r;
	}
	return 0;
}

struct cache_try {
	struct run *run;
	const char *name;
	size_t by;
};

static int try_cached(void *arg, const char *path, bool special)
{
	struct cache_try *t = arg;
	int r;

	r = try_path(t->run, path, t->name, t->by);
	/* A variant for some processors: the plain one is taken as well. */
	return special && r == 1 ? 0 : r;
}

static int try_cache(struct run *u, const char *name, size_t by)
{
	struct cache_try t = { u, name, by };
	int r;

	r = ld_cache_find(bytes_view(&u->loader->cache), name, try_cached, &t);
	return r == -EBADMSG ? 0 : r;
}

static int try_defaults(struct run *u, const char *name, size_t by)
{
	static const char *const prefixes[] = { "/", "/usr/" };
	/*
	 * Debian's loader has its directories built in, wherever it is itself: in an initramfs it
	 * lies in lib64 and loads from lib/TRIPLET, where no ld.so.cache says so.
	 */
	const char *const names[] = { u->lib, ASSAY_MULTIARCH, "lib" };
	char directory[PATH_MAX + 8];
	int r;

	for (size_t k = 0; k < ARRAY_LEN(names); k++) {
		for (size_t i = 0; names[k][0] != '\0' && i < ARRAY_LEN(prefixes); i++) {
			snprintf(directory, sizeof(directory), "%s%s", prefixes[i], names[k]);
			r = try_directory(u, directory, name, by);
			if (r != 0)
				return r;
		}
	}
	return 0;
}

static bool is_loaded(const struct run *u, const char *name)
{
	for (size_t i = 0; i < u->n; i++) {
		const struct object *o = &u->objects[i];

		if (strcmp(o->library->path, name) == 0 ||
		    (o->asked && strcmp(o->asked, name) == 0) ||
		    (o->library->facts.soname && strcmp(o->library->facts.soname, name) == 0))
			return true;
	}
	return false;
}

/* RPATH of the object that asks, of the one that asked for it, and so on to the program. */
static int try_rpaths(struct run *u, const char *name, size_t by)
{
	size_t i = by;
	int r;

	if (u->objects[by].library->facts.runpath)
		return 0;
	for (;;) {
		const struct object *o = &u->objects[i];

		if (o->library->facts.rpath && !o->library->facts.runpath) {
			r = try_list(u, o, o->library->facts.rpath, name, by);
			if (r != 0)
				return r;
		}
		if (i == 0)
			return 0;
		i = o->by;
	}
}

/* One DT_NEEDED: the order of ld.so(8). */
static int load(struct run *u, const char *name, size_t by)
{
	const struct elf_facts *f = &u->objects[by].library->facts;
	char path[PATH_MAX];
	int r;

	if (is_loaded(u, name))
		return 0;
	if (strchr(name, '/')) {
		r = expand(u, &u->objects[by], name, strlen(name), path);
		if (r < 0 || path[0] != '/')
			return 0;
		return try_path(u, path, name, by);
	}
	r = try_rpaths(u, name, by);
	if (r != 0)
		return r;
	if (f->runpath) {
		r = try_list(u, &u->objects[by], f->runpath, name, by);
		if (r != 0)
			return r;
	}
	if (f->no_default_directories)
		return 0;
	r = try_cache(u, name, by);
	if (r != 0)
		return r;
	return try_defaults(u, name, by);
}

/* The libraries that are loaded into every program. */
static int load_preloads(struct run *u, char *list)
{
	struct library *b;
	char *at = NULL;
	int r;

	r = library_of(u->loader, PRELOAD_FILE, &b);
	if (r < 0)
		return r;
	r = tell(u->loader, b);
	for (char *name = strtok_r(list, PRELOAD_BLANK, &at); r >= 0 && name;
	     name = strtok_r(NULL, PRELOAD_BLANK, &at))
		r = load(u, name, 0);
	return r < 0 ? r : 0;
}

/* $LIB is where the interpreter is: lib, lib64, lib/x86_64-linux-gnu. */
static void find_lib(struct run *u, const char *interpreter)
{
	char real[PATH_MAX], *slash;
	const char *from = real;

	if (!realpath(interpreter, real))
		return;
	slash = strrchr(real, '/');
	*slash = '\0';
	if (strncmp(from, "/usr/", 5) == 0)
		from += 4;
	if (*from == '/')
		snprintf(u->lib, sizeof(u->lib), "%s", from + 1);
}

static int resolve_elf(struct loader *l, const char *path, char **ret_path)
{
	CLEANUP(cleanup_mem) struct run *u = NULL;
	CLEANUP(cleanup_mem) char *preload = NULL;
	struct library *program, *interpreter;
	int r;

	r = library_of(l, path, &program);
	if (r < 0)
		return r;
	if (!program->usable)
		return 0; /* begins like one and is none: it cannot be run or loaded */
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->loader = l;
	u->objects[u->n++] = (struct object){ .library = program };

	if (program->facts.interpreter) {
		const char *name = program->facts.interpreter;

		r = name[0] == '/' ? library_of(l, name, &interpreter) : -ENOENT;
		if (r < 0 || !interpreter->usable) {
			*ret_path = strdup(name);
			return r < 0 ? r : -ENOENT;
		}
		find_lib(u, name);
		u->objects[u->n++] = (struct object){ .library = interpreter, .asked = name };
		r = tell(l, interpreter);
		if (r < 0)
			return r;
		if (l->preload.len > 0) {
			preload = strndup((const char *)l->preload.data, l->preload.len);
			if (!preload)
				return -ENOMEM;
			r = load_preloads(u, preload);
			if (r < 0)
				return r;
		}
	}
	/* The loader goes breadth first; so the list grows while it is worked off. */
	for (size_t i = 0; i < u->n; i++) {
		const struct elf_facts *f = &u->objects[i].library->facts;

		for (size_t k = 0; k < f->n_needed; k++) {
			r = load(u, f->needed[k], i);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int resolve(struct loader *l, const char *path, unsigned int depth, char **ret_path);

static int resolve_program(struct loader *l, const char *path, unsigned int depth, char **ret_path)
{
	struct library *b;
	int r;

	if (access(path, F_OK) < 0) {
		*ret_path = strdup(path);
		return neg_errno();
	}
	r = library_of(l, path, &b);
	if (r < 0)
		return r;
	r = tell(l, b);
	if (r < 0)
		return r;
	return resolve(l, path, depth + 1, ret_path);
}

static int resolve_script(struct loader *l, const char *path, struct view start, unsigned int depth,
			  char **ret_path)
{
	CLEANUP(cleanup_mem) char *interpreter = NULL;
	CLEANUP(cleanup_mem) char *program = NULL;
	int r;

	if (depth >= SCRIPT_DEPTH) {
		*ret_path = strdup(path);
		return -ELOOP;
	}
	r = script_parse(start, &interpreter, &program);
	if (r < 0)
		return r == -ENOEXEC ? 0 : r;
	r = resolve_program(l, interpreter, depth, ret_path);
	if (r < 0 || !program)
		return r;
	return resolve_program(l, program, depth, ret_path);
}

static int resolve(struct loader *l, const char *path, unsigned int depth, char **ret_path)
{
	CLEANUP(cleanup_fd) int fd = -1;
	uint8_t start[512];
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		*ret_path = strdup(path);
		return neg_errno();
	}
	n = pread(fd, start, sizeof(start), 0);
	if (n < 0) {
		*ret_path = strdup(path);
		return neg_errno();
	}
	if (n >= 2 && start[0] == '#' && start[1] == '!')
		return resolve_script(l, path, view_of(start, (size_t)n), depth, ret_path);
	return resolve_elf(l, path, ret_path);
}

int loader_resolve(struct loader *l, const char *path, int (*on_path)(void *arg, const char *path),
		   void *arg, char **ret_path)
{
	l->on_path = on_path;
	l->arg = arg;
	return resolve(l, path, 0, ret_path);
}
