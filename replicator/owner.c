#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "replicator/owner.h"

#define OWNER_MAX_BYTES (64 * 1024)

/* 0 and *owner; 1 when it is the one that was seen before; FAULT_MISSING when
 * nobody owns it. */
static int
read_owner(const struct destination_protocol *table, void *call,
    struct owner_found *owner, char seen[72], struct fault *fault)
{
	struct remote_stat stat;
	const char *store, *since;
	json_t *json = NULL;
	char *bytes = NULL;
	int failed = -1;

	memset(&stat, 0, sizeof(stat));
	memset(owner, 0, sizeof(*owner));
	if (table->stat(call, SLICE_LITERAL(OWNER_KEY), &stat, fault) != 0)
		goto out;
	if (seen[0] != '\0' && strcmp(seen, stat.etag) == 0) {
		failed = 1;
		goto out;
	}
	memcpy(seen, stat.etag, 72);
	if (stat.size > 0 && stat.size <= OWNER_MAX_BYTES) {
		if ((bytes = malloc(stat.size)) == NULL) {
			fault_set(fault, FAULT_RETRY, "no memory");
			goto out;
		}
		if (table->get(call, SLICE_LITERAL(OWNER_KEY), 0, stat.size,
			bytes, fault) != 0)
			goto out;
		json = json_loadb(bytes, stat.size, 0, NULL);
	}
	store = json_string_value(json_object_get(json, "store"));
	if (store == NULL || strlen(store) != 32) {
		fault_set(fault, FAULT_PERSON,
		    OWNER_KEY " at the destination is not one that holdfast "
			      "writes: look at it, and remove it if the path "
			      "belongs to nobody");
		goto out;
	}
	memcpy(owner->store, store, 33);
	if ((since = json_string_value(json_object_get(json, "since"))) != NULL)
		snprintf(owner->since, sizeof(owner->since), "%s", since);
	owner->epoch =
	    (uint64_t)json_integer_value(json_object_get(json, "epoch"));
	failed = 0;
out:
	json_decref(json);
	free(bytes);
	buffer_free(&stat.memory);
	return failed;
}

struct text_source {
	const char *text;
	size_t len;
};

static int
read_text(
    void *arg, uint64_t offset, void *bytes, size_t len, struct fault *fault)
{
	struct text_source *t = arg;

	if (offset + len > t->len)
		return fault_set(fault, FAULT_OBJECT, "read behind the end");
	memcpy(bytes, t->text + offset, len);
	return 0;
}

static int
write_owner(const struct destination_protocol *table, void *call,
    const struct owner_found *owner, int if_absent, struct fault *fault)
{
	char text[256], since[CLOCK_TEXT_BYTES];
	struct text_source t = { text, 0 };
	struct remote_source source = { read_text, &t };
	struct remote_object object = { .key = SLICE_LITERAL(OWNER_KEY) };

	clock_iso8601(clock_wall_ms(), since);
	snprintf(text, sizeof(text),
	    "{\"store\": \"%s\", \"epoch\": %llu, \"since\": \"%s\"}\n",
	    owner->store, (unsigned long long)owner->epoch, since);
	t.len = strlen(text);
	object.size = t.len;
	object.mtime_ms = clock_wall_ms();
	object.has_md5 = 1;
	digest_once(DIGEST_MD5, text, t.len, object.md5);
	hex_encode(object.md5, sizeof(object.md5), object.etag);
	return table->put(call, &object, &source, if_absent, fault);
}

static int
see_entry(const struct remote_entry *entry, void *arg)
{
	if (slice_starts(entry->key, "plugins/holdfast/"))
		return 0;
	*(int *)arg = 1;
	return 1;
}

/* Whether the path holds data, which an empty store does not sync to. */
static int
look_for_data(const struct destination_protocol *table, void *call,
    struct owner_claim *c, struct fault *fault)
{
	int holds = 0;

