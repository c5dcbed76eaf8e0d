/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/table.h"

#include "collectors/static_files.h"

const struct collector_ops *const collector_table[] = {
	&collector_start_time,	 /* 1 */
	&collector_resources,	 /* 2 */
	&collector_network,	 /* 3 */
	&collector_storage,	 /* 4 */
	&collector_environment,	 /* 5 */
	&collector_logs,	 /* 6 */
	&collector_static_files, /* 7 */
	&collector_code,	 /* 8 */
	&collector_kernel,	 /* 10 */
	&collector_credentials,	 /* 18, what processes may do */
	&collector_machine,	 /* 23, what of the machine weakens the rest */
	&collector_descriptors,	 /* 24, what is held open */
	NULL,
};
