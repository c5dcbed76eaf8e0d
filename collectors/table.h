/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_COLLECTORS_TABLE_H
#define ASSAY_COLLECTORS_TABLE_H

#include "collector.h"

extern const struct collector_ops collector_start_time;
extern const struct collector_ops collector_resources;
extern const struct collector_ops collector_network;
extern const struct collector_ops collector_storage;
extern const struct collector_ops collector_environment;
extern const struct collector_ops collector_logs;
extern const struct collector_ops collector_code;
extern const struct collector_ops collector_kernel;
extern const struct collector_ops collector_credentials;
extern const struct collector_ops collector_machine;
extern const struct collector_ops collector_descriptors;

#endif
