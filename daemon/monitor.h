/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_MONITOR_H
#define ASSAY_DAEMON_MONITOR_H

#include <event2/event.h>

#include "app_socket.h"
#include "attester.h"
#include "collectors/follow.h"
#include "config.h"
#include "deliver.h"
#include "ima_list.h"
#include "privsep.h"
#include "runtime_log.h"
#include "worker.h"

/*
 * The monitor process: measures, talks to the chip, holds the channel keys and the
 * secrets, serves the application socket. struct daemon owns everything; one loop.
 */

#define MONITOR_EPOCH_SIZE   16
#define MONITOR_WHY_MAX	     512
#define MONITOR_RECEIPTS_MAX 256 /* kept while the verifier is away */

struct application;
struct boot;

struct daemon {
	const struct config *config;
	struct event_base *base;
	struct event *on_terminate, *on_interrupt, *watchdog, *follow_readable;
	int exit_status;
	bool stopping;

	struct privsep *net;
	pid_t net_pid;

	const struct attester_ops *attester_ops;
	struct attester *attester; /* used on the chip thread only, once that runs */
	struct attester_identity identity;
	struct worker *chip, *files;
	struct runtime_log *runtime_log; /* NULL where the chip has no runtime register */
	struct ima_list *ima;		 /* NULL: none goes with reports, and ima_why says why */
	char ima_why[MONITOR_WHY_MAX];	 /* empty where a list of IMA could not be proven anyway */

	struct follow *follow; /* NULL where eBPF cannot be used: follow_why */
	char follow_why[MONITOR_WHY_MAX];
	struct guard *guard; /* NULL where nothing is to be protected, or eBPF cannot be used */
	int cgroup_fd;
	char *cgroup_path;

	struct app_socket *socket;
	struct deliver_socket *credentials;
	char *credentials_root;

	struct application **applications;
	size_t n_applications;
	char **survivors; /* names of applications found running, and ended */
	size_t n_survivors;

	/* The session, as net reports it. */
	bool session_up, admitted; /* admitted: enrolled, or known to the verifier */
	uint8_t exporter[EXPORTER_SIZE];
	uint64_t session_number;   /* counts sessions, so that what was made for one is not sent in
				      the next */
	struct evbuffer *receipts; /* framed, waiting for a session */
	size_t n_receipts;

	uint8_t boot_id[BOOT_ID_SIZE];
	uint8_t epoch[MONITOR_EPOCH_SIZE];
	bool in_initrd;
	struct boot *boot; /* NULL unless assayd was started as `assayd --initrd` */
};

/*
 * Runs until a signal ends it. net_fd: the monitor's end of the socketpair. report_fd: of
 * initrd_enter; -1: not started that way. Returns the exit status of the program.
 */
int monitor_main(const struct config *config, int net_fd, pid_t net_pid, int report_fd);

/* The application of that name or process; NULL: none. */
struct application *monitor_application(struct daemon *d, const char *name);
struct application *monitor_application_of(struct daemon *d, pid_t pid);

#endif
