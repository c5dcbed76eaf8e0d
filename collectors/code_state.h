/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_CODE_STATE_H
#define ASSAY_COLLECTORS_CODE_STATE_H

#include <sys/uio.h>

#include "collectors/elf_object.h"
#include "collectors/file_digest.h"
#include "collectors/mappings.h"
#include "digest.h"
#include "mi.h"
#include "target.h"

/*
 * The parts of MI item 8. The way of the data, a process at a time: its executable mappings and the
 * files behind them (code.c, code_files.c) -> the ELF objects these make up, and whether all
 * of their text is in its place (code_objects.c) -> what is small of their memory in one call
 * (code_memory.c) -> their relro (code_relro.c), their import slots (code_imports.c) and the
 * loader's list (code_links.c). In collectors/ only.
 */

/* A file that code is mapped from at this node. */
struct code_file {
	uint64_t device, inode; /* as the mapping tells, which is not always what stat does */
	uint32_t file;		/* index into Mi.files */
	const struct elf_object *object; /* NULL: not an ELF file that can be looked at */
	bool watched;			 /* the kernel tells of changes to it */
	uint64_t changes;		 /* their number, from before it was hashed */
	/* What the next node need not ask again while nothing changed; name NULL: it has to. */
	char *name; /* as the mapping has it */
	uint64_t stat_device, stat_inode, size;
	bool deleted;
	uint8_t sha256[32];
};

/* Files by device and inode, digests and ELF objects by content; code_files.c. */
struct code_files;
/* t is lent for its life. */
MUST_CHECK int code_files_new(struct target *t, struct code_files **ret);
void code_files_free(struct code_files *f);
/* Forgets the files of the node before; digests and objects are kept. brief: see collector.h. */
void code_files_begin(struct code_files *f, bool brief);
/*
 * The file behind the mapping, hashed once a node however often it is mapped, as a number for
 * code_file_at. *why is set where it could not be looked at. -ENOMEM.
 */
MUST_CHECK int code_files_of(struct code_files *f, struct mi *mi, int proc_fd,
			     const struct proc_mapping *m, size_t *ret, const char **why);
const struct code_file *code_file_at(const struct code_files *f, size_t i);
size_t code_files_count(const struct code_files *f);
/* Keeps what the next node has to know of this one's files. -ENOMEM. */
MUST_CHECK int code_files_end(struct code_files *f);
/* The file of that device and inode at this node; NULL: no code is mapped from it. */
const struct code_file *code_file_find(const struct code_files *f, uint64_t device, uint64_t inode);

/* One executable mapping of the process under way. */
struct code_map {
	uint64_t start, end, offset;
	size_t file;	 /* for code_file_at; CODE_NO_FILE */
	size_t instance; /* which object's; CODE_NO_FILE: of none */
	bool vdso;
};
#define CODE_NO_FILE SIZE_MAX

/* An ELF file as it is loaded in the process under way. */
struct code_instance {
	const struct elf_object *object;
	const struct code_file *file;
	uint64_t bias;	/* what the file's addresses have to be moved by */
	uint64_t start; /* of its first mapping of code */
	size_t known;	/* its place in code_process.objects */
	bool loading;	/* as it was before any of its memory was read */
};

/* Bytes that objects of several processes may have in common. */
struct code_copy {
	size_t refs, len;
	uint8_t data[];
};

/* A page of a file as it is mapped. */
struct code_page {
	uint64_t address, offset;
};

/* What is kept of an object from node to node. */
struct code_known {
	uint64_t device, inode, bias;
	char *path;
	struct code_page first, relro; /* where it is seen whether the rest of it is still there */
	uint64_t text_start, text_end;
	uint64_t first_ns, node; /* when it was first seen; last */
	bool piece;		 /* text alone, mapped a second time: no object */
	bool protected;		 /* relro_then is of a node at which it was read-only */
	bool imports_good; /* all its slots were right when they held what these digests say */
	uint64_t then_node;
	uint8_t relro_then[32], seen[32]; /* digest of relro at that node; as last read */
	uint8_t checked_relro[32], checked_slots[32];
	uint8_t checked_maps[32]; /* code_process.maps when they were */
	/* Page frames that its relro was in at this node; n 0: they are not known. */
	uint64_t *frames;
	size_t n_frames, room_frames;
	uint64_t frames_node;
	/* Its relro as last read, which seen is the digest of; NULL: it is not kept. */
	struct code_copy *copy;
	uint8_t *table; /* and its slots outside of relro, when they were checked */
	size_t table_len;
};

/* A process, by pid and start. */
struct code_process {
	pid_t pid;
	uint64_t start_boottime_ns, node;
	uint64_t busy_ns; /* since when the loader may be at work on its list */
	struct code_known *objects;
	size_t n_objects, room;
	uint8_t maps[32]; /* digest of which files' code is mapped where */
	/* Where the loader's list was at the node before. */
	uint64_t *links;
	size_t n_links, room_links;
};

/* A piece of the memory of the process under way, and where it is in code_memory.data. */
struct code_piece {
	uint64_t start;
	size_t len, at;
};

/* Pieces read in one call; code_memory.c. */
struct code_memory {
	struct code_piece *pieces; /* once they are read, in order of address, and those alone */
	size_t n, room;
	uint8_t *data;
	size_t len, size;
	struct iovec *far;
};
void code_memory_done(struct code_memory *m);
void code_memory_reset(struct code_memory *m);
/* Notes a piece to be read; nothing where that would be more than is read ahead. -ENOMEM. */
MUST_CHECK int code_memory_want(struct code_memory *m, uint64_t start, size_t len);
/* Reads what was noted, as far as it can be. -ENOMEM. */
MUST_CHECK int code_memory_read(struct code_memory *m, pid_t pid, int proc_fd);
/* The bytes there, lent until the next reset; false: they were not read. */
bool code_memory_view(const struct code_memory *m, uint64_t start, size_t len, struct view *ret);

