#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "base/error.h"
#include "replicator/azure_private.h"
#include "replicator/fields.h"

#define API_VERSION "2023-01-01" /* of Azure Resource Manager for storage */
#define PUT_MAX_BYTES (1U << 20) /* larger ones go in blocks */

static int
check_container(const char *name, struct error *err)
{
	size_t i, len;

	if (!field_is_set(name))
		return error_set(
		    err, ERR_INVALID, "bucket: give the container's name");
	len = strlen(name);
	for (i = 0; i < len; i++)
		if (!islower((unsigned char)name[i]) &&
		    !isdigit((unsigned char)name[i]) &&
		    !(name[i] == '-' && i > 0 && i + 1 < len &&
			name[i - 1] != '-'))
			break;
	if (i < len || len < 3 || len > 63)
		return error_set(err, ERR_INVALID,
		    "bucket: \"%.80s\" is no name of a container: it has 3 to "
		    "63 small letters, digits and single '-'",
		    name);
	return 0;
}

static int
check_account(const char *name, struct error *err)
{
	size_t i, len = strlen(name);

	for (i = 0; i < len; i++)
		if (!islower((unsigned char)name[i]) &&
		    !isdigit((unsigned char)name[i]))
			break;
	if (i < len || len < 3 || len > 24)
		return error_set(err, ERR_INVALID,
		    "storage-account: \"%.80s\" is no name of an account: it "
		    "has 3 to 24 small letters and digits",
		    name);
	return 0;
}

/* The path is part of names. */
static int
set_path(struct azure_shared *s, const char *text, struct error *err)
{
	struct azure_shared without = { .path = "" };
	struct fault fault = FAULT_INIT;
	size_t len;

	if (field_path(text, &s->path, err) != 0)
		return -1;
	len = strlen(s->path);
	if (len > 0 &&
	    azure_check_key(
		&without, (struct slice){ s->path, len - 1 }, &fault) != 0)
		return error_set(err, ERR_INVALID,
		    "path: \"%.200s\" has a part that ends with a dot, or a "
		    "character that Azure cannot hold: write it as "
		    "one/two/three",
		    text);
	return 0;
}

/* The account of an endpoint: its path's last part, or its host's first. */
static int
account_of_endpoint(struct azure_shared *s, struct error *err)
{
	const char *slash = strrchr(s->base, '/');

	if (slash != NULL)
		return field_copy(&s->account, slash + 1, err);
	s->account = strndup(s->host, strcspn(s->host, ".:"));
	return s->account != NULL ? 0 : error_nomem(err);
}

/* A host that can have no account in its name takes it in the path, as Azurite
 * does. */
static int
account_in_path(struct azure_shared *s, struct error *err)
{
	if (strspn(s->host, "0123456789.:") != strlen(s->host) &&
	    s->host[0] != '[' && strcspn(s->host, ".") != strlen(s->host))
		return 0;
	free(s->base);
	if ((s->base = malloc(strlen(s->account) + 2)) == NULL)
		return error_nomem(err);
	snprintf(s->base, strlen(s->account) + 2, "/%s", s->account);
	return 0;
}

static int
set_where(struct azure_shared *s, const struct destination_fields *f,
    const struct azure_cloud *cloud, struct error *err)
{
	char host[128];

	if (check_container(f->bucket, err) != 0 ||
	    field_copy(&s->container, f->bucket, err) != 0 ||
	    set_path(s, f->path, err) != 0)
		return -1;
	if (field_is_set(f->storage_account) &&
	    (check_account(f->storage_account, err) != 0 ||
		field_copy(&s->account, f->storage_account, err) != 0))
		return -1;
	if (field_is_set(f->endpoint)) {
		if (field_endpoint(f->endpoint,
			"write it as https://account.blob.example, or "
			"https://host:port/account",
			&s->https, &s->host, &s->base, err) != 0)
			return -1;
		if (s->account == NULL)
			return account_of_endpoint(s, err);
		return s->base[0] == '\0' ? account_in_path(s, err) : 0;
	}
	if (s->account == NULL)
		return error_set(err, ERR_INVALID,
		    "storage-account: give the storage account's name");
	s->https = 1;
	snprintf(host, sizeof(host), "%s.%s", s->account, cloud->blob_suffix);
	if ((s->base = strdup("")) == NULL)
		return error_nomem(err);
	return field_copy(&s->host, host, err);
}

static int
set_keys_url(struct azure_shared *s, const struct destination_fields *f,
    const struct azure_cloud *cloud, struct error *err)
{
	char scope[160], group[3 * 90 + 1], url[768];
	size_t len;

	if (!field_is_set(f->subscription_id) ||
	    !field_is_set(f->resource_group))
		return 0;
	if (strlen(f->subscription_id) > 64 ||
	    strspn(f->subscription_id, "0123456789abcdefABCDEF-") !=
		strlen(f->subscription_id))
		return error_set(err, ERR_INVALID,
		    "subscription-id: it looks like "
		    "00000000-0000-0000-0000-000000000000");
	if (strlen(f->resource_group) > 90)
		return error_set(err, ERR_INVALID,
		    "resource-group: it is longer than 90 characters");
	len =
	    uri_encode(f->resource_group, strlen(f->resource_group), 0, group);
	group[len] = '\0';
	snprintf(url, sizeof(url),
	    "%.200s/subscriptions/%s/resourceGroups/%s/providers/"
	    "Microsoft.Storage/storageAccounts/%s/listKeys"
	    "?api-version=" API_VERSION,
	    field_is_set(f->management_endpoint) ? f->management_endpoint
						 : cloud->management,
	    f->subscription_id, group, s->account);
	snprintf(scope, sizeof(scope), "%s/.default", cloud->management);
	if (field_copy(&s->keys_url, url, err) != 0)
		return -1;
	s->management = azure_tokens_new(f, scope, err);
	return s->management != NULL ? 0 : -1;
}

