/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ASSAY_ASSAY_H
#define ASSAY_ASSAY_H

/*
 * libassay: what an application that assayd measures can ask of it.
 *
 *	struct assay *a;
 *	struct assay_secret *s;
 *
 *	r = assay_connect(NULL, 1000, &a);
 *	r = assay_begin_stage(a, 1, 1000);
 *	r = assay_get_stage_secret(a, 1, true, 60000, &s);
 *	... use assay_secret_data(s), assay_secret_size(s) ...
 *	assay_secret_free(s);
 *	assay_close(a);
 *
 * Returns. A function that returns int returns 0, or a negative errno: those that are particular
 * to it stand with it. assay_error_text() has words for each. Results come through the
 * parameters named ret, which are set only on success. Any function that allocates can return
 * -ENOMEM, and any that talks to assayd can return
 *	-ETIMEDOUT   no answer came in time; the connection stays good
 *	-ECONNRESET  assayd closed the connection: assay_close() it and connect again
 *	-EBADMSG     what came is not what assayd sends; the connection is closed
 *	-EPERM       the caller does not belong to an application that assayd started
 * and whatever the kernel says of the socket.
 *
 * Time-outs are in milliseconds: 0 does not wait, ASSAY_FOREVER waits without an end. They run on
 * a clock that does not jump.
 *
 * Threads. The library has no global state. Different objects may be used by different threads at
 * once; one object by one thread at a time. A secret, an event or a list that was returned does
 * not depend on the connection that it came from.
 *
 * Processes. assayd knows a connection by the process that made it. After fork(2) a child uses
 * none of its parent's objects and makes its own connection. Descriptors are close-on-exec.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#define ASSAY_MUST_CHECK __attribute__((warn_unused_result))
#else
#define ASSAY_MUST_CHECK
#endif

/* Where assayd listens, unless the environment variable says another path. */
#define ASSAY_SOCKET_DEFAULT  "/run/assay/app.sock"
#define ASSAY_SOCKET_VARIABLE "ASSAY_SOCKET"

/* The most bytes one secret has. */
#define ASSAY_SECRET_MAX 65536

/* As a time-out: without an end. */
#define ASSAY_FOREVER (-1)

/* A connection to assayd. */
struct assay;

/* A secret in memory that is locked, left out of core dumps and of child processes. */
struct assay_secret;

/* How a measurement was judged. The worst comes first, so that a zeroed value claims nothing. */
enum assay_verdict {
	ASSAY_REFUSED = 0, /* nothing further is released until the owner readmits */
	ASSAY_NONE = 1,	   /* nothing was judged yet */
	ASSAY_PENDING = 2, /* measured, or about to be; not judged yet */
	ASSAY_ACCEPTED = 3,
};

/*
 * Connects to the socket at path (at most 107 bytes; a leading '@' stands for the abstract name
 * space). NULL: the one that $ASSAY_SOCKET names, or ASSAY_SOCKET_DEFAULT. Nothing secret goes
 * out over it, so naming a wrong socket gives nothing away; but what comes in from it is only
 * as good as who listens there. A program with raised privileges (set-user-ID and the like)
 * does not look at the variable.
 *
 * The caller owns *ret and ends it with assay_close(). -ENOENT or -ECONNREFUSED: no assayd
 * listens there; -EACCES: the socket may not be opened by this user; -ENAMETOOLONG.
 */
ASSAY_MUST_CHECK int assay_connect(const char *path, int timeout_ms, struct assay **ret);

/* Ends the connection. Accepts NULL. Objects that came from it stay good. */
void assay_close(struct assay *a);

/*
 * What assayd said, in words, to the last call on this connection that failed: the
 * reasons of a refusal, for example. Empty when it said nothing. Control characters are
 * replaced. Good until the next call on this connection.
 */
const char *assay_message(const struct assay *a);

/* Words for what a function of this library returned. Constant text; for any thread. */
const char *assay_error_text(int r);

