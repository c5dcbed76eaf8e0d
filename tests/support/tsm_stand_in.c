/* SPDX-License-Identifier: Apache-2.0 */
#include "tsm_stand_in.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attesters/tdx_rtmr.h"
#include "attesters/tsm.h"
#include "digest.h"
#include "fuse_mount.h"
#include "own_mounts.h"

#define ENTRIES_MAX	16
#define INBLOB_MAX	64
#define BLOB_MAX	(1024 * 1024)
#define RTMR_SIZE	48
#define TEXT_MAX	64
#define PRIVLEVEL_MAX	3
#define ATTRIBUTE_BYTES 4096 /* configfs says so of every attribute in text */

struct entry {
	char name[64]; /* empty: free */
	uint8_t inblob[INBLOB_MAX];
	size_t inblob_len;
	unsigned int privlevel;
	uint64_t write_generation, read_generation;
	bool has_provider, has_guid; /* what is asked is the SVSM's vTPM */
	bool has_report;
	struct bytes outblob, auxblob;
};

struct tsm_stand_in {
	struct made_chip *chip;
	struct fuse_mount *reports, *registers;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct tsm_faults faults; /* under lock, as all that follows */
	struct entry entries[ENTRIES_MAX];
	struct bytes manifest;	  /* of the SVSM's vTPM; empty: no SVSM */
	uint8_t last[INBLOB_MAX]; /* what the last report was over */
	unsigned int made, last_privlevel;
	bool waiting;
};

/* An open file: what is read is fixed at the first read, what is written is kept until close. */
struct open_file {
	struct bytes content;
	bool read, written;
};

#define SVSM "sev_guest under an SVSM"

enum kind { IN_TEXT, OUT_TEXT, IN_BLOB, OUT_BLOB };

struct attribute {
	const char *name;
	enum kind kind;
	const char *only; /* the provider that has it, or SVSM; NULL: all */
	int (*read)(struct tsm_stand_in *s, struct entry *e, struct bytes *ret);
	int (*write)(struct tsm_stand_in *s, struct entry *e, struct view v);
};

static struct tsm_stand_in *self(void)
{
	return fuse_get_context()->private_data;
}

static const char *provider_of(const struct tsm_stand_in *s)
{
	return s->faults.provider ? s->faults.provider : made_chip_provider(s->chip);
}

static int advance(struct entry *e)
{
	if (e->write_generation == e->read_generation - 1)
		return -EBUSY;
	e->write_generation++;
	return 0;
}

static int read_generation(struct tsm_stand_in *s, struct entry *e, struct bytes *ret)
{
	if (s->faults.generation)
		return bytes_append_text(ret, s->faults.generation);
	return bytes_printf(ret, "%" PRIu64 "\n", e->write_generation);
}

static int read_provider(struct tsm_stand_in *s, struct entry *e, struct bytes *ret)
{
	return s->faults.no_provider ? -ENXIO : bytes_printf(ret, "%s\n", provider_of(s));
}

static int read_floor(struct tsm_stand_in *s, struct entry *e, struct bytes *ret)
{
	return bytes_printf(ret, "%u\n", s->faults.privlevel_floor);
}

static int write_privlevel(struct tsm_stand_in *s, struct entry *e, struct view v)
{
	char text[TEXT_MAX], *end;
	unsigned long level;
	int r;

	snprintf(text, sizeof(text), "%.*s", (int)v.len, (const char *)v.data);
	level = strtoul(text, &end, 0);
	if (end == text || (*end && *end != '\n') || level < s->faults.privlevel_floor ||
	    level > PRIVLEVEL_MAX)
		return -EINVAL;
	r = advance(e);
	if (r == 0)
		e->privlevel = (unsigned int)level;
	return r;
}

static int write_inblob(struct tsm_stand_in *s, struct entry *e, struct view v)
{
	int r;

	if (s->faults.lose_inblob)
		return 0;
	r = advance(e);
	if (r < 0)
		return r;
	memcpy(e->inblob, v.data, v.len);
	e->inblob_len = v.len;
	return 0;
}

/* Attributes in text are compared as sysfs_streq does. */
static bool is_text(struct view v, const char *text)
{
	if (v.len > 0 && v.data[v.len - 1] == '\n')
		v.len--;
	return view_is(v, text);
}

