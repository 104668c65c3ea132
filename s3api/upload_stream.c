#include <pthread.h>
#include <stdlib.h>

#include "s3api/upload_stream.h"

/*
 * A ring of buffers between the loop, which fills them from the socket, and one
 * job on a worker, which digests and writes them. The job runs as long as there
 * is something filled and ends when there is not; at most one is under way.
 * Only `lock` protects what both change.
 */

#define BUFFERS 3
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
	uint64_t filled, emptied; /* buffers, ever */
	int ended;                /* the last buffer is filled */
	int abandon;              /* the job is to drop everything */
	int working;              /* the job is submitted or runs */
	int stalled;              /* the loop waits for a buffer */

	struct job job;  /* to the worker */
	struct job room; /* to the loop: a buffer is free */
	struct job last; /* to the loop: all is done, or failed */
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

/* ---- on the worker ---- */

static void
submit(struct upload_stream *stream)
{
	workers_submit(store_workers(stream->up->req->store), &stream->job);
}

static void
work_failed(struct upload_stream *stream)
{
	struct upload *up = stream->up;

	/* Here, since giving a large file up may block. */
	content_drop(up->content);
	up->content = NULL;
	up->failed = 1;
	http_request_post(up->req->http, &stream->last);
}

/* One buffer from the ring; 0, or -1 when it failed. */
static int
work_once(struct upload_stream *stream, size_t slot)
{
	struct upload *up = stream->up;
	int stalled;

	if (upload_feed(up, stream->memory[slot], stream->lengths[slot]) != 0)
		return -1;
	pthread_mutex_lock(&stream->lock);
	stream->emptied++;
	stalled = stream->stalled;
	stream->stalled = 0;
	pthread_mutex_unlock(&stream->lock);
	if (stalled)
		http_request_post(up->req->http, &stream->room);
	return 0;
}

static void
work(struct job *job)
{
	struct upload_stream *stream = OF(job, job);
	struct upload *up = stream->up;
	int abandon, ended, empty;
	size_t slot, n;

	for (n = 0; n < TURN_BUFFERS; n++) {
		pthread_mutex_lock(&stream->lock);
		abandon = stream->abandon;
		ended = stream->ended;
		empty = stream->filled == stream->emptied;
		slot = (size_t)(stream->emptied % BUFFERS);
		if (!abandon && empty && !ended) {
			stream->working = 0;
			pthread_mutex_unlock(&stream->lock);
			return;
		}
		pthread_mutex_unlock(&stream->lock);

		if (abandon || (!empty && work_once(stream, slot) != 0)) {
			work_failed(stream);
			return;
		}
		if (empty) {
			if (upload_finish(up) != 0)
				work_failed(stream);
			else
				http_request_post(up->req->http, &stream->last);
			return;
		}
	}
	/* Others have their turn; a fast client would keep the worker for good.
	 */
	submit(stream);
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
	start = !stream->working;
	stream->working = 1;
	full = stream->filled - stream->emptied == BUFFERS;
	stream->stalled = full && n >= 0 && !ended;
	pthread_mutex_unlock(&stream->lock);
	if (start)
		submit(stream);
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
	stream->job.run = work;
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
