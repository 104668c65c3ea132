#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "s3api/target.h"
#include "store/record.h"

int
utf8_valid(struct slice text)
{
	const uint8_t *p = (const uint8_t *)text.at;
	size_t i = 0, more, k;
	uint32_t point;

	while (i < text.len) {
		if (p[i] < 0x80) {
			i++;
			continue;
		}
		if (p[i] >= 0xc2 && p[i] <= 0xdf) {
			more = 1;
			point = p[i] & 0x1fu;
		} else if ((p[i] & 0xf0) == 0xe0) {
			more = 2;
			point = p[i] & 0x0fu;
		} else if (p[i] >= 0xf0 && p[i] <= 0xf4) {
			more = 3;
			point = p[i] & 0x07u;
		} else {
			return 0;
		}
		if (text.len - i <= more)
			return 0;
		for (k = 1; k <= more; k++) {
			if ((p[i + k] & 0xc0) != 0x80)
				return 0;
			point = point << 6 | (p[i + k] & 0x3fu);
		}
		if ((more == 2 && point < 0x800) ||
		    (more == 3 && point < 0x10000) || point > 0x10ffff ||
		    (point >= 0xd800 && point <= 0xdfff))
			return 0;
		i += more + 1;
	}
	return 1;
}

static int
is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Four numbers between dots: AWS refuses a name that looks like an address. */
static int
looks_like_ipv4(struct slice name)
{
	size_t i, dots = 0, digits = 0;

	for (i = 0; i < name.len; i++) {
		if (name.at[i] == '.') {
			if (digits == 0)
				return 0;
			dots++;
			digits = 0;
		} else if (name.at[i] >= '0' && name.at[i] <= '9') {
			digits++;
		} else {
			return 0;
		}
	}
	return dots == 3 && digits > 0;
}

int
bucket_name_valid(struct slice name)
{
	size_t i;

	if (name.len < 3 || name.len > BUCKET_NAME_MAX_BYTES)
		return 0;
	if (!is_lower_alnum(name.at[0]) ||
	    !is_lower_alnum(name.at[name.len - 1]))
		return 0;
	for (i = 0; i < name.len; i++) {
		if (!is_lower_alnum(name.at[i]) && name.at[i] != '-' &&
		    name.at[i] != '.')
			return 0;
		if (name.at[i] == '.' && name.at[i - 1] == '.')
			return 0;
	}
	return !looks_like_ipv4(name);
}

/* The bucket that the Host names below the domain; empty when it names none. */
static struct slice
bucket_of_host(struct slice host, const char *domain)
{
	size_t domain_len = strlen(domain), i;
	struct slice none = SLICE_NULL;

	for (i = host.len; i > 0 && host.at[i - 1] != ']'; i--) {
		if (host.at[i - 1] == ':') {
			host.len = i - 1;
			break;
		}
	}
	if (host.len <= domain_len + 1 ||
	    host.at[host.len - domain_len - 1] != '.' ||
	    strncasecmp(host.at + host.len - domain_len, domain, domain_len) !=
		0)
		return none;
	host.len -= domain_len + 1;
	return host;
}

/* Decodes behind what is in memory, which has room for it. */
static int
decode(struct buffer *memory, struct slice text, int plus_is_blank,
    struct slice *out)
{
	long n;

	n = uri_decode(
	    text.at, text.len, plus_is_blank, memory->at + memory->len);
	if (n < 0)
		return -1;
	out->at = memory->at + memory->len;
	out->len = (size_t)n;
	memory->len += (size_t)n;
	return 0;
}

static int
parse_query(struct slice query, struct buffer *memory, struct target *target,
    struct s3_error *s3err)
{
	struct target_param *param;
	struct slice pair, value;
	const char *end, *equals;

