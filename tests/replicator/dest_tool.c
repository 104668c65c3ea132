/*
 * Drives the protocol of a destination for tests. The fields are options named
 * as `holdfast destination add` names them; commands come on standard input,
 * one a line, their words percent-encoded and set apart by blanks; each is
 * answered by one line of JSON: {"ok": true, ...} or {"ok": false, "kind":
 * "person", "text": ...}.
 *
 *   put KEY FILE [WHAT...]        multipart KEY FILE [WHAT...]
 *   begin KEY FILE [WHAT...]      part KEY FILE STATE PART_BYTES NUMBER [WHAT]
 *   finish KEY FILE STATE PART_BYTES NUMBER=ETAG[,...] [WHAT...]
 *   abort KEY STATE               retag KEY FILE [WHAT...]
 *   stat KEY                      get KEY OFFSET LEN FILE
 *   list PREFIX [AFTER [MAX]]     remove KEY
 *   limits                        check KEY
 *   probe                         sleep MS
 *   storm PREFIX THREADS COUNT FILE
 *
 * storm puts, asks for and removes COUNT objects in each of THREADS threads
 * with sessions of their own, trying again what may be. The option --stop-after
 * MS raises the stop flag so long after the start.
 *
 * WHAT: if-absent=1, mtime=MS, etag=TEXT, version=N, md5=0 (leave it out),
 * attr:NAME=VALUE, tag:NAME=VALUE, fail-at=OFFSET (the source breaks there),
 * part-bytes=N. A FILE of "@N" is N bytes of a pattern, without a file.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "replicator/destination.h"
#include "replicator/http_client.h"
#include "store/record.h"

#define WORDS_MAX 128

struct subject { /* what a command sends */
	struct remote_object object;
	struct remote_source source;
	struct buffer attributes, tags;
	int fd; /* -1: the pattern */
	uint64_t fail_at, part_bytes;
	int if_absent, no_md5;
};

static char *files[8]; /* contents of options that name a file */
static size_t n_files;
static const struct destination_protocol *table;
static struct destination *destination;
static struct destination_session *session;
static void *call;

static _Noreturn void
die(const char *what, const char *why)
{
	fprintf(stderr, "dest_tool: %s: %s\n", what, why);
	exit(2);
}

static uint64_t stop_at_ms; /* monotonic; 0: never */

static int
is_stopped(void *arg)
{
	(void)arg;
	return stop_at_ms != 0 && clock_monotonic_ms() >= stop_at_ms;
}

static int
read_source(
    void *arg, uint64_t offset, void *bytes, size_t len, struct fault *fault)
{
	struct subject *s = arg;
	struct error err = ERROR_INIT;
	uint8_t *p = bytes;
	size_t i;

	if (offset + len > s->fail_at)
		return fault_set(fault, FAULT_OBJECT,
		    "the source breaks at %" PRIu64, s->fail_at);
	if (s->fd < 0) {
		for (i = 0; i < len; i++)
			p[i] = (uint8_t)((offset + i) * 2654435761U >> 13);
		return 0;
	}
	if (pread_full(s->fd, bytes, len, offset, &err) != 0)
		return fault_set(fault, FAULT_OBJECT, "%s", err.text);
	return 0;
}

