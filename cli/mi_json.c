/* SPDX-License-Identifier: Apache-2.0 */
#include "mi_json.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "bytes.h"
#include "cleanup.h"

#define DEPTH_MAX 32

static int message_json(const ProtobufCMessage *m, int depth, json_t **ret);

/* One value of the field's type at `at`. */
typedef int value_json(const ProtobufCFieldDescriptor *f, const void *at, int depth, json_t **ret);

static int made(json_t *j, json_t **ret)
{
	if (!j)
		return -ENOMEM;
	*ret = j;
	return 0;
}

static int u64_json(const ProtobufCFieldDescriptor *f, const void *at, int depth, json_t **ret)
{
	uint64_t n = *(const uint64_t *)at;
	char text[24];

	if (n <= INT64_MAX)
		return made(json_integer((json_int_t)n), ret);
	snprintf(text, sizeof(text), "%" PRIu64, n);
	return made(json_string(text), ret);
}

static int i64_json(const ProtobufCFieldDescriptor *f, const void *at, int depth, json_t **ret)
{
	return made(json_integer(*(const int64_t *)at), ret);
}

static int u32_json(const ProtobufCFieldDescriptor *f, const void *at, int depth, json_t **ret)
{
	return made(json_integer(*(const uint32_t *)at), ret);
}

static int i32_json(const ProtobufCFieldDescriptor *f, const void *at, int depth, json_t **ret)
{
	return made(json_integer(*(const int32_t *)at), ret);
}

static int bool_json(const ProtobufCFieldDescriptor *f, const void *at, int depth, json_t **ret)
{
	return made(json_boolean(*(const protobuf_c_boolean *)at), ret);
}

static int float_json(const ProtobufCFieldDescriptor *f, const void *at, int depth, json_t **ret)
{
	return made(json_real((double)*(const float *)at), ret);
}

static int double_json(const ProtobufCFieldDescriptor *f, const void *at, int depth, json_t **ret)
{
	return made(json_real(*(const double *)at), ret);
}

static int enum_json(const ProtobufCFieldDescriptor *f, const void *at, int depth, json_t **ret)
{
	const ProtobufCEnumValue *v;

	v = protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)at);
	return v ? made(json_string(v->name), ret) : i32_json(f, at, depth, ret);
}

static int string_json(const ProtobufCFieldDescriptor *f, const void *at, int depth, json_t **ret)
{
	const char *text = *(const char *const *)at;
	json_t *j = json_string(text ? text : "");

	if (!j)
		return -EBADMSG;
	*ret = j;
	return 0;
}

static int bytes_json(const ProtobufCFieldDescriptor *f, const void *at, int depth, json_t **ret)
{
	const ProtobufCBinaryData *b = at;
	char *hex = malloc(2 * b->len + 1);
	int r;

	if (!hex)
		return -ENOMEM;
	hex_encode(b->data, b->len, hex);
	r = made(json_string(hex), ret);
	free(hex);
	return r;
}

static int sub_message_json(const ProtobufCFieldDescriptor *f, const void *at, int depth,
			    json_t **ret)
{
	return message_json(*(const ProtobufCMessage *const *)at, depth + 1, ret);
}

static const struct {
	value_json *json;
	size_t size; /* of one value in an array */
} types[] = {
	[PROTOBUF_C_TYPE_INT32] = { i32_json, sizeof(int32_t) },
	[PROTOBUF_C_TYPE_SINT32] = { i32_json, sizeof(int32_t) },
	[PROTOBUF_C_TYPE_SFIXED32] = { i32_json, sizeof(int32_t) },
	[PROTOBUF_C_TYPE_INT64] = { i64_json, sizeof(int64_t) },
	[PROTOBUF_C_TYPE_SINT64] = { i64_json, sizeof(int64_t) },
	[PROTOBUF_C_TYPE_SFIXED64] = { i64_json, sizeof(int64_t) },
	[PROTOBUF_C_TYPE_UINT32] = { u32_json, sizeof(uint32_t) },
	[PROTOBUF_C_TYPE_FIXED32] = { u32_json, sizeof(uint32_t) },
	[PROTOBUF_C_TYPE_UINT64] = { u64_json, sizeof(uint64_t) },
	[PROTOBUF_C_TYPE_FIXED64] = { u64_json, sizeof(uint64_t) },
	[PROTOBUF_C_TYPE_FLOAT] = { float_json, sizeof(float) },
	[PROTOBUF_C_TYPE_DOUBLE] = { double_json, sizeof(double) },
	[PROTOBUF_C_TYPE_BOOL] = { bool_json, sizeof(protobuf_c_boolean) },
	[PROTOBUF_C_TYPE_ENUM] = { enum_json, sizeof(int) },
	[PROTOBUF_C_TYPE_STRING] = { string_json, sizeof(char *) },
	[PROTOBUF_C_TYPE_BYTES] = { bytes_json, sizeof(ProtobufCBinaryData) },
	[PROTOBUF_C_TYPE_MESSAGE] = { sub_message_json, sizeof(ProtobufCMessage *) },
};

static int array_json(const ProtobufCFieldDescriptor *f, const char *values, size_t n, int depth,
		      json_t **ret)
{
	CLEANUP(json_decrefp) json_t *array = json_array();

	if (!array)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		json_t *j;
		int r;

		r = types[f->type].json(f, values + i * types[f->type].size, depth, &j);
		if (r < 0)
			return r;
		if (json_array_append_new(array, j) < 0)
			return -ENOMEM;
	}
	*ret = TAKE(array);
	return 0;
}

/* proto3 has no presence for plain types; a message, or a member of a oneof, is there or not. */
static bool is_set(const ProtobufCFieldDescriptor *f, const char *base)
{
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(base + f->quantifier_offset) == f->id;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED)
		return *(void *const *)(base + f->offset) != NULL;
	return true;
}

static int field_json(const ProtobufCFieldDescriptor *f, const char *base, int depth, json_t **ret)
{
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return array_json(f, *(const char *const *)(base + f->offset),
				  *(const size_t *)(base + f->quantifier_offset), depth, ret);
	return types[f->type].json(f, base + f->offset, depth, ret);
}

static int message_json(const ProtobufCMessage *m, int depth, json_t **ret)
{
	CLEANUP(json_decrefp) json_t *object = NULL;

	if (depth > DEPTH_MAX)
		return -EINVAL;
	object = json_object();
	if (!object)
		return -ENOMEM;
	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		json_t *j;
		int r;

		if (!is_set(f, (const char *)m))
			continue;
		r = field_json(f, (const char *)m, depth, &j);
		if (r < 0)
			return r;
		if (json_object_set_new(object, f->name, j) < 0)
			return -ENOMEM;
	}
	*ret = TAKE(object);
	return 0;
}

int mi_json(const ProtobufCMessage *message, json_t **ret)
{
	return message_json(message, 0, ret);
}
