/* SPDX-License-Identifier: Apache-2.0 */
#include "pe.h"

#include <stdlib.h>
#include <string.h>

#define DOS_MAGIC	   0x5a4d /* "MZ" */
#define DOS_PE_AT	   0x3c
#define PE_MAGIC	   0x00004550 /* "PE", 0, 0 */
#define PE32		   0x10b
#define PE32_PLUS	   0x20b
#define OPTIONAL_CHECKSUM  64 /* from here on offsets in the optional header */
#define OPTIONAL_HEADERS   60
#define PE32_DIRECTORIES   92 /* their number; they follow */
#define PLUS_DIRECTORIES   108
#define DIRECTORY_SECURITY 4 /* the index of the one with signatures */
#define DIRECTORY_SIZE	   8
#define DIRECTORIES_MAX	   16
#define SIGNATURES_ALIGNED 8

/* Where in the file the headers are, while they are read. */
struct headers {
	struct reader at;
	size_t optional_at, sections_at;
	uint16_t n_sections;
};

static int bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

/* len bytes at an offset in the file. */
static int part(struct view file, size_t offset, size_t len, struct view *ret)
{
	struct reader r = reader_of(file);
	struct view before;
	int e;

	e = read_view(&r, offset, &before);
	return e < 0 ? e : read_view(&r, len, ret);
}

static int reader_at(struct view file, size_t offset, struct reader *ret)
{
	struct view v;
	int r;

	if (offset > file.len)
		return -EBADMSG;
	r = part(file, offset, file.len - offset, &v);
	if (r == 0)
		*ret = reader_of(v);
	return r;
}

static int u32_at(struct view file, size_t offset, uint32_t *ret)
{
	struct reader r;
	int e;

	e = reader_at(file, offset, &r);
	return e < 0 ? e : read_le32(&r, ret);
}

static int read_coff(struct view file, struct headers *h)
{
	uint16_t magic, optional_size;
	uint32_t pe_at, signature;
	struct view skipped;
	struct reader r;

	if (reader_at(file, 0, &r) < 0 || read_le16(&r, &magic) < 0 || magic != DOS_MAGIC ||
	    u32_at(file, DOS_PE_AT, &pe_at) < 0 || reader_at(file, pe_at, &r) < 0 ||
	    read_le32(&r, &signature) < 0 || signature != PE_MAGIC)
		return -EBADMSG;
	/* Machine; number of sections; time, symbols; size of the optional header; characteristics.
	 */
	if (read_view(&r, 2, &skipped) < 0 || read_le16(&r, &h->n_sections) < 0 ||
	    read_view(&r, 12, &skipped) < 0 || read_le16(&r, &optional_size) < 0 ||
	    read_view(&r, 2, &skipped) < 0)
		return -EBADMSG;
	h->optional_at = file.len - r.left;
	h->sections_at = h->optional_at + optional_size;
	return 0;
}

static int read_optional(struct headers *h, struct pe *pe, const char **ret_why)
{
	uint32_t headers, directories, at, size;
	size_t directories_at;
	struct reader r;
	uint16_t magic;

	if (reader_at(pe->file, h->optional_at, &r) < 0 || read_le16(&r, &magic) < 0 ||
	    (magic != PE32 && magic != PE32_PLUS))
		return bad(ret_why, "its optional header is neither PE32 nor PE32+");
	directories_at = h->optional_at + (magic == PE32 ? PE32_DIRECTORIES : PLUS_DIRECTORIES);
	if (u32_at(pe->file, h->optional_at + OPTIONAL_HEADERS, &headers) < 0 ||
	    u32_at(pe->file, directories_at, &directories) < 0 || directories > DIRECTORIES_MAX ||
	    directories_at + 4 + directories * DIRECTORY_SIZE > h->sections_at ||
	    h->sections_at > headers || headers > pe->file.len)
		return bad(ret_why, "its headers do not fit into one another");
	pe->headers = headers;
	pe->checksum_at = h->optional_at + OPTIONAL_CHECKSUM;
	if (directories <= DIRECTORY_SECURITY)
		return 0;
	pe->certificate_at = directories_at + 4 + DIRECTORY_SECURITY * DIRECTORY_SIZE;
	if (u32_at(pe->file, pe->certificate_at, &at) < 0 ||
	    u32_at(pe->file, pe->certificate_at + 4, &size) < 0)
		return bad(ret_why, "its headers are cut short");
	/* A digest that leaves out what is not at the end would leave out code. */
	if (size > 0 && (size > pe->file.len || at != pe->file.len - size || at < headers ||
			 at % SIGNATURES_ALIGNED))
		return bad(ret_why, "its signatures are not at its end");
	pe->signatures = size;
	return 0;
}

