#include <stdlib.h>
#include <string.h>

#include "replicator/window.h"

uint32_t
window_hash(struct slice bucket, struct slice key)
{
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < bucket.len; i++)
		h = (h ^ (uint8_t)bucket.at[i]) * 16777619u;
	h = (h ^ '/') * 16777619u;
	for (i = 0; i < key.len; i++)
		h = (h ^ (uint8_t)key.at[i]) * 16777619u;
	return h ^ h >> 15;
}

static int
is_named(const struct item *item, uint32_t hash, struct slice bucket,
    struct slice key)
{
	return item->hash == hash && slice_equal(item_key(item), key) &&
	    slice_equal(item_bucket(item), bucket);
}

void
window_reset(struct window *w, uint64_t low)
{
	struct item *item, *next;

	for (item = w->first; item != NULL; item = next) {
		next = item->next;
		free(item);
	}
	memset(w, 0, sizeof(*w));
	w->low = w->read = low;
}

int
window_room(const struct window *w)
{
	return w->run_end - w->run_first < WINDOW_ENTRIES;
}

int
window_room_beside(const struct window *w)
{
	return w->beside < WINDOW_BESIDE;
}

static void
move_low(struct window *w)
{
	while (w->run_first < w->run_end &&
	    w->run[w->run_first % WINDOW_ENTRIES].settled) {
		w->low = w->run[w->run_first % WINDOW_ENTRIES].sequence;
		w->run_first++;
	}
}

static uint64_t
add_slot(struct window *w, uint64_t sequence, int settled)
{
	uint64_t slot = w->run_end++;

	w->run[slot % WINDOW_ENTRIES].sequence = sequence;
	w->run[slot % WINDOW_ENTRIES].settled = (uint8_t)settled;
	w->read = sequence;
	return slot;
}

void
window_skip(struct window *w, uint64_t sequence)
{
	(void)add_slot(w, sequence, 1);
	move_low(w);
}

struct item *
window_add(struct window *w, enum item_source source, enum item_kind kind,
    uint64_t sequence, struct slice bucket, struct slice key)
{
	struct item *item, **end;

	item = calloc(1, sizeof(*item) + bucket.len + key.len);
	if (item == NULL)
		return NULL;
	memcpy(item->names, bucket.at, bucket.len);
	memcpy(item->names + bucket.len, key.at, key.len);
	item->bucket_len = (uint16_t)bucket.len;
	item->key_len = (uint16_t)key.len;
	item->hash = window_hash(bucket, key);
	item->kind = (uint8_t)kind;
	item->source = (uint8_t)source;
	item->sequence = sequence;
	if (source == FROM_JOURNAL)
		item->slot = add_slot(w, sequence, 0);
	else
		w->beside++;

	item->prev = w->last;
	if (w->last == NULL)
		w->first = item;
	else
		w->last->next = item;
	w->last = item;
	w->items++;
	end = &w->by_hash[item->hash % WINDOW_ENTRIES];
	while (*end != NULL)
		end = &(*end)->same_hash;
	*end = item;
	return item;
}

void
window_set_small(struct window *w, struct item *item, int small)
{
	w->small -= item->small;
	item->small = small != 0;
	w->small += item->small;
}

void
window_settle(struct window *w, struct item *item)
{
	struct item **at;

	w->small -= item->small;
	if (item->prev == NULL)
		w->first = item->next;
	else
		item->prev->next = item->next;
	if (item->next == NULL)
		w->last = item->prev;
	else
		item->next->prev = item->prev;
	w->items--;
	at = &w->by_hash[item->hash % WINDOW_ENTRIES];
	while (*at != item)
		at = &(*at)->same_hash;
	*at = item->same_hash;
	if (item->source == FROM_JOURNAL) {
		w->run[item->slot % WINDOW_ENTRIES].settled = 1;
		move_low(w);
	} else
		w->beside--;
	free(item);
}

struct item *
window_find(const struct window *w, struct slice bucket, struct slice key)
{
	uint32_t hash = window_hash(bucket, key);
	struct item *item = w->by_hash[hash % WINDOW_ENTRIES];

	while (item != NULL && !is_named(item, hash, bucket, key))
		item = item->same_hash;
	return item;
}

int
window_is_first(const struct window *w, const struct item *item)
{
	return window_find(w, item_bucket(item), item_key(item)) == item;
}

int
window_is_last(const struct window *w, const struct item *item)
{
	const struct item *later;

	(void)w;
	for (later = item->same_hash; later != NULL; later = later->same_hash)
		if (is_named(
			later, item->hash, item_bucket(item), item_key(item)))
			return 0;
	return 1;
}

int
window_has_prefix(
    const struct window *w, struct slice bucket, struct slice prefix)
{
	const struct item *item;

	for (item = w->first; item != NULL; item = item->next)
		if (item->key_len >= prefix.len &&
		    memcmp(item_key(item).at, prefix.at, prefix.len) == 0 &&
		    slice_equal(item_bucket(item), bucket))
			return 1;
	return 0;
}
