#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "s3api/stream.h"

static ssize_t
sys_failure(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK ? STREAM_AGAIN
						       : STREAM_FAILED;
}

/* What a TLS call that did not succeed means; 0 is the end. `usual` is what it
 * normally waits for; *other is set if it is the opposite this time. */
static int
tls_failure(struct stream *s, int ret, int usual, int *other)
{
	int why = SSL_get_error(s->ssl, ret);

	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		*other = why != usual;
		return STREAM_AGAIN;
	}
	ERR_clear_error();
	return why == SSL_ERROR_ZERO_RETURN ? 0 : STREAM_FAILED;
}

int
stream_handshake(struct stream *s)
{
	int ret;

	if (s->ssl == NULL)
		return 1;
	s->read_wants_write = 0;
	ERR_clear_error();
	if ((ret = SSL_accept(s->ssl)) == 1)
		return 1;
	ret = tls_failure(s, ret, SSL_ERROR_WANT_READ, &s->read_wants_write);
	return ret == 0 ? STREAM_FAILED : ret;
}

static ssize_t
tls_read(struct stream *s, const struct iovec *iov, int *drained)
{
	size_t len = iov->iov_len < INT_MAX ? iov->iov_len : INT_MAX;
	int ret;

	s->read_wants_write = 0;
	ERR_clear_error();
	ret = SSL_read(s->ssl, iov->iov_base, (int)len);
	if (ret > 0) {
		*drained = !SSL_has_pending(s->ssl);
		return ret;
	}
	return tls_failure(s, ret, SSL_ERROR_WANT_READ, &s->read_wants_write);
}

ssize_t
stream_read(struct stream *s, const struct iovec *iov, int n, int *drained)
{
	struct msghdr msg = { 0 };
	size_t room = 0;
	ssize_t got;
	int i;

	*drained = 1;
	if (s->ssl != NULL)
		return tls_read(s, iov, drained);

	for (i = 0; i < n; i++)
		room += iov[i].iov_len;
	msg.msg_iov = (struct iovec *)(uintptr_t)iov;
	msg.msg_iovlen = (size_t)n;
	do {
		if (n == 1)
			got = recv(s->fd, iov->iov_base, iov->iov_len, 0);
		else
			got = recvmsg(s->fd, &msg, 0);
	} while (got == -1 && errno == EINTR);
	if (got == -1)
		return sys_failure();
	*drained = (size_t)got < room;
	return got;
}

static ssize_t
tls_write(struct stream *s, const struct iovec *iov)
{
	size_t len = iov->iov_len < INT_MAX ? iov->iov_len : INT_MAX;
	int ret;

	s->write_wants_read = 0;
	ERR_clear_error();
	ret = SSL_write(s->ssl, iov->iov_base, (int)len);
	if (ret > 0)
		return ret;
	ret = tls_failure(s, ret, SSL_ERROR_WANT_WRITE, &s->write_wants_read);
	return ret == 0 ? STREAM_FAILED : ret;
}

ssize_t
stream_write(struct stream *s, const struct iovec *iov, int n, int more)
{
	struct msghdr msg = { 0 };
	ssize_t put;

	if (s->ssl != NULL)
		return tls_write(s, iov);

	msg.msg_iov = (struct iovec *)(uintptr_t)iov;
	msg.msg_iovlen = (size_t)n;
	do
		put =
		    sendmsg(s->fd, &msg, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
	while (put == -1 && errno == EINTR);
	return put == -1 ? sys_failure() : put;
}

ssize_t
stream_sendfile(struct stream *s, int fd, uint64_t offset, size_t len)
{
	off_t at = (off_t)offset;
	ssize_t put;

	do
		put = sendfile(s->fd, fd, &at, len);
	while (put == -1 && errno == EINTR);
	return put == -1 ? sys_failure() : put;
}

ssize_t
stream_discard(struct stream *s, void *scratch, size_t room)
{
	ssize_t got;

	do
		got = recv(s->fd, scratch, room, 0);
	while (got == -1 && errno == EINTR);
	return got == -1 ? sys_failure() : got;
}

size_t
stream_unsent(const struct stream *s)
{
	int bytes;

	if (ioctl(s->fd, SIOCOUTQ, &bytes) == -1 || bytes < 0)
		return 0;
	return (size_t)bytes;
}

void
stream_shutdown(struct stream *s)
{
	if (s->ssl != NULL) {
		ERR_clear_error();
		(void)SSL_shutdown(s->ssl);
		ERR_clear_error();
	}
	(void)shutdown(s->fd, SHUT_WR);
}

void
stream_close(struct stream *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	if (s->fd != -1)
		(void)close(s->fd);
	s->fd = -1;
}

void
stream_reset(struct stream *s)
{
	struct linger linger = { 1, 0 };

	if (s->fd != -1)
		(void)setsockopt(
		    s->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	stream_close(s);
}
