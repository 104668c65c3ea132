#ifndef S3API_LISTING_H
#define S3API_LISTING_H

#include "s3api/operation.h"

/*
 * What all listings share: prefix, delimiter, the number of entries, url
 * encoding of names, and the page that is written while the store walks. A page
 * ends one entry beyond its last, which tells that there is more.
 */

#define LISTING_MAX 1000

struct listing {
	struct s3_request *req;
	struct list_query query;
	uint64_t max; /* entries of the page */
	int url;      /* encoding-type=url */
	/* The page so far. */
	uint64_t n;
	int truncated;
	struct buffer entries, prefixes; /* XML */
	struct buffer last;              /* the last entry's name */
	uint64_t last_number;            /* its version or upload */
	int last_null;
	struct error err;
	int failed;
	s3_step *respond;
};

/* Fills in, for a listing that is zeroed and the request's state, what all
 * listings take from the query; number is the parameter that bounds the page
 * ("max-keys"). 0, or -1 having failed the request. */
int listing_init(struct listing *, struct s3_request *, const char *number);
/* Walks on a worker (walk fills the page), then calls respond on the loop; a
 * walk that failed has failed the request instead. The listing is its state's
 * first member. */
void listing_run(struct listing *, s3_step *walk, s3_step *respond);
/* Sends req->out as the answer and frees the buffers. */
void listing_end(struct listing *);

/* For the visit: nonzero when the page is full (and then it is truncated). Else
 * the entry counts, and its name is remembered. */
int listing_full(struct listing *, const struct list_entry *);
/* Writes a common prefix. */
void listing_prefix(struct listing *, struct slice prefix);
/* <name>text</name>, url-encoded if the client asked for it. */
void listing_name(const struct listing *, struct buffer *, const char *name,
    struct slice text);

#endif