static int read_section(struct reader *r, struct pe *pe, struct pe_section *ret)
{
	uint32_t memory, address, size, at;
	struct pe_section s = { 0 };
	struct view skipped;

	if (read_copy(r, s.name, PE_NAME_MAX) < 0 || read_le32(r, &memory) < 0 ||
	    read_le32(r, &address) < 0 || read_le32(r, &size) < 0 || read_le32(r, &at) < 0 ||
	    read_view(r, 16, &skipped) < 0)
		return -EBADMSG;
	s.memory = memory;
	/* Without bytes in the file the place means nothing. */
	if (part(pe->file, size ? at : pe->headers, size, &s.bytes) < 0)
		return -EBADMSG;
	*ret = s;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct pe_section *x = a, *y = b;

	return (x->bytes.data > y->bytes.data) - (x->bytes.data < y->bytes.data);
}

static int read_sections(const struct headers *h, struct pe *pe, const char **ret_why)
{
	struct reader r;
	size_t end, at;

	if (h->n_sections > PE_SECTIONS_MAX)
		return bad(ret_why, "it has more than 96 sections");
	if (reader_at(pe->file, h->sections_at, &r) < 0)
		return bad(ret_why, "its headers are cut short");
	for (size_t i = 0; i < h->n_sections; i++) {
		if (read_section(&r, pe, &pe->sections[i]) < 0)
			return bad(ret_why, "a section is not within the file");
	}
	if (pe->file.len - r.left > pe->headers)
		return bad(ret_why, "its headers do not fit into one another");
	pe->n = h->n_sections;
	qsort(pe->sections, pe->n, sizeof(pe->sections[0]), by_place);
	end = pe->headers;
	for (size_t i = 0; i < pe->n; i++) {
		if (pe->sections[i].bytes.len == 0)
			continue;
		at = (size_t)(pe->sections[i].bytes.data - pe->file.data);
		if (at < end)
			return bad(ret_why, "its sections overlap");
		end = at + pe->sections[i].bytes.len;
	}
	if (end > pe->file.len - pe->signatures)
		return bad(ret_why, "its signatures are not at its end");
	return 0;
}

int pe_parse(struct view file, struct pe *ret, const char **ret_why)
{
	struct headers h = { 0 };
	struct pe pe = { .file = file };
	int r;

	if (file.len > PE_FILE_MAX) {
		*ret_why = "it has more than 1 GiB";
		return -EMSGSIZE;
	}
	if (read_coff(file, &h) < 0)
		return bad(ret_why, "it is not a PE image");
	r = read_optional(&h, &pe, ret_why);
	if (r == 0)
		r = read_sections(&h, &pe, ret_why);
	if (r < 0)
		return r;
	*ret = pe;
	return 0;
}

int pe_authenticode(const struct pe *pe, enum hash_alg alg, struct digest *ret)
{
	struct view parts[3 + PE_SECTIONS_MAX + 1];
	size_t n = 0, hashed = pe->headers, from;
	int r;

	from = pe->checksum_at + 4;
	r = part(pe->file, 0, pe->checksum_at, &parts[n++]);
	if (r == 0 && pe->certificate_at) {
		r = part(pe->file, from, pe->certificate_at - from, &parts[n++]);
		from = pe->certificate_at + DIRECTORY_SIZE;
	}
	if (r == 0)
		r = part(pe->file, from, pe->headers - from, &parts[n++]);
	for (size_t i = 0; i < pe->n; i++) {
		parts[n++] = pe->sections[i].bytes;
		hashed += pe->sections[i].bytes.len;
	}
	/* The rest counts from the sum of what was hashed, wherever there are gaps: firmware does
	 * so. */
	if (r == 0 && hashed < pe->file.len)
		r = part(pe->file, hashed, pe->file.len - pe->signatures - hashed, &parts[n++]);
	return r < 0 ? r : digest_of_parts(alg, parts, n, ret);
}

int pe_content(const struct pe *pe, const char *name, struct view *ret, const char **ret_why)
{
	const struct pe_section *found = NULL;

	for (size_t i = 0; i < pe->n; i++) {
		if (strncmp(pe->sections[i].name, name, strlen(name)) != 0)
			continue;
		/* Loaders compare as many letters as the name that they look for has. */
		if (found || strcmp(pe->sections[i].name, name) != 0)
			return bad(ret_why,
				   "a section that counts is not the only one of its name");
		found = &pe->sections[i];
	}
	if (!found || found->memory == 0)
		return -ENOENT;
	if (found->memory > found->bytes.len)
		return bad(ret_why, "a section that counts is larger than its bytes in the file");
	*ret = view_of(found->bytes.data, found->memory);
	return 0;
}