	if (table->list(
		call, SLICE_NULL, SLICE_NULL, see_entry, &holds, fault) != 0)
		return -1;
	c->blank = !holds;
	if (!holds || !c->store_empty)
		return 0;
	c->holds_data = 1;
	return fault_set(fault, FAULT_PERSON,
	    "the destination holds data and this store is empty: run "
	    "`holdfast restore` to serve it from here, or choose another path");
}

static int
claim(const struct destination_protocol *table, void *call,
    const struct destination_limits *limits, struct owner_claim *c,
    struct fault *fault)
{
	struct owner_found owner = { .epoch = 1 };

	if (look_for_data(table, call, c, fault) != 0)
		return -1;
	memcpy(owner.store, c->store, sizeof(owner.store));
	c->epoch = owner.epoch;
	if (c->look_only)
		return 0;
	return write_owner(table, call, &owner, limits->can_condition, fault);
}

/* What is left of the time in which the store that had it before may still
 * write: by our own clock, which also wrote the file, if it is ours. */
static uint64_t
wait_ms(const struct owner_found *owner)
{
	int64_t since_ms, age_ms;

	if (owner->epoch <= 1 ||
	    clock_parse_iso8601(
		owner->since, strlen(owner->since), &since_ms) != 0)
		return 0;
	age_ms = clock_wall_ms() - since_ms;
	return age_ms >= OWNER_LEASE_MS ? 0
	    : age_ms < 0                ? OWNER_LEASE_MS
					: (uint64_t)(OWNER_LEASE_MS - age_ms);
}

int
owner_look(const struct destination_protocol *table,
    struct destination_session *session, struct owner_found *found,
    struct fault *fault)
{
	char seen[72] = "";

	if (read_owner(table, destination_call(session), found, seen, fault) ==
	    0)
		return 0;
	if (fault->kind != FAULT_MISSING)
		return -1;
	memset(fault, 0, sizeof(*fault));
	memset(found, 0, sizeof(*found));
	return 0;
}

int
owner_check(const struct destination_protocol *table,
    struct destination_session *session,
    const struct destination_limits *limits, struct owner_claim *c,
    struct fault *fault)
{
	void *call = destination_call(session);
	struct owner_found owner;
	int read;

	if ((read = read_owner(table, call, &owner, c->seen, fault)) > 0)
		return 0;
	if (read != 0) {
		if (fault->kind != FAULT_MISSING)
			return -1;
		memset(fault, 0, sizeof(*fault));
		if (claim(table, call, limits, c, fault) != 0) {
			if (fault->kind == FAULT_EXISTS)
				fault->kind = FAULT_RETRY;
			return -1;
		}
		return 0;
	}
	c->epoch = owner.epoch;
	c->wait_ms = wait_ms(&owner);
	if (strcmp(owner.store, c->store) == 0)
		return c->store_empty ? look_for_data(table, call, c, fault)
				      : 0;
	c->foreign = 1;
	if (c->recheck)
		return fault_set(fault, FAULT_PERSON,
		    "another store (%s) has taken the path over: this one "
		    "sends nothing any more; remove the destination here, or "
		    "take it over again",
		    owner.store);
	if (c->store_empty) {
		c->holds_data = 1;
		return fault_set(fault, FAULT_PERSON,
		    "the destination holds the data of another store (%s) and "
		    "this one is empty: run `holdfast restore` to serve it "
		    "from here, or choose another path",
		    owner.store);
	}
	if (!c->take_over)
		return fault_set(fault, FAULT_PERSON,
		    "the path belongs to another store (%s): choose another "
		    "path, or take it over",
		    owner.store);
	memcpy(owner.store, c->store, sizeof(owner.store));
	c->epoch = ++owner.epoch;
	c->wait_ms = OWNER_LEASE_MS;
	c->seen[0] = '\0';
	if (c->look_only)
		return 0;
	return write_owner(table, call, &owner, 0, fault);
}
