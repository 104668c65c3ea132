#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/error.h"
#include "replicator/seal.h"
#include "replicator/settings.h"

enum member_type {
	MEMBER_TEXT,
	MEMBER_SECRET,
	MEMBER_FLAG,
	MEMBER_UNSIGNED,
	MEMBER_U64
};

#define FIELD(name, type) \
	{ \
#name, type, offsetof(struct settings, fields.name) \
	}
#define POLICY(name, type) \
	{ \
#name, type, offsetof(struct settings, policy.name) \
	}

static const struct member {
	const char *name;
	enum member_type type;
	size_t offset;
} members[] = {
	FIELD(region, MEMBER_TEXT),
	FIELD(endpoint, MEMBER_TEXT),
	FIELD(bucket, MEMBER_TEXT),
	FIELD(path, MEMBER_TEXT),
	FIELD(access_key_id, MEMBER_TEXT),
	FIELD(secret_access_key, MEMBER_SECRET),
	FIELD(session_token, MEMBER_SECRET),
	FIELD(use_instance_role, MEMBER_FLAG),
	FIELD(service_account_json, MEMBER_SECRET),
	FIELD(service_account, MEMBER_TEXT),
	FIELD(resource_group, MEMBER_TEXT),
	FIELD(storage_account, MEMBER_TEXT),
	FIELD(subscription_id, MEMBER_TEXT),
	FIELD(tenant_id, MEMBER_TEXT),
	FIELD(client_id, MEMBER_TEXT),
	FIELD(client_secret, MEMBER_SECRET),
	FIELD(cloud_name, MEMBER_TEXT),
	FIELD(account_key, MEMBER_SECRET),
	FIELD(sas_token, MEMBER_SECRET),
	FIELD(ca_cert, MEMBER_TEXT),
	FIELD(proxy, MEMBER_SECRET), /* may hold a password */
	FIELD(storage_class, MEMBER_TEXT),
	FIELD(sse, MEMBER_TEXT),
	FIELD(sse_kms_key_id, MEMBER_TEXT),
	FIELD(sse_bucket_key, MEMBER_FLAG),
	FIELD(kms_key_name, MEMBER_TEXT),
	FIELD(metadata_endpoint, MEMBER_TEXT),
	FIELD(sts_endpoint, MEMBER_TEXT),
	FIELD(token_endpoint, MEMBER_TEXT),
	FIELD(management_endpoint, MEMBER_TEXT),
	FIELD(container_credentials_uri, MEMBER_TEXT),
	FIELD(container_authorization_token_file, MEMBER_TEXT),
	FIELD(web_identity_token_file, MEMBER_TEXT),
	FIELD(role_arn, MEMBER_TEXT),
	FIELD(resolve, MEMBER_TEXT),
	POLICY(source_bucket, MEMBER_TEXT),
	POLICY(include, MEMBER_TEXT),
	POLICY(exclude, MEMBER_TEXT),
	POLICY(bytes_per_second, MEMBER_U64),
	POLICY(concurrency, MEMBER_UNSIGNED),
	POLICY(window, MEMBER_TEXT),
	POLICY(delete_delay_ms, MEMBER_U64),
	POLICY(brake_percent, MEMBER_UNSIGNED),
	POLICY(fold_bytes, MEMBER_U64),
	POLICY(fold_entries, MEMBER_U64),
	POLICY(fold_age_ms, MEMBER_U64),
};

#define N_MEMBERS (sizeof(members) / sizeof(members[0]))
#define TEXT_MAX_BYTES (64 * 1024)

static const char *const provider_names[] = { [PROVIDER_AWS] = "aws",
	[PROVIDER_GOOGLE] = "google",
	[PROVIDER_AZURE] = "azure",
	[PROVIDER_S3] = "s3" };

const char *
provider_name(enum provider provider)
{
	return provider_names[provider];
}

int
provider_parse(const char *text, enum provider *provider)
{
	size_t i;

	for (i = 0; i < sizeof(provider_names) / sizeof(char *); i++)
		if (strcmp(provider_names[i], text) == 0) {
			*provider = (enum provider)i;
			return 0;
		}
	return -1;
}

