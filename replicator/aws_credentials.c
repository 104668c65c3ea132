#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/log.h"
#include "replicator/aws_sources.h"
#include "replicator/fields.h"

#define REFRESH_BEFORE_MS (5 * 60 * 1000)
/* Between two fetches, whatever happens. */
#define FETCH_INTERVAL_MS 2000
/* Between two tries to refresh keys that are still good. */
#define REFRESH_INTERVAL_MS 30000

typedef int fetch(const struct aws_role *, struct http_client *,
    struct aws_keys *, struct fault *);

struct aws_credentials {
	struct aws_role role;
	fetch *fetch;     /* NULL: an access key that was given */
	int local;        /* the source is on this machine: never by proxy */
	const char *name; /* of the source */

	/* Held while fetching, too, so that one fetch serves all. */
	pthread_mutex_t lock;
	struct aws_keys keys;
	int refused;
	uint64_t tried_ms;  /* monotonic; 0: never */
	struct fault fault; /* of the last try */
	struct http_client_settings local_settings;
	struct http_client *local_http;
};

/* The field, or else the variable of the environment. */
static int
choose(char **to, const char *field, const char *variable, struct error *err)
{
	if (!field_is_set(field))
		field = variable != NULL ? getenv(variable) : NULL;
	return field_copy(to, field, err);
}

static int
choose_container(
    struct aws_role *r, const struct destination_fields *f, struct error *err)
{
	const char *relative;
	char uri[512];

