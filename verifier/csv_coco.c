/* SPDX-License-Identifier: Apache-2.0 */
#include "csv_coco.h"

#include <string.h>

#include "cleanup.h"
#include "csv_report.h"
#include "pem.h"

#define MAGIC_SIZE 16
#define FLAGS_SIZE 4

static void cleanup_json(json_t **j)
{
	json_decref(*j);
}

/* Parsing costs: most files do not even begin and end like one. */
static json_t *load(struct view raw)
{
	static const char name[] = "\"attestation_report\"";

	while (raw.len > 0 && memchr(" \t\r\n", raw.data[raw.len - 1], 4))
		raw.len--;
	if (raw.len == 0 || raw.len > CSV_COCO_MAX || raw.data[0] != '{' ||
	    raw.data[raw.len - 1] != '}' || !memmem(raw.data, raw.len, name, strlen(name)))
		return NULL;
	return json_loadb((const char *)raw.data, raw.len, JSON_REJECT_DUPLICATES, NULL);
}

bool csv_coco_begins(struct view raw)
{
	CLEANUP(cleanup_json) json_t *j = load(raw);
	json_t *report = json_object_get(j, "attestation_report");

	return json_is_array(json_object_get(report, "magic")) &&
	       json_is_array(json_object_get(report, "data")) &&
	       json_is_integer(json_object_get(report, "flags"));
}

/* An array of exactly n numbers, each a byte. */
static bool read_array(json_t *array, uint8_t *to, size_t n)
{
	if (json_array_size(array) != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		json_t *item = json_array_get(array, i);
		json_int_t value = json_integer_value(item);

		if (!json_is_integer(item) || value < 0 || value > UINT8_MAX)
			return false;
		to[i] = (uint8_t)value;
	}
	return true;
}

static bool read_report(json_t *report, uint8_t to[CSV_WRAPPED_SIZE])
{
	json_int_t flags = json_integer_value(json_object_get(report, "flags"));

	if (flags < 0 || flags > UINT32_MAX)
		return false;
	for (size_t i = 0; i < FLAGS_SIZE; i++)
		to[MAGIC_SIZE + i] = (uint8_t)(flags >> 8 * i);
	return read_array(json_object_get(report, "magic"), to, MAGIC_SIZE) &&
	       read_array(json_object_get(report, "data"), to + MAGIC_SIZE + FLAGS_SIZE,
			  CSV_PAGE_SIZE);
}

static int read_log(json_t *text, struct arena *arena, Assay__ChipReport *report,
		    const char **ret_why)
{
	CLEANUP(bytes_cleanup) struct bytes log = BYTES_INIT(CSV_COCO_MAX);
	uint8_t *copy;
	int r;

	if (json_is_null(text))
		return 0;
	r = base64_decode(view_of(json_string_value(text), json_string_length(text)), &log);
	if (r == -EBADMSG) {
		*ret_why = "its \"cc_eventlog\" is no base64";
		return -EINVAL;
	}
	if (r < 0)
		return r;
	copy = arena_alloc(arena, log.len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, log.data, log.len);
	report->event_log = (ProtobufCBinaryData){ log.len, copy };
	return 0;
}

int csv_coco_unpack(struct view raw, struct arena *arena, Assay__ChipReport *report,
		    const char **ret_why)
{
	CLEANUP(cleanup_json) json_t *j = load(raw);
	uint8_t *wrapped = arena_alloc(arena, CSV_WRAPPED_SIZE);
	json_t *log = json_object_get(j, "cc_eventlog");

	if (!wrapped)
		return -ENOMEM;
	if (!read_report(json_object_get(j, "attestation_report"), wrapped)) {
		*ret_why = "its \"attestation_report\" is no wrapped report";
		return -EINVAL;
	}
	report->report = (ProtobufCBinaryData){ CSV_WRAPPED_SIZE, wrapped };
	return log ? read_log(log, arena, report, ret_why) : 0;
}
