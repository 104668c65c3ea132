#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/encode.h"
#include "base/error.h"
#include "s3api/accept.h"

#define BACKLOG 4096

/* Removes a socket that a server left behind when it was killed. 0 when the
 * path is free then. */
static int
remove_stale(const struct sockaddr_un *addr, struct error *err)
{
	int fd, ret;

	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return error_sys(err, errno, "a unix socket");
	ret = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	if (ret == -1)
		ret = errno;
	(void)close(fd);
	switch (ret) {
	case ENOENT:
		return 0;
	case ECONNREFUSED:
		if (unlink(addr->sun_path) == -1 && errno != ENOENT)
			return error_sys(
			    err, errno, "remove %s", addr->sun_path);
		return 0;
	case 0:
		return error_set(err, ERR_LOCKED,
		    "another server listens on %s already", addr->sun_path);
	default:
		return error_sys(err, ret, "%s", addr->sun_path);
	}
}

static int
bind_unix(const char *path, struct error *err)
{
	struct sockaddr_un addr;
	int fd;

	memset(&addr, 0, sizeof(addr));
	addr.sun_family = AF_UNIX;
	if (*path == '\0' || strlen(path) >= sizeof(addr.sun_path))
		return error_set(err, ERR_INVALID,
		    "the path of a unix socket has 1 to %zu bytes: \"%s\"",
		    sizeof(addr.sun_path) - 1, path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (remove_stale(&addr, err) != 0)
		return -1;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The mode that the descriptor has is the one that the name gets. */
	if (fd == -1 || fchmod(fd, 0600) == -1 ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1 ||
	    listen(fd, BACKLOG) == -1) {
		(void)error_sys(err, errno, "listen on %s", path);
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	return fd;
}

/* Splits "host:port" or "[host]:port"; an empty host is any. */
static int
split_address(const char *address, char *host, size_t host_room, char *port,
    size_t port_room, struct error *err)
{
	const char *colon = strrchr(address, ':');
	const char *start = address;
	size_t len, port_len;
	uint64_t number;

	if (colon == NULL)
		goto fail;
	len = (size_t)(colon - address);
	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		start++;
		len -= 2;
	} else if (memchr(address, ':', len) != NULL)
		goto fail;
	port_len = strlen(colon + 1);
	if (len >= host_room || port_len >= port_room ||
	    parse_u64(colon + 1, port_len, 0, 65535, &number) != 0)
		goto fail;
	memcpy(host, start, len);
	host[len] = '\0';
	memcpy(port, colon + 1, port_len + 1);
	return 0;

fail:
	return error_set(err, ERR_INVALID,
	    "\"%s\" is not an address to listen on: write host:port (such as "
	    "127.0.0.1:9000), [host]:port for IPv6, or unix:/path",
	    address);
}

static int
make_socket(const struct addrinfo *ai, int shared)
{
	int fd, off = 0, on = 1, saved;

	fd = socket(
	    ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	/* What is accepted inherits these. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    (shared &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ==
		    -1) ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) == -1 ||
	    listen(fd, BACKLOG) == -1) {
		saved = errno;
		(void)close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static int
port_of(int fd)
{
	struct sockaddr_storage bound;
	socklen_t len = sizeof(bound);

	if (getsockname(fd, (struct sockaddr *)&bound, &len) == -1)
		return 0;
	if (bound.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
	return ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

int
accept_bind(const char *address, int *port, int exclusive, struct error *err)
{
	struct addrinfo hints = { 0 }, *all, *ai;
	char host[256], service[16];
	int fd, ret;

	if (strncmp(address, "unix:", 5) == 0)
		return bind_unix(address + 5, err);
	if (split_address(address, host, sizeof(host), service, sizeof(service),
		err) != 0)
		return -1;
	if (*port > 0)
		(void)snprintf(service, sizeof(service), "%d", *port);

	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
	ret = getaddrinfo(*host == '\0' ? NULL : host, service, &hints, &all);
	if (ret != 0)
		return error_set(err, ERR_INVALID, "listen on %s: %s", address,
		    gai_strerror(ret));

	/* A name that has both kinds of address stands for its IPv4 one. */
	for (ai = all; ai->ai_family != AF_INET && ai->ai_next != NULL;)
		ai = ai->ai_next;
	if (ai->ai_family != AF_INET)
		ai = all;

	/* Sockets that share a port do so with those of another process, too,
	 * if it has the same user: so one that does not share has to get it
	 * first. */
	if (exclusive && *port == 0 && strcmp(service, "0") != 0) {
		if ((fd = make_socket(ai, 0)) == -1)
			goto fail;
		(void)close(fd);
	}
	if ((fd = make_socket(ai, 1)) == -1)
		goto fail;
	*port = port_of(fd);
	freeaddrinfo(all);
	return fd;

fail:
	(void)error_sys(err, errno, "listen on %s", address);
	freeaddrinfo(all);
	return -1;
}