/* Looking at objects, over all processes and nodes; code_objects.c. */
struct code_objects {
	struct mappings_ways *ways;
	struct bytes *text; /* room for reading */
	struct hasher *hasher;
	uint64_t page, node, now_ns;
	struct code_process *processes; /* in order of pid */
	size_t n_processes, room_processes;
	/* Objects whose relro was read at this node, by file and bias: for those that fork shares.
	 */
	struct code_known_ref *shared;
	size_t room_shared, n_shared;
	/* Of the process under way. */
	struct code_map *maps; /* in order of address */
	size_t n_maps, room_maps;
	struct code_instance *instances;
	size_t n_instances, room_instances;
	bool first; /* relro of one was seen for the first time */
	struct bytes relro, slots;
	struct code_memory memory;
	uint64_t copies; /* bytes kept in code_known.copy */
};

struct code_known_ref {
	uint64_t node; /* good at this node only */
	struct code_known *objects;
	uint8_t maps[32]; /* of the object's process */
	size_t i;
};

/* A process under way. */
struct code_look {
	struct code_objects *x;
	struct mi *mi;
	const struct code_files *files;
	int proc_fd, mem_fd, pagemap_fd;
	uint32_t executable; /* index into Mi.files, 0: not known */
	struct code_process *process;
	Assay__Objects *out;
	const char *error;
};

MUST_CHECK int code_objects_new(struct mappings_ways *ways, struct bytes *text,
				struct hasher *hasher, struct code_objects **ret);
void code_objects_free(struct code_objects *x);
void code_objects_begin(struct code_objects *x, uint64_t now_boottime_ns);
/* Forgets processes that this node did not see. */
void code_objects_end(struct code_objects *x);
/* Begins with a process: then each of its executable mappings, in order of address. */
void code_objects_reset(struct code_objects *x);
MUST_CHECK int code_objects_add(struct code_objects *x, const struct proc_mapping *m, size_t file);
/* Looks at what was added. l->out is the caller's to hang in. -ENOMEM. */
MUST_CHECK int code_objects_look(struct code_look *l, pid_t pid, uint64_t start_boottime_ns);
/* True if relro was seen for the first time in the process that was looked at last. */
bool code_objects_saw_first(const struct code_objects *x);
/*
 * The look at the process does not hold: what was seen for the first time at this node is not what
 * later ones are compared with. -ENOMEM.
 */
MUST_CHECK int code_objects_again(struct code_objects *x, pid_t pid);

/* Findings of one kind that are listed of a process; more are counted. */
#define CODE_LISTED_MAX 64
/*
 * Relro up to this is read with what else is small; of larger one it is asked first whether it is
 * in the very memory that was read of another process, which costs more than reading little.
 */
#define CODE_SMALL_BYTES (8 * 4096)
/* Slots outside of relro lie in one table: further apart they are no table. */
#define CODE_TABLE_MAX (1024 * 1024)
/* Loading takes no longer: relro that stays writable past this is a finding. */
#define CODE_PENDING_NS 10000000000ULL

/* Bytes that may be kept of all processes to compare with, which is cheaper than hashing them. */
#define CODE_COPIES_MAX (16 * 1024 * 1024)

/* True if there is room for another in a list of n; counts it otherwise. */
static inline bool code_listed(struct code_look *l, size_t n)
{
	if (n < CODE_LISTED_MAX)
		return true;
	l->out->uncounted++;
	return false;
}

/* Memory of the process, whole or not at all. -ESRCH: it has none any more; -EIO. */
MUST_CHECK int code_read(const struct code_look *l, uint64_t at, void *to, size_t len);
/* The executable mapping that the address lies in; NULL: none. */
const struct code_map *code_map_at(const struct code_objects *x, uint64_t address);
/* What is at the address, in words. -ENOMEM. */
MUST_CHECK int code_place(struct code_look *l, uint64_t address, char **ret);

/*
 * The object's relro: its digest into known, and a finding where it is another than
 * before. *ret_pending: it is still being loaded. *ret_content: the bytes, lent until the next
 * call; empty where they need not be read again. -ENOMEM.
 */
void code_relro_forget(struct code_objects *x, struct code_known *k);
/*
 * Whether the loader is still at work on the object; to be asked before its memory is read, as what
 * was read before it was done may be half of the truth. list_busy: as code_links_busy.
 */
bool code_relro_loading(struct code_look *l, const struct code_instance *in, bool list_busy);
/* What was read of this process stands for others no more. -ENOMEM. */
MUST_CHECK int code_relro_unshare(struct code_objects *x, const struct code_process *p);
/* Gives back the room that large relro took; at the end of a node. */
void code_relro_rest(struct code_objects *x);
MUST_CHECK int code_relro_look(struct code_look *l, const struct code_instance *i,
			       struct view *ret_content, bool *ret_pending);
/* -ENOMEM. */
MUST_CHECK int code_imports_look(struct code_look *l, const struct code_instance *i,
				 struct view relro);
MUST_CHECK int code_links_look(struct code_look *l);
/* True while the loader maps objects: not all of one that is new may be where it will be. */
bool code_links_busy(const struct code_look *l);
/* Notes where the list was at the node before, to be read ahead. -ENOMEM. */
MUST_CHECK int code_links_want(struct code_look *l);

#endif
