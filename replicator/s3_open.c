#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "replicator/fields.h"
#include "replicator/s3_private.h"
#include "store/record.h"

#define REGION_DEFAULT "us-east-1"

/* Stores whose limits differ from S3's own; others that are not AWS get 1,000
 * parts, the fewest that a store is known to take. */
static const struct {
	const char *host_end;
	uint32_t parts_max;
} known_hosts[] = {
	{ ".r2.cloudflarestorage.com", 10000 },
	{ ".backblazeb2.com", 10000 },
	{ ".wasabisys.com", 10000 },
	{ ".digitaloceanspaces.com", 10000 },
	{ "storage.googleapis.com", 10000 },
	{ ".scw.cloud", 1000 },
};

static int
check_bucket(const char *bucket, struct error *err)
{
	size_t i, len;

	if (!field_is_set(bucket))
		return error_set(
		    err, ERR_INVALID, "bucket: give the bucket's name");
	len = strlen(bucket);
	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)bucket[i]) &&
		    strchr("-._:", bucket[i]) == NULL)
			break;
	if (i < len || len < 2 || len > 255)
		return error_set(err, ERR_INVALID,
		    "bucket: \"%.80s\" is no name of a bucket: it has letters, "
		    "digits, '-', '.' and '_' only, and no path behind it",
		    bucket);
	return 0;
}

/* A region is part of a host's name and of the signature. */
static int
check_region(const char *region, struct error *err)
{
	size_t i, len = strlen(region);

	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)region[i]) &&
		    strchr("-_.", region[i]) == NULL)
			break;
	if (i < len || len > 63)
		return error_set(err, ERR_INVALID,
		    "region: \"%.80s\" is no region: it looks like "
		    "eu-central-1",
		    region);
	return 0;
}

static int
set_where(
    struct s3_shared *s, const struct destination_fields *f, struct error *err)
{
	size_t i;

	s->aws = f->provider == PROVIDER_AWS;
	if (field_is_set(f->region) && check_region(f->region, err) != 0)
		return -1;
	snprintf(s->region, sizeof(s->region), "%s",
	    field_is_set(f->region) ? f->region : REGION_DEFAULT);
	memcpy(s->first_region, s->region, sizeof(s->region));
	if (check_bucket(f->bucket, err) != 0 ||
	    field_copy(&s->bucket, f->bucket, err) != 0 ||
	    field_path(f->path, &s->path, err) != 0)
		return -1;

	s->parts_max = 1000;
	if (s->aws) {
		s->parts_max = PARTS_MAX;
		/* A certificate's wildcard covers one label only. */
		s->virtual_host = strpbrk(f->bucket, "._:") == NULL;
		for (i = 0; f->bucket[i] != '\0'; i++)
			if (isupper((unsigned char)f->bucket[i]))
				s->virtual_host = 0;
	}
	if (field_is_set(f->endpoint)) {
		s->virtual_host = 0;
		if (field_endpoint(f->endpoint,
			"write it as https://host or https://host:port",
			&s->https, &s->host, &s->base, err) != 0)
			return -1;
	} else if (s->aws) {
		s->https = 1;
		s->by_region = 1;
		if ((s->base = strdup("")) == NULL)
			return error_nomem(err);
	} else
		return error_set(err, ERR_INVALID,
		    "endpoint: an S3-compatible store needs its address, as "
		    "https://host:port");
	for (i = 0; s->host != NULL &&
	     i < sizeof(known_hosts) / sizeof(known_hosts[0]);
	     i++)
		if (field_ends(s->host, known_hosts[i].host_end))
			s->parts_max = known_hosts[i].parts_max;
	return 0;
}

static int
set_storage(
    struct s3_shared *s, const struct destination_fields *f, struct error *err)
{
	if (field_is_set(f->sse) && strcmp(f->sse, "AES256") != 0 &&
	    strcmp(f->sse, "aws:kms") != 0 &&
	    strcmp(f->sse, "aws:kms:dsse") != 0)
		return error_set(err, ERR_INVALID,
		    "sse: it is AES256, aws:kms or aws:kms:dsse");
	if (field_is_set(f->sse_kms_key_id) &&
	    (!field_is_set(f->sse) || strcmp(f->sse, "AES256") == 0))
		return error_set(err, ERR_INVALID,
		    "sse-kms-key-id: it needs sse to be aws:kms");
	if (field_is_set(f->storage_class) &&
	    s3_storage_archived(slice_text(f->storage_class)))
		return error_set(err, ERR_INVALID,
		    "storage-class: %s holds objects that cannot be read at "
		    "once, and a backup must be: choose STANDARD_IA or "
		    "GLACIER_IR",
		    f->storage_class);
	s->bucket_key = f->sse_bucket_key;
	if (field_copy(&s->storage_class, f->storage_class, err) != 0 ||
	    field_copy(&s->sse, f->sse, err) != 0 ||
	    field_copy(&s->kms_key, f->sse_kms_key_id, err) != 0)
		return -1;
	return 0;
}

/* How objects are encrypted decides what their ETags are. */
static int
set_abilities(struct s3_shared *s, struct error *err)
{
	char place[700];

	snprintf(place, sizeof(place), "%s%s/%s%s%s",
	    s->host != NULL ? s->host : "aws", s->base, s->bucket,
	    s->sse != NULL ? "?" : "", s->sse != NULL ? s->sse : "");
	if (strchr(place, ' ') != NULL || (s->place = strdup(place)) == NULL ||
	    (s->can = s3_abilities_of(place, s->aws)) == NULL)
		return error_nomem(err);
	return 0;
}