static int write_service_provider(struct tsm_stand_in *s, struct entry *e, struct view v)
{
	int r = is_text(v, "svsm") ? advance(e) : -EINVAL;

	e->has_provider = e->has_provider || r == 0;
	return r;
}

/* The vTPM alone: the SVSM has no other service. */
static int write_service_guid(struct tsm_stand_in *s, struct entry *e, struct view v)
{
	int r = is_text(v, "c476f1eb-0123-45a5-9641-b4e7dde5bfe3") ? advance(e) : -EINVAL;

	e->has_guid = e->has_guid || r == 0;
	return r;
}

/* As another process that writes into this directory. */
static void interfere(struct tsm_stand_in *s, struct entry *e)
{
	if (s->faults.interfere == 0)
		return;
	s->faults.interfere--;
	memset(e->inblob, 0xee, sizeof(e->inblob));
	e->inblob_len = sizeof(e->inblob);
	e->write_generation++;
}

/* What the chip is to cover: what was asked, or what the SVSM makes of it. */
static int data_of(struct tsm_stand_in *s, const struct entry *e, const uint8_t *asked,
		   uint8_t data[INBLOB_MAX])
{
	struct digest d;
	int r;

	memcpy(data, asked, INBLOB_MAX);
	if (!e->has_provider)
		return 0;
	if (!e->has_guid)
		return -EINVAL;
	r = digest_of_parts(HASH_SHA512,
			    (struct view[]){ view_of(asked, INBLOB_MAX), bytes_view(&s->manifest) },
			    2, &d);
	if (r == 0)
		memcpy(data, d.bytes, INBLOB_MAX);
	return r;
}

static int make_report(struct tsm_stand_in *s, struct entry *e)
{
	uint8_t asked[INBLOB_MAX], data[INBLOB_MAX];
	int r;

	while (s->faults.hold) {
		s->waiting = true;
		pthread_cond_broadcast(&s->changed);
		pthread_cond_wait(&s->changed, &s->lock);
	}
	s->waiting = false;
	if (s->faults.busy > 0) {
		s->faults.busy--;
		return -EBUSY;
	}
	if (s->faults.error < 0)
		return s->faults.error;
	/* SNP and TDX; CCA takes 32 and more. */
	if (e->inblob_len != INBLOB_MAX || e->privlevel < s->faults.privlevel_floor)
		return -EINVAL;
	bytes_reset(&e->outblob);
	bytes_reset(&e->auxblob);
	memcpy(asked, e->inblob, sizeof(asked));
	r = data_of(s, e, s->faults.stale ? s->last : asked, data);
	if (r < 0)
		return r;
	made_chip_report(s->chip, data, &e->outblob, &e->auxblob);
	if (s->faults.alter)
		s->faults.alter(&e->outblob);
	memcpy(s->last, asked, sizeof(asked));
	s->last_privlevel = e->privlevel;
	s->made++;
	e->has_report = true;
	e->read_generation = e->write_generation;
	return 0;
}

static int read_report(struct tsm_stand_in *s, struct entry *e)
{
	if (e->inblob_len == 0)
		return -EINVAL;
	if (e->has_report && e->read_generation == e->write_generation)
		return 0;
	interfere(s, e);
	return make_report(s, e);
}

static int read_outblob(struct tsm_stand_in *s, struct entry *e, struct bytes *ret)
{
	int r = read_report(s, e);

	return r < 0 ? r : bytes_append_view(ret, bytes_view(&e->outblob));
}

static int read_auxblob(struct tsm_stand_in *s, struct entry *e, struct bytes *ret)
{
	int r = read_report(s, e);

	return r < 0 ? r : bytes_append_view(ret, bytes_view(&e->auxblob));
}

static int read_manifestblob(struct tsm_stand_in *s, struct entry *e, struct bytes *ret)
{
	int r = read_report(s, e);

	return r < 0 ? r : bytes_append_view(ret, bytes_view(&s->manifest));
}

