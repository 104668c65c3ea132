#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/encode.h"
#include "replicator/azure_private.h"

/*
 * The account's key through Azure Resource Manager, for identities that may
 * list keys but have no role on the blobs.
 */

#define LIST_INTERVAL_MS 30000
#define LIST_TIMEOUT_MS 60000
#define LIST_PERMISSION "Microsoft.Storage/storageAccounts/listKeys/action"

/* The sentence of {"error": {"code": ..., "message": ...}}. */
static int
arm_refusal(const struct azure_shared *s, const struct http_call *call,
    struct fault *fault)
{
	json_error_t where;
	json_t *object, *error;
	const char *code, *message;
	int rc;

	*fault = call->fault;
	object = json_loadb(call->answer.at != NULL ? call->answer.at : "",
	    call->answer.len, 0, &where);
	error = json_object_get(object, "error");
	code = json_string_value(json_object_get(error, "code"));
	message = json_string_value(json_object_get(error, "message"));
	snprintf(
	    fault->code, sizeof(fault->code), "%s", code != NULL ? code : "");
	if (call->status == 403)
		rc = fault_set(fault, FAULT_PERSON,
		    "The identity may neither use the blobs nor list the keys "
		    "of account %s: give it the role \"Storage Blob Data "
		    "Contributor\" on container %s, or the "
		    "permission " LIST_PERMISSION " on the account.",
		    s->account, s->container);
	else if (call->status == 404)
		rc = fault_set(fault, FAULT_PERSON,
		    "Azure Resource Manager does not find account %s: correct "
		    "the subscription id, the resource group or the storage "
		    "account. It says: %.200s",
		    s->account, message != NULL ? message : "");
	else
		rc = fault_set(fault,
		    http_status_fault(call->status) == FAULT_RETRY
			? FAULT_RETRY
			: FAULT_PERSON,
		    "Azure Resource Manager does not give the keys of account "
		    "%s (status %d). %.200s",
		    s->account, call->status, message != NULL ? message : "");
	json_decref(object);
	return rc;
}

/* Keeps the first key that may do everything. */
static int
keep_key(
    struct azure_shared *s, const struct buffer *answer, struct fault *fault)
{
	uint8_t key[AZURE_KEY_MAX_BYTES];
	const char *value, *may;
	json_error_t where;
	json_t *object, *keys, *entry;
	size_t i;
	int len = -1;

	object = json_loadb(
	    answer->at != NULL ? answer->at : "", answer->len, 0, &where);
	keys = json_object_get(object, "keys");
	for (i = 0; i < json_array_size(keys) && len <= 0; i++) {
		entry = json_array_get(keys, i);
		value = json_string_value(json_object_get(entry, "value"));
		may = json_string_value(json_object_get(entry, "permissions"));
		if (value == NULL ||
		    (may != NULL && strcasecmp(may, "full") != 0))
			continue;
		len = base64_decode(value, strlen(value), key, sizeof(key));
	}
	json_decref(object);
	if (len <= 0)
		return fault_set(fault, FAULT_PERSON,
		    "Azure Resource Manager names no key of account %s that "
		    "may write: make one in the portal.",
		    s->account);
	pthread_mutex_lock(&s->lock);
	memcpy(s->key, key, (size_t)len);
	s->key_len = (size_t)len;
	s->key_fetched_ms = clock_monotonic_ms();
	pthread_mutex_unlock(&s->lock);
	bytes_wipe(key, sizeof(key));
	return 0;
}

static int
list_keys(struct azure_session *s, struct fault *fault)
{
	struct http_call call = { .method = "POST",
		.url = s->shared->keys_url,
		.total_timeout_ms = LIST_TIMEOUT_MS };
	struct buffer line = BUFFER_INIT;
	struct slice header;
	uint64_t generation = 0;
	int rc;

	buffer_add_text(&line, "Authorization: ");
	if ((rc = token_get(s->shared->management, s->http, &line, &generation,
		 fault)) != 0)
		goto done;
	if (line.failed) {
		rc = fault_set(fault, FAULT_RETRY, "There is no memory.");
		goto done;
	}
	header = buffer_slice(&line);
	call.headers = &header;
	call.n_headers = 1;
	if ((rc = http_client_call(s->http, &call)) != 0) {
		*fault = call.fault;
		fault->fate_unknown = 0;
	} else if (call.status != 200) {
		if (call.status == 401)
			token_refused(s->shared->management, generation);
		rc = arm_refusal(s->shared, &call, fault);
	} else
		rc = keep_key(s->shared, &call.answer, fault);
	if (call.answer.at != NULL)
		bytes_wipe(call.answer.at, call.answer.len);

done:
	if (line.at != NULL)
		bytes_wipe(line.at, line.len);
	buffer_free(&line);
	http_call_clear(&call);
	return rc;
}

int
azure_key_list(struct azure_session *s, struct fault *fault)
{
	struct azure_shared *shared = s->shared;
	struct fault trouble = FAULT_INIT;
	int listed, fresh;

	pthread_mutex_lock(&shared->lock);
	listed = shared->key_len > 0;
	fresh = listed &&
	    clock_monotonic_ms() - shared->key_fetched_ms < LIST_INTERVAL_MS;
	pthread_mutex_unlock(&shared->lock);
	/* Another session may have listed them since this one's try. */
	if (fresh)
		return 0;
	if (list_keys(s, &trouble) != 0) {
		*fault = trouble;
		return -1;
	}
	return 0;
}
