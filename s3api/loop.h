#ifndef S3API_LOOP_H
#define S3API_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/workers.h"
#include "s3api/server.h"

struct connection;
struct error;
struct loop;

/*
 * One event-loop thread: its sockets, its connections, and what they share. All
 * members belong to the loop's thread once it runs, but for the mailbox, the
 * counters (one writer, any reader) and what the server shares between loops.
 */

#define LOOP_SCRATCH_BYTES (16 * 1024) /* one TLS record */

/* A socket that one loop accepts from. */
struct loop_socket {
	struct loop *loop;
	const struct http_listener *listener;
	struct event event;
	int fd;
	int paused;
};

/* What the loops of a server have in common. */
struct loop_shared {
	struct http_limits limits;
	_Atomic size_t
	    connections;    /* those that count for limits.connections */
	size_t refused_max; /* of those beyond, how many are told so */
	uint64_t tick_ms;
};

struct loop_counters {
	_Atomic uint64_t connections, accepted, refused, requests, bytes_in,
	    bytes_out, timeouts;
};

struct loop {
	struct loop_shared *shared;
	size_t index;
	pthread_t thread;
	struct event_base *base;

	_Atomic(struct job *) mailbox; /* newest first */
	_Atomic size_t posting;        /* threads that are at it */
	int wake_fd;
	struct event wake;
	struct event tick;
	struct event attend;   /* to `attention` */
	struct event deadline; /* of a drain */

	struct loop_socket **sockets;
	size_t n_sockets;
	int spare_fd; /* given up to be able to refuse when there are no more */

	struct connection *connections;
	struct connection *attention; /* each to be called back, or freed */
	size_t n_refused;             /* of the connections */
	struct http_request *spare;   /* for reuse */
	size_t n_spare;
	size_t spare_unused; /* the fewest since the last tick */

	int draining;
	struct job drain_job;
	uint64_t drain_ms;

	uint64_t now_ms; /* monotonic, as of the last tick */
	int64_t fixed_second;
	char fixed[96]; /* "Date: ...\r\nServer: ...\r\n" of that second */
	size_t fixed_len;
	char *scratch; /* LOOP_SCRATCH_BYTES, for the duration of a call */
	struct loop_counters counters;
};

/* Initialises in place. 0, or -1 and *err; loop_destroy() is due either way. */
int loop_init(
    struct loop *, struct loop_shared *, size_t index, struct error *err);
void loop_destroy(struct loop *);
/* Takes the listening socket over, whether it succeeds or not. Before the loop
 * runs. 0, or -1 and *err. */
int loop_listen(
    struct loop *, int fd, const struct http_listener *, struct error *err);
int loop_start(struct loop *, struct error *err);
/* Any thread. */
void loop_post(struct loop *, struct job *);
/* Any other thread: begins the drain. The thread ends by itself. */
void loop_drain(struct loop *, uint64_t timeout_ms);

/* The connections that the loop walks at each tick and cuts at the end of a
 * drain. loop_uncount() is for one that never came to be remembered. */
void loop_remember(struct loop *, struct connection *);
void loop_forget(struct loop *, struct connection *);
void loop_uncount(struct loop *, int beyond);

/* A request's memory, reused; NULL without memory. */
struct http_request *loop_request_take(struct loop *);
void loop_request_give(struct loop *, struct http_request *);

/* The head's lines that are the same for every answer within a second. */
struct slice loop_fixed_lines(struct loop *);

static inline void
counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	/* One writer: no locked instruction is needed. */
	atomic_store_explicit(counter,
	    atomic_load_explicit(counter, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

#endif