static const struct attribute attributes[] = {
	{ "generation", OUT_TEXT, NULL, read_generation, NULL },
	{ "provider", OUT_TEXT, NULL, read_provider, NULL },
	{ "privlevel", IN_TEXT, "sev_guest", NULL, write_privlevel },
	{ "privlevel_floor", OUT_TEXT, "sev_guest", read_floor, NULL },
	{ "inblob", IN_BLOB, NULL, NULL, write_inblob },
	{ "outblob", OUT_BLOB, NULL, read_outblob, NULL },
	{ "auxblob", OUT_BLOB, "sev_guest", read_auxblob, NULL },
	{ "service_provider", IN_TEXT, SVSM, NULL, write_service_provider },
	{ "service_guid", IN_TEXT, SVSM, NULL, write_service_guid },
	{ "manifestblob", OUT_BLOB, SVSM, read_manifestblob, NULL },
};

static bool has(const struct tsm_stand_in *s, const struct attribute *a)
{
	if (!a->only)
		return true;
	if (strcmp(a->only, SVSM) == 0)
		return s->manifest.len > 0;
	return strcmp(a->only, made_chip_provider(s->chip)) == 0;
}

static struct entry *entry_find(struct tsm_stand_in *s, const char *name, size_t len)
{
	for (size_t i = 0; i < ENTRIES_MAX; i++) {
		if (len > 0 && strlen(s->entries[i].name) == len &&
		    memcmp(s->entries[i].name, name, len) == 0)
			return &s->entries[i];
	}
	return NULL;
}

/* /ENTRY or /ENTRY/ATTRIBUTE; *ret_attribute NULL: the directory. */
static int find(struct tsm_stand_in *s, const char *path, struct entry **ret_entry,
		const struct attribute **ret_attribute)
{
	const char *slash = strchr(path + 1, '/');
	size_t len = slash ? (size_t)(slash - path - 1) : strlen(path + 1);

	*ret_attribute = NULL;
	*ret_entry = entry_find(s, path + 1, len);
	if (!*ret_entry)
		return -ENOENT;
	if (!slash)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
		const struct attribute *a = &attributes[i];

		if (strcmp(a->name, slash + 1) != 0 || !has(s, a))
			continue;
		*ret_attribute = a;
		return 0;
	}
	return -ENOENT;
}

static int on_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	struct tsm_stand_in *s = self();
	const struct attribute *a;
	struct entry *e;
	int r = 0;

	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFDIR | 0755;
	st->st_nlink = 2;
	if (strcmp(path, "/") == 0)
		return 0;
	pthread_mutex_lock(&s->lock);
	r = find(s, path, &e, &a);
	pthread_mutex_unlock(&s->lock);
	if (r < 0 || !a)
		return r;
	st->st_nlink = 1;
	st->st_mode = S_IFREG | (a->write ? 0200 : 0444);
	st->st_size = a->kind == IN_TEXT || a->kind == OUT_TEXT ? ATTRIBUTE_BYTES : 0;
	return 0;
}