static void s3_close(void *shared);

static void *
s3_open(const struct destination_fields *f, struct error *err)
{
	struct s3_shared *s;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	if (set_where(s, f, err) != 0 || set_storage(s, f, err) != 0 ||
	    set_abilities(s, err) != 0 ||
	    field_copy(&s->sts_endpoint, f->sts_endpoint, err) != 0 ||
	    (s->credentials = aws_credentials_new(f, err)) == NULL) {
		s3_close(s);
		return NULL;
	}
	return s;
}

static void
s3_close(void *shared)
{
	struct s3_shared *s = shared;

	aws_credentials_free(s->credentials);
	pthread_mutex_destroy(&s->lock);
	free(s->host);
	free(s->base);
	free(s->bucket);
	free(s->path);
	free(s->storage_class);
	free(s->sse);
	free(s->kms_key);
	free(s->sts_endpoint);
	free(s->place);
	free(s);
}

static void *
s3_session(void *shared, struct http_client *http)
{
	struct s3_session *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->shared = shared;
	s->http = http;
	return s;
}

static void
s3_session_close(void *session)
{
	struct s3_session *s = session;

	http_call_clear(&s->call);
	free(s);
}

static int64_t
s3_clock_offset_ms(void *shared)
{
	struct s3_shared *s = shared;

	return atomic_load(&s->clock_offset_ms);
}

static void
s3_learnt_text(void *shared, char *text, size_t room)
{
	const struct s3_shared *s = shared;

	s3_abilities_write(s->can, s->place, text, room);
}

static void
s3_limits(void *shared, struct destination_limits *l)
{
	struct s3_shared *s = shared;

	l->single_put_max_bytes = S3_PART_BYTES;
	l->abort_finds = 1;
	l->yields = 1;
	l->part_min_bytes = PART_MIN_BYTES;
	l->part_max_bytes = S3_PART_MAX_BYTES;
	l->parts_max = s->parts_max;
	l->can_condition = atomic_load(&s->can->conditions) == S3_YES;
	l->stage_is_hidden = 1;
}

/* Well-formed UTF-8, as S3 asks of keys. */
static int
is_utf8(struct slice key)
{
	const uint8_t *p = (const uint8_t *)key.at, *end = p + key.len;
	uint32_t c, least;
	int more;

	while (p < end) {
		c = *p++;
		if (c < 0x80)
			continue;
		if (c >= 0xc2 && c < 0xe0) {
			more = 1;
			least = 0x80;
			c &= 0x1f;
		} else if (c >= 0xe0 && c < 0xf0) {
			more = 2;
			least = 0x800;
			c &= 0x0f;
		} else if (c >= 0xf0 && c < 0xf5) {
			more = 3;
			least = 0x10000;
			c &= 0x07;
		} else
			return 0;
		for (; more > 0; more--) {
			if (p == end || (*p & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (*p++ & 0x3f);
		}
		if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return 0;
	}
	return 1;
}

/* Some stores, and proxies before them, resolve "." and ".." in paths, which
 * would lead out of the configured one, and merge slashes, which would make one
 * key another. */
static int
has_path_segment(struct slice key)
{
	const char *at = key.at, *end = key.at + key.len, *slash;
	size_t len;

	for (;; at = slash + 1) {
		slash = memchr(at, '/', (size_t)(end - at));
		len = (size_t)((slash != NULL ? slash : end) - at);
		if ((len == 1 && at[0] == '.') ||
		    (len == 2 && at[0] == '.' && at[1] == '.') ||
		    (len == 0 && slash != NULL))
			return 1;
		if (slash == NULL)
			return 0;
	}
}

static int
s3_check_key(void *shared, struct slice key, struct fault *fault)
{
	const struct s3_shared *s = shared;

	if (key.len == 0)
		return fault_set(fault, FAULT_OBJECT, "The key is empty.");
	if (strlen(s->path) + key.len > KEY_MAX_BYTES)
		return fault_set(fault, FAULT_OBJECT,
		    "With the path in front the key is longer than 1,024 "
		    "bytes: configure a shorter path.");
	if (!is_utf8(key))
		return fault_set(fault, FAULT_OBJECT,
		    "The key is not UTF-8, which S3 asks for.");
	if (!s->aws && has_path_segment(key))
		return fault_set(fault, FAULT_OBJECT,
		    "The key has a part that is empty, \".\" or \"..\", which "
		    "stores and proxies may resolve as in a file's path.");
	return 0;
}

const struct destination_protocol destination_s3 = {
	.name = "s3",
	.open = s3_open,
	.close = s3_close,
	.session = s3_session,
	.session_close = s3_session_close,
	.limits = s3_limits,
	.clock_offset_ms = s3_clock_offset_ms,
	.check_key = s3_check_key,
	.learnt = s3_learnt_text,
	.recall = s3_abilities_recall,
	.put = s3_put,
	.begin = s3_upload_begin,
	.part = s3_part,
	.finish = s3_finish,
	.abort = s3_abort,
	.stat = s3_stat,
	.get = s3_get,
	.list = s3_list,
	.remove = s3_remove,
	.retag = s3_retag,
	.probe = s3_probe,
};
