#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/error.h"
#include "s3api/accept.h"
#include "s3api/connection.h"
#include "s3api/loop.h"

#define SPARE_MAX 64         /* requests kept for reuse */
#define TEXT_KEEP_BYTES 8192 /* of an answer's memory, with each */
#define FIXED_SERVER_HEADER "Server: holdfast\r\n"

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	struct job *job, *next, *first = NULL;

	(void)fd;
	(void)what;
	job = atomic_exchange_explicit(
	    &loop->mailbox, NULL, memory_order_acquire);
	for (; job != NULL; job = next) {
		next = job->next;
		job->next = first;
		first = job;
	}
	for (job = first; job != NULL; job = next) {
		next = job->next;
		job->run(job);
	}
}

void
loop_post(struct loop *loop, struct job *job)
{
	struct job *head;
	uint64_t one = 1;

	/* Once the job is in the mailbox, the loop may run it and end. */
	atomic_fetch_add_explicit(&loop->posting, 1, memory_order_relaxed);
	head = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);
	do
		job->next = head;
	while (!atomic_compare_exchange_weak_explicit(&loop->mailbox, &head,
	    job, memory_order_release, memory_order_relaxed));
	/* The event is edge-triggered and never read: one write, one wake-up.
	 * Who finds the mailbox filled need not write again. */
	if (head == NULL)
		while (write(loop->wake_fd, &one, sizeof(one)) == -1 &&
		    errno == EINTR)
			;
	atomic_fetch_sub_explicit(&loop->posting, 1, memory_order_release);
}

static void
on_attend(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	struct connection *c, *next;

	(void)fd;
	(void)what;
	c = loop->attention;
	loop->attention = NULL;
	for (; c != NULL; c = next) {
		next = c->next_attention;
		c->attended = 0;
		connection_attended(c);
	}
}

/* Gives back half of the requests' memory that was not needed since the last
 * tick. */
static void
trim_spare(struct loop *loop)
{
	struct http_request *req;
	size_t n = (loop->spare_unused + 1) / 2;

	for (; n > 0 && loop->spare != NULL; n--) {
		req = loop->spare;
		loop->spare = req->next_spare;
		loop->n_spare--;
		buffer_free(&req->text);
		free(req);
	}
	loop->spare_unused = loop->n_spare;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	struct connection *c;
	uint64_t before = loop->now_ms;

	(void)fd;
	(void)what;
	loop->now_ms = clock_monotonic_ms();
	for (c = loop->connections; c != NULL; c = c->next)
		connection_tick(c, (uint32_t)(loop->now_ms - before));
	accept_resume(loop);
	trim_spare(loop);
}

/* The end of a drain's time. */
static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	struct connection *c;

	(void)fd;
	(void)what;
	for (c = loop->connections; c != NULL; c = c->next)
		connection_lost(c, 1);
}

static void
end_if_drained(struct loop *loop)
{
	if (loop->draining && loop->connections == NULL)
		(void)event_base_loopbreak(loop->base);
}

static struct timeval
timeval_of(uint64_t ms)
{
	struct timeval tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	return tv;
}

static void
begin_drain(struct job *job)
{
	struct loop *loop =
	    (struct loop *)((char *)job - offsetof(struct loop, drain_job));
	struct timeval after = timeval_of(loop->drain_ms);
	struct connection *c;

	accept_stop(loop, 1);
	loop->draining = 1;
	for (c = loop->connections; c != NULL; c = c->next) {
		if (c->state == CONNECTION_HANDSHAKE)
			connection_lost(c, 0);
		else if (c->state == CONNECTION_HEAD) {
			c->readable = 1;
			connection_run(c);
		}
	}
	(void)event_add(&loop->deadline, &after);
	end_if_drained(loop);
}

void
loop_drain(struct loop *loop, uint64_t timeout_ms)
{
	loop->drain_ms = timeout_ms;
	loop->drain_job.run = begin_drain;
	loop_post(loop, &loop->drain_job);
}

int
loop_init(struct loop *loop, struct loop_shared *shared, size_t index,
    struct error *err)
{
	struct event_config *config;
	struct timeval tick = timeval_of(shared->tick_ms);

