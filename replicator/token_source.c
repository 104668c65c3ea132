#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "replicator/token_source.h"

#define REFRESH_MS (5 * 60 * 1000)
/* A token that was refused is not fetched anew more often than this. */
#define FETCH_INTERVAL_MS 5000
/* Nor is a renewal that failed tried again. */
#define RETRY_MS 30000
#define EXPIRES_MAX_S (30 * 24 * 3600)

struct token_source {
	const struct token_methods *methods;
	void *arg;
	char *principal;
	char learnt[256];      /* written once, before has_learnt */
	atomic_int has_learnt; /* the principal is that */

	pthread_mutex_t lock; /* of what follows; held while fetching */
	struct buffer token;
	int64_t expires_ms, refresh_ms;
	uint64_t fetched_ms; /* on the monotonic clock; 0: never */
	uint64_t generation; /* of the fetch */
};

static void
forget(struct token_source *s)
{
	if (s->token.at != NULL)
		bytes_wipe(s->token.at, s->token.len);
	buffer_free(&s->token);
	s->token = (struct buffer)BUFFER_INIT;
	s->expires_ms = s->refresh_ms = 0;
}

struct token_source *
token_source_new(const struct token_methods *methods, void *arg,
    const char *principal, struct error *err)
{
	struct token_source *s;

	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->principal = strdup(principal)) == NULL) {
		free(s);
		methods->free(arg);
		error_nomem(err);
		return NULL;
	}
	s->methods = methods;
	s->arg = arg;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void
token_source_free(struct token_source *s)
{
	if (s == NULL)
		return;
	forget(s);
	s->methods->free(s->arg);
	pthread_mutex_destroy(&s->lock);
	free(s->principal);
	free(s);
}

/* With the lock. */
static int
fetch(struct token_source *s, struct http_client *http, struct fault *fault)
{
	struct token_answer answer = { .token = BUFFER_INIT };
	int64_t now_ms, life_ms;

	if (s->methods->fetch(s->arg, http, &answer, fault) != 0 ||
	    (answer.token.failed &&
		fault_set(fault, FAULT_RETRY, "There is no memory.") != 0)) {
		if (answer.token.at != NULL)
			bytes_wipe(answer.token.at, answer.token.len);
		buffer_free(&answer.token);
		return -1;
	}
	forget(s);
	now_ms = clock_wall_ms();
	life_ms = answer.expires_ms - now_ms;
	s->token = answer.token;
	s->expires_ms = answer.expires_ms;
	/* One that lives shorter than twice that is used for half its life. */
	s->refresh_ms = life_ms > 2 * REFRESH_MS
	    ? answer.expires_ms - REFRESH_MS
	    : now_ms + life_ms / 2;
	s->fetched_ms = clock_monotonic_ms();
	s->generation++;
	if (answer.principal[0] != '\0' && !atomic_load(&s->has_learnt)) {
		memcpy(s->learnt, answer.principal, sizeof(s->learnt));
		atomic_store(&s->has_learnt, 1);
	}
	return 0;
}

static int64_t
retry_ms(int64_t left_ms)
{
	return left_ms / 2 < RETRY_MS ? left_ms / 2 : RETRY_MS;
}

int
token_get(struct token_source *s, struct http_client *http,
    struct buffer *header, uint64_t *generation, struct fault *fault)
{
	struct fault trouble = FAULT_INIT;
	int64_t now_ms;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	now_ms = clock_wall_ms();
	if ((s->token.len == 0 || now_ms >= s->refresh_ms) &&
	    fetch(s, http, &trouble) != 0) {
		/* The old one serves as long as it lives; those who use it do
		 * not each wait for an endpoint that does not answer. */
		now_ms = clock_wall_ms();
		if (s->token.len > 0 && now_ms < s->expires_ms)
			s->refresh_ms =
			    now_ms + retry_ms(s->expires_ms - now_ms);
		else {
			*fault = trouble;
			rc = -1;
		}
	}
	if (rc == 0) {
		buffer_add_text(header, "Bearer ");
		buffer_add_slice(header, buffer_slice(&s->token));
		if (generation != NULL)
			*generation = s->generation;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void
token_refused(struct token_source *s, uint64_t generation)
{
	pthread_mutex_lock(&s->lock);
	/* Requests that were under way with an old token are refused when the
	 * new one is there already. */
	if (s->generation == generation &&
	    clock_monotonic_ms() - s->fetched_ms >= FETCH_INTERVAL_MS)
		forget(s);
	pthread_mutex_unlock(&s->lock);
}

const char *
token_principal(const struct token_source *s)
{
	return atomic_load(&s->has_learnt) ? s->learnt : s->principal;
}

static int
read_seconds(const json_t *value, uint64_t *seconds)
{
	const char *text = json_string_value(value);

	if (text != NULL)
		return parse_u64(text, strlen(text), 1, EXPIRES_MAX_S, seconds);
	if (!json_is_integer(value) || json_integer_value(value) < 1 ||
	    json_integer_value(value) > EXPIRES_MAX_S)
		return -1;
	*seconds = (uint64_t)json_integer_value(value);
	return 0;
}

/* What goes into a header line must not end it. */
static int
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~')
			return 0;
	return 1;
}

int
token_answer_read(struct slice json, const char *from,
    struct token_answer *answer, struct fault *fault)
{
	json_error_t where;
	const char *token;
	uint64_t seconds = 0;
	json_t *object;
	int rc = 0;

	object = json_loadb(json.at != NULL ? json.at : "", json.len,
	    JSON_REJECT_DUPLICATES, &where);
	token = json_string_value(json_object_get(object, "access_token"));
	if (token == NULL || token[0] == '\0' || !is_plain(token) ||
	    read_seconds(json_object_get(object, "expires_in"), &seconds) != 0)
		rc = fault_set(fault, FAULT_RETRY,
		    "%s answered with something that is no token: check the "
		    "address, and what stands between.",
		    from);
	else {
		buffer_add_text(&answer->token, token);
		answer->expires_ms = clock_wall_ms() + (int64_t)seconds * 1000;
	}
	json_decref(object);
	return rc;
}
