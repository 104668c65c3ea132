#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "s3api/sigv4.h"
#include "s3api/sigv4_fields.h"

#define EMPTY_SHA256 \
	"e3b0c44298fc1c149afbf4c8996fb924" \
	"27ae41e4649b934ca495991b7852b855"
#define PRESIGNED_MAX_S (7 * 24 * 3600)

/* Cuts the last field off *text. 0 when there is no separator. */
static int
cut_last(struct slice *text, char separator, struct slice *field)
{
	const char *at;

	if (text->len == 0 ||
	    (at = memrchr(text->at, separator, text->len)) == NULL)
		return 0;
	field->at = at + 1;
	field->len = text->len - (size_t)(at + 1 - text->at);
	text->len = (size_t)(at - text->at);
	return 1;
}

static struct slice
trim(struct slice text)
{
	while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
		text.at++;
		text.len--;
	}
	while (text.len > 0 &&
	    (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/* Does the query have a parameter of that name? A name is compared as sent,
 * since no client encodes the letters of these. */
static int
query_find(struct slice query, const char *wanted, struct slice *value)
{
	struct slice field, name;

	while (sigv4_next_field(&query, '&', &field)) {
		sigv4_split_parameter(field, &name, value);
		if (slice_is(name, wanted))
			return 1;
	}
	*value = SLICE_NULL;
	return 0;
}

/* Credential=KEY/DATE/REGION/SERVICE/aws4_request. The access key may have a
 * '/' itself, so the fields are taken from the end. 0, or -1. */
static int
parse_credential(struct sigv4 *sig, struct slice text)
{
	struct slice end;

	if (!cut_last(&text, '/', &end) || !slice_is(end, "aws4_request") ||
	    !cut_last(&text, '/', &sig->service) ||
	    !cut_last(&text, '/', &sig->region) ||
	    !cut_last(&text, '/', &sig->date))
		return -1;
	sig->access_key = text;
	if (sig->date.len != 8 ||
	    sig->region.len + sig->service.len > SIGV4_SCOPE_MAX_BYTES - 32)
		return -1;
	return text.len > 0 ? 0 : -1;
}

/* The time of the request and its text. 0, or -1 when it is no basic time. */
static int
parse_time(struct sigv4 *sig, struct slice text)
{
	if (text.len != sizeof(sig->time_text) - 1 ||
	    clock_parse_basic(text.at, text.len, &sig->time_ms) != 0)
		return -1;
	memcpy(sig->time_text, text.at, text.len);
	sig->time_text[text.len] = '\0';
	return 0;
}

/* What the body must be, from x-amz-content-sha256. */
static int
parse_payload(struct sigv4 *sig, struct slice text, struct s3_error *s3err)
{
	static const struct {
		const char *text;
		enum payload_kind kind;
	} kinds[] = {
		{ "UNSIGNED-PAYLOAD", PAYLOAD_UNSIGNED },
		{ "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
		    PAYLOAD_CHUNKED_SIGNED },
		{ "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
		    PAYLOAD_CHUNKED_SIGNED_TRAILER },
		{ "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
		    PAYLOAD_CHUNKED_UNSIGNED_TRAILER },
	};
	size_t i;

	sig->payload_text = text;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (slice_is(text, kinds[i].text)) {
			sig->payload = kinds[i].kind;
			return 0;
		}
	if (hex_decode(text.at, text.len, sig->payload_sha256, SHA256_BYTES) ==
	    0) {
		sig->payload = PAYLOAD_SIGNED;
		return 0;
	}
	return s3_error_set(s3err, S3_INVALID_ARGUMENT,
	    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
	    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD (or -PAYLOAD-TRAILER), "
	    "STREAMING-UNSIGNED-PAYLOAD-TRAILER or a SHA-256 in hex.");
}

static int
parse_anonymous(
    const struct http_head *head, struct sigv4 *sig, struct s3_error *s3err)
{
	struct slice text = http_header_get(head, "x-amz-content-sha256");

	sig->anonymous = 1;
	sig->payload = PAYLOAD_UNSIGNED;
	if (text.at == NULL)
		return 0;
	if (parse_payload(sig, text, s3err) != 0)
		return -1;
	if (sig->payload == PAYLOAD_CHUNKED_SIGNED ||
	    sig->payload == PAYLOAD_CHUNKED_SIGNED_TRAILER)
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The chunks of the body are signed but the request is "
		    "not.");
	return 0;
}

static int
malformed(struct s3_error *s3err, const char *what)
{
	return s3_error_set(s3err, S3_AUTHORIZATION_HEADER_MALFORMED,
	    "The authorization header is malformed; %s.", what);
}

static int
parse_header(const struct http_head *head, struct slice authorization,
    struct sigv4 *sig, struct s3_error *s3err)
{
	struct slice field, name, value, credential, signature, text;
	char date[CLOCK_TEXT_BYTES];

	if (slice_starts(authorization, "AWS "))
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The request is signed with Signature Version 2, which is "
		    "not supported: set the client to Signature Version 4 "
		    "(" SIGV4_ALGORITHM ").");
	if (slice_starts(authorization, "AWS4-ECDSA-"))
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The request is signed with Signature Version 4A, which is "
		    "not supported: set the client to Signature Version 4 "
		    "(" SIGV4_ALGORITHM ").");
	if (!slice_starts(authorization, SIGV4_ALGORITHM) ||
	    authorization.len == sizeof(SIGV4_ALGORITHM) - 1 ||
	    (authorization.at[sizeof(SIGV4_ALGORITHM) - 1] != ' ' &&
		authorization.at[sizeof(SIGV4_ALGORITHM) - 1] != '\t'))
		return s3_error_set(s3err, S3_INVALID_ARGUMENT,
		    "Unsupported Authorization Type: only " SIGV4_ALGORITHM
		    " is supported.");

	authorization.at += sizeof(SIGV4_ALGORITHM);
	authorization.len -= sizeof(SIGV4_ALGORITHM);
	credential = signature = SLICE_NULL;
	while (sigv4_next_field(&authorization, ',', &field)) {
		sigv4_split_parameter(trim(field), &name, &value);
		if (slice_is(name, "Credential"))
			credential = value;
		else if (slice_is(name, "SignedHeaders"))
			sig->signed_headers = value;
		else if (slice_is(name, "Signature"))
			signature = value;
		else
			return malformed(s3err, "it has an unknown field");
	}
	if (credential.at == NULL || parse_credential(sig, credential) != 0)
		return malformed(s3err,
		    "the Credential is not "
		    "\"access-key/date/region/s3/aws4_request\"");
	if (sig->signed_headers.at == NULL || sig->signed_headers.len == 0)
		return malformed(s3err, "it has no SignedHeaders");
	if (signature.at == NULL ||
	    hex_decode(
		signature.at, signature.len, sig->signature, SHA256_BYTES) != 0)
		return malformed(s3err, "the Signature is not 64 hex digits");

	text = http_header_get(head, "x-amz-date");
	if (text.at == NULL) {
		text = http_header_get(head, "date");
		if (text.at != NULL &&
		    clock_parse_http_date(text.at, text.len, &sig->time_ms) ==
			0) {
			clock_basic(sig->time_ms, date);
			text = slice_text(date);
		}
	}
	if (text.at == NULL || parse_time(sig, text) != 0)
		return s3_error_set(s3err, S3_ACCESS_DENIED,
		    "AWS authentication requires a valid Date or x-amz-date "
		    "header.");
	if (memcmp(sig->time_text, sig->date.at, 8) != 0)
		return malformed(
		    s3err, "the Credential's date is not that of x-amz-date");

	text = http_header_get(head, "x-amz-content-sha256");
	if (text.at == NULL) {
		/* Debian 12's curl leaves it out, and signs an empty body. */
		if (head->chunked || head->content_length > 0)
			return s3_error_set(s3err, S3_INVALID_REQUEST,
			    "Missing required header for this request: "
			    "x-amz-content-sha256.");
		text = SLICE_LITERAL(EMPTY_SHA256);
	}
	return parse_payload(sig, text, s3err);
}

