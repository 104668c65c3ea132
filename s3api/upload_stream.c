#include <pthread.h>
#include <stdlib.h>

#include "s3api/upload_stream.h"

/*
 * A ring of buffers between the loop, which fills them from the socket, and two
 * jobs on workers: the first digests a buffer (and takes an envelope off it in
 * place), the second writes it while the first has the next one. Each job runs
 * as long as there is something for it and ends when there is not; at most one
 * of each is under way, so that both see the buffers in order. Only `lock`
 * protects what more than one changes.
 */

#define BUFFERS 5
#define BUFFER_BYTES (128 * 1024)
#define TURN_BUFFERS 8 /* that a worker takes before others have their turn */

struct upload_stream {
	struct upload *up;
	uint64_t size; /* declared */
	char *memory[BUFFERS];
	size_t lengths[BUFFERS];
	int reading; /* the loop's: a read is under way */
	int over;    /* the loop's: the job has said its last */
	int gone;    /* the loop's: the client is */
	int again;   /* the loop's: read_next() is to go round once more */
	int *ended_within; /* set if the request ends within read_next() */

	pthread_mutex_t lock;
	uint64_t filled, digested, written; /* buffers, ever */
	int ended;                          /* the last buffer is filled */
	int checked;   /* all is digested, and the digests agree */
	int abandon;   /* the jobs are to drop everything */
	int failed;    /* so they are; up->s3err says why */
	int digesting; /* the job is submitted or runs */
	int writing;   /* that one, too */
	int sealed;    /* all is written, and durable */
	int told;      /* what it came to is on its way to the loop */
	int stalled;   /* the loop waits for a buffer */

	struct job digest; /* to a worker */
	struct job write;  /* to a worker */
	struct job room;   /* to the loop: a buffer is free */
	struct job last;   /* to the loop: all is done, or failed */
};

#define OF(job_, member_) \
	((struct upload_stream *)((char *)(job_)-offsetof( \
	    struct upload_stream, member_)))

static void
stream_free(struct upload_stream *stream)
{
	size_t i;

	for (i = 0; i < BUFFERS; i++)
		free(stream->memory[i]);
	pthread_mutex_destroy(&stream->lock);
}

/* ---- on the workers ---- */

static void
submit(struct upload_stream *stream, struct job *job)
{
	workers_submit(store_workers(stream->up->req->store), job);
}

/* With the lock: the first failure is the one that is told of. */
static void
note_failure(struct upload_stream *stream, const struct s3_error *why)
{
	if (!stream->failed)
		stream->up->s3err = *why;
	stream->failed = 1;
}

/* With the lock, which it gives back: a job has ended. The one that ends last
 * tells the loop, which may then free the stream. */
static void
leave(struct upload_stream *stream)
{
	struct upload *up = stream->up;
	int bad = stream->abandon || stream->failed, last;

	last = (bad || stream->sealed) && !stream->digesting &&
	    !stream->writing && !stream->told;
	if (last)
		stream->told = 1;
	pthread_mutex_unlock(&stream->lock);
	if (!last)
		return;
	if (bad) {
		/* Here, since giving a large file up may block. */
		content_drop(up->content);
		up->content = NULL;
		up->failed = 1;
	}
	http_request_post(up->req->http, &stream->last);
}

/* One buffer, or the end of them; 0, or -1 when there is none. */
static int
digest_once_more(struct upload_stream *stream)
{
	struct upload *up = stream->up;
	struct s3_error why = { 0 };
	int empty, failed, start;
	size_t slot, len;

	pthread_mutex_lock(&stream->lock);
	empty = stream->filled == stream->digested;
	if (stream->abandon || stream->failed ||
	    (empty && (!stream->ended || stream->checked))) {
		stream->digesting = 0;
		leave(stream);
		return -1;
	}
	slot = (size_t)(stream->digested % BUFFERS);
	pthread_mutex_unlock(&stream->lock);

	if (empty)
		failed = payload_finish(&up->payload, &why);
	else {
		failed = upload_digest(up, stream->memory[slot],
		    stream->lengths[slot], &len, &why);
		stream->lengths[slot] = len;
	}

	pthread_mutex_lock(&stream->lock);
	if (failed)
		note_failure(stream, &why);
	else if (empty)
		stream->checked = 1;
	else
		stream->digested++;
	start = !failed && !stream->writing;
	if (start)
		stream->writing = 1;
	pthread_mutex_unlock(&stream->lock);
	if (start)
		submit(stream, &stream->write);
	return 0;
}

static void
digest(struct job *job)
{
	struct upload_stream *stream = OF(job, digest);
	size_t n;

	for (n = 0; n < TURN_BUFFERS; n++)
		if (digest_once_more(stream) != 0)
			return;
	/* Others have their turn; a fast client would keep the worker for good.
	 */
	submit(stream, &stream->digest);
}

