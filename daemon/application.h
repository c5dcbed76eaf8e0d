/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_DAEMON_APPLICATION_H
#define ASSAY_DAEMON_APPLICATION_H

#include "collector.h"
#include "deliver.h"
#include "disk.h"
#include "launch.h"
#include "measure.h"
#include "monitor.h"
#include "queue.h"
#include "round.h"
#include "schedule.h"

/* One application of the configuration: its runs, its stages, the secrets it was given. */

enum application_state {
	APPLICATION_WAITING,   /* for the verifier */
	APPLICATION_MEASURING, /* static measurement, and its verdict */
	APPLICATION_STARTING,
	APPLICATION_RUNNING,
	APPLICATION_REFUSED, /* not started, or ended because of it */
	APPLICATION_ENDED,
	APPLICATION_FAILED, /* could not be measured or started */
};

/* A stage's secret that the verifier released to this run. */
struct application_secret {
	struct application_secret *next;
	char name[PRIVSEP_NAME_MAX];
	uint32_t stage;
	struct secret value;
	struct digest claims_hash; /* of the measurement that it was released for */
	bool delivered;		   /* by other ways than the socket: the receipt was sent */
};

#define APPLICATION_COLLECTORS_MAX 16

struct application {
	struct daemon *daemon;
	const struct config_application *config;
	int index; /* in struct daemon */
	enum application_state state;

	struct target *target;
	struct collector *collectors[APPLICATION_COLLECTORS_MAX];
	size_t n_collectors;
	struct schedule *schedule;
	struct measured *measured; /* of this run's start; NULL without static measurement */
	struct launch *launch;
	struct launch_user user;
	bool user_known;
	struct {
		struct event *look, *main_exit;
		int main_fd; /* of its main process, with main_exit */
		bool entered;  /* its first process waited for assayd */
		bool followed; /* its cgroup is the target's */
		unsigned int empty_looks, unanswered;
		struct unit_question *question; /* to systemd */
	} unit; /* application_unit.h */
	struct disk *disk; /* being opened */
	bool disk_open;	   /* it was, by this assayd: once is enough */
	struct deliver_files *files;
	struct event *gone_timer; /* looks whether the last process ended, once the first did */
	struct event *retry_timer;

	/* This run. */
	uint8_t run_id[RUN_ID_SIZE];
	uint64_t sequence;	/* of the last Claims */
	struct digest previous; /* their hash */
	uint64_t node_number;
	unsigned int brief_nodes; /* in a row: schedule_brief */
	uint64_t last_node_boottime_ns;
	uint32_t stage_passed;
	uint32_t stage_wanted; /* begun by the application and not decided; 0: none */
	bool frozen;	       /* by on_refusal, until it is readmitted */
	bool stopping;	       /* told to end: what its first process leaves behind is killed */
	unsigned int violations; /* bit k: enum violation_kind k was noticed in this run */
	bool refused;	       /* latched: nothing more is released */
	char verdict[16];
	char *reasons; /* of the last verdict, a line each; NULL: none */
	struct application_secret *secrets;
	uint64_t dropped; /* measurements that never reached the verifier */

	/* Measurements that wait for the chip report that will cover them (report: every N). */
	struct queued_measurement *batch;
	size_t batch_n, batch_bytes;

	struct round *round; /* under way; NULL: none */
	struct queue queue;

	/* From the verifier, for this session. */
	bool challenged;
	uint8_t nonce[NONCE_SIZE];
	uint64_t nonce_until_boottime_ns; /* 0: none */
};

MUST_CHECK int application_new(struct daemon *d, const struct config_application *config, int index,
			       struct application **ret);
void application_free(struct application *a);

/* Who it runs as, once; where that is asked for. -ENOENT: there is no such user, which was said. */
MUST_CHECK int application_find_user(struct application *a);

/* Begins a run: static measurement, or the start itself. */
void application_start(struct application *a);

/* Ends its processes; the run is over when they are gone. */
void application_stop(struct application *a, enum launch_stop how);

/* The session came or went; a Challenge came. */
void application_session_up(struct application *a);
void application_session_down(struct application *a);
void application_challenged(struct application *a, const struct privsep_challenge *c);

/* A round has come to its end. r: 0 its evidence was judged or queued; a negative errno otherwise.
 */
void application_round_ended(struct application *a, struct round *round, int r);

/* What a verdict says, for one evidence of this application. */
void application_judged(struct application *a, bool accepted, bool latched, uint32_t stage,
			struct view reasons);

/* Keeps a released secret; takes value over. */
MUST_CHECK int application_keep_secret(struct application *a, const char *name, uint32_t stage,
				       const struct digest *claims_hash, struct secret *value);

/* Receipt for a secret that reached a process. */
void application_delivered(struct application *a, uint32_t stage, const char *name, pid_t pid,
			   const char *how);

/* -EACCES refused; -ENOTSUP: no such time node; -ERANGE: not the next stage; 0: begun or passed. */
MUST_CHECK int application_begin_stage(struct application *a, uint32_t stage, const char **ret_why);

const char *application_state_name(const struct application *a);

#endif
