/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CORE_OVMF_TABLE_H
#define ASSAY_CORE_OVMF_TABLE_H

#include "bytes.h"

/*
 * The table at the end of OVMF's file, in which whoever launches it finds its parts: edk2,
 * OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm. It is read from its end on.
 */
#define OVMF_GUID 16
#define OVMF_PAGE 4096u

/* A part of the file. -EBADMSG: it is not within. */
MUST_CHECK int ovmf_part(struct view file, size_t offset, size_t len, struct view *ret);

/* Where the entries are. -EBADMSG: the file has no such table. */
MUST_CHECK int ovmf_table(struct view image, struct view *ret);

/*
 * Takes the last entry off the table: its data, and its name, a GUID in the order of its bytes.
 * 1: there was one; 0: there is none more; -EBADMSG.
 */
MUST_CHECK int ovmf_table_last(struct view *table, struct view *ret_data, struct view *ret_name);

/* What begins so many bytes before the file's end, as an entry with one number says. -EBADMSG. */
MUST_CHECK int ovmf_before_end(struct view image, struct view entry, struct view *ret);

#endif
