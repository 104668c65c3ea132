#include <string.h>

#include "base/encode.h"
#include "s3api/http.h"

#define METHOD_MAX_BYTES 32

/* What a byte may be part of. */
enum {
	TOKEN = 1,  /* RFC 9110 section 5.6.2 */
	VALUE = 2,  /* of a header: RFC 9110 section 5.5 */
	TARGET = 4, /* a request target: visible, and no fragment */
	HOST = 8,   /* RFC 3986 section 3.2.2, with a port; no comma */
	ANY = TOKEN | VALUE | TARGET | HOST
};

static const uint8_t byte_class[256] = {
	['\t'] = VALUE,
	[' '] = VALUE,
	['!'] = ANY,
	['"'] = VALUE | TARGET,
	['#'] = TOKEN | VALUE,
	['$' ... '\''] = ANY,
	['(' ... ')'] = VALUE | TARGET | HOST,
	['*' ... '+'] = ANY,
	[','] = VALUE | TARGET,
	['-' ... '.'] = ANY,
	['/'] = VALUE | TARGET,
	['0' ... '9'] = ANY,
	[':' ... ';'] = VALUE | TARGET | HOST,
	['<'] = VALUE | TARGET,
	['='] = VALUE | TARGET | HOST,
	['>' ... '@'] = VALUE | TARGET,
	['A' ... 'Z'] = ANY,
	['['] = VALUE | TARGET | HOST,
	['\\'] = VALUE | TARGET,
	[']'] = VALUE | TARGET | HOST,
	['^'] = TOKEN | VALUE | TARGET,
	['_'] = ANY,
	['`'] = TOKEN | VALUE | TARGET,
	['a' ... 'z'] = ANY,
	['{'] = VALUE | TARGET,
	['|'] = TOKEN | VALUE | TARGET,
	['}'] = VALUE | TARGET,
	['~'] = ANY,
	[0x80 ... 0xff] = VALUE,
};

/* What the headers said, until all of them are known. */
struct framing {
	int hosts, lengths, codings, close, keep_alive;
};

static int
is_class(char c, int class)
{
	return (byte_class[(uint8_t)c] & class) != 0;
}

/* How many bytes at the start are of the class. */
static size_t
run_of(const char *at, size_t len, int class)
{
	size_t i;

	for (i = 0; i < len && is_class(at[i], class); i++)
		;
	return i;
}

static int
refuse(struct http_refusal *refusal, int status, const char *reason)
{
	refusal->status = status;
	refusal->reason = reason;
	return -1;
}

static struct slice
trimmed(const char *at, size_t len)
{
	while (len > 0 && (at[0] == ' ' || at[0] == '\t')) {
		at++;
		len--;
	}
	while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
		len--;
	return (struct slice){ at, len };
}

static int
same_nocase(struct slice a, struct slice b)
{
	size_t i;
	char x, y;

	if (a.len != b.len)
		return 0;
	for (i = 0; i < a.len; i++) {
		x = a.at[i];
		y = b.at[i];
		if (x >= 'A' && x <= 'Z')
			x = (char)(x | 0x20);
		if (y >= 'A' && y <= 'Z')
			y = (char)(y | 0x20);
		if (x != y)
			return 0;
	}
	return 1;
}

/* The length of the head that begins at bytes: 0 while its empty line is
 * missing. Lines that cannot become right are refused before it has come. */
