#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/error.h"
#include "base/log.h"
#include "s3api/accept.h"
#include "s3api/connection.h"
#include "s3api/loop.h"

const struct http_limits http_limits_default = {
	.connections = 4096,
	.head_timeout_ms = 20 * 1000,
	/* Longer than clients keep theirs, so that it is they who close. */
	.idle_timeout_ms = 120 * 1000,
	.min_bytes_per_second = 1024,
	.stall_ms = 30 * 1000,
};

struct listener {
	struct http_listener shown;
	struct listener *next;
	char *address;
	int port;
	int bound;
};

struct http_server {
	struct loop_shared shared;
	struct listener *listeners; /* in the order in which they came */
	size_t n_loops;
	size_t n_started;
	struct loop loops[];
};

/* Fine enough for the smallest limit, and one second for usual ones. */
static uint64_t
tick_for(const struct http_limits *limits)
{
	uint64_t ms = 4000;

	if (limits->head_timeout_ms < ms)
		ms = limits->head_timeout_ms;
	if (limits->idle_timeout_ms < ms)
		ms = limits->idle_timeout_ms;
	if (limits->stall_ms < ms)
		ms = limits->stall_ms;
	return ms < 80 ? 20 : ms / 4;
}

/* libevent would write to standard error by itself. */
static void
log_library(int severity, const char *message)
{
	log_line(severity >= EVENT_LOG_ERR   ? LOG_ERROR
		: severity == EVENT_LOG_WARN ? LOG_WARN
					     : LOG_DEBUG,
	    "http.libevent", "%s", message);
}

struct http_server *
http_server_new(
    size_t loops, const struct http_limits *limits, struct error *err)
{
	struct http_server *server;
	long processors;
	size_t i;

	(void)signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(log_library);
	if (loops == 0) {
		processors = sysconf(_SC_NPROCESSORS_ONLN);
		loops = processors > 0 ? (size_t)processors : 1;
	}
	server = calloc(1, sizeof(*server) + loops * sizeof(server->loops[0]));
	if (server == NULL) {
		(void)error_nomem(err);
		return NULL;
	}
	server->shared.limits = *limits;
	server->shared.refused_max = 64;
	server->shared.tick_ms = tick_for(limits);
	for (i = 0; i < loops; i++) {
		server->n_loops++;
		if (loop_init(&server->loops[i], &server->shared, i, err) !=
		    0) {
			http_server_free(server);
			return NULL;
		}
	}
	return server;
}

int
http_server_listen(struct http_server *server,
    const struct http_listener *shown, struct error *err)
{
	struct listener *listener, **at;
	size_t i, n;
	int fd;

	if ((listener = calloc(1, sizeof(*listener))) == NULL)
		return error_nomem(err);
	for (at = &server->listeners; *at != NULL; at = &(*at)->next)
		;
	*at = listener;
	listener->shown = *shown;
	if ((listener->address = strdup(shown->address)) == NULL)
		return error_nomem(err);
	listener->shown.address = listener->address;

	n = strncmp(shown->address, "unix:", 5) == 0 ? 1 : server->n_loops;
	for (i = 0; i < n; i++) {
		fd = accept_bind(
		    listener->address, &listener->port, i == 0, err);
		if (fd == -1)
			return -1;
		listener->bound = 1;
		if (loop_listen(&server->loops[i], fd, &listener->shown, err) !=
		    0)
			return -1;
	}
	return 0;
}

int
http_server_port(struct http_server *server, size_t n)
{
	struct listener *listener = server->listeners;

	while (n-- > 0 && listener != NULL)
		listener = listener->next;
	return listener == NULL ? 0 : listener->port;
}

int
http_server_run(struct http_server *server, struct error *err)
{
	while (server->n_started < server->n_loops) {
		if (loop_start(&server->loops[server->n_started], err) != 0) {
			http_server_drain(server, 0);
			return -1;
		}
		server->n_started++;
	}
	return 0;
}

void
http_server_drain(struct http_server *server, uint64_t timeout_ms)
{
	struct listener *listener;
	size_t i;

	for (i = 0; i < server->n_started; i++)
		loop_drain(&server->loops[i], timeout_ms);
	for (i = 0; i < server->n_started; i++)
		(void)pthread_join(server->loops[i].thread, NULL);
	server->n_started = 0;

	for (listener = server->listeners; listener != NULL;
	     listener = listener->next) {
		if (listener->bound &&
		    strncmp(listener->address, "unix:", 5) == 0)
			(void)unlink(listener->address + 5);
		listener->bound = 0;
	}
}

void
http_server_free(struct http_server *server)
{
	struct listener *listener;
	size_t i;

	if (server == NULL)
		return;
	http_server_drain(server, 0);
	for (i = 0; i < server->n_loops; i++)
		loop_destroy(&server->loops[i]);
	while ((listener = server->listeners) != NULL) {
		server->listeners = listener->next;
		free(listener->address);
		free(listener);
	}
	free(server);
}

static uint64_t
counter_get(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void
http_server_counters(struct http_server *server, struct http_counters *sum)
{
	struct loop_counters *counters;
	size_t i;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < server->n_loops; i++) {
		counters = &server->loops[i].counters;
		sum->connections += counter_get(&counters->connections);
		sum->accepted += counter_get(&counters->accepted);
		sum->refused += counter_get(&counters->refused);
		sum->requests += counter_get(&counters->requests);
		sum->bytes_in += counter_get(&counters->bytes_in);
		sum->bytes_out += counter_get(&counters->bytes_out);
		sum->timeouts += counter_get(&counters->timeouts);
	}
}

size_t
http_server_loops(struct http_server *server)
{
	return server->n_loops;
}