static void
subject_open(struct subject *s, char **words, int n, int from)
{
	uint8_t block[65536];
	struct digest *md5;
	uint64_t at;
	struct stat st;
	struct fault f = FAULT_INIT;
	char *value, *name;
	size_t len;
	int i;

	memset(s, 0, sizeof(*s));
	s->fd = -1;
	s->fail_at = UINT64_MAX;
	s->source.read = read_source;
	s->source.arg = s;
	s->object.key = slice_text(words[1]);
	s->object.mtime_ms = 1795523761123;
	s->object.version = 7;
	if (words[2][0] == '@')
		s->object.size = strtoull(words[2] + 1, NULL, 10);
	else {
		if ((s->fd = open(words[2], O_RDONLY)) < 0 ||
		    fstat(s->fd, &st) != 0)
			die(words[2], strerror(errno));
		s->object.size = (uint64_t)st.st_size;
	}
	for (i = from; i < n; i++) {
		name = words[i];
		if ((value = strchr(name, '=')) == NULL)
			die(name, "no value");
		*value++ = '\0';
		if (strncmp(name, "attr:", 5) == 0)
			pairs_add(&s->attributes, slice_text(name + 5),
			    slice_text(value));
		else if (strncmp(name, "tag:", 4) == 0)
			pairs_add(
			    &s->tags, slice_text(name + 4), slice_text(value));
		else if (strcmp(name, "if-absent") == 0)
			s->if_absent = 1;
		else if (strcmp(name, "mtime") == 0)
			s->object.mtime_ms = strtoll(value, NULL, 10);
		else if (strcmp(name, "version") == 0)
			s->object.version = strtoull(value, NULL, 10);
		else if (strcmp(name, "etag") == 0)
			snprintf(s->object.etag, sizeof(s->object.etag), "%s",
			    value);
		else if (strcmp(name, "md5") == 0)
			s->no_md5 = 1;
		else if (strcmp(name, "fail-at") == 0)
			s->fail_at = strtoull(value, NULL, 10);
		else if (strcmp(name, "part-bytes") == 0)
			s->part_bytes = strtoull(value, NULL, 10);
		else
			die(name, "unknown");
	}
	s->object.attributes = buffer_slice(&s->attributes);
	s->object.tags = buffer_slice(&s->tags);
	if (s->no_md5)
		return;
	md5 = digest_new(DIGEST_MD5);
	for (at = 0; at < s->object.size && at < s->fail_at; at += len) {
		len = sizeof(block);
		if (len > s->object.size - at)
			len = (size_t)(s->object.size - at);
		if (read_source(s, at, block, len, &f) != 0)
			break;
		digest_update(md5, block, len);
	}
	digest_final(md5, s->object.md5);
	digest_free(md5);
	s->object.has_md5 = 1;
	if (s->object.etag[0] == '\0')
		hex_encode(s->object.md5, 16, s->object.etag);
}

static void
subject_close(struct subject *s)
{
	if (s->fd >= 0)
		close(s->fd);
	buffer_free(&s->attributes);
	buffer_free(&s->tags);
}

/* Any bytes: those that are not UTF-8 come percent-encoded, under "raw". */
static json_t *
text_json(struct slice text)
{
	json_t *plain = json_stringn(text.at != NULL ? text.at : "", text.len);
	char *encoded;
	size_t n;

	if (plain != NULL)
		return plain;
	if ((encoded = malloc(3 * text.len + 1)) == NULL)
		die("memory", "none");
	n = uri_encode(text.at, text.len, 1, encoded);
	plain = json_pack("{s:s%}", "raw", encoded, n);
	free(encoded);
	return plain;
}

static json_t *
pairs_json(struct slice pairs)
{
	json_t *object = json_object();
	struct slice name, value;
	char *text;

	while (pairs_next(&pairs, &name, &value) == 1) {
		text = slice_copy(name);
		json_object_set_new(object, text, text_json(value));
		free(text);
	}
	return object;
}

static json_t *
result(int rc, const struct fault *f)
{
	if (rc == 0)
		return json_pack("{s:b}", "ok", 1);
	return json_pack("{s:b s:s s:s s:s s:s s:i s:b s:b s:b s:I}", "ok", 0,
	    "kind", fault_kind_name(f->kind), "text", f->text, "code", f->code,
	    "request_id", f->request_id, "status", f->status, "fate_unknown",
	    f->fate_unknown, "slow_down", f->slow_down, "archived", f->archived,
	    "retry_after_ms", (json_int_t)f->retry_after_ms);
}