static int on_mkdir(const char *path, mode_t mode)
{
	struct tsm_stand_in *s = self();
	int r = -ENOSPC;

	if (strchr(path + 1, '/'))
		return -EPERM;
	if (strlen(path + 1) >= sizeof(s->entries[0].name))
		return -ENAMETOOLONG;
	pthread_mutex_lock(&s->lock);
	if (s->faults.no_provider) {
		r = -ENXIO;
	} else {
		for (size_t i = 0; r == -ENOSPC && i < ENTRIES_MAX; i++) {
			struct entry *e = &s->entries[i];

			if (e->name[0])
				continue;
			*e = (struct entry){ .outblob = BYTES_INIT(BLOB_MAX),
					     .auxblob = BYTES_INIT(BLOB_MAX) };
			strcpy(e->name, path + 1);
			r = 0;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int on_rmdir(const char *path)
{
	struct tsm_stand_in *s = self();
	const struct attribute *a;
	struct entry *e;
	int r;

	pthread_mutex_lock(&s->lock);
	r = find(s, path, &e, &a);
	if (r == 0) {
		bytes_done(&e->outblob);
		bytes_done(&e->auxblob);
		e->name[0] = '\0';
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int on_readdir(const char *path, void *to, fuse_fill_dir_t fill, off_t at,
		      struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	struct tsm_stand_in *s = self();

	fill(to, ".", NULL, 0, 0);
	fill(to, "..", NULL, 0, 0);
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; strcmp(path, "/") == 0 && i < ENTRIES_MAX; i++) {
		if (s->entries[i].name[0])
			fill(to, s->entries[i].name, NULL, 0, 0);
	}
	for (size_t i = 0; strcmp(path, "/") != 0 && i < ARRAY_LEN(attributes); i++) {
		const struct attribute *a = &attributes[i];

		if (has(s, a))
			fill(to, a->name, NULL, 0, 0);
	}
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int on_open(const char *path, struct fuse_file_info *fi)
{
	struct open_file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->content = BYTES_INIT(BLOB_MAX);
	fi->fh = (uint64_t)(uintptr_t)f;
	/* What stat says of the size is not believed: reading goes on until there is no more. */
	fi->direct_io = 1;
	return 0;
}

static int on_read(const char *path, char *to, size_t size, off_t at, struct fuse_file_info *fi)
{
	struct open_file *f = (struct open_file *)(uintptr_t)fi->fh;
	struct tsm_stand_in *s = self();
	const struct attribute *a;
	struct entry *e;
	int r = 0;

	if (!f->read) {
		pthread_mutex_lock(&s->lock);
		r = find(s, path, &e, &a);
		if (r == 0)
			r = a->read(s, e, &f->content);
		pthread_mutex_unlock(&s->lock);
		if (r < 0)
			return r;
		f->read = true;
	}
	if ((size_t)at >= f->content.len)
		return 0;
	if (size > f->content.len - (size_t)at)
		size = f->content.len - (size_t)at;
	memcpy(to, f->content.data + at, size);
	return (int)size;
}

static int on_write(const char *path, const char *from, size_t size, off_t at,
		    struct fuse_file_info *fi)
{
	struct open_file *f = (struct open_file *)(uintptr_t)fi->fh;
	struct tsm_stand_in *s = self();
	const struct attribute *a;
	struct entry *e;
	int r;

	pthread_mutex_lock(&s->lock);
	r = find(s, path, &e, &a);
	if (r == 0 && a->kind == IN_BLOB) {
		if ((size_t)at != f->content.len || f->content.len + size > INBLOB_MAX)
			r = -EFBIG;
		else
			r = bytes_append(&f->content, from, size);
		f->written = true;
	} else if (r == 0) {
		r = a->write(s, e, view_of(from, size));
	}
	pthread_mutex_unlock(&s->lock);
	return r < 0 ? r : (int)size;
}

/* A blob is taken when its file is closed, and what goes wrong then nobody is told. */
static int on_flush(const char *path, struct fuse_file_info *fi)
{
	struct open_file *f = (struct open_file *)(uintptr_t)fi->fh;
	struct tsm_stand_in *s = self();
	const struct attribute *a;
	struct entry *e;

	if (!f->written)
		return 0;
	f->written = false;
	pthread_mutex_lock(&s->lock);
	if (find(s, path, &e, &a) == 0 && a->write(s, e, bytes_view(&f->content)) < 0)
		fprintf(stderr, "stand-in: %s: not taken\n", path);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int on_release(const char *path, struct fuse_file_info *fi)
{
	struct open_file *f = (struct open_file *)(uintptr_t)fi->fh;

	bytes_done(&f->content);
	free(f);
	return 0;
}

static int on_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	return 0; /* configfs does not mind O_TRUNC */
}

static const struct fuse_operations report_ops = {
	.getattr = on_getattr,
	.mkdir = on_mkdir,
	.rmdir = on_rmdir,
	.readdir = on_readdir,
	.open = on_open,
	.read = on_read,
	.write = on_write,
	.flush = on_flush,
	.release = on_release,
	.truncate = on_truncate,
};

/* drivers/virt/coco/guest/tsm-mr.c */

/* Which register /rtmrN:sha384 is. */
static int register_of(const char *path, size_t *ret)
{
	unsigned int n;
	int end = 0;

	if (sscanf(path, "/rtmr%1u:sha384%n", &n, &end) != 1 || end == 0 || path[end] || n >= 4)
		return -ENOENT;
	*ret = n;
	return 0;
}

static int on_register_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	size_t n;
	int r;

	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFDIR | 0755;
	st->st_nlink = 2;
	if (strcmp(path, "/") == 0)
		return 0;
	r = register_of(path, &n);
	st->st_mode = S_IFREG | 0644;
	st->st_nlink = 1;
	st->st_size = RTMR_SIZE;
	return r;
}

static int on_register_open(const char *path, struct fuse_file_info *fi)
{
	fi->direct_io = 1;
	return 0;
}

static int on_register_read(const char *path, char *to, size_t size, off_t at,
			    struct fuse_file_info *fi)
{
	struct tsm_stand_in *s = self();
	size_t n;
	int r;

	r = register_of(path, &n);
	if (r < 0)
		return r;
	if (at >= RTMR_SIZE)
		return 0;
	if (size > RTMR_SIZE - (size_t)at)
		size = RTMR_SIZE - (size_t)at;
	pthread_mutex_lock(&s->lock);
	r = s->faults.no_registers ? -EIO : (int)size;
	memcpy(to, made_chip_register(s->chip, n) + at, size);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int on_register_write(const char *path, const char *from, size_t size, off_t at,
			     struct fuse_file_info *fi)
{
	struct tsm_stand_in *s = self();
	size_t n;
	int r;

	r = register_of(path, &n);
	if (r < 0)
		return r;
	if (at != 0 || size != RTMR_SIZE)
		return -EINVAL;
	pthread_mutex_lock(&s->lock);
	/* The TDX module keeps 0 and 1 for the firmware. */
	if (n < 2 || s->faults.no_registers)
		r = -EIO;
	else
		made_chip_extend(s->chip, n, (const uint8_t *)from);
	pthread_mutex_unlock(&s->lock);
	return r < 0 ? r : (int)size;
}

static const struct fuse_operations register_ops = {
	.getattr = on_register_getattr,
	.open = on_register_open,
	.read = on_register_read,
	.write = on_register_write,
	.truncate = on_truncate,
};

int tsm_stand_in_start(struct made_chip *chip, struct tsm_stand_in **ret)
{
	struct tsm_stand_in *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->chip = chip;
	s->manifest = BYTES_INIT(BLOB_MAX);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	r = own_mounts_directory(TSM_ROOT);
	if (r == 0)
		r = fuse_mount_start(TSM_ROOT, &report_ops, s, &s->reports);
	if (r == 0 && strcmp(made_chip_platform(chip), "tdx") == 0) {
		r = own_mounts_directory(TDX_MEASUREMENTS);
		if (r == 0)
			r = fuse_mount_start(TDX_MEASUREMENTS, &register_ops, s, &s->registers);
	}
	if (r < 0) {
		tsm_stand_in_stop(s);
		return r;
	}
	*ret = s;
	return 0;
}

void tsm_stand_in_stop(struct tsm_stand_in *s)
{
	if (!s)
		return;
	fuse_mount_stop(s->reports);
	fuse_mount_stop(s->registers);
	bytes_done(&s->manifest);
	for (size_t i = 0; i < ENTRIES_MAX; i++) {
		bytes_done(&s->entries[i].outblob);
		bytes_done(&s->entries[i].auxblob);
	}
	free(s);
}

int tsm_stand_in_vtpm(struct tsm_stand_in *s, struct view manifest)
{
	int r;

	pthread_mutex_lock(&s->lock);
	bytes_reset(&s->manifest);
	r = bytes_append_view(&s->manifest, manifest);
	pthread_mutex_unlock(&s->lock);
	return r;
}

void tsm_stand_in_faults(struct tsm_stand_in *s, const struct tsm_faults *faults)
{
	pthread_mutex_lock(&s->lock);
	s->faults = *faults;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

unsigned int tsm_stand_in_entries(struct tsm_stand_in *s)
{
	unsigned int n = 0;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < ENTRIES_MAX; i++)
		n += s->entries[i].name[0] != '\0';
	pthread_mutex_unlock(&s->lock);
	return n;
}

unsigned int tsm_stand_in_reports(struct tsm_stand_in *s)
{
	unsigned int n;

	pthread_mutex_lock(&s->lock);
	n = s->made;
	pthread_mutex_unlock(&s->lock);
	return n;
}

unsigned int tsm_stand_in_privlevel(struct tsm_stand_in *s)
{
	unsigned int level;

	pthread_mutex_lock(&s->lock);
	level = s->last_privlevel;
	pthread_mutex_unlock(&s->lock);
	return level;
}

void tsm_stand_in_wait_held(struct tsm_stand_in *s)
{
	pthread_mutex_lock(&s->lock);
	while (!s->waiting)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
}
