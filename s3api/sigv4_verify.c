#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "s3api/sigv4.h"
#include "s3api/sigv4_fields.h"

/*
 * The canonical request is put together on the stack and hashed at once. What
 * it is made of comes from a head of at most HTTP_HEAD_MAX_BYTES, in which a
 * byte becomes at most three; a sum that does not fit is refused all the same.
 */
#define CANONICAL_BYTES ((size_t)3 * HTTP_HEAD_MAX_BYTES + 1024)
#define QUERY_MAX 128

struct canonical {
	size_t len;
	int overflow;
	char at[CANONICAL_BYTES];
};

/* A query parameter, decoded and encoded again. */
struct parameter {
	struct slice name, value;
};

static void
add(struct canonical *c, const char *bytes, size_t len)
{
	if (len > sizeof(c->at) - c->len) {
		c->overflow = 1;
		return;
	}
	if (len > 0)
		memcpy(c->at + c->len, bytes, len);
	c->len += len;
}

static void
add_char(struct canonical *c, char byte)
{
	add(c, &byte, 1);
}

static int
hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return -1;
}

static int
is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
	    c == '~';
}

/* Adds text decoded once and encoded once, as AWS does: so "%7E" is signed as
 * "~", and in a path "%2F" as "/". 0, or -1 for a bad escape. */
static int
add_recoded(struct canonical *c, struct slice text, int is_path)
{
	static const char digits[] = "0123456789ABCDEF";
	char escape[3] = "%";
	char byte;
	int high, low;
	size_t i;

	for (i = 0; i < text.len; i++) {
		byte = text.at[i];
		if (byte == '%') {
			if (text.len - i < 3 ||
			    (high = hex_digit(text.at[i + 1])) < 0 ||
			    (low = hex_digit(text.at[i + 2])) < 0)
				return -1;
			byte = (char)(high << 4 | low);
			i += 2;
		} else if (byte == '+' && !is_path) {
			byte = ' ';
		}
		if (is_unreserved(byte) || (byte == '/' && is_path)) {
			add_char(c, byte);
			continue;
		}
		escape[1] = digits[(uint8_t)byte >> 4];
		escape[2] = digits[(uint8_t)byte & 15];
		add(c, escape, 3);
	}
	return 0;
}

/* By encoded name, then by encoded value. */
static int
parameter_compare(const struct parameter *a, const struct parameter *b)
{
	int order = slice_compare(a->name, b->name);

	return order != 0 ? order : slice_compare(a->value, b->value);
}

static int
add_query(struct canonical *c, const struct http_head *head, int presigned,
    struct s3_error *s3err)
{
	struct canonical encoded; /* what the parameters point into */
	struct parameter parameters[QUERY_MAX], p;
	struct slice rest = head->query, field, name, value;
	size_t count = 0, i;

	encoded.len = 0;
	encoded.overflow = 0;
	while (sigv4_next_field(&rest, '&', &field)) {
		if (field.len == 0)
			continue;
		sigv4_split_parameter(field, &name, &value);
		if (presigned && slice_is(name, "X-Amz-Signature"))
			continue;
		if (count == QUERY_MAX)
			return s3_error_set(s3err, S3_INVALID_ARGUMENT,
			    "The query has more than %d parameters.",
			    QUERY_MAX);

		p.name.at = encoded.at + encoded.len;
		if (add_recoded(&encoded, name, 0) != 0)
			goto bad_escape;
		p.name.len = (size_t)(encoded.at + encoded.len - p.name.at);
		p.value.at = encoded.at + encoded.len;
		if (add_recoded(&encoded, value, 0) != 0)
			goto bad_escape;
		p.value.len = (size_t)(encoded.at + encoded.len - p.value.at);

		for (i = count;
		     i > 0 && parameter_compare(&parameters[i - 1], &p) > 0;
		     i--)
			parameters[i] = parameters[i - 1];
		parameters[i] = p;
		count++;
	}
	c->overflow |= encoded.overflow;