/* As digest_once_more(). */
static int
write_once_more(struct upload_stream *stream)
{
	struct upload *up = stream->up;
	struct s3_error why = { 0 };
	int empty, failed, stalled = 0;
	size_t slot;

	pthread_mutex_lock(&stream->lock);
	empty = stream->digested == stream->written;
	if (stream->abandon || stream->failed ||
	    (empty && (!stream->checked || stream->sealed))) {
		stream->writing = 0;
		leave(stream);
		return -1;
	}
	slot = (size_t)(stream->written % BUFFERS);
	pthread_mutex_unlock(&stream->lock);

	failed = empty ? upload_seal(up, &why)
		       : upload_write(up, stream->memory[slot],
			     stream->lengths[slot], &why);

	pthread_mutex_lock(&stream->lock);
	if (failed)
		note_failure(stream, &why);
	else if (empty)
		stream->sealed = 1;
	else {
		stream->written++;
		stalled = stream->stalled;
		stream->stalled = 0;
	}
	pthread_mutex_unlock(&stream->lock);
	if (stalled)
		http_request_post(up->req->http, &stream->room);
	return 0;
}

static void
write_out(struct job *job)
{
	struct upload_stream *stream = OF(job, write);
	size_t n;

	for (n = 0; n < TURN_BUFFERS; n++)
		if (write_once_more(stream) != 0)
			return;
	submit(stream, &stream->write);
}

/* ---- on the loop ---- */

static void
end(struct upload_stream *stream)
{
	struct upload *up = stream->up;
	int gone = stream->gone;

	if (stream->reading)
		return; /* its callback comes back here */
	if (stream->ended_within != NULL)
		*stream->ended_within = 1;
	stream_free(stream);
	if (gone && up->failed)
		s3_error_set(&up->s3err, S3_REQUEST_TIMEOUT, NULL);
	upload_done(up);
}

static void body_read(struct http_request *, long n, int ended, void *arg);

/* A read may call back at once; going round here keeps the stack flat. */
static void
read_next(struct upload_stream *stream)
{
	int over = 0;
	size_t slot;

	if (stream->ended_within != NULL) {
		stream->again = 1;
		return;
	}
	stream->ended_within = &over;
	do {
		stream->again = 0;
		stream->reading = 1;
		slot = (size_t)(stream->filled % BUFFERS);
		http_body_read(stream->up->req->http, stream->memory[slot],
		    BUFFER_BYTES, body_read, stream);
	} while (!over && stream->again);
	if (!over)
		stream->ended_within = NULL;
}

static void
body_read(struct http_request *http, long n, int ended, void *arg)
{
	struct upload_stream *stream = arg;
	int start, full;

	(void)http;
	stream->reading = 0;
	if (n < 0)
		stream->gone = 1;
	if (stream->over) {
		end(stream);
		return;
	}
	pthread_mutex_lock(&stream->lock);
	if (n < 0) {
		stream->abandon = 1;
	} else {
		if (n > 0)
			stream->lengths[stream->filled++ % BUFFERS] = (size_t)n;
		stream->ended = ended;
	}
	start = !stream->digesting && !stream->told;
	if (start)
		stream->digesting = 1;
	full = stream->filled - stream->written == BUFFERS;
	stream->stalled = full && n >= 0 && !ended;
	pthread_mutex_unlock(&stream->lock);
	if (start)
		submit(stream, &stream->digest);
	if (n >= 0 && !ended && !full)
		read_next(stream);
}

static void
room_again(struct job *job)
{
	struct upload_stream *stream = OF(job, room);

	if (!stream->over)
		read_next(stream);
}

static void
over(struct job *job)
{
	struct upload_stream *stream = OF(job, last);

	stream->over = 1;
	end(stream);
}

/* The content is begun by a worker, before the client is told to go on. */
static void
begin_content(struct s3_request *req)
{
	struct upload_stream *stream = ((struct upload *)req->state)->stream;
	struct upload *up = stream->up;
	struct error err = ERROR_INIT;

	up->content = content_begin(req->store, stream->size, &err);
	if (up->content == NULL) {
		s3_error_from(&up->s3err, &err);
		up->failed = 1;
	}
}

static void
content_begun(struct s3_request *req)
{
	struct upload_stream *stream = ((struct upload *)req->state)->stream;

	if (stream->up->failed)
		end(stream);
	else
		read_next(stream);
}

void
upload_stream_start(struct upload *up, uint64_t size)
{
	struct upload_stream *stream;
	size_t i;

	stream = s3_memory(up->req, sizeof(*stream));
	if (stream == NULL)
		goto nomem;
	up->stream = stream;
	stream->up = up;
	stream->size = size;
	stream->digest.run = digest;
	stream->write.run = write_out;
	stream->room.run = room_again;
	stream->last.run = over;
	pthread_mutex_init(&stream->lock, NULL);
	for (i = 0; i < BUFFERS; i++)
		if ((stream->memory[i] = malloc(BUFFER_BYTES)) == NULL) {
			stream_free(stream);
			goto nomem;
		}
	if (up->content != NULL)
		read_next(stream);
	else
		s3_work(up->req, begin_content, content_begun);
	return;

nomem:
	up->failed = 1;
	s3_error_set(&up->s3err, S3_SLOW_DOWN,
	    "The server has no memory for this request: come again.");
	upload_done(up);
}