static json_t *
do_put(char **words, int n)
{
	struct fault f = FAULT_INIT;
	struct subject s;
	json_t *answer;

	subject_open(&s, words, n, 3);
	if (strcmp(words[0], "retag") == 0)
		answer = result(table->retag(call, &s.object, &f), &f);
	else
		answer = result(
		    table->put(call, &s.object, &s.source, s.if_absent, &f),
		    &f);
	subject_close(&s);
	return answer;
}

static json_t *
do_begin(char **words, int n)
{
	struct remote_upload upload = { .part_bytes = 0 };
	struct fault f = FAULT_INIT;
	struct subject s;
	json_t *answer;
	int rc;

	subject_open(&s, words, n, 3);
	upload.part_bytes = s.part_bytes;
	rc = table->begin(call, &s.object, &upload, &f);
	answer = result(rc, &f);
	if (rc == 0) {
		json_object_set_new(answer, "state", json_string(upload.state));
		json_object_set_new(answer, "part_bytes",
		    json_integer((json_int_t)upload.part_bytes));
	}
	subject_close(&s);
	return answer;
}

static int
send_part(struct subject *s, const struct remote_upload *upload,
    uint32_t number, struct remote_part *part, struct fault *f)
{
	uint64_t offset = (number - 1) * upload->part_bytes;
	uint64_t len = s->object.size - offset;

	if (len > upload->part_bytes)
		len = upload->part_bytes;
	memset(part, 0, sizeof(*part));
	return table->part(
	    call, &s->object, upload, number, offset, len, &s->source, part, f);
}

static json_t *
do_part(char **words, int n)
{
	struct remote_upload upload = { .part_bytes = 0 };
	struct fault f = FAULT_INIT;
	struct remote_part part;
	struct subject s;
	json_t *answer;
	int rc;

	if (n < 6)
		die(words[0], "too few words");
	subject_open(&s, words, n, 6);
	snprintf(upload.state, sizeof(upload.state), "%s", words[3]);
	upload.part_bytes = strtoull(words[4], NULL, 10);
	rc = send_part(
	    &s, &upload, (uint32_t)strtoul(words[5], NULL, 10), &part, &f);
	answer = result(rc, &f);
	if (rc == 0)
		json_object_set_new(answer, "etag", json_string(part.etag));
	subject_close(&s);
	return answer;
}

static json_t *
do_finish(char **words, int n)
{
	struct remote_upload upload = { .part_bytes = 0 };
	struct remote_part parts[1000] = { 0 };
	struct fault f = FAULT_INIT;
	struct subject s;
	json_t *answer;
	char *at, *equals;
	char *rest;
	size_t count = 0;

	if (n < 6)
		die(words[0], "too few words");
	subject_open(&s, words, n, 6);
	snprintf(upload.state, sizeof(upload.state), "%s", words[3]);
	upload.part_bytes = strtoull(words[4], NULL, 10);
	upload.source = &s.source;
	for (at = strtok_r(words[5], ",", &rest); at != NULL && count < 1000;
	     at = strtok_r(NULL, ",", &rest)) {
		if ((equals = strchr(at, '=')) == NULL)
			die(at, "no part");
		*equals = '\0';
		parts[count].number = (uint32_t)strtoul(at, NULL, 10);
		snprintf(parts[count].etag, sizeof(parts[count].etag), "%s",
		    equals + 1);
		count++;
	}
	answer = result(
	    table->finish(call, &s.object, &upload, parts, count, &f), &f);
	subject_close(&s);
	return answer;
}

