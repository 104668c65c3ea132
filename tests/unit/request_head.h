#ifndef TESTS_UNIT_REQUEST_HEAD_H
#define TESTS_UNIT_REQUEST_HEAD_H

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "s3api/http.h"

/* A parsed request in memory of its own, from text with bare line feeds:
 * "GET /path HTTP/1.1\nHost: a\nName: value\n". */
struct request_head {
	struct http_head head;
	char text[HTTP_HEAD_MAX_BYTES];
};

static inline const struct http_head *
request_head(struct request_head *r, const char *text)
{
	struct http_refusal refusal;
	size_t len = 0;
	long n;

	for (; *text != '\0'; text++) {
		assert(len + 4 < sizeof(r->text));
		if (*text == '\n')
			r->text[len++] = '\r';
		r->text[len++] = *text;
	}
	r->text[len++] = '\r';
	r->text[len++] = '\n';
	n = http_head_parse(r->text, len, &r->head, &refusal);
	if (n < 0)
		fprintf(stderr, "%d %s\n", refusal.status, refusal.reason);
	assert(n == (long)len);
	return &r->head;
}

#endif
