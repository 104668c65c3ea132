#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "replicator/parts.h"
#include "replicator/site.h"
#include "replicator/source.h"
#include "store/content.h"
#include "store/store.h"

int
fault_of_error(struct fault *fault, const struct error *err)
{
	switch (err->kind) {
	case ERR_DAMAGED:
	case ERR_FORMAT:
		return fault_set(fault, FAULT_OBJECT,
		    "the local copy cannot be read: %s", err->text);
	default:
		return fault_set(fault, FAULT_RETRY, "%s", err->text);
	}
}

struct looking {
	struct sending *sending;
	uint64_t sequence;
	int found;
};

static int
take_entry(uint64_t sequence, const struct journal_record *rec, void *arg)
{
	struct looking *l = arg;

	if (sequence == l->sequence) {
		l->found = 1;
		buffer_add_slice(&l->sending->memory, rec->object);
	}
	return 1;
}

static int
read_entry(struct sending *s, const struct item *item, struct fault *fault)
{
	struct looking l = { s, item->sequence, 0 };
	struct error err = ERROR_INIT;

	if (store_journal(
		s->site->store, item->sequence - 1, take_entry, &l, &err) != 0)
		return fault_of_error(fault, &err);
	if (!l.found)
		return 1;
	if (s->memory.failed)
		return fault_set(fault, FAULT_RETRY, "no memory");
	if (object_decode(buffer_slice(&s->memory), &s->record, &err) != 0)
		return fault_of_error(fault, &err);
	return 0;
}

static int
read_object(struct sending *s, const struct item *item, int current,
    struct fault *fault)
{
	struct error err = ERROR_INIT;

	if (store_object(s->site->store, item_bucket(item), item_key(item),
		current ? 0 : item->version, &s->record, &s->memory, NULL, NULL,
		&err) == 0)
		return 0;
	switch (err.kind) {
	case ERR_NOT_FOUND:
	case ERR_NO_BUCKET:
	case ERR_NO_VERSION:
	case ERR_DELETE_MARKER:
		return 1;
	default:
		return fault_of_error(fault, &err);
	}
}

static int
read_bytes(
    void *arg, uint64_t offset, void *bytes, size_t len, struct fault *fault)
{
	struct sending *s = arg;
	struct error err = ERROR_INIT;
	char *to = bytes;
	uint64_t skip;
	size_t n;
	long got;

	if (s->content == NULL || offset + len > s->object.size)
		return fault_set(fault, FAULT_OBJECT,
		    "bytes %" PRIu64 " to %" PRIu64 " of %" PRIu64
		    " were asked for",
		    offset, offset + len, s->object.size);
	if (site_throttle(s->site, len) != 0)
		return fault_set(fault, FAULT_STOPPED, "stopping");
	s->sent += len;
	while (len > 0) {
		if (s->run == NULL || offset < s->run_offset ||
		    offset >= s->run_offset + s->run_len) {
			got = content_read(s->content, offset, s->object.size,
			    s->room, s->room_bytes, 0, &s->run, &err);
			if (got <= 0) {
				s->run = NULL;
				return fault_of_error(fault, &err);
			}
			s->run_offset = offset;
			s->run_len = (size_t)got;
		}
		skip = offset - s->run_offset;
		n = s->run_len - (size_t)skip;
		if (n > len)
			n = len;
		memcpy(to, s->run + skip, n);
		to += n;
		offset += n;
		len -= n;
	}
	return 0;
}

int
sending_begin(struct sending *s, struct site *site, const struct item *item,
    int current, struct fault *fault)
{
	int rc;

	memset(s, 0, sizeof(*s));
	s->site = site;
	s->bucket = item_bucket(item);
	s->object_key = item_key(item);
	site_remote_key(site, item_bucket(item), item_key(item), &s->key);
	if (s->key.failed)
		return fault_set(fault, FAULT_RETRY, "no memory");
	rc = item->source == FROM_JOURNAL && !current
	    ? read_entry(s, item, fault)
	    : read_object(s, item, current, fault);
	if (rc != 0)
		return rc;
	s->object.key = buffer_slice(&s->key);
	s->object.size = s->record.size;
	s->object.attributes = s->record.attributes;
	s->object.tags = s->record.tags;
	s->object.mtime_ms = s->record.mtime_ms;
	s->object.version = s->record.version;
	object_etag(&s->record, s->object.etag);
	if (s->record.parts > 0)
		parts_describe(site->store, &s->record, s->object.parts);
	s->object.has_md5 = s->record.parts == 0;
	memcpy(s->object.md5, s->record.md5, sizeof(s->object.md5));
	s->source.read = read_bytes;
	s->source.arg = s;
	return 0;
}

void
sending_sum(struct sending *s)
{
	if (!s->object.has_md5 && s->record.extent != 0)
		s->object.has_crc32c =
		    content_sum(s->site->store, s->record.extent,
			&s->object.crc32c) == 0;
}

int
sending_open(struct sending *s, struct fault *fault)
{
	struct error err = ERROR_INIT;

	if (s->record.extent == 0)
		return 0;
	s->room_bytes = s->record.size <= CONTENT_BLOCK_BYTES
	    ? CONTENT_BLOCK_BYTES
	    : SOURCE_ROOM_BYTES;
	if ((s->room = malloc(s->room_bytes)) == NULL)
		return fault_set(fault, FAULT_RETRY, "no memory");
	s->content = content_open(s->site->store, s->record.extent, &err);
	/* Another destination may have what is damaged here. */
	if (s->content != NULL)
		return content_name(s->content, s->bucket, s->object_key) != 0
		    ? fault_set(fault, FAULT_RETRY, "no memory")
		    : 0;
	return err.kind == ERR_NOT_FOUND ? 1 : fault_of_error(fault, &err);
}

void
sending_end(struct sending *s)
{
	content_close(s->content);
	free(s->room);
	buffer_free(&s->memory);
	buffer_free(&s->key);
}
