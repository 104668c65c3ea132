#ifndef S3API_S3METRICS_H
#define S3API_S3METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "s3api/s3error.h"

/*
 * Figures of the S3 door, in Prometheus' terms: requests by operation and code,
 * a histogram of their time by operation, bytes of payload. Any thread.
 */

#define S3METRICS_BUCKETS 12

struct s3metrics_row {
	_Atomic uint64_t codes[S3_CODES];
	_Atomic uint64_t times[S3METRICS_BUCKETS + 1]; /* not cumulative */
	_Atomic uint64_t time_us;
};

struct s3metrics {
	size_t
	    n_rows; /* one an operation, and one for requests that found none */
	struct s3metrics_row *rows;
	_Atomic uint64_t bytes_in, bytes_out;
};

/* 0, or -1 without memory. */
int s3metrics_init(struct s3metrics *, size_t n_operations);
void s3metrics_free(struct s3metrics *);
/* row n_operations: a request that found no operation. */
void s3metrics_count(struct s3metrics *, size_t row, enum s3_code, uint64_t us,
    uint64_t bytes_in, uint64_t bytes_out);
/* name(row) is the operation's label. */
void s3metrics_text(
    struct s3metrics *, const char *(*name)(size_t row), struct buffer *out);

#endif
