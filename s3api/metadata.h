#ifndef S3API_METADATA_H
#define S3API_METADATA_H

#include "base/buffer.h"
#include "s3api/http.h"
#include "s3api/s3error.h"
#include "s3api/target.h"

/*
 * What an object carries beside its bytes: content headers and user metadata,
 * between a request's headers, the store's attribute pairs (lower-case header
 * names), and an answer's headers. Pure; any thread.
 */

#define METADATA_MAX_BYTES 2048 /* of x-amz-meta- names and values */

/* Appends the pairs. 0, or -1 and *s3err (MetadataTooLarge). */
int metadata_of_request(
    const struct http_head *, struct buffer *pairs, struct s3_error *s3err);

/* Refuses what a write asks for and this server does not do: ACLs other than
 * private, encryption, object lock, redirects, other storage classes. 0, or -1
 * and *s3err. */
int metadata_refuse(const struct http_head *, struct s3_error *s3err);
int metadata_refuse_acl(const struct http_head *, struct s3_error *s3err);

/* Appends the headers of an answer; the query's response-... go before what is
 * stored. */
void metadata_to_headers(
    struct buffer *headers, struct slice pairs, const struct target *);

#endif