static json_t *
do_multipart(char **words, int n)
{
	struct remote_upload upload = { .part_bytes = 0 };
	struct fault f = FAULT_INIT, ignored = FAULT_INIT;
	struct remote_part *parts = NULL;
	struct subject s;
	json_t *answer;
	uint64_t count = 0, i;
	int rc;

	subject_open(&s, words, n, 3);
	upload.part_bytes = s.part_bytes;
	upload.source = &s.source;
	rc = table->begin(call, &s.object, &upload, &f);
	if (rc == 0) {
		count =
		    (s.object.size + upload.part_bytes - 1) / upload.part_bytes;
		if ((parts = calloc(count + 1, sizeof(*parts))) == NULL)
			die("memory", "none");
		for (i = 0; i < count && rc == 0; i++)
			rc = send_part(
			    &s, &upload, (uint32_t)i + 1, &parts[i], &f);
		if (rc == 0)
			rc = table->finish(
			    call, &s.object, &upload, parts, count, &f);
		if (rc != 0)
			table->abort(call, s.object.key, &upload, &ignored);
	}
	answer = result(rc, &f);
	json_object_set_new(answer, "parts", json_integer((json_int_t)count));
	free(parts);
	subject_close(&s);
	return answer;
}

static json_t *
do_abort(char **words)
{
	struct remote_upload upload = { .part_bytes = 0 };
	struct fault f = FAULT_INIT;

	snprintf(upload.state, sizeof(upload.state), "%s", words[2]);
	return result(
	    table->abort(call, slice_text(words[1]), &upload, &f), &f);
}

static json_t *
do_stat(char **words)
{
	struct remote_stat st = { .size = 0 };
	struct fault f = FAULT_INIT;
	char md5[33] = "";
	json_t *answer;
	int rc;

	rc = table->stat(call, slice_text(words[1]), &st, &f);
	answer = result(rc, &f);
	if (rc == 0) {
		if (st.has_md5)
			hex_encode(st.md5, 16, md5);
		json_object_update_new(answer,
		    json_pack("{s:I s:I s:I s:s s:s s:I s:s s:b s:b s:o s:o}",
			"size", (json_int_t)st.size, "mtime",
			(json_int_t)st.mtime_ms, "original_mtime",
			(json_int_t)st.original_mtime_ms, "etag", st.etag,
			"original_etag", st.original_etag, "version",
			(json_int_t)st.version, "md5", md5, "archived",
			st.archived, "side_lost", st.side_lost, "attributes",
			pairs_json(st.attributes), "tags",
			pairs_json(st.tags)));
		if (st.has_crc32c)
			json_object_set_new(
			    answer, "crc32c", json_integer(st.crc32c));
	}
	buffer_free(&st.memory);
	return answer;
}

static json_t *
do_get(char **words, int n)
{
	struct fault f = FAULT_INIT;
	struct error err = ERROR_INIT;
	uint64_t offset, len;
	json_t *answer;
	char *bytes;
	int rc;

	if (n < 5)
		die(words[0], "too few words");
	offset = strtoull(words[2], NULL, 10);
	len = strtoull(words[3], NULL, 10);
	if ((bytes = malloc(len + 1)) == NULL)
		die("memory", "none");
	rc = table->get(call, slice_text(words[1]), offset, len, bytes, &f);
	answer = result(rc, &f);
	if (rc == 0 && file_write(words[4], bytes, len, 0600, &err) != 0)
		die(words[4], err.text);
	free(bytes);
	return answer;
}

struct listing {
	json_t *entries;
	size_t max;
};

static int
add_entry(const struct remote_entry *e, void *arg)
{
	struct listing *l = arg;
	char md5[33] = "";

	if (e->has_md5)
		hex_encode(e->md5, 16, md5);
	json_array_append_new(l->entries,
	    json_pack("{s:o s:I s:I s:s s:s s:b}", "key", text_json(e->key),
		"size", (json_int_t)e->size, "mtime", (json_int_t)e->mtime_ms,
		"etag", e->etag, "md5", md5, "archived", e->archived));
	return json_array_size(l->entries) >= l->max;
}

