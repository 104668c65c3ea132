#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "s3api/s3metrics.h"

static const uint64_t bounds_us[S3METRICS_BUCKETS] = { 100, 250, 500, 1000,
	2500, 5000, 10000, 50000, 250000, 1000000, 10000000, 60000000 };

int
s3metrics_init(struct s3metrics *metrics, size_t n_operations)
{
	metrics->n_rows = n_operations + 1;
	metrics->rows = calloc(metrics->n_rows, sizeof(*metrics->rows));
	return metrics->rows == NULL ? -1 : 0;
}

void
s3metrics_free(struct s3metrics *metrics)
{
	free(metrics->rows);
}

static void
add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t
get(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void
s3metrics_count(struct s3metrics *metrics, size_t row, enum s3_code code,
    uint64_t us, uint64_t bytes_in, uint64_t bytes_out)
{
	struct s3metrics_row *r = &metrics->rows[row];
	size_t i;

	for (i = 0; i < S3METRICS_BUCKETS && us > bounds_us[i]; i++)
		;
	add(&r->codes[code], 1);
	add(&r->times[i], 1);
	add(&r->time_us, us);
	add(&metrics->bytes_in, bytes_in);
	add(&metrics->bytes_out, bytes_out);
}

/* What has been counted under a code's name, if the code is the first of that
 * name; 0 for the others: several codes differ only in their sentence. */
static uint64_t
requests_of_name(struct s3metrics_row *row, size_t code)
{
	const char *name = s3_code_name((enum s3_code)code);
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < S3_CODES; i++)
		if (strcmp(s3_code_name((enum s3_code)i), name) == 0) {
			if (i < code)
				return 0;
			n += get(&row->codes[i]);
		}
	return n;
}

static void
requests_text(struct s3metrics *metrics, const char *(*name)(size_t row),
    struct buffer *out)
{
	uint64_t n;
	size_t i, code;

	buffer_add_text(out,
	    "# HELP holdfast_s3_requests_total S3 requests answered.\n"
	    "# TYPE holdfast_s3_requests_total counter\n");
	for (i = 0; i < metrics->n_rows; i++)
		for (code = 0; code < S3_CODES; code++) {
			n = requests_of_name(&metrics->rows[i], code);
			if (n > 0)
				buffer_printf(out,
				    "holdfast_s3_requests_total{operation="
				    "\"%s\",code=\"%s\"} %" PRIu64 "\n",
				    name(i), s3_code_name((enum s3_code)code),
				    n);
		}
}

static void
times_text(struct s3metrics_row *row, const char *name, struct buffer *out)
{
	uint64_t sum = 0, counts[S3METRICS_BUCKETS + 1];
	size_t i;

	for (i = 0; i <= S3METRICS_BUCKETS; i++)
		sum += counts[i] = get(&row->times[i]);
	if (sum == 0)
		return;
	sum = 0;
	for (i = 0; i < S3METRICS_BUCKETS; i++) {
		sum += counts[i];
		buffer_printf(out,
		    "holdfast_s3_request_seconds_bucket{operation=\"%s\",le="
		    "\"%g\"} %" PRIu64 "\n",
		    name, (double)bounds_us[i] / 1e6, sum);
	}
	sum += counts[i];
	buffer_printf(out,
	    "holdfast_s3_request_seconds_bucket{operation=\"%s\",le=\"+Inf\"} "
	    "%" PRIu64 "\n"
	    "holdfast_s3_request_seconds_sum{operation=\"%s\"} %.6f\n"
	    "holdfast_s3_request_seconds_count{operation=\"%s\"} %" PRIu64 "\n",
	    name, sum, name, (double)get(&row->time_us) / 1e6, name, sum);
}

void
s3metrics_text(struct s3metrics *metrics, const char *(*name)(size_t row),
    struct buffer *out)
{
	size_t i;

	requests_text(metrics, name, out);
	buffer_add_text(out,
	    "# HELP holdfast_s3_request_seconds Time from a request's head to "
	    "its answer.\n"
	    "# TYPE holdfast_s3_request_seconds histogram\n");
	for (i = 0; i < metrics->n_rows; i++)
		times_text(&metrics->rows[i], name(i), out);
	buffer_printf(out,
	    "# HELP holdfast_s3_received_bytes_total Payload received.\n"
	    "# TYPE holdfast_s3_received_bytes_total counter\n"
	    "holdfast_s3_received_bytes_total %" PRIu64 "\n"
	    "# HELP holdfast_s3_sent_bytes_total Bodies sent.\n"
	    "# TYPE holdfast_s3_sent_bytes_total counter\n"
	    "holdfast_s3_sent_bytes_total %" PRIu64 "\n",
	    get(&metrics->bytes_in), get(&metrics->bytes_out));
}
