/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/kernel_events.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* What a record of the ring looks like in MI. */

static void address_text(uint16_t family, const uint8_t *address, uint16_t port, char *to,
			 size_t size)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	inet_ntop(family, address, ip, sizeof(ip));
	snprintf(to, size, family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, port);
}

/*
 * What was executed through a descriptor, as assayd starts applications, has no name but the
 * descriptor's: then that of the same file among those that run. NULL: none of them is it.
 */
static const char *path_of_descriptor(const struct mi *mi, const struct follow_record *record)
{
	static const char prefix[] = "/dev/fd/";

	if (strncmp(record->text, prefix, strlen(prefix)) != 0)
		return NULL;
	for (size_t i = 0; i < mi->msg->n_files; i++) {
		const Assay__File *f = mi->msg->files[i];
		struct follow_file is = follow_file_of(f->device, f->inode);

		if (is.device == record->device && is.inode == record->inode && !f->deleted)
			return f->path;
	}
	return NULL;
}

static int detail_exec(struct mi *mi, const struct follow_record *record, char **ret)
{
	const char *path = path_of_descriptor(mi, record);

	if (path)
		return mi_text(mi, path, ret);
	return mi_printf(mi, ret, "%.*s", (int)sizeof(record->text), record->text);
}

static int detail_exit(struct mi *mi, const struct follow_record *record, char **ret)
{
	if (record->value & 0x7f)
		return mi_printf(mi, ret, "signal %u", record->value & 0x7f);
	return mi_printf(mi, ret, "status %u", record->value >> 8 & 0xff);
}

static int detail_listen(struct mi *mi, const struct follow_record *record, char **ret)
{
	char local[INET6_ADDRSTRLEN + 16];

	address_text(record->family, record->local, record->local_port, local, sizeof(local));
	return mi_text(mi, local, ret);
}

static int detail_connect(struct mi *mi, const struct follow_record *record, char **ret)
{
	char remote[INET6_ADDRSTRLEN + 16];

	address_text(record->family, record->remote, record->remote_port, remote, sizeof(remote));
	return mi_text(mi, remote, ret);
}

static int detail_signal(struct mi *mi, const struct follow_record *record, char **ret)
{
	const char *name = sigabbrev_np((int)record->value);

	return mi_printf(mi, ret, "SIG%s from %.*s", name ? name : "RT", (int)sizeof(record->comm),
			 record->comm);
}

static int detail_foreign(struct mi *mi, const struct follow_record *record, char **ret)
{
	const char *way = follow_access_name(record->value);

	if (record->value == FOLLOW_ACCESS_UNKNOWN || !way)
		return mi_printf(mi, ret, "unknown by %.*s", (int)sizeof(record->comm),
				 record->comm);
	return mi_printf(mi, ret, "%s %s by %.*s",
			 FOLLOW_ACCESS_LOOKS(record->value) ? "read" : "attach", way,
			 (int)sizeof(record->comm), record->comm);
}

static int detail_file(struct mi *mi, const struct follow_record *record, char **ret)
{
	return mi_printf(mi, ret, "%.*s, %s, by %.*s", (int)sizeof(record->text), record->text,
			 record->value == FOLLOW_CHANGE_CONTENT ? "content" : "content or inode",
			 (int)sizeof(record->comm), record->comm);
}

static int detail_credentials(struct mi *mi, const struct follow_record *record, char **ret)
{
	return mi_printf(mi, ret, "system call %u", record->value);
}

static int detail_code(struct mi *mi, const struct follow_record *record, char **ret)
{
	return mi_printf(mi, ret, "%c%c%c %.*s", record->flags & PROT_READ ? 'r' : '-',
			 record->flags & PROT_WRITE ? 'w' : '-', record->flags & PROT_EXEC ? 'x' : '-',
			 (int)sizeof(record->text), record->text);
}

static int (*const details[FOLLOW_KINDS])(struct mi *mi, const struct follow_record *record,
					  char **ret) = {
	[FOLLOW_EXEC] = detail_exec,	 [FOLLOW_EXIT] = detail_exit,
	[FOLLOW_LISTEN] = detail_listen, [FOLLOW_CONNECT] = detail_connect,
	[FOLLOW_SIGNAL] = detail_signal, [FOLLOW_FOREIGN] = detail_foreign,
	[FOLLOW_FILE_CHANGED] = detail_file,
	[FOLLOW_CREDENTIALS] = detail_credentials,
	[FOLLOW_CODE_MAPPED] = detail_code,
	[FOLLOW_CODE_ANONYMOUS] = detail_code,
	[FOLLOW_WX_MEMORY] = detail_code,
};

static int add_notes(struct mi *mi, Assay__KernelEvent *e, const struct follow_record *record)
{
	char *text;
	int r = 0;

	for (uint32_t i = 0; i < FOLLOW_EXEC_FLAGS && r == 0; i++) {
		if (!(record->flags & 1U << i))
			continue;
		r = mi_text(mi, follow_exec_name(i), &text);
		if (r == 0)
			r = mi_push(mi, &e->n_notes, &e->notes, text);
	}
	return r;
}


int kernel_event_add(struct mi *mi, Assay__KernelEvents *out, const struct follow_record *record)
{
	Assay__KernelEvent *e = MI_MESSAGE(mi, Assay__KernelEvent, assay__kernel_event__init);
	int r;

	if (!e)
		return -ENOMEM;
	r = mi_text(mi, follow_kind_name(record->kind), &e->kind);
	if (r == 0 && details[record->kind])
		r = details[record->kind](mi, record, &e->detail);
	if (r == 0 && record->kind == FOLLOW_EXEC)
		r = add_notes(mi, e, record);
	if (r < 0)
		return r;
	e->device = record->device;
	e->inode = record->inode;
	e->address = record->address;
	e->length = record->length;
	e->boottime_ns = record->boottime_ns;
	e->pid = record->pid;
	e->actor = record->actor == record->pid ? 0 : record->actor;
	e->sequence = record->sequence;
	return mi_push(mi, &out->n_events, &out->events, e);
}