static json_t *
do_list(char **words, int n)
{
	struct listing l = { json_array(), SIZE_MAX };
	struct fault f = FAULT_INIT;
	json_t *answer;

	if (n > 3)
		l.max = strtoull(words[3], NULL, 10);
	answer = result(
	    table->list(call, n > 1 ? slice_text(words[1]) : SLICE_NULL,
		n > 2 ? slice_text(words[2]) : SLICE_NULL, add_entry, &l, &f),
	    &f);
	json_object_set_new(answer, "entries", l.entries);
	return answer;
}

static void
add_row(const struct probe_row *row, void *arg)
{
	static const char *const results[] = { "ok", "failed", "skipped",
		"warning" };

	json_array_append_new(arg,
	    json_pack("{s:s s:s s:I s:s s:s s:s}", "step", row->step, "result",
		results[row->result], "us", (json_int_t)row->us, "text",
		row->text, "code", row->code, "request_id", row->request_id));
}

static json_t *
do_probe(void)
{
	struct fault f = FAULT_INIT;
	json_t *rows = json_array(), *answer;

	answer = result(table->probe(call, add_row, rows, &f), &f);
	json_object_set_new(answer, "rows", rows);
	return answer;
}

struct storm {
	pthread_t thread;
	char **words;
	int number, failed;
	unsigned long count;
	struct fault fault;
};

#define STORM_TRIES 50

/* Tries again what passes by itself; changes that may have happened as well,
 * since these are the same bytes each time. */
static int
insist(struct storm *storm, void *own, struct subject *s, int step)
{
	struct timespec pause = { 0, 100000000 };
	struct remote_stat st;
	int i, rc = -1;

	for (i = 0; i < STORM_TRIES; i++) {
		storm->fault = (struct fault)FAULT_INIT;
		if (step == 0)
			rc = table->put(
			    own, &s->object, &s->source, 0, &storm->fault);
		else if (step == 1) {
			rc =
			    table->stat(own, s->object.key, &st, &storm->fault);
			if (rc == 0)
				buffer_free(&st.memory);
		} else
			rc = table->remove(own, s->object.key, &storm->fault);
		if (rc == 0 || storm->fault.kind != FAULT_RETRY)
			return rc;
		nanosleep(&pause, NULL);
	}
	return rc;
}

static void *
storm_thread(void *arg)
{
	struct storm *storm = arg;
	struct destination_session *own;
	struct error err = ERROR_INIT;
	char *words[3] = { storm->words[0], NULL, storm->words[4] }, key[200];
	struct subject s;
	unsigned long i;
	int step;

	own = destination_session_new(destination, NULL, NULL, &err);
	if (own == NULL)
		die("session", err.text);
	for (i = 0; i < storm->count && !storm->failed; i++) {
		snprintf(key, sizeof(key), "%s/%d/%lu", storm->words[1],
		    storm->number, i);
		words[1] = key;
		subject_open(&s, words, 3, 3);
		for (step = 0; step < 3 && !storm->failed; step++)
			storm->failed =
			    insist(storm, destination_call(own), &s, step) != 0;
		subject_close(&s);
	}
	destination_session_free(own);
	return NULL;
}

static json_t *
do_storm(char **words, int n)
{
	struct storm storms[64];
	int count, i;
	json_t *answer = NULL;

	if (n < 5 || (count = (int)strtol(words[2], NULL, 10)) > 64)
		die(words[0], "too few words, or too many threads");
	for (i = 0; i < count; i++) {
		storms[i] = (struct storm){ .words = words,
			.number = i,
			.count = strtoul(words[3], NULL, 10) };
		pthread_create(
		    &storms[i].thread, NULL, storm_thread, &storms[i]);
	}
	for (i = 0; i < count; i++) {
		pthread_join(storms[i].thread, NULL);
		if (storms[i].failed && answer == NULL)
			answer = result(-1, &storms[i].fault);
	}
	return answer != NULL ? answer : result(0, NULL);
}