/*
 * Secrets.
 *
 * Gets the secret of that name (1 to 255 bytes), or of that stage (from 1; where a stage
 * releases several, the first one that its policy names). With wait, assayd answers once the
 * secret is there or can no longer come; without, at once. After -ETIMEDOUT of a waiting call the
 * secret can still arrive; it is then dropped unread, and may be asked for again.
 *
 * The caller owns *ret and ends it with assay_secret_free().
 * -ENOENT: no such secret; -EAGAIN: not released yet (without wait); -EACCES: the measurement it
 * hangs on was refused, assay_message() has the reasons; -ENOTCONN: assayd has no verifier at
 * the moment; -EBUSY: too many calls of this connection timed out while they waited, and are still
 * held by assayd; -EINVAL: name or stage out of range; -ENOMEM also where memory cannot be locked
 * (RLIMIT_MEMLOCK).
 */
ASSAY_MUST_CHECK int assay_get_secret(struct assay *a, const char *name, bool wait, int timeout_ms,
				      struct assay_secret **ret);
ASSAY_MUST_CHECK int assay_get_stage_secret(struct assay *a, uint32_t stage, bool wait,
					    int timeout_ms, struct assay_secret **ret);

/*
 * Reads a secret from fd to its end into locked memory: for one that assayd delivered as a
 * file in $CREDENTIALS_DIRECTORY. fd stays the caller's. -EMSGSIZE: past ASSAY_SECRET_MAX;
 * -ENODATA: nothing there; -ENOMEM also where memory cannot be locked; what read(2) gave.
 */
ASSAY_MUST_CHECK int assay_secret_read(int fd, struct assay_secret **ret);

/* The bytes, and how many (1 to ASSAY_SECRET_MAX). Lent until assay_secret_free(). Not text. */
const void *assay_secret_data(const struct assay_secret *s);
size_t assay_secret_size(const struct assay_secret *s);

/* Its name, and the stage it was released in; empty and 0 where that is not known. Lent. */
const char *assay_secret_name(const struct assay_secret *s);
uint32_t assay_secret_stage(const struct assay_secret *s);

/* Wipes, unlocks and frees. Accepts NULL. */
void assay_secret_free(struct assay_secret *s);

/*
 * Stages and measurements.
 *
 * Tells assayd that stage i (from 1) begins: it measures the application and, if that passes,
 * the stage's secret can be got. Returns when assayd has taken the request, not when it is judged.
 * It is 0 also for a stage that has begun or passed already. -EACCES: refused, now or earlier;
 * -ERANGE: not the next stage; -EINVAL: stage is 0; -ENOTSUP: assayd is not configured to measure
 * this application at stages.
 */
ASSAY_MUST_CHECK int assay_begin_stage(struct assay *a, uint32_t stage, int timeout_ms);

/*
 * Waits until stage i was judged, over a connection of its own to the same socket. *ret is
 * ASSAY_ACCEPTED or ASSAY_REFUSED; a refusal is a result, not an error, and assay_message() then
 * has its reasons. -EINVAL: stage is 0.
 */
ASSAY_MUST_CHECK int assay_wait_stage(struct assay *a, uint32_t stage, int timeout_ms,
				      enum assay_verdict *ret);

/*
 * Asks for a measurement now, outside any stage. reason: for the record, at most 255 bytes, may
 * be NULL. Returns when assayd has taken the request. -EAGAIN: asked for too often; -EINVAL.
 */
ASSAY_MUST_CHECK int assay_measure(struct assay *a, const char *reason, int timeout_ms);

/* Status of one application. Texts are never NULL; all of it belongs to the list or event. */
struct assay_status {
	const char *application;
	const char *state;    /* "starting", "running", "refused", "ended" ... */
	const char *platform; /* of the chip: "tpm", "soft" ... */
	uint32_t stage;	      /* the last one that passed; 0: none yet */
	uint32_t stages;      /* how many there are */
	uint32_t pid;	      /* of its first process; 0: not started */
	enum assay_verdict verdict;
	uint64_t node;		  /* number of its last time node */
	uint64_t queued;	  /* measurements waiting for the verifier */
	uint64_t missed;	  /* time nodes that fell due and were not measured */
	uint64_t foreign_callers; /* callers that belong to no application, turned away */
	bool insecure;		  /* the chip's reports prove nothing: for development */
	bool verifier_connected;
	const char *const *reasons; /* of a refusal; NULL-terminated */
	size_t reason_count;
};

/* What assayd knows: of the caller's own application; for the superuser, of all of them. */
struct assay_status_list;
ASSAY_MUST_CHECK int assay_get_status(struct assay *a, int timeout_ms,
				      struct assay_status_list **ret);
