#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stddef.h>

/*
 * An error is a kind, by which code decides, and a sentence, which a person
 * reads. It is made where the cause is known (error_set), gains context on the
 * way up (error_add puts it in front), and is logged or answered once.
 *
 * A struct error lives on its owner's stack and needs no release.
 */

enum error_kind {
	ERR_NONE = 0,
	ERR_NOMEM,      /* no memory for this request */
	ERR_IO,         /* the disk or the file system failed */
	ERR_DISK_FULL,  /* no space, no inodes, disk quota, or in the reserve */
	ERR_READ_ONLY,  /* the file system takes no writes */
	ERR_BUSY,       /* a limit on work in progress: come again */
	ERR_DAMAGED,    /* stored bytes or records fail their checks */
	ERR_FORMAT,     /* written by a newer holdfast, or not by holdfast */
	ERR_LOCKED,     /* another process owns it */
	ERR_INVALID,    /* an argument is wrong */
	ERR_NOT_FOUND,  /* no such object, version, upload, key, ... */
	ERR_NO_BUCKET,  /* no such bucket */
	ERR_NO_VERSION, /* no such version of an object */
	ERR_NO_UPLOAD,  /* no such multipart upload */
	ERR_NO_PART, /* complete names a part that was not sent, or another ETag
		      */
	ERR_PART_ORDER, /* complete's part numbers do not ascend */
	ERR_PART_SMALL, /* a part that is not the last is below 5 MiB */
	ERR_TOO_LARGE,  /* more than the model holds */
	ERR_EXISTS,     /* a bucket or a name is taken */
	ERR_NOT_EMPTY,  /* a bucket still holds something */
	ERR_CONDITION,  /* a precondition does not hold */
	ERR_CONFLICT,   /* another request changed it meanwhile */
	ERR_QUOTA,      /* the bucket's quota is used up */
	ERR_DIGEST,     /* bytes are not those that the client's digest names */
	ERR_DELETE_MARKER, /* the named version is a delete marker */
	ERR_CLOSING,       /* the server is shutting down */
	ERR_AWAY,          /* its bytes are elsewhere, and out of reach now */
	ERR_ARCHIVED,      /* elsewhere, in a class that must be thawed first */
	ERR_INTERNAL       /* a bug: an invariant does not hold */
};

#define ERROR_TEXT_BYTES 512

struct error {
	enum error_kind kind;
	int sys; /* errno of the cause, or 0 */
	char text[ERROR_TEXT_BYTES];
};

#define ERROR_INIT \
	{ \
		ERR_NONE, 0, "" \
	}

/* Each of these accepts err == NULL. All return -1, so that `return
 * error_set(...)` reads well in functions that answer 0 or -1. */

/* Sets kind and sentence. */
int error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Sets the kind that errno stands for (ENOSPC, EDQUOT: ERR_DISK_FULL; EROFS:
 * ERR_READ_ONLY; ENOMEM: ERR_NOMEM; EMFILE, ENFILE: ERR_BUSY; else ERR_IO) and
 * the sentence, followed by the errno's text. Keeps errno. */
int error_sys(struct error *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ERR_NOMEM. */
int error_nomem(struct error *err);

/* Puts context in front: "context: what was there". */
int error_add(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

void error_clear(struct error *err);

#endif
