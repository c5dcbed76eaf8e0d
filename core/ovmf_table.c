/* SPDX-License-Identifier: Apache-2.0 */
#include "ovmf_table.h"

#define ENTRY_HEADER (OVMF_GUID + 2) /* behind an entry's data: its size, then its name */
#define TABLE_END    32		     /* bytes between the table and the file's end */

static const uint8_t footer[OVMF_GUID] = { 0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45,
					   0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d };

int ovmf_part(struct view file, size_t offset, size_t len, struct view *ret)
{
	struct reader r = reader_of(file);
	struct view before;
	int e = read_view(&r, offset, &before);

	return e < 0 ? e : read_view(&r, len, ret);
}

int ovmf_table_last(struct view *table, struct view *ret_data, struct view *ret_name)
{
	struct view header;
	struct reader r;
	uint16_t size;

	if (table->len < ENTRY_HEADER)
		return 0;
	if (ovmf_part(*table, table->len - ENTRY_HEADER, ENTRY_HEADER, &header) < 0)
		return -EBADMSG;
	r = reader_of(header);
	if (read_le16(&r, &size) < 0 || read_view(&r, OVMF_GUID, ret_name) < 0 ||
	    size < ENTRY_HEADER || size > table->len ||
	    ovmf_part(*table, table->len - size, size - (size_t)ENTRY_HEADER, ret_data) < 0 ||
	    ovmf_part(*table, 0, table->len - size, table) < 0)
		return -EBADMSG;
	return 1;
}

int ovmf_table(struct view image, struct view *ret)
{
	struct view table, data, name;

	if (image.len < TABLE_END)
		return -EBADMSG;
	/* The table's own entry is its last, and its size that of all. */
	if (ovmf_part(image, 0, image.len - TABLE_END, &table) < 0 ||
	    ovmf_table_last(&table, &data, &name) != 1 ||
	    !view_equal(name, view_of(footer, sizeof(footer))))
		return -EBADMSG;
	*ret = data;
	return 0;
}

int ovmf_before_end(struct view image, struct view entry, struct view *ret)
{
	struct reader r = reader_of(entry);
	uint32_t from_end;

	if (read_le32(&r, &from_end) < 0 || from_end > image.len)
		return -EBADMSG;
	return ovmf_part(image, image.len - from_end, from_end, ret);
}
