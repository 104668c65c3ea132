#ifndef S3API_HTTP_H
#define S3API_HTTP_H

#include <stdint.h>

#include "base/buffer.h"

/*
 * The head of an HTTP/1.1 request, parsed strictly (RFC 9112): whatever two
 * readers could understand differently is refused (two lengths, a length beside
 * chunked, any transfer coding but a final chunked, bare LF or CR, obs-fold,
 * blank before the colon, control characters, a second Host, a target that is
 * neither origin form, absolute form nor '*'). Slices point into the bytes that
 * were parsed, which the caller keeps; header names there are made lower case
 * in place. Pure functions; any thread.
 */

#define HTTP_HEAD_MAX_BYTES (16 * 1024)
#define HTTP_HEADERS_MAX 100

struct http_header {
	struct slice name;  /* lower case */
	struct slice value; /* without surrounding blanks */
};

struct http_head {
	struct slice method;
	struct slice target; /* as sent */
	struct slice path;   /* as sent, percent-encoded, before '?' */
	struct slice query;  /* as sent, after '?'; empty without one */
	struct slice host;   /* of the Host header, as sent, with its port */
	int version_minor;   /* 0 or 1 */
	int keep_alive;
	int expect_continue;
	int chunked;
	int has_length;
	uint64_t content_length; /* 0 without has_length */
	struct http_header headers[HTTP_HEADERS_MAX];
	size_t n_headers;
};

/* What is wrong with a head that is refused. */
struct http_refusal {
	int status;         /* 400, 414, 431, 501, 505 ... */
	const char *reason; /* a sentence, static */
};

/* Parses the head at the start of bytes. The head's length in bytes, 0 when it
 * is not complete yet (and below HTTP_HEAD_MAX_BYTES), -1 and *refusal when it
 * must be refused and the connection closed. */
long http_head_parse(
    char *bytes, size_t len, struct http_head *, struct http_refusal *);

/* The value of the first header of that name (lower case), or SLICE_NULL. */
struct slice http_header_get(const struct http_head *, const char *name);

/* The standard phrase of a status ("Not Found"). */
const char *http_status_phrase(int status);

/*
 * Chunked transfer coding (RFC 9112 section 7.1), decoded in place and
 * incrementally. Extensions are skipped, bounded; trailers are read, bounded,
 * and dropped.
 */
struct http_chunked {
	int state;
	uint64_t left; /* of the current chunk's bytes; 0 outside of them */
	uint64_t size; /* of the current chunk, as far as it has been read */
	uint32_t line_bytes;
};

void http_chunked_init(struct http_chunked *);
/* Decodes from in[0, in_len) to out, which may overlap if out <= in. Sets how
 * much was consumed and produced. 1 at the end of the body, 0 to go on, -1 when
 * the framing is wrong. */
int http_chunked_decode(struct http_chunked *, const char *in, size_t in_len,
    size_t *consumed, char *out, size_t out_room, size_t *produced);

#endif