static void *
place(const struct settings *s, const struct member *m)
{
	return (char *)(uintptr_t)s + m->offset;
}

static int
is_text(const struct member *m)
{
	return m->type == MEMBER_TEXT || m->type == MEMBER_SECRET;
}

static int
set_text(struct settings *s, const struct member *m, const char *text)
{
	char **at = place(s, m), *copy;

	if ((copy = strdup(text)) == NULL)
		return -1;
	if (*at != NULL)
		bytes_wipe(*at, strlen(*at));
	free(*at);
	*at = copy;
	return 0;
}

static void
set_number(struct settings *s, const struct member *m, uint64_t number)
{
	if (m->type == MEMBER_U64)
		*(uint64_t *)place(s, m) = number;
	else if (m->type == MEMBER_UNSIGNED)
		*(unsigned *)place(s, m) = (unsigned)number;
	else
		*(int *)place(s, m) = number != 0;
}

static uint64_t
get_number(const struct settings *s, const struct member *m)
{
	if (m->type == MEMBER_U64)
		return *(const uint64_t *)place(s, m);
	if (m->type == MEMBER_UNSIGNED)
		return *(const unsigned *)place(s, m);
	return *(const int *)place(s, m) != 0;
}

/* Whatever `over` has goes over s; a number of 0 leaves what is there. */
static int
lay_over(struct settings *s, const struct settings *over)
{
	const char *text;
	size_t i;

	for (i = 0; i < N_MEMBERS; i++) {
		if (!is_text(&members[i])) {
			if (get_number(over, &members[i]) != 0)
				set_number(s, &members[i],
				    get_number(over, &members[i]));
			continue;
		}
		text = *(char *const *)place(over, &members[i]);
		if (text != NULL && set_text(s, &members[i], text) != 0)
			return -1;
	}
	s->fields.provider = over->fields.provider;
	return 0;
}

struct settings *
settings_make(const struct settings *base,
    const struct destination_fields *fields,
    const struct destination_policy *policy, struct error *err)
{
	struct settings *s, over = { 0 };

	if ((s = calloc(1, sizeof(*s))) == NULL)
		goto nomem;
	if (base != NULL && lay_over(s, base) != 0)
		goto nomem;
	if (fields != NULL)
		over.fields = *fields;
	else
		over.fields.provider = s->fields.provider;
	if (policy != NULL)
		over.policy = *policy;
	if (lay_over(s, &over) != 0)
		goto nomem;
	if (base != NULL)
		s->take_over = base->take_over;
	return s;

nomem:
	settings_free(s);
	error_nomem(err);
	return NULL;
}

void
settings_free(struct settings *s)
{
	char *text;
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < N_MEMBERS; i++) {
		if (!is_text(&members[i]))
			continue;
		if ((text = *(char **)place(s, &members[i])) == NULL)
			continue;
		bytes_wipe(text, strlen(text));
		free(text);
	}
	free(s);
}

static int
add_member(json_t *object, const struct settings *s, const struct member *m)
{
	const char *text;

	if (!is_text(m))
		return get_number(s, m) == 0
		    ? 0
		    : json_object_set_new(object, m->name,
			  m->type == MEMBER_FLAG
			      ? json_true()
			      : json_integer((json_int_t)get_number(s, m)));
	text = *(char *const *)place(s, m);
	return text == NULL
	    ? 0
	    : json_object_set_new(object, m->name, json_string(text));
}

json_t *
settings_public(const struct settings *s)
{
	json_t *object, *kept;
	size_t i;

	object =
	    json_pack("{s:s}", "provider", provider_name(s->fields.provider));
	kept = json_array();
	for (i = 0; i < N_MEMBERS && object != NULL; i++) {
		if (members[i].type != MEMBER_SECRET)
			(void)add_member(object, s, &members[i]);
		else if (*(char *const *)place(s, &members[i]) != NULL)
			(void)json_array_append_new(
			    kept, json_string(members[i].name));
	}
	if (object == NULL)
		json_decref(kept);
	else
		(void)json_object_set_new(object, "secrets_kept", kept);
	return object;
}