static long
find_end(const char *bytes, size_t len, struct http_refusal *refusal)
{
	const char *line = bytes, *end = bytes + len, *newline;

	while ((newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		if (newline == line || newline[-1] != '\r')
			return refuse(refusal, 400,
			    "A line of the request's head does not end in CR "
			    "LF.");
		if (newline - 1 == line)
			return newline + 1 - bytes;
		line = newline + 1;
	}
	if (len < HTTP_HEAD_MAX_BYTES)
		return 0;
	if (line == bytes)
		return refuse(refusal, 414, "The request line is too long.");
	return refuse(refusal, 431, "The request's head is too long.");
}

static int
parse_absolute(
    struct http_head *head, struct slice *rest, struct http_refusal *refusal)
{
	struct slice target = head->target;
	size_t skip, host_len;

	if (target.len > 7 &&
	    same_nocase(
		(struct slice){ target.at, 7 }, SLICE_LITERAL("http://")))
		skip = 7;
	else if (target.len > 8 &&
	    same_nocase(
		(struct slice){ target.at, 8 }, SLICE_LITERAL("https://")))
		skip = 8;
	else
		return refuse(refusal, 400,
		    "The request target is neither a path, nor an http URL, "
		    "nor '*'.");

	host_len = run_of(target.at + skip, target.len - skip, HOST);
	rest->at = target.at + skip + host_len;
	rest->len = target.len - skip - host_len;
	if (host_len == 0 ||
	    (rest->len > 0 && rest->at[0] != '/' && rest->at[0] != '?'))
		return refuse(refusal, 400,
		    "The URL in the request line has no valid host.");
	head->host = (struct slice){ target.at + skip, host_len };
	return 0;
}

/* Splits the target into path and query; the host of an absolute form becomes
 * head->host, against which the Host header is held later. */
static int
parse_target(struct http_head *head, struct http_refusal *refusal)
{
	struct slice rest = head->target;
	const char *mark;

	if (slice_is(head->method, "CONNECT"))
		return refuse(refusal, 501, "CONNECT is not implemented.");
	if (slice_is(head->target, "*")) {
		if (!slice_is(head->method, "OPTIONS"))
			return refuse(refusal, 400,
			    "The request target '*' is for OPTIONS only.");
		head->path = head->target;
		head->query = SLICE_LITERAL("");
		return 0;
	}
	if (rest.at[0] != '/' && parse_absolute(head, &rest, refusal) != 0)
		return -1;

	head->path = rest;
	head->query = SLICE_LITERAL("");
	if ((mark = memchr(rest.at, '?', rest.len)) != NULL) {
		head->path.len = (size_t)(mark - rest.at);
		head->query.at = mark + 1;
		head->query.len = rest.len - head->path.len - 1;
	}
	if (head->path.len == 0)
		head->path = SLICE_LITERAL("/");
	return 0;
}

static int
parse_request_line(const char *line, size_t len, struct http_head *head,
    struct http_refusal *refusal)
{
	struct slice version;
	size_t n;

	n = run_of(line, len, TOKEN);
	if (n == 0 || n == len || line[n] != ' ')
		return refuse(refusal, 400,
		    "The request line does not begin with a method and one "
		    "blank.");
	if (n > METHOD_MAX_BYTES)
		return refuse(refusal, 501, "The method is not known.");
	head->method = (struct slice){ line, n };
	line += n + 1;
	len -= n + 1;

	n = run_of(line, len, TARGET);
	if (n == 0 || n == len || line[n] != ' ')
		return refuse(refusal, 400,
		    "The request line has no valid target followed by one "
		    "blank.");
	head->target = (struct slice){ line, n };
	version = (struct slice){ line + n + 1, len - n - 1 };

	if (version.len != 8 || !slice_starts(version, "HTTP/") ||
	    version.at[5] < '0' || version.at[5] > '9' ||
	    version.at[6] != '.' || version.at[7] < '0' || version.at[7] > '9')
		return refuse(refusal, 400,
		    "The request line does not end in an HTTP version.");
	if (version.at[5] != '1' || version.at[7] > '1')
		return refuse(refusal, 505,
		    "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
	head->version_minor = version.at[7] - '0';
	return parse_target(head, refusal);
}

static int
take_host(struct http_head *head, struct slice value, struct framing *framing,
    struct http_refusal *refusal)
{
	if (framing->hosts++ > 0)
		return refuse(
		    refusal, 400, "There is more than one Host header.");
	if (run_of(value.at, value.len, HOST) != value.len)
		return refuse(refusal, 400, "The Host header is not a host.");
	if (head->host.at != NULL && !same_nocase(head->host, value))
		return refuse(refusal, 400,
		    "The Host header is not the host of the request's URL.");
	head->host = value;
	return 0;
}

static int
take_length(struct http_head *head, struct slice value, struct framing *framing,
    struct http_refusal *refusal)
{
	if (framing->lengths++ > 0)
		return refuse(refusal, 400,
		    "There is more than one Content-Length header.");
	if (parse_u64(
		value.at, value.len, 0, INT64_MAX, &head->content_length) != 0)
		return refuse(refusal, 400,
		    "The Content-Length header is not one decimal number.");
	head->has_length = 1;
	return 0;
}

static int
take_coding(struct http_head *head, struct slice value, struct framing *framing,
    struct http_refusal *refusal)
{
	if (framing->codings++ > 0)
		return refuse(refusal, 400,
		    "There is more than one Transfer-Encoding header.");
	if (head->version_minor == 0)
		return refuse(
		    refusal, 400, "HTTP/1.0 has no Transfer-Encoding.");
	if (!slice_is_nocase(value, "chunked"))
		return refuse(refusal, 501,
		    "The only transfer coding understood is 'chunked' alone.");
	head->chunked = 1;
	return 0;
}

static int
take_expect(struct http_head *head, struct slice value, struct framing *framing,
    struct http_refusal *refusal)
{
	(void)framing;
	if (!slice_is_nocase(value, "100-continue"))
		return refuse(refusal, 417,
		    "The only expectation that can be met is 100-continue.");
	head->expect_continue = head->version_minor > 0;
	return 0;
}

static int
take_connection(struct http_head *head, struct slice value,
    struct framing *framing, struct http_refusal *refusal)
{
	struct slice option;
	const char *comma;
	size_t n;

	(void)head;
	(void)refusal;
	while (value.len > 0) {
		comma = memchr(value.at, ',', value.len);
		n = comma == NULL ? value.len : (size_t)(comma - value.at);
		option = trimmed(value.at, n);
		if (slice_is_nocase(option, "close"))
			framing->close = 1;
		else if (slice_is_nocase(option, "keep-alive"))
			framing->keep_alive = 1;
		n += comma != NULL;
		value.at += n;
		value.len -= n;
	}
	return 0;
}

/* The headers that the connection itself obeys. */
static const struct {
	const char *name;
	size_t len;
	int (*take)(struct http_head *, struct slice value, struct framing *,
	    struct http_refusal *);
} obeyed[] = {
	{ "host", 4, take_host },
	{ "expect", 6, take_expect },
	{ "connection", 10, take_connection },
	{ "content-length", 14, take_length },
	{ "transfer-encoding", 17, take_coding },
};

static int
parse_header(char *line, size_t len, struct http_head *head,
    struct framing *framing, struct http_refusal *refusal)
{
	struct http_header *header;
	size_t i, n;

	if (line[0] == ' ' || line[0] == '\t')
		return refuse(
		    refusal, 400, "A header is folded over two lines.");
	n = run_of(line, len, TOKEN);
	if (n < len && n > 0 && (line[n] == ' ' || line[n] == '\t'))
		return refuse(refusal, 400,
		    "There is a blank in or behind a header's name.");
	if (n == 0 || n == len || line[n] != ':')
		return refuse(refusal, 400, "A header's name is not valid.");
	if (head->n_headers == HTTP_HEADERS_MAX)
		return refuse(refusal, 431, "There are too many headers.");

	for (i = 0; i < n; i++) {
		if (line[i] >= 'A' && line[i] <= 'Z')
			line[i] = (char)(line[i] | 0x20);
	}
	header = &head->headers[head->n_headers++];
	header->name = (struct slice){ line, n };
	header->value = trimmed(line + n + 1, len - n - 1);
	if (run_of(header->value.at, header->value.len, VALUE) !=
	    header->value.len)
		return refuse(refusal, 400,
		    "There is a control character in a header's value.");

	for (i = 0; i < sizeof(obeyed) / sizeof(obeyed[0]); i++) {
		if (n == obeyed[i].len && memcmp(line, obeyed[i].name, n) == 0)
			return obeyed[i].take(
			    head, header->value, framing, refusal);
	}
	return 0;
}

static int
parse_lines(
    char *line, char *end, struct http_head *head, struct http_refusal *refusal)
{
	struct framing framing = { 0 };
	char *newline;

	/* Every line ends in CR LF: find_end() has seen to that. */
	newline = memchr(line, '\n', (size_t)(end - line));
	if (parse_request_line(
		line, (size_t)(newline - line) - 1, head, refusal) != 0)
		return -1;
	for (line = newline + 1; line[0] != '\r' || line[1] != '\n';
	     line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		if (parse_header(line, (size_t)(newline - line) - 1, head,
			&framing, refusal) != 0)
			return -1;
	}

	if (framing.hosts == 0 && head->version_minor > 0)
		return refuse(refusal, 400, "There is no Host header.");
	if (head->chunked && head->has_length)
		return refuse(refusal, 400,
		    "There are both Content-Length and Transfer-Encoding.");
	head->keep_alive =
	    !framing.close && (head->version_minor > 0 || framing.keep_alive);
	return 0;
}

/* The members that are not all set in parsing; the table of headers is left as
 * it is, being large. */
static void
head_clear(struct http_head *head)
{
	head->method = head->target = head->path = head->query = SLICE_NULL;
	head->host = SLICE_NULL;
	head->version_minor = 1;
	head->keep_alive = head->expect_continue = 0;
	head->chunked = head->has_length = 0;
	head->content_length = 0;
	head->n_headers = 0;
}

long
http_head_parse(char *bytes, size_t len, struct http_head *head,
    struct http_refusal *refusal)
{
	size_t skip = 0;
	long end;

	head_clear(head);

	/* RFC 9112 section 2.2: one empty line before a request is ignored. */
	if (len > 0 && bytes[0] == '\r') {
		if (len == 1)
			return 0;
		if (bytes[1] == '\n')
			skip = 2;
	}
	if (len == skip)
		return 0;
	if (bytes[skip] == 0x16 && skip == 0)
		return refuse(refusal, 400,
		    "This port speaks plain HTTP: use an http:// address.");
	if (!is_class(bytes[skip], TOKEN))
		return refuse(refusal, 400,
		    "The request line does not begin with a method.");

	end = find_end(bytes + skip, len - skip, refusal);
	if (end <= 0)
		return end;
	if ((size_t)end > HTTP_HEAD_MAX_BYTES)
		return refuse(refusal, 431, "The request's head is too long.");
	if (parse_lines(bytes + skip, bytes + skip + end, head, refusal) != 0)
		return -1;
	return end + (long)skip;
}

struct slice
http_header_get(const struct http_head *head, const char *name)
{
	size_t i, len = strlen(name);

	for (i = 0; i < head->n_headers; i++) {
		if (head->headers[i].name.len == len &&
		    memcmp(head->headers[i].name.at, name, len) == 0)
			return head->headers[i].value;
	}
	return SLICE_NULL;
}
