#ifndef REPLICATOR_S3_LEARNT_H
#define REPLICATOR_S3_LEARNT_H

#include <stdatomic.h>
#include <stddef.h>

/*
 * What was learnt of a store, from its answers and by the Test button: one for
 * all that the process opens at a bucket, so that what one finds out all know.
 * It lives as long as the process. Any thread.
 */

enum s3_learnt {
	S3_UNKNOWN,
	S3_NO,
	S3_YES
};

struct s3_abilities {
	atomic_int md5_etags;   /* an object's ETag is the MD5 of its bytes */
	atomic_int md5_parts;   /* so is a part's */
	atomic_int conditions;  /* If-None-Match holds back a put */
	atomic_int tags;        /* x-amz-tagging on a put is kept */
	atomic_int content_md5; /* not refused */
	atomic_int lists_v2;
	atomic_int encodes; /* encoding-type=url is understood */
};

/* place: a text that says which bucket, and how it is written to, without
 * blanks. aws: begins with what AWS can. NULL without memory. */
struct s3_abilities *s3_abilities_of(const char *place, int aws);
/* Nothing is known any more: it shall be found out anew. */
void s3_abilities_forget(struct s3_abilities *);
/* As a text to keep, "PLACE 2 0 1 ...", and from it; another text teaches
 * nothing. */
void s3_abilities_write(
    struct s3_abilities *, const char *place, char *text, size_t room);
void s3_abilities_recall(const char *text);

#endif