	for (i = 0; i < count; i++) {
		if (i > 0)
			add_char(c, '&');
		add(c, parameters[i].name.at, parameters[i].name.len);
		add_char(c, '=');
		add(c, parameters[i].value.at, parameters[i].value.len);
	}
	return 0;

bad_escape:
	return s3_error_set(s3err, S3_INVALID_URI,
	    "The query has a '%%' that is not followed by two hex digits.");
}

/* A header's value with runs of blanks made one. Surrounding blanks are gone
 * already. */
static void
add_folded(struct canonical *c, struct slice value)
{
	size_t i, start = 0;

	for (i = 0; i < value.len; i++) {
		if (value.at[i] != ' ' && value.at[i] != '\t')
			continue;
		if (i > 0 &&
		    (value.at[i - 1] == ' ' || value.at[i - 1] == '\t')) {
			start = i + 1;
			continue;
		}
		add(c, value.at + start, i - start);
		add_char(c, ' ');
		start = i + 1;
	}
	add(c, value.at + start, value.len - start);
}

/* Adds the signed headers. *missing is the first that did not arrive: AWS's
 * clients sign none of those, but what is on the way may take one out. */
static int
add_headers(struct canonical *c, const struct http_head *head,
    const struct sigv4 *sig, struct slice *missing, struct s3_error *s3err)
{
	struct slice rest = sig->signed_headers, name, last = SLICE_LITERAL("");
	size_t i, seen;

	*missing = SLICE_NULL;
	while (sigv4_next_field(&rest, ';', &name)) {
		if (slice_compare(last, name) >= 0)
			return s3_error_set(s3err,
			    sig->presigned
				? S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR
				: S3_AUTHORIZATION_HEADER_MALFORMED,
			    "The signed headers must be lower-case names in "
			    "ascending order.");
		last = name;
		add(c, name.at, name.len);
		add_char(c, ':');
		for (i = seen = 0; i < head->n_headers; i++) {
			if (!slice_equal(head->headers[i].name, name))
				continue;
			if (seen++ > 0)
				add_char(c, ',');
			add_folded(c, head->headers[i].value);
		}
		if (seen == 0 && missing->at == NULL)
			*missing = name;
		add_char(c, '\n');
	}
	return 0;
}

static int
is_signed(const struct sigv4 *sig, struct slice wanted)
{
	struct slice rest = sig->signed_headers, name;

	while (sigv4_next_field(&rest, ';', &name))
		if (slice_equal(name, wanted))
			return 1;
	return 0;
}

/* Whoever holds a presigned address, or stands in the way, may add nothing that
 * S3 would act on. x-amz-content-sha256 is under the signature by itself. */
static int
check_signed(const struct http_head *head, const struct sigv4 *sig,
    struct s3_error *s3err)
{
	struct slice name;
	size_t i;

	if (!is_signed(sig, SLICE_LITERAL("host")))
		return s3_error_set(s3err, S3_ACCESS_DENIED,
		    "The Host header must be among the signed headers.");
	for (i = 0; i < head->n_headers; i++) {
		name = head->headers[i].name;
		if (!slice_starts(name, "x-amz-") ||
		    slice_is(name, "x-amz-content-sha256") ||
		    is_signed(sig, name))
			continue;
		return s3_error_set(s3err, S3_ACCESS_DENIED,
		    "There were headers present in the request which were not "
		    "signed: %.*s.",
		    (int)(name.len < 200 ? name.len : 200), name.at);
	}
	return 0;
}

static int
check_scope(const struct sigv4 *sig, const struct sigv4_rules *rules,
    struct s3_error *s3err)
{
	enum s3_code code = sig->presigned
	    ? S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR
	    : S3_AUTHORIZATION_HEADER_MALFORMED;

	if (!slice_is(sig->service, "s3"))
		return s3_error_set(s3err, code,
		    "The authorization is malformed; incorrect service "
		    "\"%.*s\": this endpoint belongs to \"s3\".",
		    (int)sig->service.len, sig->service.at);
	if (rules->region.len > 0 && !slice_equal(rules->region, sig->region))
		return s3_error_set(s3err, code,
		    "The authorization is malformed; the region '%.*s' is "
		    "wrong; expecting '%.*s'.",
		    (int)sig->region.len, sig->region.at,
		    (int)rules->region.len, rules->region.at);
	return 0;
}

