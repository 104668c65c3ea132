#ifndef S3API_CONNECTION_H
#define S3API_CONNECTION_H

#include <stdint.h>

#include <sys/socket.h>
#include <sys/uio.h>

#include <netinet/in.h>

#include <event2/event_struct.h>

#include "base/buffer.h"
#include "s3api/http.h"
#include "s3api/server.h"
#include "s3api/stream.h"

struct loop;

/*
 * One connection's state machine. connection_run() takes steps until none can
 * be taken: it is called for every event and by every function of a handler
 * that makes a step possible, and does nothing when it is running already, so
 * that callbacks never nest.
 *
 * Memory is freed only by the loop's attention to it, which is at the bottom of
 * the stack; so a connection may die in any call without harm to its callers.
 */

enum connection_state {
	CONNECTION_HANDSHAKE,
	CONNECTION_HEAD,      /* idle, or a head is coming in */
	CONNECTION_SERVING,   /* the handler owes the final call */
	CONNECTION_FINISHING, /* it was made, the answer is being written */
	CONNECTION_DROPPING,  /* what is left of the request's body */
	CONNECTION_LINGERING, /* shut down, waiting for the client to see it */
	CONNECTION_GONE,      /* closed, but the final call is still due */
	CONNECTION_DEAD       /* closed, to be freed */
};

struct connection {
	struct loop *loop;
	const struct http_listener *listener;
	struct connection *next, *prev;    /* of the loop's */
	struct connection *next_attention; /* if attended */
	struct http_request *request;      /* NULL while idle */
	struct stream stream;
	struct event read_event, write_event;
	enum connection_state state;
	int attended;
	int running;
	int refused;  /* beyond the limit: told so, and closed */
	int readable; /* as far as is known */
	int writable; /* as far as is known */
	int read_armed;
	int write_armed;
	int keep;              /* goes on after the answer */
	int linger;            /* closes lingering after the answer */
	uint32_t waited_ms;    /* on the peer, within a body */
	uint64_t waited_bytes; /* moved when that began */
	uint64_t bytes_in, bytes_out;
	uint64_t spent;    /* of this turn's share of the loop */
	uint64_t since_ms; /* when the state, or the head, began */
	uint64_t lingered; /* bytes dropped */
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} peer;
};

/* What is to be written: runs of bytes, then a part of a file, then a tail. */
struct output {
	struct iovec iov[6];
	int at, n;
	int body; /* the index of the run that is the body's, or -1 */
	int fd;
	uint64_t file_offset;
	size_t file_left;
	const char *tail; /* behind the file */
	size_t tail_len;
};

#define REQUEST_MORE_BYTES 4096 /* for framing behind the longest head */

/* A request and all the memory that serving one takes. */
struct http_request {
	struct connection *conn;
	struct http_request *next_spare;
	size_t in_at, in_len; /* what has been read and not been used */
	size_t in_tried;      /* of it, known to be less than a head */
	size_t head_len;      /* the end of the head in `in` */

	/* The request's body. */
	int body_ended;
	int body_broken; /* no more can be read */
	int continue_due;
	int reading;
	int read_failed; /* to be called back with -1 */
	struct http_chunked chunked;
	uint64_t body_left; /* with a length */
	char *read_at;
	size_t read_room, read_got;
	http_body_done *read_done;
	void *read_arg;
	uint64_t body_in, body_out;
	uint64_t dropped;

	/* The answer. */
	int begun;
	int head_sent;
	int answer_chunked;
	int until_close; /* of unknown length, to HTTP/1.0 */
	int no_body;
	int sending;
	int send_failed;
	uint64_t answer_left;
	struct output out;
	http_sent *send_done;
	void *send_arg;
	char chunk_line[24];
	struct buffer text; /* the head; what could not be written at once */

	char peer[72];
	struct http_head head;
	char in[HTTP_HEAD_MAX_BYTES + REQUEST_MORE_BYTES];
};

/* A new connection on an accepted socket, which it takes over whether it
 * succeeds or not. beyond: it is one too many. */
void connection_open(struct loop *, const struct http_listener *, int fd,
    const struct sockaddr_storage *peer, int beyond);
void connection_run(struct connection *);
/* Checks the time limits. */
void connection_tick(struct connection *, uint32_t tick_ms);
/* The loop has come to what connection_attend() asked for. */
void connection_attended(struct connection *);
void connection_attend(struct connection *);
/* The client is gone, or shall be: closes at once, with a reset if so asked. */
void connection_lost(struct connection *, int reset);
/* Ends in good order, with TLS's goodbye. */
void connection_close(struct connection *);
void connection_enter(struct connection *, enum connection_state);
/* The handler's final call, once the client is gone. */
void connection_release(struct connection *);
/* Answers by itself, and closes. */
void connection_refuse(struct connection *, int status, const char *reason);

/* Begins with a fresh request in conn->request's memory. */
void request_reset(struct http_request *);

/* head.c: one step while idle or in a head; 1 when something was done. */
int head_step(struct connection *);
/* body.c: one step of a pending read; 1 when something was done. */
int body_step(struct connection *);
/* What is known of the body without reading, after the head. */
void body_begin(struct http_request *);
/* Too much of it is left to be dropped. */
int body_is_long(const struct http_request *);
/* Drops what is left of the body: 1 when it is all gone, 0 to wait, -1 when it
 * is too much or the client is gone. */
int body_drop(struct connection *);

/* output.c: writes what is pending. 1 when all is written, STREAM_AGAIN or
 * STREAM_FAILED; 0 when this turn's share is used up, unless it is `whole`. */
int output_write(struct connection *, int whole);
int output_pending(const struct http_request *);
/* Appends a run of bytes that stay where they are. */
void output_add(struct http_request *, const void *bytes, size_t len);

/* How much one connection may move before others have their turn. */
#define CONNECTION_TURN_BYTES (1024 * 1024)
#define CONNECTION_REQUEST_COST (8 * 1024)

#endif
