#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "s3api/awschunked.h"

/*
 *	envelope = *( size [ signature ] CRLF bytes CRLF )
 *	           "0" [ signature ] CRLF
 *	           *( name ":" value line-end )
 *	           [ "x-amz-trailer-signature:" 64hex CRLF ] CRLF
 *	signature = ";chunk-signature=" 64hex
 *
 * A trailer's line may end with LF, CRLF, or LF and an empty line before the
 * signature: minio-go writes the last. AWS's clients write CRLF.
 */
#define LINE_MAX_BYTES 512
#define TRAILERS_MAX 8
#define TRAILER_TEXT_BYTES 2048
#define CHUNK_SIGNATURE ";chunk-signature="
#define TRAILER_SIGNATURE "x-amz-trailer-signature"
#define HEX_BYTES (2 * SHA256_BYTES)

static const char empty_sha256[] = "e3b0c44298fc1c149afbf4c8996fb924"
				   "27ae41e4649b934ca495991b7852b855";

enum state {
	AT_HEADER,
	IN_CHUNK,
	BEHIND_CHUNK,
	AT_TRAILER,
	AT_END
};

struct aws_chunked {
	enum state state;
	int is_signed, has_trailer;
	uint64_t decoded_len, total, left; /* left: of the current chunk */
	unsigned behind; /* line end's bytes behind a chunk or the envelope */

	char line[LINE_MAX_BYTES];
	size_t line_len;

	/* What is signed: lines of the request, the signature before, a hash.
	 */
	struct sigv4_key key;
	char chunk_lines[SIGV4_LINES_MAX_BYTES];
	char trailer_lines[SIGV4_LINES_MAX_BYTES];
	size_t chunk_lines_len, trailer_lines_len;
	char previous[HEX_BYTES + 1];
	uint8_t claimed[SHA256_BYTES]; /* the current chunk's signature */
	struct digest *digest;

	char *announced; /* x-amz-trailer */
	size_t announced_len;
	char trailer[TRAILER_TEXT_BYTES]; /* "name:value\n"*, as signed */
	size_t trailer_len, trailer_blanks;
	struct {
		struct slice name, value;
	} trailers[TRAILERS_MAX];
	size_t n_trailers;
	int trailer_proven;
};

struct aws_chunked *
aws_chunked_new(enum payload_kind kind, const struct sigv4 *sig,
    const struct sigv4_key *key, uint64_t decoded_len, struct slice trailers)
{
	struct aws_chunked *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->is_signed = kind != PAYLOAD_CHUNKED_UNSIGNED_TRAILER;
	c->has_trailer = kind != PAYLOAD_CHUNKED_SIGNED;
	c->decoded_len = decoded_len;
	if (c->has_trailer && trailers.len > 0) {
		if ((c->announced = slice_copy(trailers)) == NULL)
			goto fail;
		c->announced_len = trailers.len;
	}
	if (c->is_signed) {
		if ((c->digest = digest_new(DIGEST_SHA256)) == NULL)
			goto fail;
		c->key = *key;
		c->chunk_lines_len = sigv4_lines(
		    sig, SIGV4_ALGORITHM "-PAYLOAD", c->chunk_lines);
		c->trailer_lines_len = sigv4_lines(
		    sig, SIGV4_ALGORITHM "-TRAILER", c->trailer_lines);
		hex_encode(sig->signature, SHA256_BYTES, c->previous);
	}
	return c;

fail:
	aws_chunked_free(c);
	return NULL;
}

void
aws_chunked_free(struct aws_chunked *c)
{
	if (c == NULL)
		return;
	digest_free(c->digest);
	bytes_wipe(&c->key, sizeof(c->key));
	free(c->announced);
	free(c);
}

static int
bad_framing(struct s3_error *s3err, const char *what)
{
	return s3_error_set(s3err, S3_INVALID_REQUEST,
	    "The aws-chunked body is malformed: %s.", what);
}

static int
bad_trailer(struct s3_error *s3err, const char *what)
{
	return s3_error_set(s3err, S3_MALFORMED_TRAILER,
	    "The trailer of the aws-chunked body is malformed: %s.", what);
}