static int
check_time(const struct sigv4 *sig, const struct sigv4_rules *rules,
    struct s3_error *s3err)
{
	int64_t since = rules->now_ms - sig->time_ms;
	char now[CLOCK_TEXT_BYTES];

	if (sig->presigned) {
		if (since > (int64_t)sig->expires_s * 1000)
			return s3_error_set(
			    s3err, S3_ACCESS_DENIED, "Request has expired.");
		if (since < -rules->skew_ms)
			return s3_error_set(s3err, S3_ACCESS_DENIED,
			    "Request is not valid yet.");
		return 0;
	}
	if (since <= rules->skew_ms && since >= -rules->skew_ms)
		return 0;
	clock_basic(rules->now_ms, now);
	return s3_error_set(s3err, S3_REQUEST_TIME_TOO_SKEWED,
	    "The request was signed at %s by the client's clock and arrived at "
	    "%s by the server's; they may differ by %lld minutes: set both "
	    "clocks.",
	    sig->time_text, now, (long long)(rules->skew_ms / 60000));
}

/* The SHA-256 of the canonical request, in hex. */
static int
canonical_hash(const struct http_head *head, const struct sigv4 *sig,
    struct slice *missing, char hex[2 * SHA256_BYTES + 1],
    struct s3_error *s3err)
{
	struct canonical c;
	uint8_t hash[SHA256_BYTES];

	c.len = 0;
	c.overflow = 0;
	add(&c, head->method.at, head->method.len);
	add_char(&c, '\n');
	if (head->path.len == 0)
		add_char(&c, '/');
	else if (add_recoded(&c, head->path, 1) != 0)
		return s3_error_set(s3err, S3_INVALID_URI,
		    "The path has a '%%' that is not followed by two hex "
		    "digits.");
	add_char(&c, '\n');
	if (add_query(&c, head, sig->presigned, s3err) != 0)
		return -1;
	add_char(&c, '\n');
	if (add_headers(&c, head, sig, missing, s3err) != 0)
		return -1;
	add_char(&c, '\n');
	add(&c, sig->signed_headers.at, sig->signed_headers.len);
	add_char(&c, '\n');
	add(&c, sig->payload_text.at, sig->payload_text.len);
	if (c.overflow)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The request's head is too large to be signed.");
	digest_once(DIGEST_SHA256, c.at, c.len, hash);
	hex_encode(hash, SHA256_BYTES, hex);
	return 0;
}

int
sigv4_verify(const struct http_head *head, const struct sigv4 *sig,
    const struct sigv4_key *key, const struct sigv4_rules *rules,
    struct s3_error *s3err)
{
	char to_sign[SIGV4_LINES_MAX_BYTES + 2 * SHA256_BYTES];
	char hex[2 * SHA256_BYTES + 1];
	uint8_t signature[SHA256_BYTES];
	struct slice missing;
	size_t len;

	if (check_scope(sig, rules, s3err) != 0 ||
	    check_signed(head, sig, s3err) != 0 ||
	    check_time(sig, rules, s3err) != 0 ||
	    canonical_hash(head, sig, &missing, hex, s3err) != 0)
		return -1;

	len = sigv4_lines(sig, SIGV4_ALGORITHM, to_sign);
	memcpy(to_sign + len, hex, 2 * SHA256_BYTES);
	len += 2 * SHA256_BYTES;
	hmac_sha256(key->key, SHA256_BYTES, to_sign, len, signature);
	if (bytes_equal_secret(signature, sig->signature, SHA256_BYTES))
		return 0;
	if (missing.at != NULL)
		return s3_error_set(s3err, S3_SIGNATURE_DOES_NOT_MATCH,
		    "The signature covers the header %.*s, which did not "
		    "arrive: something on the way takes it out.",
		    (int)(missing.len < 200 ? missing.len : 200), missing.at);
	return s3_error_set(s3err, S3_SIGNATURE_DOES_NOT_MATCH, NULL);
}