	if (choose(&r->container_uri, f->container_credentials_uri,
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", err) != 0 ||
	    choose(&r->container_token_file,
		f->container_authorization_token_file,
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", err) != 0 ||
	    choose(&r->container_token, NULL,
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", err) != 0)
		return -1;
	relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	if (r->container_uri != NULL || relative == NULL)
		return 0;
	snprintf(uri, sizeof(uri), "http://169.254.170.2%s", relative);
	return choose(&r->container_uri, uri, NULL, err);
}

static int
choose_role(struct aws_credentials *c, const struct destination_fields *f,
    struct error *err)
{
	struct aws_role *r = &c->role;

	if (choose(&r->region, f->region, "AWS_REGION", err) != 0 ||
	    choose(&r->token_file, f->web_identity_token_file,
		"AWS_WEB_IDENTITY_TOKEN_FILE", err) != 0 ||
	    choose(&r->role_arn, f->role_arn, "AWS_ROLE_ARN", err) != 0 ||
	    choose(&r->session_name, NULL, "AWS_ROLE_SESSION_NAME", err) != 0 ||
	    choose(&r->sts_endpoint, f->sts_endpoint, "AWS_ENDPOINT_URL_STS",
		err) != 0 ||
	    choose(&r->metadata_endpoint, f->metadata_endpoint,
		"AWS_EC2_METADATA_SERVICE_ENDPOINT", err) != 0 ||
	    choose_container(r, f, err) != 0)
		return -1;

	/* The narrowest identity wins: the pod's, the task's, the machine's. */
	if (r->token_file != NULL && r->role_arn != NULL) {
		c->name = "web identity";
		c->fetch = aws_fetch_web_identity;
	} else if (r->container_uri != NULL) {
		c->name = "container";
		c->fetch = aws_fetch_container;
		c->local = 1;
	} else {
		c->name = "instance metadata";
		c->fetch = aws_fetch_metadata;
		c->local = 1;
	}
	return 0;
}

static int
take_key(struct aws_credentials *c, const struct destination_fields *f,
    struct error *err)
{
	struct aws_keys *k = &c->keys;
	const char *id = f->access_key_id, *secret = f->secret_access_key;

	if (!field_is_set(id))
		return error_set(err, ERR_INVALID,
		    "access-key-id: give it, or choose to use the instance "
		    "role");
	if (!field_is_set(secret))
		return error_set(err, ERR_INVALID,
		    "secret-access-key: give it, or choose to use the "
		    "instance role");
	if (strlen(id) >= sizeof(k->access_key_id) ||
	    strpbrk(id, " \t\r\n/,") != NULL)
		return error_set(err, ERR_INVALID,
		    "access-key-id: it has blanks, '/' or ',' in it, or is "
		    "too long: enter it again");
	if (strlen(secret) >= sizeof(k->secret) ||
	    strpbrk(secret, " \t\r\n") != NULL)
		return error_set(err, ERR_INVALID,
		    "secret-access-key: it has blanks in it, or is too long: "
		    "enter it again");
	c->name = "access key";
	snprintf(k->access_key_id, sizeof(k->access_key_id), "%s", id);
	snprintf(k->secret, sizeof(k->secret), "%s", secret);
	snprintf(k->source, sizeof(k->source), "%s", c->name);
	return choose(&k->session_token, f->session_token, NULL, err);
}

struct aws_credentials *
aws_credentials_new(const struct destination_fields *f, struct error *err)
{
	struct aws_credentials *c;
	int rc;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	pthread_mutex_init(&c->lock, NULL);
	rc =
	    f->use_instance_role ? choose_role(c, f, err) : take_key(c, f, err);
	if (rc != 0) {
		aws_credentials_free(c);
		return NULL;
	}
	return c;
}

void
aws_credentials_free(struct aws_credentials *c)
{
	struct aws_role *r;

	if (c == NULL)
		return;
	r = &c->role;
	aws_keys_clear(&c->keys);
	http_client_free(c->local_http);
	if (r->container_token != NULL)
		bytes_wipe(r->container_token, strlen(r->container_token));
	free(r->region);
	free(r->token_file);
	free(r->role_arn);
	free(r->session_name);
	free(r->sts_endpoint);
	free(r->container_uri);
	free(r->container_token);
	free(r->container_token_file);
	free(r->metadata_endpoint);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void
aws_keys_clear(struct aws_keys *k)
{
	if (k->session_token != NULL) {
		bytes_wipe(k->session_token, strlen(k->session_token));
		free(k->session_token);
	}
	bytes_wipe(k, sizeof(*k));
}

/* Metadata services are on this machine or beside it: no proxy, short waits. */
static struct http_client *
client_for(struct aws_credentials *c, struct http_client *http)
{
	struct error err = ERROR_INIT;

	if (!c->local || c->local_http != NULL)
		return c->local ? c->local_http : http;
	c->local_settings = (struct http_client_settings){
		.connect_timeout_ms = 2000,
		.stall_timeout_ms = 4000,
	};
	c->local_http = http_client_new(&c->local_settings, &err);
	return c->local_http;
}

/* With the lock. */
static int
refresh(struct aws_credentials *c, struct http_client *http)
{
	struct aws_keys fresh = { .expires_ms = 0 };

	c->fault = (struct fault)FAULT_INIT;
	c->tried_ms = clock_monotonic_ms();
	if ((http = client_for(c, http)) == NULL)
		return fault_set(&c->fault, FAULT_RETRY, "There is no memory.");
	if (c->fetch(&c->role, http, &fresh, &c->fault) != 0) {
		aws_keys_clear(&fresh);
		return -1;
	}
	snprintf(fresh.source, sizeof(fresh.source), "%s", c->name);
	fresh.generation = c->keys.generation + 1;
	aws_keys_clear(&c->keys);
	c->keys = fresh;
	c->refused = 0;
	return 0;
}

/* With the lock: are there keys to use, fetched if need be? */
static int
have_keys(struct aws_credentials *c, struct http_client *http)
{
	int64_t left_ms = INT64_MAX;
	uint64_t since_ms = UINT64_MAX;
	int usable;

	if (c->fetch == NULL)
		return 0;
	if (c->keys.expires_ms != 0)
		left_ms = c->keys.expires_ms - clock_wall_ms();
	if (c->tried_ms != 0)
		since_ms = clock_monotonic_ms() - c->tried_ms;
	usable = c->keys.access_key_id[0] != '\0' && left_ms > 0;

	if (usable && !c->refused && left_ms > REFRESH_BEFORE_MS)
		return 0;
	if (usable && !c->refused && since_ms < REFRESH_INTERVAL_MS)
		return 0;
	if (since_ms < FETCH_INTERVAL_MS)
		return usable ? 0 : -1;
	if (refresh(c, http) == 0)
		return 0;
	if (!usable || c->refused)
		return -1;
	log_line(LOG_WARN, "credentials.refresh",
	    "credentials from %s cannot be refreshed, and are good for %lld s "
	    "more: %s",
	    c->name, (long long)(left_ms / 1000), c->fault.text);
	return 0;
}

int
aws_credentials_get(struct aws_credentials *c, struct http_client *http,
    struct aws_keys *keys, struct fault *fault)
{
	int rc = -1;

	pthread_mutex_lock(&c->lock);
	if (have_keys(c, http) != 0)
		*fault = c->fault;
	else {
		*keys = c->keys;
		keys->session_token = NULL;
		rc = 0;
		if (c->keys.session_token != NULL &&
		    (keys->session_token = strdup(c->keys.session_token)) ==
			NULL)
			rc = fault_set(
			    fault, FAULT_RETRY, "There is no memory.");
	}
	pthread_mutex_unlock(&c->lock);
	return rc;
}

int
aws_credentials_refused(struct aws_credentials *c, uint64_t generation)
{
	int helps = 0;

	pthread_mutex_lock(&c->lock);
	if (c->fetch == NULL)
		;
	else if (c->keys.generation != generation)
		helps = 1;
	else if (c->tried_ms == 0 ||
	    clock_monotonic_ms() - c->tried_ms >= FETCH_INTERVAL_MS) {
		c->refused = 1;
		helps = 1;
	}
	pthread_mutex_unlock(&c->lock);
	return helps;
}