json_t *
settings_sealed(
    const struct settings *s, const struct seal *seal, struct error *err)
{
	struct buffer sealed = BUFFER_INIT;
	json_t *object, *secrets;
	const char *text;
	size_t i;

	object = json_pack("{s:i, s:s, s:b}", "format", 1, "provider",
	    provider_name(s->fields.provider), "take_over", s->take_over);
	secrets = json_object();
	if (object == NULL || secrets == NULL ||
	    json_object_set_new(object, "sealed", secrets) != 0)
		goto nomem;
	for (i = 0; i < N_MEMBERS; i++) {
		if (members[i].type != MEMBER_SECRET) {
			if (add_member(object, s, &members[i]) != 0)
				goto nomem;
			continue;
		}
		text = *(char *const *)place(s, &members[i]);
		if (text == NULL)
			continue;
		buffer_clear(&sealed);
		if (seal_close_text(
			seal, members[i].name, text, &sealed, err) != 0)
			goto fail;
		if (json_object_set_new(secrets, members[i].name,
			json_stringn(sealed.at, sealed.len)) != 0)
			goto nomem;
	}
	buffer_free(&sealed);
	return object;

nomem:
	error_nomem(err);
fail:
	buffer_free(&sealed);
	json_decref(object);
	return NULL;
}

static void
clear(struct settings *s, const struct member *m)
{
	char **at = place(s, m);

	if (!is_text(m)) {
		set_number(s, m, 0);
		return;
	}
	if (*at != NULL)
		bytes_wipe(*at, strlen(*at));
	free(*at);
	*at = NULL;
}

static int
take_value(struct settings *s, const struct member *m, const json_t *value,
    struct error *err)
{
	json_int_t number;

	if (json_is_null(value)) {
		clear(s, m);
		return 0;
	}
	if (is_text(m)) {
		if (!json_is_string(value) ||
		    json_string_length(value) > TEXT_MAX_BYTES ||
		    strlen(json_string_value(value)) !=
			json_string_length(value))
			return error_set(
			    err, ERR_INVALID, "%s is not a text", m->name);
		return set_text(s, m, json_string_value(value)) == 0
		    ? 0
		    : error_nomem(err);
	}
	if (m->type == MEMBER_FLAG) {
		if (!json_is_boolean(value))
			return error_set(
			    err, ERR_INVALID, "%s is true or false", m->name);
		set_number(s, m, json_is_true(value));
		return 0;
	}
	number = json_integer_value(value);
	if (!json_is_integer(value) || number < 0 ||
	    (m->type == MEMBER_UNSIGNED && number > 1000000))
		return error_set(err, ERR_INVALID,
		    "%s is a number that is not negative", m->name);
	set_number(s, m, (uint64_t)number);
	return 0;
}

static const struct member *
find_member(const char *name)
{
	size_t i;

	for (i = 0; i < N_MEMBERS; i++)
		if (strcmp(members[i].name, name) == 0)
			return &members[i];
	return NULL;
}

static int
take_provider(struct settings *s, const json_t *value, struct error *err)
{
	if (!json_is_string(value) ||
	    provider_parse(json_string_value(value), &s->fields.provider) != 0)
		return error_set(err, ERR_INVALID,
		    "provider: it is one of aws, google, azure and s3");
	return 0;
}

struct settings *
settings_unseal(
    const json_t *object, const struct seal *seal, struct error *err)
{
	const json_t *secrets = json_object_get(object, "sealed"), *value;
	struct settings *s;
	char *text;
	size_t i;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	if (json_integer_value(json_object_get(object, "format")) != 1) {
		error_set(err, ERR_FORMAT,
		    "the destination was saved by a newer holdfast");
		goto fail;
	}
	s->take_over = json_is_true(json_object_get(object, "take_over"));
	if (take_provider(s, json_object_get(object, "provider"), err) != 0)
		goto fail;
	for (i = 0; i < N_MEMBERS; i++) {
		value = json_object_get(
		    members[i].type == MEMBER_SECRET ? secrets : object,
		    members[i].name);
		if (value == NULL)
			continue;
		if (members[i].type != MEMBER_SECRET) {
			if (take_value(s, &members[i], value, err) != 0)
				goto fail;
			continue;
		}
		if (!json_is_string(value)) {
			error_set(err, ERR_DAMAGED, "%s is no sealed text",
			    members[i].name);
			goto fail;
		}
		text = seal_open_text(
		    seal, members[i].name, json_string_value(value), err);
		if (text == NULL)
			goto fail;
		*(char **)place(s, &members[i]) = text;
	}
	return s;

fail:
	settings_free(s);
	return NULL;
}