	memset(loop, 0, sizeof(*loop));
	loop->shared = shared;
	loop->index = index;
	loop->fixed_second = -1;
	loop->now_ms = clock_monotonic_ms();
	loop->spare_fd = accept_spare();
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->wake_fd == -1)
		return error_sys(err, errno, "an event loop's wake-up");
	if ((loop->scratch = malloc(LOOP_SCRATCH_BYTES)) == NULL ||
	    (config = event_config_new()) == NULL)
		return error_nomem(err);
	/* One thread uses it, so libevent need not lock. */
	(void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	if (loop->base == NULL)
		return error_nomem(err);

	(void)event_assign(&loop->wake, loop->base, loop->wake_fd,
	    EV_READ | EV_PERSIST | EV_ET, on_wake, loop);
	(void)event_assign(
	    &loop->tick, loop->base, -1, EV_PERSIST, on_tick, loop);
	(void)event_assign(&loop->attend, loop->base, -1, 0, on_attend, loop);
	(void)event_assign(
	    &loop->deadline, loop->base, -1, 0, on_deadline, loop);
	if (event_add(&loop->wake, NULL) != 0 ||
	    event_add(&loop->tick, &tick) != 0)
		return error_nomem(err);
	return 0;
}

void
loop_destroy(struct loop *loop)
{
	struct http_request *req;

	while (atomic_load_explicit(&loop->posting, memory_order_acquire) != 0)
		(void)sched_yield();
	accept_stop(loop, 0);
	free(loop->sockets);
	while ((req = loop->spare) != NULL) {
		loop->spare = req->next_spare;
		buffer_free(&req->text);
		free(req);
	}
	if (loop->base != NULL)
		event_base_free(loop->base);
	if (loop->wake_fd > 0)
		(void)close(loop->wake_fd);
	if (loop->spare_fd > 0)
		(void)close(loop->spare_fd);
	free(loop->scratch);
}

static void *
loop_main(void *arg)
{
	struct loop *loop = arg;
	char name[16];

	(void)snprintf(name, sizeof(name), "http-%u", (unsigned)loop->index);
	(void)pthread_setname_np(pthread_self(), name);
	(void)event_base_dispatch(loop->base);
	return NULL;
}

int
loop_start(struct loop *loop, struct error *err)
{
	sigset_t all, old;
	int ret;

	/* Signals are for the main thread. */
	(void)sigfillset(&all);
	/* A crash is to be told of in every thread. */
	(void)sigdelset(&all, SIGSEGV);
	(void)sigdelset(&all, SIGBUS);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&loop->thread, NULL, loop_main, loop);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret != 0)
		return error_sys(err, ret, "an event loop's thread");
	return 0;
}

static void
count_connections(struct loop *loop, int64_t change)
{
	counter_add(&loop->counters.connections, (uint64_t)change);
}

void
loop_remember(struct loop *loop, struct connection *c)
{
	c->prev = NULL;
	c->next = loop->connections;
	if (c->next != NULL)
		c->next->prev = c;
	loop->connections = c;
	count_connections(loop, 1);
}

void
loop_forget(struct loop *loop, struct connection *c)
{
	if (c->next != NULL)
		c->next->prev = c->prev;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		loop->connections = c->next;
	count_connections(loop, -1);
	loop_uncount(loop, c->refused);
	end_if_drained(loop);
}

void
loop_uncount(struct loop *loop, int beyond)
{
	if (beyond)
		loop->n_refused--;
	else
		atomic_fetch_sub_explicit(
		    &loop->shared->connections, 1, memory_order_relaxed);
}

struct http_request *
loop_request_take(struct loop *loop)
{
	struct http_request *req = loop->spare;

	if (req == NULL) {
		if ((req = malloc(sizeof(*req))) == NULL)
			return NULL;
		memset(req, 0, offsetof(struct http_request, head));
		return req;
	}
	loop->spare = req->next_spare;
	loop->n_spare--;
	if (loop->n_spare < loop->spare_unused)
		loop->spare_unused = loop->n_spare;
	return req;
}

void
loop_request_give(struct loop *loop, struct http_request *req)
{
	if (req->text.room > TEXT_KEEP_BYTES)
		buffer_free(&req->text);
	if (loop->n_spare >= SPARE_MAX) {
		buffer_free(&req->text);
		free(req);
		return;
	}
	req->in_at = req->in_len = req->in_tried = 0;
	req->next_spare = loop->spare;
	loop->spare = req;
	loop->n_spare++;
}

struct slice
loop_fixed_lines(struct loop *loop)
{
	char date[CLOCK_TEXT_BYTES];
	time_t now = time(NULL);
	int n;

	if (now != loop->fixed_second) {
		loop->fixed_second = now;
		clock_http_date((int64_t)now * 1000, date);
		n = snprintf(loop->fixed, sizeof(loop->fixed),
		    "Date: %s\r\n" FIXED_SERVER_HEADER, date);
		loop->fixed_len = n > 0 ? (size_t)n : 0;
	}
	return (struct slice){ loop->fixed, loop->fixed_len };
}
