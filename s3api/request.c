#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "s3api/s3own.h"

/*
 * A request's own memory: the structure and its buffers are kept for the next
 * request of the loop, so that a small one costs no allocation.
 */

#define BLOCK_BYTES 4000

struct s3_block {
	struct s3_block *next;
	size_t used, room;
	_Alignas(16) char bytes[];
};

static void
buffer_keep(struct buffer *buffer)
{
	if (buffer->room > S3_SPARE_BUFFER_BYTES || buffer->failed)
		buffer_free(buffer);
	else
		buffer_clear(buffer);
}

/* Unique in the process and without pattern: a Weyl sequence from a random
 * start, stirred by the finaliser of SplitMix64. Nobody relies on its secrecy.
 */
static void
next_id(struct s3_loop *loop, char text[17])
{
	static const char digits[] = "0123456789ABCDEF";
	uint64_t id;
	size_t i;

	if (loop->ids == 0)
		bytes_random(&loop->ids, sizeof(loop->ids));
	id = loop->ids += 0x9e3779b97f4a7c15;
	id = (id ^ id >> 30) * 0xbf58476d1ce4e5b9;
	id = (id ^ id >> 27) * 0x94d049bb133111eb;
	id ^= id >> 31;
	for (i = 0; i < 16; i++)
		text[i] = digits[id >> (60 - 4 * i) & 15];
	text[16] = '\0';
}

struct s3_request *
request_new(struct s3 *s3, struct http_request *http)
{
	struct s3_loop *loop = &s3->loops[http_request_loop(http)];
	struct s3_request *req;

	if ((req = loop->spare) != NULL) {
		loop->spare = req->next;
		loop->n_spare--;
	} else if ((req = calloc(1, sizeof(*req))) == NULL) {
		return NULL;
	}
	req->http = http;
	req->head = http_request_head(http);
	req->s3 = s3;
	req->store = s3->store;
	next_id(loop, req->id);
	req->operation = NULL;
	req->bucket = SLICE_NULL;
	req->key = SLICE_NULL;
	req->target.n_params = 0;
	req->who = NULL;
	req->begin = store_visible(s3->store);
	req->started_us = clock_monotonic_us();
	req->body_bytes = 0;
	req->state = NULL;
	req->tries = 0;
	return req;
}

static void
request_destroy(struct s3_request *req)
{
	struct s3_block *block;

	while ((block = req->blocks) != NULL) {
		req->blocks = block->next;
		free(block);
	}
	buffer_free(&req->text);
	buffer_free(&req->headers);
	buffer_free(&req->out);
	buffer_free(&req->memory);
	buffer_free(&req->scratch);
	free(req);
}

void
request_free(struct s3_request *req, struct s3_loop *loop)
{
	struct s3_block *block, *kept = NULL;

	access_release(req->who);
	bytes_wipe(&req->sig_key, sizeof(req->sig_key));
	while ((block = req->blocks) != NULL) {
		req->blocks = block->next;
		if (kept == NULL && block->room == BLOCK_BYTES) {
			kept = block;
			kept->used = 0;
			kept->next = NULL;
		} else {
			free(block);
		}
	}
	req->blocks = kept;
	buffer_keep(&req->text);
	buffer_keep(&req->headers);
	buffer_keep(&req->out);
	buffer_keep(&req->memory);
	buffer_keep(&req->scratch);
	if (loop->n_spare == S3_SPARE_MAX) {
		request_destroy(req);
		return;
	}
	req->next = loop->spare;
	loop->spare = req;
	loop->n_spare++;
}

void
requests_drop(struct s3_loop *loop)
{
	struct s3_request *req;

	while ((req = loop->spare) != NULL) {
		loop->spare = req->next;
		request_destroy(req);
	}
	loop->n_spare = 0;
}

void *
s3_memory(struct s3_request *req, size_t bytes)
{
	struct s3_block *block = req->blocks;
	size_t room;
	void *p;

	bytes = (bytes + 15) & ~(size_t)15;
	if (block == NULL || block->room - block->used < bytes) {
		room = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
		if ((block = malloc(sizeof(*block) + room)) == NULL)
			return NULL;
		block->used = 0;
		block->room = room;
		block->next = req->blocks;
		req->blocks = block;
	}
	p = block->bytes + block->used;
	block->used += bytes;
	return memset(p, 0, bytes);
}

struct slice
s3_keep(struct s3_request *req, struct slice text)
{
	struct slice kept = SLICE_NULL;
	char *p;

	if ((p = s3_memory(req, text.len + 1)) == NULL)
		return kept;
	if (text.len > 0)
		memcpy(p, text.at, text.len);
	kept.at = p;
	kept.len = text.len;
	return kept;
}

/* ---- going on later ---- */

static void
resume_on_loop(struct job *job)
{
	struct s3_request *req = (struct s3_request *)((char *)job -
	    offsetof(struct s3_request, job));

	req->resume(req);
}

static void
wake(struct s3_request *req)
{
	req->job.run = resume_on_loop;
	http_request_post(req->http, &req->job);
}

static void
change_done(struct change *change)
{
	wake(change->arg);
}

void
s3_prepare(struct s3_request *req, struct change *change, s3_step *resume)
{
	req->resume = resume;
	change->done = change_done;
	change->arg = req;
	change->begin = req->begin;
}

static void
work_on_worker(struct job *job)
{
	struct s3_request *req = (struct s3_request *)((char *)job -
	    offsetof(struct s3_request, job));

	req->work(req);
	wake(req);
}

void
s3_work(struct s3_request *req, s3_step *work, s3_step *resume)
{
	req->work = work;
	req->resume = resume;
	req->job.run = work_on_worker;
	workers_submit(store_workers(req->store), &req->job);
}

void
s3_work_far(struct s3_request *req, s3_step *work, s3_step *resume)
{
	req->work = work;
	req->resume = resume;
	req->job.run = work_on_worker;
	workers_submit(store_far_workers(req->store), &req->job);
}