/* Is the claimed signature that of lines, the signature before, and the hashes
 * (hex, with a line feed between if there are two)? It becomes the one before.
 */
static int
prove(struct aws_chunked *c, const char *lines, size_t lines_len,
    const char *first_hash, const uint8_t hash[SHA256_BYTES])
{
	char text[SIGV4_LINES_MAX_BYTES + 3 * (HEX_BYTES + 1)];
	uint8_t signature[SHA256_BYTES];
	size_t len = lines_len;

	memcpy(text, lines, lines_len);
	memcpy(text + len, c->previous, HEX_BYTES);
	len += HEX_BYTES;
	text[len++] = '\n';
	if (first_hash != NULL) {
		memcpy(text + len, first_hash, HEX_BYTES);
		len += HEX_BYTES;
		text[len++] = '\n';
	}
	hex_encode(hash, SHA256_BYTES, text + len);
	len += HEX_BYTES;
	hmac_sha256(c->key.key, SHA256_BYTES, text, len, signature);
	hex_encode(signature, SHA256_BYTES, c->previous);
	return bytes_equal_secret(signature, c->claimed, SHA256_BYTES);
}

static int
chunk_end(struct aws_chunked *c, struct s3_error *s3err)
{
	uint8_t hash[SHA256_BYTES];

	if (!c->is_signed)
		return 0;
	digest_final(c->digest, hash);
	digest_reset(c->digest);
	if (prove(c, c->chunk_lines, c->chunk_lines_len, empty_sha256, hash))
		return 0;
	return s3_error_set(s3err, S3_SIGNATURE_DOES_NOT_MATCH,
	    "The signature of a chunk of the body does not match.");
}

/* A hexadecimal number of 1 to 16 digits at the start of text. Its digits, or 0
 * when there are none or too many. */
static size_t
parse_hex(const char *text, size_t len, uint64_t *value)
{
	size_t i;
	char digit;

	*value = 0;
	for (i = 0; i < len; i++) {
		digit = text[i];
		if (digit >= '0' && digit <= '9')
			digit = (char)(digit - '0');
		else if (digit >= 'a' && digit <= 'f')
			digit = (char)(digit - 'a' + 10);
		else if (digit >= 'A' && digit <= 'F')
			digit = (char)(digit - 'A' + 10);
		else
			break;
		if (i == 16)
			return 0;
		*value = *value << 4 | (uint64_t)digit;
	}
	return i;
}

/* A chunk's header, without its line end. */
static int
chunk_begin(
    struct aws_chunked *c, const char *line, size_t len, struct s3_error *s3err)
{
	static const size_t prefix = sizeof(CHUNK_SIGNATURE) - 1;
	size_t n;

	if ((n = parse_hex(line, len, &c->left)) == 0)
		return bad_framing(s3err, "a chunk has no size");
	line += n;
	len -= n;
	if (c->is_signed) {
		if (len != prefix + HEX_BYTES ||
		    memcmp(line, CHUNK_SIGNATURE, prefix) != 0 ||
		    hex_decode(line + prefix, HEX_BYTES, c->claimed,
			SHA256_BYTES) != 0)
			return bad_framing(s3err, "a chunk has no signature");
	} else if (len != 0) {
		return bad_framing(s3err, "a chunk's size is not hexadecimal");
	}

	if (c->left > c->decoded_len - c->total)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The aws-chunked body has more bytes than "
		    "x-amz-decoded-content-length says.");
	if (c->left > 0) {
		c->state = IN_CHUNK;
		return 0;
	}
	c->state = AT_TRAILER;
	return chunk_end(c, s3err);
}

static int
is_announced(const struct aws_chunked *c, struct slice wanted)
{
	const char *at = c->announced, *end, *next;
	struct slice name;

	if (at == NULL)
		return 0;
	end = at + c->announced_len;
	for (; at < end; at = next + 1) {
		if ((next = memchr(at, ',', (size_t)(end - at))) == NULL)
			next = end;
		name.at = at;
		name.len = (size_t)(next - at);
		while (name.len > 0 && *name.at == ' ') {
			name.at++;
			name.len--;
		}
		while (name.len > 0 && name.at[name.len - 1] == ' ')
			name.len--;
		if (name.len == wanted.len &&
		    strncasecmp(name.at, wanted.at, name.len) == 0)
			return 1;
	}
	return 0;
}