static int
is_loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 ||
	    strncmp(host, "[::1]", 5) == 0 ||
	    strncmp(host, "localhost", 9) == 0;
}

static int
set_means(struct azure_shared *s, const struct destination_fields *f,
    const struct azure_cloud *cloud, struct error *err)
{
	const char *sas = f->sas_token;
	int len;

	if (field_is_set(f->account_key)) {
		s->means = AZURE_BY_KEY;
		len = base64_decode(f->account_key, strlen(f->account_key),
		    s->key, sizeof(s->key));
		if (len <= 0)
			return error_set(err, ERR_INVALID,
			    "account-key: it is not a storage account's key, "
			    "which is base64 of 88 characters");
		s->key_len = (size_t)len;
		snprintf(s->principal, sizeof(s->principal),
		    "the key of account %s", s->account);
		return 0;
	}
	if (field_is_set(sas)) {
		s->means = AZURE_BY_SAS;
		while (*sas == '?' || *sas == '&')
			sas++;
		if (strstr(sas, "sig=") == NULL ||
		    strpbrk(sas, " #\r\n?") != NULL)
			return error_set(err, ERR_INVALID,
			    "sas-token: give what stands behind the '?' of a "
			    "SAS URL, with its sig=");
		snprintf(s->principal, sizeof(s->principal), "a SAS token");
		return field_copy(&s->sas, sas, err);
	}
	s->means = AZURE_BY_TOKEN;
	if (!s->https && !is_loopback(s->host))
		return error_set(err, ERR_INVALID,
		    "endpoint: write it with https://, since a token must not "
		    "travel in the clear");
	if ((s->tokens = azure_tokens_new(f, AZURE_STORAGE_SCOPE, err)) == NULL)
		return -1;
	snprintf(s->principal, sizeof(s->principal), "%s",
	    token_principal(s->tokens));
	return set_keys_url(s, f, cloud, err);
}

static int
set_tier(struct azure_shared *s, const struct destination_fields *f,
    struct error *err)
{
	static const char *const tiers[] = { "Hot", "Cool", "Cold" };
	size_t i;

	if (!field_is_set(f->storage_class))
		return 0;
	for (i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++)
		if (strcasecmp(f->storage_class, tiers[i]) == 0)
			return field_copy(&s->tier, tiers[i], err);
	return error_set(err, ERR_INVALID,
	    "storage-class: it is Hot, Cool or Cold; the archive tier cannot "
	    "be read at once, and a backup must be");
}

static void
azure_close(void *shared)
{
	struct azure_shared *s = shared;

	token_source_free(s->tokens);
	token_source_free(s->management);
	pthread_mutex_destroy(&s->lock);
	bytes_wipe(s->key, sizeof(s->key));
	if (s->sas != NULL)
		bytes_wipe(s->sas, strlen(s->sas));
	free(s->host);
	free(s->base);
	free(s->account);
	free(s->container);
	free(s->path);
	free(s->sas);
	free(s->tier);
	free(s->keys_url);
	free(s);
}

static void *
azure_open(const struct destination_fields *f, struct error *err)
{
	const struct azure_cloud *cloud;
	struct azure_shared *s;

	if ((cloud = azure_cloud_of(f->cloud_name)) == NULL) {
		error_set(err, ERR_INVALID,
		    "cloud-name: it is one of AzurePublicCloud, "
		    "AzureUSGovernmentCloud, AzureChinaCloud and "
		    "AzureGermanCloud");
		return NULL;
	}
	if ((s = calloc(1, sizeof(*s))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	if (set_where(s, f, cloud, err) != 0 ||
	    set_means(s, f, cloud, err) != 0 || set_tier(s, f, err) != 0) {
		azure_close(s);
		return NULL;
	}
	return s;
}

static void *
azure_session(void *shared, struct http_client *http)
{
	struct azure_session *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->shared = shared;
	s->http = http;
	return s;
}

static void
azure_session_close(void *session)
{
	struct azure_session *s = session;

	http_call_clear(&s->call);
	buffer_free(&s->page_prefix);
	buffer_free(&s->page_first);
	buffer_free(&s->page_marker);
	free(s);
}

static int64_t
azure_clock_offset_ms(void *shared)
{
	struct azure_shared *s = shared;

	return atomic_load(&s->clock_offset_ms);
}

static void
azure_limits(void *shared, struct destination_limits *l)
{
	(void)shared;
	l->single_put_max_bytes = PUT_MAX_BYTES;
	l->part_min_bytes = 1;
	l->part_max_bytes = AZURE_PART_MAX_BYTES;
	l->parts_max = AZURE_PARTS_MAX;
	l->can_condition = 1;
	l->stage_is_hidden = 1;
	l->yields = 1;
}

const struct destination_protocol destination_azure = {
	.name = "azure",
	.open = azure_open,
	.close = azure_close,
	.session = azure_session,
	.session_close = azure_session_close,
	.limits = azure_limits,
	.clock_offset_ms = azure_clock_offset_ms,
	.check_key = azure_check_key,
	.put = azure_put,
	.begin = azure_begin,
	.part = azure_part,
	.finish = azure_finish,
	.abort = azure_abort,
	.stat = azure_stat,
	.get = azure_get,
	.list = azure_list,
	.remove = azure_remove,
	.retag = azure_retag,
	.probe = azure_probe,
};