/* What a person sent goes over what is there. */
static int
take_members(struct settings *s, const json_t *object, struct error *err)
{
	const struct member *m;
	const json_t *value;
	const char *name;

	/* jansson's iteration does not change the object. */
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		if (strcmp(name, "name") == 0 || strcmp(name, "who") == 0)
			continue;
		if (strcmp(name, "take_over") == 0) {
			s->take_over = json_is_true(value);
			continue;
		}
		if (strcmp(name, "provider") == 0) {
			if (take_provider(s, value, err) != 0)
				return -1;
			continue;
		}
		if ((m = find_member(name)) == NULL)
			return error_set(err, ERR_INVALID,
			    "\"%.100s\" is no setting of a destination", name);
		if (take_value(s, m, value, err) != 0)
			return -1;
	}
	return 0;
}

struct settings *
settings_parse(const json_t *object, struct error *err)
{
	return settings_change(NULL, object, err);
}

struct settings *
settings_change(
    const struct settings *base, const json_t *object, struct error *err)
{
	struct settings *s;

	s = base != NULL ? settings_make(base, NULL, NULL, err)
			 : calloc(1, sizeof(*s));
	if (s == NULL && base == NULL)
		error_nomem(err);
	if (s != NULL && take_members(s, object, err) != 0) {
		settings_free(s);
		return NULL;
	}
	return s;
}

static json_t *
member_json(const struct settings *s, const struct member *m)
{
	const char *text;

	if (m->type == MEMBER_FLAG)
		return json_boolean(get_number(s, m) != 0);
	if (!is_text(m))
		return json_integer((json_int_t)get_number(s, m));
	text = *(char *const *)place(s, m);
	return text == NULL ? json_null() : json_string(text);
}

json_t *
settings_difference(const struct settings *was, const struct settings *is)
{
	json_t *object = json_object(), *before, *after;
	size_t i;

	if (was->fields.provider != is->fields.provider)
		(void)json_object_set_new(object, "provider",
		    json_pack("{s:s, s:s}", "from",
			provider_name(was->fields.provider), "to",
			provider_name(is->fields.provider)));
	for (i = 0; i < N_MEMBERS; i++) {
		before = member_json(was, &members[i]);
		after = member_json(is, &members[i]);
		if (json_equal(before, after))
			;
		else if (members[i].type == MEMBER_SECRET)
			(void)json_object_set_new(object, members[i].name,
			    json_string(json_is_null(after) ? "taken away"
							    : "changed"));
		else
			(void)json_object_set_new(object, members[i].name,
			    json_pack(
				"{s:O, s:O}", "from", before, "to", after));
		json_decref(before);
		json_decref(after);
	}
	return object;
}

void
settings_place(const struct settings *s, struct buffer *out)
{
	const char *const texts[] = { provider_name(s->fields.provider),
		s->fields.endpoint, s->fields.bucket, s->fields.path,
		s->fields.storage_account, s->policy.source_bucket,
		s->policy.include, s->policy.exclude };
	size_t i;

	/* Nothing and the empty text are not the same of `exclude`. */
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		buffer_add_text(out, texts[i] == NULL ? "" : texts[i]);
		buffer_add_u8(out, '\n');
	}
	buffer_add_u8(out, s->policy.exclude == NULL ? '-' : '+');
}

int
settings_are_elsewhere(const struct settings *a, const struct settings *b)
{
	struct buffer one = BUFFER_INIT, other = BUFFER_INIT;
	int differ;

	settings_place(a, &one);
	settings_place(b, &other);
	differ = one.failed || other.failed ||
	    !slice_equal(buffer_slice(&one), buffer_slice(&other));
	buffer_free(&one);
	buffer_free(&other);
	return differ;
}
