/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_CLI_MI_JSON_H
#define ASSAY_CLI_MI_JSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "errors.h"

/*
 * Any message as JSON, by its descriptor: fields under their names in the .proto file, bytes as
 * lower-case hex, enums by name (a value without one as its number), numbers as numbers (JSON
 * integers of 64 bits, so a uint64 past INT64_MAX is given as text). Fields of a plain type are
 * always there; messages that are not set are left out, as are the members of a oneof that are not
 * chosen.
 *
 * The caller owns *ret (json_decref). -EINVAL: nested deeper than a message of ours is;
 * -EBADMSG: text that is not UTF-8; -ENOMEM.
 */
MUST_CHECK int mi_json(const ProtobufCMessage *message, json_t **ret);

#endif
