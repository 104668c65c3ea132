#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "replicator/fields.h"
#include "replicator/google_private.h"

#define ORIGIN "https://storage.googleapis.com"
/* Google takes any number of chunks; the caller remembers each part. */
#define PARTS_MAX 10000
#define PART_MAX_BYTES (1ULL << 30)

static int
set_bucket(struct google_shared *s, const char *bucket, struct error *err)
{
	size_t i, len;

	if (!field_is_set(bucket))
		return error_set(
		    err, ERR_INVALID, "bucket: give the bucket's name");
	len = strlen(bucket);
	for (i = 0; i < len; i++)
		if (!islower((unsigned char)bucket[i]) &&
		    !isdigit((unsigned char)bucket[i]) &&
		    strchr("-._", bucket[i]) == NULL)
			break;
	/* A project's own domain may stand in front of a ':'. */
	if (i < len || len < 3 || len > 222)
		return error_set(err, ERR_INVALID,
		    "bucket: \"%.80s\" is no name of a bucket: it has "
		    "lower-case letters, digits, '-', '.' and '_' only, "
		    "without gs:// before it or a path behind it",
		    bucket);
	if ((s->bucket_encoded = malloc(3 * len + 1)) == NULL)
		return error_nomem(err);
	uri_encode(bucket, len, 0, s->bucket_encoded);
	return field_copy(&s->bucket, bucket, err);
}

static int
set_origin(struct google_shared *s, const char *text, struct error *err)
{
	char *host = NULL, *base = NULL;
	size_t room;
	int rc;

	rc = field_endpoint(field_is_set(text) ? text : ORIGIN,
	    "leave it empty for Google's own, or write it as https://host or "
	    "https://host:port",
	    &s->https, &host, &base, err);
	if (rc == 0) {
		room = strlen(host) + strlen(base) + 9;
		if ((s->origin = malloc(room)) == NULL)
			rc = error_nomem(err);
		else
			snprintf(s->origin, room, "%s://%s%s",
			    s->https ? "https" : "http", host, base);
	}
	free(host);
	free(base);
	return rc;
}

static int
set_storage(struct google_shared *s, const struct destination_fields *f,
    struct error *err)
{
	static const char *const classes[] = { "STANDARD", "NEARLINE",
		"COLDLINE", "ARCHIVE", "REGIONAL", "MULTI_REGIONAL" };
	size_t i, n = sizeof(classes) / sizeof(classes[0]);

	if (field_is_set(f->storage_class)) {
		for (i = 0; i < n; i++)
			if (strcmp(f->storage_class, classes[i]) == 0)
				break;
		if (i == n)
			return error_set(err, ERR_INVALID,
			    "storage-class: it is STANDARD, NEARLINE, COLDLINE "
			    "or ARCHIVE");
	}
	if (field_is_set(f->kms_key_name) &&
	    strncmp(f->kms_key_name, "projects/", 9) != 0)
		return error_set(err, ERR_INVALID,
		    "kms-key-name: it looks like "
		    "projects/P/locations/L/keyRings/R/cryptoKeys/K");
	if (field_copy(&s->storage_class, f->storage_class, err) != 0 ||
	    field_copy(&s->kms_key, f->kms_key_name, err) != 0)
		return -1;
	return 0;
}

static void
google_close(void *shared)
{
	struct google_shared *s = shared;

	token_source_free(s->tokens);
	pthread_mutex_destroy(&s->lock);
	free(s->origin);
	free(s->bucket);
	free(s->bucket_encoded);
	free(s->path);
	free(s->storage_class);
	free(s->kms_key);
	free(s);
}

static void *
google_open(const struct destination_fields *f, struct error *err)
{
	struct google_shared *s;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	if (set_bucket(s, f->bucket, err) != 0 ||
	    field_path(f->path, &s->path, err) != 0 ||
	    set_origin(s, f->endpoint, err) != 0 ||
	    set_storage(s, f, err) != 0 ||
	    (s->tokens = google_tokens_new(f, err)) == NULL) {
		google_close(s);
		return NULL;
	}
	return s;
}

static void *
google_session(void *shared, struct http_client *http)
{
	struct google_session *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->shared = shared;
	s->http = http;
	return s;
}

static void
google_session_close(void *session)
{
	struct google_session *s = session;

	http_call_clear(&s->call);
	free(s);
}

static int64_t
google_clock_offset_ms(void *shared)
{
	struct google_shared *s = shared;

	return atomic_load(&s->clock_offset_ms);
}

static void
google_limits(void *shared, struct destination_limits *l)
{
	(void)shared;
	l->single_put_max_bytes = GOOGLE_CHUNK_BYTES;
	l->part_min_bytes = GOOGLE_CHUNK_BYTES;
	l->part_max_bytes = PART_MAX_BYTES;
	l->parts_max = PARTS_MAX;
	l->same_key_interval_ms = 1000;
	l->can_condition = 1;
	l->stage_is_hidden = 1;
	l->yields = 1;
	l->parts_in_order = 1;
	l->finish_sends = 1;
}

/* Google's rules for names, of the whole name with the path in front. */
static int
google_check_key(void *shared, struct slice key, struct fault *fault)
{
	static const char challenge[] = ".well-known/acme-challenge/";
	const struct google_shared *s = shared;
	json_t *text;

	if (key.len == 0)
		return fault_set(fault, FAULT_OBJECT, "The key is empty.");
	if (strlen(s->path) + key.len > GOOGLE_NAME_MAX_BYTES)
		return fault_set(fault, FAULT_OBJECT,
		    "With the path in front the key is longer than 1,024 "
		    "bytes: configure a shorter path.");
	if ((text = json_stringn(key.at, key.len)) == NULL)
		return fault_set(fault, FAULT_OBJECT,
		    "The key is not UTF-8, which Google asks for.");
	json_decref(text);
	if (memchr(key.at, '\r', key.len) != NULL ||
	    memchr(key.at, '\n', key.len) != NULL ||
	    memchr(key.at, '\0', key.len) != NULL)
		return fault_set(fault, FAULT_OBJECT,
		    "The key has an end of line or a NUL in it, which Google "
		    "does not take.");
	if (s->path[0] != '\0')
		return 0;
	if (slice_is(key, ".") || slice_is(key, ".."))
		return fault_set(fault, FAULT_OBJECT,
		    "Google has no objects of the name \".\" or \"..\": "
		    "configure a path.");
	if (slice_starts(key, challenge))
		return fault_set(fault, FAULT_OBJECT,
		    "Google has no objects below %s: configure a path.",
		    challenge);
	return 0;
}

const struct destination_protocol destination_google = {
	.name = "google",
	.open = google_open,
	.close = google_close,
	.session = google_session,
	.session_close = google_session_close,
	.limits = google_limits,
	.clock_offset_ms = google_clock_offset_ms,
	.check_key = google_check_key,
	.put = google_put,
	.begin = google_begin,
	.part = google_part,
	.finish = google_finish,
	.abort = google_abort,
	.stat = google_stat,
	.get = google_get,
	.list = google_list,
	.remove = google_remove,
	.retag = google_retag,
	.probe = google_probe,
};