size_t assay_status_count(const struct assay_status_list *l);

/* Lent until assay_status_free(). NULL: i is not less than the count. */
const struct assay_status *assay_status_at(const struct assay_status_list *l, size_t i);

/* Accepts NULL. */
void assay_status_free(struct assay_status_list *l);

/*
 * Verdicts as they come.
 *
 * Opens a second connection to the socket of a, which is not used any more afterwards. The
 * caller owns *ret and ends it with assay_subscription_free().
 */
struct assay_subscription;
ASSAY_MUST_CHECK int assay_subscribe(const struct assay *a, int timeout_ms,
				     struct assay_subscription **ret);

/* A descriptor for poll(2): readable when assay_subscription_next() has something. Not to be read
 * or closed by the caller; good until assay_subscription_free(). */
int assay_subscription_fd(const struct assay_subscription *s);

/* Accepts NULL. */
void assay_subscription_free(struct assay_subscription *s);

/* One verdict. */
struct assay_event {
	uint32_t stage; /* that was judged; 0: a measurement outside the stages */
	enum assay_verdict verdict;
	const char *message;		   /* in words; never NULL */
	const struct assay_status *status; /* after it; NULL where assayd sent none */
};

/*
 * The next verdict. The caller owns *ret and ends it with assay_event_free(). -ETIMEDOUT: none
 * came (with a time-out of 0: none is there).
 */
ASSAY_MUST_CHECK int assay_subscription_next(struct assay_subscription *s, int timeout_ms,
					     struct assay_event **ret);

/* Accepts NULL. */
void assay_event_free(struct assay_event *e);

/*
 * Data in blocks, as `assay data split` writes them: block i is encrypted under the secret of
 * stage i. Reading streams: memory does not grow with the block, and bytes are handed out only
 * once their authentication tag was found good. Bytes handed out are therefore right; but
 * that the block has no more of them is known only when a read returned 0.
 */
struct assay_block;

/*
 * Opens the block in the file at path under a secret of 32 bytes. index: the place that this
 * block must have in its data set, 0 for any. The secret is not needed any more afterwards. The
 * caller owns *ret and ends it with assay_close_block().
 *
 * -EBADMSG: not a block; -ESTALE: it has another index; -EINVAL: the secret has another size;
 * what open(2) and read(2) gave. A wrong secret shows in the first read.
 */
ASSAY_MUST_CHECK int assay_open_block(const char *path, const struct assay_secret *secret,
				      uint32_t index, struct assay_block **ret);

/*
 * As above for the block of stage i (from 1): waits for S_i over the connection and opens the
 * block, whose index must be i. The stage must have begun (assay_begin_stage). Errors of
 * assay_get_stage_secret() and of assay_open_block().
 */
ASSAY_MUST_CHECK int assay_open_stage_block(struct assay *a, const char *path, uint32_t stage,
					    int timeout_ms, struct assay_block **ret);

/* As assay_open_block() for a file, pipe or socket that is already open. fd stays the caller's,
 * is read to its end and must be there until assay_close_block(). */
ASSAY_MUST_CHECK int assay_open_block_fd(int fd, const struct assay_secret *secret, uint32_t index,
					 struct assay_block **ret);

/*
 * Copies the next bytes, at most size, to to. Returns how many: fewer than size only at the end
 * of a chunk, 0 only at the end of the block, which was then whole. -EBADMSG: it was changed, cut
 * or extended, or is not under this secret; what read(2) gave. An error stays.
 */
ASSAY_MUST_CHECK ssize_t assay_block_read(struct assay_block *b, void *to, size_t size);

/*
 * As above without a copy: *ret lends the next bytes, up to a chunk, until the next call for
 * this block. Returns how many, 0 at the end.
 */
ASSAY_MUST_CHECK ssize_t assay_block_next(struct assay_block *b, const void **ret);

/*
 * Index of the block, how many the data set has, and the data set's id of 16 bytes, lent until
 * assay_close_block(). They may be believed once a read of this block succeeded.
 */
uint32_t assay_block_index(const struct assay_block *b);
uint32_t assay_block_count(const struct assay_block *b);
const uint8_t *assay_block_data_set(const struct assay_block *b);

/* Wipes and frees. Accepts NULL. */
void assay_close_block(struct assay_block *b);

#ifdef __cplusplus
}
#endif

#endif
