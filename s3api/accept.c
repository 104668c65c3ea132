#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "base/error.h"
#include "base/log.h"
#include "s3api/accept.h"
#include "s3api/connection.h"
#include "s3api/loop.h"

#define ACCEPT_BATCH 64

int
accept_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Tells a client on a socket that gets no connection of its own to come again,
 * as well as can be done without waiting. */
static void
turn_away(const struct http_listener *listener, int fd)
{
	static const char reason[] =
	    "Too many connections are open; please try again.";
	const char *type = "text/plain; charset=utf-8";
	struct buffer body = BUFFER_INIT, answer = BUFFER_INIT;
	char unread[4096];

	if (listener->tls == NULL) {
		if (listener->refusal_body != NULL)
			listener->refusal_body(&body, 503, reason, &type);
		buffer_printf(&answer,
		    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: "
		    "%zu\r\n"
		    "Content-Type: %s\r\nRetry-After: 1\r\n"
		    "Connection: close\r\n\r\n",
		    body.len, type);
		buffer_add(&answer, body.at, body.len);
		(void)send(
		    fd, answer.at, answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)shutdown(fd, SHUT_WR);
		(void)recv(fd, unread, sizeof(unread), MSG_DONTWAIT);
	}
	(void)close(fd);
	buffer_free(&answer);
	buffer_free(&body);
}

static void
take(struct loop_socket *socket, int fd, const struct sockaddr_storage *peer)
{
	struct loop *loop = socket->loop;
	struct loop_shared *shared = loop->shared;
	size_t before;
	int beyond;

	counter_add(&loop->counters.accepted, 1);
	before = atomic_fetch_add_explicit(
	    &shared->connections, 1, memory_order_relaxed);
	beyond = before >= shared->limits.connections;
	if (beyond) {
		loop_uncount(loop, 0);
		counter_add(&loop->counters.refused, 1);
		log_line(LOG_WARN, "http.connections",
		    "%zu connections are open, which is the limit: another was "
		    "refused",
		    before);
		if (loop->n_refused >= shared->refused_max) {
			turn_away(socket->listener, fd);
			return;
		}
		loop->n_refused++;
	}
	connection_open(loop, socket->listener, fd, peer, beyond);
}

static void
pause_socket(struct loop_socket *socket)
{
	(void)event_del(&socket->event);
	socket->paused = 1;
}

/* There are no more descriptors: the spare one serves to accept the client and
 * to turn it away, lest it wait for nothing and the loop spin. 0, or -1 when
 * there is no spare one either. */
static int
accept_without_descriptors(struct loop_socket *socket)
{
	struct loop *loop = socket->loop;
	int fd;

	log_line(LOG_ERROR, "http.descriptors",
	    "no file descriptors are left: a connection was refused; raise "
	    "the limit on open files (ulimit -n, LimitNOFILE)");
	if (loop->spare_fd == -1)
		return -1;
	(void)close(loop->spare_fd);
	fd = accept4(socket->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1) {
		counter_add(&loop->counters.refused, 1);
		turn_away(socket->listener, fd);
	}
	loop->spare_fd = accept_spare();
	return fd != -1 || errno == EAGAIN ? 0 : -1;
}

/* 1 to go on, 0 when nobody waits any more. */
static int
accept_one(struct loop_socket *socket)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int fd;

	memset(&peer, 0, sizeof(struct sockaddr_in6));
	fd = accept4(socket->fd, (struct sockaddr *)&peer, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1) {
		take(socket, fd, &peer);
		return 1;
	}
	switch (errno) {
	case EAGAIN:
		return 0;
	case EMFILE:
	case ENFILE:
		if (accept_without_descriptors(socket) == 0)
			return 1;
		pause_socket(socket);
		return 0;
	case ENOMEM:
	case ENOBUFS:
		log_line(LOG_ERROR, "http.memory",
		    "no memory to accept a connection");
		pause_socket(socket);
		return 0;
	default:
		/* The client's own trouble (ECONNABORTED and the like). */
		return 1;
	}
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct loop_socket *socket = arg;
	int i;

	(void)fd;
	(void)what;
	for (i = 0; i < ACCEPT_BATCH && accept_one(socket); i++)
		;
}

int
loop_listen(struct loop *loop, int fd, const struct http_listener *listener,
    struct error *err)
{
	struct loop_socket **more, *socket;

	more = realloc(loop->sockets, (loop->n_sockets + 1) * sizeof(*more));
	if (more == NULL || (socket = calloc(1, sizeof(*socket))) == NULL) {
		if (more != NULL)
			loop->sockets = more;
		(void)close(fd);
		return error_nomem(err);
	}
	loop->sockets = more;
	loop->sockets[loop->n_sockets++] = socket;
	socket->loop = loop;
	socket->listener = listener;
	socket->fd = fd;
	(void)event_assign(&socket->event, loop->base, fd, EV_READ | EV_PERSIST,
	    on_accept, socket);
	return event_add(&socket->event, NULL) == 0 ? 0 : error_nomem(err);
}

void
accept_resume(struct loop *loop)
{
	struct loop_socket *socket;
	size_t i;

	if (loop->spare_fd == -1)
		loop->spare_fd = accept_spare();
	for (i = 0; i < loop->n_sockets; i++) {
		socket = loop->sockets[i];
		if (socket->paused && event_add(&socket->event, NULL) == 0)
			socket->paused = 0;
	}
}

void
accept_stop(struct loop *loop, int let_in)
{
	struct loop_socket *socket;
	size_t i;

	for (i = 0; i < loop->n_sockets; i++) {
		socket = loop->sockets[i];
		/* Those who are connected already are let in: closing would
		 * reset them. */
		if (let_in)
			on_accept(socket->fd, EV_READ, socket);
		(void)event_del(&socket->event);
		(void)close(socket->fd);
		free(socket);
	}
	loop->n_sockets = 0;
}
