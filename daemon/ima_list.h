/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_IMA_LIST_H
#define ASSAY_DAEMON_IMA_LIST_H

#include "bytes.h"

/*
 * The kernel's list of what IMA measured, as it goes with reports that quote PCR 10. It only grows,
 * from the start of the machine on: it is read on, never anew, and the verifier is sent what it has
 * not proven yet in this session. Bounded by IMA_LOG_MAX (ima_log.h): past that it is no longer
 * sent, and the reports say so. Read on the chip thread and sent on the loop: it locks itself.
 */

#define IMA_LIST_KERNEL	 "/sys/kernel/security/ima/binary_runtime_measurements"
#define IMA_LIST_WHY_MAX 256

struct ima_list;

/*
 * Opens it and reads what is there. -ENOENT: the kernel has no IMA, or securityfs is not mounted. A
 * list that is too large is no error here: ima_list_slice says it.
 */
MUST_CHECK int ima_list_open(const char *path, struct ima_list **ret);
void ima_list_free(struct ima_list *l);

/*
 * Reads on. To be called after the chip has quoted: the kernel appends before it extends, so that
 * the list then has all that the quote is over. Returns where it ends, for ima_list_slice.
 */
uint64_t ima_list_read(struct ima_list *l);

/* The verifier has proven so many bytes; 0 at the start of a session. More than there are: nothing.
 */
void ima_list_known(struct ima_list *l, uint64_t bytes);

/*
 * What goes with a report whose list ended there: appends it to ret, which comes after the first
 * *ret_first bytes of the list. A report older than what the verifier knows gets all from the start
 * on. -EMSGSIZE, and what reading failed with: there is none, and ret_why says why.
 */
MUST_CHECK int ima_list_slice(struct ima_list *l, uint64_t end, struct bytes *ret,
			      uint64_t *ret_first, char ret_why[IMA_LIST_WHY_MAX]);

#endif