static json_t *
do_limits(void)
{
	struct destination_limits l;

	destination_limits(destination, &l);
	return json_pack("{s:b s:I s:I s:I s:I s:I s:b s:b}", "ok", 1,
	    "single_put_max_bytes", (json_int_t)l.single_put_max_bytes,
	    "part_min_bytes", (json_int_t)l.part_min_bytes, "part_max_bytes",
	    (json_int_t)l.part_max_bytes, "parts_max", (json_int_t)l.parts_max,
	    "same_key_interval_ms", (json_int_t)l.same_key_interval_ms,
	    "can_condition", l.can_condition, "stage_is_hidden",
	    l.stage_is_hidden);
}

static json_t *
run(char **words, int n)
{
	struct fault f = FAULT_INIT;
	const char *command = words[0];
	struct timespec pause;
	uint64_t ms;

	if (strcmp(command, "limits") == 0)
		return do_limits();
	if (strcmp(command, "probe") == 0)
		return do_probe();
	if (strcmp(command, "list") == 0)
		return do_list(words, n);
	if (strcmp(command, "storm") == 0)
		return do_storm(words, n);
	if (n < 2)
		die(command, "unknown, or too few words");
	if (strcmp(command, "sleep") == 0) {
		ms = strtoull(words[1], NULL, 10);
		pause = (struct timespec){ (time_t)(ms / 1000),
			(long)(ms % 1000) * 1000000 };
		nanosleep(&pause, NULL);
		return result(0, &f);
	}
	if (strcmp(command, "stat") == 0)
		return do_stat(words);
	if (strcmp(command, "remove") == 0)
		return result(
		    table->remove(call, slice_text(words[1]), &f), &f);
	if (strcmp(command, "check") == 0)
		return result(destination_check_key(
				  destination, slice_text(words[1]), &f),
		    &f);
	if (strcmp(command, "get") == 0)
		return do_get(words, n);
	if (n < 3)
		die(command, "unknown, or too few words");
	if (strcmp(command, "put") == 0 || strcmp(command, "retag") == 0)
		return do_put(words, n);
	if (strcmp(command, "begin") == 0)
		return do_begin(words, n);
	if (strcmp(command, "part") == 0)
		return do_part(words, n);
	if (strcmp(command, "finish") == 0)
		return do_finish(words, n);
	if (strcmp(command, "multipart") == 0)
		return do_multipart(words, n);
	if (strcmp(command, "abort") == 0)
		return do_abort(words);
	die(command, "unknown");
}

struct option_row {
	const char *name;
	const char **field;
	int is_file;
};

