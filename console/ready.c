#include "base/buffer.h"
#include "base/encode.h"
#include "base/error.h"
#include "console/ready.h"
#include "store/space.h"
#include "store/store.h"

static int
see_bucket(struct slice name, const struct bucket_record *record, void *arg)
{
	(void)name;
	(void)record;
	(void)arg;
	return 1;
}

int
ready_write(struct buffer *out, struct store *store)
{
	struct store_figures figures;
	struct error err = ERROR_INIT;
	char free_text[32];

	if (store_buckets(store, SLICE_NULL, see_bucket, NULL, &err) != 0) {
		buffer_printf(out, "Not ready: the index cannot be read: %s.\n",
		    err.text);
		return 503;
	}
	store_figures(store, &figures);
	format_size(figures.disk_free_bytes, free_text, sizeof(free_text));
	switch (figures.band) {
	case SPACE_OPEN:
		buffer_add_text(out, "Ready.\n");
		break;
	case SPACE_RESERVE:
		buffer_printf(out,
		    "Ready, but the disk is nearly full (%s free): only small "
		    "writes and deletes are taken.\n",
		    free_text);
		break;
	default:
		buffer_printf(out,
		    "Ready, but the disk is full (%s free): only deletes are "
		    "taken.\n",
		    free_text);
		break;
	}
	return 200;
}