	while (query.len > 0) {
		end = memchr(query.at, '&', query.len);
		pair.at = query.at;
		pair.len = end == NULL ? query.len : (size_t)(end - query.at);
		query.at += pair.len;
		query.len -= pair.len;
		if (end != NULL) {
			query.at++;
			query.len--;
		}
		if (pair.len == 0)
			continue;
		if (target->n_params == TARGET_PARAMS_MAX)
			return s3_error_set(s3err, S3_INVALID_ARGUMENT,
			    "The query has more than %d parameters.",
			    TARGET_PARAMS_MAX);
		param = &target->params[target->n_params++];
		equals = memchr(pair.at, '=', pair.len);
		value = SLICE_NULL;
		if (equals != NULL) {
			value.at = equals + 1;
			value.len = pair.len - (size_t)(equals - pair.at) - 1;
			pair.len = (size_t)(equals - pair.at);
		}
		if (decode(memory, pair, 1, &param->name) != 0 ||
		    decode(memory, value, 1, &param->value) != 0)
			return s3_error_set(s3err, S3_INVALID_URI,
			    "The query has a wrong percent-escape.");
	}
	return 0;
}

static int
parse_path(const struct http_head *head, const char *domain,
    struct buffer *memory, struct target *target, struct s3_error *s3err)
{
	struct slice path = head->path, rest;
	const char *slash;

	if (path.len == 0 || path.at[0] != '/')
		return s3_error_set(s3err, S3_INVALID_URI, NULL);
	path.at++;
	path.len--;
	if (domain != NULL)
		target->bucket = bucket_of_host(head->host, domain);
	if (target->bucket.len == 0) {
		slash = memchr(path.at, '/', path.len);
		rest = path;
		rest.len = slash == NULL ? path.len : (size_t)(slash - path.at);
		if (decode(memory, rest, 0, &target->bucket) != 0)
			return s3_error_set(s3err, S3_INVALID_URI, NULL);
		if (slash == NULL)
			path.len = 0;
		else
			path.len -= rest.len + 1;
		path.at += rest.len + (slash != NULL);
		if (target->bucket.len == 0 && path.len > 0)
			return s3_error_set(
			    s3err, S3_INVALID_BUCKET_NAME, NULL);
	}
	if (decode(memory, path, 0, &target->key) != 0 ||
	    !utf8_valid(target->key))
		return s3_error_set(s3err, S3_INVALID_URI,
		    "The key in the request's path is not percent-encoded "
		    "UTF-8.");
	if (target->key.len > KEY_MAX_BYTES)
		return s3_error_set(s3err, S3_KEY_TOO_LONG, NULL);
	return 0;
}

int
target_parse(const struct http_head *head, const char *domain,
    struct buffer *memory, struct target *target, struct s3_error *s3err)
{
	target->bucket = SLICE_NULL;
	target->key = SLICE_NULL;
	target->n_params = 0;
	buffer_clear(memory);
	if (buffer_reserve(memory, head->path.len + head->query.len + 1) != 0)
		return s3_error_set(s3err, S3_INTERNAL_ERROR, "Out of memory.");
	if (parse_path(head, domain, memory, target, s3err) != 0)
		return -1;
	return parse_query(head->query, memory, target, s3err);
}

static const struct target_param *
find(const struct target *target, const char *name)
{
	size_t i;

	for (i = 0; i < target->n_params; i++)
		if (slice_is(target->params[i].name, name))
			return &target->params[i];
	return NULL;
}

struct slice
target_get(const struct target *target, const char *name)
{
	const struct target_param *param = find(target, name);

	return param == NULL ? SLICE_NULL : param->value;
}

int
target_has(const struct target *target, const char *name)
{
	return find(target, name) != NULL;
}

int
target_number(const struct target *target, const char *name, uint64_t fallback,
    uint64_t max, uint64_t *value, struct s3_error *s3err)
{
	struct slice text = target_get(target, name);

	*value = fallback;
	if (text.len == 0)
		return 0;
	if (parse_u64(text.at, text.len, 0, INT32_MAX, value) != 0)
		return s3_error_set(s3err, S3_INVALID_ARGUMENT,
		    "%s is not a number between 0 and 2147483647.", name);
	if (*value > max)
		*value = max;
	return 0;
}