static void
read_options(struct destination_fields *f, int argc, char **argv)
{
	static const char *const providers[] = { "aws", "google", "azure",
		"s3" };
	const struct option_row rows[] = {
		{ "--region", &f->region, 0 },
		{ "--endpoint", &f->endpoint, 0 },
		{ "--bucket", &f->bucket, 0 },
		{ "--path", &f->path, 0 },
		{ "--access-key-id", &f->access_key_id, 0 },
		{ "--secret-access-key", &f->secret_access_key, 0 },
		{ "--session-token", &f->session_token, 0 },
		{ "--service-account-json", &f->service_account_json, 1 },
		{ "--service-account", &f->service_account, 0 },
		{ "--resource-group", &f->resource_group, 0 },
		{ "--storage-account", &f->storage_account, 0 },
		{ "--subscription-id", &f->subscription_id, 0 },
		{ "--tenant-id", &f->tenant_id, 0 },
		{ "--client-id", &f->client_id, 0 },
		{ "--client-secret", &f->client_secret, 0 },
		{ "--cloud-name", &f->cloud_name, 0 },
		{ "--account-key", &f->account_key, 0 },
		{ "--sas-token", &f->sas_token, 0 },
		{ "--ca-cert", &f->ca_cert, 1 },
		{ "--proxy", &f->proxy, 0 },
		{ "--storage-class", &f->storage_class, 0 },
		{ "--sse", &f->sse, 0 },
		{ "--sse-kms-key-id", &f->sse_kms_key_id, 0 },
		{ "--kms-key-name", &f->kms_key_name, 0 },
		{ "--metadata-endpoint", &f->metadata_endpoint, 0 },
		{ "--sts-endpoint", &f->sts_endpoint, 0 },
		{ "--token-endpoint", &f->token_endpoint, 0 },
		{ "--management-endpoint", &f->management_endpoint, 0 },
		{ "--container-credentials-uri", &f->container_credentials_uri,
		    0 },
		{ "--container-authorization-token-file",
		    &f->container_authorization_token_file, 0 },
		{ "--web-identity-token-file", &f->web_identity_token_file, 0 },
		{ "--role-arn", &f->role_arn, 0 },
		{ "--resolve", &f->resolve, 0 },
	};
	struct error err = ERROR_INIT;
	size_t j, len;
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--use-instance-role") == 0) {
			f->use_instance_role = 1;
			continue;
		}
		if (strcmp(argv[i], "--sse-bucket-key") == 0) {
			f->sse_bucket_key = 1;
			continue;
		}
		if (i + 1 == argc)
			die(argv[i], "no value");
		if (strcmp(argv[i], "--provider") == 0) {
			for (j = 0; j < 4; j++)
				if (strcmp(argv[i + 1], providers[j]) == 0)
					f->provider = (enum provider)j;
		} else if (strcmp(argv[i], "--bytes-per-second") == 0)
			f->bytes_per_second = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--stop-after") == 0)
			stop_at_ms = clock_monotonic_ms() +
			    strtoull(argv[i + 1], NULL, 10);
		else {
			for (j = 0; j < sizeof(rows) / sizeof(rows[0]); j++)
				if (strcmp(argv[i], rows[j].name) == 0)
					break;
			if (j == sizeof(rows) / sizeof(rows[0]))
				die(argv[i], "unknown option");
			*rows[j].field = argv[i + 1];
			if (!rows[j].is_file)
				;
			else if (n_files == 8 ||
			    (files[n_files] = file_read(
				 argv[i + 1], 1 << 20, &len, &err)) == NULL)
				die(argv[i + 1], err.text);
			else
				*rows[j].field = files[n_files++];
		}
		i++;
	}
}

int
main(int argc, char **argv)
{
	struct destination_fields fields = { .provider = PROVIDER_S3 };
	struct error err = ERROR_INIT;
	char *line = NULL, *words[WORDS_MAX], *at;
	size_t room = 0;
	json_t *answer;
	long len;
	int n;

	read_options(&fields, argc, argv);
	if (http_client_global_init(&err) != 0 ||
	    (destination = destination_open(&fields, &err)) == NULL ||
	    (session = destination_session_new(
		 destination, is_stopped, NULL, &err)) == NULL) {
		answer = json_pack(
		    "{s:b s:s s:s}", "ok", 0, "kind", "open", "text", err.text);
		at = json_dumps(answer, JSON_COMPACT);
		puts(at);
		free(at);
		json_decref(answer);
		destination_close(destination);
		return 1;
	}
	/* What is needed of the fields has been copied. */
	while (n_files > 0)
		free(files[--n_files]);
	table = destination_table(destination);
	call = destination_call(session);

	while (getline(&line, &room, stdin) > 0) {
		for (n = 0, at = strtok(line, " \n");
		     at != NULL && n < WORDS_MAX; at = strtok(NULL, " \n")) {
			/* A word of "-" is the empty one. */
			len = strcmp(at, "-") == 0
			    ? 0
			    : uri_decode(at, strlen(at), 0, at);
			if (len < 0)
				die(at, "bad escape");
			at[len] = '\0';
			words[n++] = at;
		}
		if (n == 0)
			continue;
		answer = run(words, n);
		at = json_dumps(answer, JSON_COMPACT);
		puts(at);
		fflush(stdout);
		free(at);
		json_decref(answer);
	}
	free(line);
	destination_session_free(session);
	destination_close(destination);
	return 0;
}