static int
trailer_signature(
    struct aws_chunked *c, struct slice value, struct s3_error *s3err)
{
	uint8_t hash[SHA256_BYTES];

	if (!c->is_signed || c->trailer_proven)
		return bad_trailer(s3err, "a signature is out of place");
	if (hex_decode(value.at, value.len, c->claimed, SHA256_BYTES) != 0)
		return bad_trailer(s3err, "its signature is not 64 hex digits");
	digest_once(DIGEST_SHA256, c->trailer, c->trailer_len, hash);
	if (!prove(c, c->trailer_lines, c->trailer_lines_len, NULL, hash))
		return s3_error_set(s3err, S3_SIGNATURE_DOES_NOT_MATCH,
		    "The signature of the body's trailer does not match.");
	c->trailer_proven = 1;
	return 0;
}

/* Keeps a trailer as it is signed. */
static int
trailer_add(struct aws_chunked *c, struct slice name, struct slice value,
    struct s3_error *s3err)
{
	struct slice *kept;
	size_t i;

	if (!is_announced(c, name))
		return bad_trailer(s3err, "x-amz-trailer does not announce it");
	if (c->trailer_proven || c->n_trailers == TRAILERS_MAX ||
	    name.len + value.len + 2 > sizeof(c->trailer) - c->trailer_len)
		return bad_trailer(s3err, "it has too much");

	kept = &c->trailers[c->n_trailers].name;
	kept->at = c->trailer + c->trailer_len;
	kept->len = name.len;
	for (i = 0; i < name.len; i++)
		c->trailer[c->trailer_len++] =
		    (char)(name.at[i] >= 'A' && name.at[i] <= 'Z'
			    ? name.at[i] + ('a' - 'A')
			    : name.at[i]);
	for (i = 0; i < c->n_trailers; i++)
		if (slice_equal(c->trailers[i].name, *kept))
			return bad_trailer(s3err, "a name is there twice");
	c->trailer[c->trailer_len++] = ':';
	kept = &c->trailers[c->n_trailers++].value;
	kept->at = c->trailer + c->trailer_len;
	kept->len = value.len;
	memcpy(c->trailer + c->trailer_len, value.at, value.len);
	c->trailer_len += value.len;
	c->trailer[c->trailer_len++] = '\n';
	return 0;
}

/* Is everything there that must be at the end? */
static int
finish(struct aws_chunked *c, struct s3_error *s3err)
{
	const char *at = c->announced, *p;
	size_t names = at != NULL;

	c->state = AT_END;
	c->behind = 0;
	if (c->decoded_len != UINT64_MAX && c->total != c->decoded_len)
		return s3_error_set(s3err, S3_INCOMPLETE_BODY,
		    "The aws-chunked body has fewer bytes than "
		    "x-amz-decoded-content-length says.");
	for (p = at; p != NULL && *p != '\0'; p++)
		names += *p == ',';
	if (c->n_trailers < names)
		return bad_trailer(
		    s3err, "it lacks what x-amz-trailer announces");
	if (c->is_signed && c->has_trailer && !c->trailer_proven)
		return bad_trailer(s3err, "it lacks its signature");
	return 0;
}

/* A line behind the last chunk, without its line end. */
static int
trailer_line(
    struct aws_chunked *c, const char *line, size_t len, struct s3_error *s3err)
{
	struct slice name, value;
	const char *colon;

	if (len == 0) {
		if (c->is_signed && c->has_trailer && !c->trailer_proven &&
		    c->n_trailers > 0 && c->trailer_blanks++ == 0)
			return 0;
		return finish(c, s3err);
	}
	if (!c->has_trailer || (colon = memchr(line, ':', len)) == NULL)
		return bad_trailer(s3err, "a line is not \"name:value\"");
	name.at = line;
	name.len = (size_t)(colon - line);
	value.at = colon + 1;
	value.len = len - name.len - 1;
	while (value.len > 0 && *value.at == ' ') {
		value.at++;
		value.len--;
	}
	while (value.len > 0 && value.at[value.len - 1] == ' ')
		value.len--;
	if (slice_is_nocase(name, TRAILER_SIGNATURE))
		return trailer_signature(c, value, s3err);
	return trailer_add(c, name, value, s3err);
}