/* A parameter of the query, decoded into sig->text. SLICE_NULL when it is not
 * there, badly encoded or too long. */
static struct slice
query_decoded(
    struct slice query, const char *name, struct sigv4 *sig, size_t *used)
{
	struct slice value, decoded;
	long len;

	if (!query_find(query, name, &value) ||
	    value.len > sizeof(sig->text) - *used)
		return SLICE_NULL;
	len = uri_decode(value.at, value.len, 1, sig->text + *used);
	if (len < 0)
		return SLICE_NULL;
	decoded.at = sig->text + *used;
	decoded.len = (size_t)len;
	*used += decoded.len;
	return decoded;
}

static int
parse_query(
    const struct http_head *head, struct sigv4 *sig, struct s3_error *s3err)
{
	static const enum s3_code code =
	    S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR;
	struct slice query = head->query, text;
	size_t used = 0;

	sig->presigned = 1;
	text = query_decoded(query, "X-Amz-Algorithm", sig, &used);
	if (!slice_is(text, SIGV4_ALGORITHM))
		return s3_error_set(s3err, code,
		    "X-Amz-Algorithm only supports \"" SIGV4_ALGORITHM "\".");
	text = query_decoded(query, "X-Amz-Credential", sig, &used);
	if (text.at == NULL || parse_credential(sig, text) != 0)
		return s3_error_set(s3err, code,
		    "Error parsing the X-Amz-Credential parameter; the "
		    "Credential is mal-formed; expecting "
		    "\"access-key/date/region/s3/aws4_request\".");
	text = query_decoded(query, "X-Amz-SignedHeaders", sig, &used);
	if (text.at == NULL || text.len == 0)
		return s3_error_set(
		    s3err, code, "X-Amz-SignedHeaders is missing.");
	sig->signed_headers = text;
	text = query_decoded(query, "X-Amz-Signature", sig, &used);
	if (text.at == NULL ||
	    hex_decode(text.at, text.len, sig->signature, SHA256_BYTES) != 0)
		return s3_error_set(
		    s3err, code, "X-Amz-Signature must be 64 hex digits.");
	text = query_decoded(query, "X-Amz-Date", sig, &used);
	if (text.at == NULL || parse_time(sig, text) != 0)
		return s3_error_set(s3err, code,
		    "X-Amz-Date must be in the ISO8601 Long Format "
		    "\"yyyyMMdd'T'HHmmss'Z'\".");
	if (memcmp(sig->time_text, sig->date.at, 8) != 0)
		return s3_error_set(s3err, code,
		    "The Credential's date is not that of X-Amz-Date.");
	text = query_decoded(query, "X-Amz-Expires", sig, &used);
	if (text.at == NULL ||
	    parse_u64(text.at, text.len, 1, PRESIGNED_MAX_S, &sig->expires_s) !=
		0)
		return s3_error_set(s3err, code,
		    "X-Amz-Expires must be between 1 and 604800 seconds (a "
		    "week).");

	text = query_decoded(query, "X-Amz-Content-Sha256", sig, &used);
	if (text.at == NULL || text.len == 0)
		text = http_header_get(head, "x-amz-content-sha256");
	if (text.at == NULL)
		text = SLICE_LITERAL("UNSIGNED-PAYLOAD");
	return parse_payload(sig, text, s3err);
}

