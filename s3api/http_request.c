#include <stdio.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "s3api/connection.h"
#include "s3api/loop.h"

void
request_reset(struct http_request *req)
{
	struct output *out = &req->out;

	req->body_ended = req->body_broken = req->continue_due = 0;
	req->reading = req->read_failed = 0;
	req->begun = req->head_sent = req->answer_chunked = req->no_body = 0;
	req->until_close = 0;
	req->sending = req->send_failed = 0;
	req->body_in = req->body_out = req->dropped = 0;
	req->answer_left = 0;
	req->peer[0] = '\0';
	out->at = out->n = 0;
	out->body = -1;
	out->file_left = out->tail_len = 0;
}

const struct http_head *
http_request_head(struct http_request *req)
{
	return &req->head;
}

long
http_request_peer_uid(struct http_request *req)
{
	const struct connection *c = req->conn;
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (c->peer.any.sa_family != AF_UNIX ||
	    getsockopt(c->stream.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return -1;
	return (long)peer.uid;
}

const char *
http_request_peer(struct http_request *req)
{
	const struct connection *c = req->conn;
	char text[INET6_ADDRSTRLEN];

	if (req->peer[0] != '\0')
		return req->peer;
	switch (c->peer.any.sa_family) {
	case AF_INET:
		(void)inet_ntop(
		    AF_INET, &c->peer.in.sin_addr, text, sizeof(text));
		(void)snprintf(req->peer, sizeof(req->peer), "%s:%u", text,
		    (unsigned)ntohs(c->peer.in.sin_port));
		break;
	case AF_INET6:
		(void)inet_ntop(
		    AF_INET6, &c->peer.in6.sin6_addr, text, sizeof(text));
		(void)snprintf(req->peer, sizeof(req->peer), "[%s]:%u", text,
		    (unsigned)ntohs(c->peer.in6.sin6_port));
		break;
	default:
		(void)snprintf(req->peer, sizeof(req->peer), "unix");
		break;
	}
	return req->peer;
}

int
http_request_is_tls(struct http_request *req)
{
	return req->conn->listener->tls != NULL;
}

size_t
http_request_loop(struct http_request *req)
{
	return req->conn->loop->index;
}

void
http_request_post(struct http_request *req, struct job *job)
{
	loop_post(req->conn->loop, job);
}
