/* SPDX-License-Identifier: Apache-2.0 */
#include "svsm_manifest.h"

#include <string.h>

/* 63849ebb-3d92-4670-a1ff-58f9c94b87bb, c476f1eb-0123-45a5-9641-b4e7dde5bfe3. */
static const uint8_t table_guid[SVSM_GUID_SIZE] = {
	0xbb, 0x9e, 0x84, 0x63, 0x92, 0x3d, 0x70, 0x46,
	0xa1, 0xff, 0x58, 0xf9, 0xc9, 0x4b, 0x87, 0xbb
};
static const uint8_t vtpm_guid[SVSM_GUID_SIZE] = { 0xeb, 0xf1, 0x76, 0xc4, 0x23, 0x01, 0xa5, 0x45,
						   0x96, 0x41, 0xb4, 0xe7, 0xdd, 0xe5, 0xbf, 0xe3 };

static bool is_guid(struct view v, const uint8_t guid[SVSM_GUID_SIZE])
{
	return v.len >= SVSM_GUID_SIZE && memcmp(v.data, guid, SVSM_GUID_SIZE) == 0;
}

/* One entry: what it is of, and where its data are, which is behind the table. */
static const char *read_entry(struct reader *in, struct view all, size_t table_end,
			      struct view *ret_guid, struct view *ret_data)
{
	uint32_t offset, len;

	if (read_view(in, SVSM_GUID_SIZE, ret_guid) < 0 || read_le32(in, &offset) < 0 ||
	    read_le32(in, &len) < 0)
		return "its table of services is cut short";
	if (offset < table_end || offset > all.len || len > all.len - offset)
		return "the data of a service are outside of it";
	*ret_data = view_of(all.data + offset, len);
	return NULL;
}

static const char *read_table(struct view raw, struct svsm_manifest *m)
{
	struct view guid, data = { 0 }, seen[SVSM_SERVICES_MAX];
	struct reader in = reader_of(raw);
	uint32_t total, n;
	const char *why;
	size_t end;

	if (read_view(&in, SVSM_GUID_SIZE, &guid) < 0 || read_le32(&in, &total) < 0 ||
	    read_le32(&in, &n) < 0)
		return "its header is cut short";
	if (total != raw.len)
		return "it is not as long as it says";
	if (n == 0 || n > SVSM_SERVICES_MAX)
		return "it has no services, or more than 64";
	end = SVSM_GUID_SIZE + 8 + n * (SVSM_GUID_SIZE + 8);
	for (uint32_t i = 0; i < n; i++) {
		why = read_entry(&in, raw, end, &seen[i], &data);
		if (why)
			return why;
		for (uint32_t j = 0; j < i; j++) {
			if (view_equal(seen[i], seen[j]))
				return "a service is in it twice";
		}
		if (is_guid(seen[i], vtpm_guid))
			m->vtpm = data;
	}
	m->all_services = true;
	m->n_services = n;
	return m->vtpm.data ? NULL : "there is no vTPM among its services";
}

int svsm_manifest_parse(struct view raw, struct svsm_manifest *ret, const char **ret_why)
{
	struct svsm_manifest m = { .n_services = 1, .vtpm = raw };
	const char *why = NULL;
	int r;

	if (raw.len > SVSM_MANIFEST_MAX) {
		why = "it is larger than such a manifest may be";
	} else if (is_guid(raw, table_guid)) {
		m.vtpm = (struct view){ 0 };
		why = read_table(raw, &m);
	}
	r = why ? -EBADMSG : tpm_public_parse(m.vtpm, &m.ek, &why);
	if (r == 0)
		why = tpm_public_ek_fault(&m.ek);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (why) {
		*ret_why = why;
		return -EBADMSG;
	}
	*ret = m;
	return 0;
}

bool svsm_manifest_is(struct view raw)
{
	struct svsm_manifest m;
	const char *why;

	return svsm_manifest_parse(raw, &m, &why) == 0;
}
