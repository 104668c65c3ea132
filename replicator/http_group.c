#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fiber.h"
#include "replicator/http_client.h"
#include "replicator/http_private.h"

/*
 * Calls of many clients at the same time on one thread, by libcurl's multi
 * interface on epoll. The thread sleeps once for all of them, and what is ready
 * is done in one go: with small objects, going to sleep and being woken would
 * cost more than all else.
 */

#define EVENTS_MAX 64
#define LOOK_MS 1000 /* for calls that stand still */
#define NEVER UINT64_MAX

struct http_group {
	CURLM *multi;
	int epoll, wake;
	uint64_t timer_at_ms; /* libcurl wants to be called, or NEVER */
	uint64_t look_at_ms;
	struct http_client *waiting; /* whose calls run */
	struct http_sockets sockets;
};

static int
set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_group *group = arg;

	(void)multi;
	group->timer_at_ms = timeout_ms < 0
	    ? NEVER
	    : clock_monotonic_ms() + (uint64_t)timeout_ms;
	return 0;
}

static int
watch_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *own)
{
	struct http_group *group = arg;
	struct epoll_event event = { .data = { .fd = fd } };

	(void)curl;
	(void)own;
	if (what == CURL_POLL_REMOVE) {
		/* It may be closed already. */
		(void)epoll_ctl(group->epoll, EPOLL_CTL_DEL, fd, &event);
		return 0;
	}
	event.events = (what & CURL_POLL_IN ? EPOLLIN : 0U) |
	    (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
	if (epoll_ctl(group->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
		return 0;
	return errno == EEXIST &&
		epoll_ctl(group->epoll, EPOLL_CTL_MOD, fd, &event) == 0
	    ? 0
	    : -1;
}

struct http_group *
http_group_new(size_t clients, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct http_group *group;
	size_t i;

	if ((group = calloc(1, sizeof(*group))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	group->epoll = epoll_create1(EPOLL_CLOEXEC);
	group->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	group->timer_at_ms = NEVER;
	group->sockets.max = 2 * clients;
	group->sockets.all =
	    calloc(group->sockets.max, sizeof(*group->sockets.all));
	if (group->sockets.all == NULL ||
	    (group->multi = curl_multi_init()) == NULL) {
		error_nomem(err);
		goto fail;
	}
	for (i = 0; i < group->sockets.max; i++)
		group->sockets.all[i].fd = -1;
	event.data.fd = group->wake;
	if (group->epoll < 0 || group->wake < 0 ||
	    epoll_ctl(group->epoll, EPOLL_CTL_ADD, group->wake, &event) != 0) {
		error_sys(err, errno, "waiting for a destination");
		goto fail;
	}
	curl_multi_setopt(group->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(group->multi, CURLMOPT_SOCKETDATA, group);
	curl_multi_setopt(group->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(group->multi, CURLMOPT_TIMERDATA, group);
	curl_multi_setopt(group->multi, CURLMOPT_MAXCONNECTS, (long)clients);
	return group;

fail:
	http_group_free(group);
	return NULL;
}

void
http_group_free(struct http_group *group)
{
	if (group == NULL)
		return;
	/* Closes the connections, by the clients that opened them. */
	curl_multi_cleanup(group->multi);
	if (group->epoll >= 0)
		(void)close(group->epoll);
	if (group->wake >= 0)
		(void)close(group->wake);
	free(group->sockets.all);
	free(group);
}

void
http_client_join(struct http_client *client, struct http_group *group)
{
	client->group = group;
	client->sockets = group->sockets;
}

CURLcode
http_group_perform(struct http_client *client)
{
	struct http_group *group = client->group;

	client->ended = 0;
	client->fiber = fiber_current();
	if (curl_multi_add_handle(group->multi, client->curl) != CURLM_OK)
		return CURLE_OUT_OF_MEMORY;
	client->prev = NULL;
	if ((client->next = group->waiting) != NULL)
		client->next->prev = client;
	group->waiting = client;
	while (!client->ended)
		fiber_yield();
	return client->code;
}

static void
end_call(struct http_group *group, struct http_client *client, CURLcode code)
{
	(void)curl_multi_remove_handle(group->multi, client->curl);
	if (client->prev == NULL)
		group->waiting = client->next;
	else
		client->prev->next = client->next;
	if (client->next != NULL)
		client->next->prev = client->prev;
	client->code = code;
	client->ended = 1;
}

/* Lets the fibers go on whose calls have ended; they may begin others. */
static void
resume_ended(struct http_group *group)
{
	struct http_client *client;
	CURLcode code;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(group->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		/* The message ends with its handle's part in this. */
		code = m->data.result;
		client = NULL;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &client);
		end_call(group, client, code);
		fiber_resume(client->fiber);
	}
}

/* libcurl calls back about a transfer only when something happens to it. */
static void
look_at_silent(struct http_group *group, uint64_t now_ms)
{
	struct http_client *client, *next;

	if (now_ms < group->look_at_ms)
		return;
	group->look_at_ms = now_ms + LOOK_MS;
	for (client = group->waiting; client != NULL; client = next) {
		next = client->next;
		if (!http_transfer_gives_up(client))
			continue;
		end_call(group, client, CURLE_ABORTED_BY_CALLBACK);
		fiber_resume(client->fiber);
		/* The list is another. */
		next = NULL;
		group->look_at_ms = now_ms;
	}
}

static void
call_if_due(struct http_group *group)
{
	int running;

	if (group->timer_at_ms == NEVER ||
	    clock_monotonic_ms() < group->timer_at_ms)
		return;
	group->timer_at_ms = NEVER;
	(void)curl_multi_socket_action(
	    group->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

void
http_group_run(struct http_group *group, uint64_t wait_ms)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t now_ms, woken;
	int i, n, running, what;

	/* What was begun since goes out first. */
	call_if_due(group);
	resume_ended(group);
	now_ms = clock_monotonic_ms();
	if (group->timer_at_ms != NEVER)
		wait_ms = group->timer_at_ms <= now_ms ? 0
		    : group->timer_at_ms - now_ms < wait_ms
		    ? group->timer_at_ms - now_ms
		    : wait_ms;
	if (group->waiting != NULL && wait_ms > LOOK_MS)
		wait_ms = LOOK_MS;
	n = epoll_wait(group->epoll, events, EVENTS_MAX, (int)wait_ms);
	for (i = 0; i < n; i++) {
		if (events[i].data.fd == group->wake) {
			(void)!read(group->wake, &woken, sizeof(woken));
			continue;
		}
		what =
		    (events[i].events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN
							     : 0) |
		    (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
		    (events[i].events & EPOLLERR ? CURL_CSELECT_ERR : 0);
		(void)curl_multi_socket_action(
		    group->multi, events[i].data.fd, what, &running);
	}
	call_if_due(group);
	resume_ended(group);
	look_at_silent(group, clock_monotonic_ms());
}

void
http_group_wake(struct http_group *group)
{
	uint64_t one = 1;

	(void)!write(group->wake, &one, sizeof(one));
}