int
sigv4_parse(
    const struct http_head *head, struct sigv4 *sig, struct s3_error *s3err)
{
	struct slice authorization, value;
	int in_query;

	/* All but the text, which is large and written before it is read. */
	memset(sig, 0, offsetof(struct sigv4, text));
	authorization = http_header_get(head, "authorization");
	in_query = query_find(head->query, "X-Amz-Algorithm", &value) ||
	    query_find(head->query, "X-Amz-Signature", &value) ||
	    query_find(head->query, "X-Amz-Credential", &value);
	if (query_find(head->query, "AWSAccessKeyId", &value) &&
	    query_find(head->query, "Signature", &value))
		return s3_error_set(s3err, S3_INVALID_REQUEST,
		    "The address is presigned with Signature Version 2, which "
		    "is not supported: set the client to Signature Version 4 "
		    "(" SIGV4_ALGORITHM ").");
	if (authorization.at != NULL && in_query)
		return s3_error_set(s3err, S3_INVALID_ARGUMENT,
		    "Only one auth mechanism allowed; only the X-Amz-Algorithm "
		    "query parameter or the Authorization header should be "
		    "specified.");
	if (authorization.at == NULL && !in_query)
		return parse_anonymous(head, sig, s3err);
	if (http_header_get(head, "x-amz-security-token").at != NULL ||
	    query_find(head->query, "X-Amz-Security-Token", &value))
		return s3_error_set(s3err, S3_INVALID_TOKEN, NULL);
	if (in_query)
		return parse_query(head, sig, s3err);
	return parse_header(head, authorization, sig, s3err);
}

void
sigv4_derive(
    struct slice secret, const struct sigv4 *sig, struct sigv4_key *key)
{
	char first[4 + SIGV4_SECRET_MAX_BYTES] = "AWS4";

	if (secret.len > SIGV4_SECRET_MAX_BYTES) {
		bytes_random(key->key, SHA256_BYTES);
		return;
	}
	if (secret.len > 0)
		memcpy(first + 4, secret.at, secret.len);
	hmac_sha256(
	    first, 4 + secret.len, sig->date.at, sig->date.len, key->key);
	hmac_sha256(
	    key->key, SHA256_BYTES, sig->region.at, sig->region.len, key->key);
	hmac_sha256(key->key, SHA256_BYTES, sig->service.at, sig->service.len,
	    key->key);
	hmac_sha256(key->key, SHA256_BYTES, "aws4_request", 12, key->key);
	bytes_wipe(first, sizeof(first));
}

size_t
sigv4_lines(const struct sigv4 *sig, const char *algorithm,
    char lines[SIGV4_LINES_MAX_BYTES])
{
	const struct slice parts[] = { slice_text(algorithm),
		SLICE_LITERAL("\n"), slice_text(sig->time_text),
		SLICE_LITERAL("\n"), sig->date, SLICE_LITERAL("/"), sig->region,
		SLICE_LITERAL("/"), sig->service,
		SLICE_LITERAL("/aws4_request\n") };
	size_t i, len = 0;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		memcpy(lines + len, parts[i].at, parts[i].len);
		len += parts[i].len;
	}
	return len;
}