/* Collects a line up to its LF; 1 when it is there, without its line end. */
static int
take_line(struct aws_chunked *c, const char **in, const char *end, size_t *len,
    struct s3_error *s3err)
{
	const char *lf = memchr(*in, '\n', (size_t)(end - *in));
	size_t n = (size_t)((lf != NULL ? lf : end) - *in);

	if (n > sizeof(c->line) - c->line_len)
		return bad_framing(s3err, "a line is too long");
	memcpy(c->line + c->line_len, *in, n);
	c->line_len += n;
	*in += n;
	if (lf == NULL)
		return 0;
	(*in)++;
	*len = c->line_len;
	c->line_len = 0;
	if (*len > 0 && c->line[*len - 1] == '\r')
		(*len)--;
	else if (c->state == AT_HEADER)
		return bad_framing(s3err, "a chunk's header lacks its CR");
	return 1;
}

/* Takes CRLF byte by byte. */
static int
take_line_end(struct aws_chunked *c, char byte, struct s3_error *s3err)
{
	if (c->behind >= 2 || byte != "\r\n"[c->behind])
		return bad_framing(s3err,
		    c->state == AT_END ? "there is more behind its end"
				       : "a chunk does not end with CRLF");
	c->behind++;
	return 0;
}

/* Moves a run of the current chunk to *out. */
static void
take_bytes(struct aws_chunked *c, const char **in, const char *end, char **out)
{
	size_t n = (size_t)(end - *in);

	if (n > c->left)
		n = (size_t)c->left;
	if (c->is_signed)
		digest_update(c->digest, *in, n);
	if (*out != *in)
		memmove(*out, *in, n);
	*in += n;
	*out += n;
	c->left -= n;
	c->total += n;
}

int
aws_chunked_decode(struct aws_chunked *c, char *bytes, size_t len,
    size_t *out_len, struct s3_error *s3err)
{
	const char *in = bytes, *end = bytes + len;
	char *out = bytes;
	size_t line_len = 0;
	int n;

	*out_len = 0;
	while (in < end) {
		switch (c->state) {
		case AT_HEADER:
		case AT_TRAILER:
			n = take_line(c, &in, end, &line_len, s3err);
			if (n < 0)
				return -1;
			if (n == 0)
				break;
			if (c->state == AT_HEADER)
				n = chunk_begin(c, c->line, line_len, s3err);
			else
				n = trailer_line(c, c->line, line_len, s3err);
			if (n != 0)
				return -1;
			break;
		case IN_CHUNK:
			take_bytes(c, &in, end, &out);
			if (c->left > 0)
				break;
			if (chunk_end(c, s3err) != 0)
				return -1;
			c->state = BEHIND_CHUNK;
			c->behind = 0;
			break;
		case BEHIND_CHUNK:
			if (take_line_end(c, *in++, s3err) != 0)
				return -1;
			if (c->behind == 2)
				c->state = AT_HEADER;
			break;
		case AT_END:
			if (take_line_end(c, *in++, s3err) != 0)
				return -1;
			break;
		}
	}
	*out_len = (size_t)(out - bytes);
	return c->state == AT_END;
}

int
aws_chunked_ended(struct aws_chunked *c, struct s3_error *s3err)
{
	if (c->state == AT_END)
		return 0;
	if (c->state == AT_TRAILER && c->line_len == 0)
		return finish(c, s3err);
	/* minio-go sends nothing at all for an empty object; that it is empty
	 * is under the request's own signature. */
	if (c->state == AT_HEADER && c->line_len == 0 && c->total == 0 &&
	    c->decoded_len == 0 && c->announced == NULL)
		return 0;
	return s3_error_set(s3err, S3_INCOMPLETE_BODY, NULL);
}

struct slice
aws_chunked_trailer(const struct aws_chunked *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->n_trailers; i++)
		if (slice_is(c->trailers[i].name, name))
			return c->trailers[i].value;
	return SLICE_NULL;
}
