#ifndef S3API_STREAM_H
#define S3API_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct ssl_st;

/*
 * Bytes over a nonblocking socket, plain or TLS. Nothing here waits: a call
 * that cannot go on answers STREAM_AGAIN, and the stream's two flags say when
 * the usual direction of readiness is not the one to wait for (TLS key
 * updates). One thread.
 */
struct stream {
	int fd;             /* -1 when closed */
	struct ssl_st *ssl; /* NULL: plain */
	int read_wants_write;
	int write_wants_read;
};

enum {
	STREAM_AGAIN = -1,
	STREAM_FAILED = -2
};

/* TLS's handshake; at once for a plain stream. 1 when done, or as above. */
int stream_handshake(struct stream *);
/* Reads into the first run of bytes, then the next; how many, 0 at the end, or
 * as above. *drained says that a further read now would find nothing. TLS fills
 * only the first run. */
ssize_t stream_read(struct stream *, const struct iovec *, int n, int *drained);
/* How many were written, or as above. `more` hints that more follows at once.
 * TLS takes the first run only, and after STREAM_AGAIN must be given a run that
 * begins with the same bytes and is no shorter. */
ssize_t stream_write(struct stream *, const struct iovec *, int n, int more);
/* From a file's page cache to a plain stream; 0 when the file is too short. */
ssize_t stream_sendfile(struct stream *, int fd, uint64_t offset, size_t len);
/* Takes what has come in, undecoded, so as to drop it; as stream_read(). */
ssize_t stream_discard(struct stream *, void *scratch, size_t room);
/* Bytes that the peer has not acknowledged yet. */
size_t stream_unsent(const struct stream *);

/* Says that nothing more will be written. */
void stream_shutdown(struct stream *);
void stream_close(struct stream *);
/* Closes with a reset, and no close_notify: what was sent is not the whole. */
void stream_reset(struct stream *);

#endif
